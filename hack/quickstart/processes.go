/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

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
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/hack/internal/local"
)

const (
	// stopLimit is how long a child may take to stop before it is killed; the operator takes up to 10 s.
	stopLimit = 15 * time.Second
	// repetition is how long after a signal the next one is still the same wish: make passes on a SIGTERM that
	// went to its whole process group.
	repetition = time.Second
	// logLines is how much of the log is shown of a child that failed.
	logLines = 20
)

var (
	errSignalled  = errors.New("stopped by a signal")
	errChildEnded = errors.New("stopped by itself")
)

// notify returns a context that ends, with errSignalled, when a signal asks the program to stop, the function that ends it
// for other reasons, and a channel that is closed when a second signal comes.
func notify(ctx context.Context) (context.Context, context.CancelCauseFunc, <-chan struct{}) {
	ctx, end := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	// Nobody reads what is printed any more: without SIGPIPE, that would end the program on the spot.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	hurry := make(chan struct{})
	go func() {
		<-signals
		first := time.Now()
		fmt.Println("\nStopping. Another Ctrl-C kills what is still running.")
		end(errSignalled)
		for range signals {
			if time.Since(first) > repetition {
				close(hurry)
				return
			}
		}
	}()
	return ctx, end, hurry
}

// children are the processes that were started and have to be stopped.
type children struct {
	fail    context.CancelCauseFunc // ends everything, with a reason
	hurry   <-chan struct{}
	running []*child
}

// A child is one of them.
type child struct {
	name    string
	logFile string
	process *os.Process
	stop    context.CancelFunc
	done    chan struct{} // closed when it has ended
}

// start starts a process that is to run until stop. Its output goes to a log. If it ends before, so does everything. To be
// called on the main goroutine only, see init.
func (c *children) start(ctx context.Context, name, path string, args ...string) (*child, error) {
	log, err := os.Create(inFolder(name + ".log"))
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	defer log.Close() //nolint:errcheck // this is only our copy
	// When it is stopped is for stop to say, not for ctx: there is an order.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the caller says what to run
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = local.Attributes(syscall.SIGKILL)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	started := &child{name: name, logFile: log.Name(), process: cmd.Process, stop: stop, done: make(chan struct{})}
	c.running = append(c.running, started)
	go func() {
		defer close(started.done)
		_ = cmd.Wait() // the state says more
		c.fail(started.describe(fmt.Errorf("%s %w (%s)", name, errChildEnded, cmd.ProcessState)))
	}()
	return started, nil
}

// stop stops the children in the reverse order of their start, and returns when all have ended. Gently, each may finish
// what it is doing, unless the user is in a hurry.
func (c *children) stop(gently bool) {
	for _, child := range slices.Backward(c.running) {
		if gently {
			child.stop()
			select {
			case <-child.done:
			case <-c.hurry:
			}
		}
		_ = child.process.Kill() // an error means that it has ended
		<-child.done
	}
}

// describe adds the end of the child's log to an error.
func (c *child) describe(err error) error {
	text, readErr := os.ReadFile(c.logFile)
	if readErr != nil || len(bytes.TrimSpace(text)) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-logLines):]
	return fmt.Errorf("%w; %s ends with:\n  %s", err, c.logFile, strings.Join(lines, "\n  "))
}

// output runs a command to its end, or to that of ctx, and returns what it prints. Its standard error is ours.
func output(ctx context.Context, path string) (string, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = local.Attributes(syscall.SIGINT) // it has something to clean up
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopLimit
	out, err := cmd.Output()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whoever of its group would not stop
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return strings.TrimSpace(string(out)), nil
}
