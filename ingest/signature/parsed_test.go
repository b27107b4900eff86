/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestVerifyParsedByAnother lets a verifier have what another one has parsed, as when a route is changed while a body is
// read. It says what it would say without.
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

// TestVerifyParsedLater has the body take its time: the timestamp must be fresh both when the headers have come and when
// all has.
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
