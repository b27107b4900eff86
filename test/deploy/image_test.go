/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// TestImageOfARelease makes the chart and the install.yaml of a release with an image of another
// name, as a fork does. Who installs either, without a value, gets that image.
func TestImageOfARelease(t *testing.T) {
	t.Parallel()
	const repository, version = "registry.example:5000/fork/gate", "v0.9.1-rc.2"
	folder := t.TempDir()
	kubectl, err := env.AddUser(t, "release", "system:masters").Kubectl()
	if err != nil {
		t.Fatal(err)
	}
	environment := []string{"HELM=" + helm, "KUBECTL=" + kubectl.Path, "IMAGE=" + repository, "HELM_CONFIG_HOME=" + t.TempDir()}
	script := filepath.Join(testenv.Root(), "hack", "release", "manifests.sh")
	if _, stderr, err := run(t, "", environment, script, version, folder); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	archive := filepath.Join(folder, "sluice-"+strings.TrimPrefix(version, "v")+".tgz")
	rendered, stderr, err := run(t, "", environment, helm, "template", "sluice", archive, "--namespace", system)
	if err != nil {
		t.Fatalf("render: %v\n%s", err, stderr)
	}
	manifest, err := os.ReadFile(filepath.Join(folder, "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Deployment/sluice-ingest": repository + ":" + version, "Deployment/sluice-controller": repository + ":" + version}
	for what, text := range map[string]string{"the chart": rendered, "install.yaml": string(manifest)} {
		if diff := cmp.Diff(want, images(t, parse(t, text))); diff != "" {
			t.Errorf("the images of %s (-want +got):\n%s", what, diff)
		}
	}
	readme, stderr, err := run(t, "", environment, helm, "show", "readme", archive)
	if err != nil || !strings.Contains(readme, "`\""+repository+"\"`") {
		t.Errorf("the README of the chart does not name the image: %v\n%s", err, stderr)
	}
}

// images returns the images of Deployments, by their names.
func images(t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, object := range kinds(objects, "Deployment") {
		found[id(object)] = strings.Trim(field(t, object, ".spec.template.spec.containers[*].image"), `"`)
	}
	return found
}
