/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/types"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// A state is how far a FlowRun has come.
type state string

const (
	received  state = "received" // nobody has begun to execute it
	active    state = "active"   // begun, and not finished
	succeeded state = "succeeded"
	failed    state = "failed"   // finished otherwise
	deleting  state = "deleting" // deleted, and waiting for a finalizer
)

var states = []state{received, active, succeeded, failed, deleting}

// A run is what is known of a FlowRun.
type run struct {
	namespace, name string
	uid             types.UID
	resourceVersion string
	flow            string
	state           state
	created         time.Time
	finished        time.Time // zero unless it has succeeded or failed
	retainUntil     time.Time // zero unless it is the memory of a delivery
	payload         bool      // whether it still has one

	trigger, signedBy string // for the KeyObserver
}

// A reason is why a run is deleted.
type reason string

const (
	expiredFinished   reason = "finished" // ttlSecondsAfterFinished
	expiredReceived   reason = "received" // ttlSecondsAfterReceived
	surplusSuccessful reason = "successful_limit"
	surplusFailed     reason = "failed_limit"
)

var reasons = []reason{expiredFinished, expiredReceived, surplusSuccessful, surplusFailed}

// limits are the history of a Flow.
type limits struct {
	// unknown says that the history cannot be read. Nothing is done to the runs then: it may have
	// said to keep them.
	unknown bool

	finished, received time.Duration
	successful, failed int
	payload            *time.Duration // nil means that it stays
}

// defaultLimits are those that the API server gives to a Flow. They hold for runs whose Flow is
// gone.
var defaultLimits = limits{finished: 7 * 24 * time.Hour, received: 3 * 24 * time.Hour, successful: 100, failed: 100}

// limitsOf returns the limits of a Flow. What is absent, because the Flow was stored before the
// field was there, is as by default.
func limitsOf(h sluicev1alpha1.History) limits {
	for _, n := range []*int32{h.TTLSecondsAfterFinished, &h.TTLSecondsAfterReceived, h.SuccessfulRunsHistoryLimit, h.FailedRunsHistoryLimit, h.PayloadTTLSeconds} {
		if n != nil && *n < 0 { // which another version of the CustomResourceDefinition has let through
			return limits{unknown: true}
		}
	}
	l := defaultLimits
	if h.TTLSecondsAfterFinished != nil {
		l.finished = seconds(*h.TTLSecondsAfterFinished)
	}
	if h.TTLSecondsAfterReceived != 0 {
		l.received = seconds(h.TTLSecondsAfterReceived)
	}
	if h.SuccessfulRunsHistoryLimit != nil {
		l.successful = int(*h.SuccessfulRunsHistoryLimit)
	}
	if h.FailedRunsHistoryLimit != nil {
		l.failed = int(*h.FailedRunsHistoryLimit)
	}
	if h.PayloadTTLSeconds != nil {
		l.payload = new(seconds(*h.PayloadTTLSeconds))
	}
	return l
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// over says whether the run has finished, at a time that may be the zero one if nothing is known of
// it.
func (r *run) over() bool { return r.state == succeeded || r.state == failed }

// retained says whether the run is needed to recognise repetitions of its delivery.
func (r *run) retained(now time.Time) bool { return now.Before(r.retainUntil) }

// expired returns why the run is too old to be kept; empty if it is not.
func (l limits) expired(r *run, now time.Time) reason {
	switch {
	case r.retained(now):
		return ""
	case r.state == received && now.Sub(r.created) >= l.received:
		return expiredReceived
	case r.over() && now.Sub(r.finished) >= l.finished:
		return expiredFinished
	}
	return ""
}

// dropsPayload says whether the payload of the run is too old to be kept. That a run is retained
// does not matter: what repetitions are recognised by is in its name and an annotation.
func (l limits) dropsPayload(r *run, now time.Time) bool {
	if l.payload == nil || !r.payload {
		return false
	}
	if r.state == received {
		return now.Sub(r.created) >= *l.payload
	}
	return r.over() && now.Sub(r.finished) >= *l.payload
}

// kept returns how many runs are kept that have finished like this one, and why one more is
// deleted.
func (l limits) kept(r *run) (int, reason) {
	if r.state == succeeded {
		return l.successful, surplusSuccessful
	}
	return l.failed, surplusFailed
}

const (
	// malformedRetention is for how long after its creation a run is kept whose annotation cannot
	// be read: it was once the memory of a delivery, and this is the window of most.
	malformedRetention = 24 * time.Hour
	// clockSkew is how far the clock of whoever executes runs may be ahead of this one.
	clockSkew = time.Hour
)

// retention returns until when a run is kept by its annotation. Whatever that says, the run is not
// kept for good.
func retention(annotation string, created time.Time) time.Time {
	until, err := time.Parse(time.RFC3339, annotation)
	if err != nil {
		return created.Add(malformedRetention)
	}
	if latest := created.Add(sluicev1alpha1.MaxRetention); until.After(latest) {
		return latest
	}
	return until
}

// finishTime returns when a run finished by its status.completionTime. Anybody who may write the
// status can write any time there. One that cannot be, because it is before the creation or far
// ahead, does not count, so that no run is kept for good; one that is a little ahead is as good as
// now.
func finishTime(completion string, created, now time.Time) time.Time {
	finished, err := time.Parse(time.RFC3339, completion)
	switch {
	case err != nil, finished.Before(created), finished.After(now.Add(clockSkew)):
		return created
	case finished.After(now):
		return now
	}
	return finished
}

// compareFinish orders runs by when they finished. The name decides between runs of one second, so
// that each sweep keeps the same.
func compareFinish(a, b *run) int {
	return cmp.Or(a.finished.Compare(b.finished), cmp.Compare(a.name, b.name))
}
