/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var errBroken = errors.New("connection reset by peer")

func statusError(code int32, reason metav1.StatusReason, message string, retryAfter int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: &metav1.StatusDetails{RetryAfterSeconds: retryAfter},
	}}
}

// TestDelayAfter shows which errors make all writes wait.
func TestDelayAfter(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		err    error
		want   time.Duration
	}{
		"Throttled":     {reason: "the API server says for how long", err: statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "", 7), want: 7 * time.Second},
		"NotSaid":       {reason: "it does not say for how long", err: statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "", 0), want: defaultDelay},
		"ForHours":      {reason: "an answer must not stop everything", err: statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "", 36000), want: maxDelay},
		"Negative":      {reason: "that is no time", err: statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "", -5), want: defaultDelay},
		"ServerTimeout": {reason: "etcd is slow, and the API server says for how long", err: statusError(http.StatusInternalServerError, metav1.StatusReasonServerTimeout, "", 2), want: 2 * time.Second},
		"Internal":      {reason: "trouble inside", err: statusError(http.StatusInternalServerError, metav1.StatusReasonInternalError, "", 0), want: defaultDelay},
		"Unavailable":   {reason: "it is starting or stopping", err: statusError(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "", 0), want: defaultDelay},
		"NoAnswer":      {reason: "it is gone", err: errBroken, want: defaultDelay},
		"Forbidden":     {reason: "another object may be allowed", err: statusError(http.StatusForbidden, metav1.StatusReasonForbidden, "", 0)},
		"WebhookDown": {
			reason: "namespaces that are not subject to the webhook have no trouble",
			err:    statusError(http.StatusInternalServerError, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "w": EOF`, 0),
		},
		"WebhookThrottles": {
			reason: "a webhook of one namespace must not stop the others",
			err:    statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, `admission webhook "w" denied the request: later`, 7),
		},
		"Invalid": {reason: "another object may be valid", err: statusError(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "", 0)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := delayAfter(tc.err); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestAdjustConcurrency shows how many writes are under way after sweeps that took so long of a
// period of 8 seconds.
func TestAdjustConcurrency(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		took   []time.Duration
		want   int
	}{
		"AtFirst":  {reason: "few", want: 4},
		"Idle":     {reason: "few are enough", took: []time.Duration{time.Second, time.Second}, want: 4},
		"Busy":     {reason: "few are enough", took: []time.Duration{8 * time.Second, 7 * time.Second}, want: 4},
		"Late":     {reason: "twice as many", took: []time.Duration{9 * time.Second}, want: 8},
		"VeryLate": {reason: "there is a limit", took: []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour}, want: 32},
		"Steady":   {reason: "as many as are needed", took: []time.Duration{time.Minute, time.Minute, 6 * time.Second, 5 * time.Second}, want: 16},
		"Over":     {reason: "fewer again", took: []time.Duration{time.Minute, time.Minute, time.Second}, want: 8},
		"LongOver": {reason: "few again", took: []time.Duration{time.Minute, time.Minute, time.Minute, time.Second, time.Second, time.Second, time.Second}, want: 4},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCollector(t).writer
			for _, took := range tc.took {
				w.adjustConcurrency(took, 8*time.Second)
			}
			if w.inFlight != tc.want {
				t.Errorf("%s: %d, want %d", tc.reason, w.inFlight, tc.want)
			}
		})
	}
}

// TestAdjustPace has a sweep that takes one period after the other.
func TestAdjustPace(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := &sweep{Collector: newCollector(t), pacedAt: began}
	for _, step := range []struct {
		reason string
		after  time.Duration
		waited time.Duration // until when the API server has asked to wait; 0 if it has not
		want   int
	}{
		{"it is not late", minPeriod, 0, 4},
		{"it is late", minPeriod + time.Second, 0, 8},
		{"that was noticed just now", minPeriod + 2*time.Second, 0, 8},
		{"it is very late", 2*minPeriod + 2*time.Second, 0, 16},
		{"it is late because it had to wait", 3*minPeriod + 3*time.Second, 3 * minPeriod, 16},
		{"it is late again, and had to wait before that", 4*minPeriod + 4*time.Second, 3 * minPeriod, 32},
	} {
		s.writer.pausedUntil = began.Add(step.waited)
		s.adjustPace(began.Add(step.after))
		if s.writer.inFlight != step.want {
			t.Errorf("%s: after %s there are %d writes at a time, want %d", step.reason, step.after, s.writer.inFlight, step.want)
		}
	}
}

// TestPeriod shows how often sweeps begin.
func TestPeriod(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		listing time.Duration
		err     error
		want    time.Duration
	}{
		"Few":     {reason: "not more often than that", listing: time.Millisecond, want: 5 * time.Second},
		"Many":    {reason: "a tenth of the time is for listing", listing: 2 * time.Second, want: 20 * time.Second},
		"TooMany": {reason: "once a minute at least", listing: time.Hour, want: time.Minute},
		"Failed":  {reason: "who cannot answer is not asked at once", listing: time.Millisecond, err: errBroken, want: time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := period(tc.listing, tc.err); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestWait shows that nothing is sent while the API server is to be left alone.
func TestWait(t *testing.T) {
	t.Parallel()
	w := newCollector(t, in("none")).writer
	if !w.wait(t.Context(), "shop") {
		t.Errorf("nothing is wrong")
	}
	w.recordFailure("shop", statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "", 20))
	w.recordFailure("other", errBroken) // which asks for less
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if w.wait(ctx, "third") {
		t.Errorf("a request could be sent to an API server that asked to wait")
	}
}

// TestWebhookDown shows that a webhook that is down stops nothing but the namespace that is subject
// to it.
func TestWebhookDown(t *testing.T) {
	t.Parallel()
	w := newCollector(t, in("none")).writer
	for range maxFailures {
		w.recordFailure("shop", statusError(http.StatusInternalServerError, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "w": EOF`, 0))
	}
	if w.wait(t.Context(), "shop") {
		t.Errorf("the namespace is not left alone")
	}
	if w.pausedSince(time.Now()) || !w.wait(t.Context(), "other") {
		t.Errorf("another namespace has to wait")
	}
}
