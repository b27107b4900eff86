/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package tolerant_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/internal/kube/tolerant"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// exchange returns what a client reads when the API server sends the body in answer to the request,
// and the log.
func exchange(t *testing.T, method, target, accept string, status int, body string) (got, log string) {
	t.Helper()
	var lines bytes.Buffer
	logger := funcr.New(func(prefix, args string) { lines.WriteString(prefix + " " + args + "\n") }, funcr.Options{})
	wrapped := tolerant.Wrap(scheme.New(), logger)(roundTrip(func(*http.Request) (*http.Response, error) {
		// As from a network: in pieces.
		return &http.Response{StatusCode: status, ContentLength: int64(len(body)), Body: io.NopCloser(iotest.HalfReader(strings.NewReader(body)))}, nil
	}))
	request, err := http.NewRequestWithContext(t.Context(), method, "https://cluster.example.com"+target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := wrapped.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(iotest.OneByteReader(response.Body))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(target, "watch") && response.ContentLength != int64(len(read)) {
		t.Errorf("the length is said to be %d, and is %d", response.ContentLength, len(read))
	}
	return string(read), lines.String()
}

const (
	goodFlow      = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"namespace":"shop","name":"good","annotations":{}},"spec":{"state":"Disabled"}}`
	markedFlow    = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"namespace":"shop","name":"good","annotations":{"sluice.dev/unreadable":"spec"}},"spec":{"state":"Disabled"}}`
	badFlow       = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"namespace":"shop","name":"bad","annotations":{"a":"b"}},"spec":"Disabled"}`
	sanitizedFlow = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"namespace":"shop","name":"bad","annotations":{"a":"b","sluice.dev/unreadable":"spec"}}}`
	badStatus     = `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t"},"spec":{"algorithm":"SHA-256"},"status":{"conditions":7}}`
	noStatus      = `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t"},"spec":{"algorithm":"SHA-256"}}`
	badBoth       = `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t"},"spec":[],"status":[]}`
	neither       = `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t","annotations":{"sluice.dev/unreadable":"spec"}}}`
	badMetadata   = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":"none","spec":{}}`
	noMetadata    = `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","spec":"Disabled"}`
	otherKind     = `{"kind":"Widget","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"w"},"spec":"anything"}`
	noKind        = `{"metadata":{"name":"w"},"spec":"anything"}`
	status        = `{"kind":"Status","apiVersion":"v1","status":"Failure","code":410}`
)

func flowList(items ...string) string {
	return `{"kind":"FlowList","apiVersion":"sluice.dev/v1alpha1","metadata":{"resourceVersion":"7"},"items":[` + strings.Join(items, ",") + `]}`
}

func event(kind, object string) string { return `{"type":"` + kind + `","object":` + object + "}\n" }

func TestWrap(t *testing.T) {
	const flows, get, plain = "/apis/sluice.dev/v1alpha1/flows", http.MethodGet, "application/json, */*"
	watch := flows + "?watch=true"
	for name, tc := range map[string]struct {
		reason                 string
		method, target, accept string
		code                   int
		body, want             string
		logged                 int
	}{
		"GoodList":     {reason: "what can be read is left alone", method: get, target: flows, accept: plain, code: 200, body: flowList(goodFlow, goodFlow), want: flowList(goodFlow, goodFlow)},
		"BadInList":    {reason: "one object is changed, the others are as they were", method: get, target: flows, accept: plain, code: 200, body: flowList(goodFlow, badFlow, goodFlow), want: flowList(goodFlow, sanitizedFlow, goodFlow), logged: 1},
		"EmptyList":    {reason: "no items", method: get, target: flows, accept: plain, code: 200, body: flowList(), want: flowList()},
		"NullItems":    {reason: "no items, in other words", method: get, target: flows, accept: plain, code: 200, body: `{"kind":"FlowList","apiVersion":"sluice.dev/v1alpha1","items":null}`, want: `{"kind":"FlowList","apiVersion":"sluice.dev/v1alpha1","items":null}`},
		"OneObject":    {reason: "a single object, as a patch of it returns", method: http.MethodPatch, target: flows + "/bad", accept: plain, code: 200, body: badFlow, want: sanitizedFlow, logged: 1},
		"Status":       {reason: "a spec that can be read is kept", method: get, target: flows, accept: plain, code: 200, body: badStatus, want: noStatus, logged: 1},
		"Both":         {reason: "neither spec nor status", method: get, target: flows, accept: plain, code: 200, body: badBoth, want: neither, logged: 1},
		"Metadata":     {reason: "nothing is left to tell of; the API server keeps metadata in order", method: get, target: flows, accept: plain, code: 200, body: badMetadata, want: badMetadata},
		"OtherKind":    {reason: "kinds that are not decoded", method: get, target: flows, accept: plain, code: 200, body: otherKind, want: otherKind},
		"NoKind":       {reason: "no object", method: get, target: flows, accept: plain, code: 200, body: noKind, want: noKind},
		"NoJSON":       {reason: "what a proxy may answer", method: get, target: flows, accept: plain, code: 200, body: "<html>", want: "<html>"},
		"Nothing":      {reason: "an empty answer", method: get, target: flows, accept: plain, code: 200, body: "", want: ""},
		"NotOK":        {reason: "errors are for client-go to read", method: get, target: flows, accept: plain, code: 500, body: badFlow, want: badFlow},
		"Create":       {reason: "creates are many", method: http.MethodPost, target: flows, accept: plain, code: 200, body: badFlow, want: badFlow},
		"NoMetadata":   {reason: "that the spec is missing is said all the same", method: get, target: flows, accept: plain, code: 200, body: noMetadata, want: `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"annotations":{"sluice.dev/unreadable":"spec"}}}`, logged: 1},
		"MetadataOnly": {reason: "metadata can always be read", method: get, target: flows, accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", code: 200, body: badFlow, want: badFlow},
		"Table":        {reason: "a table is read row by row", method: get, target: flows, accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", code: 200, body: badFlow, want: badFlow},
		"OtherGroup":   {reason: "Kubernetes' own kinds", method: get, target: "/apis/apps/v1/deployments", accept: plain, code: 200, body: badFlow, want: badFlow},
		"Marked":       {reason: "only this package may say so", method: get, target: flows, accept: plain, code: 200, body: markedFlow, want: goodFlow},
		"MarkedInList": {
			reason: "and of none in a list", method: get, target: flows, accept: plain, code: 200,
			body: flowList(goodFlow, markedFlow, badFlow), want: flowList(goodFlow, goodFlow, sanitizedFlow), logged: 1,
		},
		"MarkedOnly": {reason: "a list of what can be decoded", method: get, target: flows, accept: plain, code: 200, body: flowList(markedFlow), want: flowList(goodFlow)},
		"MarkedOther": {
			reason: "whatever the value is, and the other annotations stay", method: get, target: flows, accept: plain, code: 200,
			body: `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"f","annotations":{"a":"b","sluice.dev/unreadable":"status"}},"spec":{}}`,
			want: `{"kind":"Flow","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"f","annotations":{"a":"b"}},"spec":{}}`,
		},
		"MarkedBadStatus": {
			reason: "the spec is there", method: get, target: flows, accept: plain, code: 200, logged: 1,
			body: `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t","annotations":{"sluice.dev/unreadable":"spec"}},"spec":{"algorithm":"SHA-256"},"status":7}`,
			want: `{"kind":"WebhookTrigger","apiVersion":"sluice.dev/v1alpha1","metadata":{"name":"t","annotations":{}},"spec":{"algorithm":"SHA-256"}}`,
		},
		"MarkedBadSpec": {
			reason: "then it is true", method: get, target: flows, accept: plain, code: 200, logged: 1,
			body: strings.Replace(badFlow, `"a":"b"`, `"a":"b","sluice.dev/unreadable":"other"`, 1), want: sanitizedFlow,
		},
		"WatchMarked": {
			reason: "in events too", method: get, target: watch, accept: plain, code: 200,
			body: event("ADDED", markedFlow) + event("MODIFIED", markedFlow), want: event("ADDED", goodFlow) + event("MODIFIED", goodFlow),
		},
		"Watch": {
			reason: "event by event", method: get, target: watch, accept: plain, code: 200,
			body:   event("ADDED", goodFlow) + event("ADDED", badFlow) + event("MODIFIED", goodFlow) + event("DELETED", badFlow) + event("ERROR", status),
			want:   event("ADDED", goodFlow) + event("ADDED", sanitizedFlow) + event("MODIFIED", goodFlow) + event("DELETED", sanitizedFlow) + event("ERROR", status),
			logged: 2,
		},
		"OddEvents": {
			reason: "what is no event is handed on", method: get, target: watch, accept: plain, code: 200,
			body: "7\n{}\n[]\nnull\n" + event("ADDED", "null"), want: "7\n{}\n[]\nnull\n" + event("ADDED", "null"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, log := exchange(t, tc.method, tc.target, tc.accept, tc.code, tc.body)
			if diff := cmp.Diff(values(t, tc.want), values(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if n := strings.Count(log, "Cannot read all of an object"); n != tc.logged {
				t.Errorf("%s: it is logged %d times, want %d: %s", tc.reason, n, tc.logged, log)
			}
			if strings.Contains(log, "Disabled") {
				t.Errorf("%s: the log holds a value: %s", tc.reason, log)
			}
		})
	}
}

// values returns the JSON values of a text, or the text if it is none.
func values(t *testing.T, text string) []any {
	t.Helper()
	var all []any
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			return []any{text}
		}
		all = append(all, value)
	}
}

// TestHasUndecodableSpec shows that readers can tell an object whose spec is missing from one that
// has none, and that nobody else can tell them so.
func TestHasUndecodableSpec(t *testing.T) {
	for body, want := range map[string]bool{goodFlow: false, badFlow: true, markedFlow: false} {
		got, _ := exchange(t, http.MethodGet, "/apis/sluice.dev/v1alpha1/namespaces/shop/flows/x", "application/json", 200, body)
		var flow sluicev1alpha1.Flow
		if err := json.Unmarshal([]byte(got), &flow); err != nil {
			t.Fatal(err)
		}
		if is := tolerant.HasUndecodableSpec(&flow); is != want {
			t.Errorf("%s: its spec is said to be undecodable: %v, want %v", body, is, want)
		}
	}
}

// TestBrokenAnswer shows that an answer that breaks off is an error, and not a shorter one.
func TestBrokenAnswer(t *testing.T) {
	errBroken := errors.New("broken off")
	for name, target := range map[string]string{"list": "/apis/sluice.dev/v1alpha1/flows", "watch": "/apis/sluice.dev/v1alpha1/flows?watch=true"} {
		wrapped := tolerant.Wrap(scheme.New(), funcr.New(func(string, string) {}, funcr.Options{}))(roundTrip(func(*http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(goodFlow[:20]), iotest.ErrReader(errBroken))
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
		}))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://cluster.example.com"+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := wrapped.RoundTrip(request)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: the error is %v, want %v", name, err, errBroken)
		}
	}
}
