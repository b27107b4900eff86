/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// What is in the folder besides logs, keys and settings.
const (
	lockFile       = "lock"
	programPIDFile = "program.pid"
	nodePIDFile    = "node.pid" // of the first process in the namespaces
	kubeconfigFile = "kubeconfig"
	readyFile      = "namespaces-ready"
	podLogs        = "pods"
)

// stopLimit is how long down waits for a node to be gone.
const stopLimit = time.Minute

// folder is where a node writes, and all that has to be removed after it.
type folder string

// openFolder returns the folder of the project in the current directory.
func openFolder() (folder, error) {
	if _, err := os.Stat("PROJECT"); err != nil {
		return "", fmt.Errorf("this is not the project's root folder: %w", err)
	}
	path, err := filepath.Abs(".cluster")
	return folder(path), err
}

func (f folder) in(name string) string { return filepath.Join(string(f), name) }

// prepare makes the folder, locks it for this process and removes what an earlier one has left.
func (f folder) prepare() (unlock func(), err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	unlock, err = localcluster.Lock(f.in(lockFile))
	if errors.Is(err, localcluster.ErrLocked) {
		return nil, fmt.Errorf("a node is running in this folder already; stop it first, by cluster down (%w)", err)
	}
	if err != nil {
		return nil, err
	}
	f.clean()
	old, err := filepath.Glob(f.in("*.log"))
	if err != nil {
		return nil, err
	}
	for _, name := range append(old, f.in(podLogs)) {
		_ = os.RemoveAll(name) // it is overwritten otherwise
	}
	return unlock, os.WriteFile(f.in(programPIDFile), []byte(strconv.Itoa(os.Getpid())), 0o600)
}

// clean removes what a node leaves but its logs. Nothing of the node may run.
func (f folder) clean() {
	entries, _ := os.ReadDir(string(f)) // there is nothing to remove then
	for _, entry := range entries {
		if name := entry.Name(); name != lockFile && name != podLogs && filepath.Ext(name) != ".log" {
			_ = os.RemoveAll(f.in(name))
		}
	}
	f.cgroup().remove()
}

// cgroup is the cgroup below which all pods' are. It has the folder's name, so that the next start
// finds it.
func (f folder) cgroup() cgroup {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(f)) // never fails
	return cgroup(fmt.Sprintf("sluice-cluster-%08x", hash.Sum32()))
}

// running returns the number in one of the PID files, if a node runs.
func (f folder) running(file string) (int, error) {
	unlock, err := localcluster.Lock(f.in(lockFile))
	if err == nil {
		unlock()
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return 0, errors.New("no node is running; start one with cluster up")
	}
	if !errors.Is(err, localcluster.ErrLocked) {
		return 0, err
	}
	text, err := os.ReadFile(f.in(file))
	if err != nil {
		return 0, fmt.Errorf("the node is not there yet: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// down stops a node that runs, and removes what one has left.
func (f folder) down(ctx context.Context) error {
	if pid, err := f.running(programPIDFile); err == nil {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop the node: %w", err)
		}
	}
	return localcluster.Eventually(ctx, stopLimit, func(context.Context) error {
		unlock, err := f.prepare()
		if err != nil {
			return err
		}
		defer unlock()
		f.clean()
		return nil
	})
}
