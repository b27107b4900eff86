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

// A ReferenceLoader reads the objects that triggers refer to.
type ReferenceLoader struct {
	// Cached reads Flows, from a cache.
	Cached client.Reader
	// Live reads Secrets, from the API server: no cache holds their data.
	Live client.Reader
	// SecretSelector is which labels a Secret must have; others count as missing.
	SecretSelector labels.Selector
	// ExternalURL is what senders put before a trigger's path; empty if it is not known.
	ExternalURL string
}

// The Secrets that triggers refer to, and no others.
//
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get,roleName=sluice-ingest
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=get,roleName=sluice-controller

// Load reads what the trigger refers to. That something does not exist is no error; that the API
// server cannot say whether it does, is.
func (l ReferenceLoader) Load(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) (Snapshot, error) {
	return l.loadWith(ctx, trigger, l.secret)
}

// loadWith is Load with another way to read a Secret.
func (l ReferenceLoader) loadWith(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, read func(ctx context.Context, namespace, name string) (*corev1.Secret, error)) (Snapshot, error) {
	in := Snapshot{Trigger: trigger, SecretSelector: l.SecretSelector.String(), ExternalURL: l.ExternalURL}
	flow := &sluicev1alpha1.Flow{}
	found, err := get(ctx, l.Cached, trigger.Namespace, trigger.Spec.FlowRef.Name, flow)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read Flow %q: %w", trigger.Spec.FlowRef.Name, err)
	}
	if found {
		in.Flow = flow
	}
	in.Secrets = make(map[string]*corev1.Secret, 1)
	for _, name := range translation.SecretNames(trigger) {
		secret, err := read(ctx, trigger.Namespace, name)
		if err != nil {
			return Snapshot{}, fmt.Errorf("read Secret %q: %w", name, err)
		}
		if secret != nil {
			in.Secrets[name] = secret
		}
	}
	return in, nil
}

// secret reads a Secret; it is nil if there is none. With a selector it lists at most one, because
// only for a list does the API server compare labels: a Secret without them is never sent.
func (l ReferenceLoader) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	if l.SecretSelector == nil || l.SecretSelector.Empty() {
		secret := &corev1.Secret{}
		if found, err := get(ctx, l.Live, namespace, name, secret); err != nil || !found {
			return nil, err
		}
		return secret, nil
	}
	var secrets corev1.SecretList
	err := l.Live.List(ctx, &secrets, client.InNamespace(namespace),
		client.MatchingFields{metav1.ObjectNameField: name}, client.MatchingLabelsSelector{Selector: l.SecretSelector})
	if err != nil || len(secrets.Items) == 0 {
		return nil, err
	}
	return &secrets.Items[0], nil
}

// get reads an object and returns whether it exists. A name that no object can have, which another
// version of the CustomResourceDefinition may have allowed, counts as missing: the client would
// fail with it again and again.
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
