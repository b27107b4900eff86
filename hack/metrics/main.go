/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command metrics writes the table of the operator's own metrics into a page of the documentation,
// between two markers. Its argument is the name of the file. The metrics are asked for where they
// are registered, so there is no list of them here.
package main

//go:generate go run . ../../docs/operations.md

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/client-go/rest"

	"github.com/sluice-dev/sluice/controllers/history"
	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/internal/app"
)

// The table is between these two lines.
const (
	begin = "<!-- metrics: make generate writes what follows -->\n"
	end   = "<!-- metrics: to here -->\n"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: metrics FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	families, err := gather()
	if err != nil {
		return err
	}
	page, err := os.ReadFile(file) //nolint:gosec // the page that make generate names
	if err != nil {
		return err
	}
	before, rest, hasBegin := bytes.Cut(page, []byte(begin))
	_, after, hasEnd := bytes.Cut(rest, []byte(end))
	if !hasBegin || !hasEnd {
		return fmt.Errorf("%s has no lines %q and %q", file, begin, end)
	}
	made := slices.Concat(before, []byte(begin), []byte(table(families)), []byte(end), after)
	return os.WriteFile(file, made, 0o644) //nolint:gosec // a page for all to read
}

// gather registers all metrics and returns them, with every value that their labels can have.
func gather() ([]*dto.MetricFamily, error) {
	var parts prometheus.Gatherers
	ingesting := &recorder{Registry: prometheus.NewRegistry()}
	if _, err := ingest.NewServer(ingest.Options{
		Table: route.NewTable(), Limits: ingest.DefaultLimits(), Registerer: ingesting, Log: logr.Discard(),
	}); err != nil {
		return nil, err
	}
	collecting := &recorder{Registry: prometheus.NewRegistry()}
	if _, err := history.NewCollector(history.Options{Config: &rest.Config{}, Registerer: collecting, Log: logr.Discard()}); err != nil {
		return nil, err
	}
	for _, r := range []*recorder{ingesting, collecting} {
		if err := r.fill(); err != nil {
			return nil, err
		}
		parts = append(parts, r)
	}
	certificates := map[app.CertificateUse]func() time.Time{app.UseWebhooks: time.Now, app.UseMetrics: time.Now}
	for _, role := range []app.Role{app.RoleAll, app.RoleIngest, app.RoleController} {
		process := prometheus.NewRegistry()
		if err := process.Register(app.NewProcessCollector(role, certificates)); err != nil {
			return nil, err
		}
		parts = append(parts, process)
		certificates = nil // once is enough
	}
	return parts.Gather()
}

// recorder remembers what is registered.
type recorder struct {
	*prometheus.Registry
	collectors []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (r *recorder) Register(c prometheus.Collector) error {
	r.collectors = append(r.collectors, c)
	return r.Registry.Register(c)
}

// fill gives histograms that have nothing to show yet the values that their labels have in other
// metrics.
func (r *recorder) fill() error {
	families, err := r.Gather()
	if err != nil {
		return err
	}
	for _, c := range r.collectors {
		histogram, ok := c.(*prometheus.HistogramVec)
		if !ok {
			continue
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				with := prometheus.Labels{}
				for _, label := range metric.GetLabel() {
					with[label.GetName()] = label.GetValue()
				}
				// An error says that these are not the labels of this histogram.
				_, _ = histogram.GetMetricWith(with)
			}
		}
	}
	for _, c := range r.collectors {
		alone := prometheus.NewRegistry()
		if err := alone.Register(c); err != nil {
			return err
		}
		if families, err := alone.Gather(); err != nil || len(families) == 0 {
			return fmt.Errorf("a metric has nothing to show, and nothing else has its label: %v", c)
		}
	}
	return nil
}

// table returns the table of the metrics.
func table(families []*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, family := range families {
		values := map[string][]string{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				values[label.GetName()] = append(values[label.GetName()], "`"+label.GetValue()+"`")
			}
		}
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			label := "`" + name + "`"
			if name != "version" { // it has one value, and a release has another
				slices.Sort(values[name])
				label += ": " + strings.Join(slices.Compact(values[name]), ", ")
			}
			labels = append(labels, label)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n",
			family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(labels, "; "), family.GetHelp())
	}
	return b.String()
}
