/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sluice-dev/sluice/internal/authfilter"
)

// MetricsAccess is who may read the metrics.
type MetricsAccess string

// The ways to read the metrics.
const (
	// MetricsAuthorized serves them by HTTPS to those whose token the API server knows and whom it
	// allows to get /metrics.
	MetricsAuthorized MetricsAccess = "authorized"
	// MetricsOpen serves them by plain HTTP to everybody.
	MetricsOpen MetricsAccess = "open"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create,roleName=sluice-metrics-auth
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create,roleName=sluice-metrics-auth

// metricsOptions says how a manager is to serve metrics, with that certificate. Without one, which
// is nil, controller-runtime makes one that is signed by nobody.
func metricsOptions(o Options, certificate *certwatcher.CertWatcher) metricsserver.Options {
	options := metricsserver.Options{BindAddress: o.MetricsAddress}
	if o.MetricsAccess == MetricsOpen {
		return options
	}
	options.SecureServing = true
	options.FilterProvider = metricsFilter(o.now())
	options.TLSOpts = []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS12
		c.NextProtos = []string{"http/1.1"} // HTTP/2 has nothing to give to a scraper
		if certificate != nil {
			c.GetCertificate = certificate.GetCertificate
		}
	}}
	return options
}

// metricsFilter returns a metricsserver.Options.FilterProvider: only those who are authorized get
// metrics.
func metricsFilter(now func() time.Time) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, httpClient *http.Client) (metricsserver.Filter, error) {
		filter, err := authfilter.New(authfilter.Options{Config: config, HTTPClient: httpClient, Realm: "metrics", Now: now})
		if err != nil {
			return nil, err
		}
		return func(log logr.Logger, next http.Handler) (http.Handler, error) { return filter.Handler(log, next), nil }, nil
	}
}

// processCollector says what a process is.
type processCollector struct {
	role        Role
	expirations map[CertificateUse]func() time.Time
}

// NewProcessCollector returns the metrics of a process of that role, which serves certificates from
// files that expire then.
func NewProcessCollector(role Role, expirations map[CertificateUse]func() time.Time) prometheus.Collector {
	return processCollector{role: role, expirations: expirations}
}

var (
	buildInfoDesc = prometheus.NewDesc("sluice_build_info",
		"1, with the version and the role of the process.", []string{"version", "role"}, nil)
	expirationDesc = prometheus.NewDesc("sluice_certificate_expiration_timestamp_seconds",
		"When the certificate expires that is served from files, in seconds since 1970, by what it is for.", []string{"use"}, nil)
)

// Describe implements prometheus.Collector.
func (c processCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- buildInfoDesc
	descs <- expirationDesc
}

// Collect implements prometheus.Collector.
func (c processCollector) Collect(collected chan<- prometheus.Metric) {
	collected <- prometheus.MustNewConstMetric(buildInfoDesc, prometheus.GaugeValue, 1, Version(), string(c.role))
	for use, expiration := range c.expirations {
		collected <- prometheus.MustNewConstMetric(expirationDesc, prometheus.GaugeValue, float64(expiration().Unix()), string(use))
	}
}
