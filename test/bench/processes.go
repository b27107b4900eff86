/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// children starts children on a thread of its own, which lasts as long as this program
// (localcluster.Attributes), so that nothing that measures has to run on that one.
type children struct {
	*localcluster.Children
	starts chan func()
}

func newChildren(c *localcluster.Children) *children {
	all := &children{Children: c, starts: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for start := range all.starts {
			start()
		}
	}()
	return all
}

// start is local's Start.
func (c *children) start(ctx context.Context, name, path string, args ...string) (child *localcluster.Child, err error) {
	started := make(chan struct{})
	c.starts <- func() {
		child, err = c.Start(ctx, name, path, args...)
		close(started)
	}
	<-started
	return child, err
}

// clockTicks is how many of the units of /proc/PID/stat are in a second: 100 on every Linux of
// today.
const clockTicks = 100

// processorTime returns how much time of processors a process has taken.
func processorTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the time of a process: %w", err)
	}
	return parseStat(string(raw))
}

// processorTimes returns how much processes have taken together.
func processorTimes(children ...*localcluster.Child) (time.Duration, error) {
	var sum time.Duration
	for _, child := range children {
		taken, err := processorTime(child.PID())
		if err != nil {
			return 0, err
		}
		sum += taken
	}
	return sum, nil
}

// parseStat reads utime and stime, the 14th and 15th field. The second is the name in parentheses,
// which can hold anything.
func parseStat(stat string) (time.Duration, error) {
	_, rest, found := strings.Cut(stat[max(0, strings.LastIndexByte(stat, ')')):], ")")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("this is no line of /proc/PID/stat: %q", stat)
	}
	sum := 0
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read the time of a process: %w", err)
		}
		sum += ticks
	}
	return time.Duration(sum) * time.Second / clockTicks, nil
}
