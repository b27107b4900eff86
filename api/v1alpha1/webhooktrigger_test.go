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
)

// What users read when a trigger has no scheme or several.
const choiceMessage = "set exactly one of algorithm (the default scheme), provider (a preset) and signature (a scheme of your own)"

// What users read when a name is malformed.
const (
	flowNameMessage   = "name must be the name of a Flow: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	secretNameMessage = "name must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	secretKeyMessage  = "key must be a key of the Secret's data: letters, digits, '-', '_' and '.', but neither '.' alone nor '..' at the beginning"
)

func TestWebhookTriggerRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, triggerYAML, merge(
		map[string]badField{
			"no spec": {
				reason: "a trigger without a spec can do nothing",
				field:  "spec", value: absent{},
				want: []string{"spec: Required value"},
			},
			"spec null": {
				reason: "null is no spec",
				field:  "spec", value: nil,
				want: []string{"spec: Required value"},
			},
			"spec empty": {
				reason: "all that is missing is named at once",
				field:  "spec", value: map[string]any{},
				want: []string{"spec.flowRef: Required value", "spec.secretRef: Required value"},
			},
			"spec is text": {
				reason: "a spec is an object",
				field:  "spec", value: "SHA-256",
				want: []string{"spec: Invalid value", "must be of type object"},
			},
			"spec is a list": {
				reason: "a spec is an object",
				field:  "spec", value: []any{},
				want: []string{"spec: Invalid value", "must be of type object"},
			},
			"unknown field": {
				reason: "a misspelt field is not ignored",
				field:  "spec.enabled", value: true,
				want: []string{`unknown field "spec.enabled"`},
			},
			"field in the wrong case": {
				reason: "names of fields have a case",
				field:  "spec.flowref", value: map[string]any{"name": "a"},
				want: []string{`unknown field "spec.flowref"`},
			},
			"unknown field at the top": {
				reason: "a field with the wrong indentation is not ignored",
				field:  "algorithm", value: "SHA-256",
				want: []string{`unknown field "algorithm"`},
			},

			"no flowRef": {
				reason: "a trigger starts something",
				field:  "spec.flowRef", value: absent{},
				want: []string{"spec.flowRef: Required value"},
			},
			"flowRef is a name": {
				reason: "a reference is an object",
				field:  "spec.flowRef", value: "import-orders",
				want: []string{"spec.flowRef: Invalid value", "must be of type object"},
			},
			"flowRef empty": {
				reason: "a reference has a name",
				field:  "spec.flowRef", value: map[string]any{},
				want: []string{"spec.flowRef.name: Required value"},
			},
			"flowRef of another namespace": {
				reason: "references stay within the namespace",
				field:  "spec.flowRef.namespace", value: "other",
				want: []string{`unknown field "spec.flowRef.namespace"`},
			},
			"flow name null": {
				reason: "null is no name",
				field:  "spec.flowRef.name", value: nil,
				want: []string{"spec.flowRef.name: Required value"},
			},
			"flow name empty": {
				reason: "the empty text is no name",
				field:  "spec.flowRef.name", value: "",
				want: []string{"spec.flowRef.name: Invalid value", "at least 1 chars long", flowNameMessage},
			},
			"flow name of 64": {
				reason: "no Flow has so long a name",
				field:  "spec.flowRef.name", value: letters(64),
				want: []string{"spec.flowRef.name: Too long: may not be more than 63"},
			},
			"flow name is a number": {
				reason: "names are text, quoted in YAML if they look like numbers",
				field:  "spec.flowRef.name", value: int64(12),
				want: []string{"spec.flowRef.name: Invalid value", "must be of type string"},
			},
			"flow name with dot": {
				reason: "no Flow has a dot in its name",
				field:  "spec.flowRef.name", value: "a.b",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},
			"flow name of dots": {
				reason: "no Flow is called so",
				field:  "spec.flowRef.name", value: "..",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},
			"flow name in upper case": {
				reason: "names of objects are lower case",
				field:  "spec.flowRef.name", value: "Import",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},
			"flow name begins with dash": {
				reason: "no Flow is called so",
				field:  "spec.flowRef.name", value: "-a",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},
			"flow name ends with dash": {
				reason: "no Flow is called so",
				field:  "spec.flowRef.name", value: "a-",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},
			"flow name with underscore": {
				reason: "no Flow is called so",
				field:  "spec.flowRef.name", value: "a_b",
				want: []string{"spec.flowRef.name: Invalid value", flowNameMessage},
			},

			"no algorithm": {
				reason: "the scheme is a choice that nobody makes for the user",
				field:  "spec.algorithm", value: absent{},
				want: []string{"spec: Invalid value", choiceMessage},
			},
			"algorithm null": {
				reason: "null is no algorithm",
				field:  "spec.algorithm", value: nil,
				want: []string{"spec: Invalid value", choiceMessage},
			},
			"algorithm is a number": {
				reason: "an algorithm is a name",
				field:  "spec.algorithm", value: int64(256),
				want: []string{"spec.algorithm: Invalid value", "must be of type string"},
			},
			"algorithm is a list": {
				reason: "there is one algorithm",
				field:  "spec.algorithm", value: []any{"SHA-256", "RIPEMD-128"},
				want: []string{"spec.algorithm: Invalid value", "must be of type string"},
			},

			"no secretRef": {
				reason: "without a key nothing can be verified",
				field:  "spec.secretRef", value: absent{},
				want: []string{"spec.secretRef: Required value"},
			},
			"secretRef empty": {
				reason: "a reference has a name and a key",
				field:  "spec.secretRef", value: map[string]any{},
				want: []string{"spec.secretRef.name: Required value", "spec.secretRef.key: Required value"},
			},
			"secretRef is a name": {
				reason: "a reference is an object",
				field:  "spec.secretRef", value: "orders-webhook",
				want: []string{"spec.secretRef: Invalid value", "must be of type object"},
			},
			"secretRef of another namespace": {
				reason: "references stay within the namespace",
				field:  "spec.secretRef.namespace", value: "other",
				want: []string{`unknown field "spec.secretRef.namespace"`},
			},
			"no secret name": {
				reason: "a reference has a name",
				field:  "spec.secretRef.name", value: absent{},
				want: []string{"spec.secretRef.name: Required value"},
			},
			"secret name empty": {
				reason: "the empty text is no name",
				field:  "spec.secretRef.name", value: "",
				want: []string{"spec.secretRef.name: Invalid value", "at least 1 chars long", secretNameMessage},
			},
			"secret name of 254": {
				reason: "no Secret has so long a name",
				field:  "spec.secretRef.name", value: letters(254),
				want: []string{"spec.secretRef.name: Too long: may not be more than 253"},
			},
			"secret name is a boolean": {
				reason: "yes and no are booleans in YAML",
				field:  "spec.secretRef.name", value: true,
				want: []string{"spec.secretRef.name: Invalid value", "must be of type string"},
			},
			"no key": {
				reason: "which entry of the Secret is the key is a choice that nobody makes for the user",
				field:  "spec.secretRef.key", value: absent{},
				want: []string{"spec.secretRef.key: Required value"},
			},
			"key empty": {
				reason: "the empty text is no key",
				field:  "spec.secretRef.key", value: "",
				want: []string{"spec.secretRef.key: Invalid value", "at least 1 chars long", secretKeyMessage},
			},
			"key of 254": {
				reason: "no Secret has so long a key",
				field:  "spec.secretRef.key", value: letters(254),
				want: []string{"spec.secretRef.key: Too long: may not be more than 253"},
			},
			"key is a number": {
				reason: "keys are text, quoted in YAML if they look like numbers",
				field:  "spec.secretRef.key", value: int64(1),
				want: []string{"spec.secretRef.key: Invalid value", "must be of type string"},
			},
			"key of two dots": {
				reason: "no Secret has such a key",
				field:  "spec.secretRef.key", value: "..",
				want: []string{"spec.secretRef.key: Invalid value", secretKeyMessage},
			},

			"state empty": {
				reason: "to leave the field out is the way to get its default",
				field:  "spec.state", value: "",
				want: []string{`spec.state: Unsupported value: "": supported values: "Active", "Suspended"`},
			},
			"state in lower case": {
				reason: "values have a case",
				field:  "spec.state", value: "suspended",
				want: []string{`spec.state: Unsupported value: "suspended": supported values: "Active", "Suspended"`},
			},
			"state of a Flow": {
				reason: "Disabled is what a Flow is",
				field:  "spec.state", value: "Disabled",
				want: []string{`spec.state: Unsupported value: "Disabled": supported values: "Active", "Suspended"`},
			},
			"state is a boolean": {
				reason: "false is no state",
				field:  "spec.state", value: false,
				want: []string{"spec.state: Invalid value", "must be of type string", `supported values: "Active", "Suspended"`},
			},
		},
		badAlgorithms(),
		hostile("spec.flowRef.name", flowNameMessage),
		hostile("spec.secretRef.name", secretNameMessage),
		hostile("spec.secretRef.key", secretKeyMessage),
	))
}

// algorithmValues are the algorithms as the API server lists them.
const algorithmValues = `supported values: "SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-512", "RIPEMD-128", "RIPEMD-160"`

func badAlgorithms() map[string]badField {
	cases := map[string]badField{}
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
		cases[fmt.Sprintf("algorithm %q", value)] = badField{
			reason: reason, field: "spec.algorithm", value: value,
			want: []string{fmt.Sprintf("spec.algorithm: Unsupported value: %q", value), algorithmValues},
		}
	}
	return cases
}

func TestWebhookTriggerAccepted(t *testing.T) {
	t.Parallel()
	testGoodFields(t, triggerYAML, map[string]goodField{
		"unchanged": {
			reason: "the good object is good",
			field:  "spec.algorithm", value: "SHA-256",
		},
		"no state": {
			reason: "a trigger is active unless it says otherwise",
			field:  "metadata.labels", value: map[string]any{"a": "b"},
		},
		"suspended": {
			reason: "the other state",
			field:  "spec.state", value: "Suspended",
		},
		"active": {
			reason: "the default, spelt out",
			field:  "spec.state", value: "Active",
		},
		"state null": {
			reason: "null asks for the default, which is what templates make of a value that is not set",
			field:  "spec.state", value: nil, want: "Active",
		},
		"flow name of 1": {
			reason: "the shortest name",
			field:  "spec.flowRef.name", value: "a",
		},
		"flow name of 63": {
			reason: "the longest name",
			field:  "spec.flowRef.name", value: letters(62) + "9",
		},
		"flow name of digits": {
			reason: "a name may look like a number",
			field:  "spec.flowRef.name", value: "0123",
		},
		"flow name with dashes": {
			reason: "dashes inside a name",
			field:  "spec.flowRef.name", value: "a--b-c",
		},
		"secret name of 253": {
			reason: "the longest name",
			field:  "spec.secretRef.name", value: letters(253),
		},
		"key of 253": {
			reason: "the longest key",
			field:  "spec.secretRef.key", value: letters(253),
		},
		"status null": {
			reason: "status is not for users, and null is nothing",
			field:  "status", value: nil, want: map[string]any{"observedGeneration": int64(-1)},
		},
		"status empty": {
			reason: "generated YAML often ends with an empty status",
			field:  "status", value: map[string]any{}, want: map[string]any{"observedGeneration": int64(-1)},
		},
		"status of another object": {
			reason: "YAML that was copied from a cluster has a status, which must not count",
			field:  "status",
			value:  map[string]any{"observedGeneration": int64(1), "path": "/hooks/other/orders", "url": "https://other.example.com/"},
			want:   map[string]any{"observedGeneration": int64(-1)},
		},
	})
}

// TestSecretReference compares what a trigger can refer to with what the API server lets a Secret be: to refuse less lets
// typing errors through, to refuse more makes a Secret unusable.
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

// TestFlowReference compares what a trigger can refer to with what a Flow can be called, and with what a run can refer to.
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

// TestTriggerReference compares what a run can refer to with what a trigger can be called: ingest makes such a run of every trigger
// that there can be, and has lost the request if that is refused.
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
	cases := map[string]struct {
		reason string
		name   string
		want   []string // of what the user reads; none if the name is good
	}{
		"63 characters": {
			reason: "the longest label value, of which the names of runs are made as well",
			name:   letters(63),
		},
		"64 characters": {
			reason: "a label value cannot be so long",
			name:   letters(64),
			want:   []string{ownRule, advice},
		},
		"253 characters": {
			reason: "a name that the API server lets other kinds have",
			name:   letters(253),
			want:   []string{ownRule, advice},
		},
		"254 characters": {
			reason: "a name that no object may have",
			name:   letters(254),
			want:   []string{"metadata.name: Invalid value"},
		},
		"1 character": {
			reason: "the shortest name",
			name:   "a",
		},
		"digits": {
			reason: "a name may look like a number",
			name:   "2026",
		},
		"dashes": {
			reason: "dashes inside a name",
			name:   "a--b-c",
		},
		"dot": {
			reason: "a name that the API server lets other kinds have",
			name:   "orders.eu",
			want:   []string{ownRule, advice},
		},
		"upper case": {
			reason: "no name has upper case",
			name:   "Orders",
			want:   []string{"metadata.name: Invalid value", ownRule},
		},
		"dash at end": {
			reason: "no name ends so",
			name:   "orders-",
			want:   []string{"metadata.name: Invalid value", ownRule},
		},
		"slash": {
			reason: "a name cannot reach into another path",
			name:   "a/b",
			want:   []string{"metadata.name: Invalid value"},
		},
		"parent folder": {
			reason: "a name cannot reach into another path",
			name:   "..",
			want:   []string{"metadata.name: Invalid value"},
		},
		"umlaut": {
			reason: "names are ASCII",
			name:   "bestellung-ä",
			want:   []string{"metadata.name: Invalid value"},
		},
		"line break": {
			reason: "names have no white space",
			name:   "orders\n",
			want:   []string{"metadata.name: Invalid value"},
		},
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
	object := parse(t, env.Namespace(t), triggerYAML)
	env.Create(t, object)
	trigger, ok := decode(t, object).(*sluicev1alpha1.WebhookTrigger)
	if !ok {
		t.Fatal("a WebhookTrigger is decoded into something else")
	}
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
	cases := map[string]struct {
		reason string
		field  string
		value  any
	}{
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
			stored := read(t, object)
			if diff := cmp.Diff(tc.value, get(t, stored, tc.field)); diff != "" {
				t.Errorf("%s: %s as stored (-want +got):\n%s", tc.reason, tc.field, diff)
			}
			if stored.GetGeneration() != 2 {
				t.Errorf("%s: the generation is %d; the controller goes by it", tc.reason, stored.GetGeneration())
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
	cases := map[string]badField{
		"two conditions of a type": {
			reason: "the type is the key of the list",
			value:  []any{goodCondition(), condition("status", "False")},
			want:   []string{`status.conditions[1]: Duplicate value: {"type":"Ready"}`},
		},
		"no conditions": {
			reason: "an empty list says no more than none",
			value:  []any{},
			want:   []string{"status.conditions: Invalid value", "at least 1 items"},
		},
		"17 conditions": {
			reason: "lists are bounded",
			value:  conditions(17),
			want:   []string{"status.conditions: Too many: 17: must have at most 16 items"},
		},
		"conditions are text": {
			reason: "conditions are a list",
			value:  "Ready",
			want:   []string{"status.conditions: Invalid value", "must be of type array"},
		},
		"unknown status of a condition": {
			reason: "there are three",
			value:  []any{condition("status", "true")},
			want:   []string{`status.conditions[0].status: Unsupported value: "true": supported values: "True", "False", "Unknown"`},
		},
		"status of a condition is a boolean": {
			reason: "True is a text here",
			value:  []any{condition("status", true)},
			want:   []string{"status.conditions[0].status: Invalid value", "must be of type string"},
		},
		"reason of a condition empty": {
			reason: "a reason is required",
			value:  []any{condition("reason", "")},
			want:   []string{"status.conditions[0].reason: Invalid value", "at least 1 chars long"},
		},
		"reason of a condition is a sentence": {
			reason: "a reason is one word for programs",
			value:  []any{condition("reason", "not ready")},
			want:   []string{"status.conditions[0].reason: Invalid value", "should match"},
		},
		"type of a condition with blank": {
			reason: "a type is one word for programs",
			value:  []any{condition("type", "not ready")},
			want:   []string{"status.conditions[0].type: Invalid value", "should match"},
		},
		"message of a condition too long": {
			reason: "messages are bounded",
			value:  []any{condition("message", letters(32769))},
			want:   []string{"status.conditions[0].message: Too long: may not be more than 32768"},
		},
		"time of a condition malformed": {
			reason: "a time is RFC 3339",
			value:  []any{condition("lastTransitionTime", "yesterday")},
			want:   []string{"status.conditions[0].lastTransitionTime: Invalid value", "must be of type date-time"},
		},
		"generation of a condition negative": {
			reason: "generations count from 1",
			value:  []any{condition("observedGeneration", int64(-1))},
			want:   []string{"status.conditions[0].observedGeneration: Invalid value: -1", "greater than or equal to 0"},
		},
		"unknown field of a condition": {
			reason: "a misspelt field is not ignored",
			value:  []any{condition("severity", "Warning")},
			want:   []string{`unknown field "status.conditions[0].severity"`},
		},
	}
	for _, field := range []string{"type", "status", "reason", "message", "lastTransitionTime"} {
		cases["condition without "+field] = badField{
			reason: field + " is required",
			value:  []any{condition(field, absent{})},
			want:   []string{"status.conditions[0]." + field + ": Required value"},
		}
	}
	for name, tc := range cases {
		tc.field = "status.conditions"
		cases[name] = tc
	}
	return cases
}

// testBadStatus writes the status of an object again and again with one field bad.
func testBadStatus(t *testing.T, good string, cases map[string]badField) {
	t.Helper()
	object := parse(t, env.Namespace(t), good)
	env.Create(t, object)
	status := map[string]any{"conditions": []any{goodCondition()}}
	set(t, object, "status", status)
	if err := env.Client.Status().Update(t.Context(), object, client.DryRunAll, strict); err != nil {
		t.Fatalf("the good status is refused: %v", err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := read(t, object)
			set(t, object, "status", status)
			set(t, object, tc.field, tc.value)
			checkRefused(t, tc.reason, env.Client.Status().Update(t.Context(), object, client.DryRunAll, strict), tc.want...)
		})
	}
}

func TestWebhookTriggerStatusRefused(t *testing.T) {
	t.Parallel()
	testBadStatus(t, triggerYAML, merge(badConditions(), map[string]badField{
		"status empty": {
			reason: "a status has at least a generation",
			field:  "status", value: map[string]any{},
			want: []string{"status: Invalid value", "at least 1 properties"},
		},
		"status is text": {
			reason: "a status is an object",
			field:  "status", value: "Ready",
			want: []string{"status: Invalid value", "must be of type object"},
		},
		"unknown field": {
			reason: "a misspelt field is not ignored",
			field:  "status.ready", value: true,
			want: []string{`unknown field "status.ready"`},
		},
		"generation under -1": {
			reason: "-1 is the least",
			field:  "status.observedGeneration", value: int64(-2),
			want: []string{"status.observedGeneration: Invalid value: -2", "greater than or equal to -1"},
		},
		"generation is text": {
			reason: "a generation is a number",
			field:  "status.observedGeneration", value: "1",
			want: []string{"status.observedGeneration: Invalid value", "must be of type integer"},
		},
		"path empty": {
			reason: "a path that is not known is left out",
			field:  "status.path", value: "",
			want: []string{"status.path: Invalid value", "at least 1 chars long"},
		},
		"path of 257": {
			reason: "texts are bounded",
			field:  "status.path", value: "/" + letters(256),
			want: []string{"status.path: Too long: may not be more than 256"},
		},
		"path is a number": {
			reason: "a path is text",
			field:  "status.path", value: int64(1),
			want: []string{"status.path: Invalid value", "must be of type string"},
		},
		"url empty": {
			reason: "a URL that is not known is left out",
			field:  "status.url", value: "",
			want: []string{"status.url: Invalid value", "at least 1 chars long"},
		},
		"url of 2049": {
			reason: "texts are bounded",
			field:  "status.url", value: "https://" + letters(2041),
			want: []string{"status.url: Too long: may not be more than 2048"},
		},
		"url is a list": {
			reason: "a URL is text",
			field:  "status.url", value: []any{"https://example.com"},
			want: []string{"status.url: Invalid value", "must be of type string"},
		},
	}))
}

// TestStatusIsApart checks that who may write a spec cannot write the status, and the other way round.
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
	algorithms := []sluicev1alpha1.Algorithm{
		sluicev1alpha1.AlgorithmSHA1, sluicev1alpha1.AlgorithmSHA256, sluicev1alpha1.AlgorithmSHA384, sluicev1alpha1.AlgorithmSHA512,
		sluicev1alpha1.AlgorithmSHA3256, sluicev1alpha1.AlgorithmSHA3512, sluicev1alpha1.AlgorithmRIPEMD128, sluicev1alpha1.AlgorithmRIPEMD160,
	}
	for _, algorithm := range algorithms {
		for _, state := range []sluicev1alpha1.TriggerState{sluicev1alpha1.TriggerActive, sluicev1alpha1.TriggerSuspended} {
			trigger := &sluicev1alpha1.WebhookTrigger{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.ToLower(string(algorithm) + "-" + string(state))},
				Spec: sluicev1alpha1.WebhookTriggerSpec{
					FlowRef:   sluicev1alpha1.FlowReference{Name: "a"},
					Algorithm: algorithm,
					SecretRef: sluicev1alpha1.SecretKeyReference{Name: "a", Key: "a"},
					State:     state,
				},
			}
			if err := env.Client.Create(t.Context(), trigger); err != nil {
				t.Errorf("a constant of the package is refused: %v", err)
			}
		}
	}
	for _, state := range []sluicev1alpha1.FlowState{sluicev1alpha1.FlowEnabled, sluicev1alpha1.FlowDisabled} {
		flow := &sluicev1alpha1.Flow{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.ToLower(string(state))},
			Spec:       sluicev1alpha1.FlowSpec{State: state},
		}
		if err := env.Client.Create(t.Context(), flow); err != nil {
			t.Errorf("a constant of the package is refused: %v", err)
		}
	}
}
