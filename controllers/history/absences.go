/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// absenceGrace is for how long nothing is done to the runs of a Flow that is not there. kubectl
	// replace --force, a chart that is installed anew and a GitOps tool that prunes and applies
	// again delete a Flow to make it anew, and a backup is restored kind by kind, by hand: all of
	// that is over within an hour, unless something is wrong that takes somebody longer to see, and
	// no grace would do for that.
	absenceGrace = time.Hour
	// maxAbsent is how many Flows of one namespace that are not there are told apart.
	maxAbsent = 1000
)

// absences is what is remembered of Flows from sweep to sweep: which ones there are that have runs,
// and since when those are missing that there were. A new leader knows nothing, and so does nothing
// to the runs of Flows that are missing for as long as the grace is.
//
// It grows with the Flows that there are and were, never with the names that runs have: whoever may
// create FlowRuns invents those.
type absences struct {
	first   map[string]time.Time // when a namespace, or all under no name, was looked through for the first time
	present map[types.NamespacedName]struct{}
	missing map[string]*missing // by namespace
}

// missing are the Flows of a namespace that there were within the grace, and are not any more.
type missing struct {
	flows map[string]time.Time // since when, by name
	all   time.Time            // when they were too many to be told apart: any name may be that of one of them
}

func newAbsences() *absences {
	return &absences{first: map[string]time.Time{}, present: map[types.NamespacedName]struct{}{}, missing: map[string]*missing{}}
}

// seen takes note of a Flow that there is.
func (a *absences) seen(flow types.NamespacedName) { a.present[flow] = struct{}{} }

// recent says whether a Flow that is not there was there within the grace, as far as is known.
func (a *absences) recent(flow types.NamespacedName, now time.Time) bool {
	if _, ok := a.present[flow]; ok {
		delete(a.present, flow)
		a.lose(flow, now)
	}
	first, ok := a.first[flow.Namespace]
	if !ok {
		first, ok = a.first[""]
	}
	if !ok || now.Sub(first) < absenceGrace {
		return true
	}
	m := a.missing[flow.Namespace]
	return m != nil && (now.Sub(m.all) < absenceGrace || now.Sub(m.flows[flow.Name]) < absenceGrace)
}

// lose takes note of a Flow that was there and is not any more.
func (a *absences) lose(flow types.NamespacedName, now time.Time) {
	m := a.missing[flow.Namespace]
	if m == nil {
		m = &missing{flows: map[string]time.Time{}}
		a.missing[flow.Namespace] = m
	}
	if len(m.flows) >= maxAbsent {
		m.all = now
		clear(m.flows)
	}
	m.flows[flow.Name] = now
}

// swept is called when all runs of a namespace, or of all under no name, were looked at. There are
// runs of the Flows that the sweep has met; of others that there were there are none any more.
func (a *absences) swept(namespace string, now time.Time, met func(types.NamespacedName) bool) {
	if _, ok := a.first[namespace]; !ok {
		a.first[namespace] = now
	}
	maps.DeleteFunc(a.present, func(flow types.NamespacedName, _ struct{}) bool {
		return (namespace == "" || namespace == flow.Namespace) && !met(flow)
	})
	maps.DeleteFunc(a.missing, func(_ string, m *missing) bool {
		maps.DeleteFunc(m.flows, func(_ string, since time.Time) bool { return now.Sub(since) >= absenceGrace })
		return len(m.flows) == 0 && now.Sub(m.all) >= absenceGrace
	})
}
