/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FlowState says whether a Flow may be started.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type FlowState string

const (
	// FlowEnabled means that triggers may start runs of the Flow.
	FlowEnabled FlowState = "Enabled"
	// FlowDisabled means that triggers of the Flow answer 503 with Retry-After.
	FlowDisabled FlowState = "Disabled"
)

// FlowSpec says what a run of the Flow is.
//
// +kubebuilder:validation:MinProperties=1
type FlowSpec struct {
	// state is Enabled (the default) or Disabled. While it is Disabled, requests to triggers of
	// this Flow get 503 with Retry-After, so that senders try again later. Runs that exist are not
	// touched.
	// +optional
	// +kubebuilder:default=Enabled
	State FlowState `json:"state,omitempty"`

	// history says for how long the Flow's FlowRuns, and their payloads, are kept. Each of its
	// fields has a default, so that the runs of every Flow are bounded.
	// +optional
	// +kubebuilder:default:={"ttlSecondsAfterReceived":259200}
	History History `json:"history,omitzero"`
}

// History says when FlowRuns are deleted: as soon as one of its limits says so. A run that was
// begun and has not finished is never deleted, and none before the time in its annotation
// sluice.dev/retain-until, up to which it is the memory against repeated deliveries. It may take a
// minute until a run that is due is gone.
//
// +kubebuilder:validation:MinProperties=1
type History struct {
	// ttlSecondsAfterFinished is how long a run is kept after it has finished, whether it succeeded
	// or failed: from 0 to 31536000 (365 days); 604800 (7 days) if absent. Anything else is
	// refused.
	// +optional
	// +kubebuilder:default=604800
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// successfulRunsHistoryLimit is how many runs that succeeded are kept, the newest: from 0 to
	// 10000; 100 if absent. Anything else is refused.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	SuccessfulRunsHistoryLimit *int32 `json:"successfulRunsHistoryLimit,omitempty"`

	// failedRunsHistoryLimit is how many runs that finished otherwise are kept, the newest: from 0
	// to 10000; 100 if absent. Anything else is refused.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	FailedRunsHistoryLimit *int32 `json:"failedRunsHistoryLimit,omitempty"`

	// ttlSecondsAfterReceived is how long a run is kept that nobody has begun to execute, which is
	// one without a status: from 1 to 31536000 (365 days); 259200 (3 days) if absent. Anything else
	// is refused.
	// +optional
	// +kubebuilder:default=259200
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	TTLSecondsAfterReceived int32 `json:"ttlSecondsAfterReceived,omitempty"`

	// payloadTTLSeconds is how long the payload of a run is kept, from when the run finished, or
	// from when it was received if nobody has begun to execute it: from 0 to 31536000 (365 days).
	// Anything else is refused. If it is absent, the payload stays for as long as the run. Make it
	// longer than it may take until a run is begun: whoever begins later finds no payload. The run
	// itself, with the size and the digest of the payload, stays.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	PayloadTTLSeconds *int32 `json:"payloadTTLSeconds,omitempty"`
}

// Flow is what a webhook starts. WebhookTriggers of its namespace refer to it by name, and each
// request they accept becomes a FlowRun of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=sluice
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 63 lower-case letters, digits and '-', because it is a label of the Flow's FlowRuns; choose a shorter name without '.'"
type Flow struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name is at most 63 lower-case letters, digits
	// and '-'.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what a run of the Flow is. It may be left out: an empty Flow is Enabled, and its
	// runs are for you or a controller of yours to act on.
	// +optional
	// +kubebuilder:default:={"state":"Enabled"}
	Spec FlowSpec `json:"spec,omitzero"`
}

// FlowList is a list of Flows.
//
// +kubebuilder:object:root=true
type FlowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Flow `json:"items"`
}
