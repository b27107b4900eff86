/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
	"github.com/sluice-dev/sluice/test/framework/markdown"
	"github.com/sluice-dev/sluice/test/framework/testenv"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// operator is one that runs, and how to end it.
type operator struct {
	*app.Operator
	stop func()
}

// startOperator runs an operator for some namespaces until the test ends, and waits until it
// serves.
func startOperator(t *testing.T, cluster *testenv.Environment, namespaces ...string) *operator {
	t.Helper()
	options := app.DefaultOptions()
	options.WatchNamespaces = namespaces
	options.LeaderElectionNamespace = namespaces[0]
	options.IngestAddress = testenv.FreeAddress(t)
	options.HealthAddress, options.MetricsAddress = "0", "0"
	options.Registerer = prometheus.NewRegistry()
	options.Limits.ShutdownDelay = 0
	options.Limits.AcceptDeadline = patience // for the API server, on a busy machine
	options.Limits.DrainTimeout, options.Limits.WriteTimeout = patience, 2*patience
	options.KeyUsagePeriod = 100 * time.Millisecond
	started, err := app.NewOperator(t.Context(), cluster.Config, options, telemetry.NewLogger(io.Discard, options.LogLevel, options.LogFormat))
	if err != nil {
		t.Fatalf("set up the operator: %v", err)
	}
	o := &operator{Operator: started, stop: testenv.Run(t, "operator", started.Start)}
	testenv.Eventually(t, patience, func() error { return started.Server.CheckListening(nil) })
	return o
}

// TestNothingDrifts applies the samples as GitOps tools do, lets the operator work on them and a
// webhook come, and applies them again.
func TestNothingDrifts(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	samples := filepath.Join(testenv.Root(), "config", "samples")
	apply := func() {
		t.Helper()
		if _, stderr, err := env.Kubectl(t, "", "apply", "--server-side", "--field-manager=gitops", "-n", namespace, "-k", samples); err != nil {
			t.Fatalf("apply: %v\n%s", err, stderr)
		}
	}
	apply()
	operator := startOperator(t, env, namespace)
	body := `{"order": 1001}`
	mac := hmac.New(sha256.New, []byte("for-trying-out-only-this-key-is-public"))
	mac.Write([]byte(body))
	testenv.Eventually(t, patience, func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+operator.Server.Address().String()+"/hooks/"+namespace+"/orders", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("X-HMAC-HASH", hex.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			return fmt.Errorf("answered %s", response.Status)
		}
		return nil
	})
	trigger := &sluicev1alpha1.WebhookTrigger{}
	testenv.Eventually(t, patience, func() error {
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, trigger); err != nil {
			return err
		}
		if !apimeta.IsStatusConditionTrue(trigger.Status.Conditions, sluicev1alpha1.ConditionReady) {
			return errors.New("the trigger is not Ready")
		}
		if len(trigger.Status.Keys) == 0 || trigger.Status.Keys[0].LastMatchedTime == nil {
			return errors.New("the use of the key is not in the status")
		}
		return nil
	})

	applied := func() map[string]any {
		t.Helper()
		found := map[string]any{}
		for _, object := range build(t, "samples") {
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(object.GroupVersionKind())
			if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: object.GetName()}, live); err != nil {
				t.Fatal(err)
			}
			for _, manager := range live.GetManagedFields() {
				if manager.Manager == "gitops" {
					continue
				}
				if fields := manager.FieldsV1.GetRawString(); manager.Subresource != "status" || !strings.HasPrefix(fields, `{"f:status":`) {
					t.Errorf("%s: %s has written %s", id(live), manager.Manager, fields)
				}
			}
			delete(live.Object, "status")
			unstructured.RemoveNestedField(live.Object, "metadata", "managedFields")
			unstructured.RemoveNestedField(live.Object, "metadata", "resourceVersion")
			found[id(live)] = live.Object
		}
		return found
	}
	before := applied()
	if _, stderr, err := env.Kubectl(t, "", "diff", "--server-side", "--field-manager=gitops", "-n", namespace, "-k", samples); err != nil {
		t.Errorf("kubectl diff finds differences: %v\n%s", err, stderr)
	}
	apply()
	if diff := cmp.Diff(before, applied()); diff != "" {
		t.Errorf("applying the samples again changes something:\n%s", diff)
	}
}

// health is what the tools make of an object.
type health struct{ Kstatus, Flux, Argo string }

// TestHealth brings triggers into each state that they can be in, by an operator, and asks what the
// tools go by: kstatus, and the expression and the script of docs/gitops.md.
func TestHealth(t *testing.T) {
	t.Parallel()
	watched, unwatched := env.Namespace(t), env.Namespace(t)
	trigger := func(name, flow, secret string, change ...func(*sluicev1alpha1.WebhookTrigger)) *sluicev1alpha1.WebhookTrigger {
		made := wrappers.Trigger(watched, name).Flow(flow).Secret(secret, "key").Obj()
		for _, f := range change {
			f(made)
		}
		return made
	}
	secret := func(name, key string) *corev1.Secret { return wrappers.Secret(watched, name, "key", key) }
	flow := func(name string, state sluicev1alpha1.FlowState) *sluicev1alpha1.Flow {
		return wrappers.Flow(watched, name).State(state).Obj()
	}
	env.Create(t, secret("good", strings.Repeat("k", 32)), secret("blank", " "), flow("enabled", sluicev1alpha1.FlowEnabled), flow("disabled", sluicev1alpha1.FlowDisabled))
	cases := map[string]struct {
		reason  string
		trigger *sluicev1alpha1.WebhookTrigger
		ready   string // the reason of the condition; there is none if it is empty
		want    health
	}{
		"Ready": {
			"all is well", trigger("ready", "enabled", "good"), sluicev1alpha1.ReasonReady,
			health{"Current", "Current", "Healthy"},
		},
		"Suspended": {
			"by its owner, on purpose", trigger("suspended", "enabled", "good", func(w *sluicev1alpha1.WebhookTrigger) {
				w.Spec.State = sluicev1alpha1.TriggerSuspended
			}), sluicev1alpha1.ReasonSuspended,
			health{"InProgress", "Current", "Suspended"},
		},
		"FlowDisabled": {
			"by the owner of the Flow, on purpose", trigger("flow-disabled", "disabled", "good"), sluicev1alpha1.ReasonFlowDisabled,
			health{"InProgress", "Current", "Suspended"},
		},
		"FlowNotFound": {
			"it may come", trigger("no-flow", "missing", "good"), sluicev1alpha1.ReasonFlowNotFound,
			health{"InProgress", "InProgress", "Degraded"},
		},
		"SecretNotFound": {
			"it may come", trigger("no-secret", "enabled", "missing"), sluicev1alpha1.ReasonSecretNotFound,
			health{"InProgress", "InProgress", "Degraded"},
		},
		"SecretKeyEmpty": {
			"it has to be corrected", trigger("blank", "enabled", "blank"), sluicev1alpha1.ReasonSecretKeyEmpty,
			health{"InProgress", "InProgress", "Degraded"},
		},
		"New": {
			"nobody has looked at it", trigger("new", "enabled", "good", func(w *sluicev1alpha1.WebhookTrigger) {
				w.Namespace = unwatched
			}), "",
			health{"InProgress", "InProgress", "Progressing"},
		},
	}
	for _, tc := range cases {
		env.Create(t, tc.trigger)
	}
	operator := startOperator(t, env, watched)
	for name, tc := range cases {
		// Not t.Run with t.Parallel: all of this is over before the operator is stopped.
		testenv.Eventually(t, patience, func() error {
			if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(tc.trigger), tc.trigger); err != nil {
				return err
			}
			ready := apimeta.FindStatusCondition(tc.trigger.Status.Conditions, sluicev1alpha1.ConditionReady)
			if tc.ready != "" && (ready == nil || ready.Reason != tc.ready) {
				return fmt.Errorf("%s: %s: the condition is %+v", name, tc.reason, ready)
			}
			return nil
		})
		if diff := cmp.Diff(tc.want, judge(t, tc.trigger)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}

	operator.stop()
	changed := cases["Ready"].trigger
	changed.Spec.Algorithm = sluicev1alpha1.AlgorithmSHA512
	if err := env.Client.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(health{"InProgress", "InProgress", "Progressing"}, judge(t, changed)); diff != "" {
		t.Errorf("nobody has looked at the change (-want +got):\n%s", diff)
	}

	for state, want := range map[sluicev1alpha1.FlowState]string{sluicev1alpha1.FlowEnabled: "Healthy", sluicev1alpha1.FlowDisabled: "Suspended"} {
		live := flow(strings.ToLower(string(state)), state)
		if diff := cmp.Diff(health{"Current", "", want}, judge(t, live)); diff != "" {
			t.Errorf("a Flow that is %s (-want +got):\n%s", state, diff)
		}
	}
}

// TestHealthOfRuns looks at FlowRuns as whoever executes them reports.
func TestHealthOfRuns(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	cases := map[string]struct {
		reason    string
		succeeded metav1.ConditionStatus
		want      string
	}{
		"Record":    {"nobody executes it", "", "Healthy"},
		"Active":    {"it is being executed", metav1.ConditionUnknown, "Progressing"},
		"Succeeded": {"it has ended well", metav1.ConditionTrue, "Healthy"},
		"Failed":    {"it has ended badly", metav1.ConditionFalse, "Degraded"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := `{apiVersion: sluice.dev/v1alpha1, kind: FlowRun, metadata: {generateName: run-, namespace: ` + namespace + `},
				spec: {flowRef: {name: import}, payload: {text: a, size: 1, sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb}}}`
			run := parse(t, text)[0]
			env.Create(t, run)
			if tc.succeeded != "" {
				conditions := []any{map[string]any{
					"type": "Succeeded", "status": string(tc.succeeded), "reason": "Reported", "message": "a message", "lastTransitionTime": "2026-01-02T03:04:05Z",
				}}
				if err := unstructured.SetNestedSlice(run.Object, conditions, "status", "conditions"); err != nil {
					t.Fatal(err)
				}
				if err := env.Client.Status().Update(t.Context(), run); err != nil {
					t.Fatal(err)
				}
			}
			if got := argo(t, run.Object, "FlowRun"); got != tc.want {
				t.Errorf("%s: it is %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// judge says what the tools make of a live object.
func judge(t *testing.T, object client.Object) health {
	t.Helper()
	gvk, err := env.Client.GroupVersionKindFor(object)
	if err != nil {
		t.Fatal(err)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(gvk)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(object), live); err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(live)
	if err != nil {
		t.Fatal(err)
	}
	return health{result.Status.String(), flux(t, live), argo(t, live.Object, gvk.Kind)}
}

// flux evaluates the documented expression, with Flux' own evaluator. It returns nothing if there
// is none for the kind.
func flux(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	for _, text := range markdown.Texts(t, "docs/gitops.md", "yaml foreign") {
		for _, documented := range parse(t, text) {
			expressions, _, err := unstructured.NestedSlice(documented.Object, "spec", "healthCheckExprs")
			if err != nil {
				t.Fatal(err)
			}
			for _, expression := range expressions {
				fields, ok := expression.(map[string]any)
				if !ok || fields["kind"] != object.GetKind() {
					continue
				}
				current, ok := fields["current"].(string)
				if !ok || len(fields) != 3 { // with apiVersion and kind
					t.Fatalf("the expressions are %v", fields)
				}
				evaluator, err := cel.NewStatusEvaluator(&kustomize.HealthCheckExpressions{Current: current})
				if err != nil {
					t.Fatal(err)
				}
				result, err := evaluator.Evaluate(t.Context(), object)
				if err != nil {
					// Flux reports it and tries again.
					return status.InProgressStatus.String()
				}
				return result.Status.String()
			}
		}
	}
	return ""
}

// argo runs the documented script as Argo CD does: with the object as the global obj, and with no
// libraries but these.
func argo(t *testing.T, object map[string]any, kind string) string {
	t.Helper()
	var script string
	for _, text := range markdown.Texts(t, "docs/gitops.md", "yaml") {
		for _, documented := range parse(t, text) {
			found, ok, err := unstructured.NestedString(documented.Object, "data", "resource.customizations.health.sluice.dev_"+kind)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				script = found
			}
		}
	}
	if script == "" {
		t.Fatalf("there is no script for %s", kind)
	}
	vm := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer vm.Close()
	for name, library := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := vm.CallByParam(lua.P{Fn: vm.NewFunction(library), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	vm.SetGlobal("obj", toLua(t, vm, object))
	if err := vm.DoString(script); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	result, ok := vm.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("%s: the script returns a %s", kind, vm.Get(-1).Type())
	}
	answer := vm.GetField(result, "status").String()
	if !slices.Contains([]string{"Healthy", "Progressing", "Degraded", "Suspended"}, answer) {
		t.Errorf("%s: Argo CD knows no health %q", kind, answer)
	}
	return answer
}

// toLua turns what JSON can hold into what Lua has for it.
func toLua(t *testing.T, vm *lua.LState, value any) lua.LValue {
	t.Helper()
	switch value := value.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := vm.NewTable()
		for _, item := range value {
			table.Append(toLua(t, vm, item))
		}
		return table
	case map[string]any:
		table := vm.NewTable()
		for name, item := range value {
			table.RawSetString(name, toLua(t, vm, item))
		}
		return table
	default:
		t.Fatalf("an object has a %T", value)
		return nil
	}
}
