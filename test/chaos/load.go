/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// tick is how often arrivals are let in that are due.
	tick = 5 * time.Millisecond
	// The pause before a sender tries again doubles from the first to the second of these, about
	// half of it by chance. It honours Retry-After up to retryAfterLimit. Real senders have more
	// patience; a run has no time for that.
	firstPause      = 250 * time.Millisecond
	lastPause       = 8 * time.Second
	retryAfterLimit = 2 * time.Second
	// repeatAfter is up to how much later a delivery is repeated.
	repeatAfter = 10 * time.Second
)

// load is everybody who sends.
type load struct {
	seed     uint64
	slow     time.Duration // --read-timeout
	triggers map[string]*trigger
	ledger   *ledger
	backends []*backend

	rate     atomic.Int64 // arrivals in 1000 s
	phase    atomic.Pointer[phase]
	recovery atomic.Pointer[recovery]
	numbers  atomic.Uint64 // of the arrivals of measurements, which are not of the mix
	senders  sync.WaitGroup
	pending  atomic.Int64 // deliveries whose sender is not done
}

// firstOfMeasurements is the number of the first arrival that is not of the mix.
const firstOfMeasurements = 1 << 40

// run lets senders in, at the rate, until ctx ends. They go on until they are done, or until settle
// ends.
func (l *load) run(ctx, settle context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	number, due, last := uint64(0), 0.0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			due += now.Sub(last).Seconds() * float64(l.rate.Load()) / 1000
			last = now
		}
		for ; due >= 1; due-- {
			a := arrive(l.seed, number)
			number++
			l.senders.Go(func() { l.serve(settle, &a) })
		}
	}
}

// serve does what one arrival is about.
func (l *load) serve(ctx context.Context, a *arrival) {
	t := l.triggers[a.trigger]
	switch a.kind {
	case kindPlain, kindIdentified, kindLarge, kindTrickled:
		l.deliver(ctx, t, l.open(a, t, 0, genuine), a, 0, nil)
	case kindTwins:
		d := l.open(a, t, 0, genuine)
		first := l.pick(ctx, nil)
		var twin sync.WaitGroup
		twin.Go(func() { l.deliver(ctx, t, d, a, 0, l.pick(ctx, first)) })
		l.deliver(ctx, t, d, a, 0, first)
		twin.Wait()
	case kindRepeated:
		d := l.open(a, t, 0, genuine)
		later := time.Duration(a.random.Int64N(int64(repeatAfter)))
		l.deliver(ctx, t, d, a, 0, nil)
		localcluster.Pause(ctx, later)
		l.deliver(ctx, t, d, a, 0, nil)
	case kindRivals:
		s := genuine // with another body, an id that is not signed is another delivery
		if t.signsID {
			s = rival
		}
		first, second := l.open(a, t, 0, s), l.open(a, t, 1, s)
		var other sync.WaitGroup
		other.Go(func() { l.deliver(ctx, t, second, a, 1, nil) })
		l.deliver(ctx, t, first, a, 0, nil)
		other.Wait()
	case kindPreceded:
		forgery := l.open(a, t, 1, forged)
		l.attempt(ctx, l.pick(ctx, nil), forgery, l.message(a, t, a.body(l.seed, 1), []byte("a key that nobody has"), nil), false)
		l.deliver(ctx, t, l.open(a, t, 0, genuine), a, 0, nil)
	case kindStalled, kindAbandoned, kindTooLong, kindTooLongPart:
		d := l.open(a, t, 0, unwanted)
		key, over := t.use(a.number)
		defer over()
		l.attempt(ctx, l.pick(ctx, nil), d, l.message(a, t, a.body(l.seed, 0), key, nil), false)
	default:
		l.forge(ctx, a, t)
	}
}

// open opens a page of the ledger for a body of the arrival.
func (l *load) open(a *arrival, t *trigger, index int, s sort) *delivery {
	d := &delivery{number: a.number, kind: string(a.kind), trigger: t.String(), digest: sha256.Sum256(a.body(l.seed, index)), sort: s, signsID: t.signsID}
	if t.deduplicates {
		d.id = a.id()
	}
	l.ledger.expect(d)
	return d
}

// message signs a body, and changes the headers if it is told how.
func (l *load) message(a *arrival, t *trigger, body, key []byte, signature func(string) string) *message {
	m := &message{body: body, pace: paceOf(a.kind, l.slow), chunked: a.kind == kindTooLongPart}
	value := t.sign(key, a, body)
	if signature != nil {
		value = signature(value)
	}
	var headers []string
	if value != "" {
		headers = append(headers, signatureHeader, value)
	}
	if t.deduplicates {
		headers = append(headers, deliveryHeader, a.id())
	}
	length := len(body)
	if m.chunked {
		length = -1
	}
	m.head = head(t.path(), length, headers...)
	return m
}

// deliver sends a delivery until it is settled, as a good sender does: after 503 it comes back when
// it is told to, and if the connection broke it sends the same again. b is where to send it first;
// nil is anywhere.
func (l *load) deliver(ctx context.Context, t *trigger, d *delivery, a *arrival, index int, b *backend) {
	l.pending.Add(1)
	defer l.pending.Add(-1)
	pause := firstPause
	for first := true; ctx.Err() == nil; first = false {
		if b == nil {
			b = l.pick(ctx, nil)
		}
		key, over := t.use(a.number)
		r, fate := l.attempt(ctx, b, d, l.message(a, t, a.body(l.seed, index), key, nil), first && d.sort == genuine)
		over()
		if fate == answered && !comesBack(r.status) {
			return
		}
		localcluster.Pause(ctx, max(min(r.retryAfter, retryAfterLimit), pause/2+rand.N(pause/2))) //nolint:gosec // jitter is no secret
		pause = min(2*pause, lastPause)
		b = nil
	}
}

// comesBack says whether a sender comes back after that answer; 0 is a request that was not sent.
func comesBack(status int) bool {
	switch status {
	case 0, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError:
		return true
	}
	return false
}

// forge sends what must be refused, once.
func (l *load) forge(ctx context.Context, a *arrival, t *trigger) {
	key, over := t.use(a.number)
	over()
	body := a.body(l.seed, 0)
	var change func(string) string
	switch a.kind {
	case kindAltered:
		signed := t.sign(key, a, body)
		change = func(string) string { return signed }
		body[a.random.IntN(len(body))] ^= 1 << a.random.IntN(8)
	case kindOtherKey:
		key, over = l.triggers[triggerCalm].use(a.number)
		over()
	case kindUnsigned:
		change = func(string) string { return "" }
	case kindMalformed:
		change = func(string) string { return "sha256=none" }
	case kindShortened:
		change = func(good string) string { return good[:len(good)-2] }
	case kindFormerKey:
		if key = t.formerKey(); key == nil {
			key = []byte("a key that nobody has")
		}
	default:
		key = []byte("a key that nobody has")
	}
	d := &delivery{number: a.number, kind: string(a.kind), trigger: t.String(), digest: sha256.Sum256(body), sort: forged}
	if t.deduplicates {
		d.id = a.id()
	}
	l.ledger.expect(d)
	l.attempt(ctx, l.pick(ctx, nil), d, l.message(a, t, body, key, change), false)
}

// attempt sends one request and notes what became of it. first says that it is the first of a
// genuine delivery. A fate of unanswered with status 0 is also that of a request that could not be
// sent.
func (l *load) attempt(ctx context.Context, b *backend, d *delivery, m *message, first bool) (reply, fate) {
	return l.attemptIn(ctx, l.phase.Load(), b, d, m, first)
}

// attemptIn is attempt for what does not count in the present phase.
func (l *load) attemptIn(ctx context.Context, phase *phase, b *backend, d *delivery, m *message, first bool) (reply, fate) {
	if b == nil {
		return reply{}, unanswered
	}
	l.ledger.sent(d, 1)
	begin := time.Now()
	// A request that was begun is finished, or the ledger would not add up.
	r, fate, err := b.do(context.WithoutCancel(ctx), m)
	took := time.Since(begin)
	if errors.Is(err, errNotSent) {
		l.ledger.sent(d, -1)
		return r, unanswered
	}
	name := ""
	if fate == answered && (r.status == http.StatusOK || r.status == http.StatusAccepted) {
		name = r.flowRun()
		if recovery := l.recovery.Load(); recovery != nil {
			recovery.accepted(b, begin)
		}
	}
	l.ledger.note(d, answer{status: r.status, run: name, fate: fate}, fmt.Sprintf("%s after %s: %v", b.name, took.Round(time.Millisecond), err))
	phase.note(d.trigger, r.status, fate, took, m.pace == nil && len(m.body) <= largeBody, first)
	return r, fate
}

// pick returns a backend that is ready, at random, another one than that if there is one; nil if
// none is.
func (l *load) pick(ctx context.Context, not *backend) *backend {
	var ready []*backend
	for _, b := range l.backends {
		if b.ready.Load() && b != not {
			ready = append(ready, b)
		}
	}
	switch {
	case len(ready) > 0:
		return ready[rand.IntN(len(ready))] //nolint:gosec // no secret
	case not != nil && ctx.Err() == nil:
		return not
	}
	return nil
}

// recovery is when each backend first accepted a request again that was sent after a fault was
// healed.
type recovery struct {
	healed time.Time

	mu    sync.Mutex
	after map[*backend]time.Duration
}

func newRecovery() *recovery {
	return &recovery{healed: time.Now(), after: map[*backend]time.Duration{}}
}

func (r *recovery) accepted(b *backend, begin time.Time) {
	if begin.Before(r.healed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.after[b]; !known {
		r.after[b] = time.Since(r.healed)
	}
}

// slowest returns the longest that one of the backends took, and false if one of them has not
// accepted anything yet.
func (r *recovery) slowest(backends []*backend) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slowest := time.Duration(0)
	for _, b := range backends {
		after, ok := r.after[b]
		if !ok {
			return 0, false
		}
		slowest = max(slowest, after)
	}
	return slowest, true
}

// measured makes an arrival that is not of the mix.
func (l *load) measured(k kind) *arrival {
	number := firstOfMeasurements + l.numbers.Add(1)
	return &arrival{number: number, kind: k, trigger: triggerCalm, random: rand.New(rand.NewPCG(l.seed, number))} //nolint:gosec // as above
}
