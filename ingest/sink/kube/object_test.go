/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery"
)

// etcdLimit is what etcd takes in one request by default.
const etcdLimit = 1536 * 1024

var testTime = time.Date(2026, 1, 31, 12, 34, 56, 789_012_000, time.UTC)

func testDelivery() delivery.Delivery {
	return delivery.Delivery{
		Trigger:    delivery.Trigger{Namespace: "shop", Name: "orders", UID: "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11"},
		Flow:       "import-orders",
		Key:        "a/b",
		ReceivedAt: testTime,
	}
}

// encodeFlowRun returns the FlowRun of a delivery without an id, as JSON.
func encodeFlowRun(tb testing.TB, d delivery.Delivery, contentType, key string, receivedAt time.Time, body []byte) []byte {
	tb.Helper()
	d.ContentType, d.Key, d.ReceivedAt, d.Body = contentType, key, receivedAt, body
	d = delivery.New(d, delivery.Unique)
	object, err := encode(&d)
	if err != nil {
		tb.Fatal(err)
	}
	return object
}

// TestLongestBody sees that what may be accepted is what the API lets be stored.
func TestLongestBody(t *testing.T) {
	if delivery.MaxBody != sluicev1alpha1.MaxPayloadBytes {
		t.Errorf("a body may have %d bytes, and a payload %d", delivery.MaxBody, sluicev1alpha1.MaxPayloadBytes)
	}
}

// decode is what a client does with an object.
func decode(tb testing.TB, object []byte) sluicev1alpha1.FlowRun {
	tb.Helper()
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.DisallowUnknownFields()
	var run sluicev1alpha1.FlowRun
	if err := decoder.Decode(&run); err != nil {
		tb.Fatal(err)
	}
	if decoder.More() {
		tb.Fatal("there is something behind the object")
	}
	return run
}

// store is what the API server does with an object of a custom resource: it is decoded into maps,
// gets some fields, and is encoded as encoding/json does by default.
func store(tb testing.TB, object []byte) []byte {
	tb.Helper()
	var stored map[string]any
	if err := json.Unmarshal(object, &stored); err != nil {
		tb.Fatal(err)
	}
	metadata, ok := stored["metadata"].(map[string]any)
	if !ok {
		tb.Fatal("no metadata")
	}
	metadata["uid"] = "7e0c4f0e-1f6b-4a3e-bb2f-9d7b8f9c1a55"
	metadata["creationTimestamp"] = "2026-01-31T12:34:56Z"
	metadata["generation"] = 1
	metadata["managedFields"] = []any{map[string]any{
		"apiVersion": "sluice.dev/v1alpha1", "fieldsType": "FieldsV1", "manager": fieldManager, "operation": "Update", "time": "2026-01-31T12:34:56Z",
		"fieldsV1": map[string]any{
			"f:metadata": map[string]any{"f:labels": map[string]any{
				".": map[string]any{}, "f:" + sluicev1alpha1.LabelTrigger: map[string]any{}, "f:" + sluicev1alpha1.LabelFlow: map[string]any{},
			}},
			"f:spec": map[string]any{
				".": map[string]any{}, "f:flowRef": map[string]any{}, "f:triggerRef": map[string]any{}, "f:request": map[string]any{},
				"f:payload": map[string]any{
					".": map[string]any{}, "f:contentType": map[string]any{}, "f:text": map[string]any{}, "f:binary": map[string]any{},
					"f:size": map[string]any{}, "f:sha256": map[string]any{},
				},
			},
		},
	}}
	encoded, err := json.Marshal(stored)
	if err != nil {
		tb.Fatal(err)
	}
	return encoded
}

// bodyOf returns the body that a run holds, and fails if it is not in one place.
func bodyOf(tb testing.TB, p sluicev1alpha1.Payload) []byte {
	tb.Helper()
	switch {
	case p.Text != "" && p.Binary != nil:
		tb.Error("both text and binary are set")
	case p.Binary != nil:
		return p.Binary
	}
	return []byte(p.Text)
}

func TestEncodeFlowRun(t *testing.T) {
	allBytes := make([]byte, 256)
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	tests := map[string]struct {
		reason string
		body   string
		text   bool // it is to be stored as text
	}{
		"Empty":            {reason: "neither is set", body: "", text: true},
		"JSON":             {reason: "the usual body", body: `{"id":"evt_1000","data":{"total":"12.50","qty":3},"items":[1,2,3]}`, text: true},
		"Form":             {reason: "escaping doubles few characters", body: "a=1&b=two+words&c=%C3%A9&d=a-longer-value-without-any-ampersand", text: true},
		"Unicode":          {reason: "it is not escaped", body: "h\u00e9llo 世界 🦀", text: true},
		"CRLF":             {reason: "line breaks stay what they are", body: "first line\r\nsecond line\r\nthird line\r\n\r\n", text: true},
		"BOM":              {reason: "it is part of the body", body: "\ufeff{\"a\":1,\"b\":22222}", text: true},
		"Replacement":      {reason: "a replacement character that was sent is no sign of invalid UTF-8", body: "a\ufffdb", text: true},
		"NonCharacters":    {reason: "they are valid UTF-8", body: "\ufffe\uffff\U0010ffff", text: true},
		"DEL":              {reason: "it is not escaped", body: "\x7f\x7f\x7f", text: true},
		"SingleQuote":      {reason: "2 bytes, and 4 in base64", body: `"`, text: true},
		"Quotes":           {reason: "2 bytes each, against 4/3", body: strings.Repeat(`"`, 100)},
		"Backslashes":      {reason: "2 bytes each, against 4/3", body: strings.Repeat(`\`, 100)},
		"NewlinesOnly":     {reason: "2 bytes each, against 4/3", body: strings.Repeat("\n", 100)},
		"HTML":             {reason: "6 bytes each, against 4/3", body: strings.Repeat("<>&", 30)},
		"LineSeparators":   {reason: "6 bytes for 3, against 4", body: strings.Repeat("\u2028\u2029", 30)},
		"NUL":              {reason: "6 bytes, against 4", body: "\x00"},
		"NULs":             {reason: "6 bytes each, against 4/3", body: strings.Repeat("\x00", 1000)},
		"NULAmongText":     {reason: "few of them are no reason for base64", body: "a long text with a \x00 in it, which costs six bytes", text: true},
		"Latin1":           {reason: "not valid UTF-8", body: "h\xe9llo"},
		"Truncated":        {reason: "not valid UTF-8", body: "hello 世"[:8]},
		"Overlong":         {reason: "not valid UTF-8", body: "a long text with \xc0\x80 in it"},
		"Surrogate":        {reason: "not valid UTF-8", body: "a long text with \xed\xa0\x80 in it"},
		"TooLarge":         {reason: "not valid UTF-8", body: "a long text with \xf4\x90\x80\x80 in it"},
		"AllBytes":         {reason: "not valid UTF-8", body: string(allBytes)},
		"0xFF":             {reason: "not valid UTF-8", body: "\xff"},
		"LooksLikeBase64":  {reason: "it is text all the same", body: "aGVsbG8=", text: true},
		"LooksLikeEscapes": {reason: "what looks escaped is not unescaped", body: `a text with \u003c and &lt; and \n and %00 in it`, text: true},
		"ExactlyAsLong":    {reason: "8 bytes, as in base64: of equal lengths text is taken", body: `aa"a"a`, text: true},
		"OneTooLong":       {reason: "a byte more than base64", body: `a""a"a`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			body := []byte(tc.body)
			object := encodeFlowRun(t, testDelivery(), "application/json; charset=utf-8", "orders-webhook/secretKey", testTime, body)
			for i := range body { // it is the buffer of another request by now
				body[i] = '!'
			}
			digest := sha256.Sum256([]byte(tc.body))
			size := int64(len(tc.body))
			want := sluicev1alpha1.FlowRun{
				TypeMeta: metav1.TypeMeta{APIVersion: "sluice.dev/v1alpha1", Kind: "FlowRun"},
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "shop", Name: "orders-suffix",
					Labels: map[string]string{"sluice.dev/trigger": "orders", "sluice.dev/flow": "import-orders"},
					Annotations: map[string]string{
						"sluice.dev/payload-sha256": hex.EncodeToString(digest[:]),
						"sluice.dev/signed-by":      "orders-webhook/secretKey",
					},
				},
				Spec: sluicev1alpha1.FlowRunSpec{
					FlowRef:    sluicev1alpha1.FlowReference{Name: "import-orders"},
					TriggerRef: sluicev1alpha1.TriggerReference{Name: "orders", UID: "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11"},
					Payload: sluicev1alpha1.Payload{
						ContentType: "application/json; charset=utf-8", Size: &size, SHA256: hex.EncodeToString(digest[:]),
					},
					Request: sluicev1alpha1.Request{ReceivedAt: &metav1.MicroTime{Time: testTime}, SignedBy: "orders-webhook/secretKey"},
				},
			}
			if tc.text {
				want.Spec.Payload.Text = tc.body
			} else {
				want.Spec.Payload.Binary = []byte(tc.body)
			}
			got := decode(t, object)
			got.Name = want.Name // TestRunName and its like are about names
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			stored := decode(t, store(t, object))
			if diff := cmp.Diff(want.Spec, stored.Spec); diff != "" {
				t.Errorf("%s: once stored (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff([]byte(tc.body), bodyOf(t, stored.Spec.Payload)); diff != "" {
				t.Errorf("%s: the body (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestEncodeFlowRunMembers looks at the JSON itself: the API server checks the presence and form of
// members.
func TestEncodeFlowRunMembers(t *testing.T) {
	tests := map[string]struct {
		reason      string
		contentType string
		body        string
		want        []string // the members of payload
	}{
		"Empty":         {reason: "size is required, also if it is 0", want: []string{"sha256", "size"}},
		"Text":          {reason: "text is set", contentType: "text/plain", body: "a", want: []string{"contentType", "sha256", "size", "text"}},
		"Binary":        {reason: "binary is set", contentType: "image/png", body: "\xff", want: []string{"binary", "contentType", "sha256", "size"}},
		"NoContentType": {reason: "an empty one is not allowed", body: "a", want: []string{"sha256", "size", "text"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			object := encodeFlowRun(t, testDelivery(), tc.contentType, "orders-webhook/secretKey", testTime.In(time.FixedZone("east", 3600)), []byte(tc.body))
			var raw struct {
				Metadata map[string]json.RawMessage `json:"metadata"`
				Status   json.RawMessage            `json:"status"`
				Spec     struct {
					Payload map[string]json.RawMessage `json:"payload"`
					Request struct {
						ReceivedAt string `json:"receivedAt"`
					} `json:"request"`
				} `json:"spec"`
			}
			if err := json.Unmarshal(object, &raw); err != nil {
				t.Fatal(err)
			}
			members := func(m map[string]json.RawMessage) []string {
				var names []string
				for name := range m {
					names = append(names, name)
				}
				slices.Sort(names)
				return names
			}
			if diff := cmp.Diff(tc.want, members(raw.Spec.Payload)); diff != "" {
				t.Errorf("%s: members of payload (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff([]string{"annotations", "labels", "name", "namespace"}, members(raw.Metadata)); diff != "" {
				t.Errorf("%s: members of metadata (-want +got):\n%s", tc.reason, diff)
			}
			if raw.Status != nil {
				t.Errorf("%s: there is a status: %s", tc.reason, raw.Status)
			}
			if diff := cmp.Diff("2026-01-31T12:34:56.789012Z", raw.Spec.Request.ReceivedAt); diff != "" {
				t.Errorf("%s: receivedAt, which is in UTC with six decimals (-want +got):\n%s", tc.reason, diff)
			}
			if !regexp.MustCompile(`^\{[^\n]*\}$`).Match(object) {
				t.Errorf("%s: not one line: %q", tc.reason, object)
			}
		})
	}
}

func TestEncodeFlowRunReceivedAt(t *testing.T) {
	// As the schema of FlowRun has it.
	pattern := regexp.MustCompile(`"receivedAt":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z"`)
	for _, at := range []time.Time{
		testTime, testTime.Truncate(time.Second), testTime.Add(999), testTime.Local(), testTime.In(time.FixedZone("west", -12345)), time.Now(),
	} {
		object := encodeFlowRun(t, testDelivery(), "", "a/b", at, nil)
		if !pattern.Match(object) {
			t.Errorf("at %s: %s, want it to match %s", at, object, pattern)
		}
	}
}

// TestWorstBodies encodes what makes the largest objects, as the API server will store them.
func TestWorstBodies(t *testing.T) {
	const n = sluicev1alpha1.MaxPayloadBytes
	if n%3 != 0 {
		t.Fatalf("%d bytes in base64 have padding, which this test and the schema do not reckon with", n)
	}
	fill := func(pattern string) []byte { return []byte(strings.Repeat(pattern, n/len(pattern)+1)[:n]) }
	tests := map[string]struct {
		reason string
		body   []byte
		text   bool
	}{
		"Letters":            {reason: "the least", body: fill("a"), text: true},
		"Binary":             {reason: "base64 makes it 4/3", body: fill("\xff")},
		"NULs":               {reason: "6 times as long as text", body: fill("\x00")},
		"Quotes":             {reason: "twice as long as text", body: fill(`"`)},
		"Backslashes":        {reason: "twice as long as text", body: fill(`\`)},
		"HTML":               {reason: "6 times as long as text, in the API server", body: fill("<>&")},
		"LineSeparators":     {reason: "twice as long as text", body: fill("\u2028")},
		"JustText":           {reason: "exactly 4/3 as text", body: fill(`aa"`), text: true},
		"JustTextOfBS":       {reason: "exactly 4/3 as text", body: fill("aa\b"), text: true},
		"JustTextOfFF":       {reason: "exactly 4/3 as text", body: fill("aa\f"), text: true},
		"JustBinary":         {reason: "a byte more as text", body: append(fill(`aa"`)[:n-1], '<')},
		"JustTextOfHTML":     {reason: "6 bytes for one in fifteen are 4/3", body: fill("aaaaaaaaaaaaaa<"), text: true},
		"JustTextOfNULs":     {reason: "6 bytes for one in fifteen are 4/3", body: fill("aaaaaaaaaaaaaa\x00"), text: true},
		"JustTextOfWide":     {reason: "6 bytes for 3 in 9 are 4/3", body: fill("aaaaaa\u2029"), text: true},
		"LastByteIsInvalid":  {reason: "it is found only at the end", body: append(fill("a")[:n-1], 0xff)},
		"TruncatedCharacter": {reason: "it is found only at the end", body: append(fill("a")[:n-2], "\u00e9\u00e9"[:2]...), text: true},
	}
	d := testDelivery()
	d.Trigger.Namespace, d.Trigger.Name, d.Flow = strings.Repeat("n", 63), strings.Repeat("t", 63), strings.Repeat("f", 63)
	contentType := strings.Repeat("<", 300)                               // cut to 256, and 6 bytes for each
	signedBy := strings.Repeat("s", 253) + "/" + strings.Repeat("k", 253) // the longest names
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if len(tc.body) != n {
				t.Fatalf("the body has %d bytes, want %d", len(tc.body), n)
			}
			object := encodeFlowRun(t, d, contentType, signedBy, testTime, tc.body)
			stored := store(t, object)
			if len(stored) > etcdLimit || len(object) > etcdLimit {
				t.Errorf("%s: %d bytes, and %d once stored; etcd takes %d", tc.reason, len(object), len(stored), etcdLimit)
			}
			run := decode(t, stored)
			if !bytes.Equal(tc.body, bodyOf(t, run.Spec.Payload)) {
				t.Errorf("%s: the body has changed", tc.reason)
			}
			if text := run.Spec.Payload.Text != ""; text != tc.text {
				t.Errorf("%s: stored as text %t, want %t", tc.reason, text, tc.text)
			}
			// The schema's bounds.
			if text := utf8.RuneCountInString(run.Spec.Payload.Text); text > 1130496 {
				t.Errorf("%s: text of %d characters", tc.reason, text)
			}
			if binary := base64.StdEncoding.EncodedLen(len(run.Spec.Payload.Binary)); binary > 1507328 {
				t.Errorf("%s: binary of %d characters", tc.reason, binary)
			}
		})
	}
}

// asStored is the oracle of storeAsText: whether the body is valid UTF-8 and, as encoding/json
// writes it, not longer than base64.
func asStored(tb testing.TB, body []byte) bool {
	tb.Helper()
	return utf8.Valid(body) && escapedLength(tb, body) <= base64.StdEncoding.EncodedLen(len(body))
}

func escapedLength(tb testing.TB, body []byte) int {
	tb.Helper()
	encoded, err := json.Marshal(string(body))
	if err != nil {
		tb.Fatal(err)
	}
	return len(encoded) - len(`""`)
}

// checkLength finds out what length storeAsText works out for a body that is valid UTF-8, though it
// only says whether that is within the limit: letters are added to the body, each of which moves
// the length and the limit by a known amount, until every distance of the two from below to above
// has been seen.
func checkLength(tb testing.TB, body []byte) {
	tb.Helper()
	if got, want := storeAsText(body), asStored(tb, body); got != want {
		tb.Fatalf("%q: stored as text %t, want %t: %d bytes, and in base64 %d",
			body, got, want, escapedLength(tb, body), base64.StdEncoding.EncodedLen(len(body)))
	}
	if !utf8.Valid(body) {
		return
	}
	body = bytes.Clone(body)
	length := escapedLength(tb, body)
	room := func() int { return base64.StdEncoding.EncodedLen(len(body)) - length }
	for room() > -3 {
		body, length = append(body, '"'), length+2
	}
	if n := 3 * (-3 - room()); n > 0 { // 3 letters take 3 bytes, and 4 in base64
		body, length = append(body, strings.Repeat("a", n)...), length+n
	}
	for room() < 3 {
		body, length = append(body, 'a'), length+1
		if got, want := storeAsText(body), room() >= 0; got != want {
			tb.Fatalf("%q: stored as text %t, want %t: %d bytes, and in base64 %d", body, got, want, length, length+room())
		}
	}
	if want := escapedLength(tb, body); length != want {
		tb.Fatalf("%q: the test thinks it has %d bytes, and it has %d", body, length, want)
	}
}

// TestStoreAsTextCharacters looks at single characters: all of the first planes' first rows, and
// what is special later.
func TestStoreAsTextCharacters(t *testing.T) {
	check := func(r rune) {
		checkLength(t, []byte(string(r)))
		checkLength(t, []byte(strings.Repeat(string(r), 3)))
	}
	for r := range rune(0x3000) {
		check(r)
	}
	for _, r := range []rune{0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffc, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1f980, 0xe0001, 0x10fffe, 0x10ffff} {
		check(r)
	}
}

// TestStoreAsTextInvalid has bytes that are no UTF-8 in every place of a text.
func TestStoreAsTextInvalid(t *testing.T) {
	const text = "a text that is long enough for anything: \u00e9 \u2028 \U0001f980 < \x00 ."
	for _, invalid := range []string{"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe2\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x9f\xa6", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff"} {
		for i := range text {
			body := []byte(text[:i] + invalid + text[i:])
			if utf8.Valid(body) {
				t.Fatalf("%q is valid", body)
			}
			if storeAsText(body) {
				t.Errorf("%q is to be stored as text", body)
			}
		}
		if storeAsText([]byte(text + invalid)) {
			t.Errorf("%q is to be stored as text", text+invalid)
		}
	}
}

func FuzzStoreAsText(f *testing.F) {
	for _, s := range []string{
		"", "a", `"`, `\`, "\n", "\b\f\r\t", "\x00", "\x7f", "<>&", "\u2028", "\u2029", "\u2027\u202a", "\ufffd", "\xff", "\xe2\x80", "é", "🦀", `aa"a"a`, `a""a"a`,
		`{"id":"evt_1000","note":"<b>&amp;</b>"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkLength(t, body[:min(len(body), 256)])
		if got, want := storeAsText(body), asStored(t, body); got != want {
			t.Errorf("%q: stored as text %t, want %t", body, got, want)
		}
	})
}

func FuzzEncodeFlowRun(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "application/json", int64(0))
	f.Add([]byte{}, "", int64(1))
	f.Add([]byte{0}, "\xff\x00<", int64(-1))
	f.Add([]byte("\xff\xfe"), strings.Repeat("é", 300), int64(1<<40))
	f.Add([]byte("<>&\u2028\u2029"), "text/plain;\tcharset=\"utf-8\"", testTime.UnixMicro())
	f.Fuzz(func(t *testing.T, body []byte, contentType string, micros int64) {
		at := time.UnixMicro(micros % (1 << 55)) // the years 829 to 3111
		object := encodeFlowRun(t, testDelivery(), contentType, "a/b", at, body)
		for _, object := range [][]byte{object, store(t, object)} {
			run := decode(t, object)
			if got := bodyOf(t, run.Spec.Payload); !bytes.Equal(body, got) {
				t.Errorf("the body was %q, and is %q", body, got)
			}
			digest := sha256.Sum256(body)
			if *run.Spec.Payload.Size != int64(len(body)) || run.Spec.Payload.SHA256 != hex.EncodeToString(digest[:]) {
				t.Errorf("size %d and SHA-256 %s of %q", *run.Spec.Payload.Size, run.Spec.Payload.SHA256, body)
			}
			if !run.Spec.Request.ReceivedAt.Time.Equal(at) {
				t.Errorf("received at %s, want %s", run.Spec.Request.ReceivedAt, at)
			}
			if got, want := run.Spec.Payload.ContentType, boundedText(contentType, 256); got != want {
				t.Errorf("content type %q, want %q", got, want)
			}
		}
		// All that is not the body takes no more than the reserve, also where the body is at its
		// longest.
		if rest := len(store(t, object)) - base64.StdEncoding.EncodedLen(len(body)); rest > 64*1024 {
			t.Errorf("%d bytes beside the body", rest)
		}
	})
}

func TestBoundedText(t *testing.T) {
	tests := map[string]struct {
		reason string
		text   string
		limit  int
		want   string
	}{
		"Empty":           {reason: "nothing to do", text: "", limit: 3, want: ""},
		"Shorter":         {reason: "nothing to do", text: "ab", limit: 3, want: "ab"},
		"Exact":           {reason: "at the limit nothing is cut", text: "abc", limit: 3, want: "abc"},
		"Longer":          {reason: "cut after the limit", text: "abcd", limit: 3, want: "abc"},
		"MultiByteExact":  {reason: "characters are counted, not bytes", text: "é世🦀", limit: 3, want: "é世🦀"},
		"MultiByteLonger": {reason: "characters are not cut in two", text: "é世🦀é", limit: 3, want: "é世🦀"},
		"Invalid":         {reason: "a replacement character for what is no UTF-8", text: "a\xffb", limit: 3, want: "a\ufffdb"},
		"InvalidRun":      {reason: "one for several in a row", text: "a\xff\xfe\xfdb", limit: 3, want: "a\ufffdb"},
		"InvalidThenCut":  {reason: "both", text: "\xffabc", limit: 3, want: "\ufffdab"},
		"InvalidAtCut":    {reason: "both, in one place", text: "ab\xe4\xb8", limit: 3, want: "ab\ufffd"},
		"InvalidAfterCut": {reason: "what is cut does not matter", text: "abc\xff", limit: 3, want: "abc"},
		"Replacement":     {reason: "one that was sent is kept", text: "\ufffd\ufffd", limit: 3, want: "\ufffd\ufffd"},
		"NUL":             {reason: "it is a character", text: "a\x00b", limit: 3, want: "a\x00b"},
		"NoRoom":          {reason: "nothing fits", text: "abc", limit: 0, want: ""},
		"LongMultiByte":   {reason: "the limit of the field", text: strings.Repeat("é", 300), limit: 256, want: strings.Repeat("é", 256)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, boundedText(tc.text, tc.limit)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func FuzzBoundedText(f *testing.F) {
	for _, s := range []string{"", "abc", "é世🦀", "a\xffb", "a\xff\xfe", "\xe4\xb8", "\ufffd\xff\ufffd", "text/plain"} {
		for _, limit := range []uint16{0, 1, 2, 3, 256} {
			f.Add(s, limit)
		}
	}
	f.Fuzz(func(t *testing.T, s string, limit uint16) {
		got := boundedText(s, int(limit))
		if !utf8.ValidString(got) {
			t.Errorf("%q, %d: %q is not valid UTF-8", s, limit, got)
		}
		runes := []rune(strings.ToValidUTF8(s, "\ufffd"))
		if want := string(runes[:min(len(runes), int(limit))]); got != want {
			t.Errorf("%q, %d: %q, want %q", s, limit, got, want)
		}
		if again := boundedText(got, int(limit)); again != got {
			t.Errorf("%q, %d: %q, and of that %q", s, limit, got, again)
		}
	})
}

func BenchmarkEncodeFlowRun(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		for _, kind := range []struct{ name, pattern string }{{"text", `{"id":"evt_1000"}, `}, {"binary", "\xff\x00"}} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind.name, size>>10), func(b *testing.B) {
				body := []byte(strings.Repeat(kind.pattern, size/len(kind.pattern)+1)[:size])
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					encodeFlowRun(b, testDelivery(), "application/json", "a/b", testTime, body)
				}
			})
		}
	}
}

func TestRetainUntil(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	tests := map[string]struct {
		reason   string
		received time.Time
		window   time.Duration
		want     string
	}{
		"WholeSecond":  {reason: "nothing to round", received: at("2026-01-31T12:00:00Z"), window: time.Hour, want: "2026-01-31T13:00:00Z"},
		"Fraction":     {reason: "it is kept for as long at least", received: at("2026-01-31T12:00:00.000001Z"), window: time.Hour, want: "2026-01-31T13:00:01Z"},
		"LastFraction": {reason: "it is kept for as long at least", received: at("2026-01-31T12:00:00.999999999Z"), window: time.Hour, want: "2026-01-31T13:00:01Z"},
		"OtherZone":    {reason: "the annotation is in UTC", received: at("2026-01-31T12:00:00+02:00"), window: 24 * time.Hour, want: "2026-02-01T10:00:00Z"},
		"Longest":      {reason: "30 days", received: at("2026-01-31T12:00:00Z"), window: sluicev1alpha1.MaxRetention, want: "2026-03-02T12:00:00Z"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, retainUntil(tc.received.Add(tc.window))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
