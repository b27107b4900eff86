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

func runFields() []fieldCases {
	return []fieldCases{
		mapping("spec", "import-orders").required().empty("spec.flowRef: Required value", "spec.payload: Required value"),
		mapping("spec.flowRef", "import-orders").required().empty("spec.flowRef.name: Required value"),
		text("spec.flowRef.name", 1, 63).required().pattern(flowNameMessage),
		mapping("spec.triggerRef", "orders").optional(absent{}).empty("spec.triggerRef.name: Required value"),
		text("spec.triggerRef.name", 1, 63).required().pattern(triggerNameMessage),
		text("spec.triggerRef.uid", 1, 64).optional(absent{}).pattern(uidMessage).
			refuse("a uid is text", values{"is 1": int64(1)}, "must be of type string"),
		mapping("spec.payload", "{}").required().empty("spec.payload.size: Required value", "spec.payload.sha256: Required value"),
		text("spec.payload.contentType", 1, 256).optional(absent{}).
			accept("the limit is in characters, as ingest cuts it", values{"longest in bytes": strings.Repeat("😀", 256)}).
			accept("a sender may put anything into a header, and its request must not be lost for that",
				values{"with anything": "\x00\x1b[31m\t../ä\u2028\ufffd; a=\"b\""}),
		text("spec.payload.sha256", 64, 64).required().pattern(sha256Message).
			refuse("a digit is missing", values{"of 63": strings.Repeat("0", 63)}, "at least 64 chars long", sha256Message).
			say("there is a digit too many", values{"of 65": strings.Repeat("0", 65)}, "spec.payload.sha256: Too long: may not be more than 64").
			refuse("one way to write a digest makes digests comparable", values{
				"in upper case": strings.Repeat("A", 64), "with line break behind 63": strings.Repeat("0", 63) + "\n", "of other digits": strings.Repeat("٠", 64),
			}, sha256Message).
			refuse("a digest of decimal digits alone must be quoted in YAML", values{"is 0": int64(0)}, "must be of type string"),
		mapping("spec.request", "POST").optional(absent{}).empty("spec.request.receivedAt: Required value"),
		casesOf("spec.request.receivedAt").required().
			refuse("a time is text", values{"is a number": int64(1767268800)}, "must be of type date-time"),
		text("spec.request.signedBy", 1, 512).optional(absent{}).
			say("no key has so long a name", values{"of 513": letters(256) + "/" + letters(256)}, "spec.request.signedBy: Too long: may not be more than 512").
			refuse("it names a Secret and an entry", values{
				"without an entry": "orders-webhook", "without a Secret": "/secretKey", "with two slashes": "shop/orders-webhook/secretKey",
			}, signedByMessage).
			accept("the longest names of a Secret and its entry", values{"longest": letters(253) + "/" + letters(253)}).
			accept("what a Secret and its entry can be called", values{"with all characters": "a-b.c-9/-_.Key"}),
		hostileEntry(),
	}
}

// hostileEntry are keys of a hostile entry; «..» has the letters of a Secret's name.
func hostileEntry() fieldCases {
	return casesOf("spec.request.signedBy").pattern(signedByMessage, "slash", "parent folder").behind("orders-webhook/")
}

// payloadCases are the payloads that contradict themselves or are too large.
func payloadCases() []fieldCases {
	const most = int64(sluicev1alpha1.MaxPayloadBytes)
	const tooGreat = "spec.payload.size: Invalid value: 1130497: spec.payload.size in body should be less than or equal to 1130496"
	long := base64.StdEncoding.EncodeToString(make([]byte, most+1))
	// part makes a payload with that field and the size.
	part := func(field string, size int64) func(any) any {
		return func(value any) any { return payload(map[string]any{field: value, "size": size}) }
	}
	body := func(field, value string, size int64) any { return part(field, size)(value) }
	return []fieldCases{
		casesOf("spec.payload").
			refuse("which of the two was the body?", values{
				"has text and binary": payload(map[string]any{"text": "a", "binary": "YQ==", "size": int64(1)}),
			}, oneBodyMessage).
			refuse("the size is that of the body in bytes, not of what it is stored as", values{
				"has too many bytes":               body("text", strings.Repeat("😀", sluicev1alpha1.MaxPayloadBytes/4+1), most),
				"has the size in characters":       body("text", "ä", 1),
				"has the size of base64":           body("binary", "YWFh", 4),
				"has the size of the padding":      body("binary", "YQ==", 3),
				"has the size of half the padding": body("binary", "YQ==", 2),
				"has a size, but no body":          payload(map[string]any{"size": int64(1)}),
			}, sizeMessage).
			say("what cannot be stored is refused before it is tried", values{"has too long a text": body("text", letters(sluicev1alpha1.MaxPayloadBytes+1), most+1)},
				"spec.payload.text: Too long: may not be more than 1130496", tooGreat).
			say("what cannot be stored is refused before it is tried", values{"has too long a binary": body("binary", long, most+1)},
				"spec.payload.binary: Too long: may not be more than 1507328", tooGreat).
			accept("a body may be empty", values{"of an empty body": payload(map[string]any{"size": int64(0)})}).
			accept("a body need not be text", values{"of a binary body": body("binary", "+/8=", 2)}).
			accept("a backup of a run whose payload was dropped can be restored", values{"dropped": payload(map[string]any{"size": int64(15), "state": "Dropped"})}),
		casesOf("spec.payload.text").
			refuse("an empty body has neither text nor binary", values{"empty": ""}, "at least 1 chars long").within("spec.payload", part("text", 0)),
		notText("spec.payload.text").
			refuse("a body that happens to be a number is text nevertheless", values{"is 1": int64(1)}, "must be of type string"),
		casesOf("spec.payload.binary").
			refuse("an empty body has neither text nor binary", values{"empty": ""}, "at least 1 chars long").within("spec.payload", part("binary", 0)),
		notText("spec.payload.binary").
			refuse("bytes are base64, not a list of numbers", values{"is a list of bytes": []any{int64(1)}}, "must be of type string").within("spec.payload", part("binary", 1)),
		number("spec.payload.size", 0, most).required().
			refuse("a size counts", values{"of half": 1.5}, "must be of type int64").
			refuse("a size is a number", values{"is quoted": "15"}, "must be of type integer").
			say("a body that was cut shows", values{"of another text": int64(14)}, "spec.payload: Invalid value", sizeMessage).
			acceptOnly(int64(15)),
		enum("spec.payload.state", "Stored", "Stored", "Dropped").acceptOnly("Stored"),
	}
}

func TestFlowRunRefused(t *testing.T) {
	t.Parallel()
	testBadFields(t, runYAML, merge(refused(runFields()...), refused(payloadCases()...),
		unknown("spec.headers", map[string]any{"a": "b"}), unknown("spec.payload.body", "{}")))
}

// TestFlowRunEncodings sends what a decoder may stumble over. Each must be refused, or else be
// readable and leave the rest of the run changeable: anybody who may create a run could otherwise
// stop all who list runs.
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
	testGoodFields(t, runYAML, merge(accepted(runFields()...), accepted(payloadCases()...), map[string]goodField{
		"trigger without uid": {reason: "the uid need not be known", field: "spec.triggerRef", value: map[string]any{"name": "orders"}},
		"status empty":        {reason: "generated YAML often ends with an empty status", field: "status", value: map[string]any{}, want: absent{}},
		"status null":         {reason: "status is not for users, and null is nothing", field: "status", value: nil, want: absent{}},
		"status of another run": {
			reason: "YAML that was copied from a cluster has a status, which must not count",
			field:  "status", value: map[string]any{"conditions": []any{goodCondition()}}, want: absent{},
		},
		"long name": {
			reason: "the limit of names holds for runs that Sluice makes, not for those made by hand", field: "metadata.name", value: "a." + letters(251),
		},
	}))
}

func TestFlowRunSpecCannotChange(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		good   string
		patch  string // of the spec
		want   string
	}{
		"text":                           {reason: "the bytes are what was signed", patch: `{"payload": {"text": "{\"order\": 1002}"}}`},
		"text and all that goes with it": {reason: "the bytes are what was signed", patch: `{"payload": {"text": "{}", "size": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}`},
		"no text":                        {reason: "a payload cannot be dropped as if it had been empty", patch: `{"payload": {"text": null, "size": 0}}`},
		"no text, same size":             {reason: "a payload cannot be dropped without saying so", patch: `{"payload": {"text": null}}`, want: sizeMessage},
		"no text, stored":                {reason: "what is stored is there", patch: `{"payload": {"text": null, "state": "Stored"}}`, want: sizeMessage},
		"dropped with text":              {reason: "what is dropped is not there", patch: `{"payload": {"state": "Dropped"}}`, want: droppedMessage},
		"dropped with binary":            {reason: "what is dropped is not there", good: binaryRunYAML, patch: `{"payload": {"state": "Dropped"}}`, want: droppedMessage},
		"stored":                         {reason: "that the payload is stored goes without saying, and nothing else may be written", patch: `{"payload": {"state": "Stored"}}`},
		"another state":                  {reason: "there are two states", patch: `{"payload": {"text": null, "state": "Deleted"}}`, want: `spec.payload.state: Unsupported value: "Deleted": supported values: "Stored", "Dropped"`},
		"text becomes binary":            {reason: "the same bytes written otherwise are a change too", patch: `{"payload": {"text": null, "binary": "eyJvcmRlciI6IDEwMDF9"}}`},
		"binary":                         {reason: "the bytes are what was signed", good: binaryRunYAML, patch: `{"payload": {"binary": "+/4="}}`},
		"binary, same bytes":             {reason: "there is one way to write bytes", good: binaryRunYAML, patch: `{"payload": {"binary": "+/9="}}`, want: spareBitsMessage},
		"binary becomes text":            {reason: "the bytes are what was signed", good: binaryRunYAML, patch: `{"payload": {"binary": null, "text": "ab"}}`},
		"size":                           {reason: "no text has two sizes", patch: `{"payload": {"size": 14}}`, want: sizeMessage},
		"sha256":                         {reason: "the digest is that of the bytes", patch: `{"payload": {"sha256": "0000000000000000000000000000000000000000000000000000000000000000"}}`},
		"content type":                   {reason: "the header was what it was", patch: `{"payload": {"contentType": "text/plain"}}`},
		"content type removed":           {reason: "the header was there", patch: `{"payload": {"contentType": null}}`},
		"content type added":             {reason: "the header was not there", good: binaryRunYAML, patch: `{"payload": {"contentType": "text/plain"}}`},
		"flowRef":                        {reason: "a run of one Flow does not become one of another", patch: `{"flowRef": {"name": "other"}}`},
		"trigger":                        {reason: "who accepted the request is history", patch: `{"triggerRef": {"name": "other"}}`},
		"uid":                            {reason: "who accepted the request is history", patch: `{"triggerRef": {"uid": "other"}}`},
		"uid removed":                    {reason: "who accepted the request is history", patch: `{"triggerRef": {"uid": null}}`},
		"trigger removed":                {reason: "who accepted the request is history", patch: `{"triggerRef": null}`},
		"trigger added":                  {reason: "a run that was made by hand cannot claim that a trigger accepted it", good: binaryRunYAML, patch: `{"triggerRef": {"name": "orders"}}`},
		"time":                           {reason: "when the request came is history", patch: `{"request": {"receivedAt": "2026-01-31T12:00:00.000001Z"}}`},
		"delivery id":                    {reason: "which delivery it was is history", patch: `{"request": {"deliveryID": "other"}}`},
		"key":                            {reason: "which key was used is history", patch: `{"request": {"signedBy": "other/key"}}`},
		"key removed":                    {reason: "which key was used is history", patch: `{"request": {"signedBy": null}}`},
		"request removed":                {reason: "the request is history", patch: `{"request": null}`},
		"request added":                  {reason: "a run that was made by hand cannot claim that there was a request", good: binaryRunYAML, patch: `{"request": {"receivedAt": "2026-01-31T12:00:00.000000Z"}}`},
		"everything":                     {reason: "a spec cannot be removed to be set again later", patch: `null`, want: "spec: Required value"},
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

// TestDropChangesNothingElse goes through all fields that a spec has, by their Go types, so that
// the rule cannot forget one: none can be added, changed or removed while the payload is dropped.
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
	testBadStatus(t, runYAML, merge(badConditions(), timestamp("status.startTime").bad, timestamp("status.completionTime").bad,
		mapping("status", "Succeeded").empty("status: Invalid value", "at least 1 properties").bad, unknown("status.phase", "Succeeded")))
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

// TestLargestPayloads stores payloads of MaxPayloadBytes, of every kind that is stored in more
// bytes than it has, with as much around them as there may be, and reads them back. Rules cost the
// more the larger an object is, and the API server refuses one that costs too much; so each is
// updated as well.
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
