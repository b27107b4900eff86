/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what a trigger accepts. Zero values are no bounds.
type Limits struct {
	// PerSecond is how many verified requests a second are accepted, and Burst how many at once.
	PerSecond float64
	Burst     int
	// Concurrency is how many verified requests may be on their way to the API server at a time.
	Concurrency int
	// MaxBodyBytes is the longest body.
	MaxBodyBytes int64
}

// Allow counts a verified request against the rate of the route, which goes on when the route is
// replaced by another of the same trigger. It returns 0 if the request may be accepted, and
// otherwise after which time one may.
func (r *Route) Allow(now time.Time) time.Duration {
	if r.rate == nil {
		return 0
	}
	if r.rate.AllowN(now, 1) {
		return 0
	}
	missing := 1 - r.rate.TokensAt(now)
	return max(1, time.Duration(missing/r.Limits.PerSecond*float64(time.Second)))
}

// Refund takes an Allow back, for a request that was not stored after all. now is the time of the
// refund, not of the request: a limiter that is told of an earlier time counts what is between
// twice.
func (r *Route) Refund(now time.Time) {
	if r.rate != nil {
		r.rate.ReserveN(now, -1)
	}
}

// inherit makes the route count on where its predecessor at the same path is, if it has one.
func (r *Route) inherit(predecessor *Route) {
	if r.Limits.PerSecond <= 0 {
		return
	}
	if predecessor == nil || predecessor.UID != r.UID || predecessor.rate == nil {
		r.rate = rate.NewLimiter(rate.Limit(r.Limits.PerSecond), r.Limits.Burst)
		return
	}
	r.rate = predecessor.rate
	if r.Limits != predecessor.Limits {
		r.rate.SetLimit(rate.Limit(r.Limits.PerSecond))
		r.rate.SetBurst(r.Limits.Burst)
	}
}
