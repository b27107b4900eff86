/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package authfilter stands before an HTTP handler and lets those through whose bearer token the API
// server knows (TokenReview), and whom it allows what they ask for (SubjectAccessReview).
package authfilter
