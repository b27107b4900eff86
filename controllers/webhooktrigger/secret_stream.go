/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-dev/sluice/internal/translation"
)

// To read a Secret costs the API server and this process nearly a millisecond of a processor each.
// A watch that begins with all that is there (KEP-3157) costs a thirtieth of that for each Secret,
// and, other than a list, has one at a time in memory: who may create Secrets can have them take a
// MiB each.
const (
	// minStreamed is for how many Secrets of a namespace a watch is worth it.
	minStreamed = 8
	// maxExcluded is the length of the longest selector. Proxies in front of an API server may not
	// let through more.
	maxExcluded = 4 << 10
	// streamPatience is how long to wait for the next Secret, and maxLater how many may change
	// while the stream goes on to its end, beyond as many as there are. A stream that does not end
	// by then does not know of its end.
	streamPatience = 15 * time.Second
	maxLater       = 1000
)

// resolveStreamed works out the routes of triggers in namespaces whose Secrets can be streamed, and
// leaves the others alone. The first error ends it.
func (w *warmer) resolveStreamed(ctx context.Context, subjects []subject) error {
	namespaces := map[string]map[string][]*subject{} // then by the names of Secrets
	for i := range subjects {
		s := &subjects[i]
		bySecret := namespaces[s.trigger.Namespace]
		if bySecret == nil {
			bySecret = map[string][]*subject{}
			namespaces[s.trigger.Namespace] = bySecret
		}
		for _, name := range translation.SecretNames(s.trigger) {
			bySecret[name] = append(bySecret[name], s)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(warmUpReads)
	for namespace, bySecret := range namespaces {
		if len(bySecret) < minStreamed {
			continue
		}
		group.Go(func() error {
			excluded, err := w.excluding(ctx, namespace, bySecret)
			if err != nil || excluded == nil {
				return err
			}
			if err := w.stream(ctx, namespace, excluded, bySecret); err != nil {
				return fmt.Errorf("watch Secrets in %q: %w", namespace, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// excluding returns a selector of the Secrets in a namespace that leaves out all but these: what no
// trigger refers to is none of our business. It is nil if there are too many others.
func (w *warmer) excluding(ctx context.Context, namespace string, bySecret map[string][]*subject) (fields.Selector, error) {
	var all metav1.PartialObjectMetadataList
	all.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := w.secrets.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list metadata of Secrets: %w", err)
	}
	others := make([]fields.Selector, 0)
	length := 0
	for i := range all.Items {
		name := all.Items[i].Name
		if _, ok := bySecret[name]; ok {
			continue
		}
		other := fields.OneTermNotEqualSelector(metav1.ObjectNameField, name)
		if length += len(url.QueryEscape(other.String() + ",")); length > maxExcluded {
			return nil, nil
		}
		others = append(others, other)
	}
	return fields.AndSelectors(others...), nil
}

var (
	errStalled = errors.New("no event for too long")
	errEndless = errors.New("the stream does not say where what is there ends")
	errEnded   = errors.New("the stream ended too early")
)

// stream reads Secrets, one after the other, and works out the routes of their triggers. There is
// no resource version in the request, which therefore gets what is stored now; what the API server
// happens to have in its memory could have keys that were revoked.
func (w *warmer) stream(ctx context.Context, namespace string, selector fields.Selector, bySecret map[string][]*subject) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(streamPatience, func() { cancel(errStalled) })
	defer stalled.Stop()
	secrets, err := w.live.Watch(ctx, &corev1.SecretList{}, &client.ListOptions{
		Namespace:     namespace,
		LabelSelector: w.loader.SecretSelector,
		FieldSelector: selector,
		Raw: &metav1.ListOptions{
			SendInitialEvents:    new(true),
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
			AllowWatchBookmarks:  true,
		},
	})
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	defer secrets.Stop()
	left := len(bySecret) + maxLater
	for event := range secrets.ResultChan() {
		if left--; left < 0 {
			return errEndless
		}
		stalled.Reset(streamPatience)
		switch event.Type {
		case watch.Added, watch.Modified:
			if secret, ok := event.Object.(*corev1.Secret); ok {
				for _, s := range bySecret[secret.Name] {
					w.resolveWith(ctx, s, secret)
				}
			}
		case watch.Bookmark:
			if end, ok := event.Object.(*corev1.Secret); ok && end.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
				return nil
			}
		case watch.Error:
			return apierrors.FromObject(event.Object)
		case watch.Deleted:
			if secret, ok := event.Object.(*corev1.Secret); ok {
				for _, s := range bySecret[secret.Name] {
					s.route = nil
				}
			}
		}
	}
	return cmp.Or(context.Cause(ctx), errEnded)
}

// resolveWith works out the route of a trigger that refers to this Secret and to no other. If the
// Secret is not the one that the cache knows, which may mean that it has changed since the stream
// began, the trigger is left alone: it has no route then, not even one from before, so that the
// Secret is read.
func (w *warmer) resolveWith(ctx context.Context, s *subject, secret *corev1.Secret) {
	if len(translation.SecretNames(s.trigger)) > 1 {
		return
	}
	s.route = nil
	metadata := secretMetadata()
	found, err := get(ctx, w.secrets, secret.Namespace, secret.Name, metadata)
	if err != nil || !found || metadata.UID != secret.UID || metadata.ResourceVersion != secret.ResourceVersion {
		return
	}
	read := func(context.Context, string, string) (*corev1.Secret, error) { return secret, nil } //nolint:unparam // what is read may fail elsewhere
	// What cannot be read now is tried again with the triggers that are left alone.
	_ = w.resolve(s, func() (Snapshot, error) { return w.loader.loadWith(ctx, s.trigger, read) })
}
