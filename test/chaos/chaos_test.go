/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// beChaos makes the test binary the program itself, race detector included.
const beChaos = "SLUICE_TEST_BE_CHAOS"

func TestMain(m *testing.M) {
	if os.Getenv(beChaos) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program prepares a run of the program in the project's root. What it writes goes into a folder of
// the test's own.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, folder string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(), "hack", "controlplane", "build.sh"))
	script.Stderr = os.Stderr
	assets, err := script.Output()
	if err != nil {
		t.Fatalf("get the control plane: %v", err)
	}
	// With the flags of make build, so that its packages are compiled once. Not with the race
	// detector: what is measured is what runs.
	manager := filepath.Join(t.TempDir(), "manager")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", manager, "./cmd/manager")
	build.Dir = testenv.Root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, out)
	}
	folder = t.TempDir()
	cmd = exec.CommandContext(t.Context(), self, append([]string{"--manager=" + manager}, args...)...)
	cmd.Dir = testenv.Root()
	cmd.Env = append(os.Environ(), beChaos+"=1", "TMPDIR="+folder, assetsVariable+"="+strings.TrimSpace(string(assets)))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd, folder
}

// checkLeftovers shows that the program has left no file and no process behind.
func checkLeftovers(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left behind", entry.Name())
	}
	testenv.Eventually(t, soon, func() error { // the kernel takes a moment
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, name := range commands {
			if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte(folder)) {
				return fmt.Errorf("a process is left behind: %s", bytes.ReplaceAll(text, []byte{0}, []byte(" ")))
			}
		}
		return nil
	})
}

// TestShortRun breaks what tells most, for about two minutes, and compares what was acknowledged
// with etcd.
func TestShortRun(t *testing.T) {
	if os.Getenv("SLUICE_CHAOS") == "" {
		t.Skip("it does not share the machine with other tests: make test runs it after them, with SLUICE_CHAOS=1")
	}
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd, folder := program(t, "--short", "--json="+file)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	t.Logf("%s\n%s", &stderr, &stdout)
	if err != nil {
		t.Fatalf("the run: %v", err)
	}
	checkLeftovers(t, folder)

	// A run that did nothing would violate nothing.
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	left := map[string]row{}
	for _, p := range r.Phases {
		left[p.Name] = p
	}
	for _, name := range shortFaults {
		p, ok := left[name]
		switch {
		case !ok && name == faultBalancerRoll:
			t.Logf("%s was left out: haproxy is not installed", name)
		case !ok:
			t.Errorf("the fault %s did not come", name)
		case p.Accepted == 0 || p.Denied == 0:
			t.Errorf("%s: %d requests were accepted and %d forged ones refused, want some of both", name, p.Accepted, p.Denied)
		}
	}
	if p := left[faultAPIKill]; p.Busy == 0 {
		t.Errorf("%s: no request was answered 503", faultAPIKill)
	}
	if p := left[faultIngestKill]; p.Starts == 0 {
		t.Errorf("%s: no process was started", faultIngestKill)
	}
	if r.Totals.Stored < r.Totals.Accepted-r.Totals.Repeating || r.Totals.Accepted == 0 || r.Totals.Forged == 0 || r.Totals.Repeating == 0 {
		t.Errorf("the totals are %+v, want some of everything", r.Totals)
	}
	if !strings.Contains(stdout.String(), "| acknowledged and not stored | 0 |") {
		t.Errorf("the report does not say that nothing was lost")
	}
}

// TestInterrupt stops the program in the midst of a fault, as Ctrl-C does.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	cmd, folder := program(t, "--faults=none,etcd-hung", "--rate=20")
	var stderr testenv.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	testenv.Eventually(t, patience, func() error {
		if !strings.Contains(stderr.String(), "none: nothing") {
			return errors.New("it has not begun")
		}
		return nil
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("it ends with status 0 although it was interrupted")
		}
	case <-time.After(patience):
		t.Fatalf("it does not end; it has printed\n%s", &stderr)
	}
	checkLeftovers(t, folder)
}
