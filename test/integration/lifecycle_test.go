/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	isTrue  = metav1.ConditionTrue
	isFalse = metav1.ConditionFalse
)

// TestAcceptedRequest shows everything of a FlowRun that a request makes.
func TestAcceptedRequest(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	body := `{"order": 1001, "customer": "Zoë"}`

	run := acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, body))

	trigger := makeTrigger(namespace)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(run.Name, triggerName+"-") || len(run.Name) > 63 {
		t.Errorf("the run's name is %q", run.Name)
	}
	if len(run.OwnerReferences) > 0 {
		t.Errorf("the run has owners: deleting the trigger would delete its history")
	}
	if run.Spec.Request.ReceivedAt.IsZero() {
		t.Errorf("the run does not say when it was received")
	}
	run.Spec.Request.ReceivedAt = nil
	want := sluicev1alpha1.FlowRunSpec{
		FlowRef:    sluicev1alpha1.FlowReference{Name: flowName},
		TriggerRef: sluicev1alpha1.TriggerReference{Name: triggerName, UID: string(trigger.UID)},
		Payload: sluicev1alpha1.Payload{
			ContentType: "application/json",
			Text:        body,
			Size:        new(int64(len(body))),
			SHA256:      "bd97e9921fca182698ea037fba4492e784b4565a7e54dc7103b8bde76609478f",
		},
		Request: sluicev1alpha1.Request{SignedBy: secretName + "/" + secretKey},
	}
	if diff := cmp.Diff(want, run.Spec); diff != "" {
		t.Errorf("the run's spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"sluice.dev/trigger": triggerName, "sluice.dev/flow": flowName}, run.Labels); diff != "" {
		t.Errorf("the run's labels (-want +got):\n%s", diff)
	}

	tampered, err := o.post(t.Context(), namespace, sign(keyText, body), strings.Replace(body, "1001", "1002", 1))
	if err != nil {
		t.Fatal(err)
	}
	if tampered.status != http.StatusUnauthorized {
		t.Errorf("a body with one character changed is answered %d, want 401", tampered.status)
	}
	if n := countRuns(t, namespace); n != 1 {
		t.Errorf("there are %d runs, want 1", n)
	}
}

// TestTriggerLifecycle follows a trigger through all that can be done to it.
func TestTriggerLifecycle(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.ExternalURL = "https://hooks.example.com/" }
	})

	o.eventuallyAnswers(t, namespace, keyText, http.StatusNotFound)
	env.Create(t, makeSecret(namespace, keyText), makeFlow(namespace), makeTrigger(namespace))
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	eventuallyCondition(t, namespace, "Accepted", isTrue, sluicev1alpha1.ReasonAccepted)
	eventuallyCondition(t, namespace, "ResolvedRefs", isTrue, sluicev1alpha1.ReasonResolvedRefs)

	trigger := makeTrigger(namespace)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
		t.Fatal(err)
	}
	if want := "https://hooks.example.com/hooks/" + namespace + "/orders"; trigger.Status.URL != want {
		t.Errorf("status.url is %q, want %q", trigger.Status.URL, want)
	}
	if want := "/hooks/" + namespace + "/orders"; trigger.Status.Path != want {
		t.Errorf("status.path is %q, want %q", trigger.Status.Path, want)
	}
	if trigger.Status.ObservedGeneration == nil || *trigger.Status.ObservedGeneration != trigger.Generation {
		t.Errorf("status.observedGeneration is %v, want %d", trigger.Status.ObservedGeneration, trigger.Generation)
	}

	t.Log("another algorithm: the former one's signatures are refused")
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.Algorithm = sluicev1alpha1.AlgorithmRIPEMD128 })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
	r, err := o.post(t.Context(), namespace, signWith(signature.RIPEMD128, keyText, "{}"), "{}")
	if err != nil {
		t.Fatal(err)
	}
	acceptedRun(t, namespace, r)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.Algorithm = sluicev1alpha1.AlgorithmSHA256 })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	t.Log("another Secret")
	other := makeSecret(namespace, "another-key-of-more-than-16-bytes")
	other.Name = "other"
	env.Create(t, other)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.SecretRef.Name = "other" })
	o.eventuallyAnswers(t, namespace, "another-key-of-more-than-16-bytes", http.StatusAccepted)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.SecretRef.Name = secretName })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	t.Log("another Flow: new runs are of that one")
	flow := makeFlow(namespace)
	flow.Name = "export"
	env.Create(t, flow)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.FlowRef.Name = "export" })
	eventuallyRunOf(t, o, namespace, "export")
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.FlowRef.Name = flowName })
	eventuallyRunOf(t, o, namespace, flowName)

	t.Log("suspended, and active again")
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerSuspended })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	if r := o.mustPost(t, namespace, keyText, "{}"); r.header.Get("Retry-After") == "" {
		t.Errorf("503 has no Retry-After")
	}
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonSuspended)
	eventuallyCondition(t, namespace, "ResolvedRefs", isTrue, sluicev1alpha1.ReasonResolvedRefs)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerActive })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)

	t.Log("deleted, with its history kept, and made again")
	before := countRuns(t, namespace)
	remove(t, trigger)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusNotFound)
	if after := countRuns(t, namespace); after < before || before == 0 {
		t.Errorf("%d runs before the trigger was deleted, %d after", before, after)
	}
	env.Create(t, makeTrigger(namespace))
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
}

func eventuallyRunOf(t *testing.T, o *operator, namespace, flow string) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		run := acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
		if run.Spec.FlowRef.Name != flow || run.Labels[sluicev1alpha1.LabelFlow] != flow {
			return fmt.Errorf("the run is of Flow %q, want %q", run.Spec.FlowRef.Name, flow)
		}
		return nil
	})
}

// TestSecretLifecycle follows the Secret of a trigger through all that can happen to it.
func TestSecretLifecycle(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace), makeTrigger(namespace))
	o := startOperator(t, namespace)
	secret := makeSecret(namespace, keyText)
	const newKey = "the-key-after-the-rotation-of-it"

	unusable := func(why, reason, hint string) {
		t.Helper()
		t.Log(why)
		message := eventuallyCondition(t, namespace, "ResolvedRefs", isFalse, reason)
		eventuallyCondition(t, namespace, "Ready", isFalse, reason)
		if !strings.Contains(message, hint) {
			t.Errorf("the message %q does not say %q", message, hint)
		}
		for _, key := range []string{keyText, newKey, "", " ", "\n"} {
			o.eventuallyAnswers(t, namespace, key, http.StatusServiceUnavailable)
		}
	}
	usable := func(why, key, remark string) {
		t.Helper()
		t.Log(why)
		o.eventuallyAnswers(t, namespace, key, http.StatusAccepted)
		testenv.Eventually(t, patience, func() error {
			message := eventuallyCondition(t, namespace, "ResolvedRefs", isTrue, sluicev1alpha1.ReasonResolvedRefs)
			if !strings.Contains(message, remark) {
				return fmt.Errorf("the message %q does not say %q", message, remark)
			}
			return nil
		})
		eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	}
	set := func(key string) {
		t.Helper()
		update(t, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(key)} })
	}

	unusable("missing", sluicev1alpha1.ReasonSecretNotFound, `There is no Secret "webhook"`)
	env.Create(t, secret)
	usable("created", keyText, "")
	set(newKey)
	usable("rotated", newKey, "")
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
	set("")
	unusable("emptied", sluicev1alpha1.ReasonSecretKeyEmpty, "is empty or white space")
	set(" \n\t")
	unusable("blank", sluicev1alpha1.ReasonSecretKeyEmpty, "is empty or white space")
	set(newKey + "\n")
	usable("with a newline at its end", newKey+"\n", "ends in a newline")
	o.eventuallyAnswers(t, namespace, newKey, http.StatusUnauthorized)
	set("short")
	usable("short", "short", "is weak")
	set(strings.Repeat("k", 4097))
	unusable("too long", sluicev1alpha1.ReasonSecretKeyTooLong, "longer than 4096 bytes")
	set(strings.Repeat("k", 4096))
	usable("of the longest length", strings.Repeat("k", 4096), "")
	update(t, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{"password": []byte(keyText)} })
	unusable("without the entry", sluicev1alpha1.ReasonSecretKeyNotFound, `no key "secretKey"`)
	set(keyText)
	usable("mended", keyText, "")
	remove(t, secret)
	unusable("deleted", sluicev1alpha1.ReasonSecretNotFound, `There is no Secret "webhook"`)
	env.Create(t, makeSecret(namespace, newKey))
	usable("made again with another key", newKey, "")
	o.eventuallyAnswers(t, namespace, keyText, http.StatusUnauthorized)
}

// TestFlowLifecycle follows the Flow of a trigger.
func TestFlowLifecycle(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	env.Create(t, makeSecret(namespace, keyText), makeTrigger(namespace))
	o := startOperator(t, namespace)

	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonFlowNotFound)
	eventuallyCondition(t, namespace, "ResolvedRefs", isFalse, sluicev1alpha1.ReasonFlowNotFound)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)

	flow := makeFlow(namespace)
	env.Create(t, flow)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)

	update(t, flow, func(f *sluicev1alpha1.Flow) { f.Spec.State = sluicev1alpha1.FlowDisabled })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonFlowDisabled)
	eventuallyCondition(t, namespace, "ResolvedRefs", isTrue, sluicev1alpha1.ReasonResolvedRefs)

	update(t, flow, func(f *sluicev1alpha1.Flow) { f.Spec.State = sluicev1alpha1.FlowEnabled })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	remove(t, flow)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	message := eventuallyCondition(t, namespace, "ResolvedRefs", isFalse, sluicev1alpha1.ReasonFlowNotFound)
	if want := `There is no Flow "import"`; !strings.Contains(message, want) {
		t.Errorf("the message %q does not say %q", message, want)
	}
	env.Create(t, makeFlow(namespace))
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
}

// TestSettledStatusIsNotWritten shows that a status which says all it has to is left alone, which
// kstatus and GitOps tools rest on, and that it has no conditions but the three.
func TestSettledStatusIsNotWritten(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	startOperator(t, namespace)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	trigger := makeTrigger(namespace)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
		t.Fatal(err)
	}
	settled := trigger.ResourceVersion

	// A Secret's label changes nothing, but wakes the controller; the trigger's own change
	// afterwards shows that it has been through.
	update(t, makeSecret(namespace, keyText), func(s *corev1.Secret) { s.Labels = map[string]string{"seen": "yes"} })
	second := startOperator(t, namespace) // whose status controller goes through all triggers when it is elected
	_ = second
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
		t.Fatal(err)
	}
	if trigger.ResourceVersion != settled {
		t.Errorf("a settled trigger was written")
	}
	var kinds []string
	for _, c := range trigger.Status.Conditions {
		kinds = append(kinds, c.Type)
	}
	if diff := cmp.Diff([]string{"Ready", "Accepted", "ResolvedRefs"}, kinds); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if !apimeta.IsStatusConditionTrue(trigger.Status.Conditions, "Ready") {
		t.Errorf("the trigger is not ready")
	}
}

// TestSettled shows that an operator of either role says, once it is ready, that it has settled,
// and says it once.
func TestSettled(t *testing.T) {
	t.Parallel()
	for _, role := range []app.Role{app.RoleIngest, app.RoleController} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			settled := make(chan struct{}, 2)
			o := startOperator(t, newWorld(t), func(c *operatorConfig) {
				c.options = func(options *app.Options) {
					options.Role, options.SettleTime, options.Settled = role, time.Millisecond, func() { settled <- struct{}{} }
				}
			})
			select {
			case <-settled:
			case <-time.After(patience):
				t.Error("it has not settled")
			}
			o.stop()
			<-o.done
			if len(settled) > 0 {
				t.Error("it has settled twice")
			}
		})
	}
}
