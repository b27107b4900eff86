/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app_test

import (
	"flag"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
)

func optionFlags(o *app.Options) *flag.FlagSet {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.BindFlags(fs)
	return fs
}

func TestDefaultOptions(t *testing.T) {
	want := app.Options{
		Role:           "all",
		IngestAddress:  ":8080",
		HealthAddress:  ":8081",
		MetricsAddress: ":8082",
		MetricsAccess:  "authorized",
		TLSMinVersion:  "1.2",
		LeaseDuration:  time.Minute,
		RenewDeadline:  40 * time.Second,
		RetryPeriod:    5 * time.Second,
		Limits:         ingest.DefaultLimits(),
		Tracing:        app.Tracing{SampleRatio: 1, Trust: "never"},
		LogFormat:      "json",

		KeyUsagePeriod: time.Minute,
		SettleTime:     10 * time.Second,
	}
	got := app.DefaultOptions()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("default options (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("the default options are not valid: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Validate has changed them (-want +got):\n%s", diff)
	}
}

func TestOptionFlags(t *testing.T) {
	tests := map[string]struct {
		reason string
		set    []string // values, and what becomes of the last one
		want   func(o *app.Options)
		refuse []string
	}{
		"role":         {reason: "a role", set: []string{"ingest"}, want: func(o *app.Options) { o.Role = app.RoleIngest }},
		"external-url": {reason: "a URL", set: []string{"https://hooks.example.com"}, want: func(o *app.Options) { o.ExternalURL = "https://hooks.example.com" }},
		"watch-namespaces": {
			reason: "a list; the last flag counts",
			set:    []string{"x", "shop,billing, team-a"},
			want:   func(o *app.Options) { o.WatchNamespaces = []string{"shop", "billing", "team-a"} },
		},
		"secret-label-selector":     {reason: "a selector", set: []string{"use in (webhooks), !old"}, want: func(o *app.Options) { o.SecretLabelSelector = "use in (webhooks), !old" }},
		"ingest-bind-address":       {reason: "an address", set: []string{"127.0.0.1:1"}, want: func(o *app.Options) { o.IngestAddress = "127.0.0.1:1" }},
		"health-probe-bind-address": {reason: "an address", set: []string{":2"}, want: func(o *app.Options) { o.HealthAddress = ":2" }},
		"metrics-bind-address":      {reason: "an address or 0", set: []string{"0"}, want: func(o *app.Options) { o.MetricsAddress = "0" }},
		"metrics-access":            {reason: "a way", set: []string{"open"}, want: func(o *app.Options) { o.MetricsAccess = app.MetricsOpen }},
		"pprof-bind-address":        {reason: "an address", set: []string{"127.0.0.1:3"}, want: func(o *app.Options) { o.PprofAddress = "127.0.0.1:3" }},
		"tls-min-version":           {reason: "a version", set: []string{"1.3"}, want: func(o *app.Options) { o.TLSMinVersion = app.TLS13 }},
		"leader-election-namespace": {reason: "a name", set: []string{"sluice"}, want: func(o *app.Options) { o.LeaderElectionNamespace = "sluice" }},
		"leader-election-lease-duration": {
			reason: "a duration", set: []string{"2m"}, want: func(o *app.Options) { o.LeaseDuration = 2 * time.Minute }, refuse: []string{"", "60"},
		},
		"leader-election-renew-deadline": {
			reason: "a duration", set: []string{"50s"}, want: func(o *app.Options) { o.RenewDeadline = 50 * time.Second }, refuse: []string{"", "40"},
		},
		"leader-election-retry-period": {
			reason: "a duration", set: []string{"3s"}, want: func(o *app.Options) { o.RetryPeriod = 3 * time.Second }, refuse: []string{"", "5"},
		},
		"log-level": {
			reason: "a level of log/slog, in any case",
			set:    []string{"debug", "WARN"},
			want:   func(o *app.Options) { o.LogLevel = slog.LevelWarn },
			refuse: []string{"", "5", "trace", "warning"},
		},
		"trusted-proxies": {
			reason: "networks; the last flag counts",
			set:    []string{"192.0.2.0/24", "10.0.0.0/8, 2001:db8::/32"},
			want: func(o *app.Options) {
				o.TrustedProxies = connlimit.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
			},
			refuse: []string{"10.0.0.1", "10.0.0.1/8", "proxy", "0.0.0.0/0", "10.0.0.0/8,"},
		},
		"tracing-endpoint": {
			reason: "a URL", set: []string{"https://collector:4317"}, want: func(o *app.Options) { o.Tracing.Endpoint = "https://collector:4317" },
		},
		"tracing-sample-ratio": {
			reason: "a number", set: []string{"0.01"}, want: func(o *app.Options) { o.Tracing.SampleRatio = 0.01 }, refuse: []string{"", "1%", "all"},
		},
		"trust-traceparent": {reason: "a way", set: []string{"always"}, want: func(o *app.Options) { o.Tracing.Trust = app.TrustAlways }},
		"log-format":        {reason: "a format", set: []string{"text"}, want: func(o *app.Options) { o.LogFormat = telemetry.LogText }},
		"max-body-bytes":    {reason: "the limits have their flags too", set: []string{"4096"}, want: func(o *app.Options) { o.Limits.MaxBodyBytes = 4096 }, refuse: []string{"1Mi"}},
	}
	defaults := app.DefaultOptions()
	declared := map[string]string{}
	optionFlags(&defaults).VisitAll(func(f *flag.Flag) {
		declared[f.Name] = f.DefValue
		if len(f.Usage) < 20 || !strings.HasSuffix(f.Usage, ".") {
			t.Errorf("the usage of --%s, %q, is no sentence", f.Name, f.Usage)
		}
	})
	want := map[string]string{
		"role": "all", "external-url": "", "watch-namespaces": "", "secret-label-selector": "", "ingest-bind-address": ":8080", "health-probe-bind-address": ":8081",
		"metrics-bind-address": ":8082", "metrics-access": "authorized", "metrics-tls-cert-file": "", "metrics-tls-key-file": "", "pprof-bind-address": "", "tls-cert-file": "", "tls-key-file": "", "tls-min-version": "1.2", "leader-election-namespace": "", "leader-election-lease-duration": "1m0s",
		"leader-election-renew-deadline": "40s", "leader-election-retry-period": "5s", "log-level": "INFO", "log-format": "json",
		"trusted-proxies": "", "tracing-endpoint": "", "tracing-sample-ratio": "1", "trust-traceparent": "never",
	}
	limits := ingest.DefaultLimits()
	fs := flag.NewFlagSet("limits", flag.ContinueOnError)
	limits.BindFlags(fs)
	fs.VisitAll(func(f *flag.Flag) { want[f.Name] = f.DefValue })
	if diff := cmp.Diff(want, declared); diff != "" {
		t.Errorf("flags and their defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(app.DefaultOptions(), defaults); diff != "" {
		t.Errorf("BindFlags has changed the options (-want +got):\n%s", diff)
	}
	for name := range declared {
		if _, ok := tests[name]; !ok && fs.Lookup(name) == nil && !strings.HasSuffix(name, "-file") { // see TestKeyPairFlags
			t.Errorf("there is no test of --%s", name)
		}
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, want := app.DefaultOptions(), app.DefaultOptions()
			tc.want(&want)
			var args []string
			for _, value := range tc.set {
				args = append(args, "--"+name+"="+value)
			}
			if err := optionFlags(&got).Parse(args); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", tc.reason, args, diff)
			}
			if err := got.Validate(); err != nil {
				t.Errorf("%s: %q: %v", tc.reason, args, err)
			}
			for _, value := range tc.refuse {
				o := app.DefaultOptions()
				if err := optionFlags(&o).Parse([]string{"--" + name + "=" + value}); err == nil {
					t.Errorf("%s: --%s=%s is accepted", tc.reason, name, value)
				}
			}
		})
	}
}

// TestKeyPairFlags sets the flags that belong together.
func TestKeyPairFlags(t *testing.T) {
	got, want := app.DefaultOptions(), app.DefaultOptions()
	want.TLS = app.KeyPair{CertFile: "tls.crt", KeyFile: "tls.key"}
	want.MetricsTLS = app.KeyPair{CertFile: "metrics.crt", KeyFile: "metrics.key"}
	args := []string{"--tls-cert-file=tls.crt", "--tls-key-file=tls.key", "--metrics-tls-cert-file=metrics.crt", "--metrics-tls-key-file=metrics.key"}
	if err := optionFlags(&got).Parse(args); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options with key pairs (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("key pairs that are complete: %v", err)
	}
}

// TestOptionFlagsKeepValues binds flags to options that are not the default ones.
func TestOptionFlagsKeepValues(t *testing.T) {
	want := app.Options{
		Role: "r", ExternalURL: "e", WatchNamespaces: []string{"w"}, SecretLabelSelector: "s", IngestAddress: "i", HealthAddress: "h", MetricsAddress: "m", MetricsAccess: "a", MetricsTLS: app.KeyPair{CertFile: "mc", KeyFile: "mk"},
		PprofAddress: "p", TLS: app.KeyPair{CertFile: "c", KeyFile: "k"}, TLSMinVersion: "v", LeaderElectionNamespace: "l", LeaseDuration: 1, RenewDeadline: 2, RetryPeriod: 3,
		Limits: ingest.Limits{MaxCreates: 4}, TrustedProxies: connlimit.Proxies{netip.MustParsePrefix("192.0.2.0/24")}, LogLevel: slog.LevelError, LogFormat: "f",
	}
	got := want
	if err := optionFlags(&got).Parse(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options without a flag (-want +got):\n%s", diff)
	}
}

func TestWatchNamespaces(t *testing.T) {
	tests := map[string]struct {
		reason string
		value  string
		want   []string
	}{
		"One":         {reason: "a list of one", value: "shop", want: []string{"shop"}},
		"Several":     {reason: "separated by commas", value: "shop,billing", want: []string{"shop", "billing"}},
		"Blanks":      {reason: "blanks around names do not matter", value: " shop , billing ", want: []string{"shop", "billing"}},
		"EmptyAmong":  {reason: "a comma too many does no harm among names", value: "shop,,billing,", want: []string{"shop", "billing"}},
		"Unset again": {reason: "all, if it is empty", value: "", want: nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := app.DefaultOptions()
			if err := optionFlags(&o).Parse([]string{"--watch-namespaces=before", "--watch-namespaces=" + tc.value}); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got := append([]string(nil), o.WatchNamespaces...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if err := o.Validate(); err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

// TestWatchNamespacesOfNothing has a value that is not empty and names nothing, as a template
// leaves it. It must not widen what is watched to all namespaces.
func TestWatchNamespacesOfNothing(t *testing.T) {
	for _, value := range []string{",", ", ", " "} {
		o := app.DefaultOptions()
		if optionFlags(&o).Parse([]string{"--watch-namespaces=" + value}) == nil && o.Validate() == nil {
			t.Errorf("--watch-namespaces=%q is taken for all namespaces", value)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(o *app.Options)
		want   []string // what each line of the error begins with
	}{
		"Default":        {reason: "nothing is wrong", change: func(*app.Options) {}},
		"RoleAll":        {reason: "a role", change: func(o *app.Options) { o.Role = "all" }},
		"RoleIngest":     {reason: "a role", change: func(o *app.Options) { o.Role = "ingest" }},
		"RoleController": {reason: "a role", change: func(o *app.Options) { o.Role = "controller" }},
		"RoleEmpty":      {reason: "nothing would run", change: func(o *app.Options) { o.Role = "" }, want: []string{"--role"}},
		"RoleUnknown":    {reason: "no such role", change: func(o *app.Options) { o.Role = "leader" }, want: []string{"--role"}},
		"RoleUpperCase":  {reason: "one spelling", change: func(o *app.Options) { o.Role = "All" }, want: []string{"--role"}},
		"Namespaces":     {reason: "names of namespaces", change: func(o *app.Options) { o.WatchNamespaces = []string{"a", "kube-system", strings.Repeat("n", 63)} }},
		"NamespaceWrong": {
			reason: "each that is wrong is named",
			change: func(o *app.Options) {
				o.WatchNamespaces = []string{"shop", "Shop", "a.b", "", strings.Repeat("n", 64), "-a", "*", "a\nb"[:2]}
			},
			want: []string{
				"--watch-namespaces:", "--watch-namespaces:", "--watch-namespaces:", "--watch-namespaces:", "--watch-namespaces:", "--watch-namespaces:", "--watch-namespaces:",
			},
		},
		"LeaseJustLonger": {
			reason: "what client-go asks for, and no more",
			change: func(o *app.Options) {
				o.RetryPeriod, o.RenewDeadline, o.LeaseDuration = 10*time.Second, 12*time.Second+1, 12*time.Second+2
			},
		},
		"LeaseAsLong": {
			reason: "client-go refuses it", change: func(o *app.Options) { o.LeaseDuration = o.RenewDeadline }, want: []string{"--leader-election-lease-duration"},
		},
		"RenewAsLong": {
			reason: "client-go refuses it: the jitter is 1.2",
			change: func(o *app.Options) { o.RetryPeriod, o.RenewDeadline = 10*time.Second, 12*time.Second },
			want:   []string{"--leader-election-lease-duration"},
		},
		"RetryZero":     {reason: "client-go refuses it", change: func(o *app.Options) { o.RetryPeriod = 0 }, want: []string{"--leader-election-lease-duration"}},
		"RetryNegative": {reason: "client-go refuses it", change: func(o *app.Options) { o.RetryPeriod = -1 }, want: []string{"--leader-election-lease-duration"}},
		"LeaseUnderASecond": {reason: "the API server counts whole seconds", change: func(o *app.Options) {
			o.LeaseDuration, o.RenewDeadline, o.RetryPeriod = 900*time.Millisecond, 500*time.Millisecond, 100*time.Millisecond
		}, want: []string{"--leader-election-lease-duration"}},
		"LeaseZero":         {reason: "client-go refuses it", change: func(o *app.Options) { o.LeaseDuration = 0 }, want: []string{"--leader-election-lease-duration"}},
		"LogLevelDebug":     {reason: "the least severe", change: func(o *app.Options) { o.LogLevel = slog.LevelDebug }},
		"LogLevelError":     {reason: "the most severe", change: func(o *app.Options) { o.LogLevel = slog.LevelError }},
		"LogLevelBelow":     {reason: "client-go would log bodies sooner or later", change: func(o *app.Options) { o.LogLevel = slog.LevelDebug - 1 }, want: []string{"--log-level"}},
		"LogLevelFarBelow":  {reason: "client-go would log bodies", change: func(o *app.Options) { o.LogLevel = -8 }, want: []string{"--log-level"}},
		"LogFormatText":     {reason: "a format", change: func(o *app.Options) { o.LogFormat = "text" }},
		"LogFormatEmpty":    {reason: "no format", change: func(o *app.Options) { o.LogFormat = "" }, want: []string{"--log-format"}},
		"LogFormatUnknown":  {reason: "no such format", change: func(o *app.Options) { o.LogFormat = "yaml" }, want: []string{"--log-format"}},
		"LimitWrong":        {reason: "the limits are looked at too", change: func(o *app.Options) { o.Limits.MaxCreates = 0 }, want: []string{"--max-creates"}},
		"RegistererMatters": {reason: "no flag sets it", change: func(o *app.Options) { o.Registerer = prometheus.NewRegistry() }},
		"TLSVersion13":      {reason: "a version", change: func(o *app.Options) { o.TLSMinVersion = "1.3" }},
		"TLSVersion11":      {reason: "broken", change: func(o *app.Options) { o.TLSMinVersion = "1.1" }, want: []string{"--tls-min-version"}},
		"TLSVersionEmpty":   {reason: "no version", change: func(o *app.Options) { o.TLSMinVersion = "" }, want: []string{"--tls-min-version"}},
		"TLSVersionName":    {reason: "one spelling", change: func(o *app.Options) { o.TLSMinVersion = "TLS1.2" }, want: []string{"--tls-min-version"}},
		"CertificateAlone":  {reason: "it has no key", change: func(o *app.Options) { o.TLS.CertFile = "tls.crt" }, want: []string{"--tls-cert-file"}},
		"KeyAlone":          {reason: "it has no certificate", change: func(o *app.Options) { o.TLS.KeyFile = "tls.key" }, want: []string{"--tls-cert-file"}},
		"Selector":          {reason: "what kubectl takes too", change: func(o *app.Options) { o.SecretLabelSelector = "use=webhooks,!old,tier in (a, b),x" }},
		"SelectorLongest":   {reason: "the limit", change: func(o *app.Options) { o.SecretLabelSelector = "x" + strings.Repeat(",x", 127) + "x" }},
		"SelectorTooLong":   {reason: "it is repeated in conditions", change: func(o *app.Options) { o.SecretLabelSelector = "x" + strings.Repeat(",x", 128) }, want: []string{"--secret-label-selector"}},
		"SelectorOfAll":     {reason: "what a template makes of nothing must not mean all", change: func(o *app.Options) { o.SecretLabelSelector = " " }, want: []string{"--secret-label-selector"}},
		"SelectorNoSense":   {reason: "not a selector", change: func(o *app.Options) { o.SecretLabelSelector = "use:webhooks" }, want: []string{"--secret-label-selector"}},
		"SelectorNoKey":     {reason: "not a selector", change: func(o *app.Options) { o.SecretLabelSelector = "=webhooks" }, want: []string{"--secret-label-selector"}},
		"SelectorComma":     {reason: "half a selector", change: func(o *app.Options) { o.SecretLabelSelector = "use=webhooks," }, want: []string{"--secret-label-selector"}},
		"SelectorBadValue":  {reason: "no label can have this value", change: func(o *app.Options) { o.SecretLabelSelector = "use=web hooks" }, want: []string{"--secret-label-selector"}},
		"MetricsOpen":       {reason: "a way to read metrics", change: func(o *app.Options) { o.MetricsAccess = "open" }},
		"MetricsEmpty":      {reason: "not to be taken for either", change: func(o *app.Options) { o.MetricsAccess = "" }, want: []string{"--metrics-access"}},
		"MetricsUnknown":    {reason: "no such way", change: func(o *app.Options) { o.MetricsAccess = "Authorized" }, want: []string{"--metrics-access"}},
		"MetricsKeyAlone":   {reason: "it has no certificate", change: func(o *app.Options) { o.MetricsTLS.KeyFile = "tls.key" }, want: []string{"--metrics-tls-cert-file"}},
		"MetricsOpenTLS": {
			reason: "who sets a certificate expects HTTPS",
			change: func(o *app.Options) {
				o.MetricsAccess, o.MetricsTLS = "open", app.KeyPair{CertFile: "tls.crt", KeyFile: "tls.key"}
			},
			want: []string{"--metrics-tls-cert-file"},
		},
		"Collector":         {reason: "a URL", change: func(o *app.Options) { o.Tracing.Endpoint = "http://[::1]:4317/" }},
		"CollectorTLS":      {reason: "a URL", change: func(o *app.Options) { o.Tracing.Endpoint = "https://collector.example.com" }},
		"CollectorNoURL":    {reason: "the scheme says whether there is TLS", change: func(o *app.Options) { o.Tracing.Endpoint = "collector:4317" }, want: []string{"--tracing-endpoint"}},
		"CollectorGRPC":     {reason: "no such scheme", change: func(o *app.Options) { o.Tracing.Endpoint = "grpc://collector:4317" }, want: []string{"--tracing-endpoint"}},
		"CollectorNoHost":   {reason: "where to?", change: func(o *app.Options) { o.Tracing.Endpoint = "http://:4317" }, want: []string{"--tracing-endpoint"}},
		"CollectorPath":     {reason: "OTLP over gRPC has none, over HTTP it would be /v1/traces", change: func(o *app.Options) { o.Tracing.Endpoint = "http://collector:4318/v1/traces" }, want: []string{"--tracing-endpoint"}},
		"CollectorQuery":    {reason: "it would be ignored", change: func(o *app.Options) { o.Tracing.Endpoint = "http://collector:4317?a=b" }, want: []string{"--tracing-endpoint"}},
		"CollectorPassword": {reason: "arguments can be read by others", change: func(o *app.Options) { o.Tracing.Endpoint = "http://me:secret@collector:4317" }, want: []string{"--tracing-endpoint"}},
		"CollectorTooLong":  {reason: "a limit for everything", change: func(o *app.Options) { o.Tracing.Endpoint = "http://" + strings.Repeat("a", 1024) }, want: []string{"--tracing-endpoint"}},
		"SampleNothing":     {reason: "the least", change: func(o *app.Options) { o.Tracing.SampleRatio = 0 }},
		"SampleNegative":    {reason: "less than nothing", change: func(o *app.Options) { o.Tracing.SampleRatio = -0.1 }, want: []string{"--tracing-sample-ratio"}},
		"SamplePercent":     {reason: "more than all, in percent perhaps", change: func(o *app.Options) { o.Tracing.SampleRatio = 5 }, want: []string{"--tracing-sample-ratio"}},
		"SampleNaN":         {reason: "strconv takes it for a number", change: func(o *app.Options) { o.Tracing.SampleRatio = math.NaN() }, want: []string{"--tracing-sample-ratio"}},
		"TrustEmpty":        {reason: "not to be taken for either", change: func(o *app.Options) { o.Tracing.Trust = "" }, want: []string{"--trust-traceparent"}},
		"TrustUnknown":      {reason: "no such way", change: func(o *app.Options) { o.Tracing.Trust = "true" }, want: []string{"--trust-traceparent"}},
		"Several": {
			reason: "all are named",
			change: func(o *app.Options) {
				o.Role, o.ExternalURL, o.WatchNamespaces, o.RetryPeriod = "x", "x", []string{"X"}, 0
				o.LogLevel, o.LogFormat, o.Limits.MaxBodyBytes, o.Limits.MaxCreates = -5, "x", 0, 0
			},
			want: []string{
				"--role", "--external-url", "--watch-namespaces:", "--leader-election-lease-duration", "--log-level", "--log-format", "--max-body-bytes", "--max-creates",
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := app.DefaultOptions()
			tc.change(&o)
			err := o.Validate()
			if diff := cmp.Diff(tc.want, firstWords(err)); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
			declared := optionFlags(&o)
			for _, name := range firstWords(err) {
				if declared.Lookup(strings.Trim(name, "-:")) == nil {
					t.Errorf("%s: there is no flag %s", tc.reason, name)
				}
			}
		})
	}
}

// firstWords returns the first word of each line of an error.
func firstWords(err error) []string {
	if err == nil {
		return nil
	}
	var words []string
	for line := range strings.Lines(err.Error()) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		words = append(words, word)
	}
	return words
}

func TestExternalURL(t *testing.T) {
	long := "https://hooks.example.com/" + strings.Repeat("a", 1024-len("https://hooks.example.com/"))
	tests := map[string]struct {
		reason string
		url    string
		want   string // after Validate; empty if it is refused
	}{
		"Host":              {reason: "the usual one", url: "https://hooks.example.com", want: "https://hooks.example.com"},
		"Slash":             {reason: "paths begin with one", url: "https://hooks.example.com/", want: "https://hooks.example.com"},
		"Slashes":           {reason: "all of them", url: "https://hooks.example.com///", want: "https://hooks.example.com"},
		"HTTP":              {reason: "TLS may end before, or not be there in development", url: "http://localhost", want: "http://localhost"},
		"Port":              {reason: "a port", url: "http://localhost:8080", want: "http://localhost:8080"},
		"IPv6":              {reason: "an address", url: "http://[::1]:8080", want: "http://[::1]:8080"},
		"Path":              {reason: "a proxy may strip it", url: "https://example.com/sluice/", want: "https://example.com/sluice"},
		"LongPath":          {reason: "as long as allowed", url: long, want: long},
		"LongPathAndSlash":  {reason: "the slash does not count", url: long + "/", want: long},
		"TooLong":           {reason: "a character more", url: long + "a"},
		"UpperCaseScheme":   {reason: "schemes have no case", url: "HTTPS://hooks.example.com", want: "HTTPS://hooks.example.com"},
		"NoScheme":          {reason: "not absolute", url: "hooks.example.com"},
		"NoSchemeButPort":   {reason: "the host would be the scheme", url: "hooks.example.com:443"},
		"SchemeRelative":    {reason: "not absolute", url: "//hooks.example.com"},
		"OtherScheme":       {reason: "nothing is sent to it", url: "ftp://hooks.example.com"},
		"JavaScript":        {reason: "nothing is sent to it", url: "javascript:alert(1)"},
		"NoHost":            {reason: "nothing is there", url: "https://"},
		"NoHostButPath":     {reason: "nothing is there", url: "https:///hooks"},
		"Opaque":            {reason: "nothing is there", url: "https:hooks.example.com"},
		"SlashesOnly":       {reason: "nothing is there, and it is not nothing", url: "//"},
		"PathOnly":          {reason: "not absolute", url: "/hooks"},
		"User":              {reason: "it would be in every status", url: "https://user@hooks.example.com"},
		"UserAndPassword":   {reason: "it would be in every status", url: "https://user:password@hooks.example.com"},
		"EmptyUser":         {reason: "it is one", url: "https://@hooks.example.com"},
		"Query":             {reason: "the path would be part of it", url: "https://hooks.example.com?a=b"},
		"QueryAndSlash":     {reason: "the path would be part of it", url: "https://hooks.example.com/?a=b/"},
		"EmptyQuery":        {reason: "the path would be the query: https://hooks.example.com?/hooks/shop/orders", url: "https://hooks.example.com?"},
		"EmptyQueryOfPath":  {reason: "the path would be the query", url: "https://hooks.example.com/base/?/"},
		"Fragment":          {reason: "the path would be part of it", url: "https://hooks.example.com#a"},
		"EmptyFragment":     {reason: "the path would be the fragment: https://hooks.example.com#/hooks/shop/orders", url: "https://hooks.example.com#"},
		"PortOnly":          {reason: "there is no host", url: "https://:8443"},
		"PortNoNumber":      {reason: "not a URL", url: "https://hooks.example.com:https"},
		"SpaceBefore":       {reason: "not a URL", url: " https://hooks.example.com"},
		"SpaceBehind":       {reason: "not a URL", url: "https://hooks.example.com "},
		"SpaceBehindSlash":  {reason: "not a URL", url: "https://hooks.example.com/ "},
		"Newline":           {reason: "not a URL", url: "https://hooks.example.com/\n"},
		"PercentWrong":      {reason: "not a URL", url: "https://hooks.example.com/%zz"},
		"TemplateLeftEmpty": {reason: "what a template makes of nothing", url: "https://<no value>"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := app.DefaultOptions()
			o.ExternalURL = tc.url
			err := o.Validate()
			if tc.want == "" {
				if diff := cmp.Diff([]string{"--external-url"}, firstWords(err)); diff != "" {
					t.Errorf("%s: %q becomes %q, %v (-want +got):\n%s", tc.reason, tc.url, o.ExternalURL, err, diff)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %q: %v", tc.reason, tc.url, err)
			}
			if diff := cmp.Diff(tc.want, o.ExternalURL); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", tc.reason, tc.url, diff)
			}
			if err := o.Validate(); err != nil || o.ExternalURL != tc.want {
				t.Errorf("%s: validated again, %q becomes %q, %v", tc.reason, tc.want, o.ExternalURL, err)
			}
		})
	}
}

// TestInvalidExternalURLStaysInvalid validates twice, as a main and NewOperator may.
func TestInvalidExternalURLStaysInvalid(t *testing.T) {
	for _, url := range []string{"/", "//", "x", "https:///"} {
		o := app.DefaultOptions()
		o.ExternalURL = url
		first, second := o.Validate(), o.Validate()
		if first == nil || second == nil {
			t.Errorf("%q: %v, and then %v", url, first, second)
		}
	}
}
