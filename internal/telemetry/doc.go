/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package telemetry is how the operator says what it does: the logger, and the export of spans to a
// collector, by OTLP over gRPC. Nothing global of OpenTelemetry is set: what makes spans gets a
// tracer, and libraries get none.
//
// Spans are queued and sent in batches. If the collector is slow or gone the queue fills up, and
// spans are dropped; nothing waits for it.
package telemetry
