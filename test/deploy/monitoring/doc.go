/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package monitoring holds nothing but tests, of the alerts and the dashboard that the chart has.
// The alerts are evaluated by Prometheus' own engine, over series that each case makes up. Its
// package rules, which promtool test rules runs, and its database are not used: they bring the SDKs
// of three clouds along. What expressions name (metrics, labels and their values) is looked up in
// what an operator that runs serves at /metrics, and in the table of metrics that is generated from
// the code.
package monitoring
