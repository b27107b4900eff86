/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/klog/v2"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// FlowRunCreator stores FlowRuns. Create returns nil only if the FlowRun is stored, and otherwise a *CreateError; see Creator.
type FlowRunCreator interface {
	Create(ctx context.Context, namespace string, object []byte) error
}

const (
	// firstRead is how much of a body is made room for before any of it has come; the rest follows what does come, so
	// that a declared length alone costs no memory.
	firstRead = 16 << 10
	// maxPooledBuffer keeps the buffers of a few large bodies from staying for good.
	maxPooledBuffer = 256 << 10

	// Refusals are logged up to this many times a second, and in bursts up to the other; a flood must not fill the disk.
	refusalLogRate  = 10
	refusalLogBurst = 100
)

// handler answers requests. Everything that it does for one is in serve, in the order of the package's contract.
type handler struct {
	table   *route.Table
	creator FlowRunCreator
	limits  Limits
	metrics *metrics
	log     logr.Logger
	now     func() time.Time

	tooLarge answer
	slots    chan struct{} // has room for limits.MaxInFlight
	buffers  sync.Pool     // of *bytes.Buffer
	draining *atomic.Bool

	refusals   *rate.Limiter
	unreported atomic.Int64 // refusals that were not logged since the last that was
}

func newHandler(o Options, m *metrics, draining *atomic.Bool) *handler {
	return &handler{
		table:    o.Table,
		creator:  o.Creator,
		limits:   o.Limits,
		metrics:  m,
		log:      o.Log,
		now:      o.Now,
		tooLarge: newTooLarge(o.Limits.MaxBodyBytes),
		slots:    make(chan struct{}, o.Limits.MaxInFlight),
		buffers:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		draining: draining,
		refusals: rate.NewLimiter(refusalLogRate, refusalLogBurst),
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := h.now()
	h.metrics.inFlight.Inc()
	result := failed.result
	defer func() {
		if p := recover(); p != nil {
			// The panic's value can hold anything, so only its stack would be safe to log; net/http's own log would
			// have both. The sender is owed an answer all the same.
			h.log.Error(errPanic, "Panic while answering a request", "stack", stack())
			failed.write(w)
		}
		h.metrics.inFlight.Dec()
		h.metrics.answered(result, h.now().Sub(begin))
	}()
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	result = h.serve(w, r)
}

// serve answers the request and returns the result.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) string {
	reject := func(a answer) string {
		a.write(w)
		return a.result
	}

	// A path that had to be decoded is not the path of any route: those need no encoding.
	target, ok := h.table.Lookup(r.URL.Path)
	if !ok || r.URL.RawPath != "" {
		return reject(unknownPath)
	}
	if r.Method != http.MethodPost {
		return reject(methodNotAllowed)
	}
	if target.Verifier == nil {
		h.logRefusal(target, "unavailable", "reason", target.Unavailable)
		return reject(unavailable)
	}
	if r.ContentLength > h.limits.MaxBodyBytes {
		h.logRefusal(target, "body too large", "declared", r.ContentLength, "limit", h.limits.MaxBodyBytes)
		return reject(h.tooLarge)
	}

	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.logRefusal(target, "too many requests in flight", "limit", h.limits.MaxInFlight)
		return reject(noCapacity)
	}

	mac, err := target.Verifier.Parse(r.Header)
	if err != nil {
		return h.unauthorized(w, target, err)
	}

	buffer := h.buffers.Get().(*bytes.Buffer) //nolint:errcheck // the pool has nothing else
	defer func() {
		if buffer.Cap() <= maxPooledBuffer {
			buffer.Reset()
			h.buffers.Put(buffer)
		}
	}()
	if a, ok := h.readBody(w, r, buffer); !ok {
		h.logRefusal(target, a.result, "limit", h.limits.MaxBodyBytes, "read", buffer.Len())
		return reject(a)
	}
	receivedAt := h.now()
	body := buffer.Bytes()

	key, err := target.Verifier.Verify(mac, body)
	if err != nil {
		return h.unauthorized(w, target, err)
	}

	name := runName(target.Name, receivedAt)
	object, err := encodeFlowRun(target, name, r.Header.Get("Content-Type"), key, receivedAt, body)
	if err != nil {
		h.log.Error(err, "Cannot encode a FlowRun", "trigger", klog.KRef(target.Namespace, target.Name))
		return reject(failed)
	}
	if err := h.create(r.Context(), target, name, object); err != nil {
		return reject(h.storeFailure(target, name, err))
	}
	writeAccepted(w, target.Namespace, name)
	return resultAccepted
}

// readBody reads the body into the buffer. If that cannot be done it returns the answer and false.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer) (answer, bool) {
	buffer.Grow(int(min(max(r.ContentLength, 0), firstRead)) + bytes.MinRead)
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, h.limits.MaxBodyBytes))
	if err == nil {
		return answer{}, true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return h.tooLarge, false
	}
	// What follows on this connection could be the rest of the body.
	w.Header().Set("Connection", "close")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return slowBody, false
	}
	return brokenBody, false
}

// create stores the FlowRun within the accept deadline. A sender that hangs up does not cancel it, nor does a shutdown.
func (h *handler) create(ctx context.Context, target *route.Route, name string, object []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.limits.AcceptDeadline)
	defer cancel()
	begin := h.now()
	err := h.creator.Create(ctx, target.Namespace, object)
	outcome := Stored
	if err != nil {
		outcome = NotStored
		if e, ok := errors.AsType[*CreateError](err); ok {
			outcome = e.Outcome
		}
	} else {
		h.log.V(1).Info("Stored a FlowRun", "trigger", klog.KRef(target.Namespace, target.Name), "flowRun", klog.KRef(target.Namespace, name))
	}
	h.metrics.created(outcome, h.now().Sub(begin))
	return err
}

// storeFailure logs why a FlowRun was not stored and returns the answer.
func (h *handler) storeFailure(target *route.Route, name string, err error) answer {
	h.log.Error(err, "Could not store a FlowRun", "trigger", klog.KRef(target.Namespace, target.Name), "flowRun", klog.KRef(target.Namespace, name))
	e, ok := errors.AsType[*CreateError](err)
	switch {
	case ok && e.Outcome == Refused:
		return refused
	case ok && e.RetryAfter > 0:
		return notStored.after(e.RetryAfter)
	default:
		return notStored
	}
}

func (h *handler) unauthorized(w http.ResponseWriter, target *route.Route, err error) string {
	cause, _ := errors.AsType[signature.Cause](err)
	h.metrics.signatureFailures.WithLabelValues(string(cause)).Inc()
	h.logRefusal(target, "unauthorized", "cause", string(cause))
	unauthorized.write(w)
	return unauthorized.result
}

// logRefusal logs that a request to a known path was refused, unless too many were lately.
func (h *handler) logRefusal(target *route.Route, why string, keysAndValues ...any) {
	if !h.refusals.AllowN(h.now(), 1) {
		h.unreported.Add(1)
		return
	}
	h.log.WithValues(keysAndValues...).Info("Refused a request",
		"trigger", klog.KRef(target.Namespace, target.Name), "why", why, "unreported", h.unreported.Swap(0))
}
