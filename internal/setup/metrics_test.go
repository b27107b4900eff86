/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package setup_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/sluice-dev/sluice/internal/setup"
	"github.com/sluice-dev/sluice/internal/testenv"
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

// TestMetricsAreForTheAuthorized asks for metrics with tokens of service accounts, which the API server judges.
func TestMetricsAreForTheAuthorized(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	makeAccount(t, namespace, "stranger")
	grant(t, "sluice-metrics-reader", makeAccount(t, namespace, "prometheus"))
	address := freeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *setup.Options) { o.MetricsAddress = address }
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
		"NotAToken":     {reason: "the API server reports an error of such a token", token: "let-me-in", status: http.StatusInternalServerError},
		"Forged":        {reason: "a token whose signature was changed", token: reader[:len(reader)-8] + "AAAAAAAA", status: http.StatusInternalServerError},
		"OtherAudience": {reason: "a token that was made for another service", token: env.Token(t, namespace, "prometheus", "https://elsewhere.example.com"), status: http.StatusInternalServerError},
		"Stranger":      {reason: "somebody, but without the right", token: env.Token(t, namespace, "stranger"), status: http.StatusForbidden},
		"Reader":        {reason: "who is bound to sluice-metrics-reader", token: reader, status: http.StatusOK},
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

// TestMetricsWithoutPermissionToAsk runs an operator that may not ask the API server who somebody is. Nobody gets metrics.
func TestMetricsWithoutPermissionToAsk(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	reader := makeAccount(t, namespace, "prometheus")
	grant(t, "sluice-metrics-reader", reader)
	address := freeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *setup.Options) { o.MetricsAddress, o.Role = address, setup.RoleIngest }
		c.config = func(o setup.Options) *rest.Config {
			o.MetricsAddress = "0" // so that it is not allowed what the metrics take
			return userConfig(t, o)
		}
	})
	c := newHTTPClient(t, &tls.Config{InsecureSkipVerify: true}, func(p *http.Protocols) { p.SetHTTP1(true) }) //nolint:gosec // it is signed by nobody
	r := scrape(t, c, http.MethodGet, "https://"+address+"/metrics", env.Token(t, namespace, "prometheus"))
	if r.status != http.StatusInternalServerError || strings.Contains(r.body, "workqueue_depth") {
		t.Errorf("answered %d, want 500 without metrics: %s", r.status, r.body)
	}
}

// TestOpenMetrics shows what --metrics-access=open means.
func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	address := freeAddress(t)
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *setup.Options) {
			o.MetricsAddress, o.MetricsAccess, o.Role = address, setup.MetricsOpen, setup.RoleIngest
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
	address := freeAddress(t)
	registry := prometheus.NewRegistry()
	startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(o *setup.Options) {
			o.MetricsAddress, o.Role, o.MetricsTLS, o.Registerer = address, setup.RoleIngest, first.write(t, folder), registry
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
