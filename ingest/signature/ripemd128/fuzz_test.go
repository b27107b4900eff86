/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ripemd128_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// The reference is the specification word for word, in a loop over its tables
// (https://homes.esat.kuleuven.be/~bosselae/ripemd/rmd128.txt). It shares no
// code with the package and has its own copy of the tables.

var (
	referenceInit = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

	referenceK      = [4]uint32{0x00000000, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc}
	referenceKPrime = [4]uint32{0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x00000000}

	referenceR = [64]int{
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8,
		3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12,
		1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2,
	}
	referenceRPrime = [64]int{
		5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12,
		6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2,
		15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13,
		8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14,
	}
	referenceS = [64]uint{
		11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8,
		7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12,
		11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5,
		11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12,
	}
	referenceSPrime = [64]uint{
		8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6,
		9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11,
		9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5,
		15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8,
	}
)

func referenceF(j int, x, y, z uint32) uint32 {
	switch {
	case j <= 15:
		return x ^ y ^ z
	case j <= 31:
		return (x & y) | (^x & z)
	case j <= 47:
		return (x | ^y) ^ z
	default:
		return (x & z) | (y & ^z)
	}
}

func referenceRol(x uint32, n uint) uint32 { return x<<n | x>>(32-n) }

func referenceCompress(h *[4]uint32, block []byte) {
	var x [16]uint32
	for i := range x {
		for j := range 4 {
			x[i] |= uint32(block[4*i+j]) << (8 * j)
		}
	}
	a, b, c, d := h[0], h[1], h[2], h[3]
	aPrime, bPrime, cPrime, dPrime := h[0], h[1], h[2], h[3]
	for j := range 64 {
		t := referenceRol(a+referenceF(j, b, c, d)+x[referenceR[j]]+referenceK[j/16], referenceS[j])
		a, d, c, b = d, c, b, t
		t = referenceRol(aPrime+referenceF(63-j, bPrime, cPrime, dPrime)+x[referenceRPrime[j]]+referenceKPrime[j/16],
			referenceSPrime[j])
		aPrime, dPrime, cPrime, bPrime = dPrime, cPrime, bPrime, t
	}
	t := h[1] + c + dPrime
	h[1] = h[2] + d + aPrime
	h[2] = h[3] + a + bPrime
	h[3] = h[0] + b + cPrime
	h[0] = t
}

// referenceFinish hashes tail, which ends a message of length bytes whose
// earlier blocks gave h.
func referenceFinish(h [4]uint32, tail []byte, length uint64) [ripemd128.Size]byte {
	padded := append(bytes.Clone(tail), 0x80)
	for len(padded)%64 != 56 {
		padded = append(padded, 0)
	}
	padded = binary.LittleEndian.AppendUint64(padded, 8*length)
	for ; len(padded) > 0; padded = padded[64:] {
		referenceCompress(&h, padded)
	}
	var sum [ripemd128.Size]byte
	for i, word := range h {
		binary.LittleEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

func reference(data []byte) [ripemd128.Size]byte {
	return referenceFinish(referenceInit, data, uint64(len(data)))
}

func FuzzAgainstReference(f *testing.F) {
	for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 191, 192, 193, 500} {
		f.Add(counting(n), uint8(0))
		f.Add(bytes.Repeat([]byte{0xff}, n), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, repeat uint8) {
		const limit = 10*ripemd128.BlockSize + 1
		// Short inputs are what a fuzzer tries first: the repetition makes
		// several blocks of them.
		data = bytes.Repeat(data[:min(len(data), limit)], 1+int(repeat%8))
		data = data[:min(len(data), limit)]
		if diff := cmp.Diff(reference(data), ripemd128.Sum(data)); diff != "" {
			t.Errorf("%d bytes %x (-want +got):\n%s", len(data), data, diff)
		}
	})
}

// FuzzSplitWrites writes data in pieces, whose lengths are the bytes of cuts
// in turn, and checks the sum after each piece.
func FuzzSplitWrites(f *testing.F) {
	for _, cuts := range [][]byte{
		nil,
		{0},
		{1},
		{0, 64},
		{63, 1},
		{63, 2},
		{64},
		{65},
		{1, 127, 1},
		{55, 1, 8, 64, 128},
		{7, 200, 3},
		{255, 255},
	} {
		f.Add(counting(400), cuts)
	}
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		data = data[:min(len(data), 8*ripemd128.BlockSize)]
		h := ripemd128.New()
		written := 0
		write := func(n int) {
			n = min(n, len(data)-written)
			got, err := h.Write(data[written : written+n])
			if got != n || err != nil {
				t.Fatalf("Write of %d bytes: %d, %v", n, got, err)
			}
			written += n
			want := ripemd128.Sum(data[:written])
			if diff := cmp.Diff(want[:], h.Sum(nil)); diff != "" {
				t.Fatalf("%d bytes %x in pieces of %d (-want +got):\n%s", written, data[:written], cuts, diff)
			}
		}
		for _, cut := range cuts[:min(len(cuts), 16)] {
			write(int(cut))
		}
		write(len(data))
	})
}
