/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package history keeps the number and the size of FlowRuns within bounds: it deletes those that are due by the history of
// their Flow, and drops payloads.
//
// A Collector runs on the elected leader. It sweeps through all FlowRuns again and again, page by page, as tables: the API
// server sends metadata and the printer columns, and never a payload. What a sweep remembers is one page and, for each Flow,
// as many runs as its limits keep, so that memory depends on the limits and not on the number of runs.
//
// What is to become of a run follows from what the table says of it, the history of its Flow and the time: limits.judge is
// pure. A run that was begun and has not finished is never deleted, nor one before the time in its annotation
// sluice.dev/retain-until. The annotation is made by ingest, so that a window outlives its trigger and needs no look at it.
//
// Deletes are paced by the API server itself: there are a few in flight, so that they slow down as it does. Each holds for
// the version of the run that was looked at: one that has changed since is left to the next sweep. Where a namespace
// refuses, it is left alone for a while, and the others are swept on.
package history
