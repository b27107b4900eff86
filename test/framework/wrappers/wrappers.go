/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package wrappers

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// What objects are called if a test does not say otherwise.
const (
	FlowName   = "import-orders"
	SecretName = "orders-webhook"
	SecretKey  = "secretKey"
)

// emptyDigest is the SHA-256 of nothing.
const emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TriggerWrapper builds a WebhookTrigger.
type TriggerWrapper struct {
	trigger *sluicev1alpha1.WebhookTrigger
}

// Trigger is a trigger of FlowName with the default scheme, SHA-256, and the key SecretKey of
// SecretName.
func Trigger(namespace, name string) *TriggerWrapper {
	return &TriggerWrapper{&sluicev1alpha1.WebhookTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: sluicev1alpha1.WebhookTriggerSpec{
			FlowRef:   sluicev1alpha1.FlowReference{Name: FlowName},
			Algorithm: sluicev1alpha1.AlgorithmSHA256,
			SecretRef: sluicev1alpha1.SecretKeyReference{Name: SecretName, Key: SecretKey},
		},
	}}
}

// Flow sets the Flow that is started.
func (w *TriggerWrapper) Flow(name string) *TriggerWrapper {
	w.trigger.Spec.FlowRef.Name = name
	return w
}

// Secret sets the Secret and its entry that is the key.
func (w *TriggerWrapper) Secret(name, key string) *TriggerWrapper {
	w.trigger.Spec.SecretRef = sluicev1alpha1.SecretKeyReference{Name: name, Key: key}
	return w
}

// Algorithm chooses the default scheme with that algorithm, instead of any other scheme.
func (w *TriggerWrapper) Algorithm(algorithm sluicev1alpha1.Algorithm) *TriggerWrapper {
	return w.scheme(algorithm, "", sluicev1alpha1.SignatureScheme{})
}

// Provider chooses that preset, instead of any other scheme.
func (w *TriggerWrapper) Provider(provider sluicev1alpha1.Provider) *TriggerWrapper {
	return w.scheme("", provider, sluicev1alpha1.SignatureScheme{})
}

// Signature chooses a scheme of one's own, instead of any other.
func (w *TriggerWrapper) Signature(signature sluicev1alpha1.SignatureScheme) *TriggerWrapper {
	return w.scheme("", "", signature)
}

// scheme keeps the rule that there is one of the three.
func (w *TriggerWrapper) scheme(algorithm sluicev1alpha1.Algorithm, provider sluicev1alpha1.Provider, signature sluicev1alpha1.SignatureScheme) *TriggerWrapper {
	w.trigger.Spec.Algorithm, w.trigger.Spec.Provider, w.trigger.Spec.Signature = algorithm, provider, signature
	return w
}

// Deduplication sets what makes two requests one delivery.
func (w *TriggerWrapper) Deduplication(deduplication sluicev1alpha1.Deduplication) *TriggerWrapper {
	w.trigger.Spec.Deduplication = deduplication
	return w
}

// Limits sets the limits of the trigger's requests.
func (w *TriggerWrapper) Limits(limits sluicev1alpha1.TriggerLimits) *TriggerWrapper {
	w.trigger.Spec.Limits = limits
	return w
}

// State sets whether the trigger is suspended.
func (w *TriggerWrapper) State(state sluicev1alpha1.TriggerState) *TriggerWrapper {
	w.trigger.Spec.State = state
	return w
}

// Obj returns the trigger.
func (w *TriggerWrapper) Obj() *sluicev1alpha1.WebhookTrigger { return w.trigger }

// FlowWrapper builds a Flow.
type FlowWrapper struct{ flow *sluicev1alpha1.Flow }

// Flow is a Flow that says nothing.
func Flow(namespace, name string) *FlowWrapper {
	return &FlowWrapper{&sluicev1alpha1.Flow{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}}
}

// State sets whether the Flow is disabled.
func (w *FlowWrapper) State(state sluicev1alpha1.FlowState) *FlowWrapper {
	w.flow.Spec.State = state
	return w
}

// Obj returns the Flow.
func (w *FlowWrapper) Obj() *sluicev1alpha1.Flow { return w.flow }

// FlowRunWrapper builds a FlowRun.
type FlowRunWrapper struct{ run *sluicev1alpha1.FlowRun }

// FlowRun is a run of FlowName with an empty payload, as somebody may make it by hand.
func FlowRun(namespace, name string) *FlowRunWrapper {
	return &FlowRunWrapper{&sluicev1alpha1.FlowRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: sluicev1alpha1.FlowRunSpec{
			FlowRef: sluicev1alpha1.FlowReference{Name: FlowName},
			Payload: sluicev1alpha1.Payload{Size: new(int64), SHA256: emptyDigest},
		},
	}}
}

// Flow sets the Flow that the run is one of.
func (w *FlowRunWrapper) Flow(name string) *FlowRunWrapper {
	w.run.Spec.FlowRef.Name = name
	return w
}

// Trigger sets the trigger that has accepted the request.
func (w *FlowRunWrapper) Trigger(name string) *FlowRunWrapper {
	w.run.Spec.TriggerRef.Name = name
	return w
}

// Payload sets the body that was received, and what is known of it.
func (w *FlowRunWrapper) Payload(payload sluicev1alpha1.Payload) *FlowRunWrapper {
	w.run.Spec.Payload = payload
	return w
}

// Obj returns the run.
func (w *FlowRunWrapper) Obj() *sluicev1alpha1.FlowRun { return w.run }

// Secret is a Secret with that entry.
func Secret(namespace, name, key, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{key: []byte(value)}}
}
