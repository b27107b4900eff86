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

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	rawBaseline = "the same objects, created straight at kube-apiserver by the same generator over as many connections, and by the same user where Sluice is started for this."
	hopNote     = "A bare hop is a net/http handler that posts the objects, which it gets ready-made, to kube-apiserver, and neither verifies nor encodes anything."
	// latencyConnections is how many connections there are where latency is measured, and
	// latencyShare the part of the raw peak that is sent.
	latencyConnections = 64
	latencyShare       = 0.6
	// calmRate is how many requests a second leave the machine idle for most of the time.
	calmRate = 20
)

// A contest measures creates straight at the API server, through Sluice, and through a process that
// does nothing but hand them over, which shows what one between costs on this machine.
type contest struct {
	bench            *bench
	raw, sluice, hop *contender // hop is nil in a given cluster: there it would be elsewhere than Sluice
}

// A contender is one of the ways to store FlowRuns.
type contender struct {
	name   string
	plan   plan
	server *localcluster.Child // the process between the generator and the API server, if it is one of ours
	rounds []round
}

// newContest prepares one. Its connections last as long as it does.
func newContest(ctx context.Context, b *bench, connections int) (*contest, error) {
	address, err := b.cluster.ingestURL(ctx)
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
	c := &contest{
		bench: b,
		raw:   &contender{name: "raw", plan: plan{sender: newSender(http1, connections, tls), target: t.raw(), want: http.StatusCreated}},
		sluice: &contender{name: "Sluice", plan: plan{
			sender: newSender(http1, connections, nil), target: signed(b.cluster.namespace, address), want: http.StatusAccepted,
		}},
	}
	if b.cluster.own {
		c.sluice.server = b.cluster.ingest.child
		child, address, err := b.cluster.hop(ctx, t.url)
		if err != nil {
			return nil, err
		}
		c.hop = &contender{name: "hop", server: child, plan: plan{
			sender: newSender(http1, connections, nil), target: t.to(address+hopPath, http.Header{"Content-Type": {"application/json"}}), want: http.StatusAccepted,
		}}
	}
	for _, one := range c.all() {
		one.plan.workers = connections
	}
	return c, nil
}

func (c *contest) all() []*contender {
	if c.hop == nil {
		return []*contender{c.raw, c.sluice}
	}
	return []*contender{c.raw, c.hop, c.sluice}
}

// round runs a round of a contender. rate is 0 for as much as possible.
func (c *contest) round(ctx context.Context, one *contender, last time.Duration, rate int) (round, error) {
	p := one.plan
	p.last, p.rate = last, rate
	r, err := c.bench.cluster.observed(one.server, func() round { return attack(ctx, p) })
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", one.name, err)
	}
	return r, c.bench.cluster.deleteRuns(ctx)
}

// run runs the rounds of all.
func (c *contest) run(ctx context.Context, rounds int, last time.Duration, rate int) error {
	var variants []func(bool) error
	for _, one := range c.all() {
		variants = append(variants, func(warmUp bool) error {
			if warmUp {
				_, err := c.round(ctx, one, min(last/4, time.Second), rate)
				return err
			}
			r, err := c.round(ctx, one, last, rate)
			one.rounds = append(one.rounds, r)
			return err
		})
	}
	return interleave(rounds, variants...)
}

// of returns what each round has measured.
func (c *contender) of(what func(*round) float64) []float64 {
	var all []float64
	for i := range c.rounds {
		all = append(all, what(&c.rounds[i]))
	}
	return all
}

// compare compares Sluice, and what else is between, with raw creates.
func (c *contest) compare(name, unit string, t target, what func(*round) float64) []row {
	baseline := c.raw.of(what)
	rows := []row{compare(name, unit, c.sluice.of(what), baseline, t, false)}
	if c.hop != nil {
		rows = append(rows, compare(hopRow, unit, c.hop.of(what), baseline, target{}, false))
	}
	return rows
}

const hopRow = "… through a bare hop in its place"

// complaints says which answers did not count, and whose.
func (c *contest) complaints() string {
	var all []string
	for _, one := range c.all() {
		if others := complaints(one.rounds); others != "" {
			all = append(all, fmt.Sprintf("%s: %s did not count", one.name, others))
		}
	}
	return strings.Join(all, "; ")
}

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
		if err := c.run(ctx, b.settings.rounds, b.settings.round, 0); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d connections", connections)
		if connections == 1 {
			name = "1 connection"
		}
		rows := c.compare(name, "a second", target{atLeast, 0.95}, (*round).perSecond)
		b.peak = max(b.peak, rows[0].Baseline.Median)
		b.say("  %s: %s", name, rows[0].Ratio.ratio())
		t.Rows = append(t.Rows, rows...)
		if b.cluster.own {
			t.Rows = append(t.Rows,
				compare("… processor time of kube-apiserver and etcd", "ms a create", c.sluice.of((*round).serversCost), c.raw.of((*round).serversCost), target{}, false),
				figure("… processor time of Sluice", "ms a request", c.sluice.of((*round).betweenCost), target{}),
				figure("… processor time of the bare hop", "ms a request", c.hop.of((*round).betweenCost), target{}))
		}
		if others := c.complaints(); others != "" {
			t.Notes = append(t.Notes, fmt.Sprintf("Of the answers over %s, %s.", name, others))
		}
	}
	if b.cluster.own {
		t.Notes = append(t.Notes, hopNote)
	}
	return []table{t}, nil
}

// latency measures how long it takes until a FlowRun is stored, with the load of a busy day and
// with next to none.
func latency(ctx context.Context, b *bench) ([]table, error) {
	if b.peak == 0 {
		c, err := newContest(ctx, b, latencyConnections)
		if err != nil {
			return nil, err
		}
		r, err := c.round(ctx, c.raw, b.settings.round, 0)
		if err != nil {
			return nil, err
		}
		b.peak = r.perSecond()
	}
	rate := int(b.peak * latencyShare)
	p50 := func(r *round) float64 { return percentile(r.took, 50) }
	p99 := func(r *round) float64 { return percentile(r.took, 99) }

	busy, err := newContest(ctx, b, latencyConnections)
	if err != nil {
		return nil, err
	}
	if err := busy.run(ctx, b.settings.rounds, 2*b.settings.round, rate); err != nil {
		return nil, err
	}
	at := fmt.Sprintf("at %d a second, ", rate)
	medians, tails := busy.compare(at+"p50", "ms", target{atMost, 1.1}, p50), busy.compare(at+"p99", "ms", target{atMost, 1.1}, p99)
	loaded := table{
		Name: "latency",
		Title: fmt.Sprintf("How long it takes until the FlowRun of a signed webhook of 1 KiB is stored, at %.0f %% of the raw peak, over at most %d connections. Requests are sent when they are due.",
			100*latencyShare, latencyConnections),
		Baseline: rawBaseline,
		Rows:     slices.Concat(medians, tails),
	}
	if others := busy.complaints(); others != "" {
		loaded.Notes = append(loaded.Notes, "Of the answers, "+others+".")
	}

	calm, err := newContest(ctx, b, latencyConnections)
	if err != nil {
		return nil, err
	}
	// What is looked for is less than what the create itself takes longer from one minute to the
	// next, so turns are short.
	if err := calm.run(ctx, 3*b.settings.rounds, b.settings.round/2, calmRate); err != nil {
		return nil, err
	}
	baseline := calm.raw.of(p50)
	added := differences(calm.sluice.of(p50), baseline)
	unloaded := table{
		Name:  "unloaded",
		Title: fmt.Sprintf("What Sluice adds to the create, at %d requests a second: the difference of the medians of each round. The raw create took %s ms.", calmRate, summarise(baseline)),
		Rows:  []row{figure("added latency, p50", "ms", added, target{atMost, 0.5})},
	}
	if calm.hop != nil {
		unloaded.Rows = append(unloaded.Rows, figure(hopRow, "ms", differences(calm.hop.of(p50), baseline), target{}))
	}
	b.say("  p50 %s, p99 %s; unloaded %s ms more", medians[0].Ratio.ratio(), tails[0].Ratio.ratio(), summarise(added))
	return []table{loaded, unloaded}, nil
}
