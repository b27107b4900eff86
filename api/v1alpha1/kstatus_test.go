/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// TestKstatus asks the library by which Flux, Argo CD and others wait for objects.
func TestKstatus(t *testing.T) {
	t.Parallel()
	compute := func(object *unstructured.Unstructured) string {
		t.Helper()
		result, err := status.Compute(read(t, object))
		if err != nil {
			t.Fatal(err)
		}
		return result.Status.String()
	}
	check := func(reason string, object *unstructured.Unstructured, want status.Status) {
		t.Helper()
		if diff := cmp.Diff(want.String(), compute(object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
	namespace := env.Namespace(t)
	trigger, flow, run := parse(t, namespace, triggerYAML), parse(t, namespace, flowYAML), parse(t, namespace, runYAML)
	env.Create(t, trigger, flow, run)
	check("nobody has looked at the new trigger", trigger, status.InProgressStatus)
	check("a Flow is what it is", flow, status.CurrentStatus)
	check("a run is what it is", run, status.CurrentStatus)

	report := func(ready string) {
		t.Helper()
		generation := trigger.GetGeneration()
		c := condition("status", ready)
		c["observedGeneration"] = generation
		set(t, trigger, "status", map[string]any{"observedGeneration": generation, "conditions": []any{c}})
		if err := env.Client.Status().Update(t.Context(), trigger); err != nil {
			t.Fatal(err)
		}
	}
	report("False")
	check("the trigger's Secret is missing", trigger, status.InProgressStatus)
	report("True")
	check("the trigger is ready", trigger, status.CurrentStatus)

	set(t, trigger, "spec.algorithm", "RIPEMD-128")
	if err := env.Client.Update(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	check("nobody has looked at the changed trigger", trigger, status.InProgressStatus)
	report("True")
	check("the changed trigger is ready", trigger, status.CurrentStatus)
}
