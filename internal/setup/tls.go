/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"crypto/tls"
	"fmt"

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

// validate says what is wrong with a key pair that the flags with this prefix set. The files are not read.
func (p KeyPair) validate(prefix string) error {
	if (p.CertFile == "") != (p.KeyFile == "") {
		return fmt.Errorf("--%[1]s-cert-file and --%[1]s-key-file must be set both or neither", prefix)
	}
	return nil
}

// readCertificate reads the key pair that the flags with this prefix name. While a manager runs what is returned, the files
// are followed, on every replica: what is new in them and good is served, and as long as they cannot be used what was
// there before stays.
func readCertificate(pair KeyPair, prefix string) (*certwatcher.CertWatcher, error) {
	certificate, err := certwatcher.New(pair.CertFile, pair.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read --%[1]s-cert-file and --%[1]s-key-file: %[2]w", prefix, err)
	}
	return certificate, nil
}

// webhookTLS returns how the webhook server serves its certificate; nil for plain HTTP.
func webhookTLS(mgr ctrl.Manager, o Options) (*tls.Config, error) {
	if !o.TLS.isSet() {
		return nil, nil
	}
	certificate, err := readCertificate(o.TLS, webhookTLSFlags)
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(certificate); err != nil {
		return nil, fmt.Errorf("add the certificate for webhooks: %w", err)
	}
	return &tls.Config{GetCertificate: certificate.GetCertificate, MinVersion: tlsVersions[o.TLSMinVersion]}, nil
}
