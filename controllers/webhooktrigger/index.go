/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/translation"
)

// The indexes of triggers, named after the fields. Their values are buckets of names, and of names
// only, because references stay in the namespace of the trigger.
const (
	secretRefIndex = "spec.secretRef.name" //nolint:gosec // the name of a field
	flowRefIndex   = "spec.flowRef.name"
)

// indexes are the names that a trigger refers to, by index.
var indexes = map[string]client.IndexerFunc{secretRefIndex: indexSecretRef, flowRefIndex: indexFlowRef}

// indexBuckets is how many values an index has at the most in a namespace. A cache keeps two sets
// for each value: with names for values, and a Secret for each of 100,000 triggers, that is 73 of
// 335 MiB of objects in a replica of ingest. In so many buckets it is 23, and a bucket has 6
// triggers to look through.
const indexBuckets = 1 << 14

// indexBucket returns the value of an index for a name.
func indexBucket(name string) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(name))%indexBuckets), 36)
}

// SetupIndexes adds the indexes that the reconcilers need. Call it once, before either is set up.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for field, names := range indexes {
		buckets := func(object client.Object) []string {
			values := names(object)
			for i := range values {
				values[i] = indexBucket(values[i])
			}
			return values
		}
		if err := indexer.IndexField(ctx, &sluicev1alpha1.WebhookTrigger{}, field, buckets); err != nil {
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

// triggersBy returns a function from an object to the triggers of its namespace that refer to it by
// the index.
func triggersBy(reader client.Reader, index string) func(context.Context, client.Object) []reconcile.Request {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		var triggers sluicev1alpha1.WebhookTriggerList
		err := reader.List(ctx, &triggers,
			client.InNamespace(object.GetNamespace()), client.MatchingFields{index: indexBucket(object.GetName())}, client.UnsafeDisableDeepCopy)
		if err != nil {
			// The cache fails a list by an index only if that index was never added.
			ctrl.LoggerFrom(ctx).Error(err, "Cannot find the triggers of an object", "index", index, "object", klog.KObj(object))
			return nil
		}
		var requests []reconcile.Request
		for i := range triggers.Items {
			if trigger := &triggers.Items[i]; slices.Contains(indexes[index](trigger), object.GetName()) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(trigger)})
			}
		}
		return requests
	}
}
