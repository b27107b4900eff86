/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// offenders is how many violations of a rule are printed.
const offenders = 20

// A report is what came of an experiment.
type report struct {
	Command    string      `json:"command"`
	Seconds    float64     `json:"seconds"`
	Totals     totals      `json:"totals"`
	Phases     []row       `json:"phases"`
	Peak       int64       `json:"mostMemoryOfIngestBytes"`
	Controller int64       `json:"mostMemoryOfControllerBytes"`
	Overload   overloadRow `json:"overload,omitzero"`
	Rules      []ruleRow   `json:"rules"`
	Violations []violation `json:"violations"`
}

// A row is a phase in the report.
type row struct {
	Name       string  `json:"name"`
	Seconds    float64 `json:"seconds"`
	Sent       int     `json:"requests"`
	Accepted   int     `json:"accepted"`
	Duplicates int     `json:"duplicates"`
	Busy       int     `json:"busy"`
	Denied     int     `json:"unauthorized"`
	Refused    int     `json:"refused"`
	Failed     int     `json:"failed"`
	Cut        int     `json:"cutBySIGKILL"`
	Abandoned  int     `json:"abandonedBySender"`
	Unanswered int     `json:"unanswered"`
	P50        float64 `json:"p50Milliseconds"`
	P99        float64 `json:"p99Milliseconds"`
	Recovery   float64 `json:"recoverySeconds"`     // -1 if there was none
	Follow     float64 `json:"routesFollowSeconds"` // the same
	Ingest     int64   `json:"ingestBytes"`
	Controller int64   `json:"controllerBytes"`
	Starts     int     `json:"starts"`
	Remark     string  `json:"remark,omitempty"`
}

// overloadRow is what overloads came to: requests in a second, and ratios. All are medians.
type overloadRow struct {
	Peak      float64 `json:"peakGoodput"`
	Goodput   float64 `json:"goodput"`
	Ratio     float64 `json:"ratio"`
	OfTheRest float64 `json:"ratioOfWhatTheGeneratorLeaves"` // of processors
	// PeakTaken and Taken is how many processors the generator took.
	PeakTaken float64 `json:"peakGeneratorProcessors"`
	Taken     float64 `json:"generatorProcessors"`
}

// newOverloadRow compares each overload with the peak before it.
func newOverloadRow(peaks, overloads []goodput) overloadRow {
	of := func(figure func(i int) float64) float64 {
		var all []float64
		for i := range min(len(peaks), len(overloads)) {
			all = append(all, figure(i))
		}
		slices.Sort(all)
		if len(all) == 0 {
			return 0
		}
		return all[len(all)/2]
	}
	return overloadRow{
		Peak:      of(func(i int) float64 { return peaks[i].stored }),
		Goodput:   of(func(i int) float64 { return overloads[i].stored }),
		Ratio:     of(func(i int) float64 { return overloads[i].stored / peaks[i].stored }),
		OfTheRest: of(func(i int) float64 { return overloads[i].ofTheRest() / peaks[i].ofTheRest() }),
		PeakTaken: of(func(i int) float64 { return peaks[i].taken }),
		Taken:     of(func(i int) float64 { return overloads[i].taken }),
	}
}

// A ruleRow is how often a rule was violated.
type ruleRow struct {
	Rule       string `json:"rule"`
	Violations int    `json:"violations"`
}

// newReport draws the conclusions.
func newReport(e *experiment, runs []storedRun, peak memory, took time.Duration) *report {
	r := &report{
		Command:    e.settings.command(),
		Seconds:    took.Seconds(),
		Totals:     e.ledger.add(runs),
		Peak:       peak.ingest,
		Controller: peak.controller,
		Violations: e.ledger.compare(runs),
	}
	r.Overload = newOverloadRow(e.peaks, e.overloads)
	for _, p := range e.phases {
		r.Phases = append(r.Phases, p.row())
	}
	for _, rule := range rules {
		count := 0
		for _, v := range r.Violations {
			if v.Rule == rule {
				count++
			}
		}
		r.Rules = append(r.Rules, ruleRow{Rule: rule, Violations: count})
	}
	return r
}

func (p *phase) row() row {
	all := p.tally(everyTrigger)
	p.mu.Lock()
	defer p.mu.Unlock()
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return row{
		Name: p.name, Seconds: p.seconds,
		Sent: p.sent, Accepted: p.accepted, Duplicates: p.duplicates, Busy: p.busy, Denied: p.denied, Refused: p.refused,
		Failed: p.failed, Cut: p.cut, Abandoned: p.left, Unanswered: p.unanswered,
		P50: milliseconds(all.percentile(50)), P99: milliseconds(all.percentile(99)),
		Recovery: p.recovery.Seconds(), Follow: p.follow.Seconds(), Ingest: p.memory.ingest, Controller: p.memory.controller, Starts: p.starts, Remark: p.remark,
	}
}

// print writes the report as Markdown, and as JSON into a file if one is named.
func (r *report) print(w io.Writer, file string) error {
	if file != "" {
		raw, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		if err := os.WriteFile(file, append(raw, '\n'), 0o644); err != nil { //nolint:gosec // there are no secrets in it
			return fmt.Errorf("write the report: %w", err)
		}
	}
	_, err := io.WriteString(w, r.markdown())
	return err
}

func (r *report) markdown() string {
	var text strings.Builder
	t := r.Totals
	fmt.Fprintf(&text, "`%s`: %.0f s, %d requests of %d deliveries.\n\n", r.Command, r.Seconds, t.Requests, t.Deliveries)
	text.WriteString("| fault | s | requests | 202 | 200 | 503 | 401 | other 4xx | cut by SIGKILL | no answer | p50 ms | p99 ms | all accept after s | all follow after s | ingest MiB | starts | remarks |\n")
	text.WriteString("| --- |" + strings.Repeat(" ---: |", 15) + " --- |\n")
	for _, p := range r.Phases {
		remark := p.Remark
		if p.Failed > 0 {
			remark = strings.TrimPrefix(remark+fmt.Sprintf("; %d other answers", p.Failed), "; ")
		}
		fmt.Fprintf(&text, "| %s | %.0f | %d | %d | %d | %d | %d | %d | %d | %d | %.0f | %.0f | %s | %s | %d | %d | %s |\n",
			p.Name, p.Seconds, p.Sent, p.Accepted, p.Duplicates, p.Busy, p.Denied, p.Refused, p.Cut, p.Unanswered,
			p.P50, p.P99, orNever(p.Recovery), orNever(p.Follow), p.Ingest>>20, p.Starts, strings.ReplaceAll(remark, "|", `\|`))
	}
	fmt.Fprintf(&text, "\n| in all | |\n| --- | ---: |\n")
	for _, line := range []struct {
		what  string
		count int
	}{
		{"requests", t.Requests},
		{"answered", t.Answered},
		{"connection cut by SIGKILL to the replica", t.Cut},
		{"broken off by the sender, as planned", t.Abandoned},
		{"genuine deliveries", t.Genuine},
		{"acknowledged", t.Accepted},
		{"refused by the admission policy", t.Refused},
		{"taken for a repetition, as another body was stored under their signed id", t.Repeating},
		{"forged deliveries", t.Forged},
		{"FlowRuns that etcd has held", t.Stored},
		{"stored, and the sender was told that it is not known", t.Untold},
		{"of deliveries without an id, stored again after an unclear answer", t.Again},
	} {
		fmt.Fprintf(&text, "| %s | %d |\n", line.what, line.count)
	}
	fmt.Fprintf(&text, "| most memory of a replica of ingest, MiB | %d |\n| most memory of a controller, MiB | %d |\n", r.Peak>>20, r.Controller>>20)
	if r.Overload.Peak > 0 {
		fmt.Fprintf(&text, "| peak goodput, requests/s | %.0f |\n| goodput in the overload, requests/s | %.0f |\n", r.Overload.Peak, r.Overload.Goodput)
		for _, line := range []struct {
			what   string
			figure float64
		}{
			{"processors that the generator took at the peak", r.Overload.PeakTaken},
			{"processors that the generator took in the overload", r.Overload.Taken},
			{"goodput in the overload / peak goodput", r.Overload.Ratio},
			{"the same, of what the generator left of the processors", r.Overload.OfTheRest},
		} {
			fmt.Fprintf(&text, "| %s | %.2f |\n", line.what, line.figure)
		}
	}
	text.WriteString("\n| what must not be | times |\n| --- | ---: |\n")
	for _, rule := range r.Rules {
		fmt.Fprintf(&text, "| %s | %d |\n", rule.Rule, rule.Violations)
	}
	shown := map[string]int{}
	for _, v := range r.Violations {
		if shown[v.Rule]++; shown[v.Rule] == 1 {
			text.WriteByte('\n')
		}
		if shown[v.Rule] <= offenders {
			fmt.Fprintf(&text, "%s: %s\n", v.Rule, v.Detail)
		}
	}
	return text.String()
}

// orNever is a time in seconds, or says that it never came.
func orNever(seconds float64) string {
	switch {
	case seconds < 0:
		return "never"
	case seconds == 0:
		return ""
	}
	return fmt.Sprintf("%.1f", seconds)
}
