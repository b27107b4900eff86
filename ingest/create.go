/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// An Outcome is how storing a FlowRun ended, as far as is known.
type Outcome string

// The outcomes.
const (
	// Stored means that the FlowRun is in etcd.
	Stored Outcome = "stored"
	// NotStored means that it is not known to be, and that it may help to send the request again later.
	NotStored Outcome = "not_stored"
	// Refused means that the API server will not have it, however often it is sent.
	Refused Outcome = "refused"
)

// A CreateError says why a FlowRun is not known to be stored. Its text is fit for logs: it holds nothing of the FlowRun but its
// name.
type CreateError struct {
	// Outcome is NotStored or Refused.
	Outcome Outcome
	// RetryAfter is how long the API server asks to wait; 0 if it does not say.
	RetryAfter time.Duration

	cause string
}

// Error implements error.
func (e *CreateError) Error() string { return e.cause }

// fieldManager is the name under which the API server records who set the fields of a FlowRun.
const fieldManager = "sluice-ingest"

// acceptMetadata asks the API server to leave the payload out of its answer. Plain JSON is for its errors.
const acceptMetadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"

// The pause between attempts doubles from the first to the second of these.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 400 * time.Millisecond
)

// A Creator stores FlowRuns through the Kubernetes API. It may be used concurrently.
type Creator struct {
	client rest.Interface
}

// NewCreator returns a Creator for the API server of that configuration. Whatever the configuration says, creates are
// not throttled on this side: API Priority and Fairness is the limiter, and a queue in here would only age requests
// that their senders wait for.
func NewCreator(config *rest.Config) (*Creator, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.RateLimiter = nil
	config.APIPath = "/apis"
	config.GroupVersion = &sluicev1alpha1.GroupVersion
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	config.WarningHandler = rest.NoWarnings{}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up the client for flow runs: %w", err)
	}
	return &Creator{client: client}, nil
}

// Create stores a FlowRun, given as JSON, whose name no one else can have chosen. It returns nil if it is stored, or a *CreateError.
//
// An attempt whose outcome is unclear (a connection that broke, a timeout inside the API server) is repeated under the
// same name until ctx ends, and AlreadyExists then means that an earlier attempt had arrived. If ctx ends first, the
// FlowRun may be stored or not, and the error says NotStored.
func (c *Creator) Create(ctx context.Context, namespace string, object []byte) error {
	unclear := false // whether an earlier attempt may have stored it
	pause := firstPause
	for {
		err := c.attempt(ctx, namespace, object)
		switch {
		case err == nil:
			return nil
		case apierrors.IsAlreadyExists(err) && unclear:
			return nil
		case !mayRetryNow(err):
			return classify(err)
		}
		unclear = true
		select {
		case <-ctx.Done():
			return classify(err)
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // jitter is no secret
		}
		pause = min(2*pause, lastPause)
	}
}

func (c *Creator) attempt(ctx context.Context, namespace string, object []byte) error {
	return c.client.Post().
		Namespace(namespace).
		Resource("flowruns").
		Param("fieldManager", fieldManager).
		// A field that the installed CustomResourceDefinition does not know must not be dropped in silence.
		Param("fieldValidation", metav1.FieldValidationStrict).
		SetHeader("Content-Type", "application/json").
		SetHeader("Accept", acceptMetadata).
		MaxRetries(0). // client-go would sleep for as long as Retry-After says; the deadline is shorter
		Body(object).
		Do(ctx).
		Error()
}

// mayRetryNow says whether an attempt failed in a way that another one, a moment later, may mend: no answer, or one that
// tells of trouble inside the API server. Being throttled is none of these; the sender is told to come back.
func mayRetryNow(err error) bool {
	var status apierrors.APIStatus
	return !errors.As(err, &status) || status.Status().Code >= http.StatusInternalServerError
}

// admissionDenial is how the API server begins to say that a policy or webhook refused an object. There is no reason or
// cause that tells a refusal by policy from one for want of permission or quota, which are 403 too but will pass. If
// the words change, a refusal is taken for something that will pass: the sender retries in vain, and nothing is lost.
var admissionDenial = regexp.MustCompile(`(?:admission webhook "[^"]+"|ValidatingAdmissionPolicy '[^']+' with binding '[^']+') denied`)

// classify makes a CreateError of what an attempt failed with. The messages of the API server can quote the object, so
// of the ones that may only the part that names the policy is kept.
func classify(err error) *CreateError {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return &CreateError{Outcome: NotStored, cause: fmt.Sprintf("no answer from the API server: %v", err)}
	}
	e := &CreateError{Outcome: NotStored}
	s := status.Status()
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	denial := admissionDenial.FindString(s.Message)
	switch {
	case denial != "" && s.Code < http.StatusInternalServerError && s.Code != http.StatusTooManyRequests:
		e.Outcome = Refused
		e.cause = fmt.Sprintf("%s the FlowRun (%d %s)", denial, s.Code, s.Reason)
	case apierrors.IsInvalid(err):
		e.Outcome = Refused
		e.cause = fmt.Sprintf("the API server finds the FlowRun invalid (%d %s)", s.Code, s.Reason)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), apierrors.IsNotFound(err):
		// Permission, quota, a namespace or a CustomResourceDefinition that is gone: these name, but do not quote.
		e.cause = fmt.Sprintf("the API server refuses (%d %s): %s", s.Code, s.Reason, s.Message)
	default:
		e.cause = fmt.Sprintf("the API server answers %d %s", s.Code, s.Reason)
	}
	return e
}
