/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// checkScheme returns the scheme of a trigger, and what is wrong with it. The API server has seen to most of it; what is
// left is a CustomResourceDefinition that is newer than this program, and what its rules cannot say.
func checkScheme(trigger *sluicev1alpha1.WebhookTrigger, publicURL string) (signature.Scheme, *problem) {
	spec := &trigger.Spec
	var scheme signature.Scheme
	switch {
	case spec.Provider != "":
		preset, ok := signature.PresetByName(string(spec.Provider))
		if !ok {
			return scheme, &problem{sluicev1alpha1.ReasonInvalidScheme,
				fmt.Sprintf("This version of Sluice does not know the provider %q; upgrade it, or describe the scheme in spec.signature.", spec.Provider)}
		}
		scheme = preset.Scheme
	case spec.Signature.Algorithm != "":
		scheme = schemeOf(spec.Signature)
	default:
		scheme = signature.Scheme{Algorithm: signature.Algorithm(spec.Algorithm)}
	}
	applyDeduplication(&scheme, spec.Deduplication)

	if err := scheme.Validate(); err != nil {
		return scheme, &problem{sluicev1alpha1.ReasonInvalidScheme,
			fmt.Sprintf("This version of Sluice cannot work with the signature scheme: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	if scheme.NeedsURL() && publicURL == "" {
		return scheme, &problem{sluicev1alpha1.ReasonPublicURLMissing,
			"The scheme signs the URL: set spec.publicURL to the URL that the sender posts to, as it is configured there."}
	}
	if scheme.Special == signature.SpecialContentful && strings.Contains(publicURL, "?") {
		return scheme, &problem{sluicev1alpha1.ReasonInvalidScheme,
			"spec.publicURL has a query, which Contentful signs in a way that Sluice does not know: have Contentful post to a URL without one, and leave it out here."}
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

// applyDeduplication makes what the trigger says of delivery ids a part of the scheme.
func applyDeduplication(scheme *signature.Scheme, d sluicev1alpha1.Deduplication) {
	switch d.Source {
	case sluicev1alpha1.DeduplicateByHeader:
		if d.Header != "" {
			scheme.DeliveryID = signature.DeliveryID{Headers: headerNames(d.Header)}
		}
	case sluicev1alpha1.DeduplicateByBody:
		pointers := make([]string, len(d.BodyPointers))
		for i, p := range d.BodyPointers {
			pointers[i] = string(p)
		}
		scheme.DeliveryID = signature.DeliveryID{BodyPointers: pointers}
	case sluicev1alpha1.DeduplicateBySignature:
		scheme.DeliveryID = signature.DeliveryID{Signature: true}
	case sluicev1alpha1.DeduplicateByProvider, sluicev1alpha1.DeduplicateNone, "":
	}
}

// deduplicates says whether requests of one delivery id are to become one FlowRun.
func deduplicates(trigger *sluicev1alpha1.WebhookTrigger, scheme signature.Scheme) bool {
	switch trigger.Spec.Deduplication.Source {
	case sluicev1alpha1.DeduplicateNone:
		return false
	case sluicev1alpha1.DeduplicateByProvider, "":
		id := scheme.DeliveryID
		return trigger.Spec.Provider != "" && (len(id.Headers) > 0 || len(id.BodyPointers) > 0 || id.Signature)
	default:
		return true
	}
}

// limits makes of spec.limits what a route holds.
func limits(l sluicev1alpha1.TriggerLimits) route.Limits {
	made := route.Limits{Concurrency: int(l.Concurrency), MaxBodyBytes: int64(l.MaxBodyBytes)}
	if l.Rate.Requests > 0 {
		made.PerSecond = float64(l.Rate.Requests) / period(l.Rate.Period).Seconds()
		made.Burst = int(cmp.Or(l.Rate.Burst, l.Rate.Requests))
	}
	return made
}

func period(p sluicev1alpha1.RatePeriod) time.Duration {
	switch p {
	case sluicev1alpha1.PerMinute:
		return time.Minute
	case sluicev1alpha1.PerHour:
		return time.Hour
	default: // PerSecond
		return time.Second
	}
}

// defaultWindow is the window where it is not known for how long a provider repeats deliveries: most have given up by then.
const defaultWindow = 24 * time.Hour

// window returns for how long the FlowRun of a delivery is kept so that repetitions are recognised, and a remark if that is
// short; the trigger deduplicates. A tenth is added to how long a provider repeats deliveries, as each attempt takes time
// too. A timestamp may be off in both directions, so a copy of a request is good for up to twice its tolerance.
func window(trigger *sluicev1alpha1.WebhookTrigger, scheme signature.Scheme) (kept time.Duration, remark string) {
	preset, _ := signature.PresetByName(string(trigger.Spec.Provider))
	repeated, replayable := preset.RetryHorizon, 2*scheme.Timestamp.Tolerance
	kept = time.Duration(trigger.Spec.Deduplication.WindowSeconds) * time.Second
	const advice = "spec.deduplication.windowSeconds is %d, but %s for up to %d seconds; what comes after the window may start the Flow again."
	switch {
	case kept == 0 && repeated == 0:
		kept = max(defaultWindow, replayable)
	case kept == 0:
		kept = max(repeated+repeated/10, replayable)
	case kept < repeated:
		remark = fmt.Sprintf(advice, seconds(kept), string(trigger.Spec.Provider)+" repeats deliveries", seconds(repeated))
	case kept < replayable:
		remark = fmt.Sprintf(advice, seconds(kept), "the timestamp of a request is good", seconds(replayable))
	}
	return kept, remark
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// response makes of spec.response what a route holds.
//
// A content type that the API server would refuse by now is passed over, with a remark: text is what no browser runs. The sender gets the
// same status and body as ever, since a sender that takes the answer for a failure may stop sending.
func response(r sluicev1alpha1.Response) (made route.Response, remark string) {
	made.EmptyUnauthorized = r.UnauthorizedBody == sluicev1alpha1.UnauthorizedEmpty
	if r.Status == 0 && r.Body == "" {
		return made, ""
	}
	made.Override = true
	made.Status = int(r.Status)
	made.Body = []byte(r.Body)
	made.ContentType = r.ContentType
	if r.ContentType != "" && !inert(r.ContentType) {
		made.ContentType = ""
		remark = "spec.response.contentType is one that browsers could run, so the body is sent as text/plain; choose another type, such as application/json."
	}
	if made.ContentType == "" && r.Body != "" {
		made.ContentType = "text/plain; charset=utf-8"
	}
	return made, remark
}

// inert says whether a content type is one that the API has for answers, see inertType.
func inert(contentType string) bool {
	for i := range len(contentType) {
		if contentType[i] >= utf8.RuneSelf { // some of these have an ASCII letter for their lower case
			return false
		}
	}
	return inertType.MatchString(strings.ToLower(contentType))
}

// inertType is the expression by which the API refuses content types that browsers may run, for lower case. XML is left to the policy that
// every answer has.
var inertType = regexp.MustCompile(`^(text/(plain|xml)|application/(([-!#$&^_.+0-9a-z]+[+])?json|xml|x-www-form-urlencoded|octet-stream))( *; *[-_.0-9a-z]+=[-_.0-9a-z]+)*$`)

// match returns what two requests of one delivery have in common, and a remark if that is not safe; the trigger deduplicates.
func match(d sluicev1alpha1.Deduplication, scheme signature.Scheme) (made route.Match, remark string) {
	switch {
	case d.Match == sluicev1alpha1.MatchIDAndBody:
		return route.MatchIDAndBody, ""
	case d.Match != sluicev1alpha1.MatchID:
		return route.MatchDefault, ""
	case !scheme.SignsDeliveryID():
		remark = "spec.deduplication.match is ID, but the delivery id is not signed: who has seen a request can send it under the id of a delivery to come, which is lost then. Leave match out, or take an id that is signed."
	}
	return route.MatchID, remark
}
