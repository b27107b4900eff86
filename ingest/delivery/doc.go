/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package delivery has the noun of Sluice: a Delivery, which is a request whose signature is good,
// as a value; and the port through which it becomes durable, a Sink.
//
// A Delivery has the name of its FlowRun before anything is stored, so that it can be tried again,
// by anybody and anywhere, and is still stored once. New says how it is named.
//
// A Sink either makes a Delivery durable and returns a Receipt, or returns an *Error whose Kind
// says what that means for the sender, for other tenants, and for the circuit breaker. Package
// sinktest is the contract of a Sink as tests.
//
// The package needs nothing but the standard library, so that whoever signs, stores, replays or
// shows deliveries can use it.
package delivery
