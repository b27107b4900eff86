/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/translation"
)

// KeyUsagePeriod is how often what is known of the use of keys is written to the status of
// triggers, at most.
const KeyUsagePeriod = time.Minute

// maxKeyName is the length of the longest name of a key.
const maxKeyName = 512

// KeyUsage knows when each key of each trigger was last used. It learns that of the FlowRuns that
// ObserveKey is called with: by the sweeps of the history, which call it with each before they
// delete any. It runs on the elected leader. The status lags behind on purpose: a watch of all
// FlowRuns, let alone a write for each, would cost the API server too much of what it takes to
// store one.
type KeyUsage struct {
	period time.Duration
	wake   chan event.GenericEvent // the triggers whose keys were used

	mu       sync.Mutex
	triggers map[types.NamespacedName]*usedKeys // those that there are: whoever may create FlowRuns can name any others
}

// usedKeys is when the keys of a trigger were last used, by the names of the keys that it refers
// to.
type usedKeys struct {
	published map[string]time.Time
	pending   map[string]time.Time // later than what is published
}

func newKeyUsage(period time.Duration) *KeyUsage {
	return &KeyUsage{
		period:   period,
		wake:     make(chan event.GenericEvent),
		triggers: map[types.NamespacedName]*usedKeys{},
	}
}

// Start implements manager.Runnable. Without a method NeedLeaderElection it is for the leader.
func (u *KeyUsage) Start(ctx context.Context) error {
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

// ObserveKey records a FlowRun: its trigger, the key that it was signed with, and when it was made.
// It may be called with the same ones again and again, and with triggers and keys that do not
// exist.
func (u *KeyUsage) ObserveKey(namespace, name, key string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	used := u.triggers[types.NamespacedName{Namespace: namespace, Name: name}]
	if used == nil {
		return
	}
	if published, ok := used.published[key]; ok && at.After(published) && at.After(used.pending[key]) {
		used.pending[key] = at
	}
}

// publish makes what was observed visible to lastMatched, and returns the triggers that it is
// about.
func (u *KeyUsage) publish() []types.NamespacedName {
	u.mu.Lock()
	defer u.mu.Unlock()
	var triggers []types.NamespacedName
	for trigger, used := range u.triggers {
		if len(used.pending) == 0 {
			continue
		}
		triggers = append(triggers, trigger)
		maps.Copy(used.published, used.pending)
		clear(used.pending)
	}
	return triggers
}

// follow says which keys a trigger refers to. Others are forgotten.
func (u *KeyUsage) follow(trigger types.NamespacedName, keys []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	used := &usedKeys{published: map[string]time.Time{}, pending: map[string]time.Time{}}
	before := u.triggers[trigger]
	if before == nil {
		before = used
	}
	for _, key := range keys {
		used.published[key] = before.published[key] // the zero time if it is new
		if at, ok := before.pending[key]; ok {
			used.pending[key] = at
		}
	}
	u.triggers[trigger] = used
}

// forget drops what is known of a trigger that is gone.
func (u *KeyUsage) forget(trigger types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.triggers, trigger)
}

// lastMatched returns when a key was last used as far as was observed up to the last publication,
// or the zero time.
func (u *KeyUsage) lastMatched(trigger types.NamespacedName, key string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if used := u.triggers[trigger]; used != nil {
		return used.published[key]
	}
	return time.Time{}
}

// keyStatuses returns the status of the keys that the trigger refers to. What the present status
// knows is kept: a FlowRun that has been deleted was used all the same.
func (u *KeyUsage) keyStatuses(trigger *sluicev1alpha1.WebhookTrigger) []sluicev1alpha1.KeyStatus {
	known := map[string]*metav1.Time{}
	for _, k := range trigger.Status.Keys {
		known[k.Name] = k.LastMatchedTime
	}
	name := types.NamespacedName{Namespace: trigger.Namespace, Name: trigger.Name}
	refs := translation.KeyRefs(trigger)
	var names []string
	for _, ref := range refs {
		names = append(names, translation.KeyName(ref))
	}
	u.follow(name, names)
	var statuses []sluicev1alpha1.KeyStatus
	for i, ref := range refs {
		if ref.Name == "" || ref.Key == "" || len(names[i]) > maxKeyName {
			continue // which only another version of the CustomResourceDefinition has let through
		}
		status := sluicev1alpha1.KeyStatus{Name: names[i], LastMatchedTime: known[names[i]]}
		at := u.lastMatched(name, status.Name)
		if !at.IsZero() && (status.LastMatchedTime == nil || at.After(status.LastMatchedTime.Time)) {
			status.LastMatchedTime = &metav1.Time{Time: at}
		}
		statuses = append(statuses, status)
	}
	return statuses
}
