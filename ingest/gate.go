/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// minCreates and firstCreates are the least number of creates at a time, and the one to begin with.
	minCreates   = 4
	firstCreates = 32
	// Once in a window of this length it is decided whether there may be more or must be fewer.
	createWindow = 100 * time.Millisecond
	// burstQueue is how many may wait at first: a burst is no overload, and many senders do not send again what is turned away.
	// What goes on for longer than a request may wait is one, until overloadMemory after its end, and then no more may wait than have a
	// chance to be through in time, but leastQueue.
	burstQueue     = 1024
	leastQueue     = 16
	overloadMemory = 2 * time.Second

	// The circuit opens when that many creates in a row have failed, none having succeeded for circuitPatience.
	circuitFailures = 8
	circuitPatience = time.Second
	// While it is open, one request is let through to try after a pause, which doubles from the first to the second of
	// these. It begins anew once the circuit was closed for circuitCalm.
	firstCircuitPause = 250 * time.Millisecond
	lastCircuitPause  = 2 * time.Second
	circuitCalm       = 10 * time.Second
	// maxCircuitPause bounds what the API server can ask for by Retry-After.
	maxCircuitPause = 30 * time.Second
)

// health is what a create tells of the API server, whatever it says of the FlowRun.
type health int

const (
	// unasked means that there was no create after all.
	unasked health = iota
	// answering means that the API server has stored the FlowRun, or found one that was.
	answering
	// refusing means that it refused the FlowRun before it asked etcd: by a policy, a webhook, a permission or a quota. It
	// says nothing of whether others can be stored.
	refusing
	// overloaded means that it turned the create away for now (429).
	overloaded
	// failing means that it gave no answer, or one that says that it, etcd or what is between does not work.
	failing
)

// gate lets verified requests through to the API server.
//
// How many creates may run at a time follows from how the API server is doing: their number grows while most
// of them take less than a target, and shrinks when they do not or when it turns some away. So latency stays bounded by
// what the API server can do at the moment, rather than by a number that somebody has to guess. Requests beyond that
// wait for a short time, and no more than have a chance to be through by then. Namespaces take turns, and within each its
// triggers do, so that who has many triggers has no more turns than others; and none may have all creates, so that one whose
// creates take long, because of a webhook of its tenant's for instance, leaves room for the others.
//
// When nothing succeeds any more, the circuit opens: requests are refused before their bodies are read, but for one
// at a time that tries, and one of each trigger that has not tried yet, a namespace's one after the other: what fails may be
// another tenant's alone.
type gate struct {
	limits gateLimits
	now    func() time.Time

	mu       sync.Mutex
	limit    float64   // of creates at a time
	rate     float64   // creates a second while there was no room for more; 0 if there has been
	full     time.Time // when there was no room the last time,
	filled   time.Time // and since when, with pauses shorter than overloadMemory
	running  int
	waiting  int
	tenants  map[string]*tenant    // by namespace; only those that have requests here
	triggers map[string]*turnstile // by UID, likewise
	turns    []*tenant             // those with requests that wait, in the order of their turns
	mix      mix

	window  window
	circuit circuit
}

type gateLimits struct {
	most    int           // creates at a time
	target  time.Duration // for one create
	maxWait time.Duration // before it
}

// tenant is a namespace.
type tenant struct {
	namespace string
	running   int
	waiting   int
	probes    int          // of those that are running
	turns     []*turnstile // its triggers with requests that wait, in the order of their turns
}

// turnstile holds the requests of one trigger.
type turnstile struct {
	uid     string
	tenant  *tenant
	running int
	waiting []*waiter
}

type waiter struct {
	turnstile *turnstile
	result    chan waited // has room for one
}

// waited is what a waiter gets: a pass, or what there is too little of.
type waited struct {
	pass  *pass
	short shortage
}

// pass is the leave to make one create.
type pass struct {
	turnstile *turnstile
	begin     time.Time
	probe     bool // it was let through while the circuit was open,
	scheduled bool // because it was time to try
}

// window counts creates since it began.
type window struct {
	begin                   time.Time
	total, slow, overloaded int           // that began in it,
	took                    time.Duration // all of these together
	ended                   int           // whenever they began
	saturated               bool          // there was no room for another
}

// circuit is open while the API server does not work.
type circuit struct {
	open        bool
	probes      int             // requests that are trying,
	scheduled   bool            // and one of them because it was time to
	tried       map[string]bool // the triggers that have, by UID
	failures    int             // in a row
	lastSuccess time.Time
	closedAt    time.Time
	pause       time.Duration
	until       time.Time // when to try
}

func newGate(limits gateLimits, now func() time.Time) *gate {
	return &gate{
		limits:   limits,
		now:      now,
		limit:    float64(min(firstCreates, limits.most)),
		tenants:  map[string]*tenant{},
		triggers: map[string]*turnstile{},
		window:   window{begin: now()},
		circuit:  circuit{pause: firstCircuitPause},
	}
}

// check says whether enter would refuse a request of the trigger at once, as enter does. It is for before the body is read.
func (g *gate) check(namespace, uid string) (short shortage, retryAfter time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mix.note(namespace, g.now())
	return g.refuse(g.turnstile(namespace, uid))
}

// turnstile returns that of the trigger, which may be one that nobody knows yet.
func (g *gate) turnstile(namespace, uid string) *turnstile {
	if t := g.triggers[uid]; t != nil {
		return t
	}
	n := g.tenants[namespace]
	if n == nil {
		n = &tenant{namespace: namespace}
	}
	return &turnstile{uid: uid, tenant: n}
}

func (g *gate) refuse(t *turnstile) (shortage, time.Duration) {
	if c := &g.circuit; c.open {
		wait := c.until.Sub(g.now())
		mayTry := c.probes < minCreates && (t.tenant.probes == 0 || !g.mixed())
		if due := wait <= 0 && !c.scheduled; due || !c.tried[t.uid] && mayTry {
			return "", 0
		}
		return circuitOpen, max(wait, c.pause)
	}
	if g.hasRoom(t) {
		return "", 0
	}
	if g.mayWait(t) {
		return "", 0
	}
	return queueFull, 0
}

// mayWait says whether there is a place for another request of the trigger to wait. Each trigger may have three times as many as
// are left, as small requests in memory. One that has none gets one even where others have too many, since their number has just
// become less. Where there are several namespaces, that holds for namespaces, and within each for its triggers; and as many as all
// places by the number of namespaces that wait may wait of each in any case.
func (g *gate) mayWait(t *turnstile) bool {
	queued, places := len(t.waiting), g.places()
	left := places - g.waiting
	if !g.mixed() {
		return queued < 3*left || queued == 0 && g.waiting < 2*places
	}
	if t.tenant.waiting == 0 {
		return g.waiting < 3*places
	}
	more := max(3*left, places/len(g.turns)) - t.tenant.waiting
	return more > 0 && (queued == 0 || queued < 3*more)
}

func (g *gate) mixed() bool { return g.mix.several(g.now()) }

// places returns how many may wait. In an overload those are the ones that will be through in half of the time that they have, as creates
// take half a second besides: a request that waits in vain has cost as much as one that is stored, and a longer queue stores no more.
func (g *gate) places() int {
	if g.rate == 0 || g.now().Sub(g.filled) < g.limits.maxWait {
		return burstQueue
	}
	return max(leastQueue, int(g.rate*g.limits.maxWait.Seconds()/2))
}

func (g *gate) hasRoom(t *turnstile) bool { return len(t.waiting) == 0 && g.mayRun(t) }

// mayRun says whether another create of the trigger may begin: it may have up to three times as many as are left. Where there are
// several namespaces, its namespace may, and of what that may have more, the trigger leaves some to others in it.
func (g *gate) mayRun(t *turnstile) bool {
	left := int(g.limit) - g.running - 1
	switch {
	case left < 0:
		return false
	case !g.mixed():
		return t.running == 0 || t.running < 3*left
	case t.tenant.running == 0:
		return true
	}
	more := 3*left - t.tenant.running
	return more > 0 && (t.running == 0 || t.running < 3*(more-1))
}

// enter waits for the request's turn. concurrency bounds the requests of the trigger that are here at a time; 0 is no
// bound. A pass must be given back to leave. A shortage comes with the time after which another request has a chance, or
// 0 if that cannot be said.
func (g *gate) enter(ctx context.Context, namespace, uid string, concurrency int) (*pass, shortage, time.Duration) {
	g.mu.Lock()
	g.mix.note(namespace, g.now())
	t := g.turnstile(namespace, uid)
	if concurrency > 0 && t.running+len(t.waiting) >= concurrency {
		g.mu.Unlock()
		return nil, overConcurrency, 0
	}
	if short, retryAfter := g.refuse(t); short != "" {
		g.mu.Unlock()
		return nil, short, retryAfter
	}
	g.tenants[t.tenant.namespace], g.triggers[uid] = t.tenant, t
	if c := &g.circuit; c.open || g.hasRoom(t) {
		p := g.admit(t)
		if c.open {
			p.probe = true
			p.scheduled = !c.scheduled && !g.now().Before(c.until)
			c.scheduled = c.scheduled || p.scheduled
			c.tried[t.uid] = true
			c.probes++
			t.tenant.probes++
		}
		g.mu.Unlock()
		return p, "", 0
	}
	g.window.saturated = true
	w := &waiter{turnstile: t, result: make(chan waited, 1)}
	if t.tenant.waiting == 0 {
		g.turns = append(g.turns, t.tenant)
	}
	if len(t.waiting) == 0 {
		t.tenant.turns = append(t.tenant.turns, t)
	}
	t.waiting = append(t.waiting, w)
	t.tenant.waiting++
	g.waiting++
	g.mu.Unlock()

	timer := time.NewTimer(g.limits.maxWait)
	defer timer.Stop()
	select {
	case r := <-w.result:
		return r.pass, r.short, 0
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case r := <-w.result: // its turn has come meanwhile
		return r.pass, r.short, 0
	default:
		g.giveUp(w)
		return nil, queueSlow, 0
	}
}

func (g *gate) admit(t *turnstile) *pass {
	if now := g.now(); g.running == 0 && g.waiting == 0 && now.Sub(g.window.begin) >= createWindow {
		// What was before a pause says nothing of what is possible now.
		g.window = window{begin: now}
		if now.Sub(g.full) > overloadMemory {
			g.rate = 0
		}
	}
	g.running++
	t.tenant.running++
	t.running++
	return &pass{turnstile: t, begin: g.now()}
}

// giveUp takes a waiter out of its queue.
func (g *gate) giveUp(w *waiter) {
	t := w.turnstile
	i := slices.Index(t.waiting, w)
	if i < 0 {
		return // the circuit has opened
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	t.tenant.waiting--
	g.waiting--
	if len(t.waiting) > 0 {
		return
	}
	t.tenant.turns = slices.DeleteFunc(t.tenant.turns, func(other *turnstile) bool { return other == t })
	if t.tenant.waiting == 0 {
		g.turns = slices.DeleteFunc(g.turns, func(other *tenant) bool { return other == t.tenant })
	}
	g.forget(t)
}

func (g *gate) forget(t *turnstile) {
	if t.running == 0 && len(t.waiting) == 0 {
		delete(g.triggers, t.uid)
	}
	if n := t.tenant; n.running == 0 && n.waiting == 0 {
		delete(g.tenants, n.namespace)
	}
}

// leave says how a create has ended: what it tells of the API server, and how long that asks to wait, if it does.
func (g *gate) leave(p *pass, health health, retryAfter time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	p.turnstile.running--
	p.turnstile.tenant.running--
	g.forget(p.turnstile)
	g.observe(p, health)
	g.judge(p, health, retryAfter)
	g.next()
}

// next lets those through whose turn it is.
func (g *gate) next() {
	if g.circuit.open {
		for _, n := range g.turns {
			n.waiting = 0
			for _, t := range n.turns {
				for _, w := range t.waiting {
					w.result <- waited{short: circuitOpen}
				}
				t.waiting = nil
				g.forget(t)
			}
			n.turns = nil
		}
		g.turns, g.waiting = nil, 0
		return
	}
	for passed := 0; passed < len(g.turns) && g.running < int(g.limit); {
		n := g.turns[0]
		g.turns = g.turns[1:]
		i := slices.IndexFunc(n.turns, g.mayRun)
		if i < 0 {
			g.turns = append(g.turns, n)
			passed++
			continue
		}
		passed = 0
		t := n.turns[i]
		n.turns = slices.Delete(n.turns, i, i+1)
		w := t.waiting[0]
		t.waiting = t.waiting[1:]
		if len(t.waiting) > 0 {
			n.turns = append(n.turns, t)
		}
		if n.waiting--; n.waiting > 0 {
			g.turns = append(g.turns, n)
		}
		g.waiting--
		w.result <- waited{pass: g.admit(t)}
	}
}

// observe adjusts the number of creates at a time.
//
// It goes by the majority, so that one tenant whose creates are slow, because of a webhook of theirs for instance, does
// not slow down the others. And it goes by creates that began after the last adjustment alone: those before would only
// say again what led to it.
func (g *gate) observe(p *pass, health health) {
	w := &g.window
	if health == unasked {
		return
	}
	w.ended++
	now := g.now()
	if p.begin.Before(w.begin) {
		return
	}
	w.total++
	took := now.Sub(p.begin)
	if health == failing {
		took = max(took, 2*g.limits.target)
	}
	w.took += took
	if took > g.limits.target {
		w.slow++
	}
	if health == overloaded {
		w.overloaded++
	}
	elapsed := now.Sub(w.begin)
	if elapsed < createWindow {
		return
	}
	switch rate := float64(w.ended) / elapsed.Seconds(); {
	case w.saturated && g.rate == 0:
		g.rate, g.full, g.filled = rate, now, w.begin
	case w.saturated:
		g.rate, g.full = g.rate+(rate-g.rate)/4, now
	case now.Sub(g.full) > overloadMemory:
		g.rate = 0
	}
	switch {
	case 10*w.overloaded > w.total:
		g.limit *= 0.7
	case 2*w.slow > w.total:
		// By Little's law, what takes twice as long as it may is twice as much as there may be.
		right := g.limit * g.limits.target.Seconds() * float64(w.total) / w.took.Seconds()
		g.limit = min(max(right, g.limit/2), g.limit*0.9)
	case w.saturated:
		g.limit += max(1, g.limit/4)
	}
	g.limit = min(max(g.limit, float64(min(minCreates, g.limits.most))), float64(g.limits.most))
	*w = window{begin: now, saturated: g.waiting > 0}
}

// judge opens and closes the circuit.
func (g *gate) judge(p *pass, health health, retryAfter time.Duration) {
	c := &g.circuit
	now := g.now()
	if p.probe {
		c.probes--
		p.turnstile.tenant.probes--
	}
	if p.scheduled {
		c.scheduled = false
	}
	switch health {
	case unasked:
		return
	case refusing:
		if c.open && p.scheduled {
			c.until = now.Add(c.pause)
		}
		return
	case answering:
		c.failures, c.lastSuccess = 0, now
		if c.open {
			// It may have been down for long, and everybody comes back at once.
			c.open, c.closedAt = false, now
			g.limit = float64(min(minCreates, g.limits.most))
			g.window = window{begin: now}
		} else if now.Sub(c.closedAt) > circuitCalm {
			c.pause = firstCircuitPause
		}
		return
	case overloaded, failing:
		c.failures++
	}
	switch {
	case c.open && p.scheduled:
	case !c.open && c.failures >= circuitFailures && now.Sub(c.lastSuccess) >= circuitPatience:
		c.open = true
		c.tried = map[string]bool{p.turnstile.uid: true}
	default:
		return
	}
	wait := c.pause*3/4 + rand.N(c.pause/2) //nolint:gosec // jitter is no secret
	c.until = now.Add(min(max(wait, retryAfter), maxCircuitPause))
	c.pause = min(2*c.pause, lastCircuitPause)
}

// gateState is for metrics.
type gateState struct {
	limit, running, waiting int
	open                    bool
}

func (g *gate) state() gateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Without requests nobody finds out that the API server works again. That is no outage.
	c := &g.circuit
	open := c.open && (c.scheduled || g.now().Before(c.until))
	return gateState{limit: int(g.limit), running: g.running, waiting: g.waiting, open: open}
}
