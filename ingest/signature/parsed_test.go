/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestVerifyParsedByAnother lets a verifier have what another one has parsed, as when a route is
// changed while a body is read. It says what it would say without.
func TestVerifyParsedByAnother(t *testing.T) {
	t.Parallel()
	body := []byte(testBody)
	right := sign(signature.SHA256, []byte(testKey), body)
	verifier := func(scheme signature.Scheme, secret string) *signature.Verifier {
		v, err := signature.NewVerifier(scheme, signature.Key{Name: secret, Secret: []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := verifier(signature.Scheme{Algorithm: signature.SHA256}, testKey)
	tests := map[string]struct {
		reason string
		now    *signature.Verifier
		want   result
	}{
		"SameScheme": {
			reason: "a verifier that was made anew, of the same",
			now:    verifier(signature.Scheme{Algorithm: signature.SHA256}, testKey),
			want:   result{key: testKey},
		},
		"OtherKey": {
			reason: "the key was revoked meanwhile",
			now:    verifier(signature.Scheme{Algorithm: signature.SHA256}, "another"),
			want:   result{err: signature.ErrMismatch},
		},
		"OtherAlgorithm": {
			reason: "the signature is as long as this algorithm's",
			now:    verifier(signature.Scheme{Algorithm: signature.SHA3256}, testKey),
			want:   result{err: signature.ErrMismatch},
		},
		"OtherLength": {
			reason: "the signature is longer than this algorithm's",
			now:    verifier(signature.Scheme{Algorithm: signature.RIPEMD128}, testKey),
			want:   result{err: signature.ErrHeaderLength},
		},
		"OtherHeader": {
			reason: "the signature is in another header now",
			now:    verifier(signature.Scheme{Algorithm: signature.SHA256, Headers: []string{"X-Other"}}, testKey),
			want:   result{err: signature.ErrHeaderMissing},
		},
		"Timestamp": {
			reason: "this scheme has a timestamp",
			now: verifier(signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{body}", Timestamp: signature.Timestamp{Headers: []string{"X-Time"}},
			}, testKey),
			want: result{err: signature.ErrTimestampMissing},
		},
		"Token": {
			reason: "a token is nothing that is parsed",
			now:    verifier(signature.Scheme{Algorithm: signature.Token}, testKey),
			want:   result{err: signature.ErrMismatch},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := signature.Request{Headers: header(right)}
			parsed, err := before.Parse(request.Headers, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			for what, parsed := range map[string]signature.Parsed{"parsed by another": parsed, "not parsed": {}} {
				r, err := tc.now.VerifyParsed(request, &parsed, body, time.Unix(0, 0))
				if diff := cmp.Diff(tc.want, result{key: r.Key, err: err}, compareResults); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", tc.reason, what, diff)
				}
			}
		})
	}
}

// TestVerifyParsedLater has the body take its time: the timestamp must be fresh both when the
// headers have come and when all has.
func TestVerifyParsedLater(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Slack", "Stripe", "StandardWebhooks"} { // a header, a field, and a header that has an id beside it
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(preset(t, name), []byte("seed"))
			s.now = s.now.Truncate(time.Second)
			v := s.verifier(t)
			body := []byte(testBody)
			request := s.request(s.mac(s.content(body)))
			parsed, err := v.Parse(request.Headers, s.now)
			if err != nil {
				t.Fatal(err)
			}
			tolerance := s.scheme.Timestamp.Tolerance
			for age, want := range map[time.Duration]error{
				0: nil, tolerance: nil, tolerance + 1: signature.ErrTimestampStale, -tolerance: nil, -tolerance - 1: signature.ErrTimestampFuture,
			} {
				if _, err := v.VerifyParsed(request, &parsed, body, s.now.Add(age)); err != want { //nolint:errorlint // a Cause is never wrapped
					t.Errorf("%s later: %v, want %v", age, err, want)
				}
			}
		})
	}
}

// FuzzSingle compares schemes that have a single signature with those that have it in one of two
// headers, of which the other is not there. They are read by other code, and mean the same.
func FuzzSingle(f *testing.F) {
	for i, algorithm := range signature.Algorithms() {
		s := newSigner(signature.Scheme{Algorithm: algorithm}, []byte("seed"))
		if algorithm == signature.Token {
			f.Add(string(s.key), "", []byte(testBody), uint8(i), uint8(0), uint8(1))
			continue
		}
		right := s.mac([]byte(testBody))
		for encoding, text := range []string{hex.EncodeToString(right), base64.StdEncoding.EncodeToString(right), base64.RawURLEncoding.EncodeToString(right)} {
			for times := range uint8(3) {
				f.Add(text, "", []byte(testBody), uint8(i), uint8(encoding), times)
			}
			for _, value := range []string{"", " ", "\t" + text + " ", "v1=" + text, strings.ToUpper(text), text[1:], text + "0", text + "\n", " v1=", "\u00e9" + text[2:]} {
				f.Add(value, "v1=", []byte(testBody), uint8(i), uint8(encoding), uint8(1))
				f.Add(value, "", []byte(testBody), uint8(i), uint8(encoding), uint8(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, value, prefix string, body []byte, algorithm, encoding, times uint8) {
		scheme := signature.Scheme{
			Algorithm: signature.Algorithms()[int(algorithm)%len(signature.Algorithms())],
			Encoding:  []signature.Encoding{signature.Hex, signature.Base64, signature.Base64URL}[encoding%3],
			Headers:   []string{"X-One"}, Prefix: prefix,
		}
		if scheme.Algorithm == signature.Token {
			scheme.Encoding = ""
		}
		if scheme.Validate() != nil {
			return
		}
		s := newSigner(scheme, []byte("seed"))
		headers := http.Header{}
		for range times % 3 {
			headers["X-One"] = append(headers["X-One"], value)
		}
		request := signature.Request{Headers: headers}
		single := s.verifier(t)
		got, gotErr := verifyBothWays(t, single, request, body, s.now)
		s.scheme.Headers = []string{"X-One", "X-Absent"}
		want, wantErr := verifyBothWays(t, s.verifier(t), request, body, s.now)
		if diff := cmp.Diff(want, got); diff != "" || gotErr != wantErr { //nolint:errorlint // a Cause is never wrapped
			t.Errorf("%+v says %v of %q, and with a header more %v (-more +single):\n%s", scheme, gotErr, headers, wantErr, diff)
		}
	})
}

// TestAnyOfSeveralIsGood has several signatures in a request, of which any one may be the good one.
func TestAnyOfSeveralIsGood(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []signature.Algorithm{signature.SHA256, signature.Ed25519} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			s := newSigner(signature.Scheme{Algorithm: algorithm, ItemSeparator: ","}, []byte("seed"))
			v := s.verifier(t)
			right := s.mac([]byte(testBody))
			good, bad, none := hex.EncodeToString(right), hex.EncodeToString(bytes.Repeat([]byte{1}, len(right))), "none"
			for i, text := range []string{good, none + "," + good, bad + "," + good, bad + "," + bad + "," + good, bad + "," + none + "," + good, good + "," + bad, none + "," + bad + "," + good + "," + good} {
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					request := signature.Request{Headers: header(text)}
					if _, err := verifyBothWays(t, v, request, []byte(testBody), s.now); err != nil {
						t.Errorf("%q: %v", text, err)
					}
					if _, err := verifyBothWays(t, v, request, []byte(testBody+"x"), s.now); err != signature.ErrMismatch { //nolint:errorlint // a Cause is never wrapped
						t.Errorf("%q, of another body: %v", text, err)
					}
				})
			}
		})
	}
}
