/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/diagnosis"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
)

const (
	// firstRead is how much of a body is made room for before any of it has come; the rest follows
	// what does come, so that a declared length alone costs no memory.
	firstRead = 16 << 10
	// maxPooledBuffer keeps the buffers of a few large bodies from staying for good.
	maxPooledBuffer = 256 << 10

	// discardPatience is how long what is left of a body may take that nobody wants to read.
	discardPatience = 250 * time.Millisecond

	// Refusals are logged up to this many times a second, and in bursts up to the other; a flood
	// must not fill the disk.
	refusalLogRate  = 10
	refusalLogBurst = 100
)

// handler answers requests. What it does for one is in exchange.
type handler struct {
	table   *route.Table
	sink    delivery.Sink
	limits  Limits
	metrics *metrics
	tracing *Tracing
	log     logr.Logger
	now     func() time.Time

	overServerLimit answer
	connections     *connlimit.Limiter
	budget          *overload.Budget
	control         *overload.Control
	buffers         sync.Pool // of *bytes.Buffer
	draining        *atomic.Bool

	guesses    *guesses
	diagnoser  *diagnosis.Diagnoser
	refusals   *rate.Limiter
	unreported atomic.Int64 // refusals that were not logged since the last that was
	// The same of genuine requests that could not be stored.
	failures           *rate.Limiter
	unreportedFailures atomic.Int64
}

// parts are what NewServer makes for a handler.
type parts struct {
	connections *connlimit.Limiter
	budget      *overload.Budget
	control     *overload.Control
	metrics     *metrics
	diagnoser   *diagnosis.Diagnoser
	draining    *atomic.Bool
}

func newHandler(o Options, p parts) *handler {
	return &handler{
		table:           o.Table,
		sink:            o.Sink,
		limits:          o.Limits,
		metrics:         p.metrics,
		tracing:         o.Tracing,
		log:             o.Log,
		now:             o.Now,
		overServerLimit: newTooLarge(o.Limits.MaxBodyBytes),
		connections:     p.connections,
		budget:          p.budget,
		control:         p.control,
		buffers:         sync.Pool{New: func() any { return new(bytes.Buffer) }},
		draining:        p.draining,
		guesses:         newGuesses(o.Now()),
		diagnoser:       p.diagnoser,
		refusals:        rate.NewLimiter(refusalLogRate, refusalLogBurst),
		failures:        rate.NewLimiter(refusalLogRate, refusalLogBurst),
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := h.now()
	h.metrics.inFlight.Inc()
	for _, f := range ofEveryAnswer {
		f.set(w.Header())
	}
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	result := failed.result
	read := r.ContentLength == 0 // whether nothing of the body is left
	defer func() {
		if p := recover(); p != nil {
			// The panic's value can hold anything, so only its stack would be safe to log;
			// net/http's own log would have both. The sender is owed an answer all the same.
			h.log.Error(errPanic, "Panic while answering a request", "stack", string(debug.Stack()))
			failed.write(w)
		}
		if !read && r.ProtoMajor == 1 {
			// Before it sends the answer, net/http reads what has not been read of a body, up to
			// 256 KiB. A sender that announces one byte and stays silent would hold the connection
			// for as long as the read timeout says.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardPatience))
		}
		h.metrics.inFlight.Dec()
		h.metrics.answered(result, h.now().Sub(begin))
	}()
	// A path that had to be decoded is not the path of any route: those need no encoding.
	target, ok := h.table.Lookup(r.URL.Path)
	if !ok || r.URL.RawPath != "" {
		turn := h.connections.Begin(w, r, "")
		defer turn.End()
		unknownPath.write(w)
		result = unknownPath.result
		return
	}
	x := h.begin(w, r, target, begin)
	defer func() { read = read || x.complete }()
	defer x.close()
	result = x.serve()
}

var errPanic = errors.New("panic")

// begin begins the exchange of a request to a trigger, which came at that time. It must be called
// before anything else is done for the request, as all that is known until then is that its sender
// has connected.
func (h *handler) begin(w http.ResponseWriter, r *http.Request, target *route.Route, at time.Time) *exchange {
	x := &exchange{
		handler: h, w: w, target: target,
		turn:   h.connections.Begin(w, r, target.UID),
		tenant: overload.Tenant{Namespace: target.Namespace, Trigger: target.UID},
	}
	x.r, x.span = h.tracing.request(r, target, at)
	return x
}

// logRefusal logs that a request to a known path was refused, unless too many were lately.
func (h *handler) logRefusal(target *route.Route, why string, keysAndValues ...any) {
	if !h.refusals.AllowN(h.now(), 1) {
		h.unreported.Add(1)
		return
	}
	h.log.WithValues(keysAndValues...).Info("Refused a request",
		"trigger", target.Ref(), "why", why, "unreported", h.unreported.Swap(0))
}

// logNotStored logs that a genuine request could not be stored, unless too many were lately: who
// has seen a request can send it again and again.
func (x *exchange) logNotStored(err error, run route.Ref) {
	if !x.failures.AllowN(x.now(), 1) {
		x.unreportedFailures.Add(1)
		return
	}
	x.log.Error(err, "Could not store a FlowRun", "trigger", x.target.Ref(), "flowRun", run, "unreported", x.unreportedFailures.Swap(0))
}

// tooLarge is the answer to a body over the limit.
func (h *handler) tooLarge(limit int64) answer {
	if limit == h.limits.MaxBodyBytes {
		return h.overServerLimit
	}
	return newTooLarge(limit)
}
