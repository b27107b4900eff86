/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import "time"

// MaxRetention is how long after its creation a FlowRun may be kept because of
// AnnotationRetainUntil.
const MaxRetention = 30 * 24 * time.Hour

const (
	// LabelTrigger is the label of a FlowRun that holds the name of the WebhookTrigger that made
	// it.
	LabelTrigger = "sluice.dev/trigger"
	// LabelFlow is the label of a FlowRun that holds the name of its Flow.
	LabelFlow = "sluice.dev/flow"

	// AnnotationPayloadSHA256 is the annotation of a FlowRun that holds the SHA-256 of its payload
	// in hexadecimal, for those who read metadata alone.
	AnnotationPayloadSHA256 = "sluice.dev/payload-sha256"
	// AnnotationSignedBy is the annotation of a FlowRun that holds the name of the key it was
	// signed with.
	AnnotationSignedBy = "sluice.dev/signed-by"
	// AnnotationRetainUntil is the annotation of a FlowRun that holds the time until which it is
	// kept at least, because it is the memory by which a repeated delivery is recognised: an RFC
	// 3339 time in UTC. At most MaxRetention after the run was created counts.
	AnnotationRetainUntil = "sluice.dev/retain-until"
	// AnnotationTraceparent is the annotation of a FlowRun that holds the context of the span in
	// which it was stored, as the header traceparent of W3C Trace Context has it. Whoever acts on
	// the run can continue the trace. There is none unless Sluice traces requests.
	AnnotationTraceparent = "sluice.dev/traceparent"
)

// FieldManagerHistory is the name under which the API server records in managedFields that Sluice's
// own history has dropped the payload of a FlowRun. Such a run still stands for its delivery; one
// whose payload somebody else dropped may not.
const FieldManagerHistory = "sluice-history"
