/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"fmt"
	"testing"
	"time"
)

// TestReadersTakeNoLock reads while every lock that writers take is held.
func TestReadersTakeNoLock(t *testing.T) {
	table := NewTable()
	table.Replace([]*Route{{Namespace: "shop", Name: "orders"}})
	for i := range table.shards {
		table.shards[i].mu.Lock()
	}
	found := make(chan int, 1)
	go func() {
		n := 0
		if _, ok := table.Lookup("/hooks/shop/orders"); ok {
			n++
		}
		for range table.All() {
			n++
		}
		found <- n
	}()
	select {
	case n := <-found:
		if n != 2 {
			t.Errorf("the route was found %d times, by Lookup and All, want 2", n)
		}
	case <-time.After(30 * time.Second):
		t.Error("a reader waits for a writer")
	}
	for i := range table.shards {
		table.shards[i].mu.Unlock()
	}
}

// TestShardsAreUsed would notice a hash that puts many paths into few shards, which makes each
// write copy many routes.
func TestShardsAreUsed(t *testing.T) {
	const routes = 100_000
	table := NewTable()
	counts := make([]int, shardCount)
	for i := range routes {
		counts[table.index(Path("team", fmt.Sprintf("trigger-%d", i)))]++
	}
	for i, n := range counts {
		// Four times the average of 24 is 15 standard deviations away from it.
		if n > 4*routes/shardCount {
			t.Errorf("shard %d has %d of %d routes", i, n, routes)
		}
	}
}
