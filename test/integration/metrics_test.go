/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// scrape asks for metrics with a token, if there is one.
func scrape(t *testing.T, c *http.Client, method, url, token string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	var r reply
	testenv.Eventually(t, patience, func() (err error) { // the manager starts this server when it likes
		r, err = doWith(c, request)
		return err
	})
	return r
}

// makeAccount creates a service account in the namespace.
func makeAccount(t *testing.T, namespace, name string) rbacv1.Subject {
	t.Helper()
	env.Create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}

// TestMetricsAreForTheAuthorized asks for metrics with tokens of service accounts, which the API
// server judges.
func TestMetricsAreForTheAuthorized(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	makeAccount(t, namespace, "stranger")
	grant(t, "sluice-metrics-reader", makeAccount(t, namespace, "prometheus"))
	address := testenv.FreeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *app.Options) { o.MetricsAddress = address }
	})
	url := "https://" + address + "/metrics"
	anyCertificate := newHTTPClient(t, &tls.Config{InsecureSkipVerify: true}, func(p *http.Protocols) { p.SetHTTP1(true) }) //nolint:gosec // it is signed by nobody

	reader := env.Token(t, namespace, "prometheus")
	cases := map[string]struct {
		reason string
		method string
		token  string
		status int
	}{
		"NoToken":       {reason: "nobody is not allowed", token: "", status: http.StatusUnauthorized},
		"NotAToken":     {reason: "the API server does not know it", token: "let-me-in", status: http.StatusUnauthorized},
		"Forged":        {reason: "a token whose signature was changed", token: reader[:len(reader)-8] + "AAAAAAAA", status: http.StatusUnauthorized},
		"Longer":        {reason: "a token and something more", token: reader + "A", status: http.StatusUnauthorized},
		"Shorter":       {reason: "a part of a token", token: reader[:len(reader)-1], status: http.StatusUnauthorized},
		"OtherAudience": {reason: "a token that was made for another service", token: env.Token(t, namespace, "prometheus", "https://elsewhere.example.com"), status: http.StatusUnauthorized},
		"Stranger":      {reason: "somebody, but without the right", token: env.Token(t, namespace, "stranger"), status: http.StatusForbidden},
		"Reader":        {reason: "who is bound to sluice-metrics-reader", token: reader, status: http.StatusOK},
		"ReaderAgain":   {reason: "what is remembered", token: reader, status: http.StatusOK},
		"ReaderPosts":   {reason: "the right is to get", method: http.MethodPost, token: reader, status: http.StatusForbidden},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			r := scrape(t, anyCertificate, tc.method, url, tc.token)
			if r.status != tc.status {
				t.Errorf("%s: answered %d, want %d: %s", tc.reason, r.status, tc.status, r.body)
			}
			if got, want := strings.Contains(r.body, "workqueue_depth"), tc.status == http.StatusOK; got != want {
				t.Errorf("%s: whether there are metrics in the answer is %t, want %t", tc.reason, got, want)
			}
			if tc.token != "" && strings.Contains(r.body, tc.token) {
				t.Errorf("%s: the answer repeats the token", tc.reason)
			}
			if got, want := r.header.Get("WWW-Authenticate") != "", tc.status == http.StatusUnauthorized; got != want {
				t.Errorf("%s: whether the answer says how to authenticate is %t, want %t", tc.reason, got, want)
			}
		})
	}

	t.Run("PlainHTTP", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := do(request); err == nil && r.status != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered %d, want 400 or a closed connection", r.status)
		}
	})
}

// TestMetricsWithoutPermissionToAsk runs an operator that may not ask the API server who somebody
// is. Nobody gets metrics.
func TestMetricsWithoutPermissionToAsk(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	reader := makeAccount(t, namespace, "prometheus")
	grant(t, "sluice-metrics-reader", reader)
	address := testenv.FreeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *app.Options) { o.MetricsAddress, o.Role = address, app.RoleIngest }
		c.config = func(o app.Options) *rest.Config {
			o.MetricsAddress = "0" // so that it is not allowed what the metrics take
			return userConfig(t, o)
		}
	})
	c := newHTTPClient(t, &tls.Config{InsecureSkipVerify: true}, func(p *http.Protocols) { p.SetHTTP1(true) }) //nolint:gosec // it is signed by nobody
	r := scrape(t, c, http.MethodGet, "https://"+address+"/metrics", env.Token(t, namespace, "prometheus"))
	if r.status != http.StatusServiceUnavailable || strings.Contains(r.body, "workqueue_depth") {
		t.Errorf("answered %d, want 503 without metrics: %s", r.status, r.body)
	}
}

// reviews counts what the API server is asked about readers, and can hold or refuse it.
type reviews struct {
	asked, inFlight atomic.Int64
	tooMany         atomic.Bool                   // were under way at a time
	held            atomic.Pointer[chan struct{}] // closed to let them go; nil lets them go at once
	refused         atomic.Bool
}

// reviewsAtATime is how many are to be under way at the most.
const reviewsAtATime = 4

type intercepted func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f intercepted) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (c *reviews) wrap(next http.RoundTripper) http.RoundTripper {
	return intercepted(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/tokenreviews") {
			return next.RoundTrip(r)
		}
		c.asked.Add(1)
		if c.inFlight.Add(1) > reviewsAtATime {
			c.tooMany.Store(true)
		}
		defer c.inFlight.Add(-1)
		if held := c.held.Load(); held != nil {
			select {
			case <-*held:
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		if c.refused.Load() {
			return nil, errors.New("the API server is away")
		}
		return next.RoundTrip(r)
	})
}

// TestMetricsReviews counts how often the API server is asked who somebody is. Who shows no token
// makes for no question, a reader for one a minute, and those who show made-up tokens for few at a
// time. Without an answer nobody gets metrics who did not have them before.
func TestMetricsReviews(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	prometheus := makeAccount(t, namespace, "prometheus")
	grant(t, "sluice-metrics-reader", prometheus)
	address := testenv.FreeAddress(t)
	counted := &reviews{}
	var offset atomic.Int64 // of the operator's clock
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *app.Options) {
			o.MetricsAddress, o.Role = address, app.RoleIngest
			o.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		}
		c.wrap(counted.wrap)
	})
	url := "https://" + address + "/metrics"
	c := newHTTPClient(t, &tls.Config{InsecureSkipVerify: true}, func(p *http.Protocols) { p.SetHTTP1(true) }) //nolint:gosec // it is signed by nobody
	asked := func(want int64, reason string) {
		t.Helper()
		if got := counted.asked.Swap(0); got != want {
			t.Errorf("%s: the API server was asked %d times, want %d", reason, got, want)
		}
	}
	get := func(want int, reason, token string) {
		t.Helper()
		if r := scrape(t, c, http.MethodGet, url, token); r.status != want || strings.Contains(r.body, "workqueue_depth") != (want == http.StatusOK) {
			t.Errorf("%s: answered %d, want %d: %.100s", reason, r.status, want, r.body)
		}
	}
	reader := env.Token(t, namespace, "prometheus")

	for name, values := range map[string][]string{
		"None": nil, "Empty": {""}, "NoScheme": {reader}, "Basic": {"Basic " + reader}, "NoToken": {"Bearer"}, "EmptyToken": {"Bearer "},
		"TwoTokens": {"Bearer " + reader + " " + reader}, "TwoHeaders": {"Bearer " + reader, "Bearer " + reader}, "TooLong": {"Bearer " + strings.Repeat("x", 20_000)},
	} {
		for range 20 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range values {
				request.Header.Add("Authorization", value)
			}
			var r reply
			testenv.Eventually(t, patience, func() (err error) { // the manager starts this server when it likes
				r, err = doWith(c, request)
				return err
			})
			if r.status != http.StatusUnauthorized {
				t.Errorf("%s: answered %d, want 401", name, r.status)
			}
		}
	}
	asked(0, "no token")

	for range 20 {
		get(http.StatusOK, "a reader", reader)
	}
	asked(1, "a reader, again and again")

	counted.refused.Store(true)
	get(http.StatusOK, "who was a reader a moment ago", reader)
	get(http.StatusServiceUnavailable, "the API server is away", "unknown")
	counted.asked.Store(0)
	offset.Store(int64(time.Minute))
	get(http.StatusServiceUnavailable, "the API server is away, and what it said is old", reader)
	asked(1, "what it said is old")
	counted.refused.Store(false)
	get(http.StatusOK, "it is back", reader)
	asked(1, "it is back")

	release := make(chan struct{})
	counted.held.Store(&release)
	var flood sync.WaitGroup
	statuses := make(chan int, 12)
	for i := range cap(statuses) {
		flood.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				return
			}
			request.Header.Set("Authorization", "Bearer made-up-"+strconv.Itoa(i))
			if r, err := doWith(c, request); err == nil {
				statuses <- r.status
			}
		})
	}
	testenv.Eventually(t, patience, func() error {
		if n := counted.inFlight.Load(); n < reviewsAtATime {
			return fmt.Errorf("%d questions are under way", n)
		}
		return nil
	})
	get(http.StatusOK, "a reader beside a flood", reader)
	close(release)
	flood.Wait()
	close(statuses)
	answered := 0
	for status := range statuses {
		answered++
		if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
			t.Errorf("a made-up token is answered %d", status)
		}
	}
	if counted.tooMany.Load() {
		t.Errorf("more than %d questions were under way at a time", reviewsAtATime)
	}
	if answered != cap(statuses) {
		t.Errorf("%d requests were answered of %d", answered, cap(statuses))
	}
}

// TestOpenMetrics shows what --metrics-access=open means.
func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	address := testenv.FreeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *app.Options) {
			o.MetricsAddress, o.MetricsAccess, o.Role = address, app.MetricsOpen, app.RoleIngest
		}
	})
	if r := scrape(t, http.DefaultClient, http.MethodGet, "http://"+address+"/metrics", ""); r.status != http.StatusOK || !strings.Contains(r.body, "workqueue_depth") {
		t.Errorf("answered %d, want 200 and metrics: %s", r.status, r.body)
	}
}

// TestMetricsCertificate gives metrics a certificate of their own.
func TestMetricsCertificate(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	folder := t.TempDir()
	first, next := issue(t), issueFor(t, 90*24*time.Hour)
	address := testenv.FreeAddress(t)
	registry := prometheus.NewRegistry()
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *app.Options) {
			o.MetricsAddress, o.Role, o.MetricsTLS, o.Registerer = address, app.RoleIngest, first.write(t, folder), registry
		}
	})
	expires := func(of issued) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		want := float64(of.leaf.NotAfter.Unix())
		if got := gauge(families, "sluice_certificate_expiration_timestamp_seconds"); got != want {
			t.Errorf("the certificate expires at %.0f, want %.0f", got, want)
		}
	}
	expires(first)
	testenv.Eventually(t, patience, func() error { // the manager starts this server when it likes
		_, err := served(t.Context(), address, trust(first))
		return err
	})
	next.write(t, folder)
	eventuallyServes(t, address, trust(first, next), next)
	expires(next)

	old := trust(first, next)
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	if _, err := served(t.Context(), address, old); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v, want a refusal", err)
	}
}
