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

// seen is what is told of a FlowRun.
type seen struct {
	namespace, trigger, key string
	at                      time.Time
}

func (u *KeyUsage) sees(run seen) { u.ObserveKey(run.namespace, run.trigger, run.key, run.at) }

var orders = types.NamespacedName{Namespace: "shop", Name: "orders"}

// TestObserve shows what counts as the use of a key.
func TestObserve(t *testing.T) {
	t.Parallel()
	const primary, former = "webhook/secretKey", "webhook/former"
	cases := map[string]struct {
		reason   string
		observed []seen
		want     map[types.NamespacedName]map[string]time.Time
	}{
		"Nothing": {reason: "no run, no use", want: map[types.NamespacedName]map[string]time.Time{}},
		"One": {
			reason: "the time of the run", observed: []seen{{"shop", "orders", primary, second(1)}},
			want: map[types.NamespacedName]map[string]time.Time{orders: {primary: second(1)}},
		},
		"Newest": {
			reason: "runs come in no order after a restart",
			observed: []seen{
				{"shop", "orders", primary, second(2)}, {"shop", "orders", primary, second(3)}, {"shop", "orders", primary, second(1)},
			},
			want: map[types.NamespacedName]map[string]time.Time{orders: {primary: second(3)}},
		},
		"Apart": {
			reason: "keys, triggers and namespaces are kept apart",
			observed: []seen{
				{"shop", "orders", primary, second(1)}, {"shop", "orders", former, second(2)},
				{"shop", "parcels", primary, second(3)}, {"other", "orders", primary, second(4)},
			},
			want: map[types.NamespacedName]map[string]time.Time{
				orders:                               {primary: second(1), former: second(2)},
				{Namespace: "shop", Name: "parcels"}: {primary: second(3)},
				{Namespace: "other", Name: "orders"}: {primary: second(4)},
			},
		},
		"ByHand": {
			reason: "a run that no trigger has made", observed: []seen{{"shop", "", primary, second(1)}, {namespace: "shop"}},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
		"Unsigned": {
			reason: "a run of an earlier version names no key", observed: []seen{{"shop", "orders", "", second(1)}},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
		"NoTrigger": {
			reason: "who may create FlowRuns can make up triggers, which are not remembered", observed: []seen{{"shop", "invented", primary, second(1)}},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
		"NoKey": {
			reason: "and keys", observed: []seen{{"shop", "orders", "webhook/invented", second(1)}},
			want: map[types.NamespacedName]map[string]time.Time{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newKeyUsage(time.Minute)
			for _, trigger := range []types.NamespacedName{orders, {Namespace: "shop", Name: "parcels"}, {Namespace: "other", Name: "orders"}} {
				u.follow(trigger, []string{primary, former})
			}
			for _, run := range tc.observed {
				u.sees(run)
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
			for _, run := range tc.observed {
				u.sees(run)
			}
			if again := u.publish(); len(again) != 0 {
				t.Errorf("%s: %v are published although there is no new run", tc.reason, again)
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
			in := testSnapshot()
			additional(&in, former)
			in.Trigger.Status.Keys = tc.known
			u := newKeyUsage(time.Minute)
			u.keyStatuses(in.Trigger)
			for key, n := range tc.observed {
				u.ObserveKey(orders.Namespace, orders.Name, key, second(n))
			}
			u.ObserveKey(orders.Namespace, "parcels", primary, second(59))
			u.publish()
			if diff := cmp.Diff(tc.want, u.keyStatuses(in.Trigger)); diff != "" {
				t.Errorf("%s: the keys (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFollow shows that what is known of a key stays while a trigger refers to it, and no longer.
func TestFollow(t *testing.T) {
	t.Parallel()
	const primary, former = "webhook/secretKey", "webhook/former"
	u := newKeyUsage(time.Minute)
	used := func() []time.Time { return []time.Time{u.lastMatched(orders, primary), u.lastMatched(orders, former)} }
	check := func(reason string, want ...time.Time) {
		t.Helper()
		if diff := cmp.Diff(want, used()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
	u.follow(orders, []string{primary, former})
	u.ObserveKey(orders.Namespace, orders.Name, primary, second(1))
	u.publish()
	u.ObserveKey(orders.Namespace, orders.Name, former, second(2))
	u.follow(orders, []string{former, primary})
	u.publish()
	check("a reconciliation in between changes nothing", second(1), second(2))
	u.ObserveKey(orders.Namespace, orders.Name, former, second(3))
	u.follow(orders, []string{primary})
	u.publish()
	u.follow(orders, []string{primary, former})
	check("a key that was taken away is a new one when it comes again", second(1), time.Time{})
	u.forget(orders)
	u.ObserveKey(orders.Namespace, orders.Name, primary, second(4))
	if got := u.publish(); len(got) != 0 {
		t.Errorf("%v are published, though the trigger is gone", got)
	}
	check("a trigger that is gone", time.Time{}, time.Time{})
}
