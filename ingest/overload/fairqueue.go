/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import "slices"

// fairQueue holds what runs and what waits, by namespace and trigger. Namespaces take turns, and
// within each its triggers do; within a trigger it is first come, first served. Its methods must
// not be called concurrently.
//
// How much anybody may run and have wait follows from how much is left (see mayRun, mayWait): these
// are the dynamic thresholds of the body budget again. One that has nothing always gets one.
type fairQueue struct {
	running, waiting int
	namespaces       map[string]*namespaceQueue // only those that have requests here
	triggers         map[string]*triggerQueue   // by UID, likewise
	turns            []*namespaceQueue          // those with requests that wait, in the order of their turns
}

type namespaceQueue struct {
	name             string
	running, waiting int
	turns            []*triggerQueue // its triggers with requests that wait, in the order of their turns
}

type triggerQueue struct {
	uid       string
	namespace *namespaceQueue
	running   int
	waiting   []*waiter
}

// A waiter is a request that waits for a permit.
type waiter struct {
	queue *triggerQueue
	// result has room for one: the permit, or why there is none.
	result chan waited
}

type waited struct {
	permit *Permit
	reason Reason
}

func newFairQueue() fairQueue {
	return fairQueue{namespaces: map[string]*namespaceQueue{}, triggers: map[string]*triggerQueue{}}
}

// of returns the queue of a tenant, which may be one that is not known yet.
func (q *fairQueue) of(tenant Tenant) *triggerQueue {
	if t := q.triggers[tenant.Trigger]; t != nil {
		return t
	}
	n := q.namespaces[tenant.Namespace]
	if n == nil {
		n = &namespaceQueue{name: tenant.Namespace}
	}
	return &triggerQueue{uid: tenant.Trigger, namespace: n}
}

// keep makes a queue a known one.
func (q *fairQueue) keep(t *triggerQueue) {
	q.namespaces[t.namespace.name], q.triggers[t.uid] = t.namespace, t
}

// forget drops a queue that holds nothing.
func (q *fairQueue) forget(t *triggerQueue) {
	if t.running == 0 && len(t.waiting) == 0 {
		delete(q.triggers, t.uid)
	}
	if n := t.namespace; n.running == 0 && n.waiting == 0 {
		delete(q.namespaces, n.name)
	}
}

// start counts a request of the queue among those that run, and done no more.
func (q *fairQueue) start(t *triggerQueue) {
	q.running++
	t.namespace.running++
	t.running++
}

func (q *fairQueue) done(t *triggerQueue) {
	q.running--
	t.namespace.running--
	t.running--
	q.forget(t)
}

// mayRun says whether another request of the queue may run, of limit in all. A trigger may have up
// to three times as many as are left. If several namespaces compete, that holds for its namespace,
// and of what that may have more, the trigger leaves some to others in it.
func (q *fairQueue) mayRun(t *triggerQueue, limit int, several bool) bool {
	left := limit - q.running - 1
	switch {
	case left < 0:
		return false
	case !several:
		return t.running == 0 || t.running < 3*left
	case t.namespace.running == 0:
		return true
	}
	more := 3*left - t.namespace.running
	return more > 0 && (t.running == 0 || t.running < 3*(more-1))
}

// mayWait says whether another request of the queue may wait, of that many places in all. A trigger
// may have three times as many as are left. One that has none gets one even where others have too
// many, since the number of places may just have become less. If several namespaces compete, that
// holds for namespaces, and within each for its triggers; and of each as many may wait in any case
// as are all places by the number of namespaces that wait.
func (q *fairQueue) mayWait(t *triggerQueue, places int, several bool) bool {
	queued, left := len(t.waiting), places-q.waiting
	if !several {
		return queued < 3*left || queued == 0 && q.waiting < 2*places
	}
	if t.namespace.waiting == 0 {
		return q.waiting < 3*places
	}
	more := max(3*left, places/len(q.turns)) - t.namespace.waiting
	return more > 0 && (queued == 0 || queued < 3*more)
}

// push has a request of the queue wait.
func (q *fairQueue) push(t *triggerQueue) *waiter {
	w := &waiter{queue: t, result: make(chan waited, 1)}
	if t.namespace.waiting == 0 {
		q.turns = append(q.turns, t.namespace)
	}
	if len(t.waiting) == 0 {
		t.namespace.turns = append(t.namespace.turns, t)
	}
	t.waiting = append(t.waiting, w)
	t.namespace.waiting++
	q.waiting++
	return w
}

// pop takes the waiter out whose turn it is, of those whose queue mayRun; nil if there is none.
func (q *fairQueue) pop(mayRun func(*triggerQueue) bool) *waiter {
	for range len(q.turns) {
		n := q.turns[0]
		q.turns = q.turns[1:]
		i := slices.IndexFunc(n.turns, mayRun)
		if i < 0 {
			q.turns = append(q.turns, n)
			continue
		}
		t := n.turns[i]
		n.turns = slices.Delete(n.turns, i, i+1)
		w := t.waiting[0]
		t.waiting = t.waiting[1:]
		if len(t.waiting) > 0 {
			n.turns = append(n.turns, t)
		}
		if n.waiting--; n.waiting > 0 {
			q.turns = append(q.turns, n)
		}
		q.waiting--
		return w
	}
	return nil
}

// abandon takes a waiter out that will not wait any longer.
func (q *fairQueue) abandon(w *waiter) {
	t := w.queue
	i := slices.Index(t.waiting, w)
	if i < 0 {
		return // it was taken out
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	t.namespace.waiting--
	q.waiting--
	if len(t.waiting) > 0 {
		return
	}
	t.namespace.turns = slices.DeleteFunc(t.namespace.turns, func(other *triggerQueue) bool { return other == t })
	if t.namespace.waiting == 0 {
		q.turns = slices.DeleteFunc(q.turns, func(other *namespaceQueue) bool { return other == t.namespace })
	}
	q.forget(t)
}

// dismiss takes all waiters out and tells them why.
func (q *fairQueue) dismiss(why Reason) {
	for _, n := range q.turns {
		n.waiting = 0
		for _, t := range n.turns {
			for _, w := range t.waiting {
				w.result <- waited{reason: why}
			}
			t.waiting = nil
			q.forget(t)
		}
		n.turns = nil
	}
	q.turns, q.waiting = nil, 0
}
