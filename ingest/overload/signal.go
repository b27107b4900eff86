/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

// A Signal is what an attempt to store a delivery tells of the store, whatever it says of the
// delivery.
type Signal int

const (
	// Ignored means that there was no attempt after all.
	Ignored Signal = iota
	// Success means that the store has done its work.
	Success
	// Rejected means that it refused the delivery before it did any work, by a policy, a webhook, a
	// permission or a quota. It says nothing of whether others can be stored.
	Rejected
	// Throttled means that it turned the delivery away for now.
	Throttled
	// Failed means that it gave no answer, or one that says that it, or what is behind it, does not
	// work.
	Failed
)
