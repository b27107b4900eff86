//go:build !linux

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import "syscall"

// Attributes puts a child into a process group of its own, which Ctrl-C in a terminal does not
// reach. Only Linux can also end it if this process is killed.
func Attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
