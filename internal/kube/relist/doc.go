/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package relist makes caches follow the API server within about a second of its return from an
// outage.
//
// client-go's reflectors, which fill the caches, back off between attempts to list and watch: from
// 0.8 s up to 30 s, and as much again as jitter. After an outage of half a minute a replica would
// therefore serve stale objects for another half: a key that was removed would still be accepted,
// and a new one not yet. The backoff cannot be configured.
//
// Here, such a request blocks while the API server cannot be reached, and is retried each second.
// To the reflector the outage is one slow request.
package relist
