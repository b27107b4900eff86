/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package ingest is the webhook server: it answers a signed request with 202 once, and only once, its FlowRun is stored.
//
// The order in which a request is looked at is fixed: route, method, can it serve, declared size, capacity, signature
// header, body (bounded), signature, create, answer. A token, of a scheme or of a handshake, is not looked at if too many wrong ones came from its
// address. Nothing of the body is parsed. Up to the create a request costs no call
// to anything outside the process, so that no one without a key can make the API server work.
//
// The promise to senders is that a 2xx means that the FlowRun is stored, and that every verified request that is not
// stored gets an answer that makes its sender retry, or 422 where retrying cannot help. A create is therefore cut
// short by neither a sender that hangs up nor a shutdown, is repeated under the same name when its outcome is unclear, and is given up at
// the accept deadline.
//
// No payload, signature, key or header value goes to logs, metrics or answers.
package ingest
