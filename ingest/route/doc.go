/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package route is the table from the path of a request to what is served there.
//
// Controllers fill it, the ingest server reads it, and neither knows the other. The package knows
// nothing of Kubernetes: a Route holds all that a request needs, so that serving one takes no call
// to anything else.
//
// Concurrency: routes are immutable once they are in a table. Readers take no lock and never wait,
// whatever writers do. Writers of different paths may run at the same time; writes to one path must
// come in order, which the work queue of a controller sees to.
package route
