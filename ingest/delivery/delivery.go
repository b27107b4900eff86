/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// MaxBody is the length in bytes of the longest body that any Sink has to take: it fits into etcd
// after encoding.
const MaxBody = 1130496

// A Trigger is what accepted a delivery.
type Trigger struct {
	Namespace, Name string
	// UID tells the trigger from a later one of the same name.
	UID string
}

// A Delivery is a request whose signature is good. New makes one. It is not changed afterwards, but
// for its Traceparent.
type Delivery struct {
	Trigger Trigger
	// Flow is the name of the Flow to start, in the namespace of the trigger.
	Flow string
	// Run is the name of the FlowRun, in the namespace of the trigger; see New.
	Run string
	// Repeatable says that Run was made from the idempotency key, so that a FlowRun of that name is
	// one of the same delivery. Otherwise nobody else can have chosen the name.
	Repeatable bool
	// ID is the sender's id of the delivery; empty if there is none. It is valid UTF-8 of at most
	// 256 bytes.
	ID string
	// Key is the name of the key that the signature was made with: <Secret>/<entry>.
	Key string
	// ContentType is the header of that name as it came.
	ContentType string
	// Body is the body as it came, byte for byte. It belongs to the caller: a Sink neither changes
	// it nor keeps it after it has returned.
	Body []byte
	// Digest is the SHA-256 of Body.
	Digest [sha256.Size]byte
	// ReceivedAt is when the last byte of the request had come, by the clock of the replica.
	ReceivedAt time.Time
	// RetainUntil is until when the FlowRun is to be kept as the memory of the delivery; zero if
	// there is no such time.
	RetainUntil time.Time
	// Traceparent is of the span in which the delivery is stored, as W3C has it; empty if there is
	// none.
	Traceparent string
}

// Identity is what two requests have in common that are one delivery.
type Identity int

const (
	// Unique means that every request is a delivery of its own.
	Unique Identity = iota
	// ByID means that the delivery id is the idempotency key.
	ByID
	// ByIDAndBody means that the delivery id and every byte of the body are.
	ByIDAndBody
)

// New completes a delivery: its Digest, Run and Repeatable follow from the rest. Without an id
// every request is Unique.
func New(d Delivery, identity Identity) Delivery {
	d.Digest = sha256.Sum256(d.Body)
	if d.ID == "" {
		identity = Unique
	}
	d.Repeatable = identity != Unique
	d.Run = name(&d, identity)
	return d
}

// HexDigest returns the digest in lower-case hexadecimal digits.
func (d *Delivery) HexDigest() string { return hex.EncodeToString(d.Digest[:]) }

// A Sink makes deliveries durable. It may be used concurrently. Its contract is sinktest.
//
// Accept returns a nil error only if the FlowRun named d.Run of the trigger's namespace is durable
// with exactly d.Body, or is certain to become so. An attempt whose outcome is unclear is repeated
// under the same name until ctx ends, so one delivery becomes one FlowRun however often it is
// accepted.
//
// Accept returns soon after ctx ends. Any error is, or wraps, an *Error; one that is none is taken
// for Unavailable. Its text is fit for logs: it holds nothing of the delivery but names.
type Sink interface {
	Accept(ctx context.Context, d *Delivery) (Receipt, error)
}

// A Receipt says what has become of a delivery that is durable.
type Receipt struct {
	// Duplicate says that it was so before: the same delivery was accepted earlier.
	Duplicate bool
}
