/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"math/rand/v2"
	"time"

	"github.com/sluice-dev/sluice/ingest/route"
)

// A shortage is why a request is turned away that may be fine by itself. As an error it is the value of a metric label.
type shortage string

const (
	// shortOfMemory means that there is no room for the body.
	shortOfMemory shortage = "memory"
	// slowSender means that the sender was cut off to make room for others.
	slowSender shortage = "slow_sender"
	// overRate means that the trigger has a limit to its rate, and is over it.
	overRate shortage = "rate"
	// overConcurrency means that the trigger has a limit to its concurrency, and is at it.
	overConcurrency shortage = "concurrency"
	// guessing means that too many wrong tokens came from there.
	guessing shortage = "guesses"
	// queueFull means that too many requests wait for the API server already.
	queueFull shortage = "queue"
	// queueSlow means that the request has waited too long for the API server.
	queueSlow shortage = "wait"
	// circuitOpen means that the API server does not work.
	circuitOpen shortage = "circuit"
)

// shortages are all of them.
var shortages = []shortage{shortOfMemory, slowSender, overRate, overConcurrency, guessing, queueFull, queueSlow, circuitOpen}

// Error implements error.
func (s shortage) Error() string { return string(s) }

// shed is the answer to a request that is turned away. retryAfter is when another one has a chance; 0 if that cannot be
// said.
func (h *handler) shed(target *route.Route, short shortage, retryAfter time.Duration) answer {
	h.metrics.shed[short].Inc()
	a := noCapacity
	switch short {
	case circuitOpen:
		a = cannotStore
	case overRate, overConcurrency:
		a = tooMany
	case guessing:
		a = tooManyGuesses
	case shortOfMemory, slowSender, queueFull, queueSlow:
	}
	h.logRefusal(target, a.result, "short", string(short))
	// Those who are turned away together must not come back together.
	return a.after(retryAfter + 1 + rand.N(retrySpread)) //nolint:gosec // jitter is no secret
}
