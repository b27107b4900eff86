/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// metrics has no label whose values a sender or the number of triggers could multiply: who refused
// whom is in the log. So each series is there from the start, and at hand: to look one up by its
// label costs more than to count.
type metrics struct {
	requests          map[string]prometheus.Counter  // by result
	duration          map[string]prometheus.Observer // by result
	inFlight          prometheus.Gauge
	signatureFailures map[signature.Cause]prometheus.Counter
	storeDuration     map[outcome]prometheus.Observer
	shed              map[overload.Reason]prometheus.Counter
	handshakes        map[signature.Handshake]prometheus.Counter
}

// levels are what is read when the metrics are collected, and what it may come to.
type levels struct {
	control        *overload.Control
	budget         *overload.Budget
	connections    *connlimit.Limiter
	maxConnections int
}

// newMetrics registers the metrics of a server that serves from the table.
func newMetrics(registerer prometheus.Registerer, table *route.Table, l levels) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_ingest_requests_total",
		Help: "Requests answered, by the result.",
	}, []string{"result"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sluice_ingest_request_duration_seconds",
		Help:    "Time from the end of a request's headers to its answer, by the result.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 15},
	}, []string{"result"})
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_ingest_requests_in_flight",
		Help: "Requests being answered, those that will be refused included.",
	})
	signatureFailures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_ingest_signature_failures_total",
		Help: "Requests answered 401, and handshakes answered 403, by the cause.",
	}, []string{"cause"})
	createDuration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sluice_ingest_create_duration_seconds",
		Help:    "Time that storing a FlowRun took, retries included, by the outcome.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
	}, []string{"outcome"})
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_ingest_shed_total",
		Help: "Requests shed because of load, limits or too many guesses, by the reason.",
	}, []string{"reason"})
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_ingest_handshakes_total",
		Help: "Handshakes of providers that were answered, and not stored, by the handshake.",
	}, []string{"handshake"})
	m := &metrics{
		requests:          map[string]prometheus.Counter{},
		duration:          map[string]prometheus.Observer{},
		inFlight:          inFlight,
		signatureFailures: map[signature.Cause]prometheus.Counter{},
		storeDuration:     map[outcome]prometheus.Observer{},
		shed:              map[overload.Reason]prometheus.Counter{},
		handshakes:        map[signature.Handshake]prometheus.Counter{},
	}
	for _, r := range results {
		m.requests[r] = requests.WithLabelValues(r)
		m.duration[r] = duration.WithLabelValues(r)
	}
	for _, cause := range signature.Causes() {
		m.signatureFailures[cause] = signatureFailures.WithLabelValues(string(cause))
	}
	for _, outcome := range outcomes {
		m.storeDuration[outcome] = createDuration.WithLabelValues(string(outcome))
	}
	for _, reason := range overload.Reasons() {
		m.shed[reason] = shed.WithLabelValues(string(reason))
	}
	for _, handshake := range signature.Handshakes() {
		m.handshakes[handshake] = handshakes.WithLabelValues(string(handshake))
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	for _, c := range []prometheus.Collector{
		requests, duration, inFlight, signatureFailures, createDuration, shed, handshakes, routeCollector{table}, closedCollector{l.connections},
		gauge("sluice_ingest_in_flight_bytes", "What requests in flight are taken to hold, of --max-in-flight-bytes.",
			func() float64 { return float64(l.budget.Held()) }),
		gauge("sluice_ingest_max_in_flight_bytes", "What requests in flight may hold: --max-in-flight-bytes.",
			func() float64 { return float64(l.budget.Size()) }),
		gauge("sluice_ingest_connections", "Open connections of senders.",
			func() float64 { return float64(l.connections.Open()) }),
		gauge("sluice_ingest_max_connections", "How many connections there may be: --max-connections.",
			func() float64 { return float64(l.maxConnections) }),
		gauge("sluice_ingest_create_limit", "How many FlowRuns may be stored at a time, as the latency of the API server allows.",
			func() float64 { return float64(l.control.State().Limit) }),
		gauge("sluice_ingest_creates_in_flight", "FlowRuns being stored.",
			func() float64 { return float64(l.control.State().Running) }),
		gauge("sluice_ingest_creates_waiting", "Verified requests that wait for others to be stored.",
			func() float64 { return float64(l.control.State().Waiting) }),
		gauge("sluice_ingest_circuit_open", "1 while the circuit breaker is open: nothing can be stored, and requests are shed for it. Otherwise 0.",
			func() float64 {
				if l.control.State().Open {
					return 1
				}
				return 0
			}),
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) answered(result string, took time.Duration) {
	m.requests[result].Inc()
	m.duration[result].Observe(took.Seconds())
}

func (m *metrics) stored(o outcome, took time.Duration) {
	m.storeDuration[o].Observe(took.Seconds())
}

var closedDesc = prometheus.NewDesc("sluice_ingest_connections_closed_total",
	"Connections, and requests of HTTP/2 that waited for their bodies, that had to make room for others, by why it was them.", []string{"why"}, nil)

// closedCollector counts the connections that had to go.
type closedCollector struct{ connections *connlimit.Limiter }

// Describe implements prometheus.Collector.
func (c closedCollector) Describe(descs chan<- *prometheus.Desc) { descs <- closedDesc }

// Collect implements prometheus.Collector.
func (c closedCollector) Collect(collected chan<- prometheus.Metric) {
	for _, why := range connlimit.Whys() {
		collected <- prometheus.MustNewConstMetric(closedDesc, prometheus.CounterValue, float64(c.connections.Closed(why)), string(why))
	}
}

var routesDesc = prometheus.NewDesc("sluice_ingest_routes",
	"Routes in this replica's table, by the state: ready ones accept, unavailable ones answer 503.", []string{"state"}, nil)

// routeCollector counts the routes when it is asked.
type routeCollector struct{ table *route.Table }

// Describe implements prometheus.Collector.
func (c routeCollector) Describe(descs chan<- *prometheus.Desc) { descs <- routesDesc }

// Collect implements prometheus.Collector.
func (c routeCollector) Collect(collected chan<- prometheus.Metric) {
	var ready, unavailable float64
	for r := range c.table.All() {
		if r.Verifier != nil {
			ready++
		} else {
			unavailable++
		}
	}
	collected <- prometheus.MustNewConstMetric(routesDesc, prometheus.GaugeValue, ready, "ready")
	collected <- prometheus.MustNewConstMetric(routesDesc, prometheus.GaugeValue, unavailable, "unavailable")
}

// An outcome is how storing a delivery ended: the label of the metric, and for traces and the log.
type outcome string

// The outcomes.
const (
	outcomeStored    outcome = "stored"
	outcomeDuplicate outcome = "duplicate"
	outcomeFailed    outcome = "not_stored" // the sender should send it again
	outcomeRejected  outcome = "refused"    // that does not help
)

// outcomes are all of them.
var outcomes = []outcome{outcomeStored, outcomeDuplicate, outcomeFailed, outcomeRejected}

func outcomeOf(receipt delivery.Receipt, err error) outcome {
	if err == nil {
		if receipt.Duplicate {
			return outcomeDuplicate
		}
		return outcomeStored
	}
	if kind, _ := delivery.KindOf(err); kind == delivery.Rejected {
		return outcomeRejected
	}
	return outcomeFailed
}
