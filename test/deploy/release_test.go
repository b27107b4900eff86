/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// cluster is a control plane without anything of Sluice, and Helm for it.
type cluster struct {
	*testenv.Environment
	kubeconfig string
	home       string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	started, err := testenv.StartEmpty()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Control.Stop(); err != nil {
			t.Errorf("stop the control plane: %v", err)
		}
	})
	raw, err := started.AddUser(t, "helm", "system:masters").KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Environment: started, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), home: t.TempDir()}
	if err := os.WriteFile(c.kubeconfig, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// try runs Helm and returns what it complains of.
func (c *cluster) try(t *testing.T, args ...string) error {
	t.Helper()
	environment := []string{"KUBECONFIG=" + c.kubeconfig, "HELM_CONFIG_HOME=" + c.home, "HELM_CACHE_HOME=" + c.home}
	stdout, stderr, err := run(t, "", environment, helm, args...)
	if err != nil {
		return fmt.Errorf("helm %s: %w\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return nil
}

// helm runs Helm and fails the test if that fails.
func (c *cluster) helm(t *testing.T, args ...string) {
	t.Helper()
	if err := c.try(t, args...); err != nil {
		t.Fatal(err)
	}
}

// has says whether an object is there.
func (c *cluster) has(t *testing.T, object *unstructured.Unstructured) bool {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(object), live)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "no matches for kind") {
		t.Fatalf("get %s: %v", id(object), err)
	}
	return err == nil
}

// versions returns the versions of the objects, by name. What is not there has none.
func (c *cluster) versions(t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, object := range objects {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(object.GroupVersionKind())
		if err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(object), live); err != nil {
			t.Errorf("get %s: %v", id(object), err)
		}
		found[id(object)] = live.GetResourceVersion()
	}
	return found
}

// expect compares what is there with what is rendered: all that is wanted, and nothing of what is
// known besides.
func (c *cluster) expect(t *testing.T, when string, wanted, known []*unstructured.Unstructured) {
	t.Helper()
	want, is := map[string]bool{}, map[string]bool{}
	for _, object := range wanted {
		want[id(object)] = true
	}
	for _, object := range append(append([]*unstructured.Unstructured{}, wanted...), known...) {
		if c.has(t, object) {
			is[id(object)] = true
		}
	}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

// kinds returns the objects of a kind.
func kinds(objects []*unstructured.Unstructured, kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

// TestRelease installs the chart into an empty cluster, and goes with it to its end.
func TestRelease(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	other := `{mode: all, ingest: {autoscaling: {enabled: true}}, networkPolicy: {enabled: true, apiServerTo: [{ipBlock: {cidr: 192.0.2.1/32}}]}, metrics: {access: open}}`
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := mustRender(t, ``), mustRender(t, other)
	definitions := kinds(first, "CustomResourceDefinition")
	all := append(append([]*unstructured.Unstructured{}, first...), second...)

	c.helm(t, "install", "sluice", chart, "--namespace", system, "--create-namespace")
	c.expect(t, "after helm install", first, all)

	flow := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sluice.dev/v1alpha1", "kind": "Flow",
		"metadata": map[string]any{"namespace": "default", "name": "import"},
	}}
	c.Create(t, flow)

	before := c.versions(t, first)
	c.helm(t, "upgrade", "sluice", chart, "--namespace", system)
	if diff := cmp.Diff(before, c.versions(t, first)); diff != "" {
		t.Errorf("helm upgrade changes objects though nothing is different (-before +after):\n%s", diff)
	}

	c.helm(t, "upgrade", "sluice", chart, "--namespace", system, "--values", file)
	c.expect(t, "after helm upgrade to other values", second, all)
	c.helm(t, "rollback", "sluice", "2", "--namespace", system)
	c.expect(t, "after helm rollback", first, all)

	err := c.try(t, "install", "again", chart, "--namespace", system, "--set", "crds.enabled=false")
	if err == nil || !strings.Contains(err.Error(), `Role "sluice-leader-election" in namespace "sluice-system" exists`) {
		t.Errorf("a second release in the namespace, whose controller would never lead: %v", err)
	}

	c.helm(t, "uninstall", "sluice", "--namespace", system)
	c.expect(t, "after helm uninstall", definitions, all)
	if !c.has(t, flow) {
		t.Error("helm uninstall deletes Flows")
	}

	// The definitions still say that they belong to the release sluice in sluice-system.
	err = c.try(t, "install", "hooks", chart, "--namespace", "hooks", "--create-namespace")
	if err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("another release takes the definitions that are there: %v", err)
	}
	c.helm(t, "install", "hooks", chart, "--namespace", "hooks", "--create-namespace", "--take-ownership")
	c.helm(t, "uninstall", "hooks", "--namespace", "hooks")

	c.helm(t, "install", "sluice", chart, "--namespace", system, "--take-ownership", "--set", "crds.keep=false")
	c.helm(t, "uninstall", "sluice", "--namespace", system)
	for _, definition := range definitions {
		live := definition.DeepCopy()
		err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(definition), live)
		if !apierrors.IsNotFound(err) && (err != nil || live.GetDeletionTimestamp() == nil) {
			t.Errorf("%s stays after helm uninstall, though crds.keep is false: %v", id(definition), err)
		}
	}
}

// TestOneForEachTeam installs the chart twice under one name, for two teams with namespaces of
// their own.
func TestOneForEachTeam(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	teams := []string{"shop", "billing"}
	for i, team := range teams {
		c.helm(t, "install", "sluice", chart, "--namespace", team, "--create-namespace",
			"--set", "watchNamespaces={"+team+"}", "--set", fmt.Sprintf("crds.enabled=%v", i == 0))
	}
	for _, team := range teams {
		binding := &rbacv1.ClusterRoleBinding{}
		if err := c.Client.Get(t.Context(), client.ObjectKey{Name: "sluice-metrics-auth-" + team}, binding); err != nil {
			t.Fatal(err)
		}
		for _, subject := range binding.Subjects {
			if subject.Namespace != team {
				t.Errorf("what %s is bound by is for %v", team, subject)
			}
		}
	}
	c.helm(t, "uninstall", "sluice", "--namespace", "shop")
	if err := c.Client.Get(t.Context(), client.ObjectKey{Name: "sluice-metrics-reader-billing"}, &rbacv1.ClusterRole{}); err != nil {
		t.Errorf("what one team has removed is gone for the other: %v", err)
	}
}

// TestFromKubectlToHelm lets Helm take over what kubectl has made.
func TestFromKubectlToHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	if _, stderr, err := c.Kubectl(t, "", "apply", "--server-side", "-k", filepath.Join(testenv.Root(), "config", "default")); err != nil {
		t.Fatalf("kubectl apply -k: %v\n%s", err, stderr)
	}
	c.expect(t, "after kubectl apply -k", build(t, "default"), mustRender(t, ``))
	c.helm(t, "install", "sluice", chart, "--namespace", system, "--take-ownership")
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\nkubectl apply --server-side --namespace sluice-system -f - <<END\n")
	nothing, _, found := strings.Cut(rest, "\nEND\n")
	if !found {
		t.Fatal("docs/install.md does not say how kubectl gives up what it has set")
	}
	if _, stderr, err := c.Kubectl(t, nothing, "apply", "--server-side", "--namespace", system, "-f", "-"); err != nil {
		t.Fatalf("give up what kubectl has set: %v\n%s", err, stderr)
	}
	// Each of these takes something away that kubectl has set.
	for _, values := range []string{
		"tls.enabled=true,tls.secretName=hooks-tls", "ingest.podDisruptionBudget.minAvailable=1", "metrics.enabled=false", "ingest.resources.limits=null",
	} {
		c.helm(t, "upgrade", "sluice", chart, "--namespace", system, "--reset-then-reuse-values", "--set", values)
	}
	service := &corev1.Service{}
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "sluice-ingest"}, service); err != nil {
		t.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "sluice-ingest"}, deployment); err != nil {
		t.Fatal(err)
	}
	type made struct {
		ServicePorts   int
		ContainerPorts int
		Limits         corev1.ResourceList
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	want := made{ServicePorts: 1, ContainerPorts: 2}
	if diff := cmp.Diff(want, made{len(service.Spec.Ports), len(container.Ports), container.Resources.Limits}); diff != "" {
		t.Errorf("after upgrades that take something away (-want +got):\n%s", diff)
	}
	c.helm(t, "uninstall", "sluice", "--namespace", system)
	c.expect(t, "after helm install and uninstall", append(kinds(build(t, "default"), "Namespace"), kinds(mustRender(t, ``), "CustomResourceDefinition")...), mustRender(t, ``))
}

// TestUpgradeOfDefinitions upgrades to a chart whose definitions and version are newer, as Helm
// does not with the folder crds.
func TestUpgradeOfDefinitions(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.helm(t, "install", "sluice", chart, "--namespace", system, "--create-namespace")
	newer := filepath.Join(t.TempDir(), "sluice")
	if err := os.CopyFS(newer, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(newer, "Chart.yaml"), "\nversion: ", "\nversion: 9")
	replace(t, filepath.Join(newer, "files", "crds", "sluice.dev_flows.yaml"), "singular: flow\n", "singular: flow\n    shortNames: [fl]\n")
	c.helm(t, "upgrade", "sluice", newer, "--namespace", system)
	names, stderr, err := c.Kubectl(t, "", "get", "customresourcedefinition", "flows.sluice.dev", "-o", "jsonpath={.spec.names.shortNames[*]}")
	if err != nil || names != "fl" {
		t.Errorf("the short names of Flows are %q after the upgrade: %v\n%s", names, err, stderr)
	}
}

// TestUpgradeFromThePreviousVersion installs the chart of the last release and upgrades to this
// one.
func TestUpgradeFromThePreviousVersion(t *testing.T) {
	t.Parallel()
	root := testenv.Root()
	tags, stderr, err := run(t, "", nil, "git", "-C", root, "tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD")
	if err != nil {
		t.Fatalf("list the releases: %v\n%s", err, stderr)
	}
	if tags == "" {
		t.Skip("there is no release yet")
	}
	last, _, _ := strings.Cut(tags, "\n")
	archive, stderr, err := run(t, "", nil, "git", "-C", root, "archive", last, "charts/sluice")
	if err != nil {
		t.Fatalf("get the chart of %s: %v\n%s", last, err, stderr)
	}
	dir := t.TempDir()
	if _, stderr, err := run(t, archive, nil, "tar", "-x", "-C", dir); err != nil {
		t.Fatalf("unpack the chart of %s: %v\n%s", last, err, stderr)
	}
	c := newCluster(t)
	c.helm(t, "install", "sluice", filepath.Join(dir, "charts", "sluice"), "--namespace", system, "--create-namespace")
	c.helm(t, "upgrade", "sluice", chart, "--namespace", system)
	c.expect(t, "after helm upgrade from "+last, mustRender(t, ``), nil)
	c.helm(t, "rollback", "sluice", "1", "--namespace", system)
}

// replace replaces a text in a file, which must have it.
func replace(t *testing.T, file, old, replacement string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(raw), old, replacement, 1)), 0o600); err != nil { //nolint:gosec // a file of the test's own
		t.Fatal(err)
	}
}
