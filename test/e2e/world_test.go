//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	release = "sluice"
	// operatorNamespace is where the chart is installed, shop where triggers are.
	operatorNamespace = "sluice-e2e"
	shop              = "sluice-e2e-shop"
	// patience is how long to wait for what takes seconds.
	patience = 2 * time.Minute
	// logLines is how much is shown of each pod's log when a step fails.
	logLines = 15
)

// A world is the cluster and what the steps hand on.
type world struct {
	config     *rest.Config
	client     client.Client
	clientset  *kubernetes.Clientset
	kubeconfig string
	image      string
	versions   [2]string
	chart      string

	url    string   // of the Service
	ledger *ledger  // of all that was sent
	before []string // what was in the cluster before
}

func newWorld(t *testing.T) *world {
	t.Helper()
	setting := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set; run this by make e2e, or see doc.go", name)
		}
		return value
	}
	w := &world{kubeconfig: setting("E2E_KUBECONFIG"), image: setting("E2E_IMAGE"), chart: setting("E2E_CHART"), ledger: &ledger{}}
	versions := strings.Fields(setting("E2E_VERSIONS"))
	if len(versions) != len(w.versions) {
		t.Fatalf("E2E_VERSIONS must be two tags, not %q", versions)
	}
	copy(w.versions[:], versions)
	w.url = os.Getenv("E2E_INGEST_URL")
	var err error
	if w.config, err = clientcmd.BuildConfigFromFlags("", w.kubeconfig); err != nil {
		t.Fatalf("E2E_KUBECONFIG: %v", err)
	}
	w.config.QPS = -1
	w.config.WarningHandler = rest.NoWarnings{} // of deprecated kinds, in inventories
	if w.client, err = client.New(w.config, client.Options{Scheme: scheme.New()}); err != nil {
		t.Fatal(err)
	}
	if w.clientset, err = kubernetes.NewForConfig(w.config); err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs helm or kubectl and returns what it prints. If it fails, so does the test.
func (w *world) run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := w.try(t, command...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) try(t *testing.T, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = testenv.Root()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, &out, &errs)
	}
	return out.String(), nil
}

// helm returns the command line of helm install or upgrade with a version of the image.
func (w *world) helm(verb, version string) []string {
	return []string{
		"helm", verb, release, w.chart, "--namespace=" + operatorNamespace, "--wait", "--timeout=" + patience.String(),
		"--set=image.repository=" + w.image, "--set=image.tag=" + version,
		// Two processors are shared with everything else.
		"--set=ingest.resources.requests.cpu=10m", "--set=controller.resources.requests.cpu=10m",
	}
}

// get reads an object.
func (w *world) get(t *testing.T, namespace, name string, object client.Object) {
	t.Helper()
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatalf("get %T %s: %v", object, name, err)
	}
}

// pods returns the pods of a component, oldest first, those that are stopping included.
func (w *world) pods(t *testing.T, component string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := w.client.List(t.Context(), &list, client.InNamespace(operatorNamespace),
		client.MatchingLabels{"app.kubernetes.io/instance": release, "app.kubernetes.io/component": component}); err != nil {
		t.Fatalf("list pods: %v", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items
}

// settle waits until a component has the pods it should have, all of them ready and of the newest
// kind, and no others.
func (w *world) settle(t *testing.T, component string) []corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	testenv.Eventually(t, patience, func() error {
		var deployment appsv1.Deployment
		w.get(t, operatorNamespace, release+"-"+component, &deployment)
		want := *deployment.Spec.Replicas
		status := deployment.Status
		if status.ObservedGeneration < deployment.Generation || status.UpdatedReplicas < want || status.AvailableReplicas < want {
			return fmt.Errorf("%s has %d updated and %d available pods, want %d", component, status.UpdatedReplicas, status.AvailableReplicas, want)
		}
		if pods = w.pods(t, component); len(pods) != int(want) {
			return fmt.Errorf("%s has %d pods, want %d", component, len(pods), want)
		}
		return nil
	})
	return pods
}

// logs returns the last lines of a pod's log, or all of them.
func (w *world) logs(ctx context.Context, pod string, options corev1.PodLogOptions) (string, error) {
	raw, err := w.clientset.CoreV1().Pods(operatorNamespace).GetLogs(pod, &options).DoRaw(ctx)
	return string(raw), err
}

// describe returns what helps to see why a step has failed.
func (w *world) describe(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, command := range [][]string{
		{"kubectl", "get", "pods", "--namespace=" + operatorNamespace, "--output=wide"},
		{"kubectl", "get", "webhooktriggers", "--namespace=" + shop},
		{"kubectl", "get", "events", "--namespace=" + operatorNamespace, "--field-selector=type=Warning", "--sort-by=.lastTimestamp"},
	} {
		out, err := w.try(t, command...)
		lines := strings.SplitAfter(out, "\n")
		fmt.Fprintf(&text, "\n$ %s\n%s", strings.Join(command, " "), strings.Join(lines[max(0, len(lines)-1-logLines):], ""))
		if err != nil {
			fmt.Fprintln(&text, err)
		}
	}
	for _, component := range []string{"ingest", "controller"} {
		for _, pod := range w.pods(t, component) {
			log, err := w.logs(t.Context(), pod.Name, corev1.PodLogOptions{TailLines: new(int64(logLines))})
			fmt.Fprintf(&text, "\nthe log of pod %s ends with:\n%s", pod.Name, log)
			if err != nil {
				fmt.Fprintln(&text, err)
			}
		}
	}
	return text.String()
}

// samples is the folder that users are told to begin with.
var samples = filepath.Join("config", "samples")

var errNotYet = errors.New("not yet")
