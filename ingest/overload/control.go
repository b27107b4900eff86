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

// Control is overload control of the way to one store, where a circuit breaker and a limiter meet:
// the breaker tells whether the way is open, the limiter bounds what is under way on it. What an
// attempt tells of the store goes to both, and when the breaker opens or closes, the limiter is
// told. See docs/design/0004-overload-control.md.
type Control struct {
	mu      sync.Mutex // of the breaker and the limiter together, in record
	breaker *Breaker
	limiter *Limiter
}

// NewControl returns a Control whose breaker is closed.
func NewControl(options LimiterOptions, now func() time.Time) *Control {
	return &Control{breaker: NewBreaker(now), limiter: NewLimiter(options, now)}
}

// A Pass is the leave to make one attempt. It must be given back to Leave.
type Pass struct {
	trial  Trial
	permit *Permit
}

// Check says why Enter would shed a request of the tenant at once; empty if it would not. It is for
// before the body is read. A reason comes with the time after which another request has a chance,
// or 0 if that cannot be said.
func (c *Control) Check(tenant Tenant) (reason Reason, retryAfter time.Duration) {
	if ok, retryAfter := c.breaker.Check(tenant); !ok {
		return BreakerOpen, retryAfter
	}
	return c.limiter.Check(tenant), 0
}

// Enter waits for the request's turn, but not beyond the end of ctx. concurrency bounds the
// requests of the trigger that are on their way at a time; 0 is no bound. The Pass is nil if there
// is a reason.
func (c *Control) Enter(ctx context.Context, tenant Tenant, concurrency int) (pass *Pass, reason Reason, retryAfter time.Duration) {
	trial, ok, retryAfter := c.breaker.Allow(tenant)
	if !ok {
		return nil, BreakerOpen, retryAfter
	}
	permit, reason := c.limiter.Acquire(ctx, tenant, concurrency, trial.probe)
	if reason != "" {
		c.breaker.Record(trial, Ignored, 0)
		return nil, reason, 0
	}
	return &Pass{trial: trial, permit: permit}, "", 0
}

// Leave says what the attempt has told of the store, and how long that asks to wait, if it does.
// The breaker comes first: nobody who waits must be let through to a store that is known not to
// work.
func (c *Control) Leave(pass *Pass, signal Signal, retryAfter time.Duration) {
	c.record(pass.trial, signal, retryAfter)
	c.limiter.Release(pass.permit, signal)
}

// record tells the breaker, and the limiter what that makes of it. Both happen at once: a limiter
// that is paused behind the back of a closed breaker would never be resumed.
func (c *Control) record(t Trial, signal Signal, retryAfter time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.breaker.Record(t, signal, retryAfter) {
	case Opened:
		c.limiter.Pause()
	case Closed:
		c.limiter.Resume()
	case Unchanged:
	}
}

// State is for metrics.
type State struct {
	LimiterState
	// Open says whether the breaker is open.
	Open bool
}

// State returns how the way to the store is doing.
func (c *Control) State() State {
	return State{LimiterState: c.limiter.State(), Open: c.breaker.Open()}
}
