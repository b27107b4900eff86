/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSettling looks at when a process has settled, in the time of a bubble.
func TestSettling(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	cases := map[string]struct {
		reason  string
		table   bool          // whether there is one
		warm    time.Duration // when it is filled
		stopped time.Duration // when the process is stopped
		want    []time.Duration
	}{
		"Ingest":       {reason: "once, some time after the route table is filled", table: true, warm: time.Minute, stopped: day, want: []time.Duration{time.Minute + SettleTime}},
		"Controller":   {reason: "there is no table to wait for", stopped: day, want: []time.Duration{SettleTime}},
		"NeverWarm":    {reason: "a warm-up that takes long is not disturbed, nor is the end of the process", table: true, warm: 2 * day, stopped: day},
		"StoppedEarly": {reason: "the end of the process does not wait", table: true, warm: time.Second, stopped: 2 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), tc.stopped)
				defer cancel()
				var calls []time.Duration
				s := &settling{after: SettleTime, settled: func() { calls = append(calls, time.Since(begin)) }}
				if tc.table {
					warm := make(chan struct{})
					s.warmedUp = warm
					defer time.AfterFunc(tc.warm, func() { close(warm) }).Stop()
				}
				ended := make(chan error, 1)
				go func() { ended <- s.Start(ctx) }()
				<-ctx.Done()
				if err := <-ended; err != nil {
					t.Errorf("%s: it ends with: %v", tc.reason, err)
				}
				if diff := cmp.Diff(tc.want, calls); diff != "" {
					t.Errorf("%s: settled after (-want +got):\n%s", tc.reason, diff)
				}
			})
		})
	}
}
