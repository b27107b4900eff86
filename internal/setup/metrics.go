/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"crypto/tls"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// MetricsAccess is who may read the metrics.
type MetricsAccess string

// The ways to read the metrics.
const (
	// MetricsAuthorized serves them by HTTPS to those whose token the API server knows and whom it allows to get /metrics.
	MetricsAuthorized MetricsAccess = "authorized"
	// MetricsOpen serves them by plain HTTP to everybody.
	MetricsOpen MetricsAccess = "open"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create,roleName=sluice-metrics-auth
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create,roleName=sluice-metrics-auth

// metricsOptions says how a manager is to serve metrics, and returns the certificate for that, which the manager must
// follow. Without one, which is nil, controller-runtime makes one that is signed by nobody.
func metricsOptions(o Options) (metricsserver.Options, *certwatcher.CertWatcher, error) {
	options := metricsserver.Options{BindAddress: o.MetricsAddress}
	if o.MetricsAccess == MetricsOpen {
		return options, nil, nil
	}
	var certificate *certwatcher.CertWatcher
	if o.MetricsTLS.isSet() {
		var err error
		if certificate, err = readCertificate(o.MetricsTLS, metricsTLSFlags); err != nil {
			return options, nil, err
		}
	}
	options.SecureServing = true
	options.FilterProvider = readersOnly(o.now())
	options.TLSOpts = []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS12
		c.NextProtos = []string{"http/1.1"} // HTTP/2 has nothing to give to a scraper
		if certificate != nil {
			c.GetCertificate = certificate.GetCertificate
		}
	}}
	return options, certificate, nil
}
