//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	// beCluster makes the test binary the program itself.
	beCluster = "SLUICE_TEST_BE_CLUSTER"
	patience  = 3 * time.Minute
)

func TestMain(m *testing.M) {
	if os.Getenv(beCluster) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A project is a folder that looks like the project's root.
type project struct {
	root   string
	folder folder
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{root: t.TempDir()}
	for _, name := range []string{"PROJECT", "hack", "bin"} {
		if err := os.Symlink(filepath.Join(testenv.Root(), name), filepath.Join(p.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.folder = folder(filepath.Join(p.root, ".cluster"))
	return p
}

func (p *project) command(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, arguments...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), beCluster+"=1")
	return cmd
}

// run runs the program to its end.
func (p *project) run(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	out, err := p.command(t, arguments...).CombinedOutput()
	return string(out), err
}

// A node is a program that runs one.
type node struct {
	*project
	cmd  *exec.Cmd
	done chan struct{}
	out  testenv.Buffer
}

// up starts a node and waits until it is ready.
func (p *project) up(t *testing.T) *node {
	t.Helper()
	n := &node{project: p, cmd: p.command(t, "up"), done: make(chan struct{})}
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.out
	n.cmd.Cancel = func() error { return n.cmd.Process.Signal(syscall.SIGTERM) }
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(n.done)
		_ = n.cmd.Wait()
	}()
	t.Cleanup(func() { // t.Context has ended, so it is stopping
		<-n.done
		if t.Failed() {
			t.Logf("the program printed:\n%s", n.out.String())
		}
	})
	return n
}

func (n *node) eventuallyReady(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		select {
		case <-n.done:
			t.Fatalf("the program ended: %s", n.cmd.ProcessState)
		default:
		}
		if !strings.Contains(n.out.String(), "The node is ready") {
			return errors.New("not ready")
		}
		return nil
	})
}

// processes returns those in the node's process namespace, by id.
func (n *node) processes(t *testing.T) map[int]string {
	t.Helper()
	first, err := n.folder.running(nodePIDFile)
	if err != nil {
		t.Fatal(err)
	}
	namespace := func(pid int) string { // empty for one that has ended
		name, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		return name
	}
	own := namespace(first)
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && namespace(pid) == own {
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // of one that has ended
			found[pid] = strings.TrimSpace(string(command))
		}
	}
	return found
}

func expectGone(t *testing.T, processes map[int]string) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		for pid, command := range processes {
			now, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			if err == nil && strings.TrimSpace(string(now)) == command {
				return fmt.Errorf("%s is left, process %d", command, pid)
			}
		}
		return nil
	})
}

// cgroups returns the folders of the cgroup of a node.
func (p *project) cgroups(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cgroupRoot, "*", string(p.folder.cgroup())))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// outside returns what a node must not change.
func outside(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	links, err := exec.CommandContext(t.Context(), "ip", "-oneline", "-brief", "address").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := ""
	for _, parent := range []string{"/var/lib", "/var/log", "/opt", "/etc"} {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			folders += filepath.Join(parent, entry.Name()) + "\n"
		}
	}
	return string(mounts) + string(links) + folders
}

// TestNodes runs two nodes at a time. One is killed, which leaves nothing that runs; the other is
// stopped, which leaves nothing.
func TestNodes(t *testing.T) {
	before := outside(t)
	one, other := newProject(t).up(t), newProject(t).up(t)
	one.eventuallyReady(t)
	other.eventuallyReady(t)
	if diff := cmp.Diff(before, outside(t)); diff != "" {
		t.Errorf("mounts and addresses outside differ (-before +now):\n%s", diff)
	}

	for _, n := range []*node{one, other} {
		if out, err := n.run(t, "exec", "sh", "-c", "curl --silent --insecure https://"+address+":6443/livez"); err != nil || out != "ok" {
			t.Errorf("the node's API server answers %q, %v", out, err)
		}
	}
	if out, err := one.run(t, "exec", "sh", "-c", "exit 7"); err == nil || one.exitCode(err) != 7 {
		t.Errorf("the exit status of a command is not passed on: %v\n%s", err, out)
	}
	if out, err := one.run(t, "up"); err == nil || !strings.Contains(out, "a node is running in this folder already") {
		t.Errorf("a second node in the same folder: %v, %s", err, out)
	}

	killed := one.processes(t)
	for _, want := range []string{"pause", "etcd", "kube-apiserver", "containerd", "kubelet"} {
		if !slices.ContainsFunc(slices.Collect(maps.Values(killed)), func(command string) bool { return command == want }) {
			t.Errorf("%s does not run in the namespace: %v", want, killed)
		}
	}
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-one.done
	expectGone(t, killed)
	if len(one.cgroups(t)) == 0 {
		t.Error("there is no cgroup to remove")
	}
	if out, err := one.run(t, "down"); err != nil {
		t.Errorf("down: %v\n%s", err, out)
	}
	if left := one.cgroups(t); len(left) > 0 {
		t.Errorf("down leaves cgroups: %v", left)
	}
	if out, err := one.run(t, "exec", "true"); err == nil || !strings.Contains(out, "no node is running") {
		t.Errorf("a command without a node: %v, %s", err, out)
	}

	stopped := other.processes(t)
	if out, err := other.run(t, "down"); err != nil {
		t.Errorf("down: %v\n%s", err, out)
	}
	<-other.done
	if code := other.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the program that was told to stop exits with %d", code)
	}
	expectGone(t, stopped)
	if left := other.cgroups(t); len(left) > 0 {
		t.Errorf("there are cgroups left: %v", left)
	}
	left, err := os.ReadDir(string(other.folder))
	if err != nil || len(left) != 1 || left[0].Name() != lockFile {
		t.Errorf("the folder has %v, %v; want the lock alone", left, err)
	}
	if diff := cmp.Diff(before, outside(t)); diff != "" {
		t.Errorf("mounts and addresses outside differ (-before +after):\n%s", diff)
	}
}

func (p *project) exitCode(err error) int {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return -1
	}
	return exit.ExitCode()
}
