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
	// minInFlight and maxInFlight bound how many writes are in flight at a time.
	minInFlight = 4
	maxInFlight = 32

	// maxFailures is how many writes in a row may fail in a namespace before nothing is written
	// there for minBackoff; the time doubles up to maxBackoff.
	maxFailures = 3
	minBackoff  = 5 * time.Second
	maxBackoff  = 10 * time.Minute

	// defaultDelay is how long all writes pause when the API server does not work and does not say
	// for how long; maxDelay bounds what it can ask for.
	defaultDelay = time.Second
	maxDelay     = 30 * time.Second
)

// A task is one write: the run is deleted if there is a reason, and its payload is dropped if there
// is none.
type task struct {
	run    *run
	reason reason
}

// A writer changes FlowRuns, a few at a time.
type writer struct {
	client  rest.Interface
	metrics *metrics
	now     func() time.Time
	log     logr.Logger

	inFlight int // the limit of writes in flight; do and adjustConcurrency are not called concurrently

	mu          sync.Mutex
	pausedUntil time.Time                    // nothing is written before; by the clock of the machine
	backoffs    map[string]*namespaceBackoff // by namespace
}

// adjustConcurrency doubles the writes in flight if a sweep took longer than its period, so that
// deletes keep up with creates, and halves them if it took less than a quarter. The rate of writes
// is up to the API server.
func (w *writer) adjustConcurrency(took, period time.Duration) {
	switch {
	case took > period:
		w.inFlight = min(2*w.inFlight, maxInFlight)
	case took < period/4:
		w.inFlight = max(w.inFlight/2, minInFlight)
	}
}

// namespaceBackoff is the exponential backoff of a namespace in which writes fail.
type namespaceBackoff struct {
	failures int // in a row
	pause    time.Duration
	until    time.Time // nothing is written to the namespace before
}

// do does the tasks, and returns how many runs it has deleted and how many payloads it has dropped.
// Tasks that failed are left to the next sweep.
func (w *writer) do(ctx context.Context, tasks []task) (deleted, dropped int) {
	var deletes, drops atomic.Int64
	var group errgroup.Group
	group.SetLimit(w.inFlight)
	for _, t := range tasks {
		group.Go(func() error {
			switch done := w.wait(ctx, t.run.namespace) && w.write(ctx, t); {
			case done && t.reason != "":
				deletes.Add(1)
				w.metrics.deleted.WithLabelValues(string(t.reason)).Inc()
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

// write does one task, and returns whether it succeeded.
func (w *writer) write(ctx context.Context, t task) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	operation, err := opDelete, error(nil)
	if t.reason != "" {
		err = w.remove(ctx, t.run)
	} else {
		operation, err = opDrop, w.dropPayload(ctx, t.run)
	}
	if err == nil {
		w.recordSuccess(t.run.namespace)
		return true
	}
	class := apierror.Classify(err)
	if class == apierror.NotFound || class == apierror.Conflict { // deleted or changed by somebody else meanwhile
		return false
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	w.metrics.failed(operation)
	w.recordFailure(t.run.namespace, err)
	return false
}

// remove deletes a run, on the precondition that it is of the version that was listed.
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
		MaxRetries(0). // client-go would retry this request alone; all writes have to wait
		Body(body).
		Do(ctx).
		Error()
}

// dropPayload drops the payload of a run. The resource version in the patch makes it a conflict if
// the run has changed since it was listed.
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

// wait waits while all writes are paused. It returns false if the namespace is in backoff, or if
// ctx ends first.
func (w *writer) wait(ctx context.Context, namespace string) bool {
	for ctx.Err() == nil {
		w.mu.Lock()
		b, delay := w.backoffs[namespace], time.Until(w.pausedUntil)
		inBackoff := b != nil && w.now().Before(b.until)
		w.mu.Unlock()
		switch {
		case inBackoff:
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

// pausedSince returns whether writes were paused at or after t.
func (w *writer) pausedSince(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pausedUntil.After(t)
}

func (w *writer) recordSuccess(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.backoffs, namespace)
}

// recordFailure pauses all writes if the API server does not work. A namespace with several
// failures in a row goes into backoff: what fails there, such as an admission policy, is likely to
// fail the next write as well. After a backoff, one more failure is enough for another of twice the
// length.
func (w *writer) recordFailure(namespace string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delay := delayAfter(err); delay > 0 {
		if until := time.Now().Add(delay); until.After(w.pausedUntil) {
			w.pausedUntil = until
		}
	}
	b := w.backoffs[namespace]
	if b == nil {
		b = &namespaceBackoff{}
		w.backoffs[namespace] = b
	}
	b.failures++
	if b.failures < maxFailures || w.now().Before(b.until) { // writes in flight when a backoff begins do not count
		return
	}
	b.pause = min(max(2*b.pause, minBackoff), maxBackoff)
	b.until = w.now().Add(b.pause)
	w.log.Error(errors.New(apierror.Explain(err)), "Cannot change the FlowRuns of a namespace; leaving it alone for a while",
		"namespace", namespace, "pause", b.pause.String())
}

// expireBackoffs forgets namespaces to which nothing was written for long.
func (w *writer) expireBackoffs() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for namespace, b := range w.backoffs {
		if w.now().After(b.until.Add(maxBackoff)) {
			delete(w.backoffs, namespace)
		}
	}
}

// delayAfter returns how long to ask the API server for nothing after an error; 0 if the error is
// about one object, or about an admission webhook: that is the trouble of the namespaces that are
// subject to it.
func delayAfter(err error) time.Duration {
	delay := min(apierror.RetryAfter(err), maxDelay)
	switch apierror.Classify(err) {
	case apierror.Webhook, apierror.Denied: // if there is a time to wait, the webhook has chosen it
		return 0
	case apierror.NoAnswer, apierror.ServerTrouble, apierror.Throttled:
		return cmp.Or(delay, defaultDelay)
	default:
		return delay
	}
}
