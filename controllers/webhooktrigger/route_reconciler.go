/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"crypto/hmac"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/translation"
)

// routeWorkers is how many routes are worked out at a time. Each mostly waits for one read of a
// Secret.
const routeWorkers = 8

// RouteReconciler keeps the route table of one replica in step with the triggers. It only reads.
type RouteReconciler struct {
	secrets *SecretCache
	loader  ReferenceLoader
	table   *route.Table
	warmer  *warmer
}

// SetupRoutes adds a RouteReconciler and the warm-up of its table to the manager, on every replica.
// externalURL is what senders put before a trigger's path; it may be empty. The channel is closed
// when the warm-up has nothing left to do.
func SetupRoutes(ctx context.Context, mgr ctrl.Manager, secrets *SecretCache, table *route.Table, externalURL string) (<-chan struct{}, error) {
	live, err := client.NewWithWatch(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	loader := ReferenceLoader{Cached: mgr.GetClient(), Live: live, SecretSelector: secrets.selector, ExternalURL: externalURL}
	r := &RouteReconciler{
		secrets: secrets,
		loader:  loader,
		table:   table,
		warmer: &warmer{
			triggers: mgr.GetClient(),
			secrets:  secrets,
			loader:   loader,
			live:     live,
			table:    table,
			recheck:  make(chan event.GenericEvent),

			rechecked: make(chan struct{}),
			log:       mgr.GetLogger().WithName("warm-up"),
		},
	}
	// The manager waits only for informers that exist when it starts, and the warm-up reads Flows
	// before the controller would ask for theirs.
	if _, err := mgr.GetCache().GetInformer(ctx, &sluicev1alpha1.Flow{}, cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watch flows: %w", err)
	}
	if err := mgr.Add(r.warmer); err != nil {
		return nil, fmt.Errorf("add the warm-up of the route table: %w", err)
	}
	options := controllerOptions(routeWorkers)
	options.NeedLeaderElection = new(false)
	return r.warmer.rechecked, newController(mgr, "webhooktrigger-routes", secrets).
		WatchesRawSource(source.Channel(r.warmer.recheck, handler.Funcs{GenericFunc: enqueueLater})).
		WithOptions(options).
		Complete(r)
}

// enqueueLater enqueues an object behind all that has changed: a look at 100,000 routes, most of
// which are as they should be, takes seconds, and a key that is revoked meanwhile must not wait for
// its end.
func enqueueLater(_ context.Context, e event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.Object)}
	if byPriority, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request)
		return
	}
	queue.Add(request)
}

// Reconcile implements reconcile.Reconciler.
func (r *RouteReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	// The warm-up replaces the whole table by what it read a while ago; nothing newer must be in
	// there by then.
	select {
	case <-r.table.Warm():
	case <-ctx.Done():
		return ctrl.Result{}, ctx.Err()
	}
	if request.Name == "" {
		r.warmer.done()
		return ctrl.Result{}, nil
	}
	path := route.Path(request.Namespace, request.Name)
	log := ctrl.LoggerFrom(ctx)

	trigger := &sluicev1alpha1.WebhookTrigger{}
	found, err := get(ctx, r.loader.Cached, request.Namespace, request.Name, trigger)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read the trigger: %w", err)
	}
	if !found || !trigger.DeletionTimestamp.IsZero() {
		if _, ok := r.table.Lookup(path); ok {
			r.table.Delete(path)
			log.Info("Removed a route")
		}
		return ctrl.Result{}, nil
	}

	current, ok := r.table.Lookup(path)
	if ok {
		cached, err := r.cachedRevision(ctx, trigger)
		if err != nil {
			return ctrl.Result{}, err
		}
		if current.Revision == cached {
			return ctrl.Result{}, nil // saves reading the Secret, at start for every trigger
		}
	}
	in, err := r.loader.Load(ctx, trigger)
	if err != nil {
		return ctrl.Result{}, err // and the route stays as it is
	}
	next := Resolve(in).Route
	if ok {
		// The keys may be what has changed. Only one generation is remembered.
		next.Former = current.Verifier.Keys()
		if slices.EqualFunc(next.Former, next.Verifier.Keys(), equalKeys) {
			next.Former = current.Former
		}
	}
	r.table.Upsert(next)
	if !ok || current.Unavailable != next.Unavailable {
		log.Info("Changed a route", "unavailable", next.Unavailable)
	}
	return ctrl.Result{}, nil
}

// cachedRevision returns the revision that a route made from what the caches hold would have.
func (r *RouteReconciler) cachedRevision(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) (string, error) {
	var flowMeta *metav1.ObjectMeta
	flow := &sluicev1alpha1.Flow{}
	if found, err := get(ctx, r.loader.Cached, trigger.Namespace, trigger.Spec.FlowRef.Name, flow); err != nil {
		return "", fmt.Errorf("read Flow %q: %w", trigger.Spec.FlowRef.Name, err)
	} else if found {
		flowMeta = &flow.ObjectMeta
	}
	secretMetas := make(map[string]*metav1.ObjectMeta, 1)
	for _, name := range translation.SecretNames(trigger) {
		secret := secretMetadata()
		if found, err := get(ctx, r.secrets, trigger.Namespace, name, secret); err != nil {
			return "", fmt.Errorf("read metadata of Secret %q: %w", name, err)
		} else if found {
			secretMetas[name] = &secret.ObjectMeta
		}
	}
	return revision(trigger, flowMeta, func(name string) *metav1.ObjectMeta { return secretMetas[name] }), nil
}

func equalKeys(a, b signature.Key) bool { return a.Name == b.Name && hmac.Equal(a.Secret, b.Secret) }
