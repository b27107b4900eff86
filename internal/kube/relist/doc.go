/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package relist keeps caches close to the API server through its outages.
//
// client-go's reflectors, which fill the caches, pause between attempts to list and watch: 0.8 s at first, then longer each
// time, up to 30 s and as much again by chance. After an outage of half a minute a replica would therefore go by old
// objects for another half: a key that was taken away would still be good, and a new one not yet. The pauses cannot be set.
//
// Here, such a request waits instead, for as long as the API server cannot be reached, and is tried again each second. To the
// reflector the outage is one slow request.
package relist
