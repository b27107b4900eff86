/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersions gives release.sh what is no version. It says so before it makes anything: HELM is no
// program that make could build.
func TestVersions(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, version, want string }{
		"Empty":       {"make has none to give", "", "VERSION must be a version such as v0.1.0"},
		"NoV":         {"tags begin with it", "0.1.0", "not '0.1.0'"},
		"Word":        {"it has no order", "latest", "not 'latest'"},
		"Commit":      {"what make takes when it is not told", "f27b5db-dirty", "not 'f27b5db-dirty'"},
		"TwoNumbers":  {"there are three", "v0.1", "not 'v0.1'"},
		"LeadingZero": {"numbers have one form", "v0.01.0", "not 'v0.01.0'"},
		"ZeroInPart":  {"numbers have one form", "v0.1.0-rc.01", "not 'v0.1.0-rc.01'"},
		"EmptyPart":   {"something must follow", "v0.1.0-", "not 'v0.1.0-'"},
		"Build":       {"an image's tag cannot have a plus", "v0.1.0+build", "not 'v0.1.0+build'"},
		"Newline":     {"it is one word", "v0.1.0\nx", "not 'v0.1.0\nx'"},
		"Command":     {"it is no command either", "v0.1.0;$(false)", "not 'v0.1.0;$(false)'"},
		"TooLong":     {"it is a label of objects", "v0.1.0-" + strings.Repeat("a", 60), "VERSION may have 63 characters"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "release", "release.sh"), tc.version)
			script.Env = append(script.Environ(), "HELM=/nonexistent", "IMAGE=example.com/sluice")
			out, err := script.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tc.want) {
				t.Errorf("%s: %v, and %q is not in\n%s", tc.reason, err, tc.want, out)
			}
		})
	}
}
