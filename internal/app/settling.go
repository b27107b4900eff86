/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"time"
)

// SettleTime is how long a process that has started takes to settle.
const SettleTime = 10 * time.Second

// settling notices, once, that a process has started and settled.
type settling struct {
	warmedUp <-chan struct{} // closed when nothing is left to do for the route table; nil without one
	after    time.Duration
	settled  func()
}

// NeedLeaderElection tells the manager that every replica settles.
func (s *settling) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. The manager calls it when the caches are filled.
func (s *settling) Start(ctx context.Context) error {
	if s.warmedUp != nil {
		select {
		case <-s.warmedUp:
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
