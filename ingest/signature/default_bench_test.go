/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/hmac"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// BenchmarkDefaultScheme sets what a request pays, Parse and VerifyParsed with one key, beside
// crypto/hmac: with a state that is there already and nothing to parse or compare (Bare), and with
// a state of its own for each request (New). They run one after the other, so that one run gives
// the ratios.
func BenchmarkDefaultScheme(b *testing.B) {
	for _, algorithm := range []signature.Algorithm{signature.SHA256, signature.RIPEMD128} {
		for _, size := range []struct {
			name  string
			bytes int
		}{
			{"64B", 64},
			{"1KiB", 1 << 10},
			{"64KiB", 64 << 10},
			{"1MiB", 1 << 20},
		} {
			body := make([]byte, size.bytes)
			for i := range body {
				body[i] = byte(i)
			}
			run := func(name string, run func(b *testing.B)) {
				b.Run(string(algorithm)+"/"+size.name+"/"+name, func(b *testing.B) {
					b.SetBytes(int64(len(body)))
					b.ReportAllocs()
					run(b)
				})
			}
			run("Verify", func(b *testing.B) {
				v, now := newVerifier(b, algorithm), time.Unix(0, 0)
				headers := header(sign(algorithm, []byte(testKey), body))
				for b.Loop() {
					parsed, err := v.Parse(headers, now)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := v.VerifyParsed(signature.Request{Headers: headers}, &parsed, body, now); err != nil {
						b.Fatal(err)
					}
				}
			})
			run("Bare", func(b *testing.B) {
				h := hmac.New(hashes[algorithm].new, []byte(testKey))
				sum := make([]byte, 0, h.Size())
				for b.Loop() {
					h.Reset()
					h.Write(body)
					sum = h.Sum(sum[:0])
				}
			})
			run("New", func(b *testing.B) {
				for b.Loop() {
					mac(algorithm, []byte(testKey), body)
				}
			})
		}
	}
}
