/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

func TestDeduplicates(t *testing.T) {
	t.Parallel()
	own := func(d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
		return ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-256", Template: "{id}.{body}", IDHeader: "X-Id"}, d)
	}
	all := deduplications()
	cases := map[string]struct {
		reason string
		spec   sluicev1alpha1.WebhookTriggerSpec
		want   bool
		id     signature.DeliveryID
	}{
		"Default":           {reason: "nothing is known of ids", spec: testTrigger().Spec},
		"ProviderHeader":    {reason: "the preset knows the header", spec: ofProvider("GitHub", all["absent"]), want: true, id: signature.DeliveryID{Headers: []string{"X-GitHub-Delivery"}}},
		"ProviderBody":      {reason: "the preset knows the place", spec: ofProvider("Stripe", all["absent"]), want: true, id: signature.DeliveryID{BodyPointers: []string{"/id"}}},
		"ProviderSignature": {reason: "the preset takes the signature", spec: ofProvider("Zoom", all["absent"]), want: true, id: signature.DeliveryID{Signature: true}},
		"ProviderWithoutID": {reason: "the preset knows none", spec: ofProvider("Dropbox", all["absent"])},
		"ProviderSpeltOut":  {reason: "the same as by default", spec: ofProvider("GitHub", all["Provider"]), want: true, id: signature.DeliveryID{Headers: []string{"X-GitHub-Delivery"}}},
		"ProviderNone":      {reason: "every request is to be a run", spec: ofProvider("GitHub", all["None"]), id: signature.DeliveryID{Headers: []string{"X-GitHub-Delivery"}}},
		"ProviderOther":     {reason: "the user knows better", spec: ofProvider("GitHub", all["Header"]), want: true, id: signature.DeliveryID{Headers: []string{"X-Other-Id"}}},
		"ProviderReplaced":  {reason: "one source replaces the other", spec: ofProvider("GitHub", all["Body"]), want: true, id: signature.DeliveryID{BodyPointers: []string{"/id"}}},
		"ProviderSigned":    {reason: "one source replaces the other", spec: ofProvider("Stripe", all["Signature"]), want: true, id: signature.DeliveryID{Signature: true}},
		"Own":               {reason: "deduplication is asked for, but for presets", spec: own(all["absent"]), id: signature.DeliveryID{Headers: []string{"X-Id"}}},
		"OwnHeader":         {reason: "the header that is signed", spec: own(all["SameHeader"]), want: true, id: signature.DeliveryID{Headers: []string{"X-Id"}}},
		"OwnNone":           {reason: "{id} is signed all the same", spec: own(all["None"]), id: signature.DeliveryID{Headers: []string{"X-Id"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme, err := schemeFor(&tc.spec, testURL)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.id, scheme.DeliveryID); diff != "" {
				t.Errorf("%s: the delivery id (-want +got):\n%s", tc.reason, diff)
			}
			if got := deduplicates(&tc.spec, scheme); got != tc.want {
				t.Errorf("%s: deduplicates: %v, want %v", tc.reason, got, tc.want)
			}
			if got := translated(t, tc.spec).Route.Deduplicate; got != tc.want {
				t.Errorf("%s: the route deduplicates: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
	preset, _ := signature.PresetByName("GitHub")
	if diff := cmp.Diff([]string{"X-GitHub-Delivery"}, preset.Scheme.DeliveryID.Headers); diff != "" {
		t.Errorf("a trigger has changed the preset (-want +got):\n%s", diff)
	}
}

// TestWindow shows for how long deliveries are remembered, and when the user is told that this is
// short.
func TestWindow(t *testing.T) {
	t.Parallel()
	signed := func(tolerance, window int32) sluicev1alpha1.WebhookTriggerSpec {
		return ofSignature(sluicev1alpha1.SignatureScheme{
			Algorithm: "SHA-256", Template: "{timestamp}.{body}", Timestamp: sluicev1alpha1.SignatureTimestamp{Header: "X-T", ToleranceSeconds: tolerance},
		}, sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateBySignature, WindowSeconds: window})
	}
	windowed := func(seconds int32) sluicev1alpha1.Deduplication {
		return sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByProvider, WindowSeconds: seconds}
	}
	cases := map[string]struct {
		reason string
		spec   sluicev1alpha1.WebhookTriggerSpec
		want   time.Duration
		remark string
	}{
		"None":             {reason: "what is not deduplicated is not remembered", spec: testTrigger().Spec},
		"Unknown":          {reason: "a day, where nothing is known", spec: ofProvider("Gitea", windowed(0)), want: 24 * time.Hour},
		"NoSource":         {reason: "the same by default", spec: ofProvider("Gitea", sluicev1alpha1.Deduplication{}), want: 24 * time.Hour},
		"Known":            {reason: "as long as the provider repeats, and a tenth", spec: ofProvider("Shopify", windowed(0)), want: 4*time.Hour + 24*time.Minute},
		"ShortTolerance":   {reason: "a timestamp is good for less than a day", spec: signed(300, 0), want: 24 * time.Hour},
		"LongTolerance":    {reason: "no copy outlives the memory", spec: signed(86400, 0), want: 48 * time.Hour},
		"KnownTolerance":   {reason: "Slack gives up before its timestamps do", spec: ofProvider("Slack", windowed(0)), want: 10 * time.Minute},
		"Explicit":         {reason: "the user knows better", spec: ofProvider("Gitea", windowed(60)), want: time.Minute},
		"ExplicitLong":     {reason: "the user knows better", spec: ofProvider("Shopify", windowed(2592000)), want: 30 * 24 * time.Hour},
		"AsLongAsRepeated": {reason: "that is no mistake", spec: ofProvider("Shopify", windowed(14400)), want: 4 * time.Hour},
		"Short": {
			reason: "the provider repeats for longer", spec: ofProvider("Shopify", windowed(14399)), want: 14399 * time.Second,
			remark: "spec.deduplication.windowSeconds is 14399, but Shopify repeats deliveries for up to 14400 seconds; what comes after the window may start the Flow again.",
		},
		"Replayable": {
			reason: "a copy is good for longer", spec: signed(300, 599), want: 599 * time.Second,
			remark: "spec.deduplication.windowSeconds is 599, but the timestamp of a request is good for up to 600 seconds; what comes after the window may start the Flow again.",
		},
		"AsLongAsReplayable": {reason: "that is no mistake", spec: signed(300, 600), want: 10 * time.Minute},
		"NoneOfAProvider":    {reason: "nothing is remembered", spec: ofProvider("Shopify", sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateNone})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translated(t, tc.spec)
			if got.Route.Window != tc.want {
				t.Errorf("%s: the window is %s, want %s", tc.reason, got.Route.Window, tc.want)
			}
			if said := strings.Join(got.Remarks, " "); !strings.Contains(said, tc.remark) || (tc.remark == "") != !strings.Contains(said, "windowSeconds") {
				t.Errorf("%s: the remarks are %q, want %q in them", tc.reason, said, tc.remark)
			}
		})
	}
	for _, preset := range signature.Presets() {
		spec := ofProvider(preset.Name, sluicev1alpha1.Deduplication{})
		kept, remark := window(&spec, preset.Scheme)
		if kept < preset.RetryHorizon || kept > sluicev1alpha1.MaxRetention || remark != "" {
			t.Errorf("deliveries of %s are remembered for %s (%q), want at least %s and at most %s", preset.Name, kept, remark, preset.RetryHorizon, sluicev1alpha1.MaxRetention)
		}
	}
}

// TestMatch shows what two requests of one delivery have in common, and when the user is told that
// this is not safe.
func TestMatch(t *testing.T) {
	t.Parallel()
	byHeader := func(match sluicev1alpha1.DeduplicationMatch) sluicev1alpha1.Deduplication {
		return sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Id", Match: match}
	}
	ofProviders := func(match sluicev1alpha1.DeduplicationMatch) sluicev1alpha1.Deduplication {
		return sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByProvider, Match: match}
	}
	byEvent := sluicev1alpha1.Deduplication{
		Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/event-data/id"}, Match: sluicev1alpha1.MatchID,
	}
	cases := map[string]struct {
		reason string
		spec   sluicev1alpha1.WebhookTriggerSpec
		want   route.Match
		remark bool
	}{
		"Default":         {reason: "by whether the id is signed", spec: ofProvider("GitHub", ofProviders(""))},
		"Absent":          {reason: "the same", spec: ofProvider("GitHub", sluicev1alpha1.Deduplication{})},
		"ID":              {reason: "the id is signed", spec: ofProvider("Svix", ofProviders("ID")), want: route.MatchID},
		"IDAndBody":       {reason: "the user wants both", spec: ofProvider("Svix", ofProviders("IDAndBody")), want: route.MatchIDAndBody},
		"Unsigned":        {reason: "the user wants it so", spec: ofProvider("GitHub", ofProviders("ID")), want: route.MatchID, remark: true},
		"UnsignedAnyway":  {reason: "that is the default", spec: ofProvider("GitHub", ofProviders("IDAndBody")), want: route.MatchIDAndBody},
		"UnsignedInBody":  {reason: "that is not in the part of the body that is signed", spec: ofProvider("Mailgun", byEvent), want: route.MatchID, remark: true},
		"Unknown":         {reason: "stored under another definition", spec: ofProvider("GitHub", ofProviders("Body"))},
		"NotDeduplicated": {reason: "nothing is compared", spec: ofProvider("GitHub", sluicev1alpha1.Deduplication{Source: "None", Match: "ID"})},
		"OwnUnsigned":     {reason: "the default scheme signs no header", spec: ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-256"}, byHeader("ID")), want: route.MatchID, remark: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translated(t, tc.spec)
			if got.Route.Match != tc.want {
				t.Errorf("%s: match is %d, want %d", tc.reason, got.Route.Match, tc.want)
			}
			if said := strings.Join(got.Remarks, " "); strings.Contains(said, "spec.deduplication.match") != tc.remark {
				t.Errorf("%s: the remarks are %q", tc.reason, said)
			}
		})
	}
}
