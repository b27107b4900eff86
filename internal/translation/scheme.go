/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"strings"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// schemeFor returns the scheme that requests to a trigger have to be signed by, and what is wrong
// with it. The API server has seen to most of it; what is left is a CustomResourceDefinition that
// is newer than this program, and what its rules cannot say.
func schemeFor(spec *sluicev1alpha1.WebhookTriggerSpec, publicURL string) (signature.Scheme, error) {
	var scheme signature.Scheme
	switch {
	case spec.Provider != "":
		preset, ok := signature.PresetByName(string(spec.Provider))
		if !ok {
			return scheme, errorf(sluicev1alpha1.ReasonInvalidScheme,
				"This version of Sluice does not know the provider %q; upgrade it, or describe the scheme in spec.signature.", spec.Provider)
		}
		scheme = preset.Scheme
	case spec.Signature.Algorithm != "":
		scheme = schemeOf(spec.Signature)
	default:
		scheme = signature.Scheme{Algorithm: signature.Algorithm(spec.Algorithm)}
	}
	applyDeduplication(&scheme, spec.Deduplication)

	if err := scheme.Validate(); err != nil {
		return scheme, errorf(sluicev1alpha1.ReasonInvalidScheme,
			"This version of Sluice cannot work with the signature scheme: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if scheme.NeedsURL() && publicURL == "" {
		return scheme, errorf(sluicev1alpha1.ReasonPublicURLMissing,
			"The scheme signs the URL: set spec.publicURL to the URL that the sender posts to, as it is configured there.")
	}
	if scheme.Special == signature.SpecialContentful && strings.Contains(publicURL, "?") {
		return scheme, errorf(sluicev1alpha1.ReasonInvalidScheme,
			"spec.publicURL has a query, which Contentful signs in a way that Sluice does not know: have Contentful post to a URL without one, and leave it out here.")
	}
	return scheme, nil
}

// schemeOf makes a scheme of its description in the API.
func schemeOf(s sluicev1alpha1.SignatureScheme) signature.Scheme {
	return signature.Scheme{
		Algorithm:       signature.Algorithm(s.Algorithm),
		Headers:         headerNames(s.Headers...),
		ItemSeparator:   s.ItemSeparator,
		FieldSeparator:  s.FieldSeparator,
		SignatureFields: s.Fields,
		Prefix:          s.Prefix,
		Encoding:        signature.Encoding(s.Encoding),
		Template:        s.Template,
		Timestamp: signature.Timestamp{
			Headers:     headerNames(s.Timestamp.Header),
			Field:       s.Timestamp.Field,
			BodyPointer: string(s.Timestamp.BodyPointer),
			Unit:        signature.Unit(s.Timestamp.Unit),
			Tolerance:   time.Duration(s.Timestamp.ToleranceSeconds) * time.Second,
		},
		Secret: signature.Secret{
			StripPrefix: string(s.SecretPrefix),
			Encoding:    signature.SecretEncoding(s.SecretEncoding),
		},
		DeliveryID: signature.DeliveryID{Headers: headerNames(s.IDHeader)},
	}
}

// headerNames returns the names that are set.
func headerNames(names ...sluicev1alpha1.HeaderName) []string {
	var set []string
	for _, name := range names {
		if name != "" {
			set = append(set, string(name))
		}
	}
	return set
}
