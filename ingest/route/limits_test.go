/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRate sends requests to a route that is replaced meanwhile.
func TestRate(t *testing.T) {
	const path = Prefix + "shop/orders"
	begin := time.Unix(1_800_000_000, 0)
	limited := func(uid string, perSecond float64, burst int) *Route {
		return &Route{Namespace: "shop", Name: "orders", UID: uid, Limits: Limits{PerSecond: perSecond, Burst: burst}}
	}
	tests := map[string]struct {
		reason string
		next   *Route // that replaces one of 2 a second and a burst of 3, of which all are taken
		after  time.Duration
		want   int           // that are let through then
		wait   time.Duration // what the next one is told
	}{
		"Same":       {reason: "a replaced route counts on", next: limited("1", 2, 3), want: 0, wait: 500 * time.Millisecond},
		"Refilled":   {reason: "two come back in a second", next: limited("1", 2, 3), after: time.Second, want: 2, wait: 500 * time.Millisecond},
		"Full":       {reason: "no more than the burst come back", next: limited("1", 2, 3), after: time.Minute, want: 3, wait: 500 * time.Millisecond},
		"NoLimit":    {reason: "the limit is gone", next: limited("1", 0, 0), want: 100},
		"OtherOwner": {reason: "another trigger begins anew", next: limited("2", 1, 5), want: 5, wait: time.Second},
		"New":        {reason: "nobody was there before", next: limited("3", 0.5, 1), want: 1, wait: 2 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable()
			if name != "New" {
				table.Replace([]*Route{limited("1", 2, 3)})
				first, _ := table.Lookup(path)
				for i := range 4 {
					if wait := first.Allow(begin); wait > 0 != (i == 3) {
						t.Fatalf("%s: request %d is told to wait %s", tc.reason, i, wait)
					}
				}
			}
			table.Upsert(tc.next)
			now := begin.Add(tc.after)
			got := 0
			for range 100 {
				wait := tc.next.Allow(now)
				if wait > 0 {
					if wait != tc.wait {
						t.Errorf("%s: told to wait %s, want %s", tc.reason, wait, tc.wait)
					}
					break
				}
				got++
			}
			if got != tc.want {
				t.Errorf("%s: %d are let through, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

// TestRateUnderLoad has many requests counted at a time, out of order, as they are when their
// bodies take different times.
func TestRateUnderLoad(t *testing.T) {
	const burst = 100
	table := NewTable()
	r := &Route{Namespace: "shop", Name: "orders", UID: "1", Limits: Limits{PerSecond: 1, Burst: burst}}
	table.Upsert(r)
	begin := time.Unix(1_800_000_000, 0)
	var accepted atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 1000 {
				now := begin.Add(time.Duration((i*31+j*17)%1000) * time.Microsecond)
				switch wait := r.Allow(now); {
				case wait == 0:
					accepted.Add(1)
				case wait > time.Second+time.Millisecond:
					t.Errorf("told to wait %s, want a second at the most: who is turned away must cost nothing", wait)
				}
			}
		})
	}
	wg.Wait()
	if got := accepted.Load(); got != burst {
		t.Errorf("%d are accepted, want %d", got, burst)
	}
}

// TestRefund sees that what is not stored does not count.
func TestRefund(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	table := NewTable()
	r := &Route{Namespace: "shop", Name: "orders", UID: "1", Limits: Limits{PerSecond: 1, Burst: 2}}
	table.Upsert(r)
	for range 100 {
		if wait := r.Allow(now); wait != 0 {
			t.Fatalf("told to wait %s, want 0", wait)
		}
		r.Refund(now)
	}
	if first, second, third := r.Allow(now), r.Allow(now), r.Allow(now); first != 0 || second != 0 || third == 0 {
		t.Errorf("told to wait %s, %s and %s; want that of the third alone", first, second, third)
	}
	(&Route{}).Refund(now) // one without a rate
}

// TestLateRefund takes a request back that was allowed a second ago: that second counts once.
func TestLateRefund(t *testing.T) {
	first := time.Unix(1_800_000_000, 0)
	table := NewTable()
	r := &Route{Namespace: "shop", Name: "orders", UID: "1", Limits: Limits{PerSecond: 10, Burst: 10}}
	table.Upsert(r)
	take := func(now time.Time) (allowed int) {
		for r.Allow(now) == 0 {
			allowed++
		}
		return allowed
	}
	later := first.Add(time.Second)
	if before, after := take(first), take(later); before != 10 || after != 10 {
		t.Fatalf("%d and then %d are allowed, want 10 each", before, after)
	}
	r.Refund(later)
	if n := take(later); n != 1 {
		t.Errorf("%d are allowed after one refund, want 1", n)
	}
}

// TestRateChanges sees that a change of the limit holds at once, and that those who are turned away
// cost nothing.
func TestRateChanges(t *testing.T) {
	table := NewTable()
	now := time.Now() // the limiter takes the real time for the moment of the change
	old := &Route{Namespace: "shop", Name: "orders", UID: "1", Limits: Limits{PerSecond: 1, Burst: 1}}
	table.Upsert(old)
	if wait := old.Allow(now); wait != 0 {
		t.Fatalf("the first is told to wait %s", wait)
	}
	for range 1000 {
		if wait := old.Allow(now); wait != time.Second {
			t.Fatalf("told to wait %s, want 1s, however often it is asked", wait)
		}
	}
	next := &Route{Namespace: "shop", Name: "orders", UID: "1", Limits: Limits{PerSecond: 10, Burst: 20}}
	table.Upsert(next)
	if wait := next.Allow(now); wait <= 0 || wait > 100*time.Millisecond {
		t.Errorf("told to wait %s, want a tenth of a second at the most", wait)
	}
	got := 0
	for next.Allow(now.Add(time.Hour)) == 0 {
		got++
	}
	if got != 20 {
		t.Errorf("%d at once, want 20", got)
	}
}
