/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// newTestCreator returns a Creator for a server that answers in place of the API server what that would hardly ever.
func newTestCreator(t *testing.T, connections int, answer http.HandlerFunc) *Creator {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	c, err := NewCreator(&rest.Config{Host: server.URL + "/below", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, connections)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCreateAnswers is for answers that something between, or a broken API server, may give.
func TestCreateAnswers(t *testing.T) {
	t.Parallel()
	const (
		enough  = 3 // attempts
		exists  = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409}`
		created = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-1","namespace":"shop"}}`
		// As a validating webhook may deny.
		saidByWebhook = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409,"message":"admission webhook \"w.example.com\" denied the request: exists"}`
		full          = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"exceeded quota"}`
		throttle      = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":7}}`
	)
	type made struct {
		Outcome    Outcome
		Health     health
		RetryAfter time.Duration
	}
	tests := map[string]struct {
		reason   string
		statuses []int // of one attempt after the other; the last one goes on
		body     string
		header   http.Header
		want     made
	}{
		"Created":          {reason: "the API server's own", statuses: []int{201}, body: created, want: made{Outcome: Stored}},
		"CreatedWordless":  {reason: "the API server says what it has created", statuses: []int{201}, want: made{Outcome: NotStored, Health: failing}},
		"CreatedOther":     {reason: "the answer to another request", statuses: []int{201}, body: `{"metadata":{"name":"orders-11"}}`, want: made{Outcome: NotStored, Health: failing}},
		"LongWindedly":     {reason: "more than is read", statuses: []int{201}, body: created + strings.Repeat("x", 4*maxAnswer), want: made{Outcome: Stored}},
		"NotCreated":       {reason: "a create is answered with 201", statuses: []int{200}, body: `{}`, want: made{Outcome: NotStored, Health: failing}},
		"Accepted":         {reason: "accepted is not stored", statuses: []int{202}, want: made{Outcome: NotStored, Health: failing}},
		"Login":            {reason: "a redirection is not followed", statuses: []int{302}, header: http.Header{"Location": {"/login"}}, want: made{Outcome: NotStored, Health: failing}},
		"Exists":           {reason: "nobody else can have chosen the name, so something is wrong", statuses: []int{409}, body: exists, want: made{Outcome: NotStored, Health: answering}},
		"ExistsAfterAll":   {reason: "the first attempt had arrived", statuses: []int{500, 409}, body: exists, want: made{Outcome: Stored}},
		"ExistsSaysOther":  {reason: "a webhook's words are no news of an earlier attempt", statuses: []int{500, 409}, body: saidByWebhook, want: made{Outcome: Refused, Health: refusing}},
		"ConflictOfOthers": {reason: "the API server would have said what is in conflict", statuses: []int{500, 409}, body: "conflict", want: made{Outcome: NotStored, Health: failing}},
		"StatusOfOthers":   {reason: "what it says is not what it is", statuses: []int{404}, body: exists, want: made{Outcome: NotStored, Health: refusing}},
		"Quota":            {reason: "that may pass", statuses: []int{403}, body: full, want: made{Outcome: NotStored, Health: refusing}},
		"Throttled":        {reason: "the API server says when", statuses: []int{429}, body: throttle, want: made{NotStored, overloaded, 7 * time.Second}},
		"ThrottledInText": {
			reason: "priority and fairness answers in plain text", statuses: []int{429}, body: "Too many requests, please try again later.",
			header: http.Header{"Retry-After": {"3"}}, want: made{NotStored, overloaded, 3 * time.Second},
		},
		"Gateway": {reason: "a proxy without a server behind it", statuses: []int{502}, body: "<html>", want: made{Outcome: NotStored, Health: failing}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			attempt := 0
			c := newTestCreator(t, 1, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.Path != "/below/apis/sluice.dev/v1alpha1/namespaces/shop/flowruns" || r.ProtoMajor != 1 {
					t.Errorf("there was a %s of %s by %s", r.Method, r.URL.Path, r.Proto)
				}
				status := tc.statuses[min(attempt, len(tc.statuses)-1)]
				if attempt++; attempt == enough {
					cancel() // as the deadline would
				}
				maps.Copy(w.Header(), tc.header)
				w.WriteHeader(status)
				if len(tc.statuses) == 1 || attempt > 1 {
					_, _ = w.Write([]byte(tc.body))
				}
			})
			outcome, err := c.Create(ctx, NewRun{Namespace: "shop", Name: "orders-1", Object: []byte(`{}`)})
			got := made{Outcome: outcome}
			if e, ok := errors.AsType[*CreateError](err); ok {
				got.Health, got.RetryAfter = e.health, e.RetryAfter
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: the outcome differs (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestCreatorKeepsConnections makes two bursts of creates. The second one finds the connections of the first.
func TestCreatorKeepsConnections(t *testing.T) {
	t.Parallel()
	const burst = 64 // more than client-go keeps by itself
	var arrived sync.WaitGroup
	senders := sync.Map{}
	c := newTestCreator(t, burst, func(w http.ResponseWriter, r *http.Request) {
		senders.Store(r.RemoteAddr, true)
		arrived.Done()
		arrived.Wait() // so that each needs a connection of its own
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"metadata":{"name":"orders-1"}}`))
	})
	for range 2 {
		arrived.Add(burst)
		var creates sync.WaitGroup
		for range burst {
			creates.Go(func() {
				if _, err := c.Create(t.Context(), NewRun{Namespace: "shop", Name: "orders-1", Object: []byte(`{}`)}); err != nil {
					t.Error(err)
				}
			})
		}
		creates.Wait()
	}
	opened := 0
	for range senders.Range {
		opened++
	}
	if opened != burst {
		t.Errorf("%d connections were opened for two bursts of %d creates", opened, burst)
	}
}
