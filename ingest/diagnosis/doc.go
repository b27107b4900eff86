/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package diagnosis finds out why requests are denied, for the owners of their triggers: off the
// request path, one at a time, and seldom enough that a flood of forged requests makes no more of
// it than one copy of a small body and one diagnosis for each trigger, cause and minute.
//
// What it says holds nothing of a key, a signature or a body. It goes to the log and to a Reporter.
package diagnosis
