/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxPayloadBytes is the largest request body, in bytes, that a FlowRun can be sure to hold: base64
// makes it 4/3 as long, and that with everything else must fit into the 1.5 MiB (1,572,864 bytes)
// that etcd takes in one request by default. 64 KiB are left for everything else.
const MaxPayloadBytes = (1536*1024 - 64*1024) / 4 * 3

// TriggerReference names the WebhookTrigger that made a FlowRun.
type TriggerReference struct {
	// name of the WebhookTrigger, in the namespace of the FlowRun: at most 63 lower-case letters,
	// digits and '-'. A longer or otherwise malformed name is refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must be the name of a WebhookTrigger: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// uid of the WebhookTrigger, which tells it from a later one of the same name: at most 64
	// letters, digits and '-'. A longer or otherwise malformed one is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-a-zA-Z0-9]+$')",message="uid must be the metadata.uid of a WebhookTrigger: letters, digits and '-'"
	UID string `json:"uid,omitempty"`
}

// PayloadState says whether a FlowRun still holds its payload.
//
// +kubebuilder:validation:Enum=Stored;Dropped
type PayloadState string

const (
	// PayloadStored means that the payload is there. It is the same as no state.
	PayloadStored PayloadState = "Stored"
	// PayloadDropped means that the payload was there, and that its size, digest and content type
	// are what is left.
	PayloadDropped PayloadState = "Dropped"
)

// Payload is the body of the request, byte for byte. Either text or binary is set, whichever is
// stored in fewer bytes; both are absent for an empty body, and once the payload is dropped.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.text) && has(self.binary))",message="set text or binary, not both"
// +kubebuilder:validation:XValidation:rule="!(has(self.state) && self.state == 'Dropped') || !(has(self.text) || has(self.binary))",message="state Dropped means that the payload is gone: leave out text and binary, or the state"
// +kubebuilder:validation:XValidation:rule="(has(self.state) && self.state == 'Dropped') || self.size == (has(self.text) ? bytes(self.text).size() : has(self.binary) ? self.binary.size() / 4 * 3 - (self.binary.endsWith('==') ? 2 : self.binary.endsWith('=') ? 1 : 0) : 0)",message="size must be the number of bytes of text (in UTF-8) or of binary (decoded), and 0 if neither is set"
type Payload struct {
	// state is Stored (the same as no state), or Dropped if the payload is no longer there: then
	// text and binary are absent, and everything else is as it was. Another value is refused. To
	// drop the payload is the only change of a FlowRun's spec that is allowed; Flows do so with
	// history.payloadTTLSeconds.
	// +optional
	State PayloadState `json:"state,omitempty"`

	// contentType is the request's Content-Type header, cut after 256 characters; absent when the
	// request had none. A longer one is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ContentType string `json:"contentType,omitempty"`

	// text is the body where that is valid UTF-8 and not longer than base64 once it is escaped for
	// JSON. A text of more than 1130496 bytes, or together with binary, is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1130496
	Text string `json:"text,omitempty"`

	// The schema has no format "byte", which is usual for []byte: the CEL of the API server takes
	// that for base64url, cannot evaluate a rule over a '+' or '/', and so would refuse every
	// update of the run, of its status and labels too.

	// binary is the body in base64 (RFC 4648, section 4) in every other case. Anything but base64,
	// more than 1130496 bytes once decoded, or binary together with text is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1507328
	// +kubebuilder:validation:Format=""
	// +kubebuilder:validation:XValidation:rule="self.size() % 4 == 0 && self.matches('^[A-Za-z0-9+/]+=?=?$')",message="binary must be base64: in one line, padded, and with '+' and '/' in the alphabet (RFC 4648, section 4)"
	// +kubebuilder:validation:XValidation:rule="!self.endsWith('=') || self.size() < 4 || self.substring(self.size() - 3).matches('^([AQgw]=|.[AEIMQUYcgkosw048])=$')",message="binary must be base64 as encoders write it: its last character has bits that belong to no byte and are not zero; encode the bytes again"
	Binary []byte `json:"binary,omitempty"`

	// size of the body in bytes: from 0 to 1130496. A size that is not that of text or binary is
	// refused, unless the payload is dropped.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1130496
	Size *int64 `json:"size,omitempty"`

	// sha256 of the body: 64 lower-case hexadecimal digits; anything else is refused. The API
	// server does not work it out for itself.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="sha256 must be 64 lower-case hexadecimal digits"
	SHA256 string `json:"sha256,omitempty"`
}

// Request is what is kept of the request besides its body.
type Request struct {
	// What the format date-time lets through and MicroTime cannot decode would break everybody who
	// lists FlowRuns; the pattern lets nothing of that through. It is the same for the times of the
	// status.

	// receivedAt is when the last byte of the request had arrived, by the clock of the ingest
	// server: an RFC 3339 time in UTC with six decimals, such as 2026-01-31T12:00:00.000000Z.
	// Anything else is refused.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$`
	ReceivedAt *metav1.MicroTime `json:"receivedAt,omitempty"`

	// deliveryID is the sender's id of the delivery, if it has one: at most 256 characters. A
	// longer one is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	DeliveryID string `json:"deliveryID,omitempty"`

	// signedBy names the key that the signature was made with: <Secret>/<entry>, at most 512
	// characters. Anything else is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-.a-z0-9]+/[-._a-zA-Z0-9]+$')",message="signedBy must be <Secret>/<entry>, such as orders-webhook/secretKey"
	SignedBy string `json:"signedBy,omitempty"`
}

// FlowRunSpec is the request that started the run. It cannot be changed, except that the payload is
// dropped.
type FlowRunSpec struct {
	// flowRef names the Flow that this is a run of.
	// +required
	FlowRef FlowReference `json:"flowRef,omitzero"`

	// triggerRef names the WebhookTrigger that accepted the request; absent from a run that was
	// made by hand.
	// +optional
	TriggerRef TriggerReference `json:"triggerRef,omitzero"`

	// payload is the body of the request, byte for byte.
	// +required
	Payload Payload `json:"payload,omitzero"`

	// request is what is kept of the request besides its body; absent from a run that was made by
	// hand.
	// +optional
	Request Request `json:"request,omitzero"`
}

// FlowRunStatus is how far the run has come.
//
// +kubebuilder:validation:MinProperties=1
type FlowRunStatus struct {
	// conditions of the run. A run that nobody executes has none. Succeeded says how the execution
	// ended: it is Unknown while the run is active, and True or False once it has finished.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// startTime is when the run was first acted on: an RFC 3339 time. Anything else is refused.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the run had succeeded or failed: an RFC 3339 time. Anything else is
	// refused. A run that has a status but no completionTime is active, and is not deleted.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// FlowRun is one request that passed its trigger's check. A sender gets a 2xx only once it is
// stored. It outlives its trigger. A FlowRun has no owner, so that deleting a trigger keeps its
// history.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fr,categories=sluice
// +kubebuilder:printcolumn:name="Flow",type=string,JSONPath=`.spec.flowRef.name`
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.triggerRef.name`
// +kubebuilder:printcolumn:name="Size",type=integer,JSONPath=`.spec.payload.size`
// +kubebuilder:printcolumn:name="Succeeded",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Content-Type",type=string,priority=1,JSONPath=`.spec.payload.contentType`
// +kubebuilder:printcolumn:name="Signed-By",type=string,priority=1,JSONPath=`.spec.request.signedBy`
// +kubebuilder:printcolumn:name="Payload",type=string,priority=1,JSONPath=`.spec.payload.state`
// +kubebuilder:printcolumn:name="Condition",type=string,priority=1,JSONPath=`.status.conditions[0].type`
// +kubebuilder:printcolumn:name="Started",type=string,priority=1,JSONPath=`.status.startTime`
// +kubebuilder:printcolumn:name="Completed",type=string,priority=1,JSONPath=`.status.completionTime`
type FlowRun struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. Sluice names a run <trigger>-<suffix>, at most 63
	// characters, with a suffix that sorts by time, and labels it with its trigger and Flow.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// The rule names every field. One that it left out could be changed while the payload is
	// dropped; a test goes through them.

	// spec is the request that started the run. It cannot be changed, except that the payload is
	// dropped.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf || (has(self.payload.state) && self.payload.state == 'Dropped' && self.payload.size == oldSelf.payload.size && self.payload.sha256 == oldSelf.payload.sha256 && has(self.payload.contentType) == has(oldSelf.payload.contentType) && (!has(self.payload.contentType) || self.payload.contentType == oldSelf.payload.contentType) && self.flowRef == oldSelf.flowRef && has(self.triggerRef) == has(oldSelf.triggerRef) && (!has(self.triggerRef) || self.triggerRef == oldSelf.triggerRef) && has(self.request) == has(oldSelf.request) && (!has(self.request) || self.request == oldSelf.request))",message="spec cannot be changed: a FlowRun is the record of one request; create another FlowRun instead. Only its payload can be dropped, for good: leave out text and binary, set payload.state to Dropped, and change nothing else"
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
