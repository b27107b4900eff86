/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/translation"
)

// The indexes of triggers, named after the fields. Their values are names only, because references stay in the
// namespace of the trigger.
const (
	secretRefIndex = "spec.secretRef.name" //nolint:gosec // the name of a field
	flowRefIndex   = "spec.flowRef.name"
)

// SetupIndexes adds the indexes that the reconcilers need. Call it once, before either is set up.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for field, extract := range map[string]client.IndexerFunc{
		secretRefIndex: indexSecretRef,
		flowRefIndex:   indexFlowRef,
	} {
		if err := indexer.IndexField(ctx, &sluicev1alpha1.WebhookTrigger{}, field, extract); err != nil {
			return fmt.Errorf("index webhook triggers by %s: %w", field, err)
		}
	}
	return nil
}

func indexSecretRef(object client.Object) []string {
	trigger, ok := object.(*sluicev1alpha1.WebhookTrigger)
	if !ok {
		return nil
	}
	return translation.SecretNames(trigger)
}

func indexFlowRef(object client.Object) []string {
	trigger, ok := object.(*sluicev1alpha1.WebhookTrigger)
	if !ok {
		return nil
	}
	return []string{trigger.Spec.FlowRef.Name}
}

// triggersBy returns a function from an object to the triggers of its namespace that refer to it by the index.
func triggersBy(reader client.Reader, index string) func(context.Context, client.Object) []reconcile.Request {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		var triggers sluicev1alpha1.WebhookTriggerList
		err := reader.List(ctx, &triggers,
			client.InNamespace(object.GetNamespace()), client.MatchingFields{index: object.GetName()}, client.UnsafeDisableDeepCopy)
		if err != nil {
			// The cache fails a list by an index only if that index was never added.
			ctrl.LoggerFrom(ctx).Error(err, "Cannot find the triggers of an object", "index", index, "object", klog.KObj(object))
			return nil
		}
		requests := make([]reconcile.Request, len(triggers.Items))
		for i := range triggers.Items {
			requests[i].NamespacedName = client.ObjectKeyFromObject(&triggers.Items[i])
		}
		return requests
	}
}
