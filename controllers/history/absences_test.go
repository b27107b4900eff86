/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// long is a history that keeps what the defaults do not.
var long = sluicev1alpha1.History{
	TTLSecondsAfterReceived: 365 * 24 * 3600, TTLSecondsAfterFinished: new(int32(365 * 24 * 3600)), SuccessfulRunsHistoryLimit: new(int32(10000)),
}

// TestFlowIsMadeAnew takes a Flow away whose runs are older than the defaults allow, and brings it
// back, or not.
func TestFlowIsMadeAnew(t *testing.T) {
	t.Parallel()
	// Each step is what happens to the Flow, or to the collector, after which time, before the next
	// sweep.
	type step struct {
		after time.Duration
		do    string
		fails bool // whether the sweep ends with an error
		gone  bool // whether the runs that have not begun are gone after it
	}
	const almost = absenceGrace - time.Second
	cases := map[string]struct {
		reason string
		steps  []step
	}{
		"Replaced": {"kubectl replace --force", []step{{0, "nothing", false, false}, {0, "delete", false, false}, {time.Second, "create", false, false}, {2 * absenceGrace, "nothing", false, false}}},
		"AppliedAgain": {"GitOps that prunes, and applies again before the grace is over", []step{
			{0, "nothing", false, false}, {0, "delete", false, false}, {almost, "nothing", false, false}, {0, "create", false, false}, {2 * absenceGrace, "nothing", false, false},
		}},
		"Gone": {"the defaults hold after the grace, which begins when it was missed", []step{
			{0, "nothing", false, false}, {10 * absenceGrace, "delete", false, false}, {almost, "nothing", false, false}, {time.Second, "nothing", false, true},
		}},
		"GoneAgain": {"the grace begins anew", []step{
			{0, "nothing", false, false}, {0, "delete", false, false}, {almost, "create", false, false}, {almost, "delete", false, false}, {almost, "nothing", false, false},
			{time.Second, "nothing", false, true},
		}},
		"NewLeader": {"one who cannot know when it went begins anew", []step{
			{0, "nothing", false, false}, {0, "delete", false, false}, {almost, "restart", false, false}, {almost, "nothing", false, false}, {time.Second, "nothing", false, true},
		}},
		"NewLeaderCannotList": {"no more than one who has seen nothing for an hour", []step{
			{0, "break", true, false}, {0, "delete", true, false}, {2 * absenceGrace, "mend", false, false}, {almost, "nothing", false, false},
			{time.Second, "nothing", false, true},
		}},
		"CannotList": {"what went while nobody could look was there when somebody did", []step{
			{0, "nothing", false, false}, {0, "break", true, false}, {absenceGrace, "delete", true, false}, {absenceGrace, "mend", false, false}, {almost, "nothing", false, false},
			{time.Second, "nothing", false, true},
		}},
		"BeingDeleted": {"it is there, and says how long", []step{{0, "hold", false, false}, {0, "delete", false, false}, {2 * absenceGrace, "nothing", false, false}}},
		"Unreadable": {"stored under another version of the definition: nobody knows how long", []step{
			{0, "nothing", false, false}, {0, "garble", false, false}, {2 * absenceGrace, "nothing", false, false},
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			flow := makeFlow(namespace)
			flow.Spec.History = long
			env.Create(t, flow)
			now := create(t, namespace, given{"a", received, 0, nil}, given{"b", active, 0, nil}).Add(10 * day)
			var broken bool
			makeCollector := func() *Collector {
				return newCollector(t, in(namespace), func(o *Options) { o.Now = func() time.Time { return now } }, through(func(r *http.Request) *http.Response {
					if broken && r.Method == http.MethodGet {
						return answer(metav1.Status{Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError})
					}
					return nil
				}))
			}
			c := makeCollector()
			for i, s := range tc.steps {
				now = now.Add(s.after)
				var err error
				switch s.do {
				case "nothing":
				case "delete":
					err = env.Client.Delete(t.Context(), flow)
				case "create":
					flow = makeFlow(namespace)
					flow.Spec.History = long
					env.Create(t, flow)
				case "hold":
					err = env.Client.Patch(t.Context(), flow, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"finalizers": ["example.com/hold"]}}`)))
				case "garble":
					err = env.Client.Patch(t.Context(), flow, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"annotations": {"sluice.dev/unreadable": "spec"}}, "spec": {"history": null}}`)))
				case "restart":
					c = makeCollector()
				case "break", "mend":
					broken = s.do == "break"
				default:
					t.Fatalf("what is %s?", s.do)
				}
				if err != nil {
					t.Fatalf("%s: step %d: %v", tc.reason, i, err)
				}
				if _, err := c.Sweep(t.Context()); (err != nil) != s.fails {
					t.Fatalf("%s: the sweep after step %d ends with %v", tc.reason, i, err)
				}
				want := []string{"a", "b"}
				if s.gone {
					want = []string{"b"}
				}
				checkLeft(t, fmt.Sprintf("%s: after step %d", tc.reason, i), namespace, want...)
			}
		})
	}
}

// TestFlowWasThereForAMoment has runs of a Flow that no sweep has seen: it was made and deleted in
// between. So are runs that a backup brings back before their Flow.
func TestFlowWasThereForAMoment(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := newCollector(t, at(now), func(o *Options) { o.Flows = nowhere{} })
	c.absences.swept("", now.Add(-10*absenceGrace), func(types.NamespacedName) bool { return false })
	for age, want := range map[time.Duration]int{0: 0, absenceGrace - time.Second: 0, absenceGrace: 1} {
		s := &sweep{Collector: c, histories: map[types.NamespacedName]limits{}, newest: map[group]*keepNewest{}, seen: map[state]int{}}
		for i := range defaultLimits.successful + 1 {
			r := &run{namespace: "shop", name: fmt.Sprintf("run-%d", i), flow: flowName, state: succeeded, created: now.Add(-age), finished: now}
			if err := s.evaluate(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.tasks) != want {
			t.Errorf("%d runs that are %s old would be deleted, want %d", len(s.tasks), age, want)
		}
	}
}

// nowhere is a reader of no Flows.
type nowhere struct{ client.Reader }

func (nowhere) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(sluicev1alpha1.GroupVersion.WithResource("flows").GroupResource(), key.Name)
}

// TestAbsencesAreBounded has more Flows come and go than are remembered. None of their runs goes
// too early, no other namespace notices, and when it is over nothing is left of it.
func TestAbsencesAreBounded(t *testing.T) {
	t.Parallel()
	a, now := newAbsences(), time.Now()
	all := func(types.NamespacedName) bool { return true }
	name := func(i int) types.NamespacedName {
		return types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("flow-%d", i)}
	}
	elsewhere := types.NamespacedName{Namespace: "billing", Name: flowName}
	a.swept("", now, all)
	now = now.Add(2 * absenceGrace)
	for i := range 10*maxAbsent + 1 {
		a.seen(name(i))
		a.recent(name(i), now)
		a.recent(types.NamespacedName{Namespace: "shop", Name: strings.Repeat("x", i%250) + "-invented"}, now)
	}
	if n := len(a.missing["shop"].flows); n > maxAbsent || len(a.missing) != 1 || len(a.present) != 0 {
		t.Errorf("%d Flows that are missing are remembered, in %d namespaces, and %d that are there", n, len(a.missing), len(a.present))
	}
	check := func(when string, want bool) {
		t.Helper()
		a.swept("", now, all)
		got := map[string]bool{"first": a.recent(name(0), now), "last": a.recent(name(10*maxAbsent), now), "elsewhere": a.recent(elsewhere, now)}
		if diff := cmp.Diff(map[string]bool{"first": want, "last": want, "elsewhere": false}, got); diff != "" {
			t.Errorf("%s, which ones were there a while ago (-want +got):\n%s", when, diff)
		}
	}
	check("at once", true)
	now = now.Add(absenceGrace - time.Second)
	check("before the grace is over", true)
	now = now.Add(time.Second)
	check("after it", false)
	if len(a.missing) != 0 {
		t.Errorf("%v is remembered of what is over", a.missing)
	}
}

// TestRunsAreGone shows that a Flow is forgotten when it has no runs any more, and not because a
// namespace could not be listed.
func TestRunsAreGone(t *testing.T) {
	t.Parallel()
	a, now := newAbsences(), time.Now()
	shop, billing := types.NamespacedName{Namespace: "shop", Name: flowName}, types.NamespacedName{Namespace: "billing", Name: flowName}
	a.seen(shop)
	a.seen(billing)
	a.swept("shop", now, func(types.NamespacedName) bool { return false })
	if diff := cmp.Diff(map[types.NamespacedName]struct{}{billing: {}}, a.present); diff != "" {
		t.Errorf("the Flows that are remembered after a sweep of shop (-want +got):\n%s", diff)
	}
}
