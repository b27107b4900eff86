/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// strictJSON decodes the only JSON value that there is, without members that are not known.
func strictJSON(t *testing.T, data []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if decoder.More() {
		t.Errorf("%s: there is something behind the value", data)
	}
}

func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		reason  string
		answer  answer
		status  int
		title   string
		limit   int64
		headers map[string]string // besides those that all have
	}{
		"unknown_path":       {reason: "no such path", answer: unknownPath, status: 404, title: "Not Found"},
		"method_not_allowed": {reason: "another method", answer: methodNotAllowed, status: 405, title: "Method Not Allowed", headers: map[string]string{"Allow": "POST"}},
		"unavailable": {
			reason: "suspended, Flow disabled or missing, key missing", answer: unavailable,
			status: 503, title: "Service Unavailable", headers: map[string]string{"Retry-After": "30"},
		},
		"no_capacity": {
			reason: "too many in flight", answer: noCapacity,
			status: 503, title: "Service Unavailable", headers: map[string]string{"Retry-After": "1"},
		},
		"cannot_store": {
			reason: "the API server does not work", answer: cannotStore,
			status: 503, title: "Service Unavailable", headers: map[string]string{"Retry-After": "1"},
		},
		"too_many": {
			reason: "the trigger's own limits", answer: tooMany,
			status: 429, title: "Too Many Requests", headers: map[string]string{"Retry-After": "1"},
		},
		"too_many_guesses": {
			reason: "wrong tokens", answer: tooManyGuesses,
			status: 429, title: "Too Many Requests", headers: map[string]string{"Retry-After": "1"},
		},
		"forbidden": {reason: "a handshake without the right token", answer: forbidden, status: 403, title: "Forbidden"},
		"slow_body": {reason: "the read timeout", answer: slowBody, status: 408, title: "Request Timeout"},
		"aborted":   {reason: "the body broke off", answer: brokenBody, status: 400, title: "Bad Request"},
		"unauthorized": {
			reason: "no valid signature", answer: unauthorized,
			status: 401, title: "Unauthorized", headers: map[string]string{"Www-Authenticate": `HMAC realm="webhook"`},
		},
		"not_stored": {
			reason: "the API server is down, throttles or is out of quota", answer: notStored,
			status: 503, title: "Service Unavailable", headers: map[string]string{"Retry-After": "5"},
		},
		"refused":   {reason: "refused for good", answer: rejected, status: 422, title: "Unprocessable Entity"},
		"failed":    {reason: "a bug", answer: failed, status: 500, title: "Internal Server Error", headers: map[string]string{"Retry-After": "5"}},
		"too_large": {reason: "over the limit", answer: newTooLarge(1 << 20), status: 413, title: "Request Entity Too Large", limit: 1048576},
	}
	names := []string{resultAccepted, resultDuplicate, resultChallenge} // these are no problems
	for name, tc := range tests {
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			tc.answer.write(w)
			got := w.Result()
			if tc.answer.result != name || got.StatusCode != tc.status || tc.answer.status != tc.status {
				t.Errorf("%s: result %q, status %d and %d, want %q and %d",
					tc.reason, tc.answer.result, got.StatusCode, tc.answer.status, name, tc.status)
			}
			want := http.Header{
				"Content-Type":   {"application/problem+json"},
				"Content-Length": {strconv.Itoa(w.Body.Len())},
			}
			for field, value := range tc.headers {
				want.Set(field, value)
			}
			if diff := cmp.Diff(want, got.Header); diff != "" {
				t.Errorf("%s: headers (-want +got):\n%s", tc.reason, diff)
			}
			var p problem
			strictJSON(t, w.Body.Bytes(), &p)
			detail := p.Detail
			p.Detail = ""
			if diff := cmp.Diff(problem{Title: tc.title, Status: tc.status, Limit: tc.limit}, p); diff != "" {
				t.Errorf("%s: body (-want +got):\n%s", tc.reason, diff)
			}
			if len(detail) < 20 || !strings.HasSuffix(detail, ".") {
				t.Errorf("%s: detail %q is no sentence", tc.reason, detail)
			}
			if tc.limit != 0 && !strings.Contains(detail, strconv.FormatInt(tc.limit, 10)) {
				t.Errorf("%s: detail %q does not name the limit", tc.reason, detail)
			}
			if !bytes.HasSuffix(w.Body.Bytes(), []byte("}\n")) {
				t.Errorf("%s: body %q does not end in one newline", tc.reason, w.Body)
			}
			// 503 makes senders retry, and it has to say when.
			if _, ok := got.Header["Retry-After"]; !ok && tc.status == http.StatusServiceUnavailable {
				t.Errorf("%s: no Retry-After", tc.reason)
			}
			if tc.status < 400 {
				t.Errorf("%s: status %d is no failure", tc.reason, tc.status)
			}
		})
	}
	// What is not tested above is not an answer, and the metric has the values from the start.
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(slices.Values(results))); diff != "" {
		t.Errorf("results (-tested +declared):\n%s", diff)
	}
}

// TestUnauthorizedIsOneAnswer sees that nothing but the one answer has that status, and that it
// holds nothing of a cause.
func TestUnauthorizedIsOneAnswer(t *testing.T) {
	for _, a := range []answer{
		unknownPath, methodNotAllowed, unavailable, noCapacity, cannotStore, tooMany, slowBody, brokenBody, notStored, rejected, failed, newTooLarge(1),
	} {
		if a.status == http.StatusUnauthorized {
			t.Errorf("%q is another answer with status 401", a.result)
		}
	}
	first, second := httptest.NewRecorder(), httptest.NewRecorder()
	unauthorized.write(first)
	unauthorized.write(second)
	if diff := cmp.Diff(first.Body.String(), second.Body.String()); diff != "" {
		t.Errorf("two bodies (-first +second):\n%s", diff)
	}
	for _, word := range []string{"missing", "repeated", "length", "malformed", "mismatch", "hex", "SHA", "RIPEMD", "key"} {
		if strings.Contains(strings.ToLower(first.Body.String()), strings.ToLower(word)) {
			t.Errorf("%s tells of the cause: %q", first.Body, word)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	tests := map[string]struct {
		reason string
		after  time.Duration
		want   []string
	}{
		"None":          {reason: "the header is left out", after: 0},
		"Negative":      {reason: "the header is left out", after: -time.Second},
		"Second":        {reason: "seconds as they are", after: time.Second, want: []string{"1"}},
		"Minutes":       {reason: "seconds as they are", after: 2 * time.Minute, want: []string{"120"}},
		"Millisecond":   {reason: "never 0, which means at once", after: time.Millisecond, want: []string{"1"}},
		"JustOver":      {reason: "rounded up: not before the time", after: time.Second + 1, want: []string{"2"}},
		"JustUnder":     {reason: "rounded up", after: 3*time.Second - 1, want: []string{"3"}},
		"OneAndAHalf":   {reason: "rounded up", after: 1500 * time.Millisecond, want: []string{"2"}},
		"ADay":          {reason: "seconds as they are", after: 24 * time.Hour, want: []string{"86400"}},
		"OneNanosecond": {reason: "never 0, which means at once", after: 1, want: []string{"1"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := notStored
			w := httptest.NewRecorder()
			notStored.after(tc.after).write(w)
			if diff := cmp.Diff(tc.want, w.Result().Header["Retry-After"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if notStored.retryAfter != before.retryAfter {
				t.Errorf("%s: after has changed the answer itself", tc.reason)
			}
		})
	}
}

func TestTooLargeNamesTheLimit(t *testing.T) {
	for _, limit := range []int64{1, 1000, DefaultLimits().MaxBodyBytes, delivery.MaxBody} {
		var p problem
		strictJSON(t, newTooLarge(limit).body, &p)
		want := problem{
			Title:  "Request Entity Too Large",
			Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("The body is longer than the limit of %d bytes.", limit),
			Limit:  limit,
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

// TestAcceptedOverride shows what a trigger can change of the answer to a request that is stored.
func TestAcceptedOverride(t *testing.T) {
	cases := map[string]struct {
		reason      string
		response    route.Response
		duplicate   bool
		status      int
		contentType string
		body        string // "*" for any
		length      string
	}{
		"Default":    {reason: "nothing is changed", status: 202, contentType: "application/json", body: "*", length: "*"},
		"Duplicate":  {reason: "nothing is changed", duplicate: true, status: 200, contentType: "application/json", body: "*", length: "*"},
		"Status":     {reason: "an empty body", response: route.Response{Override: true, Status: 200}, status: 200, length: "0"},
		"NoContent":  {reason: "204 has no length either (RFC 9110, section 8.6)", response: route.Response{Override: true, Status: 204}, status: 204},
		"Body":       {reason: "a body with its type", response: route.Response{Override: true, Status: 201, ContentType: "text/plain", Body: []byte("ok")}, status: 201, contentType: "text/plain", body: "ok", length: "2"},
		"BodyOnly":   {reason: "the status stays what it was", response: route.Response{Override: true, ContentType: "text/plain", Body: []byte("ok")}, duplicate: true, status: 200, contentType: "text/plain", body: "ok", length: "2"},
		"BodyForAll": {reason: "a duplicate is answered like the first", response: route.Response{Override: true, Status: 201, ContentType: "text/plain", Body: []byte("ok")}, duplicate: true, status: 201, contentType: "text/plain", body: "ok", length: "2"},
	}
	for name, tc := range cases {
		w := httptest.NewRecorder()
		d := delivery.Delivery{Trigger: delivery.Trigger{Namespace: "shop"}, Run: "orders-suffix"}
		accepted(tc.response, &d, delivery.Receipt{Duplicate: tc.duplicate}).write(w)
		if w.Code != tc.status || w.Header().Get("Content-Type") != tc.contentType {
			t.Errorf("%s (%s): status %d of type %q, want %d of type %q", name, tc.reason, w.Code, w.Header().Get("Content-Type"), tc.status, tc.contentType)
		}
		if got := w.Body.String(); tc.body != "*" && got != tc.body {
			t.Errorf("%s (%s): body %q, want %q", name, tc.reason, got, tc.body)
		}
		if got := w.Header().Get("Content-Length"); tc.length != "*" && got != tc.length {
			t.Errorf("%s (%s): length %q, want %q", name, tc.reason, got, tc.length)
		}
	}
}

func TestAccepted(t *testing.T) {
	const stored = `{"message":"The request is genuine and its FlowRun is stored.","flowRun":{"namespace":"shop","name":"orders-0dq0v8s1m"},"duplicate":false}` + "\n"
	const duplicate = `{"message":"The request is genuine, and the FlowRun of its delivery was stored before.","flowRun":{"namespace":"shop","name":"orders-0dq0v8s1m"},"duplicate":true}` + "\n"
	tests := map[string]struct {
		reason    string
		response  route.Response
		duplicate bool
		status    int
		body      string
		headers   map[string]string // besides those that all have
	}{
		"Stored": {
			reason: "the usual answer",
			status: 202, body: stored, headers: map[string]string{"Content-Type": "application/json", "Content-Length": strconv.Itoa(len(stored))},
		},
		"Duplicate": {
			reason: "a delivery that was stored before", duplicate: true,
			status: 200, body: duplicate, headers: map[string]string{"Content-Type": "application/json", "Content-Length": strconv.Itoa(len(duplicate))},
		},
		"EmptyUnauthorized": {
			reason: "this is about refusals only", response: route.Response{EmptyUnauthorized: true},
			status: 202, body: stored, headers: map[string]string{"Content-Type": "application/json", "Content-Length": strconv.Itoa(len(stored))},
		},
		"Override": {
			reason:   "the trigger says what the sender expects",
			response: route.Response{Override: true, Status: 201, ContentType: "text/plain; charset=utf-8", Body: []byte("OK")},
			status:   201, body: "OK", headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Length": "2"},
		},
		"OverrideOfDuplicate": {
			reason:   "the sender expects the same for a repetition",
			response: route.Response{Override: true, Status: 200, ContentType: "text/xml", Body: []byte("<Response/>")}, duplicate: true,
			status: 200, body: "<Response/>", headers: map[string]string{"Content-Type": "text/xml", "Content-Length": "11"},
		},
		"OverrideEmpty": {
			reason: "nothing has no type", response: route.Response{Override: true, Status: 200, ContentType: "text/plain"},
			status: 200, headers: map[string]string{"Content-Length": "0"},
		},
		"OverrideNoContent": {
			reason: "a 204 has no length either (RFC 9110, section 8.6)", response: route.Response{Override: true, Status: 204},
			status: 204,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			d := delivery.Delivery{Trigger: delivery.Trigger{Namespace: "shop"}, Run: "orders-0dq0v8s1m"}
			accepted(tc.response, &d, delivery.Receipt{Duplicate: tc.duplicate}).write(w)
			want := http.Header{}
			for field, value := range tc.headers {
				want.Set(field, value)
			}
			if diff := cmp.Diff(want, w.Result().Header); diff != "" {
				t.Errorf("%s: headers (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.body, w.Body.String()); diff != "" || w.Code != tc.status {
				t.Errorf("%s: status %d, want %d; body (-want +got):\n%s", tc.reason, w.Code, tc.status, diff)
			}
			if strings.HasPrefix(tc.headers["Content-Type"], "application/json") {
				var a acceptance
				strictJSON(t, w.Body.Bytes(), &a)
			}
		})
	}
}

func TestUnauthorized(t *testing.T) {
	usual, empty := httptest.NewRecorder(), httptest.NewRecorder()
	deny := func(w http.ResponseWriter, response route.Response) {
		h := testHandler(t, &keeper{}, route.NewTable(), nil)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/shop/orders", nil)
		verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "a/b", Secret: []byte("a key of sixteen or more bytes")})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{handler: h, r: request, target: &route.Route{Namespace: "shop", Name: "orders", Verifier: verifier, Response: response}}
		x.unauthorized(nil, signature.ErrMismatch).write(w)
	}
	deny(usual, route.Response{})
	deny(empty, route.Response{EmptyUnauthorized: true, Override: true, Status: 200, ContentType: "text/plain", Body: []byte("OK")})
	if diff := cmp.Diff(string(unauthorized.body), usual.Body.String()); diff != "" || usual.Code != http.StatusUnauthorized {
		t.Errorf("status %d, body (-want +got):\n%s", usual.Code, diff)
	}
	want := http.Header{
		"Www-Authenticate": {`HMAC realm="webhook"`}, "Content-Length": {"0"},
	}
	if diff := cmp.Diff(want, empty.Result().Header); diff != "" {
		t.Errorf("headers of an empty 401 (-want +got):\n%s", diff)
	}
	if empty.Code != http.StatusUnauthorized || empty.Body.Len() != 0 {
		t.Errorf("an empty 401: status %d, body %q", empty.Code, empty.Body)
	}
}
