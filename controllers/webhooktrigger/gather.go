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
	"k8s.io/apimachinery/pkg/api/validation/path"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// Gatherer reads the Inputs of triggers.
type Gatherer struct {
	// Cached reads Flows, from a cache.
	Cached client.Reader
	// Live reads Secrets, from the API server: no cache holds their data.
	Live client.Reader
	// ExternalURL is what senders put before a trigger's path; empty if it is not known.
	ExternalURL string
}

// Gather reads what the trigger refers to. That something does not exist is no error; that the API server cannot say
// whether it does, is.
func (g Gatherer) Gather(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) (Inputs, error) {
	in := Inputs{Trigger: trigger, ExternalURL: g.ExternalURL}
	flow := &sluicev1alpha1.Flow{}
	found, err := get(ctx, g.Cached, trigger.Namespace, trigger.Spec.FlowRef.Name, flow)
	if err != nil {
		return Inputs{}, fmt.Errorf("read Flow %q: %w", trigger.Spec.FlowRef.Name, err)
	}
	if found {
		in.Flow = flow
	}
	in.Secrets = make(map[string]*corev1.Secret, 1)
	for _, name := range secretNames(trigger) {
		secret := &corev1.Secret{}
		found, err = get(ctx, g.Live, trigger.Namespace, name, secret)
		if err != nil {
			return Inputs{}, fmt.Errorf("read Secret %q: %w", name, err)
		}
		if found {
			in.Secrets[name] = secret
		}
	}
	return in, nil
}

// get reads an object and says whether it exists. A name that none can have, which another version of the
// CustomResourceDefinition may have let through, is refused by the client: it would be an error for good.
func get(ctx context.Context, reader client.Reader, namespace, name string, object client.Object) (bool, error) {
	if name == "" || len(path.IsValidPathSegmentName(name)) > 0 {
		return false, nil
	}
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
