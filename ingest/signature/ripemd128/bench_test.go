/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ripemd128_test

import (
	"crypto/hmac"
	"hash"
	"testing"

	"golang.org/x/crypto/ripemd160" //nolint:staticcheck,gosec // Deprecated for use; here it is the yardstick for speed.

	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

func benchmarkSizes(b *testing.B, h hash.Hash) {
	for _, size := range []struct {
		name  string
		bytes int
	}{
		{"64", 64},
		{"1K", 1 << 10},
		{"8K", 8 << 10},
		{"1M", 1 << 20},
	} {
		b.Run(size.name, func(b *testing.B) {
			data := make([]byte, size.bytes)
			sum := make([]byte, 0, h.Size())
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				h.Reset()
				h.Write(data)
				sum = h.Sum(sum[:0])
			}
		})
	}
}

func BenchmarkRIPEMD128(b *testing.B) { benchmarkSizes(b, ripemd128.New()) }

func BenchmarkRIPEMD160XCrypto(b *testing.B) {
	benchmarkSizes(b, ripemd160.New()) //nolint:gosec // A yardstick for speed, nothing is protected by it.
}

func BenchmarkHMAC(b *testing.B) {
	b.Run("1K", func(b *testing.B) {
		data := make([]byte, 1<<10)
		sum := make([]byte, 0, ripemd128.Size)
		mac := hmac.New(ripemd128.New, []byte("a key of the length that senders use"))
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			mac.Reset()
			mac.Write(data)
			sum = mac.Sum(sum[:0])
		}
	})
}
