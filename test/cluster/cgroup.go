/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A cgroup is the name of one at the root of every hierarchy: there is one for each controller with
// version 1 of cgroups, and just one with version 2.
type cgroup string

const (
	cgroupRoot = "/sys/fs/cgroup"
	// controllers are those that the kubelet asks for, in the form that version 2 has them enabled.
	controllers = "+cpu +cpuset +memory +pids"
)

// create makes the cgroup as the kubelet wants to find it.
func (c cgroup) create() error {
	enable := filepath.Join(cgroupRoot, "cgroup.subtree_control")
	if _, err := os.Stat(enable); err == nil {
		return errors.Join(
			os.WriteFile(enable, []byte(controllers), 0),
			os.MkdirAll(filepath.Join(cgroupRoot, string(c)), 0o755), //nolint:gosec // as all cgroups are
		)
	}
	hierarchies, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		root := filepath.Join(cgroupRoot, hierarchy.Name())
		if _, err := os.Stat(filepath.Join(root, "tasks")); err != nil {
			continue // not of version 1
		}
		if err := os.MkdirAll(filepath.Join(root, string(c)), 0o755); err != nil { //nolint:gosec // as above
			return err
		}
		// A new cpuset has no processors, and nothing can run in it.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file)) //nolint:gosec // below the root of cgroups
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(root, string(c), file), value, 0); err != nil { //nolint:gosec // as above
				return err
			}
		}
	}
	return nil
}

// remove removes the cgroup and those below it, innermost first. Their files cannot be removed and
// need not be.
func (c cgroup) remove() {
	for _, pattern := range []string{filepath.Join(cgroupRoot, string(c)), filepath.Join(cgroupRoot, "*", string(c))} {
		roots, _ := filepath.Glob(pattern) // the patterns are good
		for _, root := range roots {
			var all []string
			_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					all = append(all, path)
				}
				return nil
			})
			for _, path := range slices.Backward(all) {
				_ = os.Remove(path) // the next start tries again
			}
		}
	}
}
