/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// makeReport is a report with a row of each sort.
func makeReport() *report {
	return &report{
		Command: "bin/bench", Begin: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 61,
		Tables: []table{
			{
				Name: "accept", Title: "Stored.", Baseline: "raw creates.", Notes: []string{"A note."},
				Rows: []row{
					compare("16 connections", "a second", []float64{99, 95, 97}, []float64{100, 100, 100}, target{atLeast, 0.95}, false),
					compare("64 <connections>", "a second", []float64{50, 50, 50}, []float64{100, 100, 100}, target{atLeast, 0.95}, false),
					compare("times", "ns", []float64{200}, []float64{100}, target{}, true),
				},
			},
			{
				Name: "idle memory", Title: "Resident.",
				Rows: []row{figure("ingest", "MiB", []float64{50}, target{atMost, 40}), figure("for orientation", "MiB", []float64{1234.5}, target{})},
			},
		},
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	r := makeReport()
	var got [][]string
	for i := range r.Tables {
		got = append(got, r.Tables[i].lines()...)
	}
	want := [][]string{
		{"", "unit", "baseline", "Sluice", "ratio", "target", ""},
		{"16 connections", "a second", "100", "97 (96–98)", "0.97 (0.96–0.98)", "≥ 0.95", "met"},
		{"64 <connections>", "a second", "100", "50", "0.50 (0.50–0.50)", "≥ 0.95", "**missed**"},
		{"times", "ns", "100", "200", "0.50 (0.50–0.50)", "", ""},
		{"", "unit", "measured", "target", ""},
		{"ingest", "MiB", "50", "≤ 40", "**missed**"},
		{"for orientation", "MiB", "1234", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target target
		value  float64
		want   bool
	}{
		"at least, above": {target{atLeast, 1}, 1.1, true},
		"at least, equal": {target{atLeast, 1}, 1, true},
		"at least, below": {target{atLeast, 1}, 0.9, false},
		"at most, above":  {target{atMost, 1}, 1.1, false},
		"at most, equal":  {target{atMost, 1}, 1, true},
		"at most, below":  {target{atMost, 1}, 0.9, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.target.met(test.value); got != test.want {
				t.Errorf("met is %v, want %v", got, test.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	got := map[float64]string{}
	for _, v := range []float64{0, 0.012345, 1, 9.876, 99.5, 123.4, 99999, -0.25} {
		got[v] = number(v)
	}
	want := map[float64]string{0: "0", 0.012345: "0.0123", 1: "1", 9.876: "9.88", 99.5: "99.5", 123.4: "123", 99999: "99999", -0.25: "-0.25"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	r := makeReport()
	type rect struct {
		Fill  string  `xml:"fill,attr"`
		Width float64 `xml:"width,attr"`
	}
	type line struct {
		Stroke string  `xml:"stroke,attr"`
		X      float64 `xml:"x1,attr"`
	}
	var drawing struct {
		Height int    `xml:"height,attr"`
		Bars   []rect `xml:"rect"`
		Lines  []line `xml:"line"`
		Texts  []struct {
			Text string `xml:",chardata"`
		} `xml:"text"`
	}
	svg := chart(&r.Tables[0])
	if err := xml.Unmarshal([]byte(svg), &drawing); err != nil {
		t.Fatalf("the chart is not XML, though a label has < in it: %v\n%s", err, svg)
	}
	bars := drawing.Bars[1:] // the first is the background
	const met, missed = "#4a90d9", "#e59866"
	if len(bars) != 3 || bars[0].Fill != met || bars[1].Fill != missed || bars[2].Fill != met {
		t.Errorf("the bars are %v, want one that meets its target, one that misses it and one without", bars)
	}
	if bars[0].Width <= bars[1].Width || bars[1].Width != bars[2].Width {
		t.Errorf("the widths are %v, want that of 0.97 above those of 0.50", bars)
	}
	targets := 0
	for _, l := range drawing.Lines {
		if l.Stroke == "#c0392b" {
			targets++
			if l.X <= labelWidth+bars[1].Width {
				t.Errorf("the target 0.95 is at %v, left of the end of the bar of 0.50", l.X)
			}
		}
	}
	if targets != 2 {
		t.Errorf("%d lines of targets, want 2", targets)
	}
	if got := chart(&r.Tables[1]); strings.Contains(got, "for orientation") || !strings.Contains(got, "50 of 40 MiB") {
		t.Errorf("a row without baseline and target has no place in the chart, and one that has a target does:\n%s", got)
	}
}

func TestTick(t *testing.T) {
	t.Parallel()
	for _, scale := range []float64{0.3, 1, 1.05, 2.2, 3, 7.7, 10, 48, 1000} {
		if n := scale / tick(scale); n < 4 || n > 11 {
			t.Errorf("a scale of %v has %v parts", scale, n)
		}
	}
}

func TestWritePage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	page := filepath.Join(folder, "performance.md")
	text := "# Title\n" + pageBegin + "an old report\n" + pageEnd + "the end\n"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := makeReport()
	for range 2 { // the second replaces the first
		if err := r.writePage(page); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(raw)
	for _, want := range []string{
		"# Title\n" + pageBegin, pageEnd + "the end\n", "2026-01-02 03:04 UTC", "1m1s",
		"| 16 connections | a second | 100 | 97 (96–98) | 0.97 (0.96–0.98) | ≥ 0.95 | met |", "![idle memory](performance/idle-memory.svg)", "A note.",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times:\n%s", want, strings.Count(got, want), got)
		}
	}
	if strings.Contains(got, "an old report") {
		t.Error("the old report is still there")
	}
	raw, err = os.ReadFile(filepath.Join(folder, "performance", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read report
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &read); diff != "" {
		t.Errorf("the JSON is another report (-want +got):\n%s", diff)
	}
	for _, name := range []string{"accept.svg", "idle-memory.svg", "report.txt"} {
		if info, err := os.Stat(filepath.Join(folder, "performance", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestReplaceReportNeedsAPlace(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{"neither": "text\n", "no end": pageBegin, "no begin": pageEnd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := makeReport().replaceReport(page, "charts"); !errors.Is(err, errNoPlace) {
				t.Errorf("the error is %v, want %v", err, errNoPlace)
			}
		})
	}
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	environment := func(name string) string { return map[string]string{assetsVariable: "assets"}[name] }
	manager := "--manager=" + os.Args[0]
	for name, test := range map[string]struct {
		reason string
		args   []string
		want   string // a part of the error; empty if there is to be none
	}{
		"defaults":             {reason: "nothing has to be said", args: []string{manager}},
		"some":                 {reason: "experiments can be chosen", args: []string{manager, "--experiments=accept,idle"}},
		"a given cluster":      {reason: "it needs neither the operator's binary nor a control plane", args: []string{"--url=http://192.0.2.1:8080/", "--manager=none"}},
		"unknown":              {reason: "a typing error must not leave an experiment out in silence", args: []string{manager, "--experiments=acept"}, want: `no experiment "acept"`},
		"not there":            {reason: "processes of a given cluster cannot be looked at", args: []string{"--url=http://192.0.2.1", "--experiments=idle"}, want: `no experiment "idle" here`},
		"no URL":               {reason: "a path would be put before that of the trigger", args: []string{"--url=http://192.0.2.1/hooks"}, want: "--url must be"},
		"no scheme":            {reason: "there is no default", args: []string{"--url=192.0.2.1:8080"}, want: "--url must be"},
		"no rounds":            {reason: "nothing would be measured", args: []string{manager, "--rounds=0"}, want: "--rounds must be"},
		"too short":            {reason: "a create takes longer", args: []string{manager, "--round=1ms"}, want: "--round must be"},
		"an argument":          {reason: "it would be ignored", args: []string{manager, "accept"}, want: `unexpected argument "accept"`},
		"too many triggers":    {reason: "their names have six digits", args: []string{manager, "--triggers=1000000"}, want: "--triggers must be"},
		"no operator's binary": {reason: "it says how to make it", args: []string{"--manager=" + t.Name()}, want: "make build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readSettings(test.args, environment, io.Discard)
			if got := err != nil && strings.Contains(err.Error(), test.want) || err == nil; !got || (err == nil) != (test.want == "") {
				t.Errorf("%s: the error is %v, want %q", test.reason, err, test.want)
			}
		})
	}
}
