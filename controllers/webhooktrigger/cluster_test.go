/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// createSnapshot creates the objects of testSnapshot in a namespace of their own.
func createSnapshot(t *testing.T) (namespace string) {
	t.Helper()
	namespace = env.Namespace(t)
	in := testSnapshot()
	for _, object := range []client.Object{in.Trigger, in.Flow, in.Secrets["webhook"]} {
		object.SetNamespace(namespace)
		object.SetUID("")
		object.SetResourceVersion("")
		env.Create(t, object)
	}
	return namespace
}

// TestSecretCacheHoldsNoData shows that whoever asks the cache for a Secret gets an error, and
// never data.
func TestSecretCacheHoldsNoData(t *testing.T) {
	namespace := createSnapshot(t)
	ctx := t.Context()
	secrets := startSecretCache(t, namespace, labels.Everything())
	key := client.ObjectKey{Namespace: namespace, Name: "webhook"}
	metadata := secretMetadata()
	if err := secrets.Get(ctx, key, metadata); err != nil {
		t.Errorf("metadata: %v", err)
	}
	if metadata.ResourceVersion == "" {
		t.Errorf("the metadata has no version")
	}

	var missing *cache.ErrResourceNotCached
	if err := secrets.Get(ctx, key, &corev1.Secret{}); !errors.As(err, &missing) {
		t.Errorf("a Secret that nobody watches is read with error %v, want ErrResourceNotCached", err)
	}
	if _, err := secrets.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false)); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 10*time.Second, func() error { // until the watch, made by mistake, has listed
		if err := secrets.Get(ctx, key, &corev1.Secret{}); err == nil {
			t.Fatal("the cache holds a Secret with its data")
		} else if client.IgnoreNotFound(err) != nil {
			return err
		}
		return nil
	})
}

// TestWarmUp fills a table and has every route looked at once more, which is what finds a trigger
// that was deleted while nobody listened.
func TestWarmUp(t *testing.T) {
	namespace := createSnapshot(t)
	second := testSnapshot().Trigger
	second.Namespace, second.Name, second.UID = namespace, "parcels", ""
	second.Spec.SecretRef.Name = "missing"
	env.Create(t, second)

	table := route.NewTable()
	w := &warmer{
		triggers: inNamespace{env.Client, namespace},
		loader:   ReferenceLoader{Cached: env.Client, Live: env.Client, SecretSelector: labels.Everything()},
		table:    table,
		recheck:  make(chan event.GenericEvent),
		log:      logr.Discard(),

		rechecked: make(chan struct{}),
	}
	done := make(chan error, 1)
	go func() { done <- w.Start(t.Context()) }()
	rechecked := map[string]bool{}
	for range 2 {
		e := <-w.recheck
		select {
		case <-table.Warm():
		default:
			t.Errorf("a route is rechecked before the table is warm")
		}
		rechecked[e.Object.GetNamespace()+"/"+e.Object.GetName()] = true
	}
	last := <-w.recheck
	if err := <-done; err != nil {
		t.Errorf("warm-up: %v", err)
	}
	if diff := cmp.Diff(map[string]bool{namespace + "/orders": true, namespace + "/parcels": true}, rechecked); diff != "" {
		t.Errorf("rechecked (-want +got):\n%s", diff)
	}
	if r, ok := table.Lookup(route.Path(namespace, "orders")); !ok || r.Verifier == nil {
		t.Errorf("the route that can serve is %+v", r)
	}
	if r, ok := table.Lookup(route.Path(namespace, "parcels")); !ok || r.Verifier != nil || r.Unavailable != sluicev1alpha1.ReasonSecretNotFound {
		t.Errorf("the route whose Secret is missing is %+v", r)
	}

	t.Log("the second look")
	if err := env.Client.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	r := &RouteReconciler{loader: w.loader, table: table, warmer: w}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(second)}); err != nil {
		t.Fatal(err)
	}
	if _, ok := table.Lookup(route.Path(namespace, "parcels")); ok {
		t.Errorf("the route of a trigger that is gone is still there")
	}

	t.Log("the end")
	select {
	case <-w.rechecked:
		t.Errorf("all is said to be rechecked too early")
	default:
	}
	for range 2 { // whatever brings it twice
		if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(last.Object)}); err != nil {
			t.Fatal(err)
		}
	}
	<-w.rechecked
}

// inNamespace is a reader of one namespace.
type inNamespace struct {
	client.Reader
	namespace string
}

func (r inNamespace) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return r.Reader.List(ctx, list, append(options, client.InNamespace(r.namespace))...)
}

// TestWarmUpSurvivesPanic has one trigger that code panics at, as a mistake of ours would have it.
// The process lives, and all other triggers are served: otherwise it would panic again at every
// start.
func TestWarmUpSurvivesPanic(t *testing.T) {
	t.Parallel()
	namespace := createSnapshot(t)
	poison := testSnapshot().Trigger
	poison.Namespace, poison.Name, poison.UID = namespace, "poison", ""
	poison.Spec.SecretRef.Name = "panic"
	env.Create(t, poison)

	table := route.NewTable()
	w := &warmer{
		triggers: inNamespace{env.Client, namespace},
		loader:   ReferenceLoader{Cached: env.Client, Live: panicking{env.Client}, SecretSelector: labels.Everything()},
		table:    table,
		recheck:  make(chan event.GenericEvent, 3),
		log:      logr.Discard(),
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, ok := table.Lookup(route.Path(namespace, "orders")); !ok || r.Verifier == nil {
		t.Errorf("the route that can serve is %+v", r)
	}
	if r, ok := table.Lookup(route.Path(namespace, "poison")); !ok || r.Verifier != nil || r.Unavailable != "Unresolved" {
		t.Errorf("the route of the trigger that was panicked at is %+v", r)
	}
}

// panicking is a reader that panics at the Secret "panic".
type panicking struct{ client.Reader }

func (r panicking) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if key.Name == "panic" {
		panic("at a Secret")
	}
	return r.Reader.Get(ctx, key, object, options...)
}
