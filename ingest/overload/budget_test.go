/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

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

func testBudget(size int64) (*Budget, *fakeClock) {
	c := &fakeClock{time: time.Unix(1_800_000_000, 0)}
	return NewBudget(size, c.now), c
}

// fill takes places for bodies of that length until there are no more.
func fill(t *testing.T, m *Budget, uid string, length int64) (places []*Reservation) {
	t.Helper()
	for {
		p, ok := m.Reserve(tenant(uid), length, func() { t.Errorf("a place of %s is cut off", uid) })
		if !ok {
			p.Release()
			return places
		}
		p.Done()
		if places = append(places, p); len(places) > 10_000 {
			t.Fatal("there is no end to it")
		}
	}
}

func leaveAll(m *Budget, size int64, t *testing.T, groups ...[]*Reservation) {
	t.Helper()
	for _, places := range groups {
		for _, p := range places {
			p.Release()
		}
	}
	if m.free != size || len(m.triggers)+len(m.namespaces) != 0 {
		t.Errorf("%d of %d are free, %d triggers and %d namespaces are kept; want all and none", m.free, size, len(m.triggers), len(m.namespaces))
	}
}

// read takes places and reads bodies of that length into them, until there is no room for another.
func read(t *testing.T, m *Budget, uid string, length int64) (places []*Reservation) {
	t.Helper()
	for {
		p, ok := m.Reserve(tenant(uid), length, func() { t.Errorf("a place of %s is cut off", uid) })
		if !ok || !p.grow(length) {
			p.Release()
			return places
		}
		p.Done()
		if places = append(places, p); len(places) > 10_000 {
			t.Fatal("there is no end to it")
		}
	}
}

// TestBudgetShares has triggers take all that they can get, one after the other.
func TestBudgetShares(t *testing.T) {
	const length = smallRequest // more than small, with what is added
	const size = 1200 * (length + RequestOverhead + firstBody)
	m, _ := testBudget(size)
	var groups [][]*Reservation
	for i, want := range []int{600, 300, 150, 75} { // half of what the ones before have left
		places := read(t, m, fmt.Sprint(i), length)
		groups = append(groups, places)
		if len(places) < want-1 || len(places) > want {
			t.Errorf("trigger %d has %d places, want %d", i, len(places), want)
		}
	}
	leaveAll(m, size, t, groups...)
}

// TestBudgetKeepsRoomForSmall has a trigger flooded with large bodies. Its real sender, whose
// bodies are small, gets in.
func TestBudgetKeepsRoomForSmall(t *testing.T) {
	const size = 32 << 20
	m, _ := testBudget(size)
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

// TestBudgetOneAlone sees that a trigger that holds nothing gets all that there is for one request.
func TestBudgetOneAlone(t *testing.T) {
	const size = 1<<20 + RequestOverhead
	m, _ := testBudget(size)
	p, ok := m.Reserve(tenant("a"), 1<<20, func() {})
	for n := 0; ok && n < 1<<20; n += 1000 {
		ok = p.grow(min(1000, 1<<20-int64(n)))
	}
	if !ok {
		t.Fatal("there is no room for one body of the greatest length")
	}
	second, ok := m.Reserve(tenant("b"), 0, func() {})
	if ok {
		t.Error("there is room where nothing is free")
	}
	second.Release()
	leaveAll(m, size, t, []*Reservation{p})
}

// TestBudgetAnnouncesNothing sees that the length that a sender announces takes no room.
func TestBudgetAnnouncesNothing(t *testing.T) {
	const size = 32 << 20
	m, _ := testBudget(size)
	silent := fill(t, m, "a", 1<<20)
	if len(silent) < 400 {
		t.Errorf("there is room for %d that announce a long body and send nothing, want hundreds", len(silent))
	}
	leaveAll(m, size, t, silent)
}

// TestBudgetCutsOffSlowSenders has a trigger whose share is held by senders that trickle.
func TestBudgetCutsOffSlowSenders(t *testing.T) {
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
			m, clock := testBudget(size)
			var cut int
			var slow []*Reservation
			for {
				p, ok := m.Reserve(tenant("a"), 1<<20, func() { cut++ })
				if received := int64(float64(tc.rate) * tc.elapsed.Seconds()); !ok || received > 0 && !p.grow(received) {
					p.Release()
					break
				}
				slow = append(slow, p)
			}
			clock.pass(tc.elapsed)
			next, ok := m.Reserve(tenant("a"), 1<<20, func() { t.Error("the new one is cut off") })
			for n := 0; ok && n < 16; n++ {
				ok = next.grow(64 << 10)
			}
			if ok != tc.want || cut > 0 != tc.want {
				t.Errorf("%s: the next one gets in: %v, and %d are cut off; want %v", tc.reason, ok, cut, tc.want)
			}
			var told int
			for _, p := range slow {
				if p.Done() {
					told++
				}
			}
			if told != cut || cut > len(slow)*2/3 {
				t.Errorf("%s: %d of %d are cut off, %d of them know; want no more than need be, and all", tc.reason, cut, len(slow), told)
			}
			leaveAll(m, size, t, slow, []*Reservation{next})
		})
	}
}

// TestBudgetCutsOffThoseWhoHoldMore has the slow senders of several triggers hold all that there
// is. A trigger that holds nothing gets room from them, and one that holds as much does not.
func TestBudgetCutsOffThoseWhoHoldMore(t *testing.T) {
	const size = 4 << 20
	m, clock := testBudget(size)
	cut := map[string]int{}
	var places []*Reservation
	for i := range 1000 { // each may have what is left, and so all is taken in the end
		uid := fmt.Sprint(i % 40)
		p, ok := m.Reserve(tenant(uid), firstBody, func() { cut[uid]++ })
		if !ok {
			p.Release()
			continue
		}
		places = append(places, p)
	}
	if m.free > 64<<10 {
		t.Fatalf("%d are free, want next to nothing", m.free)
	}
	clock.pass(time.Second)
	small, ok := m.Reserve(tenant("new"), 48<<10, func() {})
	if ok = ok && small.grow(48<<10); !ok || len(cut) == 0 {
		t.Errorf("a trigger that holds nothing gets in: %v, and the slow ones of %d triggers were cut off", ok, len(cut))
	}
	if cut["new"] > 0 {
		t.Error("its own request was cut off")
	}
	leaveAll(m, size, t, places, []*Reservation{small})
}

// TestBudgetSparesOthers sees that senders of triggers that hold less need not go, nor requests
// whose bodies are read.
func TestBudgetSparesOthers(t *testing.T) {
	const size = 2 << 20
	m, clock := testBudget(size)
	other, ok := m.Reserve(tenant("other"), 100<<10, func() { t.Error("a sender of a trigger that holds less is cut off") })
	if !ok || !other.grow(10<<10) {
		t.Fatal("there is no room")
	}
	verified, ok := m.Reserve(tenant("a"), 600<<10, func() { t.Error("a request whose body is read is cut off") })
	if !ok || !verified.grow(600<<10) {
		t.Fatal("there is no room")
	}
	verified.Done()
	clock.pass(time.Minute)
	p, ok := m.Reserve(tenant("a"), 1<<20, func() {})
	if ok && p.grow(1<<20) {
		t.Error("there is room for more than the share")
	}
	leaveAll(m, size, t, []*Reservation{other, verified, p})
}

// TestBudgetReads reads bodies whose length is or is not announced.
func TestBudgetReads(t *testing.T) {
	tests := map[string]struct {
		reason string
		size   int64
		length int
		want   error
	}{
		"Empty":  {reason: "nothing", size: 1 << 20, length: 0},
		"Small":  {reason: "what is set aside is enough", size: firstBody + RequestOverhead, length: firstBody},
		"Large":  {reason: "more is taken as it comes", size: 4 << 20, length: 1 << 20},
		"Whole":  {reason: "one may have all", size: 1<<20 + RequestOverhead, length: 1 << 20},
		"NoRoom": {reason: "there is no more", size: 256 << 10, length: 1 << 20, want: Memory},
	}
	for name, tc := range tests {
		for announced, length := range map[string]int64{"announced": int64(tc.length), "unknown": -1} {
			t.Run(name+" "+announced, func(t *testing.T) {
				m, _ := testBudget(tc.size)
				p, ok := m.Reserve(tenant("a"), length, func() {})
				if !ok {
					if tc.want == nil || length < 0 {
						t.Errorf("%s: there is no room", tc.reason)
					}
					leaveAll(m, tc.size, t, []*Reservation{p})
					return
				}
				body, err := io.ReadAll(p.Reader(iotest.HalfReader(strings.NewReader(strings.Repeat("x", tc.length))), nil))
				if !errors.Is(err, tc.want) {
					t.Errorf("%s: %v, want %v", tc.reason, err, tc.want)
				}
				if held := m.Held(); held < int64(len(body)) && err == nil || held > tc.size {
					t.Errorf("%s: %d are held for a body of %d", tc.reason, held, len(body))
				}
				leaveAll(m, tc.size, t, []*Reservation{p})
			})
		}
	}
}

// knowsSeveral lets the memory know that there are several namespaces.
func knowsSeveral(m *Budget) {
	for _, uid := range []string{"many/0", "other/a"} {
		p, _ := m.Reserve(tenant(uid), 0, func() {})
		p.Release()
	}
}

// TestBudgetNamespaces has a namespace with a hundred triggers take all that it can get. It is what
// one with one trigger can get, and others have room. Within a namespace, the second trigger has
// some as well.
func TestBudgetNamespaces(t *testing.T) {
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
			m, _ := testBudget(size)
			knowsSeveral(m)
			var many, calm []*Reservation
			for i := range tc.triggers {
				many = append(many, read(t, m, fmt.Sprintf("many/%d", i), tc.length)...)
			}
			held := float64(m.Held()) / size
			if held > tc.part || held < tc.part-0.05 {
				t.Errorf("%s: they hold %.2f, want %.2f", tc.reason, held, tc.part)
			}
			if tc.triggers == 1 {
				if calm = read(t, m, "many/calm", tc.length); len(calm) == 0 {
					t.Errorf("%s: there is no room for another trigger of the namespace", tc.reason)
				}
			}
			other := read(t, m, "other/a", tc.length)
			if least := int(float64(size-m.free) / 8 / float64(tc.length+RequestOverhead)); len(other) < least || len(other) == 0 {
				t.Errorf("%s: there is room for %d of another namespace, want at least %d", tc.reason, len(other), least)
			}
			leaveAll(m, size, t, many, calm, other)
		})
	}
}

// TestBudgetOneNamespace sees that a single namespace may have all there is, by many triggers.
func TestBudgetOneNamespace(t *testing.T) {
	const size = 32 << 20
	m, _ := testBudget(size)
	var many []*Reservation
	for i := range 100 {
		many = append(many, read(t, m, fmt.Sprintf("many/%d", i), 1<<20)...)
	}
	if held := m.Held(); held < size-(2<<20) {
		t.Errorf("they hold %d of %d, want nearly all", held, size)
	}
	leaveAll(m, size, t, many)
}

// TestBudgetCutsOffNamespaces has the slow senders of a namespace hold all that there is, each
// trigger a little. Another namespace gets room from them.
func TestBudgetCutsOffNamespaces(t *testing.T) {
	const size = 4 << 20
	m, clock := testBudget(size)
	var places []*Reservation
	cut := 0
	for i := range 1000 {
		p, ok := m.Reserve(tenant(fmt.Sprintf("many/%d", i)), firstBody, func() { cut++ })
		if !ok {
			p.Release()
			break
		}
		places = append(places, p)
	}
	clock.pass(time.Second)
	p, ok := m.Reserve(tenant("other/a"), 48<<10, func() { t.Error("its own request was cut off") })
	if ok = ok && p.grow(48<<10); !ok || cut == 0 {
		t.Errorf("a namespace that holds nothing gets in: %v, and %d of another were cut off", ok, cut)
	}
	leaveAll(m, size, t, places, []*Reservation{p})
}

// TestBudgetInvariants lets anything happen: what is held adds up, and nobody is cut off whose body
// comes.
func TestBudgetInvariants(t *testing.T) {
	const size = 4 << 20
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that can be repeated
		m, clock := testBudget(size)
		var open []*Reservation
		cut := 0
		for range 3000 {
			clock.pass(time.Duration(random.IntN(10)) * time.Millisecond)
			switch {
			case len(open) == 0 || random.IntN(3) > 0:
				namespace := string("aab"[random.IntN(3)])
				p, ok := m.Reserve(tenant(fmt.Sprintf("%s/%d", namespace, random.IntN(30))), random.Int64N(100<<10), nil)
				if !ok {
					p.Release()
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
				p.Release()
				open = slices.Delete(open, i, i+1)
			}
			var held, tenants int64
			for _, p := range open {
				held += p.held
			}
			for _, tenant := range m.namespaces {
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
