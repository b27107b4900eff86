/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// What users read when a name is malformed.
const (
	flowNameMessage   = "name must be the name of a Flow: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	secretNameMessage = "name must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	secretKeyMessage  = "key must be a key of the Secret's data: letters, digits, '-', '_' and '.', but neither '.' alone nor '..' at the beginning"
)

func triggerFields() []fieldCases {
	return []fieldCases{
		mapping("spec", "SHA-256").required().empty("spec.flowRef: Required value", "spec.secretRef: Required value"),
		mapping("spec.flowRef", "import-orders").required().empty("spec.flowRef.name: Required value"),
		text("spec.flowRef.name", 1, 63).required().pattern(flowNameMessage).
			refuse("no Flow is called so", values{
				"with dot": "a.b", "of dots": "..", "in upper case": "Import", "begins with dash": "-a", "ends with dash": "a-", "with underscore": "a_b",
			}, flowNameMessage).
			accept("a Flow may be called so", values{"shortest": "a", "longest with digit": letters(62) + "9", "of digits": "0123", "with dashes": "a--b-c"}),
		mapping("spec.secretRef", "orders-webhook").required().empty("spec.secretRef.name: Required value", "spec.secretRef.key: Required value"),
		text("spec.secretRef.name", 1, 253).required().pattern(secretNameMessage),
		text("spec.secretRef.key", 1, 253).required().pattern(secretKeyMessage).
			refuse("keys are text, quoted in YAML if they look like numbers", values{"is 1": int64(1)}, "must be of type string").
			refuse("no Secret has such a key", values{"of two dots": ".."}, secretKeyMessage),
		enum("spec.state", "Active", "Active", "Suspended").optional("Active").
			unsupported("values have a case", oneOf("Active", "Suspended"), values{"without a capital": "suspended"}).
			unsupported("Disabled is what a Flow is", oneOf("Active", "Suspended"), values{"of a Flow": "Disabled"}).
			refuse("false is no state", values{"is false": false}, "must be of type string", oneOf("Active", "Suspended")),
	}
}

func TestWebhookTriggerRefused(t *testing.T) {
	t.Parallel()
	algorithm := casesOf("spec.algorithm").
		say("the scheme is a choice that nobody makes for the user", values{"absent": absent{}, "null": nil}, "spec: Invalid value", oneSchemeMessage).
		refuse("an algorithm is a name", values{"is a number": int64(256)}, "must be of type string").
		refuse("there is one algorithm", values{"is a list": []any{"SHA-256", "RIPEMD-128"}}, "must be of type string")
	for reason, value := range map[string]string{
		"the empty text is no algorithm":            "",
		"there is a dash in the name":               "SHA256",
		"names have a case":                         "sha-256",
		"a blank at the end does not go unnoticed":  "SHA-256 ",
		"a line break does not go unnoticed":        "SHA-256\n",
		"a hyphen that only looks the same is none": "SHA\u2010256",
		"MD5 is not offered":                        "MD5",
		"SHA-224 is not offered":                    "SHA-224",
		"no algorithm is none":                      "none",
		"Ed25519 is no HMAC: it is for a signature": "Ed25519",
		"a token is no HMAC: it is for a signature": "Token",
	} {
		algorithm.unsupported(reason, oneOf(hashes...), values{fmt.Sprintf("%q", value): value})
	}
	testBadFields(t, triggerYAML, merge(
		refused(triggerFields()...), algorithm.bad,
		unknown("spec.enabled", true), unknown("spec.flowref", map[string]any{"name": "a"}),
		unknown("algorithm", "SHA-256"),                                                          // the wrong indentation
		unknown("spec.flowRef.namespace", "other"), unknown("spec.secretRef.namespace", "other"), // references stay within the namespace
	))
}

func TestWebhookTriggerAccepted(t *testing.T) {
	t.Parallel()
	unseen := map[string]any{"observedGeneration": int64(-1)}
	testGoodFields(t, triggerYAML, merge(accepted(triggerFields()...), map[string]goodField{
		"unchanged":    {reason: "the good object is good", field: "spec.algorithm", value: "SHA-256"},
		"no state":     {reason: "a trigger is active unless it says otherwise", field: "metadata.labels", value: map[string]any{"a": "b"}},
		"status null":  {reason: "status is not for users, and null is nothing", field: "status", value: nil, want: unseen},
		"status empty": {reason: "generated YAML often ends with an empty status", field: "status", value: map[string]any{}, want: unseen},
		"status of another object": {
			reason: "YAML that was copied from a cluster has a status, which must not count",
			field:  "status", want: unseen,
			value: map[string]any{"observedGeneration": int64(1), "path": "/hooks/other/orders", "url": "https://other.example.com/"},
		},
	}))
}

// TestSecretReference compares what a trigger can refer to with what the API server lets a Secret
// be: to refuse less lets typing errors through, to refuse more makes a Secret unusable.
func TestSecretReference(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	names := []string{
		"a", "0", "a.b", "a-b.c-d.0", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a-.b", "A", "a_b", "a/b", "..", ".", " a", "a\n", "ä", "a:b",
		letters(63) + "." + letters(64), letters(253), letters(254),
	}
	for _, name := range names {
		trigger := parse(t, namespace, triggerYAML)
		set(t, trigger, "spec.secretRef.name", name)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		checkSame(t, fmt.Sprintf("the name %q", name), trigger, secret)
	}
	keys := []string{
		"a", "A", "0", "-", "_", "secretKey", "secret.key", "a..b", "a.", ".a", ".", "..", "...", "..a", "..data", "-a-", "a b", "a/b", "a\n", "ä", "a:b", "a=b", "*",
		letters(253), letters(254),
	}
	for _, key := range keys {
		trigger := parse(t, namespace, triggerYAML)
		set(t, trigger, "spec.secretRef.key", key)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}, Data: map[string][]byte{key: {1}}}
		checkSame(t, fmt.Sprintf("the key %q", key), trigger, secret)
	}
}

// TestFlowReference compares what a trigger can refer to with what a Flow can be called, and with
// what a run can refer to.
func TestFlowReference(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	for _, name := range []string{
		"a", "0", "a-b", "a--b", "a.b", "-a", "a-", "A", "a_b", "a/b", "..", " a", "a\n", "ä", letters(63), letters(64), letters(253),
	} {
		trigger := parse(t, namespace, triggerYAML)
		set(t, trigger, "spec.flowRef.name", name)
		run := parse(t, namespace, runYAML)
		set(t, run, "spec.flowRef.name", name)
		flow := parse(t, namespace, flowYAML)
		flow.SetName(name)
		checkSame(t, fmt.Sprintf("the name %q", name), trigger, flow)
		checkSame(t, fmt.Sprintf("the name %q", name), run, flow)
	}
}

// TestTriggerReference compares what a run can refer to with what a trigger can be called: ingest
// makes such a run of every trigger that there can be, and has lost the request if that is refused.
func TestTriggerReference(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	for _, name := range []string{
		"a", "0", "a-b", "a--b", "a.b", "-a", "a-", "A", "a_b", "a/b", "..", " a", "a\n", "ä", letters(63), letters(64), letters(253),
	} {
		run := parse(t, namespace, runYAML)
		set(t, run, "spec.triggerRef.name", name)
		trigger := parse(t, namespace, triggerYAML)
		trigger.SetName(name)
		checkSame(t, fmt.Sprintf("the name %q", name), run, trigger)
	}
}

// checkSame fails the test unless the API server accepts either both objects or neither.
func checkSame(t *testing.T, what string, referrer, referent client.Object) {
	t.Helper()
	referrerErr := env.Client.Create(t.Context(), referrer, client.DryRunAll, strict)
	referentErr := env.Client.Create(t.Context(), referent, client.DryRunAll, strict)
	if (referrerErr == nil) != (referentErr == nil) {
		t.Errorf("%s: to refer to it gives %v, to have it gives %v", what, referrerErr, referentErr)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	const ownRule = "metadata.name must be at most 63 lower-case letters, digits and '-'"
	const advice = "choose a shorter name without '.'"
	const invalid = "metadata.name: Invalid value"
	cases := map[string]struct {
		reason string
		name   string
		want   []string // of what the user reads; none if the name is good
	}{
		"63 characters":  {reason: "the longest label value, of which the names of runs are made as well", name: letters(63)},
		"64 characters":  {reason: "a label value cannot be so long", name: letters(64), want: []string{ownRule, advice}},
		"253 characters": {reason: "a name that the API server lets other kinds have", name: letters(253), want: []string{ownRule, advice}},
		"254 characters": {reason: "a name that no object may have", name: letters(254), want: []string{invalid}},
		"1 character":    {reason: "the shortest name", name: "a"},
		"digits":         {reason: "a name may look like a number", name: "2026"},
		"dashes":         {reason: "dashes inside a name", name: "a--b-c"},
		"dot":            {reason: "a name that the API server lets other kinds have", name: "orders.eu", want: []string{ownRule, advice}},
		"upper case":     {reason: "no name has upper case", name: "Orders", want: []string{invalid, ownRule}},
		"dash at end":    {reason: "no name ends so", name: "orders-", want: []string{invalid, ownRule}},
		"slash":          {reason: "a name cannot reach into another path", name: "a/b", want: []string{invalid}},
		"parent folder":  {reason: "a name cannot reach into another path", name: "..", want: []string{invalid}},
		"umlaut":         {reason: "names are ASCII", name: "bestellung-ä", want: []string{invalid}},
		"line break":     {reason: "names have no white space", name: "orders\n", want: []string{invalid}},
	}
	for kind, good := range map[string]string{"WebhookTrigger": triggerYAML, "Flow": flowYAML} {
		for name, tc := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				object := parse(t, env.Namespace(t), good)
				object.SetName(tc.name)
				err := env.Client.Create(t.Context(), object, strict)
				if len(tc.want) > 0 {
					checkRefused(t, tc.reason, err, tc.want...)
				} else if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
			})
		}
		t.Run(kind+"/generated", func(t *testing.T) {
			object := parse(t, env.Namespace(t), good)
			object.SetName("")
			object.SetGenerateName(letters(100) + "-")
			if err := env.Client.Create(t.Context(), object, strict); err != nil {
				t.Errorf("the API server cuts a long prefix so that the name has 63 characters, but refuses it: %v", err)
			}
		})
	}
}

// TestNameReason says to users of each kind why their name is refused.
func TestNameReason(t *testing.T) {
	t.Parallel()
	for good, want := range map[string]string{
		triggerYAML: "because the names and labels of its FlowRuns are made from it",
		flowYAML:    "because it is a label of the Flow's FlowRuns",
	} {
		object := parse(t, env.Namespace(t), good)
		object.SetName("a.b")
		checkRefused(t, object.GetKind(), env.Client.Create(t.Context(), object, client.DryRunAll), want)
	}
}

// TestTriggerPath makes the longest path and checks that status can hold it.
func TestTriggerPath(t *testing.T) {
	t.Parallel()
	trigger := createdTrigger(t)
	trigger.Status.Path = "/hooks/" + letters(63) + "/" + letters(63)
	if err := env.Client.Status().Update(t.Context(), trigger); err != nil {
		t.Error(err)
	}
}

func createdTrigger(t *testing.T) *sluicev1alpha1.WebhookTrigger {
	t.Helper()
	trigger := wrappers.Trigger(env.Namespace(t), "orders").Obj()
	env.Create(t, trigger)
	trigger.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("WebhookTrigger")) // for read
	return trigger
}

// TestWebhookTriggerDefaults makes a trigger as Go code does.
func TestWebhookTriggerDefaults(t *testing.T) {
	t.Parallel()
	trigger := createdTrigger(t)
	if diff := cmp.Diff(sluicev1alpha1.TriggerActive, trigger.Spec.State); diff != "" {
		t.Errorf("spec.state (-want +got):\n%s", diff)
	}
	want := sluicev1alpha1.WebhookTriggerStatus{ObservedGeneration: new(int64(-1))}
	if diff := cmp.Diff(want, trigger.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestWebhookTriggerUpdate(t *testing.T) {
	t.Parallel()
	cases := map[string]goodField{
		"algorithm": {reason: "senders may move to another algorithm", field: "spec.algorithm", value: "RIPEMD-128"},
		"flowRef":   {reason: "another Flow may be started", field: "spec.flowRef.name", value: "other"},
		"secretRef": {reason: "a key may be rotated", field: "spec.secretRef", value: map[string]any{"name": "other", "key": "other"}},
		"state":     {reason: "a trigger may be suspended", field: "spec.state", value: "Suspended"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := read(t, createdTrigger(t))
			set(t, object, tc.field, tc.value)
			if err := env.Client.Update(t.Context(), object, strict); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			checkStored(t, tc, object)
			if object.GetGeneration() != 2 {
				t.Errorf("%s: the generation is %d; the controller goes by it", tc.reason, object.GetGeneration())
			}
		})
	}
	t.Run("to something bad", func(t *testing.T) {
		object := read(t, createdTrigger(t))
		set(t, object, "spec.secretRef.key", "..")
		checkRefused(t, "an update is checked as a create is", env.Client.Update(t.Context(), object, strict), secretKeyMessage)
	})
}

// goodCondition is a condition that status accepts.
func goodCondition() map[string]any {
	return map[string]any{
		"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-31T12:00:00Z",
	}
}

// condition is a good condition with one field changed.
func condition(field string, value any) map[string]any {
	c := goodCondition()
	if value == (any)(absent{}) {
		delete(c, field)
	} else {
		c[field] = value
	}
	return c
}

// conditions makes n conditions of different types.
func conditions(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = condition("type", fmt.Sprintf("Type%d", i))
	}
	return all
}

// badConditions are what status.conditions must not be, for every kind that has them.
func badConditions() map[string]badField {
	const first = "status.conditions[0]."
	is := func(field string, value any) []any { return []any{condition(field, value)} }
	cases := map[string]badField{
		"two conditions of a type": {
			reason: "the type is the key of the list", value: []any{goodCondition(), condition("status", "False")},
			want: []string{`status.conditions[1]: Duplicate value: {"type":"Ready"}`},
		},
		"conditions are text": {reason: "conditions are a list", value: "Ready", want: []string{"status.conditions: Invalid value", "must be of type array"}},
		"unknown status of a condition": {
			reason: "there are three", value: is("status", "true"), want: []string{first + `status: Unsupported value: "true": ` + oneOf("True", "False", "Unknown")},
		},
		"status of a condition is a boolean": {
			reason: "True is a text here", value: is("status", true), want: []string{first + "status: Invalid value", "must be of type string"},
		},
		"reason of a condition empty": {reason: "a reason is required", value: is("reason", ""), want: []string{first + "reason: Invalid value", "at least 1 chars long"}},
		"reason of a condition is a sentence": {
			reason: "a reason is one word for programs", value: is("reason", "not ready"), want: []string{first + "reason: Invalid value", "should match"},
		},
		"type of a condition with blank": {
			reason: "a type is one word for programs", value: is("type", "not ready"), want: []string{first + "type: Invalid value", "should match"},
		},
		"message of a condition too long": {
			reason: "messages are bounded", value: is("message", letters(32769)), want: []string{first + "message: Too long: may not be more than 32768"},
		},
		"time of a condition malformed": {
			reason: "a time is RFC 3339", value: is("lastTransitionTime", "yesterday"), want: []string{first + "lastTransitionTime: Invalid value", "must be of type date-time"},
		},
		"generation of a condition negative": {
			reason: "generations count from 1", value: is("observedGeneration", int64(-1)),
			want: []string{first + "observedGeneration: Invalid value: -1", "greater than or equal to 0"},
		},
		"unknown field of a condition": {
			reason: "a misspelt field is not ignored", value: is("severity", "Warning"), want: []string{`unknown field "` + first + `severity"`},
		},
	}
	for _, field := range []string{"type", "status", "reason", "message", "lastTransitionTime"} {
		cases["condition without "+field] = badField{reason: field + " is required", value: is(field, absent{}), want: []string{first + field + ": Required value"}}
	}
	for name, tc := range cases {
		tc.field = "status.conditions"
		cases[name] = tc
	}
	return merge(cases, list("status.conditions", 16, func(i int) any { return conditions(17)[i] }).bad)
}

func triggerStatusFields() []fieldCases {
	generation := casesOf("status.observedGeneration").
		say("-1 is the least", values{"under -1": int64(-2)}, "status.observedGeneration: Invalid value: -2", "greater than or equal to -1").
		refuse("a generation is a number", values{"is text": "1"}, "must be of type integer").
		accept("the limits", values{"least": int64(-1)})
	return []fieldCases{
		generation,
		text("status.path", 1, 256).
			refuse("a path is text", values{"is 1": int64(1)}, "must be of type string").
			say("texts are bounded", values{"of 257": "/" + letters(256)}, "status.path: Too long: may not be more than 256"),
		text("status.url", 1, 2048).
			refuse("a URL is text", values{"is a list of URLs": []any{"https://example.com"}}, "must be of type string").
			say("texts are bounded", values{"of 2049": "https://" + letters(2041)}, "status.url: Too long: may not be more than 2048"),
	}
}

func TestWebhookTriggerStatusRefused(t *testing.T) {
	t.Parallel()
	testBadStatus(t, triggerYAML, merge(badConditions(), refused(triggerStatusFields()...),
		mapping("status", "Ready").empty("status: Invalid value", "at least 1 properties").bad, unknown("status.ready", true)))
}

func TestWebhookTriggerStatusAccepted(t *testing.T) {
	t.Parallel()
	testGoodStatus(t, triggerYAML, accepted(triggerStatusFields()...))
}

// TestStatusIsApart checks that who may write a spec cannot write the status, and the other way
// round.
func TestStatusIsApart(t *testing.T) {
	t.Parallel()
	for good, change := range map[string]struct {
		field string
		value any
	}{
		triggerYAML: {field: "spec.algorithm", value: "RIPEMD-128"},
		runYAML:     {field: "spec.payload.contentType", value: "text/plain"},
	} {
		object := parse(t, env.Namespace(t), good)
		t.Run(object.GetKind(), func(t *testing.T) {
			env.Create(t, object)
			status := map[string]any{"conditions": []any{goodCondition()}}

			object := read(t, object)
			before := object.DeepCopy()
			set(t, object, "status", status)
			if err := env.Client.Update(t.Context(), object, strict); err != nil {
				t.Fatalf("an update with a status is refused: %v", err)
			}
			if diff := cmp.Diff(before.Object["status"], read(t, object).Object["status"]); diff != "" {
				t.Errorf("an update of the object changed its status (-before +after):\n%s", diff)
			}

			set(t, object, "status", status)
			set(t, object, change.field, change.value)
			object.SetLabels(map[string]string{"a": "b"})
			if err := env.Client.Status().Update(t.Context(), object, strict); err != nil {
				t.Fatalf("the status cannot be updated: %v", err)
			}
			stored := read(t, object)
			if diff := cmp.Diff(any(status), stored.Object["status"]); diff != "" {
				t.Errorf("the status as stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before.Object["spec"], stored.Object["spec"]); diff != "" {
				t.Errorf("an update of the status changed the spec (-before +after):\n%s", diff)
			}
		})
	}
}

// TestManyConditions stores as many conditions as there may be, and then replaces them.
func TestManyConditions(t *testing.T) {
	t.Parallel()
	for _, good := range []string{triggerYAML, runYAML} {
		object := parse(t, env.Namespace(t), good)
		t.Run(object.GetKind(), func(t *testing.T) {
			env.Create(t, object)
			for _, want := range []any{conditions(16), conditions(1)} {
				set(t, object, "status.conditions", want)
				if err := env.Client.Status().Update(t.Context(), object, strict); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, get(t, read(t, object), "status.conditions")); diff != "" {
					t.Errorf("the conditions as stored (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestConstants makes objects of Go types, with every value that the package has a constant for.
func TestConstants(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	for _, algorithm := range algorithms {
		for _, state := range []sluicev1alpha1.TriggerState{sluicev1alpha1.TriggerActive, sluicev1alpha1.TriggerSuspended} {
			env.Create(t, wrappers.Trigger(namespace, strings.ToLower(string(algorithm)+"-"+string(state))).Algorithm(algorithm).State(state).Obj())
		}
	}
	for _, state := range []sluicev1alpha1.FlowState{sluicev1alpha1.FlowEnabled, sluicev1alpha1.FlowDisabled} {
		env.Create(t, wrappers.Flow(namespace, strings.ToLower(string(state))).State(state).Obj())
	}
}

// algorithms are the constants of the algorithms of HMAC.
var algorithms = []sluicev1alpha1.Algorithm{
	sluicev1alpha1.AlgorithmSHA1, sluicev1alpha1.AlgorithmSHA256, sluicev1alpha1.AlgorithmSHA384, sluicev1alpha1.AlgorithmSHA512,
	sluicev1alpha1.AlgorithmSHA3256, sluicev1alpha1.AlgorithmSHA3512, sluicev1alpha1.AlgorithmRIPEMD128, sluicev1alpha1.AlgorithmRIPEMD160,
}
