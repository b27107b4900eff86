/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

const (
	keptRuns = 10
	// settling is how long it takes until there are as many deletes as creates, and cycling how
	// long is measured: some sweeps.
	settling = 25 * time.Second
	cycling  = 15 * time.Second
	// steadyShare is how much of what can be done is done at the constant rate.
	steadyShare = 0.5
	// notMore is how far a figure may be above another that it is to be equal to.
	notMore = 1.1
)

// steady measures runs that come, succeed and go.
func steady(ctx context.Context, b *bench) ([]table, error) {
	if _, err := b.cluster.deliver(ctx); err != nil {
		return nil, err
	}
	t, err := b.cluster.newTemplate(ctx)
	if err != nil {
		return nil, err
	}
	h, err := b.cluster.newHand(t)
	if err != nil {
		return nil, err
	}
	flow := &sluicev1alpha1.Flow{ObjectMeta: metav1.ObjectMeta{Namespace: b.cluster.namespace, Name: flowName}}
	patch := fmt.Appendf(nil, `{"spec":{"history":{"successfulRunsHistoryLimit":%d}}}`, keptRuns)
	if err := b.cluster.admin.Patch(ctx, flow, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, fmt.Errorf("set the Flow's history: %w", err)
	}
	byHand, bySluice, err := b.lifecycles(ctx, h)
	if err != nil {
		return nil, err
	}
	atRate, err := b.constantRate(ctx, h, int(summarise(byHand).Median/3*steadyShare))
	if err != nil {
		return nil, err
	}
	result := table{
		Name:     "steady state",
		Title:    fmt.Sprintf("FlowRuns that are created, get the status Succeeded from an executor, and are deleted because the Flow keeps %d, for each of %d connections one after the other; and at a constant rate for %s.", keptRuns, handWorkers, b.settings.steady),
		Baseline: "the same three operations by hand, straight at kube-apiserver; for the constant rate, its beginning.",
		Rows:     append([]row{compare("creates, writes of a status and deletes", "a second", bySluice, byHand, target{atLeast, 0.9}, false)}, atRate...),
	}
	return []table{result}, b.cluster.deleteRuns(ctx)
}

// lifecycles measures how many creates, writes of a status and deletes there are in a second, by
// hand and with Sluice, by turns. With Sluice, deletes come in sweeps, and so there are more of
// them at one time than at another.
func (b *bench) lifecycles(ctx context.Context, h *hand) (byHand, bySluice []float64, err error) {
	const turns = 2
	url := b.cluster.url + "/hooks/" + b.cluster.namespace + "/" + triggerName
	for range turns {
		rate, err := repeat(ctx, cycling, handWorkers, func() error {
			name, err := h.create(ctx)
			if err != nil {
				return err
			}
			if err := h.finish(ctx, name); err != nil {
				return err
			}
			return h.delete(ctx, name)
		})
		if err != nil {
			return nil, nil, err
		}
		byHand = append(byHand, 3*rate)

		controller, err := b.cluster.startController(ctx)
		if err != nil {
			return nil, nil, err
		}
		deliver := func() error {
			status, answer, err := post(ctx, url, keyText)
			if err != nil {
				return err
			}
			if status != http.StatusAccepted {
				return fmt.Errorf("a webhook is answered %d", status)
			}
			name, err := runName(answer)
			if err != nil {
				return err
			}
			return h.finish(ctx, name)
		}
		if _, err := repeat(ctx, settling, handWorkers, deliver); err != nil {
			return nil, nil, err
		}
		before, err := b.cluster.countRuns(ctx)
		if err != nil {
			return nil, nil, err
		}
		created, err := repeat(ctx, cycling, handWorkers, deliver)
		if err != nil {
			return nil, nil, err
		}
		after, err := b.cluster.countRuns(ctx)
		if err != nil {
			return nil, nil, err
		}
		deleted := created - float64(after-before)/cycling.Seconds()
		bySluice = append(bySluice, 2*created+deleted)
		b.say("  by hand %.0f a second; by Sluice %.0f created and %.0f deleted", rate, created, deleted)
		controller.child.End()
		if err := b.cluster.deleteRuns(ctx); err != nil {
			return nil, nil, err
		}
	}
	return byHand, bySluice, nil
}

// sent is when a request was sent and how long it took.
type sent struct {
	at   time.Time
	took time.Duration
}

// constantRate has runs come and go at a rate, and compares the end with the beginning.
func (b *bench) constantRate(ctx context.Context, h *hand, rate int) ([]row, error) {
	controller, err := b.cluster.startController(ctx)
	if err != nil {
		return nil, err
	}
	defer controller.child.End()
	finished := make(chan string, rate*int(b.settings.steady.Seconds()+1)) // each takes its time, and the generator must not
	var finishing errgroup.Group
	for range handWorkers {
		finishing.Go(func() error {
			for name := range finished {
				if err := h.finish(ctx, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var counts []int
	var counting errgroup.Group
	attacking, over := context.WithCancel(ctx)
	defer over()
	counting.Go(func() error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				n, err := b.cluster.countRuns(ctx)
				if err != nil {
					return err
				}
				counts = append(counts, n)
			case <-attacking.Done():
				return nil
			}
		}
	})
	var all []sent
	r := attack(ctx, plan{
		sender: newSender(http1, latencyConnections, nil), target: signed(b.cluster.namespace, b.cluster.url),
		want: http.StatusAccepted, workers: latencyConnections, rate: rate, last: b.settings.steady,
		each: func(result *vegeta.Result) {
			all = append(all, sent{result.Timestamp, result.Latency})
			if name, err := runName(result.Body); err == nil {
				finished <- name
			}
		},
	})
	over()
	close(finished)
	if err := finishing.Wait(); err != nil {
		return nil, err
	}
	if err := counting.Wait(); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b sent) int { return a.at.Compare(b.at) })
	at := fmt.Sprintf("at %d a second: ", rate)
	part := func(i int) []time.Duration {
		var took []time.Duration
		for _, s := range all[i*len(all)/3 : (i+1)*len(all)/3] {
			took = append(took, s.took)
		}
		return took
	}
	most := func(i int) []float64 {
		if third := counts[i*len(counts)/3 : (i+1)*len(counts)/3]; len(third) > 0 {
			return []float64{float64(slices.Max(third))}
		}
		return nil
	}
	flat := target{atMost, notMore}
	// The first third is what FlowRuns pile up in until the first are due.
	rows := []row{
		compare(at+"p50, last third", "ms", []float64{percentile(part(2), 50)}, []float64{percentile(part(1), 50)}, flat, false),
		compare(at+"p99, last third", "ms", []float64{percentile(part(2), 99)}, []float64{percentile(part(1), 99)}, flat, false),
		compare(at+"most FlowRuns, last third", "objects", most(2), most(1), flat, false),
	}
	b.say("  FlowRuns, each second: %v", counts)
	return rows, nil
}
