/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// TestHistory follows two requests until their FlowRuns are due: of one that is recognised when it
// is repeated the payload goes, and of one that is not, the run. The operator has the permissions
// of config/rbac for it.
func TestHistory(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	update(t, makeFlow(namespace), func(f *sluicev1alpha1.Flow) {
		f.Spec.History.TTLSecondsAfterReceived, f.Spec.History.PayloadTTLSeconds = 1, new(int32(0))
	})
	o := startOperator(t, namespace)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	update(t, makeTrigger(namespace), func(trigger *sluicev1alpha1.WebhookTrigger) {
		trigger.Spec.Deduplication = sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateBySignature, WindowSeconds: 3600}
	})
	const body = `{"remembered": true}`
	testenv.Eventually(t, patience, func() error { // until the route has it
		if r := o.mustPost(t, namespace, keyText, body); r.status != http.StatusOK {
			return fmt.Errorf("the answer is %d %s", r.status, r.body)
		}
		return nil
	})

	testenv.Eventually(t, patience, func() error {
		var runs sluicev1alpha1.FlowRunList
		if err := env.Client.List(t.Context(), &runs, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(runs.Items) != 1 || runs.Items[0].Spec.Payload.State != sluicev1alpha1.PayloadDropped {
			return fmt.Errorf("there are %d runs", len(runs.Items))
		}
		return nil
	})
	if r := o.mustPost(t, namespace, keyText, body); r.status != http.StatusOK {
		t.Errorf("the repetition of a delivery whose payload is gone is answered %d %s", r.status, r.body)
	}
	var run sluicev1alpha1.FlowRunList
	if err := env.Client.List(t.Context(), &run, client.InNamespace(namespace)); err != nil || len(run.Items) != 1 {
		t.Fatalf("there are %d runs: %v", len(run.Items), err)
	}
	if run.Items[0].Spec.Request.DeliveryID == "" {
		t.Errorf("the run that is left is not the one that is recognised: %+v", run.Items[0].Spec.Request)
	}
	until, err := time.Parse(time.RFC3339, run.Items[0].Annotations[sluicev1alpha1.AnnotationRetainUntil])
	if received := run.Items[0].Spec.Request.ReceivedAt.Time; err != nil || until.Before(received.Add(time.Hour)) || until.After(received.Add(time.Hour+time.Second)) {
		t.Errorf("the run that was received at %s is kept until %s: %v", received, until, err)
	}
}
