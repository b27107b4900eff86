/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

func TestSchemeValidate(t *testing.T) {
	const header, tolerance = "X-Time", time.Minute
	for name, tc := range map[string]struct {
		reason string
		scheme signature.Scheme
		want   []string // a part of each line; none if the scheme is valid
	}{
		"Default": {
			reason: "an algorithm is all that there must be",
			scheme: signature.Scheme{Algorithm: signature.SHA256},
		},
		"NoAlgorithm": {
			reason: "without one nothing is signed",
			want:   []string{`unknown algorithm ""`},
		},
		"UnknownWords": {
			reason: "everything that is wrong is said at once",
			scheme: signature.Scheme{
				Algorithm: "MD5", Encoding: "Base32", Special: "Magic", Handshake: "Nod",
				Secret:    signature.Secret{Encoding: "ROT13"},
				Timestamp: signature.Timestamp{Unit: "Fortnights"},
			},
			want: []string{`algorithm "MD5"`, `encoding "Base32"`, `special scheme "Magic"`, `unit "Fortnights"`, `secret encoding "ROT13"`, `handshake "Nod"`},
		},
		"TemplateWithoutBody": {
			reason: "the body would not be protected",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{timestamp}", Timestamp: signature.Timestamp{Headers: []string{header}}},
			want:   []string{"template has no {body}"},
		},
		"UnknownPlaceholder": {
			reason: "a spelling mistake must not become text that is signed",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{Body}"},
			want:   []string{"unknown placeholder {Body}"},
		},
		"OpenBrace": {
			reason: "a brace is always meant",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{body}{"},
			want:   []string{"{ without a }"},
		},
		"ClosingBrace": {
			reason: "a brace is always meant",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{body}}"},
			want:   []string{"} without a {"},
		},
		"LongTemplate": {
			reason: "everything has bounds",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{body}" + strings.Repeat("x", 512)},
			want:   []string{"longer than 512"},
		},
		"ToleranceWithoutTimestamp": {
			reason: "there is nothing that could be too old",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Timestamp: signature.Timestamp{Tolerance: tolerance}},
			want:   []string{"a timestamp tolerance, but no timestamp"},
		},
		"TimestampNotSigned": {
			reason: "anybody could set it to now",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Timestamp: signature.Timestamp{Headers: []string{header}, Tolerance: tolerance}},
			want:   []string{"not signed proves nothing"},
		},
		"TemplateWithoutTimestamp": {
			reason: "what is to be signed is nowhere",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{timestamp}{body}"},
			want:   []string{"but there is no timestamp"},
		},
		"TimestampOfTheBodyInTheTemplate": {
			reason: "the body is not read before it is verified",
			scheme: signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{body}",
				Timestamp: signature.Timestamp{BodyPointer: "/time", Tolerance: tolerance},
			},
			want: []string{"the timestamp is in the body"},
		},
		"TimestampTwice": {
			reason: "it is not clear which one counts",
			scheme: signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{body}", FieldSeparator: "=", SignatureFields: []string{"v1"},
				Timestamp: signature.Timestamp{Headers: []string{header}, Field: "t"},
			},
			want: []string{"more than one source"},
		},
		"TimestampFieldWithoutFields": {
			reason: "there are no fields",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{timestamp}{body}", Timestamp: signature.Timestamp{Field: "t"}},
			want:   []string{"no field separator"},
		},
		"OneFieldForTwo": {
			reason: "a field is one or the other",
			scheme: signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{body}", ItemSeparator: ",", FieldSeparator: "=", SignatureFields: []string{"t"},
				Timestamp: signature.Timestamp{Field: "t"},
			},
			want: []string{"both the timestamp and a signature"},
		},
		"NegativeTolerance": {
			reason: "nothing would be fresh",
			scheme: signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{body}",
				Timestamp: signature.Timestamp{Headers: []string{header}, Tolerance: -1},
			},
			want: []string{"tolerance must be from 0 to 24h"},
		},
		"BadPointer": {
			reason: "a path of another language leads nowhere",
			scheme: signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{"$.id"}}},
			want:   []string{"does not begin with /"},
		},
		"BadEscape": {
			reason: "RFC 6901 knows ~0 and ~1",
			scheme: signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{"/a~2"}}},
			want:   []string{"has a ~"},
		},
		"IDBesideBody": {
			reason: "the end of the id could pass for the beginning of the body",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{id}{body}", DeliveryID: signature.DeliveryID{Headers: []string{"X-Id"}}},
			want:   []string{"{id} next to another placeholder"},
		},
		"BodyTwice": {
			reason: "where the first ends would depend on the second",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{body}.{body}"},
			want:   []string{"template has {body} more than once"},
		},
		"URLTwice": {
			reason: "the same, and it says which",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{url}{body}{url}"},
			want:   []string{"template has {url} more than once"},
		},
		"QuestionMarkBehindURL": {
			reason: "what follows could be the query",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{url}?{body}"},
			want:   []string{"template has ? behind {url}"},
		},
		"IDBehindTimestamp": {
			reason: "the same at its other side",
			scheme: signature.Scheme{
				Algorithm: signature.SHA256, Template: "{timestamp}{id}.{body}",
				Timestamp: signature.Timestamp{Headers: []string{"X-Time"}}, DeliveryID: signature.DeliveryID{Headers: []string{"X-Id"}},
			},
			want: []string{"{id} next to another placeholder"},
		},
		"IDNowhere": {
			reason: "what is to be signed is nowhere",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Template: "{id}.{body}"},
			want:   []string{"delivery id is not in a header"},
		},
		"IDTwice": {
			reason: "it is not clear which one counts",
			scheme: signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{Headers: []string{"X-Id"}, Signature: true}},
			want:   []string{"more than one source"},
		},
		"TokenAsID": {
			reason: "the secret would be stored in every FlowRun",
			scheme: signature.Scheme{Algorithm: signature.Token, DeliveryID: signature.DeliveryID{Signature: true}},
			want:   []string{"it is the secret"},
		},
		"TokenWithTemplate": {
			reason: "a token signs nothing, whatever is written",
			scheme: signature.Scheme{Algorithm: signature.Token, Template: "{body}", Encoding: signature.Hex},
			want:   []string{"has no encoding", "has no template"},
		},
		"HalfOfAField": {
			reason: "a separator needs names",
			scheme: signature.Scheme{Algorithm: signature.SHA256, FieldSeparator: "="},
			want:   []string{"go together"},
		},
		"PrefixAndField": {
			reason: "v1=sha256= is not known from anywhere",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Prefix: "sha256=", FieldSeparator: "=", SignatureFields: []string{"v1"}},
			want:   []string{"not both"},
		},
		"EqualSeparators": {
			reason: "no item would have a name",
			scheme: signature.Scheme{Algorithm: signature.SHA256, ItemSeparator: "=", FieldSeparator: "=", SignatureFields: []string{"v1"}},
			want:   []string{"are the same"},
		},
		"NumberedWithoutName": {
			reason: "X-HMAC-HASH1 is not what anybody means",
			scheme: signature.Scheme{Algorithm: signature.SHA256, NumberedHeaders: true},
			want:   []string{"numbered headers need"},
		},
		"NoHeaderName": {
			reason: "no request has such a header",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Headers: []string{"X Signature"}},
			want:   []string{`"X Signature" is not the name`},
		},
		"HeaderForABodyScheme": {
			reason: "it would not be looked at",
			scheme: signature.Scheme{Algorithm: signature.SHA256, Special: signature.SpecialMailgun, Headers: []string{"X-Signature"}},
			want:   []string{"the signature is in the body"},
		},
		"SpecialWithTemplate": {
			reason: "one of them would not be looked at",
			scheme: signature.Scheme{Algorithm: signature.SHA1, Special: signature.SpecialTwilio, Template: "{body}"},
			want:   []string{"has no template"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.scheme.Validate()
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tc.want) {
				t.Fatalf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tc.want[i]) {
					t.Errorf("%s: got %q, want %q", tc.reason, got[i], tc.want[i])
				}
			}
			if _, err := signature.NewVerifier(tc.scheme, signature.Key{Name: "k", Secret: []byte("a long enough secret")}); (err == nil) != (len(tc.want) == 0) {
				t.Errorf("NewVerifier: %v", err)
			}
		})
	}
}

func TestNewVerifierKeys(t *testing.T) {
	base64Scheme := signature.Scheme{Algorithm: signature.SHA256, Secret: signature.Secret{StripPrefix: "whsec_", Encoding: signature.SecretBase64}}
	hexScheme := signature.Scheme{Algorithm: signature.SHA256, Secret: signature.Secret{Encoding: signature.SecretHex}}
	for name, tc := range map[string]struct {
		reason string
		scheme signature.Scheme
		secret string
		want   string // empty if the key is good
	}{
		"Raw":              {reason: "any bytes are a key", secret: "\x00\x01"},
		"RawNewline":       {reason: "a key is never trimmed", secret: "key\n"},
		"Empty":            {reason: "CVE-2026-119037: anybody could sign with it", secret: "", want: "is blank"},
		"Blank":            {reason: "anybody could sign with it", secret: " \n\t", want: "is blank"},
		"Prefix":           {reason: "prefix and base64", scheme: base64Scheme, secret: "whsec_c2VjcmV0"},
		"NoPrefix":         {reason: "the prefix may be left off", scheme: base64Scheme, secret: "c2VjcmV0"},
		"NothingButPrefix": {reason: "an empty key is left", scheme: base64Scheme, secret: "whsec_", want: "is blank once it is decoded"},
		"BlankDecoded":     {reason: "white space is left", scheme: base64Scheme, secret: "whsec_ICAg", want: "is blank once it is decoded"},
		"NotBase64":        {reason: "it can't be meant", scheme: base64Scheme, secret: "whsec_geheim!", want: "is not base64"},
		"Base64Newline":    {reason: "encoding/base64 would skip it", scheme: base64Scheme, secret: "c2VjcmV0\n", want: "white space around its base64"},
		"Base64Wrapped":    {reason: "as base64 does after 76 digits; whether that is why is not said", scheme: base64Scheme, secret: "c2Vj\ncmV0", want: "is not base64 in one line"},
		"Unpadded":         {reason: "base64 is strict", scheme: base64Scheme, secret: "c2VjcmU", want: "is not base64"},
		"Hex":              {reason: "of either case", scheme: hexScheme, secret: "0aFF"},
		"HexNewline":       {reason: "the advice names the newline", scheme: hexScheme, secret: "0aff\n", want: "white space around its hex"},
		"NotHex":           {reason: "it can't be meant", scheme: hexScheme, secret: "geheim", want: "is not hex"},
		"ShortPublicKey":   {reason: "ed25519.Verify would panic", scheme: signature.Scheme{Algorithm: signature.Ed25519}, secret: "short", want: "32 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.scheme.Algorithm == "" {
				tc.scheme.Algorithm = signature.SHA256
			}
			_, err := signature.NewVerifier(tc.scheme, signature.Key{Name: "good", Secret: []byte(strings.Repeat("ab", 16))}, signature.Key{Name: "mine", Secret: []byte(tc.secret)})
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), `key "mine" `+tc.want) && !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			case err != nil && len(tc.secret) > 3 && strings.Contains(err.Error(), strings.TrimSpace(tc.secret)):
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
	if _, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}); err == nil {
		t.Error("a verifier without a key was made")
	}
}

func TestPresets(t *testing.T) {
	var names []string
	signed := map[string]bool{}
	for _, p := range signature.Presets() {
		names = append(names, p.Name)
		if err := p.Scheme.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.Key == "" || p.Source == "" {
			t.Errorf("%s: says not which key is meant, or not where its facts are from", p.Name)
		}
		if id := p.Scheme.DeliveryID; len(id.Headers)+len(id.BodyPointers) > 0 || id.Signature {
			signed[p.Name] = p.Scheme.SignsDeliveryID()
			if !signed[p.Name] && p.Weak == "" {
				t.Errorf("%s: the delivery id is not signed, and it doesn't say so", p.Name)
			}
		} else if p.Scheme.Timestamp.Tolerance == 0 && p.Weak == "" {
			t.Errorf("%s: neither a timestamp nor a delivery id, and it doesn't say so", p.Name)
		}
		if got, ok := signature.PresetByName(p.Name); !ok || got.Name != p.Name {
			t.Errorf("%s is not found by its name", p.Name)
		}
	}
	if !slices.IsSortedFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		t.Errorf("not in alphabetical order: %q", names)
	}
	if _, ok := signature.PresetByName("BigCommerce"); ok {
		t.Error("there is a preset for BigCommerce, on whose scheme the sources disagree")
	}
	var headersSigned []string
	for _, p := range signature.Presets() {
		if len(p.Scheme.DeliveryID.Headers) > 0 && signed[p.Name] {
			headersSigned = append(headersSigned, p.Name)
		}
	}
	want := []string{"GitLab", "StandardWebhooks", "StandardWebhooksEd25519", "Svix"}
	if diff := cmp.Diff(want, headersSigned); diff != "" {
		t.Errorf("presets that sign a delivery id in a header (-want +got):\n%s", diff)
	}
}
