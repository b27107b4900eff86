/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// KeyUsagePeriod is how often what is known of the use of keys is written to the status of triggers, at most.
const KeyUsagePeriod = time.Minute

const (
	// maxKeyName is the length of the longest name of a key.
	maxKeyName = 512
	// maxKeysObserved bounds what is remembered of one trigger, which has at most 9 keys.
	maxKeysObserved = 32
)

// keyUsage is told by the history's sweeps of the FlowRuns that there are, and learns from them when each key of each trigger
// was last used: no FlowRun is deleted by a sweep that it was not told of. It runs on the elected leader. The status lags
// behind on purpose: a watch of all FlowRuns, let alone a write for each, would cost the API server too much of what it
// takes to store one.
type keyUsage struct {
	period time.Duration
	wake   chan event.GenericEvent // the triggers whose keys were used

	mu        sync.Mutex
	pending   map[types.NamespacedName]map[string]time.Time // by trigger and key
	published map[types.NamespacedName]map[string]time.Time
}

func newKeyUsage(period time.Duration) *keyUsage {
	return &keyUsage{
		period:    period,
		wake:      make(chan event.GenericEvent),
		pending:   map[types.NamespacedName]map[string]time.Time{},
		published: map[types.NamespacedName]map[string]time.Time{},
	}
}

// Start implements manager.Runnable. Without a method NeedLeaderElection it is for the leader.
func (u *keyUsage) Start(ctx context.Context) error {
	ticker := time.NewTicker(u.period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, trigger := range u.publish() {
			object := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: trigger.Namespace, Name: trigger.Name}}
			select {
			case u.wake <- event.GenericEvent{Object: object}:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// observe takes note of a FlowRun: of which trigger it is, the key that it was signed with, and when it was made. It is told of
// the same ones again and again.
func (u *keyUsage) observe(namespace, name, key string, at time.Time) {
	if name == "" || key == "" || len(key) > maxKeyName {
		return
	}
	trigger := types.NamespacedName{Namespace: namespace, Name: name}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !at.After(u.published[trigger][key]) {
		return
	}
	if u.pending[trigger] == nil {
		u.pending[trigger] = map[string]time.Time{}
	}
	// Whoever may create FlowRuns can write any name there.
	if _, ok := u.pending[trigger][key]; !ok && len(u.pending[trigger]) >= maxKeysObserved {
		return
	}
	if at.After(u.pending[trigger][key]) {
		u.pending[trigger][key] = at
	}
}

// publish makes what was observed visible to lastMatched, and returns the triggers that it is about.
func (u *keyUsage) publish() []types.NamespacedName {
	u.mu.Lock()
	defer u.mu.Unlock()
	triggers := make([]types.NamespacedName, 0, len(u.pending))
	for trigger, keys := range u.pending {
		triggers = append(triggers, trigger)
		if u.published[trigger] == nil {
			u.published[trigger] = map[string]time.Time{}
		}
		if len(u.published[trigger]) > maxKeysObserved {
			clear(u.published[trigger])
		}
		for key, at := range keys { // what was published before stays: a write of the status may have failed
			if at.After(u.published[trigger][key]) {
				u.published[trigger][key] = at
			}
		}
	}
	clear(u.pending)
	return triggers
}

// forget drops what is known of a trigger that is gone.
func (u *keyUsage) forget(trigger types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.pending, trigger)
	delete(u.published, trigger)
}

// lastMatched returns when a key was last used as far as was observed up to the last publication, or the zero time.
func (u *keyUsage) lastMatched(trigger types.NamespacedName, key string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.published[trigger][key]
}

// keyStatuses returns the status of the keys that the trigger refers to. What the present status knows is kept: a
// FlowRun that has been deleted was used all the same.
func (u *keyUsage) keyStatuses(trigger *sluicev1alpha1.WebhookTrigger) []sluicev1alpha1.KeyStatus {
	known := map[string]*metav1.Time{}
	for _, k := range trigger.Status.Keys {
		known[k.Name] = k.LastMatchedTime
	}
	var statuses []sluicev1alpha1.KeyStatus
	for _, ref := range secretRefs(trigger) {
		if ref.Name == "" || ref.Key == "" || len(keyName(ref)) > maxKeyName {
			continue // which only another version of the CustomResourceDefinition has let through
		}
		status := sluicev1alpha1.KeyStatus{Name: keyName(ref), LastMatchedTime: known[keyName(ref)]}
		at := u.lastMatched(types.NamespacedName{Namespace: trigger.Namespace, Name: trigger.Name}, status.Name)
		if !at.IsZero() && (status.LastMatchedTime == nil || at.After(status.LastMatchedTime.Time)) {
			status.LastMatchedTime = &metav1.Time{Time: at}
		}
		statuses = append(statuses, status)
	}
	return statuses
}
