/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"time"
)

// SettleTime is how long a process takes to settle once it serves: every route is looked at once more, which takes 5 s for
// 100,000 of them.
const SettleTime = 20 * time.Second

// settling notices, once, that a process has started and settled.
type settling struct {
	warm    <-chan struct{} // closed when the route table is filled; nil without one
	after   time.Duration
	settled func()
}

// NeedLeaderElection tells the manager that every replica settles.
func (s *settling) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. The manager calls it when the caches are filled.
func (s *settling) Start(ctx context.Context) error {
	if s.warm != nil {
		select {
		case <-s.warm:
		case <-ctx.Done():
			return nil
		}
	}
	timer := time.NewTimer(s.after)
	defer timer.Stop()
	select {
	case <-timer.C:
		s.settled()
	case <-ctx.Done():
	}
	return nil
}
