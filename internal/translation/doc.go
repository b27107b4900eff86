/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package translation makes a signature scheme, keys and a route of the fields of a WebhookTrigger.
//
// Whoever reads triggers reads them by it, so that all of them take a trigger for the same. What is
// wrong with a trigger is an *Error, which has the reason and the message of a condition, and what
// its owner should know besides is a remark, in a sentence. Neither quotes a Secret.
//
// It is pure: it reads nothing but its arguments, knows no client, controller or server, and
// decides neither what is served nor what is reported; see controllers/webhooktrigger for that.
//
// Concurrency: functions keep nothing, and do not change what they are given.
package translation
