/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/translation"
)

// Gatherer reads the Inputs of triggers.
type Gatherer struct {
	// Cached reads Flows, from a cache.
	Cached client.Reader
	// Live reads Secrets, from the API server: no cache holds their data.
	Live client.Reader
	// SecretSelector is which labels a Secret must have; others do not exist as far as Sluice is concerned.
	SecretSelector labels.Selector
	// ExternalURL is what senders put before a trigger's path; empty if it is not known.
	ExternalURL string
}

// The Secrets that triggers refer to, and no others.
//
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get,roleName=sluice-ingest
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get,roleName=sluice-controller

// Gather reads what the trigger refers to. That something does not exist is no error; that the API server cannot say
// whether it does, is.
func (g Gatherer) Gather(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) (Inputs, error) {
	return g.gather(ctx, trigger, g.secret)
}

// gather is Gather with another way to read a Secret.
func (g Gatherer) gather(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, read func(ctx context.Context, namespace, name string) (*corev1.Secret, error)) (Inputs, error) {
	in := Inputs{Trigger: trigger, SecretSelector: g.SecretSelector.String(), ExternalURL: g.ExternalURL}
	flow := &sluicev1alpha1.Flow{}
	found, err := get(ctx, g.Cached, trigger.Namespace, trigger.Spec.FlowRef.Name, flow)
	if err != nil {
		return Inputs{}, fmt.Errorf("read Flow %q: %w", trigger.Spec.FlowRef.Name, err)
	}
	if found {
		in.Flow = flow
	}
	in.Secrets = make(map[string]*corev1.Secret, 1)
	for _, name := range translation.SecretNames(trigger) {
		secret, err := read(ctx, trigger.Namespace, name)
		if err != nil {
			return Inputs{}, fmt.Errorf("read Secret %q: %w", name, err)
		}
		if secret != nil {
			in.Secrets[name] = secret
		}
	}
	return in, nil
}

// secret reads a Secret; it is nil if there is none. Where labels are asked for it is a list of at most one, because only
// a list lets the API server look at them: what does not have them is never sent.
func (g Gatherer) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	if g.SecretSelector == nil || g.SecretSelector.Empty() {
		secret := &corev1.Secret{}
		if found, err := get(ctx, g.Live, namespace, name, secret); err != nil || !found {
			return nil, err
		}
		return secret, nil
	}
	var secrets corev1.SecretList
	err := g.Live.List(ctx, &secrets, client.InNamespace(namespace),
		client.MatchingFields{metav1.ObjectNameField: name}, client.MatchingLabelsSelector{Selector: g.SecretSelector})
	if err != nil || len(secrets.Items) == 0 {
		return nil, err
	}
	return &secrets.Items[0], nil
}

// get reads an object and says whether it exists. A name that none can have, which another version of the
// CustomResourceDefinition may have let through, is refused by the client: it would be an error for good.
func get(ctx context.Context, reader client.Reader, namespace, name string, object client.Object) (bool, error) {
	if name == "" || len(content.IsPathSegmentName(name)) > 0 {
		return false, nil
	}
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
