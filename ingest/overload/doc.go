/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package overload has what keeps an ingest replica, and what it stores to, from being overloaded:
//
//   - Budget bounds the memory that bodies take before anybody knows whether they are genuine, by
//     dynamic thresholds for each tenant.
//   - Limiter bounds how many deliveries are being stored at a time. It adapts to the latency and
//     the throttling of the store, and has those who are too many wait in fair queues for a short
//     time.
//   - Breaker is a circuit breaker: it tells whether the direct way to the store is open at all.
//   - Control is where Breaker and Limiter, which know nothing of each other, meet.
//
// Why it is so is in docs/design/0004-overload-control.md.
//
// A Reason says why a request is shed. All types may be used concurrently. The package needs
// nothing but the standard library.
package overload
