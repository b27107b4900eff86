/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The operations that can fail.
const (
	opList   = "list"
	opDelete = "delete"
	opDrop   = "drop"
)

// metrics has no label whose values the number of Flows or namespaces could multiply.
type metrics struct {
	duration prometheus.Histogram
	runs     *prometheus.GaugeVec   // by state
	deleted  *prometheus.CounterVec // by reason
	dropped  prometheus.Counter
	errors   *prometheus.CounterVec // by operation
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sluice_history_sweep_duration_seconds",
			Help:    "Time that a sweep through all FlowRuns took, deletes included.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}),
		runs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_history_runs",
			Help: "FlowRuns that the last sweep has seen, by the state.",
		}, []string{"state"}),
		deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_history_deleted_total",
			Help: "FlowRuns deleted, by the limit of the history that did it.",
		}, []string{"reason"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_history_payloads_dropped_total",
			Help: "Payloads dropped from FlowRuns that were kept.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_history_errors_total",
			Help: "Requests to the API server that failed, by the operation.",
		}, []string{"operation"}),
	}
	for _, s := range states {
		m.runs.WithLabelValues(string(s))
	}
	for _, r := range reasons {
		m.deleted.WithLabelValues(string(r))
	}
	for _, operation := range []string{opList, opDelete, opDrop} {
		m.errors.WithLabelValues(operation)
	}
	for _, c := range []prometheus.Collector{m.duration, m.runs, m.deleted, m.dropped, m.errors} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) failed(operation string) { m.errors.WithLabelValues(operation).Inc() }

// swept takes note of a sweep that has seen all runs.
func (m *metrics) swept(took time.Duration, seen map[state]int) {
	m.duration.Observe(took.Seconds())
	for _, s := range states {
		m.runs.WithLabelValues(string(s)).Set(float64(seen[s]))
	}
}
