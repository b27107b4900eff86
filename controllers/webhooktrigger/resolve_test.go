/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

func testSnapshot() Snapshot {
	in := Snapshot{
		Trigger: wrappers.Trigger("shop", "orders").Flow("import").Secret("webhook", "secretKey").State(sluicev1alpha1.TriggerActive).Obj(),
		Flow:    wrappers.Flow("shop", "import").State(sluicev1alpha1.FlowEnabled).Obj(),
		Secrets: map[string]*corev1.Secret{"webhook": wrappers.Secret("shop", "webhook", "secretKey", "a-key-of-more-than-sixteen-bytes")},
	}
	in.Trigger.UID, in.Trigger.Generation = "trigger-uid", 3
	in.Flow.UID, in.Flow.Generation = "flow-uid", 1
	in.Secrets["webhook"].UID, in.Secrets["webhook"].ResourceVersion = "secret-uid", "7"
	return in
}

func TestResolve(t *testing.T) {
	type summary struct{ Ready, Accepted, ResolvedRefs string }
	good := summary{"True/Ready", "True/Accepted", "True/ResolvedRefs"}
	key := func(value string) func(*Snapshot) {
		return func(in *Snapshot) { in.Secrets["webhook"].Data["secretKey"] = []byte(value) }
	}
	cases := map[string]struct {
		reason  string
		change  func(*Snapshot)
		want    summary
		message string // part of Ready's
	}{
		"Good":           {reason: "everything is there", change: func(*Snapshot) {}, want: good, message: "Requests with a valid signature start the Flow."},
		"DefaultsUnset":  {reason: "an object from before a default was added is as good", change: func(in *Snapshot) { in.Trigger.Spec.State, in.Flow.Spec.State = "", "" }, want: good},
		"KeyOf16Bytes":   {reason: "128 bits are not weak", change: key("0123456789abcdef"), want: good, message: "start the Flow."},
		"WeakKey":        {reason: "a weak key is allowed, and said", change: key("0123456789abcde"), want: good, message: "is weak: shorter than 16 bytes"},
		"Newline":        {reason: "a newline at the end is part of the key, and said", change: key("a-key-of-more-than-sixteen-bytes\n"), want: good, message: "ends in a newline"},
		"CarriageReturn": {reason: "from another system too", change: key("a-key-of-more-than-sixteen-bytes\r\n"), want: good, message: "ends in a newline"},
		"BlankAtEnd":     {reason: "other blanks are what they are", change: key("a-key-of-more-than-sixteen-bytes "), want: good, message: "start the Flow."},
		"LongestKey":     {reason: "4096 bytes are the limit", change: key(strings.Repeat("k", 4096)), want: good},
		"Suspended": {
			reason: "the references are fine, but the user has switched the trigger off",
			change: func(in *Snapshot) { in.Trigger.Spec.State = sluicev1alpha1.TriggerSuspended },
			want:   summary{"False/Suspended", "True/Accepted", "True/ResolvedRefs"}, message: "503",
		},
		"FlowDisabled": {
			reason: "the Flow is there, but switched off",
			change: func(in *Snapshot) { in.Flow.Spec.State = sluicev1alpha1.FlowDisabled },
			want:   summary{"False/FlowDisabled", "True/Accepted", "True/ResolvedRefs"}, message: `"import"`,
		},
		"SuspendedAndFlowDisabled": {
			reason: "the trigger's own state comes first",
			change: func(in *Snapshot) {
				in.Trigger.Spec.State, in.Flow.Spec.State = sluicev1alpha1.TriggerSuspended, sluicev1alpha1.FlowDisabled
			},
			want: summary{"False/Suspended", "True/Accepted", "True/ResolvedRefs"},
		},
		"NoFlow": {
			reason: "a Flow that does not exist", change: func(in *Snapshot) { in.Flow = nil },
			want: summary{"False/FlowNotFound", "True/Accepted", "False/FlowNotFound"}, message: `There is no Flow "import"`,
		},
		"FlowIsDeleted": {
			reason: "a finalizer does not keep it in use", change: func(in *Snapshot) { in.Flow.DeletionTimestamp = new(metav1.Now()) },
			want: summary{"False/FlowNotFound", "True/Accepted", "False/FlowNotFound"}, message: `The Flow "import" is being deleted`,
		},
		"SecretIsDeleted": {
			reason: "who deletes a key wants it to be good no longer", change: func(in *Snapshot) { in.Secrets["webhook"].DeletionTimestamp = new(metav1.Now()) },
			want: summary{"False/SecretNotFound", "True/Accepted", "False/SecretNotFound"}, message: `The Secret "webhook" is being deleted`,
		},
		"NoSecret": {
			reason: "a Secret that does not exist", change: func(in *Snapshot) { in.Secrets = nil },
			want: summary{"False/SecretNotFound", "True/Accepted", "False/SecretNotFound"}, message: `There is no Secret "webhook"`,
		},
		"NoSecretSelected": {
			reason: "it may be there, without the labels", change: func(in *Snapshot) { in.Secrets, in.SecretSelector = nil, "use=webhooks" },
			want:    summary{"False/SecretNotFound", "True/Accepted", "False/SecretNotFound"},
			message: `There is no Secret "webhook" in this namespace that Sluice may use; create it, label it so that "use=webhooks" selects it`,
		},
		"NoFlowNoSecret": {
			reason: "all that is missing is in the message, so that the user mends it in one go", change: func(in *Snapshot) { in.Flow, in.Secrets = nil, nil },
			want: summary{"False/FlowNotFound", "True/Accepted", "False/FlowNotFound"}, message: `There is no Secret "webhook"`,
		},
		"NoKey": {
			reason: "the Secret has other entries only", change: func(in *Snapshot) { in.Secrets["webhook"].Data = map[string][]byte{"x": []byte("y")} },
			want: summary{"False/SecretKeyNotFound", "True/Accepted", "False/SecretKeyNotFound"}, message: `no key "secretKey"`,
		},
		"NoData": {
			reason: "the Secret has no entries", change: func(in *Snapshot) { in.Secrets["webhook"].Data = nil },
			want: summary{"False/SecretKeyNotFound", "True/Accepted", "False/SecretKeyNotFound"},
		},
		"EmptyKey": {
			reason: "the empty key keeps no one out", change: key(""),
			want: summary{"False/SecretKeyEmpty", "True/Accepted", "False/SecretKeyEmpty"}, message: "anybody could sign",
		},
		"BlankKey": {
			reason: "nor does white space", change: key(" \t\r\n"),
			want: summary{"False/SecretKeyEmpty", "True/Accepted", "False/SecretKeyEmpty"},
		},
		"KeyTooLong": {
			reason: "one byte over the limit", change: key(strings.Repeat("k", 4097)),
			want: summary{"False/SecretKeyTooLong", "True/Accepted", "False/SecretKeyTooLong"}, message: "4096",
		},
		"UnknownAlgorithm": {
			reason: "a definition newer than the program", change: func(in *Snapshot) { in.Trigger.Spec.Algorithm = "SHA-9000" },
			want: summary{"False/InvalidScheme", "False/InvalidScheme", "True/ResolvedRefs"}, message: `"SHA-9000"`,
		},
		"UnknownState": {
			reason: "another version's state is not Active", change: func(in *Snapshot) { in.Trigger.Spec.State = "Paused" },
			want: summary{"False/InvalidSpec", "False/InvalidSpec", "True/ResolvedRefs"}, message: "Apply it again",
		},
		"UnknownStateOfFlow": {
			reason: "another version's state is not Enabled", change: func(in *Snapshot) { in.Flow.Spec.State = "Paused" },
			want: summary{"False/FlowDisabled", "True/Accepted", "True/ResolvedRefs"}, message: "cannot be read",
		},
		"NoHTTPStatus": {
			reason: "net/http panics at it", change: func(in *Snapshot) { in.Trigger.Spec.Response.Status = 42 },
			want: summary{"False/InvalidSpec", "False/InvalidSpec", "True/ResolvedRefs"}, message: "spec.response.status",
		},
		"UnknownAlgorithmNoSecret": {
			reason: "what is wrong with the spec comes first", change: func(in *Snapshot) { in.Trigger.Spec.Algorithm, in.Secrets = "SHA-9000", nil },
			want: summary{"False/InvalidScheme", "False/InvalidScheme", "False/SecretNotFound"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := testSnapshot()
			tc.change(&in)
			got := Resolve(in)
			found := map[string]string{}
			var ready metav1.Condition
			for _, c := range got.Conditions {
				found[c.Type] = string(c.Status) + "/" + c.Reason
				if c.ObservedGeneration != 3 {
					t.Errorf("%s: %s has generation %d, want 3", tc.reason, c.Type, c.ObservedGeneration)
				}
				if c.Message == "" || len(c.Message) > 1024 {
					t.Errorf("%s: the message of %s has %d bytes", tc.reason, c.Type, len(c.Message))
				}
				if c.Type == sluicev1alpha1.ConditionReady {
					ready = c
				}
			}
			if diff := cmp.Diff(tc.want, summary{found["Ready"], found["Accepted"], found["ResolvedRefs"]}); diff != "" {
				t.Errorf("%s: conditions (-want +got):\n%s", tc.reason, diff)
			}
			if !strings.Contains(ready.Message, tc.message) {
				t.Errorf("%s: the message is %q, want %q in it", tc.reason, ready.Message, tc.message)
			}
			if serves := got.Route.Verifier != nil; serves != (ready.Status == metav1.ConditionTrue) {
				t.Errorf("%s: the route can serve: %v, but Ready is %s", tc.reason, serves, ready.Status)
			}
			unavailable := ready.Reason
			if ready.Status == metav1.ConditionTrue {
				unavailable = ""
			}
			if got.Route.Unavailable != unavailable {
				t.Errorf("%s: the route is unavailable for %q, want %q", tc.reason, got.Route.Unavailable, unavailable)
			}
		})
	}
}

// TestResolveRoute shows what is in a route besides its verifier.
func TestResolveRoute(t *testing.T) {
	r := Resolve(testSnapshot()).Route
	if r.Namespace != "shop" || r.Name != "orders" || r.UID != "trigger-uid" || r.Flow != "import" || r.Path() != "/hooks/shop/orders" {
		t.Errorf("the route is %+v", r)
	}
}

// TestRemarks shows that what package translation remarks is in the messages, and keeps no request
// out.
func TestRemarks(t *testing.T) {
	t.Parallel()
	deduplicated := func(name string, d sluicev1alpha1.Deduplication) func(*Snapshot) {
		return func(in *Snapshot) {
			d.Source = sluicev1alpha1.DeduplicateByProvider
			in.Trigger.Spec = ofProvider(name, d)
		}
	}
	cases := map[string]struct {
		reason string
		change func(*Snapshot)
		want   string
	}{
		"Window": {
			reason: "it is short", change: deduplicated("Shopify", sluicev1alpha1.Deduplication{WindowSeconds: 14399}),
			want: "Requests with a valid signature start the Flow. spec.deduplication.windowSeconds is 14399, but Shopify repeats deliveries for up to 14400 seconds; what comes after the window may start the Flow again.",
		},
		"Match": {
			reason: "the id is not signed", change: deduplicated("GitHub", sluicev1alpha1.Deduplication{Match: sluicev1alpha1.MatchID}),
			want: "Requests with a valid signature start the Flow. spec.deduplication.match is ID, but the delivery id is not signed: who has seen a request can send it under the id of a delivery to come, which is lost then. Leave match out, or take an id that is signed.",
		},
		"NoID": {
			reason: "the user counts on it", change: deduplicated("Dropbox", sluicev1alpha1.Deduplication{}),
			want: "Requests with a valid signature start the Flow. Requests are not deduplicated: deliveries of Dropbox have no id.",
		},
		"KeyAndContentType": {
			reason: "the key comes first",
			change: func(in *Snapshot) {
				in.Secrets["webhook"].Data["secretKey"] = []byte("weak")
				in.Trigger.Spec.Response = sluicev1alpha1.Response{Body: "a", ContentType: "text/html"}
			},
			want: `Requests with a valid signature start the Flow. The key "secretKey" of the Secret "webhook" is weak: shorter than 16 bytes. Use a longer random one. ` +
				"spec.response.contentType is one that browsers could run, so the body is sent as text/plain; choose another type, such as application/json.",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testSnapshot()
			tc.change(&in)
			got := Resolve(in)
			checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
			if diff := cmp.Diff(tc.want, messageOf(got, sluicev1alpha1.ConditionReady)); diff != "" {
				t.Errorf("%s: the message of Ready (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestRevision shows that anything that could change the route changes its revision, and that
// metadata gives the same.
func TestRevision(t *testing.T) {
	base := testSnapshot().revision()
	if again := testSnapshot().revision(); again != base {
		t.Errorf("equal inputs have revisions %q and %q", base, again)
	}
	in := testSnapshot()
	if fromMeta := revision(in.Trigger, &in.Flow.ObjectMeta, func(name string) *metav1.ObjectMeta { return &in.Secrets[name].ObjectMeta }); fromMeta != base {
		t.Errorf("the revision from metadata is %q, want %q", fromMeta, base)
	}
	cases := map[string]struct {
		reason string
		change func(*Snapshot)
	}{
		"TriggerChanged":   {"its spec changed", func(in *Snapshot) { in.Trigger.Generation++ }},
		"TriggerRecreated": {"generations begin anew", func(in *Snapshot) { in.Trigger.UID = "other" }},
		"FlowChanged":      {"its spec changed", func(in *Snapshot) { in.Flow.Generation++ }},
		"FlowRecreated":    {"generations begin anew", func(in *Snapshot) { in.Flow.UID = "other" }},
		"FlowGone":         {"nothing to start", func(in *Snapshot) { in.Flow = nil }},
		"SecretChanged":    {"its data may have changed", func(in *Snapshot) { in.Secrets["webhook"].ResourceVersion = "8" }},
		"SecretRecreated":  {"another Secret", func(in *Snapshot) { in.Secrets["webhook"].UID = "other" }},
		"SecretGone":       {"no key", func(in *Snapshot) { in.Secrets = nil }},
	}
	seen := map[string]string{base: "the base"}
	for name, tc := range cases {
		in := testSnapshot()
		tc.change(&in)
		got := in.revision()
		if was, ok := seen[got]; ok {
			t.Errorf("%s (%s): the revision is that of %s", name, tc.reason, was)
		}
		seen[got] = name
	}
}

func TestIndexes(t *testing.T) {
	in := testSnapshot()
	if diff := cmp.Diff([]string{"webhook"}, indexSecretRef(in.Trigger)); diff != "" {
		t.Errorf("by Secret (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"import"}, indexFlowRef(in.Trigger)); diff != "" {
		t.Errorf("by Flow (-want +got):\n%s", diff)
	}
	if indexSecretRef(in.Flow) != nil || indexFlowRef(in.Secrets["webhook"]) != nil {
		t.Errorf("other objects are indexed")
	}
}

// TestOnlyNameAndVersion shows what is left of a Secret's metadata, and that nothing but metadata
// gets through.
func TestOnlyNameAndVersion(t *testing.T) {
	full := secretMetadata()
	full.ObjectMeta = metav1.ObjectMeta{
		Namespace: "shop", Name: "webhook", UID: types.UID("uid"), ResourceVersion: "7", Generation: 1,
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "the whole Secret"},
		Labels:        map[string]string{"a": "b"},
		Finalizers:    []string{"x/y"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}
	got, err := onlyNameAndVersion(full)
	if err != nil {
		t.Fatal(err)
	}
	want := secretMetadata()
	want.ObjectMeta = metav1.ObjectMeta{Namespace: "shop", Name: "webhook", UID: types.UID("uid"), ResourceVersion: "7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if got, err := onlyNameAndVersion(testSnapshot().Secrets["webhook"]); err == nil || got != nil {
		t.Errorf("a Secret with its data gets through: %v, %v", got, err)
	}
}

// TestSpecChanged shows which updates wake the controllers. A trigger that was deleted and made
// anew while the watch was interrupted comes as an update from generation 1 to generation 1.
func TestSpecChanged(t *testing.T) {
	object := func(uid types.UID, generation int64, version string) *sluicev1alpha1.WebhookTrigger {
		return &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{UID: uid, Generation: generation, ResourceVersion: version}}
	}
	cases := map[string]struct {
		reason   string
		old, new *sluicev1alpha1.WebhookTrigger
		want     bool
	}{
		"Spec":    {"its spec changed", object("a", 1, "1"), object("a", 2, "2"), true},
		"Remade":  {"it is another object", object("a", 1, "1"), object("b", 1, "2"), true},
		"Resync":  {"heals what was missed", object("a", 1, "1"), object("a", 1, "1"), true},
		"Status":  {"our own writes", object("a", 1, "1"), object("a", 1, "2"), false},
		"Shrinks": {"generations begin anew with another object", object("a", 5, "1"), object("b", 1, "2"), true},
	}
	for name, tc := range cases {
		if got := specChanged.Update(event.UpdateEvent{ObjectOld: tc.old, ObjectNew: tc.new}); got != tc.want {
			t.Errorf("%s (%s): wakes them: %v, want %v", name, tc.reason, got, tc.want)
		}
	}
}

// TestEnqueueLater shows what comes first: a change, though it is noticed later.
func TestEnqueueLater(t *testing.T) {
	t.Parallel()
	request := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}}
	}
	cases := map[string]struct {
		reason string
		queue  workqueue.TypedRateLimitingInterface[reconcile.Request]
		want   []reconcile.Request
	}{
		"ByPriority": {
			reason: "the key that was revoked may be one of these", queue: priorityqueue.New[reconcile.Request]("later"),
			want: []reconcile.Request{request("changed"), request("looked-at")},
		},
		"ByTime": {
			reason: "another queue knows no priorities", queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
			want: []reconcile.Request{request("looked-at"), request("changed")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			defer tc.queue.ShutDown()
			object := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "looked-at"}}
			enqueueLater(t.Context(), event.GenericEvent{Object: object}, tc.queue)
			tc.queue.Add(request("changed"))
			var got []reconcile.Request
			for range tc.want {
				next, _ := tc.queue.Get()
				got = append(got, next)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
