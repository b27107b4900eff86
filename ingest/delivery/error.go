/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"errors"
	"time"
)

// Kind is why a delivery is not known to be stored.
type Kind int

const (
	// Unavailable means that the store gave no answer in time, or one that says that it, or what is
	// behind it, does not work. The delivery may be stored or not; the sender should send it again.
	// It counts against the store: after enough of them in a row the circuit breaker opens for all.
	Unavailable Kind = iota
	// Throttled means that the store turned the delivery away for now, as it does with others. The
	// sender should send it again; fewer deliveries are tried at a time.
	Throttled
	// Blocked means that something of the tenant's is in the way and may pass: a quota, a missing
	// permission, a webhook that is down, a namespace that is going. The sender should send it
	// again. It says nothing of the store, and never counts against other tenants.
	Blocked
	// Rejected means that the store will not have the delivery however often it is sent: a policy,
	// or a schema. It never counts against other tenants.
	Rejected
	// Occupied means that the store works, and has something under the name that does not count as
	// the delivery, such as a FlowRun that is being deleted. The sender should send it again later.
	Occupied
)

// String returns the kind in one word, for logs.
func (k Kind) String() string {
	switch k {
	case Unavailable:
		return "unavailable"
	case Throttled:
		return "throttled"
	case Blocked:
		return "blocked"
	case Rejected:
		return "rejected"
	case Occupied:
		return "occupied"
	}
	return "unknown"
}

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Unavailable, Throttled, Blocked, Rejected, Occupied} }

// An Error says why a delivery is not known to be stored.
type Error struct {
	Kind Kind
	// RetryAfter is how long the store asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Err is what happened. It must be fit for logs.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what happened.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of an error that a Sink has returned, and how long the store asks to
// wait.
func KindOf(err error) (kind Kind, retryAfter time.Duration) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, e.RetryAfter
	}
	return Unavailable, 0
}
