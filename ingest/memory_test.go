/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// fakeClock is set by hand.
type fakeClock struct{ time time.Time }

func (c *fakeClock) now() time.Time { return c.time }

func (c *fakeClock) pass(d time.Duration) { c.time = c.time.Add(d) }

func testMemory(size int64) (*memory, *fakeClock) {
	c := &fakeClock{time: time.Unix(1_800_000_000, 0)}
	return newMemory(size, c.now), c
}

// fill takes places for bodies of that length until there are no more.
func fill(t *testing.T, m *memory, uid string, length int64) (places []*place) {
	t.Helper()
	for {
		p, ok := m.enter(uid, length, func() { t.Errorf("a place of %s is cut off", uid) })
		if !ok {
			p.leave()
			return places
		}
		p.done()
		if places = append(places, p); len(places) > 10_000 {
			t.Fatal("there is no end to it")
		}
	}
}

func leaveAll(m *memory, size int64, t *testing.T, groups ...[]*place) {
	t.Helper()
	for _, places := range groups {
		for _, p := range places {
			p.leave()
		}
	}
	if m.free != size || len(m.triggers) != 0 {
		t.Errorf("%d of %d are free, %d triggers are kept; want all and none", m.free, size, len(m.triggers))
	}
}

// TestMemoryShares has triggers take all that they can get, one after the other.
func TestMemoryShares(t *testing.T) {
	const size = 1200 * (smallRequest + requestBytes)
	m, _ := testMemory(size)
	var groups [][]*place
	for i, want := range []int{600, 300, 150, 75} { // half of what the ones before have left
		places := fill(t, m, fmt.Sprint(i), smallRequest)
		groups = append(groups, places)
		if len(places) != want {
			t.Errorf("trigger %d has %d places, want %d", i, len(places), want)
		}
	}
	leaveAll(m, size, t, groups...)
}

// TestMemoryKeepsRoomForSmall has a trigger flooded with large bodies. Its real sender, whose bodies are small, gets in.
func TestMemoryKeepsRoomForSmall(t *testing.T) {
	const size = 32 << 20
	m, _ := testMemory(size)
	large := fill(t, m, "a", 1<<20)
	if len(large) != 15 {
		t.Errorf("there is room for %d large bodies of one trigger, want 15", len(large))
	}
	small := fill(t, m, "a", 1<<10)
	if len(small) < 100 {
		t.Errorf("there is room for %d small ones beside them, want hundreds", len(small))
	}
	other := fill(t, m, "b", 1<<20)
	if len(other) < 3 {
		t.Errorf("there is room for %d large bodies of another trigger, want some", len(other))
	}
	leaveAll(m, size, t, large, small, other)
}

// TestMemoryOneAlone sees that a trigger that holds nothing gets all that there is for one request.
func TestMemoryOneAlone(t *testing.T) {
	const size = 1<<20 + requestBytes
	m, _ := testMemory(size)
	p, ok := m.enter("a", 1<<20, func() {})
	if !ok {
		t.Fatal("there is no room for one body of the greatest length")
	}
	second, ok := m.enter("b", 0, func() {})
	if ok {
		t.Error("there is room where nothing is free")
	}
	second.leave()
	leaveAll(m, size, t, []*place{p})
}

// TestMemoryCutsOffSlowSenders has a trigger whose share is held by senders that trickle.
func TestMemoryCutsOffSlowSenders(t *testing.T) {
	tests := map[string]struct {
		reason   string
		elapsed  time.Duration
		received int64
		want     bool
	}{
		"Silent":     {reason: "nothing has come for a second", elapsed: time.Second, received: 0, want: true},
		"Trickles":   {reason: "it would take for ever", elapsed: time.Second, received: 1000, want: true},
		"BelowRate":  {reason: "just too slow", elapsed: time.Second, received: slowRate - 1, want: true},
		"AtRate":     {reason: "fast enough", elapsed: time.Second, received: slowRate, want: false},
		"JustCame":   {reason: "everybody has a moment", elapsed: slowGrace, received: 0, want: false},
		"LongButHot": {reason: "it is a long body, and it comes", elapsed: 2 * time.Second, received: 2 * slowRate, want: false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			const size = 8 << 20
			m, clock := testMemory(size)
			var cut int
			var slow []*place
			for {
				p, ok := m.enter("a", 1<<20, func() { cut++ })
				if !ok {
					p.leave()
					break
				}
				slow = append(slow, p)
				if tc.received > 0 {
					p.grow(tc.received)
				}
			}
			clock.pass(tc.elapsed)
			next, ok := m.enter("a", 1<<20, func() { t.Error("the new one is cut off") })
			if ok != tc.want || cut > 0 != tc.want {
				t.Errorf("%s: the next one gets in: %v, and %d are cut off; want %v", tc.reason, ok, cut, tc.want)
			}
			if cut > 1 {
				t.Errorf("%s: %d are cut off, want no more than need be", tc.reason, cut)
			}
			var told int
			for _, p := range slow {
				if p.done() {
					told++
				}
			}
			if told != cut {
				t.Errorf("%s: %d of them know that they were cut off, want %d", tc.reason, told, cut)
			}
			leaveAll(m, size, t, slow, []*place{next})
		})
	}
}

// TestMemorySparesOthers sees that only the trigger's own senders make room, and of those only ones that still send.
func TestMemorySparesOthers(t *testing.T) {
	const size = 2 << 20
	m, clock := testMemory(size)
	other, ok := m.enter("other", 100<<10, func() { t.Error("another trigger's sender is cut off") })
	if !ok {
		t.Fatal("there is no room")
	}
	verified, ok := m.enter("a", 600<<10, func() { t.Error("a request whose body is read is cut off") })
	if !ok {
		t.Fatal("there is no room")
	}
	verified.done()
	clock.pass(time.Minute)
	p, ok := m.enter("a", 1<<20, func() {})
	if ok {
		t.Error("there is room for more than the share")
	}
	leaveAll(m, size, t, []*place{other, verified, p})
}

// TestMemoryUnknownLength reads bodies whose length is not announced.
func TestMemoryUnknownLength(t *testing.T) {
	tests := map[string]struct {
		reason string
		size   int64
		length int
		want   error
	}{
		"Empty":  {reason: "nothing", size: 1 << 20, length: 0},
		"Small":  {reason: "what is set aside is enough", size: unknownBody + requestBytes, length: unknownBody},
		"Large":  {reason: "more is taken as it comes", size: 4 << 20, length: 1 << 20},
		"NoRoom": {reason: "there is no more", size: 256 << 10, length: 1 << 20, want: shortOfMemory},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m, _ := testMemory(tc.size)
			p, ok := m.enter("a", -1, func() {})
			if !ok {
				t.Fatalf("%s: there is no room", tc.reason)
			}
			body, err := io.ReadAll(p.reader(iotest.HalfReader(strings.NewReader(strings.Repeat("x", tc.length)))))
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", tc.reason, err, tc.want)
			}
			if held := m.held(tc.size); held < int64(len(body)) && err == nil || held > tc.size {
				t.Errorf("%s: %d are held for a body of %d", tc.reason, held, len(body))
			}
			leaveAll(m, tc.size, t, []*place{p})
		})
	}
}
