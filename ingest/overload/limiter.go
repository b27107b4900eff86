/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import (
	"context"
	"sync"
	"time"
)

const (
	// leastLimit and firstLimit are the least number of attempts at a time, and the one to begin
	// with.
	leastLimit = 4
	firstLimit = 32
	// Once in a window of this length it is decided whether there may be more or must be fewer.
	windowLength = 100 * time.Millisecond
	// burstQueue is how many may wait at first: a burst is no overload, and many senders do not
	// send again what was shed. What goes on for longer than a request may wait is one, until
	// overloadMemory after its end, and then no more may wait than have a chance to be through in
	// time, but leastQueue.
	burstQueue     = 1024
	leastQueue     = 16
	overloadMemory = 2 * time.Second
)

// LimiterOptions are what a Limiter is made of.
type LimiterOptions struct {
	// Most is how many attempts there may be at a time at the most.
	Most int
	// Target is how long one attempt should take.
	Target time.Duration
	// MaxWait is how long a request may wait for its turn.
	MaxWait time.Duration
}

// Limiter bounds how many attempts to store a delivery are under way at a time.
//
// How many may be follows from how the store is doing: their number grows while most of them take
// less than a target, and shrinks when they do not or when the store turns some away. So latency
// stays bounded by what the store can do at the moment, rather than by a number that somebody has
// to guess. It is an AIMD limiter (Chiu and Jain, 1989) but for one thing: where latency is over
// the target, how far to decrease is known, by Little's law.
//
// Requests beyond the limit wait for a short time, in a fair queue, and no more of them than have a
// chance to be through by then. None may have the whole limit, so that one whose attempts take
// long, because of a webhook of its tenant's for instance, leaves room for the others.
type Limiter struct {
	options LimiterOptions
	now     func() time.Time

	mu     sync.Mutex
	limit  float64
	queue  fairQueue
	mix    mix
	paused bool // the circuit breaker is open
	window window

	rate   float64   // attempts a second while there was no room for more; 0 if there has been
	full   time.Time // when there was no room the last time,
	filled time.Time // and since when, with pauses shorter than overloadMemory
}

// A Permit is the leave to make one attempt. It must be given back to Release.
type Permit struct {
	queue *triggerQueue
	begin time.Time
}

// window counts attempts since it began.
type window struct {
	begin                  time.Time
	total, slow, throttled int           // that began in it,
	took                   time.Duration // all of these together
	ended                  int           // whenever they began
	saturated              bool          // there was no room for another
}

// NewLimiter returns a Limiter that is not paused.
func NewLimiter(options LimiterOptions, now func() time.Time) *Limiter {
	return &Limiter{
		options: options,
		now:     now,
		limit:   float64(min(firstLimit, options.Most)),
		queue:   newFairQueue(),
		window:  window{begin: now()},
	}
}

// Check says why Acquire would turn a request of the tenant away at once; empty if it would not. It
// is for before the body is read.
func (l *Limiter) Check(tenant Tenant) Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.queue.of(tenant); !l.hasRoom(t) && !l.mayWait(t) {
		return QueueFull
	}
	return ""
}

// Acquire waits for the request's turn, but not beyond the end of ctx. concurrency bounds the
// requests of the trigger that are here at a time; 0 is no bound. A probe is let through at once,
// whatever the limit.
func (l *Limiter) Acquire(ctx context.Context, tenant Tenant, concurrency int, probe bool) (*Permit, Reason) {
	if ctx.Err() != nil { // an attempt would fail, and seem to tell of the store
		return nil, QueueSlow
	}
	l.mu.Lock()
	l.mix.note(tenant.Namespace, l.now())
	t := l.queue.of(tenant)
	permit, reason := l.admit(t, concurrency, probe)
	if permit != nil || reason != "" {
		l.mu.Unlock()
		return permit, reason
	}
	l.queue.keep(t)
	l.window.saturated = true
	w := l.queue.push(t)
	l.mu.Unlock()
	return l.wait(ctx, w)
}

// admit returns a permit, or why the request must go, or neither if it has to wait.
func (l *Limiter) admit(t *triggerQueue, concurrency int, probe bool) (*Permit, Reason) {
	switch {
	case concurrency > 0 && t.running+len(t.waiting) >= concurrency:
		return nil, Concurrency
	case probe || !l.paused && l.hasRoom(t):
		return l.permit(t), ""
	case l.paused:
		return nil, BreakerOpen
	case !l.mayWait(t):
		return nil, QueueFull
	}
	return nil, ""
}

func (l *Limiter) wait(ctx context.Context, w *waiter) (*Permit, Reason) {
	timer := time.NewTimer(l.options.MaxWait)
	defer timer.Stop()
	select {
	case r := <-w.result:
		return r.permit, r.reason
	case <-timer.C:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case r := <-w.result: // its turn has come meanwhile
		return r.permit, r.reason
	default:
		l.queue.abandon(w)
		return nil, QueueSlow
	}
}

// Release gives a permit back, and says what the attempt has told of the store.
func (l *Limiter) Release(p *Permit, s Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue.done(p.queue)
	l.record(p, s)
	l.letThrough()
}

// Pause turns away those who wait, and from now on everybody but probes: the circuit breaker has
// opened.
func (l *Limiter) Pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = true
	l.queue.dismiss(BreakerOpen)
}

// Resume ends a pause. The store may have been away for long, and everybody comes back at once: the
// limit is the least.
func (l *Limiter) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = false
	l.limit = l.least()
	l.window = window{begin: l.now()}
}

func (l *Limiter) least() float64 { return float64(min(leastLimit, l.options.Most)) }

func (l *Limiter) several() bool { return l.mix.several(l.now()) }

// hasRoom says whether a request of the queue can run at once.
func (l *Limiter) hasRoom(t *triggerQueue) bool { return len(t.waiting) == 0 && l.mayRun(t) }

func (l *Limiter) mayRun(t *triggerQueue) bool {
	return l.queue.mayRun(t, int(l.limit), l.several())
}

func (l *Limiter) mayWait(t *triggerQueue) bool {
	return l.queue.mayWait(t, l.places(), l.several())
}

// places returns how many may wait. In an overload those are the ones that will be through in half
// of the time that they have, as attempts take half a second besides: a request that waits in vain
// has cost as much as one that is stored, and a longer queue stores no more.
func (l *Limiter) places() int {
	if l.rate == 0 || l.now().Sub(l.filled) < l.options.MaxWait {
		return burstQueue
	}
	return max(leastQueue, int(l.rate*l.options.MaxWait.Seconds()/2))
}

// permit lets a request of the queue through.
func (l *Limiter) permit(t *triggerQueue) *Permit {
	now := l.now()
	if l.queue.running == 0 && l.queue.waiting == 0 && now.Sub(l.window.begin) >= windowLength {
		// What was before a pause says nothing of what is possible now.
		l.window = window{begin: now}
		if now.Sub(l.full) > overloadMemory {
			l.rate = 0
		}
	}
	l.queue.keep(t)
	l.queue.start(t)
	return &Permit{queue: t, begin: now}
}

// letThrough lets those through whose turn it is.
func (l *Limiter) letThrough() {
	for !l.paused && l.queue.running < int(l.limit) {
		w := l.queue.pop(l.mayRun)
		if w == nil {
			return
		}
		w.result <- waited{permit: l.permit(w.queue)}
	}
}

// record adjusts the limit.
//
// It goes by the majority, so that one tenant whose attempts are slow does not slow down the
// others. And it goes by attempts that began after the last adjustment alone: those before would
// only say again what led to it.
func (l *Limiter) record(p *Permit, s Signal) {
	if s == Ignored {
		return
	}
	w := &l.window
	w.ended++
	now := l.now()
	if p.begin.Before(w.begin) {
		return
	}
	w.count(now.Sub(p.begin), s, l.options.Target)
	elapsed := now.Sub(w.begin)
	if elapsed < windowLength {
		return
	}
	l.recordRate(now, elapsed)
	l.adjust()
	*w = window{begin: now, saturated: l.queue.waiting > 0}
}

func (w *window) count(took time.Duration, s Signal, target time.Duration) {
	if s == Failed {
		took = max(took, 2*target)
	}
	w.total++
	w.took += took
	if took > target {
		w.slow++
	}
	if s == Throttled {
		w.throttled++
	}
}

// recordRate takes note of how many attempts a second end while there is no room for more.
func (l *Limiter) recordRate(now time.Time, elapsed time.Duration) {
	w := &l.window
	switch rate := float64(w.ended) / elapsed.Seconds(); {
	case w.saturated && l.rate == 0:
		l.rate, l.full, l.filled = rate, now, w.begin
	case w.saturated:
		l.rate, l.full = l.rate+(rate-l.rate)/4, now
	case now.Sub(l.full) > overloadMemory:
		l.rate = 0
	}
}

// adjust changes the limit by what the window has counted.
func (l *Limiter) adjust() {
	w := &l.window
	switch {
	case 10*w.throttled > w.total:
		l.limit *= 0.7
	case 2*w.slow > w.total:
		// By Little's law, what takes twice as long as it may is twice as much as there may be.
		right := l.limit * l.options.Target.Seconds() * float64(w.total) / w.took.Seconds()
		l.limit = min(max(right, l.limit/2), l.limit*0.9)
	case w.saturated:
		l.limit += max(1, l.limit/4)
	}
	l.limit = min(max(l.limit, l.least()), float64(l.options.Most))
}

// LimiterState is for metrics.
type LimiterState struct{ Limit, Running, Waiting int }

// State returns how the limiter is doing.
func (l *Limiter) State() LimiterState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LimiterState{Limit: int(l.limit), Running: l.queue.running, Waiting: l.queue.waiting}
}
