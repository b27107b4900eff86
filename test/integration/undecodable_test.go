/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// poison returns an object as the API server would have stored it.
func poison(tb testing.TB, object client.Object, kind, name string) *unstructured.Unstructured {
	tb.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		tb.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind(kind))
	u.SetName(name)
	u.SetUID(uuid.NewUUID())
	u.SetGeneration(1)
	u.SetCreationTimestamp(metav1.Now())
	return u
}

// put changes the value at a path such as a.b.*.c, whatever is on the way. "*" stands for the only
// element of a list.
func put(fields map[string]any, path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		fields[name] = value
		return
	}
	if rest == "*" {
		fields[name] = []any{value}
		return
	}
	child, ok := fields[name].(map[string]any)
	if !ok {
		child = map[string]any{}
	}
	fields[name] = child
	if inElement, ok := strings.CutPrefix(rest, "*."); ok {
		fields[name], rest = []any{child}, inElement
	}
	put(child, rest, value)
}

// fieldsOf returns the paths of all fields below spec and status in the CustomResourceDefinition of
// a resource, and their types.
func fieldsOf(tb testing.TB, resource string) map[string]string {
	tb.Helper()
	definition := readObjects(tb, filepath.Join(testenv.Root(), "config", "crd", "bases", "sluice.dev_"+resource+".yaml"))[0]
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		tb.Fatalf("the versions of %s are %v, %v", resource, versions, err)
	}
	found := map[string]string{}
	var walk func(path string, schema map[string]any)
	walk = func(path string, schema map[string]any) {
		kind, _ := schema["type"].(string)
		found[path] = kind
		properties, _ := schema["properties"].(map[string]any)
		for name, child := range properties {
			child, _ := child.(map[string]any)
			walk(path+"."+name, child)
		}
		if items, ok := schema["items"].(map[string]any); ok {
			walk(path+".*", items)
		}
	}
	version, _ := versions[0].(map[string]any)
	for _, part := range []string{"spec", "status"} {
		schema, ok, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", part)
		if err != nil {
			tb.Fatal(err)
		}
		if ok {
			walk(part, schema)
		}
	}
	return found
}

// otherValues are what a field of that type is not.
func otherValues(kind string) []any {
	values := map[string]any{
		"string":  "another version's",
		"integer": int64(-1),
		"array":   []any{"another", int64(7)},
		"object":  map[string]any{"another": map[string]any{"version": "'s"}},
	}
	var others []any
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name != kind {
			others = append(others, values[name])
		}
	}
	switch kind { // and what it is not allowed to be
	case "string":
		others = append(others, strings.Repeat("x", 40_000), "../..\x00\u2028")
	case "integer":
		others = append(others, int64(-1), 1.5e300)
	}
	return append(others, nil)
}

// TestStoredPoison puts objects into etcd that the API server would not have accepted, but hands
// out: for every field of every kind, values of the types that the field does not have. An operator
// starts among them, is ready, and serves the good trigger; and it goes on following what changes.
//
// CVE-2026-40886: an annotation of a stored Workflow made Argo's controller crash at every start.
func TestStoredPoison(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var triggers []string
	count := 0
	add := func(resource, kind string, good client.Object, path string, value any) string {
		count++
		name := fmt.Sprintf("poison-%d", count)
		object := poison(t, good, kind, name)
		put(object.Object, path, value)
		env.Store(t, resource, object)
		return name
	}
	for path, kind := range fieldsOf(t, "webhooktriggers") {
		for _, value := range otherValues(kind) {
			triggers = append(triggers, add("webhooktriggers", "WebhookTrigger", makeTrigger(namespace), path, value))
		}
	}
	var kept []string // finished runs of Flows that do not say for how long to keep them
	var expired string
	for path, kind := range fieldsOf(t, "flows") {
		for _, value := range otherValues(kind) {
			trigger := makeTrigger(namespace)
			flow := add("flows", "Flow", makeFlow(namespace), path, value)
			trigger.Spec.FlowRef.Name, trigger.Name = flow, "of-"+flow
			env.Create(t, trigger)
			triggers = append(triggers, trigger.Name)

			unknown := path == "spec" && value != nil
			if number, ok := value.(int64); strings.HasPrefix(path, "spec.history.") {
				unknown = !ok && value != nil || number < 0
			}
			for age, created := range map[string]time.Time{"old": time.Now().AddDate(-1, 0, 0), "new": time.Now().Add(-time.Hour)} {
				run := poison(t, makeRun(namespace), "FlowRun", age+"-of-"+flow)
				run.SetCreationTimestamp(metav1.NewTime(created))
				put(run.Object, "spec.flowRef.name", flow)
				put(run.Object, "status.completionTime", created.UTC().Format(time.RFC3339))
				env.Store(t, "flowruns", run)
				switch {
				case unknown:
					kept = append(kept, run.GetName())
				case age == "old":
					expired = run.GetName()
				}
			}
		}
	}
	for path, kind := range fieldsOf(t, "flowruns") {
		for _, value := range otherValues(kind) {
			add("flowruns", "FlowRun", makeRun(namespace), path, value)
		}
	}
	if stdout, stderr, err := env.Kubectl(t, "", "get", "wht,flows,fr", "-n", namespace, "-o", "name"); err != nil || strings.Count(stdout, "/poison-") != count || count < 300 {
		t.Fatalf("the API server does not hand out %d objects: %v: %s", count, err, stderr)
	}

	o := startOperator(t, namespace)
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	answers := map[int]int{}
	for _, trigger := range triggers {
		path := "/hooks/" + namespace + "/" + trigger
		// A value that makes no difference, such as null, leaves a trigger that can serve.
		r := exchange(t, o, rawRequest("POST", path, []string{contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{}"))
		switch answers[r.status]++; r.status {
		case http.StatusAccepted, http.StatusUnauthorized, http.StatusServiceUnavailable, http.StatusUnprocessableEntity:
		default:
			t.Errorf("%s: answer is %d: %s", trigger, r.status, r.body)
		}
		r = exchange(t, o, rawRequest("POST", path, []string{contentLength(2), "X-HMAC-HASH: " + forge("", "{}")}, "{}"))
		if r.status != http.StatusUnauthorized && r.status != http.StatusServiceUnavailable {
			t.Errorf("%s, signed with no key: answer is %d: %s", trigger, r.status, r.body)
		}
	}
	if answers[http.StatusServiceUnavailable] < 100 {
		t.Errorf("the answers are %v: most triggers should not be able to serve", answers)
	}

	t.Log("what comes now is behind poison in the same watch")
	add("flows", "Flow", makeFlow(namespace), "spec", "poison")
	add("webhooktriggers", "WebhookTrigger", makeTrigger(namespace), "spec.secretRef", "poison")
	trigger := makeTrigger(namespace)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerSuspended })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerActive })
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	t.Log("runs are deleted by the history of their Flow, unless that cannot be read")
	testenv.Eventually(t, patience, func() error {
		run := &sluicev1alpha1.FlowRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: expired}}
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(run), run); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there: %w", expired, err)
		}
		return nil
	})
	for _, name := range kept {
		run := &sluicev1alpha1.FlowRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(run), run); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, trouble := range []string{"Observed a panic", "Reconciler error", "Panic while"} {
		if strings.Contains(o.logs.String(), trouble) {
			t.Errorf("the log tells of %q", trouble)
		}
	}
}

// TestPoisonIsReported shows what the owner of a trigger sees that was stored under another version
// of its CustomResourceDefinition, or whose Flow was.
func TestPoisonIsReported(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason    string
		flow      bool // the Flow is changed rather than the trigger
		path      string
		value     any
		status    int // of the answer to a genuine request
		condition string
		why       string
		says      string
	}{
		"flow-ref":     {reason: "a reference that was a name", path: "spec.flowRef", value: flowName, status: 503, condition: "Accepted", why: sluicev1alpha1.ReasonInvalidSpec, says: "The spec cannot be read"},
		"refs":         {reason: "a list that was a map", path: "spec.additionalSecretRefs", value: map[string]any{"a": "b"}, status: 503, condition: "Accepted", why: sluicev1alpha1.ReasonInvalidSpec, says: "Apply it again"},
		"no-spec":      {reason: "no spec at all", path: "spec", value: nil, status: 503, condition: "Ready", why: sluicev1alpha1.ReasonInvalidScheme, says: "algorithm"},
		"no-secret":    {reason: "a field that was added since", path: "spec.secretRef", value: map[string]any{}, status: 503, condition: "ResolvedRefs", why: sluicev1alpha1.ReasonSecretNotFound, says: `no Secret ""`},
		"secret-path":  {reason: "a name that no client sends", path: "spec.secretRef.name", value: "../secrets/other", status: 503, condition: "ResolvedRefs", why: sluicev1alpha1.ReasonSecretNotFound, says: "no Secret"},
		"state":        {reason: "an unknown state is not Active", path: "spec.state", value: "Paused", status: 503, condition: "Accepted", why: sluicev1alpha1.ReasonInvalidSpec, says: "spec.state is neither"},
		"answer":       {reason: "net/http panics at a status below 100", path: "spec.response.status", value: int64(99), status: 503, condition: "Accepted", why: sluicev1alpha1.ReasonInvalidSpec, says: "spec.response.status"},
		"status":       {reason: "the status is the controller's, and is written anew", path: "status.conditions", value: "all is well", status: 202, condition: "Ready", why: sluicev1alpha1.ReasonReady},
		"flow-spec":    {reason: "nobody knows whether it is Enabled", flow: true, path: "spec", value: "Disabled", status: 503, condition: "Ready", why: sluicev1alpha1.ReasonFlowDisabled, says: "its spec cannot be read"},
		"flow-state":   {reason: "an unknown state is not Enabled", flow: true, path: "spec.state", value: "Paused", status: 503, condition: "Ready", why: sluicev1alpha1.ReasonFlowDisabled, says: "its spec cannot be read"},
		"long-message": {reason: "a condition and an Event are bounded", path: "spec.secretRef.name", value: strings.Repeat("x", 100_000), status: 503, condition: "ResolvedRefs", why: sluicev1alpha1.ReasonSecretNotFound, says: "xxx"},
	}
	namespace := newWorld(t)
	for name, tc := range cases {
		trigger, flow := poison(t, makeTrigger(namespace), "WebhookTrigger", name), poison(t, makeFlow(namespace), "Flow", name)
		put(trigger.Object, "spec.flowRef.name", name)
		changed := trigger
		if tc.flow {
			changed = flow
		}
		put(changed.Object, tc.path, tc.value)
		env.Store(t, "webhooktriggers", trigger)
		env.Store(t, "flows", flow)
	}
	o := startOperator(t, namespace)
	for name, tc := range cases {
		r := exchange(t, o, rawRequest("POST", "/hooks/"+namespace+"/"+name, []string{contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{}"))
		if r.status != tc.status {
			t.Errorf("%s (%s): answer is %d, want %d: %s", name, tc.reason, r.status, tc.status, r.body)
		}
		testenv.Eventually(t, patience, func() error {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("WebhookTrigger"))
			if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
				return err
			}
			conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
			for _, c := range conditions {
				c, _ := c.(map[string]any)
				if message, _ := c["message"].(string); c["type"] == tc.condition && c["reason"] == tc.why && strings.Contains(message, tc.says) {
					return nil
				}
			}
			// Where the API server refuses every write because of the spec, there is an Event
			// instead.
			events, _, kubectlErr := env.Kubectl(t, "", "get", "events", "-n", namespace, "--field-selector", "involvedObject.name="+name, "-o", "jsonpath={.items[*].reason}: {.items[*].message}")
			if strings.Contains(events, tc.why) && strings.Contains(events, tc.says) {
				return nil
			}
			return fmt.Errorf("%s (%s): the conditions are %.500v (%w), the Events %.500s (%w); want %s and %q", name, tc.reason, conditions, err, events, kubectlErr, tc.why, tc.says)
		})
	}
}

// TestStoredOddities has somebody make by hand every odd object that the API server accepts. An
// operator starts among them, is ready, and serves those that can be.
func TestStoredOddities(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	long := strings.Repeat("x", 200<<10)
	finalizer := []string{"example.com/never"}
	owner := []metav1.OwnerReference{{APIVersion: "example.com/v9", Kind: "Gone", Name: "gone", UID: "no-such-uid"}}
	everything := map[string]string{
		"example.com/long": long, "example.com/json": `{"a": [`, "example.com/control": "\x00\x1f\u2028\ufffd", "example.com/empty": "",
		corev1.LastAppliedConfigAnnotation: long[:40<<10],
	}

	runs := map[string]func(*sluicev1alpha1.FlowRun){
		"bare":       func(*sluicev1alpha1.FlowRun) {},
		"annotated":  func(r *sluicev1alpha1.FlowRun) { r.Annotations = everything },
		"finalizer":  func(r *sluicev1alpha1.FlowRun) { r.Finalizers = finalizer },
		"owned":      func(r *sluicev1alpha1.FlowRun) { r.OwnerReferences = owner },
		"other-flow": func(r *sluicev1alpha1.FlowRun) { r.Spec.FlowRef.Name = "no-such-flow" },
		"no-trigger": func(r *sluicev1alpha1.FlowRun) {
			r.Labels = map[string]string{sluicev1alpha1.LabelTrigger: "no-such-trigger"}
		},
		"empty-labels": func(r *sluicev1alpha1.FlowRun) {
			r.Labels = map[string]string{sluicev1alpha1.LabelTrigger: "", sluicev1alpha1.LabelFlow: ""}
		},
		"long-key": func(r *sluicev1alpha1.FlowRun) {
			r.Labels = map[string]string{sluicev1alpha1.LabelTrigger: triggerName}
			r.Annotations = map[string]string{sluicev1alpha1.AnnotationSignedBy: long, sluicev1alpha1.AnnotationPayloadSHA256: long[:1000]}
		},
		"odd-key": func(r *sluicev1alpha1.FlowRun) {
			r.Labels = map[string]string{sluicev1alpha1.LabelTrigger: triggerName}
			r.Annotations = map[string]string{sluicev1alpha1.AnnotationSignedBy: "\x00\u2028/../..", sluicev1alpha1.AnnotationPayloadSHA256: "not a digest"}
		},
		"many-labels": func(r *sluicev1alpha1.FlowRun) {
			r.Labels = map[string]string{sluicev1alpha1.LabelTrigger: triggerName}
			for i := range 500 {
				r.Labels[fmt.Sprintf("example.com/label-%d", i)] = strings.Repeat("v", 63)
			}
		},
	}
	for name, change := range runs {
		run := makeRun(namespace)
		run.Name = name
		change(run)
		env.Create(t, run)
		if len(run.Finalizers) > 0 {
			remove(t, run) // and it stays
		}
	}

	cases := map[string]struct {
		reason string
		secret func(*corev1.Secret)
		flow   func(*sluicev1alpha1.Flow)
		change func(*sluicev1alpha1.WebhookTrigger)
		delete func(*sluicev1alpha1.WebhookTrigger, *sluicev1alpha1.Flow, *corev1.Secret) client.Object
		status int
	}{
		"annotated":        {reason: "annotations mean nothing", change: func(w *sluicev1alpha1.WebhookTrigger) { w.Annotations = everything }, status: 202},
		"owned":            {reason: "nor do owners", change: func(w *sluicev1alpha1.WebhookTrigger) { w.OwnerReferences = owner }, status: 202},
		"annotated-flow":   {reason: "nor those of a Flow", flow: func(f *sluicev1alpha1.Flow) { f.Annotations, f.OwnerReferences = everything, owner }, status: 202},
		"annotated-secret": {reason: "nor those of a Secret", secret: func(s *corev1.Secret) { s.Annotations, s.OwnerReferences = everything, owner }, status: 202},
		"called-unreadable": {reason: "whether a spec can be decoded is for the operator to say", change: func(w *sluicev1alpha1.WebhookTrigger) {
			w.Annotations = map[string]string{"sluice.dev/unreadable": "spec"}
		}, status: 202},
		"flow-so-called":     {reason: "and so with a Flow", flow: func(f *sluicev1alpha1.Flow) { f.Annotations = map[string]string{"sluice.dev/unreadable": "spec"} }, status: 202},
		"immutable-secret":   {reason: "a Secret that never changes", secret: func(s *corev1.Secret) { s.Immutable = new(true) }, status: 202},
		"odd-secret-type":    {reason: "the type of a Secret means nothing", secret: func(s *corev1.Secret) { s.Type = "example.com/odd" }, status: 202},
		"secret-of-no-bytes": {reason: "an entry without bytes", secret: func(s *corev1.Secret) { s.Data[secretKey] = nil }, status: 503},
		"secret-of-nuls":     {reason: "HMAC pads with NUL: it is the empty key", secret: func(s *corev1.Secret) { s.Data[secretKey] = make([]byte, 64) }, status: 503},
		"no-utf8":            {reason: "a key is bytes", secret: func(s *corev1.Secret) { s.Data[secretKey] = []byte("\xff\xfe\x00 a key that is no text") }, status: 401},
		"long-secret":        {reason: "a key of 900 kB", secret: func(s *corev1.Secret) { s.Data[secretKey] = []byte(strings.Repeat("k", 900_000)) }, status: 503},
		"many-entries": {
			reason: "of thousands of entries one is used", status: 202,
			secret: func(s *corev1.Secret) {
				for i := range 5000 {
					s.Data[fmt.Sprintf("entry-%d", i)] = []byte("x")
				}
			},
		},
		"missing-keys": {
			reason: "additional keys that are not there are passed over", status: 202,
			change: func(w *sluicev1alpha1.WebhookTrigger) {
				for i := range 8 {
					w.Spec.AdditionalSecretRefs = append(w.Spec.AdditionalSecretRefs, sluicev1alpha1.SecretKeyReference{Name: fmt.Sprintf("%s-%d", strings.Repeat("s", 200), i), Key: strings.Repeat("k", 253)})
				}
			},
		},
		"deleted-trigger": {
			reason: "a trigger that only waits for a finalizer is gone", status: 404,
			change: func(w *sluicev1alpha1.WebhookTrigger) { w.Finalizers = finalizer },
			delete: func(w *sluicev1alpha1.WebhookTrigger, _ *sluicev1alpha1.Flow, _ *corev1.Secret) client.Object {
				return w
			},
		},
		"deleted-flow": {
			reason: "a Flow that waits for a finalizer is to be started no more", status: 503,
			flow: func(f *sluicev1alpha1.Flow) { f.Finalizers = finalizer },
			delete: func(_ *sluicev1alpha1.WebhookTrigger, f *sluicev1alpha1.Flow, _ *corev1.Secret) client.Object {
				return f
			},
		},
		"deleted-secret": {
			reason: "who deletes a key wants it to be good no longer", status: 503,
			secret: func(s *corev1.Secret) { s.Finalizers = finalizer },
			delete: func(_ *sluicev1alpha1.WebhookTrigger, _ *sluicev1alpha1.Flow, s *corev1.Secret) client.Object {
				return s
			},
		},
	}
	for name, tc := range cases {
		trigger, flow, secret := makeTrigger(namespace), makeFlow(namespace), makeSecret(namespace, keyText)
		trigger.Name, flow.Name, secret.Name = name, name, name
		trigger.Spec.FlowRef.Name, trigger.Spec.SecretRef.Name = name, name
		if tc.secret != nil {
			tc.secret(secret)
		}
		if tc.flow != nil {
			tc.flow(flow)
		}
		if tc.change != nil {
			tc.change(trigger)
		}
		env.Create(t, secret, flow, trigger)
		if tc.delete != nil {
			remove(t, tc.delete(trigger, flow, secret))
		}
	}

	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.KeyUsagePeriod = 50 * time.Millisecond } // so that the runs are made use of
	})
	acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	for name, tc := range cases {
		r := exchange(t, o, rawRequest("POST", "/hooks/"+namespace+"/"+name, []string{contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{}"))
		if r.status != tc.status {
			t.Errorf("%s (%s): answer is %d, want %d: %s", name, tc.reason, r.status, tc.status, r.body)
		}
	}
	trigger := makeTrigger(namespace)
	testenv.Eventually(t, patience, func() error {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		if keys := trigger.Status.Keys; len(keys) != 1 || keys[0].LastMatchedTime == nil {
			return fmt.Errorf("the status of the keys is %+v", keys)
		}
		return nil
	})
	for _, trouble := range []string{"Observed a panic", "Reconciler error", "Panic while"} {
		if strings.Contains(o.logs.String(), trouble) {
			t.Errorf("the log tells of %q", trouble)
		}
	}
}

// makeRun is a FlowRun as somebody may make it by hand.
func makeRun(namespace string) *sluicev1alpha1.FlowRun {
	run := wrappers.FlowRun(namespace, "").Flow(flowName).Obj()
	run.GenerateName = "by-hand-"
	return run
}
