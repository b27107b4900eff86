/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStartLean looks at GOGC, and at how much memory is given back. It belongs to the process, so
// nothing else runs meanwhile.
func TestStartLean(t *testing.T) { //nolint:paralleltest // see above
	type percents struct{ Starting, Settled int }
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	defer debug.SetGCPercent(percent())
	for name, tc := range map[string]struct {
		reason string
		usual  int
		want   percents
	}{
		"Default": {reason: "less garbage until the process has settled", usual: 100, want: percents{startGCPercent, 100}},
		"More":    {reason: "who has memory to spare has it afterwards", usual: 400, want: percents{startGCPercent, 400}},
		"Less":    {reason: "who wants little garbage gets no more", usual: 20, want: percents{20, 20}},
		"Off":     {reason: "GOMEMLIMIT may be all that somebody wants", usual: -1, want: percents{-1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetGCPercent(tc.usual)
			settled := startLean()
			got := percents{Starting: percent()}
			const size = 64 << 20
			runtime.KeepAlive(make([]byte, size)) // garbage from here on
			before := released()
			settled()
			if given := released() - before; given < size/2 {
				t.Errorf("%s: %d bytes are given back of %d of garbage", tc.reason, given, size)
			}
			got.Settled = percent()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: GOGC (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// released is how much memory the system has back.
func released() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapReleased)
}
