/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReadSettings shows what can be set, and what is said of what cannot.
func TestReadSettings(t *testing.T) {
	t.Parallel()
	manager := filepath.Join(t.TempDir(), "manager")
	if err := os.WriteFile(manager, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := settings{
		seed: 1, duration: 20 * time.Minute, rate: 80, manager: manager, assets: "assets",
		replicas: 3, controllers: 2, lease: 16 * time.Second, readTimeout: 15 * time.Second, shutdownDelay: 5 * time.Second,
	}
	for name, tc := range map[string]struct {
		reason    string
		args      []string
		want      func(*settings)
		command   string
		wantError string
	}{
		"Defaults": {reason: "a full run", command: "make chaos SEED=1 DURATION=20m0s RATE=80"},
		"All": {
			reason: "everything that can be said",
			args:   []string{"--seed=7", "--duration=1m", "--rate=20", "--json=a.json", "--keep"},
			want: func(s *settings) {
				s.seed, s.duration, s.rate, s.json, s.keep = 7, time.Minute, 20, "a.json", true
			},
			command: "make chaos SEED=7 DURATION=1m0s RATE=20",
		},
		"Faults": {
			reason: "those faults, once",
			args:   []string{"--faults=none,etcd-hung"},
			want: func(s *settings) {
				s.faults, s.duration = []string{"none", "etcd-hung"}, 0
			},
			command: "bin/chaos --seed=1 --rate=80 --faults=none,etcd-hung",
		},
		"Short": {
			reason: "a shortened run",
			args:   []string{"--short"},
			want: func(s *settings) {
				s.short, s.rate, s.duration, s.faults = true, 30, 0, shortFaults
				s.replicas, s.readTimeout, s.shutdownDelay = 2, 5*time.Second, time.Second
			},
			command: "bin/chaos --short --seed=1",
		},
		"UnknownFault": {reason: "a misspelt fault", args: []string{"--faults=etcd-hangs"}, wantError: `--faults: there is no fault "etcd-hangs"; there are none, ingest-killed`},
		"NoRate":       {reason: "nobody would send", args: []string{"--rate=0"}, wantError: "--rate must be more than 0 and at most 10000, not 0"},
		"Negative":     {reason: "time does not go backwards", args: []string{"--duration=-1s"}, wantError: "--duration must not be negative, as -1s is"},
		"ShortAndLong": {reason: "a shortened run has its length", args: []string{"--short", "--duration=1h"}, wantError: "--duration is not for --short"},
		"Argument":     {reason: "a forgotten dash", args: []string{"short"}, wantError: `unexpected argument "short"; all options are flags`},
		"NoManager":    {reason: "it has not been built", args: []string{"--manager=nowhere"}, wantError: "--manager: stat nowhere: no such file or directory; make build makes it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readSettings(append([]string{"--manager=" + manager}, tc.args...), func(string) string { return "assets" }, io.Discard)
			if tc.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantError) {
					t.Errorf("%s: the error is %v, want %s", tc.reason, err, tc.wantError)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			want := full
			if tc.want != nil {
				tc.want(&want)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got := got.command(); got != tc.command {
				t.Errorf("%s: it is repeated by %q, want %q", tc.reason, got, tc.command)
			}
		})
	}
	if _, err := readSettings([]string{"--manager=" + manager}, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS must name") {
		t.Errorf("without a control plane, the error is %v", err)
	}
}
