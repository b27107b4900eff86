/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	strictyaml "sigs.k8s.io/yaml"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// patience is how long to wait for what should take milliseconds.
const patience = 30 * time.Second

// system is the namespace that Sluice is installed into.
const system = "sluice-system"

var (
	env   *testenv.Environment
	chart = filepath.Join(testenv.Root(), "charts", "sluice")
	helm  = filepath.Join(testenv.Root(), "bin", "tools", "helm")
)

// TestMain starts a control plane that knows the kinds of other projects too, and has the
// namespaces that values name.
func TestMain(m *testing.M) {
	if err := buildHelm(); err != nil {
		panic(err)
	}
	started, err := testenv.Start()
	if err != nil {
		panic(err)
	}
	env = started
	if err := prepare(); err != nil {
		panic(err)
	}
	m.Run()
	if err := started.Control.Stop(); err != nil {
		panic(fmt.Errorf("stop the control plane: %w", err))
	}
}

// buildHelm builds Helm if there is none, which takes minutes; make test has done so before.
func buildHelm() error {
	if _, err := os.Stat(helm); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	build := exec.Command("make", "-C", testenv.Root(), helm) //nolint:noctx // our own Makefile, before any test has a context
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build Helm: %w", err)
	}
	return nil
}

func prepare() error {
	files, err := foreignFiles()
	if err != nil {
		return err
	}
	if _, err := envtest.InstallCRDs(env.Config, envtest.CRDInstallOptions{Paths: files, ErrorIfPathMissing: true}); err != nil {
		return fmt.Errorf("install the definitions of other projects: %w", err)
	}
	for _, name := range []string{system, "shop", "billing", "monitoring", "argocd", "flux-system"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			// The API server warns of workloads that it would not let run here.
			"pod-security.kubernetes.io/warn": "restricted",
		}}}
		if err := env.Client.Create(context.Background(), namespace); err != nil { //nolint:forbidigo // before any test has a context
			return fmt.Errorf("create a namespace: %w", err)
		}
	}
	return nil
}

// run runs a program.
func run(tb testing.TB, stdin string, environment []string, program string, args ...string) (stdout, stderr string, err error) {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), program, args...)
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errs
	command.Env = append(os.Environ(), environment...)
	err = command.Run()
	return out.String(), errs.String(), err
}

// render renders the chart as the release sluice in sluice-system, with values in YAML.
func render(tb testing.TB, values string) ([]*unstructured.Unstructured, error) {
	tb.Helper()
	home := "HELM_CONFIG_HOME=" + tb.TempDir() // what the user has configured has no say here
	stdout, stderr, err := run(tb, values, []string{home}, helm, "template", "sluice", chart, "--namespace", system, "--values", "-")
	if err != nil {
		return nil, errors.New(stderr)
	}
	return parse(tb, stdout), nil
}

// mustRender renders the chart and fails the test if it cannot.
func mustRender(tb testing.TB, values string) []*unstructured.Unstructured {
	tb.Helper()
	objects, err := render(tb, values)
	if err != nil {
		tb.Fatalf("render the chart with\n%s\n%v", values, err)
	}
	return objects
}

// build builds a kustomization of config.
func build(tb testing.TB, folder string) []*unstructured.Unstructured {
	tb.Helper()
	stdout, stderr, err := env.Kubectl(tb, "", "kustomize", filepath.Join(testenv.Root(), "config", folder))
	if err != nil {
		tb.Fatalf("kustomize config/%s: %v\n%s", folder, err, stderr)
	}
	return parse(tb, stdout)
}

// overlay builds a kustomization, in which a folder of config takes the place of a text.
func overlay(tb testing.TB, kustomization, text, folder string) []*unstructured.Unstructured {
	tb.Helper()
	// kustomize takes no absolute paths, and nothing above the folder but folders that are
	// kustomizations.
	dir := tb.TempDir()
	relative, err := filepath.Rel(dir, filepath.Join(testenv.Root(), "config", folder))
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(strings.ReplaceAll(kustomization, text, relative)), 0o600); err != nil {
		tb.Fatal(err)
	}
	stdout, stderr, err := env.Kubectl(tb, "", "kustomize", dir)
	if err != nil {
		tb.Fatalf("kustomize: %v\n%s", err, stderr)
	}
	return parse(tb, stdout)
}

// parse returns the objects of a stream of YAML.
func parse(tb testing.TB, text string) []*unstructured.Unstructured {
	tb.Helper()
	var objects []*unstructured.Unstructured
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		object := &unstructured.Unstructured{}
		if err == nil {
			err = strictyaml.UnmarshalStrict(document, &object.Object) // a key that is there twice is an error
		}
		if err != nil {
			tb.Fatalf("parse: %v\n%s", err, text)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// id names an object by its kind, its namespace if that is not sluice-system, and its name.
func id(object *unstructured.Unstructured) string {
	if namespace := object.GetNamespace(); namespace != "" && namespace != system {
		return object.GetKind() + "/" + namespace + "/" + object.GetName()
	}
	return object.GetKind() + "/" + object.GetName()
}

// warnings collects what the API server warns of.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// accept asks the API server whether it would take objects as they are: known fields only, valid,
// and with nothing to warn of. Nothing is stored.
func accept(tb testing.TB, objects []*unstructured.Unstructured) {
	tb.Helper()
	config := rest.CopyConfig(env.Config)
	warned := &warnings{}
	config.WarningHandler = warned
	c, err := client.New(config, client.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, object := range objects {
		// A copy, since the answer is written into it.
		err := c.Apply(tb.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()),
			client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll)
		if err != nil {
			tb.Errorf("%s is refused: %v", id(object), err)
		}
	}
	if len(warned.texts) > 0 {
		tb.Errorf("the API server warns: %q", warned.texts)
	}
}
