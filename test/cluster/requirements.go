/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// errCannotRun says that it is the machine's fault.
var errCannotRun = errors.New("a node cannot run here")

// commands are those a node needs, and the Debian package of each.
var commands = []struct{ name, pkg string }{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"iptables", "iptables"},
	{"iptables-restore", "iptables"},
	{"conntrack", "conntrack"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
}

// cniFolders are where CNI plugins may be: where Debian has them, and where others do.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin"}

// cniPlugins are those that the node uses.
var cniPlugins = []string{"ptp", "host-local", "loopback"}

// A machine is what has to be known of one.
type machine struct {
	system string
	uid    int
	has    func(command string) bool
	exists func(path string) bool
	// enter makes namespaces and all that is mounted in them, and gives them up again.
	enter func() error
}

func thisMachine(ctx context.Context) machine {
	return machine{
		system: runtime.GOOS,
		uid:    os.Getuid(),
		has:    func(command string) bool { _, err := exec.LookPath(command); return err == nil },
		exists: func(path string) bool { _, err := os.Stat(path); return err == nil },
		enter: func() error {
			cmd := exec.CommandContext(ctx, "/bin/sh", namespaceArguments(os.DevNull, "/bin/true")...) //nolint:gosec // our own script
			cmd.SysProcAttr = namespaces()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		},
	}
}

// check returns the folder of the CNI plugins, or says all that is missing.
func (m machine) check() (cniFolder string, err error) {
	if m.system != "linux" {
		return "", fmt.Errorf("%w: it needs Linux, and this is %s", errCannotRun, m.system)
	}
	var problems []error
	if m.uid != 0 {
		problems = append(problems, errors.New("it needs root, for namespaces, mounts and cgroups; run it with sudo"))
	}
	if !m.exists("/sys/fs/cgroup/cgroup.controllers") && !m.exists("/sys/fs/cgroup/pids") {
		problems = append(problems, errors.New("there are no cgroups at /sys/fs/cgroup"))
	}
	var packages []string
	for _, command := range commands {
		if !m.has(command.name) {
			packages = append(packages, command.pkg)
		}
	}
	complete := func(folder string) bool {
		return !slices.ContainsFunc(cniPlugins, func(plugin string) bool { return !m.exists(filepath.Join(folder, plugin)) })
	}
	n := slices.IndexFunc(cniFolders, complete)
	if n < 0 {
		packages = append(packages, "containernetworking-plugins")
	} else {
		cniFolder = cniFolders[n]
	}
	if packages = slices.Compact(packages); len(packages) > 0 {
		problems = append(problems, fmt.Errorf("programs are missing; on Debian: apt-get install --no-install-recommends %s", strings.Join(packages, " ")))
	}
	if len(problems) == 0 {
		if err := m.enter(); err != nil {
			problems = append(problems, fmt.Errorf("namespaces cannot be made, as in a container without privileges: %w", err))
		}
	}
	if len(problems) > 0 {
		return "", fmt.Errorf("%w:\n%w", errCannotRun, errors.Join(problems...))
	}
	return cniFolder, nil
}
