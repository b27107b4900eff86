/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sluice-dev/sluice/test/framework/markdown"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// TestDocumentedValues renders the chart with every block of values, and asks the API server about
// what comes out.
func TestDocumentedValues(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"docs/install.md", "docs/observability.md"} {
		found := markdown.Texts(t, page, "yaml values")
		for _, values := range found {
			accept(t, mustRender(t, values))
		}
		if len(found) == 0 {
			t.Errorf("%s has no values", page)
		}
	}
}

// TestDocumentedKustomization builds the documented kustomization, with this folder in place of the
// one on the network.
func TestDocumentedKustomization(t *testing.T) {
	t.Parallel()
	const remote = "https://github.com/sluice-dev/sluice//config/default?ref=v0.1.0"
	found := markdown.Texts(t, "docs/install.md", "yaml kustomization")
	if len(found) != 1 || !strings.Contains(found[0], remote) {
		t.Fatalf("docs/install.md should have one kustomization, of %s: %q", remote, found)
	}
	objects := overlay(t, found[0], remote, "default")
	accept(t, objects)
	changed := 0
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		changed++
		if image := field(t, object, ".spec.template.spec.containers[0].image"); image != `"registry.example.com/sluice:v0.1.0"` {
			t.Errorf("%s has the image %s", id(object), image)
		}
		if args := field(t, object, ".spec.template.spec.containers[0].args"); !strings.Contains(args, `"--external-url=https://hooks.example.com"]`) {
			t.Errorf("%s has the arguments %s", id(object), args)
		}
	}
	if changed != 2 {
		t.Errorf("there are %d Deployments", changed)
	}
}

// TestDocumentedForeignObjects asks the API server, which has the definitions of these projects,
// about all objects of kinds that are not Kubernetes' or Sluice's. What they say about the chart is
// held against it.
func TestDocumentedForeignObjects(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testenv.Root(), "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		for _, text := range markdown.Texts(t, filepath.Join("docs", filepath.Base(file)), "yaml foreign") {
			objects := parse(t, text)
			for _, object := range objects {
				if object.GetNamespace() == "" {
					object.SetNamespace("shop")
				}
				seen[object.GetKind()] = true
				values(t, object)
			}
			accept(t, objects)
		}
	}
	for _, kind := range []string{"OCIRepository", "HelmRelease", "Kustomization", "Application", "ExternalSecret", "SealedSecret"} {
		if !seen[kind] {
			t.Errorf("the documentation has no %s", kind)
		}
	}
}

// values renders the chart with the values that an object of Flux or Argo CD has for it.
func values(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	path := map[string][]string{
		"HelmRelease": {"spec", "values"},
		"Application": {"spec", "source", "helm", "valuesObject"},
	}[object.GetKind()]
	if path == nil {
		return
	}
	found, ok, err := unstructured.NestedMap(object.Object, path...)
	if err != nil || !ok {
		t.Fatalf("%s has no values: %v", id(object), err)
	}
	raw, err := yaml.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	mustRender(t, string(raw))
}

// notes returns what Helm prints after an installation.
func notes(t *testing.T, set string) string {
	t.Helper()
	stdout, stderr, err := run(t, "", []string{"HELM_CONFIG_HOME=" + t.TempDir()}, helm, "install", "sluice", chart, "--namespace", system, "--dry-run=client", "--set", set)
	if err != nil {
		t.Fatalf("render: %v\n%s", err, stderr)
	}
	_, notes, ok := strings.Cut(stdout, "\nNOTES:\n")
	if !ok {
		t.Fatalf("there are no notes in\n%s", stdout)
	}
	return notes
}

// TestNotes reads what Helm prints after an installation.
func TestNotes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		set    string
		want   []string
	}{
		"Defaults": {"as it is installed", "mode=split", []string{
			"kubectl --namespace sluice-system rollout status deployment/sluice-ingest\n", "deployment/sluice-controller\n",
			"kubectl --namespace default create secret generic first-webhook", "port-forward service/sluice-ingest 8080:80 ",
			" http://127.0.0.1:8080/hooks/default/first\n", "externalURL is not set",
		}},
		"Others": {"they follow the values", "mode=all,externalURL=https://hooks.example.com/,watchNamespaces={shop,billing},tls.enabled=true,tls.secretName=a", []string{
			"is installed for shop, billing.", "deployment/sluice-all\n", "kubectl --namespace shop create secret",
			"service/sluice-ingest 8080:443 ", " --insecure ", " https://127.0.0.1:8080/hooks/shop/first\n", "https://hooks.example.com/hooks/<namespace>/<name>",
		}},
		"Label": {"only Secrets with a label are seen", "secretLabelSelector=sluice.dev/webhook-key=true", []string{
			"\nkubectl --namespace default label secret first-webhook sluice.dev/webhook-key=true\nkubectl --namespace default apply",
		}},
		"Labels": {"of which it cannot be said how to label them", "secretLabelSelector=tier!=test", []string{
			`labels match "tier!=test": label first-webhook so`,
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			printed := notes(t, tc.set)
			for _, want := range tc.want {
				if !strings.Contains(printed, want) {
					t.Errorf("%s: %q is not in\n%s", tc.reason, want, printed)
				}
			}
		})
	}
}

// TestWalks goes the ways of a new user: that of the README, which installs the chart, and then
// that of Helm's notes. There is no node, so the operator runs here, with what the commands have
// made; test/e2e does the same with pods.
func TestWalks(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	readme := markdown.Texts(t, "README.md", "sh node")
	if len(readme) != 1 {
		t.Fatalf("the README has %d walks", len(readme))
	}
	if commands := strings.Count(readme[0], "\n"); commands >= 10 {
		t.Errorf("the README's walk has %d commands", commands)
	}
	install, rest, _ := strings.Cut(readme[0], "\n")
	c.walk(t, strings.ReplaceAll(install, " --wait", ""), "")
	address := startOperator(t, c.Environment, metav1.NamespaceDefault).Server.Address().String()

	// A walk ends with a list of runs.
	for walk, want := range map[string]string{
		rest:                             "orders-",
		commands(notes(t, "mode=split")): "first-",
	} {
		printed := c.walk(t, walk, address)
		_, runs, _ := strings.Cut(printed, "HTTP/1.1 202 Accepted")
		if !strings.Contains(runs, "\n"+want) {
			t.Errorf("there is no answer 202 and after it a run of the trigger:\n%s\n%s", walk, printed)
		}
	}
}

// commands returns the paragraphs of a text that are commands.
func commands(text string) string {
	var found []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, "kubectl ") {
			found = append(found, paragraph)
		}
	}
	return strings.Join(found, "\n")
}

// walk runs commands as they are but for what needs a node: an operator here takes the place of the
// forwarded port.
func (c *cluster) walk(t *testing.T, script, address string) string {
	t.Helper()
	script = regexp.MustCompile(`(?m)^kubectl .*(port-forward|rollout status).*$`).ReplaceAllString(script, "")
	script = strings.ReplaceAll(script, "127.0.0.1:8080", address)
	user := c.AddUser(t, "walk", "system:masters")
	kubectl, err := user.Kubectl()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	command.Dir = testenv.Root()
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "HELM_CONFIG_HOME="+c.home, "HELM_CACHE_HOME="+c.home, "NO_PROXY=*",
		"PATH="+strings.Join([]string{filepath.Dir(kubectl.Path), filepath.Dir(helm), os.Getenv("PATH")}, string(os.PathListSeparator)))
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, printed)
	}
	return string(printed)
}
