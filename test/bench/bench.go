/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// An experiment measures something and returns the tables of it.
type experiment struct {
	name string
	run  func(context.Context, *bench) ([]table, error)
	// anywhere says that it needs nothing but a cluster and a Sluice in it. The others start
	// processes or look at them.
	anywhere bool
	// extra says that it only runs when it is named.
	extra bool
}

// experiments are in the order in which they run: what fills the cluster comes last.
func experiments() []experiment {
	return []experiment{
		{name: "idle", run: idle},
		{name: "code", run: code},
		{name: "reject", run: reject},
		{name: "accept", run: accept, anywhere: true},
		{name: "latency", run: latency, anywhere: true},
		{name: "requests", run: requests, anywhere: true, extra: true},
		{name: "replicas", run: replicas},
		{name: "steady", run: steady},
		{name: "storage", run: storage},
		{name: "triggers", run: manyTriggers},
	}
}

// experimentNames are those that can be run, in a given cluster or in one of its own, and those of
// them that need not be named.
func experimentNames(given bool) (all, usual []string) {
	for _, e := range experiments() {
		if !e.anywhere && given {
			continue
		}
		all = append(all, e.name)
		if !e.extra {
			usual = append(usual, e.name)
		}
	}
	return all, usual
}

// bench is a run.
type bench struct {
	settings settings
	folder   string
	children *children
	begin    time.Time
	cluster  *cluster
	// peak is how many objects a second kube-apiserver takes, by the best measurement so far; 0 if
	// there is none.
	peak float64
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Since(b.begin).Round(time.Second), fmt.Sprintf(format, args...))
}

// run returns what was measured, even if it is not all.
func (b *bench) run(ctx context.Context) ([]table, error) {
	if slices.Contains(b.settings.experiments, "reject") {
		if _, err := exec.LookPath(wrkCommand); err != nil {
			return nil, fmt.Errorf("the experiment reject needs wrk (Debian's package wrk); --experiments leaves it out: %w", err)
		}
	}
	var err error
	if b.settings.url != "" {
		b.cluster, err = useCluster(ctx, b.settings.url)
	} else {
		b.cluster, err = startCluster(ctx, b)
	}
	if err != nil {
		return nil, err
	}
	defer b.cluster.cleanUp(ctx)
	var tables []table
	for _, e := range experiments() {
		if !slices.Contains(b.settings.experiments, e.name) {
			continue
		}
		b.say("%s", e.name)
		found, err := e.run(ctx, b)
		if err != nil {
			return tables, fmt.Errorf("experiment %s: %w", e.name, err)
		}
		tables = append(tables, found...)
	}
	return tables, nil
}
