/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Algorithm names the hash function of an HMAC (RFC 2104).
//
// +kubebuilder:validation:Enum=SHA-1;SHA-256;SHA-384;SHA-512;SHA3-256;SHA3-512;RIPEMD-128;RIPEMD-160
type Algorithm string

// The algorithms, with the length of a signature in bytes; in hexadecimal it has twice as many
// digits.
const (
	AlgorithmSHA1      Algorithm = "SHA-1"      // 20 bytes; FIPS 180-4. Good for an HMAC, if for nothing else any more.
	AlgorithmSHA256    Algorithm = "SHA-256"    // 32 bytes; FIPS 180-4
	AlgorithmSHA384    Algorithm = "SHA-384"    // 48 bytes; FIPS 180-4
	AlgorithmSHA512    Algorithm = "SHA-512"    // 64 bytes; FIPS 180-4
	AlgorithmSHA3256   Algorithm = "SHA3-256"   // 32 bytes; FIPS 202
	AlgorithmSHA3512   Algorithm = "SHA3-512"   // 64 bytes; FIPS 202
	AlgorithmRIPEMD128 Algorithm = "RIPEMD-128" // 16 bytes; RFC 2286
	AlgorithmRIPEMD160 Algorithm = "RIPEMD-160" // 20 bytes; RFC 2286
)

// TriggerState says whether a WebhookTrigger accepts requests.
//
// +kubebuilder:validation:Enum=Active;Suspended
type TriggerState string

const (
	// TriggerActive means that requests with a right signature are accepted.
	TriggerActive TriggerState = "Active"
	// TriggerSuspended means that every request is answered 503 with Retry-After, whatever its
	// signature.
	TriggerSuspended TriggerState = "Suspended"
)

// FlowReference names a Flow in the same namespace.
type FlowReference struct {
	// name of the Flow: at most 63 lower-case letters, digits and '-'. A longer or otherwise
	// malformed name is refused; the name of a Flow that does not exist (yet) is accepted, and a
	// trigger reports it in its condition ResolvedRefs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must be the name of a Flow: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names one entry of a Secret in the same namespace.
type SecretKeyReference struct {
	// name of the Secret: a DNS subdomain name of at most 253 characters. A malformed name is
	// refused; the name of a Secret that does not exist (yet) is accepted and reported in the
	// condition ResolvedRefs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	Name string `json:"name,omitempty"`

	// key is the entry of the Secret's data whose bytes, exactly as they are, are the HMAC key: at
	// most 253 letters, digits, '-', '_' and '.', but neither '.' alone nor '..' at the beginning,
	// as for every Secret. There is no default. A malformed key is refused. An entry that is
	// missing, empty, blank or longer than 4096 bytes is reported in the condition ResolvedRefs,
	// and requests get 503 until it is mended.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="key must be a key of the Secret's data: letters, digits, '-', '_' and '.', but neither '.' alone nor '..' at the beginning"
	Key string `json:"key,omitempty"`
}

// RatePeriod is the time that a rate is counted over.
//
// +kubebuilder:validation:Enum=Second;Minute;Hour
type RatePeriod string

const (
	// PerSecond counts requests a second.
	PerSecond RatePeriod = "Second"
	// PerMinute counts requests a minute.
	PerMinute RatePeriod = "Minute"
	// PerHour counts requests an hour.
	PerHour RatePeriod = "Hour"
)

// Rate is how many requests are accepted in a period. It is a token bucket: it holds burst requests
// when it is full, and is filled again evenly.
type Rate struct {
	// requests is how many requests are accepted in a period, in the long run: from 1 to 1000000.
	// Required.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Requests int32 `json:"requests,omitempty"`

	// period is Second (the default), Minute or Hour. Another value is refused.
	// +optional
	// +kubebuilder:default=Second
	Period RatePeriod `json:"period,omitempty"`

	// burst is how many requests are accepted at once after a pause: from 1 to 1000000, and as many
	// as requests if it is absent.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Burst int32 `json:"burst,omitempty"`
}

// TriggerLimits bound what a trigger accepts. Each ingest replica keeps to rate and concurrency by
// itself, so that several together accept up to as many times as much.
//
// +kubebuilder:validation:MinProperties=1
type TriggerLimits struct {
	// rate of requests with a right signature; forged ones do not count. Further ones get 429 with
	// Retry-After. If it is absent there is no bound.
	// +optional
	Rate Rate `json:"rate,omitzero"`

	// concurrency is how many requests with a right signature may be on their way into the cluster
	// at a time: from 1 to
	// 1000. Further ones get 429 with Retry-After. If it is absent there is no bound but the
	//       server's.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Concurrency int32 `json:"concurrency,omitempty"`

	// maxBodyBytes is the longest body: from 1 to 1130496. Longer ones get 413. If it is absent, or
	// more than the server's --max-body-bytes, that is the bound.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1130496
	MaxBodyBytes int32 `json:"maxBodyBytes,omitempty"`
}

// Handshake is what Sluice needs in order to answer the handshake of a provider: the request by
// which it makes sure that somebody is there, before it sends anything else.
//
// +kubebuilder:validation:MinProperties=1
type Handshake struct {
	// verifyTokenRef names the Secret, in the namespace of the trigger, and its entry that holds
	// the verify token: the one that you enter at the provider, which shows it in its handshake.
	// Only for the provider Meta; with others it is refused, as is the reference of a key, since a
	// verify token travels in a URL and must be good for nothing else: it signs nothing. If it is
	// absent, or the entry is missing, empty, blank or longer than 4096 bytes, the handshake gets
	// 403, and the condition ResolvedRefs says so; deliveries are accepted all the same. The bytes
	// are compared exactly as they are stored, a newline at the end included.
	// +optional
	VerifyTokenRef SecretKeyReference `json:"verifyTokenRef,omitzero"`
}

// WebhookTriggerSpec says how a request must be signed, and what it starts.
//
// +kubebuilder:validation:XValidation:rule="[has(self.algorithm), has(self.provider), has(self.signature)].filter(x, x).size() == 1",message="set exactly one of algorithm (the default scheme), provider (a preset) and signature (a scheme of your own)"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source != 'Provider' || has(self.provider)",message="deduplication.source Provider needs provider"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source != 'Header' || has(self.deduplication.header) || (has(self.signature) && has(self.signature.idHeader))",message="deduplication.source Header needs deduplication.header"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || !has(self.deduplication.header) || !has(self.signature) || !has(self.signature.idHeader)",message="signature.idHeader is the delivery id already: leave deduplication.header out"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source in ['Provider', 'Header', 'None'] || !has(self.signature) || !has(self.signature.idHeader)",message="signature.idHeader is the delivery id already: deduplication.source must be Header or None"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source in ['Provider', 'None'] || !has(self.provider) || !(self.provider in ['GitLab', 'StandardWebhooks', 'StandardWebhooksEd25519', 'Svix'])",message="the provider signs the delivery id: deduplication.source must be Provider or None"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source != 'Signature' || !has(self.signature) || self.signature.algorithm != 'Token'",message="deduplication.source Signature is not for the algorithm Token: a token is the same in every request"
// +kubebuilder:validation:XValidation:rule="!has(self.deduplication) || self.deduplication.source != 'Signature' || !has(self.provider) || !(self.provider in ['AdyenStandard', 'GitLabToken', 'Mailgun'])",message="deduplication.source Signature is not for this provider, which has no signature in a header"
// +kubebuilder:validation:XValidation:rule="!has(self.additionalSecretRefs) || !self.additionalSecretRefs.exists(r, r.name == self.secretRef.name && r.key == self.secretRef.key)",message="additionalSecretRefs must not repeat secretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.handshake) || !has(self.handshake.verifyTokenRef) || (has(self.provider) && self.provider == 'Meta')",message="handshake.verifyTokenRef is for the provider Meta: no other has a verify token in its handshake"
// +kubebuilder:validation:XValidation:rule="!has(self.handshake) || !has(self.handshake.verifyTokenRef) || self.handshake.verifyTokenRef.name != self.secretRef.name || self.handshake.verifyTokenRef.key != self.secretRef.key",message="handshake.verifyTokenRef must not repeat secretRef: a verify token signs nothing, and travels in a URL"
// +kubebuilder:validation:XValidation:rule="!has(self.handshake) || !has(self.handshake.verifyTokenRef) || !has(self.additionalSecretRefs) || !self.additionalSecretRefs.exists(r, r.name == self.handshake.verifyTokenRef.name && r.key == self.handshake.verifyTokenRef.key)",message="handshake.verifyTokenRef must not repeat one of additionalSecretRefs: a verify token signs nothing, and travels in a URL"
type WebhookTriggerSpec struct {
	// flowRef names the Flow, in the namespace of the trigger, that an accepted request starts a
	// run of. Required. May be changed at any time: runs that exist keep the Flow they were made
	// for. While the Flow is missing or Disabled, requests get 503.
	// +required
	FlowRef FlowReference `json:"flowRef,omitzero"`

	// algorithm chooses the default scheme: the header X-HMAC-HASH holds the HMAC of the body in
	// hexadecimal, made with this hash function: SHA-256, RIPEMD-128, SHA-1, SHA-384, SHA-512,
	// SHA3-256, SHA3-512 or RIPEMD-160. Exactly one of algorithm, provider and signature is
	// required. Another value is refused. May be changed at any time; requests signed with the
	// former one then get 401.
	// +optional
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// provider chooses the scheme of a well-known sender, its handshake (see also handshake) and
	// delivery ids included. docs/providers.md lists them. Exactly one of algorithm, provider and
	// signature is required. Another value is refused.
	// +optional
	Provider Provider `json:"provider,omitempty"`

	// signature describes any other scheme. Exactly one of algorithm, provider and signature is
	// required.
	// +optional
	Signature SignatureScheme `json:"signature,omitzero"`

	// secretRef names the Secret, in the namespace of the trigger, and its entry that holds the
	// key. Required. The bytes are used exactly as they are stored, a newline at the end included;
	// the condition ResolvedRefs says so when there is one.
	// +required
	SecretRef SecretKeyReference `json:"secretRef,omitzero"`

	// additionalSecretRefs name up to 8 more keys that requests may be signed with, so that a key
	// can be replaced while senders still use the former one. One that is missing or unusable is
	// passed over and reported in the condition ResolvedRefs. status.keys says when each key was
	// last used.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	AdditionalSecretRefs []SecretKeyReference `json:"additionalSecretRefs,omitempty"`

	// handshake is what the handshake of the provider needs. If it is absent, handshakes that need
	// nothing are answered.
	// +optional
	Handshake Handshake `json:"handshake,omitzero"`

	// publicURL is the URL that the sender posts to, as it is configured there, for schemes that
	// sign the URL (Square, Twilio, HubSpot, Contentful, or a template with {url}). If it is absent
	// it is status.url. At most 1024 characters; http or https. If it has a query, a path has to
	// stand in front of it, and a request with another query, or none, gets 401. If it has none, a
	// request with a query is accepted only where what is signed tells the query from the body, as
	// it does if JSON comes next. So it is with the end of the URL, which that of another trigger
	// may go on from. It is ignored by other schemes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[][!$-.0-;=@-Z_a-z~]+(/[!$-;=@-Z_a-z~]*([?][][!$-;=?@-Z_a-z~]+)?)?$')",message="publicURL must be an http or https URL, without a fragment, and with a path in front of a query, such as https://hooks.example.com/hooks/shop/orders"
	PublicURL string `json:"publicURL,omitempty"`

	// deduplication says what makes two requests one delivery. If it is absent, the provider's
	// delivery id counts, where provider is set and its preset knows one; otherwise every request
	// becomes a FlowRun.
	// +optional
	Deduplication Deduplication `json:"deduplication,omitzero"`

	// limits bound the requests of this trigger, beside the limits of the server. If they are
	// absent only those hold.
	// +optional
	Limits TriggerLimits `json:"limits,omitzero"`

	// response overrides the answer to accepted requests. If it is absent they get 202 and JSON
	// that names the FlowRun.
	// +optional
	Response Response `json:"response,omitzero"`

	// state is Active (the default) or Suspended. While it is Suspended every request gets 503 with
	// Retry-After, so that senders try again later.
	// +optional
	// +kubebuilder:default=Active
	State TriggerState `json:"state,omitempty"`
}

// KeyStatus says when a key was last used.
type KeyStatus struct {
	// name of the key: <Secret>/<entry>.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`

	// lastMatchedTime is when the newest FlowRun that exists and was signed with the key was
	// received. It is brought up to date at most once a minute, and stays when the FlowRuns are
	// deleted. Absent if there was none.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	LastMatchedTime *metav1.Time `json:"lastMatchedTime,omitempty"`
}

// WebhookTriggerStatus is what the controller found out about a WebhookTrigger. It is written by
// the elected leader alone.
//
// +kubebuilder:validation:MinProperties=1
type WebhookTriggerStatus struct {
	// conditions are Ready, Accepted and ResolvedRefs. Each has the generation that it was computed
	// from.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status was computed from, and -1
	// before the controller has seen the object.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`

	// path is the path of the URL that the sender posts to: /hooks/<namespace>/<name>. It never
	// changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Path string `json:"path,omitempty"`

	// keys are the keys that requests may be signed with, and when each was last used.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	Keys []KeyStatus `json:"keys,omitempty"`

	// url is the URL that the sender posts to. It is absent when the operator runs without
	// --external-url; the path is then all that it knows.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`
}

// WebhookTrigger accepts requests at /hooks/<namespace>/<name> that are signed with a key of a
// Secret, and stores a FlowRun for each. By default the header X-HMAC-HASH carries the hexadecimal
// HMAC of the body. Anybody may know the path; security rests on the signature.
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
// +kubebuilder:printcolumn:name="Provider",type=string,priority=1,JSONPath=`.spec.provider`
// +kubebuilder:printcolumn:name="URL",type=string,priority=1,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 63 lower-case letters, digits and '-', because the names and labels of its FlowRuns are made from it; choose a shorter name without '.'"
type WebhookTrigger struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name becomes part of the URL and of the
	// FlowRuns' names: at most 63 lower-case letters, digits and '-'.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how a request must be signed, and what it starts.
	// +required
	Spec WebhookTriggerSpec `json:"spec,omitzero"`

	// status is what the controller found out. observedGeneration is -1 until it has looked, so
	// that kstatus (kubectl wait, Flux, Argo CD) reports a new trigger as in progress.
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
