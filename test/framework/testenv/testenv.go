/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package testenv gives tests a real kube-apiserver and etcd with Sluice's
// CustomResourceDefinitions installed.
//
// A test package starts one in TestMain and gives each test a namespace of its own. Nothing removes
// namespaces: no controller of Kubernetes' own runs.
package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
)

// Environment is a running control plane.
type Environment struct {
	// Config has every permission.
	Config *rest.Config
	// Client is for the objects of a test. It is not cached.
	Client client.Client
	// Control is what runs, to add users to and to stop.
	Control *envtest.Environment

	users sync.Mutex // envtest adds users one at a time
}

// Root returns the root folder of the project.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Start starts a control plane. It builds the binaries if there are none, which takes minutes; make
// test has done so before.
func Start() (*Environment, error) {
	return start(filepath.Join(Root(), "config", "crd", "bases"))
}

// StartEmpty is Start without Sluice's CustomResourceDefinitions, for tests that install them.
func StartEmpty() (*Environment, error) { return start() }

func start(definitions ...string) (*Environment, error) {
	assets, err := assets()
	if err != nil {
		return nil, err
	}
	control := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        definitions,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	// Without it the server looks for a default route, and not every machine has one.
	control.ControlPlane.GetAPIServer().Configure().Set("advertise-address", "127.0.0.1").Set("endpoint-reconciler-type", "none")
	ctrllog.SetLogger(logr.Discard()) // or controller-runtime prints a stack trace after 30 s
	config, err := control.Start()
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme.New()})
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	return &Environment{Config: config, Client: c, Control: control}, nil
}

// Main runs a package's tests with a control plane, which it stores in *env. After the last test it
// calls what is to be looked at after all of them, whose error fails the package. Call it last in
// TestMain. Where fuzz targets are run alone, there is no control plane: each of their processes
// would start one.
func Main(m *testing.M, env **Environment, after ...func(context.Context) error) {
	flag.Parse() //nolint:revive // TestMain is the main of a test, and m.Run would do so too late
	if set("test.fuzz") != "" && set("test.run") == "^$" {
		m.Run()
		return
	}
	started, err := Start()
	if err != nil {
		panic(err) // there is no test yet that could fail
	}
	*env = started
	m.Run()
	var failures []error
	for _, check := range after {
		failures = append(failures, check(context.Background()))
	}
	if err := started.Control.Stop(); err != nil {
		panic(fmt.Errorf("stop the control plane: %w", err))
	}
	if err := errors.Join(failures...); err != nil {
		panic(err) // there is no test any more that could fail
	}
}

// set returns what a flag is set to.
func set(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// Namespace creates a namespace and returns its name.
func (e *Environment) Namespace(tb testing.TB) string {
	tb.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	e.Create(tb, namespace)
	return namespace.Name
}

// Create creates objects, and fails the test if it cannot.
func (e *Environment) Create(tb testing.TB, objects ...client.Object) {
	tb.Helper()
	for _, object := range objects {
		if err := e.Client.Create(tb.Context(), object); err != nil {
			tb.Fatalf("create %T %q: %v", object, object.GetName(), err)
		}
	}
}

// Store writes an object of that resource of Sluice's into etcd as it is, past all that the API
// server checks. So does an object look that was stored under another version of its
// CustomResourceDefinition.
func (e *Environment) Store(tb testing.TB, resource string, object *unstructured.Unstructured) {
	tb.Helper()
	value, err := object.MarshalJSON()
	if err != nil {
		tb.Fatal(err)
	}
	key := path.Join("/registry", sluicev1alpha1.GroupVersion.Group, resource, object.GetNamespace(), object.GetName())
	put, err := json.Marshal(map[string][]byte{"key": []byte(key), "value": value})
	if err != nil {
		tb.Fatal(err)
	}
	url := e.Control.ControlPlane.Etcd.URL.JoinPath("v3", "kv", "put").String()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, bytes.NewReader(put))
	if err != nil {
		tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatalf("put %s into etcd: %v", key, err)
	}
	defer response.Body.Close()
	if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		tb.Fatalf("put %s into etcd: %d %s, %v", key, response.StatusCode, answer, err)
	}
}

// AddUser makes a user of that name and returns its configuration.
func (e *Environment) AddUser(tb testing.TB, name string, groups ...string) *envtest.AuthenticatedUser {
	tb.Helper()
	e.users.Lock()
	defer e.users.Unlock()
	user, err := e.Control.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		tb.Fatalf("add a user: %v", err)
	}
	return user
}

// Token returns a token of a service account, as a pod has one. Without audiences it is for the API
// server.
func (e *Environment) Token(tb testing.TB, namespace, account string, audiences ...string) string {
	tb.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	serviceAccount := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := e.Client.SubResource("token").Create(tb.Context(), serviceAccount, request); err != nil {
		tb.Fatalf("request a token of the service account %s/%s: %v", namespace, account, err)
	}
	return request.Status.Token
}

// ServiceAccount returns the configuration of a pod with that service account, which must exist.
func (e *Environment) ServiceAccount(tb testing.TB, namespace, account string) *rest.Config {
	tb.Helper()
	config := rest.AnonymousClientConfig(e.Config)
	config.QPS = -1
	config.BearerToken = e.Token(tb, namespace, account)
	return config
}

// Kubectl runs kubectl against the control plane and returns what it prints.
func (e *Environment) Kubectl(tb testing.TB, stdin string, args ...string) (stdout, stderr string, err error) {
	tb.Helper()
	kubectl, err := e.AddUser(tb, "kubectl", "system:masters").Kubectl()
	if err != nil {
		tb.Fatalf("set up kubectl: %v", err)
	}
	cmd := exec.CommandContext(tb.Context(), kubectl.Path, append(kubectl.Opts, args...)...) //nolint:gosec // the test says what to run
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// Eventually calls check until it returns nil, and fails the test with its last error if that takes
// longer than the limit.
func Eventually(tb testing.TB, limit time.Duration, check func() error) {
	tb.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("not within %s: %v", limit, err)
		case <-tb.Context().Done():
			tb.Fatalf("the test ended: %v", err)
		}
	}
}

// assets returns the folder of the binaries.
func assets() (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	build := exec.Command(filepath.Join(Root(), "hack", "controlplane", "build.sh")) //nolint:gosec,noctx // our own script, before any test has a context
	build.Stderr = os.Stderr
	out, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build the control plane: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
