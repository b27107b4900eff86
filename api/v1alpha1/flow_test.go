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

func flowFields() []fieldCases {
	return []fieldCases{
		mapping("spec", "Enabled"),
		enum("spec.state", "Enabled", "Enabled", "Disabled").optional("Enabled").
			unsupported("values have a case", oneOf("Enabled", "Disabled"), values{"without a capital": "disabled"}).
			unsupported("Suspended is what a trigger is", oneOf("Enabled", "Disabled"), values{"of a trigger": "Suspended"}).
			unsupported("a line break does not go unnoticed", oneOf("Enabled", "Disabled"), values{"off with a line break": "Disabled\n"}).
			refuse("false is no state", values{"is false": false}, "must be of type string", oneOf("Enabled", "Disabled")).
			refuse("there is one state", values{"is a list of states": []any{"Enabled"}}, "must be of type string"),
		mapping("spec.history", "3").
			refuse("history is an object", values{"is a limit": int64(3)}, "must be of type object"),
	}
}

func TestFlowRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, flowYAML, merge(
		refused(flowFields()...),
		unknown("spec.State", "Disabled"), unknown("spec.history.successfulJobsHistoryLimit", int64(3)),
		unknown("state", "Disabled"),        // the wrong indentation
		unknown("status", map[string]any{}), // a Flow has no status, and whoever sends one believes otherwise
	))
}

// TestHistoryLimits goes through the limits of all numbers of a history.
func TestHistoryLimits(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * 3600
	numbers := []fieldCases{
		number("spec.history.ttlSecondsAfterFinished", 0, year), number("spec.history.ttlSecondsAfterReceived", 1, year),
		number("spec.history.successfulRunsHistoryLimit", 0, 10000), number("spec.history.failedRunsHistoryLimit", 0, 10000),
		number("spec.history.payloadTTLSeconds", 0, year),
	}
	testRefused(t, flowYAML, numbers...)
	testAccepted(t, flowYAML, numbers...)
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
	const null = "null is what templates make of a value that is not set"
	nothing := map[string]any{
		"ttlSecondsAfterFinished": int64(0), "successfulRunsHistoryLimit": int64(0), "failedRunsHistoryLimit": int64(0), "payloadTTLSeconds": int64(0),
	}
	testGoodFields(t, flowYAML, merge(accepted(flowFields()...), map[string]goodField{
		"no spec":       {reason: "a Flow need say nothing", field: "metadata.labels", value: map[string]any{"a": "b"}},
		"spec null":     {reason: null, field: "spec", value: nil, want: enabled},
		"spec empty":    {reason: "an empty spec says no less than none", field: "spec", value: map[string]any{}, want: enabled},
		"state null":    {reason: null, field: "spec", value: map[string]any{"state": nil}, want: enabled},
		"enabled":       {reason: "the default, spelt out", field: "spec", value: enabled},
		"disabled":      {reason: "the other state", field: "spec", value: map[string]any{"state": "Disabled"}, want: map[string]any{"state": "Disabled", "history": history(nil)}},
		"history null":  {reason: null, field: "spec", value: map[string]any{"history": nil}, want: enabled},
		"history empty": {reason: "an empty history says no less than none", field: "spec", value: map[string]any{"history": map[string]any{}}, want: enabled},
		"limits null": {
			reason: null, field: "spec", want: enabled,
			value: map[string]any{"history": map[string]any{"successfulRunsHistoryLimit": nil, "ttlSecondsAfterReceived": nil, "payloadTTLSeconds": nil}},
		},
		"nothing is kept": {reason: "0 is no default", field: "spec.history", value: nothing, want: history(nothing)},
		"one limit": {
			reason: "the others have their defaults",
			field:  "spec.history", value: map[string]any{"payloadTTLSeconds": int64(60)}, want: history(map[string]any{"payloadTTLSeconds": int64(60)}),
		},
	}))
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
