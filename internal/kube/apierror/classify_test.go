/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package apierror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-dev/sluice/internal/kube/apierror"
)

// secret stands for what senders write: no explanation may have it.
const secret = "tok-3f9a"

// answer returns the error that client-go makes of a Status that the API server has written.
func answer(t *testing.T, body string) error {
	t.Helper()
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	return fmt.Errorf("create flowruns: %w", &apierrors.StatusError{ErrStatus: status})
}

// noStatus returns the error that client-go makes of an answer whose body is not a Status.
func noStatus(code int, body string, retryAfter int) error {
	flowRuns := schema.GroupResource{Group: "sluice.dev", Resource: "flowruns"}
	return apierrors.NewGenericServerResponse(code, http.MethodPost, flowRuns, "orders-1", body, retryAfter, true)
}

// TestClassify has answers as kube-apiserver 1.37 writes them.
func TestClassify(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		body       string // of the answer, or
		err        error
		want       apierror.Class
		retryAfter time.Duration
		explain    string
	}{
		"WebhookDenies": {
			reason:  "the webhook's own message may quote the object",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"admission webhook \"validate.example.com\" denied the request: no tok-3f9a","code":403}`,
			want:    apierror.Denied,
			explain: `the API server answers 403: admission webhook "validate.example.com" denied`,
		},
		"WebhookSaysExists": {
			reason:  "there need be no such object",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"validate.example.com\" denied the request: exists","reason":"AlreadyExists","code":409}`,
			want:    apierror.Denied,
			explain: `the API server answers 409 AlreadyExists: admission webhook "validate.example.com" denied`,
		},
		"WebhookSaysNotFound": {
			reason:  "the object may well be there",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"validate.example.com\" denied the request: no owner","reason":"NotFound","code":404}`,
			want:    apierror.Denied,
			explain: `the API server answers 404 NotFound: admission webhook "validate.example.com" denied`,
		},
		"WebhookThrottles": {
			reason:     "it will pass, and is not the API server's",
			body:       `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"validate.example.com\" denied the request: later","reason":"TooManyRequests","details":{"retryAfterSeconds":9},"code":429}`,
			want:       apierror.Webhook,
			retryAfter: 9 * time.Second,
			explain:    `the API server answers 429 TooManyRequests: admission webhook "validate.example.com" denied`,
		},
		"WebhookInTrouble": {
			reason:  "it will pass, and is not the API server's",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"admission webhook \"validate.example.com\" denied the request without explanation","code":503}`,
			want:    apierror.Webhook,
			explain: `the API server answers 503: admission webhook "validate.example.com" denied`,
		},
		"WebhookDown": {
			reason:  "the owner needs to know why",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: failed calling webhook \"validate.example.com\": failed to call webhook: Post \"https://validate.shop.svc:443/?timeout=10s\": dial tcp 10.0.0.7:443: connect: connection refused","reason":"InternalError","details":{"causes":[{"message":"failed calling webhook \"validate.example.com\": failed to call webhook: Post \"https://validate.shop.svc:443/?timeout=10s\": dial tcp 10.0.0.7:443: connect: connection refused"}]},"code":500}`,
			want:    apierror.Webhook,
			explain: `the API server answers 500 InternalError: Internal error occurred: failed calling webhook "validate.example.com": failed to call webhook: Post "https://validate.shop.svc:443/?timeout=10s": dial tcp 10.0.0.7:443: connect: connection refused`,
		},
		"WebhookQuotes": {
			reason:  "what the webhook has answered may quote the object",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Internal error occurred: failed calling webhook \"validate.example.com\": failed to call webhook: an error on the server (\"no tok-3f9a\") has prevented the request from succeeding","reason":"InternalError","code":500}`,
			want:    apierror.Webhook,
			explain: `the API server answers 500 InternalError: Internal error occurred: failed calling webhook "validate.example.com"`,
		},
		"PolicyDenies": {
			reason:  "the policy's own message may quote the object",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"flowruns.sluice.dev \"orders-1\" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'shop' denied request: no tok-3f9a","reason":"Invalid","details":{"name":"orders-1","group":"sluice.dev","kind":"flowruns","causes":[{"message":"ValidatingAdmissionPolicy 'small' with binding 'shop' denied request: no tok-3f9a"}]},"code":422}`,
			want:    apierror.Denied,
			explain: `the API server answers 422 Invalid: ValidatingAdmissionPolicy 'small' with binding 'shop' denied`,
		},
		"PolicyForbids": {
			reason:  "a policy without a binding, with a reason that quotas have too",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"flowruns.sluice.dev \"orders-1\" is forbidden: ValidatingAdmissionPolicy 'small' denied request: no tok-3f9a","reason":"Forbidden","code":403}`,
			want:    apierror.Denied,
			explain: `the API server answers 403 Forbidden: ValidatingAdmissionPolicy 'small' denied`,
		},
		"Quota": {
			reason:  "it will pass, and its message names which",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"flowruns.sluice.dev \"orders-1\" is forbidden: exceeded quota: runs, requested: count/flowruns.sluice.dev=1, used: count/flowruns.sluice.dev=5, limited: count/flowruns.sluice.dev=5","reason":"Forbidden","details":{"name":"orders-1","group":"sluice.dev","kind":"flowruns"},"code":403}`,
			want:    apierror.Forbidden,
			explain: `the API server answers 403 Forbidden: flowruns.sluice.dev "orders-1" is forbidden: exceeded quota: runs, requested: count/flowruns.sluice.dev=1, used: count/flowruns.sluice.dev=5, limited: count/flowruns.sluice.dev=5`,
		},
		"Permission": {
			reason:  "it may be granted, and its message names which",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"flowruns.sluice.dev is forbidden: User \"ingest\" cannot create resource \"flowruns\" in API group \"sluice.dev\" in the namespace \"shop\"","reason":"Forbidden","details":{"group":"sluice.dev","kind":"flowruns"},"code":403}`,
			want:    apierror.Forbidden,
			explain: `the API server answers 403 Forbidden: flowruns.sluice.dev is forbidden: User "ingest" cannot create resource "flowruns" in API group "sluice.dev" in the namespace "shop"`,
		},
		"Unauthorized": {
			reason:  "the token has expired",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`,
			want:    apierror.Forbidden,
			explain: `the API server answers 401 Unauthorized: Unauthorized`,
		},
		"Invalid": {
			reason:  "the message quotes the object",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"FlowRun.sluice.dev \"orders-1\" is invalid: spec.payload.text: Invalid value: \"tok-3f9a\": too long","reason":"Invalid","details":{"name":"orders-1","group":"sluice.dev","kind":"FlowRun","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"tok-3f9a\": too long","field":"spec.payload.text"}]},"code":422}`,
			want:    apierror.Invalid,
			explain: `the API server answers 422 Invalid`,
		},
		"InvalidQuotesDenial": {
			reason:  "words of a payload are no policy's",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"FlowRun.sluice.dev \"orders-1\" is invalid: spec.payload.text: Invalid value: \"admission webhook \\\"tok-3f9a\\\" denied\": too long","reason":"Invalid","code":422}`,
			want:    apierror.Invalid,
			explain: `the API server answers 422 Invalid`,
		},
		"InvalidQuotesFailure": {
			reason:  "words of a payload are not the API server's",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"FlowRun.sluice.dev \"orders-1\" is invalid: spec.payload.text: Invalid value: \"failed calling webhook tok-3f9a\": too long","reason":"Invalid","code":422}`,
			want:    apierror.Invalid,
			explain: `the API server answers 422 Invalid`,
		},
		"Exists": {
			reason:  "the API server's own",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"flowruns.sluice.dev \"orders-1\" already exists","reason":"AlreadyExists","details":{"name":"orders-1","group":"sluice.dev","kind":"flowruns"},"code":409}`,
			want:    apierror.Exists,
			explain: `the API server answers 409 AlreadyExists`,
		},
		"Conflict": {
			reason:  "a precondition that does not hold",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on flowruns.sluice.dev \"orders-1\": the ResourceVersion in the precondition (3) does not match the ResourceVersion in record (4). The object might have been modified","reason":"Conflict","details":{"name":"orders-1","group":"sluice.dev","kind":"flowruns"},"code":409}`,
			want:    apierror.Conflict,
			explain: `the API server answers 409 Conflict`,
		},
		"NotFound": {
			reason:  "the object or its namespace",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"shop\" not found","reason":"NotFound","details":{"name":"shop","kind":"namespaces"},"code":404}`,
			want:    apierror.NotFound,
			explain: `the API server answers 404 NotFound: namespaces "shop" not found`,
		},
		"BadRequest": {
			reason:  "strict decoding quotes names of fields",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"strict decoding error: unknown field \"spec.tok-3f9a\"","reason":"BadRequest","code":400}`,
			want:    apierror.Other,
			explain: `the API server answers 400 BadRequest`,
		},
		"Throttled": {
			reason:     "it says for how long",
			body:       `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"The maximum number of concurrent requests is reached, please try again later.","reason":"TooManyRequests","details":{"retryAfterSeconds":7},"code":429}`,
			want:       apierror.Throttled,
			retryAfter: 7 * time.Second,
			explain:    `the API server answers 429 TooManyRequests`,
		},
		"ThrottledByFairness": {
			reason:     "priority and fairness answers with plain text and a header",
			err:        noStatus(http.StatusTooManyRequests, "Too many requests, please try again later.\n", 1),
			want:       apierror.Throttled,
			retryAfter: time.Second,
			explain:    `the API server answers 429 TooManyRequests`,
		},
		"ThrottledForLess": {
			reason:  "that is no time",
			body:    `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"ServerTimeout","details":{"retryAfterSeconds":-5},"code":500}`,
			want:    apierror.ServerTrouble,
			explain: `the API server answers 500 ServerTimeout`,
		},
		"Internal": {
			reason:  "etcd does not answer",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"etcdserver: request timed out","code":500}`,
			want:    apierror.ServerTrouble,
			explain: `the API server answers 500`,
		},
		"Unavailable": {
			reason:  "it is starting or stopping",
			body:    `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"apiserver is shutting down","reason":"ServiceUnavailable","code":503}`,
			want:    apierror.ServerTrouble,
			explain: `the API server answers 503 ServiceUnavailable`,
		},
		"GatewayQuotes": {
			reason:  "a gateway's page may quote the request",
			err:     noStatus(http.StatusBadGateway, "<html>"+secret, 0),
			want:    apierror.ServerTrouble,
			explain: `the API server answers 502 InternalError`,
		},
		"ProxySaysConflict": {
			reason:  "the API server would have said what exists",
			err:     noStatus(http.StatusConflict, secret, 0),
			want:    apierror.Other,
			explain: `the API server answers 409 AlreadyExists`,
		},
		"ProxyForbids": {
			reason:  "a proxy's page may quote the request",
			err:     noStatus(http.StatusForbidden, secret, 0),
			want:    apierror.Other,
			explain: `the API server answers 403 Forbidden`,
		},
		"Broken": {
			reason:  "no answer",
			err:     &url.Error{Op: "Post", URL: "https://10.0.0.1:443/apis", Err: errors.New("connection reset by peer")},
			want:    apierror.NoAnswer,
			explain: `no answer from the API server: Post "https://10.0.0.1:443/apis": connection reset by peer`,
		},
		"TooLate": {
			reason:  "no answer in time",
			err:     fmt.Errorf("create flowruns: %w", context.DeadlineExceeded),
			want:    apierror.NoAnswer,
			explain: `no answer from the API server: create flowruns: context deadline exceeded`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.err
			if err == nil {
				err = answer(t, tc.body)
			}
			if got := apierror.Classify(err); got != tc.want {
				t.Errorf("%s: class %d, want %d", tc.reason, got, tc.want)
			}
			if got := apierror.RetryAfter(err); got != tc.retryAfter {
				t.Errorf("%s: retry after %s, want %s", tc.reason, got, tc.retryAfter)
			}
			explanation := apierror.Explain(err)
			if diff := cmp.Diff(tc.explain, explanation); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if strings.Contains(explanation, secret) {
				t.Errorf("%s: the explanation quotes a sender", tc.reason)
			}
		})
	}
}
