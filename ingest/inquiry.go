/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/klog/v2"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// RefusalReporter tells the owner of a trigger why a request to it was refused. explanation says nothing secret.
type RefusalReporter interface {
	ReportRefusal(ctx context.Context, target *route.Route, explanation signature.Explanation)
}

const (
	// inquiryPause is how long after an inquiry the next one into the same trigger may begin.
	inquiryPause = time.Minute
	// inquiryRate and inquiryBurst bound the inquiries into all triggers together, and with them the Events, a second.
	inquiryRate  = 2
	inquiryBurst = 50
	// inquiryQueue is how many may wait; more are dropped.
	inquiryQueue = 16
	// maxInquiryBody is the longest body that is looked into. Of a longer one only the headers are.
	maxInquiryBody = 64 << 10
	// maxInquiryTriggers bounds the memory of when which trigger was looked into. At a flood over more triggers than that,
	// some are looked into more often.
	maxInquiryTriggers = 10_000
)

// inquiries look into why requests are refused, one at a time and off the request path. What a flood of forged requests
// can make of them is one copy of a small body and one inquiry per trigger and minute.
type inquiries struct {
	queue    chan inquiry
	reporter RefusalReporter // nil for none
	log      logr.Logger
	now      func() time.Time

	pace *rate.Limiter

	mu   sync.Mutex
	last map[subject]time.Time
}

// subject is what is looked into once in a while: one cause of one trigger, so that nobody can use up what the owner
// would learn of another.
type subject struct {
	uid   string
	cause signature.Cause
}

type inquiry struct {
	target  *route.Route
	request signature.Request
	body    []byte
	cause   signature.Cause
	at      time.Time
}

func newInquiries(reporter RefusalReporter, log logr.Logger, now func() time.Time) *inquiries {
	return &inquiries{
		queue:    make(chan inquiry, inquiryQueue),
		reporter: reporter,
		log:      log,
		now:      now,
		last:     map[subject]time.Time{},
		pace:     rate.NewLimiter(inquiryRate, inquiryBurst),
	}
}

// offer takes a refused request, if none of its trigger was taken lately, and says whether it has.
func (q *inquiries) offer(r *http.Request, target *route.Route, body []byte, cause signature.Cause) bool {
	now := q.now()
	about := subject{target.UID, cause}
	q.mu.Lock()
	if last, ok := q.last[about]; ok && now.Sub(last) < inquiryPause || len(q.queue) == cap(q.queue) || !q.pace.AllowN(now, 1) {
		q.mu.Unlock()
		return false
	}
	if len(q.last) >= maxInquiryTriggers {
		clear(q.last)
	}
	q.last[about] = now
	q.mu.Unlock()

	if len(body) > maxInquiryBody {
		body = nil
	}
	request := signedRequest(r, target)
	request.Headers = r.Header.Clone()
	select {
	case q.queue <- inquiry{target: target, request: request, body: bytes.Clone(body), cause: cause, at: now}:
		return true
	default:
		return false
	}
}

// run looks into what was offered until ctx ends.
func (q *inquiries) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case i := <-q.queue:
			q.look(ctx, i)
		}
	}
}

func (q *inquiries) look(ctx context.Context, i inquiry) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error(errPanic, "Panic while looking into a refused request", "stack", stack())
		}
	}()
	result := unauthorized.result
	explanation := signature.Explanation{Hint: signature.HintNone, Cause: i.cause}
	switch {
	case i.cause.OfHandshake():
		result = forbidden.result
		explanation = signature.ExplainHandshake(i.cause)
	case i.cause == signature.ErrQueryAmbiguous: // the cause says it all, and the body may be missing
		explanation.Hint = signature.HintStateQuery
	case i.cause == signature.ErrIDAmbiguous:
		explanation.Hint = signature.HintIDInBody
	case i.body != nil || i.cause != signature.ErrMismatch:
		explanation = i.target.Verifier.Explain(i.request, i.body, i.at, i.target.Former...)
		explanation.Cause = i.cause
	}
	q.log.Info("Refused a request", "trigger", klog.KRef(i.target.Namespace, i.target.Name), "why", result,
		"cause", string(i.cause), "hint", string(explanation.Hint), "explanation", explanation.String())
	if q.reporter != nil {
		q.reporter.ReportRefusal(ctx, i.target, explanation)
	}
}
