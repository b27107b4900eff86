/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// complete is a machine that has everything.
func complete() machine {
	return machine{
		system: "linux",
		has:    func(string) bool { return true },
		exists: func(path string) bool { return !strings.HasPrefix(path, "/opt/") },
		enter:  func() error { return nil },
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		machine func(*machine)
		folder  string
		want    string
	}{
		"Complete": {reason: "nothing is missing", machine: func(*machine) {}, folder: "/usr/lib/cni"},
		"OtherCNIFolder": {
			reason: "not only Debian has CNI plugins",
			machine: func(m *machine) {
				m.exists = func(path string) bool { return !strings.HasPrefix(path, "/usr/lib/cni") }
			},
			folder: "/opt/cni/bin",
		},
		"NotLinux": {
			reason:  "nothing else can be said there",
			machine: func(m *machine) { m.system, m.uid = "plan9", 7 },
			want:    "a node cannot run here: it needs Linux, and this is plan9",
		},
		"NotRoot": {
			reason:  "the user can help",
			machine: func(m *machine) { m.uid = 1000 },
			want:    "a node cannot run here:\nit needs root, for namespaces, mounts and cgroups; run it with sudo",
		},
		"NoCgroups": {
			reason:  "as in many containers",
			machine: func(m *machine) { m.exists = func(path string) bool { return !strings.HasPrefix(path, "/sys/") } },
			want:    "a node cannot run here:\nthere are no cgroups at /sys/fs/cgroup",
		},
		"Everything": {
			reason: "all is said at once, and each package once",
			machine: func(m *machine) {
				m.uid = 1000
				m.has = func(string) bool { return false }
				m.exists = func(string) bool { return false }
			},
			want: "a node cannot run here:\nit needs root, for namespaces, mounts and cgroups; run it with sudo\n" +
				"there are no cgroups at /sys/fs/cgroup\n" +
				"programs are missing; on Debian: apt-get install --no-install-recommends " +
				"containerd runc iptables conntrack iproute2 util-linux mount containernetworking-plugins",
		},
		"NoNamespaces": {
			reason:  "root in a container is not root",
			machine: func(m *machine) { m.enter = func() error { return errors.New("operation not permitted") } },
			want:    "a node cannot run here:\nnamespaces cannot be made, as in a container without privileges: operation not permitted",
		},
		"OnePlugin": {
			reason: "an incomplete folder is none",
			machine: func(m *machine) {
				m.exists = func(path string) bool { return !strings.HasPrefix(path, "/opt/") && !strings.HasSuffix(path, "/ptp") }
			},
			want: "a node cannot run here:\nprograms are missing; on Debian: apt-get install --no-install-recommends containernetworking-plugins",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := complete()
			tc.machine(&m)
			folder, err := m.check()
			got := ""
			if err != nil {
				got = err.Error()
				if !errors.Is(err, errCannotRun) {
					t.Errorf("%s: the error does not say that it is the machine's fault", tc.reason)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: error (-want +got):\n%s", tc.reason, diff)
			}
			if folder != tc.folder {
				t.Errorf("%s: the folder is %q, want %q", tc.reason, folder, tc.folder)
			}
		})
	}
}
