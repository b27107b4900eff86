/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
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
		p, ok := m.enter(namespaceOf(uid), uid, length, func() { t.Errorf("a place of %s is cut off", uid) })
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
	if m.free != size || len(m.triggers)+len(m.tenants) != 0 {
		t.Errorf("%d of %d are free, %d triggers and %d namespaces are kept; want all and none", m.free, size, len(m.triggers), len(m.tenants))
	}
}

// read takes places and reads bodies of that length into them, until there is no room for another.
func read(t *testing.T, m *memory, uid string, length int64) (places []*place) {
	t.Helper()
	for {
		p, ok := m.enter(namespaceOf(uid), uid, length, func() { t.Errorf("a place of %s is cut off", uid) })
		if !ok || !p.grow(length) {
			p.leave()
			return places
		}
		p.done()
		if places = append(places, p); len(places) > 10_000 {
			t.Fatal("there is no end to it")
		}
	}
}

// TestMemoryShares has triggers take all that they can get, one after the other.
func TestMemoryShares(t *testing.T) {
	const length = smallRequest // more than small, with what is added
	const size = 1200 * (length + requestBytes + firstBody)
	m, _ := testMemory(size)
	var groups [][]*place
	for i, want := range []int{600, 300, 150, 75} { // half of what the ones before have left
		places := read(t, m, fmt.Sprint(i), length)
		groups = append(groups, places)
		if len(places) < want-1 || len(places) > want {
			t.Errorf("trigger %d has %d places, want %d", i, len(places), want)
		}
	}
	leaveAll(m, size, t, groups...)
}

// TestMemoryKeepsRoomForSmall has a trigger flooded with large bodies. Its real sender, whose bodies are small, gets in.
func TestMemoryKeepsRoomForSmall(t *testing.T) {
	const size = 32 << 20
	m, _ := testMemory(size)
	large := read(t, m, "a", 1<<20)
	if len(large) != 15 {
		t.Errorf("there is room for %d large bodies of one trigger, want 15", len(large))
	}
	small := read(t, m, "a", 1<<10)
	if len(small) < 100 {
		t.Errorf("there is room for %d small ones beside them, want hundreds", len(small))
	}
	other := read(t, m, "b", 1<<20)
	if len(other) < 3 {
		t.Errorf("there is room for %d large bodies of another trigger, want some", len(other))
	}
	leaveAll(m, size, t, large, small, other)
}

// TestMemoryOneAlone sees that a trigger that holds nothing gets all that there is for one request.
func TestMemoryOneAlone(t *testing.T) {
	const size = 1<<20 + requestBytes
	m, _ := testMemory(size)
	p, ok := m.enter(namespaceOf("a"), "a", 1<<20, func() {})
	for n := 0; ok && n < 1<<20; n += 1000 {
		ok = p.grow(min(1000, 1<<20-int64(n)))
	}
	if !ok {
		t.Fatal("there is no room for one body of the greatest length")
	}
	second, ok := m.enter(namespaceOf("b"), "b", 0, func() {})
	if ok {
		t.Error("there is room where nothing is free")
	}
	second.leave()
	leaveAll(m, size, t, []*place{p})
}

// TestMemoryAnnouncesNothing sees that the length that a sender announces takes no room.
func TestMemoryAnnouncesNothing(t *testing.T) {
	const size = 32 << 20
	m, _ := testMemory(size)
	silent := fill(t, m, "a", 1<<20)
	if len(silent) < 400 {
		t.Errorf("there is room for %d that announce a long body and send nothing, want hundreds", len(silent))
	}
	leaveAll(m, size, t, silent)
}

// TestMemoryCutsOffSlowSenders has a trigger whose share is held by senders that trickle.
func TestMemoryCutsOffSlowSenders(t *testing.T) {
	tests := map[string]struct {
		reason  string
		elapsed time.Duration
		rate    int64 // bytes a second
		want    bool
	}{
		"Silent":   {reason: "nothing has come for a second", elapsed: time.Second, rate: 0, want: true},
		"Trickles": {reason: "it would take for ever", elapsed: time.Second, rate: 1000, want: true},
		"TooSlow":  {reason: "just too slow", elapsed: time.Second, rate: slowRate - 1, want: true},
		"AtRate":   {reason: "fast enough", elapsed: time.Second, rate: slowRate, want: false},
		"JustCame": {reason: "everybody has a moment", elapsed: slowGrace, rate: 0, want: false},
		"Hurries":  {reason: "it is a long body, and it comes", elapsed: 2 * time.Second, rate: 10 * slowRate, want: false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			const size = 8 << 20
			m, clock := testMemory(size)
			var cut int
			var slow []*place
			for {
				p, ok := m.enter(namespaceOf("a"), "a", 1<<20, func() { cut++ })
				if received := int64(float64(tc.rate) * tc.elapsed.Seconds()); !ok || received > 0 && !p.grow(received) {
					p.leave()
					break
				}
				slow = append(slow, p)
			}
			clock.pass(tc.elapsed)
			next, ok := m.enter(namespaceOf("a"), "a", 1<<20, func() { t.Error("the new one is cut off") })
			for n := 0; ok && n < 16; n++ {
				ok = next.grow(64 << 10)
			}
			if ok != tc.want || cut > 0 != tc.want {
				t.Errorf("%s: the next one gets in: %v, and %d are cut off; want %v", tc.reason, ok, cut, tc.want)
			}
			var told int
			for _, p := range slow {
				if p.done() {
					told++
				}
			}
			if told != cut || cut > len(slow)*2/3 {
				t.Errorf("%s: %d of %d are cut off, %d of them know; want no more than need be, and all", tc.reason, cut, len(slow), told)
			}
			leaveAll(m, size, t, slow, []*place{next})
		})
	}
}

// TestMemoryCutsOffThoseWhoHoldMore has the slow senders of several triggers hold all that there is. A trigger that holds
// nothing gets room from them, and one that holds as much does not.
func TestMemoryCutsOffThoseWhoHoldMore(t *testing.T) {
	const size = 4 << 20
	m, clock := testMemory(size)
	cut := map[string]int{}
	var places []*place
	for i := range 1000 { // each may have what is left, and so all is taken in the end
		uid := fmt.Sprint(i % 40)
		p, ok := m.enter(namespaceOf(uid), uid, firstBody, func() { cut[uid]++ })
		if !ok {
			p.leave()
			continue
		}
		places = append(places, p)
	}
	if m.free > 64<<10 {
		t.Fatalf("%d are free, want next to nothing", m.free)
	}
	clock.pass(time.Second)
	small, ok := m.enter(namespaceOf("new"), "new", 48<<10, func() {})
	if ok = ok && small.grow(48<<10); !ok || len(cut) == 0 {
		t.Errorf("a trigger that holds nothing gets in: %v, and the slow ones of %d triggers were cut off", ok, len(cut))
	}
	if cut["new"] > 0 {
		t.Error("its own request was cut off")
	}
	leaveAll(m, size, t, places, []*place{small})
}

// TestMemorySparesOthers sees that senders of triggers that hold less need not go, nor requests whose bodies are read.
func TestMemorySparesOthers(t *testing.T) {
	const size = 2 << 20
	m, clock := testMemory(size)
	other, ok := m.enter(namespaceOf("other"), "other", 100<<10, func() { t.Error("a sender of a trigger that holds less is cut off") })
	if !ok || !other.grow(10<<10) {
		t.Fatal("there is no room")
	}
	verified, ok := m.enter(namespaceOf("a"), "a", 600<<10, func() { t.Error("a request whose body is read is cut off") })
	if !ok || !verified.grow(600<<10) {
		t.Fatal("there is no room")
	}
	verified.done()
	clock.pass(time.Minute)
	p, ok := m.enter(namespaceOf("a"), "a", 1<<20, func() {})
	if ok && p.grow(1<<20) {
		t.Error("there is room for more than the share")
	}
	leaveAll(m, size, t, []*place{other, verified, p})
}

// TestMemoryReads reads bodies whose length is or is not announced.
func TestMemoryReads(t *testing.T) {
	tests := map[string]struct {
		reason string
		size   int64
		length int
		want   error
	}{
		"Empty":  {reason: "nothing", size: 1 << 20, length: 0},
		"Small":  {reason: "what is set aside is enough", size: firstBody + requestBytes, length: firstBody},
		"Large":  {reason: "more is taken as it comes", size: 4 << 20, length: 1 << 20},
		"Whole":  {reason: "one may have all", size: 1<<20 + requestBytes, length: 1 << 20},
		"NoRoom": {reason: "there is no more", size: 256 << 10, length: 1 << 20, want: shortOfMemory},
	}
	for name, tc := range tests {
		for announced, length := range map[string]int64{"announced": int64(tc.length), "unknown": -1} {
			t.Run(name+" "+announced, func(t *testing.T) {
				m, _ := testMemory(tc.size)
				p, ok := m.enter(namespaceOf("a"), "a", length, func() {})
				if !ok {
					if tc.want == nil || length < 0 {
						t.Errorf("%s: there is no room", tc.reason)
					}
					leaveAll(m, tc.size, t, []*place{p})
					return
				}
				body, err := io.ReadAll(p.reader(iotest.HalfReader(strings.NewReader(strings.Repeat("x", tc.length))), nil))
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
}

// knowsSeveral lets the memory know that there are several namespaces.
func knowsSeveral(m *memory) {
	for _, uid := range []string{"many/0", "other/a"} {
		p, _ := m.enter(namespaceOf(uid), uid, 0, func() {})
		p.leave()
	}
}

// TestMemoryNamespaces has a namespace with a hundred triggers take all that it can get. It is what one with one trigger can get,
// and others have room. Within a namespace, the second trigger has some as well.
func TestMemoryNamespaces(t *testing.T) {
	const size = 32 << 20
	for name, tc := range map[string]struct {
		reason   string
		length   int64
		triggers int
		part     float64 // that one namespace can get
	}{
		"Large":    {reason: "as much as is left free", length: 1 << 20, triggers: 100, part: 0.5},
		"Small":    {reason: "three times as much", length: 1 << 10, triggers: 100, part: 0.75},
		"OneLarge": {reason: "one trigger leaves some to others of its namespace", length: 1 << 20, triggers: 1, part: 1. / 3},
		"OneSmall": {reason: "one trigger leaves some to others of its namespace", length: 1 << 10, triggers: 1, part: 9. / 13},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := testMemory(size)
			knowsSeveral(m)
			var many, calm []*place
			for i := range tc.triggers {
				many = append(many, read(t, m, fmt.Sprintf("many/%d", i), tc.length)...)
			}
			held := float64(m.held(size)) / size
			if held > tc.part || held < tc.part-0.05 {
				t.Errorf("%s: they hold %.2f, want %.2f", tc.reason, held, tc.part)
			}
			if tc.triggers == 1 {
				if calm = read(t, m, "many/calm", tc.length); len(calm) == 0 {
					t.Errorf("%s: there is no room for another trigger of the namespace", tc.reason)
				}
			}
			other := read(t, m, "other/a", tc.length)
			if least := int(float64(size-m.free) / 8 / float64(tc.length+requestBytes)); len(other) < least || len(other) == 0 {
				t.Errorf("%s: there is room for %d of another namespace, want at least %d", tc.reason, len(other), least)
			}
			leaveAll(m, size, t, many, calm, other)
		})
	}
}

// TestMemoryOneNamespace sees that a single namespace may have all there is, by many triggers.
func TestMemoryOneNamespace(t *testing.T) {
	const size = 32 << 20
	m, _ := testMemory(size)
	var many []*place
	for i := range 100 {
		many = append(many, read(t, m, fmt.Sprintf("many/%d", i), 1<<20)...)
	}
	if held := m.held(size); held < size-(2<<20) {
		t.Errorf("they hold %d of %d, want nearly all", held, size)
	}
	leaveAll(m, size, t, many)
}

// TestMemoryCutsOffNamespaces has the slow senders of a namespace hold all that there is, each trigger a little. Another namespace gets
// room from them.
func TestMemoryCutsOffNamespaces(t *testing.T) {
	const size = 4 << 20
	m, clock := testMemory(size)
	var places []*place
	cut := 0
	for i := range 1000 {
		p, ok := m.enter("many", fmt.Sprintf("many/%d", i), firstBody, func() { cut++ })
		if !ok {
			p.leave()
			break
		}
		places = append(places, p)
	}
	clock.pass(time.Second)
	p, ok := m.enter("other", "other/a", 48<<10, func() { t.Error("its own request was cut off") })
	if ok = ok && p.grow(48<<10); !ok || cut == 0 {
		t.Errorf("a namespace that holds nothing gets in: %v, and %d of another were cut off", ok, cut)
	}
	leaveAll(m, size, t, places, []*place{p})
}

// TestMemoryInvariants lets anything happen: what is held adds up, and nobody is cut off whose body comes.
func TestMemoryInvariants(t *testing.T) {
	const size = 4 << 20
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that can be repeated
		m, clock := testMemory(size)
		var open []*place
		cut := 0
		for range 3000 {
			clock.pass(time.Duration(random.IntN(10)) * time.Millisecond)
			switch {
			case len(open) == 0 || random.IntN(3) > 0:
				namespace := string("aab"[random.IntN(3)])
				p, ok := m.enter(namespace, fmt.Sprintf("%s/%d", namespace, random.IntN(30)), random.Int64N(100<<10), nil)
				if !ok {
					p.leave()
					continue
				}
				p.stop = func() {
					cut++
					if !p.slow(clock.now()) {
						t.Errorf("seed %d: one was cut off whose body comes", seed)
					}
				}
				open = append(open, p)
			default:
				i := random.IntN(len(open))
				p := open[i]
				if random.IntN(2) == 0 && p.grow(random.Int64N(64<<10)) {
					continue
				}
				p.leave()
				open = slices.Delete(open, i, i+1)
			}
			var held, tenants int64
			for _, p := range open {
				held += p.held
			}
			for _, tenant := range m.tenants {
				tenants += tenant.held
			}
			if m.free < 0 || m.free+held != size || held != tenants {
				t.Fatalf("seed %d: %d are free, %d held, %d by namespaces, of %d", seed, m.free, held, tenants, size)
			}
		}
		if cut == 0 {
			t.Errorf("seed %d: nobody was cut off: there is too much room", seed)
		}
		leaveAll(m, size, t, open)
	}
}
