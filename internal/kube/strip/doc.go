/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package strip takes out of cached objects what nobody reads: every replica has all of them in
// memory.
package strip
