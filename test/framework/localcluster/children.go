/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// StopLimit is how long a child may take to stop before it is killed; the operator takes up to
	// 10 s.
	StopLimit = 15 * time.Second
	// repetition is how long after a signal the next one is still the same wish: make passes on a
	// SIGTERM that went to its whole process group.
	repetition = time.Second
	// logLines is how much of the log is shown of a child that failed.
	logLines = 20
)

// Why a program stops that runs children.
var (
	ErrSignalled  = errors.New("stopped by a signal")
	ErrChildEnded = errors.New("stopped by itself")
)

// Notify returns a context that ends, with ErrSignalled, when a signal asks the program to stop,
// the function that ends it for other reasons, and a channel that is closed when a second signal
// comes.
func Notify(ctx context.Context) (context.Context, context.CancelCauseFunc, <-chan struct{}) {
	ctx, end := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	// Nobody reads what is printed any more: without SIGPIPE, that would end the program on the
	// spot.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	hurry := make(chan struct{})
	go func() {
		<-signals
		first := time.Now()
		fmt.Println("\nStopping. Another Ctrl-C kills what is still running.")
		end(ErrSignalled)
		for range signals {
			if time.Since(first) > repetition {
				close(hurry)
				return
			}
		}
	}()
	return ctx, end, hurry
}

// Children are the processes that were started and have to be stopped.
type Children struct {
	// Folder is for their logs.
	Folder string
	// Fail ends everything, with a reason.
	Fail context.CancelCauseFunc
	// Hurry is closed when the user cannot wait.
	Hurry <-chan struct{}

	running []*Child
}

// A Child is one of them.
type Child struct {
	name    string
	logFile string
	process *os.Process
	stop    context.CancelFunc
	done    chan struct{} // closed when it has ended
	ending  atomic.Bool   // it was told to
}

// Start starts a process that is to run until Stop. Its output goes to a log. If it ends before, so
// does everything. To be called on the thread that lasts as long as the program, see Attributes.
func (c *Children) Start(ctx context.Context, name, path string, args ...string) (*Child, error) {
	return c.StartWith(ctx, Attributes(syscall.SIGKILL), name, path, args...)
}

// StartWith is Start with attributes that are more than those of Attributes.
func (c *Children) StartWith(ctx context.Context, attributes *syscall.SysProcAttr, name, path string, args ...string) (*Child, error) {
	log, err := os.Create(filepath.Join(c.Folder, name+".log")) //nolint:gosec // the caller says where logs go
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	defer log.Close() //nolint:errcheck // this is only our copy
	// When it is stopped is for stop to say, not for ctx: there is an order.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the caller says what to run
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = StopLimit
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	started := &Child{name: name, logFile: log.Name(), process: cmd.Process, stop: stop, done: make(chan struct{})}
	c.running = append(c.running, started)
	go func() {
		defer close(started.done)
		_ = cmd.Wait() // the state says more
		if started.ending.Load() {
			return
		}
		c.Fail(started.Describe(fmt.Errorf("%s %w (%s)", name, ErrChildEnded, cmd.ProcessState)))
	}()
	return started, nil
}

// Stop stops the children in the reverse order of their start, and returns when all have ended.
// Gently, each may finish what it is doing, unless the user is in a hurry.
func (c *Children) Stop(gently bool) {
	for _, child := range slices.Backward(c.running) {
		if gently {
			child.stop()
			select {
			case <-child.done:
			case <-c.Hurry:
			}
		}
		_ = child.process.Kill() // an error means that it has ended
		<-child.done
	}
}

// End stops the child before the others, and returns when it has ended. Nothing else ends with it.
func (c *Child) End() {
	c.ending.Store(true)
	c.stop()
	<-c.done
}

// PID is the id of its process.
func (c *Child) PID() int { return c.process.Pid }

// Describe adds the end of the child's log to an error.
func (c *Child) Describe(err error) error { return Describe(err, c.logFile) }

// Describe adds the end of a log to an error.
func Describe(err error, logFile string) error {
	text, readErr := os.ReadFile(logFile) //nolint:gosec // the caller says which log
	if readErr != nil || len(bytes.TrimSpace(text)) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-logLines):]
	return fmt.Errorf("%w; %s ends with:\n  %s", err, logFile, strings.Join(lines, "\n  "))
}

// Output runs a command to its end, or to that of ctx, and returns what it prints. Its standard
// error is ours.
func Output(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the caller says what to run
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = Attributes(syscall.SIGINT) // it has something to clean up
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = StopLimit
	out, err := cmd.Output()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whoever of its group would not stop
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return strings.TrimSpace(string(out)), nil
}
