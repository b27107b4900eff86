/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

func TestFlowRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, flowYAML, map[string]badField{
		"spec is text": {
			reason: "a spec is an object",
			field:  "spec", value: "Enabled",
			want: []string{"spec: Invalid value", "must be of type object"},
		},
		"spec is a list": {
			reason: "a spec is an object",
			field:  "spec", value: []any{},
			want: []string{"spec: Invalid value", "must be of type object"},
		},
		"unknown field": {
			reason: "a misspelt field is not ignored",
			field:  "spec", value: map[string]any{"State": "Disabled"},
			want: []string{`unknown field "spec.State"`},
		},
		"unknown field at the top": {
			reason: "a field with the wrong indentation is not ignored",
			field:  "state", value: "Disabled",
			want: []string{`unknown field "state"`},
		},
		"status": {
			reason: "a Flow has no status, and whoever sends one believes otherwise",
			field:  "status", value: map[string]any{},
			want: []string{`unknown field "status"`},
		},
		"state empty": {
			reason: "to leave the field out is the way to get its default",
			field:  "spec", value: map[string]any{"state": ""},
			want: []string{`spec.state: Unsupported value: "": supported values: "Enabled", "Disabled"`},
		},
		"state in lower case": {
			reason: "values have a case",
			field:  "spec", value: map[string]any{"state": "disabled"},
			want: []string{`spec.state: Unsupported value: "disabled": supported values: "Enabled", "Disabled"`},
		},
		"state of a trigger": {
			reason: "Suspended is what a trigger is",
			field:  "spec", value: map[string]any{"state": "Suspended"},
			want: []string{`spec.state: Unsupported value: "Suspended": supported values: "Enabled", "Disabled"`},
		},
		"state with line break": {
			reason: "a line break does not go unnoticed",
			field:  "spec", value: map[string]any{"state": "Disabled\n"},
			want: []string{`spec.state: Unsupported value: "Disabled\n": supported values: "Enabled", "Disabled"`},
		},
		"state is a boolean": {
			reason: "false is no state",
			field:  "spec", value: map[string]any{"state": false},
			want: []string{"spec.state: Invalid value", "must be of type string", `supported values: "Enabled", "Disabled"`},
		},
		"state is a list": {
			reason: "there is one state",
			field:  "spec", value: map[string]any{"state": []any{"Enabled"}},
			want: []string{"spec.state: Invalid value", "must be of type string"},
		},
	})
}

func TestFlowAccepted(t *testing.T) {
	t.Parallel()
	enabled := map[string]any{"state": "Enabled"}
	testGoodFields(t, flowYAML, map[string]goodField{
		"no spec": {
			reason: "a Flow need say nothing",
			field:  "metadata.labels", value: map[string]any{"a": "b"},
		},
		"spec null": {
			reason: "null is what templates make of a value that is not set",
			field:  "spec", value: nil, want: enabled,
		},
		"spec empty": {
			reason: "an empty spec says no less than none",
			field:  "spec", value: map[string]any{}, want: enabled,
		},
		"state null": {
			reason: "null is what templates make of a value that is not set",
			field:  "spec", value: map[string]any{"state": nil}, want: enabled,
		},
		"enabled": {
			reason: "the default, spelt out",
			field:  "spec", value: enabled,
		},
		"disabled": {
			reason: "the other state",
			field:  "spec", value: map[string]any{"state": "Disabled"},
		},
	})
}

// TestFlowDefaults makes a Flow without a spec, in YAML and in Go.
func TestFlowDefaults(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	want := map[string]any{"state": "Enabled"}

	object := parse(t, namespace, flowYAML)
	env.Create(t, object)
	if diff := cmp.Diff(any(want), get(t, read(t, object), "spec")); diff != "" {
		t.Errorf("the spec of a Flow without one, made with YAML (-want +got):\n%s", diff)
	}
	flow := &sluicev1alpha1.Flow{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "go"}}
	env.Create(t, flow)
	if diff := cmp.Diff(sluicev1alpha1.FlowSpec{State: sluicev1alpha1.FlowEnabled}, flow.Spec); diff != "" {
		t.Errorf("the spec of a Flow without one, made with Go (-want +got):\n%s", diff)
	}
}

func TestFlowUpdate(t *testing.T) {
	t.Parallel()
	object := parse(t, env.Namespace(t), flowYAML)
	env.Create(t, object)
	for _, step := range []struct {
		reason string
		value  any
		want   string
	}{
		{"a Flow may be switched off", map[string]any{"state": "Disabled"}, "Disabled"},
		{"a Flow may be switched on", map[string]any{"state": "Enabled"}, "Enabled"},
		{"a Flow that no longer says that it is off is on", map[string]any{}, "Enabled"},
	} {
		set(t, object, "spec", step.value)
		if err := env.Client.Update(t.Context(), object, strict); err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if diff := cmp.Diff(any(step.want), get(t, read(t, object), "spec.state")); diff != "" {
			t.Errorf("%s: the state as stored (-want +got):\n%s", step.reason, diff)
		}
	}
	set(t, object, "spec", map[string]any{"state": "Off"})
	checkRefused(t, "an update is checked as a create is", env.Client.Update(t.Context(), object, strict),
		`spec.state: Unsupported value: "Off": supported values: "Enabled", "Disabled"`)
}
