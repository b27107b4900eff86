/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package strip

import (
	"maps"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

func TestTransform(t *testing.T) {
	t.Parallel()
	status := sluicev1alpha1.WebhookTriggerStatus{Path: "/hooks/shop/orders", Conditions: []metav1.Condition{{Type: "Ready", Message: "long"}}}
	full := func(kept map[string]string) metav1.ObjectMeta {
		annotations := map[string]string{corev1.LastAppliedConfigAnnotation: "the whole object"}
		maps.Copy(annotations, kept)
		return metav1.ObjectMeta{
			Name: "orders", UID: "uid", ResourceVersion: "7", Generation: 2, Annotations: annotations,
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		}
	}
	left := metav1.ObjectMeta{Name: "orders", UID: "uid", ResourceVersion: "7", Generation: 2, Annotations: map[string]string{"sluice.dev/unreadable": "spec"}}
	spec := sluicev1alpha1.WebhookTriggerSpec{Algorithm: sluicev1alpha1.AlgorithmSHA256}
	unknown := toolscache.DeletedFinalStateUnknown{Key: "shop/orders"}
	cases := map[string]struct {
		reason string
		keep   bool
		object any
		want   any
	}{
		"Ingest": {
			reason: "routes do not depend on the status", keep: false,
			object: &sluicev1alpha1.WebhookTrigger{ObjectMeta: full(left.Annotations), Spec: spec, Status: status},
			want:   &sluicev1alpha1.WebhookTrigger{ObjectMeta: left, Spec: spec},
		},
		"Controller": {
			reason: "a new status follows from the one before", keep: true,
			object: &sluicev1alpha1.WebhookTrigger{ObjectMeta: full(left.Annotations), Spec: spec, Status: status},
			want:   &sluicev1alpha1.WebhookTrigger{ObjectMeta: left, Spec: spec, Status: status},
		},
		"Flow": {
			reason: "its spec is read", keep: false,
			object: &sluicev1alpha1.Flow{ObjectMeta: full(left.Annotations), Spec: sluicev1alpha1.FlowSpec{State: sluicev1alpha1.FlowDisabled}},
			want:   &sluicev1alpha1.Flow{ObjectMeta: left, Spec: sluicev1alpha1.FlowSpec{State: sluicev1alpha1.FlowDisabled}},
		},
		"NoObject": {reason: "caches hand over other things as well", keep: false, object: unknown, want: unknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Transform(tc.keep)(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestTransformTwice has an object that is in the cache already go through again, while somebody
// reads it. The race detector would notice that it is written to.
func TestTransformTwice(t *testing.T) {
	t.Parallel()
	trigger := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}}
	var reading sync.WaitGroup
	reading.Go(func() { _ = trigger.DeepCopy() })
	if _, err := Transform(false)(trigger); err != nil {
		t.Error(err)
	}
	reading.Wait()
}
