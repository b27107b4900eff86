/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A report is what came of a run.
type report struct {
	Command string    `json:"command"`
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"`
	Machine machine   `json:"machine"`
	Tables  []table   `json:"experiments"`
}

// A table is what came of an experiment.
type table struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Baseline says what it was compared with; empty if it was not.
	Baseline string   `json:"baseline,omitempty"`
	Rows     []row    `json:"rows"`
	Notes    []string `json:"notes,omitempty"`
}

// A row is one figure. With a baseline, the target is for the ratio.
type row struct {
	Case     string  `json:"case"`
	Unit     string  `json:"unit"`
	Baseline summary `json:"baseline,omitzero"`
	Sluice   summary `json:"sluice"`
	// Ratio is of the two, within each round.
	Ratio  summary `json:"ratio,omitzero"`
	Target target  `json:"target,omitzero"`
}

// A target is what a figure must be at least or at most.
type target struct {
	Bound bound   `json:"bound"`
	Value float64 `json:"value"`
}

type bound string

const (
	atLeast bound = "≥"
	atMost  bound = "≤"
)

func (t target) met(value float64) bool {
	if t.Bound == atLeast {
		return value >= t.Value
	}
	return value <= t.Value
}

// compare makes a row of what rounds have measured. If the unit is one of time, the target is for
// the ratio as it is; so it is for rates. inverse turns the ratio round, so that it is that of
// speeds where times were measured.
func compare(name, unit string, measured, baseline []float64, t target, inverse bool) row {
	ratio := ratios(measured, baseline)
	if inverse {
		ratio = ratios(baseline, measured)
	}
	return row{Case: name, Unit: unit, Baseline: summarise(baseline), Sluice: summarise(measured), Ratio: summarise(ratio), Target: t}
}

// figure makes a row of something that is compared with nothing but its target.
func figure(name, unit string, measured []float64, t target) row {
	return row{Case: name, Unit: unit, Sluice: summarise(measured), Target: t}
}

// compared says whether the row has a baseline.
func (r *row) compared() bool { return r.Ratio != summary{} }

// judged returns what the target is for.
func (r *row) judged() summary {
	if r.compared() {
		return r.Ratio
	}
	return r.Sluice
}

func (r *row) verdict() string {
	switch {
	case r.Target == target{}:
		return ""
	case r.Target.met(r.judged().Median):
		return "met"
	}
	return "**missed**"
}

// number writes a number with three digits that count, or all before the point.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'g', 3, 64), ".")
}

func (s summary) String() string {
	if s.Low == s.High {
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Low), number(s.High))
}

// ratio writes a ratio with two decimals, which is what a target has.
func (s summary) ratio() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Low, s.High)
}

// cells are the row as text, without the columns of a baseline if there is none.
func (r *row) cells(compared bool) []string {
	goal := ""
	if r.Target != (target{}) {
		goal = fmt.Sprintf("%s %s", r.Target.Bound, number(r.Target.Value))
	}
	if !compared {
		return []string{r.Case, r.Unit, r.Sluice.String(), goal, r.verdict()}
	}
	if !r.compared() {
		return []string{r.Case, r.Unit, "", r.Sluice.String(), "", goal, r.verdict()}
	}
	return []string{r.Case, r.Unit, r.Baseline.String(), r.Sluice.String(), r.Ratio.ratio(), goal, r.verdict()}
}

// lines are the table's cells, with the header first.
func (t *table) lines() [][]string {
	header := []string{"", "unit", "measured", "target", ""}
	if t.Baseline != "" {
		header = []string{"", "unit", "baseline", "Sluice", "ratio", "target", ""}
	}
	all := [][]string{header}
	for i := range t.Rows {
		all = append(all, t.Rows[i].cells(t.Baseline != ""))
	}
	return all
}

// writeText writes the tables for a terminal.
func (r *report) writeText(w io.Writer) error {
	var text strings.Builder
	for i := range r.Tables {
		t := &r.Tables[i]
		fmt.Fprintf(&text, "\n%s: %s\n", t.Name, t.Title)
		lines := t.lines()
		widths := make([]int, len(lines[0]))
		for _, line := range lines {
			for i, cell := range line {
				widths[i] = max(widths[i], len([]rune(cell)))
			}
		}
		for _, line := range lines {
			for i, cell := range line {
				text.WriteString("  " + cell + strings.Repeat(" ", widths[i]-len([]rune(cell))))
			}
			text.WriteByte('\n')
		}
		for _, note := range t.Notes {
			fmt.Fprintf(&text, "  %s\n", note)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// writeMarkdown writes the tables for a page, with their charts from a folder next to it.
func (r *report) writeMarkdown(w io.Writer, charts string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\nMeasured on %s in %s by `%s`.\n\n", r.Begin.UTC().Format("2006-01-02 15:04 UTC"),
		(time.Duration(r.Seconds) * time.Second).String(), r.Command)
	for _, line := range r.Machine.lines() {
		fmt.Fprintf(&text, "- %s: %s\n", line[0], line[1])
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		fmt.Fprintf(&text, "\n### %s\n\n%s", t.Name, t.Title)
		if t.Baseline != "" {
			fmt.Fprintf(&text, " Baseline: %s", t.Baseline)
		}
		fmt.Fprintf(&text, "\n\n![%s](%s/%s.svg)\n\n", t.Name, charts, t.file())
		for i, line := range t.lines() {
			fmt.Fprintf(&text, "| %s |\n", strings.Join(line, " | "))
			if i == 0 {
				text.WriteString(strings.Repeat("| --- ", len(line)) + "|\n")
			}
		}
		for _, note := range t.Notes {
			fmt.Fprintf(&text, "\n%s\n", note)
		}
	}
	text.WriteByte('\n')
	_, err := io.WriteString(w, text.String())
	return err
}

func (t *table) file() string { return strings.ReplaceAll(t.Name, " ", "-") }

// write writes everything into a folder: report.json, report.txt and a chart for each experiment.
func (r *report) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // results are for everybody
		return fmt.Errorf("make a folder: %w", err)
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	var text strings.Builder
	if err := r.writeText(&text); err != nil {
		return err
	}
	files := map[string]string{"report.json": string(raw) + "\n", "report.txt": strings.TrimPrefix(text.String(), "\n")}
	for i := range r.Tables {
		files[r.Tables[i].file()+".svg"] = chart(&r.Tables[i])
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// The lines of a page between which the report stands.
const (
	pageBegin = "<!-- report -->\n"
	pageEnd   = "<!-- end of report -->\n"
)

var errNoPlace = errors.New("it has no lines «" + strings.TrimSpace(pageBegin) + "» and «" + strings.TrimSpace(pageEnd) + "»")

// replaceReport puts the report into the text of a page, in the place of the one that was there.
func (r *report) replaceReport(page, charts string) (string, error) {
	before, rest, found := strings.Cut(page, pageBegin)
	_, after, foundEnd := strings.Cut(rest, pageEnd)
	if !found || !foundEnd {
		return "", errNoPlace
	}
	var text strings.Builder
	if err := r.writeMarkdown(&text, charts); err != nil {
		return "", err
	}
	return before + pageBegin + text.String() + pageEnd + after, nil
}

// writePage puts the report into a page, whose charts are in a folder of the same name next to it.
func (r *report) writePage(file string) error {
	folder := strings.TrimSuffix(file, filepath.Ext(file))
	if err := r.write(folder); err != nil {
		return err
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the caller says which page
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	page, err := r.replaceReport(string(raw), filepath.Base(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // as above
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
