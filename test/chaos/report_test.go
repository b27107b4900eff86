/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestOverloadRow compares overloads with the peaks before them.
func TestOverloadRow(t *testing.T) {
	t.Parallel()
	all := float64(runtime.NumCPU())
	cases := map[string]struct {
		reason           string
		peaks, overloads []goodput
		want             overloadRow
	}{
		"None": {reason: "there was no such fault"},
		"Cut":  {reason: "the run was interrupted before the first overload", peaks: []goodput{{400, 0}}},
		"Half": {
			reason: "half is stored, and the generator is not the cause", peaks: []goodput{{400, 0}}, overloads: []goodput{{200, 0}},
			want: overloadRow{Peak: 400, Goodput: 200, Ratio: 0.5, OfTheRest: 0.5},
		},
		"Generator": {
			reason: "half is stored because the generator takes half of the machine", peaks: []goodput{{400, 0}}, overloads: []goodput{{200, all / 2}},
			want: overloadRow{Peak: 400, Goodput: 200, Ratio: 0.5, OfTheRest: 1, Taken: all / 2},
		},
		"Median": {
			reason: "one of them has bad luck", peaks: []goodput{{400, 0}, {500, 0}, {400, 0}}, overloads: []goodput{{360, 0}, {50, 0}, {380, 0}},
			want: overloadRow{Peak: 400, Goodput: 360, Ratio: 0.9, OfTheRest: 0.9},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, newOverloadRow(tc.peaks, tc.overloads), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
