/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import (
	"context"
	"fmt"
	"maps"
	"runtime"
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

func testControl(most int) *Control {
	return NewControl(LimiterOptions{Most: most, Target: testTarget, MaxWait: testMaxWait}, time.Now)
}

// namespaceOf returns the namespace of a trigger: what stands before a slash, or else one that they
// all have.
func namespaceOf(uid string) string {
	namespace, _, ok := strings.Cut(uid, "/")
	if !ok {
		return "shop"
	}
	return namespace
}

// tenant is the one that a trigger of that UID stands for.
func tenant(uid string) Tenant { return Tenant{Namespace: namespaceOf(uid), Trigger: uid} }

// mustEnter enters where nothing can be in the way.
func mustEnter(t *testing.T, g *Control, uid string) *Pass {
	t.Helper()
	p, short, _ := g.Enter(t.Context(), tenant(uid), 0)
	if short != "" {
		t.Fatalf("%s is turned away for want of %q", uid, short)
	}
	return p
}

// empty fails the test if something is left behind.
func (g *Control) empty(t *testing.T) {
	t.Helper()
	if g.limiter.queue.running != 0 || g.limiter.queue.waiting != 0 || len(g.limiter.queue.namespaces) != 0 || len(g.limiter.queue.triggers) != 0 || len(g.limiter.queue.turns) != 0 {
		t.Errorf("%d are running, %d waiting; %d namespaces, %d triggers and %d turns are kept, want none", g.limiter.queue.running, g.limiter.queue.waiting, len(g.limiter.queue.namespaces), len(g.limiter.queue.triggers), len(g.limiter.queue.turns))
	}
}

// server stands for an API server that can work on so many creates at a time, each taking so long
// by itself.
type server struct {
	atOnce chan struct{}
	takes  time.Duration
	signal func() Signal
}

// load sends requests of the triggers, each at its rate a second, for so long, and returns how many
// got through and the longest that one of them took.
func load(t *testing.T, g *Control, s server, rates map[string]int, length time.Duration) (stored map[string]int, longest time.Duration) {
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
					p, short, _ := g.Enter(t.Context(), tenant(uid), 0)
					if short != "" {
						return
					}
					s.atOnce <- struct{}{}
					time.Sleep(s.takes) //nolint:forbidigo // the clock of the bubble
					<-s.atOnce
					signal := Success
					if s.signal != nil {
						signal = s.signal()
					}
					g.Leave(p, signal, 0)
					if signal != Success {
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

// TestControlAdapts overloads API servers of different speed, none of which the Control is told
// about.
func TestControlAdapts(t *testing.T) {
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
		"Idle":    {reason: "where nobody waits there is no need to grow", atOnce: 4, takes: 12, rate: 20, least: 0, limitAtLeast: firstLimit, limitNoGreater: firstLimit},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testControl(256)
				s := server{atOnce: make(chan struct{}, tc.atOnce), takes: time.Duration(tc.takes) * time.Millisecond}
				load(t, g, s, map[string]int{"a": tc.rate}, 10*time.Second)
				limit := int(g.limiter.limit)
				stored, longest := load(t, g, s, map[string]int{"a": tc.rate}, 10*time.Second)
				can := float64(tc.atOnce) / float64(tc.takes) * 10_000
				if got := float64(stored["a"]) / can; got < tc.least {
					t.Errorf("%s: %d stored, %.2f of what the server can do, want at least %.2f", tc.reason, stored["a"], got, tc.least)
				}
				if limit < tc.limitAtLeast || limit > tc.limitNoGreater {
					t.Errorf("%s: the limit is %d, want %d to %d", tc.reason, limit, tc.limitAtLeast, tc.limitNoGreater)
				}
				if want := int(can / 10 * testMaxWait.Seconds() / 3); tc.rate > int(can)/10 && g.limiter.places() < want {
					t.Errorf("%s: %d may wait, want at least %d, who have a chance", tc.reason, g.limiter.places(), want)
				}
				// What waits is bounded in time, and what runs by the target, give or take a
				// window.
				if bound := testMaxWait + 3*testTarget; longest > bound {
					t.Errorf("%s: one took %s, want at most %s", tc.reason, longest, bound)
				}
				g.empty(t)
			})
		})
	}
}

// TestBurst has many senders at once, and an API server that is slow at first, as while connections
// to it are made: all are through before one has waited for too long, so none is turned away.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 256
		g := testControl(256)
		begin := time.Now()
		atOnce := make(chan struct{}, 4)
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for range 2 {
					p, short, _ := g.Enter(t.Context(), tenant("a"), 0)
					if short != "" {
						t.Errorf("after %s, a request is turned away for want of %q", time.Since(begin), short)
						return
					}
					atOnce <- struct{}{}
					takes := 5 * time.Millisecond
					if time.Since(begin) < windowLength {
						takes *= 8
					}
					time.Sleep(takes) //nolint:forbidigo // the clock of the bubble
					<-atOnce
					g.Leave(p, Success, 0)
				}
			})
		}
		wg.Wait()
		g.empty(t)
	})
}

// TestControlTurns sees that a trigger with few requests gets all of them through beside one with
// far too many.
func TestControlTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(256)
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

// triggersOf makes rates of so many triggers of a namespace, which come to that many requests a
// second.
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

// TestControlNamespaces has a namespace with a hundred triggers, all of which want more than there
// is. It has the turns of one namespace; and within each, triggers take turns.
func TestControlNamespaces(t *testing.T) {
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
				g := testControl(256)
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

// TestControlOneNamespace sees that a single namespace can use all there is, whichever number of
// triggers it has, and that they take turns.
func TestControlOneNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(256)
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
		g := testControl(32)
		var passes []*Pass
		for i := range 32 {
			passes = append(passes, mustEnter(t, g, fmt.Sprintf("many/%d", i)))
		}
		for _, p := range passes {
			g.Leave(p, Success, 0)
		}
		g.empty(t)
	})
}

// TestControlOneTenantInTrouble has a trigger whose creates take as long as they may, for a webhook
// for instance, and perhaps fail. The other must not pay for it.
func TestControlOneTenantInTrouble(t *testing.T) {
	tests := map[string]struct {
		reason          string
		signal          Signal
		troubled, other int // requests a second
		triggers        int // of the troubled namespace, if the other trigger is in another one
		least           float64
	}{
		"SlowFew":           {reason: "the majority is fast", signal: Success, troubled: 5, other: 250, least: 0.96},
		"SlowMany":          {reason: "they must not have all creates", signal: Success, troubled: 200, other: 20, least: 0.99},
		"FailingMany":       {reason: "the circuit opens for nobody else", signal: Failed, troubled: 200, other: 20, least: 0.99},
		"FailingTurns":      {reason: "the other comes only now and then", signal: Failed, troubled: 60, other: 2, least: 0.96},
		"SlowTriggers":      {reason: "a namespace must not have all creates, whatever number of triggers it has", signal: Success, troubled: 200, triggers: 100, other: 20, least: 0.99},
		"FailingTriggers":   {reason: "the circuit opens for nobody else", signal: Failed, troubled: 200, triggers: 100, other: 20, least: 0.99},
		"FailingTurnsOfOne": {reason: "the other comes only now and then, and need not wait for all of the one's triggers to try", signal: Failed, troubled: 200, triggers: 100, other: 2, least: 0.96},
		"SlowNamespace":     {reason: "one trigger of another namespace", signal: Success, troubled: 200, triggers: 1, other: 20, least: 0.99},
		"FailingNamespace":  {reason: "one trigger of another namespace", signal: Failed, troubled: 200, triggers: 1, other: 20, least: 0.99},
		"ThrottledMany":     {reason: "the API server turns away one alone", signal: Throttled, troubled: 200, other: 20, least: 0.99},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testControl(256)
				done := make(chan struct{})
				troubled, other := map[string]int{"troubled": tc.troubled}, "other"
				if tc.triggers > 0 {
					troubled, other = triggersOf("troubled", tc.triggers, tc.troubled), "other/a"
					for _, uid := range []string{"troubled/0", other} { // it is known that there are several namespaces
						g.Leave(mustEnter(t, g, uid), Success, 0)
					}
				}
				go func() {
					defer close(done)
					s := server{atOnce: make(chan struct{}, 1000), takes: 1900 * time.Millisecond, signal: func() Signal { return tc.signal }}
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

// TestControlOverloaded has the API server turn creates away.
func TestControlOverloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(256)
		var n atomic.Int64
		load(t, g, server{atOnce: make(chan struct{}, 100), takes: 10 * time.Millisecond, signal: func() Signal {
			if n.Add(1)%4 == 0 {
				return Throttled
			}
			return Success
		}}, map[string]int{"a": 2000}, 5*time.Second)
		if limit := int(g.limiter.limit); limit > 6 {
			t.Errorf("the limit is %d while a quarter is turned away, want the least", limit)
		}
		if g.breaker.open {
			t.Error("the circuit is open although creates succeed")
		}
	})
}

func TestControlConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(16)
		first, short, _ := g.Enter(t.Context(), tenant("a"), 2)
		second, short2, _ := g.Enter(t.Context(), tenant("a"), 2)
		if short != "" || short2 != "" {
			t.Fatalf("the first two are turned away: %q, %q", short, short2)
		}
		if _, short, _ := g.Enter(t.Context(), tenant("a"), 2); short != Concurrency {
			t.Errorf("the third gets %q, want %q", short, Concurrency)
		}
		other := mustEnter(t, g, "b")
		g.Leave(first, Success, 0)
		third, short, _ := g.Enter(t.Context(), tenant("a"), 2)
		if short != "" {
			t.Fatalf("when one has left, the next is turned away: %q", short)
		}
		for _, p := range []*Pass{second, third, other} {
			g.Leave(p, Success, 0)
		}
		g.empty(t)
	})
}

// TestControlQueue fills the queue to the last place.
func TestControlQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(4)
		passes := make([]*Pass, 4)
		for i := range passes {
			passes[i] = mustEnter(t, g, fmt.Sprint(i))
		}
		waitFor := func(uid string, n int) (results chan Reason) {
			results = make(chan Reason, n)
			for range n {
				go func() {
					p, short, _ := g.Enter(t.Context(), tenant(uid), 0)
					if p != nil {
						g.Leave(p, Success, 0)
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
		if short, _ := g.Check(tenant("flood")); short != QueueFull {
			t.Errorf("one more gets %q, want %q", short, QueueFull)
		}
		if _, short, _ := g.Enter(t.Context(), tenant("flood"), 0); short != QueueFull {
			t.Errorf("one more gets %q, want %q", short, QueueFull)
		}
		if short, _ := g.Check(tenant("calm")); short != "" {
			t.Errorf("another trigger gets %q, want a place", short)
		}
		calm := waitFor("calm", 2)
		for _, p := range passes {
			g.Leave(p, Success, 0)
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

// TestControlWaits sees that nobody waits longer than is of use, and that those who have gone leave
// nothing behind.
func TestControlWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(1)
		p := mustEnter(t, g, "a")
		begin := time.Now()
		if _, short, _ := g.Enter(t.Context(), tenant("b"), 0); short != QueueSlow || time.Since(begin) != testMaxWait {
			t.Errorf("%q after %s, want %q after %s", short, time.Since(begin), QueueSlow, testMaxWait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), testMaxWait/2)
		defer cancel()
		begin = time.Now()
		if _, short, _ := g.Enter(ctx, tenant("b"), 0); short != QueueSlow || time.Since(begin) != testMaxWait/2 {
			t.Errorf("%q after %s, want %q when the context ends", short, time.Since(begin), QueueSlow)
		}
		g.Leave(p, Success, 0)
		g.empty(t)
	})
}

// TestControlOrder sees who is next: first come, first served within a trigger, and triggers in
// turn.
func TestControlOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(1)
		g.limiter.limit = 1
		p := mustEnter(t, g, "a")
		g.limiter.options.Most, g.limiter.limit = 16, 4 // more places to wait
		g.limiter.queue.running += 3
		var order []string
		var wg sync.WaitGroup
		for _, who := range []string{"a1", "a2", "a3", "b1", "c1", "b2"} {
			wg.Go(func() {
				p, short, _ := g.Enter(t.Context(), tenant(who[:1]), 0)
				if short != "" {
					t.Errorf("%s: %q", who, short)
					return
				}
				order = append(order, who) // one at a time: each lets the next one through
				g.Leave(p, Success, 0)
			})
			synctest.Wait()
		}
		g.Leave(p, Success, 0)
		wg.Wait()
		g.limiter.queue.running -= 3
		if diff := cmp.Diff([]string{"a1", "b1", "c1", "a2", "b2", "a3"}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		g.empty(t)
	})
}

// fail makes creates fail until the circuit opens, and returns how many it took.
func fail(t *testing.T, g *Control, signal Signal, retryAfter time.Duration) (count int) {
	t.Helper()
	for !g.State().Open {
		p := mustEnter(t, g, "a")
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.Leave(p, signal, retryAfter)
		if count++; count > 1000 {
			t.Fatal("the circuit does not open")
		}
	}
	return count
}

// TestBreaker goes through an outage.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(64)
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		if n := fail(t, g, Failed, 0); n != breakerFailures {
			t.Errorf("it took %d failures, want %d", n, breakerFailures)
		}
		// Nobody gets through, and nobody waits, before it is time to try.
		begin := time.Now()
		short, retryAfter := g.Check(tenant("a"))
		if short != BreakerOpen || retryAfter <= 0 || retryAfter > lastBreakerPause {
			t.Errorf("%q, retry after %s; want %q and a moment", short, retryAfter, BreakerOpen)
		}
		if _, short, _ := g.Enter(t.Context(), tenant("a"), 0); short != BreakerOpen || time.Since(begin) != 0 {
			t.Errorf("%q after %s, want %q at once", short, time.Since(begin), BreakerOpen)
		}
		var pauses []time.Duration
		for range 6 {
			begin := time.Now()
			for {
				if short, _ := g.Check(tenant("a")); short == "" {
					break
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			pauses = append(pauses, time.Since(begin))
			probe := mustEnter(t, g, "a")
			if _, short, _ := g.Enter(t.Context(), tenant("a"), 0); short != BreakerOpen {
				t.Errorf("while one tries, another gets %q, want %q", short, BreakerOpen)
			}
			g.Leave(probe, Failed, 0)
		}
		if pauses[0] < firstBreakerPause/2 || pauses[0] > firstBreakerPause*3/2 || pauses[5] < lastBreakerPause/2 || pauses[5] > lastBreakerPause*3/2 || pauses[2] < pauses[0] {
			t.Errorf("pauses %v, want them to grow from about %s to about %s", pauses, firstBreakerPause, lastBreakerPause)
		}
		time.Sleep(2 * lastBreakerPause) //nolint:forbidigo // the clock of the bubble
		g.limiter.limit = 64
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		if s := g.State(); s.Open || s.Limit != leastLimit {
			t.Errorf("after a success the circuit is open: %v, and the limit %d; want it closed, and %d", s.Open, s.Limit, leastLimit)
		}
		g.empty(t)
	})
}

// TestBurstAfterPause has nobody send for a minute, and then many at once: what was before says
// nothing of how many may wait.
func TestBurstAfterPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(64)
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		time.Sleep(time.Minute) //nolint:forbidigo // the clock of the bubble
		var passes []*Pass
		for range firstLimit * 3 / 4 { // as many as one trigger may have
			passes = append(passes, mustEnter(t, g, "a"))
		}
		var waiters sync.WaitGroup
		waiters.Go(func() {
			if p, short, _ := g.Enter(t.Context(), tenant("a"), 0); short == "" {
				g.Leave(p, Success, 0)
			}
		})
		synctest.Wait()
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.Leave(passes[0], Success, 0)
		if n := g.limiter.places(); n != burstQueue {
			t.Errorf("%d may wait, want %d", n, burstQueue)
		}
		for _, p := range passes[1:] {
			g.Leave(p, Success, 0)
		}
		waiters.Wait()
		g.empty(t)
	})
}

// TestBreakerAndRefusals has a tenant whose FlowRuns are refused before etcd is asked, while etcd
// is away: that neither keeps the circuit from opening nor closes it.
func TestBreakerAndRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(64)
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		time.Sleep(breakerPatience) //nolint:forbidigo // the clock of the bubble
		for range breakerFailures {
			g.Leave(mustEnter(t, g, "refused"), Rejected, 0)
			g.Leave(mustEnter(t, g, "a"), Failed, 0)
		}
		if !g.State().Open {
			t.Fatal("the circuit is closed")
		}
		for range 5 {
			for {
				if short, _ := g.Check(tenant("refused")); short == "" {
					break
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			g.Leave(mustEnter(t, g, "refused"), Rejected, 0)
			if !g.State().Open {
				t.Fatal("a refusal has closed the circuit")
			}
		}
		time.Sleep(2 * lastBreakerPause) //nolint:forbidigo // the clock of the bubble
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		if g.State().Open {
			t.Error("the circuit is open after a success")
		}
		g.empty(t)
	})
}

// TestRefusedProbes has a tenant that sends the most, and is refused, take every probe after an
// outage in which another one has tried in vain. That one is not kept out for it.
func TestRefusedProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(64)
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		fail(t, g, Failed, 0)
		g.Leave(mustEnter(t, g, "rare"), Failed, 0)
		if short, _ := g.Check(tenant("rare")); short != BreakerOpen {
			t.Fatalf("another try of one that has failed ends with %q, want %q", short, BreakerOpen)
		}
		time.Sleep(2 * lastBreakerPause) //nolint:forbidigo // the clock of the bubble
		g.Leave(mustEnter(t, g, "refused"), Rejected, 0)
		g.Leave(mustEnter(t, g, "rare"), Success, 0)
		if g.State().Open {
			t.Error("the circuit is open after a success")
		}
		g.empty(t)
	})
}

// TestBreakerAndLimiterAgree has an attempt open the breaker: until the limiter knows, no other
// attempt can close it. It would resume the limiter first, which then was paused for good.
func TestBreakerAndLimiterAgree(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := NewControl(LimiterOptions{Most: 64, Target: testTarget, MaxWait: testMaxWait}, func() time.Time { return now })
	good := mustEnter(t, g, "a")
	bad := []*Pass{}
	for range breakerFailures {
		bad = append(bad, mustEnter(t, g, "a"))
	}
	now = now.Add(2 * breakerPatience)
	for _, p := range bad[1:] {
		g.Leave(p, Failed, 0)
	}
	var attempts sync.WaitGroup
	g.limiter.mu.Lock()
	attempts.Go(func() { g.Leave(bad[0], Failed, 0) })
	for !g.breaker.Open() {
		runtime.Gosched()
	}
	if g.mu.TryLock() {
		t.Error("another attempt can close the breaker before the limiter is paused")
		g.mu.Unlock()
	}
	attempts.Go(func() { g.Leave(good, Success, 0) })
	g.limiter.mu.Unlock()
	attempts.Wait()
	if g.breaker.open || g.limiter.paused {
		t.Errorf("the breaker is open: %t, the limiter is paused: %t, want neither", g.breaker.open, g.limiter.paused)
	}
	g.empty(t)
}

// TestEnterTooLate has a request that has no time left: it does not ask the store.
func TestEnterTooLate(t *testing.T) {
	t.Parallel()
	g := testControl(64)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, short, _ := g.Enter(ctx, tenant("a"), 0); short != QueueSlow {
		t.Errorf("it ends with %q, want %q", short, QueueSlow)
	}
	g.empty(t)
}

// TestBreakerDoesNotFlap has an API server that answers now and then: there is always hope, so the
// circuit stays closed. And one that fails again soon after the circuit was closed is tried less
// often than at first.
func TestBreakerDoesNotFlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(64)
		for i := range 100 {
			p := mustEnter(t, g, "a")
			time.Sleep(50 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
			signal := Failed
			if i%15 == 0 {
				signal = Success
			}
			g.Leave(p, signal, 0)
			if g.State().Open {
				t.Fatalf("the circuit opens after %d creates, of which every 15th succeeds", i)
			}
		}
		fail(t, g, Failed, 0)
		time.Sleep(lastBreakerPause) //nolint:forbidigo // the clock of the bubble
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		fail(t, g, Failed, 0)
		if again := time.Until(g.breaker.until); again < 3*firstBreakerPause/2 { // the first one is shorter than 5/4
			t.Errorf("the second time the pause is %s, want it longer than the first", again)
		}
		time.Sleep(lastBreakerPause) //nolint:forbidigo // the clock of the bubble
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		time.Sleep(breakerCalm + time.Second) //nolint:forbidigo // the clock of the bubble
		g.Leave(mustEnter(t, g, "a"), Success, 0)
		fail(t, g, Failed, 0)
		if calm := time.Until(g.breaker.until); calm > firstBreakerPause*3/2 {
			t.Errorf("after a calm time the pause is %s, want one as at first", calm)
		}
	})
}

// TestBreakerHonoursRetryAfter sees that the API server can ask for a longer pause, within reason.
func TestBreakerHonoursRetryAfter(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		7 * time.Second: 7 * time.Second,
		time.Hour:       maxBreakerPause,
	} {
		t.Run(fmt.Sprint(asked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testControl(64)
				fail(t, g, Throttled, asked)
				if got := time.Until(g.breaker.until); got != want {
					t.Errorf("the pause is %s, want %s", got, want)
				}
				if _, retryAfter := g.Check(tenant("a")); retryAfter != want {
					t.Errorf("the sender is told %s, want %s", retryAfter, want)
				}
			})
		})
	}
}

// TestBreakerDismissesWaiters opens the circuit while requests wait.
func TestBreakerDismissesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(4)
		var passes []*Pass
		for i := range 4 {
			passes = append(passes, mustEnter(t, g, fmt.Sprint(i)))
		}
		g.breaker.failures = breakerFailures
		results := make(chan Reason, 2)
		for _, uid := range []string{"a", "b"} {
			go func() {
				_, short, _ := g.Enter(t.Context(), tenant(uid), 0)
				results <- short
			}()
		}
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		g.breaker.lastSuccess = time.Now().Add(-breakerPatience)
		g.Leave(passes[0], Failed, 0)
		if got := []Reason{<-results, <-results}; !slices.Equal(got, []Reason{BreakerOpen, BreakerOpen}) {
			t.Errorf("those who waited get %q, want %q", got, BreakerOpen)
		}
		// A create that began before the circuit opened, and succeeds, closes it.
		g.Leave(passes[1], Failed, 0)
		g.Leave(passes[2], Success, 0)
		g.Leave(passes[3], Success, 0)
		if g.State().Open {
			t.Error("the circuit is open after a success")
		}
		g.empty(t)
	})
}

// TestControlShrinksOnce has creates become slow while many of them run. Those that began before
// the first adjustment say nothing about what it has brought.
func TestControlShrinksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testControl(256)
		g.limiter.limit = 100
		passes := make([]*Pass, 100)
		for i := range passes {
			passes[i] = mustEnter(t, g, fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		}
		for _, p := range passes { // one every 10 ms, each after a second
			g.Leave(p, Success, 0)
			time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
		}
		if g.limiter.limit != 50 { // what takes twice as long as it should
			t.Errorf("the limit went from 100 to %v, want 50", g.limiter.limit)
		}
	})
}
