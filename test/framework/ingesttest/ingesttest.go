/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package ingesttest serves a table of routes without a cluster, for tests of what senders see.
package ingesttest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// patience is how long the server may take to listen.
const patience = 20 * time.Second

// Start serves the routes on a free port of the loopback interface until the test ends, and returns
// once it listens. Deliveries go to the sink. change may change the options; it may be nil.
func Start(t testing.TB, sink delivery.Sink, routes []*route.Route, change func(*ingest.Options)) *ingest.Server {
	t.Helper()
	table := route.NewTable()
	table.Replace(routes)
	options := ingest.Options{
		Address: "127.0.0.1:0", Table: table, Sink: sink, Limits: ingest.DefaultLimits(),
		Registerer: prometheus.NewRegistry(), Log: logr.Discard(),
	}
	options.Limits.ShutdownDelay = 0
	if change != nil {
		change(&options)
	}
	server, err := ingest.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, "server", server.Start)
	testenv.Eventually(t, patience, func() error { return server.CheckListening(nil) })
	return server
}

// SinkFunc is a Sink that is a function.
type SinkFunc func(context.Context, *delivery.Delivery) (delivery.Receipt, error)

// Accept implements delivery.Sink.
func (f SinkFunc) Accept(ctx context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	return f(ctx, d)
}

// Memory is a Sink that keeps deliveries in memory. Its zero value is ready to be used.
type Memory struct {
	mu   sync.Mutex
	kept []delivery.Delivery
}

// Accept implements delivery.Sink.
func (m *Memory) Accept(_ context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.kept {
		if m.kept[i].Run == d.Run && m.kept[i].Trigger == d.Trigger {
			return delivery.Receipt{Duplicate: true}, nil
		}
	}
	kept := *d
	kept.Body = bytes.Clone(d.Body)
	m.kept = append(m.kept, kept)
	return delivery.Receipt{}, nil
}

// Take returns the deliveries that are kept, and forgets them.
func (m *Memory) Take() []delivery.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.kept
	m.kept = nil
	return kept
}
