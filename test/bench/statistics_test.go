/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSummarise(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason string
		values []float64
		want   summary
	}{
		"nothing": {reason: "what was not measured is not a figure"},
		"one":     {reason: "one round has no spread", values: []float64{3}, want: summary{3, 3, 3}},
		"odd":     {reason: "the order of the rounds does not matter", values: []float64{5, 1, 4, 2, 3}, want: summary{3, 2, 4}},
		"even":    {reason: "quantiles between two values are between them", values: []float64{4, 1, 2, 3}, want: summary{2.5, 1.75, 3.25}},
		"outlier": {reason: "one bad round moves neither the median nor the spread", values: []float64{1, 1, 1, 1, 100}, want: summary{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, summarise(test.values)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestSummariseLeavesTheRoundsInOrder(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	summarise(values)
	if diff := cmp.Diff([]float64{3, 1, 2}, values); diff != "" {
		t.Errorf("ratios are taken within rounds, so their order must stay (-want +got):\n%s", diff)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for i := 200; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	got := map[string]float64{"p50": percentile(took, 50), "p99": percentile(took, 99), "p100": percentile(took, 100), "of nothing": percentile(nil, 50)}
	want := map[string]float64{"p50": 101, "p99": 199, "p100": 200, "of nothing": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason             string
		measured, baseline []float64
		want               []float64
	}{
		"within rounds": {reason: "a round in which the machine was slow is slow for both", measured: []float64{90, 45}, baseline: []float64{100, 50}, want: []float64{0.9, 0.9}},
		"a round more":  {reason: "what was not compared does not count", measured: []float64{90, 1}, baseline: []float64{100}, want: []float64{0.9}},
		"zero":          {reason: "nothing can be divided by nothing", measured: []float64{0, 2}, baseline: []float64{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, ratios(test.measured, test.baseline)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]float64{1, -2}, differences([]float64{3, 2, 9}, []float64{2, 4})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInterleave(t *testing.T) {
	t.Parallel()
	got := ""
	note := func(name string) func(bool) error {
		return func(warmUp bool) error {
			if warmUp {
				name += "'"
				defer func() { name = name[:1] }()
			}
			got += name
			return nil
		}
	}
	if err := interleave(2, note("A"), note("B")); err != nil {
		t.Fatal(err)
	}
	if want := "A'B'ABAB"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

func TestInterleaveStops(t *testing.T) {
	t.Parallel()
	broken, calls := errors.New("broken"), 0
	err := interleave(3, func(warmUp bool) error {
		calls++
		if warmUp {
			return nil
		}
		return broken
	})
	if !errors.Is(err, broken) || calls != 2 {
		t.Errorf("%d calls and %v, want 2 and the error of the second", calls, err)
	}
}
