/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// mebibyte is for memory.
const mebibyte = 1 << 20

// idle measures the memory of a process of each role that has nothing to do.
func idle(ctx context.Context, b *bench) ([]table, error) {
	const settled = 15 * time.Second
	t := table{Name: "idle", Title: "Resident memory of a process that has nothing to do. What is not anonymous are pages of the program itself, which replicas on one node share."}
	controller, err := b.cluster.startController(ctx)
	if err != nil {
		return nil, err
	}
	defer controller.child.End()
	if _, err := b.cluster.ingestURL(ctx); err != nil {
		return nil, err
	}
	localcluster.Pause(ctx, settled)
	for _, p := range []struct {
		role  string
		child *localcluster.Child
	}{{"ingest", b.cluster.ingest.child}, {"controller", controller.child}} {
		now, _ := localcluster.Resident(p.child.PID())
		var anonymous float64
		if _, err := fmt.Sscanf(field(fmt.Sprintf("/proc/%d/status", p.child.PID()), "RssAnon"), "%f kB", &anonymous); err != nil {
			return nil, fmt.Errorf("read the memory of a process: %w", err)
		}
		t.Rows = append(t.Rows,
			figure("role "+p.role, "MiB", []float64{float64(now) / mebibyte}, target{atMost, 40}),
			figure("… of which anonymous", "MiB", []float64{anonymous / 1024}, target{}))
	}
	return []table{t}, nil
}

// replicas measures whether more replicas of ingest on one API server store as much as one, and
// what a request costs them.
func replicas(ctx context.Context, b *bench) ([]table, error) {
	const connections = 64
	url, err := b.cluster.ingestURL(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := b.cluster.deliver(ctx); err != nil {
		return nil, err
	}
	all, urls := []*replica{b.cluster.ingest}, []string{url}
	defer func() {
		for _, r := range all[1:] {
			r.child.End()
		}
	}()
	for i := range 3 {
		r, err := b.cluster.startIngest(ctx, fmt.Sprintf("ingest-%d", i+2))
		if err != nil {
			return nil, err
		}
		all, urls = append(all, r), append(urls, r.url)
	}
	processors := func() (float64, error) {
		sum := time.Duration(0)
		for _, r := range all {
			taken, err := processorTime(r.child.PID())
			if err != nil {
				return 0, err
			}
			sum += taken
		}
		return sum.Seconds() * 1000, nil
	}
	counts := []int{1, 2, 4}
	rates, costs := make([][]float64, len(counts)), make([][]float64, len(counts))
	var variants []func(bool) error
	for i, n := range counts {
		// The connections are those of all replicas together.
		p := plan{
			sender: newSender(http1, connections/n, nil), target: signed(b.cluster.namespace, urls[:n]...),
			want: http.StatusAccepted, workers: connections, last: b.settings.round,
		}
		variants = append(variants, func(warmUp bool) error {
			before, err := processors()
			if err != nil {
				return err
			}
			r := attack(ctx, p)
			after, err := processors()
			if err != nil {
				return err
			}
			if err := r.check(); err != nil {
				return err
			}
			if !warmUp {
				rates[i] = append(rates[i], r.perSecond())
				costs[i] = append(costs[i], (after-before)/float64(len(r.took)))
			}
			return b.cluster.deleteRuns(ctx)
		})
	}
	if err := interleave(b.settings.rounds, variants...); err != nil {
		return nil, err
	}
	t := table{
		Name:     "replicas",
		Title:    fmt.Sprintf("Two and four replicas of ingest on one API server, %d connections in all.", connections),
		Baseline: "one replica.",
	}
	for i, n := range counts[1:] {
		t.Rows = append(t.Rows, compare(fmt.Sprintf("%d replicas: stored", n), "a second", rates[i+1], rates[0], target{atLeast, 0.95}, false))
	}
	for i, n := range counts[1:] {
		t.Rows = append(t.Rows, compare(fmt.Sprintf("%d replicas: processor time of ingest", n), "ms a request", costs[i+1], costs[0], target{atMost, 1.1}, false))
	}
	return []table{t}, nil
}
