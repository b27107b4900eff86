/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientmetrics "k8s.io/client-go/tools/metrics"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/apierror"
)

// An Outcome is how storing a FlowRun ended, as far as is known.
type Outcome string

// The outcomes.
const (
	// Stored means that the FlowRun is in etcd.
	Stored Outcome = "stored"
	// Duplicate means that a FlowRun of the same delivery was there before.
	Duplicate Outcome = "duplicate"
	// NotStored means that it is not known to be, and that it may help to send the request again later.
	NotStored Outcome = "not_stored"
	// Refused means that the API server will not have it, however often it is sent.
	Refused Outcome = "refused"
)

// outcomes are all of them.
var outcomes = []Outcome{Stored, Duplicate, NotStored, Refused}

// A CreateError says why a FlowRun is not known to be stored. Its text is fit for logs: it holds nothing of the FlowRun
// but its name.
type CreateError struct {
	// RetryAfter is how long the API server asks to wait; 0 if it does not say.
	RetryAfter time.Duration

	outcome Outcome // NotStored or Refused
	health  health
	cause   string
}

// Error implements error.
func (e *CreateError) Error() string { return e.cause }

// A NewRun is a FlowRun that is to be stored.
type NewRun struct {
	Namespace, Name string
	// Object is the FlowRun as JSON for the API server.
	Object []byte
	// OfDelivery says that the name was made from what tells the delivery from others, so that a FlowRun of that name is one of
	// the same delivery. Otherwise no one else can have chosen the name.
	OfDelivery bool
}

// fieldManager is the name under which the API server records who set the fields of a FlowRun.
const fieldManager = "sluice-ingest"

// acceptMetadata asks the API server to leave all but the metadata out of its answer. Plain JSON is for its errors.
var acceptMetadata = []string{"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"}

// The pause between attempts doubles from the first to the second of these.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 400 * time.Millisecond
)

// A Creator stores FlowRuns through the Kubernetes API. It may be used concurrently.
//
// It asks the API server by HTTP/1.1, see upstream, and for metadata alone. A create takes client-go by HTTP/2 more
// than twice as much processor time, and the API server noticeably more (docs/performance.md).
type Creator struct {
	transport http.RoundTripper
	runs      url.URL // of FlowRuns, but for the namespace
}

// NewCreator returns a Creator for the API server of that configuration, which keeps that many connections open at the most. It may use
// more, so that is how many creates there usually are at a time. Whatever the configuration says, creates are not throttled on this
// side: API Priority and Fairness is the limiter, and a queue in here would only age requests that their senders wait for.
func NewCreator(config *rest.Config, connections int) (*Creator, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.GroupVersion = &sluicev1alpha1.GroupVersion
	config.NextProtos = []string{"http/1.1"}
	if config.Dial == nil {
		// With a dialer of its own, client-go makes a transport of its own, which nobody else has and which may be changed.
		config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	}
	server, versionPath, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("work out the URL of flow runs: %w", err)
	}
	wrap := config.WrapTransport
	config.WrapTransport = func(inner http.RoundTripper) http.RoundTripper {
		if config.Transport == nil { // otherwise it is not ours to change
			inner = newUpstream(inner, server, connections)
		}
		if wrap != nil {
			return wrap(inner)
		}
		return inner
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up the client for flow runs: %w", err)
	}
	server.Path = path.Join("/", server.Path, versionPath, "namespaces")
	return &Creator{transport: transport, runs: *server}, nil
}

// dialTimeout is how long a connection may take to be made. What waits for one does not wait as long, see Create.
const dialTimeout = 30 * time.Second

// To get one is to see whether it can be counted on.
//
// +kubebuilder:rbac:groups=sluice.dev,resources=flowruns,verbs=create;get,roleName=sluice-ingest

// Create stores a FlowRun. The error is nil unless the outcome is NotStored or Refused, and then a *CreateError.
//
// An attempt whose outcome is unclear (a connection that broke, a timeout inside the API server) is repeated under the
// same name until ctx ends, and AlreadyExists then means that an earlier attempt had arrived. If ctx ends first, the
// FlowRun may be stored or not, and the outcome is NotStored.
//
// A FlowRun that is there counts only if it will stay, and has its payload or had it for long enough, see record. Otherwise the outcome
// is NotStored, until somebody has deleted it.
func (c *Creator) Create(ctx context.Context, run NewRun) (Outcome, error) {
	unclear := false // whether an earlier attempt may have stored it
	pause := firstPause
	for {
		err := c.post(ctx, run)
		exists := apierrors.IsAlreadyExists(err) && apierror.AdmissionDenial(err.Error()) == "" // a webhook can say so too
		if exists {
			if !run.OfDelivery && !unclear {
				return outcomeOf(err)
			}
			var found record
			found, err = c.read(ctx, run)
			switch {
			case err == nil && found.useless() != "":
				return NotStored, &CreateError{outcome: NotStored, health: answering, cause: "the FlowRun of the same delivery " + found.useless()}
			case err == nil && unclear:
				return Stored, nil // it may as well be a copy's that came at the same time; there is one FlowRun
			case err == nil:
				return Duplicate, nil
			case apierrors.IsNotFound(err):
				err = errDeletedMeanwhile // so try to create it again
			}
		}
		if err == nil {
			return Stored, nil
		}
		if !mayRetryNow(err) {
			return outcomeOf(err)
		}
		traceAttempt(ctx, err)
		unclear = unclear || !exists // what failed after that was a read
		select {
		case <-ctx.Done():
			return outcomeOf(err)
		case <-time.After(pause/2 + rand.N(pause/2)): //nolint:gosec // jitter is no secret
		}
		pause = min(2*pause, lastPause)
	}
}

var errDeletedMeanwhile = errors.New("the FlowRun of the same delivery was deleted meanwhile")

// errNotConfirmed is for an answer of 2xx that is not the API server's about this FlowRun: something between, a proxy that asks for a
// login for instance, has answered.
var errNotConfirmed = errors.New("the answer does not say that the FlowRun is stored")

// post makes one attempt. It returns nil only if the API server has confirmed that it has created the FlowRun.
func (c *Creator) post(ctx context.Context, run NewRun) error {
	response, err := c.send(ctx, http.MethodPost, run.Namespace, "", createQuery, run.Object)
	if err != nil {
		return err
	}
	defer finish(response)
	switch {
	case response.StatusCode == http.StatusCreated:
		return understand(response.Body, run, nil)
	case response.StatusCode < http.StatusBadRequest:
		return errNotConfirmed
	default:
		return refusal(response, http.MethodPost, run.Name)
	}
}

// A confirmation is what an answer has to say for it to be the API server's, and about a FlowRun that is stored. The last two members
// are those that only the API server can give: a request that is sent back has neither, nor has a dry run a version.
type confirmation struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Namespace       string `json:"namespace"`
		Name            string `json:"name"`
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

func (c *confirmation) confirms(run NewRun) bool {
	return c.Kind == "PartialObjectMetadata" && c.APIVersion == "meta.k8s.io/v1" &&
		c.Metadata.Namespace == run.Namespace && c.Metadata.Name == run.Name &&
		c.Metadata.UID != "" && c.Metadata.ResourceVersion != ""
}

// understand returns an error unless the answer confirms the run, and reads the record from it if there is to be one.
func understand(answer io.ReadCloser, run NewRun, into *record) error {
	buffer := answers.Get().(*bytes.Buffer) //nolint:errcheck // the pool has nothing else
	defer func() {
		if buffer.Cap() <= maxPooledBuffer {
			buffer.Reset()
			answers.Put(buffer)
		}
	}()
	if _, err := buffer.ReadFrom(http.MaxBytesReader(nil, answer, maxExchange)); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var c confirmation
	if json.Unmarshal(buffer.Bytes(), &c) != nil || !c.confirms(run) { // an error could quote the answer
		return errNotConfirmed
	}
	if into != nil && json.Unmarshal(buffer.Bytes(), into) != nil {
		return errNotConfirmed
	}
	return nil
}

// answers has the buffers for answers about FlowRuns.
var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// createQuery asks to record who has set the fields, and not to drop a field in silence that the installed CustomResourceDefinition does
// not know.
var createQuery = url.Values{
	"fieldManager":    {fieldManager},
	"fieldValidation": {metav1.FieldValidationStrict},
}.Encode()

// A record is what the metadata of a FlowRun tell of whether a delivery can be said to be stored because of it. Metadata alone are read,
// as the payload can be a megabyte; they do not have the state of the payload, but say who has set it.
type record struct {
	Metadata struct {
		DeletionTimestamp string `json:"deletionTimestamp"`
		ManagedFields     []struct {
			Manager     string `json:"manager"`
			Subresource string `json:"subresource"`
			Fields      struct {
				Spec struct {
					Payload struct {
						State *struct{} `json:"f:state"`
					} `json:"f:payload"`
				} `json:"f:spec"`
			} `json:"fieldsV1"`
		} `json:"managedFields"`
	} `json:"metadata"`
}

// useless returns why the FlowRun is nothing to count on; empty if it can be counted on. One that is being deleted will be gone. One
// whose payload was dropped before anybody had acted on it, by somebody other than the history, which keeps it as the memory of its
// delivery, can come to nothing any more. That somebody has acted on it is known by its having a status.
func (r *record) useless() string {
	if r.Metadata.DeletionTimestamp != "" {
		return "is being deleted"
	}
	dropped := false
	for i := range r.Metadata.ManagedFields {
		m := &r.Metadata.ManagedFields[i]
		if m.Subresource == "status" {
			return ""
		}
		if m.Fields.Spec.Payload.State != nil {
			if m.Manager == sluicev1alpha1.FieldManagerHistory {
				return ""
			}
			dropped = true
		}
	}
	if dropped {
		return "has lost its payload before anybody acted on it; delete it, and the delivery can be stored"
	}
	return ""
}

// read reads the record of the FlowRun of that name.
func (c *Creator) read(ctx context.Context, run NewRun) (record, error) {
	var found record
	response, err := c.send(ctx, http.MethodGet, run.Namespace, run.Name, "", nil)
	if err != nil {
		return found, err
	}
	defer finish(response)
	if response.StatusCode != http.StatusOK {
		return found, refusal(response, http.MethodGet, run.Name)
	}
	return found, understand(response.Body, run, &found)
}

// send sends one request about the FlowRun of that name, or a new one, and returns the beginning of the answer, which has to be
// finished. Nothing is sent twice and no redirection followed: Create knows better than a client whether that helps.
func (c *Creator) send(ctx context.Context, method, namespace, name, query string, body []byte) (*http.Response, error) {
	target := c.runs
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
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		clientmetrics.RequestResult.Increment(ctx, "<error>", method, target.Host)
		return nil, err
	}
	clientmetrics.RequestResult.Increment(ctx, strconv.Itoa(response.StatusCode), method, target.Host)
	return response, nil
}

// contentJSON is the type of FlowRuns. As the values of a header, it must not be changed.
var contentJSON = []string{"application/json"}

// maxAnswer is how much is read of an answer: the metadata of a FlowRun are a small part of it, and so is what is said of a refusal.
const maxAnswer = 256 << 10

// finish reads what is left of an answer, so that its connection can be used again.
func finish(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // the answer has been understood without
	_ = response.Body.Close()
}

// refusal returns the error that an answer other than a success stands for, as client-go does.
func refusal(response *http.Response, method, name string) error {
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

// mayRetryNow says whether an attempt failed in a way that another one, a moment later, may mend: no answer, or one that
// tells of trouble inside the API server. Being throttled is none of these; the sender is told to come back.
func mayRetryNow(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	// A webhook that is down, or says no with such a code, would go on to do so, and hold a place that others need.
	s := status.Status()
	return s.Code >= http.StatusInternalServerError && !strings.Contains(s.Message, webhookFailure) && apierror.AdmissionDenial(s.Message) == ""
}

// webhookFailure is how the API server says that it could not ask an admission webhook. That is the trouble of those who are
// subject to the webhook, and not the API server's own.
const webhookFailure = "failed calling webhook"

// outcomeOf works out what an attempt's error means. The messages of the API server can quote the object, so of the
// ones that may only the part that names the policy is kept.
func outcomeOf(err error) (Outcome, *CreateError) {
	e := classify(err)
	return e.outcome, e
}

func classify(err error) *CreateError {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return &CreateError{outcome: NotStored, health: failing, cause: fmt.Sprintf("no answer from the API server: %v", err)}
	}
	e := &CreateError{outcome: NotStored}
	s := status.Status()
	denial := apierror.AdmissionDenial(s.Message)
	switch {
	case denial != "" || strings.Contains(s.Message, webhookFailure): // the words, and the code, of those who wrote the webhook
		e.health = refusing
	case s.Code == http.StatusTooManyRequests:
		e.health = overloaded
	case s.Code >= http.StatusInternalServerError:
		e.health = failing
	case s.Code == http.StatusConflict: // there is one of that name: etcd was asked
		e.health = answering
	default:
		e.health = refusing
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	// A permission or quota that is wanting is 403 too, but will pass. If the words change, a refusal is taken for something
	// that will pass: the sender retries in vain, and nothing is lost.
	switch {
	case denial != "" && s.Code < http.StatusInternalServerError && s.Code != http.StatusTooManyRequests:
		e.outcome = Refused
		e.cause = fmt.Sprintf("%s the FlowRun (%d %s)", denial, s.Code, s.Reason)
	case apierrors.IsInvalid(err):
		e.outcome = Refused
		e.cause = fmt.Sprintf("the API server finds the FlowRun invalid (%d %s)", s.Code, s.Reason)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), apierrors.IsNotFound(err):
		// Permission, quota, a namespace or a CustomResourceDefinition that is gone: these name, but do not quote.
		e.cause = fmt.Sprintf("the API server refuses (%d %s): %s", s.Code, s.Reason, s.Message)
	default:
		e.cause = fmt.Sprintf("the API server answers %d %s", s.Code, s.Reason)
	}
	return e
}
