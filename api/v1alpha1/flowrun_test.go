/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// What users read of a run that contradicts itself.
const (
	triggerNameMessage = "name must be the name of a WebhookTrigger: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	uidMessage         = "uid must be the metadata.uid of a WebhookTrigger: letters, digits and '-'"
	signedByMessage    = "signedBy must be <Secret>/<entry>, such as orders-webhook/secretKey"
	sha256Message      = "sha256 must be 64 lower-case hexadecimal digits"
	sizeMessage        = "size must be the number of bytes of text (in UTF-8) or of binary (decoded), and 0 if neither is set"
	binaryMessage      = "binary must be base64: in one line, padded, and with '+' and '/' in the alphabet (RFC 4648, section 4)"
	spareBitsMessage   = "binary must be base64 as encoders write it: its last character has bits that belong to no byte and are not zero; encode the bytes again"
	oneBodyMessage     = "set text or binary, not both"
	immutableMessage   = "spec cannot be changed: a FlowRun is the record of one request; create another FlowRun instead. Only its payload can be dropped, for good: leave out text and binary, set payload.state to Dropped, and change nothing else"
	droppedMessage     = "state Dropped means that the payload is gone: leave out text and binary, or the state"
)

// payload makes a payload of some fields; the digest is right in form.
func payload(fields map[string]any) map[string]any {
	all := map[string]any{"sha256": strings.Repeat("0", 64)}
	maps.Copy(all, fields)
	return all
}

func TestFlowRunRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, runYAML, merge(
		map[string]badField{
			"no spec": {
				reason: "a run is a run of something",
				field:  "spec", value: absent{},
				want: []string{"spec: Required value"},
			},
			"spec empty": {
				reason: "all that is missing is named at once",
				field:  "spec", value: map[string]any{},
				want: []string{"spec.flowRef: Required value", "spec.payload: Required value"},
			},
			"spec is text": {
				reason: "a spec is an object",
				field:  "spec", value: "import-orders",
				want: []string{"spec: Invalid value", "must be of type object"},
			},
			"unknown field": {
				reason: "a misspelt field is not ignored",
				field:  "spec.headers", value: map[string]any{"a": "b"},
				want: []string{`unknown field "spec.headers"`},
			},

			"no flowRef": {
				reason: "a run is a run of something",
				field:  "spec.flowRef", value: absent{},
				want: []string{"spec.flowRef: Required value"},
			},
			"no name in flowRef": {
				reason: "a reference has a name",
				field:  "spec.flowRef", value: map[string]any{},
				want: []string{"spec.flowRef.name: Required value"},
			},
			"flow name empty": {
				reason: "the empty text is no name",
				field:  "spec.flowRef.name", value: "",
				want: []string{"spec.flowRef.name: Invalid value", "at least 1 chars long", flowNameMessage},
			},
			"flow name of 64": {
				reason: "no Flow has so long a name",
				field:  "spec.flowRef.name", value: letters(64),
				want: []string{"spec.flowRef.name: Too long: may not be more than 63"},
			},

			"triggerRef empty": {
				reason: "a run that no trigger made has no triggerRef at all",
				field:  "spec.triggerRef", value: map[string]any{},
				want: []string{"spec.triggerRef.name: Required value"},
			},
			"triggerRef is a name": {
				reason: "a reference is an object",
				field:  "spec.triggerRef", value: "orders",
				want: []string{"spec.triggerRef: Invalid value", "must be of type object"},
			},
			"trigger name empty": {
				reason: "the empty text is no name",
				field:  "spec.triggerRef.name", value: "",
				want: []string{"spec.triggerRef.name: Invalid value", "at least 1 chars long", triggerNameMessage},
			},
			"trigger name of 64": {
				reason: "no trigger has so long a name",
				field:  "spec.triggerRef.name", value: letters(64),
				want: []string{"spec.triggerRef.name: Too long: may not be more than 63"},
			},
			"trigger name is a number": {
				reason: "names are text, quoted in YAML if they look like numbers",
				field:  "spec.triggerRef.name", value: int64(12),
				want: []string{"spec.triggerRef.name: Invalid value", "must be of type string"},
			},
			"uid empty": {
				reason: "a uid that is not known is left out",
				field:  "spec.triggerRef.uid", value: "",
				want: []string{"spec.triggerRef.uid: Invalid value", "at least 1 chars long"},
			},
			"uid of 65": {
				reason: "no object has so long a uid",
				field:  "spec.triggerRef.uid", value: letters(65),
				want: []string{"spec.triggerRef.uid: Too long: may not be more than 64"},
			},
			"uid is a number": {
				reason: "a uid is text",
				field:  "spec.triggerRef.uid", value: int64(1),
				want: []string{"spec.triggerRef.uid: Invalid value", "must be of type string"},
			},

			"no payload": {
				reason: "a request has a body, if only an empty one",
				field:  "spec.payload", value: absent{},
				want: []string{"spec.payload: Required value"},
			},
			"payload empty": {
				reason: "of an empty body too the size and digest are known",
				field:  "spec.payload", value: map[string]any{},
				want: []string{"spec.payload.size: Required value", "spec.payload.sha256: Required value"},
			},
			"payload is text": {
				reason: "a payload is an object",
				field:  "spec.payload", value: "{}",
				want: []string{"spec.payload: Invalid value", "must be of type object"},
			},
			"unknown field of payload": {
				reason: "a misspelt field is not ignored",
				field:  "spec.payload.body", value: "{}",
				want: []string{`unknown field "spec.payload.body"`},
			},
			"content type empty": {
				reason: "a header that the request did not have is left out",
				field:  "spec.payload.contentType", value: "",
				want: []string{"spec.payload.contentType: Invalid value", "at least 1 chars long"},
			},
			"content type of 257": {
				reason: "texts are bounded",
				field:  "spec.payload.contentType", value: letters(257),
				want: []string{"spec.payload.contentType: Too long: may not be more than 256"},
			},
			"content type is a list": {
				reason: "there is one content type",
				field:  "spec.payload.contentType", value: []any{"a"},
				want: []string{"spec.payload.contentType: Invalid value", "must be of type string"},
			},
			"text and binary": {
				reason: "which of the two was the body?",
				field:  "spec.payload", value: payload(map[string]any{"text": "a", "binary": "YQ==", "size": int64(1)}),
				want: []string{"spec.payload: Invalid value", oneBodyMessage},
			},
			"text empty": {
				reason: "an empty body has neither text nor binary",
				field:  "spec.payload", value: payload(map[string]any{"text": "", "size": int64(0)}),
				want: []string{"spec.payload.text: Invalid value", "at least 1 chars long"},
			},
			"text is an object": {
				reason: "a body that happens to be JSON is text nevertheless",
				field:  "spec.payload.text", value: map[string]any{},
				want: []string{"spec.payload.text: Invalid value", "must be of type string"},
			},
			"text is a number": {
				reason: "a body that happens to be a number is text nevertheless",
				field:  "spec.payload.text", value: int64(1),
				want: []string{"spec.payload.text: Invalid value", "must be of type string"},
			},
			"text too long": {
				reason: "what cannot be stored is refused before it is tried",
				field:  "spec.payload",
				value:  payload(map[string]any{"text": letters(sluicev1alpha1.MaxPayloadBytes + 1), "size": int64(sluicev1alpha1.MaxPayloadBytes + 1)}),
				want: []string{
					"spec.payload.text: Too long: may not be more than 1130496",
					"spec.payload.size: Invalid value: 1130497: spec.payload.size in body should be less than or equal to 1130496",
				},
			},
			"text of too many bytes": {
				reason: "the limit of a text is in bytes, not characters",
				field:  "spec.payload",
				value:  payload(map[string]any{"text": strings.Repeat("😀", sluicev1alpha1.MaxPayloadBytes/4+1), "size": int64(sluicev1alpha1.MaxPayloadBytes)}),
				want:   []string{"spec.payload: Invalid value", sizeMessage},
			},
			"binary empty": {
				reason: "an empty body has neither text nor binary",
				field:  "spec.payload", value: payload(map[string]any{"binary": "", "size": int64(0)}),
				want: []string{"spec.payload.binary: Invalid value", "at least 1 chars long"},
			},
			"binary too long": {
				reason: "what cannot be stored is refused before it is tried",
				field:  "spec.payload",
				value: payload(map[string]any{
					"binary": base64.StdEncoding.EncodeToString(make([]byte, sluicev1alpha1.MaxPayloadBytes+1)),
					"size":   int64(sluicev1alpha1.MaxPayloadBytes + 1),
				}),
				want: []string{
					"spec.payload.binary: Too long: may not be more than 1507328",
					"spec.payload.size: Invalid value: 1130497: spec.payload.size in body should be less than or equal to 1130496",
				},
			},
			"binary is a list": {
				reason: "bytes are base64, not a list of numbers",
				field:  "spec.payload", value: payload(map[string]any{"binary": []any{int64(1)}, "size": int64(1)}),
				want: []string{"spec.payload.binary: Invalid value", "must be of type string"},
			},

			"no size": {
				reason: "lists of runs show the size",
				field:  "spec.payload.size", value: absent{},
				want: []string{"spec.payload.size: Required value"},
			},
			"size negative": {
				reason: "a size counts",
				field:  "spec.payload.size", value: int64(-1),
				want: []string{"spec.payload.size: Invalid value: -1", "greater than or equal to 0"},
			},
			"size too great": {
				reason: "what cannot be stored is refused",
				field:  "spec.payload.size", value: int64(sluicev1alpha1.MaxPayloadBytes + 1),
				want: []string{"spec.payload.size: Invalid value: 1130497", "less than or equal to 1130496"},
			},
			"size fractional": {
				reason: "a size counts",
				field:  "spec.payload.size", value: 1.5,
				want: []string{"spec.payload.size: Invalid value", "must be of type int64"},
			},
			"size is text": {
				reason: "a size is a number",
				field:  "spec.payload.size", value: "15",
				want: []string{"spec.payload.size: Invalid value", "must be of type integer"},
			},
			"size of another text": {
				reason: "a body that was cut shows",
				field:  "spec.payload.size", value: int64(14),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},
			"size in characters": {
				reason: "a size is in bytes",
				field:  "spec.payload", value: payload(map[string]any{"text": "ä", "size": int64(1)}),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},
			"size of base64": {
				reason: "the size is that of the body, not of what it is stored as",
				field:  "spec.payload", value: payload(map[string]any{"binary": "YWFh", "size": int64(4)}),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},
			"size of padding": {
				reason: "padding is no part of the body",
				field:  "spec.payload", value: payload(map[string]any{"binary": "YQ==", "size": int64(3)}),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},
			"size of half the padding": {
				reason: "padding is no part of the body",
				field:  "spec.payload", value: payload(map[string]any{"binary": "YQ==", "size": int64(2)}),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},
			"size without a body": {
				reason: "a body that was left out shows",
				field:  "spec.payload", value: payload(map[string]any{"size": int64(1)}),
				want: []string{"spec.payload: Invalid value", sizeMessage},
			},

			"no sha256": {
				reason: "the digest tells whether a payload is whole",
				field:  "spec.payload.sha256", value: absent{},
				want: []string{"spec.payload.sha256: Required value"},
			},
			"sha256 empty": {
				reason: "the empty text is no digest",
				field:  "spec.payload.sha256", value: "",
				want: []string{"spec.payload.sha256: Invalid value", "at least 64 chars long", sha256Message},
			},
			"sha256 of 63": {
				reason: "a digit is missing",
				field:  "spec.payload.sha256", value: strings.Repeat("0", 63),
				want: []string{"spec.payload.sha256: Invalid value", "at least 64 chars long", sha256Message},
			},
			"sha256 of 65": {
				reason: "there is a digit too many",
				field:  "spec.payload.sha256", value: strings.Repeat("0", 65),
				want: []string{"spec.payload.sha256: Too long: may not be more than 64"},
			},
			"sha256 in upper case": {
				reason: "one way to write a digest makes digests comparable",
				field:  "spec.payload.sha256", value: strings.Repeat("A", 64),
				want: []string{"spec.payload.sha256: Invalid value", sha256Message},
			},
			"sha256 with line break": {
				reason: "a line break is no digit",
				field:  "spec.payload.sha256", value: strings.Repeat("0", 63) + "\n",
				want: []string{"spec.payload.sha256: Invalid value", sha256Message},
			},
			"sha256 of other digits": {
				reason: "digits of other scripts are none",
				field:  "spec.payload.sha256", value: strings.Repeat("٠", 64),
				want: []string{"spec.payload.sha256: Invalid value", sha256Message},
			},
			"sha256 is a number": {
				reason: "a digest of decimal digits alone must be quoted in YAML",
				field:  "spec.payload.sha256", value: int64(0),
				want: []string{"spec.payload.sha256: Invalid value", "must be of type string"},
			},

			"request empty": {
				reason: "a run that was made by hand has no request at all",
				field:  "spec.request", value: map[string]any{},
				want: []string{"spec.request.receivedAt: Required value"},
			},
			"request is text": {
				reason: "a request is an object",
				field:  "spec.request", value: "POST",
				want: []string{"spec.request: Invalid value", "must be of type object"},
			},
			"time is a number": {
				reason: "a time is text",
				field:  "spec.request.receivedAt", value: int64(1767268800),
				want: []string{"spec.request.receivedAt: Invalid value", "must be of type date-time"},
			},
			"signedBy empty": {
				reason: "a key that is not known is left out",
				field:  "spec.request.signedBy", value: "",
				want: []string{"spec.request.signedBy: Invalid value", "at least 1 chars long"},
			},
			"signedBy of 513": {
				reason: "no key has so long a name",
				field:  "spec.request.signedBy", value: letters(256) + "/" + letters(256),
				want: []string{"spec.request.signedBy: Too long: may not be more than 512"},
			},
			"signedBy is a boolean": {
				reason: "a name is text",
				field:  "spec.request.signedBy", value: true,
				want: []string{"spec.request.signedBy: Invalid value", "must be of type string"},
			},
			"signedBy without an entry": {
				reason: "a Secret has several entries",
				field:  "spec.request.signedBy", value: "orders-webhook",
				want: []string{"spec.request.signedBy: Invalid value", signedByMessage},
			},
			"signedBy without a Secret": {
				reason: "there are several Secrets",
				field:  "spec.request.signedBy", value: "/secretKey",
				want: []string{"spec.request.signedBy: Invalid value", signedByMessage},
			},
			"signedBy with two slashes": {
				reason: "no name has a slash",
				field:  "spec.request.signedBy", value: "shop/orders-webhook/secretKey",
				want: []string{"spec.request.signedBy: Invalid value", signedByMessage},
			},
		},
		hostile("spec.flowRef.name", flowNameMessage),
		hostile("spec.triggerRef.name", triggerNameMessage),
		hostile("spec.triggerRef.uid", uidMessage),
		signedByHostile(),
	))
}

// signedByHostile leaves out what is a name of a key.
func signedByHostile() map[string]badField {
	cases := hostile("spec.request.signedBy", signedByMessage)
	delete(cases, "spec.request.signedBy with slash")
	for name, tc := range cases {
		if name != "spec.request.signedBy with parent folder" {
			text, _ := tc.value.(string)
			tc.value = "orders-webhook/" + text
			cases[name] = tc
		}
	}
	delete(cases, "spec.request.signedBy with parent folder") // «..» has the letters of a Secret's name
	return cases
}

// TestFlowRunEncodings sends what a decoder may stumble over. Each must be refused, or else be readable and leave the rest of the
// run changeable: anybody who may create a run could otherwise stop all who list runs.
func TestFlowRunEncodings(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	const good = 201
	const bad = 422
	cases := map[string]struct {
		reason  string
		request string // JSON of spec.request
		payload string // JSON of payload without the digest
		want    int
		says    string // what the user reads of a refusal
	}{
		"no request": {reason: "a run that was made by hand", want: good},

		"time":                    {request: `{"receivedAt": "2026-01-31T12:00:00.123456Z"}`, want: good, reason: "what Go writes"},
		"time of year 0":          {request: `{"receivedAt": "0000-01-01T00:00:00.000000Z"}`, want: good, reason: "Go can read it"},
		"time of year 9999":       {request: `{"receivedAt": "9999-12-31T23:59:59.999999Z"}`, want: good, reason: "Go can read it"},
		"time without decimals":   {request: `{"receivedAt": "2026-01-31T12:00:00Z"}`, want: bad, says: "receivedAt in body should match", reason: "MicroTime cannot read it"},
		"time with milliseconds":  {request: `{"receivedAt": "2026-01-31T12:00:00.123Z"}`, want: bad, says: "receivedAt in body should match", reason: "MicroTime cannot read it"},
		"time with nanoseconds":   {request: `{"receivedAt": "2026-01-31T12:00:00.123456789Z"}`, want: bad, says: "receivedAt in body should match", reason: "MicroTime cannot read it"},
		"time in lower case":      {request: `{"receivedAt": "2026-01-31t12:00:00.123456z"}`, want: bad, says: "receivedAt in body should match", reason: "no Go program can read it"},
		"time with odd separator": {request: `{"receivedAt": "2026-01-31T12:00:00x123456Z"}`, want: bad, says: "receivedAt in body should match", reason: "no Go program can read it"},
		"time with a tail":        {request: `{"receivedAt": "2026-01-31T12:00:00.123456ZTail"}`, want: bad, says: "receivedAt in body should match", reason: "no Go program can read it"},
		"time with line break":    {request: `{"receivedAt": "2026-01-31T12:00:00.123456Z\n"}`, want: bad, says: "receivedAt", reason: "no Go program can read it"},
		"time with odd offset":    {request: `{"receivedAt": "2026-01-31T12:00:00.123456+99:99"}`, want: bad, says: "receivedAt in body should match", reason: "no Go program can read it"},
		"time with offset":        {request: `{"receivedAt": "2026-01-31T12:00:00.123456+01:00"}`, want: bad, says: "receivedAt in body should match", reason: "one way to write a time"},
		"time of no day":          {request: `{"receivedAt": "2026-02-30T12:00:00.123456Z"}`, want: bad, says: "must be of type date-time", reason: "there is no such day"},
		"time of hour 24":         {request: `{"receivedAt": "2026-01-31T24:00:00.123456Z"}`, want: bad, says: "must be of type date-time", reason: "there is no such hour"},
		"leap second":             {request: `{"receivedAt": "2026-12-31T23:59:60.123456Z"}`, want: bad, says: "must be of type date-time", reason: "Go cannot read it"},
		"time empty":              {request: `{"receivedAt": ""}`, want: bad, says: "receivedAt", reason: "the empty text is no time"},
		"a date":                  {request: `{"receivedAt": "2026-01-31"}`, want: bad, says: "must be of type date-time", reason: "a date is no time"},

		"size as a decimal":  {payload: `"text": "a", "size": 1.0`, want: bad, says: "spec.payload: Invalid value", reason: "a size is written as a whole number"},
		"size as a power":    {payload: `"text": "a", "size": 1e0`, want: bad, says: "spec.payload: Invalid value", reason: "a size is written as a whole number"},
		"size minus nothing": {payload: `"size": -0.0`, want: bad, says: "spec.payload: Invalid value", reason: "a size is written as a whole number"},
		"size 0":             {payload: `"size": 0`, want: good, reason: "an empty body"},

		"binary of 1":              {payload: `"binary": "/w==", "size": 1`, want: good, reason: "two characters of padding"},
		"binary of 2":              {payload: `"binary": "//8=", "size": 2`, want: good, reason: "one character of padding"},
		"binary of 3":              {payload: `"binary": "+/+/", "size": 3`, want: good, reason: "no padding"},
		"binary of 4":              {payload: `"binary": "+/+/AA==", "size": 4`, want: good, reason: "two groups"},
		"binary with spare bits":   {payload: `"binary": "YR==", "size": 1`, want: bad, says: spareBitsMessage, reason: "what Go reads and writes is another text, which would be a change of the spec"},
		"binary with a spare bit":  {payload: `"binary": "YWF=", "size": 2`, want: bad, says: spareBitsMessage, reason: "what Go reads and writes is another text, which would be a change of the spec"},
		"binary without padding":   {payload: `"binary": "YQ", "size": 1`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary with half padding": {payload: `"binary": "YQ=", "size": 1`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary of one letter":     {payload: `"binary": "Y===", "size": 1`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary of padding":        {payload: `"binary": "====", "size": 1`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary padded inside":     {payload: `"binary": "YQ==YQ==", "size": 4`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary in URL alphabet":   {payload: `"binary": "-_8=", "size": 2`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary with line break":   {payload: `"binary": "YQ=\n=", "size": 1`, want: bad, says: binaryMessage, reason: "one way to write bytes"},
		"binary in two lines":      {payload: `"binary": "YWFh\r\n\r\nYWFh", "size": 9`, want: bad, says: binaryMessage, reason: "one way to write bytes"},
		"binary with blank":        {payload: `"binary": "YW h", "size": 3`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary is text":           {payload: `"binary": "not base64!!", "size": 9`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary of other letters":  {payload: `"binary": "ääää", "size": 3`, want: bad, says: binaryMessage, reason: "Go cannot read it"},
		"binary with NUL":          {payload: `"binary": "YQ\u0000=", "size": 2`, want: bad, says: binaryMessage, reason: "Go cannot read it"},

		"text with NUL":          {payload: `"text": "\u0000", "size": 1`, want: good, reason: "it is UTF-8"},
		"text with controls":     {payload: `"text": "\b\f\n\r\t\u001b\u007f", "size": 7`, want: good, reason: "it is UTF-8"},
		"text of markup":         {payload: `"text": "<&>\u2028\u2029", "size": 9`, want: good, reason: "what JSON encoders escape"},
		"text with replacements": {payload: `"text": "\ufffd", "size": 3`, want: good, reason: "a body may have that character"},
		"text outside of planes": {payload: `"text": "\ud83d\ude00\uffff", "size": 7`, want: good, reason: "it is UTF-8"},
		"text with byte order":   {payload: `"text": "\ufeff{}", "size": 5`, want: good, reason: "it is UTF-8"},
		"text like base64":       {payload: `"text": "YQ==", "size": 4`, want: good, reason: "text is never decoded"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.payload == "" {
				tc.payload = `"size": 0`
			}
			if tc.request == "" {
				tc.request = "null"
			}
			raw := `{"apiVersion": "sluice.dev/v1alpha1", "kind": "FlowRun", "metadata": {"generateName": "a-", "namespace": "` + namespace + `"},
				"spec": {"flowRef": {"name": "a"}, "request": ` + tc.request + `,
				"payload": {"sha256": "` + strings.Repeat("0", 64) + `", ` + tc.payload + `}}}`
			status, answer := post(t, "/apis/sluice.dev/v1alpha1/namespaces/"+namespace+"/flowruns", raw)
			if status != tc.want {
				t.Fatalf("%s: the answer is %d, want %d: %s", tc.reason, status, tc.want, answer)
			}
			if status != good {
				if !strings.Contains(answer, tc.says) {
					t.Errorf("%s: the user reads\n%s\nwhich does not contain\n%s", tc.reason, answer, tc.says)
				}
				return
			}
			object := parse(t, namespace, answer)
			run, ok := decode(t, object).(*sluicev1alpha1.FlowRun)
			if !ok {
				t.Fatal("a FlowRun is decoded into something else")
			}
			if size := len(run.Spec.Payload.Text) + len(run.Spec.Payload.Binary); int64(size) != *run.Spec.Payload.Size {
				t.Errorf("%s: the size is %d of %d bytes", tc.reason, *run.Spec.Payload.Size, size)
			}
			run.Labels = map[string]string{"a": "b"}
			if err := env.Client.Update(t.Context(), run); err != nil {
				t.Errorf("%s: the run can no longer be labelled: %v", tc.reason, err)
			}
			run.Status.StartTime = &metav1.Time{Time: time.Unix(1767268800, 0)}
			if err := env.Client.Status().Update(t.Context(), run); err != nil {
				t.Errorf("%s: the status of the run can no longer be written: %v", tc.reason, err)
			}
		})
	}
	var runs sluicev1alpha1.FlowRunList
	if err := env.Client.List(t.Context(), &runs, client.InNamespace(namespace)); err != nil {
		t.Errorf("the runs can no longer be listed: %v", err)
	}
}

func TestFlowRunAccepted(t *testing.T) {
	t.Parallel()
	testGoodFields(t, runYAML, map[string]goodField{
		"no trigger": {
			reason: "a run may be made by hand",
			field:  "spec.triggerRef", value: nil, want: absent{},
		},
		"no request": {
			reason: "a run may be made by hand",
			field:  "spec.request", value: nil, want: absent{},
		},
		"trigger without uid": {
			reason: "the uid need not be known",
			field:  "spec.triggerRef", value: map[string]any{"name": "orders"},
		},
		"trigger name of 63": {
			reason: "the longest name",
			field:  "spec.triggerRef.name", value: letters(63),
		},
		"uid of 64": {
			reason: "the longest uid",
			field:  "spec.triggerRef.uid", value: letters(64),
		},
		"longest signedBy": {
			reason: "the longest names of a Secret and its entry",
			field:  "spec.request.signedBy", value: letters(253) + "/" + letters(253),
		},
		"signedBy with all characters": {
			reason: "what a Secret and its entry can be called",
			field:  "spec.request.signedBy", value: "a-b.c-9/-_.Key",
		},
		"no content type": {
			reason: "a request need not have the header",
			field:  "spec.payload.contentType", value: nil, want: absent{},
		},
		"longest content type": {
			reason: "the limit is in characters, as ingest cuts it",
			field:  "spec.payload.contentType", value: strings.Repeat("😀", 256),
		},
		"odd content type": {
			reason: "a sender may put anything into a header, and its request must not be lost for that",
			field:  "spec.payload.contentType", value: "\x00\x1b[31m\t../ä\u2028\ufffd; a=\"b\"",
		},
		"empty body": {
			reason: "a body may be empty",
			field:  "spec.payload", value: payload(map[string]any{"size": int64(0)}),
		},
		"binary": {
			reason: "a body need not be text",
			field:  "spec.payload", value: payload(map[string]any{"binary": "+/8=", "size": int64(2)}),
		},
		"payload state": {
			reason: "the state that goes without saying",
			field:  "spec.payload.state", value: "Stored",
		},
		"payload dropped": {
			reason: "a backup of a run whose payload was dropped can be restored",
			field:  "spec.payload", value: payload(map[string]any{"size": int64(15), "state": "Dropped"}),
		},
		"status empty": {
			reason: "generated YAML often ends with an empty status",
			field:  "status", value: map[string]any{}, want: absent{},
		},
		"status null": {
			reason: "status is not for users, and null is nothing",
			field:  "status", value: nil, want: absent{},
		},
		"status of another run": {
			reason: "YAML that was copied from a cluster has a status, which must not count",
			field:  "status", value: map[string]any{"conditions": []any{goodCondition()}}, want: absent{},
		},
		"long name": {
			reason: "the limit of names holds for runs that Sluice makes, not for those made by hand",
			field:  "metadata.name", value: "a." + letters(251),
		},
	})
}

func TestFlowRunSpecCannotChange(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		good   string
		patch  string // of the spec
		want   string
	}{
		"text": {
			reason: "the bytes are what was signed",
			patch:  `{"payload": {"text": "{\"order\": 1002}"}}`,
		},
		"text and all that goes with it": {
			reason: "the bytes are what was signed",
			patch:  `{"payload": {"text": "{}", "size": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}`,
		},
		"no text": {
			reason: "a payload cannot be dropped as if it had been empty",
			patch:  `{"payload": {"text": null, "size": 0}}`,
		},
		"no text, same size": {
			reason: "a payload cannot be dropped without saying so",
			patch:  `{"payload": {"text": null}}`, want: sizeMessage,
		},
		"no text, stored": {
			reason: "what is stored is there",
			patch:  `{"payload": {"text": null, "state": "Stored"}}`, want: sizeMessage,
		},
		"dropped with text": {
			reason: "what is dropped is not there",
			patch:  `{"payload": {"state": "Dropped"}}`, want: droppedMessage,
		},
		"dropped with binary": {
			reason: "what is dropped is not there",
			good:   binaryRunYAML, patch: `{"payload": {"state": "Dropped"}}`, want: droppedMessage,
		},
		"stored": {
			reason: "that the payload is stored goes without saying, and nothing else may be written",
			patch:  `{"payload": {"state": "Stored"}}`,
		},
		"another state": {
			reason: "there are two states",
			patch:  `{"payload": {"text": null, "state": "Deleted"}}`, want: `spec.payload.state: Unsupported value: "Deleted": supported values: "Stored", "Dropped"`,
		},
		"text becomes binary": {
			reason: "the same bytes written otherwise are a change too",
			patch:  `{"payload": {"text": null, "binary": "eyJvcmRlciI6IDEwMDF9"}}`,
		},
		"binary": {
			reason: "the bytes are what was signed",
			good:   binaryRunYAML, patch: `{"payload": {"binary": "+/4="}}`,
		},
		"binary, same bytes": {
			reason: "there is one way to write bytes",
			good:   binaryRunYAML, patch: `{"payload": {"binary": "+/9="}}`, want: spareBitsMessage,
		},
		"binary becomes text": {
			reason: "the bytes are what was signed",
			good:   binaryRunYAML, patch: `{"payload": {"binary": null, "text": "ab"}}`,
		},
		"size": {
			reason: "no text has two sizes",
			patch:  `{"payload": {"size": 14}}`, want: sizeMessage,
		},
		"sha256": {
			reason: "the digest is that of the bytes",
			patch:  `{"payload": {"sha256": "0000000000000000000000000000000000000000000000000000000000000000"}}`,
		},
		"content type": {
			reason: "the header was what it was",
			patch:  `{"payload": {"contentType": "text/plain"}}`,
		},
		"content type removed": {
			reason: "the header was there",
			patch:  `{"payload": {"contentType": null}}`,
		},
		"content type added": {
			reason: "the header was not there",
			good:   binaryRunYAML, patch: `{"payload": {"contentType": "text/plain"}}`,
		},
		"flowRef": {
			reason: "a run of one Flow does not become one of another",
			patch:  `{"flowRef": {"name": "other"}}`,
		},
		"trigger": {
			reason: "who accepted the request is history",
			patch:  `{"triggerRef": {"name": "other"}}`,
		},
		"uid": {
			reason: "who accepted the request is history",
			patch:  `{"triggerRef": {"uid": "other"}}`,
		},
		"uid removed": {
			reason: "who accepted the request is history",
			patch:  `{"triggerRef": {"uid": null}}`,
		},
		"trigger removed": {
			reason: "who accepted the request is history",
			patch:  `{"triggerRef": null}`,
		},
		"trigger added": {
			reason: "a run that was made by hand cannot claim that a trigger accepted it",
			good:   binaryRunYAML, patch: `{"triggerRef": {"name": "orders"}}`,
		},
		"time": {
			reason: "when the request came is history",
			patch:  `{"request": {"receivedAt": "2026-01-31T12:00:00.000001Z"}}`,
		},
		"delivery id": {
			reason: "which delivery it was is history",
			patch:  `{"request": {"deliveryID": "other"}}`,
		},
		"key": {
			reason: "which key was used is history",
			patch:  `{"request": {"signedBy": "other/key"}}`,
		},
		"key removed": {
			reason: "which key was used is history",
			patch:  `{"request": {"signedBy": null}}`,
		},
		"request removed": {
			reason: "the request is history",
			patch:  `{"request": null}`,
		},
		"request added": {
			reason: "a run that was made by hand cannot claim that there was a request",
			good:   binaryRunYAML, patch: `{"request": {"receivedAt": "2026-01-31T12:00:00.000000Z"}}`,
		},
		"everything": {
			reason: "a spec cannot be removed to be set again later",
			patch:  `null`, want: "spec: Required value",
		},
	}
	namespaces := map[string]string{"": env.Namespace(t), binaryRunYAML: env.Namespace(t)}
	env.Create(t, parse(t, namespaces[""], runYAML), parse(t, namespaces[binaryRunYAML], binaryRunYAML))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			good, want := tc.good, tc.want
			if good == "" {
				good = runYAML
			}
			if want == "" {
				want = "spec: Invalid value: " + immutableMessage
			}
			run := parse(t, namespaces[tc.good], good)
			before := read(t, run)
			patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": `+tc.patch+`}`))
			checkRefused(t, tc.reason, env.Client.Patch(t.Context(), run.DeepCopy(), patch, strict), want)
			// Whoever may write the status has no way around it.
			if err := env.Client.Status().Patch(t.Context(), run.DeepCopy(), patch, strict); err != nil && !strings.Contains(err.Error(), "Required value") {
				t.Errorf("%s: a patch of the status: %v", tc.reason, err)
			}
			if diff := cmp.Diff(before.Object["spec"], read(t, run).Object["spec"]); diff != "" {
				t.Errorf("%s: the spec has changed (-before +after):\n%s", tc.reason, diff)
			}
		})
	}
}

// drop is the one patch of a spec that is allowed.
const drop = `{"text": null, "binary": null, "state": "Dropped"}`

// patchSpec patches the spec of a run as it is stored.
func patchSpec(t *testing.T, run client.Object, patch string) error {
	t.Helper()
	return env.Client.Patch(t.Context(), run, client.RawPatch(types.MergePatchType, []byte(`{"spec": `+patch+`}`)), strict)
}

// TestPayloadDropped drops payloads, and shows that everything else stays.
func TestPayloadDropped(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		good   string
		set    map[string]any
	}{
		"text":           {reason: "a payload that is text", good: runYAML},
		"text, stored":   {reason: "a payload whose state was spelt out", good: runYAML, set: map[string]any{"spec.payload.state": "Stored"}},
		"binary":         {reason: "a payload that is binary, with '+' and '/' in it", good: binaryRunYAML},
		"empty":          {reason: "a payload that was empty", good: runYAML, set: map[string]any{"spec.payload": payload(map[string]any{"size": int64(0)})}},
		"by hand":        {reason: "a run without trigger and request", good: runYAML, set: map[string]any{"spec.triggerRef": absent{}, "spec.request": absent{}}},
		"no type":        {reason: "a request without Content-Type", good: runYAML, set: map[string]any{"spec.payload.contentType": absent{}}},
		"largest text":   {reason: "the largest payload", good: runYAML, set: map[string]any{"spec.payload": payload(map[string]any{"text": letters(sluicev1alpha1.MaxPayloadBytes), "size": int64(sluicev1alpha1.MaxPayloadBytes)})}},
		"largest binary": {reason: "the largest payload", good: runYAML, set: map[string]any{"spec.payload": payload(map[string]any{"binary": letters(sluicev1alpha1.MaxPayloadBytes / 3 * 4), "size": int64(sluicev1alpha1.MaxPayloadBytes)})}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := parse(t, env.Namespace(t), tc.good)
			for path, value := range tc.set {
				set(t, run, path, value)
			}
			env.Create(t, run)
			want := run.DeepCopy()
			for _, field := range []string{"text", "binary"} {
				unstructured.RemoveNestedField(want.Object, "spec", "payload", field)
			}
			set(t, want, "spec.payload.state", "Dropped")

			if err := patchSpec(t, run, `{"payload": `+drop+`}`); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			dropped := read(t, run)
			if diff := cmp.Diff(want.Object["spec"], dropped.Object["spec"]); diff != "" {
				t.Errorf("%s: the spec (-want +got):\n%s", tc.reason, diff)
			}
			decode(t, dropped)

			if err := patchSpec(t, run, `{"payload": `+drop+`}`); err != nil {
				t.Errorf("%s: drop the payload once more: %v", tc.reason, err)
			}
			set(t, dropped, "status", map[string]any{"conditions": []any{condition("type", "Succeeded")}, "completionTime": "2026-01-31T12:00:02Z"})
			if err := env.Client.Status().Update(t.Context(), dropped); err != nil {
				t.Errorf("%s: write the status afterwards: %v", tc.reason, err)
			}
		})
	}
}

// TestDropChangesNothingElse goes through all fields that a spec has, by their Go types, so that the rule cannot forget one:
// none can be added, changed or removed while the payload is dropped.
func TestDropChangesNothingElse(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	full, bare := parse(t, namespace, runYAML), parse(t, namespace, runYAML)
	set(t, full, "spec.request.deliveryID", "1")
	bare.SetName("bare")
	for _, path := range []string{"spec.triggerRef", "spec.request", "spec.payload.contentType"} {
		set(t, bare, path, absent{})
	}
	env.Create(t, full, bare)
	others := map[string]any{
		"flowRef.name": "other", "triggerRef.name": "other", "triggerRef.uid": "other",
		"payload.contentType": "text/plain", "payload.size": int64(1), "payload.sha256": strings.Repeat("0", 64),
		"request.receivedAt": "2026-01-31T12:00:00.000001Z", "request.deliveryID": "other", "request.signedBy": "other/key",
	}
	drops := map[string]bool{"payload.state": true, "payload.text": true, "payload.binary": true}
	required := map[string]bool{"flowRef.name": true, "triggerRef.name": true, "payload.size": true, "payload.sha256": true, "request.receivedAt": true}
	checked := 0
	for parent := range reflect.TypeFor[sluicev1alpha1.FlowRunSpec]().Fields() {
		for field := range parent.Type.Fields() {
			outer, inner := jsonName(parent), jsonName(field)
			path := outer + "." + inner
			if drops[path] {
				continue
			}
			other, ok := others[path]
			if !ok {
				t.Errorf("there is no other value for %s; add one", path)
				continue
			}
			try := func(reason string, run *unstructured.Unstructured, change func(changed *unstructured.Unstructured)) {
				t.Helper()
				changed := read(t, run)
				for _, text := range []string{"text", "binary"} {
					unstructured.RemoveNestedField(changed.Object, "spec", "payload", text)
				}
				set(t, changed, "spec.payload.state", "Dropped")
				change(changed)
				checkRefused(t, path+" "+reason, env.Client.Update(t.Context(), changed, strict), "spec: Invalid value: "+immutableMessage)
				checked++
			}
			try("is changed", full, func(changed *unstructured.Unstructured) { set(t, changed, "spec."+path, other) })
			if !required[path] {
				try("is removed", full, func(changed *unstructured.Unstructured) { set(t, changed, "spec."+path, absent{}) })
			}
			if get(t, bare, "spec."+path) != (any)(absent{}) {
				continue
			}
			try("is added", bare, func(changed *unstructured.Unstructured) {
				if outer != "payload" { // with what it cannot be without
					set(t, changed, "spec."+outer, get(t, full, "spec."+outer))
				}
				set(t, changed, "spec."+path, other)
			})
		}
	}
	for _, outer := range []string{"triggerRef", "request"} {
		changed := read(t, full)
		set(t, changed, "spec.payload.text", absent{})
		set(t, changed, "spec.payload.state", "Dropped")
		set(t, changed, "spec."+outer, absent{})
		checkRefused(t, outer+" is removed", env.Client.Update(t.Context(), changed, strict), "spec: Invalid value: "+immutableMessage)
	}
	if checked < 9 {
		t.Errorf("%d changes were tried", checked)
	}
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// TestDroppedPayloadStaysSo tries to bring a payload back.
func TestDroppedPayloadStaysSo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		patch  string
		want   string
	}{
		"all of it":      {reason: "what was dropped is gone", patch: `{"state": null, "text": "{\"order\": 1001}"}`},
		"stored again":   {reason: "what was dropped is gone", patch: `{"state": "Stored", "text": "{\"order\": 1001}"}`},
		"another":        {reason: "what was dropped is gone", patch: `{"state": null, "text": "{}", "size": 2}`},
		"state removed":  {reason: "there is nothing of that size", patch: `{"state": null}`, want: sizeMessage},
		"stored nothing": {reason: "there is nothing of that size", patch: `{"state": "Stored"}`, want: sizeMessage},
		"empty":          {reason: "the payload was not empty", patch: `{"state": null, "size": 0}`},
		"text":           {reason: "what is dropped is not there", patch: `{"text": "{\"order\": 1001}"}`, want: droppedMessage},
		"size":           {reason: "the size stays", patch: `{"size": 2}`},
		"sha256":         {reason: "the digest stays", patch: `{"sha256": "0000000000000000000000000000000000000000000000000000000000000000"}`},
		"content type":   {reason: "the type stays", patch: `{"contentType": null}`},
	}
	namespace := env.Namespace(t)
	run := parse(t, namespace, runYAML)
	env.Create(t, run)
	if err := patchSpec(t, run, `{"payload": `+drop+`}`); err != nil {
		t.Fatal(err)
	}
	before := read(t, run)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := tc.want
			if want == "" {
				want = "spec: Invalid value: " + immutableMessage
			}
			checkRefused(t, tc.reason, patchSpec(t, run.DeepCopy(), `{"payload": `+tc.patch+`}`), want)
			if diff := cmp.Diff(before.Object["spec"], read(t, run).Object["spec"]); diff != "" {
				t.Errorf("%s: the spec has changed (-before +after):\n%s", tc.reason, diff)
			}
		})
	}
	again := parse(t, namespace, runYAML)
	again.SetName("restored")
	again.Object["spec"] = before.Object["spec"]
	if err := env.Client.Create(t.Context(), again, strict); err != nil {
		t.Errorf("a run whose payload was dropped cannot be restored from a backup: %v", err)
	}
	_, stderr, err := env.Kubectl(t, "", "patch", "flowrun", run.GetName(), "-n", namespace, "--type=merge", `--patch={"spec":{"payload":{"text":"{}","size":2,"state":null}}}`)
	if err == nil || !strings.Contains(stderr, "spec: Invalid value: "+immutableMessage) {
		t.Errorf("kubectl says %q (%v)", stderr, err)
	}
}

func TestFlowRunCanChange(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		patch  string
	}{
		"nothing":    {reason: "the same spec again is no change", patch: `{"spec": {"flowRef": {"name": "import-orders"}}}`},
		"label":      {reason: "users label what they have seen to", patch: `{"metadata": {"labels": {"a": "b"}}}`},
		"annotation": {reason: "users note what they have seen to", patch: `{"metadata": {"annotations": {"a": "b"}}}`},
		"finalizer":  {reason: "controllers hold objects until they have cleaned up", patch: `{"metadata": {"finalizers": ["example.com/a"]}}`},
		"owner": {
			reason: "users may let runs go with something else",
			patch:  `{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"}]}}`,
		},
	}
	for _, good := range []string{runYAML, binaryRunYAML} {
		for name, tc := range cases {
			run := parse(t, env.Namespace(t), good)
			t.Run(name+" of "+run.GetName(), func(t *testing.T) {
				env.Create(t, run.DeepCopy())
				if err := env.Client.Patch(t.Context(), run, client.RawPatch(types.MergePatchType, []byte(tc.patch)), strict); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				if run.GetGeneration() != 1 {
					t.Errorf("%s: the generation is %d, but the spec is the same", tc.reason, run.GetGeneration())
				}
			})
		}
	}
}

func TestFlowRunStatusRefused(t *testing.T) {
	t.Parallel()
	testBadStatus(t, runYAML, merge(badConditions(), map[string]badField{
		"status empty": {
			reason: "an empty status says no more than none",
			field:  "status", value: map[string]any{},
			want: []string{"status: Invalid value", "at least 1 properties"},
		},
		"status is text": {
			reason: "a status is an object",
			field:  "status", value: "Succeeded",
			want: []string{"status: Invalid value", "must be of type object"},
		},
		"unknown field": {
			reason: "a misspelt field is not ignored",
			field:  "status.phase", value: "Succeeded",
			want: []string{`unknown field "status.phase"`},
		},
	}, badTimes("status.startTime"), badTimes("status.completionTime")))
}

// badTimes are what a metav1.Time cannot be, for most of which the format date-time has no objection.
func badTimes(field string) map[string]badField {
	cases := map[string]badField{}
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"is a number":           {value: int64(1767268800), want: "must be of type date-time"},
		"is empty":              {value: "", want: field},
		"is a word":             {value: "yesterday", want: "must be of type date-time"},
		"is a date":             {value: "2026-01-31", want: "must be of type date-time"},
		"has no offset":         {value: "2026-01-31T12:00:00", want: "must be of type date-time"},
		"is of no day":          {value: "2026-02-30T12:00:00Z", want: "must be of type date-time"},
		"is in lower case":      {value: "2026-01-31t12:00:00z", want: "should match"},
		"has an odd offset":     {value: "2026-01-31T12:00:00+99:99", want: "should match"},
		"has an odd separator":  {value: "2026-01-31T12:00:00x5Z", want: "should match"},
		"has something behind":  {value: "2026-01-31T12:00:00ZTail", want: "should match"},
		"has a line break":      {value: "2026-01-31T12:00:00Z\n", want: field},
		"has an offset of 24 h": {value: "2026-01-31T12:00:00+24:00", want: "should match"},
	} {
		cases[field+" "+name] = badField{
			reason: "a time that Go cannot read is one that no controller can read",
			field:  field, value: tc.value,
			want: []string{field + ": Invalid value", tc.want},
		}
	}
	return cases
}

func TestFlowRunStatusAccepted(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		status map[string]any
	}{
		"conditions": {reason: "what a controller writes first", status: map[string]any{"conditions": []any{goodCondition()}}},
		"times": {
			reason: "what Go writes",
			status: map[string]any{"startTime": "2026-01-31T12:00:00Z", "completionTime": "2026-01-31T12:00:01Z"},
		},
		"times with decimals": {
			reason: "what other languages write",
			status: map[string]any{"startTime": "2026-01-31T12:00:00.123456789Z", "completionTime": "2026-01-31T12:00:00.5Z"},
		},
		"times with offset": {
			reason: "what other languages write",
			status: map[string]any{"startTime": "2026-01-31T12:00:00+01:00", "completionTime": "2026-01-31T12:00:00.123456-23:59"},
		},
		"nothing": {reason: "a status may be taken back", status: nil},
	}
	for _, good := range []string{runYAML, binaryRunYAML} {
		for name, tc := range cases {
			run := parse(t, env.Namespace(t), good)
			t.Run(name+" of "+run.GetName(), func(t *testing.T) {
				env.Create(t, run)
				delete(run.Object, "status")
				want := any(absent{})
				if tc.status != nil {
					set(t, run, "status", tc.status)
					want = tc.status
				}
				if err := env.Client.Status().Update(t.Context(), run, strict); err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				if diff := cmp.Diff(want, get(t, read(t, run), "status")); diff != "" {
					t.Errorf("%s: the status as stored (-want +got):\n%s", tc.reason, diff)
				}
				decode(t, run)
			})
		}
	}
}

// TestLargestPayloads stores payloads of MaxPayloadBytes, of every kind that is stored in more bytes than it has, with as much
// around them as there may be, and reads them back. Rules cost the more the larger an object is, and the API server refuses one that
// costs too much; so each is updated as well.
func TestLargestPayloads(t *testing.T) {
	t.Parallel()
	const size = sluicev1alpha1.MaxPayloadBytes
	// fill makes a text of that size, of which a part is this character.
	fill := func(character string, count int) []byte {
		return []byte(strings.Repeat(character, count) + letters(size-count*len(character)))
	}
	cases := map[string]struct {
		reason string
		body   []byte
		text   bool
	}{
		"text of letters":           {reason: "stored as it is", body: fill("a", size), text: true},
		"text of 4-byte characters": {reason: "fewer characters than bytes", body: fill("😀", size/4), text: true},
		"text with <":               {reason: "each escaped with 6 bytes", body: fill("<", size/15), text: true},
		"text with NUL":             {reason: "each escaped with 6 bytes", body: fill("\x00", size/15), text: true},
		"text with quotes":          {reason: "each escaped with 2 bytes", body: fill(`"`, size/3), text: true},
		"text with line breaks":     {reason: "each escaped with 2 bytes", body: fill("\n", size/3), text: true},
		"text with U+2028":          {reason: "each escaped with 6 bytes", body: fill("\u2028", size/9), text: true},
		"binary of FF":              {reason: "nothing but / in base64", body: bytes.Repeat([]byte{0xff}, size)},
		"binary of 00":              {reason: "nothing but A in base64", body: make([]byte, size)},
		"binary with padding":       {reason: "one byte less", body: bytes.Repeat([]byte{0xfb}, size-1)},
		"binary with more padding":  {reason: "two bytes less", body: bytes.Repeat([]byte{0xfb}, size-2)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			encoded, err := json.Marshal(string(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.text && len(encoded)-len(`""`) > base64.StdEncoding.EncodedLen(len(tc.body)) {
				t.Fatal("by the rule in the comment of payload.text this would not be stored as text")
			}
			digest := sha256.Sum256(tc.body)
			run := &sluicev1alpha1.FlowRun{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: env.Namespace(t), Name: letters(63),
					Labels: map[string]string{sluicev1alpha1.LabelTrigger: letters(63), sluicev1alpha1.LabelFlow: letters(63)},
				},
				Spec: sluicev1alpha1.FlowRunSpec{
					FlowRef:    sluicev1alpha1.FlowReference{Name: letters(63)},
					TriggerRef: sluicev1alpha1.TriggerReference{Name: letters(63), UID: letters(64)},
					Payload: sluicev1alpha1.Payload{
						ContentType: strings.Repeat("\u2028", 256),
						Size:        new(int64(len(tc.body))),
						SHA256:      hex.EncodeToString(digest[:]),
					},
					Request: sluicev1alpha1.Request{
						ReceivedAt: &metav1.MicroTime{Time: time.UnixMicro(1767268800123456)},
						DeliveryID: strings.Repeat("\u2028", 256),
						SignedBy:   letters(253) + "/" + letters(253),
					},
				},
			}
			want := run.Spec.DeepCopy()
			if tc.text {
				run.Spec.Payload.Text = string(tc.body)
			} else {
				run.Spec.Payload.Binary = tc.body
			}
			check := func(when string) {
				stored := &sluicev1alpha1.FlowRun{}
				if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(run), stored); err != nil {
					t.Fatalf("%s: %s: %v", tc.reason, when, err)
				}
				// The body is not for cmp, which would fill the screen with it.
				if got := stored.Spec.Payload.Text + string(stored.Spec.Payload.Binary); got != string(tc.body) {
					t.Errorf("%s: %s: the body is another, of %d bytes", tc.reason, when, len(got))
				}
				stored.Spec.Payload.Text, stored.Spec.Payload.Binary = "", nil
				if diff := cmp.Diff(want, &stored.Spec); diff != "" {
					t.Errorf("%s: %s: the spec read (-want +got):\n%s", tc.reason, when, diff)
				}
			}

			env.Create(t, run)
			check("after its creation")

			run.Status.Conditions = []metav1.Condition{{
				Type: "Succeeded", Status: metav1.ConditionFalse, Reason: "Failed", LastTransitionTime: metav1.Time{Time: time.Unix(1767268800, 0)},
				Message: letters(32768),
			}}
			if err := env.Client.Status().Update(t.Context(), run); err != nil {
				t.Fatalf("%s: update the status: %v", tc.reason, err)
			}
			check("after an update of its status")

			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"labels": {"example.com/seen": "yes"}}}`))
			if err := env.Client.Patch(t.Context(), run, patch); err != nil {
				t.Fatalf("%s: label the run: %v", tc.reason, err)
			}
			check("after a label")

			patch = client.RawPatch(types.MergePatchType, []byte(`{"spec": {"payload": {"contentType": "text/plain"}}}`))
			checkRefused(t, tc.reason, env.Client.Patch(t.Context(), run, patch), immutableMessage)
		})
	}
}
