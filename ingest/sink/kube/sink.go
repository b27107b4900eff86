/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientmetrics "k8s.io/client-go/tools/metrics"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/internal/kube/apierror"
)

// fieldManager is the name under which the API server records who set the fields of a FlowRun.
const fieldManager = "sluice-ingest"

// The pause between attempts doubles from the first to the second of these.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 400 * time.Millisecond
)

// Sink creates FlowRuns. It may be used concurrently.
type Sink struct {
	transport http.RoundTripper
	runs      *url.URL // of FlowRuns, but for the namespace
}

var _ delivery.Sink = (*Sink)(nil)

// New returns a Sink for the API server of that configuration, which keeps that many connections
// open at the most when they are idle. It may use more, so that is how many creates there usually
// are at a time. Whatever the configuration says, creates are not throttled on this side: API
// Priority and Fairness is the limiter, and a queue in here would only age requests that their
// senders wait for.
func New(config *rest.Config, connections int) (*Sink, error) {
	transport, runs, err := newTransport(config, connections)
	if err != nil {
		return nil, err
	}
	return &Sink{transport: transport, runs: runs}, nil
}

// To get one is to see whether it can be counted on.
//
// +kubebuilder:rbac:groups=sluice.dev,resources=flowruns,verbs=create;get,roleName=sluice-ingest

// Accept implements delivery.Sink: it creates the FlowRun of the delivery.
//
// An attempt whose outcome is unclear (a connection that broke, a timeout inside the API server) is
// repeated under the same name until ctx ends, and AlreadyExists then means that an earlier attempt
// had arrived. If ctx ends first, the FlowRun may be stored or not.
//
// A FlowRun that is there counts only if it will stay, and has its payload or had it for long
// enough, see record. Otherwise the delivery is Occupied until somebody has deleted it.
func (s *Sink) Accept(ctx context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
	object, err := encode(d)
	if err != nil { // a struct of strings, numbers and times
		return delivery.Receipt{}, &delivery.Error{Kind: delivery.Rejected, Err: err}
	}
	unclear := false // whether an earlier attempt may have stored it
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := s.create(ctx, d, object)
		if err == nil {
			return delivery.Receipt{}, nil
		}
		exists := apierror.Classify(err) == apierror.Exists
		if exists && (d.Repeatable || unclear) {
			if err = s.check(ctx, d); err == nil {
				// After an unclear attempt it may as well be a copy's that came at the same time;
				// there is one FlowRun.
				return delivery.Receipt{Duplicate: !unclear}, nil
			}
			if apierror.Classify(err) == apierror.NotFound {
				err = errDeletedMeanwhile // so try to create it again
			}
		}
		if !mayRetryNow(err) {
			return delivery.Receipt{}, classify(err)
		}
		traceAttempt(ctx, err)
		unclear = unclear || !exists // what failed after that was a read
		select {
		case <-ctx.Done():
			return delivery.Receipt{}, classify(err)
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // jitter is no secret
		}
	}
}

var errDeletedMeanwhile = errors.New("the FlowRun of the same delivery was deleted meanwhile")

// create makes one attempt. It returns nil only if the API server has confirmed that it has created
// the FlowRun.
func (s *Sink) create(ctx context.Context, d *delivery.Delivery, object []byte) error {
	response, err := s.send(ctx, http.MethodPost, d.Trigger.Namespace, "", createQuery, object)
	if err != nil {
		return err
	}
	defer finish(response)
	switch {
	case response.StatusCode == http.StatusCreated:
		return readConfirmation(response.Body, d, nil)
	case response.StatusCode < http.StatusBadRequest:
		return errNotConfirmed
	}
	return readError(response, http.MethodPost, d.Run)
}

// createQuery asks to record who has set the fields, and not to drop a field in silence that the
// installed CustomResourceDefinition does not know.
var createQuery = url.Values{
	"fieldManager":    {fieldManager},
	"fieldValidation": {metav1.FieldValidationStrict},
}.Encode()

// check returns nil if there is a FlowRun of the delivery that can be counted on. One whose
// metadata cannot be read is none, and no trouble of the API server's: whoever may write FlowRuns
// can make them as long as they like.
func (s *Sink) check(ctx context.Context, d *delivery.Delivery) error {
	response, err := s.send(ctx, http.MethodGet, d.Trigger.Namespace, d.Run, "", nil)
	if err != nil {
		return err
	}
	defer finish(response)
	if response.StatusCode != http.StatusOK {
		return readError(response, http.MethodGet, d.Run)
	}
	var found record
	err = readConfirmation(response.Body, d, &found)
	if _, long := errors.AsType[*http.MaxBytesError](err); long || errors.Is(err, errNotConfirmed) {
		return &uselessError{"cannot be read: " + err.Error()}
	}
	if err != nil { // the answer broke off, which tells nothing of the FlowRun
		return err
	}
	if why := found.useless(); why != "" {
		return &uselessError{why}
	}
	return nil
}

// acceptMetadata asks the API server to leave all but the metadata out of its answer. Plain JSON is
// for its errors.
var acceptMetadata = []string{"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"}

// contentJSON is the type of FlowRuns. As the values of a header, it must not be changed.
var contentJSON = []string{"application/json"}

// send sends one request about the FlowRun of that name, or a new one, and returns the beginning of
// the answer, which has to be finished. Nothing is sent twice and no redirection followed: Accept
// knows better than a client whether that helps.
func (s *Sink) send(ctx context.Context, method, namespace, name, query string, body []byte) (*http.Response, error) {
	target := *s.runs
	target.Path += "/" + namespace + "/flowruns"
	if name != "" {
		target.Path += "/" + name
	}
	target.RawQuery = query
	request := (&http.Request{
		Method: method,
		URL:    &target,
		Header: http.Header{"Accept": acceptMetadata},
	}).WithContext(ctx)
	if body != nil {
		request.Header["Content-Type"] = contentJSON
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		clientmetrics.RequestResult.Increment(ctx, "<error>", method, target.Host)
		return nil, err
	}
	clientmetrics.RequestResult.Increment(ctx, strconv.Itoa(response.StatusCode), method, target.Host)
	return response, nil
}

// maxAnswer is how much is read of an answer: the metadata of a FlowRun are a small part of it, and
// so is what is said of an error.
const maxAnswer = 256 << 10

// finish reads what is left of an answer, so that its connection can be used again.
func finish(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // the answer has been understood without
	_ = response.Body.Close()
}

// readError returns the error that an answer other than a success stands for, as client-go does.
func readError(response *http.Response, method, name string) error {
	raw, _ := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxAnswer)) // what is broken off is not understood either
	var status metav1.Status
	if json.Unmarshal(raw, &status) == nil && status.Kind == "Status" && status.Status == metav1.StatusFailure && int(status.Code) == response.StatusCode {
		return &apierrors.StatusError{ErrStatus: status}
	}
	if response.StatusCode == http.StatusConflict {
		return errNotConfirmed // the API server would have said what is in conflict
	}
	retryAfter, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return apierrors.NewGenericServerResponse(response.StatusCode, method, sluicev1alpha1.GroupVersion.WithResource("flowruns").GroupResource(), name, "", retryAfter, true)
}

// mayRetryNow says whether an attempt failed in a way that another one, a moment later, may mend:
// no answer, or one that tells of trouble inside the API server. Being throttled is none of these;
// the sender is told to come back. A webhook that is down would go on to be, and hold a place that
// others need.
func mayRetryNow(err error) bool {
	if _, ok := errors.AsType[*uselessError](err); ok {
		return false
	}
	class := apierror.Classify(err)
	return class == apierror.NoAnswer || class == apierror.ServerTrouble
}

// classify says what an attempt's error means for the sender and for others.
func classify(err error) *delivery.Error {
	if useless, ok := errors.AsType[*uselessError](err); ok {
		return &delivery.Error{Kind: delivery.Occupied, Err: useless}
	}
	if errors.Is(err, errDeletedMeanwhile) { // the API server has answered all along
		return &delivery.Error{Kind: delivery.Occupied, Err: err}
	}
	e := &delivery.Error{RetryAfter: apierror.RetryAfter(err), Err: errors.New(apierror.Explain(err))}
	switch apierror.Classify(err) {
	case apierror.NoAnswer, apierror.ServerTrouble:
		e.Kind = delivery.Unavailable
	case apierror.Throttled:
		e.Kind = delivery.Throttled
	case apierror.Denied, apierror.Invalid:
		e.Kind = delivery.Rejected
	case apierror.Exists, apierror.Conflict:
		e.Kind = delivery.Occupied
	case apierror.Webhook, apierror.Forbidden, apierror.NotFound, apierror.Other:
		e.Kind = delivery.Blocked
	}
	return e
}

// eventAttempt is the event of a span that says that an attempt has failed and another one follows.
const eventAttempt = "attempt failed"

// traceAttempt notes on the span in ctx, if there is one, that an attempt to store a FlowRun has
// failed and another one follows.
func traceAttempt(ctx context.Context, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var attributes []attribute.KeyValue
	var status apierrors.APIStatus
	if errors.As(err, &status) { // otherwise there was no answer
		attributes = append(attributes, semconv.HTTPResponseStatusCode(int(status.Status().Code)))
	}
	span.AddEvent(eventAttempt, trace.WithAttributes(attributes...))
}
