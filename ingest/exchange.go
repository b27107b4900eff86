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
	"time"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// An exchange is one request to a trigger on its way through the stages, and what it holds
// meanwhile. Each stage either leaves the request to the next one or ends it with an answer. close
// gives back everything, whichever stage was the last.
type exchange struct {
	*handler
	w      http.ResponseWriter
	r      *http.Request
	span   span
	turn   *connlimit.Turn
	tenant overload.Tenant

	target     *route.Route
	bodyLimit  int64
	parsed     signature.Parsed
	complete   bool      // the body was read to its end
	deadline   time.Time // of the answer, by the real time
	receivedAt time.Time
	verified   signature.Result

	// What close gives back.
	reservation *overload.Reservation
	buffer      *bytes.Buffer
	refund      bool // of what was counted against the rate of the trigger
	pass        *overload.Pass
	signal      overload.Signal
	retryAfter  time.Duration
}

// stages are all of them, in the order of the package's contract. The last one always ends the
// request.
var stages = [...]func(*exchange) (answer, bool){
	(*exchange).route,
	(*exchange).admit,
	(*exchange).read,
	(*exchange).verify,
	(*exchange).limit,
	(*exchange).accept,
}

// next is what a stage returns that leaves the request to the next one, and end one that ends it.
func next() (answer, bool)        { return answer{}, false }
func end(a answer) (answer, bool) { return a, true }

// serve goes through the stages and writes the answer. It returns the result.
func (x *exchange) serve() string {
	a := failed // after a panic
	defer func() { x.span.answered(a.result, a.status) }()
	for _, stage := range stages {
		if ended, ok := stage(x); ok {
			a = ended
			break
		}
	}
	a.write(x.w)
	return a.result
}

// close gives back what the request holds. It is called once, after the answer was written.
func (x *exchange) close() {
	if x.pass != nil {
		x.control.Leave(x.pass, x.signal, x.retryAfter)
	}
	if x.refund {
		x.target.Refund(x.now())
	}
	if x.buffer != nil && x.buffer.Cap() <= maxPooledBuffer {
		x.buffer.Reset()
		x.buffers.Put(x.buffer)
	}
	x.reservation.Release()
	x.turn.End()
}

// route finds out whether the request is one that the trigger can serve.
func (x *exchange) route() (answer, bool) {
	if x.r.Method != http.MethodPost {
		return end(x.otherMethod())
	}
	if x.target.Verifier == nil {
		return end(x.unavailable())
	}
	return next()
}

// otherMethod answers a request that is no delivery: it can be a handshake.
func (x *exchange) otherMethod() answer {
	if x.r.Method != http.MethodGet || x.target.Verifier == nil {
		return methodNotAllowed
	}
	question, ok := x.target.Verifier.Asked(x.r.URL.RawQuery)
	if !ok {
		return methodNotAllowed
	}
	return x.reply(question)
}

func (x *exchange) unavailable() answer {
	x.logRefusal(x.target, unavailable.result, "reason", x.target.Unavailable)
	return unavailable
}

// admit finds out, from the headers alone, whether there is any point in reading the body, and
// reserves memory for it.
func (x *exchange) admit() (answer, bool) {
	x.bodyLimit = x.limits.MaxBodyBytes
	if own := x.target.Limits.MaxBodyBytes; own > 0 {
		x.bodyLimit = min(x.bodyLimit, own)
	}
	if x.r.ContentLength > x.bodyLimit {
		x.logRefusal(x.target, resultTooLarge, "declared", x.r.ContentLength, "limit", x.bodyLimit)
		return end(x.tooLarge(x.bodyLimit))
	}
	var err error
	if x.parsed, err = x.target.Verifier.Parse(x.r.Header, x.now()); err != nil {
		return end(x.unauthorized(nil, err))
	}
	if wait := x.guessesWait(); wait > 0 && x.target.Verifier.Guessable() {
		return end(x.shed(overload.Guesses, wait))
	}
	if reason, retryAfter := x.control.Check(x.tenant); reason != "" {
		return end(x.shed(reason, retryAfter))
	}
	stop := func() { _ = http.NewResponseController(x.w).SetReadDeadline(time.Unix(1, 0)) }
	reservation, ok := x.budget.Reserve(x.tenant, x.r.ContentLength, stop)
	if x.reservation = reservation; !ok {
		return end(x.shed(overload.Memory, 0))
	}
	return next()
}

// read reads the body. It can take its time, and a key may be revoked meanwhile, so the route is
// looked up again.
func (x *exchange) read() (answer, bool) {
	x.buffer = x.buffers.Get().(*bytes.Buffer) //nolint:errcheck // the pool has nothing else
	if err := x.readBody(); err != nil {
		a := x.bodyAnswer(err)
		x.logRefusal(x.target, a.result, "limit", x.bodyLimit, "read", x.buffer.Len())
		return end(a)
	}
	x.complete = true
	x.turn.Complete()
	x.deadline = time.Now().Add(x.limits.AcceptDeadline) // by the real time, not x.now
	target, ok := x.table.Lookup(x.r.URL.Path)
	if !ok {
		return end(unknownPath)
	}
	x.receivedAt = x.now()
	if x.target = target; target.Verifier == nil {
		return end(x.unavailable())
	}
	return next()
}

func (x *exchange) readBody() error {
	x.buffer.Grow(int(min(max(x.r.ContentLength, 0), firstRead)) + bytes.MinRead)
	_, err := x.buffer.ReadFrom(x.reservation.Reader(http.MaxBytesReader(x.w, x.r.Body, x.bodyLimit), x.turn))
	evicted := x.reservation.Done() || x.turn.CutOff()
	if err == nil {
		return nil
	}
	if x.r.ProtoMajor == 1 {
		// What follows on this connection could be the rest of the body. In HTTP/2 it would end the
		// connection for others too.
		x.w.Header().Set("Connection", "close")
	}
	if evicted && errors.Is(err, os.ErrDeadlineExceeded) {
		return overload.SlowSender
	}
	return err
}

// bodyAnswer is the answer to a request whose body could not be read.
func (x *exchange) bodyAnswer(err error) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return x.tooLarge(x.bodyLimit)
	}
	if reason, ok := errors.AsType[overload.Reason](err); ok {
		return x.shed(reason, 0)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return slowBody
	}
	return brokenBody
}

// verify finds out whether the request is genuine, and whether it is a delivery.
func (x *exchange) verify() (answer, bool) {
	wait := x.guessesWait() // others may have come from there meanwhile
	if wait > 0 && x.target.Verifier.Guessable() {
		return end(x.shed(overload.Guesses, wait))
	}
	body := x.buffer.Bytes()
	var err error
	x.verified, err = x.target.Verifier.VerifyParsed(signedRequest(x.r, x.target), &x.parsed, body, x.receivedAt)
	switch {
	case err != nil:
		if x.target.Verifier.ComparesToken() && errors.Is(err, signature.ErrMismatch) {
			x.guesses.wrong(x.target.UID, x.connections.ClientAddress(x.r), x.now())
			if wait > 0 {
				return end(x.shed(overload.Guesses, wait))
			}
		}
		return end(x.unauthorized(body, err))
	case x.verified.Challenge != nil:
		return end(x.handshake(x.verified.Challenge))
	}
	return next()
}

// limit counts the request against the rate of its trigger.
func (x *exchange) limit() (answer, bool) {
	if wait := x.target.Allow(x.receivedAt); wait > 0 {
		return end(x.shed(overload.Rate, wait))
	}
	x.refund = true // unless it is stored
	return next()
}

// accept stores the delivery. A sender that hangs up does not cancel it, nor does a shutdown.
func (x *exchange) accept() (answer, bool) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(x.r.Context()), x.deadline)
	defer cancel()
	pass, reason, retryAfter := x.control.Enter(ctx, x.tenant, x.target.Limits.Concurrency)
	if reason != "" {
		return end(x.shed(reason, retryAfter))
	}
	x.pass = pass
	d := newDelivery(x.target, &x.verified, x.r.Header.Get("Content-Type"), x.receivedAt, x.buffer.Bytes())
	x.signal = overload.Failed // should it panic
	receipt, err := x.store(ctx, &d)
	x.signal = signalOf(err)
	_, x.retryAfter = delivery.KindOf(err)
	if err != nil {
		return end(answerOf(err))
	}
	// A repetition does not count: who has seen a request, and sends it again and again, must not
	// use up what is the sender's.
	x.refund = receipt.Duplicate
	return end(accepted(x.target.Response, &d, receipt))
}

// store has the sink store the delivery, and says in metrics, traces and the log how that went.
func (x *exchange) store(ctx context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	ctx, storing := x.tracing.store(ctx, x.target)
	d.Traceparent = storing.traceparent()
	stored := outcomeFailed
	defer func() { storing.stored(d.Run, stored) }()
	begin := x.now()
	receipt, err := x.sink.Accept(ctx, d)
	stored = outcomeOf(receipt, err)
	x.metrics.stored(stored, x.now().Sub(begin))
	run := route.Ref{Namespace: d.Trigger.Namespace, Name: d.Run}
	if err != nil {
		x.logNotStored(err, run)
	} else if log := x.log.V(1); log.Enabled() {
		log.Info("Stored a FlowRun", "trigger", x.target.Ref(), "flowRun", run, "outcome", stored)
	}
	return receipt, err
}

// newDelivery makes a delivery of a verified request. body is not copied.
func newDelivery(target *route.Route, verified *signature.Result, contentType string, receivedAt time.Time, body []byte) delivery.Delivery {
	d := delivery.Delivery{
		Trigger:     delivery.Trigger{Namespace: target.Namespace, Name: target.Name, UID: target.UID},
		Flow:        target.Flow,
		ID:          verified.DeliveryID,
		Key:         verified.Key,
		ContentType: contentType,
		Body:        body,
		ReceivedAt:  receivedAt,
	}
	identity := identityOf(target, verified)
	if identity != delivery.Unique && target.Window > 0 {
		d.RetainUntil = receivedAt.Add(target.Window)
	}
	return delivery.New(d, identity)
}

// identityOf says what makes two requests one delivery. An id that is not signed can be anybody's:
// who has seen a request can send it ahead under the id of a delivery to come, and that one must
// not be taken for a repetition. So the bodies have to be the same too. With a signed id they need
// not: some senders count their attempts in the body.
func identityOf(target *route.Route, verified *signature.Result) delivery.Identity {
	switch {
	case !target.Deduplicate || verified.DeliveryID == "":
		return delivery.Unique
	case target.Match == route.MatchID:
		return delivery.ByID
	case target.Match == route.MatchIDAndBody || !verified.Signed:
		return delivery.ByIDAndBody
	}
	return delivery.ByID
}

// signedRequest is what a signature can be about. The URL is the one that the sender has, not the
// one that a proxy made of it.
func signedRequest(r *http.Request, target *route.Route) signature.Request {
	request := signature.Request{Method: r.Method, Headers: r.Header}
	if target.Verifier.NeedsURL() {
		request.URL, request.Query = target.PublicURL, r.URL.RawQuery
	}
	return request
}
