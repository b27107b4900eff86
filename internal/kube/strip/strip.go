/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package strip

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// Transform returns what takes out of cached objects what nobody reads, as each replica has all of them in memory: copies of the object
// in its metadata and, where nobody writes it, the status of triggers, which is as long as all the rest. What is cached must
// therefore never be sent back in an update; a patch says only what is different.
func Transform(keepStatus bool) toolscache.TransformFunc {
	return func(object any) (any, error) {
		// What is lean already is not written to: it may be in the cache, and be read meanwhile (kubernetes/kubernetes#124337).
		if o, ok := object.(metav1.Object); ok {
			if o.GetManagedFields() != nil {
				o.SetManagedFields(nil)
			}
			if _, ok := o.GetAnnotations()[corev1.LastAppliedConfigAnnotation]; ok { //nolint:staticcheck // to delete nothing is to write, too
				delete(o.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
			}
		}
		if trigger, ok := object.(*sluicev1alpha1.WebhookTrigger); ok && !keepStatus && !reflect.ValueOf(trigger.Status).IsZero() {
			trigger.Status = sluicev1alpha1.WebhookTriggerStatus{}
		}
		return object, nil
	}
}
