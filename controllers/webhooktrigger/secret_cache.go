/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// SecretCache holds the names and resource versions of Secrets, and nothing else of them. It exists
// to learn that a Secret has changed.
//
// It is apart from the manager's cache so that a slip cannot fill it with data: its transform
// refuses all but metadata, and a read of a type that nobody watches fails instead of starting to
// watch it. Annotations go too, because kubectl apply writes the whole Secret into one.
type SecretCache struct {
	cache.Cache
	// selector is which Secrets there are as far as Sluice is concerned.
	selector labels.Selector
}

// Only metadata is listed and watched, but in the warm-up. RBAC knows no difference.
//
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=list;watch,roleName=sluice-ingest
// +kubebuilder:rbac:groups=core,resources=secrets,verbs=list;watch,roleName=sluice-controller

// NewSecretCache returns a cache of the Secrets of these namespaces, or of all if there are none,
// that have the labels. The API server does the selecting. Add it to a manager.
func NewSecretCache(config *rest.Config, httpClient *http.Client, scheme *runtime.Scheme, namespaces map[string]cache.Config, selector labels.Selector) (*SecretCache, error) {
	c, err := cache.New(config, cache.Options{
		HTTPClient:                  httpClient,
		Scheme:                      scheme,
		DefaultNamespaces:           namespaces,
		DefaultLabelSelector:        selector,
		DefaultTransform:            onlyNameAndVersion,
		ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cache of Secret metadata: %w", err)
	}
	return &SecretCache{Cache: c, selector: selector}, nil
}

// GetCache makes a manager start the cache together with its own, before any controller.
func (c *SecretCache) GetCache() cache.Cache { return c.Cache }

// secretMetadata is an object that stands for the metadata of a Secret, for reading and watching.
func secretMetadata() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return object
}

func onlyNameAndVersion(object any) (any, error) {
	secret, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("the cache of Secret metadata must not hold a %T", object)
	}
	secret.ObjectMeta = metav1.ObjectMeta{
		Namespace:       secret.Namespace,
		Name:            secret.Name,
		UID:             secret.UID,
		ResourceVersion: secret.ResourceVersion,
	}
	return secret, nil
}
