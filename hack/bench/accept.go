/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	rawBaseline = "the same objects, created straight at kube-apiserver by the same generator and the same user, by the better of HTTP/1.1 and HTTP/2."
	// latencyConnections is how many connections there are where latency is measured, and latencyShare the part of the raw peak
	// that is sent.
	latencyConnections = 64
	latencyShare       = 0.6
	// calmRate is how many requests a second leave the machine idle for most of the time.
	calmRate = 20
)

// A contest measures creates straight at the API server, by both protocols, and through Sluice.
type contest struct {
	bench *bench
	names []string
	// variants are the two raw ones, and Sluice last.
	variants []func(last time.Duration, rate int) (round, error)
	rounds   [][]round // of each variant
}

const rawVariants = 2

// newContest prepares one. Its connections last as long as it does.
func newContest(ctx context.Context, b *bench, connections int) (*contest, error) {
	url, err := b.cluster.ingestURL(ctx)
	if err != nil {
		return nil, err
	}
	t, err := b.cluster.newTemplate(ctx)
	if err != nil {
		return nil, err
	}
	tls, err := b.cluster.apiTLS()
	if err != nil {
		return nil, err
	}
	c := &contest{bench: b}
	add := func(name string, p plan) {
		p.workers = connections
		c.names = append(c.names, name)
		c.variants = append(c.variants, func(last time.Duration, rate int) (round, error) {
			p.last, p.rate = last, rate
			return b.cluster.observed(func() round { return attack(ctx, p) })
		})
	}
	for _, protocol := range []protocol{http1, http2} {
		add(string(protocol), plan{sender: newSender(protocol, connections, tls.Clone()), target: t.raw(), want: http.StatusCreated})
	}
	add("Sluice", plan{sender: newSender(http1, connections, nil), target: signed(b.cluster.namespace, url), want: http.StatusAccepted})
	c.rounds = make([][]round, len(c.variants))
	return c, nil
}

// run runs the rounds. rate is 0 for as much as possible.
func (c *contest) run(ctx context.Context, last time.Duration, rate int) error {
	variants := make([]func(bool) error, len(c.variants))
	for i, variant := range c.variants {
		variants[i] = func(warmUp bool) error {
			if warmUp {
				if _, err := variant(min(last/4, time.Second), rate); err != nil {
					return err
				}
				return c.bench.cluster.deleteRuns(ctx)
			}
			r, err := variant(last, rate)
			if err == nil {
				err = r.check()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.names[i], err)
			}
			c.rounds[i] = append(c.rounds[i], r)
			return c.bench.cluster.deleteRuns(ctx)
		}
	}
	return interleave(c.bench.settings.rounds, variants...)
}

// of returns what each round of a variant has measured.
func (c *contest) of(variant int, what func(*round) float64) []float64 {
	var all []float64
	for i := range c.rounds[variant] {
		all = append(all, what(&c.rounds[variant][i]))
	}
	return all
}

// compare compares Sluice with the better of the raw ones.
func (c *contest) compare(name, unit string, t target, what func(*round) float64) row {
	best := c.best(t.Bound, what)
	return compare(name, unit, c.of(rawVariants, what), c.of(best, what), t, false)
}

// best returns the raw variant whose median is higher, or lower if that is better.
func (c *contest) best(higher bound, what func(*round) float64) int {
	best := 0
	for i := range rawVariants {
		this, other := summarise(c.of(i, what)).Median, summarise(c.of(best, what)).Median
		if this != other && (this > other) == (higher == atLeast) {
			best = i
		}
	}
	return best
}

// complaints says which answers of Sluice did not count.
func (c *contest) complaints() string { return complaints(c.rounds[rawVariants]) }

func complaints(rounds []round) string {
	total, others := 0, map[string]int{}
	for _, r := range rounds {
		total += len(r.took)
		for answer, n := range r.others {
			others[answer] += n
			total += n
		}
	}
	var parts []string
	for _, answer := range slices.Sorted(maps.Keys(others)) {
		parts = append(parts, fmt.Sprintf("%.1f %% %s", 100*float64(others[answer])/float64(total), answer))
	}
	return strings.Join(parts, ", ")
}

// accept measures how many FlowRuns are stored in a second.
func accept(ctx context.Context, b *bench) ([]table, error) {
	t := table{
		Name:     "accept",
		Title:    "Signed webhooks of 1 KiB whose FlowRun is stored, in a second. Each connection sends one after the other.",
		Baseline: rawBaseline,
	}
	for _, connections := range b.settings.connections {
		c, err := newContest(ctx, b, connections)
		if err != nil {
			return nil, err
		}
		if err := c.run(ctx, b.settings.round, 0); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d connections", connections)
		if connections == 1 {
			name = "1 connection"
		}
		r := c.compare(name, "a second", target{atLeast, 0.95}, (*round).perSecond)
		b.peak = max(b.peak, r.Baseline.Median)
		t.Rows = append(t.Rows, r)
		b.say("  %s: %s", name, r.Ratio.ratio())
		if b.cluster.own {
			t.Rows = append(t.Rows,
				compare("… processor time of kube-apiserver and etcd", "ms a create", c.of(rawVariants, (*round).serversCost),
					c.of(c.best(atMost, (*round).serversCost), (*round).serversCost), target{}, false),
				figure("… processor time of Sluice", "ms a request", c.of(rawVariants, (*round).sluiceCost), target{}))
		}
		note := fmt.Sprintf("%s: the better raw one is %s", name, c.names[c.best(atLeast, (*round).perSecond)])
		if others := c.complaints(); others != "" {
			note += "; of Sluice's answers, " + others + " did not count"
		}
		t.Notes = append(t.Notes, note+".")
	}
	return []table{t}, nil
}

// latency measures how long it takes until a FlowRun is stored, with the load of a busy day and with next to none.
func latency(ctx context.Context, b *bench) ([]table, error) {
	if b.peak == 0 {
		c, err := newContest(ctx, b, latencyConnections)
		if err != nil {
			return nil, err
		}
		for i := range rawVariants {
			r, err := c.variants[i](b.settings.round, 0)
			if err == nil {
				err = r.check()
			}
			if err != nil {
				return nil, err
			}
			b.peak = max(b.peak, r.perSecond())
			if err := b.cluster.deleteRuns(ctx); err != nil {
				return nil, err
			}
		}
	}
	rate := int(b.peak * latencyShare)
	p50 := func(r *round) float64 { return percentile(r.took, 50) }
	p99 := func(r *round) float64 { return percentile(r.took, 99) }

	busy, err := newContest(ctx, b, latencyConnections)
	if err != nil {
		return nil, err
	}
	if err := busy.run(ctx, 2*b.settings.round, rate); err != nil {
		return nil, err
	}
	at := fmt.Sprintf("at %d a second, ", rate)
	loaded := table{
		Name: "latency",
		Title: fmt.Sprintf("How long it takes until the FlowRun of a signed webhook of 1 KiB is stored, at %.0f %% of the raw peak, over at most %d connections. Requests are sent when they are due.",
			100*latencyShare, latencyConnections),
		Baseline: rawBaseline,
		Rows: []row{
			busy.compare(at+"p50", "ms", target{atMost, 1.1}, p50),
			busy.compare(at+"p99", "ms", target{atMost, 1.1}, p99),
		},
	}
	if others := busy.complaints(); others != "" {
		loaded.Notes = append(loaded.Notes, "Of Sluice's answers, "+others+" did not count.")
	}

	calm, err := newContest(ctx, b, latencyConnections)
	if err != nil {
		return nil, err
	}
	if err := calm.run(ctx, 2*b.settings.round, calmRate); err != nil {
		return nil, err
	}
	var added []float64
	best := calm.best(atMost, p50)
	for i, sluice := range calm.of(rawVariants, p50) {
		added = append(added, sluice-calm.of(best, p50)[i])
	}
	unloaded := table{
		Name:  "unloaded",
		Title: fmt.Sprintf("What Sluice adds to the create, at %d requests a second: the difference of the medians of each round. The raw create took %s ms.", calmRate, summarise(calm.of(best, p50))),
		Rows:  []row{figure("added latency, p50", "ms", added, target{atMost, 0.5})},
	}
	b.say("  p50 %s, p99 %s; unloaded %s ms more", loaded.Rows[0].Ratio.ratio(), loaded.Rows[1].Ratio.ratio(), summarise(added))
	return []table{loaded, unloaded}, nil
}
