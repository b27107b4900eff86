/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package ripemd128 implements the RIPEMD-128 hash algorithm of Dobbertin,
// Bosselaers and Preneel (1996).
//
// It is here because senders of webhooks sign with HMAC-RIPEMD128 and neither
// the standard library, nor golang.org/x/crypto, nor any other maintained Go
// library has the hash. It is meant for verifying those signatures:
//
//	mac := hmac.New(ripemd128.New, key)
//	mac.Write(body)
//	ok := hmac.Equal(mac.Sum(nil), signature)
//
// # Security
//
// Do not use the bare hash for anything new. A digest of 128 bits has
// collisions for about 2^64 work by the birthday bound alone, which is no
// collision resistance by today's standards, and the compression function has
// been attacked below that bound (Landelle and Peyrin). Content addresses,
// signatures of documents and deduplication of data that others choose rest
// on collision resistance.
//
// HMAC does not: it is a pseudorandom function if the compression function is
// one (Bellare), and the attacks above are not on that property. Where the
// sender offers the choice, HMAC-SHA256 is still the better one.
//
// RIPEMD-128 is not a FIPS 140 algorithm: with GODEBUG=fips140=only,
// [crypto/hmac.New] panics when it is given this hash.
//
// # References
//
//   - H. Dobbertin, A. Bosselaers, B. Preneel: RIPEMD-160, a strengthened
//     version of RIPEMD. Fast Software Encryption 1996, LNCS 1039. It defines
//     RIPEMD-128 too. Pseudo-code and test values:
//     https://homes.esat.kuleuven.be/~bosselae/ripemd/rmd128.txt and
//     https://homes.esat.kuleuven.be/~bosselae/ripemd160.html
//   - ISO/IEC 10118-3, dedicated hash-function 2.
//   - J. Kapp: Test Cases for HMAC-RIPEMD160 and HMAC-RIPEMD128. RFC 2286.
//   - F. Landelle, T. Peyrin: Cryptanalysis of Full RIPEMD-128. Eurocrypt
//     2013, https://eprint.iacr.org/2013/607
//   - M. Bellare: New Proofs for NMAC and HMAC: Security without
//     Collision-Resistance. Crypto 2006, https://eprint.iacr.org/2006/043
package ripemd128
