/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package apierror says what an answer of the API server means: whether it, a policy of the
// cluster, or the tenant is to blame, and what of it may be logged.
package apierror
