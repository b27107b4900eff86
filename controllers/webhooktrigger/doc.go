/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package webhooktrigger reconciles WebhookTriggers, twice over.
//
// RouteReconciler runs on every replica that serves webhooks, writes nothing to the API server, and
// keeps the route table. StatusReconciler runs on the elected leader and writes status and Events.
// Both load the same objects and hand them to Resolve, one pure function, so that what is served
// and what is reported follow the same rules.
//
// Secrets: only their metadata is watched, in a cache of its own (SecretCache) that can hold
// nothing else. The Secrets that triggers refer to are read live while reconciling, and as streams
// by the warm-up, but never while serving. What stays in memory is the one referenced entry and the
// HMAC states made from it.
//
// Fail closed, fail static: a Secret that is missing or has no usable key takes the route's
// verifier away, and requests get 503. If the API server cannot say, the last route stays as it is.
package webhooktrigger
