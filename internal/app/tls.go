/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"crypto/tls"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// TLSVersion is a version of TLS, as flags name it.
type TLSVersion string

// The versions of TLS that can be asked for. Older ones are broken.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// tlsVersions are the numbers of the versions in the protocol.
var tlsVersions = map[TLSVersion]uint16{TLS12: tls.VersionTLS12, TLS13: tls.VersionTLS13}

// What the names of the flags of a KeyPair begin with.
const (
	webhookTLSFlags = "tls"
	metricsTLSFlags = "metrics-tls"
)

// KeyPair names the files of a certificate and its key, in PEM. Both are set, or neither.
type KeyPair struct {
	CertFile, KeyFile string
}

func (p KeyPair) isSet() bool { return p.CertFile != "" || p.KeyFile != "" }

// validate says what is wrong with a key pair that the flags with this prefix set. The files are
// not read.
func (p KeyPair) validate(prefix string) error {
	if (p.CertFile == "") != (p.KeyFile == "") {
		return fmt.Errorf("--%[1]s-cert-file and --%[1]s-key-file must be set both or neither", prefix)
	}
	return nil
}

// readCertificate reads the key pair that the flags with this prefix name. While a manager runs
// what is returned, the files are followed, on every replica: what is new in them and good is
// served, and as long as they cannot be used what was there before stays.
func readCertificate(pair KeyPair, prefix string) (*certwatcher.CertWatcher, error) {
	certificate, err := certwatcher.New(pair.CertFile, pair.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read --%[1]s-cert-file and --%[1]s-key-file: %[2]w", prefix, err)
	}
	return certificate, nil
}

// A CertificateUse is what a certificate is served for.
type CertificateUse string

// The uses of certificates.
const (
	UseWebhooks CertificateUse = "webhooks"
	UseMetrics  CertificateUse = "metrics"
)

// readCertificates reads the key pairs that the options name and the role serves, for a manager to
// follow.
func readCertificates(o Options) (map[CertificateUse]*certwatcher.CertWatcher, error) {
	read := map[CertificateUse]*certwatcher.CertWatcher{}
	var err error
	if o.MetricsTLS.isSet() {
		if read[UseMetrics], err = readCertificate(o.MetricsTLS, metricsTLSFlags); err != nil {
			return nil, err
		}
	}
	if o.Role.ingest() && o.TLS.isSet() {
		if read[UseWebhooks], err = readCertificate(o.TLS, webhookTLSFlags); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// addCertificates has the manager follow certificates, and registers what is known of the process
// with them.
func addCertificates(mgr ctrl.Manager, certificates map[CertificateUse]*certwatcher.CertWatcher, o Options) error {
	expirations := map[CertificateUse]func() time.Time{}
	for use, certificate := range certificates {
		if err := mgr.Add(certificate); err != nil {
			return fmt.Errorf("add the certificate for %s: %w", use, err)
		}
		expirations[use] = func() time.Time {
			served, _ := certificate.GetCertificate(nil) // the error is always nil, and the leaf is there since Go 1.23
			return served.Leaf.NotAfter
		}
	}
	if err := o.registerer().Register(NewProcessCollector(o.Role, expirations)); err != nil {
		return fmt.Errorf("register the metrics of the process: %w", err)
	}
	return nil
}

// webhookTLS returns how the webhook server serves its certificate; nil for plain HTTP, if there is
// none.
func webhookTLS(o Options, certificate *certwatcher.CertWatcher) *tls.Config {
	if certificate == nil {
		return nil
	}
	return &tls.Config{GetCertificate: certificate.GetCertificate, MinVersion: tlsVersions[o.TLSMinVersion]}
}
