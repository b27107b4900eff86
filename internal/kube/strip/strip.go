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

// Transform returns a transform that strips cached objects of what nobody reads, as each replica
// has all of them in memory: the managed fields, the last applied configuration and, unless
// keepStatus, the status of triggers, which is as long as all the rest. A cached object must
// therefore never be sent back in an update; a patch has only what differs.
func Transform(keepStatus bool) toolscache.TransformFunc {
	return func(object any) (any, error) {
		// An object that is stripped already is not written to: it may be in the cache, and be read
		// concurrently (kubernetes/kubernetes#124337).
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
