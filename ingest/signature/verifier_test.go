/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // for an HMAC it is good
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ripemd160" //nolint:gosec,staticcheck // for an HMAC it is good

	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// hashes has every algorithm.
var hashes = map[signature.Algorithm]struct {
	new    func() hash.Hash
	digits int // of a MAC
}{
	signature.SHA1:      {new: sha1.New, digits: 40},
	signature.SHA256:    {new: sha256.New, digits: 64},
	signature.SHA384:    {new: sha512.New384, digits: 96},
	signature.SHA512:    {new: sha512.New, digits: 128},
	signature.RIPEMD160: {new: ripemd160.New, digits: 40},
	signature.RIPEMD128: {new: ripemd128.New, digits: 32},
}

const (
	testKey  = "tK7!v0dWm2$Qe9_hLzXp"
	testBody = `{"id":"evt_1000","type":"order.updated","data":{"total":"12.50","qty":3}}`
)

// forEachAlgorithm runs a test for each algorithm.
func forEachAlgorithm(t *testing.T, test func(t *testing.T, algorithm signature.Algorithm)) {
	t.Helper()
	for algorithm := range hashes {
		t.Run(string(algorithm), func(t *testing.T) { test(t, algorithm) })
	}
}

// newVerifier returns a verifier of the default scheme with testKey, named "test".
func newVerifier(tb testing.TB, algorithm signature.Algorithm) *signature.Verifier {
	tb.Helper()
	v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: "test", Secret: []byte(testKey)})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// header returns headers that hold the values as signatures.
func header(values ...string) http.Header {
	return http.Header{signature.DefaultHeader: values, "Content-Type": {"application/json"}}
}

// result is what Parse and Verify, one after the other, return.
type result struct {
	key string
	err error
}

var compareResults = cmp.Comparer(func(a, b result) bool {
	//nolint:errorlint // Parse and Verify promise a Cause, not something that wraps one.
	return a.key == b.key && a.err == b.err
})

func verifyRequest(v *signature.Verifier, headers http.Header, body []byte) (string, error) {
	now := time.Unix(0, 0) // the default scheme has no time
	parsed, err := v.Parse(headers, now)
	if err != nil {
		return "", err
	}
	r, err := v.VerifyParsed(signature.Request{Headers: headers}, &parsed, body, now)
	return r.Key, err
}

// check also sees that Verify refuses by itself what Parse refuses.
func check(v *signature.Verifier, headers http.Header, body []byte) result {
	key, err := verifyRequest(v, headers, body)
	alone, aloneErr := v.Verify(signature.Request{Headers: headers}, body, time.Unix(0, 0))
	if !errors.Is(aloneErr, err) || alone.Key != key {
		return result{err: fmt.Errorf("with Parse %q, %w, and without %q, %w", key, err, alone.Key, aloneErr)}
	}
	return result{key: key, err: err}
}

func TestSupported(t *testing.T) {
	tests := map[string]struct {
		reason    string
		algorithm signature.Algorithm
		want      bool
	}{
		"SHA-256":    {reason: "it is in the API", algorithm: "SHA-256", want: true},
		"RIPEMD-128": {reason: "it is in the API", algorithm: "RIPEMD-128", want: true},
		"Empty":      {reason: "there is no default", algorithm: ""},
		"LowerCase":  {reason: "names are compared as they are", algorithm: "sha-256"},
		"NoHyphen":   {reason: "there is one spelling", algorithm: "SHA256"},
		"Blank":      {reason: "names are compared as they are", algorithm: "SHA-256 "},
		"MD5":        {reason: "it is not offered", algorithm: "MD5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.algorithm.Supported(); got != tc.want {
				t.Errorf("%s: %q: %t, want %t", tc.reason, tc.algorithm, got, tc.want)
			}
		})
	}
}

func TestBlank(t *testing.T) {
	tests := map[string]struct {
		reason string
		secret string
		want   bool
	}{
		"Empty":        {reason: "an empty key is no key", secret: "", want: true},
		"Space":        {reason: "white space", secret: " ", want: true},
		"Newline":      {reason: "what echo without a text leaves", secret: "\n", want: true},
		"Mixed":        {reason: "white space of several kinds", secret: "\t\r\n", want: true},
		"VerticalTab":  {reason: "white space", secret: "\v\f", want: true},
		"NextLine":     {reason: "white space of Unicode", secret: "\u0085", want: true},
		"NoBreakSpace": {reason: "white space of Unicode", secret: "\u00a0", want: true},
		"EmSpace":      {reason: "white space of Unicode", secret: "\u2003\u3000", want: true},
		"Letter":       {reason: "a key, if a weak one", secret: "a"},
		"Around":       {reason: "white space around a key is part of it", secret: " a\n"},
		"Between":      {reason: "a letter is enough", secret: "\n\n\n.\n\n\n"},
		"High":         {reason: "a byte of Latin-1 that is no UTF-8", secret: "\xa0"},
		"NUL": {
			reason: "HMAC pads keys with zero bytes (RFC 2104, section 2), so these make the same MACs as the empty key",
			secret: "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
			want:   true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := signature.Blank([]byte(tc.secret)); got != tc.want {
				t.Errorf("%s: %q: %t, want %t", tc.reason, tc.secret, got, tc.want)
			}
		})
	}
}

func TestNewVerifierErrors(t *testing.T) {
	good := signature.Key{Name: "good", Secret: []byte(testKey)}
	tests := map[string]struct {
		reason string
		scheme signature.Scheme
		keys   []signature.Key
		want   string // part of the error
	}{
		"UnknownAlgorithm": {
			reason: "nothing is guessed",
			scheme: signature.Scheme{Algorithm: "SHA-3000"},
			keys:   []signature.Key{good},
			want:   `unknown algorithm "SHA-3000"`,
		},
		"NoAlgorithm": {
			reason: "there is no default",
			keys:   []signature.Key{good},
			want:   `unknown algorithm ""`,
		},
		"NoKey": {
			reason: "without a key nothing can be verified",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
			want:   "no key",
		},
		"NilKey": {
			reason: "it is the empty key",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
			keys:   []signature.Key{{Name: "nil"}},
			want:   `key "nil" is blank`,
		},
		"EmptyKey": {
			reason: "anybody can sign with it",
			scheme: signature.Scheme{Algorithm: signature.RIPEMD128},
			keys:   []signature.Key{{Name: "empty", Secret: []byte{}}},
			want:   `key "empty" is blank`,
		},
		"SpaceKey": {
			reason: "anybody can sign with it",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
			keys:   []signature.Key{{Name: "space", Secret: []byte(" ")}},
			want:   `key "space" is blank`,
		},
		"NewlineKey": {
			reason: "a file that was filled with nothing",
			scheme: signature.Scheme{Algorithm: signature.RIPEMD128},
			keys:   []signature.Key{{Name: "newline", Secret: []byte("\n")}},
			want:   `key "newline" is blank`,
		},
		"MixedBlankKey": {
			reason: "anybody can sign with it",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
			keys:   []signature.Key{{Name: "mixed", Secret: []byte("\t\r\n")}},
			want:   `key "mixed" is blank`,
		},
		"SecondKeyBlank": {
			reason: "one blank key among good ones lets everybody in",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
			keys:   []signature.Key{good, {Name: "second", Secret: []byte(" \n")}},
			want:   `key "second" is blank`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := signature.NewVerifier(tc.scheme, tc.keys...)
			if v != nil || err == nil {
				t.Fatalf("%s: %v, %v, want no verifier and an error", tc.reason, v, err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %q, want it to hold %q", tc.reason, err, tc.want)
			}
			if strings.Contains(err.Error(), testKey) {
				t.Errorf("%s: %q holds a key", tc.reason, err)
			}
		})
	}
}

// TestZeroBytesAreNoKey is the reason for which zero bytes are no content: who signs with no key at
// all gets in.
func TestZeroBytesAreNoKey(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: "zeros", Secret: make([]byte, 32)})
		if err != nil {
			return
		}
		r := check(v, header(sign(algorithm, nil, []byte(testBody))), []byte(testBody))
		t.Errorf("a key of 32 zero bytes makes a verifier, which says to a body signed with the empty key: %q, %v", r.key, r.err)
	})
}

func TestDefaultHeader(t *testing.T) {
	if got, want := signature.DefaultHeader, http.CanonicalHeaderKey("X-HMAC-HASH"); got != want {
		t.Errorf("DefaultHeader: %q, want %q: header maps have no other form", got, want)
	}
}

func TestCauses(t *testing.T) {
	want := []signature.Cause{
		signature.ErrHeaderMissing, signature.ErrHeaderRepeated, signature.ErrHeaderLength, signature.ErrHeaderMalformed,
		signature.ErrTimestampMissing, signature.ErrTimestampMalformed, signature.ErrTimestampStale, signature.ErrTimestampFuture,
		signature.ErrIDMissing, signature.ErrBodyMalformed, signature.ErrMismatch, signature.ErrQueryMismatch, signature.ErrQueryAmbiguous,
		signature.ErrIDAmbiguous,
		signature.ErrVerifyTokenWrong, signature.ErrVerifyTokenUnset,
	}
	if diff := cmp.Diff(want, signature.Causes()); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
	for _, cause := range signature.Causes() {
		if diff := cmp.Diff(string(cause), cause.Error()); diff != "" {
			t.Errorf("text of a cause (-want +got):\n%s", diff)
		}
	}
}

func TestHeader(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v := newVerifier(t, algorithm)
		sum := mac(algorithm, []byte(testKey), []byte(testBody))
		right := hex.EncodeToString(sum)
		ok := result{key: "test"}
		tests := map[string]struct {
			reason  string
			headers http.Header
			want    result
		}{
			"Right":     {reason: "the scheme as it is documented", headers: header(right), want: ok},
			"UpperCase": {reason: "some senders use upper case", headers: header(strings.ToUpper(right)), want: ok},
			"MixedCase": {reason: "either case is hexadecimal", headers: header(mixCase(right)), want: ok},
			"Around": {
				reason: "optional white space is no part of a field's value (RFC 9110, section 5.5)", headers: header(" " + right + "\t"), want: ok,
			},
			"ManyAround": {reason: "there may be any amount of it", headers: header("\t  \t " + right + " \t\t "), want: ok},
			"NilHeaders": {reason: "no header at all", want: result{err: signature.ErrHeaderMissing}},
			"Missing": {
				reason:  "another header does not do",
				headers: http.Header{"X-Hub-Signature-256": {right}},
				want:    result{err: signature.ErrHeaderMissing},
			},
			"NoValues":   {reason: "a map can hold a name without values", headers: header(), want: result{err: signature.ErrHeaderMissing}},
			"Empty":      {reason: "nothing in it", headers: header(""), want: result{err: signature.ErrHeaderMissing}},
			"BlanksOnly": {reason: "nothing in it", headers: header(" \t \t"), want: result{err: signature.ErrHeaderMissing}},
			"Twice": {
				reason: "the same thing twice is still not what the scheme says", headers: header(right, right), want: result{err: signature.ErrHeaderRepeated},
			},
			"RightThenWrong": {reason: "which one counts?", headers: header(right, "00"), want: result{err: signature.ErrHeaderRepeated}},
			"WrongThenRight": {reason: "which one counts?", headers: header("", right), want: result{err: signature.ErrHeaderRepeated}},
			"EmptyTwice":     {reason: "there are two, whatever they hold", headers: header("", ""), want: result{err: signature.ErrHeaderRepeated}},
			"List":           {reason: "there are no lists in the scheme", headers: header(right + "," + right), want: result{err: signature.ErrHeaderLength}},
			"Prefix":         {reason: "the scheme has no prefix", headers: header("sha256=" + right), want: result{err: signature.ErrHeaderLength}},
			"HexPrefix":      {reason: "the scheme has no prefix", headers: header("0x" + right), want: result{err: signature.ErrHeaderLength}},
			"PrefixInPlace": {
				reason: "as long as a MAC, but not hexadecimal", headers: header("0x" + right[2:]), want: result{err: signature.ErrHeaderMalformed},
			},
			"Quoted":        {reason: "the value is no quoted string", headers: header(`"` + right + `"`), want: result{err: signature.ErrHeaderLength}},
			"QuotedInPlace": {reason: "quotes are not hexadecimal", headers: header(`"` + right[2:] + `"`), want: result{err: signature.ErrHeaderMalformed}},
			"Base64": {
				reason: "another encoding of the right MAC", headers: header(base64.StdEncoding.EncodeToString(sum)), want: result{err: signature.ErrHeaderLength},
			},
			"RawBase64": {
				reason: "another encoding of the right MAC", headers: header(base64.RawURLEncoding.EncodeToString(sum)), want: result{err: signature.ErrHeaderLength},
			},
			"Base64OfHex": {
				reason:  "another encoding of the right digits",
				headers: header(base64.StdEncoding.EncodeToString([]byte(right))),
				want:    result{err: signature.ErrHeaderLength},
			},
			"Base64OfTheLength": {
				reason:  "as long as the digits, but not hexadecimal",
				headers: header(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("key"), len(right)/4))),
				want:    result{err: signature.ErrHeaderMalformed},
			},
			"RawBytes": {
				reason: "not encoded at all", headers: header(string(bytes.Repeat([]byte{0xfe}, len(sum)))), want: result{err: signature.ErrHeaderLength},
			},
			"FullWidthDigits": {
				reason:  "digits, but not those",
				headers: header(strings.Repeat("０", len(right)/4) + strings.Repeat("0", len(right)-3*(len(right)/4))),
				want:    result{err: signature.ErrHeaderMalformed},
			},
			"Zeros":  {reason: "as long as a MAC", headers: header(strings.Repeat("0", len(right))), want: result{err: signature.ErrMismatch}},
			"Effs":   {reason: "as long as a MAC", headers: header(strings.Repeat("F", len(right))), want: result{err: signature.ErrMismatch}},
			"Folded": {reason: "a line break inside", headers: header(right[:8] + "\r\n " + right[11:]), want: result{err: signature.ErrHeaderMalformed}},
			"InAnotherCase": {
				reason: "a name that is not canonical does not come from an HTTP server", headers: http.Header{"x-hmac-hash": {right}},
				want: result{err: signature.ErrHeaderMissing},
			},
			"BodyHashOnly": {
				reason: "a hash without the key proves nothing",
				headers: header(func() string {
					h := hashes[algorithm].new()
					h.Write([]byte(testBody))
					return hex.EncodeToString(h.Sum(nil))
				}()),
				want: result{err: signature.ErrMismatch},
			},
		}
		for other := range hashes {
			if other != algorithm {
				cause := signature.ErrHeaderLength
				if hashes[other].digits == hashes[algorithm].digits {
					cause = signature.ErrMismatch
				}
				tests["By"+string(other)] = struct {
					reason  string
					headers http.Header
					want    result
				}{
					reason:  "the right MAC of another algorithm",
					headers: header(sign(other, []byte(testKey), []byte(testBody))),
					want:    result{err: cause},
				}
			}
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				if diff := cmp.Diff(tc.want, check(v, tc.headers, []byte(testBody)), compareResults); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			})
		}
	})
}

// TestOtherBlanks puts every other sort of blank around the right signature: only SP and HTAB may
// be there.
func TestOtherBlanks(t *testing.T) {
	blanks := map[string]string{
		"NUL": "\x00", "BS": "\b", "LF": "\n", "VT": "\v", "FF": "\f", "CR": "\r", "CRLF": "\r\n", "US": "\x1f", "DEL": "\x7f",
		"NEL in Latin-1": "\x85", "NBSP in Latin-1": "\xa0", "NEL": "\u0085", "NBSP": "\u00a0", "soft hyphen": "\u00ad", "em space": "\u2003",
		"zero width space": "\u200b", "line separator": "\u2028", "narrow NBSP": "\u202f", "ideographic space": "\u3000", "BOM": "\ufeff",
	}
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v := newVerifier(t, algorithm)
		right := sign(algorithm, []byte(testKey), []byte(testBody))
		for name, blank := range blanks {
			for where, value := range map[string]string{
				"before":               blank + right,
				"behind":               right + blank,
				"around":               blank + right + blank,
				"behind a real blank":  " " + blank + right,
				"before a real blank":  right + blank + "\t",
				"in place of a digit":  blank + right[min(len(blank), len(right)):],
				"in place of the last": right[:len(right)-len(blank)] + blank,
				"alone":                blank,
			} {
				want := signature.ErrHeaderLength
				if len(strings.Trim(value, " \t")) == len(right) {
					want = signature.ErrHeaderMalformed
				}
				if diff := cmp.Diff(result{err: want}, check(v, header(value), []byte(testBody)), compareResults); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", name, where, diff)
				}
			}
		}
	})
}

// TestHeaderLengths tries every prefix and extension of the right signature, and digits of every
// length.
func TestHeaderLengths(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v := newVerifier(t, algorithm)
		right := sign(algorithm, []byte(testKey), []byte(testBody))
		if got, want := len(right), hashes[algorithm].digits; got != want {
			t.Fatalf("%d digits, want %d", got, want)
		}
		tests := map[string]struct {
			reason string
			value  func(length int) string
			want   error // for the right length
		}{
			"FromTheFront": {
				reason: "the right digits, over and over",
				value:  func(length int) string { return strings.Repeat(right, 1+length/len(right))[:length] },
			},
			"FromTheBack": {
				reason: "the right digits at the end",
				value: func(length int) string {
					digits := strings.Repeat(right, 1+length/len(right))
					return digits[len(digits)-length:]
				},
			},
			"ZerosBehind": {
				reason: "the right digits and zeros",
				value:  func(length int) string { return (right + strings.Repeat("0", length))[:length] },
			},
			"ZerosBefore": {
				reason: "zeros and the right digits",
				value: func(length int) string {
					digits := strings.Repeat("0", length) + right
					return digits[len(digits)-length:]
				},
			},
			"ZerosOnly": {
				reason: "nothing right about them",
				value:  func(length int) string { return strings.Repeat("0", length) },
				want:   signature.ErrMismatch,
			},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				for length := range 201 {
					want := result{err: signature.ErrHeaderLength}
					switch length {
					case 0:
						want = result{err: signature.ErrHeaderMissing}
					case len(right):
						if want = (result{key: "test"}); tc.want != nil {
							want = result{err: tc.want}
						}
					}
					if diff := cmp.Diff(want, check(v, header(tc.value(length)), []byte(testBody)), compareResults); diff != "" {
						t.Errorf("%s, %d digits (-want +got):\n%s", tc.reason, length, diff)
					}
				}
			})
		}
		for _, length := range []int{1 << 10, 1 << 16, 1 << 20} {
			value := strings.Repeat(right, length/len(right))
			if diff := cmp.Diff(result{err: signature.ErrHeaderLength}, check(v, header(value), []byte(testBody)), compareResults); diff != "" {
				t.Errorf("%d digits (-want +got):\n%s", length, diff)
			}
		}
	})
}

// TestHeaderBytes puts every byte at every position of the right signature.
func TestHeaderBytes(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v := newVerifier(t, algorithm)
		right := sign(algorithm, []byte(testKey), []byte(testBody))
		for position := range right {
			for c := range 256 {
				value := []byte(right)
				value[position] = byte(c)
				var want result
				switch digit := string(rune(c)); {
				case c < 0x80 && strings.EqualFold(digit, right[position:position+1]):
					want.key = "test"
				case c < 0x80 && strings.Contains("0123456789abcdefABCDEF", digit):
					want.err = signature.ErrMismatch
				case (c == ' ' || c == '\t') && (position == 0 || position == len(right)-1):
					want.err = signature.ErrHeaderLength
				default:
					want.err = signature.ErrHeaderMalformed
				}
				if diff := cmp.Diff(want, check(v, header(string(value)), []byte(testBody)), compareResults); diff != "" {
					t.Errorf("byte %#02x at position %d (-want +got):\n%s", c, position, diff)
				}
			}
		}
	})
}

func TestSchemeHeader(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm, Headers: []string{"X-Signature"}}, signature.Key{Name: "test", Secret: []byte(testKey)})
		if err != nil {
			t.Fatal(err)
		}
		right := sign(algorithm, []byte(testKey), []byte(testBody))
		if diff := cmp.Diff(result{key: "test"}, check(v, http.Header{"X-Signature": {right}}, []byte(testBody)), compareResults); diff != "" {
			t.Errorf("the header that the scheme names (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(result{err: signature.ErrHeaderMissing}, check(v, header(right), []byte(testBody)), compareResults); diff != "" {
			t.Errorf("the default header where the scheme names another (-want +got):\n%s", diff)
		}
		both := http.Header{"X-Signature": {"00"}, signature.DefaultHeader: {right}}
		if diff := cmp.Diff(result{err: signature.ErrHeaderLength}, check(v, both, []byte(testBody)), compareResults); diff != "" {
			t.Errorf("both (-want +got):\n%s", diff)
		}
	})
}

// TestEveryBit flips each bit of body, key and MAC in turn: none may go unnoticed.
func TestEveryBitOfDefaultScheme(t *testing.T) {
	keys := map[string][]byte{
		"short": []byte(testKey),
		"block": bytes.Repeat([]byte("block of 64 bytes, as it is used without hashing"), 2)[:64],
		"long":  bytes.Repeat([]byte("longer than a block, so it is hashed first. "), 3),
	}
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		for name, key := range keys {
			t.Run(name, func(t *testing.T) {
				verifier := func(key []byte) *signature.Verifier {
					v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: name, Secret: key})
					if err != nil {
						t.Fatal(err)
					}
					return v
				}
				v, body := verifier(key), []byte(testBody)
				right := mac(algorithm, key, body)
				headers := header(hex.EncodeToString(right))
				if diff := cmp.Diff(result{key: name}, check(v, headers, body), compareResults); diff != "" {
					t.Fatalf("nothing flipped (-want +got):\n%s", diff)
				}
				mismatch := result{err: signature.ErrMismatch}
				flipEach(body, func(bit int, flipped []byte) {
					if diff := cmp.Diff(mismatch, check(v, headers, flipped), compareResults); diff != "" {
						t.Errorf("bit %d of the body (-want +got):\n%s", bit, diff)
					}
				})
				flipEach(key, func(bit int, flipped []byte) {
					if diff := cmp.Diff(mismatch, check(verifier(flipped), headers, body), compareResults); diff != "" {
						t.Errorf("bit %d of the key (-want +got):\n%s", bit, diff)
					}
				})
				flipEach(right, func(bit int, flipped []byte) {
					if diff := cmp.Diff(mismatch, check(v, header(hex.EncodeToString(flipped)), body), compareResults); diff != "" {
						t.Errorf("bit %d of the MAC (-want +got):\n%s", bit, diff)
					}
				})
				for n := range body {
					if diff := cmp.Diff(mismatch, check(v, headers, body[:n]), compareResults); diff != "" {
						t.Errorf("the first %d bytes of the body (-want +got):\n%s", n, diff)
					}
				}
				if diff := cmp.Diff(mismatch, check(v, headers, append(bytes.Clone(body), '\n')), compareResults); diff != "" {
					t.Errorf("a newline behind the body (-want +got):\n%s", diff)
				}
			})
		}
	})
}

// flipEach calls f with copies of data that differ from it in one bit each.
func flipEach(data []byte, f func(bit int, flipped []byte)) {
	for bit := range 8 * len(data) {
		f(bit, flipped(data, bit))
	}
}

func flipped(data []byte, bit int) []byte {
	flipped := bytes.Clone(data)
	flipped[bit/8] ^= 1 << (bit % 8)
	return flipped
}

func TestSeveralKeys(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		secrets := [][]byte{[]byte("the first key"), []byte("the second key"), []byte("the third key"), []byte("the third key"), []byte("the last key\n")}
		keys := make([]signature.Key, len(secrets))
		for i := range secrets {
			keys[i] = signature.Key{Name: fmt.Sprintf("secret-%d/key", i+1), Secret: secrets[i]}
		}
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, keys...)
		if err != nil {
			t.Fatal(err)
		}
		tests := map[string]struct {
			reason string
			secret string
			want   result
		}{
			"First":      {reason: "the first is tried", secret: "the first key", want: result{key: "secret-1/key"}},
			"Second":     {reason: "the next is tried when one does not match", secret: "the second key", want: result{key: "secret-2/key"}},
			"Twice":      {reason: "of two names of one key the first is given", secret: "the third key", want: result{key: "secret-3/key"}},
			"Last":       {reason: "all are tried", secret: "the last key\n", want: result{key: "secret-5/key"}},
			"Trimmed":    {reason: "keys are used to the byte", secret: "the last key", want: result{err: signature.ErrMismatch}},
			"None":       {reason: "no other key does", secret: "another key", want: result{err: signature.ErrMismatch}},
			"Together":   {reason: "keys are not joined", secret: "the first keythe second key", want: result{err: signature.ErrMismatch}},
			"Name":       {reason: "a key's name is no key", secret: "secret-1/key", want: result{err: signature.ErrMismatch}},
			"WithoutKey": {reason: "the empty key is not among them", secret: "", want: result{err: signature.ErrMismatch}},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				got := check(v, header(sign(algorithm, []byte(tc.secret), []byte(testBody))), []byte(testBody))
				if diff := cmp.Diff(tc.want, got, compareResults); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			})
		}
	})
}

func TestKeysAreCopied(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		secret := []byte(testKey)
		keys := []signature.Key{{Name: "test", Secret: secret}}
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, keys...)
		if err != nil {
			t.Fatal(err)
		}
		clear(secret)
		keys[0] = signature.Key{Name: "other", Secret: []byte("other")}
		// Several goroutines, so that states are made from the key at several times.
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 20 {
					if r := check(v, header(sign(algorithm, []byte(testKey), []byte(testBody))), []byte(testBody)); r.err != nil || r.key != "test" {
						t.Errorf("the key that the verifier was made with: %q, %v", r.key, r.err)
					}
					if r := check(v, header(sign(algorithm, secret, []byte(testBody))), []byte(testBody)); r.err == nil {
						t.Error("what the caller made of the key later is accepted")
					}
				}
			})
		}
		group.Wait()
	})
}

// TestStatesAreReset verifies in orders in which something left in a state would show.
func TestStatesAreReset(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v := newVerifier(t, algorithm)
		for n := range 200 {
			body := bytes.Repeat([]byte{byte(n)}, n*7)
			if n%3 == 0 {
				if r := check(v, header(strings.Repeat("0", hashes[algorithm].digits)), body); r.err == nil {
					t.Fatalf("%d bytes: zeros are accepted", len(body))
				}
			}
			right := header(sign(algorithm, []byte(testKey), body))
			if diff := cmp.Diff(result{key: "test"}, check(v, right, body), compareResults); diff != "" {
				t.Fatalf("%d bytes, after others (-want +got):\n%s", len(body), diff)
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		first, second := []byte("first of two keys"), []byte("second of two keys")
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm},
			signature.Key{Name: "first", Secret: first}, signature.Key{Name: "second", Secret: second})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for i := range 100 {
					body := fmt.Appendf(nil, "body %d of worker %d%s", i, worker, strings.Repeat(".", i))
					right := header(sign(algorithm, first, body))
					want := result{key: "first"}
					if (i+worker)%2 == 1 {
						right, want.key = header(sign(algorithm, second, body)), "second"
					}
					if diff := cmp.Diff(want, check(v, right, body), compareResults); diff != "" {
						t.Errorf("worker %d, body %d (-want +got):\n%s", worker, i, diff)
					}
					if diff := cmp.Diff(result{err: signature.ErrMismatch}, check(v, right, append(body, '.')), compareResults); diff != "" {
						t.Errorf("worker %d, body %d with a dot more (-want +got):\n%s", worker, i, diff)
					}
				}
			})
		}
		group.Wait()
	})
}

func TestBodyIsNotChanged(t *testing.T) {
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		// Room behind the body would take what is appended to it.
		body := append(make([]byte, 0, 4096), testBody...)
		if r := check(newVerifier(t, algorithm), header(sign(algorithm, []byte(testKey), body)), body); r.err != nil {
			t.Fatal(r.err)
		}
		want := append([]byte(testBody), make([]byte, cap(body)-len(testBody))...)
		if diff := cmp.Diff(want, body[:cap(body)]); diff != "" {
			t.Errorf("the body and the room behind it (-want +got):\n%s", diff)
		}
	})
}

func TestAllocationsOfDefaultScheme(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops states at random, and new ones are allocated")
	}
	forEachAlgorithm(t, func(t *testing.T, algorithm signature.Algorithm) {
		v, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm},
			signature.Key{Name: "old", Secret: []byte("the key before")}, signature.Key{Name: "test", Secret: []byte(testKey)})
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.Repeat([]byte(testBody), 20)
		tests := map[string]struct {
			reason  string
			headers http.Header
			want    error
		}{
			"Accepted": {reason: "the usual request", headers: header(sign(algorithm, []byte(testKey), body))},
			"UpperCaseAndBlanks": {
				reason: "the usual request of some senders", headers: header(" " + strings.ToUpper(sign(algorithm, []byte(testKey), body)) + " "),
			},
			"Mismatch": {
				reason: "a flood of these must be cheap", headers: header(sign(algorithm, []byte("another"), body)), want: signature.ErrMismatch,
			},
			"Malformed": {
				reason: "a flood of these must be cheap", headers: header(strings.Repeat("x", hashes[algorithm].digits)), want: signature.ErrHeaderMalformed,
			},
			"Missing": {reason: "a flood of these must be cheap", headers: http.Header{}, want: signature.ErrHeaderMissing},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				var got error
				allocations := testing.AllocsPerRun(200, func() { _, got = verifyRequest(v, tc.headers, body) })
				if !errors.Is(got, tc.want) {
					t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
				}
				if most := map[bool]float64{true: 0, false: 1}[tc.want == nil]; allocations > most { // the Cause, as an error
					t.Errorf("%s: %v allocations, want at most %v", tc.reason, allocations, most)
				}
			})
		}
	})
}
