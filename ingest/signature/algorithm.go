/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/sha256"
	"hash"

	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// Algorithm names the hash function of an HMAC, as the API does.
type Algorithm string

// The algorithms.
const (
	SHA256    Algorithm = "SHA-256"    // FIPS 180-4
	RIPEMD128 Algorithm = "RIPEMD-128" // Dobbertin, Bosselaers, Preneel 1996; HMAC as in RFC 2286
)

// algorithms has a line for each algorithm. A new one needs this line, its constant above and its name in the API.
var algorithms = map[Algorithm]struct {
	new  func() hash.Hash
	size int // of the MAC in bytes, at most maxMACSize
}{
	SHA256:    {new: sha256.New, size: sha256.Size},
	RIPEMD128: {new: ripemd128.New, size: ripemd128.Size},
}

// maxMACSize is the size in bytes of the longest MAC that any algorithm makes.
const maxMACSize = 64

// Supported says whether the algorithm is known.
func (a Algorithm) Supported() bool {
	_, ok := algorithms[a]
	return ok
}
