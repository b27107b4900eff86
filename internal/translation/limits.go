/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"cmp"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
)

// limits makes of spec.limits what a route holds.
func limits(l sluicev1alpha1.TriggerLimits) route.Limits {
	made := route.Limits{Concurrency: int(l.Concurrency), MaxBodyBytes: int64(l.MaxBodyBytes)}
	if l.Rate.Requests > 0 {
		made.PerSecond = float64(l.Rate.Requests) / period(l.Rate.Period).Seconds()
		made.Burst = int(cmp.Or(l.Rate.Burst, l.Rate.Requests))
	}
	return made
}

func period(p sluicev1alpha1.RatePeriod) time.Duration {
	switch p {
	case sluicev1alpha1.PerMinute:
		return time.Minute
	case sluicev1alpha1.PerHour:
		return time.Hour
	default: // PerSecond
		return time.Second
	}
}
