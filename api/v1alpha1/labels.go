/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

const (
	// LabelTrigger is the label of a FlowRun that holds the name of the WebhookTrigger that made it.
	LabelTrigger = "sluice.dev/trigger"
	// LabelFlow is the label of a FlowRun that holds the name of its Flow.
	LabelFlow = "sluice.dev/flow"
)
