/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/internal/telemetry"
)

// Trust is whose word counts.
type Trust string

// The senders that are trusted.
const (
	TrustNever  Trust = "never"
	TrustAlways Trust = "always"
)

// Tracing says where traces of requests go, and which. Without an endpoint nothing is traced.
type Tracing struct {
	Endpoint    string
	SampleRatio float64
	// Trust is whether requests continue the traces that senders name.
	Trust Trust
}

func (t *Tracing) bindFlags(fs *flag.FlagSet) {
	fs.StringVar(&t.Endpoint, "tracing-endpoint", t.Endpoint,
		"The URL of a collector that takes traces by OTLP over gRPC, such as http://collector:4317; nothing is traced if this is empty.")
	fs.Float64Var(&t.SampleRatio, "tracing-sample-ratio", t.SampleRatio,
		"Which share of the traces that begin here to sample, from 0 to 1.")
	fs.StringVar((*string)(&t.Trust), "trust-traceparent", string(t.Trust),
		"Whether requests continue the trace that their header traceparent names: never or always. Any sender can then have requests sampled.")
}

// validate returns all that is wrong with the options, naming the flags.
func (t *Tracing) validate() error {
	var errs []error
	if t.Endpoint != "" && !validCollector(t.Endpoint) {
		// It is not repeated, since somebody may have put a password into it.
		errs = append(errs, errors.New("--tracing-endpoint must be an http or https URL without user, path and query, such as http://collector:4317"))
	}
	if !(t.SampleRatio >= 0 && t.SampleRatio <= 1) { // which NaN is not either
		errs = append(errs, fmt.Errorf("--tracing-sample-ratio must be from 0 to 1, not %v", t.SampleRatio))
	}
	if t.Trust != TrustNever && t.Trust != TrustAlways {
		errs = append(errs, fmt.Errorf("--trust-traceparent must be never or always, not %q", t.Trust))
	}
	return errors.Join(errs...)
}

// validCollector says whether a text is the URL of a collector.
func validCollector(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" && !u.ForceQuery && len(text) <= 1024
}

// addTracing returns how to trace requests, and has the manager send what is traced; nil if nothing
// is.
func addTracing(ctx context.Context, mgr ctrl.Manager, o Tracing) (*ingest.Tracing, error) {
	if o.Endpoint == "" {
		return nil, nil
	}
	exporter, err := telemetry.NewExporter(ctx, telemetry.Options{
		Endpoint:    o.Endpoint,
		SampleRatio: o.SampleRatio,
		Version:     Version(),
		Log:         mgr.GetLogger().WithName("tracing"),
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(exporter); err != nil {
		return nil, fmt.Errorf("add the exporter of traces: %w", err)
	}
	return &ingest.Tracing{Tracer: exporter.Tracer(), TrustTraceparent: o.Trust == TrustAlways}, nil
}
