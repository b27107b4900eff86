/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"time"

	"github.com/go-logr/logr"
)

// SettleTime is how long after its start a process gives memory back. Meanwhile every route is looked at once more.
const SettleTime = 20 * time.Second

// memoryRelease gives the memory that the start took back to the system, once.
//
// Filling the caches and the route table leaves more garbage than it leaves objects, and the garbage collector takes that
// for the size that the process needs: it keeps the pages for minutes.
type memoryRelease struct {
	warm    <-chan struct{} // closed when the route table is filled; nil without one
	after   time.Duration
	release func()
	log     logr.Logger
}

// NeedLeaderElection tells the manager that every replica does this.
func (m *memoryRelease) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. The manager calls it when the caches are filled.
func (m *memoryRelease) Start(ctx context.Context) error {
	if m.warm != nil {
		select {
		case <-m.warm:
		case <-ctx.Done():
			return nil
		}
	}
	settled := time.NewTimer(m.after)
	defer settled.Stop()
	select {
	case <-settled.C:
	case <-ctx.Done():
		return nil
	}
	m.release()
	m.log.V(1).Info("Gave the memory that the start took back to the system")
	return nil
}
