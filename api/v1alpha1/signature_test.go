/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// What users read of a scheme that contradicts itself.
const (
	oneSchemeMessage         = "set exactly one of algorithm (the default scheme), provider (a preset) and signature (a scheme of your own)"
	headerMessage            = "must be the name of a header: letters, digits and '-'"
	pointerMessage           = "must be a JSON pointer (RFC 6901) of at most 8 levels, such as /event/id"
	pointerBytesMessage      = "must be at most 256 bytes in UTF-8"
	onceMessage              = "template may have each placeholder once, or a part of one could pass for a part of the other"
	noBodyMessage            = "template must contain {body}: what does not cover the body does not protect it"
	bracesMessage            = "template may have the placeholders {body}, {timestamp}, {id}, {method} and {url}, and no other braces"
	noTimestampMessage       = "template has {timestamp}: set timestamp.header or timestamp.field to say where it stands"
	unsignedTimestampMessage = "timestamp is not signed: a timestamp from a header or field is of use only if template has {timestamp}"
	idHeaderMessage          = "set idHeader if, and only if, template has {id}"
	fieldsMessage            = "fields and fieldSeparator go together: set both or neither"
	prefixOrFieldMessage     = "a signature has a field name or a prefix, not both"
	separatorsMessage        = "itemSeparator and fieldSeparator must differ"
	timestampFieldMessage    = "timestamp.field needs fieldSeparator"
	timestampInFieldsMessage = "timestamp.field cannot be one of fields, which hold signatures"
	tokenMessage             = "Token signs nothing and is compared as it is: it has no template, encoding or timestamp"
	timestampSourceMessage   = "set exactly one of header, field and bodyPointer"
	bodyPointerMessage       = "bodyPointer is of use only with toleranceSeconds"
	templateBytesMessage     = "template must be at most 512 bytes in UTF-8"
	repeatedRefMessage       = "additionalSecretRefs must not repeat secretRef"
	verifyTokenMessage       = "handshake.verifyTokenRef is for the provider Meta"
	verifyTokenKeyMessage    = "handshake.verifyTokenRef must not repeat secretRef"
	verifyTokenOtherMessage  = "handshake.verifyTokenRef must not repeat one of additionalSecretRefs"
	publicURLMessage         = "publicURL must be an http or https URL, without a fragment, and with a path in front of a query, such as https://hooks.example.com/hooks/shop/orders"
	idForProviderMessage     = "deduplication.source Provider needs provider"
	idNeedsHeaderMessage     = "deduplication.source Header needs deduplication.header"
	idHeaderTwiceMessage     = "signature.idHeader is the delivery id already: leave deduplication.header out"
	idHeaderSourceMessage    = "signature.idHeader is the delivery id already: deduplication.source must be Header or None"
	providerSignsIDMessage   = "the provider signs the delivery id: deduplication.source must be Provider or None"
	tokenIDMessage           = "deduplication.source Signature is not for the algorithm Token: a token is the same in every request"
	windowSourceMessage      = "windowSeconds is not for source None, which remembers no delivery"
	noSignatureIDMessage     = "deduplication.source Signature is not for this provider, which has no signature in a header"
	headerSourceMessage      = "header is for source Header"
	pointersSourceMessage    = "set bodyPointers if, and only if, source is Body"
	contentTypeBodyMessage   = "contentType needs body"
	contentTypeMessage       = "contentType must be no HTML or SVG, which browsers run: text/plain, application/json or another type"
	matchSourceMessage       = "match is not for source None, which compares nothing"
	noContentMessage         = "an answer of status 204 or 205 has no body"
)

// The values of enums.
var (
	hashes         = []string{"SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-512", "RIPEMD-128", "RIPEMD-160"}
	allAlgorithms  = slices.Concat(hashes, []string{"Ed25519", "Token"})
	secretPrefixes = []string{"whsec_", "whpk_", "v1,whsec_"}
)

// schemeYAML has every field of a signature but those that exclude others, which idYAML has.
const (
	schemeYAML = `
apiVersion: sluice.dev/v1alpha1
kind: WebhookTrigger
metadata:
  name: orders
spec:
  flowRef:
    name: import-orders
  signature:
    algorithm: SHA-256
    headers: [X-Signature]
    encoding: Hex
    itemSeparator: ","
    fieldSeparator: "="
    fields: [v1]
    template: "{timestamp}.{body}"
    timestamp:
      field: t
      unit: Seconds
      toleranceSeconds: 300
    secretPrefix: whsec_
    secretEncoding: Base64
  secretRef:
    name: orders-webhook
    key: secretKey
`
	idYAML = `
apiVersion: sluice.dev/v1alpha1
kind: WebhookTrigger
metadata:
  name: orders
spec:
  flowRef:
    name: import-orders
  signature:
    algorithm: SHA-256
    headers: [X-Signature]
    prefix: sha256=
    template: "{id}.{timestamp}.{body}"
    timestamp:
      header: X-Timestamp
    idHeader: X-Id
  secretRef:
    name: orders-webhook
    key: secretKey
`
	// everythingYAML has the fields beside the scheme.
	everythingYAML = triggerYAML + `
  additionalSecretRefs:
  - name: orders-webhook
    key: former
  publicURL: https://hooks.example.com/hooks/shop/orders
  deduplication:
    source: Header
    header: X-Id
  response:
    status: 200
    body: ok
    contentType: text/plain
    unauthorizedBody: Empty
`
)

// with is an object with some fields more, or other ones.
func with(base object, changes object) object {
	all := maps.Clone(base)
	maps.Copy(all, changes)
	return all
}

// spec is a spec with what all have, and some fields more.
func spec(changes object) object {
	return with(object{
		"flowRef":   object{"name": "import-orders"},
		"secretRef": object{"name": "orders-webhook", "key": "secretKey"},
	}, changes)
}

// scheme is a description of a scheme with HMAC-SHA-256, and some fields more.
func scheme(changes object) object { return with(object{"algorithm": "SHA-256"}, changes) }

func schemeFields() []fieldCases {
	signature := mapping("spec.signature", "SHA-256").empty("spec.signature.algorithm: Required value")
	guesses := casesOf("spec.signature.secretPrefix")
	for _, guess := range []string{"0", "f", "0a", "a", "-----BEGIN", "whsec_0", "whsec", "WHSEC_", "v1,", "v1,whsec_a", "whsk_", "sk_live_"} {
		guesses.unsupported("whether it is taken off would say how the Secret begins", oneOf(secretPrefixes...), values{"the guess " + guess: guess})
	}
	const headers, fields = "spec.signature.headers", "spec.signature.fields"
	return []fieldCases{
		signature, guesses,
		enum("spec.signature.algorithm", "SHA-256", allAlgorithms...).required().acceptOnly("SHA-256"), // TestSchemesAccepted has the others
		enum("spec.signature.encoding", "Hex", "Hex", "Base64", "Base64URL").optional(absent{}),
		enum("spec.signature.secretEncoding", "Raw", "Raw", "Hex", "Base64").optional(absent{}),
		enum("spec.signature.timestamp.unit", "Seconds", "Seconds", "Milliseconds", "RFC3339").optional(absent{}),
		enum("spec.signature.secretPrefix", "whsec_", secretPrefixes...).optional(absent{}),
		list(headers, 8, func(i int) any { return fmt.Sprintf("X-%d", i) }).
			say("a header is named once", values{"repeated": []any{"X-A", "X-B", "X-A"}}, headers+`[2]: Duplicate value: "X-A"`),
		header(headers+"[0]").in(headers, itself),
		list(fields, 8, func(i int) any { return fmt.Sprintf("v%d", i) }).
			say("a field is named once", values{"repeated": []any{"v1", "v1"}}, fields+`[1]: Duplicate value: "v1"`),
		printableText(fields+"[0]", "a field").in(fields, itself),
		printableText("spec.signature.itemSeparator", "itemSeparator").optional(absent{}),
		printableText("spec.signature.fieldSeparator", "fieldSeparator"),
		text("spec.signature.template", 1, 256).
			refuse("a template is bounded in bytes", values{"of 256 characters and more than 512 bytes": "{timestamp}{body}" + strings.Repeat("€", 239)}, templateBytesMessage).
			accept("the longest", values{"longest": "{timestamp}{body}" + letters(239)}),
		mapping("spec.signature.timestamp", "SHA-256").empty("spec.signature.timestamp: Invalid value", "at least 1 properties"),
		printableText("spec.signature.timestamp.field", "field"),
		number("spec.signature.timestamp.toleranceSeconds", 1, 86400),
	}
}

func TestSchemeFieldsRefused(t *testing.T)  { testSchemeFields(t, testRefused) }
func TestSchemeFieldsAccepted(t *testing.T) { testSchemeFields(t, testAccepted) }

// testSchemeFields changes one field at a time.
func testSchemeFields(t *testing.T, test func(t *testing.T, good string, fields ...fieldCases)) {
	t.Parallel()
	test(t, schemeYAML, schemeFields()...)
	t.Run("others", func(t *testing.T) {
		test(t, idYAML,
			printableText("spec.signature.prefix", "prefix").optional(absent{}), header("spec.signature.timestamp.header"), header("spec.signature.idHeader"))
	})
	t.Run("bodyPointer", func(t *testing.T) {
		good := strings.Replace(strings.Replace(schemeYAML, "field: t", "bodyPointer: /at", 1), "{timestamp}.", "", 1)
		test(t, good, pointer("spec.signature.timestamp.bodyPointer"))
	})
}

// TestSchemeCombinationsRefused has a case for each rule on fields that do not go together.
func TestSchemeCombinationsRefused(t *testing.T) {
	t.Parallel()
	signed := object{"template": "{timestamp}.{body}", "timestamp": object{"header": "X-T"}}
	cases := map[string]badField{ // of spec.signature
		"template without body": {
			reason: "a signature of the time alone is good for any body", value: scheme(object{"template": "{timestamp}", "timestamp": object{"header": "X-T"}}),
			want: []string{noBodyMessage},
		},
		"template with the body twice": {
			reason: "where the first ends would depend on the second", value: scheme(object{"template": "{body}\n{body}"}), want: []string{onceMessage},
		},
		"template with the time twice": {
			reason: "each placeholder stands there once", value: scheme(object{"template": "{timestamp}.{body}.{timestamp}"}), want: []string{onceMessage},
		},
		"template with the id twice": {
			reason: "each placeholder stands there once", value: scheme(object{"template": "{id}.{id}.{body}", "idHeader": "X-Id"}), want: []string{onceMessage},
		},
		"template with the method twice": {
			reason: "each placeholder stands there once", value: scheme(object{"template": "{method}{method}{body}"}), want: []string{onceMessage},
		},
		"template with the URL twice": {
			reason: "each placeholder stands there once", value: scheme(object{"template": "{url}{body}{url}"}), want: []string{onceMessage},
		},
		"template with a question mark behind the URL": {
			reason: "what follows could be the query", value: scheme(object{"template": "{url}?{body}"}),
			want: []string{"template has ? behind {url}: put another text there, or it could pass for the beginning of a query"},
		},
		"template of text": {reason: "the body is not signed", value: scheme(object{"template": "body"}), want: []string{noBodyMessage}},
		"template with BODY": {
			reason: "placeholders have a case", value: scheme(object{"template": "{BODY}"}), want: []string{noBodyMessage, bracesMessage},
		},
		"template with blanks": {
			reason: "placeholders have no blanks", value: scheme(object{"template": "{ body }"}), want: []string{noBodyMessage, bracesMessage},
		},
		"template with another placeholder": {reason: "there is none of that name", value: scheme(object{"template": "{host}{body}"}), want: []string{bracesMessage}},
		"template with an open brace":       {reason: "a placeholder was not closed", value: scheme(object{"template": "{body}{id"}), want: []string{bracesMessage}},
		"template with a closing brace":     {reason: "a placeholder was not opened", value: scheme(object{"template": "{body}}"}), want: []string{bracesMessage}},
		"template of Go":                    {reason: "this is no template of Go or Helm", value: scheme(object{"template": "{{body}}"}), want: []string{bracesMessage}},
		"template with an empty placeholder": {
			reason: "a placeholder has a name", value: scheme(object{"template": "{}{body}"}), want: []string{bracesMessage},
		},
		"template with timestamp, without one": {
			reason: "where is it?", value: scheme(object{"template": "{timestamp}.{body}"}), want: []string{noTimestampMessage},
		},
		"template with timestamp, which is in the body": {
			reason: "the body is read once it is verified, and not before",
			value:  scheme(object{"template": "{timestamp}.{body}", "timestamp": object{"bodyPointer": "/t", "toleranceSeconds": int64(1)}}),
			want:   []string{noTimestampMessage},
		},
		"timestamp header that is not in the template": {
			reason: "it could be changed on the way", value: scheme(object{"template": "{body}", "timestamp": object{"header": "X-T"}}),
			want: []string{unsignedTimestampMessage},
		},
		"timestamp header without a template": {
			reason: "the default template has none", value: scheme(object{"timestamp": object{"header": "X-T", "toleranceSeconds": int64(300)}}),
			want: []string{unsignedTimestampMessage},
		},
		"timestamp field that is not in the template": {
			reason: "it could be changed on the way",
			value:  scheme(object{"fieldSeparator": "=", "fields": []any{"v1"}, "timestamp": object{"field": "t"}}),
			want:   []string{unsignedTimestampMessage},
		},
		"tolerance without timestamp": {
			reason: "which time?", value: scheme(object{"timestamp": object{"toleranceSeconds": int64(300)}}), want: []string{timestampSourceMessage},
		},
		"unit without timestamp": {
			reason: "of which time?", value: scheme(object{"timestamp": object{"unit": "Seconds"}}), want: []string{timestampSourceMessage},
		},
		"timestamp with header and field": {
			reason: "which of them?",
			value: scheme(object{
				"template": "{timestamp}{body}", "fieldSeparator": "=", "fields": []any{"v1"}, "timestamp": object{"header": "X-T", "field": "t"},
			}),
			want: []string{timestampSourceMessage},
		},
		"timestamp with header and bodyPointer": {
			reason: "which of them?",
			value:  scheme(with(signed, object{"timestamp": object{"header": "X-T", "bodyPointer": "/t", "toleranceSeconds": int64(1)}})),
			want:   []string{timestampSourceMessage},
		},
		"bodyPointer without tolerance": {
			reason: "a time that nobody looks at", value: scheme(object{"timestamp": object{"bodyPointer": "/t"}}), want: []string{bodyPointerMessage},
		},
		"template with id, without idHeader": {reason: "where is it?", value: scheme(object{"template": "{id}.{body}"}), want: []string{idHeaderMessage}},
		"idHeader that is not in the template": {
			reason: "deduplication.header is for that", value: scheme(object{"template": "{body}", "idHeader": "X-Id"}), want: []string{idHeaderMessage},
		},
		"idHeader without a template": {reason: "the default template has none", value: scheme(object{"idHeader": "X-Id"}), want: []string{idHeaderMessage}},
		"fields without fieldSeparator": {
			reason: "what ends a name?", value: scheme(object{"fields": []any{"v1"}}), want: []string{fieldsMessage},
		},
		"fieldSeparator without fields": {
			reason: "which field is the signature?", value: scheme(object{"fieldSeparator": "="}), want: []string{fieldsMessage},
		},
		"prefix with fields": {
			reason: "a field name is a prefix", value: scheme(object{"prefix": "v0=", "fieldSeparator": "=", "fields": []any{"v1"}}),
			want: []string{prefixOrFieldMessage},
		},
		"equal separators": {
			reason: "no item has a value then", value: scheme(object{"itemSeparator": ",", "fieldSeparator": ",", "fields": []any{"v1"}}),
			want: []string{separatorsMessage},
		},
		"timestamp field without fieldSeparator": {
			reason: "there are no fields", value: scheme(object{"template": "{timestamp}{body}", "timestamp": object{"field": "t"}}),
			want: []string{timestampFieldMessage},
		},
		"timestamp field among the signatures": {
			reason: "is it a time or a signature?",
			value: scheme(object{
				"template": "{timestamp}{body}", "fieldSeparator": "=", "fields": []any{"v1", "t"}, "timestamp": object{"field": "t"},
			}),
			want: []string{timestampInFieldsMessage},
		},
		"token with template": {reason: "nothing is signed", value: object{"algorithm": "Token", "template": "{body}"}, want: []string{tokenMessage}},
		"token with encoding": {reason: "it is not decoded", value: object{"algorithm": "Token", "encoding": "Hex"}, want: []string{tokenMessage}},
		"token with timestamp": {
			reason: "it is not signed", value: object{"algorithm": "Token", "timestamp": object{"bodyPointer": "/t", "toleranceSeconds": int64(1)}},
			want: []string{tokenMessage},
		},
		"token with idHeader": {reason: "it is not signed", value: object{"algorithm": "Token", "idHeader": "X-Id"}, want: []string{idHeaderMessage}},
		"much at once": {
			reason: "all that is wrong is named at once",
			value:  scheme(object{"template": "{id}", "prefix": "a", "fieldSeparator": "=", "itemSeparator": "=", "fields": []any{"v1"}}),
			want:   []string{noBodyMessage, idHeaderMessage, prefixOrFieldMessage, separatorsMessage},
		},
	}
	for name, tc := range cases {
		tc.field, tc.want = "spec.signature", append(tc.want, "spec.signature")
		cases[name] = tc
	}
	testBadFields(t, schemeYAML, cases)
}

func TestSchemesAccepted(t *testing.T) {
	t.Parallel()
	cases := map[string]goodField{}
	for name, value := range map[string]object{
		"nothing but an algorithm": {},
		"headers in any case":      {"headers": []any{"x-a", "X-B", "!#$%&*+.^_`|~"}},
		"8 headers":                {"headers": []any{"A", "B", "C", "D", "E", "F", "G", "H"}},
		"header of 128":            {"headers": []any{letters(128)}},
		"token with a prefix":      {"algorithm": "Token", "headers": []any{"Authorization"}, "prefix": "Bearer "},
		"Ed25519":                  {"algorithm": "Ed25519", "template": "{timestamp}{body}", "timestamp": object{"header": "X-T", "toleranceSeconds": int64(300)}, "secretEncoding": "Hex"},
		"prefix of 64":             {"prefix": letters(64)},
		"like Standard Webhooks": {
			"headers": []any{"webhook-signature"}, "encoding": "Base64", "itemSeparator": " ", "fieldSeparator": ",", "fields": []any{"v1"},
			"template": "{id}.{timestamp}.{body}", "timestamp": object{"header": "webhook-timestamp", "toleranceSeconds": int64(300)}, "idHeader": "webhook-id",
			"secretPrefix": "whsec_", "secretEncoding": "Base64",
		},
		"every placeholder": {
			"template": "{method}\n{url}\n{timestamp}:{id}:{body}", "timestamp": object{"header": "X-T", "unit": "RFC3339"}, "idHeader": "X-Id",
		},
		"template of 256":          {"template": "{body}" + letters(250)},
		"template of other script": {"template": "{body}" + strings.Repeat("ä", 250)},
		"time in the body":         {"timestamp": object{"bodyPointer": "/a~0b/~1/0", "unit": "Milliseconds", "toleranceSeconds": int64(86400)}},
		"pointer of 8 levels":      {"timestamp": object{"bodyPointer": strings.Repeat("/a", 8), "toleranceSeconds": int64(1)}},
		"pointer of 256 bytes":     {"timestamp": object{"bodyPointer": "/a" + strings.Repeat("ä", 127), "toleranceSeconds": int64(1)}},
		"8 fields": {
			"fieldSeparator": "=", "fields": []any{"a", "b", "c", "d", "e", "f", "g", letters(64)}, "template": "{timestamp}{body}", "timestamp": object{"field": letters(63)},
		},
		"any tolerance": {"template": "{timestamp}{body}", "timestamp": object{"header": "X-T"}},
	} {
		cases[name] = goodField{reason: "it is a scheme that Sluice can work with", field: "spec.signature", value: scheme(value)}
	}
	for _, algorithm := range allAlgorithms {
		cases[algorithm] = goodField{reason: "each algorithm", field: "spec.signature", value: object{"algorithm": algorithm}}
	}
	for field, values := range map[string][]string{"encoding": {"Hex", "Base64", "Base64URL"}, "secretEncoding": {"Raw", "Hex", "Base64"}, "secretPrefix": secretPrefixes} {
		for _, value := range values {
			cases[field+" "+value] = goodField{reason: "each value", field: "spec.signature", value: scheme(object{field: value})}
		}
	}
	testGoodFields(t, schemeYAML, cases)
}

// TestSchemeChoiceRefused has a case for each rule of a spec, but for those of single fields.
func TestSchemeChoiceRefused(t *testing.T) {
	t.Parallel()
	hmac := object{"algorithm": "SHA-256"}
	signsID := object{"signature": scheme(object{"template": "{id}.{body}", "idHeader": "X-Id"})}
	ids := func(source string, more object) object { return with(object{"source": source}, more) }
	pointers := object{"bodyPointers": []any{"/id"}}
	verifyToken := func(name, key string) object {
		return object{"verifyTokenRef": object{"name": name, "key": key}}
	}
	cases := map[string]badField{ // of spec
		"no scheme": {reason: "how is it signed?", value: spec(nil), want: []string{oneSchemeMessage}},
		"algorithm and provider": {
			reason: "which of them?", value: spec(object{"algorithm": "SHA-256", "provider": "GitHub"}), want: []string{oneSchemeMessage},
		},
		"algorithm and signature": {
			reason: "which of them?", value: spec(object{"algorithm": "SHA-256", "signature": hmac}), want: []string{oneSchemeMessage},
		},
		"provider and signature": {
			reason: "which of them?", value: spec(object{"provider": "GitHub", "signature": hmac}), want: []string{oneSchemeMessage},
		},
		"all three": {
			reason: "which of them?", value: spec(object{"algorithm": "SHA-256", "provider": "GitHub", "signature": hmac}), want: []string{oneSchemeMessage},
		},
		"the provider's id without provider": {
			reason: "whose id?", value: spec(with(hmac, object{"deduplication": ids("Provider", nil)})), want: []string{idForProviderMessage},
		},
		"the provider's id for a signature": {
			reason: "whose id?", value: spec(object{"signature": hmac, "deduplication": ids("Provider", nil)}), want: []string{idForProviderMessage},
		},
		"id in a header without its name": {
			reason: "which header?", value: spec(with(hmac, object{"deduplication": ids("Header", nil)})), want: []string{idNeedsHeaderMessage},
		},
		"id in a header without its name, for a signature": {
			reason: "which header?", value: spec(object{"signature": hmac, "deduplication": ids("Header", nil)}), want: []string{idNeedsHeaderMessage},
		},
		"id in a header without its name, for a provider": {
			reason: "which header?", value: spec(object{"provider": "GitHub", "deduplication": ids("Header", nil)}), want: []string{idNeedsHeaderMessage},
		},
		"two headers with the id": {
			reason: "which of them?", value: spec(with(signsID, object{"deduplication": ids("Header", object{"header": "X-Other"})})), want: []string{idHeaderTwiceMessage},
		},
		"idHeader, and the id in the body": {
			reason: "the id that is signed is the id", value: spec(with(signsID, object{"deduplication": ids("Body", pointers)})), want: []string{idHeaderSourceMessage},
		},
		"idHeader, and the signature as the id": {
			reason: "the id that is signed is the id", value: spec(with(signsID, object{"deduplication": ids("Signature", nil)})), want: []string{idHeaderSourceMessage},
		},
		"a token as the id": {
			reason: "a token is the same in every request", value: spec(object{"signature": object{"algorithm": "Token"}, "deduplication": ids("Signature", nil)}),
			want: []string{tokenIDMessage},
		},
		"header for another source": {
			reason: "it would do nothing", value: spec(with(hmac, object{"deduplication": ids("Signature", object{"header": "X-Id"})})), want: []string{headerSourceMessage},
		},
		"header for no source": {
			reason: "it would do nothing", value: spec(with(hmac, object{"deduplication": ids("None", object{"header": "X-Id"})})), want: []string{headerSourceMessage},
		},
		"no pointers for the body": {
			reason: "where in the body?", value: spec(with(hmac, object{"deduplication": ids("Body", nil)})), want: []string{pointersSourceMessage},
		},
		"pointers for another source": {
			reason: "they would do nothing", value: spec(with(hmac, object{"deduplication": ids("Signature", pointers)})), want: []string{pointersSourceMessage},
		},
		"secretRef repeated": {
			reason: "a key is named once",
			value:  spec(with(hmac, object{"additionalSecretRefs": []any{object{"name": "a", "key": "b"}, object{"name": "orders-webhook", "key": "secretKey"}}})),
			want:   []string{repeatedRefMessage},
		},
		"verify token for GitHub": {
			reason: "GitHub has no handshake", value: spec(object{"provider": "GitHub", "handshake": verifyToken("meta", "token")}), want: []string{verifyTokenMessage},
		},
		"verify token for Dropbox": {
			reason: "Dropbox shows none", value: spec(object{"provider": "Dropbox", "handshake": verifyToken("meta", "token")}), want: []string{verifyTokenMessage},
		},
		"verify token for an algorithm": {
			reason: "there is no handshake", value: spec(with(hmac, object{"handshake": verifyToken("meta", "token")})), want: []string{verifyTokenMessage},
		},
		"verify token for a scheme": {
			reason: "there is no handshake", value: spec(object{"signature": scheme(nil), "handshake": verifyToken("meta", "token")}), want: []string{verifyTokenMessage},
		},
		"verify token is the key": {
			reason: "a key does not travel in URLs", value: spec(object{"provider": "Meta", "handshake": verifyToken("orders-webhook", "secretKey")}), want: []string{verifyTokenKeyMessage},
		},
		"verify token is an additional key": {
			reason: "none does",
			value: spec(object{
				"provider": "Meta", "handshake": verifyToken("a", "b"), "additionalSecretRefs": []any{object{"name": "b", "key": "b"}, object{"name": "a", "key": "b"}},
			}),
			want: []string{verifyTokenOtherMessage},
		},
		"empty handshake": {
			reason: "it says nothing", value: spec(object{"provider": "Meta", "handshake": object{}}), want: []string{"spec.handshake", "at least 1 properties"},
		},
		"verify token without an entry": {
			reason: "which of the Secret's?", value: spec(object{"provider": "Meta", "handshake": object{"verifyTokenRef": object{"name": "a"}}}), want: []string{"spec.handshake.verifyTokenRef.key: Required value"},
		},
		"verify token of another namespace": {
			reason: "references stay within the namespace", value: spec(object{"provider": "Meta", "handshake": object{"verifyTokenRef": object{"name": "a", "key": "b", "namespace": "c"}}}),
			want: []string{`unknown field "spec.handshake.verifyTokenRef.namespace"`},
		},
		"verify token of a name that no Secret has": {
			reason: "it is a mistake", value: spec(object{"provider": "Meta", "handshake": verifyToken("../a", "b")}), want: []string{"spec.handshake.verifyTokenRef.name", secretNameMessage},
		},
	}
	for _, provider := range []string{"GitLab", "StandardWebhooks", "StandardWebhooksEd25519", "Svix"} {
		for source, more := range map[string]object{"Header": {"header": "X-Id"}, "Body": pointers, "Signature": nil} {
			cases[provider+" with another id in "+source] = badField{reason: "the id is signed", value: spec(object{"provider": provider, "deduplication": ids(source, more)}), want: []string{providerSignsIDMessage}}
		}
	}
	for _, provider := range []string{"AdyenStandard", "GitLabToken", "Mailgun"} {
		cases[provider+" with the signature as the id"] = badField{reason: "there is none", value: spec(object{"provider": provider, "deduplication": ids("Signature", nil)}), want: []string{noSignatureIDMessage}}
	}
	for name, tc := range cases {
		tc.field, tc.want = "spec", append(tc.want, "spec")
		cases[name] = tc
	}
	testBadFields(t, triggerYAML, cases)
}

func besideFields() []fieldCases {
	const refs, ref = "spec.additionalSecretRefs", "spec.additionalSecretRefs[0]"
	part := func(field string) func(any) any {
		return func(value any) any {
			r := object{"name": "other", "key": "other"}
			if value == (any)(absent{}) {
				delete(r, field)
			} else {
				r[field] = value
			}
			return r
		}
	}
	return []fieldCases{
		list(refs, 8, func(i int) any { return object{"name": fmt.Sprintf("a%d", i), "key": "a"} }).
			say("a reference is an object", values{"of a name": []any{"other"}}, ref+": Invalid value", "must be of type object").
			say("a key is named once", values{
				"repeated": []any{object{"name": "a", "key": "b"}, object{"name": "a", "key": "c"}, object{"name": "a", "key": "b"}},
			}, refs+"[2]: Duplicate value").
			say("a key is named once", values{"of the first": []any{object{"name": "orders-webhook", "key": "secretKey"}}}, repeatedRefMessage),
		text(ref+".name", 1, 253).required().pattern(secretNameMessage).in(refs, part("name")),
		text(ref+".key", 1, 253).required().pattern(secretKeyMessage).refuse("no Secret has such a key", values{"of two dots": ".."}, secretKeyMessage).in(refs, part("key")),
		casesOf(ref+".namespace").
			say("references stay within the namespace", values{"of another": "other"}, `unknown field "`+ref+`.namespace"`).in(refs, part("namespace")),

		mapping("spec.limits", "5").empty("spec.limits: Invalid value", "at least 1 properties").
			refuse("there are several", values{"is a limit": int64(5)}, "must be of type object"),
		number("spec.limits.rate.requests", 1, 1_000_000).
			refuse("a minute can be chosen instead", values{"of half": 0.5}, "must be of type integer"),
		casesOf("spec.limits.rate.requests").required().within("spec.limits", func(any) any { return object{"rate": object{"burst": int64(1)}} }),
		enum("spec.limits.rate.period", "Hour", "Second", "Minute", "Hour").
			unsupported("no such period", oneOf("Second", "Minute", "Hour"), values{"of a fortnight": "Fortnight"}).
			within("spec.limits.rate", func(value any) any { return object{"requests": int64(1), "period": value} }),
		number("spec.limits.rate.burst", 1, 1_000_000).
			within("spec.limits.rate", func(value any) any { return object{"requests": int64(1), "burst": value} }),
		number("spec.limits.concurrency", 1, 1000),
		number("spec.limits.maxBodyBytes", 1, 1130496).
			refuse("it is a number of bytes", values{"is a quantity": "64Ki"}, "must be of type integer"),

		mapping("spec.deduplication", "SHA-256").empty("spec.deduplication.source: Required value").
			say("it would do nothing", values{"of none, with a window": object{"source": "None", "windowSeconds": int64(60)}}, windowSourceMessage).
			say("it would do nothing", values{"of none, with a match": object{"source": "None", "match": "ID"}}, matchSourceMessage),
		enum("spec.deduplication.match", "ID", "ID", "IDAndBody"),
		enum("spec.deduplication.source", "Header", "Provider", "Header", "Body", "Signature", "None").required().acceptOnly("Header"),
		header("spec.deduplication.header"),
		number("spec.deduplication.windowSeconds", 1, 2592000),

		mapping("spec.response", "SHA-256").empty("spec.response: Invalid value", "at least 1 properties").
			say("the type of what?", values{
				"of a contentType without body":             object{"contentType": "text/plain"},
				"of a contentType without body, but status": object{"contentType": "text/plain", "status": int64(200)},
			}, contentTypeBodyMessage),
		number("spec.response.status", 200, 299).
			say("RFC 9110, sections 15.3.5 and 15.3.6", values{"204 with body": int64(204), "205 with body": int64(205)}, noContentMessage),
		text("spec.response.body", 1, 1024),
		mediaType("spec.response.contentType"),
		enum("spec.response.unauthorizedBody", "Empty", "Problem", "Empty").optional(absent{}),
		publicURL("spec.publicURL"),
		enum("spec.algorithm", "SHA-256", hashes...),
		casesOf("spec.provider").say("which of them?", values{"as well": "GitHub"}, oneSchemeMessage),
	}
}

func TestTriggerFieldsRefused(t *testing.T) { testTriggerFields(t, testRefused) }

// testTriggerFields changes one of the fields beside the scheme at a time.
func testTriggerFields(t *testing.T, test func(t *testing.T, good string, fields ...fieldCases)) {
	t.Parallel()
	test(t, everythingYAML, besideFields()...)
	t.Run("bodyPointers", func(t *testing.T) {
		good := strings.Replace(everythingYAML, "source: Header\n    header: X-Id", "source: Body\n    bodyPointers: [/id]", 1)
		test(t, good,
			list("spec.deduplication.bodyPointers", 4, func(i int) any { return fmt.Sprintf("/%d", i) }),
			pointer("spec.deduplication.bodyPointers[0]").in("spec.deduplication.bodyPointers", itself))
	})
	t.Run("provider", func(t *testing.T) {
		good := strings.Replace(triggerYAML, "algorithm: SHA-256", "provider: GitHub", 1)
		test(t, good,
			notEnum("spec.provider", "GitHub", `supported values: "AdyenPlatform", "AdyenStandard", "Asana",`).
				say("null is no provider", values{"null": nil}, oneSchemeMessage),
			casesOf("spec").say("spec.algorithm is for HMAC alone", values{
				"token algorithm": spec(object{"algorithm": "Token"}), "Ed25519": spec(object{"algorithm": "Ed25519"}),
			}, oneOf(hashes...)))
	})
}

// mediaType is a field with a Content-Type: a line break would begin another header, and a browser
// may run some types.
func mediaType(field string) fieldCases {
	return text(field, 1, 128).pattern(contentTypeMessage).
		refuse("it is no media type, or one that a browser may run", values{
			"with another header": "text/plain\r\nX-A: b", "with parameters alone": "; charset=utf-8", "with one word": "json", "with another list": "text/plain, text/html",
			"with HTML": "text/html", "with HTML in capitals": "Text/HTML; charset=utf-8", "with XHTML": "application/xhtml+xml", "with SVG": "image/svg+xml",
			"with script": "text/javascript", "with another type in a parameter": "text/plain;,text/html", "with another type in quotation marks": "text/plain; a=\",text/html",
			"with a type that nobody knows": "a/b", "with lower case that is none": "application/j\u017fon", "with parameter without value": "text/plain; a",
			"with quoted parameter": `text/plain; a="b"`, "with parameter with line break": "text/plain; a=\n", "with parameter of other script": "text/plain; a=ä",
		}, contentTypeMessage).
		accept("the longest", values{"longest": "application/" + letters(111) + "+json"})
}

// publicURL is a field with the URL of a webhook.
func publicURL(field string) fieldCases {
	c := casesOf(field).pattern(publicURLMessage, "slash", "parent folder", "percent").behind("https://hooks.example.com/").
		refuse("it is not the URL of a webhook", values{
			"with no scheme": "hooks.example.com/hooks", "with another scheme": "ftp://hooks.example.com/", "with scheme in upper case": "HTTPS://hooks.example.com/",
			"with an empty query": "https://hooks.example.com/?", "with a query without a path": "https://hooks.example.com?a",
			"with a fragment": "https://hooks.example.com/#a", "with a fragment behind a query": "https://hooks.example.com/?a#b",
			"with a blank in the query": "https://hooks.example.com/?a=b c", "with a brace in the query": "https://hooks.example.com/?a={}",
			"with quotation marks in the query": `https://hooks.example.com/?"`, "with no host": "https:///hooks", "with nothing behind the scheme": "https://",
			"with one slash": "https:/hooks.example.com", "with blank first": " https://hooks.example.com/", "with line break in the host": "https://hooks\n.example.com/",
			"with umlaut in the host": "https://hööks.example.com/", "with template in the host": "https://{{host}}/",
			"with angle brackets": "<https://hooks.example.com/>", "with quotation marks": `"https://hooks.example.com/"`,
		}, publicURLMessage)
	maps.Copy(c.bad, text(field, 1, 1024).bad)
	return c.optional(absent{}).accept("the longest", values{"longest": "https://" + letters(1016)})
}

func TestTriggerFieldsAccepted(t *testing.T) {
	testTriggerFields(t, testAccepted)
	cases := map[string]goodField{}
	add := func(field string, values ...any) {
		for i, value := range values {
			cases[fmt.Sprintf("%s %d", field, i)] = goodField{reason: fmt.Sprintf("%v", value), field: field, value: value}
		}
	}
	var eight []any
	for i := range 8 {
		eight = append(eight, object{"name": "orders-webhook", "key": fmt.Sprintf("former-%d", i)})
	}
	add("spec.additionalSecretRefs", eight, []any{object{"name": "other", "key": "secretKey"}}, []any{object{"name": letters(253), "key": letters(253)}})
	add("spec.publicURL",
		"https://hooks.example.com", "http://localhost:8080/", "https://[::1]:8443/hooks/a", "https://user:password@hooks.example.com/a%20b/c;d=e,f",
		"https://hooks.example.com/~a/(b)!*$&@:", "https://xn--hks-snaa.example.com/", "https://"+letters(1016),
		"https://hooks.example.com/?a=b", "https://hooks.example.com/hooks/shop/orders?tenant=1&x[]=%20&y=a/b?c:d@e", "https://h/?"+letters(1013))
	add("spec.deduplication",
		object{"source": "Header", "header": "X-Id"}, object{"source": "Body", "bodyPointers": []any{"/id"}}, object{"source": "Signature"}, object{"source": "None"},
		object{"source": "Signature", "windowSeconds": int64(1)}, object{"source": "Header", "header": "X-Id", "windowSeconds": int64(2592000)},
		object{"source": "Signature", "match": "ID"}, object{"source": "Header", "header": "X-Id", "match": "IDAndBody"},
		object{"source": "Body", "bodyPointers": []any{"/a", "/b/c", "/~0~1", "/" + letters(255)}})
	add("spec.limits",
		object{"rate": object{"requests": int64(1), "period": "Minute"}}, object{"rate": object{"requests": int64(1_000_000), "period": "Hour", "burst": int64(1_000_000)}},
		object{"concurrency": int64(1)}, object{"concurrency": int64(1000), "maxBodyBytes": int64(1)}, object{"maxBodyBytes": int64(1130496)})
	add("spec.response",
		object{"status": int64(200)}, object{"status": int64(299)}, object{"status": int64(204)}, object{"status": int64(205)}, object{"body": "ok"},
		object{"body": strings.Repeat("ä", 1024), "contentType": "text/plain; charset=utf-8"}, object{"unauthorizedBody": "Problem"},
		object{"status": int64(200), "unauthorizedBody": "Empty"}, object{"body": "{\"ok\": true}\n", "contentType": "application/vnd.example+json"},
		object{"body": "\x00\x1b", "contentType": "application/octet-stream"}, object{"body": "<Response/>", "contentType": "Text/XML; charset=UTF-8"},
		object{"body": "<Response/>", "contentType": "application/xml"}, object{"body": "ok=1", "contentType": "application/x-www-form-urlencoded"})
	testGoodFields(t, everythingYAML, cases)
}

// TestSchemeChoiceAccepted has what the rules of a spec let through.
func TestSchemeChoiceAccepted(t *testing.T) {
	t.Parallel()
	signsID := scheme(object{"template": "{id}.{body}", "idHeader": "X-Id"})
	cases := map[string]goodField{}
	for name, value := range map[string]object{
		"a provider":                            {"provider": "GitHub"},
		"the provider's id":                     {"provider": "GitHub", "deduplication": object{"source": "Provider"}},
		"the provider's id, which is signed":    {"provider": "Svix", "deduplication": object{"source": "Provider"}},
		"no deduplication of a signed id":       {"provider": "GitLab", "deduplication": object{"source": "None"}},
		"another header than the provider's":    {"provider": "GitHub", "deduplication": object{"source": "Header", "header": "X-Id"}},
		"another place than the provider's":     {"provider": "Mailgun", "deduplication": object{"source": "Body", "bodyPointers": []any{"/id"}}},
		"the signature instead of the provider": {"provider": "Stripe", "deduplication": object{"source": "Signature"}},
		"the header of the scheme":              {"signature": signsID, "deduplication": object{"source": "Header"}},
		"none, although the scheme has one":     {"signature": signsID, "deduplication": object{"source": "None"}},
		"a header beside a token":               {"signature": object{"algorithm": "Token"}, "deduplication": object{"source": "Header", "header": "X-Id"}},
		"a verify token":                        {"provider": "Meta", "handshake": object{"verifyTokenRef": object{"name": "meta", "key": "token"}}},
		"another entry beside the key":          {"provider": "Meta", "handshake": object{"verifyTokenRef": object{"name": "orders-webhook", "key": "token"}}},
		"the entry's name in another Secret":    {"provider": "Meta", "handshake": object{"verifyTokenRef": object{"name": "other", "key": "secretKey"}}},
		"no verify token for Meta":              {"provider": "Meta"},
		"a public URL that no scheme signs":     {"algorithm": "SHA-256", "publicURL": "https://hooks.example.com/"},
	} {
		value = spec(with(value, object{"state": "Active"}))
		cases[name] = goodField{reason: name, field: "spec", value: value}
	}
	testGoodFields(t, triggerYAML, cases)
}

// TestSchemeUpdate moves a trigger from one way to say how requests are signed to another, and
// makes sure that an update is checked as a create is.
func TestSchemeUpdate(t *testing.T) {
	t.Parallel()
	trigger := read(t, createdTrigger(t))
	for _, value := range []object{
		spec(object{"provider": "Stripe"}), spec(object{"signature": scheme(nil)}), spec(object{"algorithm": "SHA-512"}),
	} {
		set(t, trigger, "spec", value)
		if err := env.Client.Update(t.Context(), trigger, strict); err != nil {
			t.Fatalf("%v: %v", value, err)
		}
	}
	set(t, trigger, "spec.provider", "Stripe")
	checkRefused(t, "the former field has to go", env.Client.Update(t.Context(), trigger, strict), oneSchemeMessage)
	set(t, trigger, "spec", spec(object{"signature": scheme(object{"template": "{url}"})}))
	checkRefused(t, "an update is checked as a create is", env.Client.Update(t.Context(), trigger, strict), noBodyMessage)
}

// TestKubectlApplySchemeRefused shows what a user of kubectl reads.
func TestKubectlApplySchemeRefused(t *testing.T) {
	t.Parallel()
	const invalid = `The WebhookTrigger "orders" is invalid`
	testKubectlRefused(t, map[string]applied{
		"preset and scheme": {
			reason: "what to choose between", good: schemeYAML, replace: "  signature:", with: "  provider: GitHub\n  signature:",
			want: []string{invalid, "spec: Invalid value", oneSchemeMessage},
		},
		"unknown provider": {
			reason: "the values that there are", good: schemeYAML, replace: "  signature:", with: "  provider: Github\n  signature:",
			want: []string{invalid, `spec.provider: Unsupported value: "Github": supported values: "AdyenPlatform"`, `"Zoom"`},
		},
		"template without body": {
			reason: "why", good: schemeYAML, replace: "{timestamp}.{body}", with: "{timestamp}", want: []string{invalid, "spec.signature: Invalid value", noBodyMessage},
		},
		"tolerance without timestamp": {
			reason: "what is missing", good: schemeYAML, replace: "field: t\n", with: "\n", want: []string{invalid, "spec.signature.timestamp: Invalid value", timestampSourceMessage},
		},
		"additional key twice": {
			reason: "which", good: everythingYAML, replace: "key: former", with: "key: secretKey", want: []string{invalid, "spec: Invalid value", repeatedRefMessage},
		},
		"public URL with a fragment": {
			reason: "what it should be", good: everythingYAML, replace: "/hooks/shop/orders", with: "/hooks/shop/orders#a",
			want: []string{invalid, `spec.publicURL: Invalid value: "https://hooks.example.com/hooks/shop/orders#a": ` + publicURLMessage},
		},
		"number for a status": {
			reason: "what it should be", good: everythingYAML, replace: "status: 200", with: "status: 404",
			want: []string{invalid, "spec.response.status: Invalid value: 404: spec.response.status in body should be less than or equal to 299"},
		},
		"unknown field of signature": {
			reason: "the field", good: schemeYAML, replace: "fields:", with: "field:", want: []string{"strict decoding error", `unknown field "spec.signature.field"`},
		},
		"field of signature in the wrong case": {
			reason: "the field", good: idYAML, replace: "idHeader:", with: "idheader:", want: []string{"strict decoding error", `unknown field "spec.signature.idheader"`},
		},
		"unknown field of timestamp": {
			reason: "the field", good: schemeYAML, replace: "toleranceSeconds:", with: "tolerance:",
			want: []string{"strict decoding error", `unknown field "spec.signature.timestamp.tolerance"`},
		},
		"unknown field of additionalSecretRefs": {
			reason: "the field", good: everythingYAML, replace: "    key: former", with: "    key: former\n    namespace: other",
			want: []string{"strict decoding error", `unknown field "spec.additionalSecretRefs[0].namespace"`},
		},
		"unknown field of deduplication": {
			reason: "the field", good: everythingYAML, replace: "source: Header", with: "by: Header", want: []string{"strict decoding error", `unknown field "spec.deduplication.by"`},
		},
		"unknown field of response": {
			reason: "the field", good: everythingYAML, replace: "status: 200", with: "code: 200", want: []string{"strict decoding error", `unknown field "spec.response.code"`},
		},
		"publicURL in the wrong case": {
			reason: "the field", good: everythingYAML, replace: "publicURL:", with: "publicUrl:", want: []string{"strict decoding error", `unknown field "spec.publicUrl"`},
		},
		"unknown field of request": {
			reason: "the field", good: runYAML, replace: "    signedBy:", with: "    deliveryId: a\n    signedBy:",
			want: []string{"strict decoding error", `unknown field "spec.request.deliveryId"`},
		},
		"unknown field of keys": {
			reason: "the field, even where it does not count", good: triggerYAML + "status: {keys: [{name: a/b, used: true}]}\n",
			want: []string{"strict decoding error", `unknown field "status.keys[0].used"`},
		},
	})
}

// TestRepeatedSchemeField sends fields twice: of two values the wrong one would win in silence.
func TestRepeatedSchemeField(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	for field, fields := range map[string]string{
		"spec.provider":                             `"provider": "GitHub", "provider": "Stripe"`,
		"spec.signature.algorithm":                  `"signature": {"algorithm": "SHA-256", "algorithm": "Token"}`,
		"spec.signature.timestamp.header":           `"signature": {"algorithm": "SHA-256", "template": "{timestamp}{body}", "timestamp": {"header": "A", "header": "B"}}`,
		"spec.deduplication.source":                 `"provider": "GitHub", "deduplication": {"source": "Provider", "source": "None"}`,
		"spec.response.status":                      `"provider": "GitHub", "response": {"status": 200, "status": 201}`,
		"spec.additionalSecretRefs[0].key":          `"provider": "GitHub", "additionalSecretRefs": [{"name": "b", "key": "a", "key": "b"}]`,
		"spec.signature.timestamp":                  `"signature": {"algorithm": "SHA-256", "timestamp": {"header": "A"}, "timestamp": {"header": "B"}}`,
		"spec.additionalSecretRefs":                 `"provider": "GitHub", "additionalSecretRefs": [{"name": "b", "key": "a"}], "additionalSecretRefs": []`,
		"spec.signature.timestamp.bodyPointer":      `"signature": {"algorithm": "SHA-256", "timestamp": {"bodyPointer": "/a", "bodyPointer": "/b", "toleranceSeconds": 1}}`,
		"spec.publicURL":                            `"provider": "Square", "publicURL": "https://a/", "publicURL": "https://b/"`,
		"spec.signature.secretPrefix":               `"signature": {"algorithm": "SHA-256", "secretPrefix": "whsec_", "secretPrefix": "whpk_"}`,
		"spec.deduplication.bodyPointers":           `"provider": "GitHub", "deduplication": {"source": "Body", "bodyPointers": ["/a"], "bodyPointers": ["/b"]}`,
		"spec.signature.timestamp.toleranceSeconds": `"signature": {"algorithm": "SHA-256", "timestamp": {"bodyPointer": "/a", "toleranceSeconds": 1, "toleranceSeconds": 2}}`,
	} {
		testRepeatedField(t, namespace, "webhooktriggers", field, `{"apiVersion": "sluice.dev/v1alpha1", "kind": "WebhookTrigger", "metadata": {"name": "a"},
			"spec": {`+fields+`, "flowRef": {"name": "a"}, "secretRef": {"name": "a", "key": "a"}}}`)
	}
}

func keys(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = object{"name": fmt.Sprintf("orders-webhook/%d", i)}
	}
	return all
}

func keyFields() []fieldCases {
	const all, name = "status.keys", "status.keys[0].name"
	named := func(value any) any { return object{"name": value} }
	return []fieldCases{
		list(all, 9, func(i int) any { return keys(10)[i] }).
			say("a key has a name", values{"of a name": []any{"a/b"}}, all+"[0]: Invalid value", "must be of type object").
			say("which key?", values{"without name": []any{object{"lastMatchedTime": "2026-01-31T12:00:00Z"}}}, name+": Required value").
			say("a key is listed once", values{"repeated": []any{named("a/b"), named("a/c"), named("a/b")}}, all+`[2]: Duplicate value: {"name":"a/b"}`).
			say("a misspelt field is not ignored", values{"with an unknown field": []any{object{"name": "a/b", "used": true}}}, `unknown field "status.keys[0].used"`).
			accept("the longest name that spec allows", values{
				"of the longest name": []any{object{"name": letters(253) + "/" + letters(253), "lastMatchedTime": "2026-01-31T12:00:00Z"}},
			}).
			accept("a key need not have been used", values{
				"of two": []any{object{"name": "a/b", "lastMatchedTime": "2026-01-31T12:00:00.5+01:00"}, object{"name": "a/c"}},
			}),
		text(name, 3, 512).refuse("a Secret and an entry", values{"of 2": "a/"}, "at least 3 chars long").in(all, named),
		timestamp("status.keys[0].lastMatchedTime").in(all, func(value any) any { return object{"name": "a/b", "lastMatchedTime": value} }),
	}
}

func TestKeyStatusRefused(t *testing.T) {
	t.Parallel()
	testBadStatus(t, triggerYAML, refused(keyFields()...))
}

func TestKeyStatusAccepted(t *testing.T) {
	t.Parallel()
	testGoodStatus(t, everythingYAML, accepted(keyFields()...))
}

// deliveryID is what a sender may take for an id: it is the sender's text, and no name.
func deliveryID() fieldCases {
	ids := text("spec.request.deliveryID", 1, 256).optional(absent{}).accept("the limit is in characters", values{"longest in bytes": strings.Repeat("😀", 256)})
	for name, value := range hostile() {
		ids.accept("it is a record of what the sender sent", values{"with " + name: value})
	}
	return ids
}

func TestDeliveryIDRefused(t *testing.T) {
	t.Parallel()
	testRefused(t, runYAML, deliveryID())
}

func TestDeliveryIDAccepted(t *testing.T) {
	t.Parallel()
	testAccepted(t, runYAML, deliveryID())
	run := parse(t, env.Namespace(t), runYAML)
	env.Create(t, run)
	set(t, run, "spec.request.deliveryID", "another")
	checkRefused(t, "the id is a part of the record", env.Client.Update(t.Context(), run, strict), immutableMessage)
}

// TestSchemeConstants makes triggers of Go types, with every value that the package has a constant
// for.
func TestSchemeConstants(t *testing.T) {
	t.Parallel()
	trigger := func() *wrappers.TriggerWrapper { return wrappers.Trigger("default", "orders") }
	var triggers []*sluicev1alpha1.WebhookTrigger
	own := func(algorithm sluicev1alpha1.SignatureAlgorithm) {
		triggers = append(triggers, trigger().Signature(sluicev1alpha1.SignatureScheme{Algorithm: algorithm}).Obj())
	}
	for _, algorithm := range algorithms {
		triggers = append(triggers, trigger().Algorithm(algorithm).Obj())
		own(sluicev1alpha1.SignatureAlgorithm(algorithm))
	}
	own(sluicev1alpha1.AlgorithmEd25519)
	own(sluicev1alpha1.AlgorithmToken)
	for _, d := range []sluicev1alpha1.Deduplication{
		{Source: sluicev1alpha1.DeduplicateByProvider}, {Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Id"},
		{Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/id"}}, {Source: sluicev1alpha1.DeduplicateBySignature},
		{Source: sluicev1alpha1.DeduplicateNone},
	} {
		triggers = append(triggers, trigger().Provider("GitHub").Deduplication(d).Obj())
	}
	for _, body := range []sluicev1alpha1.UnauthorizedBody{sluicev1alpha1.UnauthorizedProblem, sluicev1alpha1.UnauthorizedEmpty} {
		made := trigger().Obj()
		made.Spec.Response.UnauthorizedBody = body
		triggers = append(triggers, made)
	}
	for i, made := range triggers {
		if err := env.Client.Create(t.Context(), made, client.DryRunAll, strict); err != nil {
			t.Errorf("%d: a constant of the package is refused: %v", i, err)
		}
	}
}

// TestSchemeSSA gives each of two managers a list element of its own: to add a key must not take
// away that of another.
func TestSchemeSSA(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	kubectl(t, everythingYAML, "apply", "--server-side", "--field-manager=first", "-n", namespace, "-f", "-")
	kubectl(t, `
apiVersion: sluice.dev/v1alpha1
kind: WebhookTrigger
metadata:
  name: orders
spec:
  additionalSecretRefs:
  - name: orders-webhook
    key: next
`, "apply", "--server-side", "--field-manager=second", "-n", namespace, "-f", "-")
	trigger := parse(t, namespace, everythingYAML)
	refs, ok := get(t, read(t, trigger), "spec.additionalSecretRefs").([]any)
	if !ok {
		t.Fatal("no list of additional keys")
	}
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = fmt.Sprint(ref)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"map[key:former name:orders-webhook]", "map[key:next name:orders-webhook]"}, names); diff != "" {
		t.Errorf("the additional keys (-want +got):\n%s", diff)
	}
}
