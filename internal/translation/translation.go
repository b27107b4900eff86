/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"fmt"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// An Error is why a trigger, or one of its keys, cannot be used as it is.
type Error struct {
	// Reason is the reason of the condition that tells of it: one of the constants of the API.
	Reason string
	// Message says it to the owner of the trigger, in sentences, on one line.
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func errorf(reason, format string, a ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, a...)}
}

// A Translation is what follows from the fields of a trigger alone, whatever its Flow and its
// Secrets are.
type Translation struct {
	// Scheme is how requests have to be signed.
	Scheme signature.Scheme
	// Route is what to serve, without Verifier, Unavailable and Revision, which follow from other
	// objects too.
	Route *route.Route
	// Remarks are what the owner should know of fields that work, in sentences.
	Remarks []string
}

// Translate translates a trigger. externalURL is what senders put before the trigger's path; empty
// if it is not known. The error, an *Error, is about the scheme: the route then holds all that does
// not need it.
func Translate(trigger *sluicev1alpha1.WebhookTrigger, externalURL string) (Translation, error) {
	spec := &trigger.Spec
	r := &route.Route{
		Namespace: trigger.Namespace,
		Name:      trigger.Name,
		UID:       string(trigger.UID),
		Flow:      spec.FlowRef.Name,
		PublicURL: publicURL(trigger, externalURL),
		Limits:    limits(spec.Limits),
	}
	scheme, err := schemeFor(spec, r.PublicURL)

	var notDeduplicated, shortWindow, unsafeMatch, otherType string
	r.Deduplicate = deduplicates(spec, scheme)
	switch {
	case r.Deduplicate:
		r.Window, shortWindow = window(spec, scheme)
		r.Match, unsafeMatch = match(spec.Deduplication, scheme)
	case spec.Deduplication.Source == sluicev1alpha1.DeduplicateByProvider:
		notDeduplicated = fmt.Sprintf("Requests are not deduplicated: deliveries of %s have no id.", spec.Provider)
	}
	r.Response, otherType = response(spec.Response)

	t := Translation{Scheme: scheme, Route: r}
	for _, remark := range []string{notDeduplicated, shortWindow, unsafeMatch, otherType} {
		if remark != "" {
			t.Remarks = append(t.Remarks, remark)
		}
	}
	return t, err
}

// publicURL returns the URL that the sender posts to; empty if it is not known.
func publicURL(trigger *sluicev1alpha1.WebhookTrigger, externalURL string) string {
	switch {
	case trigger.Spec.PublicURL != "":
		return trigger.Spec.PublicURL
	case externalURL != "":
		return externalURL + route.Path(trigger.Namespace, trigger.Name)
	}
	return ""
}
