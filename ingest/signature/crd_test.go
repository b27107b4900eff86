/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// TestEnumsOfAPI compares the algorithms with those that the CustomResourceDefinition offers: one
// that is only offered makes a trigger that cannot work, and one that is only known is of no use.
func TestEnumsOfAPI(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "sluice.dev_webhooktriggers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Properties map[string]property
		Enum       []string
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema property
				}
			}
		}
	}
	if err := yaml.Unmarshal(raw, &crd); err != nil {
		t.Fatal(err)
	}
	if len(crd.Spec.Versions) == 0 {
		t.Fatal("the CustomResourceDefinition has no versions")
	}
	var hashes, all, providers []string
	for _, a := range algorithms {
		all = append(all, string(a.name))
		if a.kind == kindHMAC {
			hashes = append(hashes, string(a.name))
		}
	}
	for _, p := range Presets() {
		providers = append(providers, p.Name)
	}
	for _, version := range crd.Spec.Versions {
		spec := version.Schema.OpenAPIV3Schema.Properties["spec"].Properties
		for field, values := range map[string]struct{ known, offered []string }{
			"algorithm":           {hashes, spec["algorithm"].Enum},
			"provider":            {providers, spec["provider"].Enum},
			"signature.algorithm": {all, spec["signature"].Properties["algorithm"].Enum},
		} {
			slices.Sort(values.known)
			slices.Sort(values.offered)
			if diff := cmp.Diff(values.known, values.offered); diff != "" {
				t.Errorf("what spec.%s of version %s offers (-known +offered):\n%s", field, version.Name, diff)
			}
		}
	}
}
