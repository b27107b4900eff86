//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	// oldKey is that of config/samples, newKey takes its place.
	oldKey = "for-trying-out-only-this-key-is-public"
	newKey = "the-key-that-takes-the-place-of-the-public-one"
)

// A step of the test says in a few words what came of it.
type step struct {
	name string
	do   func(*testing.T, *world) string
}

// steps are what the test does in any cluster.
var steps = []step{
	{"install the chart", install},
	{"apply the samples", applySamples},
	{"send signed webhooks", sendWebhooks},
	{"roll ingest", rollIngest},
	{"kill pods", killPods},
	{"rotate a key", rotateKey},
	{"upgrade the chart", upgrade},
	{"drain the node", drainNode},
	{"uninstall the chart", uninstall},
}

// documentation are the steps of a user who reads, with the image that the chart names by itself.
var documentation = []step{
	{"follow the README", followReadme},
	{"follow docs/install.md", followInstallPage},
}

func TestEndToEnd(t *testing.T) {
	w := newWorld(t)
	todo := steps
	if os.Getenv("E2E_DOCUMENTATION") != "" {
		todo = slices.Concat(steps, documentation)
	}
	for _, step := range todo {
		begin := time.Now()
		var result string
		ok := t.Run(step.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log(w.describe(t))
				}
			}()
			result = step.do(t, w)
		})
		outcome := "ok  "
		if !ok {
			outcome, result = "FAIL", "see below"
		}
		_, _ = fmt.Fprintf(os.Stdout, "%s %5.1f s  %s: %s\n", outcome, time.Since(begin).Seconds(), step.name, result)
		if !ok {
			return
		}
	}
}

func install(t *testing.T, w *world) string {
	if w.before = w.inventory(t); slices.ContainsFunc(w.before, func(object string) bool { return strings.Contains(object, "sluice.dev") }) {
		t.Fatal("Sluice is in this cluster already, and this test would remove it")
	}
	for _, name := range []string{operatorNamespace, shop} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if name == operatorNamespace {
			namespace.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
		}
		if err := w.client.Create(t.Context(), namespace); err != nil {
			t.Fatalf("create a namespace: %v", err)
		}
	}
	w.run(t, w.helm("install", w.versions[0])...)
	w.expectVersion(t, w.versions[0])
	if w.url == "" {
		var service corev1.Service
		w.get(t, operatorNamespace, release+"-ingest", &service)
		w.url = fmt.Sprintf("http://%s:%d", service.Spec.ClusterIP, service.Spec.Ports[0].Port)
	}
	return "version " + w.versions[0] + ", 2 pods of ingest and 2 of controller, under the Pod Security Standard restricted"
}

// expectVersion waits until all pods are there, and has them say which version they are.
func (w *world) expectVersion(t *testing.T, version string) {
	t.Helper()
	for _, component := range []string{"ingest", "controller"} {
		for _, pod := range w.settle(t, component) {
			log, err := w.logs(t.Context(), pod.Name, corev1.PodLogOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`"msg":"Starting","version":%q,"role":%q`, version, component); !strings.Contains(log, want) {
				t.Errorf("the log of pod %s does not have %s:\n%s", pod.Name, want, log)
			}
		}
	}
}

func applySamples(t *testing.T, w *world) string {
	w.run(t, "kubectl", "apply", "--namespace="+shop, "--kustomize="+samples)
	triggers := []string{"orders", "parcels"}
	for _, name := range triggers {
		w.eventuallyReady(t, name)
	}
	// Ready is what the leader says. Each replica of ingest follows by itself, within a second or
	// so.
	w.eventuallyAnswers(t, oldKey, http.StatusAccepted)
	return fmt.Sprintf("%d triggers are Ready, and served by all replicas", len(triggers))
}

func (w *world) eventuallyReady(t *testing.T, name string) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		var trigger sluicev1alpha1.WebhookTrigger
		w.get(t, shop, name, &trigger)
		if !apimeta.IsStatusConditionTrue(trigger.Status.Conditions, "Ready") {
			return fmt.Errorf("trigger %s is not ready: %v", name, trigger.Status.Conditions)
		}
		return nil
	})
}

func sendWebhooks(t *testing.T, w *world) string {
	parcels := signing{trigger: "parcels", algorithm: signature.RIPEMD128, key: oldKey}
	sender := newSender(true)
	accepted := 0
	for _, by := range []signing{orders(oldKey), parcels} {
		for _, body := range []string{`{"id": 1}`, "", "no JSON", "ünïcödé", "\x00\xff binary"} {
			a := w.send(t.Context(), sender, by, body, strings.NewReader(body))
			if a.err != nil || a.status != http.StatusAccepted {
				t.Fatalf("%s: body %q is answered %d (%v), want 202", by.trigger, body, a.status, a.err)
			}
			var run sluicev1alpha1.FlowRun
			w.get(t, shop, a.run, &run)
			if stored := run.Spec.Payload.Text + string(run.Spec.Payload.Binary); stored != body {
				t.Errorf("%s: body %q is stored as %q", by.trigger, body, stored)
			}
			accepted++
		}
	}
	wrong := []struct {
		what string
		by   signing
		sent string // another body than was signed
		want int
	}{
		{"a changed character", orders(oldKey), `{"id": 2}`, http.StatusUnauthorized},
		{"another key", orders(newKey), `{"id": 1}`, http.StatusUnauthorized},
		{"another algorithm", signing{trigger: "parcels", algorithm: signature.SHA256, key: oldKey}, `{"id": 1}`, http.StatusUnauthorized},
		{"no such trigger", signing{trigger: "nobody", algorithm: signature.SHA256, key: oldKey}, `{"id": 1}`, http.StatusNotFound},
	}
	for _, tc := range wrong {
		if a := w.send(t.Context(), sender, tc.by, `{"id": 1}`, strings.NewReader(tc.sent)); a.status != tc.want {
			t.Errorf("%s is answered %d (%v), want %d", tc.what, a.status, a.err, tc.want)
		}
	}
	w.checkLedger(t)
	return fmt.Sprintf("%d accepted and stored as they were, %d refused", accepted, len(wrong))
}

// checkLedger compares what senders were told with what is stored.
func (w *world) checkLedger(t *testing.T) {
	t.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("FlowRunList"))
	if err := w.client.List(t.Context(), list, client.InNamespace(shop)); err != nil {
		t.Fatalf("list the runs: %v", err)
	}
	stored := map[string]bool{}
	for _, run := range list.Items {
		stored[run.Name] = true
	}
	for name, times := range w.ledger.accepted {
		if !stored[name] {
			t.Errorf("run %s was accepted and is not stored", name)
		}
		if times != 1 {
			t.Errorf("run %s was the answer to %d requests", name, times)
		}
	}
	// After a failed attempt nobody knows.
	if unknown := len(stored) - len(w.ledger.accepted); unknown > w.ledger.failed {
		t.Errorf("%d runs are stored that nobody was told of, after %d attempts without an answer", unknown, w.ledger.failed)
	}
}

func rollIngest(t *testing.T, w *world) string {
	before := names(w.settle(t, "ingest"))
	l := w.withoutFailure(t, func() signing { return orders(oldKey) }, func(*load) {
		w.run(t, "kubectl", "rollout", "restart", "--namespace="+operatorNamespace, "deployment/"+release+"-ingest")
		w.settle(t, "ingest")
	})
	w.expectReplaced(t, before)
	w.checkLedger(t)
	return l.String()
}

func names(pods []corev1.Pod) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}

// expectReplaced checks that none of these pods of ingest is left.
func (w *world) expectReplaced(t *testing.T, before []string) {
	t.Helper()
	for _, name := range names(w.settle(t, "ingest")) {
		if slices.Contains(before, name) {
			t.Errorf("pod %s was not replaced", name)
		}
	}
}

// killPods takes a pod of ingest away with no time to drain, which requests in flight do not
// survive, and the leader. A sender that repeats, as webhook senders do, loses nothing.
func killPods(t *testing.T, w *world) string {
	victim := w.settle(t, "ingest")[0].Name
	l := w.underLoad(t, func() signing { return orders(oldKey) }, func(*load) {
		if err := w.clientset.CoreV1().Pods(operatorNamespace).Delete(t.Context(), victim, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}); err != nil {
			t.Fatalf("kill a pod: %v", err)
		}
		w.settle(t, "ingest")
	})
	w.expectReplaced(t, []string{victim})

	leader := w.leader(t)
	if err := w.clientset.CoreV1().Pods(operatorNamespace).Delete(t.Context(), leader, metav1.DeleteOptions{}); err != nil {
		t.Fatalf("delete the leader: %v", err)
	}
	begin := time.Now()
	w.copyTrigger(t, "orders", "invoices")
	w.eventuallyReady(t, "invoices")
	took := time.Since(begin)
	if now := w.leader(t); now == leader {
		t.Errorf("%s was deleted and still leads", leader)
	}
	w.settle(t, "controller")
	w.checkLedger(t)
	return fmt.Sprintf("%s; without the leader a new trigger was Ready after %.1f s", l, took.Seconds())
}

// leader returns the pod that holds the lease.
func (w *world) leader(t *testing.T) string {
	t.Helper()
	lease, err := w.clientset.CoordinationV1().Leases(operatorNamespace).Get(t.Context(), "sluice-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("get the lease: %v", err)
	}
	holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return holder
}

// copyTrigger makes a trigger like another one.
func (w *world) copyTrigger(t *testing.T, from, to string) {
	t.Helper()
	var trigger sluicev1alpha1.WebhookTrigger
	w.get(t, shop, from, &trigger)
	trigger.ObjectMeta = metav1.ObjectMeta{Namespace: shop, Name: to}
	if err := w.client.Create(t.Context(), &trigger); err != nil {
		t.Fatalf("create a trigger: %v", err)
	}
}

// rotateKey replaces the key as docs/rotation.md says, while senders send, and then the data of the
// Secret in place.
func rotateKey(t *testing.T, w *world) string {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "orders-2"},
		StringData: map[string]string{"secretKey": newKey},
	}
	if err := w.client.Create(t.Context(), secret); err != nil {
		t.Fatalf("create a Secret: %v", err)
	}
	var key atomic.Value
	key.Store(oldKey)
	const while = 40 // requests
	l := w.withoutFailure(t, func() signing { k, _ := key.Load().(string); return orders(k) }, func(l *load) {
		w.patchTrigger(t, `{"spec": {"additionalSecretRefs": [{"name": "orders-2", "key": "secretKey"}]}}`)
		w.eventuallyAnswers(t, newKey, http.StatusAccepted)
		l.more(t, while)
		key.Store(newKey)
		l.more(t, while)
		// A key that is taken away while a body arrives does not count any more.
		l.unused(t, oldKey)
		w.patchTrigger(t, `{"spec": {"secretRef": {"name": "orders-2"}, "additionalSecretRefs": null}}`)
		w.eventuallyAnswers(t, oldKey, http.StatusUnauthorized)
		l.more(t, while)
	})

	const third = "the-key-that-is-put-into-the-same-secret"
	w.get(t, shop, secret.Name, secret)
	secret.Data = map[string][]byte{"secretKey": []byte(third)}
	begin := time.Now()
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatalf("update a Secret: %v", err)
	}
	w.eventuallyAnswers(t, third, http.StatusAccepted)
	took := time.Since(begin)
	w.eventuallyAnswers(t, newKey, http.StatusUnauthorized)

	// The steps that follow use the sample's own key again.
	secret.Data = map[string][]byte{"secretKey": []byte(oldKey)}
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatalf("update a Secret: %v", err)
	}
	w.eventuallyAnswers(t, oldKey, http.StatusAccepted)
	w.checkLedger(t)
	return fmt.Sprintf("%s; changed in place it was live in all replicas after %.1f s", l, took.Seconds())
}

func (w *world) patchTrigger(t *testing.T, patch string) {
	t.Helper()
	trigger := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "orders"}}
	if err := w.client.Patch(t.Context(), trigger, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatalf("patch a trigger: %v", err)
	}
}

// eventuallyAnswers waits until requests that are signed with a key get an answer, whichever
// replica they reach: so many in a row, each by a connection of its own, do not miss one of two by
// chance.
func (w *world) eventuallyAnswers(t *testing.T, key string, want int) {
	t.Helper()
	const row = 16
	sender := newSender(false)
	testenv.Eventually(t, patience, func() error {
		for range row {
			if a := w.send(t.Context(), sender, orders(key), "{}", strings.NewReader("{}")); a.status != want {
				return fmt.Errorf("a request is answered %d (%w), want %d", a.status, errors.Join(a.err, errNotYet), want)
			}
		}
		return nil
	})
}

func upgrade(t *testing.T, w *world) string {
	before := names(w.settle(t, "ingest"))
	l := w.withoutFailure(t, func() signing { return orders(oldKey) }, func(*load) {
		w.run(t, w.helm("upgrade", w.versions[1])...)
		w.expectVersion(t, w.versions[1])
	})
	w.expectReplaced(t, before)
	w.checkLedger(t)
	return "to version " + w.versions[1] + "; " + l.String()
}

// drainNode drains the node of an ingest pod while senders send. Where there is no other node, the
// budgets keep one pod of each kind, and drain gives up.
func drainNode(t *testing.T, w *world) string {
	node := w.settle(t, "ingest")[0].Spec.NodeName
	var nodes corev1.NodeList
	if err := w.client.List(t.Context(), &nodes); err != nil {
		t.Fatalf("list nodes: %v", err)
	}
	result := "all pods moved"
	l := w.withoutFailure(t, func() signing { return orders(oldKey) }, func(*load) {
		_, err := w.try(t, "kubectl", "drain", node, "--pod-selector=app.kubernetes.io/instance="+release, "--timeout=20s")
		switch {
		case err == nil:
		case len(nodes.Items) == 1 && strings.Contains(err.Error(), "would violate the pod's disruption budget"):
			result = "the budget kept one pod"
		default:
			t.Error(err)
		}
		w.run(t, "kubectl", "uncordon", node)
		w.settle(t, "ingest")
		w.settle(t, "controller")
	})
	w.checkLedger(t)
	return result + "; " + l.String()
}

func uninstall(t *testing.T, w *world) string {
	w.run(t, "helm", "uninstall", release, "--namespace="+operatorNamespace, "--wait", "--timeout="+patience.String())
	w.checkLedger(t) // what was stored outlives the chart

	// The definitions, because crds.keep is true, the namespaces, which Helm did not make, and the
	// leader's lease, which no chart has made.
	var want []string
	for _, kind := range []string{"flowruns", "flows", "webhooktriggers"} {
		want = append(want, "customresourcedefinitions.apiextensions.k8s.io "+kind+".sluice.dev")
	}
	want = append(want,
		"apiservices.apiregistration.k8s.io v1alpha1.sluice.dev",
		"namespaces "+operatorNamespace, "namespaces "+shop,
		"configmaps "+operatorNamespace+"/kube-root-ca.crt", "serviceaccounts "+operatorNamespace+"/default",
		"leases.coordination.k8s.io "+operatorNamespace+"/sluice-controller",
	)
	slices.Sort(want)
	testenv.Eventually(t, patience, func() error {
		left := slices.DeleteFunc(w.added(t), func(object string) bool { return strings.Contains(object, " "+shop+"/") })
		if diff := cmp.Diff(want, left); diff != "" {
			return fmt.Errorf("what is left differs (-want +got):\n%s", diff)
		}
		return nil
	})

	runs := len(w.ledger.accepted)
	w.run(t, "kubectl", "delete", "--kustomize="+filepath.Join("config", "crd"))
	for _, name := range []string{operatorNamespace, shop} {
		w.run(t, "kubectl", "delete", "namespace", name)
	}
	w.expectNothingLeft(t)
	return fmt.Sprintf("it left the definitions with %d runs, and the lease; nothing after these and the namespaces were deleted", runs)
}

// expectNothingLeft waits until the cluster has nothing that it did not have before.
func (w *world) expectNothingLeft(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		if left := w.added(t); len(left) > 0 {
			return fmt.Errorf("%d objects are left: %s", len(left), strings.Join(left[:min(20, len(left))], ", "))
		}
		return nil
	})
}
