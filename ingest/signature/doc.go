/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package signature tells whether a request was signed with a key.
//
// A Scheme is data: which algorithm, which headers, how they are written, what is signed, when, and
// what tells one delivery from another. A Preset is a Scheme with the name of a provider;
// presets.go is the table of them. What fields cannot say is a Special: a function that finds what
// is signed, a file each.
//
// A Verifier is a scheme with its keys, made once and used for every request. Checking has two
// steps: Parse needs the headers alone and refuses what cannot be good before a body is read;
// VerifyParsed takes the whole request, and what Parse has found in it. Verify is both.
// Result.Challenge answers the handshakes that are a signed POST. Those that are a GET are found by
// Asked and answered by Reply, which is where their token is looked at. Explain looks for the
// reason of a refusal, for the owner of the key.
//
// A Signer is the other half: it makes the requests that a Verifier takes, for every scheme whose
// key signs, and SignHandshake those of the handshakes. What is signed is found by the code that
// verifies; and what no Verifier would take, because something is missing, or the same signature
// could be that of another request, is not signed. It does not verify what it has made, but sees
// that the headers are read as it has written them. Ed25519 is verified with a public key, so that
// a Signer of it needs another constructor, which takes a private one; everything from there on is
// the same.
//
// What the package holds to: every comparison of signatures is hmac.Equal, or ed25519.Verify, over
// decoded bytes of full length; no key without content makes a Verifier; nothing of a body is
// interpreted before its signature is found good, but in the special schemes that have something of
// it signed, and there within bounds; what cannot be read counts as not there; and no error or hint
// holds anything of a key, and no Cause anything of the request.
//
// The clock is an argument. The package knows nothing of Kubernetes, and of HTTP no more than that
// requests have a method, a URL and headers with names and values.
package signature
