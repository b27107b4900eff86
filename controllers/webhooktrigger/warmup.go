/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
)

const (
	// warmUpReads is how many Secrets are read at a time. More only queue in the API server.
	warmUpReads = 32
	// warmUpPatience is how long one trigger's reads may go on failing before the others are served
	// without it.
	warmUpPatience = 15 * time.Second
)

// warmer fills the route table once, when the caches have synced, so that the server listens with
// all routes or not at all.
type warmer struct {
	triggers client.Reader
	secrets  *SecretCache
	loader   ReferenceLoader
	live     client.WithWatch
	table    *route.Table
	recheck  chan event.GenericEvent
	log      logr.Logger

	rechecked     chan struct{} // closed when the last recheck has come to a worker
	recheckedOnce sync.Once
}

// done notes that the last recheck has come to a worker.
func (w *warmer) done() { w.recheckedOnce.Do(func() { close(w.rechecked) }) }

// NeedLeaderElection tells the manager that every replica warms up.
func (w *warmer) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (w *warmer) Start(ctx context.Context) error {
	begin := time.Now()
	routes, err := w.resolveAll(ctx)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // being stopped is no failure
	case err != nil:
		return fmt.Errorf("warm up the route table: %w", err)
	}
	w.table.Replace(routes)
	w.log.Info("Warmed up the route table", "routes", len(routes), "took", time.Since(begin).String())

	// A trigger that was deleted after it was listed above, but before the controller's event
	// handler was registered, causes no event. Every route is therefore looked at once more by a
	// worker; those run only once it is.
	for _, r := range routes {
		object := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}}
		select {
		case w.recheck <- event.GenericEvent{Object: object}:
		case <-ctx.Done():
			return nil
		}
	}
	// Behind all of them comes one of no trigger, which says that they are through.
	select {
	case w.recheck <- event.GenericEvent{Object: &sluicev1alpha1.WebhookTrigger{}}:
	case <-ctx.Done():
	}
	return nil
}

// resolveAll works out the routes of all triggers: of those that it can from streams of Secrets,
// and of the others by reading each of their Secrets.
func (w *warmer) resolveAll(ctx context.Context) ([]*route.Route, error) {
	var triggers sluicev1alpha1.WebhookTriggerList
	if err := w.triggers.List(ctx, &triggers, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list webhook triggers: %w", err)
	}
	subjects := make([]subject, 0, len(triggers.Items))
	for i := range triggers.Items {
		if trigger := &triggers.Items[i]; trigger.DeletionTimestamp.IsZero() {
			subjects = append(subjects, subject{trigger: trigger})
		}
	}
	if err := w.resolveStreamed(ctx, subjects); err != nil && ctx.Err() == nil {
		w.log.Info("Cannot read Secrets as a stream; reading each", "err", err.Error()) // as from an older API server
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(warmUpReads)
	for i := range subjects {
		s := &subjects[i]
		if s.route != nil {
			continue
		}
		group.Go(func() error {
			err := w.resolve(s, func() (Snapshot, error) { return w.loadWithRetry(ctx, s.trigger) })
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				// One trigger that cannot be read, whatever the reason, must not keep all others
				// from being served. It answers 503 until the controller, which goes on trying, has
				// read it.
				w.log.Error(err, "Serving without a trigger that cannot be resolved", "trigger", klog.KObj(s.trigger))
				s.route = unresolved(s.trigger)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	routes := make([]*route.Route, len(subjects))
	for i := range subjects {
		routes[i] = subjects[i].route
	}
	return routes, nil
}

// A subject is a trigger, and what came of it.
type subject struct {
	trigger *sluicev1alpha1.WebhookTrigger
	route   *route.Route
}

// resolve works out the route of a trigger, unless what it refers to cannot be read.
func (w *warmer) resolve(s *subject, load func() (Snapshot, error)) error {
	defer func() { // a panic here would come back at every start
		if p := recover(); p != nil {
			w.log.Error(errPanic, "Panic while resolving a trigger", "trigger", klog.KObj(s.trigger), "stack", string(debug.Stack()))
			s.route = unresolved(s.trigger)
		}
	}()
	in, err := load()
	if err != nil {
		return err
	}
	s.route = Resolve(in).Route
	return nil
}

var errPanic = errors.New("panic") // without its value, which can hold a key

// unresolved is the route of a trigger of which nothing more is known than that it exists.
func unresolved(trigger *sluicev1alpha1.WebhookTrigger) *route.Route {
	return &route.Route{
		Namespace:   trigger.Namespace,
		Name:        trigger.Name,
		UID:         string(trigger.UID),
		Flow:        trigger.Spec.FlowRef.Name,
		Unavailable: "Unresolved",
	}
}

// loadWithRetry loads what a trigger refers to, and retries for as long as warmUpPatience.
func (w *warmer) loadWithRetry(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) (Snapshot, error) {
	var in Snapshot
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second, warmUpPatience, true, func(ctx context.Context) (bool, error) {
		if in, last = w.loader.Load(ctx, trigger); last != nil {
			w.log.Error(last, "Cannot resolve a trigger; trying again", "trigger", klog.KObj(trigger))
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		err = last // says more than that the time is up
	}
	return in, err
}
