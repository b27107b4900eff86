/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package deploy holds nothing but tests, of all that installs Sluice: the Helm chart, the
// kustomizations and what the documentation has for Flux and Argo CD. They run against a real API
// server, with Helm and kubectl as users have them. There are no nodes, so no pod runs.
//
// It is a module of its own so that the Lua of Argo CD and the CEL of Flux, which judge the health
// of objects, do not get into the operator's go.mod. The CustomResourceDefinitions of other
// projects, such as the Gateway API and cert-manager, come from their Go modules, which
// foreign_test.go names with their checksums.
//
// Run them with go test -count=1: go test takes a result for valid as long as no file of this
// module changes, and the chart, the kustomizations and the documentation are outside of it.
package deploy
