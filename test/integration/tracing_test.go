/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// collector is one that takes traces by OTLP over gRPC and keeps them.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	url  string
	hang bool // it answers nothing

	mu        sync.Mutex
	spans     []*tracev1.Span
	resources []string // the attributes of each that was named
	called    chan struct{}
	ended     atomic.Int32 // calls that were given up
}

func startCollector(t *testing.T, hang bool) *collector {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{url: "http://" + listener.Addr().String(), hang: hang, called: make(chan struct{}, 1)}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("the collector: %v", err)
		}
	})
	return c
}

// Export implements collectorv1.TraceServiceServer.
func (c *collector) Export(ctx context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	select {
	case c.called <- struct{}{}:
	default:
	}
	if c.hang {
		<-ctx.Done()
		c.ended.Add(1)
		return nil, ctx.Err()
	}
	wholeRun.note(inTraces, protojson.Format(request))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, attribute := range resource.GetResource().GetAttributes() {
			c.resources = append(c.resources, attribute.GetKey()+"="+attribute.GetValue().GetStringValue())
		}
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// traces makes an operator send its spans to the collector.
func (c *collector) traces(change func(*app.Tracing)) func(*operatorConfig) {
	return func(config *operatorConfig) {
		before := config.options
		config.options = func(o *app.Options) {
			if before != nil {
				before(o)
			}
			o.Tracing.Endpoint = c.url
			if change != nil {
				change(&o.Tracing)
			}
		}
	}
}

// after stops the operator, which sends what it has, and returns the spans.
func (c *collector) after(o *operator) []*tracev1.Span {
	o.stop()
	<-o.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

// what returns what can be told of a span beforehand: its name, attributes, status and events.
func what(s *tracev1.Span) []string {
	lines := []string{s.GetName() + " " + strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")}
	for _, a := range s.GetAttributes() {
		value := a.GetValue().GetStringValue()
		if value == "" {
			value = fmt.Sprint(a.GetValue().GetIntValue())
		}
		lines = append(lines, a.GetKey()+"="+value)
	}
	slices.Sort(lines[1:])
	if s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR {
		lines = append(lines, "error: "+s.GetStatus().GetMessage())
	}
	for _, e := range s.GetEvents() {
		line := "event: " + e.GetName()
		for _, a := range e.GetAttributes() {
			line += fmt.Sprintf(" %s=%d", a.GetKey(), a.GetValue().GetIntValue())
		}
		lines = append(lines, line)
	}
	return lines
}

// traceparentOf returns a span's context as W3C has it, if it is sampled.
func traceparentOf(s *tracev1.Span) string {
	return "00-" + hex.EncodeToString(s.GetTraceId()) + "-" + hex.EncodeToString(s.GetSpanId()) + "-01"
}

// postWith sends a body signed with the key, and headers besides.
func (o *operator) postWith(t *testing.T, namespace, signature, body string, headers http.Header) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/hooks/"+namespace+"/"+triggerName+"?token=in-the-query-of-a-request", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = headers.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("X-HMAC-HASH", signature)
	r, err := do(request)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The context of a sender's span, and headers of it.
const (
	senderTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	senderSpan  = "00f067aa0ba902b7"
	sampled     = "00-" + senderTrace + "-" + senderSpan + "-01"
	unsampled   = "00-" + senderTrace + "-" + senderSpan + "-00"
)

// TestTraces follows requests into a collector. Nobody trusts the sender.
func TestTraces(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	c := startCollector(t, false)
	var attempts atomic.Int32
	faults := interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		switch attempts.Add(1) {
		case 1:
			return nil, errConnection
		case 2:
			return answerStatus(r, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed", 0), nil
		}
		return next.RoundTrip(r)
	})
	o := startOperator(t, namespace, faults, c.traces(nil))
	const body = `{"the payload": "of a request that is traced"}`
	run := acceptedRun(t, namespace, o.postWith(t, namespace, sign(keyText, body), body, http.Header{
		"Traceparent": {sampled}, "Tracestate": {"vendor=the-state-of-a-sender"}, "Baggage": {"user=the-baggage-of-a-sender"},
		"User-Agent": {"the-agent-of-a-sender"},
	}))
	if r := o.postWith(t, namespace, sign("another-key-of-sixteen-bytes", body), body, nil); r.status != http.StatusUnauthorized {
		t.Errorf("a wrong signature is answered %d", r.status)
	}
	unknown, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/hooks/"+namespace+"/nobody", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := do(unknown); err != nil || r.status != http.StatusNotFound {
		t.Errorf("an unknown path is answered %d, %v", r.status, err)
	}

	spans := c.after(o)
	if len(spans) != 3 {
		t.Fatalf("there are %d spans, want 3: one of each request to the trigger, and one of a create", len(spans))
	}
	slices.SortFunc(spans, func(a, b *tracev1.Span) int { return int(a.GetEndTimeUnixNano()) - int(b.GetEndTimeUnixNano()) })
	create, accepted, refused := spans[0], spans[1], spans[2]
	const name = "POST /hooks/{namespace}/{trigger} SERVER"
	want := [][]string{
		{
			"create FlowRun CLIENT", "k8s.namespace.name=" + namespace, "sluice.flowrun=" + run.Name, "sluice.outcome=stored",
			"event: attempt failed", "event: attempt failed http.response.status_code=500",
		},
		{
			name, "http.request.method=POST", "http.response.status_code=202", "http.route=/hooks/{namespace}/{trigger}",
			"k8s.namespace.name=" + namespace, "sluice.result=accepted", "sluice.trigger=orders", "url.scheme=http",
		},
		{
			name, "error.type=unauthorized", "http.request.method=POST", "http.response.status_code=401", "http.route=/hooks/{namespace}/{trigger}",
			"k8s.namespace.name=" + namespace, "sluice.cause=signature mismatch", "sluice.result=unauthorized", "sluice.trigger=orders", "url.scheme=http",
			"error: unauthorized",
		},
	}
	if diff := cmp.Diff(want, [][]string{what(create), what(accepted), what(refused)}); diff != "" {
		t.Errorf("the spans (-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(accepted.GetSpanId(), create.GetParentSpanId()); diff != "" || !cmp.Equal(accepted.GetTraceId(), create.GetTraceId()) {
		t.Errorf("the create is no child of the request:\n%s", diff)
	}
	if hex.EncodeToString(accepted.GetTraceId()) == senderTrace || len(accepted.GetParentSpanId()) > 0 || len(accepted.GetLinks()) > 0 {
		t.Errorf("the trace is not a new one, but as the sender says: %v", accepted)
	}
	for _, s := range spans {
		if s.GetTraceState() != "" {
			t.Errorf("a span has the state %q", s.GetTraceState())
		}
	}
	if got, want := run.Annotations[sluicev1alpha1.AnnotationTraceparent], traceparentOf(create); got != want {
		t.Errorf("the FlowRun has the traceparent %q, want that of the create, %q", got, want)
	}
	for _, attribute := range []string{"service.name=sluice", "service.version=" + app.Version()} {
		if !slices.Contains(c.resources, attribute) {
			t.Errorf("the resource has no %s: %q", attribute, c.resources)
		}
	}
	text := fmt.Sprint(spans)
	for _, secret := range []string{"the payload", "of-a-sender", "in-the-query", sign(keyText, body), keyText} {
		if strings.Contains(text, secret) {
			t.Errorf("the spans have %q", secret)
		}
	}
}

// TestTracesOfTrustedSenders sends all kinds of headers to an operator that trusts them.
func TestTracesOfTrustedSenders(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	c := startCollector(t, false)
	o := startOperator(t, namespace, c.traces(func(o *app.Tracing) { o.Trust = app.TrustAlways }))
	cases := map[string]struct {
		reason      string
		traceparent []string
		continues   bool
		unsampled   bool
	}{
		"None":           {reason: "a sender that knows nothing of it"},
		"Sampled":        {reason: "the trace goes on", traceparent: []string{sampled}, continues: true},
		"Unsampled":      {reason: "as the sender says, nothing is to be seen of it", traceparent: []string{unsampled}, continues: true, unsampled: true},
		"Future":         {reason: "a later version of the format may have more", traceparent: []string{"01-" + senderTrace + "-" + senderSpan + "-01-more"}, continues: true},
		"Empty":          {reason: "no context", traceparent: []string{""}},
		"Twice":          {reason: "which of the two?", traceparent: []string{sampled, sampled}},
		"Nonsense":       {reason: "no context", traceparent: []string{"nonsense"}},
		"Zeros":          {reason: "W3C does not allow them", traceparent: []string{"00-00000000000000000000000000000000-0000000000000000-01"}},
		"UpperCase":      {reason: "nor upper case", traceparent: []string{strings.ToUpper(sampled)}},
		"Short":          {reason: "an id is cut", traceparent: []string{"00-" + senderTrace[:30] + "-" + senderSpan + "-01"}},
		"TooLong":        {reason: "version 00 has four parts", traceparent: []string{sampled + "-" + strings.Repeat("a", 1000)}},
		"InvalidVersion": {reason: "ff is none", traceparent: []string{"ff-" + senderTrace + "-" + senderSpan + "-01"}},
	}
	runs := map[string]*sluicev1alpha1.FlowRun{}
	for name, tc := range cases {
		body := fmt.Sprintf("{%q: %q}", "traceparent", name)
		runs[name] = acceptedRun(t, namespace, o.postWith(t, namespace, sign(keyText, body), body, http.Header{
			"Traceparent": tc.traceparent, "Tracestate": {"vendor=the-state-of-a-sender"},
		}))
	}
	requests, creates := map[string]*tracev1.Span{}, map[string]*tracev1.Span{} // by what makes the one known to the other, and to the FlowRun
	for _, s := range c.after(o) {
		if s.GetName() == "create FlowRun" {
			creates[traceparentOf(s)] = s
		} else {
			requests[string(s.GetSpanId())] = s
		}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			stored := runs[name].Annotations[sluicev1alpha1.AnnotationTraceparent]
			if got := strings.HasPrefix(stored, "00-"+senderTrace+"-"); got != tc.continues {
				t.Errorf("%s: the FlowRun has the traceparent %q, want that the trace of the sender goes on: %t", tc.reason, stored, tc.continues)
			}
			create := creates[stored]
			if tc.unsampled {
				if create != nil || !strings.HasSuffix(stored, "-00") {
					t.Errorf("%s: the FlowRun has the traceparent %q, and its span was exported: %t", tc.reason, stored, create != nil)
				}
				return
			}
			if create == nil {
				t.Fatalf("%s: no create has the context %q", tc.reason, stored)
			}
			request := requests[string(create.GetParentSpanId())]
			if request == nil {
				t.Fatalf("%s: no request is the parent of the create", tc.reason)
			}
			parent := ""
			if tc.continues {
				parent = senderSpan
			}
			if got := hex.EncodeToString(request.GetParentSpanId()); got != parent || request.GetTraceState() != "" {
				t.Errorf("%s: the parent is %q and the state %q, want %q and none", tc.reason, got, request.GetTraceState(), parent)
			}
		})
	}
	if len(creates) != len(cases)-1 || len(requests) != len(cases)-1 {
		t.Errorf("there are spans of %d requests and %d creates, want %d each", len(requests), len(creates), len(cases)-1)
	}
}

// TestUnsampledTraces samples nothing. FlowRuns have a context all the same, so that whoever
// continues it leaves it out, too.
func TestUnsampledTraces(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	c := startCollector(t, false)
	o := startOperator(t, namespace, c.traces(func(o *app.Tracing) { o.SampleRatio = 0 }))
	run := acceptedRun(t, namespace, o.postWith(t, namespace, sign(keyText, "{}"), "{}", http.Header{"Traceparent": {sampled}}))
	if stored := run.Annotations[sluicev1alpha1.AnnotationTraceparent]; !strings.HasSuffix(stored, "-00") || strings.Contains(stored, senderTrace) {
		t.Errorf("the FlowRun has the traceparent %q, want one of a new trace that is not sampled", stored)
	}
	if spans := c.after(o); len(spans) > 0 {
		t.Errorf("there are spans: %v", spans)
	}
}

// TestNoTraces shows that there is nothing of traces by default, whatever the sender says.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	run := acceptedRun(t, namespace, o.postWith(t, namespace, sign(keyText, "{}"), "{}", http.Header{"Traceparent": {sampled}}))
	if stored, ok := run.Annotations[sluicev1alpha1.AnnotationTraceparent]; ok {
		t.Errorf("the FlowRun has the traceparent %q", stored)
	}
}

// TestCollectorHangs has a collector that takes the first batch and does not answer. More requests
// than the queue holds are answered while it hangs, and the operator stops.
func TestCollectorHangs(t *testing.T) {
	// What the SDK reads of the environment applies.
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
	namespace := newWorld(t)
	c := startCollector(t, true)
	o := startOperator(t, namespace, c.traces(nil))
	for i := range 50 {
		if i == 25 {
			<-c.called
		}
		if r, err := o.post(t.Context(), namespace, sign("another-key-of-sixteen-bytes", "{}"), "{}"); err != nil || r.status != http.StatusUnauthorized {
			t.Fatalf("a wrong signature is answered %d, %v", r.status, err)
		}
	}
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	if n := c.ended.Load(); n > 0 {
		t.Errorf("the requests were answered only after %d batches were given up", n)
	}
	o.stop()
	<-o.done // whose error the cleanup looks at
}

// TestCollectorIsGone has no collector at all.
func TestCollectorIsGone(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace, (&collector{url: "http://" + testenv.FreeAddress(t)}).traces(nil))
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	o.stop()
	<-o.done
	if !strings.Contains(o.logs.String(), "Cannot export") {
		t.Error("the log does not say that nothing is exported")
	}
}
