/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/hex"
)

// lowOrderPoints are the points of the curve whose order divides 8, in every encoding that
// crypto/ed25519 reads, but for the highest bit, which is the sign of the other coordinate. A
// signature by one of them can be made of nothing (RFC 8032, section 5.1.7, does not ask for a
// point of the right order): S = 0 and R = the neutral element fit one message in 8 at least. There
// are eight such points, and p ≤ y < 2^255 is one more way to write those of the smallest y.
var lowOrderPoints = decodePoints(
	"0000000000000000000000000000000000000000000000000000000000000000", // y = 0, of order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // y = 1, the neutral element
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // of order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // of order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p - 1, of order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p, which is 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 1, which is 1
)

func decodePoints(texts ...string) [][ed25519.PublicKeySize]byte {
	points := make([][ed25519.PublicKeySize]byte, len(texts))
	for i, text := range texts {
		_, _ = hex.Decode(points[i][:], []byte(text))
	}
	return points
}

// lowOrder says whether a public key is one that anybody can sign for.
func lowOrder(public [ed25519.PublicKeySize]byte) bool {
	public[len(public)-1] &= 0x7f
	found := false
	for _, point := range lowOrderPoints {
		found = hmac.Equal(point[:], public[:]) || found
	}
	return found
}
