/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package ingest is the webhook server: it answers a signed request with 202 once, and only once,
// its delivery is durable.
//
// A request goes through stages, in this order: route, admit, read, verify, limit, accept; each can
// end it with an answer, which is written at the end (exchange.go). By the checks that they make:
// route, method or handshake, can it serve, declared size, signature header, guesses of tokens,
// capacity, body (bounded), signature, rate, store. Up to the last one a request costs no call to
// anything outside the process, so that no one without a key can make the store work. Of a body
// nothing is parsed before its signature was found good, but in the special schemes that have
// something of it signed.
//
// The promise to senders is that a 2xx means that the delivery is durable, and that every verified
// request that is not gets an answer that makes its sender send it again, or 422 where that cannot
// help. Storing is therefore cut short by neither a sender that hangs up nor a shutdown, and is
// given up at the accept deadline.
//
// How a delivery becomes durable is the business of a delivery.Sink. What the end of an attempt
// means for overload control, and for the sender, is said in one place each: signalOf and answerOf.
// Why a request is answered 503 before that is in unavailable (the trigger cannot serve) and shed
// (there is no room).
//
// No payload, signature, key or header value goes to logs, metrics or answers.
package ingest
