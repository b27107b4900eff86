/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// childVariable names the kubeconfig of an operator that the test binary is to be, instead of
// running tests.
const childVariable = "SLUICE_TEST_KUBECONFIG"

// runChild is an operator in a process of its own.
func runChild(kubeconfig string) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		panic(err)
	}
	ctx := ctrl.SetupSignalHandler()
	options := app.DefaultOptions()
	options.HealthAddress, options.IngestAddress, options.MetricsAddress = os.Getenv(childVariable+"_HEALTH"), "127.0.0.1:0", "0"
	options.LeaderElectionNamespace = "default"
	operator, err := app.NewOperator(ctx, config, options, telemetry.NewLogger(os.Stderr, options.LogLevel, options.LogFormat))
	if err != nil {
		panic(err)
	}
	if err := operator.Start(ctx); err != nil {
		panic(err)
	}
}

// TestStopBeforeServing sends SIGTERM to an operator that may not list anything, so that its caches
// are never filled: it has to end all the same. (controller-runtime's manager would turn on the
// spot for ever; so the operator is a process of its own.)
func TestStopBeforeServing(t *testing.T) {
	t.Parallel()
	kubeconfig, err := env.AddUser(t, "no-permissions").KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	var logs logBuffer
	health := testenv.FreeAddress(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), childVariable+"="+file, childVariable+"_HEALTH="+health)
	cmd.Stderr = &logs
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	o := &operator{health: "http://" + health}
	testenv.Eventually(t, patience, func() error {
		if err := o.ready(); err == nil || !strings.Contains(err.Error(), "[-]caches") {
			return fmt.Errorf("readyz does not say that caches are missing: %w\n%s", err, logs.tail(10))
		}
		return nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the process ended with: %v\n%s", err, logs.tail(20))
		}
	case <-time.After(patience):
		t.Errorf("the process has not ended:\n%s", logs.tail(20))
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	if response, err := http.Get(o.health + "/healthz"); err == nil { //nolint:noctx // nobody listens
		response.Body.Close()
		t.Errorf("somebody still answers at %s", health)
	}
}
