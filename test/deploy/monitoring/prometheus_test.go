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

// firing evaluates the rules each minute for two hours up to a time, and returns what fires then: that for which the
// expression has had a result with the same labels each time for as long as the rule says.
func firing(t *testing.T, rules []rulefmt.Rule, db database, at time.Duration) []alert {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1 << 20, Timeout: time.Minute, Parser: promQL})
	end := time.UnixMilli(0).Add(at)
	var all []alert
	for _, rule := range rules {
		since := map[string]time.Time{} // when it began, by the labels
		var results promql.Vector
		for now := end.Add(-2 * time.Hour); !now.After(end); now = now.Add(step) {
			query, err := engine.NewInstantQuery(t.Context(), db.queryable(), nil, rule.Expr, now)
			if err != nil {
				t.Fatalf("%s: %v", rule.Alert, err)
			}
			if results, err = query.Exec(t.Context()).Vector(); err != nil {
				t.Fatalf("%s: %v", rule.Alert, err)
			}
			still := map[string]time.Time{}
			for _, result := range results {
				key := result.Metric.String()
				still[key] = now
				if before, ok := since[key]; ok {
					still[key] = before
				}
			}
			since = still
		}
		for _, result := range results {
			if end.Sub(since[result.Metric.String()]) >= time.Duration(rule.For) {
				all = append(all, expand(t, rule, result))
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
