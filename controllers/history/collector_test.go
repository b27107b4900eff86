/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/sink/kube"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// secret is what is in payloads and must be nowhere else.
const secret = "a-secret-in-a-payload"

// A given is a run as a test wants it.
type given struct {
	name     string
	state    state // received, active, succeeded, failed, or deleting
	finished time.Duration
	change   func(*sluicev1alpha1.FlowRun)
}

// create creates runs, all of them at about the same time, which it returns.
func create(tb testing.TB, namespace string, runs ...given) time.Time {
	tb.Helper()
	began := time.Now().Truncate(time.Second)
	for _, g := range runs {
		run := makeRun(namespace, g.name)
		run.Spec.Payload.Text, run.Spec.Payload.Size = secret, new(int64(len(secret)))
		if g.state == deleting {
			run.Finalizers = []string{"example.com/hold"}
		}
		if g.change != nil {
			g.change(run)
		}
		env.Create(tb, run)
		switch g.state {
		case received:
		case active:
			patchStatus(tb, run, []byte(`{"status": {"startTime": "2026-01-31T12:00:00Z"}}`))
		case succeeded, failed:
			patchStatus(tb, run, finished(g.state == succeeded, began.Add(g.finished)))
		case deleting:
			if err := env.Client.Delete(tb.Context(), run); err != nil {
				tb.Fatal(err)
			}
		default:
			tb.Fatalf("%s has no state", g.name)
		}
	}
	return began
}

func patchStatus(tb testing.TB, run *sluicev1alpha1.FlowRun, patch []byte) {
	tb.Helper()
	if err := env.Client.Status().Patch(tb.Context(), run, client.RawPatch(types.MergePatchType, patch)); err != nil {
		tb.Fatalf("patch the status of %s: %v", run.Name, err)
	}
}

// left returns the runs that there are, and " dropped" behind those whose payload is gone.
func left(tb testing.TB, namespace string) []string {
	tb.Helper()
	var list sluicev1alpha1.FlowRunList
	if err := env.Client.List(tb.Context(), &list, client.InNamespace(namespace)); err != nil {
		tb.Fatal(err)
	}
	found := []string{}
	for i := range list.Items {
		run := &list.Items[i]
		name := run.Name
		if run.Spec.Payload.State == sluicev1alpha1.PayloadDropped {
			name += " dropped"
			if run.Spec.Payload.Text != "" || *run.Spec.Payload.Size != int64(len(secret)) || run.Spec.Payload.SHA256 != digest {
				tb.Errorf("%s has lost more or less than its payload: %+v", name, run.Spec.Payload)
			}
		} else if run.Spec.Payload.Text != secret {
			tb.Errorf("%s has lost its payload without a word: %+v", name, run.Spec.Payload)
		}
		found = append(found, name)
	}
	return found
}

func checkLeft(tb testing.TB, reason, namespace string, want ...string) {
	tb.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, left(tb, namespace)); diff != "" {
		tb.Errorf("%s: the runs that are left (-want +got):\n%s", reason, diff)
	}
}

// at makes a collector's clock stand still.
func at(now time.Time) func(*Options) {
	return func(o *Options) { o.Now = func() time.Time { return now } }
}

func in(namespaces ...string) func(*Options) {
	return func(o *Options) { o.Namespaces = namespaces }
}

// through has a look at each request: what it returns is the answer, unless that is nil.
func through(look func(*http.Request) *http.Response) func(*Options) {
	return func(o *Options) {
		o.Config = rest.CopyConfig(o.Config)
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) {
				if response := look(request); response != nil {
					response.Request = request
					return response, nil
				}
				return next.RoundTrip(request)
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// answer is an answer of the API server that is an error.
func answer(status metav1.Status) *http.Response {
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	status.Status = metav1.StatusFailure
	raw, _ := json.Marshal(status)
	header := http.Header{"Content-Type": {"application/json"}}
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		header.Set("Retry-After", fmt.Sprint(status.Details.RetryAfterSeconds))
	}
	return &http.Response{StatusCode: int(status.Code), Header: header, Body: io.NopCloser(bytes.NewReader(raw))}
}

func sweepOnce(tb testing.TB, c *Collector) {
	tb.Helper()
	if _, err := c.Sweep(tb.Context()); err != nil {
		tb.Fatalf("sweep: %v", err)
	}
}

// TestSweep has what is deleted, what stays, and what loses its payload.
func TestSweep(t *testing.T) {
	t.Parallel()
	retain := func(d time.Duration) func(*sluicev1alpha1.FlowRun) {
		return func(r *sluicev1alpha1.FlowRun) {
			r.Annotations[sluicev1alpha1.AnnotationRetainUntil] = time.Now().Add(d).UTC().Format(time.RFC3339)
		}
	}
	annotate := func(text string) func(*sluicev1alpha1.FlowRun) {
		return func(r *sluicev1alpha1.FlowRun) { r.Annotations[sluicev1alpha1.AnnotationRetainUntil] = text }
	}
	five := func(s state) []given { // which finished in another order than that of their names
		return []given{
			{"a", s, 30 * time.Second, nil}, {"b", s, 10 * time.Second, nil}, {"c", s, 50 * time.Second, nil}, {"d", s, 20 * time.Second, nil}, {"e", s, 40 * time.Second, nil},
		}
	}
	cases := map[string]struct {
		reason  string
		history *sluicev1alpha1.History // nil if the Flow is gone
		runs    []given
		after   time.Duration
		want    []string
	}{
		"Young": {
			reason: "nothing is due", history: &sluicev1alpha1.History{},
			runs: []given{{"a", received, 0, nil}, {"b", active, 0, nil}, {"c", succeeded, 0, nil}, {"d", failed, 0, nil}},
			want: []string{"a", "b", "c", "d"},
		},
		"ReceivedDefault": {
			reason: "a run that nobody begins goes after 3 days", history: &sluicev1alpha1.History{},
			runs: []given{{"a", received, 0, nil}}, after: 3*day + time.Minute,
		},
		"ReceivedDefaultBefore": {
			reason: "but not earlier", history: &sluicev1alpha1.History{}, runs: []given{{"a", received, 0, nil}}, after: 3*day - time.Minute, want: []string{"a"},
		},
		"Received": {
			reason: "the limit of the Flow", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 600},
			runs: []given{{"a", received, 0, nil}, {"b", active, 0, nil}, {"c", succeeded, 0, nil}}, after: 11 * time.Minute, want: []string{"b", "c"},
		},
		"Finished": {
			reason: "it counts from when the run finished", history: &sluicev1alpha1.History{TTLSecondsAfterFinished: new(int32(600))},
			runs:  []given{{"a", succeeded, 0, nil}, {"b", failed, 0, nil}, {"c", succeeded, 5 * time.Minute, nil}, {"d", failed, 5 * time.Minute, nil}, {"e", received, 0, nil}},
			after: 11 * time.Minute, want: []string{"c", "d", "e"},
		},
		"FinishedAtOnce": {
			reason: "0 is no default", history: &sluicev1alpha1.History{TTLSecondsAfterFinished: new(int32(0))},
			runs: []given{{"a", succeeded, 0, nil}, {"b", active, 0, nil}}, after: time.Minute, want: []string{"b"},
		},
		"Active": {
			reason: "what somebody is at work on stays, however long it takes", history: &sluicev1alpha1.History{
				TTLSecondsAfterFinished: new(int32(0)), TTLSecondsAfterReceived: 1, SuccessfulRunsHistoryLimit: new(int32(0)), FailedRunsHistoryLimit: new(int32(0)), PayloadTTLSeconds: new(int32(0)),
			},
			runs: []given{{"a", active, 0, nil}}, after: 10 * 365 * day, want: []string{"a"},
		},
		"SuccessfulLimit": {
			reason: "the newest stay", history: &sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(2)), FailedRunsHistoryLimit: new(int32(0))},
			runs: five(succeeded), after: time.Minute, want: []string{"c", "e"},
		},
		"FailedLimit": {
			reason: "the newest stay", history: &sluicev1alpha1.History{FailedRunsHistoryLimit: new(int32(3)), SuccessfulRunsHistoryLimit: new(int32(0))},
			runs: five(failed), after: time.Minute, want: []string{"a", "c", "e"},
		},
		"NothingKept": {
			reason: "0 is no default", history: &sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(0)), FailedRunsHistoryLimit: new(int32(0))},
			runs: []given{{"a", succeeded, 0, nil}, {"b", failed, 0, nil}, {"c", received, 0, nil}, {"d", active, 0, nil}}, after: time.Minute, want: []string{"c", "d"},
		},
		"Apart": {
			reason: "what failed takes no room from what succeeded", history: &sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(1)), FailedRunsHistoryLimit: new(int32(1))},
			runs:  []given{{"a", succeeded, 1 * time.Second, nil}, {"b", failed, 2 * time.Second, nil}, {"c", succeeded, 3 * time.Second, nil}, {"d", failed, 4 * time.Second, nil}},
			after: time.Minute, want: []string{"c", "d"},
		},
		"SameSecond": {
			reason: "each sweep keeps the same", history: &sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(1))},
			runs: []given{{"b", succeeded, 0, nil}, {"a", succeeded, 0, nil}, {"c", succeeded, 0, nil}}, after: time.Minute, want: []string{"c"},
		},
		"Window": {
			reason: "what repetitions are recognised by stays", history: &sluicev1alpha1.History{
				TTLSecondsAfterFinished: new(int32(0)), TTLSecondsAfterReceived: 1, SuccessfulRunsHistoryLimit: new(int32(0)), FailedRunsHistoryLimit: new(int32(0)),
			},
			runs: []given{
				{"a", received, 0, retain(time.Hour)}, {"b", succeeded, 0, retain(time.Hour)}, {"c", failed, 0, retain(time.Hour)},
				{"d", received, 0, retain(time.Minute)}, {"e", succeeded, 0, retain(time.Minute)}, {"f", received, 0, nil},
			},
			after: 30 * time.Minute, want: []string{"a", "b", "c"},
		},
		"WindowAndLimit": {
			reason: "what is retained takes room from what is not, as it is there", history: &sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(1))},
			runs:  []given{{"a", succeeded, 1 * time.Second, nil}, {"b", succeeded, 2 * time.Second, retain(time.Hour)}, {"c", succeeded, 3 * time.Second, retain(time.Hour)}},
			after: time.Minute, want: []string{"b", "c"},
		},
		"MalformedWindow": {
			reason: "it is kept for a day, and not for good", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 1},
			runs: []given{{"a", received, 0, annotate("never")}, {"b", received, 0, annotate("")}}, after: 23 * time.Hour, want: []string{"a", "b"},
		},
		"MalformedWindowOver": {
			reason: "it is kept for a day, and not for good", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 1},
			runs: []given{{"a", received, 0, annotate("never")}, {"b", received, 0, annotate("")}}, after: 25 * time.Hour,
		},
		"EternalWindow": {
			reason: "no run is immortal", history: &sluicev1alpha1.History{}, runs: []given{{"a", received, 0, annotate("9999-12-31T23:59:59Z")}}, after: 30*day - time.Minute, want: []string{"a"},
		},
		"EternalWindowOver": {
			reason: "no run is immortal", history: &sluicev1alpha1.History{}, runs: []given{{"a", received, 0, annotate("9999-12-31T23:59:59Z")}}, after: 30*day + time.Minute,
		},
		"EternalStatus": {
			reason: "no run is immortal", history: &sluicev1alpha1.History{}, runs: []given{{"a", succeeded, 7000 * 365 * day / 100, nil}, {"b", failed, -1000 * day, nil}}, after: 8 * day,
		},
		"FlowGone": {
			reason: "the defaults hold",
			runs:   []given{{"a", received, 0, nil}, {"b", succeeded, day, nil}, {"c", failed, 4 * day, nil}, {"d", active, 0, nil}}, after: 3*day + time.Minute, want: []string{"b", "c", "d"},
		},
		"FlowGoneLong": {
			reason: "the defaults hold",
			runs:   []given{{"a", received, 0, nil}, {"b", succeeded, 0, nil}, {"c", failed, 0, nil}, {"d", active, 0, nil}}, after: 7*day + time.Minute, want: []string{"d"},
		},
		"ByHand": {
			reason: "what was made by hand has no label, and the same Flow", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 60},
			runs: []given{{"a", received, 0, func(r *sluicev1alpha1.FlowRun) {
				r.Labels, r.Annotations, r.Spec.TriggerRef, r.Spec.Request = nil, nil, sluicev1alpha1.TriggerReference{}, sluicev1alpha1.Request{}
			}}},
			after: 2 * time.Minute,
		},
		"Relabelled": {
			reason: "a label can be changed, the Flow cannot", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 60},
			runs: []given{{"a", received, 0, func(r *sluicev1alpha1.FlowRun) { r.Labels[sluicev1alpha1.LabelFlow] = "other" }}}, after: 2 * time.Minute,
		},
		"AnotherFlow": {
			reason: "each Flow has a history of its own", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 60, SuccessfulRunsHistoryLimit: new(int32(0))},
			runs: []given{
				{"a", received, 0, func(r *sluicev1alpha1.FlowRun) { r.Spec.FlowRef.Name = "other" }},
				{"b", succeeded, 0, func(r *sluicev1alpha1.FlowRun) { r.Spec.FlowRef.Name = "other" }},
				{"c", received, 0, nil},
			},
			after: 2 * time.Minute, want: []string{"a", "b"},
		},
		"Finalizer": {
			reason: "somebody holds it", history: &sluicev1alpha1.History{TTLSecondsAfterReceived: 1}, runs: []given{{"a", deleting, 0, nil}}, after: time.Minute, want: []string{"a"},
		},
		"Payload": {
			reason: "the payload goes before the run", history: &sluicev1alpha1.History{PayloadTTLSeconds: new(int32(600))},
			runs: []given{
				{"a", received, 0, nil}, {"b", active, 0, nil}, {"c", succeeded, 0, nil}, {"d", failed, 0, nil}, {"e", succeeded, 5 * time.Minute, nil},
				{"f", received, 0, retain(time.Hour)}, {"g", succeeded, 0, retain(time.Hour)},
			},
			after: 11 * time.Minute, want: []string{"a dropped", "b", "c dropped", "d dropped", "e", "f dropped", "g dropped"},
		},
		"PayloadOfSurplus": {
			reason: "what is retained beyond the limit loses its payload, and what goes is not changed before",
			history: &sluicev1alpha1.History{
				PayloadTTLSeconds: new(int32(0)), SuccessfulRunsHistoryLimit: new(int32(1)),
			},
			runs: []given{
				{"a", succeeded, 1 * time.Second, retain(time.Hour)}, {"b", succeeded, 2 * time.Second, nil}, {"c", succeeded, 3 * time.Second, nil},
			},
			after: time.Minute, want: []string{"a dropped", "c dropped"},
		},
		"NoPayloadTTL": {
			reason: "the payload stays as long as the run", history: &sluicev1alpha1.History{},
			runs: []given{{"a", received, 0, nil}, {"b", succeeded, 0, nil}}, after: 2 * day, want: []string{"a", "b"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			if tc.history != nil {
				flow := makeFlow(namespace)
				flow.Spec.History = *tc.history
				env.Create(t, flow)
			}
			began := create(t, namespace, tc.runs...)
			var writes atomic.Int64
			now := began.Add(tc.after)
			c := newCollector(t, in(namespace), func(o *Options) { o.Now = func() time.Time { return now } }, through(func(r *http.Request) *http.Response {
				if r.Method != http.MethodGet {
					writes.Add(1)
				}
				return nil
			}))
			if tc.history == nil { // then the leader must have missed the Flow for a while
				now = now.Add(-absenceGrace)
				sweepOnce(t, c)
				now = now.Add(absenceGrace)
			}
			sweepOnce(t, c)
			checkLeft(t, tc.reason, namespace, tc.want...)
			first := writes.Load()
			if changed := int64(len(tc.runs) - len(tc.want) + strings.Count(strings.Join(tc.want, " "), "dropped")); first != changed {
				t.Errorf("%s: %d writes for %d changes", tc.reason, first, changed)
			}
			sweepOnce(t, c)
			if again := writes.Load() - first; again != 0 {
				t.Errorf("%s: the next sweep writes %d times, though nothing is left to do", tc.reason, again)
			}
			checkLeft(t, tc.reason+", and the next sweep", namespace, tc.want...)
		})
	}
}

// TestFlowChanges shows that the next sweep goes by the history as it is then.
func TestFlowChanges(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	flow := makeFlow(namespace)
	env.Create(t, flow)
	began := create(t, namespace, given{"a", succeeded, 0, nil}, given{"b", succeeded, time.Second, nil}, given{"c", succeeded, 2 * time.Second, nil})
	c := newCollector(t, in(namespace), at(began.Add(time.Minute)))
	sweepOnce(t, c)
	checkLeft(t, "the default", namespace, "a", "b", "c")

	flow.Spec.History.SuccessfulRunsHistoryLimit = new(int32(2))
	if err := env.Client.Update(t.Context(), flow); err != nil {
		t.Fatal(err)
	}
	sweepOnce(t, c)
	checkLeft(t, "a limit of 2", namespace, "b", "c")

	flow.Spec.History.TTLSecondsAfterFinished = new(int32(30))
	if err := env.Client.Update(t.Context(), flow); err != nil {
		t.Fatal(err)
	}
	sweepOnce(t, c)
	checkLeft(t, "30 seconds", namespace)
}

// observerFunc is a KeyObserver.
type observerFunc func(namespace, trigger, key string, created time.Time)

// ObserveKey implements KeyObserver.
func (f observerFunc) ObserveKey(namespace, trigger, key string, created time.Time) {
	f(namespace, trigger, key, created)
}

// TestObserve shows that whoever wants to know of all runs is told of each at each sweep, and the
// last time before it is deleted.
func TestObserve(t *testing.T) {
	t.Parallel()
	type use struct{ namespace, trigger, key string }
	namespace := env.Namespace(t)
	byHand := func(run *sluicev1alpha1.FlowRun) { run.Labels, run.Annotations = nil, nil }
	env.Create(t, makeFlow(namespace))
	began := create(t, namespace, given{"a", succeeded, 0, nil}, given{"b", active, 0, nil}, given{"c", received, 0, byHand}, given{"d", deleting, 0, nil})
	var observed []use
	c := newCollector(t, in(namespace), at(began.Add(365*day)), func(o *Options) {
		o.KeyObserver = observerFunc(func(in, trigger, key string, created time.Time) {
			if in != namespace || created.Before(began) || created.After(began.Add(time.Minute)) {
				t.Errorf("a run in %s, made at %s", in, created)
			}
			observed = append(observed, use{in, trigger, key})
		})
	})
	const key = "orders-webhook/secretKey"
	sweepOnce(t, c)
	want := []use{{namespace, "orders", key}, {namespace, "orders", key}, {namespace, "", ""}, {namespace, "orders", key}}
	if diff := cmp.Diff(want, observed, cmp.AllowUnexported(use{})); diff != "" {
		t.Errorf("the runs (-want +got):\n%s", diff)
	}
	observed = nil
	sweepOnce(t, c)
	if diff := cmp.Diff(want[:2], observed, cmp.AllowUnexported(use{})); diff != "" { // b and d
		t.Errorf("the runs that are left (-want +got):\n%s", diff)
	}
}

// TestPages sweeps more pages than two, and looks at what the API server sends for them.
func TestPages(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	flow := makeFlow(namespace)
	flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 60, SuccessfulRunsHistoryLimit: new(int32(3)), PayloadTTLSeconds: new(int32(0))}
	env.Create(t, flow)
	var runs []given
	for i := range 11 {
		runs = append(runs, given{fmt.Sprintf("r-%02d", i), received, 0, nil}, given{fmt.Sprintf("s-%02d", i), succeeded, time.Duration(11-i) * time.Second, nil})
	}
	began := create(t, namespace, runs...)
	var pages atomic.Int64
	c := newCollector(t, in(namespace), at(began.Add(2*time.Minute)), func(o *Options) { o.PageSize = 4 }, func(o *Options) {
		o.Config = rest.CopyConfig(o.Config)
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) {
				response, err := next.RoundTrip(request)
				if err != nil || request.Method != http.MethodGet {
					return response, err
				}
				pages.Add(1)
				body, err := io.ReadAll(response.Body)
				if err != nil {
					return nil, err
				}
				if bytes.Contains(body, []byte(secret)) {
					t.Errorf("the API server sends payloads: %s", body)
				}
				if limit := request.URL.Query().Get("limit"); limit != "4" {
					t.Errorf("the limit is %q", limit)
				}
				response.Body = io.NopCloser(bytes.NewReader(body))
				return response, nil
			})
		})
	})
	sweepOnce(t, c)
	checkLeft(t, "the newest 3 of those that succeeded", namespace, "s-00 dropped", "s-01 dropped", "s-02 dropped")
	// The pages shrink while the sweep deletes, but the list is the one that it began with: 22
	// runs.
	if got := pages.Load(); got != 6 {
		t.Errorf("there were %d pages, want 6", got)
	}
}

// TestExpiredList has the API server forget the list that a sweep goes through.
func TestExpiredList(t *testing.T) {
	t.Parallel()
	expired := metav1.Status{Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "The provided continue parameter is too old."}
	cases := map[string]struct {
		reason string
		times  int64 // in a row
		token  bool  // whether the API server says how to go on
		want   []string
		err    bool
	}{
		"GoesOn":   {reason: "the rest is looked at as it is now", times: 1, token: true},
		"NoToken":  {reason: "the next sweep begins anew", times: 1, want: []string{"c", "d", "e"}, err: true},
		"Again":    {reason: "an API server that forgets at once is not asked for ever", times: 2, token: true, want: []string{"c", "d", "e"}, err: true},
		"ForGood":  {reason: "an API server that forgets at once is not asked for ever", times: 100, token: true, want: []string{"c", "d", "e"}, err: true},
		"NotAtAll": {reason: "the list is as it was"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			flow := makeFlow(namespace)
			flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 1}
			env.Create(t, flow)
			began := create(t, namespace, given{"a", received, 0, nil}, given{"b", received, 0, nil}, given{"c", received, 0, nil}, given{"d", received, 0, nil}, given{"e", received, 0, nil})
			var lists, answers atomic.Int64
			c := newCollector(t, in(namespace), at(began.Add(time.Minute)), func(o *Options) { o.PageSize = 2 }, through(func(r *http.Request) *http.Response {
				token := r.URL.Query().Get("continue")
				if r.Method != http.MethodGet {
					return nil
				}
				if lists.Add(1); token == "" || answers.Load() == tc.times {
					return nil
				}
				answers.Add(1)
				status := expired
				if tc.token {
					status.ListMeta.Continue = inconsistent(t, token)
				}
				return answer(status)
			}))
			_, err := c.Sweep(t.Context())
			if (err != nil) != tc.err {
				t.Errorf("%s: %v", tc.reason, err)
			}
			checkLeft(t, tc.reason, namespace, tc.want...)
			if n := lists.Load(); n > 4 {
				t.Errorf("%s: %d pages were asked for", tc.reason, n)
			}
			answers.Store(tc.times)
			sweepOnce(t, c)
			checkLeft(t, tc.reason+"; then another sweep", namespace)
		})
	}
}

// inconsistent makes the token that the API server gives with a 410: it goes on behind the same
// run, in the list of now.
func inconsistent(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	fields["rv"] = -1
	if raw, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestChangedMeanwhile changes a run after it was looked at and before it is written.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	merge := func(patch string) func(context.Context, *sluicev1alpha1.FlowRun) error {
		return func(ctx context.Context, run *sluicev1alpha1.FlowRun) error {
			return env.Client.Patch(ctx, run, client.RawPatch(types.MergePatchType, []byte(patch)))
		}
	}
	cases := map[string]struct {
		reason string
		state  state
		after  time.Duration // 1 hour is for the payload, a day for the run
		change func(context.Context, *sluicev1alpha1.FlowRun) error
		want   []string
		next   []string // after the next sweep
	}{
		"Begun": {
			reason: "somebody has begun it", state: received, after: day,
			change: func(ctx context.Context, run *sluicev1alpha1.FlowRun) error {
				return env.Client.Status().Patch(ctx, run, client.RawPatch(types.MergePatchType, []byte(`{"status": {"startTime": "2026-01-31T12:00:00Z"}}`)))
			},
			want: []string{"a"}, next: []string{"a"},
		},
		"BegunBeforeDrop": {
			reason: "somebody has begun it, and needs the payload", state: received, after: time.Hour,
			change: func(ctx context.Context, run *sluicev1alpha1.FlowRun) error {
				return env.Client.Status().Patch(ctx, run, client.RawPatch(types.MergePatchType, []byte(`{"status": {"startTime": "2026-01-31T12:00:00Z"}}`)))
			},
			want: []string{"a"}, next: []string{"a"},
		},
		"Retained": {
			reason: "somebody wants to keep it", state: succeeded, after: day,
			change: merge(`{"metadata": {"annotations": {"sluice.dev/retain-until": "9999-12-31T23:59:59Z"}}}`),
			want:   []string{"a"}, next: []string{"a dropped"},
		},
		"Labelled": {
			reason: "it is another version, which may matter and is looked at first", state: succeeded, after: day, change: merge(`{"metadata": {"labels": {"a": "b"}}}`), want: []string{"a"},
		},
		"LabelledBeforeDrop": {
			reason: "the same", state: succeeded, after: time.Hour, change: merge(`{"metadata": {"labels": {"a": "b"}}}`), want: []string{"a"}, next: []string{"a dropped"},
		},
		"Deleted": {
			reason: "somebody was quicker", state: succeeded, after: day,
			change: func(ctx context.Context, run *sluicev1alpha1.FlowRun) error { return env.Client.Delete(ctx, run) },
		},
		"DeletedBeforeDrop": {
			reason: "somebody was quicker", state: succeeded, after: time.Hour,
			change: func(ctx context.Context, run *sluicev1alpha1.FlowRun) error { return env.Client.Delete(ctx, run) },
		},
		"MadeAnew": {
			reason: "it is another run of the same name", state: received, after: time.Hour,
			change: func(ctx context.Context, run *sluicev1alpha1.FlowRun) error {
				again := makeRun(run.Namespace, run.Name)
				again.Spec.Payload.Text, again.Spec.Payload.Size = secret, new(int64(len(secret)))
				return errors.Join(env.Client.Delete(ctx, run), env.Client.Create(ctx, again))
			},
			want: []string{"a"}, next: []string{"a dropped"},
		},
		"DroppedByAnother": {
			reason: "somebody was quicker", state: succeeded, after: time.Hour,
			change: merge(`{"spec": {"payload": {"text": null, "state": "Dropped"}}}`), want: []string{"a dropped"}, next: []string{"a dropped"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			flow := makeFlow(namespace)
			flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 12 * 3600, TTLSecondsAfterFinished: new(int32(12 * 3600)), PayloadTTLSeconds: new(int32(60))}
			env.Create(t, flow)
			began := create(t, namespace, given{"a", tc.state, 0, nil})
			var once sync.Once
			registry := prometheus.NewRegistry()
			c := newCollector(t, in(namespace), at(began.Add(tc.after)), func(o *Options) { o.Registerer = registry }, through(func(r *http.Request) *http.Response {
				if r.Method == http.MethodGet {
					return nil
				}
				once.Do(func() {
					run := &sluicev1alpha1.FlowRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}}
					if err := tc.change(r.Context(), run); err != nil {
						t.Errorf("%s: %v", tc.reason, err)
					}
				})
				return nil
			}))
			sweepOnce(t, c)
			checkLeft(t, tc.reason, namespace, tc.want...)
			for _, operation := range []string{opDelete, opDrop} {
				if n := value(t, registry, "sluice_history_errors_total", operation); n != 0 {
					t.Errorf("%s: this counts as %v errors", tc.reason, n)
				}
			}
			sweepOnce(t, c)
			checkLeft(t, tc.reason+"; the next sweep", namespace, tc.next...)
		})
	}
}

// value returns the value of a metric, with a value of its label if it has one.
func value(t *testing.T, registry *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if family.GetName() == name && cmp.Equal(labels, label) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("there is no %s of %v", name, label)
	return 0
}

// TestRefusingNamespace has an admission policy refuse every delete in one namespace. The other is
// swept all the same, the API server is not asked again and again, and the log tells neither
// payload nor the policy's message.
func TestRefusingNamespace(t *testing.T) {
	t.Parallel()
	const many = 40
	refusing, other := env.Namespace(t), env.Namespace(t)
	namespaces := []string{refusing, other}
	var began time.Time
	for _, namespace := range namespaces {
		flow := makeFlow(namespace)
		flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 1}
		env.Create(t, flow)
		var runs []given
		for i := range many {
			runs = append(runs, given{fmt.Sprintf("r-%02d", i), received, 0, nil})
		}
		began = create(t, namespace, runs...)
	}
	policy := refuseDeletes(t, refusing)

	now := began.Add(time.Minute)
	var attempts atomic.Int64
	var log lines
	registry := prometheus.NewRegistry()
	c := newCollector(t, in(namespaces...), func(o *Options) {
		o.Now = func() time.Time { return now }
		o.Log = funcr.New(log.add, funcr.Options{})
		o.Registerer = registry
	}, through(func(r *http.Request) *http.Response {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, refusing) {
			attempts.Add(1)
		}
		return nil
	}))
	sweepOnce(t, c)
	checkLeft(t, "nobody refuses here", other)
	if n := len(left(t, refusing)); n != many {
		t.Errorf("%d runs are left where deletes are refused", n)
	}
	// Those under way when it is left alone may come on top.
	if n := attempts.Load(); n < maxFailures || n >= maxFailures+minInFlight {
		t.Errorf("there were %d attempts", n)
	}
	if n := value(t, registry, "sluice_history_errors_total", opDelete); n != float64(attempts.Load()) {
		t.Errorf("%v errors of %d attempts are counted", n, attempts.Load())
	}
	said := log.with("Cannot change the FlowRuns of a namespace")
	if len(said) != 1 || !strings.Contains(said[0], policy) || !strings.Contains(said[0], refusing) {
		t.Errorf("the log says %q", said)
	}
	if len(log.with(secret)) > 0 || len(log.with("the policy says")) > 0 {
		t.Errorf("the log quotes what the policy says: %q", log.with(""))
	}

	before := attempts.Load()
	for range 3 {
		sweepOnce(t, c)
	}
	if n := attempts.Load() - before; n != 0 {
		t.Errorf("there were %d attempts while the namespace is left alone", n)
	}
	for i := 1; i <= 3; i++ { // twice as long each time
		now = now.Add(minBackoff << (i - 1))
		before = attempts.Load()
		sweepOnce(t, c)
		if n := attempts.Load() - before; n < 1 || n > minInFlight {
			t.Errorf("there were %d attempts after pause %d", n, i)
		}
		before, now = attempts.Load(), now.Add(minBackoff<<i-time.Second)
		sweepOnce(t, c)
		if n := attempts.Load() - before; n != 0 {
			t.Errorf("there were %d attempts a second before pause %d is over", n, i+1)
		}
		now = now.Add(time.Second - minBackoff<<i)
	}

	for _, object := range []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: policy}},
		&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: policy}},
	} {
		if err := env.Client.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, time.Minute, func() error {
		now = now.Add(maxBackoff)
		sweepOnce(t, c)
		if names := left(t, refusing); len(names) > 0 {
			return fmt.Errorf("%d runs are left", len(names))
		}
		return nil
	})
	c.writer.mu.Lock()
	defer c.writer.mu.Unlock()
	if len(c.writer.backoffs) != 0 {
		t.Errorf("what is over is remembered: %v", c.writer.backoffs)
	}
}

// refuseDeletes makes a policy that refuses to delete FlowRuns of a namespace, and returns its
// name.
func refuseDeletes(t *testing.T, namespace string) string {
	t.Helper()
	name := "no-deletes-in-" + namespace
	env.Create(t,
		&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Delete},
						Rule:       admissionregistrationv1.Rule{APIGroups: []string{"sluice.dev"}, APIVersions: []string{"*"}, Resources: []string{"flowruns"}},
					}}},
				},
				Validations: []admissionregistrationv1.Validation{{Expression: "false", MessageExpression: `"the policy says " + oldObject.spec.payload.text`}},
			},
		},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		})
	run := makeRun(namespace, "r-00")
	testenv.Eventually(t, time.Minute, func() error { // until the API server has taken the policy in
		err := env.Client.Delete(t.Context(), run, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "the policy says") {
			return fmt.Errorf("to delete it is answered %w", err)
		}
		return nil
	})
	return name
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, prefix+args)
}

// with returns the lines that contain a text.
func (l *lines) with(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.all {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// TestThrottled has the API server throttle: what it refused is left to the next sweep, and the
// others are not.
func TestThrottled(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		status metav1.Status
	}{
		"TooManyRequests": {
			reason: "priority and fairness", status: metav1.Status{Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Details: &metav1.StatusDetails{RetryAfterSeconds: 1}},
		},
		"Internal": {reason: "etcd has no leader", status: metav1.Status{Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			flow := makeFlow(namespace)
			flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 1}
			env.Create(t, flow)
			began := create(t, namespace, given{"a", received, 0, nil}, given{"b", received, 0, nil}, given{"c", received, 0, nil})
			var attempts []string
			var held bool
			var c *Collector
			c = newCollector(t, in(namespace), at(began.Add(time.Minute)), through(func(r *http.Request) *http.Response {
				if r.Method != http.MethodDelete {
					return nil
				}
				attempts = append(attempts, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
				if len(attempts) == 1 {
					return answer(tc.status)
				}
				c.writer.mu.Lock()
				defer c.writer.mu.Unlock()
				held = held || time.Now().Before(c.writer.pausedUntil)
				return nil
			}))
			c.writer.inFlight = 1
			sweepOnce(t, c)
			checkLeft(t, tc.reason, namespace, "a")
			if held {
				t.Errorf("%s: a request was sent before the API server can have recovered", tc.reason)
			}
			if c.writer.pausedUntil.IsZero() {
				t.Errorf("%s: nothing waited", tc.reason)
			}
			sweepOnce(t, c)
			checkLeft(t, tc.reason+"; the next sweep", namespace)
			if diff := cmp.Diff([]string{"a", "b", "c", "a"}, attempts); diff != "" {
				t.Errorf("%s: attempts (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestNamespaces shows that a sweep keeps to its namespaces, and that one that cannot be listed
// does not keep it from the others.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	first, second, unwatched := env.Namespace(t), env.Namespace(t), env.Namespace(t)
	var began time.Time
	for _, namespace := range []string{first, second, unwatched} {
		env.Create(t, makeFlow(namespace))
		began = create(t, namespace, given{"a", received, 0, nil}, given{"b", succeeded, 0, nil}, given{"c", active, 0, nil})
	}
	forbidden := true
	registry := prometheus.NewRegistry()
	c := newCollector(t, in(first, second), at(began.Add(4*day)), func(o *Options) { o.Registerer = registry }, through(func(r *http.Request) *http.Response {
		if strings.Contains(r.URL.Path, first) && r.Method == http.MethodGet && forbidden {
			return answer(metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "flowruns is forbidden"})
		}
		if !strings.Contains(r.URL.Path, "/namespaces/"+first+"/") && !strings.Contains(r.URL.Path, "/namespaces/"+second+"/") {
			t.Errorf("%s %s is none of its namespaces", r.Method, r.URL.Path)
		}
		return nil
	}))
	if _, err := c.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("the error is %v", err)
	}
	checkLeft(t, "it cannot be listed", first, "a", "b", "c")
	checkLeft(t, "it can", second, "b", "c")
	if n := value(t, registry, "sluice_history_sweep_duration_seconds"); n != 0 {
		t.Errorf("%v sweeps are counted, though none has seen all runs", n)
	}

	forbidden = false
	sweepOnce(t, c)
	checkLeft(t, "it can be listed now", first, "b", "c")
	checkLeft(t, "it is not watched", unwatched, "a", "b", "c")
	counted := map[string]float64{}
	for _, s := range states {
		counted["seen "+string(s)] = value(t, registry, "sluice_history_runs", string(s))
	}
	for _, r := range reasons {
		counted["deleted "+string(r)] = value(t, registry, "sluice_history_deleted_total", string(r))
	}
	for _, operation := range []string{opList, opDelete, opDrop} {
		counted["error "+operation] = value(t, registry, "sluice_history_errors_total", operation)
	}
	maps.DeleteFunc(counted, func(_ string, n float64) bool { return n == 0 })
	want := map[string]float64{"seen received": 1, "seen active": 2, "seen succeeded": 2, "deleted received": 2, "error list": 1}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestOldDefinition has a CustomResourceDefinition without one of the columns: nothing is known, so
// nothing is done.
func TestOldDefinition(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	began := create(t, namespace, given{"a", received, 0, nil})
	c := newCollector(t, in(namespace), at(began.Add(100*day)), func(o *Options) {
		o.Config = rest.CopyConfig(o.Config)
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) {
				if request.Method != http.MethodGet {
					t.Errorf("there is a %s", request.Method)
				}
				response, err := next.RoundTrip(request)
				if err != nil {
					return nil, err
				}
				body, err := io.ReadAll(response.Body)
				response.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(`"name":"Completed"`), []byte(`"name":"Finished"`))))
				return response, err
			})
		})
	})
	if _, err := c.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), `no columns ["Completed"]: apply the one of this version`) {
		t.Errorf("the error is %v", err)
	}
	checkLeft(t, "nothing is known", namespace, "a")
}

// TestRepetitionsAfterDrop shows that a delivery is recognised although its payload is gone, and no
// longer when the run is.
func TestRepetitionsAfterDrop(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	flow := makeFlow(namespace)
	flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 1, PayloadTTLSeconds: new(int32(0))}
	env.Create(t, flow)
	sink, err := kube.New(env.Config, 64)
	if err != nil {
		t.Fatal(err)
	}
	received := time.Now()
	d := delivery.New(delivery.Delivery{
		Trigger: delivery.Trigger{Namespace: namespace, Name: "orders", UID: "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11"}, Flow: flow.Name,
		ID: "evt_1", Key: "orders-webhook/secretKey", Body: []byte(secret), ReceivedAt: received, RetainUntil: received.Add(time.Hour),
	}, delivery.ByID)
	check := func(reason string, duplicate bool) {
		t.Helper()
		if receipt, err := sink.Accept(t.Context(), &d); receipt.Duplicate != duplicate || err != nil {
			t.Errorf("%s: duplicate %t, %v, want %t", reason, receipt.Duplicate, err, duplicate)
		}
	}
	check("the first", false)
	now := time.Now()
	c := newCollector(t, in(namespace), func(o *Options) { o.Now = func() time.Time { return now } })
	now = now.Add(30 * time.Minute)
	sweepOnce(t, c)
	checkLeft(t, "it is within its window", namespace, d.Run+" dropped")
	check("the same again", true)

	now = now.Add(time.Hour)
	sweepOnce(t, c)
	checkLeft(t, "its window is over", namespace)
	check("the same, too late", false)
}

// TestMemory shows that what a sweep remembers depends on the Flows and their limits, and not on
// how many runs there are or what they claim to be runs of.
func TestMemory(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	flow := makeFlow(namespace)
	flow.Spec.History = sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(7)), FailedRunsHistoryLimit: new(int32(5))}
	env.Create(t, flow)
	flows, err := cache.New(env.Config, cache.Options{Scheme: env.Client.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- flows.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	now := time.Now()
	s := &sweep{
		Collector: newCollector(t, at(now), func(o *Options) { o.Flows = flows }),
		histories: map[types.NamespacedName]limits{}, newest: map[group]*keepNewest{}, seen: map[state]int{},
	}
	offer := func(flow string, state state, count int) {
		t.Helper()
		for i := range count {
			r := &run{namespace: namespace, name: fmt.Sprintf("run-%d", i), flow: flow, state: state, created: now.Add(-absenceGrace), finished: now.Add(time.Duration(i%997) * time.Microsecond)}
			if err := s.evaluate(ctx, r); err != nil {
				t.Fatal(err)
			}
			if len(s.tasks) > 500 {
				s.tasks = s.tasks[:0] // as after each page
			}
		}
	}
	s.absences.swept("", now.Add(-absenceGrace), s.met)
	offer(flowName, succeeded, 20_000)
	offer(flowName, failed, 20_000)
	offer(flowName, received, 20_000)
	offer(flowName, active, 20_000)
	for i := range 2000 {
		offer(fmt.Sprintf("gone-%d", i), succeeded, 5)
		offer(fmt.Sprintf("gone-%d", i), failed, 5)
	}
	held := map[group]int{}
	for g, n := range s.newest {
		held[g] = len(n.runs)
	}
	want := map[group]int{
		{namespace, flowName, succeeded}: 7, {namespace, flowName, failed}: 5,
		{namespace, "", succeeded}: 100, {namespace, "", failed}: 100,
	}
	if diff := cmp.Diff(want, held, cmp.AllowUnexported(group{})); diff != "" {
		t.Errorf("runs that are remembered (-want +got):\n%s", diff)
	}
	if len(s.histories) != 1 {
		t.Errorf("%d histories are remembered of one Flow", len(s.histories))
	}
	if len(s.absences.present) != 1 || len(s.absences.missing) != 0 {
		t.Errorf("of one Flow and invented names, %v and %v are remembered", s.absences.present, s.absences.missing)
	}
}

// TestRequests looks at what a server is asked for: the pages of runs with nothing to compress, as
// that costs an API server more than it saves.
func TestRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprintf("%s %s %q %q", r.Method, r.URL, r.Header.Get("Accept"), r.Header.Get("Accept-Encoding")))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"columnDefinitions":`+allColumns+`,"rows":null}`)
	}))
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}} // as without TLS there is no choice
	c := newCollector(t, in("shop", "stock"), func(o *Options) { o.Config = config })
	sweepOnce(t, c)
	all := newCollector(t, func(o *Options) { o.Config = config })
	sweepOnce(t, all)
	const query = `flowruns?includeObject=Metadata&limit=500 "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" ""`
	want := []string{
		"GET /apis/sluice.dev/v1alpha1/namespaces/shop/" + query, "GET /apis/sluice.dev/v1alpha1/namespaces/stock/" + query,
		"GET /apis/sluice.dev/v1alpha1/" + query,
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestStart lets a collector run by itself, and stops it.
func TestStart(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace))
	began := create(t, namespace, given{"a", received, 0, nil}, given{"b", active, 0, nil})
	c := newCollector(t, in(namespace), at(began.Add(4*day)))
	if !c.NeedLeaderElection() {
		t.Errorf("every replica would sweep")
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- c.Start(ctx) }()
	testenv.Eventually(t, time.Minute, func() error {
		if names := left(t, namespace); !slices.Equal(names, []string{"b"}) {
			return fmt.Errorf("left are %v", names)
		}
		return nil
	})
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// TestStopped has a sweep end in the middle: what was under way counts neither as done nor as an
// error.
func TestStopped(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace))
	began := create(t, namespace, given{"a", received, 0, nil}, given{"b", received, 0, nil}, given{"c", received, 0, nil})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute) // if nothing is deleted
	defer stop()
	var log lines
	registry := prometheus.NewRegistry()
	c := newCollector(t, in(namespace), at(began.Add(4*day)), func(o *Options) {
		o.Log, o.Registerer = funcr.New(log.add, funcr.Options{Verbosity: 1}), registry
	}, through(func(r *http.Request) *http.Response {
		if r.Method == http.MethodDelete {
			stop()
		}
		return nil
	}))
	c.writer.inFlight = 1
	if err := c.Start(ctx); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("no delete was begun")
	}
	checkLeft(t, "nobody waits for an answer", namespace, "a", "b", "c")
	if n := value(t, registry, "sluice_history_errors_total", opDelete); n != 0 {
		t.Errorf("to be stopped counts as %v errors", n)
	}
	if said := log.with(""); len(said) != 0 {
		t.Errorf("the log says %q", said)
	}
}

// TestPanicInASweep has the collector panic at a Flow, as a mistake of ours would have it. The
// process lives, it is in the log, and nothing is deleted.
func TestPanicInASweep(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace))
	began := create(t, namespace, given{name: "a", state: succeeded, finished: time.Hour})
	logged := &lines{}
	c := newCollector(t, in(namespace), at(began.AddDate(1, 0, 0)), func(o *Options) {
		o.Flows = panicking{o.Flows}
		o.Log = funcr.New(logged.add, funcr.Options{})
	})
	for range 2 {
		if _, err := c.attempt(t.Context()); !errors.Is(err, errPanic) {
			t.Errorf("a sweep ended with %v, want %v", err, errPanic)
		}
	}
	checkLeft(t, "a sweep that did not get to its end", namespace, "a")
	if found := logged.with("Panic while sweeping FlowRuns"); len(found) != 2 {
		t.Errorf("the log says %q, want it twice", found)
	}
}

// panicking is a reader that panics.
type panicking struct{ client.Reader }

func (panicking) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	panic("at a Flow")
}
