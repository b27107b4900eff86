/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import "time"

// A Tenant is who a request counts for: a namespace first, and within it a trigger, by its UID. So
// a namespace with many triggers has no more than one with few.
type Tenant struct{ Namespace, Trigger string }

// mixMemory is for how long it is remembered that requests of several namespaces have come.
const mixMemory = 24 * time.Hour

// mix says whether requests of several namespaces come. As long as those of one alone do, nothing
// need be kept free for others: a single tenant can use all there is.
type mix struct {
	last  string // the namespace of the last request
	until time.Time
}

// note takes note of a request of the namespace.
func (m *mix) note(namespace string, now time.Time) {
	if m.last == namespace {
		return
	}
	if m.last != "" {
		m.until = now.Add(mixMemory)
	}
	m.last = namespace
}

func (m *mix) several(now time.Time) bool { return now.Before(m.until) }
