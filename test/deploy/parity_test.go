/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// TestKustomizeAndHelmAgree compares what kubectl apply -k and helm install make.
func TestKustomizeAndHelmAgree(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		folder string
		values string
	}{
		"Default":    {"everything, in all namespaces", "default", ``},
		"Namespaced": {"nothing of the whole cluster", "namespaced", `{watchNamespaces: [sluice-system], crds: {enabled: false}, metrics: {access: open}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kustomized := build(t, tc.folder)
			accept(t, kustomized)
			is, want := stripped(t, kustomized), stripped(t, mustRender(t, tc.values))
			if diff := cmp.Diff(want, is); diff != "" {
				t.Errorf("%s: config/%s (-Helm +kustomize):\n%s", tc.reason, tc.folder, diff)
			}
		})
	}
}

// TestNamespacedElsewhere shows that config/namespaced can be put into another namespace, as its
// comment says: nothing of it is left in sluice-system, and its accounts are those that the
// permissions are for.
func TestNamespacedElsewhere(t *testing.T) {
	t.Parallel()
	objects := overlay(t, "resources: [FOLDER]\nnamespace: shop\n", "FOLDER", "namespaced")
	accept(t, objects)
	for _, object := range objects {
		raw, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if object.GetNamespace() != "shop" || strings.Contains(string(raw), system) {
			t.Errorf("%s is not in the namespace shop as a whole:\n%s", id(object), raw)
		}
	}
}

// stripped returns objects by their names, without what differs between the two on purpose.
func stripped(t *testing.T, objects []*unstructured.Unstructured) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			continue // Helm's is made by --create-namespace
		}
		labels := object.GetLabels()
		for name := range labels {
			// Which tool made it. What selects pods is in spec.
			if strings.HasPrefix(name, "app.kubernetes.io/") || strings.HasPrefix(name, "helm.sh/") {
				delete(labels, name)
			}
		}
		object.SetLabels(labels)
		if len(labels) == 0 {
			unstructured.RemoveNestedField(object.Object, "metadata", "labels")
		}
		unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "helm.sh/resource-policy")
		if object.GetKind() == "Deployment" {
			containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
			if err != nil {
				t.Fatal(err)
			}
			for _, container := range containers {
				sameArguments(t, container)
			}
			if err := unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers"); err != nil {
				t.Fatal(err)
			}
		}
		found[id(object)] = object.Object
	}
	return found
}

// sameArguments puts a container's arguments into an order, and the namespace where kustomize has a
// variable: a kustomization cannot know which namespace it will be in.
func sameArguments(t *testing.T, container any) {
	t.Helper()
	fields, ok := container.(map[string]any)
	if !ok {
		t.Fatalf("a container is a %T", container)
	}
	arguments, ok := fields["args"].([]any)
	if !ok {
		t.Fatalf("args are a %T", fields["args"])
	}
	for i, argument := range arguments {
		if argument == "--watch-namespaces=$(POD_NAMESPACE)" {
			arguments[i] = "--watch-namespaces=" + system
		}
	}
	slices.SortFunc(arguments, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) //nolint:errcheck // YAML of the API
	environment, ok := fields["env"].([]any)
	if !ok {
		t.Fatalf("env is a %T", fields["env"])
	}
	fields["env"] = slices.DeleteFunc(environment, func(variable any) bool {
		named, ok := variable.(map[string]any)
		return ok && named["name"] == "POD_NAMESPACE"
	})
}

// TestCopies shows that the chart's definitions and permissions are those of config, of which make
// generate copies them.
func TestCopies(t *testing.T) {
	t.Parallel()
	for folder, pattern := range map[string]string{"crds": "crd/bases/*.yaml", "rbac": "rbac/*_role*.yaml"} {
		originals, err := filepath.Glob(filepath.Join(testenv.Root(), "config", pattern))
		if err != nil || len(originals) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(originals), err)
		}
		is, want := map[string]string{}, map[string]string{}
		for _, original := range originals {
			raw, err := os.ReadFile(original)
			if err != nil {
				t.Fatal(err)
			}
			want[filepath.Base(original)] = string(raw)
		}
		copies, err := os.ReadDir(filepath.Join(chart, "files", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range copies {
			raw, err := os.ReadFile(filepath.Join(chart, "files", folder, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			is[file.Name()] = string(raw)
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("charts/sluice/files/%s; run make generate (-config +chart):\n%s", folder, diff)
		}
	}
}

// TestArguments shows every flag that the chart can set to the operator.
func TestArguments(t *testing.T) {
	t.Parallel()
	// Each is given once with everything that adds a flag, in words that the operator takes.
	everything := `{externalURL: "https://hooks.example.com", watchNamespaces: [shop, billing], secretLabelSelector: a=b,
		log: {level: debug, format: text}, tls: {enabled: true, secretName: a, minVersion: "1.3"}, metrics: {tls: {secretName: a}},
		tracing: {endpoint: "https://collector:4317", sampleRatio: 0.001, trustTraceparent: always},
		ingest: {maxBodyBytes: 1048576, maxInFlightBytes: 268435456, acceptDeadlineSeconds: 2.5, trustedProxies: [10.0.0.0/8, "2001:db8::/32"], resources: {limits: {memory: 2Gi}}}}`
	cases := map[string]struct{ reason, values string }{
		"Defaults":             {"as it is installed", ``},
		"All":                  {"in one process", `{mode: all}`},
		"Everything":           {"all flags there are", everything},
		"OpenMetrics":          {"of the other access", `{metrics: {access: open}}`},
		"NoMetrics":            {"an address that is none", `{metrics: {enabled: false}}`},
		"NoShutdown":           {"the least there is", `{ingest: {shutdownDelaySeconds: 0, drainTimeoutSeconds: 2}}`},
		"Traces":               {"of no request of which the sender does not say so", `{tracing: {endpoint: "http://collector:4317", sampleRatio: 0, trustTraceparent: never}}`},
		"Deadline":             {"the most for which the other timeouts are long enough", `{ingest: {acceptDeadlineSeconds: 5}}`},
		"LongDeadline":         {"a little more", `{ingest: {acceptDeadlineSeconds: 5.001}}`},
		"LongestDeadline":      {"the longest", `{ingest: {acceptDeadlineSeconds: 3600, drainTimeoutSeconds: 3600}}`},
		"ShortestDeadline":     {"the shortest", `{ingest: {acceptDeadlineSeconds: 0.001}}`},
		"LeastMemory":          {"just room for the longest body", `{ingest: {maxInFlightBytes: 1064960}}`},
		"LeastMemoryOfLongest": {"just room for the longest body", `{ingest: {maxBodyBytes: 1130496, maxInFlightBytes: 1146880}}`},
		"MostMemory":           {"the most there may be", `{ingest: {maxInFlightBytes: 1099511627776, resources: {limits: null}}}`},
		"LongSelector":         {"as long as it may be", `{secretLabelSelector: "xx` + strings.Repeat(",x", 127) + `"}`},
		"TLS1.2":               {"the other version", `{tls: {enabled: true, secretName: a, minVersion: "1.2"}}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, object := range mustRender(t, tc.values) {
				if object.GetKind() != "Deployment" {
					continue
				}
				containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
				if err != nil {
					t.Fatal(err)
				}
				arguments, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args") //nolint:errcheck // YAML of the API
				if err != nil {
					t.Fatal(err)
				}
				options := app.DefaultOptions()
				flags := flag.NewFlagSet("", flag.ContinueOnError)
				flags.SetOutput(io.Discard)
				options.BindFlags(flags)
				if err := flags.Parse(arguments); err != nil {
					t.Errorf("%s: %s: %v", tc.reason, id(object), err)
					continue
				}
				if err := options.Validate(); err != nil {
					t.Errorf("%s: %s: %v", tc.reason, id(object), err)
				}
			}
		})
	}
}

// TestPorts shows that the operator listens by default where the manifests say it does.
func TestPorts(t *testing.T) {
	t.Parallel()
	options := app.DefaultOptions()
	if diff := cmp.Diff([]string{":8080", ":8081", ":8082"}, []string{options.IngestAddress, options.HealthAddress, options.MetricsAddress}); diff != "" {
		t.Errorf("the ports for webhooks, probes and metrics (-manifests +operator):\n%s", diff)
	}
}

// TestMemory holds the memory that the manifests give to docs/operations.md: even at the worst,
// GOMEMLIMIT is not below what is in use, or the garbage collector would never rest.
func TestMemory(t *testing.T) {
	t.Parallel()
	needed := int64(64<<20) + 5*app.DefaultOptions().Limits.MaxInFlightBytes
	for _, object := range kinds(build(t, "default"), "Deployment") {
		text := strings.TrimSuffix(strings.Trim(field(t, object, ".spec.template.spec.containers[0].env[0].value"), `"`), "MiB")
		limit, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: GOMEMLIMIT: %v", id(object), err)
		}
		if limit<<20 < needed {
			t.Errorf("%s: GOMEMLIMIT is %d MiB, and up to %d MiB are in use", id(object), limit, needed>>20)
		}
	}
}
