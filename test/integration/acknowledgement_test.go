/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// newMemoryWorld creates a namespace with a trigger that takes the header X-Delivery for the
// delivery id, and returns how to send a body to it.
func newMemoryWorld(t *testing.T) (namespace string, send func(o *operator, id, body string) reply) {
	t.Helper()
	namespace = env.Namespace(t)
	trigger := makeTrigger(namespace)
	trigger.Spec.Deduplication = sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Delivery"}
	env.Create(t, makeSecret(namespace, keyText), makeFlow(namespace), trigger)
	return namespace, func(o *operator, id, body string) reply {
		t.Helper()
		return exchange(t, o, rawRequest("POST", "/hooks/"+namespace+"/"+triggerName,
			[]string{contentLength(len(body)), "X-Delivery: " + id, "X-HMAC-HASH: " + sign(keyText, body)}, body))
	}
}

// patch changes a FlowRun as somebody of that name does.
func patch(t *testing.T, run *sluicev1alpha1.FlowRun, manager, change string, subresource ...string) {
	t.Helper()
	body := client.RawPatch(types.MergePatchType, []byte(change))
	var err error
	if len(subresource) > 0 {
		err = env.Client.SubResource(subresource[0]).Patch(t.Context(), run, body, client.FieldOwner(manager))
	} else {
		err = env.Client.Patch(t.Context(), run, body, client.FieldOwner(manager))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkNotAcknowledged sends a delivery again whose record is not to be counted on.
func checkNotAcknowledged(t *testing.T, reason string, r reply) {
	t.Helper()
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("%s: answer is %d with Retry-After %q, want 503 with some: %s", reason, r.status, r.header.Get("Retry-After"), r.body)
	}
}

// TestRunThatGoesIsNoRecord repeats deliveries whose FlowRun is about to go, or has lost its
// payload before anybody acted on it: a 2xx would rest on nothing.
func TestRunThatGoesIsNoRecord(t *testing.T) {
	t.Parallel()
	namespace, send := newMemoryWorld(t)
	o := startOperator(t, namespace)
	const body = `{"order": 1001}`
	const drop = `{"spec": {"payload": {"text": null, "state": "Dropped"}}}`

	t.Run("Deleted", func(t *testing.T) {
		run := acceptedRun(t, namespace, send(o, "deleted", body))
		patch(t, run, "somebody", `{"metadata": {"finalizers": ["example.com/hold"]}}`)
		if err := env.Client.Delete(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		checkNotAcknowledged(t, "it waits for a finalizer and will go", send(o, "deleted", body))
		patch(t, run, "somebody", `{"metadata": {"finalizers": null}}`)
		if again := acceptedRun(t, namespace, send(o, "deleted", body)); again.UID == run.UID {
			t.Errorf("the run that was deleted is named")
		}
	})

	t.Run("DroppedByHand", func(t *testing.T) {
		run := acceptedRun(t, namespace, send(o, "dropped", body))
		patch(t, run, "kubectl-patch", drop)
		checkNotAcknowledged(t, "nobody has acted on it, and nobody can any more", send(o, "dropped", body))
		remove(t, run)
		acceptedRun(t, namespace, send(o, "dropped", body))
	})

	t.Run("DroppedByHandLater", func(t *testing.T) {
		run := acceptedRun(t, namespace, send(o, "acted-on", body))
		patch(t, run, "an-executor", `{"status": {"startTime": "2026-01-31T12:00:00Z", "completionTime": "2026-01-31T12:00:01Z"}}`, "status")
		patch(t, run, "kubectl-patch", drop)
		if r := send(o, "acted-on", body); r.status != http.StatusOK {
			t.Errorf("somebody has acted on it before: answer is %d, want 200: %s", r.status, r.body)
		}
	})

	t.Run("DroppedByHistory", func(t *testing.T) {
		run := acceptedRun(t, namespace, send(o, "history", body))
		patch(t, run, "sluice-history", drop)
		if r := send(o, "history", body); r.status != http.StatusOK {
			t.Errorf("it is the memory of the delivery: answer is %d, want 200: %s", r.status, r.body)
		}
	})
}

// TestTerminatingNamespace sends to a namespace that is being deleted, which nothing can be stored
// in any more.
func TestTerminatingNamespace(t *testing.T) {
	t.Parallel()
	namespace, send := newMemoryWorld(t)
	o := startOperator(t, namespace)
	acceptedRun(t, namespace, send(o, "1", "{}"))
	// There is no controller that would go on to delete what is in it.
	if err := env.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, patience, func() error { // the API server takes a moment to see it
		if r := send(o, "another-"+fmt.Sprint(countRuns(t, namespace)), "{}"); r.status != http.StatusServiceUnavailable {
			return fmt.Errorf("answer is %d, want 503: %s", r.status, r.body)
		}
		return nil
	})
	checkNotAcknowledged(t, "a repetition of what was stored goes with the namespace", send(o, "1", "{}"))
}

// TestCapturedRequestUnderFutureID sends a captured request ahead, under an id that the sender will
// use next. The id is not signed, so this cannot be told from a delivery; but the genuine one of
// that id must not be lost for it.
func TestCapturedRequestUnderFutureID(t *testing.T) {
	t.Parallel()
	namespace, send := newMemoryWorld(t)
	o := startOperator(t, namespace)
	const captured, genuine = `{"order": 1001}`, `{"order": 1002}`
	acceptedRun(t, namespace, send(o, "1", captured))
	forged := acceptedRun(t, namespace, send(o, "2", captured))
	run := acceptedRun(t, namespace, send(o, "2", genuine))
	if run.Name == forged.Name || payload(run) != genuine {
		t.Errorf("the genuine delivery is stored as %s with %q", run.Name, payload(run))
	}
	for _, body := range []string{captured, genuine} {
		if r := send(o, "2", body); r.status != http.StatusOK {
			t.Errorf("a repetition is answered %d, want 200: %s", r.status, r.body)
		}
	}
}

// TestEchoIsNoConfirmation puts something between Sluice and the API server that answers a create
// with 201 and what was sent.
func TestEchoIsNoConfirmation(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		return &http.Response{
			Status: "201 Created", StatusCode: http.StatusCreated, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}, err
	}))
	checkNotAcknowledged(t, "nothing is stored", o.mustPost(t, namespace, keyText, "{}"))
	if n := countRuns(t, namespace); n != 0 {
		t.Errorf("there are %d runs", n)
	}
}
