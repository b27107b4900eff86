/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"hash/maphash"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

// shardCount bounds what one write copies: at 100,000 routes a shard holds about 25, at a million
// about 250. It is a power of two, so that a hash is reduced by a mask. An empty shard costs 16
// bytes.
const shardCount = 4096

// A Table maps paths to routes. Use NewTable.
//
// Each shard is an immutable map behind an atomic pointer: a reader loads the pointer and looks up,
// a writer copies one shard and publishes the copy. One map for all would make every write copy all
// routes (about 10 ms at 100,000); a lock would make readers wait for writers.
type Table struct {
	seed   maphash.Seed
	shards [shardCount]shard

	warmOnce sync.Once
	warm     chan struct{}
}

type shard struct {
	mu     sync.Mutex // serialises writers
	routes atomic.Pointer[map[string]*Route]
}

var noRoutes = &map[string]*Route{}

// NewTable returns an empty table that is not warm.
func NewTable() *Table {
	t := &Table{seed: maphash.MakeSeed(), warm: make(chan struct{})}
	for i := range t.shards {
		t.shards[i].routes.Store(noRoutes)
	}
	return t
}

// Lookup returns the route at the path, which must match to the byte. It does not allocate.
func (t *Table) Lookup(path string) (*Route, bool) {
	r, ok := (*t.shard(path).routes.Load())[path]
	return r, ok
}

// Replace puts these routes in place of all that the table holds, in time linear in their number,
// and makes the table warm. Of several routes of one path the last one stays. A reader may see some
// shards before and some after. Replace must not run together with other writers.
func (t *Table) Replace(routes []*Route) {
	next := make([]map[string]*Route, shardCount)
	for _, r := range routes {
		path := r.Path()
		i := t.index(path)
		if next[i] == nil {
			next[i] = make(map[string]*Route, len(routes)/shardCount+1)
		}
		r.inherit((*t.shards[i].routes.Load())[path])
		next[i][path] = r
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		if routes := next[i]; routes == nil {
			s.routes.Store(noRoutes)
		} else {
			s.routes.Store(&routes) // not &next[i]: that would keep all of next for as long as one shard is not written
		}
		s.mu.Unlock()
	}
	t.warmOnce.Do(func() { close(t.warm) })
}

// Upsert adds the route, in place of one at the same path. Requests that begin after it returns see
// it.
func (t *Table) Upsert(r *Route) {
	path := r.Path()
	t.shard(path).write(func(routes map[string]*Route) {
		r.inherit(routes[path])
		routes[path] = r
	})
}

// Delete removes the route at the path, if there is one. Requests that begin after it returns do
// not see it.
func (t *Table) Delete(path string) {
	s := t.shard(path)
	if _, ok := (*s.routes.Load())[path]; !ok {
		return
	}
	s.write(func(routes map[string]*Route) { delete(routes, path) })
}

// All yields the routes in no particular order. Routes that are written meanwhile may or may not be
// among them.
func (t *Table) All() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for i := range t.shards {
			for _, r := range *t.shards[i].routes.Load() {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Warm returns a channel that is closed by the first Replace. Before that the table is not fit to
// serve from: a path that it does not have may well exist.
func (t *Table) Warm() <-chan struct{} { return t.warm }

func (t *Table) index(path string) uint64 { return maphash.String(t.seed, path) & (shardCount - 1) }

func (t *Table) shard(path string) *shard { return &t.shards[t.index(path)] }

func (s *shard) write(change func(map[string]*Route)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.routes.Load()
	next := make(map[string]*Route, len(old)+1)
	maps.Copy(next, old)
	change(next)
	s.routes.Store(&next)
}
