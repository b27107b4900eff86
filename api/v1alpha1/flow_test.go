/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"maps"
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
		"history is a number": {
			reason: "history is an object",
			field:  "spec.history", value: int64(3),
			want: []string{"spec.history: Invalid value", "must be of type object"},
		},
		"history misspelt": {
			reason: "a misspelt limit is not ignored",
			field:  "spec.history", value: map[string]any{"successfulJobsHistoryLimit": int64(3)},
			want: []string{`unknown field "spec.history.successfulJobsHistoryLimit"`},
		},
	})
}

// TestHistoryLimits goes through the limits of all numbers of a history.
func TestHistoryLimits(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * 3600
	least := map[string]int64{"ttlSecondsAfterReceived": 1}
	for name, most := range map[string]int64{
		"ttlSecondsAfterFinished": year, "successfulRunsHistoryLimit": 10000, "failedRunsHistoryLimit": 10000,
		"ttlSecondsAfterReceived": year, "payloadTTLSeconds": year,
	} {
		field := "spec.history." + name
		testBadFields(t, flowYAML, notNumbers(field, least[name], most))
		for _, value := range []int64{least[name], most} {
			flow := parse(t, env.Namespace(t), flowYAML)
			set(t, flow, field, value)
			env.Create(t, flow)
			if diff := cmp.Diff(any(value), get(t, read(t, flow), field)); diff != "" {
				t.Errorf("%s as stored (-want +got):\n%s", field, diff)
			}
			decode(t, flow)
		}
	}
}

// history is what the API server makes of a history, with some fields set.
func history(fields map[string]any) map[string]any {
	all := map[string]any{
		"ttlSecondsAfterFinished": int64(604800), "successfulRunsHistoryLimit": int64(100), "failedRunsHistoryLimit": int64(100),
		"ttlSecondsAfterReceived": int64(259200),
	}
	maps.Copy(all, fields)
	return all
}

func TestFlowAccepted(t *testing.T) {
	t.Parallel()
	enabled := map[string]any{"state": "Enabled", "history": history(nil)}
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
			field:  "spec", value: map[string]any{"state": "Disabled"}, want: map[string]any{"state": "Disabled", "history": history(nil)},
		},
		"history null": {
			reason: "null is what templates make of a value that is not set",
			field:  "spec", value: map[string]any{"history": nil}, want: enabled,
		},
		"history empty": {
			reason: "an empty history says no less than none",
			field:  "spec", value: map[string]any{"history": map[string]any{}}, want: enabled,
		},
		"limits null": {
			reason: "null is what templates make of a value that is not set",
			field:  "spec", value: map[string]any{"history": map[string]any{"successfulRunsHistoryLimit": nil, "ttlSecondsAfterReceived": nil, "payloadTTLSeconds": nil}},
			want: enabled,
		},
		"nothing is kept": {
			reason: "0 is no default",
			field:  "spec.history", value: map[string]any{
				"ttlSecondsAfterFinished": int64(0), "successfulRunsHistoryLimit": int64(0), "failedRunsHistoryLimit": int64(0), "payloadTTLSeconds": int64(0),
			},
			want: history(map[string]any{
				"ttlSecondsAfterFinished": int64(0), "successfulRunsHistoryLimit": int64(0), "failedRunsHistoryLimit": int64(0), "payloadTTLSeconds": int64(0),
			}),
		},
		"one limit": {
			reason: "the others have their defaults",
			field:  "spec.history", value: map[string]any{"payloadTTLSeconds": int64(60)}, want: history(map[string]any{"payloadTTLSeconds": int64(60)}),
		},
	})
}

// TestFlowDefaults makes a Flow without a spec, in YAML and in Go.
func TestFlowDefaults(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	want := map[string]any{"state": "Enabled", "history": history(nil)}

	object := parse(t, namespace, flowYAML)
	env.Create(t, object)
	if diff := cmp.Diff(any(want), get(t, read(t, object), "spec")); diff != "" {
		t.Errorf("the spec of a Flow without one, made with YAML (-want +got):\n%s", diff)
	}
	flow := &sluicev1alpha1.Flow{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "go"}}
	env.Create(t, flow)
	defaults := sluicev1alpha1.FlowSpec{
		State: sluicev1alpha1.FlowEnabled,
		History: sluicev1alpha1.History{
			TTLSecondsAfterFinished:    new(int32(604800)),
			SuccessfulRunsHistoryLimit: new(int32(100)),
			FailedRunsHistoryLimit:     new(int32(100)),
			TTLSecondsAfterReceived:    259200,
		},
	}
	if diff := cmp.Diff(defaults, flow.Spec); diff != "" {
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
