/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// second is a time that many seconds after another.
func second(n int) time.Time { return time.Date(2026, 1, 31, 12, 0, n, 0, time.UTC) }

// signedRun is the metadata of a FlowRun that a trigger has made.
func signedRun(namespace, trigger, key string, at time.Time) *metav1.PartialObjectMetadata {
	run := flowRunMetadata()
	run.ObjectMeta = metav1.ObjectMeta{
		Namespace: namespace, Name: trigger + "-1", CreationTimestamp: metav1.NewTime(at),
		Labels:      map[string]string{sluicev1alpha1.LabelTrigger: trigger},
		Annotations: map[string]string{sluicev1alpha1.AnnotationSignedBy: key},
	}
	return run
}

var orders = types.NamespacedName{Namespace: "shop", Name: "orders"}

// TestObserve shows what counts as the use of a key.
func TestObserve(t *testing.T) {
	t.Parallel()
	const primary, former = "webhook/secretKey", "webhook/former"
	cases := map[string]struct {
		reason   string
		observed []any
		want     map[types.NamespacedName]map[string]time.Time
	}{
		"Nothing": {reason: "no run, no use", want: map[types.NamespacedName]map[string]time.Time{}},
		"One": {
			reason: "the time of the run", observed: []any{signedRun("shop", "orders", primary, second(1))},
			want: map[types.NamespacedName]map[string]time.Time{orders: {primary: second(1)}},
		},
		"Newest": {
			reason: "runs come in no order after a restart",
			observed: []any{
				signedRun("shop", "orders", primary, second(2)), signedRun("shop", "orders", primary, second(3)), signedRun("shop", "orders", primary, second(1)),
			},
			want: map[types.NamespacedName]map[string]time.Time{orders: {primary: second(3)}},
		},
		"Apart": {
			reason: "keys, triggers and namespaces are kept apart",
			observed: []any{
				signedRun("shop", "orders", primary, second(1)), signedRun("shop", "orders", former, second(2)),
				signedRun("shop", "parcels", primary, second(3)), signedRun("other", "orders", primary, second(4)),
			},
			want: map[types.NamespacedName]map[string]time.Time{
				orders:                               {primary: second(1), former: second(2)},
				{Namespace: "shop", Name: "parcels"}: {primary: second(3)},
				{Namespace: "other", Name: "orders"}: {primary: second(4)},
			},
		},
		"ByHand": {
			reason: "a run that no trigger has made", observed: []any{signedRun("shop", "", primary, second(1)), flowRunMetadata()},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
		"Unsigned": {
			reason: "a run of an earlier version names no key", observed: []any{signedRun("shop", "orders", "", second(1))},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
		"SomethingElse": {
			reason: "an object of another type is none of ours", observed: []any{nil, "run", &sluicev1alpha1.FlowRun{}},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newKeyUsage(nil, time.Minute)
			for _, object := range tc.observed {
				u.observe(object)
			}
			for trigger, keys := range tc.want {
				for key := range keys {
					if got := u.lastMatched(trigger, key); !got.IsZero() {
						t.Errorf("%s: %s of %s is visible before it is published: %s", tc.reason, key, trigger, got)
					}
				}
			}
			published := map[types.NamespacedName]map[string]time.Time{}
			for _, trigger := range u.publish() {
				published[trigger] = map[string]time.Time{}
				for _, key := range []string{primary, former} {
					if at := u.lastMatched(trigger, key); !at.IsZero() {
						published[trigger][key] = at
					}
				}
			}
			if diff := cmp.Diff(tc.want, published, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: what is published (-want +got):\n%s", tc.reason, diff)
			}
			if again := u.publish(); len(again) != 0 {
				t.Errorf("%s: %v are published although nothing was observed", tc.reason, again)
			}
		})
	}
}

// TestKeyStatuses shows what the status of a trigger says of its keys.
func TestKeyStatuses(t *testing.T) {
	t.Parallel()
	at := func(n int) *metav1.Time { return &metav1.Time{Time: second(n)} }
	const primary, former, gone = "webhook/secretKey", "webhook/former", "webhook/gone"
	cases := map[string]struct {
		reason   string
		known    []sluicev1alpha1.KeyStatus
		observed map[string]int
		want     []sluicev1alpha1.KeyStatus
	}{
		"New": {
			reason: "keys that were never used are there, in the order of the spec", want: []sluicev1alpha1.KeyStatus{{Name: primary}, {Name: former}},
		},
		"Used": {
			reason: "one was used", observed: map[string]int{former: 1},
			want: []sluicev1alpha1.KeyStatus{{Name: primary}, {Name: former, LastMatchedTime: at(1)}},
		},
		"Later": {
			reason: "it was used again", known: []sluicev1alpha1.KeyStatus{{Name: primary, LastMatchedTime: at(1)}}, observed: map[string]int{primary: 2},
			want: []sluicev1alpha1.KeyStatus{{Name: primary, LastMatchedTime: at(2)}, {Name: former}},
		},
		"Earlier": {
			reason: "after a restart only older runs are left", known: []sluicev1alpha1.KeyStatus{{Name: primary, LastMatchedTime: at(3)}}, observed: map[string]int{primary: 2},
			want: []sluicev1alpha1.KeyStatus{{Name: primary, LastMatchedTime: at(3)}, {Name: former}},
		},
		"Kept": {
			reason: "the runs were deleted", known: []sluicev1alpha1.KeyStatus{{Name: former, LastMatchedTime: at(1)}, {Name: primary, LastMatchedTime: at(2)}},
			want: []sluicev1alpha1.KeyStatus{{Name: primary, LastMatchedTime: at(2)}, {Name: former, LastMatchedTime: at(1)}},
		},
		"Removed": {
			reason: "a key that the spec no longer has is dropped", known: []sluicev1alpha1.KeyStatus{{Name: gone, LastMatchedTime: at(1)}}, observed: map[string]int{gone: 2},
			want: []sluicev1alpha1.KeyStatus{{Name: primary}, {Name: former}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testInputs()
			additional(&in, former)
			in.Trigger.Status.Keys = tc.known
			u := newKeyUsage(nil, time.Minute)
			for key, n := range tc.observed {
				u.observe(signedRun(orders.Namespace, orders.Name, key, second(n)))
			}
			u.observe(signedRun(orders.Namespace, "parcels", primary, second(59)))
			u.publish()
			if diff := cmp.Diff(tc.want, u.keyStatuses(in.Trigger)); diff != "" {
				t.Errorf("%s: the keys (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestStripFlowRun shows what is left of a FlowRun's metadata.
func TestStripFlowRun(t *testing.T) {
	t.Parallel()
	full := signedRun("shop", "orders", "webhook/secretKey", second(1))
	want := full.DeepCopy()
	want.UID, want.ResourceVersion = "uid", "7"
	full.UID, full.ResourceVersion, full.Generation = "uid", "7", 1
	full.Labels[sluicev1alpha1.LabelFlow] = "import"
	full.Annotations[sluicev1alpha1.AnnotationPayloadSHA256] = "digest"
	full.Finalizers = []string{"x/y"}
	full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "sluice"}}
	for range 2 { // once more changes nothing
		got, err := StripFlowRun(full)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	}

	bare := flowRunMetadata()
	bare.Name = "by-hand"
	stripped, err := StripFlowRun(bare)
	if err != nil {
		t.Fatal(err)
	}
	u := newKeyUsage(nil, time.Minute)
	u.observe(stripped)
	if got := u.publish(); len(got) != 0 {
		t.Errorf("a run that was made by hand counts as a use of keys of %v", got)
	}

	for _, object := range []any{&sluicev1alpha1.FlowRun{}, nil, "run"} {
		if got, err := StripFlowRun(object); err == nil || got != nil {
			t.Errorf("a %T gets through: %v, %v", object, got, err)
		}
	}
}
