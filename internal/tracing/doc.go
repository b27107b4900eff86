/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package tracing exports spans to a collector, by OTLP over gRPC. Nothing global of OpenTelemetry is set: what makes
// spans gets a tracer, and libraries get none.
//
// Spans are queued and sent in batches. If the collector is slow or gone the queue fills up, and spans are dropped; nothing
// waits for it.
package tracing
