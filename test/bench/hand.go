/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// handWorkers is how many runs are in hand at a time.
const handWorkers = 16

// A hand does straight at the API server what Sluice and an executor do with a FlowRun.
type hand struct {
	cluster  *cluster
	template *template
	sender   *http.Client
}

func (c *cluster) newHand(t *template) (*hand, error) {
	config, err := c.apiTLS()
	if err != nil {
		return nil, err
	}
	return &hand{cluster: c, template: t, sender: newSender(http1, handWorkers, config)}, nil
}

// create creates a FlowRun and returns its name.
func (h *hand) create(ctx context.Context) (string, error) {
	name, object := h.template.next()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.template.url, bytes.NewReader(object))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+h.template.token)
	response, err := h.sender.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("create a FlowRun: %s", response.Status)
	}
	return name, nil
}

func (h *hand) run(name string) *sluicev1alpha1.FlowRun {
	return &sluicev1alpha1.FlowRun{ObjectMeta: metav1.ObjectMeta{Namespace: h.cluster.namespace, Name: name}}
}

// finish writes into the status that the run has succeeded.
func (h *hand) finish(ctx context.Context, name string) error {
	now := metav1.NewTime(time.Now())
	raw, err := json.Marshal(map[string]any{"status": sluicev1alpha1.FlowRunStatus{
		Conditions: []metav1.Condition{{
			Type: sluicev1alpha1.ConditionSucceeded, Status: metav1.ConditionTrue, Reason: "Done", LastTransitionTime: now,
		}},
		CompletionTime: &now,
	}})
	if err != nil {
		return fmt.Errorf("encode a status: %w", err)
	}
	if err := h.cluster.admin.Status().Patch(ctx, h.run(name), client.RawPatch(types.MergePatchType, raw)); err != nil {
		return fmt.Errorf("finish a FlowRun: %w", err)
	}
	return nil
}

// delete deletes a FlowRun.
func (h *hand) delete(ctx context.Context, name string) error {
	if err := h.cluster.admin.Delete(ctx, h.run(name)); err != nil {
		return fmt.Errorf("delete a FlowRun: %w", err)
	}
	return nil
}

// forEach does something for each number below n, so many at a time.
func forEach(n, workers int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// repeat has workers do something again and again for a while, and returns how often it was done in
// a second.
func repeat(ctx context.Context, last time.Duration, workers int, do func() error) (float64, error) {
	begin := time.Now()
	counts := make([]int, workers)
	err := forEach(workers, workers, func(worker int) error {
		for time.Since(begin) < last && ctx.Err() == nil {
			if err := do(); err != nil {
				return err
			}
			counts[worker]++
		}
		return nil
	})
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / time.Since(begin).Seconds(), err
}

// countRuns returns how many FlowRuns there are.
func (c *cluster) countRuns(ctx context.Context) (int, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("FlowRunList"))
	if err := c.admin.List(ctx, &list, client.InNamespace(c.namespace), client.Limit(1)); err != nil {
		return 0, fmt.Errorf("count the FlowRuns: %w", err)
	}
	count := len(list.Items)
	if more := list.RemainingItemCount; more != nil {
		count += int(*more)
	}
	return count, nil
}

// rotate gives a Secret another key.
func (c *cluster) rotate(ctx context.Context, name, key string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
	patch, err := json.Marshal(map[string]any{"data": map[string][]byte{secretKey: []byte(key)}})
	if err != nil {
		return fmt.Errorf("encode a Secret: %w", err)
	}
	if err := c.admin.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("change a Secret: %w", err)
	}
	return nil
}
