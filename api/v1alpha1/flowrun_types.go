/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxPayloadBytes is the largest request body, in bytes, that a FlowRun can be sure to hold: base64 makes it 4/3 as
// long, and that with everything else must fit into the 1.5 MiB (1,572,864 bytes) that etcd takes in one request by
// default. 64 KiB are left for everything else.
const MaxPayloadBytes = (1536*1024 - 64*1024) / 4 * 3

// TriggerReference names the WebhookTrigger that made a FlowRun.
type TriggerReference struct {
	// name of the WebhookTrigger, in the namespace of the FlowRun.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// uid of the WebhookTrigger, which tells it from a later one of the same name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// Payload is the body of the request, byte for byte. Either text or binary is set, whichever is stored in fewer bytes;
// both are absent for an empty body.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.text) && has(self.binary))",message="set text or binary, not both"
type Payload struct {
	// contentType is the request's Content-Type header, cut after 256 characters; absent when the request had none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ContentType string `json:"contentType,omitempty"`

	// text is the body where that is valid UTF-8 and not longer than base64 once it is escaped for JSON.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1130496
	Text string `json:"text,omitempty"`

	// binary is the body in base64 (RFC 4648, section 4) in every other case.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1507328
	Binary []byte `json:"binary,omitempty"`

	// size of the body in bytes; at most 1130496.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1130496
	Size *int64 `json:"size,omitempty"`

	// sha256 of the body: 64 lower-case hexadecimal digits.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="sha256 must be 64 lower-case hexadecimal digits"
	SHA256 string `json:"sha256,omitempty"`
}

// Request is what is kept of the request besides its body.
type Request struct {
	// receivedAt is when the last byte of the request had arrived, by the clock of the ingest server.
	// +required
	ReceivedAt *metav1.MicroTime `json:"receivedAt,omitempty"`

	// signedBy names the key that the signature was made with: <Secret>/<entry>.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	SignedBy string `json:"signedBy,omitempty"`
}

// FlowRunSpec is the request that started the run. It cannot be changed.
type FlowRunSpec struct {
	// flowRef names the Flow that this is a run of.
	// +required
	FlowRef FlowReference `json:"flowRef,omitzero"`

	// triggerRef names the WebhookTrigger that accepted the request; absent from a run that was made by hand.
	// +optional
	TriggerRef TriggerReference `json:"triggerRef,omitzero"`

	// payload is the body of the request, byte for byte.
	// +required
	Payload Payload `json:"payload,omitzero"`

	// request is what is kept of the request besides its body; absent from a run that was made by hand.
	// +optional
	Request Request `json:"request,omitzero"`
}

// FlowRunStatus is how far the run has come.
//
// +kubebuilder:validation:MinProperties=1
type FlowRunStatus struct {
	// conditions of the run. A run that nobody executes has none.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// startTime is when the run was first acted on.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the run had succeeded or failed.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// FlowRun is one request that passed its trigger's check: it exists if and only if the sender may have been told so.
// It outlives its trigger. A FlowRun has no owner, so that deleting a trigger keeps its history.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fr,categories=sluice
// +kubebuilder:printcolumn:name="Flow",type=string,JSONPath=`.spec.flowRef.name`
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.triggerRef.name`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.spec.payload.size`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Content-Type",type=string,priority=1,JSONPath=`.spec.payload.contentType`
// +kubebuilder:printcolumn:name="Signed-By",type=string,priority=1,JSONPath=`.spec.request.signedBy`
type FlowRun struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. Sluice names a run <trigger>-<suffix>, at most 63 characters, with a
	// suffix that sorts by time, and labels it with its trigger and Flow.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the request that started the run. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot be changed: a FlowRun is the record of one request; create another FlowRun instead"
	Spec FlowRunSpec `json:"spec,omitzero"`

	// status is how far the run has come.
	// +optional
	Status FlowRunStatus `json:"status,omitzero"`
}

// FlowRunList is a list of FlowRuns.
//
// +kubebuilder:object:root=true
type FlowRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []FlowRun `json:"items"`
}
