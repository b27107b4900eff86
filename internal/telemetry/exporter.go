/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	// exportTimeout is how long a batch may take, so that one that hangs makes room for the next.
	exportTimeout = 10 * time.Second
	// flushTimeout is how long the last batches may take when the process ends. It is less than
	// what a manager gets for everything that it has to stop.
	flushTimeout = 3 * time.Second
)

// Options say where spans go, and which.
type Options struct {
	// Endpoint is the URL of a collector, http for plain text or https for TLS.
	Endpoint string
	// SampleRatio is which share of the traces that begin here are sampled, from 0 to 1. One that
	// is continued is sampled if it was before.
	SampleRatio float64
	// Version is that of the service.
	Version string
	Log     logr.Logger
}

// An Exporter makes spans and sends them. A manager is to run it, so that the last are sent when
// the process ends. The environment variables of OpenTelemetry for the resource, the exporter (its
// endpoint excepted) and the batches apply.
type Exporter struct {
	provider *sdktrace.TracerProvider
	log      logr.Logger
}

// NewExporter returns an Exporter. It does not wait for the collector.
func NewExporter(ctx context.Context, o Options) (*Exporter, error) {
	client, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(o.Endpoint), otlptracegrpc.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("set up the exporter of traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(), // in a pod, its name
		resource.WithAttributes(semconv.ServiceName("sluice"), semconv.ServiceVersion(o.Version)),
		resource.WithFromEnv(), // what the user says comes last, and wins
	)
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.SampleRatio))),
		sdktrace.WithBatcher(&reporting{SpanExporter: client, log: o.Log}, sdktrace.WithExportTimeout(exportTimeout)),
	)
	return &Exporter{provider: provider, log: o.Log}, nil
}

// Tracer returns what makes spans.
func (e *Exporter) Tracer() trace.Tracer {
	return e.provider.Tracer("github.com/sluice-dev/sluice", trace.WithSchemaURL(semconv.SchemaURL))
}

// NeedLeaderElection tells a manager that every replica has spans.
func (*Exporter) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. When ctx ends it sends what is left.
func (e *Exporter) Start(ctx context.Context) error {
	<-ctx.Done()
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := e.provider.Shutdown(flush); err != nil {
		e.log.Error(err, "Cannot export the last traces")
	}
	return nil // a collector that is gone is no reason to exit with an error
}

// reporting logs that exporting fails, once, and that it works again. It would otherwise go to a
// handler that is global, with every batch.
type reporting struct {
	sdktrace.SpanExporter
	log     logr.Logger
	failing bool // batches are exported one after the other
}

// ExportSpans implements trace.SpanExporter.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !r.failing:
		r.log.Error(err, "Cannot export traces")
	case err == nil && r.failing:
		r.log.Info("Exporting traces again")
	}
	r.failing = err != nil
	return nil
}
