/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

// A Reason says why a request is shed that may be fine by itself. It is the value of a metric
// label, and an error.
type Reason string

const (
	// Memory means that there is no room for the body.
	Memory Reason = "memory"
	// SlowSender means that the sender was cut off to make room for others.
	SlowSender Reason = "slow_sender"
	// Rate means that the trigger has a limit to its rate, and is over it.
	Rate Reason = "rate"
	// Concurrency means that the trigger has a limit to its concurrency, and is at it.
	Concurrency Reason = "concurrency"
	// Guesses means that too many wrong tokens came from the same client.
	Guesses Reason = "guesses"
	// QueueFull means that too many requests wait for the store already.
	QueueFull Reason = "queue"
	// QueueSlow means that the request has waited too long for the store.
	QueueSlow Reason = "wait"
	// BreakerOpen means that the store does not work.
	BreakerOpen Reason = "circuit"
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{Memory, SlowSender, Rate, Concurrency, Guesses, QueueFull, QueueSlow, BreakerOpen}
}

// Error implements error.
func (r Reason) Error() string { return string(r) }
