/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/ed25519"
	"crypto/sha1" //nolint:gosec // What Twilio, Intercom, Vercel and others sign with; HMAC-SHA-1 is not broken by SHA-1's collisions.
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/ripemd160" //nolint:staticcheck,gosec // There are senders that have nothing else; see sha1.

	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// Algorithm names how a signature is made, as the API does. For all but Ed25519 and Token it is
// HMAC (RFC 2104) with the hash function of that name.
type Algorithm string

// The algorithms.
const (
	SHA1      Algorithm = "SHA-1"      // FIPS 180-4; for senders that offer nothing better
	SHA256    Algorithm = "SHA-256"    // FIPS 180-4
	SHA384    Algorithm = "SHA-384"    // FIPS 180-4
	SHA512    Algorithm = "SHA-512"    // FIPS 180-4
	SHA3256   Algorithm = "SHA3-256"   // FIPS 202
	SHA3512   Algorithm = "SHA3-512"   // FIPS 202
	RIPEMD128 Algorithm = "RIPEMD-128" // Dobbertin, Bosselaers, Preneel 1996; HMAC as in RFC 2286
	RIPEMD160 Algorithm = "RIPEMD-160" // the same

	// Ed25519 is RFC 8032: the sender signs with a private key, and the key here is the public one.
	Ed25519 Algorithm = "Ed25519"
	// Token is no signature: the sender shows the secret itself. Whoever sees one request can send
	// any other, and a body that was changed on the way goes unnoticed.
	Token Algorithm = "Token"
)

type kind int

const (
	kindHMAC kind = iota
	kindEd25519
	kindToken
)

type algorithm struct {
	name Algorithm
	kind kind
	new  func() hash.Hash // of an HMAC
	size int              // of a signature in bytes, at most maxSize; 0 for Token
}

// algorithms has a line for each algorithm. A new one needs this line, its constant above and its
// name in the API.
var algorithms = []algorithm{
	{name: SHA256, new: sha256.New, size: sha256.Size},
	{name: SHA1, new: sha1.New, size: sha1.Size},
	{name: SHA384, new: sha512.New384, size: sha512.Size384},
	{name: SHA512, new: sha512.New, size: sha512.Size},
	{name: SHA3256, new: func() hash.Hash { return sha3.New256() }, size: 32},
	{name: SHA3512, new: func() hash.Hash { return sha3.New512() }, size: 64},
	{name: RIPEMD128, new: ripemd128.New, size: ripemd128.Size},
	{name: RIPEMD160, new: ripemd160.New, size: ripemd160.Size},
	{name: Ed25519, kind: kindEd25519, size: ed25519.SignatureSize},
	{name: Token, kind: kindToken},
}

// maxSize is the size in bytes of the longest signature that any algorithm makes.
const maxSize = 64

// Algorithms returns every Algorithm.
func Algorithms() []Algorithm {
	names := make([]Algorithm, len(algorithms))
	for i := range algorithms {
		names[i] = algorithms[i].name
	}
	return names
}

// Supported says whether the algorithm is known.
func (a Algorithm) Supported() bool {
	_, ok := a.lookup()
	return ok
}

func (a Algorithm) lookup() (algorithm, bool) {
	for i := range algorithms {
		if algorithms[i].name == a {
			return algorithms[i], true
		}
	}
	return algorithm{}, false
}
