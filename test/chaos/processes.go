/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// stopLimit is how long a process may take to end after SIGTERM: a replica of ingest drains for
	// up to 30 s.
	stopLimit = 45 * time.Second
	// restartPause is how long a process that ended by itself stays down, as with a kubelet that
	// starts it again.
	restartPause = time.Second
)

// processes starts processes, and stops all that run in the end.
type processes struct {
	folder string      // for the logs
	starts chan func() // to the goroutine that starts them
	all    []*process
}

// newProcesses has all processes started on one thread, which lasts as long as this program: the
// kernel kills them when that thread ends, as it is asked to (localcluster.Attributes).
func newProcesses(folder string) *processes {
	p := &processes{folder: folder, starts: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for start := range p.starts {
			start()
		}
	}()
	return p
}

// A process is a program that is kept running: if it ends by itself, it is started again.
type process struct {
	parent *processes
	name   string
	path   string
	args   []string
	log    string
	// mayEnd says that the program ends by itself when it has to, as a leader does that has lost
	// its lease.
	mayEnd bool

	mu     sync.Mutex
	cmd    *exec.Cmd     // nil while it does not run
	done   chan struct{} // closed when cmd has ended
	wanted bool          // whether it is to be started again when it ends
	starts int
	fell   []string // how it ended by itself
}

// start adds a process and starts it.
func (p *processes) start(name, path string, args ...string) (*process, error) {
	child := &process{parent: p, name: name, path: path, args: args, log: p.folder + "/" + name + ".log"}
	p.all = append(p.all, child)
	return child, child.start()
}

// start starts the process. It must not run.
func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	defer log.Close()                      //nolint:errcheck // this is only our copy
	cmd := exec.Command(p.path, p.args...) //nolint:gosec,noctx // the caller says what to run; when it ends is for stop and kill to say
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = localcluster.Attributes(syscall.SIGKILL)
	started := make(chan error)
	p.parent.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	done := make(chan struct{})
	p.cmd, p.done, p.wanted = cmd, done, true
	p.starts++
	go func() {
		_ = cmd.Wait() // the state says more
		p.mu.Lock()
		p.cmd = nil
		again := p.wanted
		if again {
			p.fell = append(p.fell, cmd.ProcessState.String())
		}
		p.mu.Unlock()
		close(done)
		if !again {
			return
		}
		time.AfterFunc(restartPause, func() {
			p.mu.Lock()
			again := p.wanted && p.cmd == nil
			p.mu.Unlock()
			if again {
				_ = p.start() // whoever waits for it sees that it is not there
			}
		})
	}()
	return nil
}

// signal sends a signal, if the process runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // an error means that it has ended
	}
}

// dismiss sends a signal that is to end the process, which is not started again by itself, and does
// not wait.
func (p *process) dismiss(s syscall.Signal) {
	p.mu.Lock()
	p.wanted = false
	p.mu.Unlock()
	p.signal(s)
}

// end sends a signal that ends the process, which is not started again by itself, and returns its
// exit status.
func (p *process) end(ctx context.Context, s syscall.Signal) (int, error) {
	p.mu.Lock()
	p.wanted = false
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return 0, nil
	}
	_ = cmd.Process.Signal(s)
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-done:
		return cmd.ProcessState.ExitCode(), nil
	case <-limit.C:
		return 0, p.describe(fmt.Errorf("%s has not ended %s after %s", p.name, stopLimit, s))
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// pid returns the process id, or 0 while it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// count returns how often it was started, and how it ended by itself.
func (p *process) count() (starts int, fell []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts, slices.Clone(p.fell)
}

// stop kills all processes, in the reverse order of their start. What they hold is of no use any
// more.
func (p *processes) stop() {
	for _, child := range slices.Backward(p.all) {
		child.mu.Lock()
		child.wanted = false
		cmd, done := child.cmd, child.done
		child.mu.Unlock()
		if cmd != nil {
			_ = cmd.Process.Kill()
			<-done
		}
	}
	close(p.starts)
}

// describe adds the end of the process's log to an error.
func (p *process) describe(err error) error { return localcluster.Describe(err, p.log) }
