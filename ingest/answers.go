/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
)

// An answer is one of the ways to end a request. Those that are problems (RFC 9457) are written
// once, at start.
type answer struct {
	result     string // the metric label
	status     int
	body       []byte
	fields     []field // all headers but Retry-After and those that every answer has
	retryAfter time.Duration
}

// field is a header with its name in canonical form. Its value is the same slice in all answers,
// and nothing may change it: a header of its own for each answer would be a good part of what a
// refusal costs.
type field struct {
	name  string
	value []string
}

// ofEveryAnswer are the headers that every answer has, whoever writes it. Some of a body can be a
// tenant's, and other tenants share the host; a form on any web page can have a browser fetch it,
// where the signature is in the body. So nothing in it may run or load anything, be it taken for
// markup (CSP) or guessed to be (nosniff).
var ofEveryAnswer = []field{
	{"Cache-Control", []string{"no-store"}},
	{"Content-Security-Policy", []string{"default-src 'none'; sandbox"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
}

func (f field) set(header http.Header) { header[f.name] = f.value }

// problem is the body of an answer as RFC 9457 has it; type is left out, which means about:blank.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Limit is an extension member: the longest body in bytes.
	Limit int64 `json:"limit,omitempty"`
}

const (
	resultAccepted = "accepted"
	// resultDuplicate is a request of a delivery that has a FlowRun already.
	resultDuplicate = "duplicate"
	// resultChallenge is a handshake that was answered.
	resultChallenge = "challenge"
	// resultAborted is a request whose sender went away or that broke off before its body was
	// complete.
	resultAborted = "aborted"
)

// Retry-After values that do not come from the API server. They tell a sender that listens when to
// come back; the unavailable ones wait for a person, the others do not.
const (
	retryUnavailable = 30 * time.Second
	retryBusy        = time.Second
	// retrySpread is how far those are spread who are told to come back at the same time.
	retrySpread    = 3 * time.Second
	retryNotStored = 5 * time.Second
)

var (
	unknownPath      = newAnswer("unknown_path", http.StatusNotFound, "No webhook is served at this path.")
	methodNotAllowed = newAnswer("method_not_allowed", http.StatusMethodNotAllowed, "Webhooks are sent with POST.")
	unavailable      = newAnswer("unavailable", http.StatusServiceUnavailable, "This webhook is not accepting requests at present. Send the request again later.").after(retryUnavailable)
	noCapacity       = newAnswer("no_capacity", http.StatusServiceUnavailable, "Too many requests are in flight. Send the request again later.").after(retryBusy)
	cannotStore      = newAnswer("cannot_store", http.StatusServiceUnavailable, "Requests cannot be stored at present. Send the request again later.").after(retryBusy)
	tooMany          = newAnswer("too_many", http.StatusTooManyRequests, "The request is genuine, but there are more than this webhook accepts. Send the request again later.").after(retryBusy)
	tooManyGuesses   = newAnswer("too_many_guesses", http.StatusTooManyRequests, "Too many wrong tokens came from this address. This one was not looked at. Send the request again later.").after(retryBusy)
	slowBody         = newAnswer("slow_body", http.StatusRequestTimeout, "The body took too long to arrive. Send the request again.")
	brokenBody       = newAnswer(resultAborted, http.StatusBadRequest, "The body is incomplete or its encoding is broken.")
	// One answer for every cause: a sender that does not have the key learns nothing from it.
	unauthorized = newAnswer("unauthorized", http.StatusUnauthorized, "The request carries no valid signature.")
	// And one answer to every handshake that does not show the right token, whether there is one or
	// not.
	forbidden = newAnswer("forbidden", http.StatusForbidden, "The verify token is not the one of this webhook.")
	notStored = newAnswer("not_stored", http.StatusServiceUnavailable, "The request is genuine, but it is not known to be stored. Send the request again later.").after(retryNotStored)
	rejected  = newAnswer("refused", http.StatusUnprocessableEntity, "The request is genuine, but the cluster refuses to store it. Sending it again does not help.")
	failed    = newAnswer("failed", http.StatusInternalServerError, "The request could not be handled. Send the request again later.").after(retryNotStored)
)

// results are the values of the label result, so that each exists from the start.
var results = []string{
	resultAccepted, resultDuplicate, resultChallenge, resultTooLarge, unknownPath.result, methodNotAllowed.result, unavailable.result, noCapacity.result, cannotStore.result, tooMany.result, tooManyGuesses.result, slowBody.result,
	brokenBody.result, unauthorized.result, forbidden.result, notStored.result, rejected.result, failed.result,
}

const resultTooLarge = "too_large"

func newTooLarge(limit int64) answer {
	return encodeAnswer(resultTooLarge, problem{
		Title:  http.StatusText(http.StatusRequestEntityTooLarge),
		Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("The body is longer than the limit of %d bytes.", limit),
		Limit:  limit,
	})
}

func newAnswer(result string, status int, detail string) answer {
	return encodeAnswer(result, problem{Title: http.StatusText(status), Status: status, Detail: detail})
}

func encodeAnswer(result string, p problem) answer {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	body = append(body, '\n')
	fields := []field{
		{"Content-Type", []string{"application/problem+json"}},
		{"Content-Length", []string{strconv.Itoa(len(body))}},
	}
	switch p.Status {
	case http.StatusUnauthorized:
		fields = append(fields, challengeField)
	case http.StatusMethodNotAllowed:
		fields = append(fields, field{"Allow", []string{http.MethodPost}})
	}
	return answer{result: result, status: p.Status, body: body, fields: fields}
}

// after returns the answer with another Retry-After.
func (a answer) after(d time.Duration) answer {
	a.retryAfter = d
	return a
}

func (a answer) write(w http.ResponseWriter) {
	header := w.Header()
	for _, f := range a.fields {
		f.set(header)
	}
	if a.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((a.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a sender that has gone away cannot be told
}

// newReply returns an answer with a body that is no problem.
func newReply(result string, status int, contentType string, body []byte) answer {
	a := answer{result: result, status: status, body: body}
	if contentType != "" {
		a.fields = append(a.fields, field{"Content-Type", []string{contentType}})
	}
	if status != http.StatusNoContent {
		a.fields = append(a.fields, field{"Content-Length", []string{strconv.Itoa(len(body))}})
	}
	return a
}

// acceptance is the body of a 202.
type acceptance struct {
	Message string `json:"message"`
	FlowRun struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"flowRun"`
	// Duplicate says whether the FlowRun was there before; the status is 200 then.
	Duplicate bool `json:"duplicate"`
}

// accepted is the answer to a request whose delivery is durable, by itself or by an earlier
// request.
func accepted(response route.Response, d *delivery.Delivery, receipt delivery.Receipt) answer {
	result, status := resultAccepted, http.StatusAccepted
	a := acceptance{Message: "The request is genuine and its FlowRun is stored.", Duplicate: receipt.Duplicate}
	if receipt.Duplicate {
		result, status = resultDuplicate, http.StatusOK
		a.Message = "The request is genuine, and the FlowRun of its delivery was stored before."
	}
	if response.Override {
		contentType := ""
		if len(response.Body) > 0 {
			contentType = response.ContentType
		}
		return newReply(result, cmp.Or(response.Status, status), contentType, response.Body)
	}
	a.FlowRun.Namespace, a.FlowRun.Name = d.Trigger.Namespace, d.Run
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of strings and a bool
	}
	return newReply(result, status, "application/json", append(body, '\n'))
}

// emptyUnauthorized is unauthorized without a body.
var emptyUnauthorized = func() answer {
	a := newReply(unauthorized.result, unauthorized.status, "", nil)
	a.fields = append(a.fields, challengeField)
	return a
}()

// challengeField is what RFC 9110, section 11.6.1, asks for; there is no registered scheme for
// signed bodies.
var challengeField = field{"Www-Authenticate", []string{`HMAC realm="webhook"`}}

// jittered spreads those who would come back at the same time.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(retrySpread) //nolint:gosec // jitter is no secret
}

// signalOf is what the end of an attempt to store tells of the store: the one place where the Kind
// of an error becomes a signal for overload control.
func signalOf(err error) overload.Signal {
	if err == nil {
		return overload.Success
	}
	switch kind, _ := delivery.KindOf(err); kind {
	case delivery.Throttled:
		return overload.Throttled
	case delivery.Blocked, delivery.Rejected:
		return overload.Rejected
	case delivery.Occupied:
		return overload.Success // the store has done its work
	case delivery.Unavailable:
	}
	return overload.Failed
}

// answerOf is what the sender gets for a delivery that is not known to be stored: the one place
// where the Kind of an error becomes an answer.
func answerOf(err error) answer {
	kind, retryAfter := delivery.KindOf(err)
	switch kind {
	case delivery.Rejected:
		return rejected
	case delivery.Unavailable, delivery.Throttled, delivery.Blocked, delivery.Occupied:
	}
	return notStored.after(cmp.Or(retryAfter, jittered(retryNotStored)))
}
