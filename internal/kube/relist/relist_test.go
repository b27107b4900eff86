/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package relist

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

var errRefused = errors.New("connection refused")

// away is an API server that is away for some time.
type away struct {
	back     time.Time
	status   int
	attempts int
}

// RoundTrip implements http.RoundTripper.
func (a *away) RoundTrip(r *http.Request) (*http.Response, error) {
	a.attempts++
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if time.Now().Before(a.back) {
		return nil, errRefused
	}
	return &http.Response{StatusCode: a.status, Body: http.NoBody}, nil
}

// TestOutage asks an API server that is away for a minute.
func TestOutage(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	const flows = "https://127.0.0.1:6443/apis/sluice.dev/v1alpha1/flows"
	type outcome struct {
		status  int
		err     error
		waited  time.Duration // in whole seconds
		retried bool
	}
	cases := map[string]struct {
		reason  string
		method  string
		url     string
		away    time.Duration
		status  int
		givenUp time.Duration // 0 if never
		want    outcome
	}{
		"Watch":     {reason: "it goes on as soon as the API server is back, not half a minute later", url: flows + "?watch=true&resourceVersion=7", away: minute, status: 200, want: outcome{status: 200, waited: minute, retried: true}},
		"List":      {reason: "a cache that is filled", url: flows + "?limit=500&resourceVersion=0", away: minute, status: 200, want: outcome{status: 200, waited: minute, retried: true}},
		"NotAway":   {reason: "nothing is in the way", url: flows + "?watch=true", status: 200, want: outcome{status: 200}},
		"Answer":    {reason: "what the API server says is the reflector's business, and has a Retry-After of its own", url: flows + "?watch=true", status: 503, want: outcome{status: 503}},
		"GivenUp":   {reason: "the process stops", url: flows + "?watch=true", away: minute, givenUp: 10 * time.Second, want: outcome{err: errRefused, waited: 10 * time.Second, retried: true}},
		"Get":       {reason: "who reads an object has a deadline, and something else to try", url: flows + "/orders", away: minute, want: outcome{err: errRefused}},
		"Create":    {reason: "a create may have happened", method: http.MethodPost, url: flows, away: minute, want: outcome{err: errRefused}},
		"CreateToo": {reason: "whatever its query says", method: http.MethodPost, url: flows + "?watch=true", away: minute, want: outcome{err: errRefused}},
		"DeleteAll": {reason: "a list of what is to be deleted is no list", method: http.MethodDelete, url: flows + "?resourceVersion=7", away: minute, want: outcome{err: errRefused}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.givenUp != 0 {
					defer time.AfterFunc(tc.givenUp, cancel).Stop()
				}
				begin := time.Now()
				server := &away{back: begin.Add(tc.away), status: tc.status}
				request, err := http.NewRequestWithContext(ctx, tc.method, tc.url, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				response, err := Wrap(logr.Discard())(server).RoundTrip(request)
				got := outcome{err: err, waited: time.Since(begin).Truncate(time.Second), retried: server.attempts > 1}
				if response != nil {
					got.status = response.StatusCode
					_ = response.Body.Close()
				}
				if got != tc.want {
					t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
				}
				if most := int(2*tc.away/maxPause) + 1; server.attempts > most {
					t.Errorf("%s: %d attempts, want at most %d", tc.reason, server.attempts, most)
				}
			})
		})
	}
}
