/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package history keeps the number and the size of FlowRuns within bounds: it deletes those that
// are due by the history of their Flow, and drops payloads.
//
// A Collector runs on the elected leader. It sweeps through all FlowRuns again and again, page by
// page, as tables: the API server sends metadata and the printer columns, and never a payload. What
// a sweep remembers is one page and, for each Flow, as many runs as its limits keep, so that memory
// depends on the limits and not on the number of runs.
//
// What becomes of a run follows from its row in the table, the history of its Flow and the time, by
// the pure methods of limits. A run that was begun and has not finished is never deleted, nor one
// before the time in its annotation sluice.dev/retain-until. The annotation is made by ingest, so
// that a window outlives its trigger and needs no look at it.
//
// The number of deletes in flight is bounded, so that their rate follows the latency of the API
// server (backpressure). Each has the version that was listed as its precondition: a run that has
// changed since is left to the next sweep. If a namespace rejects them, nothing is written there
// for a while, with exponential backoff, and the others are swept on.
package history
