/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sluice-dev/sluice/controllers/webhooktrigger"
	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/internal/telemetry"
)

// Role is which of the operator's parts a process runs.
type Role string

// The roles.
const (
	// RoleAll runs everything in one process. If it loses its leader lease it exits at once, and
	// with it go the requests in flight; their senders get no answer and have to send again.
	RoleAll Role = "all"
	// RoleIngest serves webhooks and writes nothing but FlowRuns.
	RoleIngest Role = "ingest"
	// RoleController writes status and Events, and deletes the FlowRuns that are due.
	RoleController Role = "controller"
)

func (r Role) ingest() bool     { return r == RoleAll || r == RoleIngest }
func (r Role) controller() bool { return r == RoleAll || r == RoleController }

// Options are what can be said on the command line. Use DefaultOptions and change what must differ.
type Options struct {
	Role            Role
	ExternalURL     string
	WatchNamespaces []string // none means all
	// SecretLabelSelector is which Secrets triggers can refer to; empty means all.
	SecretLabelSelector string

	IngestAddress  string
	HealthAddress  string
	MetricsAddress string // "0" means none
	MetricsAccess  MetricsAccess
	MetricsTLS     KeyPair // none means a certificate that is signed by nobody
	PprofAddress   string  // empty means none

	TLS           KeyPair // of the webhook server; none means plain HTTP
	TLSMinVersion TLSVersion

	LeaderElectionNamespace string // empty means that of the pod
	LeaseDuration           time.Duration
	RenewDeadline           time.Duration
	RetryPeriod             time.Duration

	Limits ingest.Limits

	// TrustedProxies are those whose X-Forwarded-For says who a client is; none means that it is
	// who connects.
	TrustedProxies connlimit.Proxies

	Tracing Tracing

	LogLevel  slog.Level
	LogFormat telemetry.LogFormat

	// KeyUsagePeriod is how often the use of keys is written to triggers' status. No flag sets it.
	KeyUsagePeriod time.Duration

	// Settled is called once, SettleTime after the caches and the route table are filled; nil means
	// nothing is. No flag sets either of them.
	Settled    func()
	SettleTime time.Duration

	// Now is the clock by which timestamps of requests are judged, and what is known of readers of
	// the metrics; nil means time.Now. No flag sets it.
	Now func() time.Time

	// Registerer takes the metrics of the webhook server and of the history; nil means the registry
	// that is served at /metrics. No flag sets it.
	Registerer prometheus.Registerer
}

func (o *Options) registerer() prometheus.Registerer {
	if o.Registerer == nil {
		return metrics.Registry
	}
	return o.Registerer
}

func (o *Options) now() func() time.Time {
	if o.Now == nil {
		return time.Now
	}
	return o.Now
}

// DefaultOptions returns what the flags default to.
func DefaultOptions() Options {
	return Options{
		Role:           RoleAll,
		IngestAddress:  ":8080",
		HealthAddress:  ":8081",
		MetricsAddress: ":8082",
		MetricsAccess:  MetricsAuthorized,
		TLSMinVersion:  TLS12,
		// Longer than controller-runtime's defaults: the lease guards only status, and in role all
		// a lease that is lost to a slow API server costs requests.
		LeaseDuration: 60 * time.Second,
		RenewDeadline: 40 * time.Second,
		RetryPeriod:   5 * time.Second,
		Limits:        ingest.DefaultLimits(),
		Tracing:       Tracing{SampleRatio: 1, Trust: TrustNever},
		LogLevel:      slog.LevelInfo,
		LogFormat:     telemetry.LogJSON,

		KeyUsagePeriod: webhooktrigger.KeyUsagePeriod,
		SettleTime:     SettleTime,
	}
}

// BindFlags adds a flag for each option, with its present value as the default.
func (o *Options) BindFlags(fs *flag.FlagSet) {
	fs.StringVar((*string)(&o.Role), "role", string(o.Role),
		"Which parts to run: all, ingest (serves webhooks) or controller (writes status).")
	fs.StringVar(&o.ExternalURL, "external-url", o.ExternalURL,
		"What senders put before a trigger's path, such as https://hooks.example.com. status.url is left out if this is empty.")
	fs.Func("watch-namespaces", "The namespaces to watch, separated by commas; all if this is empty.", func(value string) error {
		o.WatchNamespaces = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		if value != "" && len(o.WatchNamespaces) == 0 {
			return errors.New("it names no namespace; leave it empty to watch all")
		}
		return nil
	})
	fs.StringVar(&o.SecretLabelSelector, "secret-label-selector", o.SecretLabelSelector,
		"Which Secrets triggers can refer to, by their labels, such as sluice.dev/webhook-key=true; all if this is empty.")
	fs.StringVar(&o.IngestAddress, "ingest-bind-address", o.IngestAddress, "Where to serve webhooks.")
	fs.StringVar(&o.HealthAddress, "health-probe-bind-address", o.HealthAddress, "Where to serve /healthz and /readyz.")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "Where to serve /metrics; 0 for nowhere.")
	fs.StringVar((*string)(&o.MetricsAccess), "metrics-access", string(o.MetricsAccess),
		"Who may read the metrics: authorized (by HTTPS, who has a token and may get /metrics) or open (by plain HTTP, everybody).")
	fs.StringVar(&o.MetricsTLS.CertFile, "metrics-tls-cert-file", o.MetricsTLS.CertFile,
		"A file with the certificate for metrics, in PEM. It is followed. If this is empty there is one that is signed by nobody.")
	fs.StringVar(&o.MetricsTLS.KeyFile, "metrics-tls-key-file", o.MetricsTLS.KeyFile,
		"A file with the key of that certificate, in PEM. It is followed.")
	fs.StringVar(&o.PprofAddress, "pprof-bind-address", o.PprofAddress,
		"Where to serve /debug/pprof; nowhere if this is empty. Profiles can hold payloads and keys: use a loopback address.")
	fs.StringVar(&o.TLS.CertFile, "tls-cert-file", o.TLS.CertFile,
		"A file with the certificate for webhooks and those that lead to its root, in PEM. It is followed. Plain HTTP is served if this is empty.")
	fs.StringVar(&o.TLS.KeyFile, "tls-key-file", o.TLS.KeyFile,
		"A file with the key of that certificate, in PEM. It is followed.")
	fs.StringVar((*string)(&o.TLSMinVersion), "tls-min-version", string(o.TLSMinVersion),
		"The oldest version of TLS that senders may use: 1.2 or 1.3.")
	fs.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", o.LeaderElectionNamespace,
		"The namespace of the leader's lease; that of the pod if this is empty. Needed outside a cluster, except for role ingest.")
	fs.DurationVar(&o.LeaseDuration, "leader-election-lease-duration", o.LeaseDuration, "How long a lease that is not renewed is respected.")
	fs.DurationVar(&o.RenewDeadline, "leader-election-renew-deadline", o.RenewDeadline, "How long the leader tries to renew its lease before it gives up.")
	fs.DurationVar(&o.RetryPeriod, "leader-election-retry-period", o.RetryPeriod, "How long to wait between attempts to get or renew the lease.")
	o.Limits.BindFlags(fs)
	fs.TextVar(&o.TrustedProxies, "trusted-proxies", o.TrustedProxies,
		"The networks of proxies in front, such as 10.0.0.0/8,2001:db8::/32. Only their X-Forwarded-For says who a client is; nobody's if this is empty.")
	o.Tracing.bindFlags(fs)
	fs.TextVar(&o.LogLevel, "log-level", o.LogLevel, "The least severe level to log: debug, info, warn or error.")
	fs.StringVar((*string)(&o.LogFormat), "log-format", string(o.LogFormat), "How to write the log: json or text.")
}

// Validate returns all that is wrong with the options, naming the flags. It also brings the
// external URL to its form without a slash at the end.
func (o *Options) Validate() error {
	var errs []error
	if !slices.Contains([]Role{RoleAll, RoleIngest, RoleController}, o.Role) {
		errs = append(errs, fmt.Errorf("--role must be all, ingest or controller, not %q", o.Role))
	}
	if o.ExternalURL != "" {
		trimmed := strings.TrimRight(o.ExternalURL, "/")
		if validExternalURL(trimmed) {
			o.ExternalURL = trimmed
		} else {
			errs = append(errs, fmt.Errorf("--external-url must be an http or https URL of at most 1024 characters without user, query and fragment, such as https://hooks.example.com, not %q", o.ExternalURL))
		}
	}
	for _, namespace := range o.WatchNamespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("--watch-namespaces: %q is not the name of a namespace", namespace))
		}
	}
	errs = append(errs, validateSelector(o.SecretLabelSelector))
	errs = append(errs, o.TLS.validate(webhookTLSFlags), o.MetricsTLS.validate(metricsTLSFlags))
	switch {
	case o.MetricsAccess != MetricsAuthorized && o.MetricsAccess != MetricsOpen:
		errs = append(errs, fmt.Errorf("--metrics-access must be authorized or open, not %q", o.MetricsAccess))
	case o.MetricsAccess == MetricsOpen && o.MetricsTLS.isSet():
		errs = append(errs, errors.New("--metrics-tls-cert-file has no use with --metrics-access=open, which is plain HTTP"))
	}
	if _, ok := tlsVersions[o.TLSMinVersion]; !ok {
		errs = append(errs, fmt.Errorf("--tls-min-version must be 1.2 or 1.3, not %q", o.TLSMinVersion))
	}
	switch {
	case o.RetryPeriod <= 0 || o.RenewDeadline <= o.RetryPeriod*6/5 || o.LeaseDuration <= o.RenewDeadline:
		errs = append(errs, fmt.Errorf("--leader-election-lease-duration (%s) must be longer than --leader-election-renew-deadline (%s), and that longer than 1.2 times --leader-election-retry-period (%s)",
			o.LeaseDuration, o.RenewDeadline, o.RetryPeriod))
	case o.LeaseDuration < time.Second:
		errs = append(errs, fmt.Errorf("--leader-election-lease-duration must be at least 1s, because leases count whole seconds, not %s", o.LeaseDuration))
	}
	if o.LogLevel < telemetry.MostVerbose {
		errs = append(errs, fmt.Errorf("--log-level must not be below debug, as %s is: Secrets and payloads would be logged", o.LogLevel))
	}
	if o.LogFormat != telemetry.LogJSON && o.LogFormat != telemetry.LogText {
		errs = append(errs, fmt.Errorf("--log-format must be json or text, not %q", o.LogFormat))
	}
	return errors.Join(append(errs, o.Tracing.validate(), o.Limits.Validate())...)
}

// maxSelector keeps what a condition's message repeats short.
const maxSelector = 256

// validateSelector says what is wrong with the selector of Secrets. One that is not empty but
// selects all, as a template leaves it, is taken for a mistake.
func validateSelector(text string) error {
	selector, err := labels.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("--secret-label-selector must be a label selector, such as sluice.dev/webhook-key=true, not %q: %w", text, err)
	case text != "" && selector.Empty():
		return fmt.Errorf("--secret-label-selector selects every Secret, as %q has no label; leave it empty if that is meant", text)
	case len(text) > maxSelector:
		return fmt.Errorf("--secret-label-selector must be at most %d characters long, not %d", maxSelector, len(text))
	}
	return nil
}

// validExternalURL says whether a path can be appended to the URL.
func validExternalURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		!strings.ContainsAny(text, "?# ") && len(text) <= 1024
}
