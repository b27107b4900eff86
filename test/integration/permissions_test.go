/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// permission is what RBAC decides on.
type permission struct{ Group, Resource, Verb string }

func (p permission) String() string { return p.Verb + " " + p.Resource + "." + p.Group }

// auditor takes note of what an operator asks of the API server, in the API server's own terms.
type auditor struct {
	mu          sync.Mutex
	used        map[permission]bool
	clusterWide map[permission]bool // of all namespaces, or of none
	refused     []string            // for want of a permission
}

func newAuditor() *auditor {
	return &auditor{used: map[permission]bool{}, clusterWide: map[permission]bool{}}
}

// watch makes an operator's requests known to the auditor.
func (a *auditor) watch(c *operatorConfig) {
	parse := &apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	c.wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			info, infoErr := parse.NewRequestInfo(r)
			if infoErr != nil || err != nil || !info.IsResourceRequest { // what is not of a resource is discovery
				return response, err
			}
			p := permission{info.APIGroup, info.Resource, info.Verb}
			if info.Subresource != "" {
				p.Resource += "/" + info.Subresource
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.used[p] = true
			if info.Namespace == "" {
				a.clusterWide[p] = true
			}
			if response.StatusCode == http.StatusForbidden {
				a.refused = append(a.refused, p.String()+" in "+info.Namespace)
			}
			return response, err
		})
	})
}

// withoutStreamedLists makes the API server appear as one without the feature WatchList.
func withoutStreamedLists(c *operatorConfig) {
	c.wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("sendInitialEvents") == "true" {
				return answerStatus(r, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents: Forbidden", 0), nil
			}
			return next.RoundTrip(r)
		})
	})
}

// eventually waits until the operator has made use of a permission.
func (a *auditor) eventually(t *testing.T, p permission) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.used[p] {
			return fmt.Errorf("no use has been made of: %s", p)
		}
		return nil
	})
}

// granted returns what the roles of config/rbac allow.
func granted(t *testing.T, roles ...string) map[permission]bool {
	t.Helper()
	all := map[permission]bool{}
	for _, name := range roles {
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(configuredRole(t, name).Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						all[permission{group, resource, verb}] = true
					}
				}
			}
		}
	}
	return all
}

// TestPermissionsAreThoseUsed runs an operator of each role through all that it does, and compares
// what it asked of the API server with what config/rbac allows: nothing is refused, and nothing is
// allowed in vain.
func TestPermissionsAreThoseUsed(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	deduplicating := makeTrigger(namespace)
	deduplicating.Name = "deliveries"
	deduplicating.Spec.Deduplication = sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateBySignature}
	env.Create(t, deduplicating)
	grant(t, "sluice-metrics-reader", makeAccount(t, namespace, "prometheus"))

	var offset atomic.Int64 // of the clock of the webhook server
	start := func(role app.Role) (*operator, *auditor, string) {
		a := newAuditor()
		address := testenv.FreeAddress(t)
		o := startOperator(t, namespace, a.watch, func(c *operatorConfig) {
			c.options = func(options *app.Options) {
				options.Role, options.MetricsAddress = role, address
				options.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
			}
		})
		return o, a, "https://" + address + "/metrics"
	}
	serving, ingest, ingestMetrics := start(app.RoleIngest)
	_, controller, controllerMetrics := start(app.RoleController)

	t.Log("a delivery, and the same again")
	send := func(name, mac string) reply {
		return exchange(t, serving, rawRequest(http.MethodPost, "/hooks/"+namespace+"/"+name, []string{contentLength(2), "X-HMAC-HASH: " + mac}, "{}"))
	}
	for _, want := range []int{http.StatusAccepted, http.StatusOK} {
		if r := send("deliveries", sign(keyText, "{}")); r.status != want {
			t.Errorf("a delivery is answered %d, want %d", r.status, want)
		}
	}
	t.Log("an Event that says why a request was refused, and its repetition")
	send(triggerName, sign("another key", "{}"))
	ingest.eventually(t, permission{"events.k8s.io", "events", "create"})
	offset.Store(int64(time.Hour))
	send(triggerName, sign("another key", "{}"))
	ingest.eventually(t, permission{"events.k8s.io", "events", "patch"})

	t.Log("Events on readiness")
	trigger := makeTrigger(namespace)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	for range 2 {
		update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerSuspended })
		eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonSuspended)
		update(t, trigger, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerActive })
		eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	}
	controller.eventually(t, permission{"coordination.k8s.io", "leases", "update"})

	t.Log("history: one run is due, and of another the payload")
	flow := makeFlow(namespace)
	update(t, flow, func(f *sluicev1alpha1.Flow) {
		f.Spec.History.SuccessfulRunsHistoryLimit, f.Spec.History.PayloadTTLSeconds = new(int32(0)), new(int32(0))
	})
	for _, conclusion := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse} {
		run := acceptedRun(t, namespace, serving.mustPost(t, namespace, keyText, "{}"))
		run.Status = sluicev1alpha1.FlowRunStatus{
			CompletionTime: new(metav1.Now()),
			Conditions: []metav1.Condition{{
				Type: sluicev1alpha1.ConditionSucceeded, Status: conclusion, Reason: "Done", LastTransitionTime: metav1.Now(),
			}},
		}
		if err := env.Client.Status().Update(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	controller.eventually(t, permission{"sluice.dev", "flowruns", "delete"})
	controller.eventually(t, permission{"sluice.dev", "flowruns", "patch"})

	t.Log("an API server that cannot stream lists, as older ones")
	other := newWorld(t)
	for role, a := range map[app.Role]*auditor{app.RoleIngest: ingest, app.RoleController: controller} {
		startOperator(t, other, withoutStreamedLists, a.watch, func(c *operatorConfig) {
			c.options = func(options *app.Options) { options.Role = role }
		})
	}
	eventuallyCondition(t, other, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	controller.eventually(t, permission{"sluice.dev", "flowruns", "list"})

	t.Log("metrics")
	c := newHTTPClient(t, &tls.Config{InsecureSkipVerify: true}, func(p *http.Protocols) { p.SetHTTP1(true) }) //nolint:gosec // it is signed by nobody
	for _, url := range []string{ingestMetrics, controllerMetrics} {
		if r := scrape(t, c, http.MethodGet, url, env.Token(t, namespace, "prometheus")); r.status != http.StatusOK {
			t.Errorf("metrics are answered %d: %s", r.status, r.body)
		}
	}

	cases := map[string]struct {
		auditor *auditor
		granted map[permission]bool
	}{
		"Ingest":     {ingest, granted(t, "sluice-ingest", "sluice-metrics-auth")},
		"Controller": {controller, granted(t, "sluice-controller", "sluice-metrics-auth", "sluice-leader-election")},
	}
	for name, tc := range cases {
		tc.auditor.mu.Lock()
		if len(tc.auditor.refused) > 0 {
			t.Errorf("%s: refused: %s", name, strings.Join(tc.auditor.refused, ", "))
		}
		if diff := cmp.Diff(sorted(tc.granted), sorted(tc.auditor.used)); diff != "" {
			t.Errorf("%s: permissions (-granted +used):\n%s", name, diff)
		}
		tc.auditor.mu.Unlock()
	}
}

func sorted(permissions map[permission]bool) []string {
	var texts []string
	for p := range maps.Keys(permissions) {
		texts = append(texts, p.String())
	}
	slices.Sort(texts)
	return texts
}
