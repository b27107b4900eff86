/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const (
	// maxKeyBytes bounds what a trigger can make every replica hold. A key longer than the hash's block (64 bytes) is
	// hashed first anyway (RFC 2104, section 2), so nothing is gained by one.
	maxKeyBytes = 4096
	// weakKeyBytes is the length of a key under which the condition message advises a longer one: 128 bits.
	weakKeyBytes = 16
)

// Inputs are all that a trigger's state follows from. The objects are not changed.
type Inputs struct {
	// Trigger is the trigger itself.
	Trigger *sluicev1alpha1.WebhookTrigger
	// Flow is the one that spec.flowRef names; nil if there is none.
	Flow *sluicev1alpha1.Flow
	// Secret is the one that spec.secretRef names; nil if there is none.
	Secret *corev1.Secret
}

func (in Inputs) revision() string {
	var flow, secret *metav1.ObjectMeta
	if in.Flow != nil {
		flow = &in.Flow.ObjectMeta
	}
	if in.Secret != nil {
		secret = &in.Secret.ObjectMeta
	}
	return revision(in.Trigger, flow, secret)
}

// Resolution is what follows from Inputs.
type Resolution struct {
	// Route is what to serve. Its Verifier is nil exactly when Ready is not True.
	Route *route.Route
	// Conditions are Ready, Accepted and ResolvedRefs, without times.
	Conditions []metav1.Condition
}

// problem is why a trigger cannot accept requests: the reason and message of a condition.
type problem struct{ reason, message string }

// Resolve works out what to serve for a trigger and what to report of it. It is pure: equal inputs give equal
// conditions, and routes that accept the same requests.
func Resolve(in Inputs) Resolution {
	trigger := in.Trigger
	unaccepted := checkSpec(trigger)
	unresolved, remark := checkRefs(in)

	ready := unaccepted
	if ready == nil {
		ready = unresolved
	}
	if ready == nil {
		ready = checkState(in)
	}

	r := &route.Route{
		Namespace: trigger.Namespace,
		Name:      trigger.Name,
		UID:       string(trigger.UID),
		Flow:      trigger.Spec.FlowRef.Name,
		Revision:  in.revision(),
	}
	if ready == nil {
		ref := trigger.Spec.SecretRef
		verifier, err := signature.NewVerifier(
			signature.Scheme{Algorithm: signature.Algorithm(trigger.Spec.Algorithm)},
			signature.Key{Name: ref.Name + "/" + ref.Key, Secret: in.Secret.Data[ref.Key]},
		)
		if err != nil { // checkSpec and checkRefs leave no way to get here; without a verifier nothing is accepted
			ready = &problem{sluicev1alpha1.ReasonUnsupportedAlgorithm, fmt.Sprintf("The signature cannot be checked: %v.", err)}
		}
		r.Verifier = verifier
	}
	if ready != nil {
		r.Unavailable = ready.reason
	}

	return Resolution{
		Route: r,
		Conditions: []metav1.Condition{
			condition(trigger, sluicev1alpha1.ConditionReady, ready, sluicev1alpha1.ReasonReady,
				join("Requests with a valid signature start the Flow.", remark)),
			condition(trigger, sluicev1alpha1.ConditionAccepted, unaccepted, sluicev1alpha1.ReasonAccepted,
				"The spec is valid."),
			condition(trigger, sluicev1alpha1.ConditionResolvedRefs, unresolved, sluicev1alpha1.ReasonResolvedRefs,
				join("The Flow and the Secret's key are there.", remark)),
		},
	}
}

// checkSpec finds what is wrong with the spec alone. The API server has seen to most of it; what is left is a
// CustomResourceDefinition that is newer than this program.
func checkSpec(trigger *sluicev1alpha1.WebhookTrigger) *problem {
	if !signature.Algorithm(trigger.Spec.Algorithm).Supported() {
		return &problem{sluicev1alpha1.ReasonUnsupportedAlgorithm,
			fmt.Sprintf("This version of Sluice does not know the algorithm %q; upgrade it, or choose another algorithm.", trigger.Spec.Algorithm)}
	}
	return nil
}

// checkRefs finds what is wrong with the objects that the spec refers to, and otherwise returns a remark on the key, if there is
// one to make. Several things that are wrong are all in the message, under the reason of the first.
func checkRefs(in Inputs) (*problem, string) {
	var found []problem
	if in.Flow == nil {
		found = append(found, problem{sluicev1alpha1.ReasonFlowNotFound,
			fmt.Sprintf("There is no Flow %q in this namespace; create it or correct spec.flowRef.name.", in.Trigger.Spec.FlowRef.Name)})
	}
	p, remark := checkKey(in.Trigger.Spec.SecretRef, in.Secret)
	if p != nil {
		found = append(found, *p)
	}
	if len(found) == 0 {
		return nil, remark
	}
	messages := make([]string, len(found))
	for i := range found {
		messages[i] = found[i].message
	}
	return &problem{found[0].reason, strings.Join(messages, " ")}, ""
}

func checkKey(ref sluicev1alpha1.SecretKeyReference, secret *corev1.Secret) (*problem, string) {
	if secret == nil {
		return &problem{sluicev1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("There is no Secret %q in this namespace; create it or correct spec.secretRef.name.", ref.Name)}, ""
	}
	key, ok := secret.Data[ref.Key]
	switch {
	case !ok:
		return &problem{sluicev1alpha1.ReasonSecretKeyNotFound,
			fmt.Sprintf("The Secret %q has no key %q; add it or correct spec.secretRef.key.", ref.Name, ref.Key)}, ""
	case signature.Blank(key):
		return &problem{sluicev1alpha1.ReasonSecretKeyEmpty,
			fmt.Sprintf("The key %q of the Secret %q is empty or white space; anybody could sign with it. Store a key there.", ref.Key, ref.Name)}, ""
	case len(key) > maxKeyBytes:
		return &problem{sluicev1alpha1.ReasonSecretKeyTooLong,
			fmt.Sprintf("The key %q of the Secret %q is longer than %d bytes; is it the right one?", ref.Key, ref.Name, maxKeyBytes)}, ""
	}
	var remarks []string
	if last := key[len(key)-1]; last == '\n' || last == '\r' {
		remarks = append(remarks, fmt.Sprintf("The key %q of the Secret %q ends in a newline, which is part of the key; if signatures do not match, store it without (printf instead of echo).", ref.Key, ref.Name))
	}
	if len(key) < weakKeyBytes {
		remarks = append(remarks, fmt.Sprintf("The key %q of the Secret %q is weak: shorter than %d bytes. Use a longer random one.", ref.Key, ref.Name, weakKeyBytes))
	}
	return nil, strings.Join(remarks, " ")
}

// checkState finds out whether someone has switched the trigger or its Flow off.
func checkState(in Inputs) *problem {
	switch {
	case in.Trigger.Spec.State == sluicev1alpha1.TriggerSuspended:
		return &problem{sluicev1alpha1.ReasonSuspended, "spec.state is Suspended: requests get 503 until it is Active."}
	case in.Flow.Spec.State == sluicev1alpha1.FlowDisabled:
		return &problem{sluicev1alpha1.ReasonFlowDisabled,
			fmt.Sprintf("The Flow %q is Disabled: requests get 503 until it is Enabled.", in.Flow.Name)}
	}
	return nil
}

func condition(trigger *sluicev1alpha1.WebhookTrigger, kind string, p *problem, reason, message string) metav1.Condition {
	c := metav1.Condition{
		Type:               kind,
		Status:             metav1.ConditionTrue,
		ObservedGeneration: trigger.Generation,
		Reason:             reason,
		Message:            message,
	}
	if p != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, p.reason, p.message
	}
	return c
}

func join(sentence, remark string) string {
	if remark == "" {
		return sentence
	}
	return sentence + " " + remark
}

// revision names the states of the three objects. Metadata of the Flow and the Secret is enough for it, so that it can be
// worked out from caches; nil stands for an object that does not exist.
func revision(trigger *sluicev1alpha1.WebhookTrigger, flow, secret *metav1.ObjectMeta) string {
	b := fmt.Appendf(nil, "trigger %s/%d", trigger.UID, trigger.Generation)
	if flow != nil {
		b = fmt.Appendf(b, " flow %s/%d", flow.UID, flow.Generation)
	}
	if secret != nil { // Secrets have no generation
		b = fmt.Appendf(b, " secret %s/%s", secret.UID, secret.ResourceVersion)
	}
	return string(b)
}
