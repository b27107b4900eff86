/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package sdk holds nothing but a test: requests that the providers' own SDKs sign are accepted by
// the webhook server, and copies of them that were changed on the way are refused.
//
// It is a module of its own so that no SDK gets into the operator's go.mod. No SDK is of a version
// that would raise one of the operator's modules: what is tested is what is built. After a change
// of the operator's go.mod run go mod tidy here.
//
// What signs:
//
//   - Stripe, Svix, Standard Webhooks: their Go modules.
//   - GitHub, Twilio: their npm packages, in sign.mjs, because their Go modules can only verify.
//     The versions are ones that run on Node.js 18. Without node and npm this part is skipped;
//     .ci/run has them.
//   - Slack: the test itself, by Slack's documentation. No SDK for it in these two languages signs.
//
// Every request, good or bad, is also shown to what verifies in the Go SDK, and the two verdicts
// have to agree, or the table says where and why they do not. As these compare whole MACs, one that
// they accept is the one they would have made: for Slack that stands in for a signature of the
// SDK's own.
package sdk
