/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// specChanged lets through what may have changed a spec. An object that was deleted and made anew
// while the watch was interrupted comes as an update, with generation 1 before and after, so the
// UID counts too; and so does a resync, which heals what else was missed.
var specChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
		e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
		e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion()
}}

// afterStart lets through what has changed since a controller started. Which Secrets and Flows
// there are at its start is nothing to look for triggers by: every trigger is looked at then, and
// no worker runs before the caches have all that is there.
func afterStart[T any]() predicate.TypedPredicate[T] {
	return predicate.TypedFuncs[T]{CreateFunc: func(e event.TypedCreateEvent[T]) bool { return !e.IsInInitialList }}
}

// controllerOptions are those of every controller here. Left to itself, controller-runtime waits up
// to 1000 s between attempts, and a key that was revoked in the meantime stays accepted for as
// long; and a read that hangs would hold its worker for good.
func controllerOptions(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, 5*time.Second),
		ReconciliationTimeout:   15 * time.Second,
	}
}

// +kubebuilder:rbac:groups=sluice.dev,resources=webhooktriggers;flows,verbs=list;watch,roleName=sluice-ingest
// +kubebuilder:rbac:groups=sluice.dev,resources=webhooktriggers;flows,verbs=list;watch,roleName=sluice-controller

// newController begins a controller of triggers that is woken by all that Resolve looks at.
func newController(mgr ctrl.Manager, name string, secrets *SecretCache) *builder.Builder {
	bySecret := triggersBy(mgr.GetClient(), secretRefIndex)
	return ctrl.NewControllerManagedBy(mgr).
		Named(name).
		For(&sluicev1alpha1.WebhookTrigger{}, builder.WithPredicates(specChanged)).
		Watches(&sluicev1alpha1.Flow{},
			handler.EnqueueRequestsFromMapFunc(triggersBy(mgr.GetClient(), flowRefIndex)),
			builder.WithPredicates(specChanged, afterStart[client.Object]())).
		WatchesRawSource(source.Kind(secrets.Cache, secretMetadata(),
			handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, secret *metav1.PartialObjectMetadata) []reconcile.Request {
				return bySecret(ctx, client.Object(secret))
			}),
			predicate.TypedResourceVersionChangedPredicate[*metav1.PartialObjectMetadata]{}, afterStart[*metav1.PartialObjectMetadata]()))
}
