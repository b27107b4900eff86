/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/diagnosis"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
)

// fakeClock is set by hand.
type fakeClock struct{ time time.Time }

func (c *fakeClock) now() time.Time { return c.time }

func (c *fakeClock) pass(d time.Duration) { c.time = c.time.Add(d) }

// keeper is a sink that keeps the deliveries that it is to store.
type keeper struct{ kept []delivery.Delivery }

// Accept implements delivery.Sink.
func (k *keeper) Accept(_ context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	kept := *d
	kept.Body = bytes.Clone(d.Body)
	k.kept = append(k.kept, kept)
	return delivery.Receipt{}, nil
}

// sinkFunc is a sink that is a function.
type sinkFunc func(context.Context, *delivery.Delivery) (delivery.Receipt, error)

// Accept implements delivery.Sink.
func (f sinkFunc) Accept(ctx context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	return f(ctx, d)
}

// testHandler is a handler without a server. change may change the options; it may be nil.
func testHandler(tb testing.TB, sink delivery.Sink, table *route.Table, change func(*Options)) *handler {
	tb.Helper()
	o := Options{Table: table, Sink: sink, Limits: DefaultLimits(), Registerer: prometheus.NewRegistry(), Log: logr.Discard(), Now: time.Now}
	if change != nil {
		change(&o)
	}
	p := parts{
		connections: connlimit.New(o.Limits.MaxConnections, 2*o.Limits.AcceptDeadline, o.TrustedProxies, o.Now),
		budget:      overload.NewBudget(o.Limits.MaxInFlightBytes, time.Now),
		control: overload.NewControl(overload.LimiterOptions{
			Most: o.Limits.MaxCreates, Target: o.Limits.AcceptDeadline, MaxWait: o.Limits.AcceptDeadline,
		}, time.Now),
		diagnoser: diagnosis.New(o.Reporter, o.Log, o.Now),
		draining:  new(atomic.Bool),
	}
	var err error
	if p.metrics, err = newMetrics(o.Registerer, table, levels{control: p.control, budget: p.budget, connections: p.connections}); err != nil {
		tb.Fatal(err)
	}
	return newHandler(o, p)
}
