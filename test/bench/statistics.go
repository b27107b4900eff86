/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"slices"
	"time"
)

// A summary is a median and its spread: the first and the third quartile.
type summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// summarise returns the summary of what rounds have measured; that of nothing is 0.
func summarise(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return summary{Median: quantile(sorted, 0.5), Low: quantile(sorted, 0.25), High: quantile(sorted, 0.75)}
}

// quantile returns a quantile of sorted values, between two of them if need be.
func quantile(sorted []float64, q float64) float64 {
	position := q * float64(len(sorted)-1)
	i := int(position)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (position-float64(i))*(sorted[i+1]-sorted[i])
}

// percentile returns the duration, in milliseconds, below which so many of a hundred are; took need
// not be sorted.
func percentile(took []time.Duration, p float64) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[min(int(float64(len(sorted))*p/100), len(sorted)-1)]) / float64(time.Millisecond)
}

// ratios divides what each round has measured by what the same round has measured of the other. A
// round in which either has measured nothing does not count.
func ratios(measured, baseline []float64) []float64 {
	var all []float64
	for i := range min(len(measured), len(baseline)) {
		if measured[i] != 0 && baseline[i] != 0 {
			all = append(all, measured[i]/baseline[i])
		}
	}
	return all
}

// differences subtracts the baseline, round by round.
func differences(measured, baseline []float64) []float64 {
	var all []float64
	for i := range min(len(measured), len(baseline)) {
		all = append(all, measured[i]-baseline[i])
	}
	return all
}

// interleave runs the variants by turns, A B A B, and each once before, which is told to be a
// warm-up.
func interleave(rounds int, variants ...func(warmUp bool) error) error {
	for round := range rounds + 1 {
		for _, variant := range variants {
			if err := variant(round == 0); err != nil {
				return err
			}
		}
	}
	return nil
}
