/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Algorithm names the hash function of an HMAC.
//
// +kubebuilder:validation:Enum=SHA-256;RIPEMD-128
type Algorithm string

const (
	// AlgorithmSHA256 is HMAC with SHA-256 (RFC 2104, FIPS 180-4): 32 bytes, 64 hexadecimal digits.
	AlgorithmSHA256 Algorithm = "SHA-256"
	// AlgorithmRIPEMD128 is HMAC with RIPEMD-128 (RFC 2286): 16 bytes, 32 hexadecimal digits.
	AlgorithmRIPEMD128 Algorithm = "RIPEMD-128"
)

// TriggerState says whether a WebhookTrigger accepts requests.
//
// +kubebuilder:validation:Enum=Active;Suspended
type TriggerState string

const (
	// TriggerActive means that requests with a right signature are accepted.
	TriggerActive TriggerState = "Active"
	// TriggerSuspended means that every request is answered 503 with Retry-After, whatever its signature.
	TriggerSuspended TriggerState = "Suspended"
)

// FlowReference names a Flow in the same namespace.
type FlowReference struct {
	// name of the Flow: at most 63 characters, lower-case letters, digits and '-'. A longer or otherwise malformed name
	// is refused; the name of a Flow that does not exist (yet) is accepted and reported in the condition ResolvedRefs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must be the name of a Flow: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names one entry of a Secret in the same namespace.
type SecretKeyReference struct {
	// name of the Secret: a DNS subdomain name of at most 253 characters. A malformed name is refused; the name of a
	// Secret that does not exist (yet) is accepted and reported in the condition ResolvedRefs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// key is the entry of the Secret's data whose bytes, exactly as they are, are the HMAC key: at most 253 letters,
	// digits, '-', '_' and '.'. There is no default. An entry that is missing, empty, blank or longer than 4096 bytes
	// is reported in the condition ResolvedRefs, and requests get 503 until it is mended.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="key must be a key of the Secret's data: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
}

// WebhookTriggerSpec says how a request must be signed, and what it starts.
type WebhookTriggerSpec struct {
	// flowRef names the Flow, in the namespace of the trigger, that an accepted request starts a run of. Required. May be
	// changed at any time: runs that exist keep the Flow they were made for. While the Flow is missing or Disabled,
	// requests get 503.
	// +required
	FlowRef FlowReference `json:"flowRef,omitzero"`

	// algorithm is the hash function of the HMAC that the sender makes over the request's body: SHA-256 or RIPEMD-128.
	// Required; there is no default. Another value is refused. May be changed at any time; requests signed with the
	// former one then get 401.
	// +required
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// secretRef names the Secret, in the namespace of the trigger, and its entry that holds the HMAC key. Required. The
	// bytes are used exactly as they are stored, a newline at the end included; the condition ResolvedRefs says so when
	// there is one.
	// +required
	SecretRef SecretKeyReference `json:"secretRef,omitzero"`

	// state is Active (the default) or Suspended. While it is Suspended every request gets 503 with Retry-After, so that
	// senders try again later.
	// +optional
	// +kubebuilder:default=Active
	State TriggerState `json:"state,omitempty"`
}

// WebhookTriggerStatus is what the controller found out about a WebhookTrigger. It is written by the elected leader
// alone.
//
// +kubebuilder:validation:MinProperties=1
type WebhookTriggerStatus struct {
	// conditions are Ready, Accepted and ResolvedRefs. Each has the generation that it was computed from.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status was computed from, and -1 before the controller
	// has seen the object.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// path is the path of the URL that the sender posts to: /hooks/<namespace>/<name>. It never changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Path string `json:"path,omitempty"`

	// url is the URL that the sender posts to. It is absent when the operator runs without --external-url; the path is
	// then all that it knows.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`
}

// WebhookTrigger accepts requests at /hooks/<namespace>/<name> that carry, in the header X-HMAC-HASH, the hexadecimal
// HMAC of their body made with the key of a Secret, and stores a FlowRun for each. Anybody may know the path; security
// rests on the signature.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wht,categories=sluice
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Flow",type=string,JSONPath=`.spec.flowRef.name`
// +kubebuilder:printcolumn:name="Path",type=string,JSONPath=`.status.path`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Algorithm",type=string,priority=1,JSONPath=`.spec.algorithm`
// +kubebuilder:printcolumn:name="URL",type=string,priority=1,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 63 lower-case letters, digits and '-', because the names and labels of its FlowRuns are made from it; choose a shorter name without '.'"
type WebhookTrigger struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name becomes part of the URL and of the FlowRuns' names: at most 63
	// lower-case letters, digits and '-'.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how a request must be signed, and what it starts.
	// +required
	Spec WebhookTriggerSpec `json:"spec,omitzero"`

	// status is what the controller found out. observedGeneration is -1 until it has looked, so that kstatus (kubectl
	// wait, Flux, Argo CD) reports a new trigger as in progress.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status WebhookTriggerStatus `json:"status,omitzero"`
}

// WebhookTriggerList is a list of WebhookTriggers.
//
// +kubebuilder:object:root=true
type WebhookTriggerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []WebhookTrigger `json:"items"`
}
