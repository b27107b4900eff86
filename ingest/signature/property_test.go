/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// randomScheme returns a valid scheme of nearly any shape.
func randomScheme(r *rand.Rand) signature.Scheme {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	s := signature.Scheme{
		Encoding: signature.Encoding(pick("", "Hex", "Base64", "Base64URL")),
		Secret: signature.Secret{
			StripPrefix: pick(append(signature.SecretPrefixes(), "")...),
			Encoding:    signature.SecretEncoding(pick("", "Raw", "Hex", "Base64")),
		},
	}
	for s.Algorithm == "" || s.Algorithm == signature.Token {
		s.Algorithm = signature.Algorithms()[r.IntN(len(signature.Algorithms()))]
	}
	if r.IntN(2) == 0 {
		s.Headers = []string{"x-other-signature", "X-SIGNATURE-"}
		s.NumberedHeaders = r.IntN(2) == 0
	}
	if r.IntN(2) == 0 {
		s.ItemSeparator = pick(",", ";", " ", "", " | ")
		s.FieldSeparator = pick("=", ":", "::")
		s.SignatureFields = []string{"v1", "h1"}[:1+r.IntN(2)]
	} else {
		s.Prefix = pick("", "sha256=", "v0=", "HMAC ")
	}
	if r.IntN(3) > 0 {
		parts := []string{"{body}"}
		if r.IntN(2) == 0 {
			parts = append(parts, "{timestamp}")
			s.Timestamp.Unit = signature.Unit(pick("", "Seconds", "Milliseconds", "RFC3339"))
			s.Timestamp.Tolerance = time.Duration(r.IntN(301)) * time.Second
			if s.ItemSeparator != "" && s.FieldSeparator != "" && r.IntN(2) == 0 {
				s.Timestamp.Field = "t"
			} else {
				s.Timestamp.Headers = []string{"X-Absent", "x-timestamp"}
			}
		}
		if r.IntN(2) == 0 {
			parts = append(parts, "|{id}|")
			s.DeliveryID.Headers = []string{"x-id"}
		}
		if r.IntN(2) == 0 {
			parts = append(parts, "{method}")
		}
		if r.IntN(2) == 0 {
			parts = append(parts, "{url}")
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		s.Template = pick("", "v0:", "{{x}}") + strings.Join(parts, pick("", ".", ":", "\n"))
	}
	if len(s.DeliveryID.Headers) == 0 && r.IntN(3) == 0 {
		s.DeliveryID.Signature = true
	}
	return s
}

// flip returns the text with one bit changed.
func flip(r *rand.Rand, text []byte) []byte {
	flipped := append([]byte(nil), text...)
	flipped[r.IntN(len(flipped))] ^= 1 << r.IntN(8)
	return flipped
}

func TestAnySchemeSignsAndVerifies(t *testing.T) {
	const seed = 20260101
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // Repeatable chance is wanted.
		scheme := randomScheme(r)
		if err := scheme.Validate(); err != nil {
			t.Fatalf("round %d: %+v: %v", round, scheme, err)
		}
		s := newSigner(scheme, []byte{byte(round), byte(round >> 8)})
		v := s.verifier(t)
		body := make([]byte, 1+r.IntN(200))
		for i := range body {
			body[i] = byte(r.Uint32())
		}
		if strings.Contains(scheme.Template, "{id}") || strings.Contains(scheme.Template, "{url}") { // beside them only what neither has is sure to be told from them
			body[0], body[len(body)-1] = '{', '}'
		}
		mac := s.mac(s.content(body))
		good := s.request(mac)

		check := func(what string, request signature.Request, body []byte, now time.Time, accept bool) signature.Result {
			t.Helper()
			result, err := verifyBothWays(t, v, request, body, now)
			if (err == nil) != accept {
				t.Fatalf("round %d: %s: accepted is %v, want %v (%v)\n%+v\n%q", round, what, err == nil, accept, err, scheme, request.Headers)
			}
			return result
		}
		result := check("as signed", good, body, s.now, true)
		want := signature.Result{Key: "key"}
		switch {
		case len(scheme.DeliveryID.Headers) > 0:
			want.DeliveryID, want.Signed = s.id, true
		case scheme.DeliveryID.Signature:
			want.DeliveryID, want.Signed = fmt.Sprintf("sha256:%x", sha256.Sum256(s.content(body))), true
		}
		if diff := cmp.Diff(want, result); diff != "" {
			t.Fatalf("round %d: result (-want +got):\n%s", round, diff)
		}

		check("a bit of the body", good, flip(r, body), s.now, false)
		check("no body", good, nil, s.now, false)
		check("a longer body", good, append(append([]byte(nil), body...), 0), s.now, false)
		check("a bit of the signature", s.request(flip(r, mac)), body, s.now, false)
		check("a prefix of the signature", s.request(mac[:r.IntN(len(mac))]), body, s.now, false)
		check("an extended signature", s.request(append(append([]byte(nil), mac...), 0)), body, s.now, false)

		if scheme.Algorithm != signature.Ed25519 {
			other := s
			other.key = flip(r, s.key)
			check("a bit of the key", s.request(other.mac(s.content(body))), body, s.now, false)
		}
		if strings.Contains(scheme.Template, "{id}") {
			other := s
			other.id = "msg_0"
			check("another id", other.request(mac), body, s.now, false)
			other.id = ""
			check("no id", other.request(mac), body, s.now, false)
		}
		if strings.Contains(scheme.Template, "{method}") {
			other := good
			other.Method = http.MethodPut
			check("another method", other, body, s.now, false)
		}
		if strings.Contains(scheme.Template, "{url}") {
			other := good
			other.URL += "x"
			check("another URL", other, body, s.now, false)
		}
		if strings.Contains(scheme.Template, "{timestamp}") {
			other := s
			other.now = s.now.Add(time.Second)
			check("another timestamp", other.request(mac), body, s.now, false)
			signed := s.now
			if scheme.Timestamp.Unit != signature.Milliseconds {
				signed = signed.Truncate(time.Second)
			}
			if tolerance := scheme.Timestamp.Tolerance; tolerance > 0 {
				check("at the tolerance", good, body, signed.Add(tolerance), true)
				check("behind the tolerance", good, body, signed.Add(tolerance+1), false)
				check("ahead at the tolerance", good, body, signed.Add(-tolerance), true)
				check("ahead of the tolerance", good, body, signed.Add(-tolerance-1), false)
			} else {
				check("without a tolerance", good, body, signed.Add(1000*time.Hour), true)
			}
		}
		for name := range maps.Clone(good.Headers) {
			headers := http.Header(good.Headers).Clone()
			delete(headers, name)
			check("without "+name, signature.Request{Method: good.Method, URL: good.URL, Query: good.Query, Headers: headers}, body, s.now, false)
			headers = http.Header(good.Headers).Clone()
			headers[name] = append(headers[name], headers[name][0])
			check("twice "+name, signature.Request{Method: good.Method, URL: good.URL, Query: good.Query, Headers: headers}, body, s.now, false)
		}
	}
}

// TestEveryBit flips each bit there is, for one scheme.
func TestEveryBit(t *testing.T) {
	preset, _ := signature.PresetByName("StandardWebhooks")
	s := newSigner(preset.Scheme, []byte("seed"))
	v := s.verifier(t)
	body := []byte(`{"type":"order.created"}`)
	mac := s.mac(s.content(body))
	for i := range 8 * len(body) {
		changed := append([]byte(nil), body...)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := v.Verify(s.request(mac), changed, s.now); err != signature.ErrMismatch { //nolint:errorlint // It is returned as it is.
			t.Errorf("bit %d of the body: %v", i, err)
		}
	}
	for i := range 8 * len(mac) {
		changed := append([]byte(nil), mac...)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := v.Verify(s.request(changed), body, s.now); err != signature.ErrMismatch { //nolint:errorlint // It is returned as it is.
			t.Errorf("bit %d of the signature: %v", i, err)
		}
	}
	// Of the header's text, some changed bits still stand for a list with the good signature in it,
	// but never for another.
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp"} {
		for i := range 8 * len(s.request(mac).Headers[name][0]) {
			request := s.request(mac)
			text := []byte(request.Headers[name][0])
			text[i/8] ^= 1 << (i % 8)
			request.Headers[name] = []string{string(text)}
			if _, err := v.Verify(request, body, s.now); err == nil && strings.Trim(string(text), " \t") != s.request(mac).Headers[name][0] {
				t.Errorf("bit %d of %s is accepted", i, name)
			}
		}
	}
}
