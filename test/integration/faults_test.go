/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// intercept changes what happens to an operator's creates of FlowRuns on their way to the API
// server.
type intercept struct {
	next   http.RoundTripper
	create func(*http.Request, http.RoundTripper) (*http.Response, error)
}

func (i intercept) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/flowruns") {
		return i.create(r, i.next)
	}
	return i.next.RoundTrip(r)
}

func interceptCreates(create func(*http.Request, http.RoundTripper) (*http.Response, error)) func(*operatorConfig) {
	return func(c *operatorConfig) {
		c.transport = func(next http.RoundTripper) http.RoundTripper { return intercept{next, create} }
	}
}

var errConnection = errors.New("connection reset by test")

// TestAmbiguousCreate loses the API server's answer: the FlowRun is stored, but Sluice cannot know.
func TestAmbiguousCreate(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var attempts atomic.Int32
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if attempts.Add(1) == 1 && err == nil {
			response.Body.Close()
			return nil, errConnection
		}
		return response, err
	}))
	run := acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, `{"a": 1}`))
	if got := payload(run); got != `{"a": 1}` {
		t.Errorf("the payload is %q", got)
	}
	if n := attempts.Load(); n != 2 {
		t.Errorf("there were %d attempts, want 2", n)
	}
	if n := countRuns(t, namespace); n != 1 {
		t.Errorf("there are %d runs, want 1", n)
	}
}

// TestCreateIsRetried fails attempts before they reach the API server.
func TestCreateIsRetried(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var attempts atomic.Int32
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		switch attempts.Add(1) {
		case 1:
			return nil, errConnection
		case 2:
			return answerStatus(r, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed", 0), nil
		}
		return next.RoundTrip(r)
	}))
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	if n := countRuns(t, namespace); n != 1 {
		t.Errorf("there are %d runs, want 1", n)
	}
}

// TestTakenNameIsNotTakenForOurs answers the first attempt AlreadyExists: that cannot be this
// request's FlowRun.
func TestTakenNameIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return answerStatus(r, http.StatusConflict, metav1.StatusReasonAlreadyExists, "already exists", 0), nil
	}))
	if r := o.mustPost(t, namespace, keyText, "{}"); r.status != http.StatusServiceUnavailable {
		t.Errorf("answer is %d, want 503: %s", r.status, r.body)
	}
}

// answerStatus is an API server's answer.
func answerStatus(r *http.Request, code int, reason metav1.StatusReason, message string, retryAfter int32) *http.Response {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if retryAfter > 0 {
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: retryAfter}
		header.Set("Retry-After", fmt.Sprint(retryAfter))
	}
	body, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)), Request: r,
	}
}

// TestAPIServerTrouble shows the answers when the API server cannot or will not store a FlowRun.
// None is a 2xx, and each comes within the accept deadline.
func TestAPIServerTrouble(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var trouble atomic.Pointer[func(*http.Request) (*http.Response, error)]
	o := startOperator(t, namespace,
		interceptCreates(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) { return (*trouble.Load())(r) }),
		func(c *operatorConfig) {
			c.options = func(options *app.Options) { options.Limits.AcceptDeadline = 300 * time.Millisecond }
		})

	cases := map[string]struct {
		reason     string
		trouble    func(*http.Request) (*http.Response, error)
		status     int
		retryAfter string // a pattern
	}{
		"Hangs": {
			reason: "an API server that never answers is given up at the deadline",
			trouble: func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			},
			status: 503, retryAfter: "[5-8]",
		},
		"Unreachable": {
			reason:  "one that cannot be reached is tried again until the deadline",
			trouble: func(*http.Request) (*http.Response, error) { return nil, errConnection },
			status:  503, retryAfter: "[5-8]",
		},
		"LoginPage": {
			reason: "something in between has another idea of success",
			trouble: func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
					Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<title>Log in</title>")),
				}, nil
			},
			status: 503, retryAfter: "[5-8]",
		},
		"Throttles": {
			reason: "what it says of when to come back is passed on",
			trouble: func(r *http.Request) (*http.Response, error) {
				return answerStatus(r, 429, metav1.StatusReasonTooManyRequests, "too many requests", 7), nil
			},
			status: 503, retryAfter: "7",
		},
		"Overloaded": {
			reason: "503 from a proxy in front of it is no refusal",
			trouble: func(r *http.Request) (*http.Response, error) {
				return answerStatus(r, 503, metav1.StatusReasonServiceUnavailable, "no endpoints", 0), nil
			},
			status: 503, retryAfter: "[5-8]",
		},
		"AnswerIsNoStatus": {
			reason: "an answer that does not come from an API server at all",
			trouble: func(r *http.Request) (*http.Response, error) {
				response := answerStatus(r, 502, "", "", 0)
				response.Body = io.NopCloser(strings.NewReader("<html>bad gateway</html>"))
				response.Header.Set("Content-Type", "text/html")
				return response, nil
			},
			status: 503, retryAfter: "[5-8]",
		},
		"TokenExpired": {
			reason: "the operator's credentials are no fault of the sender",
			trouble: func(r *http.Request) (*http.Response, error) {
				return answerStatus(r, 401, metav1.StatusReasonUnauthorized, "Unauthorized", 0), nil
			},
			status: 503, retryAfter: "[5-8]",
		},
		"CRDOutdated": {
			reason: "a field that the installed definition does not know is the operator's mistake",
			trouble: func(r *http.Request) (*http.Response, error) {
				return answerStatus(r, 400, metav1.StatusReasonBadRequest, `strict decoding error: unknown field "spec.x"`, 0), nil
			},
			status: 503, retryAfter: "[5-8]",
		},
		"Invalid": {
			reason: "an object that is invalid stays so",
			trouble: func(r *http.Request) (*http.Response, error) {
				return answerStatus(r, 422, metav1.StatusReasonInvalid, "spec.payload.text: Invalid value: \"the payload\"", 0), nil
			},
			status: 422, retryAfter: "",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			trouble.Store(&tc.trouble)
			r := o.mustPost(t, namespace, keyText, "{}")
			if r.status != tc.status || !regexp.MustCompile("^"+tc.retryAfter+"$").MatchString(r.header.Get("Retry-After")) {
				t.Errorf("%s: answer is %d with Retry-After %q, want %d with %q", tc.reason, r.status, r.header.Get("Retry-After"), tc.status, tc.retryAfter)
			}
			if got := r.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("%s: content type is %q", tc.reason, got)
			}
		})
	}
	if n := countRuns(t, namespace); n != 0 {
		t.Errorf("there are %d runs, want 0", n)
	}
	if strings.Contains(o.logs.String(), "the payload") {
		t.Errorf("what an API server quotes of the payload is in the log")
	}
}

// TestPolicies shows the answers when a real API server refuses a FlowRun, for a while or for good.
func TestPolicies(t *testing.T) {
	t.Parallel()

	t.Run("ResourceQuota", func(t *testing.T) {
		t.Parallel()
		namespace := newWorld(t)
		o := startOperator(t, namespace)
		hard := corev1.ResourceList{"count/flowruns.sluice.dev": resource.MustParse("1")}
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "runs"},
			Spec:       corev1.ResourceQuotaSpec{Hard: hard},
		}
		env.Create(t, quota)
		// No controller runs that would count.
		quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: hard}
		if err := env.Client.Status().Update(t.Context(), quota); err != nil {
			t.Fatal(err)
		}
		o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
		if r := o.mustPost(t, namespace, keyText, "{}"); r.header.Get("Retry-After") == "" {
			t.Errorf("503 has no Retry-After")
		}
		if !strings.Contains(o.logs.String(), "exceeded quota: runs") {
			t.Errorf("the log does not name the quota")
		}
	})

	t.Run("PermissionRevoked", func(t *testing.T) {
		t.Parallel()
		namespace := newWorld(t)
		o := startOperator(t, namespace)
		o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
		remove(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-operator-all-sluice-ingest"}})
		o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	})

	forbidden := metav1.StatusReasonForbidden
	for name, reason := range map[string]*metav1.StatusReason{"ValidatingAdmissionPolicy": nil, "ValidatingAdmissionPolicyForbidden": &forbidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := newWorld(t)
			o := startOperator(t, namespace)
			policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: namespace},
				Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
					FailurePolicy: new(admissionregistrationv1.Fail),
					MatchConstraints: &admissionregistrationv1.MatchResources{
						NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
						ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: onCreateOfFlowRuns()}},
					},
					Validations: []admissionregistrationv1.Validation{{
						Expression:        "!object.spec.payload.text.contains('forbidden-word')",
						MessageExpression: "'not this: ' + object.spec.payload.text",
						Reason:            reason,
					}},
				},
			}
			env.Create(t, policy, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
				ObjectMeta: metav1.ObjectMeta{Name: namespace},
				Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
					PolicyName:        policy.Name,
					ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
				},
			})
			testenv.Eventually(t, patience, func() error { // the API server takes a moment to see the policy
				if r := o.mustPost(t, namespace, keyText, `"forbidden-word"`); r.status != http.StatusUnprocessableEntity {
					return fmt.Errorf("answer is %d, want 422: %s", r.status, r.body)
				}
				return nil
			})
			acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, `"another word"`))
			if strings.Contains(o.logs.String(), "forbidden-word") {
				t.Errorf("the payload, as the policy's message quotes it, is in the log")
			}
			if want := "ValidatingAdmissionPolicy '" + namespace + "'"; !strings.Contains(o.logs.String(), want) {
				t.Errorf("the log does not name the policy")
			}
		})
	}

	t.Run("ValidatingWebhook", func(t *testing.T) {
		t.Parallel()
		namespace := newWorld(t)
		o := startOperator(t, namespace)
		hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var review admissionv1.AdmissionReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "no"}}
			_ = json.NewEncoder(w).Encode(review)
		}))
		t.Cleanup(hook.Close)
		env.Create(t, &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name:                    "refuse.example.com",
				AdmissionReviewVersions: []string{"v1"},
				SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
				NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				Rules:                   []admissionregistrationv1.RuleWithOperations{onCreateOfFlowRuns()},
				ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &hook.URL, CABundle: certificate(hook.TLS)},
			}},
		})
		o.eventuallyAnswers(t, namespace, keyText, http.StatusUnprocessableEntity)

		t.Log("a webhook that does not answer is trouble, not a refusal")
		hook.Close()
		o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	})
}

func onCreateOfFlowRuns() admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"sluice.dev"}, APIVersions: []string{"v1alpha1"}, Resources: []string{"flowruns"}},
	}
}

func certificate(config *tls.Config) []byte {
	leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
}

// TestCreatesAreNotThrottled sends as many requests at once as are let through of one trigger at
// the beginning. A client-side limit, such as client-go's default of 5 a second, would let them
// through one by one; here none gets its answer before all of them are on their way.
func TestCreatesAreNotThrottled(t *testing.T) {
	t.Parallel()
	const requests = 24
	namespace := newWorld(t)
	var arrived sync.WaitGroup
	arrived.Add(requests)
	o := startOperator(t, namespace,
		interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			arrived.Done()
			arrived.Wait()
			return next.RoundTrip(r)
		}),
		func(c *operatorConfig) {
			c.options = patientAccept
		})
	answers := make(chan string, requests)
	for range requests {
		go func() {
			r, err := o.post(t.Context(), namespace, sign(keyText, "{}"), "{}")
			answers <- fmt.Sprint(r.status, err)
		}()
	}
	for range requests {
		if got := <-answers; got != "202 <nil>" {
			t.Fatalf("an answer is %s, want 202", got)
		}
	}
	if n := countRuns(t, namespace); n != requests {
		t.Errorf("there are %d runs, want %d", n, requests)
	}
}

// TestCapacity fills the server: one request more is turned away, before its body is read.
func TestCapacity(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	o := startOperator(t, namespace,
		interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			entered <- struct{}{}
			<-release
			return next.RoundTrip(r)
		}),
		func(c *operatorConfig) {
			c.options = func(options *app.Options) {
				options.Limits.MaxInFlightBytes = options.Limits.MaxBodyBytes + 16<<10
				patientAccept(options)
			}
		})
	first := o.postMeanwhile(t, namespace)
	<-entered

	r, n, err := o.announceBody(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("one request too many is answered %d with Retry-After %q, want 503", r.status, r.header.Get("Retry-After"))
	}
	if n != 0 {
		t.Errorf("%d bytes of its body were read, want 0", n)
	}

	close(release)
	if r := <-first; r.status != http.StatusAccepted {
		t.Errorf("the first request is answered %d, want 202", r.status)
	}
	go func() { <-entered }()
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
}

// postMeanwhile posts a genuine request while the test goes on. It returns where the answer comes.
func (o *operator) postMeanwhile(t *testing.T, namespace string) <-chan reply {
	answered := make(chan reply, 1)
	go func() {
		r, err := o.post(t.Context(), namespace, sign(keyText, "{}"), "{}")
		if err != nil {
			t.Errorf("the request in flight: %v", err)
		}
		answered <- r
	}()
	return answered
}

// patientAccept gives creates time that a test holds up, or an API server on a busy machine.
func patientAccept(options *app.Options) {
	options.Limits.AcceptDeadline, options.Limits.WriteTimeout = 20*time.Second, 40*time.Second
}

// announceBody announces a body of 1 MiB, and sends it only if the server asks for it. It returns
// the answer, without its body, and how many bytes were sent.
func (o *operator) announceBody(ctx context.Context, namespace string) (reply, int64, error) {
	reader := &countingReader{text: strings.NewReader(strings.Repeat(" ", 1<<20))}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url+"/hooks/"+namespace+"/"+triggerName, reader)
	if err != nil {
		return reply{}, 0, err
	}
	request.ContentLength = 1 << 20
	request.Header.Set("Expect", "100-continue")
	request.Header.Set("X-HMAC-HASH", sign(keyText, "{}"))
	transport := &http.Transport{ExpectContinueTimeout: patience}
	defer transport.CloseIdleConnections()
	response, err := wholeRun.sender(transport).RoundTrip(request)
	if err != nil {
		return reply{}, 0, err
	}
	response.Body.Close()
	return reply{status: response.StatusCode, header: response.Header}, reader.n.Load(), nil
}

type countingReader struct {
	text io.Reader
	n    atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.text.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// TestShutdownFinishesRequestsInFlight stops the operator while a verified request waits for the
// API server.
func TestShutdownFinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	o := startOperator(t, namespace,
		interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			close(entered)
			<-release
			if err := r.Context().Err(); err != nil {
				return nil, fmt.Errorf("the create was cancelled: %w", err)
			}
			return next.RoundTrip(r)
		}),
		func(c *operatorConfig) {
			c.options = patientAccept
		})
	answered := o.postMeanwhile(t, namespace)
	<-entered
	o.stop()

	o.eventuallyDraining(t)
	testenv.Eventually(t, patience, func() error { // the listener is closed, so new requests go elsewhere
		if _, err := o.post(t.Context(), namespace, sign(keyText, "{}"), "{}"); err == nil {
			return errors.New("a new connection is still served")
		}
		return nil
	})
	select {
	case <-o.done:
		t.Fatalf("the operator has stopped before its request was answered")
	default:
	}
	close(release)
	acceptedRun(t, namespace, <-answered)
	<-o.done
}

// eventuallyDraining waits until readiness is red, and for that reason.
func (o *operator) eventuallyDraining(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		err := o.ready()
		if err == nil || !strings.Contains(err.Error(), "[-]draining") {
			return fmt.Errorf("readyz does not say that it is draining: %w", err)
		}
		return nil
	})
}

// TestDrainingFollowsChanges shows that a replica which is going does not serve yesterday's routes
// until it is gone.
func TestDrainingFollowsChanges(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.Limits.ShutdownDelay = 5 * time.Second }
	})
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	o.stop()
	o.eventuallyDraining(t)
	const newKey = "the-key-after-the-rotation-of-it"
	update(t, makeSecret(namespace, ""), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(newKey)} })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
	o.eventuallyAnswers(t, namespace, newKey, http.StatusAccepted)
	<-o.done
}

// TestSenderHangsUp shows that a sender which does not wait for the answer does not take its
// request back.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		close(entered)
		<-release
		return next.RoundTrip(r)
	}))
	ctx, hangUp := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, err := o.post(ctx, namespace, sign(keyText, "{}"), "{}")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the request ended with %v", err)
		}
	}()
	<-entered
	hangUp()
	<-gone
	close(release)
	testenv.Eventually(t, patience, func() error {
		if n := countRuns(t, namespace); n != 1 {
			return fmt.Errorf("there are %d runs, want 1", n)
		}
		return nil
	})
}

// TestSecretReadFails shows fail static: if the API server cannot say what a Secret holds, the last
// key stays.
func TestSecretReadFails(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var failing atomic.Bool
	var failures atomic.Int32
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if failing.Load() && strings.HasSuffix(r.URL.Path, "/secrets/"+secretName) {
					failures.Add(1)
					return nil, errConnection
				}
				return next.RoundTrip(r)
			})
		}
	})
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	failing.Store(true)
	const newKey = "the-key-after-the-rotation-of-it"
	update(t, makeSecret(namespace, ""), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(newKey)} })
	testenv.Eventually(t, patience, func() error {
		if failures.Load() < 4 {
			return errors.New("the Secret has not been read yet")
		}
		return nil
	})
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))

	failing.Store(false)
	o.eventuallyAnswers(t, namespace, newKey, http.StatusAccepted)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestListensOnlyWhenWarm holds back the Secret during the warm-up: until it is read the server
// must not listen, because it would answer 404 for a trigger that exists.
func TestListensOnlyWhenWarm(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	o := launchOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.Role = app.RoleIngest }
		c.transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/secrets/"+secretName) {
					once.Do(func() { close(entered) })
					<-release
				}
				return next.RoundTrip(r)
			})
		}
	})
	<-entered
	testenv.Eventually(t, patience, func() error {
		err := o.ready()
		for _, check := range []string{"[-]routes", "[-]ingest", "[+]draining", "[+]caches"} {
			if err == nil || !strings.Contains(err.Error(), check) {
				return fmt.Errorf("readyz does not say %s: %w", check, err)
			}
		}
		return nil
	})
	if address := o.Server.Address(); address != nil {
		t.Errorf("the server listens at %s before the table is warm", address)
	}
	close(release)
	o.waitReady(t)
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
}

// TestDeletedDuringWarmUp deletes a trigger after the warm-up has listed it: its route must not
// stay.
func TestDeletedDuringWarmUp(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	o := launchOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.Role = app.RoleIngest }
		c.transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/secrets/"+secretName) {
					response, err := next.RoundTrip(r)
					once.Do(func() { close(entered) })
					<-release
					return response, err
				}
				return next.RoundTrip(r)
			})
		}
	})
	<-entered
	trigger := makeTrigger(namespace)
	remove(t, trigger)
	testenv.Eventually(t, patience, func() error { // until the operator's cache has seen it
		err := o.Manager.GetCache().Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger)
		if client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("the trigger is still in the cache: %w", err)
		}
		return nil
	})
	close(release)
	o.waitReady(t)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusNotFound)
}
