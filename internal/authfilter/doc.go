/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package authfilter is a filter before an HTTP handler: it lets requests through whose bearer token the API server
// authenticates (TokenReview) and whose user it authorizes (SubjectAccessReview).
//
// It fails closed: if the API server cannot be asked, nothing gets through but what was authorized within the last minute.
// No token is in a log line, an error or an answer.
//
// Concurrency: a Filter may serve any number of requests at a time. How many the API server is asked about is bounded.
package authfilter
