//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
)

// inventory returns every object in the cluster, but Events and the heartbeats of nodes, as
// «resource.group namespace/name».
func (w *world) inventory(t *testing.T) []string {
	t.Helper()
	lister, err := metadata.NewForConfig(w.config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := w.clientset.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatalf("list the kinds: %v", err)
	}
	var found []string
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range group.APIResources {
			if !slices.Contains(resource.Verbs, "list") || resource.Name == "events" {
				continue
			}
			list, err := lister.Resource(version.WithResource(resource.Name)).List(t.Context(), metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue // its definition is being removed, or it has nothing to list
			}
			if err != nil {
				t.Fatalf("list %s: %v", resource.Name, err)
			}
			kind := strings.TrimSuffix(resource.Name+"."+version.Group, ".")
			for _, object := range list.Items {
				if object.Namespace == corev1.NamespaceNodeLease {
					continue
				}
				found = append(found, kind+" "+strings.TrimPrefix(object.Namespace+"/"+object.Name, "/"))
			}
		}
	}
	slices.Sort(found)
	return found
}

// added returns what is in the cluster now and was not before.
func (w *world) added(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(w.inventory(t), func(object string) bool {
		_, found := slices.BinarySearch(w.before, object)
		return found
	})
}
