/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"syscall"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// namespaces are the attributes of the first process in namespaces of its own. Mounts in there are
// not seen outside.
func namespaces() *syscall.SysProcAttr {
	attributes := localcluster.Attributes(syscall.SIGKILL)
	attributes.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNET
	// Not a clone flag: in this way Go keeps mounts from propagating.
	attributes.Unshareflags = syscall.CLONE_NEWNS
	return attributes
}
