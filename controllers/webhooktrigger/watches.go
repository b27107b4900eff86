/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// newController begins a controller of triggers that is woken by all that Resolve looks at.
func newController(mgr ctrl.Manager, name string, secrets *SecretCache) *builder.Builder {
	bySecret := triggersBy(mgr.GetClient(), secretRefIndex)
	return ctrl.NewControllerManagedBy(mgr).
		Named(name).
		For(&sluicev1alpha1.WebhookTrigger{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sluicev1alpha1.Flow{},
			handler.EnqueueRequestsFromMapFunc(triggersBy(mgr.GetClient(), flowRefIndex)),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Kind(secrets.Cache, secretMetadata(),
			handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, secret *metav1.PartialObjectMetadata) []reconcile.Request {
				return bySecret(ctx, client.Object(secret))
			}),
			predicate.TypedResourceVersionChangedPredicate[*metav1.PartialObjectMetadata]{}))
}
