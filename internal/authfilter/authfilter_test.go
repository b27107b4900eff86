/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package authfilter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/sluice-dev/sluice/internal/authfilter"
)

const token = "a-token-of-prometheus"

// apiServer knows one token, whose user may get /metrics.
type apiServer struct {
	mu    sync.Mutex
	down  bool // it answers nothing but 500
	asked []string
}

// ServeHTTP implements http.Handler.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if s.down {
		s.asked = append(s.asked, kind)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var answer any
	switch kind {
	case "tokenreviews":
		var review authenticationv1.TokenReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		s.asked = append(s.asked, kind)
		review.Status.Authenticated = review.Spec.Token == token
		review.Status.User = authenticationv1.UserInfo{
			Username: "prometheus", UID: "7", Groups: []string{"scrapers"}, Extra: map[string]authenticationv1.ExtraValue{"a": {"b"}},
		}
		answer = review
	case "subjectaccessreviews":
		var review authorizationv1.SubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		spec := review.Spec
		s.asked = append(s.asked, fmt.Sprintf("%s/%s/%v/%v %s %s", spec.User, spec.UID, spec.Groups, spec.Extra, spec.NonResourceAttributes.Verb, spec.NonResourceAttributes.Path))
		review.Status.Allowed = spec.NonResourceAttributes.Verb == "get" && spec.NonResourceAttributes.Path == "/metrics"
		answer = review
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// reviews returns what was asked of it.
func (s *apiServer) reviews() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// A clock is advanced by hand.
type clock struct{ now time.Time }

// guarded returns a handler behind a Filter, and what the Filter logs.
func guarded(t *testing.T, server *apiServer, c *clock) (http.Handler, *bytes.Buffer) {
	t.Helper()
	host := httptest.NewServer(server)
	t.Cleanup(host.Close)
	config := &rest.Config{Host: host.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	filter, err := authfilter.New(authfilter.Options{
		Config: config, HTTPClient: host.Client(), Realm: "metrics", Now: func() time.Time { return c.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	log := funcr.New(func(prefix, args string) { lines.WriteString(prefix + " " + args + "\n") }, funcr.Options{})
	return filter.Handler(log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("the metrics"))
	})), &lines
}

// ask returns the answer to a request with these values of Authorization.
func ask(t *testing.T, handler http.Handler, method, path string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	for _, value := range authorization {
		request.Header.Add("Authorization", value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func TestHandler(t *testing.T) {
	t.Parallel()
	const review = "tokenreviews"
	cases := map[string]struct {
		reason        string
		method, path  string
		authorization []string
		down          bool
		status        int
		asked         []string
	}{
		"Authorized": {
			reason: "the user has the permission", authorization: []string{"Bearer " + token}, status: 200,
			asked: []string{review, "prometheus/7/[scrapers]/map[a:[b]] get /metrics"},
		},
		"LowerCase": {
			reason: "the name of a scheme has no case", authorization: []string{"bearer " + token}, status: 200,
			asked: []string{review, "prometheus/7/[scrapers]/map[a:[b]] get /metrics"},
		},
		"OtherVerb": {
			reason: "the permission is to get", method: http.MethodPost, authorization: []string{"Bearer " + token}, status: 403,
			asked: []string{review, "prometheus/7/[scrapers]/map[a:[b]] post /metrics"},
		},
		"OtherPath": {
			reason: "the permission is for a path", path: "/debug", authorization: []string{"Bearer " + token}, status: 403,
			asked: []string{review, "prometheus/7/[scrapers]/map[a:[b]] get /debug"},
		},
		"Query":     {reason: "it is no part of the path", path: "/debug?/metrics", authorization: []string{"Bearer " + token}, status: 403, asked: []string{review, "prometheus/7/[scrapers]/map[a:[b]] get /debug"}},
		"Unknown":   {reason: "the API server does not know the token", authorization: []string{"Bearer " + token + "x"}, status: 401, asked: []string{review}},
		"None":      {reason: "there is no token", status: 401},
		"Two":       {reason: "which of them is meant?", authorization: []string{"Bearer " + token, "Bearer " + token}, status: 401},
		"Basic":     {reason: "another scheme", authorization: []string{"Basic " + token}, status: 401},
		"Empty":     {reason: "an empty token", authorization: []string{"Bearer "}, status: 401},
		"WithBlank": {reason: "no token has a blank", authorization: []string{"Bearer " + token + " x"}, status: 401},
		"Long":      {reason: "no token is as long", authorization: []string{"Bearer " + strings.Repeat("x", 16<<10+1)}, status: 401},
		"Down":      {reason: "it fails closed", authorization: []string{"Bearer " + token}, down: true, status: 503, asked: []string{review}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &apiServer{down: tc.down}
			handler, log := guarded(t, server, &clock{})
			method, path := tc.method, tc.path
			if method == "" {
				method = http.MethodGet
			}
			if path == "" {
				path = "/metrics"
			}
			r := ask(t, handler, method, path, tc.authorization...)
			if r.Code != tc.status {
				t.Errorf("%s: answered %d, want %d", tc.reason, r.Code, tc.status)
			}
			if got := strings.Contains(r.Body.String(), "the metrics"); got != (tc.status == 200) {
				t.Errorf("%s: got through: %t", tc.reason, got)
			}
			if got := r.Header().Get("WWW-Authenticate"); (got == `Bearer realm="metrics"`) != (tc.status == 401) {
				t.Errorf("%s: WWW-Authenticate is %q", tc.reason, got)
			}
			if got := r.Header().Get("Retry-After"); (got != "") != (tc.status == 503) {
				t.Errorf("%s: Retry-After is %q", tc.reason, got)
			}
			if diff := cmp.Diff(tc.asked, server.reviews()); diff != "" {
				t.Errorf("%s: reviews (-want +got):\n%s", tc.reason, diff)
			}
			if got := strings.Contains(log.String(), "Cannot authenticate or authorize a request"); got != tc.down {
				t.Errorf("%s: the log is %q", tc.reason, log)
			}
			if strings.Contains(log.String()+r.Body.String(), token) {
				t.Errorf("%s: the token is in the answer or in the log", tc.reason)
			}
		})
	}
}

// TestCache shows that an authorization is cached for a minute, by what was asked for, and a denial
// is not.
func TestCache(t *testing.T) {
	t.Parallel()
	server, c := &apiServer{}, &clock{now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	handler, _ := guarded(t, server, c)
	good, bad := "Bearer "+token, "Bearer other"
	for i, step := range []struct {
		reason        string
		after         time.Duration
		down          bool
		method        string
		authorization string
		status        int
		reviews       int
	}{
		{"the first request", 0, false, http.MethodGet, good, 200, 2},
		{"it is cached", 59 * time.Second, false, http.MethodGet, good, 200, 0},
		{"also while the API server is down", 0, true, http.MethodGet, good, 200, 0},
		{"but for this token only", 0, true, http.MethodGet, bad, 503, 1},
		{"and for this verb only", 0, true, http.MethodPost, good, 503, 1},
		{"and for a minute only", time.Second, true, http.MethodGet, good, 503, 1},
		{"a failure is not cached", 0, false, http.MethodGet, good, 200, 2},
		{"an unknown token", 0, false, http.MethodGet, bad, 401, 1},
		{"is not cached", 0, false, http.MethodGet, bad, 401, 1},
		{"a request that is denied", 0, false, http.MethodPost, good, 403, 2},
		{"is not cached", 0, false, http.MethodPost, good, 403, 2},
	} {
		c.now = c.now.Add(step.after)
		server.mu.Lock()
		server.down, server.asked = step.down, nil
		server.mu.Unlock()
		r := ask(t, handler, step.method, "/metrics", step.authorization)
		if reviews := len(server.reviews()); r.Code != step.status || reviews != step.reviews {
			t.Errorf("step %d, %s: answered %d after %d reviews, want %d after %d", i, step.reason, r.Code, reviews, step.status, step.reviews)
		}
	}
}
