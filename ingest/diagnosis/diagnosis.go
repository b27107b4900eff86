/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package diagnosis

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// A Reporter tells the owner of a trigger why a request to it was denied. explanation says nothing
// secret.
type Reporter interface {
	ReportRefusal(ctx context.Context, target *route.Route, explanation signature.Explanation)
}

const (
	// pause is how long after a diagnosis the next one of the same trigger and cause may begin.
	pause = time.Minute
	// perSecond and burst bound the diagnoses of all triggers together, and with them the Events.
	perSecond = 2
	burst     = 50
	// maxQueued is how many may wait; more are dropped.
	maxQueued = 16
	// maxBody is the longest body that is looked into. Of a longer one only the headers are.
	maxBody = 64 << 10
	// maxRemembered bounds the memory of what was diagnosed when. At a flood over more triggers
	// than that, some are diagnosed more often.
	maxRemembered = 10_000
)

// A Denial is a request that was denied.
type Denial struct {
	Target *route.Route
	// Request is copied by Offer.
	Request signature.Request
	// Body is copied by Offer; nil if it was not read.
	Body  []byte
	Cause signature.Cause
	// Result is how the request was answered, for the log.
	Result string
}

// A Diagnoser may be used concurrently.
type Diagnoser struct {
	queue    chan job
	reporter Reporter // nil for none
	log      logr.Logger
	now      func() time.Time
	pace     *rate.Limiter

	mu   sync.Mutex
	last map[key]time.Time
}

// key is what is diagnosed once in a while: one cause of one trigger, so that nobody can use up
// what the owner would learn of another.
type key struct {
	uid   string
	cause signature.Cause
}

type job struct {
	Denial
	at time.Time
}

// New returns a Diagnoser that is not running. reporter may be nil.
func New(reporter Reporter, log logr.Logger, now func() time.Time) *Diagnoser {
	return &Diagnoser{
		queue:    make(chan job, maxQueued),
		reporter: reporter,
		log:      log,
		now:      now,
		pace:     rate.NewLimiter(perSecond, burst),
		last:     map[key]time.Time{},
	}
}

// Offer takes a denial to be diagnosed and logged, unless one like it was taken lately, and says
// whether it has. It does not wait.
func (d *Diagnoser) Offer(denial Denial) bool {
	now := d.now()
	if !d.take(key{denial.Target.UID, denial.Cause}, now) {
		return false
	}
	if len(denial.Body) > maxBody {
		denial.Body = nil
	}
	denial.Body = bytes.Clone(denial.Body)
	denial.Request.Headers = http.Header(denial.Request.Headers).Clone()
	select {
	case d.queue <- job{denial, now}:
		return true
	default:
		return false
	}
}

// take says whether what is known by that key may be diagnosed now, and remembers that it was.
func (d *Diagnoser) take(k key, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.last[k]; ok && now.Sub(last) < pause || len(d.queue) == cap(d.queue) || !d.pace.AllowN(now, 1) {
		return false
	}
	if len(d.last) >= maxRemembered {
		clear(d.last)
	}
	d.last[k] = now
	return true
}

// Run diagnoses what was offered until ctx ends.
func (d *Diagnoser) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-d.queue:
			d.diagnose(ctx, j)
		}
	}
}

// Next diagnoses what has waited the longest, and returns false if nothing waits. It is for those
// who do without Run.
func (d *Diagnoser) Next(ctx context.Context) bool {
	select {
	case j := <-d.queue:
		d.diagnose(ctx, j)
		return true
	default:
		return false
	}
}

var errPanic = errors.New("panic") // its value can hold anything

func (d *Diagnoser) diagnose(ctx context.Context, j job) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error(errPanic, "Panic while diagnosing a refused request", "stack", string(debug.Stack()))
		}
	}()
	explanation := explain(j)
	d.log.Info("Refused a request", "trigger", j.Target.Ref(), "why", j.Result,
		"cause", string(j.Cause), "hint", string(explanation.Hint), "explanation", explanation.String())
	if d.reporter != nil {
		d.reporter.ReportRefusal(ctx, j.Target, explanation)
	}
}

func explain(j job) signature.Explanation {
	switch {
	case j.Cause.OfHandshake():
		return signature.ExplainHandshake(j.Cause)
	case j.Cause == signature.ErrQueryAmbiguous: // the cause says it all, and the body may be missing
		return signature.Explanation{Hint: signature.HintStateQuery, Cause: j.Cause}
	case j.Cause == signature.ErrIDAmbiguous:
		return signature.Explanation{Hint: signature.HintIDInBody, Cause: j.Cause}
	case j.Body == nil && j.Cause == signature.ErrMismatch: // the body was too long to be looked into
		return signature.Explanation{Hint: signature.HintNone, Cause: j.Cause}
	}
	explanation := j.Target.Verifier.Explain(j.Request, j.Body, j.at, j.Target.Former...)
	explanation.Cause = j.Cause
	return explanation
}
