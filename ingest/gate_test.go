/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testTarget  = 500 * time.Millisecond
	testMaxWait = time.Second
)

func testGate(most int) *gate {
	return newGate(gateLimits{most: most, target: testTarget, maxWait: testMaxWait}, time.Now)
}

// namespaceOf returns the namespace of a trigger: what stands before a slash, or else one that they all have.
func namespaceOf(uid string) string {
	namespace, _, ok := strings.Cut(uid, "/")
	if !ok {
		return "shop"
	}
	return namespace
}

// mustEnter enters where nothing can be in the way.
func mustEnter(t *testing.T, g *gate, uid string) *pass {
	t.Helper()
	p, short, _ := g.enter(t.Context(), namespaceOf(uid), uid, 0)
	if short != "" {
		t.Fatalf("%s is turned away for want of %q", uid, short)
	}
	return p
}

// empty fails the test if something is left behind.
func (g *gate) empty(t *testing.T) {
	t.Helper()
	if g.running != 0 || g.waiting != 0 || len(g.tenants) != 0 || len(g.triggers) != 0 || len(g.turns) != 0 {
		t.Errorf("%d are running, %d waiting; %d namespaces, %d triggers and %d turns are kept, want none", g.running, g.waiting, len(g.tenants), len(g.triggers), len(g.turns))
	}
}

// server stands for an API server that can work on so many creates at a time, each taking so long by itself.
type server struct {
	atOnce chan struct{}
	takes  time.Duration
	health func() health
}

// load sends requests of the triggers, each at its rate a second, for so long, and returns how many got through and the longest
// that one of them took.
func load(t *testing.T, g *gate, s server, rates map[string]int, length time.Duration) (stored map[string]int, longest time.Duration) {
	t.Helper()
	stored = map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for uid, rate := range rates {
		wg.Go(func() {
			for range int(length.Seconds() * float64(rate)) {
				time.Sleep(time.Second / time.Duration(rate)) //nolint:forbidigo // the clock of the bubble
				wg.Go(func() {
					begin := time.Now()
					p, short, _ := g.enter(t.Context(), namespaceOf(uid), uid, 0)
					if short != "" {
						return
					}
					s.atOnce <- struct{}{}
					time.Sleep(s.takes) //nolint:forbidigo // the clock of the bubble
					<-s.atOnce
					health := answering
					if s.health != nil {
						health = s.health()
					}
					g.leave(p, health, 0)
					if health != answering {
						return
					}
					mu.Lock()
					defer mu.Unlock()
					stored[uid]++
					longest = max(longest, time.Since(begin))
				})
			}
		})
	}
	wg.Wait()
	return stored, longest
}

// TestGateAdapts overloads API servers of different speed, none of which the gate is told about.
func TestGateAdapts(t *testing.T) {
	tests := map[string]struct {
		reason         string
		atOnce, takes  int // ms
		rate           int
		least          float64 // of what the server can do
		limitAtLeast   int
		limitNoGreater int
	}{
		"Usual":   {reason: "the limit has to grow from where it begins", atOnce: 4, takes: 24, rate: 3000, least: 0.95, limitAtLeast: 30, limitNoGreater: 160},
		"Fast":    {reason: "the limit has to grow far", atOnce: 100, takes: 50, rate: 10000, least: 0.95, limitAtLeast: 120, limitNoGreater: 256},
		"Slow":    {reason: "the limit has to shrink", atOnce: 2, takes: 200, rate: 200, least: 0.9, limitAtLeast: 4, limitNoGreater: 9},
		"Slowest": {reason: "there is a least number, and with it each create takes longer than the target", atOnce: 1, takes: 200, rate: 100, least: 0.9, limitAtLeast: 4, limitNoGreater: 6},
		"Idle":    {reason: "where nobody waits there is no need to grow", atOnce: 4, takes: 12, rate: 20, least: 0, limitAtLeast: firstCreates, limitNoGreater: firstCreates},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(256)
				s := server{atOnce: make(chan struct{}, tc.atOnce), takes: time.Duration(tc.takes) * time.Millisecond}
				load(t, g, s, map[string]int{"a": tc.rate}, 10*time.Second)
				limit := int(g.limit)
				stored, longest := load(t, g, s, map[string]int{"a": tc.rate}, 10*time.Second)
				can := float64(tc.atOnce) / float64(tc.takes) * 10_000
				if got := float64(stored["a"]) / can; got < tc.least {
					t.Errorf("%s: %d stored, %.2f of what the server can do, want at least %.2f", tc.reason, stored["a"], got, tc.least)
				}
				if limit < tc.limitAtLeast || limit > tc.limitNoGreater {
					t.Errorf("%s: the limit is %d, want %d to %d", tc.reason, limit, tc.limitAtLeast, tc.limitNoGreater)
				}
				if want := int(can / 10 * testMaxWait.Seconds() / 3); tc.rate > int(can)/10 && g.places() < want {
					t.Errorf("%s: %d may wait, want at least %d, who have a chance", tc.reason, g.places(), want)
				}
				// What waits is bounded in time, and what runs by the target, give or take a window.
				if bound := testMaxWait + 3*testTarget; longest > bound {
					t.Errorf("%s: one took %s, want at most %s", tc.reason, longest, bound)
				}
				g.empty(t)
			})
		})
	}
}

// TestBurst has many senders at once, and an API server that is slow at first, as while connections to it are made: all are through
// before one has waited for too long, so none is turned away.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 256
		g := testGate(256)
		begin := time.Now()
		atOnce := make(chan struct{}, 4)
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for range 2 {
					p, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 0)
					if short != "" {
						t.Errorf("after %s, a request is turned away for want of %q", time.Since(begin), short)
						return
					}
					atOnce <- struct{}{}
					takes := 5 * time.Millisecond
					if time.Since(begin) < createWindow {
						takes *= 8
					}
					time.Sleep(takes) //nolint:forbidigo // the clock of the bubble
					<-atOnce
					g.leave(p, answering, 0)
				}
			})
		}
		wg.Wait()
		g.empty(t)
	})
}

// TestGateTurns sees that a trigger with few requests gets all of them through beside one with far too many.
func TestGateTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(256)
		s := server{atOnce: make(chan struct{}, 4), takes: 12 * time.Millisecond} // 333 a second
		stored, _ := load(t, g, s, map[string]int{"flood": 3000, "calm": 20, "other": 20}, 10*time.Second)
		if stored["calm"] != 200 || stored["other"] != 200 {
			t.Errorf("stored %v, want all 200 of calm and of other", stored)
		}
		if stored["flood"] < 2500 {
			t.Errorf("stored %v, want flood to have the rest, about 2900", stored)
		}
		g.empty(t)
	})
}

// triggersOf makes rates of so many triggers of a namespace, which come to that many requests a second.
func triggersOf(namespace string, triggers, rate int) map[string]int {
	rates := map[string]int{}
	for i := range triggers {
		rates[fmt.Sprintf("%s/%d", namespace, i)] = rate / triggers
	}
	return rates
}

func sum(stored map[string]int, namespace string) (n int) {
	for uid, count := range stored {
		if namespaceOf(uid) == namespace {
			n += count
		}
	}
	return n
}

// TestGateNamespaces has a namespace with a hundred triggers, all of which want more than there is. It has the turns of one
// namespace; and within each, triggers take turns.
func TestGateNamespaces(t *testing.T) {
	const can = 3330 // in 10 s
	tests := map[string]struct {
		reason string
		rates  map[string]int
		least  map[string]int // that are stored, of triggers or namespaces
		most   map[string]int
	}{
		"Calm": {
			reason: "what another namespace wants is less than its part",
			rates:  map[string]int{"calm/a": 60}, least: map[string]int{"calm/a": 600, "many": can * 7 / 10},
		},
		"Greedy": {
			reason: "a namespace with one trigger has as much as the one with many",
			rates:  map[string]int{"one/a": 1000}, least: map[string]int{"one/a": can * 4 / 10, "many": can * 4 / 10}, most: map[string]int{"one/a": can * 6 / 10},
		},
		"Within": {
			reason: "triggers of a namespace take turns in what it has",
			rates:  map[string]int{"two/greedy": 1000, "two/calm": 40}, least: map[string]int{"two/calm": 400, "two/greedy": can * 2 / 10, "many": can * 4 / 10},
		},
		"Three": {
			reason: "each of three has a third",
			rates:  map[string]int{"one/a": 1000, "two/a": 500, "two/b": 500}, least: map[string]int{"one": can * 27 / 100, "two": can * 27 / 100, "many": can * 27 / 100},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(256)
				rates := triggersOf("many", 100, 3000)
				maps.Copy(rates, tc.rates)
				stored, _ := load(t, g, server{atOnce: make(chan struct{}, 4), takes: 12 * time.Millisecond}, rates, 10*time.Second)
				count := func(what string) int {
					if n, ok := stored[what]; ok {
						return n
					}
					return sum(stored, what)
				}
				for what, least := range tc.least {
					if n := count(what); n < least {
						t.Errorf("%s: %d of %s are stored, want at least %d", tc.reason, n, what, least)
					}
				}
				for what, most := range tc.most {
					if n := count(what); n > most {
						t.Errorf("%s: %d of %s are stored, want at most %d", tc.reason, n, what, most)
					}
				}
				g.empty(t)
			})
		})
	}
}

// TestGateOneNamespace sees that a single namespace can use all there is, whichever number of triggers it has, and that they take turns.
func TestGateOneNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(256)
		rates := triggersOf("many", 99, 2970)
		rates["many/calm"] = 2
		stored, _ := load(t, g, server{atOnce: make(chan struct{}, 4), takes: 12 * time.Millisecond}, rates, 10*time.Second)
		if n := sum(stored, "many"); n < 3150 {
			t.Errorf("%d are stored, want at least 3150 of the 3333 that the server can do", n)
		}
		if n := stored["many/calm"]; n < 15 {
			t.Errorf("%d of the calm trigger are stored, want nearly all 20", n)
		}
		g.empty(t)
	})
	synctest.Test(t, func(t *testing.T) { // no create is kept free for others
		g := testGate(32)
		var passes []*pass
		for i := range 32 {
			passes = append(passes, mustEnter(t, g, fmt.Sprintf("many/%d", i)))
		}
		for _, p := range passes {
			g.leave(p, answering, 0)
		}
		g.empty(t)
	})
}

// TestGateOneTenantInTrouble has a trigger whose creates take as long as they may, for a webhook for instance, and perhaps fail.
// The other must not pay for it.
func TestGateOneTenantInTrouble(t *testing.T) {
	tests := map[string]struct {
		reason          string
		health          health
		troubled, other int // requests a second
		triggers        int // of the troubled namespace, if the other trigger is in another one
		least           float64
	}{
		"SlowFew":           {reason: "the majority is fast", health: answering, troubled: 5, other: 250, least: 0.96},
		"SlowMany":          {reason: "they must not have all creates", health: answering, troubled: 200, other: 20, least: 0.99},
		"FailingMany":       {reason: "the circuit opens for nobody else", health: failing, troubled: 200, other: 20, least: 0.99},
		"FailingTurns":      {reason: "the other comes only now and then", health: failing, troubled: 60, other: 2, least: 0.96},
		"SlowTriggers":      {reason: "a namespace must not have all creates, whatever number of triggers it has", health: answering, troubled: 200, triggers: 100, other: 20, least: 0.99},
		"FailingTriggers":   {reason: "the circuit opens for nobody else", health: failing, troubled: 200, triggers: 100, other: 20, least: 0.99},
		"FailingTurnsOfOne": {reason: "the other comes only now and then, and need not wait for all of the one's triggers to try", health: failing, troubled: 200, triggers: 100, other: 2, least: 0.96},
		"SlowNamespace":     {reason: "one trigger of another namespace", health: answering, troubled: 200, triggers: 1, other: 20, least: 0.99},
		"FailingNamespace":  {reason: "one trigger of another namespace", health: failing, troubled: 200, triggers: 1, other: 20, least: 0.99},
		"ThrottledMany":     {reason: "the API server turns away one alone", health: overloaded, troubled: 200, other: 20, least: 0.99},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(256)
				done := make(chan struct{})
				troubled, other := map[string]int{"troubled": tc.troubled}, "other"
				if tc.triggers > 0 {
					troubled, other = triggersOf("troubled", tc.triggers, tc.troubled), "other/a"
					for _, uid := range []string{"troubled/0", other} { // it is known that there are several namespaces
						g.leave(mustEnter(t, g, uid), answering, 0)
					}
				}
				go func() {
					defer close(done)
					s := server{atOnce: make(chan struct{}, 1000), takes: 1900 * time.Millisecond, health: func() health { return tc.health }}
					load(t, g, s, troubled, 30*time.Second)
				}()
				stored, _ := load(t, g, server{atOnce: make(chan struct{}, 4), takes: 12 * time.Millisecond}, map[string]int{other: tc.other}, 30*time.Second)
				<-done
				if got := float64(stored[other]) / float64(30*tc.other); got < tc.least {
					t.Errorf("%s: %d of %d of the other are stored", tc.reason, stored[other], 30*tc.other)
				}
				g.empty(t)
			})
		})
	}
}

// TestGateOverloaded has the API server turn creates away.
func TestGateOverloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(256)
		var n atomic.Int64
		load(t, g, server{atOnce: make(chan struct{}, 100), takes: 10 * time.Millisecond, health: func() health {
			if n.Add(1)%4 == 0 {
				return overloaded
			}
			return answering
		}}, map[string]int{"a": 2000}, 5*time.Second)
		if limit := int(g.limit); limit > 6 {
			t.Errorf("the limit is %d while a quarter is turned away, want the least", limit)
		}
		if g.circuit.open {
			t.Error("the circuit is open although creates succeed")
		}
	})
}

func TestGateConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(16)
		first, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 2)
		second, short2, _ := g.enter(t.Context(), namespaceOf("a"), "a", 2)
		if short != "" || short2 != "" {
			t.Fatalf("the first two are turned away: %q, %q", short, short2)
		}
		if _, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 2); short != overConcurrency {
			t.Errorf("the third gets %q, want %q", short, overConcurrency)
		}
		other := mustEnter(t, g, "b")
		g.leave(first, answering, 0)
		third, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 2)
		if short != "" {
			t.Fatalf("when one has left, the next is turned away: %q", short)
		}
		for _, p := range []*pass{second, third, other} {
			g.leave(p, answering, 0)
		}
		g.empty(t)
	})
}

// TestGateQueue fills the queue to the last place.
func TestGateQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(4)
		passes := make([]*pass, 4)
		for i := range passes {
			passes[i] = mustEnter(t, g, fmt.Sprint(i))
		}
		waitFor := func(uid string, n int) (results chan shortage) {
			results = make(chan shortage, n)
			for range n {
				go func() {
					p, short, _ := g.enter(t.Context(), namespaceOf(uid), uid, 0)
					if p != nil {
						g.leave(p, answering, 0)
					}
					results <- short
				}()
			}
			synctest.Wait()
			return results
		}
		// One trigger takes three quarters of the places.
		const most = burstQueue * 3 / 4
		flood := waitFor("flood", most)
		if short, _ := g.check(namespaceOf("flood"), "flood"); short != queueFull {
			t.Errorf("one more gets %q, want %q", short, queueFull)
		}
		if _, short, _ := g.enter(t.Context(), namespaceOf("flood"), "flood", 0); short != queueFull {
			t.Errorf("one more gets %q, want %q", short, queueFull)
		}
		if short, _ := g.check(namespaceOf("calm"), "calm"); short != "" {
			t.Errorf("another trigger gets %q, want a place", short)
		}
		calm := waitFor("calm", 2)
		for _, p := range passes {
			g.leave(p, answering, 0)
		}
		for range most {
			if short := <-flood; short != "" {
				t.Errorf("one that waited gets %q", short)
			}
		}
		for range 2 {
			if short := <-calm; short != "" {
				t.Errorf("one that waited gets %q", short)
			}
		}
		g.empty(t)
	})
}

// TestGateWaits sees that nobody waits longer than is of use, and that those who have gone leave nothing behind.
func TestGateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(1)
		p := mustEnter(t, g, "a")
		begin := time.Now()
		if _, short, _ := g.enter(t.Context(), namespaceOf("b"), "b", 0); short != queueSlow || time.Since(begin) != testMaxWait {
			t.Errorf("%q after %s, want %q after %s", short, time.Since(begin), queueSlow, testMaxWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), testMaxWait/2)
		defer cancel()
		begin = time.Now()
		if _, short, _ := g.enter(ctx, namespaceOf("b"), "b", 0); short != queueSlow || time.Since(begin) != testMaxWait/2 {
			t.Errorf("%q after %s, want %q when the context ends", short, time.Since(begin), queueSlow)
		}
		g.leave(p, answering, 0)
		g.empty(t)
	})
}

// TestGateOrder sees who is next: first come, first served within a trigger, and triggers in turn.
func TestGateOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(1)
		g.limit = 1
		p := mustEnter(t, g, "a")
		g.limits.most, g.limit = 16, 4 // more places to wait
		g.running += 3
		var order []string
		var wg sync.WaitGroup
		for _, who := range []string{"a1", "a2", "a3", "b1", "c1", "b2"} {
			wg.Go(func() {
				p, short, _ := g.enter(t.Context(), namespaceOf(who[:1]), who[:1], 0)
				if short != "" {
					t.Errorf("%s: %q", who, short)
					return
				}
				order = append(order, who) // one at a time: each lets the next one through
				g.leave(p, answering, 0)
			})
			synctest.Wait()
		}
		g.leave(p, answering, 0)
		wg.Wait()
		g.running -= 3
		if diff := cmp.Diff([]string{"a1", "b1", "c1", "a2", "b2", "a3"}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		g.empty(t)
	})
}

// fail makes creates fail until the circuit opens, and returns how many it took.
func fail(t *testing.T, g *gate, health health, retryAfter time.Duration) (count int) {
	t.Helper()
	for !g.state().open {
		p := mustEnter(t, g, "a")
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.leave(p, health, retryAfter)
		if count++; count > 1000 {
			t.Fatal("the circuit does not open")
		}
	}
	return count
}

// TestCircuit goes through an outage.
func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(64)
		g.leave(mustEnter(t, g, "a"), answering, 0)
		if n := fail(t, g, failing, 0); n != circuitFailures {
			t.Errorf("it took %d failures, want %d", n, circuitFailures)
		}
		// Nobody gets through, and nobody waits, before it is time to try.
		begin := time.Now()
		short, retryAfter := g.check(namespaceOf("a"), "a")
		if short != circuitOpen || retryAfter <= 0 || retryAfter > lastCircuitPause {
			t.Errorf("%q, retry after %s; want %q and a moment", short, retryAfter, circuitOpen)
		}
		if _, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 0); short != circuitOpen || time.Since(begin) != 0 {
			t.Errorf("%q after %s, want %q at once", short, time.Since(begin), circuitOpen)
		}
		var pauses []time.Duration
		for range 6 {
			begin := time.Now()
			for {
				if short, _ := g.check(namespaceOf("a"), "a"); short == "" {
					break
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			pauses = append(pauses, time.Since(begin))
			probe := mustEnter(t, g, "a")
			if _, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 0); short != circuitOpen {
				t.Errorf("while one tries, another gets %q, want %q", short, circuitOpen)
			}
			g.leave(probe, failing, 0)
		}
		if pauses[0] < firstCircuitPause/2 || pauses[0] > firstCircuitPause*3/2 || pauses[5] < lastCircuitPause/2 || pauses[5] > lastCircuitPause*3/2 || pauses[2] < pauses[0] {
			t.Errorf("pauses %v, want them to grow from about %s to about %s", pauses, firstCircuitPause, lastCircuitPause)
		}
		time.Sleep(2 * lastCircuitPause) //nolint:forbidigo // the clock of the bubble
		g.limit = 64
		g.leave(mustEnter(t, g, "a"), answering, 0)
		if s := g.state(); s.open || s.limit != minCreates {
			t.Errorf("after a success the circuit is open: %v, and the limit %d; want it closed, and %d", s.open, s.limit, minCreates)
		}
		g.empty(t)
	})
}

// TestBurstAfterPause has nobody send for a minute, and then many at once: what was before says nothing of how many may wait.
func TestBurstAfterPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(64)
		g.leave(mustEnter(t, g, "a"), answering, 0)
		time.Sleep(time.Minute) //nolint:forbidigo // the clock of the bubble
		var passes []*pass
		for range firstCreates * 3 / 4 { // as many as one trigger may have
			passes = append(passes, mustEnter(t, g, "a"))
		}
		var waiters sync.WaitGroup
		waiters.Go(func() {
			if p, short, _ := g.enter(t.Context(), namespaceOf("a"), "a", 0); short == "" {
				g.leave(p, answering, 0)
			}
		})
		synctest.Wait()
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.leave(passes[0], answering, 0)
		if n := g.places(); n != burstQueue {
			t.Errorf("%d may wait, want %d", n, burstQueue)
		}
		for _, p := range passes[1:] {
			g.leave(p, answering, 0)
		}
		waiters.Wait()
		g.empty(t)
	})
}

// TestCircuitAndRefusals has a tenant whose FlowRuns are refused before etcd is asked, while etcd is away: that neither keeps the
// circuit from opening nor closes it.
func TestCircuitAndRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(64)
		g.leave(mustEnter(t, g, "a"), answering, 0)
		time.Sleep(circuitPatience) //nolint:forbidigo // the clock of the bubble
		for range circuitFailures {
			g.leave(mustEnter(t, g, "refused"), refusing, 0)
			g.leave(mustEnter(t, g, "a"), failing, 0)
		}
		if !g.state().open {
			t.Fatal("the circuit is closed")
		}
		for range 5 {
			for {
				if short, _ := g.check(namespaceOf("refused"), "refused"); short == "" {
					break
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			g.leave(mustEnter(t, g, "refused"), refusing, 0)
			if !g.state().open {
				t.Fatal("a refusal has closed the circuit")
			}
		}
		time.Sleep(2 * lastCircuitPause) //nolint:forbidigo // the clock of the bubble
		g.leave(mustEnter(t, g, "a"), answering, 0)
		if g.state().open {
			t.Error("the circuit is open after a success")
		}
		g.empty(t)
	})
}

// TestCircuitDoesNotFlap has an API server that answers now and then: there is always hope, so the circuit stays closed. And one
// that fails again soon after the circuit was closed is tried less often than at first.
func TestCircuitDoesNotFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(64)
		for i := range 100 {
			p := mustEnter(t, g, "a")
			time.Sleep(50 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
			health := failing
			if i%15 == 0 {
				health = answering
			}
			g.leave(p, health, 0)
			if g.state().open {
				t.Fatalf("the circuit opens after %d creates, of which every 15th succeeds", i)
			}
		}
		fail(t, g, failing, 0)
		time.Sleep(lastCircuitPause) //nolint:forbidigo // the clock of the bubble
		g.leave(mustEnter(t, g, "a"), answering, 0)
		fail(t, g, failing, 0)
		if again := time.Until(g.circuit.until); again < 3*firstCircuitPause/2 { // the first one is shorter than 5/4
			t.Errorf("the second time the pause is %s, want it longer than the first", again)
		}
		time.Sleep(lastCircuitPause) //nolint:forbidigo // the clock of the bubble
		g.leave(mustEnter(t, g, "a"), answering, 0)
		time.Sleep(circuitCalm + time.Second) //nolint:forbidigo // the clock of the bubble
		g.leave(mustEnter(t, g, "a"), answering, 0)
		fail(t, g, failing, 0)
		if calm := time.Until(g.circuit.until); calm > firstCircuitPause*3/2 {
			t.Errorf("after a calm time the pause is %s, want one as at first", calm)
		}
	})
}

// TestCircuitHonoursRetryAfter sees that the API server can ask for a longer pause, within reason.
func TestCircuitHonoursRetryAfter(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		7 * time.Second: 7 * time.Second,
		time.Hour:       maxCircuitPause,
	} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(64)
				fail(t, g, overloaded, asked)
				if got := time.Until(g.circuit.until); got != want {
					t.Errorf("the pause is %s, want %s", got, want)
				}
				if _, retryAfter := g.check(namespaceOf("a"), "a"); retryAfter != want {
					t.Errorf("the sender is told %s, want %s", retryAfter, want)
				}
			})
		})
	}
}

// TestCircuitDismissesWaiters opens the circuit while requests wait.
func TestCircuitDismissesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(4)
		var passes []*pass
		for i := range 4 {
			passes = append(passes, mustEnter(t, g, fmt.Sprint(i)))
		}
		g.circuit.failures = circuitFailures
		results := make(chan shortage, 2)
		for _, uid := range []string{"a", "b"} {
			go func() {
				_, short, _ := g.enter(t.Context(), namespaceOf(uid), uid, 0)
				results <- short
			}()
		}
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.circuit.lastSuccess = time.Now().Add(-circuitPatience)
		g.leave(passes[0], failing, 0)
		if got := []shortage{<-results, <-results}; !slices.Equal(got, []shortage{circuitOpen, circuitOpen}) {
			t.Errorf("those who waited get %q, want %q", got, circuitOpen)
		}
		// A create that began before the circuit opened, and succeeds, closes it.
		g.leave(passes[1], failing, 0)
		g.leave(passes[2], answering, 0)
		g.leave(passes[3], answering, 0)
		if g.state().open {
			t.Error("the circuit is open after a success")
		}
		g.empty(t)
	})
}

// TestGateShrinksOnce has creates become slow while many of them run. Those that began before the first adjustment say
// nothing about what it has brought.
func TestGateShrinksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(256)
		g.limit = 100
		passes := make([]*pass, 100)
		for i := range passes {
			passes[i] = mustEnter(t, g, fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		}
		for _, p := range passes { // one every 10 ms, each after a second
			g.leave(p, answering, 0)
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		}
		if g.limit != 50 { // what takes twice as long as it should
			t.Errorf("the limit went from 100 to %v, want 50", g.limit)
		}
	})
}
