/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// rotations is how often a key is changed, and rotationLoad how many webhooks a second come
	// meanwhile.
	rotations    = 200
	rotationLoad = 100
	// rotationPoll is how often it is asked whether the new key is good.
	rotationPoll = 5 * time.Millisecond
	// calm is how long after a replica is ready it has to have given back what its start took.
	calm = time.Minute
)

// manyTriggers measures the start of a replica among many triggers, and how fast it notices that a
// key has changed.
func manyTriggers(ctx context.Context, b *bench) ([]table, error) {
	c, n := b.cluster, b.settings.triggers
	b.cluster.stopIngest()
	few, err := c.startIngest(ctx, "ingest-few")
	if err != nil {
		return nil, err
	}
	without, err := memory{}, few.settle(ctx)
	if err == nil {
		without, err = few.memory(ctx)
	}
	few.child.End()
	if err != nil {
		return nil, err
	}
	objectsWithout, err := c.informerObjects(ctx)
	if err != nil {
		return nil, err
	}

	begin := time.Now()
	err = forEach(n, 32, func(i int) error {
		secret, trigger := c.newTrigger(fmt.Sprintf("trigger-%06d", i), fmt.Sprintf("secret-%06d", i))
		return errors.Join(c.admin.Create(ctx, secret), c.admin.Create(ctx, trigger))
	})
	if err != nil {
		return nil, fmt.Errorf("make triggers: %w", err)
	}
	b.say("  %d triggers made in %s", n, time.Since(begin).Round(time.Second))

	var replicas []*replica
	var warmUps, peaks, resident, each, own, rest []float64
	defer func() {
		for _, r := range replicas {
			r.child.End()
		}
	}()
	objects, err := c.informerObjects(ctx)
	if err != nil {
		return nil, err
	}
	objects -= objectsWithout
	perTrigger := func(bytes float64) float64 { return bytes / 1024 / float64(n) }
	for i := range 2 {
		name := fmt.Sprintf("ingest-many-%d", i+1)
		r, err := c.startIngest(ctx, name)
		if err != nil {
			return nil, err
		}
		replicas = append(replicas, r)
		took, err := warmUpTook(filepath.Join(b.folder, name+".log"))
		if err != nil {
			return nil, err
		}
		ready := time.Now()
		if err := r.settle(ctx); err != nil {
			return nil, err
		}
		localcluster.Pause(ctx, time.Until(ready.Add(calm)))
		now, err := r.memory(ctx)
		if err != nil {
			return nil, err
		}
		live := now.live - without.live
		warmUps = append(warmUps, took.Seconds())
		peaks = append(peaks, now.peak/mebibyte)
		resident = append(resident, now.resident/mebibyte)
		each = append(each, perTrigger(now.resident-without.resident))
		own = append(own, perTrigger(live-objects))
		rest = append(rest, perTrigger(now.resident-without.resident-live))
	}
	start := table{
		Name:  "triggers",
		Title: fmt.Sprintf("A replica of ingest that starts among %d triggers, each with a Secret of its own.", n),
		Rows: []row{
			figure("warm-up of the route table", "s", warmUps, target{atMost, 60 * float64(n) / 100_000}),
			figure("resident at most", "MiB", peaks, target{}),
			figure("resident a minute later", "MiB", resident, target{atMost, 40 + 410*float64(n)/100_000}),
			figure("of which for each trigger", "KiB", each, target{}),
			figure("… the objects in the informers' caches", "KiB", []float64{perTrigger(objects)}, target{}),
			figure("… what Sluice makes of them: indexes, route, verifier, work queue", "KiB", own, target{atMost, 2}),
			figure("… garbage, and room for more of it", "KiB", rest, target{}),
		},
		Notes: []string{
			"The live heap, after a forced collection, is compared with that of a replica without these triggers, and with the caches of such a replica alone, filled in another process. " +
				"What is resident beyond the live heap is the garbage collector's: what the start took is given back to the system once it is over, and after that, by default (GOGC=100), the heap grows to twice what is live before it runs.",
		},
	}
	b.say("  warm-up %s s, resident %s MiB, and a minute later %s MiB", summarise(warmUps), summarise(peaks), summarise(resident))

	took, err := b.rotateKeys(ctx, replicas)
	if err != nil {
		return nil, err
	}
	rotation := table{
		Name: "rotation",
		Title: fmt.Sprintf("From the change of a Secret until both of two replicas accept the new key, among %d triggers, with %d webhooks a second for another trigger; %d times, and at most 30 s.",
			n, rotationLoad, rotations),
		Rows: []row{
			figure("p50", "s", []float64{percentile(took, 50) / 1000}, target{}),
			figure("p99", "s", []float64{percentile(took, 99) / 1000}, target{atMost, 1}),
		},
	}
	return []table{start, rotation}, nil
}

// rotateKeys changes a key again and again, under load, and measures until each replica accepts the
// new one.
func (b *bench) rotateKeys(ctx context.Context, replicas []*replica) ([]time.Duration, error) {
	c := b.cluster
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var load errgroup.Group
	var urls []string
	for _, r := range replicas {
		urls = append(urls, r.url)
	}
	load.Go(func() error {
		r := attack(loading, plan{
			sender: newSender(http1, latencyConnections, nil), target: signed(c.namespace, urls...),
			want: http.StatusAccepted, workers: latencyConnections, rate: rotationLoad, last: time.Hour,
		})
		return r.check()
	})
	var took []time.Duration
	name := fmt.Sprintf("%06d", b.settings.triggers/2)
	for begin := time.Now(); len(took) < rotations && time.Since(begin) < 30*time.Second; {
		key := fmt.Sprintf("key-%030d", len(took))
		changed := time.Now()
		if err := c.rotate(ctx, "secret-"+name, key); err != nil {
			return nil, err
		}
		for _, r := range replicas { // one after the other: whoever is second may have been first
			if err := accepts(ctx, r.url+"/hooks/"+c.namespace+"/trigger-"+name, key); err != nil {
				return nil, err
			}
		}
		took = append(took, time.Since(changed))
	}
	stop()
	return took, load.Wait()
}

// accepts returns when a key is good.
func accepts(ctx context.Context, url, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		status, _, err := post(ctx, url, key)
		if err != nil {
			return err
		}
		if status == http.StatusAccepted {
			return nil
		}
		localcluster.Pause(ctx, rotationPoll)
	}
}

var errNoWarmUp = errors.New("the log does not say how long the warm-up took")

// warmUpTook reads from a replica's log how long the route table took.
func warmUpTook(log string) (time.Duration, error) {
	raw, err := os.ReadFile(log) //nolint:gosec // in our own folder
	if err != nil {
		return 0, fmt.Errorf("read a log: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		var entry struct{ Msg, Took string }
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.Msg == "Warmed up the route table" {
			return time.ParseDuration(entry.Took)
		}
	}
	return 0, errNoWarmUp
}
