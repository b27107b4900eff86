/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestOfferedSchemesWork takes schemes at the limits of what the CustomResourceDefinition lets
// through: whatever a user can store has to work, or else be refused while the user looks.
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
				_, err := schemeFor(&spec, testURL)
				if err != nil && !tc.refused {
					t.Errorf("the API server accepts what the controller cannot work with: %v", err)
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
			if _, err := schemeFor(&spec, testURL); err != nil && !refused {
				t.Errorf("%s: the API server accepts what the controller cannot work with: %v", pointers, err)
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
		made, err := schemeFor(&spec, testURL)
		if err != nil {
			t.Errorf("the API server accepts %+v with %+v, which the controller cannot work with: %v", s, d, err)
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

// TestOfferedDeduplicationOfProviders goes through all presets and all ways to say what a delivery
// is. The rules of the CustomResourceDefinition name providers, so that a new preset may need to be
// named there too.
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
			scheme, err := schemeFor(&spec, testURL)
			works := err == nil
			if strings.Contains(preset.Scheme.Template, "{id}") { // what is signed is in the provider's header and in no other
				works = works && cmp.Equal(preset.Scheme.DeliveryID, scheme.DeliveryID)
			}
			if accepted != works {
				t.Errorf("%s with the deduplication %s: the API server accepts it: %v; it works: %v, %v", preset.Name, name, accepted, works, err)
			}
		}
	}
}

// TestSchemeErrors shows what the API server cannot find wrong.
func TestSchemeErrors(t *testing.T) {
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
		"DefaultScheme": {reason: "the URL is of no interest", spec: testTrigger().Spec},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := schemeFor(&tc.spec, tc.url)
			got := &Error{}
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("%s: %v has no reason", tc.reason, err)
			}
			if got.Reason != tc.want || !strings.Contains(got.Message, tc.message) || strings.Contains(got.Message, "\n") {
				t.Errorf("%s: %+v, want %s with %q, in one line", tc.reason, got, tc.want, tc.message)
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
