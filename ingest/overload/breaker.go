/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// The breaker opens when that many attempts in a row have failed, none having succeeded for
	// breakerPatience.
	breakerFailures = 8
	breakerPatience = time.Second
	// While it is open, one probe is let through after a pause, which doubles from the first to the
	// second of these. It begins anew once the breaker was closed for breakerCalm.
	firstBreakerPause = 250 * time.Millisecond
	lastBreakerPause  = 2 * time.Second
	breakerCalm       = 10 * time.Second
	// maxBreakerPause bounds what the store can ask for by Retry-After.
	maxBreakerPause = 30 * time.Second
	// maxProbes is how many probes of tenants that have not tried yet may be under way at a time.
	maxProbes = 4
)

// Breaker is a circuit breaker for the direct way to the store.
//
// It opens when nothing succeeds any more. While it is open it lets through one probe at a time
// when one is due, and one of each trigger that has not tried yet, a namespace's one after the
// other: what fails may be another tenant's alone. The first success closes it.
type Breaker struct {
	now func() time.Time

	mu          sync.Mutex
	mix         mix
	open        bool
	probes      int             // that are under way,
	probing     map[string]int  // of each namespace, without those that have none
	scheduled   bool            // and one of them because it was due
	tried       map[string]bool // the triggers that have had a probe since it opened
	failures    int             // in a row
	lastSuccess time.Time
	closedAt    time.Time
	pause       time.Duration
	until       time.Time // when a probe is due
}

// A Trial is the leave of the Breaker to make one attempt.
type Trial struct {
	tenant    Tenant
	probe     bool // it was let through while the breaker was open, and should not wait for others,
	scheduled bool // because a probe was due
}

// Transition is how an attempt has changed the breaker.
type Transition int

// The transitions.
const (
	Unchanged Transition = iota
	Opened
	Closed
)

// NewBreaker returns a closed breaker.
func NewBreaker(now func() time.Time) *Breaker {
	return &Breaker{now: now, probing: map[string]int{}, pause: firstBreakerPause}
}

// Check says whether Allow would let an attempt of the tenant through. If not, it returns after
// what time another request has a chance. It is for before the body is read.
func (b *Breaker) Check(tenant Tenant) (ok bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check(tenant)
}

func (b *Breaker) check(tenant Tenant) (ok bool, retryAfter time.Duration) {
	if !b.open {
		return true, 0
	}
	now := b.now()
	wait := b.until.Sub(now)
	due := wait <= 0 && !b.scheduled
	mayTry := b.probes < maxProbes && (b.probing[tenant.Namespace] == 0 || !b.mix.several(now))
	if due || !b.tried[tenant.Trigger] && mayTry {
		return true, 0
	}
	return false, max(wait, b.pause)
}

// Allow lets an attempt of the tenant through, or returns after what time another has a chance.
// Every Trial must be given back to Record.
func (b *Breaker) Allow(tenant Tenant) (trial Trial, ok bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mix.note(tenant.Namespace, b.now())
	if ok, retryAfter = b.check(tenant); !ok {
		return Trial{}, false, retryAfter
	}
	trial.tenant = tenant
	if b.open {
		trial.probe = true
		trial.scheduled = !b.scheduled && !b.now().Before(b.until)
		b.scheduled = b.scheduled || trial.scheduled
		b.tried[tenant.Trigger] = true
		b.probes++
		b.probing[tenant.Namespace]++
	}
	return trial, true, 0
}

// Record says what an attempt has told of the store, and how long that asks to wait, if it does.
func (b *Breaker) Record(t Trial, s Signal, retryAfter time.Duration) Transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.probe {
		b.probes--
		if b.probing[t.tenant.Namespace]--; b.probing[t.tenant.Namespace] == 0 {
			delete(b.probing, t.tenant.Namespace)
		}
	}
	if t.scheduled {
		b.scheduled = false
	}
	switch s {
	case Ignored:
		return Unchanged
	case Rejected:
		if b.open && t.scheduled {
			// The store answers, if only to refuse this tenant: others may try again, or who sends
			// the most, and is refused, would take every probe from them.
			b.tried = map[string]bool{t.tenant.Trigger: true}
			b.until = b.now().Add(b.pause)
		}
		return Unchanged
	case Success:
		return b.succeeded()
	case Throttled, Failed:
	}
	return b.failed(t, retryAfter)
}

func (b *Breaker) succeeded() Transition {
	now := b.now()
	b.failures, b.lastSuccess = 0, now
	if b.open {
		b.open, b.closedAt = false, now
		return Closed
	}
	if now.Sub(b.closedAt) > breakerCalm {
		b.pause = firstBreakerPause
	}
	return Unchanged
}

func (b *Breaker) failed(t Trial, retryAfter time.Duration) (changed Transition) {
	now := b.now()
	b.failures++
	switch {
	case b.open && t.scheduled:
	case !b.open && b.failures >= breakerFailures && now.Sub(b.lastSuccess) >= breakerPatience:
		b.open, changed = true, Opened
		b.tried = map[string]bool{t.tenant.Trigger: true}
	default:
		return Unchanged
	}
	wait := b.pause*3/4 + rand.N(b.pause/2) //nolint:gosec // jitter is no secret
	b.until = now.Add(min(max(wait, retryAfter), maxBreakerPause))
	b.pause = min(2*b.pause, lastBreakerPause)
	return changed
}

// Open says whether the breaker is open. One whose next probe is overdue does not count: without
// requests nobody finds out that the store works again, and that is no outage.
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && (b.scheduled || b.now().Before(b.until))
}
