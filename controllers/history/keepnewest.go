/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import "container/heap"

// keepNewest holds the runs that finished last, up to a limit.
type keepNewest struct {
	limit int
	runs  finishHeap
}

// offer adds a run, and returns the one that it displaces, which finished first of all; nil if the
// limit is not reached.
func (n *keepNewest) offer(r *run) *run {
	if len(n.runs) < n.limit {
		heap.Push(&n.runs, r)
		return nil
	}
	if n.limit == 0 || compareFinish(r, n.runs[0]) < 0 {
		return r
	}
	oldest := n.runs[0]
	n.runs[0] = r
	heap.Fix(&n.runs, 0)
	return oldest
}

// finishHeap is a min-heap by finish time.
type finishHeap []*run

// Len implements heap.Interface.
func (h finishHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h finishHeap) Less(i, j int) bool { return compareFinish(h[i], h[j]) < 0 }

// Swap implements heap.Interface.
func (h finishHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *finishHeap) Push(r any) { *h = append(*h, r.(*run)) } //nolint:errcheck,forcetypeassert // offer pushes nothing else

// Pop implements heap.Interface.
func (h *finishHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}
