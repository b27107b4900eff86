/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/sluice-dev/sluice/ingest/delivery"
)

// newTestSink returns a Sink for a server that answers in place of the API server what that would
// hardly ever.
func newTestSink(t *testing.T, connections int, answer http.HandlerFunc) *Sink {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL + "/below", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, connections)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAcceptAnswers is for answers that something between, or a broken API server, may give.
func TestAcceptAnswers(t *testing.T) {
	t.Parallel()
	const (
		enough  = 3 // attempts
		exists  = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409}`
		created = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-1","namespace":"shop","uid":"0b8c","resourceVersion":"7"}}` + "\n"
		deleted = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-1","namespace":"shop","uid":"0b8c","resourceVersion":"7","deletionTimestamp":"2026-01-31T12:00:00Z"}}`
		// As a validating webhook may deny.
		saidByWebhook = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409,"message":"admission webhook \"w.example.com\" denied the request: exists"}`
		full          = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"exceeded quota"}`
		throttle      = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":7}}`
	)
	object := encodeFlowRun(t, testDelivery(), "", "a/b", testTime, []byte("{}"))
	type made struct {
		Stored     bool
		Kind       delivery.Kind
		RetryAfter time.Duration
	}
	tests := map[string]struct {
		reason   string
		statuses []int // of one attempt after the other; the last one goes on
		body     string
		found    string // the answer to a GET
		header   http.Header
		want     made
	}{
		"Created":          {reason: "the API server's own", statuses: []int{201}, body: created, want: made{Stored: true}},
		"CreatedWordless":  {reason: "the API server says what it has created", statuses: []int{201}, want: made{Kind: delivery.Unavailable}},
		"CreatedOther":     {reason: "the answer to another request", statuses: []int{201}, body: strings.Replace(created, "orders-1", "orders-11", 1), want: made{Kind: delivery.Unavailable}},
		"CreatedElsewhere": {reason: "the answer to another tenant's request", statuses: []int{201}, body: strings.Replace(created, "shop", "shop-2", 1), want: made{Kind: delivery.Unavailable}},
		"CreatedWhat":      {reason: "there was another question", statuses: []int{201}, body: strings.Replace(created, "PartialObjectMetadata", "FlowRun", 1), want: made{Kind: delivery.Unavailable}},
		"CreatedOfWhat":    {reason: "there was another question", statuses: []int{201}, body: strings.Replace(created, "meta.k8s.io/v1", "sluice.dev/v1alpha1", 1), want: made{Kind: delivery.Unavailable}},
		"NoUID":            {reason: "only the API server can give one", statuses: []int{201}, body: strings.Replace(created, "0b8c", "", 1), want: made{Kind: delivery.Unavailable}},
		"NoVersion":        {reason: "so it is in etcd under none, as after a dry run", statuses: []int{201}, body: strings.Replace(created, `,"resourceVersion":"7"`, "", 1), want: made{Kind: delivery.Unavailable}},
		"Echo":             {reason: "what was sent", statuses: []int{201}, body: string(object), want: made{Kind: delivery.Unavailable}},
		"LoginPage":        {reason: "no JSON at all, whatever it names", statuses: []int{201}, body: `<title>"orders-1"</title>`, want: made{Kind: delivery.Unavailable}},
		"Truncated":        {reason: "half an answer", statuses: []int{201}, body: created[:len(created)-3], want: made{Kind: delivery.Unavailable}},
		"TwoAnswers":       {reason: "one of them is to something else", statuses: []int{201}, body: created + created, want: made{Kind: delivery.Unavailable}},
		"LongWindedly":     {reason: "no metadata are as long", statuses: []int{201}, body: strings.Replace(created, "{", `{"x":"`+strings.Repeat("x", maxMetadata)+`",`, 1), want: made{Kind: delivery.Unavailable}},
		"Annotated":        {reason: "a webhook may have added as many annotations as there may be", statuses: []int{201}, body: strings.Replace(created, `{"name`, `{"annotations":{"a":"`+strings.Repeat("x", 256<<10)+`"},"name`, 1), want: made{Stored: true}},
		"NotCreated":       {reason: "a create is answered with 201", statuses: []int{200}, body: `{}`, want: made{Kind: delivery.Unavailable}},
		"Accepted":         {reason: "accepted is not stored", statuses: []int{202}, want: made{Kind: delivery.Unavailable}},
		"Login":            {reason: "a redirection is not followed", statuses: []int{302}, header: http.Header{"Location": {"/login"}}, want: made{Kind: delivery.Unavailable}},
		"Exists":           {reason: "nobody else can have chosen the name, so something is wrong", statuses: []int{409}, body: exists, want: made{Kind: delivery.Occupied}},
		"ExistsAfterAll":   {reason: "the first attempt had arrived", statuses: []int{500, 409}, body: exists, found: created, want: made{Stored: true}},
		"ExistsNoLonger":   {reason: "it had arrived, and somebody deletes it", statuses: []int{500, 409}, body: exists, found: deleted, want: made{Kind: delivery.Occupied}},
		"ExistsByHearsay":  {reason: "what says that it exists knows nothing of it", statuses: []int{500, 409}, body: exists, found: "{}", want: made{Kind: delivery.Occupied}},
		"ExistsAtLength":   {reason: "a tenant has made its metadata longer than can be read: no trouble of the API server's", statuses: []int{500, 409}, body: exists, found: strings.Replace(created, `{"name`, `{"annotations":{"a":"`+strings.Repeat("x", maxMetadata)+`"},"name`, 1), want: made{Kind: delivery.Occupied}},
		"ExistsHalf":       {reason: "half an answer tells nothing of the FlowRun", statuses: []int{500, 409}, body: exists, found: created[:len(created)/2], want: made{Kind: delivery.Unavailable}},
		"ExistsSaysOther":  {reason: "a webhook's words are no news of an earlier attempt", statuses: []int{500, 409}, body: saidByWebhook, want: made{Kind: delivery.Rejected}},
		"ConflictOfOthers": {reason: "the API server would have said what is in conflict", statuses: []int{500, 409}, body: "conflict", want: made{Kind: delivery.Unavailable}},
		"StatusOfOthers":   {reason: "what it says is not what it is", statuses: []int{404}, body: exists, want: made{Kind: delivery.Blocked}},
		"Quota":            {reason: "that may pass", statuses: []int{403}, body: full, want: made{Kind: delivery.Blocked}},
		"Throttled":        {reason: "the API server says when", statuses: []int{429}, body: throttle, want: made{Kind: delivery.Throttled, RetryAfter: 7 * time.Second}},
		"ThrottledInText": {
			reason: "priority and fairness answers in plain text", statuses: []int{429}, body: "Too many requests, please try again later.",
			header: http.Header{"Retry-After": {"3"}}, want: made{Kind: delivery.Throttled, RetryAfter: 3 * time.Second},
		},
		"Gateway": {reason: "a proxy without a server behind it", statuses: []int{502}, body: "<html>", want: made{Kind: delivery.Unavailable}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			attempt := 0
			c := newTestSink(t, 1, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && tc.found != "" {
					if !json.Valid([]byte(tc.found)) { // the rest does not come
						w.Header().Set("Content-Length", strconv.Itoa(2*len(tc.found)))
					}
					_, _ = w.Write([]byte(tc.found))
					return
				}
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
			d := testDelivery()
			d.Run = "orders-1"
			_, err := c.Accept(ctx, &d)
			got := made{Stored: err == nil}
			if e, ok := errors.AsType[*delivery.Error](err); ok {
				got.Kind, got.RetryAfter = e.Kind, e.RetryAfter
			} else if err != nil {
				t.Errorf("%s: the error is a %T", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: the outcome differs (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRecords shows which FlowRuns are the record of a delivery, by what the API server tells of
// them.
func TestRecords(t *testing.T) {
	t.Parallel()
	const state, other = `{"f:spec":{"f:payload":{"f:state":{}}}}`, `{"f:metadata":{"f:labels":{}},"f:spec":{".":{},"f:payload":{".":{},"f:text":{}}},"f:status":{}}`
	managed := func(manager, fields string) string {
		return `{"manager":"` + manager + `","operation":"Update","apiVersion":"sluice.dev/v1alpha1","time":"2026-01-31T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":` + fields + `}`
	}
	status := strings.Replace(managed("an-executor", `{"f:status":{"f:startTime":{}}}`), "{", `{"subresource":"status",`, 1)
	ours := managed("sluice-ingest", other)
	tests := map[string]struct {
		reason  string
		members string // of its metadata
		want    string // why it does not count
	}{
		"Stored":          {reason: "the usual one", members: `"managedFields":[` + ours + `]`},
		"NobodySays":      {reason: "somebody has removed it; there is nothing to go by", members: `"labels":{}`},
		"Null":            {reason: "the same", members: `"managedFields":null`},
		"Deleted":         {reason: "it will go", members: `"deletionTimestamp":"2026-01-31T12:00:00Z","managedFields":[` + ours + `]`, want: "is being deleted"},
		"DeletedActedOn":  {reason: "it will go all the same", members: `"deletionTimestamp":"2026-01-31T12:00:00Z","managedFields":[` + status + `]`, want: "is being deleted"},
		"ByHand":          {reason: "nobody can act on it", members: `"managedFields":[` + ours + `,` + managed("kubectl-patch", state) + `]`, want: "has lost its payload"},
		"ByHandActedOn":   {reason: "somebody has", members: `"managedFields":[` + managed("kubectl-patch", state) + `,` + status + `]`},
		"ByHistory":       {reason: "it is kept as the memory", members: `"managedFields":[` + ours + `,` + managed("sluice-history", state) + `]`},
		"ByBoth":          {reason: "the history has dropped it, and somebody says so too", members: `"managedFields":[` + managed("kubectl", state) + `,` + managed("sluice-history", state) + `]`},
		"HistoryElsewise": {reason: "the history did something else", members: `"managedFields":[` + managed("sluice-history", other) + `,` + managed("kubectl", state) + `]`, want: "has lost its payload"},
		"OtherState":      {reason: "it is another field of that name", members: `"managedFields":[` + managed("kubectl", `{"f:spec":{"f:state":{}},"f:state":{}}`) + `]`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found record
			run := testDelivery()
			run.Run = "orders-1"
			answer := `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-1","namespace":"shop","uid":"0b8c","resourceVersion":"7",` + tc.members + `}}`
			if err := readConfirmation(io.NopCloser(strings.NewReader(answer)), &run, &found); err != nil {
				t.Fatal(err)
			}
			if got := found.useless(); !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
				t.Errorf("%s: it %q, want that it %q", tc.reason, got, tc.want)
			}
		})
	}
}

// BenchmarkReadConfirmation reads what kube-apiserver answers to a create.
func BenchmarkReadConfirmation(b *testing.B) {
	const answer = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-06h2d7866v8giddaed2s","namespace":"shop","uid":"7450296e-b735-46e7-9f0b-2c8532882df1","resourceVersion":"123456","generation":1,"creationTimestamp":"2026-01-31T12:00:00Z","labels":{"sluice.dev/flow":"import-orders","sluice.dev/trigger":"orders"},"annotations":{"sluice.dev/payload-sha256":"bd97e9921fca182698ea037fba4492e784b4565a7e54dc7103b8bde76609478f","sluice.dev/signed-by":"orders-webhook/secretKey"},"managedFields":[{"manager":"sluice-ingest","operation":"Update","apiVersion":"sluice.dev/v1alpha1","time":"2026-01-31T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:sluice.dev/payload-sha256":{},"f:sluice.dev/signed-by":{}},"f:labels":{".":{},"f:sluice.dev/flow":{},"f:sluice.dev/trigger":{}}},"f:spec":{".":{},"f:flowRef":{".":{},"f:name":{}},"f:payload":{".":{},"f:contentType":{},"f:sha256":{},"f:size":{},"f:text":{}},"f:request":{".":{},"f:receivedAt":{},"f:signedBy":{}},"f:triggerRef":{".":{},"f:name":{},"f:uid":{}}}}}]}}` + "\n"
	run := testDelivery()
	run.Run = "orders-06h2d7866v8giddaed2s"
	reader := strings.NewReader(answer)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(answer)
		if err := readConfirmation(io.NopCloser(reader), &run, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSinkKeepsConnections makes two bursts of creates. The second one finds the connections of the
// first.
func TestSinkKeepsConnections(t *testing.T) {
	t.Parallel()
	const burst = 64 // more than client-go keeps by itself
	var arrived sync.WaitGroup
	senders := sync.Map{}
	c := newTestSink(t, burst, func(w http.ResponseWriter, r *http.Request) {
		senders.Store(r.RemoteAddr, true)
		arrived.Done()
		arrived.Wait() // so that each needs a connection of its own
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"orders-1","namespace":"shop","uid":"0b8c","resourceVersion":"7"}}`))
	})
	for range 2 {
		arrived.Add(burst)
		var creates sync.WaitGroup
		for range burst {
			creates.Go(func() {
				d := testDelivery()
				d.Run = "orders-1"
				if _, err := c.Accept(t.Context(), &d); err != nil {
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
