/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package kustomize_test applies the kustomizations of config to a real API server, as users do.
package kustomize_test

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// TestKustomizations applies each kustomization again and again: all is accepted, and nothing
// drifts.
func TestKustomizations(t *testing.T) {
	env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sluice-system"}})
	cases := map[string]struct {
		reason  string
		folder  string
		objects int
		into    string // the namespace
	}{
		"CRD":          {"the CustomResourceDefinitions, which the API server has already", "crd", 3, "default"},
		"RBAC":         {"the roles and their bindings", "rbac", 13, "sluice-system"},
		"RBACOperator": {"what is left of them without those of the cluster", "rbac-namespaced/operator", 4, "sluice-system"},
		"RBACWatched":  {"the roles and their bindings in one namespace", "rbac-namespaced/watched", 4, "default"},
		"Samples":      {"what the quickstart applies", "samples", 4, "default"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			arguments := []string{"apply", "--server-side", "-k", filepath.Join(testenv.Root(), "config", tc.folder), "-n", tc.into, "-o", "name", "--show-managed-fields=false"}
			versions := func() string {
				applied, stderr, err := env.Kubectl(t, "", arguments...)
				if err != nil {
					t.Fatalf("%s: %v\n%s", tc.reason, err, stderr)
				}
				names := strings.Fields(applied)
				if len(names) != tc.objects {
					t.Errorf("%s: applied %d objects, want %d: %v", tc.reason, len(names), tc.objects, names)
				}
				var found []string
				for _, name := range names {
					version, stderr, err := env.Kubectl(t, "", "get", name, "-n", tc.into, "-o", "jsonpath={.metadata.resourceVersion}")
					if err != nil {
						t.Fatalf("%s: %v\n%s", tc.reason, err, stderr)
					}
					found = append(found, name+"@"+version)
				}
				return strings.Join(found, " ")
			}
			// The API server stores a new object without the default of its status, which the first
			// write after that adds; a controller's does, where one runs.
			versions()
			if second, third := versions(), versions(); second != third {
				t.Errorf("%s: applying it again changes something:\n%s\n%s", tc.reason, second, third)
			}
		})
	}
}
