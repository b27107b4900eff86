/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

func TestExplain(t *testing.T) {
	const body = "{\n  \"a\": 1,\n  \"b\": [true, null]\n}"
	plain := signature.Scheme{Algorithm: signature.SHA256}
	mac := func(secret, body string) []byte {
		return signer{scheme: plain, key: []byte(secret)}.mac([]byte(body))
	}
	hexed := func(secret, body string) string { return hex.EncodeToString(mac(secret, body)) }
	sha1Of := signer{scheme: signature.Scheme{Algorithm: signature.SHA1}, key: []byte("geheim-1")}.mac([]byte(body))
	sha3Of := signer{scheme: signature.Scheme{Algorithm: signature.SHA3256}, key: []byte("geheim-1")}.mac([]byte(body))
	now := time.Unix(1767225600, 0)
	stripe := func(secret, at, body string) string { return "t=" + at + ",v1=" + hexed(secret, at+"."+body) }

	for name, tc := range map[string]struct {
		reason string
		scheme signature.Scheme
		secret string
		header string
		value  string
		extra  http.Header
		body   string
		want   signature.Explanation
	}{
		"Accepted":      {reason: "nothing is wrong", value: hexed("geheim-1", body), want: signature.Explanation{Hint: signature.HintAccepted}},
		"HeaderMissing": {reason: "the header is named", header: "X-Other", value: "x", want: signature.Explanation{Hint: signature.HintHeaderMissing, Cause: signature.ErrHeaderMissing, Header: "X-Hmac-Hash"}},
		"OtherLength":   {reason: "as long as another's", value: hex.EncodeToString(sha1Of), want: signature.Explanation{Hint: signature.HintOtherAlgorithm, Cause: signature.ErrHeaderLength, Algorithm: signature.SHA1}},
		"OtherOfLength": {reason: "as long, but of another", value: hex.EncodeToString(sha3Of), want: signature.Explanation{Hint: signature.HintOtherAlgorithm, Cause: signature.ErrMismatch, Algorithm: signature.SHA3256, Key: "key"}},
		"Base64":        {reason: "base64 for hex", value: base64.StdEncoding.EncodeToString(mac("geheim-1", body)), want: signature.Explanation{Hint: signature.HintIsBase64, Cause: signature.ErrHeaderLength}},
		"Hex": {
			reason: "hex for base64", scheme: signature.Scheme{Algorithm: signature.SHA256, Encoding: signature.Base64}, value: hexed("geheim-1", body),
			want: signature.Explanation{Hint: signature.HintIsHex, Cause: signature.ErrHeaderLength},
		},
		"PrefixUnexpected": {reason: "GitHub's form for the default scheme", value: "sha256=" + hexed("geheim-1", body), want: signature.Explanation{Hint: signature.HintPrefixUnexpected, Cause: signature.ErrHeaderLength}},
		"PrefixMissing": {
			reason: "the default form for GitHub", scheme: preset(t, "GitHub"), header: "X-Hub-Signature-256", value: hexed("geheim-1", body),
			want: signature.Explanation{Hint: signature.HintPrefixMissing, Cause: signature.ErrHeaderMalformed},
		},
		"PrefixOther": {
			reason: "another prefix for GitHub", scheme: preset(t, "GitHub"), header: "X-Hub-Signature-256", value: "v0=" + hexed("geheim-1", body),
			want: signature.Explanation{Hint: signature.HintPrefixUnexpected, Cause: signature.ErrHeaderMalformed},
		},
		"KeyNewline": {reason: "a Secret made with echo", secret: "geheim-1\n", value: hexed("geheim-1", body), want: signature.Explanation{Hint: signature.HintKeyNewline, Cause: signature.ErrMismatch, Key: "key"}},
		"WhsecLeftOn": {
			reason: "the sender signs without", secret: "whsec_abcd", value: hexed("abcd", body),
			want: signature.Explanation{Hint: signature.HintSecretPrefix, Cause: signature.ErrMismatch, Key: "key"},
		},
		"WhsecLeftOff": {
			reason: "Stripe signs with it", secret: "abcd", scheme: preset(t, "Stripe"), header: "Stripe-Signature", value: stripe("whsec_abcd", "1767225600", body),
			want: signature.Explanation{Hint: signature.HintSecretPrefix, Cause: signature.ErrMismatch, Key: "key"},
		},
		"SecretNotDecoded": {
			reason: "the sender decodes the key", secret: hex.EncodeToString([]byte("geheim-1")), value: hexed("geheim-1", body),
			want: signature.Explanation{Hint: signature.HintSecretEncoding, Cause: signature.ErrMismatch, Key: "key"},
		},
		"Stale": {
			reason: "the clock, or a replay", scheme: preset(t, "Stripe"), header: "Stripe-Signature", value: stripe("geheim-1", "1767225200", body),
			want: signature.Explanation{Hint: signature.HintClock, Cause: signature.ErrTimestampStale, Seconds: 100},
		},
		"Future": {
			reason: "the clock", scheme: preset(t, "Stripe"), header: "Stripe-Signature", value: stripe("geheim-1", "1767225901", body),
			want: signature.Explanation{Hint: signature.HintClock, Cause: signature.ErrTimestampFuture, Seconds: -1},
		},
		"Milliseconds": {
			reason: "another unit", scheme: preset(t, "Stripe"), header: "Stripe-Signature", value: stripe("geheim-1", "1767225600123", body),
			want: signature.Explanation{Hint: signature.HintTimestampUnit, Cause: signature.ErrTimestampFuture},
		},
		"TimestampMissing": {
			reason: "the header is named", scheme: preset(t, "Slack"), header: "X-Slack-Signature", value: "v0=" + hexed("geheim-1", body),
			want: signature.Explanation{Hint: signature.HintHeaderMissing, Cause: signature.ErrTimestampMissing, Header: "X-Slack-Request-Timestamp"},
		},
		"FormerKey": {reason: "the sender has the old key", value: hexed("geheim-0", body), want: signature.Explanation{Hint: signature.HintFormerKey, Cause: signature.ErrMismatch, Key: "former"}},
		"Indented":  {reason: "a proxy wrote it anew", value: hexed("geheim-1", `{"a":1,"b":[true,null]}`), want: signature.Explanation{Hint: signature.HintReserialised, Cause: signature.ErrMismatch, Key: "key"}},
		"Newline":   {reason: "an editor put a newline there", value: hexed("geheim-1", body), body: body + "\n", want: signature.Explanation{Hint: signature.HintReserialised, Cause: signature.ErrMismatch, Key: "key"}},
		"Gzip":      {reason: "the magic of gzip", value: hexed("geheim-1", body), body: "\x1f\x8b\x08", want: signature.Explanation{Hint: signature.HintCompressed, Cause: signature.ErrMismatch}},
		"Encoding":  {reason: "the header says so", value: hexed("geheim-1", body), body: "x", extra: http.Header{"Content-Encoding": {"br"}}, want: signature.Explanation{Hint: signature.HintCompressed, Cause: signature.ErrMismatch}},
		"BodyAlone": {
			reason: "the timestamp was left out", scheme: preset(t, "Slack"), header: "X-Slack-Signature", value: "v0=" + hexed("geheim-1", body),
			extra: http.Header{"X-Slack-Request-Timestamp": {"1767225600"}},
			want:  signature.Explanation{Hint: signature.HintContent, Cause: signature.ErrMismatch, Key: "key"},
		},
		"Unknown": {reason: "somebody guesses", value: hexed("a guess", body), want: signature.Explanation{Hint: signature.HintNone, Cause: signature.ErrMismatch}},
		"TooLong": {reason: "a long body is not hashed again", secret: "geheim-1\n", value: hexed("geheim-1", body), body: strings.Repeat("x", 64<<10+1), want: signature.Explanation{Hint: signature.HintNone, Cause: signature.ErrMismatch}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.scheme.Algorithm == "" {
				tc.scheme = plain
			}
			if tc.secret == "" {
				tc.secret = "geheim-1"
			}
			if tc.header == "" {
				tc.header = "X-Hmac-Hash"
			}
			if tc.body == "" {
				tc.body = body
			}
			v, err := signature.NewVerifier(tc.scheme, signature.Key{Name: "key", Secret: []byte(tc.secret)})
			if err != nil {
				t.Fatal(err)
			}
			headers := http.Header{tc.header: {tc.value}}
			maps.Copy(headers, tc.extra)
			before := bytes.Clone([]byte(tc.body))
			given := []byte(tc.body)
			got := v.Explain(signature.Request{Method: http.MethodPost, Headers: headers}, given, now, signature.Key{Name: "former", Secret: []byte("geheim-0")})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if !bytes.Equal(before, given) {
				t.Error("the body was changed")
			}
			for _, secret := range []string{"geheim-1", "abcd", "geheim-0", tc.value} {
				if strings.Contains(got.String(), secret) {
					t.Errorf("%q holds %q", got.String(), secret)
				}
			}
		})
	}
}

// TestExplainTellsNothingOfOtherKeys has the author of a trigger add a key of their own to keys
// that they cannot read, and sign with it what will be explained. However the other keys look,
// valid or former, the explanation is the same: to see more of a key, one has to sign with all of
// it.
func TestExplainTellsNothingOfOtherKeys(t *testing.T) {
	t.Parallel()
	const body = "{\n  \"a\": 1,\n  \"b\": [true, null]\n}"
	const plain = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
	others := map[string]string{
		"a prefix": "whsec_" + plain, "nothing but a prefix": "whsec_", "a newline": plain + "\n", "blanks around": " " + plain + "\t", "both": "whsec_" + plain + "\n",
		"base64": "K9gGyX8OAK8aH8Myj6djqSaXI8jbj6xPk69x2xhtbpA=", "a prefix and base64": "whsec_K9gGyX8OAK8aH8Myj6djqSaXI8jbj6xPk69x2xhtbpA=",
		"another prefix": "whpk_" + plain, "bytes": "\xff\x00\xfe" + plain, "short": "ab", "long": strings.Repeat(plain, 60),
	}
	own := strings.Repeat("c0ffee0123456789", 2)
	const at = "1767225600"
	signed := func(algorithm signature.Algorithm, key, content string) string {
		return hex.EncodeToString(signer{scheme: signature.Scheme{Algorithm: algorithm}, key: []byte(key)}.mac([]byte(content)))
	}
	requests := map[string]string{ // the signature
		"wrong": signed(signature.SHA256, "nobody's", body), "of the compact body": signed(signature.SHA256, own, `{"a":1,"b":[true,null]}`), "of another indentation": signed(signature.SHA256, own, "{\n\t\"a\": 1,\n\t\"b\": [\n\t\ttrue,\n\t\tnull\n\t]\n}"),
		"of a newline too": signed(signature.SHA256, own, body+"\n"), "of another algorithm": signed(signature.SHA3256, own, body), "of the body alone": signed(signature.SHA256, own, body),
		"malformed": "x", "none": "",
	}
	for name, scheme := range map[string]signature.Scheme{
		"Default":   {Algorithm: signature.SHA256},
		"Timestamp": {Algorithm: signature.SHA256, Template: "{timestamp}.{body}", Timestamp: signature.Timestamp{Headers: []string{"X-At"}}},
		"Token":     {Algorithm: signature.Token},
	} {
		explain := func(other, text string, valid, former int) signature.Explanation {
			var keys, formerKeys []signature.Key
			for i := range valid {
				keys = append(keys, signature.Key{Name: fmt.Sprint(i), Secret: []byte(other)})
			}
			for i := range former {
				formerKeys = append(formerKeys, signature.Key{Name: fmt.Sprint("former ", i), Secret: []byte(other)})
			}
			v, err := signature.NewVerifier(scheme, append(keys, signature.Key{Name: "own", Secret: []byte(own)})...)
			if err != nil {
				t.Fatal(err)
			}
			headers := http.Header{"X-Hmac-Hash": {text}, "X-At": {at}}
			return v.Explain(signature.Request{Method: http.MethodPost, Headers: headers}, []byte(body), time.Unix(1767225600, 0), formerKeys...)
		}
		hints := map[signature.Hint]bool{}
		for which, text := range requests {
			for valid := range 9 {
				for _, former := range []int{0, 1, 9} {
					want := explain(plain, text, valid, former)
					hints[want.Hint] = true
					for looks, other := range others {
						if diff := cmp.Diff(want, explain(other, text, valid, former)); diff != "" {
							t.Errorf("%s: a signature %s, %d valid and %d former keys: one with %s can be told from another (-plain +it):\n%s", name, which, valid, former, looks, diff)
						}
					}
				}
			}
		}
		if name == "Default" && (!hints[signature.HintReserialised] || !hints[signature.HintOtherAlgorithm] || !hints[signature.HintNone]) {
			t.Errorf("%s: the hints are %v: that does not mean much", name, hints)
		}
	}
}
