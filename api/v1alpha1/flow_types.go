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
	// state is Enabled (the default) or Disabled. While it is Disabled, requests to triggers of this Flow get 503 with
	// Retry-After, so that senders try again later. Runs that exist are not touched.
	// +optional
	// +kubebuilder:default=Enabled
	State FlowState `json:"state,omitempty"`
}

// Flow is what a webhook starts. WebhookTriggers of its namespace refer to it by name, and each request they accept
// becomes a FlowRun of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=sluice
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 63 lower-case letters, digits and '-', because it is a label of the Flow's FlowRuns; choose a shorter name without '.'"
type Flow struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name is at most 63 lower-case letters, digits and '-'.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what a run of the Flow is. It may be left out: an empty Flow is Enabled, and its runs are for you or a
	// controller of yours to act on.
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
