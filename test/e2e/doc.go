/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package e2e is the end-to-end test: the image and the chart in a real cluster, from installation
// to removal. make e2e runs it, by default in a cluster of one node that test/cluster makes for it.
//
// It is one test of steps that begin where the one before left off. Each prints a line. What it
// sends goes to the Service, by a client that never repeats a request by itself, and a ledger of
// all answers is held against the FlowRuns that are stored: what was accepted is there, once.
//
// The files have the build tag e2e, so that go test ./... leaves it out: it installs into the
// cluster that E2E_KUBECONFIG names, removes the CustomResourceDefinitions in the end, and drains a
// node. Give it a cluster that nobody else uses. These variables are read:
//
//	E2E_KUBECONFIG     the cluster
//	E2E_IMAGE          the repository of the image; the tags of Makefile's E2E_VERSIONS must be in the cluster or can be pulled
//	E2E_VERSIONS       two tags, the one to install and the one to upgrade to
//	E2E_CHART          the chart
//	E2E_INGEST_URL     where the Service can be reached from here; the Service's own address if it is empty
//	E2E_DOCUMENTATION  whether to follow README.md and docs/install.md too, to the letter: the image that the chart names must
//	                   be in the cluster or can be pulled, and port 8080 of this machine be free
//
// helm and kubectl are those of PATH.
package e2e
