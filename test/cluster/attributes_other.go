//go:build !linux

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"syscall"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// namespaces is never called: the requirements are not met.
func namespaces() *syscall.SysProcAttr { return localcluster.Attributes(syscall.SIGKILL) }
