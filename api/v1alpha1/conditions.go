/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

// The condition types of a WebhookTrigger.
const (
	// ConditionReady sums up the others: True means that the trigger is valid, that all it refers
	// to is there, and that a request with a right signature is accepted. It does not mean that
	// every ingest replica has loaded the trigger yet; that takes well under a second.
	//
	// Reasons when True: Ready. When False: Suspended, FlowDisabled, or the reason of the condition
	// that is False.
	ConditionReady = "Ready"

	// ConditionAccepted says whether Sluice can work with the spec as it is.
	//
	// Reasons when True: Accepted. When False: InvalidSpec, InvalidScheme, PublicURLMissing.
	ConditionAccepted = "Accepted"

	// ConditionResolvedRefs says whether what the spec refers to exists and can be used.
	//
	// Reasons when True: ResolvedRefs. When False: FlowNotFound, SecretNotFound, SecretKeyNotFound,
	// SecretKeyEmpty, SecretKeyMalformed, SecretKeyTooLong. When True while an additional key or
	// the verify token is passed over: the reason why.
	ConditionResolvedRefs = "ResolvedRefs"
)

// ConditionSucceeded is the condition type of a FlowRun that says how its execution ended. Whoever
// executes runs sets it: Unknown while the run is active, True or False once it has finished,
// together with status.completionTime. A run with a status but without a completionTime is active,
// and is not deleted.
const ConditionSucceeded = "Succeeded"

// The reasons of a WebhookTrigger's conditions.
const (
	// ReasonReady is the reason of Ready=True.
	ReasonReady = "Ready"
	// ReasonAccepted is the reason of Accepted=True.
	ReasonAccepted = "Accepted"
	// ReasonResolvedRefs is the reason of ResolvedRefs=True.
	ReasonResolvedRefs = "ResolvedRefs"

	// ReasonSuspended means that spec.state is Suspended: requests get 503.
	ReasonSuspended = "Suspended"
	// ReasonFlowDisabled means that the Flow's spec.state is Disabled: requests get 503.
	ReasonFlowDisabled = "FlowDisabled"
	// ReasonInvalidSpec means that the spec cannot be read, or has a value that this version of the
	// CustomResourceDefinition does not allow: the trigger was stored under another.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInvalidScheme means that this version of Sluice cannot work with the signature scheme,
	// because the CustomResourceDefinition is newer than the operator, or with the delivery id for
	// that scheme; or that the trigger was stored with a secretPrefix that is not allowed any more.
	ReasonInvalidScheme = "InvalidScheme"
	// ReasonPublicURLMissing means that the scheme signs the URL, and that neither spec.publicURL
	// nor --external-url says what the URL is.
	ReasonPublicURLMissing = "PublicURLMissing"
	// ReasonFlowNotFound means that spec.flowRef names no Flow of this namespace, or one that is
	// being deleted.
	ReasonFlowNotFound = "FlowNotFound"
	// ReasonSecretNotFound means that spec.secretRef.name names no Secret of this namespace, one
	// that is being deleted, or one without the labels that the operator asks for.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyNotFound means that the Secret has no entry spec.secretRef.key.
	ReasonSecretKeyNotFound = "SecretKeyNotFound"
	// ReasonSecretKeyEmpty means that the entry is empty or nothing but white space: anybody could
	// sign with it.
	ReasonSecretKeyEmpty = "SecretKeyEmpty"
	// ReasonSecretKeyMalformed means that the entry is not encoded as the scheme says, or is no
	// public key where the algorithm is Ed25519.
	ReasonSecretKeyMalformed = "SecretKeyMalformed"
	// ReasonSecretKeyTooLong means that the entry is longer than 4096 bytes.
	ReasonSecretKeyTooLong = "SecretKeyTooLong"
)
