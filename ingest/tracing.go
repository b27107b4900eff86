/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-dev/sluice/ingest/route"
)

// Tracing says how requests are traced.
type Tracing struct {
	// Tracer makes the spans.
	Tracer trace.Tracer
	// TrustTraceparent says whether a request continues the trace that its header traceparent
	// names. Anybody can send one, and with it decide whether the request is sampled; otherwise
	// each request begins a trace.
	TrustTraceparent bool
}

// The attributes that are Sluice's own. All have few values, but the names of objects.
const (
	attributeTrigger = attribute.Key("sluice.trigger")
	attributeFlowRun = attribute.Key("sluice.flowrun")
	attributeResult  = attribute.Key("sluice.result")
	attributeCause   = attribute.Key("sluice.cause")
	attributeOutcome = attribute.Key("sluice.outcome")
)

const (
	// spanRoute is the path of every trigger, and with the method the name of the span of a
	// request.
	spanRoute = route.Prefix + "{namespace}/{trigger}"
	// spanCreate is the name of the span in which a FlowRun is stored.
	spanCreate = "create FlowRun"
)

// traceparentHeader is read alone: in tracestate and baggage senders may put what they like.
const traceparentHeader = "Traceparent"

// span is one that may not be there, because nothing is traced. It has no header, signature,
// payload or query of a request.
type span struct{ trace.Span }

// request begins the span of a request to a trigger. What it returns in place of the request has
// the span in its context. Requests to unknown paths have none: whoever scans for paths would fill
// the traces.
func (t *Tracing) request(r *http.Request, target *route.Route, begin time.Time) (*http.Request, span) {
	if t == nil {
		return r, span{}
	}
	ctx := r.Context()
	// Two headers are malformed, as any other value that is not as W3C has it, and the trace is a
	// new one.
	if values := r.Header[traceparentHeader]; t.TrustTraceparent && len(values) == 1 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": values[0]})
	}
	method := semconv.HTTPRequestMethodOther
	name := "HTTP"
	if known, ok := knownMethods[r.Method]; ok {
		method, name = known, r.Method
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	ctx, s := t.Tracer.Start(ctx, name+" "+spanRoute,
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(begin),
		trace.WithAttributes(
			method,
			semconv.HTTPRoute(spanRoute),
			semconv.URLScheme(scheme),
			semconv.K8SNamespaceName(target.Namespace),
			attributeTrigger.String(target.Name),
		))
	return r.WithContext(ctx), span{s}
}

// knownMethods are those that are told from one another.
var knownMethods = map[string]attribute.KeyValue{
	http.MethodPost:    semconv.HTTPRequestMethodPost,
	http.MethodGet:     semconv.HTTPRequestMethodGet,
	http.MethodHead:    semconv.HTTPRequestMethodHead,
	http.MethodPut:     semconv.HTTPRequestMethodPut,
	http.MethodPatch:   semconv.HTTPRequestMethodPatch,
	http.MethodDelete:  semconv.HTTPRequestMethodDelete,
	http.MethodOptions: semconv.HTTPRequestMethodOptions,
}

// cause notes why a request is not authorized.
func (s span) cause(cause string) {
	if s.Span != nil {
		s.SetAttributes(attributeCause.String(cause))
	}
}

// answered ends the span of a request.
func (s span) answered(result string, status int) {
	if s.Span == nil {
		return
	}
	s.SetAttributes(attributeResult.String(result), semconv.HTTPResponseStatusCode(status))
	switch result {
	case resultAccepted, resultDuplicate, resultChallenge:
	default:
		s.fail(result)
	}
	s.End()
}

// store begins the span in which a delivery is stored, if ctx is of a request that is traced.
func (t *Tracing) store(ctx context.Context, target *route.Route) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	ctx, s := t.Tracer.Start(ctx, spanCreate,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.K8SNamespaceName(target.Namespace)))
	return ctx, span{s}
}

// traceparent returns the span's context as W3C has it, for whoever continues the trace; empty if
// there is none.
func (s span) traceparent() string {
	if s.Span == nil {
		return ""
	}
	c := s.SpanContext()
	return fmt.Sprintf("00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags())
}

// stored ends the span in which a delivery was to be stored under that name.
func (s span) stored(run string, o outcome) {
	if s.Span == nil {
		return
	}
	s.SetAttributes(attributeFlowRun.String(run), attributeOutcome.String(string(o)))
	switch o {
	case outcomeStored, outcomeDuplicate:
	case outcomeFailed, outcomeRejected:
		s.fail(string(o))
	}
	s.End()
}

// fail marks the span as failed. The reason must be of low cardinality.
func (s span) fail(reason string) {
	s.SetStatus(codes.Error, reason)
	s.SetAttributes(semconv.ErrorTypeKey.String(reason))
}
