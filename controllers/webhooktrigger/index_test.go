/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// indexed is a cache of triggers that knows nothing but indexes.
type indexed struct {
	client.Reader
	triggers []*sluicev1alpha1.WebhookTrigger
	values   map[string]client.IndexerFunc
}

func (c *indexed) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c.values[field] = extract
	return nil
}

func (c *indexed) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	found, ok := list.(*sluicev1alpha1.WebhookTriggerList)
	if !ok {
		return fmt.Errorf("there is no index of %T", list)
	}
	asked := o.FieldSelector.Requirements()[0]
	for _, trigger := range c.triggers {
		if trigger.Namespace == o.Namespace && slices.Contains(c.values[asked.Field](trigger), asked.Value) {
			found.Items = append(found.Items, *trigger)
		}
	}
	return nil
}

// TestTriggersBy looks for triggers by the names of what they refer to, some of which are in one
// bucket of the index.
func TestTriggersBy(t *testing.T) {
	t.Parallel()
	const name = "webhook"
	neighbour := "" // another name in its bucket
	for i := 0; neighbour == ""; i++ {
		if other := strconv.Itoa(i); indexBucket(other) == indexBucket(name) {
			neighbour = other
		}
	}
	trigger := func(namespace, name, flow, secret, meta string) *sluicev1alpha1.WebhookTrigger {
		trigger := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		trigger.Spec.FlowRef.Name, trigger.Spec.SecretRef.Name = flow, secret
		trigger.Spec.Handshake.VerifyTokenRef.Name = meta
		return trigger
	}
	c := &indexed{values: map[string]client.IndexerFunc{}, triggers: []*sluicev1alpha1.WebhookTrigger{
		trigger("shop", "one", "import", name, ""),
		trigger("shop", "two", name, neighbour, ""),
		trigger("shop", "both", neighbour, neighbour, name),
		trigger("shop", "neither", "import", "other", ""),
		trigger("bank", "one", name, name, ""),
	}}
	if err := SetupIndexes(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		index  string
		name   string
		want   []string
	}{
		"Secret":    {reason: "those of its namespace, by whichever reference", index: secretRefIndex, name: name, want: []string{"one", "both"}},
		"Neighbour": {reason: "the others of the bucket are not woken", index: secretRefIndex, name: neighbour, want: []string{"two", "both"}},
		"Flow":      {reason: "Flows have an index of their own", index: flowRefIndex, name: name, want: []string{"two"}},
		"Nobody":    {reason: "an object that no trigger refers to", index: secretRefIndex, name: "nobody", want: nil},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: tc.name}}
			var want []reconcile.Request
			for _, name := range tc.want {
				want = append(want, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}})
			}
			if diff := cmp.Diff(want, triggersBy(c, tc.index)(t.Context(), object)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAfterStart asks which events look for triggers.
func TestAfterStart(t *testing.T) {
	t.Parallel()
	p := afterStart[client.Object]()
	for name, tc := range map[string]struct {
		reason string
		passes bool
		want   bool
	}{
		"AtStart": {reason: "all triggers are looked at anyway", passes: p.Create(event.CreateEvent{IsInInitialList: true}), want: false},
		"Later":   {reason: "a trigger may have waited for it", passes: p.Create(event.CreateEvent{}), want: true},
		"Update":  {reason: "it may have another key", passes: p.Update(event.UpdateEvent{}), want: true},
		"Delete":  {reason: "its key is revoked", passes: p.Delete(event.DeleteEvent{}), want: true},
	} {
		if tc.passes != tc.want {
			t.Errorf("%s: it passes: %t, want %t: %s", name, tc.passes, tc.want, tc.reason)
		}
	}
}
