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

	printable = "must be printable ASCII characters, without a line break"
)

// The values of enums, as users read them.
const (
	hashes       = `supported values: "SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-512", "RIPEMD-128", "RIPEMD-160"`
	allAlgorithm = hashes + `, "Ed25519", "Token"`

	secretPrefixes = `supported values: "whsec_", "whpk_", "v1,whsec_"`
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

type object = map[string]any

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

// badTypes are values that no text can be. They are named after the field.
func badTypes(field string) map[string]badField {
	cases := map[string]badField{}
	for name, value := range map[string]any{
		"number": int64(12), "boolean": true, "list": []any{"a"}, "mapping": object{},
	} {
		cases[field+" is a "+name] = badField{
			reason: "the field is text, quoted in YAML if it looks like something else",
			field:  field, value: value,
			want: []string{field + ": Invalid value", "must be of type string"},
		}
	}
	return cases
}

// badTexts are values that no text with a limit can be.
func badTexts(field string, limit int) map[string]badField {
	return merge(badTypes(field), map[string]badField{
		field + " empty": {
			reason: "what is not there is left out",
			field:  field, value: "",
			want: []string{field + ": Invalid value", "chars long"},
		},
		field + " too long": {
			reason: "texts are bounded",
			field:  field, value: letters(limit + 1),
			want: []string{fmt.Sprintf("%s: Too long: may not be more than %d", field, limit)},
		},
	})
}

// badEnums are values that no enum can be; good is a value that it can be.
func badEnums(field, good, supported string) map[string]badField {
	cases := badTypes(field)
	for name, value := range map[string]string{
		"empty": "", "unknown": "unknown", "in lower case": strings.ToLower(good) + "x", "with a blank at the end": good + " ",
		"with a line break": good + "\n", "with a soft hyphen": good + "\u00ad", "twice": good + "," + good,
	} {
		cases[field+" "+name] = badField{
			reason: "values are spelt in one way",
			field:  field, value: value,
			want: []string{fmt.Sprintf("%s: Unsupported value: %q", field, value), supported},
		}
	}
	return cases
}

// unprintable are values with what is no printable ASCII character.
func unprintable(field, message string) map[string]badField {
	cases := hostile(field, message)
	for _, fine := range []string{"blank", "blank at end", "slash", "parent folder", "backslash", "percent", "template"} {
		delete(cases, field+" with "+fine)
	}
	return cases
}

// notHeaders are values that no header's name can be.
func notHeaders(field string) map[string]badField {
	cases := hostile(field, headerMessage)
	delete(cases, field+" with percent") // a token of RFC 9110
	for name, value := range map[string]string{"colon": "X-A:", "comma": "X-A,X-B", "quotation mark": `"X-A"`, "bracket": "X[A]", "equals sign": "a=b"} {
		cases[field+" with "+name] = badField{
			reason: "no header is called so", field: field, value: value, want: []string{field + ": Invalid value", headerMessage},
		}
	}
	return merge(cases, badTexts(field, 128))
}

// notPointers are values that no JSON pointer can be.
func notPointers(field string) map[string]badField {
	cases := badTexts(field, 256)
	for name, value := range map[string]string{
		"without a slash": "event", "of a URI fragment": "#/event", "with a tilde": "/a~b", "that ends in a tilde": "/a~", "with an unknown escape": "/a~2",
		"of JSONPath": "$.event.id", "with a blank first": " /event", "with a line break first": "\n/event", "of 9 levels": strings.Repeat("/a", 9),
	} {
		cases[field+" "+name] = badField{
			reason: "the pointer leads nowhere", field: field, value: value, want: []string{field + ": Invalid value", pointerMessage},
		}
	}
	cases[field+" to the empty name"] = badField{
		reason: "a slash alone is rather a typing error", field: field, value: "/", want: []string{field + ": Invalid value", "at least 2 chars long"},
	}
	cases[field+" of 257 bytes"] = badField{
		reason: "pointers are bounded in bytes", field: field, value: "/" + strings.Repeat("ä", 128), want: []string{field + ": Invalid value", pointerBytesMessage},
	}
	return cases
}

// notNumbers are values that no number with limits can be.
func notNumbers(field string, least, most int64) map[string]badField {
	return map[string]badField{
		field + " too small": {
			reason: "numbers are bounded", field: field, value: least - 1,
			want: []string{fmt.Sprintf("%s: Invalid value: %d", field, least-1), fmt.Sprintf("greater than or equal to %d", least)},
		},
		field + " too great": {
			reason: "numbers are bounded", field: field, value: most + 1,
			want: []string{fmt.Sprintf("%s: Invalid value: %d", field, most+1), fmt.Sprintf("less than or equal to %d", most)},
		},
		field + " negative": {
			reason: "numbers are bounded", field: field, value: -most,
			want: []string{fmt.Sprintf("%s: Invalid value: %d", field, -most), fmt.Sprintf("greater than or equal to %d", least)},
		},
		field + " of 64 bits": {
			reason: "numbers are bounded", field: field, value: int64(1) << 62,
			want: []string{field + ": Invalid value", fmt.Sprintf("less than or equal to %d", most)},
		},
		field + " fractional": {
			reason: "the number is a whole one", field: field, value: 200.5,
			want: []string{field + ": Invalid value", "must be of type int"},
		},
		field + " is text": {
			reason: "numbers are not quoted", field: field, value: "200",
			want: []string{field + ": Invalid value", "must be of type integer"},
		},
		field + " is a boolean": {
			reason: "true is no number", field: field, value: true,
			want: []string{field + ": Invalid value", "must be of type int"},
		},
	}
}

// inList puts cases of the field list[0] into the list.
func inList(list string, cases map[string]badField, element func(value any) any) map[string]badField {
	for name, tc := range cases {
		tc.field, tc.value = list, []any{element(tc.value)}
		cases[name] = tc
	}
	return cases
}

func itself(value any) any { return value }

// guessedPrefixes are what somebody tries who wants to know how a Secret begins.
func guessedPrefixes(field string) map[string]badField {
	bad := map[string]badField{}
	for _, guess := range []string{"0", "f", "0a", "a", "-----BEGIN", "whsec_0", "whsec", "WHSEC_", "v1,", "v1,whsec_a", "whsk_", "sk_live_"} {
		bad["the guess "+guess] = badField{reason: "whether it is taken off would say how the Secret begins", field: field, value: guess, want: []string{"Unsupported value", secretPrefixes}}
	}
	return bad
}

// notLists are values that no list can be. They are named after the field.
func notLists(field string, most int, element func(i int) any) map[string]badField {
	many := make([]any, most+1)
	for i := range many {
		many[i] = element(i)
	}
	return map[string]badField{
		field + " empty": {
			reason: "an empty list is left out", field: field, value: []any{},
			want: []string{field + ": Invalid value", "at least 1 items"},
		},
		field + " too many": {
			reason: "lists are bounded", field: field, value: many,
			want: []string{fmt.Sprintf("%s: Too many: %d: must have at most %d items", field, most+1, most)},
		},
		field + " is text": {
			reason: "a list is a list even with one element", field: field, value: "a",
			want: []string{field + ": Invalid value", "must be of type array"},
		},
		field + " is a mapping": {
			reason: "a list has dashes", field: field, value: object{},
			want: []string{field + ": Invalid value", "must be of type array"},
		},
		field + " with null": {
			reason: "null is no element", field: field, value: []any{nil},
			want: []string{field + "[0]: Invalid value: \"null\""},
		},
	}
}

// notObjects are values that no object can be.
func notObjects(field string) map[string]badField {
	cases := map[string]badField{}
	for name, value := range map[string]any{"text": "SHA-256", "list": []any{}, "number": int64(1), "boolean": true} {
		cases[field+" is a "+name] = badField{
			reason: "the field has fields", field: field, value: value, want: []string{field + ": Invalid value", "must be of type object"},
		}
	}
	cases[field+".unknown"] = badField{
		reason: "a misspelt field is not ignored", field: field + ".unknown", value: "a", want: []string{fmt.Sprintf("unknown field %q", field+".unknown")},
	}
	return cases
}

// TestSchemeFieldsRefused changes one field at a time.
func TestSchemeFieldsRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, schemeYAML, merge(
		notObjects("spec.signature"),
		map[string]badField{
			"signature empty": {
				reason: "the algorithm is a choice that nobody makes for the user", field: "spec.signature", value: object{},
				want: []string{"spec.signature.algorithm: Required value"},
			},
			"no algorithm": {
				reason: "the algorithm is a choice that nobody makes for the user", field: "spec.signature.algorithm", value: absent{},
				want: []string{"spec.signature.algorithm: Required value"},
			},
			"algorithm null": {
				reason: "null is no algorithm", field: "spec.signature.algorithm", value: nil,
				want: []string{"spec.signature.algorithm: Required value"},
			},
			"headers repeated": {
				reason: "a header is named once", field: "spec.signature.headers", value: []any{"X-A", "X-B", "X-A"},
				want: []string{`spec.signature.headers[2]: Duplicate value: "X-A"`},
			},
			"fields repeated": {
				reason: "a field is named once", field: "spec.signature.fields", value: []any{"v1", "v1"},
				want: []string{`spec.signature.fields[1]: Duplicate value: "v1"`},
			},
			"timestamp empty": {
				reason: "a scheme without a timestamp has no such field", field: "spec.signature.timestamp", value: object{},
				want: []string{"spec.signature.timestamp: Invalid value", "at least 1 properties"},
			},
			"template of 256 characters and more than 512 bytes": {
				reason: "a template is bounded in bytes", field: "spec.signature.template", value: "{timestamp}{body}" + strings.Repeat("€", 239),
				want: []string{"spec.signature.template: Invalid value", templateBytesMessage},
			},
		},
		badEnums("spec.signature.algorithm", "SHA-256", allAlgorithm),
		badEnums("spec.signature.encoding", "Hex", `supported values: "Hex", "Base64", "Base64URL"`),
		badEnums("spec.signature.secretEncoding", "Raw", `supported values: "Raw", "Hex", "Base64"`),
		badEnums("spec.signature.timestamp.unit", "Seconds", `supported values: "Seconds", "Milliseconds", "RFC3339"`),
		notLists("spec.signature.headers", 8, func(i int) any { return fmt.Sprintf("X-%d", i) }),
		inList("spec.signature.headers", notHeaders("spec.signature.headers[0]"), itself),
		notLists("spec.signature.fields", 8, func(i int) any { return fmt.Sprintf("v%d", i) }),
		inList("spec.signature.fields", badTexts("spec.signature.fields[0]", 64), itself),
		inList("spec.signature.fields", unprintable("spec.signature.fields[0]", "a field "+printable), itself),
		badTexts("spec.signature.itemSeparator", 64),
		unprintable("spec.signature.itemSeparator", "itemSeparator "+printable),
		badTexts("spec.signature.fieldSeparator", 64),
		unprintable("spec.signature.fieldSeparator", "fieldSeparator "+printable),
		badTexts("spec.signature.template", 256),
		notObjects("spec.signature.timestamp"),
		badTexts("spec.signature.timestamp.field", 64),
		unprintable("spec.signature.timestamp.field", "field "+printable),
		notNumbers("spec.signature.timestamp.toleranceSeconds", 1, 86400),
		badEnums("spec.signature.secretPrefix", "whsec_", secretPrefixes),
		guessedPrefixes("spec.signature.secretPrefix"),
	))
	t.Run("others", func(t *testing.T) {
		testBadFields(t, idYAML, merge(
			badTexts("spec.signature.prefix", 64),
			unprintable("spec.signature.prefix", "prefix "+printable),
			notHeaders("spec.signature.timestamp.header"),
			notHeaders("spec.signature.idHeader"),
		))
	})
	t.Run("bodyPointer", func(t *testing.T) {
		good := strings.Replace(strings.Replace(schemeYAML, "field: t", "bodyPointer: /at", 1), "{timestamp}.", "", 1)
		testBadFields(t, good, notPointers("spec.signature.timestamp.bodyPointer"))
	})
}

// TestSchemeCombinationsRefused has a case for each rule on fields that do not go together.
func TestSchemeCombinationsRefused(t *testing.T) {
	t.Parallel()
	signed := object{"template": "{timestamp}.{body}", "timestamp": object{"header": "X-T"}}
	cases := map[string]struct {
		reason string
		value  object // of spec.signature
		want   []string
	}{
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
	bad := map[string]badField{}
	for name, tc := range cases {
		bad[name] = badField{reason: tc.reason, field: "spec.signature", value: tc.value, want: append(tc.want, "spec.signature")}
	}
	testBadFields(t, schemeYAML, bad)
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
	for algorithm := range strings.SplitSeq(strings.ReplaceAll(strings.TrimPrefix(allAlgorithm, "supported values: "), `"`, ""), ", ") {
		cases[algorithm] = goodField{reason: "each algorithm", field: "spec.signature", value: object{"algorithm": algorithm}}
	}
	for field, values := range map[string][]any{"encoding": {"Hex", "Base64", "Base64URL"}, "secretEncoding": {"Raw", "Hex", "Base64"}, "secretPrefix": {"whsec_", "whpk_", "v1,whsec_"}} {
		for _, value := range values {
			cases[fmt.Sprintf("%s %s", field, value)] = goodField{reason: "each value", field: "spec.signature", value: scheme(object{field: value})}
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
	cases := map[string]struct {
		reason string
		value  object // of spec
		want   []string
	}{
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
			cases[provider+" with another id in "+source] = struct {
				reason string
				value  object
				want   []string
			}{reason: "the id is signed", value: spec(object{"provider": provider, "deduplication": ids(source, more)}), want: []string{providerSignsIDMessage}}
		}
	}
	for _, provider := range []string{"AdyenStandard", "GitLabToken", "Mailgun"} {
		cases[provider+" with the signature as the id"] = struct {
			reason string
			value  object
			want   []string
		}{reason: "there is none", value: spec(object{"provider": provider, "deduplication": ids("Signature", nil)}), want: []string{noSignatureIDMessage}}
	}
	bad := map[string]badField{}
	for name, tc := range cases {
		bad[name] = badField{reason: tc.reason, field: "spec", value: tc.value, want: append(tc.want, "spec")}
	}
	testBadFields(t, triggerYAML, bad)
}

// TestTriggerFieldsRefused changes one of the fields beside the scheme at a time.
func TestTriggerFieldsRefused(t *testing.T) {
	t.Parallel()
	const refs, ref = "spec.additionalSecretRefs", "spec.additionalSecretRefs[0]"
	key := func(field string) func(any) any {
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
	testBadFields(t, everythingYAML, merge(
		notLists(refs, 8, func(i int) any { return object{"name": fmt.Sprintf("a%d", i), "key": "a"} }),
		inList(refs, badTexts(ref+".name", 253), key("name")),
		inList(refs, hostile(ref+".name", secretNameMessage), key("name")),
		inList(refs, badTexts(ref+".key", 253), key("key")),
		inList(refs, hostile(ref+".key", secretKeyMessage), key("key")),
		inList(refs, map[string]badField{
			"no name of an additional key": {reason: "a reference has a name", value: absent{}, want: []string{ref + ".name: Required value"}},
		}, key("name")),
		inList(refs, map[string]badField{
			"no key of an additional key": {reason: "a reference has a key", value: absent{}, want: []string{ref + ".key: Required value"}},
			"key of two dots":             {reason: "no Secret has such a key", value: "..", want: []string{ref + ".key: Invalid value", secretKeyMessage}},
		}, key("key")),
		inList(refs, map[string]badField{
			"an additional key of another namespace": {reason: "references stay within the namespace", value: "other", want: []string{`unknown field "` + ref + `.namespace"`}},
		}, key("namespace")),
		map[string]badField{
			"additional key is a name": {
				reason: "a reference is an object", field: refs, value: []any{"other"}, want: []string{ref + ": Invalid value", "must be of type object"},
			},
			"additional key repeated": {
				reason: "a key is named once", field: refs, value: []any{object{"name": "a", "key": "b"}, object{"name": "a", "key": "c"}, object{"name": "a", "key": "b"}},
				want: []string{refs + "[2]: Duplicate value"},
			},
			"additional key is the first": {
				reason: "a key is named once", field: refs, value: []any{object{"name": "orders-webhook", "key": "secretKey"}}, want: []string{repeatedRefMessage},
			},
			"provider as well": {
				reason: "which of them?", field: "spec.provider", value: "GitHub", want: []string{oneSchemeMessage},
			},
			"limits empty": {
				reason: "which limits?", field: "spec.limits", value: object{}, want: []string{"spec.limits: Invalid value", "at least 1 properties"},
			},
			"limits is a number": {
				reason: "there are several", field: "spec.limits", value: int64(5), want: []string{"spec.limits: Invalid value", "must be of type object"},
			},
			"rate without requests": {
				reason: "how many?", field: "spec.limits", value: object{"rate": object{"burst": int64(1)}}, want: []string{"spec.limits.rate.requests: Required value"},
			},
			"rate of none": {
				reason: "the trigger can be suspended", field: "spec.limits", value: object{"rate": object{"requests": int64(0)}}, want: []string{"spec.limits.rate.requests: Invalid value", "greater than or equal to 1"},
			},
			"rate beyond all": {
				reason: "numbers are bounded", field: "spec.limits", value: object{"rate": object{"requests": int64(1_000_001)}}, want: []string{"spec.limits.rate.requests: Invalid value", "less than or equal to 1000000"},
			},
			"rate of half": {
				reason: "a minute can be chosen instead", field: "spec.limits", value: object{"rate": object{"requests": 0.5}}, want: []string{"spec.limits.rate.requests: Invalid value", "must be of type integer"},
			},
			"rate a fortnight": {
				reason: "no such period", field: "spec.limits", value: object{"rate": object{"requests": int64(1), "period": "Fortnight"}},
				want: []string{"spec.limits.rate.period: Unsupported value", `"Second", "Minute", "Hour"`},
			},
			"burst of none": {
				reason: "nothing would be accepted", field: "spec.limits", value: object{"rate": object{"requests": int64(1), "burst": int64(0)}}, want: []string{"spec.limits.rate.burst: Invalid value", "greater than or equal to 1"},
			},
			"burst beyond all": {
				reason: "numbers are bounded", field: "spec.limits", value: object{"rate": object{"requests": int64(1), "burst": int64(1_000_001)}}, want: []string{"spec.limits.rate.burst: Invalid value", "less than or equal to 1000000"},
			},
			"concurrency of none": {
				reason: "the trigger can be suspended", field: "spec.limits", value: object{"concurrency": int64(0)}, want: []string{"spec.limits.concurrency: Invalid value", "greater than or equal to 1"},
			},
			"concurrency beyond all": {
				reason: "numbers are bounded", field: "spec.limits", value: object{"concurrency": int64(1001)}, want: []string{"spec.limits.concurrency: Invalid value", "less than or equal to 1000"},
			},
			"bodies of nothing": {
				reason: "nothing would be accepted", field: "spec.limits", value: object{"maxBodyBytes": int64(0)}, want: []string{"spec.limits.maxBodyBytes: Invalid value", "greater than or equal to 1"},
			},
			"bodies that do not fit": {
				reason: "etcd would not take them", field: "spec.limits", value: object{"maxBodyBytes": int64(1130497)}, want: []string{"spec.limits.maxBodyBytes: Invalid value", "less than or equal to 1130496"},
			},
			"bodies as a quantity": {
				reason: "it is a number of bytes", field: "spec.limits", value: object{"maxBodyBytes": "64Ki"}, want: []string{"spec.limits.maxBodyBytes: Invalid value", "must be of type integer"},
			},
			"deduplication empty": {
				reason: "how is it to be done?", field: "spec.deduplication", value: object{}, want: []string{"spec.deduplication.source: Required value"},
			},
			"deduplication without source": {
				reason: "how is it to be done?", field: "spec.deduplication.source", value: absent{}, want: []string{"spec.deduplication.source: Required value"},
			},
			"window without deduplication": {
				reason: "it would do nothing", field: "spec.deduplication", value: object{"source": "None", "windowSeconds": int64(60)}, want: []string{windowSourceMessage},
			},
			"match without deduplication": {
				reason: "it would do nothing", field: "spec.deduplication", value: object{"source": "None", "match": "ID"}, want: []string{matchSourceMessage},
			},
			"response empty": {
				reason: "nothing is overridden", field: "spec.response", value: object{}, want: []string{"spec.response: Invalid value", "at least 1 properties"},
			},
			"contentType without body": {
				reason: "the type of what?", field: "spec.response", value: object{"contentType": "text/plain"}, want: []string{contentTypeBodyMessage},
			},
			"contentType without body, but status": {
				reason: "the type of what?", field: "spec.response", value: object{"contentType": "text/plain", "status": int64(200)}, want: []string{contentTypeBodyMessage},
			},
			"204 with body": {reason: "RFC 9110, section 15.3.5", field: "spec.response.status", value: int64(204), want: []string{noContentMessage}},
			"205 with body": {reason: "RFC 9110, section 15.3.6", field: "spec.response.status", value: int64(205), want: []string{noContentMessage}},
		},
		badEnums("spec.algorithm", "SHA-256", hashes),
		notObjects("spec.deduplication"),
		badEnums("spec.deduplication.match", "ID", `supported values: "ID", "IDAndBody"`),
		badEnums("spec.deduplication.source", "Header", `supported values: "Provider", "Header", "Body", "Signature", "None"`),
		notHeaders("spec.deduplication.header"),
		notNumbers("spec.deduplication.windowSeconds", 1, 2592000),
		notObjects("spec.response"),
		notNumbers("spec.response.status", 200, 299),
		badTexts("spec.response.body", 1024),
		badTexts("spec.response.contentType", 128),
		notMediaTypes("spec.response.contentType"),
		badEnums("spec.response.unauthorizedBody", "Empty", `supported values: "Problem", "Empty"`),
		badTexts("spec.publicURL", 1024),
		notURLs("spec.publicURL"),
	))
	t.Run("bodyPointers", func(t *testing.T) {
		good := strings.Replace(everythingYAML, "source: Header\n    header: X-Id", "source: Body\n    bodyPointers: [/id]", 1)
		testBadFields(t, good, merge(
			notLists("spec.deduplication.bodyPointers", 4, func(i int) any { return fmt.Sprintf("/%d", i) }),
			inList("spec.deduplication.bodyPointers", notPointers("spec.deduplication.bodyPointers[0]"), itself),
		))
	})
	t.Run("provider", func(t *testing.T) {
		good := strings.Replace(triggerYAML, "algorithm: SHA-256", "provider: GitHub", 1)
		testBadFields(t, good, merge(
			badEnums("spec.provider", "GitHub", `supported values: "AdyenPlatform", "AdyenStandard", "Asana",`),
			map[string]badField{
				"provider null": {reason: "null is no provider", field: "spec.provider", value: nil, want: []string{oneSchemeMessage}},
				"token algorithm": {
					reason: "spec.algorithm is for HMAC alone", field: "spec", value: spec(object{"algorithm": "Token"}), want: []string{hashes},
				},
				"Ed25519": {
					reason: "spec.algorithm is for HMAC alone", field: "spec", value: spec(object{"algorithm": "Ed25519"}), want: []string{hashes},
				},
			},
		))
	})
}

// notMediaTypes are values that no Content-Type can be, as a line break would begin another header, and types that a browser may run.
func notMediaTypes(field string) map[string]badField {
	cases := hostile(field, contentTypeMessage)
	for name, value := range map[string]string{
		"another header": "text/plain\r\nX-A: b", "parameters alone": "; charset=utf-8", "one word": "json", "another list": "text/plain, text/html",
		"HTML": "text/html", "HTML in capitals": "Text/HTML; charset=utf-8", "XHTML": "application/xhtml+xml", "SVG": "image/svg+xml", "script": "text/javascript",
		"another type in a parameter": "text/plain;,text/html", "another type in quotation marks": "text/plain; a=\",text/html", "a type that nobody knows": "a/b",
		"lower case that is none": "application/j\u017fon", "parameter without value": "text/plain; a", "quoted parameter": `text/plain; a="b"`,
		"parameter with line break": "text/plain; a=\n", "parameter of other script": "text/plain; a=ä",
	} {
		cases[field+" with "+name] = badField{
			reason: "it is no media type, or one that a browser may run", field: field, value: value, want: []string{field + ": Invalid value", contentTypeMessage},
		}
	}
	return cases
}

// notURLs are values that no URL of a sender can be.
func notURLs(field string) map[string]badField {
	cases := hostile(field, publicURLMessage)
	for name, tc := range cases {
		text, _ := tc.value.(string)
		tc.value = "https://hooks.example.com/" + text
		cases[name] = tc
	}
	for _, fine := range []string{"slash", "parent folder", "percent"} {
		delete(cases, field+" with "+fine)
	}
	for name, value := range map[string]string{
		"no scheme": "hooks.example.com/hooks", "another scheme": "ftp://hooks.example.com/", "scheme in upper case": "HTTPS://hooks.example.com/",
		"an empty query": "https://hooks.example.com/?", "a query without a path": "https://hooks.example.com?a",
		"a fragment": "https://hooks.example.com/#a", "a fragment behind a query": "https://hooks.example.com/?a#b",
		"a blank in the query": "https://hooks.example.com/?a=b c", "a brace in the query": "https://hooks.example.com/?a={}", "quotation marks in the query": `https://hooks.example.com/?"`, "no host": "https:///hooks", "nothing behind the scheme": "https://", "one slash": "https:/hooks.example.com",
		"blank first": " https://hooks.example.com/", "line break in the host": "https://hooks\n.example.com/", "umlaut in the host": "https://hööks.example.com/",
		"template in the host": "https://{{host}}/", "angle brackets": "<https://hooks.example.com/>", "quotation marks": `"https://hooks.example.com/"`,
	} {
		cases[field+" with "+name] = badField{
			reason: "it is not the URL of a webhook", field: field, value: value, want: []string{field + ": Invalid value", publicURLMessage},
		}
	}
	return cases
}

func TestTriggerFieldsAccepted(t *testing.T) {
	t.Parallel()
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
	for algorithm := range strings.SplitSeq(strings.ReplaceAll(strings.TrimPrefix(hashes, "supported values: "), `"`, ""), ", ") {
		add("spec.algorithm", algorithm)
		cases["spec.algorithm "+algorithm] = cases["spec.algorithm 0"]
	}
	delete(cases, "spec.algorithm 0")
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

// TestSchemeUpdate moves a trigger from one way to say how requests are signed to another, and makes sure that an update is checked
// as a create is.
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
	cases := map[string]struct {
		reason        string
		good          string
		replace, with string
		want          []string
	}{
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
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := tc.good
			if tc.replace != "" {
				if text = strings.Replace(tc.good, tc.replace, tc.with, 1); text == tc.good {
					t.Fatalf("there is no %q to replace", tc.replace)
				}
			}
			stdout, stderr, err := env.Kubectl(t, text, "apply", "-n", env.Namespace(t), "-f", "-")
			if err == nil || stdout != "" {
				t.Errorf("%s: kubectl apply has accepted it: %s", tc.reason, stdout)
			}
			for _, want := range tc.want {
				if !strings.Contains(oneLine(stderr), want) {
					t.Errorf("%s: the user reads\n%s\nwhich does not contain\n%s", tc.reason, stderr, want)
				}
			}
		})
	}
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
		t.Run(field, func(t *testing.T) {
			status, answer := post(t, "/apis/sluice.dev/v1alpha1/namespaces/"+namespace+"/webhooktriggers", `{"apiVersion": "sluice.dev/v1alpha1",
				"kind": "WebhookTrigger", "metadata": {"name": "a"}, "spec": {`+fields+`, "flowRef": {"name": "a"}, "secretRef": {"name": "a", "key": "a"}}}`)
			if want := `duplicate field \"` + field + `\"`; status != 400 || !strings.Contains(answer, want) {
				t.Errorf("the answer is %d, want 400 with %s:\n%s", status, want, answer)
			}
		})
	}
}

func keys(n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = object{"name": fmt.Sprintf("orders-webhook/%d", i)}
	}
	return all
}

func TestKeyStatusRefused(t *testing.T) {
	t.Parallel()
	const list, name, at = "status.keys", "status.keys[0].name", "status.keys[0].lastMatchedTime"
	named := func(value any) any { return object{"name": value} }
	testBadStatus(t, triggerYAML, merge(
		notLists(list, 9, func(i int) any { return keys(10)[i] }),
		inList(list, badTexts(name, 512), named),
		inList(list, badTimes(at), func(value any) any { return object{"name": "a/b", "lastMatchedTime": value} }),
		map[string]badField{
			"key without name": {reason: "which key?", field: list, value: []any{object{"lastMatchedTime": "2026-01-31T12:00:00Z"}}, want: []string{name + ": Required value"}},
			"key of 2":         {reason: "a Secret and an entry", field: list, value: []any{named("a/")}, want: []string{name + ": Invalid value", "at least 3 chars long"}},
			"key is a name":    {reason: "a key has a name", field: list, value: []any{"a/b"}, want: []string{list + "[0]: Invalid value", "must be of type object"}},
			"key repeated": {
				reason: "a key is listed once", field: list, value: []any{named("a/b"), named("a/c"), named("a/b")}, want: []string{list + `[2]: Duplicate value: {"name":"a/b"}`},
			},
			"unknown field of a key": {
				reason: "a misspelt field is not ignored", field: list, value: []any{object{"name": "a/b", "used": true}}, want: []string{`unknown field "status.keys[0].used"`},
			},
		},
	))
}

func TestKeyStatusAccepted(t *testing.T) {
	t.Parallel()
	trigger := parse(t, env.Namespace(t), everythingYAML)
	env.Create(t, trigger)
	longest := letters(253) + "/" + letters(253) // the longest name that spec allows
	for _, want := range [][]any{
		keys(9),
		{object{"name": longest, "lastMatchedTime": "2026-01-31T12:00:00Z"}},
		{object{"name": "a/b", "lastMatchedTime": "2026-01-31T12:00:00.5+01:00"}, object{"name": "a/c"}},
	} {
		set(t, trigger, "status.keys", want)
		if err := env.Client.Status().Update(t.Context(), trigger, strict); err != nil {
			t.Fatal(err)
		}
		stored := read(t, trigger)
		if diff := cmp.Diff(any(want), get(t, stored, "status.keys")); diff != "" {
			t.Errorf("the keys as stored (-want +got):\n%s", diff)
		}
		decode(t, stored)
	}
}

func TestDeliveryIDRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, runYAML, badTexts("spec.request.deliveryID", 256))
}

// TestDeliveryIDAccepted stores what a sender may take for an id: it is the sender's text, and no name.
func TestDeliveryIDAccepted(t *testing.T) {
	t.Parallel()
	cases := map[string]goodField{
		"256 characters": {reason: "the longest", field: "spec.request.deliveryID", value: strings.Repeat("😀", 256)},
		"null":           {reason: "null is nothing", field: "spec.request.deliveryID", value: nil, want: absent{}},
	}
	for name, tc := range hostile("spec.request.deliveryID", "") {
		cases[name] = goodField{reason: "it is a record of what the sender sent", field: tc.field, value: tc.value}
	}
	testGoodFields(t, runYAML, cases)

	run := parse(t, env.Namespace(t), runYAML)
	env.Create(t, run)
	set(t, run, "spec.request.deliveryID", "another")
	checkRefused(t, "the id is a part of the record", env.Client.Update(t.Context(), run, strict), immutableMessage)
}

// TestSchemeConstants makes triggers of Go types, with every value that the package has a constant for.
func TestSchemeConstants(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	trigger := func() *sluicev1alpha1.WebhookTrigger {
		made := createdTrigger(t)
		made.Namespace, made.ResourceVersion, made.UID = namespace, "", ""
		return made
	}
	var triggers []*sluicev1alpha1.WebhookTrigger
	for _, algorithm := range []sluicev1alpha1.Algorithm{
		sluicev1alpha1.AlgorithmSHA1, sluicev1alpha1.AlgorithmSHA256, sluicev1alpha1.AlgorithmSHA384, sluicev1alpha1.AlgorithmSHA512,
		sluicev1alpha1.AlgorithmSHA3256, sluicev1alpha1.AlgorithmSHA3512, sluicev1alpha1.AlgorithmRIPEMD128, sluicev1alpha1.AlgorithmRIPEMD160,
	} {
		plain, own := trigger(), trigger()
		plain.Spec.Algorithm = algorithm
		own.Spec.Algorithm, own.Spec.Signature.Algorithm = "", sluicev1alpha1.SignatureAlgorithm(algorithm)
		triggers = append(triggers, plain, own)
	}
	for _, algorithm := range []sluicev1alpha1.SignatureAlgorithm{sluicev1alpha1.AlgorithmEd25519, sluicev1alpha1.AlgorithmToken} {
		own := trigger()
		own.Spec.Algorithm, own.Spec.Signature.Algorithm = "", algorithm
		triggers = append(triggers, own)
	}
	for _, d := range []sluicev1alpha1.Deduplication{
		{Source: sluicev1alpha1.DeduplicateByProvider}, {Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Id"},
		{Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/id"}}, {Source: sluicev1alpha1.DeduplicateBySignature},
		{Source: sluicev1alpha1.DeduplicateNone},
	} {
		made := trigger()
		made.Spec.Algorithm, made.Spec.Provider, made.Spec.Deduplication = "", "GitHub", d
		triggers = append(triggers, made)
	}
	for _, body := range []sluicev1alpha1.UnauthorizedBody{sluicev1alpha1.UnauthorizedProblem, sluicev1alpha1.UnauthorizedEmpty} {
		made := trigger()
		made.Spec.Response.UnauthorizedBody = body
		triggers = append(triggers, made)
	}
	for i, made := range triggers {
		if err := env.Client.Create(t.Context(), made, client.DryRunAll, strict); err != nil {
			t.Errorf("%d: a constant of the package is refused: %v", i, err)
		}
	}
}

// TestSchemeSSA gives each of two managers a list element of its own: to add a key must not take away that of another.
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
