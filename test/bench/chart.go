/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The measures of a chart, in pixels.
const (
	chartWidth  = 760
	labelWidth  = 230
	valueWidth  = 150
	barHeight   = 16
	rowHeight   = 30
	chartTop    = 56
	chartBottom = 30
)

// chart draws a table as SVG: a bar for each row with its spread, and a line where its target is.
// Where there is a baseline, the bar is the ratio to it. Otherwise the bar is the part of the
// target that was measured; what has no target is left to the table.
func chart(t *table) string {
	var bars []bar
	for i := range t.Rows {
		if b, ok := newBar(&t.Rows[i]); ok {
			bars = append(bars, b)
		}
	}
	scale := 1.0
	for _, b := range bars {
		scale = max(scale, b.value.High, b.value.Median, b.target)
	}
	step := tick(scale)
	scale = math.Ceil(scale/step) * step
	x := func(v float64) float64 { return labelWidth + min(v, scale)/scale*(chartWidth-labelWidth-valueWidth) }
	height := chartTop + rowHeight*len(bars) + chartBottom
	bottom := height - chartBottom

	var svg strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&svg, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`,
		chartWidth, height, chartWidth, height)
	line(`<rect width="%d" height="%d" fill="#ffffff"/>`, chartWidth, height)
	line(`<text x="10" y="20" font-size="14" font-weight="bold">%s</text>`, html.EscapeString(t.Name))
	line(`<text x="10" y="38" fill="#555555">%s</text>`, html.EscapeString(legend(t)))
	for v := 0.0; v <= scale+step/2; v += step {
		line(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>`, x(v), chartTop-6, x(v), bottom)
		line(`<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%s</text>`, x(v), bottom+16, number(v))
	}
	for i, b := range bars {
		top := chartTop + rowHeight*i
		middle := top + barHeight/2
		line(`<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, middle+4, html.EscapeString(b.label))
		line(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, top, x(b.value.Median)-labelWidth, barHeight, b.colour())
		line(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#222222"/>`, x(b.value.Low), middle, x(b.value.High), middle)
		if b.target > 0 {
			line(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#c0392b" stroke-width="2"/>`, x(b.target), top-4, x(b.target), top+barHeight+4)
		}
		line(`<text x="%d" y="%d">%s</text>`, chartWidth-valueWidth+12, middle+4, html.EscapeString(b.text))
	}
	line(`</svg>`)
	return svg.String()
}

// A bar is a row of a chart.
type bar struct {
	label, text string
	value       summary
	target      float64 // 0 if there is none
	met         bool
}

func newBar(r *row) (bar, bool) {
	b := bar{label: r.Case, met: r.Target == target{} || r.Target.met(r.judged().Median)}
	if r.compared() {
		b.value, b.target, b.text = r.Ratio, r.Target.Value, fmt.Sprintf("%.2f", r.Ratio.Median)
		return b, true
	}
	if r.Target.Value == 0 {
		return b, false
	}
	part := func(v float64) float64 { return max(0, v/r.Target.Value) }
	b.value = summary{Median: part(r.Sluice.Median), Low: part(r.Sluice.Low), High: part(r.Sluice.High)}
	b.target, b.text = 1, fmt.Sprintf("%s of %s %s", number(r.Sluice.Median), number(r.Target.Value), r.Unit)
	return b, true
}

func (b *bar) colour() string {
	if b.met {
		return "#4a90d9"
	}
	return "#e59866"
}

func legend(t *table) string {
	if t.Baseline != "" {
		return "ratio to the baseline; median and quartiles of the rounds; red: target"
	}
	return "part of the target; median and quartiles of the rounds; red: target"
}

// tick returns a round distance of the lines of a scale, so that there are from four to ten of
// them.
func tick(scale float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(scale/4)))
	for _, factor := range []float64{5, 2.5, 2} {
		if scale/(step*factor) >= 4 {
			return step * factor
		}
	}
	return step
}
