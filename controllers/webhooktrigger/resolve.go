/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/kube/tolerant"
	"github.com/sluice-dev/sluice/internal/translation"
)

// maxMessage is the length of the longest message that a condition can have.
const maxMessage = 32 << 10

// A Snapshot is everything that a trigger's state follows from, as read at one time. Its objects
// are not changed.
type Snapshot struct {
	// Trigger is the trigger itself.
	Trigger *sluicev1alpha1.WebhookTrigger
	// Flow is the one that spec.flowRef names; nil if there is none.
	Flow *sluicev1alpha1.Flow
	// Secrets are those that secret references name, by name. One that does not exist is missing.
	Secrets map[string]*corev1.Secret
	// SecretSelector is which labels a Secret must have to be among them; empty for none.
	SecretSelector string
	// ExternalURL is what senders put before the trigger's path; empty if it is not known.
	ExternalURL string
}

func (in Snapshot) revision() string {
	var flow *metav1.ObjectMeta
	if in.Flow != nil {
		flow = &in.Flow.ObjectMeta
	}
	return revision(in.Trigger, flow, func(name string) *metav1.ObjectMeta {
		if secret := in.Secrets[name]; secret != nil {
			return &secret.ObjectMeta
		}
		return nil
	})
}

// A Resolution is what follows from a Snapshot.
type Resolution struct {
	// Route is what to serve. Its Verifier is nil exactly when Ready is not True.
	Route *route.Route
	// Conditions are Ready, Accepted and ResolvedRefs, without times.
	Conditions []metav1.Condition
}

// problem is why a trigger cannot accept requests: the reason and message of a condition.
type problem struct{ reason, message string }

// problemOf makes a problem of an error of package translation.
func problemOf(err error) *problem {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*translation.Error](err); ok {
		return &problem{e.Reason, e.Message}
	}
	return &problem{sluicev1alpha1.ReasonInvalidSpec, "The trigger cannot be translated."} // there is no such error
}

// Resolve works out what to serve for a trigger and what to report of it. It is pure: equal
// snapshots give equal conditions, and routes that accept the same requests.
func Resolve(in Snapshot) Resolution {
	trigger := in.Trigger
	translated, err := translation.Translate(trigger, in.ExternalURL)
	scheme, r := translated.Scheme, translated.Route
	r.Revision = in.revision()

	unaccepted := problemOf(err)
	if p := checkSpec(trigger); p != nil {
		unaccepted = p
	}
	var accepted *signature.Scheme
	if unaccepted == nil {
		accepted = &scheme
	}
	keys, unresolved, skipped, remarks := checkRefs(in, accepted)
	verifyToken, unshaken, remark := checkVerifyToken(in, scheme, accepted != nil)
	remarks = append(remarks, remark...)
	if skipped == nil {
		skipped = unshaken
	} else if unshaken != nil {
		skipped.message += " " + unshaken.message
	}
	if scheme.Algorithm == signature.Token {
		remarks = append([]string{"A token is no signature: it does not protect the body, and whoever sees one request can send others."}, remarks...)
	}
	remarks = append(remarks, translated.Remarks...)

	ready := unaccepted
	if ready == nil {
		ready = unresolved
	}
	if ready == nil {
		ready = checkState(in)
	}
	if ready == nil {
		verifier, err := signature.NewVerifier(scheme, keys...)
		if err != nil { // the checks leave no way to get here; without a verifier nothing is accepted
			ready = &problem{sluicev1alpha1.ReasonInvalidScheme, fmt.Sprintf("Signatures cannot be checked: %v.", err)}
		}
		r.Verifier = verifier
		if verifier != nil && len(verifyToken.Secret) > 0 {
			r.Verifier = verifier.WithVerifyToken(verifyToken)
		}
	}
	if ready != nil {
		r.Unavailable = ready.reason
	}

	said := strings.Join(remarks, " ")
	resolvedReason := sluicev1alpha1.ReasonResolvedRefs
	if skipped != nil {
		resolvedReason = skipped.reason
		said = join(skipped.message, said)
	}
	return Resolution{
		Route: r,
		Conditions: []metav1.Condition{
			condition(trigger, sluicev1alpha1.ConditionReady, ready, sluicev1alpha1.ReasonReady,
				join("Requests with a valid signature start the Flow.", said)),
			condition(trigger, sluicev1alpha1.ConditionAccepted, unaccepted, sluicev1alpha1.ReasonAccepted,
				"The spec is valid."),
			condition(trigger, sluicev1alpha1.ConditionResolvedRefs, unresolved, resolvedReason,
				join("The Flow and a key are there.", said)),
		},
	}
}

// checkRefs returns the keys, what is wrong with the objects that the spec refers to, which
// additional keys are skipped and why, and remarks on the keys. If several things are wrong, all
// are in the message, under the reason of the first. scheme is nil if the spec is not accepted:
// there are no keys then, and the content of Secrets is not evaluated. The messages are for whoever
// may write triggers, who may lack the permission to read Secrets; the checks of the scheme bound
// what it can reveal of them.
func checkRefs(in Snapshot, scheme *signature.Scheme) (keys []signature.Key, wrong, skipped *problem, remarks []string) {
	var found, passed []problem
	switch {
	case in.Flow == nil:
		found = append(found, problem{sluicev1alpha1.ReasonFlowNotFound,
			fmt.Sprintf("There is no Flow %q in this namespace; create it or correct spec.flowRef.name.", in.Trigger.Spec.FlowRef.Name)})
	case in.Flow.DeletionTimestamp != nil:
		found = append(found, problem{sluicev1alpha1.ReasonFlowNotFound,
			fmt.Sprintf("The Flow %q is being deleted; create it again when it is gone, or correct spec.flowRef.name.", in.Flow.Name)})
	}
	for i, ref := range translation.KeyRefs(in.Trigger) {
		secret, p, remark := checkKey(in, ref, scheme)
		switch {
		case p == nil && scheme == nil:
			// there is something, whatever it is
		case p == nil:
			keys = append(keys, signature.Key{Name: translation.KeyName(ref), Secret: secret})
			remarks = append(remarks, remark...)
		case i == 0:
			found = append(found, *p)
		default:
			passed = append(passed, problem{p.reason, "This additional key is passed over: " + p.message})
		}
	}
	if scheme == nil {
		remarks = []string{"Whether the key can be used is said once the spec is accepted."}
	}
	return keys, merge(found), merge(passed), remarks
}

// merge makes one problem of several.
func merge(found []problem) *problem {
	if len(found) == 0 {
		return nil
	}
	messages := make([]string, len(found))
	for i := range found {
		messages[i] = found[i].message
	}
	return &problem{found[0].reason, strings.Join(messages, " ")}
}

// checkKey finds the key of a reference, see translation.Key.
func checkKey(in Snapshot, ref sluicev1alpha1.SecretKeyReference, scheme *signature.Scheme) (key []byte, p *problem, remarks []string) {
	secret := in.Secrets[ref.Name]
	if secret == nil {
		message := fmt.Sprintf("There is no Secret %q in this namespace; create it or correct the reference.", ref.Name)
		if in.SecretSelector != "" {
			message = fmt.Sprintf("There is no Secret %q in this namespace that Sluice may use; create it, label it so that %q selects it, or correct the reference.", ref.Name, in.SecretSelector)
		}
		return nil, &problem{sluicev1alpha1.ReasonSecretNotFound, message}, nil
	}
	if secret.DeletionTimestamp != nil { // who deletes a key wants it to be good no longer, whatever finalizer holds it
		return nil, &problem{sluicev1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("The Secret %q is being deleted; create it again when it is gone, or correct the reference.", ref.Name)}, nil
	}
	key, remarks, err := translation.Key(ref, secret.Data, scheme)
	return key, problemOf(err), remarks
}

// checkSpec finds what the API server lets nobody store, but hands out if it was stored under
// another version of the CustomResourceDefinition. What is not listed here ends as a reference to
// nothing, or as a scheme that is not valid.
func checkSpec(trigger *sluicev1alpha1.WebhookTrigger) *problem {
	const why = "the trigger was stored under another version of its CustomResourceDefinition. Apply it again, as this version has it."
	spec := &trigger.Spec
	switch {
	case tolerant.HasUndecodableSpec(trigger):
		return &problem{sluicev1alpha1.ReasonInvalidSpec, "The spec cannot be read: " + why}
	case spec.State != sluicev1alpha1.TriggerActive && spec.State != sluicev1alpha1.TriggerSuspended && spec.State != "":
		return &problem{sluicev1alpha1.ReasonInvalidSpec, "spec.state is neither Active nor Suspended: " + why}
	case spec.Response.Status != 0 && spec.Response.Status/100 != 2: // net/http panics at some
		return &problem{sluicev1alpha1.ReasonInvalidSpec, "spec.response.status is not from 200 to 299: " + why}
	}
	return nil
}

// checkState finds out whether someone has switched the trigger or its Flow off.
func checkState(in Snapshot) *problem {
	if in.Trigger.Spec.State == sluicev1alpha1.TriggerSuspended {
		return &problem{sluicev1alpha1.ReasonSuspended, "spec.state is Suspended: requests get 503 until it is Active."}
	}
	switch state := in.Flow.Spec.State; {
	case tolerant.HasUndecodableSpec(in.Flow), state != sluicev1alpha1.FlowEnabled && state != sluicev1alpha1.FlowDisabled && state != "":
		return &problem{sluicev1alpha1.ReasonFlowDisabled, fmt.Sprintf("The Flow %q does not count as Enabled, because its spec cannot be read: "+
			"it was stored under another version of its CustomResourceDefinition. Apply it again, as this version has it.", in.Flow.Name)}
	case state == sluicev1alpha1.FlowDisabled:
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
	c.Message = bounded(c.Message, maxMessage)
	return c
}

// bounded cuts a text that is longer than the limit in bytes.
func bounded(text string, limit int) string {
	const cut = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(cut)], "") + cut
}

func join(sentence, remark string) string {
	if remark == "" {
		return sentence
	}
	return sentence + " " + remark
}

// revision names the states of the objects. Metadata of the Flow and the Secrets is enough for it,
// so that it can be worked out from caches; nil stands for an object that does not exist.
func revision(trigger *sluicev1alpha1.WebhookTrigger, flow *metav1.ObjectMeta, secret func(name string) *metav1.ObjectMeta) string {
	b := fmt.Appendf(nil, "trigger %s/%d", trigger.UID, trigger.Generation)
	if flow != nil {
		b = fmt.Appendf(b, " flow %s/%d", flow.UID, flow.Generation) // to be deleted makes a generation, too
	}
	for _, name := range translation.SecretNames(trigger) {
		if meta := secret(name); meta != nil { // Secrets have no generation
			b = fmt.Appendf(b, " secret %s/%s", meta.UID, meta.ResourceVersion)
		}
	}
	return string(b)
}
