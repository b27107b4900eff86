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
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"k8s.io/client-go/discovery"
)

// A machine is what the figures hold for.
type machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Kubernetes string `json:"kubernetes"`
	Etcd       string `json:"etcd"`
	Generators string `json:"generators"`
	Sluice     string `json:"sluice"`
}

func (m machine) lines() [][2]string {
	return [][2]string{
		{"machine", fmt.Sprintf("%d processors (%s), %s of memory, Linux %s; the generator, Sluice, kube-apiserver and etcd share it", m.Processors, m.Processor, m.Memory, m.Kernel)},
		{"versions", fmt.Sprintf("Sluice %s, Kubernetes %s, etcd %s, Go %s, %s", m.Sluice, m.Kubernetes, m.Etcd, m.Go, m.Generators)},
	}
}

// machine looks at where it runs. What cannot be found out is said to be unknown.
func (b *bench) machine(ctx context.Context) machine {
	const unknown = "unknown"
	m := machine{
		Processor: unknown, Processors: runtime.NumCPU(), Memory: unknown, Kernel: unknown, Kubernetes: unknown, Etcd: unknown, Sluice: unknown,
		Go: strings.TrimPrefix(runtime.Version(), "go"),
	}
	if value := field("/proc/cpuinfo", "model name"); value != "" {
		m.Processor = value
	}
	var kib int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kib); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
	}
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(raw))
	}
	if client, err := discovery.NewDiscoveryClientForConfig(b.cluster.config); err == nil {
		if version, err := client.ServerVersion(); err == nil {
			m.Kubernetes = version.GitVersion
		}
	}
	m.Generators = "vegeta " + vegetaVersion() + ", " + firstLine(ctx, wrkCommand, "--version")
	if b.cluster.own {
		m.Etcd = strings.TrimPrefix(firstLine(ctx, filepath.Join(b.settings.assets, "etcd"), "--version"), "etcd Version: ")
		m.Sluice = strings.TrimPrefix(firstLine(ctx, b.settings.manager, "--version"), "sluice ")
	}
	return m
}

// field returns the value of the first line «name: value» of a file; empty if there is none.
func field(file, name string) string {
	raw, err := os.ReadFile(file) //nolint:gosec // of /proc
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// firstLine returns the first line that a program prints; its exit status does not matter, as wrk's
// is 1 for --version.
func firstLine(ctx context.Context, path string, args ...string) string {
	out, _ := exec.CommandContext(ctx, path, args...).Output() //nolint:gosec // the caller says what to run
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "unknown"
	}
	return line
}

func vegetaVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if strings.HasPrefix(module.Path, "github.com/tsenart/vegeta") {
				return module.Version
			}
		}
	}
	return "unknown"
}
