/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import "runtime/debug"

// startGCPercent is GOGC until the process has settled.
const startGCPercent = 50

// startLean keeps the garbage of the start small, and returns what gives the memory that it took back to the system. With
// 100,000 triggers TODO
func startLean() (settled func()) {
	usual := debug.SetGCPercent(startGCPercent)
	if usual < startGCPercent { // whoever sets GOGC to less, or switches it off, has a reason
		debug.SetGCPercent(usual)
	}
	return func() {
		debug.SetGCPercent(usual)
		debug.FreeOSMemory()
	}
}
