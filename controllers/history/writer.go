/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/apierror"
)

const (
	// leastInFlight is how many writes are under way at a time as long as that is enough, and mostInFlight how many it can become.
	leastInFlight = 4
	mostInFlight  = 32

	// maxFailures is how many writes in a row may fail in a namespace before it is left alone, for shortAside at first, and
	// for longAside at last.
	maxFailures = 3
	shortAside  = 5 * time.Second
	longAside   = 10 * time.Minute

	// usualDelay is how long all writes wait after the API server was in trouble; longestDelay is the most that it may ask for.
	usualDelay   = time.Second
	longestDelay = 30 * time.Second
)

// A task is what is to be done to a run: it is deleted for a reason, or without one its payload is dropped.
type task struct {
	run *run
	why reason
}

// A writer changes FlowRuns, a few at a time.
type writer struct {
	client  rest.Interface
	metrics *metrics
	now     func() time.Time
	log     logr.Logger

	inFlight int // how many writes are under way at a time; do and pace are not called concurrently

	mu    sync.Mutex
	until time.Time           // before which nothing is written, by the clock of the machine
	aside map[string]*trouble // by namespace
}

// pace goes by how long a sweep took, of its period. The less of it is left, the more writes must be under way, or the runs
// that are created meanwhile become more and more: how many writes a second that makes is up to the API server.
func (w *writer) pace(took, period time.Duration) {
	switch {
	case took > period:
		w.inFlight = min(2*w.inFlight, mostInFlight)
	case took < period/4:
		w.inFlight = max(w.inFlight/2, leastInFlight)
	}
}

// trouble is what is known of a namespace in which writes fail.
type trouble struct {
	failures int // in a row
	pause    time.Duration
	until    time.Time // before which the namespace is left alone
}

// do does the tasks, and returns how many runs it has deleted, and how many payloads it has dropped. What could not be done
// is left to the next sweep.
func (w *writer) do(ctx context.Context, tasks []task) (deleted, dropped int) {
	var deletes, drops atomic.Int64
	var group errgroup.Group
	group.SetLimit(w.inFlight)
	for _, t := range tasks {
		group.Go(func() error {
			switch done := w.wait(ctx, t.run.namespace) && w.write(ctx, t); {
			case done && t.why != "":
				deletes.Add(1)
				w.metrics.deleted.WithLabelValues(string(t.why)).Inc()
			case done:
				drops.Add(1)
				w.metrics.dropped.Inc()
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	return int(deletes.Load()), int(drops.Load())
}

// write does one task, and says whether it is done now.
func (w *writer) write(ctx context.Context, t task) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	operation, err := opDelete, error(nil)
	if t.why != "" {
		err = w.remove(ctx, t.run)
	} else {
		operation, err = opDrop, w.dropPayload(ctx, t.run)
	}
	if err == nil {
		w.succeeded(t.run.namespace)
		return true
	}
	class := apierror.Classify(err)
	if class == apierror.NotFound || class == apierror.Conflict { // somebody was quicker, or the run is no longer what it was
		return false
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	w.metrics.failed(operation)
	w.failed(t.run.namespace, err)
	return false
}

// remove deletes a run if it is still as it was seen.
func (w *writer) remove(ctx context.Context, r *run) error {
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions:     &metav1.Preconditions{UID: &r.uid, ResourceVersion: &r.resourceVersion},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	})
	if err != nil {
		return err
	}
	return w.client.Delete().
		Namespace(r.namespace).
		Resource("flowruns").
		Name(r.name).
		SetHeader("Content-Type", "application/json").
		MaxRetries(0). // client-go would hold this one back, and go on with the others
		Body(body).
		Do(ctx).
		Error()
}

// dropPayload drops the payload of a run if it is still as it was seen: the resource version in the patch sees to that.
func (w *writer) dropPayload(ctx context.Context, r *run) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": r.resourceVersion},
		"spec":     map[string]any{"payload": map[string]any{"text": nil, "binary": nil, "state": sluicev1alpha1.PayloadDropped}},
	})
	if err != nil {
		return err
	}
	return w.client.Patch(types.MergePatchType).
		Namespace(r.namespace).
		Resource("flowruns").
		Name(r.name).
		Param("fieldManager", sluicev1alpha1.FieldManagerHistory).
		Param("fieldValidation", metav1.FieldValidationStrict).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json").
		MaxRetries(0).
		Body(body).
		Do(ctx).
		Error()
}

// wait waits until the API server may be asked for something again. It returns false if the namespace is left alone at
// present, or if ctx ends first.
func (w *writer) wait(ctx context.Context, namespace string) bool {
	for ctx.Err() == nil {
		w.mu.Lock()
		t, delay := w.aside[namespace], time.Until(w.until)
		alone := t != nil && w.now().Before(t.until)
		w.mu.Unlock()
		switch {
		case alone:
			return false
		case delay <= 0:
			return true
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
	return false
}

// waitedSince says whether the API server has asked to wait for a time that ended after that.
func (w *writer) waitedSince(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until.After(t)
}

func (w *writer) succeeded(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.aside, namespace)
}

// failed takes note of a failure. One that another request may meet too makes all of them wait. A namespace with several in a
// row is left alone: what refuses there, such as an admission policy, is likely to refuse the next run as well. When its time
// is over, one more failure is enough to leave it alone for twice as long.
func (w *writer) failed(namespace string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delay := delayAfter(err); delay > 0 {
		if until := time.Now().Add(delay); until.After(w.until) {
			w.until = until
		}
	}
	t := w.aside[namespace]
	if t == nil {
		t = &trouble{}
		w.aside[namespace] = t
	}
	t.failures++
	if t.failures < maxFailures || w.now().Before(t.until) { // those that were under way when it was left alone do not count
		return
	}
	t.pause = min(max(2*t.pause, shortAside), longAside)
	t.until = w.now().Add(t.pause)
	w.log.Error(errors.New(apierror.Explain(err)), "Cannot change the FlowRuns of a namespace; leaving it alone for a while",
		"namespace", namespace, "pause", t.pause.String())
}

// forget drops what is known of namespaces in which nothing was to be done for long.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for namespace, t := range w.aside {
		if w.now().After(t.until.Add(longAside)) {
			delete(w.aside, namespace)
		}
	}
}

// delayAfter returns how long to ask the API server for nothing after an error; 0 if the error is about one
// object, or about an admission webhook: that is the trouble of the namespaces that are subject to it.
func delayAfter(err error) time.Duration {
	delay := min(apierror.RetryAfter(err), longestDelay)
	switch apierror.Classify(err) {
	case apierror.Webhook, apierror.Denied: // if there is a time to wait, the webhook has chosen it
		return 0
	case apierror.NoAnswer, apierror.ServerTrouble, apierror.Throttled:
		return cmp.Or(delay, usualDelay)
	default:
		return delay
	}
}
