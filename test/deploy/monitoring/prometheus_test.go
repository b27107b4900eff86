/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package monitoring

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/util/annotations"
)

// step is the time between two samples, and between two evaluations.
const step = time.Minute

var promQL = parser.NewParser(parser.Options{})

// database has series in memory, with a sample each minute from 1970 on.
type database []storage.Series

// load makes a database of series in the notation of promtool: one in each line.
func load(t *testing.T, lines []string) database {
	t.Helper()
	db := make(database, len(lines))
	for i, line := range lines {
		name, sequence, err := promQL.ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var points []promql.FPoint
		for minute, sample := range sequence {
			if !sample.Omitted {
				points = append(points, promql.FPoint{T: (time.Duration(minute) * step).Milliseconds(), F: sample.Value})
			}
		}
		db[i] = promql.NewStorageSeries(promql.Series{Metric: name, Floats: points})
	}
	return db
}

// queryable returns what an engine asks.
func (db database) queryable() storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &selection{series: db.matching(matchers)}
		},
	}}
}

func (db database) matching(matchers []*labels.Matcher) []storage.Series {
	var found []storage.Series
	for _, series := range db {
		matches := true
		for _, m := range matchers {
			matches = matches && m.Matches(series.Labels().Get(m.Name))
		}
		if matches {
			found = append(found, series)
		}
	}
	return found
}

// selection implements storage.SeriesSet.
type selection struct {
	series []storage.Series
	now    storage.Series
}

func (s *selection) Next() bool {
	if len(s.series) == 0 {
		return false
	}
	s.now, s.series = s.series[0], s.series[1:]
	return true
}

func (s *selection) At() storage.Series              { return s.now }
func (*selection) Err() error                        { return nil }
func (*selection) Warnings() annotations.Annotations { return nil }

// An alert fires.
type alert struct {
	name        string
	labels      map[string]string // without its name
	annotations map[string]string
}

// firing evaluates the rules each minute, and returns what fires at a time: that for which the
// expression has had a result with the same labels each minute for as long as the rule says. It
// does so for each time from one to another, at a pace.
func firing(t *testing.T, rules []rulefmt.Rule, db database, from, to, pace time.Duration) map[time.Duration][]alert {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1 << 20, Timeout: time.Minute, Parser: promQL})
	all := map[time.Duration][]alert{}
	for _, rule := range rules {
		begin, end := time.UnixMilli(0).Add(from-time.Duration(rule.For)), time.UnixMilli(0).Add(to)
		query, err := engine.NewRangeQuery(t.Context(), db.queryable(), nil, rule.Expr, begin, end, step)
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		results, err := query.Exec(t.Context()).Matrix()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		for _, result := range results {
			minutes := 0 // how many in a row have had it
			var last int64
			for _, point := range result.Floats {
				if minutes++; point.T-last != step.Milliseconds() {
					minutes = 1
				}
				last = point.T
				now := time.Duration(point.T) * time.Millisecond
				if now >= from && (now-from)%pace == 0 && time.Duration(minutes-1)*step >= time.Duration(rule.For) {
					all[now] = append(all[now], expand(t, rule, promql.Sample{T: point.T, F: point.F, Metric: result.Metric}))
				}
			}
		}
	}
	return all
}

// expand makes an alert of a result of a rule.
func expand(t *testing.T, rule rulefmt.Rule, result promql.Sample) alert {
	t.Helper()
	a := alert{name: rule.Alert, labels: result.Metric.Map(), annotations: map[string]string{}}
	delete(a.labels, model.MetricNameLabel)
	maps.Copy(a.labels, rule.Labels)
	data := template.AlertTemplateData(result.Metric.Map(), nil, "", result)
	for name, text := range rule.Annotations {
		const variables = "{{$labels := .Labels}}{{$value := .Value}}"
		expander := template.NewTemplateExpander(t.Context(), variables+text, rule.Alert, data, model.Time(0), nil, nil, nil)
		expanded, err := expander.Expand()
		if err != nil {
			t.Errorf("the %s of %s: %v", name, rule.Alert, err)
		}
		a.annotations[name] = expanded
	}
	return a
}

// readRules reads the rules as Prometheus does.
func readRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	file, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, promQL, promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatalf("Prometheus does not take the rules: %v", errs)
	}
	var all []rulefmt.Rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}

// withTarget adds to a series the labels of the pod that it is read from.
func withTarget(pod, series string) string {
	name, own, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	target := fmt.Sprintf(`namespace="sluice-system",pod=%q,job="sluice"`, pod)
	if own != "" {
		target += "," + own
	}
	return name + "{" + target + "}"
}
