/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import "syscall"

// Attributes puts a child into a process group of its own, which Ctrl-C in a terminal does not
// reach, and has the kernel send it the signal if this process ends without having stopped it.
func Attributes(orphaned syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphaned}
}
