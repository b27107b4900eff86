/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package signature tells whether a request was signed with a key.
//
// A Scheme is data: which algorithm, which header. A Verifier is a scheme with its keys, made once and used for every
// request. Checking has two steps, because the first needs no body: Parse reads the signature from the headers, and
// Verify compares it with the HMAC (RFC 2104) of the body as it was received.
//
// What the package holds to: every comparison is hmac.Equal over decoded bytes of full length; nothing of the body is
// parsed; no key without content makes a Verifier; and no error says more than its Cause, which holds nothing of the
// request or of a key. The package knows nothing of Kubernetes, and of HTTP no more than that headers have names and
// values.
package signature
