/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// stripeLike is Stripe's scheme without its delivery id, which is found by reading the body.
func stripeLike(t testing.TB) signature.Scheme {
	t.Helper()
	preset, ok := signature.PresetByName("Stripe")
	if !ok {
		t.Fatal("no preset Stripe")
	}
	preset.Scheme.DeliveryID = signature.DeliveryID{}
	return preset.Scheme
}

func measured(t testing.TB) map[string]signature.Scheme {
	t.Helper()
	standard, _ := signature.PresetByName("StandardWebhooks")
	stripe, _ := signature.PresetByName("Stripe")
	gitHub, _ := signature.PresetByName("GitHub")
	return map[string]signature.Scheme{
		"default":          {Algorithm: signature.SHA256},
		"StripeLike":       stripeLike(t),
		"StandardWebhooks": standard.Scheme,
		"GitHub":           gitHub.Scheme,
		"StripeWithID":     stripe.Scheme,
	}
}

// body returns JSON of about that length, with an id.
func bodyOf(size int) []byte {
	const rest = `{"id":"evt_1PQJabcDEF","object":"event","data":""}`
	return []byte(strings.Replace(rest, `""`, `"`+strings.Repeat("x", size-len(rest))+`"`, 1))
}

func BenchmarkVerify(b *testing.B) {
	for name, scheme := range measured(b) {
		for size, length := range map[string]int{"1K": 1 << 10, "64K": 64 << 10} {
			b.Run(name+"/"+size, func(b *testing.B) {
				s := newSigner(scheme, []byte("seed"))
				v, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: s.stored})
				if err != nil {
					b.Fatal(err)
				}
				body := bodyOf(length)
				request := s.request(s.mac(s.content(body)))
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(request, body, s.now); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkBareHMAC is what nothing can be faster than.
func BenchmarkBareHMAC(b *testing.B) {
	for size, length := range map[string]int{"1K": 1 << 10, "64K": 64 << 10} {
		b.Run(size, func(b *testing.B) {
			h := hmac.New(sha256.New, []byte("a key of the length that senders use"))
			body := bodyOf(length)
			sum := make([]byte, 0, sha256.Size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				h.Reset()
				h.Write(body)
				sum = h.Sum(sum[:0])
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, scheme := range measured(b) {
		b.Run(name, func(b *testing.B) {
			s := newSigner(scheme, []byte("seed"))
			v := s.verifier(b)
			request := s.request(s.mac(s.content(nil)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Parse(request.Headers, s.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	want := map[string]float64{"default": 0, "StripeLike": 0, "StandardWebhooks": 0, "GitHub": 0, "StripeWithID": 1}
	for name, scheme := range measured(t) {
		s := newSigner(scheme, []byte("seed"))
		v := s.verifier(t)
		body := bodyOf(1 << 10)
		request := s.request(s.mac(s.content(body)))
		got := testing.AllocsPerRun(200, func() {
			parsed, err := v.Parse(request.Headers, s.now)
			if err != nil {
				t.Error(err)
			}
			if _, err := v.VerifyParsed(request, &parsed, body, s.now.Add(time.Second)); err != nil {
				t.Error(err)
			}
		})
		if got > want[name] {
			t.Errorf("%s: %v allocations a request, want at most %v", name, got, want[name])
		}
	}
}
