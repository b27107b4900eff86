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
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	// patience is how long tests wait for what takes seconds.
	patience = 2 * time.Minute
	// beQuickstart makes the test binary the program itself, race detector included.
	beQuickstart = "SLUICE_TEST_BE_QUICKSTART"
	// readyLine begins what comes last.
	readyLine = "\nSluice is ready"
)

func TestMain(m *testing.M) {
	if os.Getenv(beQuickstart) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// project is a folder that looks like the project's root.
type project struct {
	root   string
	assets string // the control plane's binaries
}

// newProject builds the operator and, where there is none, the control plane.
func newProject(t *testing.T) *project {
	t.Helper()
	for _, tool := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the test runs the printed commands, which need %s: %v", tool, err)
		}
	}
	p := &project{root: t.TempDir()}
	for _, dir := range []string{"config", "hack"} {
		if err := os.Symlink(filepath.Join(testenv.Root(), dir), filepath.Join(p.root, dir)); err != nil {
			t.Fatal(err)
		}
	}
	// With the flags of make build, so that its packages are compiled once.
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(p.root, operatorBinary), "./cmd/manager")
	build.Dir = testenv.Root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, out)
	}
	script := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(), controlPlaneScript))
	script.Stderr = os.Stderr
	out, err := script.Output()
	if err != nil {
		t.Fatalf("get the control plane: %v", err)
	}
	p.assets = strings.TrimSpace(string(out))
	return p
}

// instance is a quickstart that runs.
type instance struct {
	*project
	cmd            *exec.Cmd
	stdout, stderr testenv.Buffer
	done           chan struct{}
}

// launch starts a quickstart in a process group of its own, as a shell does, and ends it when the
// test does.
func (p *project) launch(t *testing.T, environment ...string) *instance {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{project: p, done: make(chan struct{})}
	i.cmd = exec.CommandContext(t.Context(), self)
	i.cmd.Dir = p.root
	i.cmd.Env = append(os.Environ(), beQuickstart+"=1", "KUBEBUILDER_ASSETS="+p.assets, ingestPortVariable+"=0")
	i.cmd.Env = append(i.cmd.Env, environment...)
	i.cmd.Stdout, i.cmd.Stderr = &i.stdout, &i.stderr
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	i.cmd.Cancel = func() error { return i.cmd.Process.Signal(syscall.SIGTERM) }
	if err := i.cmd.Start(); err != nil {
		t.Fatalf("start quickstart: %v", err)
	}
	go func() {
		defer close(i.done)
		_ = i.cmd.Wait()
	}()
	t.Cleanup(func() { // t.Context has ended, so it is stopping
		<-i.done
		if t.Failed() {
			t.Logf("quickstart printed:\n%s\nand to standard error:\n%s", &i.stdout, &i.stderr)
		}
	})
	return i
}

// start launches a quickstart and waits until it is ready.
func (p *project) start(t *testing.T, environment ...string) *instance {
	t.Helper()
	i := p.launch(t, environment...)
	testenv.Eventually(t, patience, func() error {
		select {
		case <-i.done:
			t.Fatalf("quickstart ended: %s", i.cmd.ProcessState)
		default:
		}
		if !strings.Contains(i.stdout.String(), readyLine) {
			return errors.New("not ready")
		}
		return nil
	})
	return i
}

// signal sends a signal to the process group, as a terminal does.
func (i *instance) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-i.cmd.Process.Pid, s); err != nil {
		t.Fatalf("send %s: %v", s, err)
	}
}

// wait waits for the end of the program and returns its exit code.
func (i *instance) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-i.done:
	case <-time.After(patience):
		t.Fatalf("quickstart does not end")
	}
	return i.cmd.ProcessState.ExitCode()
}

// commands returns the paragraphs of the output that contain the text, with their line ends as they
// are.
func (i *instance) commands(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	for paragraph := range strings.SplitSeq(i.stdout.String(), "\n\n") {
		if strings.Contains(paragraph, text) {
			found = append(found, paragraph)
		}
	}
	if len(found) == 0 {
		t.Fatalf("no command with %q was printed", text)
	}
	return found
}

// shell runs a command as a user would who copies it.
func (i *instance) shell(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = i.root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v: %s", command, err, &stderr)
	}
	return string(out)
}

// post runs a curl command and returns the status and the FlowRun's name.
func (i *instance) post(t *testing.T, command string) (status int, flowRun string) {
	t.Helper()
	out := i.shell(t, command)
	head, body, _ := strings.Cut(out, "\r\n\r\n")
	if _, err := fmt.Sscanf(head, "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("curl printed no status: %v\n%s", err, out)
	}
	var answer struct{ FlowRun struct{ Name string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("the answer's body is not JSON: %v\n%s", err, out)
	}
	return status, answer.FlowRun.Name
}

func (i *instance) kubectl(t *testing.T, args string) string {
	t.Helper()
	return i.shell(t, quote(filepath.Join(i.assets, "kubectl"))+" --kubeconfig "+inFolder(kubeconfigFile)+" "+args)
}

// process is a line of ps.
type process struct {
	id, parent int
	name       string
	zombie     bool
}

// processes lists all processes of the machine.
func processes(t *testing.T) []process {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-A", "-o", "pid=,ppid=,stat=,comm=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			t.Fatalf("ps printed %q", line)
		}
		id, err1 := strconv.Atoi(fields[0])
		parent, err2 := strconv.Atoi(fields[1])
		if err1 != nil || err2 != nil {
			t.Fatalf("ps printed %q", line)
		}
		all = append(all, process{id: id, parent: parent, zombie: strings.HasPrefix(fields[2], "Z"), name: filepath.Base(fields[3])})
	}
	return all
}

// children returns the processes that the program has started, by name.
func (i *instance) children(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, p := range processes(t) {
		if p.parent == i.cmd.Process.Pid && !p.zombie {
			found[p.name] = p.id
		}
	}
	return found
}

// expectGone waits until none of the processes is there.
func expectGone(t *testing.T, children map[string]int) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func() error {
		for _, p := range processes(t) {
			if id, ours := children[p.name]; ours && id == p.id && !p.zombie {
				return fmt.Errorf("%s (%d) is still running", p.name, p.id)
			}
		}
		return nil
	})
}

// TestQuickstart runs the program as a user does.
func TestQuickstart(t *testing.T) {
	p := newProject(t)
	t.Run("RoundTrip", p.testRoundTrip)
	t.Run("PortInUse", p.testPortInUse)
	t.Run("SignalWhileStarting", p.testSignalWhileStarting)
	t.Run("SecondSignal", p.testSecondSignal)
	t.Run("ChildEnds", p.testChildEnds)
	t.Run("Killed", p.testKilled)
	t.Run("CurrentCluster", p.testCurrentCluster)
	t.Run("UnreachableCluster", p.testUnreachableCluster)
}

func (p *project) testRoundTrip(t *testing.T) {
	// It has the name of a child: whoever stops by name hits it.
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	alias := filepath.Join(t.TempDir(), "etcd")
	if err := os.Symlink(sleep, alias); err != nil {
		t.Fatal(err)
	}
	unrelated := exec.CommandContext(t.Context(), alias, "1000")
	if err := unrelated.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unrelated.Wait() })

	i := p.start(t)
	output := i.stdout.String()
	if last := strings.TrimSpace(output[strings.LastIndex(strings.TrimSpace(output), "\n")+1:]); !strings.HasPrefix(last, strings.TrimSpace(readyLine)) {
		t.Errorf("the last line is %q", last)
	}
	if !strings.Contains(output, inFolder(kubeconfigFile)) {
		t.Errorf("the output does not name the kubeconfig")
	}
	children := i.children(t)
	if diff := cmp.Diff([]string{"etcd", "kube-apiserver", "manager"}, slices.Sorted(maps.Keys(children))); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}

	commands := i.commands(t, "curl ")
	if len(commands) != 2 {
		t.Fatalf("%d curl commands were printed, want 2", len(commands))
	}
	bodies := regexp.MustCompile(`(?:body=|--data-binary )'(.*)'`)
	for _, command := range commands {
		body := bodies.FindStringSubmatch(command)[1]
		status, name := i.post(t, command)
		if status != 202 || name == "" {
			t.Fatalf("the answer is %d with FlowRun %q, want 202:\n%s", status, name, command)
		}
		if got := i.kubectl(t, "get flowrun "+name+" -o jsonpath={.spec.payload.text}"); got != body {
			t.Errorf("FlowRun %s holds %q, want %q", name, got, body)
		}
		listing := i.commands(t, "get flowruns")[0]
		if out := i.shell(t, listing); !strings.Contains(out, name) {
			t.Errorf("%s does not show %s:\n%s", listing, name, out)
		}

		before := i.kubectl(t, "get flowruns -o name")
		changed := strings.Replace(command, "curl ", `body=$(printf '%s' "$body" | sed s/Zo/Zi/)`+"\ncurl ", 1)
		if !strings.Contains(command, "body=") {
			changed = strings.Replace(command, "Zo", "Zi", 1)
		}
		if status, name := i.post(t, changed); status != 401 || name != "" {
			t.Errorf("the answer to another body is %d with FlowRun %q, want 401", status, name)
		}
		if after := i.kubectl(t, "get flowruns -o name"); after != before {
			t.Errorf("the FlowRuns were\n%s\nand after a refused request they are\n%s", before, after)
		}
	}

	t.Log("a second one in the same folder does not touch the first")
	second := p.launch(t)
	if code := second.wait(t); code != 1 || !strings.Contains(second.stderr.String(), "running in this folder already") {
		t.Errorf("exit code %d, want 1; standard error: %s", code, &second.stderr)
	}
	i.kubectl(t, "get flowruns")

	t.Log("Ctrl-C")
	i.signal(t, syscall.SIGINT)
	if code := i.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	expectGone(t, children)
	if !slices.Contains(processes(t), process{id: unrelated.Process.Pid, parent: os.Getpid(), name: "etcd"}) {
		t.Errorf("an unrelated process is gone")
	}
	left, err := os.ReadDir(filepath.Join(p.root, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if name := entry.Name(); name != lockFile && filepath.Ext(name) != ".log" {
			t.Errorf("%s is left behind", name)
		}
	}
}

func (p *project) testPortInUse(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", localcluster.Address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing was written
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range []string{ingestPortVariable, apiPortVariable} {
		i := p.launch(t, variable+"="+port)
		code := i.wait(t)
		want := "quickstart: port " + port + " is in use; stop what uses it, or choose another port with " + variable + "\n"
		if diff := cmp.Diff(want, i.stderr.String()); diff != "" || code != 1 {
			t.Errorf("exit code %d, standard error (-want +got):\n%s", code, diff)
		}
		if out := i.stdout.String(); out != "" {
			t.Errorf("something was started: %s", out)
		}
	}
}

func (p *project) testSignalWhileStarting(t *testing.T) {
	i := p.launch(t)
	var children map[string]int
	testenv.Eventually(t, patience, func() error {
		children = i.children(t)
		if children["kube-apiserver"] == 0 {
			return errors.New("kube-apiserver has not been started")
		}
		return nil
	})
	i.signal(t, syscall.SIGTERM)
	if code := i.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if strings.Contains(i.stdout.String(), readyLine) {
		t.Errorf("it was ready before the signal")
	}
	expectGone(t, children)
}

// testSecondSignal stops the operator, so that it cannot react to being told to stop.
func (p *project) testSecondSignal(t *testing.T) {
	i := p.start(t)
	children := i.children(t)
	if err := syscall.Kill(children["manager"], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, localcluster.StopLimit-time.Second, func() error {
		select {
		case <-i.done:
			return nil
		default:
			_ = syscall.Kill(i.cmd.Process.Pid, syscall.SIGINT) // it may have ended just now
			return errors.New("still running")
		}
	})
	if code := i.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	expectGone(t, children)
}

func (p *project) testChildEnds(t *testing.T) {
	i := p.start(t)
	children := i.children(t)
	if err := syscall.Kill(children["etcd"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := i.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	want := "quickstart: etcd stopped by itself (signal: killed); " + inFolder("etcd.log") + " ends with:\n"
	if got := i.stderr.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") < 3 {
		t.Errorf("standard error is %q, want %q and some lines of the log", got, want)
	}
	expectGone(t, children)
}

// testKilled is about what the kernel does for us.
func (p *project) testKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux does it")
	}
	i := p.start(t)
	children := i.children(t)
	if err := i.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	i.wait(t)
	expectGone(t, children)
}

func (p *project) testCurrentCluster(t *testing.T) {
	env, err := testenv.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Control.Stop(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.Control.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}

	for range 2 { // the second time, everything is there
		i := p.start(t, clusterVariable+"="+clusterCurrent, "KUBECONFIG="+kubeconfig)
		children := i.children(t)
		if diff := cmp.Diff([]string{"manager"}, slices.Sorted(maps.Keys(children))); diff != "" {
			t.Errorf("children (-want +got):\n%s", diff)
		}
		for _, command := range i.commands(t, "curl ") {
			if status, _ := i.post(t, command); status != 202 {
				t.Errorf("the answer is %d, want 202", status)
			}
		}
		i.signal(t, syscall.SIGTERM)
		if code := i.wait(t); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		expectGone(t, children)
		if out, stderr, err := env.Kubectl(t, "", "get", "webhooktriggers", "--output=name"); err != nil || !strings.Contains(out, "/orders\n") {
			t.Errorf("the samples are not in the cluster: %v %s %s", err, out, stderr)
		}
	}

	t.Log("what somebody else manages is left alone")
	const secret = "patch secret sample-webhook-key --patch={\"stringData\":{\"secretKey\":\"somebody-has-changed-this-key\"}}"
	if _, stderr, err := env.Kubectl(t, "", strings.Fields(secret)...); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	i := p.launch(t, clusterVariable+"="+clusterCurrent, "KUBECONFIG="+kubeconfig)
	if code := i.wait(t); code != 1 || !strings.Contains(i.stderr.String(), `apply Secret "sample-webhook-key"`) {
		t.Errorf("exit code %d, want 1; standard error: %s", code, &i.stderr)
	}
}

func (p *project) testUnreachableCluster(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	const text = `{"apiVersion": "v1", "kind": "Config", "current-context": "dead",
		"contexts": [{"name": "dead", "context": {"cluster": "dead"}}],
		"clusters": [{"name": "dead", "cluster": {"server": "http://127.0.0.1:1"}}]}`
	if err := os.WriteFile(dead, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for kubeconfig, want := range map[string]string{
		dead:                          `quickstart: QUICKSTART_CLUSTER=current: the cluster of context "dead" cannot be reached: `,
		filepath.Join(dir, "no such"): "quickstart: QUICKSTART_CLUSTER=current needs a kubeconfig with a current context, in KUBECONFIG or ~/.kube/config: ",
	} {
		i := p.launch(t, clusterVariable+"="+clusterCurrent, "KUBECONFIG="+kubeconfig)
		if code := i.wait(t); code != 1 || !strings.HasPrefix(i.stderr.String(), want) {
			t.Errorf("exit code %d, want 1; standard error is %q, want %q", code, &i.stderr, want)
		}
	}
}
