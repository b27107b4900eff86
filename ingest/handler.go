/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/klog/v2"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// FlowRunCreator stores FlowRuns; see Creator.
type FlowRunCreator interface {
	Create(ctx context.Context, run NewRun) (Outcome, error)
}

const (
	// firstRead is how much of a body is made room for before any of it has come; the rest follows what does come, so
	// that a declared length alone costs no memory.
	firstRead = 16 << 10
	// maxPooledBuffer keeps the buffers of a few large bodies from staying for good.
	maxPooledBuffer = 256 << 10

	// discardPatience is how long what is left of a body may take that nobody wants to read.
	discardPatience = 250 * time.Millisecond

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
	tracing *Tracing
	log     logr.Logger
	now     func() time.Time

	overServerLimit answer
	connections     *connlimit.Limiter
	memory          *memory
	gate            *gate
	buffers         sync.Pool // of *bytes.Buffer
	draining        *atomic.Bool

	guesses    *guesses
	inquiries  *inquiries
	refusals   *rate.Limiter
	unreported atomic.Int64 // refusals that were not logged since the last that was
}

func newHandler(o Options, conns *connlimit.Limiter, bodies *memory, creates *gate, m *metrics, q *inquiries, draining *atomic.Bool) *handler {
	return &handler{
		table:           o.Table,
		creator:         o.Creator,
		limits:          o.Limits,
		metrics:         m,
		tracing:         o.Tracing,
		log:             o.Log,
		now:             o.Now,
		overServerLimit: newTooLarge(o.Limits.MaxBodyBytes),
		connections:     conns,
		memory:          bodies,
		gate:            creates,
		buffers:         sync.Pool{New: func() any { return new(bytes.Buffer) }},
		draining:        draining,
		guesses:         newGuesses(o.Now()),
		inquiries:       q,
		refusals:        rate.NewLimiter(refusalLogRate, refusalLogBurst),
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := h.now()
	h.metrics.inFlight.Inc()
	for _, f := range ofEveryAnswer {
		f.set(w.Header())
	}
	result := failed.result
	unread := r.ContentLength != 0
	defer func() {
		if p := recover(); p != nil {
			// The panic's value can hold anything, so only its stack would be safe to log; net/http's own log would
			// have both. The sender is owed an answer all the same.
			h.log.Error(errPanic, "Panic while answering a request", "stack", stack())
			failed.write(w)
		}
		if unread && r.ProtoMajor == 1 {
			// Before it sends the answer, net/http reads what has not been read of a body, up to 256 KiB. A sender that announces
			// one byte and stays silent would hold the connection for as long as the read timeout says.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardPatience))
		}
		h.metrics.inFlight.Dec()
		h.metrics.answered(result, h.now().Sub(begin))
	}()
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	result = h.serve(w, r, begin, &unread)
}

// serve answers the request, which came at that time, and returns the result. It sets unread to false when it has read the body.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, begin time.Time, unread *bool) string {
	// A path that had to be decoded is not the path of any route: those need no encoding.
	target, ok := h.table.Lookup(r.URL.Path)
	ok = ok && r.URL.RawPath == ""
	turn := h.begin(w, r, target, ok)
	defer turn.End()
	if !ok {
		unknownPath.write(w)
		return unknownPath.result
	}
	r, traced := h.tracing.request(r, target, begin)
	result, status := failed.result, failed.status // after a panic
	defer func() { traced.answered(result, status) }()
	result, status = h.serveRoute(w, r, target, turn, traced, unread)
	return result
}

// begin says that a request's headers have come. It must be called before anything else is done for the request, as all that is
// known until then is that its sender has connected.
func (h *handler) begin(w http.ResponseWriter, r *http.Request, target *route.Route, known bool) *connlimit.Turn {
	if !known {
		return h.connections.Begin(w, r, "")
	}
	return h.connections.Begin(w, r, target.UID)
}

// serveRoute answers a request to a trigger and returns the result and the status.
func (h *handler) serveRoute(w http.ResponseWriter, r *http.Request, target *route.Route, turn *connlimit.Turn, traced span, unread *bool) (result string, status int) {
	reject := func(a answer) (string, int) {
		a.write(w)
		return a.result, a.status
	}
	if r.Method != http.MethodPost {
		if r.Method == http.MethodGet && target.Verifier != nil {
			if question, ok := target.Verifier.Asked(r.URL.RawQuery); ok {
				return h.serveHandshake(w, r, target, traced, question)
			}
		}
		return reject(methodNotAllowed)
	}
	if target.Verifier == nil {
		h.logRefusal(target, unavailable.result, "reason", target.Unavailable)
		return reject(unavailable)
	}
	limit := h.limits.MaxBodyBytes
	if own := target.Limits.MaxBodyBytes; own > 0 {
		limit = min(limit, own)
	}
	if r.ContentLength > limit {
		h.logRefusal(target, resultTooLarge, "declared", r.ContentLength, "limit", limit)
		return reject(h.tooLarge(limit))
	}
	parsed, err := target.Verifier.Parse(r.Header, h.now())
	if err != nil {
		return h.unauthorized(w, r, target, traced, nil, err)
	}
	if wait := h.guessesWait(r, target, target.Verifier.ComparesToken()); wait > 0 {
		return reject(h.shed(target, guessing, wait))
	}

	if short, retryAfter := h.gate.check(target.Namespace, target.UID); short != "" {
		return reject(h.shed(target, short, retryAfter))
	}
	place, ok := h.memory.enter(target.Namespace, target.UID, r.ContentLength, func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	defer place.leave()
	if !ok {
		return reject(h.shed(target, shortOfMemory, 0))
	}
	buffer := h.buffers.Get().(*bytes.Buffer) //nolint:errcheck // the pool has nothing else
	defer func() {
		if buffer.Cap() <= maxPooledBuffer {
			buffer.Reset()
			h.buffers.Put(buffer)
		}
	}()
	if err := readBody(w, r, buffer, turn, place, limit); err != nil {
		a := h.bodyAnswer(target, err, limit)
		h.logRefusal(target, a.result, "limit", limit, "read", buffer.Len())
		return reject(a)
	}
	*unread = false
	turn.Complete()
	deadline := time.Now().Add(h.limits.AcceptDeadline) // by the real time, not h.now
	// A body can take its time, and a key may have been revoked meanwhile.
	if target, ok = h.table.Lookup(r.URL.Path); !ok {
		return reject(unknownPath)
	}
	if target.Verifier == nil {
		h.logRefusal(target, unavailable.result, "reason", target.Unavailable)
		return reject(unavailable)
	}
	receivedAt := h.now()
	body := buffer.Bytes()

	// Others may have come from there meanwhile.
	if wait := h.guessesWait(r, target, target.Verifier.ComparesToken()); wait > 0 {
		return reject(h.shed(target, guessing, wait))
	}
	verified, err := target.Verifier.VerifyParsed(signedRequest(r, target), &parsed, body, receivedAt)
	if err != nil {
		if target.Verifier.ComparesToken() && errors.Is(err, signature.ErrMismatch) {
			h.guesses.wrong(target.UID, h.connections.ClientAddress(r), h.now())
		}
		return h.unauthorized(w, r, target, traced, body, err)
	}
	if verified.Challenge != nil {
		return h.answerChallenge(w, target, verified.Challenge)
	}

	if wait := target.Allow(receivedAt); wait > 0 {
		return reject(h.shed(target, overRate, wait))
	}
	counts := false // against the rate
	defer func() {
		if !counts {
			target.Refund(h.now())
		}
	}()

	// A sender that hangs up does not cancel what follows, nor does a shutdown.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), deadline)
	defer cancel()
	pass, short, retryAfter := h.gate.enter(ctx, target.Namespace, target.UID, target.Limits.Concurrency)
	if short != "" {
		return reject(h.shed(target, short, retryAfter))
	}
	health := unasked
	defer func() { h.gate.leave(pass, health, retryAfter) }()
	// Not before its turn: the FlowRun takes several times as much memory as the body.
	ctx, storing := h.tracing.create(ctx, target)
	outcome := NotStored
	var run NewRun
	defer func() { storing.created(&run, outcome) }()
	run = newRun(target, verified, r.Header.Get("Content-Type"), storing.traceparent(), receivedAt, body)
	health = failing
	outcome, err = h.create(ctx, target, run)
	if e, ok := errors.AsType[*CreateError](err); ok {
		health, retryAfter = e.health, e.RetryAfter
	} else if err == nil {
		health = answering
	}
	counts = outcome == Stored || outcome == Duplicate
	switch outcome {
	case Stored:
		return resultAccepted, writeAccepted(w, target.Response, run.Namespace, run.Name, false)
	case Duplicate:
		return resultDuplicate, writeAccepted(w, target.Response, run.Namespace, run.Name, true)
	case Refused:
		return reject(refused)
	default:
		return reject(notStored.after(cmp.Or(retryAfter, retryNotStored+rand.N(retrySpread)))) //nolint:gosec // jitter is no secret
	}
}

// signedRequest is what a signature can be about. The URL is the one that the sender has, not the one that a proxy made
// of it.
func signedRequest(r *http.Request, target *route.Route) signature.Request {
	request := signature.Request{Method: r.Method, Headers: r.Header}
	if target.Verifier.NeedsURL() {
		request.URL, request.Query = target.PublicURL, r.URL.RawQuery
	}
	return request
}

// serveHandshake answers a GET that is a handshake, unless it does not show the right token.
func (h *handler) serveHandshake(w http.ResponseWriter, r *http.Request, target *route.Route, traced span, question signature.Question) (result string, status int) {
	if wait := h.guessesWait(r, target, target.Verifier.Handshake().NeedsVerifyToken()); wait > 0 {
		a := h.shed(target, guessing, wait)
		a.write(w)
		return a.result, a.status
	}
	answer, err := target.Verifier.Reply(question)
	if err == nil {
		return h.answerChallenge(w, target, &answer)
	}
	h.guesses.wrong(target.UID, h.connections.ClientAddress(r), h.now())
	h.refused(r, target, traced, nil, err, forbidden.result)
	forbidden.write(w)
	return forbidden.result, forbidden.status
}

// guessesWait returns for how long a request must not be looked at because of the wrong tokens that came from where it comes from. That
// is never the case if it shows no token.
func (h *handler) guessesWait(r *http.Request, target *route.Route, shows bool) time.Duration {
	if !shows {
		return 0
	}
	return h.guesses.wait(target.UID, h.connections.ClientAddress(r), h.now())
}

// answerChallenge answers a handshake.
func (h *handler) answerChallenge(w http.ResponseWriter, target *route.Route, answer *signature.Answer) (result string, status int) {
	h.metrics.handshakes[answer.Handshake].Inc()
	if log := h.log.V(1); log.Enabled() {
		log.Info("Answered a handshake", "trigger", klog.KRef(target.Namespace, target.Name), "handshake", answer.Handshake)
	}
	w.Header().Set("Content-Type", answer.ContentType)
	writeBody(w, answer.Status, answer.Body)
	return resultChallenge, answer.Status
}

// readBody reads the body into the buffer.
func readBody(w http.ResponseWriter, r *http.Request, buffer *bytes.Buffer, turn *connlimit.Turn, place *place, limit int64) error {
	buffer.Grow(int(min(max(r.ContentLength, 0), firstRead)) + bytes.MinRead)
	_, err := buffer.ReadFrom(place.reader(http.MaxBytesReader(w, r.Body, limit), turn))
	cut := place.done() || turn.CutOff()
	if err == nil {
		return nil
	}
	if r.ProtoMajor == 1 {
		// What follows on this connection could be the rest of the body. In HTTP/2 it would end the connection for others too.
		w.Header().Set("Connection", "close")
	}
	if cut && errors.Is(err, os.ErrDeadlineExceeded) {
		return slowSender
	}
	return err
}

// bodyAnswer is the answer to a request whose body could not be read.
func (h *handler) bodyAnswer(target *route.Route, err error, limit int64) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return h.tooLarge(limit)
	}
	if short, ok := errors.AsType[shortage](err); ok {
		return h.shed(target, short, 0)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return slowBody
	}
	return brokenBody
}

// tooLarge is the answer to a body over the limit.
func (h *handler) tooLarge(limit int64) answer {
	if limit == h.limits.MaxBodyBytes {
		return h.overServerLimit
	}
	return newTooLarge(limit)
}

// create stores the FlowRun before ctx ends.
func (h *handler) create(ctx context.Context, target *route.Route, run NewRun) (Outcome, error) {
	begin := h.now()
	outcome, err := h.creator.Create(ctx, run)
	h.metrics.created(outcome, h.now().Sub(begin))
	if err != nil {
		h.log.Error(err, "Could not store a FlowRun", "trigger", klog.KRef(target.Namespace, target.Name), "flowRun", klog.KRef(run.Namespace, run.Name))
	} else if log := h.log.V(1); log.Enabled() {
		log.Info("Stored a FlowRun", "trigger", klog.KRef(target.Namespace, target.Name), "flowRun", klog.KRef(run.Namespace, run.Name), "outcome", outcome)
	}
	return outcome, err
}

// unauthorized answers a request whose signature is not good, and has the reason looked into. body is nil if it was not
// read.
func (h *handler) unauthorized(w http.ResponseWriter, r *http.Request, target *route.Route, traced span, body []byte, err error) (result string, status int) {
	h.refused(r, target, traced, body, err, unauthorized.result)
	writeUnauthorized(w, target.Response)
	return unauthorized.result, unauthorized.status
}

// refused takes note of a request that is not genuine, and has the reason looked into.
func (h *handler) refused(r *http.Request, target *route.Route, traced span, body []byte, err error, result string) {
	cause, _ := errors.AsType[signature.Cause](err)
	traced.cause(string(cause))
	h.metrics.signatureFailures[cause].Inc()
	if !h.inquiries.offer(r, target, body, cause) {
		h.logRefusal(target, result, "cause", string(cause))
	}
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
