/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"errors"
	"time"

	"github.com/sluice-dev/sluice/ingest/diagnosis"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// unauthorized is the answer to a request whose signature is not good. body is nil if it was not
// read.
func (x *exchange) unauthorized(body []byte, err error) answer {
	x.denied(body, err, unauthorized.result)
	if x.target.Response.EmptyUnauthorized {
		return emptyUnauthorized
	}
	return unauthorized
}

// denied takes note of a request that is not genuine, and has the reason looked into.
func (x *exchange) denied(body []byte, err error, result string) {
	cause, _ := errors.AsType[signature.Cause](err)
	x.span.cause(string(cause))
	x.metrics.signatureFailures[cause].Inc()
	if !x.diagnoser.Offer(diagnosis.Denial{
		Target: x.target, Request: signedRequest(x.r, x.target), Body: body, Cause: cause, Result: result,
	}) {
		x.logRefusal(x.target, result, "cause", string(cause))
	}
}

// reply answers a GET that is a handshake, unless it does not show the right token.
func (x *exchange) reply(question signature.Question) answer {
	client := x.connections.ClientAddress(x.r)
	wait := x.guesses.wait(x.target.UID, client, x.now())
	if wait > 0 && x.target.Verifier.VerifyTokenGuessable() {
		return x.shed(overload.Guesses, wait)
	}
	reply, err := x.target.Verifier.Reply(question)
	if err == nil {
		return x.handshake(&reply)
	}
	x.guesses.wrong(x.target.UID, client, x.now())
	if wait > 0 {
		return x.shed(overload.Guesses, wait)
	}
	x.denied(nil, err, forbidden.result)
	return forbidden
}

// handshake is the answer to a handshake.
func (x *exchange) handshake(reply *signature.Answer) answer {
	x.metrics.handshakes[reply.Handshake].Inc()
	if log := x.log.V(1); log.Enabled() {
		log.Info("Answered a handshake", "trigger", x.target.Ref(), "handshake", reply.Handshake)
	}
	return newReply(resultChallenge, reply.Status, reply.ContentType, reply.Body)
}

// guessesWait returns for how long no more wrong tokens may come from where the request comes from;
// 0 if they may, or if it shows no token. Meanwhile a token that could be guessed is not looked at,
// be it the right one or not. One that could not is: who shows the right one is never held up by
// others.
func (x *exchange) guessesWait() time.Duration {
	if !x.target.Verifier.ComparesToken() {
		return 0
	}
	return x.guesses.wait(x.target.UID, x.connections.ClientAddress(x.r), x.now())
}

// shed is the answer to a request that is turned away. retryAfter is when another one has a chance;
// 0 if that cannot be said.
func (x *exchange) shed(reason overload.Reason, retryAfter time.Duration) answer {
	x.metrics.shed[reason].Inc()
	a := noCapacity
	switch reason {
	case overload.BreakerOpen:
		a = cannotStore
	case overload.Rate, overload.Concurrency:
		a = tooMany
	case overload.Guesses:
		a = tooManyGuesses
	case overload.Memory, overload.SlowSender, overload.QueueFull, overload.QueueSlow:
	}
	x.logRefusal(x.target, a.result, "reason", string(reason))
	// Those who are turned away together must not come back together.
	return a.after(jittered(retryAfter + 1))
}
