/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const testURL = "https://hooks.example.com/hooks/shop/orders"

// offered says whether the API server lets a trigger have the spec.
func offered(t *testing.T, namespace string, spec sluicev1alpha1.WebhookTriggerSpec) bool {
	t.Helper()
	trigger := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders"}, Spec: spec}
	err := env.Client.Create(t.Context(), trigger, client.DryRunAll)
	if err != nil && !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	return err == nil
}

// ofSignature is a spec with a scheme of one's own.
func ofSignature(s sluicev1alpha1.SignatureScheme, d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
	spec := testInputs().Trigger.Spec
	spec.Algorithm, spec.Signature, spec.Deduplication = "", s, d
	return spec
}

// ofProvider is a spec with a preset.
func ofProvider(name string, d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
	spec := testInputs().Trigger.Spec
	spec.Algorithm, spec.Provider, spec.Deduplication = "", sluicev1alpha1.Provider(name), d
	return spec
}

// deduplications are all ways to say what a delivery is.
func deduplications() map[string]sluicev1alpha1.Deduplication {
	return map[string]sluicev1alpha1.Deduplication{
		"absent":     {},
		"Provider":   {Source: sluicev1alpha1.DeduplicateByProvider},
		"Header":     {Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Other-Id"},
		"SameHeader": {Source: sluicev1alpha1.DeduplicateByHeader},
		"Body":       {Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/id"}},
		"Signature":  {Source: sluicev1alpha1.DeduplicateBySignature},
		"None":       {Source: sluicev1alpha1.DeduplicateNone},
	}
}

// TestOfferedSchemesWork takes schemes at the limits of what the CustomResourceDefinition lets through: whatever a user
// can store has to work, or else be refused while the user looks.
func TestOfferedSchemesWork(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	type (
		scheme = sluicev1alpha1.SignatureScheme
		at     = sluicev1alpha1.SignatureTimestamp
	)
	inField := func(field string, fields ...string) scheme {
		return scheme{FieldSeparator: "=", Fields: fields, Template: "{timestamp}{body}", Timestamp: at{Field: field}}
	}
	inBody := func(pointer string) scheme {
		return scheme{Timestamp: at{BodyPointer: sluicev1alpha1.JSONPointer(pointer), ToleranceSeconds: 1}}
	}
	long := func(character string) string { return strings.Repeat(character, 64) }
	cases := map[string]struct {
		scheme  scheme
		refused bool // by the API server
	}{
		"Nothing":               {scheme: scheme{}},
		"Prefix":                {scheme: scheme{Prefix: long("a")}},
		"PrefixOf128Bytes":      {scheme: scheme{Prefix: long("ä")}, refused: true},
		"ItemSeparatorOf128":    {scheme: scheme{ItemSeparator: long("ä")}, refused: true},
		"FieldSeparatorOf128":   {scheme: scheme{FieldSeparator: long("ä"), Fields: []string{"a"}}, refused: true},
		"FieldOf128":            {scheme: inField("t", long("ä")), refused: true},
		"TimestampFieldOf128":   {scheme: inField(long("ä"), "v1"), refused: true},
		"SecretPrefix":          {scheme: scheme{SecretPrefix: sluicev1alpha1.SecretPrefixWhsec}},
		"SecretPrefixOfKeys":    {scheme: scheme{SecretPrefix: sluicev1alpha1.SecretPrefixWhpk}},
		"SecretPrefixSupabase":  {scheme: scheme{SecretPrefix: sluicev1alpha1.SecretPrefixV1Whsec}},
		"SecretPrefixOther":     {scheme: scheme{SecretPrefix: "0a"}, refused: true},
		"LongestAffixes":        {scheme: scheme{ItemSeparator: long("a"), FieldSeparator: long("b"), Fields: []string{long("c")}}},
		"LongestTimestampField": {scheme: inField(long("t"), "v1")},
		"EightFields":           {scheme: inField("t", "1", "2", "3", "4", "5", "6", "7", "8")},
		"NineFields":            {scheme: inField("t", "1", "2", "3", "4", "5", "6", "7", "8", "9"), refused: true},
		"EightHeaders":          {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{"A", "B", "C", "D", "E", "F", "G", "H"}}},
		"NineHeaders":           {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{"A", "B", "C", "D", "E", "F", "G", "H", "I"}}, refused: true},
		"HeaderInTwoCases":      {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{"X-A", "x-a"}}},
		"OddHeader":             {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{"-!#$%&*+.^_`|~0aZ"}}},
		"LongestHeader":         {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{sluicev1alpha1.HeaderName(strings.Repeat("a", 128))}}},
		"HeaderWithBlank":       {scheme: scheme{Headers: []sluicev1alpha1.HeaderName{"X A"}}, refused: true},
		"LongestTemplate":       {scheme: scheme{Template: "{body}" + strings.Repeat("a", 250)}},
		"TemplateOf506Bytes":    {scheme: scheme{Template: "{body}" + strings.Repeat("ä", 250)}},
		"TemplateOf512Bytes":    {scheme: scheme{Template: "{body}" + strings.Repeat("ä", 244) + "€€€€€€"}},
		"TemplateOf513Bytes":    {scheme: scheme{Template: "{body}" + strings.Repeat("ä", 243) + "€€€€€€€"}, refused: true},
		"TemplateOf1006Bytes":   {scheme: scheme{Template: "{body}" + strings.Repeat("😀", 250)}, refused: true},
		"TemplateOfBodies":      {scheme: scheme{Template: "{body}{body}\x00\n{body}"}, refused: true},
		"TemplateOfControls":    {scheme: scheme{Template: "\x00{body}\x00\n"}},
		"EscapedBraces":         {scheme: scheme{Template: "{{{body}}}"}, refused: true},
		"UnknownPlaceholder":    {scheme: scheme{Template: "{body}{host}"}, refused: true},
		"EightLevels":           {scheme: inBody(strings.Repeat("/a", 8))},
		"NineLevels":            {scheme: inBody(strings.Repeat("/a", 9)), refused: true},
		"EmptyLevels":           {scheme: inBody("////////")},
		"NineEmptyLevels":       {scheme: inBody("/////////"), refused: true},
		"PointerOf256Bytes":     {scheme: inBody("/a" + strings.Repeat("ä", 127))},
		"PointerOf257Bytes":     {scheme: inBody("/" + strings.Repeat("ä", 128)), refused: true},
		"PointerOfEscapes":      {scheme: inBody("/~0~1/~01")},
		"PointerWithTilde":      {scheme: inBody("/~2"), refused: true},
		"LongestTolerance":      {scheme: scheme{Timestamp: at{BodyPointer: "/t", ToleranceSeconds: 86400}}},
		"TooMuchTolerance":      {scheme: scheme{Timestamp: at{BodyPointer: "/t", ToleranceSeconds: 86401}}, refused: true},
	}
	for name, tc := range cases {
		for _, algorithm := range []sluicev1alpha1.SignatureAlgorithm{"SHA-256", sluicev1alpha1.AlgorithmEd25519} {
			t.Run(name+"/"+string(algorithm), func(t *testing.T) {
				tc.scheme.Algorithm = algorithm
				spec := ofSignature(tc.scheme, sluicev1alpha1.Deduplication{})
				if accepted := offered(t, namespace, spec); accepted == tc.refused {
					t.Errorf("the API server accepts it: %v", accepted)
				}
				_, p := checkScheme(&sluicev1alpha1.WebhookTrigger{Spec: spec}, testURL)
				if p != nil && !tc.refused {
					t.Errorf("the API server accepts what the controller cannot work with: %s: %s", p.reason, p.message)
				}
			})
		}
	}

	t.Run("Deduplication", func(t *testing.T) {
		many := strings.Split("/a,/b,/c,/d,/e", ",")
		for pointers, refused := range map[string]bool{
			strings.Join(many[:4], ","): false, strings.Join(many, ","): true, strings.Repeat("/a", 8): false, strings.Repeat("/a", 9): true,
			"/" + strings.Repeat("ä", 128): true, "/id,/id": false, "id": true,
		} {
			d := sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByBody}
			for p := range strings.SplitSeq(pointers, ",") {
				d.BodyPointers = append(d.BodyPointers, sluicev1alpha1.JSONPointer(p))
			}
			spec := ofSignature(scheme{Algorithm: "SHA-256"}, d)
			if accepted := offered(t, namespace, spec); accepted == refused {
				t.Errorf("%s: the API server accepts it: %v", pointers, accepted)
			}
			if _, p := checkScheme(&sluicev1alpha1.WebhookTrigger{Spec: spec}, testURL); p != nil && !refused {
				t.Errorf("%s: the API server accepts what the controller cannot work with: %s", pointers, p.message)
			}
		}
	})
}

// TestOfferedCombinationsWork combines what the rules are about.
func TestOfferedCombinationsWork(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	accepted, tried := 0, 0
	check := func(s sluicev1alpha1.SignatureScheme, d sluicev1alpha1.Deduplication) bool {
		t.Helper()
		tried++
		spec := ofSignature(s, d)
		if !offered(t, namespace, spec) {
			return false
		}
		accepted++
		made, p := checkScheme(&sluicev1alpha1.WebhookTrigger{Spec: spec}, testURL)
		if p != nil {
			t.Errorf("the API server accepts %+v with %+v, which the controller cannot work with: %s: %s", s, d, p.reason, p.message)
		}
		if s.IDHeader != "" {
			if diff := cmp.Diff([]string{string(s.IDHeader)}, made.DeliveryID.Headers); diff != "" {
				t.Errorf("%+v with %+v: {id} does not stand for idHeader (-want +got):\n%s", s, d, diff)
			}
		}
		return true
	}
	for _, algorithm := range []sluicev1alpha1.SignatureAlgorithm{"SHA-256", sluicev1alpha1.AlgorithmToken} {
		for _, template := range []string{"", "{body}", "{timestamp}.{body}", "{id}.{body}", "{method}{url}{body}"} {
			for _, timestamp := range []sluicev1alpha1.SignatureTimestamp{
				{}, {Header: "X-T"}, {Field: "t", Unit: "Milliseconds", ToleranceSeconds: 1}, {BodyPointer: "/t", ToleranceSeconds: 1}, {ToleranceSeconds: 1},
			} {
				for _, fields := range [][]string{nil, {"v1"}, {"v1", "t"}} {
					for _, separator := range []string{"", "="} {
						for _, idHeader := range []sluicev1alpha1.HeaderName{"", "X-Id"} {
							s := sluicev1alpha1.SignatureScheme{
								Algorithm: algorithm, Template: template, Timestamp: timestamp, Fields: fields, FieldSeparator: separator, IDHeader: idHeader,
							}
							if !check(s, sluicev1alpha1.Deduplication{}) {
								continue
							}
							for _, d := range deduplications() {
								check(s, d)
							}
							for _, more := range []sluicev1alpha1.SignatureScheme{
								{Prefix: "="}, {ItemSeparator: "="}, {ItemSeparator: ","}, {Encoding: "Base64URL"}, {SecretPrefix: "whsec_", SecretEncoding: "Base64"},
							} {
								s := s
								s.Prefix, s.ItemSeparator, s.Encoding, s.SecretPrefix, s.SecretEncoding = more.Prefix, more.ItemSeparator, more.Encoding, more.SecretPrefix, more.SecretEncoding
								check(s, sluicev1alpha1.Deduplication{})
							}
						}
					}
				}
			}
		}
	}
	if accepted < 100 || tried-accepted < 100 {
		t.Errorf("of %d schemes the API server accepts %d: too few of one kind to show anything", tried, accepted)
	}
}

// TestOfferedDeduplicationOfProviders goes through all presets and all ways to say what a delivery is. The rules of the
// CustomResourceDefinition name providers, so that a new preset may need to be named there too.
func TestOfferedDeduplicationOfProviders(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	for _, preset := range signature.Presets() {
		for name, d := range deduplications() {
			spec := ofProvider(preset.Name, d)
			accepted := offered(t, namespace, spec)
			if name == "SameHeader" {
				if accepted {
					t.Errorf("%s: the API server accepts the source Header without a header", preset.Name)
				}
				continue
			}
			scheme, p := checkScheme(&sluicev1alpha1.WebhookTrigger{Spec: spec}, testURL)
			works := p == nil
			if strings.Contains(preset.Scheme.Template, "{id}") { // what is signed is in the provider's header and in no other
				works = works && cmp.Equal(preset.Scheme.DeliveryID, scheme.DeliveryID)
			}
			if accepted != works {
				t.Errorf("%s with the deduplication %s: the API server accepts it: %v; it works: %v, %v", preset.Name, name, accepted, works, p)
			}
		}
	}
}

// storedKey returns a key in the form in which the scheme has it stored.
func storedKey(s signature.Scheme) []byte {
	key := []byte("an-unguessable-key-of-32-bytes--")
	text := string(key)
	switch s.Secret.Encoding {
	case signature.SecretHex:
		text = hex.EncodeToString(key)
	case signature.SecretBase64:
		text = base64.StdEncoding.EncodeToString(key)
	case signature.SecretRaw, "":
	}
	return []byte(s.Secret.StripPrefix + text)
}

// TestProvidersServe makes a route of every preset.
func TestProvidersServe(t *testing.T) {
	t.Parallel()
	const reachable, unreachable = "https://hooks.example.com", ""
	for _, preset := range signature.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			t.Parallel()
			for _, prefixed := range []bool{true, false} {
				in := testInputs()
				in.Trigger.Spec = ofProvider(preset.Name, sluicev1alpha1.Deduplication{})
				stored := storedKey(preset.Scheme)
				if !prefixed {
					stored = []byte(strings.TrimPrefix(string(stored), preset.Scheme.Secret.StripPrefix))
				}
				in.Secrets["webhook"].Data["secretKey"] = stored
				in.ExternalURL = reachable
				checkServes(t, in)

				in.ExternalURL = unreachable
				in.Trigger.Spec.PublicURL = testURL
				checkServes(t, in)

				in.Trigger.Spec.PublicURL = ""
				if !preset.Scheme.NeedsURL() {
					checkServes(t, in)
					continue
				}
				got := Resolve(in)
				if got.Route.Verifier != nil || got.Route.Unavailable != sluicev1alpha1.ReasonPublicURLMissing {
					t.Errorf("without a URL the route is %+v", got.Route)
				}
				checkConditions(t, got, "False/PublicURLMissing", "False/PublicURLMissing", "True/ResolvedRefs")
			}
		})
	}
}

func checkServes(t *testing.T, in Inputs) {
	t.Helper()
	got := Resolve(in)
	checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
	if got.Route.Verifier == nil || got.Route.Unavailable != "" || len(got.Route.Verifier.Keys()) != 1 {
		t.Errorf("the route is %+v", got.Route)
	}
}

// checkConditions compares the statuses and reasons of the conditions.
func checkConditions(t *testing.T, got Resolution, ready, accepted, resolved string) {
	t.Helper()
	want := map[string]string{"Ready": ready, "Accepted": accepted, "ResolvedRefs": resolved}
	found := map[string]string{}
	for _, c := range got.Conditions {
		found[c.Type] = string(c.Status) + "/" + c.Reason
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("conditions (-want +got):\n%s\n%+v", diff, got.Conditions)
	}
}

// messageOf returns the message of a condition.
func messageOf(r Resolution, kind string) string {
	for _, c := range r.Conditions {
		if c.Type == kind {
			return c.Message
		}
	}
	return ""
}

// TestCheckScheme shows what only the controller can find wrong.
func TestCheckScheme(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		spec    sluicev1alpha1.WebhookTriggerSpec
		url     string
		want    string // the reason
		message string
	}{
		"UnknownProvider": {
			reason: "a definition newer than the program", spec: ofProvider("Acme", sluicev1alpha1.Deduplication{}),
			want: sluicev1alpha1.ReasonInvalidScheme, message: `does not know the provider "Acme"`,
		},
		"UnknownAlgorithm": {
			reason: "a definition newer than the program", spec: ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-9000"}, sluicev1alpha1.Deduplication{}),
			want: sluicev1alpha1.ReasonInvalidScheme, message: `"SHA-9000"`,
		},
		"TwoProblems": {
			reason: "all that is wrong is in one line",
			spec:   ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-9000", Encoding: "Base32"}, sluicev1alpha1.Deduplication{}),
			want:   sluicev1alpha1.ReasonInvalidScheme, message: `; unknown encoding "Base32".`,
		},
		"TokenAsID": {
			reason: "a definition older than the program", spec: ofProvider("GitLabToken", sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateBySignature}),
			want: sluicev1alpha1.ReasonInvalidScheme, message: "token cannot be the delivery id",
		},
		"URLOfTemplate": {
			reason: "nobody knows the URL", spec: ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-1", Template: "{url}{body}"}, sluicev1alpha1.Deduplication{}),
			want: sluicev1alpha1.ReasonPublicURLMissing, message: "set spec.publicURL",
		},
		"URLOfTemplateKnown": {
			reason: "the URL is known", spec: ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-1", Template: "{url}{body}"}, sluicev1alpha1.Deduplication{}),
			url: testURL,
		},
		"PlaceholderTwice": {
			reason: "stored under a definition that allowed it", spec: ofSignature(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-1", Template: "{body}{body}"}, sluicev1alpha1.Deduplication{}),
			want: sluicev1alpha1.ReasonInvalidScheme, message: "{body} more than once: leave all but one out",
		},
		"QueryOfContentful": {
			reason: "it would accept nothing", spec: ofProvider("Contentful", sluicev1alpha1.Deduplication{}), url: testURL + "?a=1",
			want: sluicev1alpha1.ReasonInvalidScheme, message: "leave it out here",
		},
		"QueryOfSquare": {reason: "the query is stated", spec: ofProvider("Square", sluicev1alpha1.Deduplication{}), url: testURL + "?a=1"},
		"DefaultScheme": {reason: "the URL is of no interest", spec: testInputs().Trigger.Spec},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, p := checkScheme(&sluicev1alpha1.WebhookTrigger{Spec: tc.spec}, tc.url)
			if p == nil {
				p = &problem{}
			}
			if p.reason != tc.want || !strings.Contains(p.message, tc.message) || strings.Contains(p.message, "\n") {
				t.Errorf("%s: %+v, want %s with %q, in one line", tc.reason, p, tc.want, tc.message)
			}
		})
	}
}

// TestSchemeOf makes sure that no field of the API is lost on the way.
func TestSchemeOf(t *testing.T) {
	t.Parallel()
	got := schemeOf(sluicev1alpha1.SignatureScheme{
		Algorithm: "SHA-512", Headers: []sluicev1alpha1.HeaderName{"X-A", "X-B"}, Encoding: "Base64", Prefix: "p", ItemSeparator: ",", FieldSeparator: "=",
		Fields: []string{"v1", "v2"}, Template: "{id}.{timestamp}{body}",
		Timestamp: sluicev1alpha1.SignatureTimestamp{Header: "X-T", Field: "t", BodyPointer: "/t", Unit: "RFC3339", ToleranceSeconds: 90},
		IDHeader:  "X-Id", SecretPrefix: "whsec_", SecretEncoding: "Hex",
	})
	want := signature.Scheme{
		Algorithm: signature.SHA512, Headers: []string{"X-A", "X-B"}, Encoding: signature.Base64, Prefix: "p", ItemSeparator: ",", FieldSeparator: "=",
		SignatureFields: []string{"v1", "v2"}, Template: "{id}.{timestamp}{body}",
		Timestamp:  signature.Timestamp{Headers: []string{"X-T"}, Field: "t", BodyPointer: "/t", Unit: signature.RFC3339, Tolerance: 90 * time.Second},
		Secret:     signature.Secret{StripPrefix: "whsec_", Encoding: signature.SecretHex},
		DeliveryID: signature.DeliveryID{Headers: []string{"X-Id"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the scheme (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(signature.Scheme{Algorithm: signature.SHA1}, schemeOf(sluicev1alpha1.SignatureScheme{Algorithm: "SHA-1"})); diff != "" {
		t.Errorf("the scheme of nothing but an algorithm (-want +got):\n%s", diff)
	}
}

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
		"Default":           {reason: "nothing is known of ids", spec: testInputs().Trigger.Spec},
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
			trigger := &sluicev1alpha1.WebhookTrigger{Spec: tc.spec}
			scheme, p := checkScheme(trigger, testURL)
			if p != nil {
				t.Fatalf("%s: %+v", tc.reason, p)
			}
			if diff := cmp.Diff(tc.id, scheme.DeliveryID); diff != "" {
				t.Errorf("%s: the delivery id (-want +got):\n%s", tc.reason, diff)
			}
			if got := deduplicates(trigger, scheme); got != tc.want {
				t.Errorf("%s: deduplicates: %v, want %v", tc.reason, got, tc.want)
			}
			in := testInputs()
			in.Trigger.Spec = tc.spec
			if got := Resolve(in).Route.Deduplicate; got != tc.want {
				t.Errorf("%s: the route deduplicates: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
	preset, _ := signature.PresetByName("GitHub")
	if diff := cmp.Diff([]string{"X-GitHub-Delivery"}, preset.Scheme.DeliveryID.Headers); diff != "" {
		t.Errorf("a trigger has changed the preset (-want +got):\n%s", diff)
	}
}

// TestWindow shows for how long deliveries are remembered, and when the user is told that this is short.
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
		"None":             {reason: "what is not deduplicated is not remembered", spec: testInputs().Trigger.Spec},
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
			in := testInputs()
			in.Trigger.Spec = tc.spec
			if tc.spec.Provider != "" {
				in.ExternalURL = testURL
			}
			got := Resolve(in)
			checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
			if got.Route.Window != tc.want {
				t.Errorf("%s: the window is %s, want %s", tc.reason, got.Route.Window, tc.want)
			}
			if message := messageOf(got, sluicev1alpha1.ConditionReady); !strings.Contains(message, tc.remark) || (tc.remark == "") != !strings.Contains(message, "windowSeconds") {
				t.Errorf("%s: the message is %q, want %q in it", tc.reason, message, tc.remark)
			}
		})
	}
	for _, preset := range signature.Presets() {
		kept, remark := window(&sluicev1alpha1.WebhookTrigger{Spec: ofProvider(preset.Name, sluicev1alpha1.Deduplication{})}, preset.Scheme)
		if kept < preset.RetryHorizon || kept > sluicev1alpha1.MaxRetention || remark != "" {
			t.Errorf("deliveries of %s are remembered for %s (%q), want at least %s and at most %s", preset.Name, kept, remark, preset.RetryHorizon, sluicev1alpha1.MaxRetention)
		}
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		given  sluicev1alpha1.Response
		want   route.Response
		remark bool
	}{
		"Absent":  {reason: "the answer of all"},
		"Problem": {reason: "the default, spelt out", given: sluicev1alpha1.Response{UnauthorizedBody: sluicev1alpha1.UnauthorizedProblem}},
		"Empty": {
			reason: "a 401 says nothing of what is accepted", given: sluicev1alpha1.Response{UnauthorizedBody: sluicev1alpha1.UnauthorizedEmpty},
			want: route.Response{EmptyUnauthorized: true},
		},
		"Status": {reason: "no body", given: sluicev1alpha1.Response{Status: 204}, want: route.Response{Override: true, Status: 204, Body: []byte{}}},
		"Body": {
			reason: "text in UTF-8", given: sluicev1alpha1.Response{Body: "ok"},
			want: route.Response{Override: true, Body: []byte("ok"), ContentType: "text/plain; charset=utf-8"},
		},
		"All": {
			reason: "as it is given", given: sluicev1alpha1.Response{Status: 201, Body: "{}", ContentType: "application/json", UnauthorizedBody: sluicev1alpha1.UnauthorizedEmpty},
			want: route.Response{Override: true, Status: 201, Body: []byte("{}"), ContentType: "application/json", EmptyUnauthorized: true},
		},
		"HTML": {
			reason: "stored before it was refused: the sender gets what it always got, and a browser gets text", remark: true,
			given: sluicev1alpha1.Response{Status: 201, Body: "<script>alert(1)</script>", ContentType: "text/html"},
			want:  route.Response{Override: true, Status: 201, Body: []byte("<script>alert(1)</script>"), ContentType: "text/plain; charset=utf-8"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testInputs()
			in.Trigger.Spec.Response = tc.given
			got := Resolve(in)
			if diff := cmp.Diff(tc.want, got.Route.Response); diff != "" {
				t.Errorf("%s: the response of the route (-want +got):\n%s", tc.reason, diff)
			}
			checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
			if message := messageOf(got, sluicev1alpha1.ConditionReady); strings.Contains(message, "spec.response.contentType") != tc.remark {
				t.Errorf("%s: the message is %q", tc.reason, message)
			}
		})
	}
}

// TestInertTypes shows which content types a body can have: none in which a browser would run something, whatever it makes of the text.
func TestInertTypes(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"text/plain", "Text/Plain", "text/plain; charset=utf-8", "text/plain;charset=UTF-8", "application/json", "application/json ; version=1; a_b=c.d",
		"application/vnd.example+json", "application/problem+json", "text/xml", "application/xml", "application/x-www-form-urlencoded", "application/octet-stream",
	} {
		if !inert(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"text/html", "TEXT/HTML", "text/html; charset=utf-8", "application/xhtml+xml", "image/svg+xml", "application/rss+xml", "application/mathml+xml", "text/xsl",
		"text/javascript", "application/javascript", "text/css", "application/pdf", "multipart/form-data", "multipart/x-mixed-replace", "message/rfc822", "image/png",
		"a/b", "text/plain, text/html", "text/plain;,text/html", "text/plain; a=\",text/html", "text/plain; a=b,text/html", "text/plain\r\nX-A: b", "text/plain\n",
		" text/plain", "text/plain ", "text/plain;", "text/plain; a", "text/plain; a=", `text/plain; a="b"`, "application/+json", "application/json+xml",
		"application/j\u017fon", "te\u212at/plain", "application/\u212a+json", "+json", "json", "*/*", "application/unknown",
	} {
		if inert(bad) {
			t.Errorf("%q is good enough", bad)
		}
	}

	t.Log("and the API has the same expression")
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "crd", "bases", "sluice.dev_webhooktriggers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := yaml.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(texts(definition), "self.lowerAscii().matches('"+inertType.String()+"')") {
		t.Errorf("the CustomResourceDefinition has another one than %s", inertType)
	}
}

// texts returns all texts in a value that was decoded from YAML.
func texts(value any) (found []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, element := range v {
			found = append(found, texts(element)...)
		}
	case map[string]any:
		for _, member := range v {
			found = append(found, texts(member)...)
		}
	}
	return found
}

// TestMatch shows what two requests of one delivery have in common, and when the user is told that this is not safe.
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
			in := testInputs()
			in.Trigger.Spec = tc.spec
			got := Resolve(in)
			if got.Route.Match != tc.want {
				t.Errorf("%s: match is %d, want %d", tc.reason, got.Route.Match, tc.want)
			}
			if message := messageOf(got, sluicev1alpha1.ConditionReady); strings.Contains(message, "spec.deduplication.match") != tc.remark {
				t.Errorf("%s: the message is %q", tc.reason, message)
			}
		})
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, spec, external, want string }{
		"Neither":  {reason: "nobody knows it"},
		"External": {reason: "that of the operator", external: "https://hooks.example.com", want: "https://hooks.example.com/hooks/shop/orders"},
		"WithPath": {reason: "an ingress may add a path", external: "https://example.com/sluice", want: "https://example.com/sluice/hooks/shop/orders"},
		"Own":      {reason: "the trigger's own, byte for byte", spec: "https://example.com/a/", want: "https://example.com/a/"},
		"Query":    {reason: "the query is a part of it", spec: "https://example.com/a?b=c", want: "https://example.com/a?b=c"},
		"Both":     {reason: "the trigger's own goes first", spec: "https://example.com", external: "https://hooks.example.com", want: "https://example.com"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testInputs()
			in.Trigger.Spec.PublicURL, in.ExternalURL = tc.spec, tc.external
			if got := Resolve(in).Route.PublicURL; got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// additional adds references to keys, and one more Secret.
func additional(in *Inputs, refs ...string) {
	for _, ref := range refs {
		name, key, _ := strings.Cut(ref, "/")
		in.Trigger.Spec.AdditionalSecretRefs = append(in.Trigger.Spec.AdditionalSecretRefs, sluicev1alpha1.SecretKeyReference{Name: name, Key: key})
	}
	in.Secrets["former"] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "former", UID: "former-uid", ResourceVersion: "3"},
		Data:       map[string][]byte{"secretKey": []byte("another-key-of-more-than-16-bytes"), "blank": []byte(" \n"), "long": []byte(strings.Repeat("k", 4097))},
	}
}

// TestAdditionalKeys shows that a key that is passed over keeps none of the others out.
func TestAdditionalKeys(t *testing.T) {
	t.Parallel()
	const ready, accepted = "True/Ready", "True/Accepted"
	cases := map[string]struct {
		reason   string
		change   func(*Inputs)
		keys     []string // that are accepted
		ready    string
		resolved string
		messages []string // of both conditions
	}{
		"Good": {
			reason: "all are accepted, in their order", change: func(in *Inputs) { additional(in, "former/secretKey", "webhook/next") },
			keys: []string{"webhook/secretKey", "former/secretKey", "webhook/next"}, ready: ready, resolved: "True/ResolvedRefs",
		},
		"NoSecret": {
			reason: "a Secret that was deleted", change: func(in *Inputs) { additional(in, "gone/secretKey", "former/secretKey") },
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/SecretNotFound",
			messages: []string{`This additional key is passed over: There is no Secret "gone"`},
		},
		"NoEntry": {
			reason: "an entry that was deleted", change: func(in *Inputs) { additional(in, "former/gone") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyNotFound",
			messages: []string{`This additional key is passed over: The Secret "former" has no key "gone"`},
		},
		"Blank": {
			reason: "anybody could sign with it", change: func(in *Inputs) { additional(in, "former/blank") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyEmpty",
			messages: []string{`This additional key is passed over: The key "blank" of the Secret "former" is empty or white space`},
		},
		"TooLong": {
			reason: "it is not what it should be", change: func(in *Inputs) { additional(in, "former/long") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyTooLong", messages: []string{"passed over", "longer than 4096 bytes"},
		},
		"Malformed": {
			reason: "it is not encoded as the scheme says",
			change: func(in *Inputs) {
				in.Trigger.Spec = ofProvider("AdyenPlatform", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 16))
				additional(in, "former/secretKey")
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyMalformed",
			messages: []string{`This additional key is passed over: The key "secretKey" of the Secret "former" is not hex`},
		},
		"PublicKeyOfAnotherLength": {
			reason: "it is no public key",
			change: func(in *Inputs) {
				in.Trigger.Spec = ofProvider("Discord", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 32))
				additional(in, "former/secretKey")
				in.Secrets["former"].Data["secretKey"] = []byte(strings.Repeat("1f", 31))
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyMalformed",
			messages: []string{`This additional key is passed over: The key "secretKey" of the Secret "former" is not a public key of Ed25519`},
		},
		"PrimaryPublicKeyOfAnotherLength": {
			reason: "it is no public key",
			change: func(in *Inputs) {
				in.Trigger.Spec = ofProvider("Discord", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 33))
				additional(in)
			},
			ready: "False/SecretKeyMalformed", resolved: "False/SecretKeyMalformed",
			messages: []string{`The key "secretKey" of the Secret "webhook" is not a public key of Ed25519`},
		},
		"Several": {
			reason: "all are named, under the reason of the first", change: func(in *Inputs) { additional(in, "former/blank", "gone/a", "former/secretKey", "former/gone") },
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/SecretKeyEmpty",
			messages: []string{`"blank"`, `no Secret "gone"`, `no key "gone"`},
		},
		"Weak": {
			reason: "a remark on each, which passes none over",
			change: func(in *Inputs) {
				additional(in, "former/secretKey")
				in.Secrets["former"].Data["secretKey"] = []byte("weak\n")
			},
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/ResolvedRefs",
			messages: []string{`The key "secretKey" of the Secret "former" ends in a newline`, `The key "secretKey" of the Secret "former" is weak`},
		},
		"SkippedAndWeak": {
			reason: "both are said",
			change: func(in *Inputs) {
				additional(in, "former/gone")
				in.Secrets["webhook"].Data["secretKey"] = []byte("weak")
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyNotFound", messages: []string{`no key "gone"`, "is weak"},
		},
		"PrimaryMissing": {
			reason: "the first key is the one that the user counts on",
			change: func(in *Inputs) {
				additional(in, "former/secretKey")
				delete(in.Secrets["webhook"].Data, "secretKey")
			},
			ready: "False/SecretKeyNotFound", resolved: "False/SecretKeyNotFound", messages: []string{`The Secret "webhook" has no key "secretKey"`},
		},
		"PrimaryBlank": {
			reason: "the first key is the one that the user counts on",
			change: func(in *Inputs) {
				additional(in, "former/secretKey")
				in.Secrets["webhook"].Data["secretKey"] = []byte("\n")
			},
			ready: "False/SecretKeyEmpty", resolved: "False/SecretKeyEmpty", messages: []string{"anybody could sign"},
		},
		"PrimaryAndAdditionalMissing": {
			reason: "what keeps the trigger from working is the reason", change: func(in *Inputs) { additional(in, "former/gone"); delete(in.Secrets, "webhook") },
			ready: "False/SecretNotFound", resolved: "False/SecretNotFound", messages: []string{`no Secret "webhook"`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testInputs()
			in.Secrets["webhook"].Data["next"] = []byte("the-next-key-of-more-than-16-bytes")
			tc.change(&in)
			got := Resolve(in)
			checkConditions(t, got, tc.ready, accepted, tc.resolved)
			var names []string
			for _, k := range got.Route.Verifier.Keys() {
				names = append(names, k.Name)
			}
			if diff := cmp.Diff(tc.keys, names); diff != "" {
				t.Errorf("%s: keys of the route (-want +got):\n%s", tc.reason, diff)
			}
			if (got.Route.Verifier != nil) != (tc.keys != nil) {
				t.Errorf("%s: the route can serve: %v", tc.reason, got.Route.Verifier != nil)
			}
			for _, text := range tc.messages {
				for _, kind := range []string{sluicev1alpha1.ConditionReady, sluicev1alpha1.ConditionResolvedRefs} {
					if message := messageOf(got, kind); !strings.Contains(message, text) {
						t.Errorf("%s: the message of %s is %q, want %q in it", tc.reason, kind, message, text)
					}
				}
			}
			if tc.keys == nil {
				return
			}
			for name, value := range map[string]string{
				"webhook/secretKey": string(in.Secrets["webhook"].Data["secretKey"]), "former/secretKey": string(in.Secrets["former"].Data["secretKey"]),
			} {
				checkAccepts(t, in, got.Route, name, value, slices.Contains(tc.keys, name))
			}
		})
	}
}

// checkAccepts signs a body with a key, as the default scheme has it.
func checkAccepts(t *testing.T, in Inputs, r *route.Route, name, key string, want bool) {
	t.Helper()
	if in.Trigger.Spec.Algorithm == "" {
		return
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("body"))
	request := signature.Request{Method: http.MethodPost, Headers: map[string][]string{signature.DefaultHeader: {hex.EncodeToString(mac.Sum(nil))}}}
	result, err := r.Verifier.Verify(request, []byte("body"), time.Unix(0, 0))
	switch {
	case (err == nil) != want:
		t.Errorf("what is signed with %s: %v, want it to be accepted: %v", name, err, want)
	case want && result.Key != name:
		t.Errorf("what is signed with %s is taken for %s", name, result.Key)
	}
}

// TestTokenRemark says of a token what it is.
func TestTokenRemark(t *testing.T) {
	t.Parallel()
	in := testInputs()
	in.Trigger.Spec = ofProvider("GitLabToken", sluicev1alpha1.Deduplication{})
	got := Resolve(in)
	checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
	for _, kind := range []string{sluicev1alpha1.ConditionReady, sluicev1alpha1.ConditionResolvedRefs} {
		if message := messageOf(got, kind); !strings.Contains(message, "A token is no signature") {
			t.Errorf("the message of %s is %q", kind, message)
		}
	}
}

// TestLongestMessages makes conditions of as much as can be wrong: what does not fit would keep the status from being
// written.
func TestLongestMessages(t *testing.T) {
	t.Parallel()
	in := testInputs()
	long := strings.Repeat("a", 253)
	in.Trigger.Namespace = env.Namespace(t)
	in.Trigger.UID, in.Trigger.Generation = "", 0
	in.Trigger.Spec.SecretRef = sluicev1alpha1.SecretKeyReference{Name: long, Key: long}
	for i := range 8 {
		in.Trigger.Spec.AdditionalSecretRefs = append(in.Trigger.Spec.AdditionalSecretRefs,
			sluicev1alpha1.SecretKeyReference{Name: long, Key: fmt.Sprintf("%d%s", i, long[1:])})
	}
	for _, last := range []string{"\n", ""} { // weak, or blank
		in := in
		in.Trigger = in.Trigger.DeepCopy()
		in.Secrets = map[string]*corev1.Secret{long: {Data: map[string][]byte{long: []byte("weak\n")}}}
		for _, ref := range in.Trigger.Spec.AdditionalSecretRefs {
			in.Secrets[long].Data[ref.Key] = []byte("weak" + last)
			if last == "" {
				in.Secrets[long].Data[ref.Key] = nil
			}
		}
		in.Trigger.Name = fmt.Sprintf("orders-%d", len(last))
		env.Create(t, in.Trigger)
		for _, c := range Resolve(in).Conditions {
			c.LastTransitionTime = metav1.Now()
			in.Trigger.Status.Conditions = append(in.Trigger.Status.Conditions, c)
		}
		in.Trigger.Status.Keys = newKeyUsage(time.Minute).keyStatuses(in.Trigger)
		if err := env.Client.Status().Update(t.Context(), in.Trigger); err != nil {
			t.Error(err)
		}
	}
}
