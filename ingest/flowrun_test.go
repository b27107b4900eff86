/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

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
	"k8s.io/apimachinery/pkg/util/validation"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// etcdLimit is what etcd takes in one request by default.
const etcdLimit = 1536 * 1024

var testTime = time.Date(2026, 1, 31, 12, 34, 56, 789_012_000, time.UTC)

// suffixOf returns the suffix of a run's name.
func suffixOf(t *testing.T, name string) string {
	t.Helper()
	if len(name) < suffixLength+2 || name[len(name)-suffixLength-1] != '-' {
		t.Fatalf("%q has no suffix of %d characters", name, suffixLength)
	}
	return name[len(name)-suffixLength:]
}

func TestRunName(t *testing.T) {
	const room = 63 - 1 - 20 // for the trigger's name
	for length := 1; length <= 63; length++ {
		letters := strings.Repeat("abcdefghij", 7)[:length]
		triggers := []string{letters, strings.Repeat("9", length), strings.Repeat("z", length)}
		if length > 2 {
			// Nothing but hyphens between the first and the last character, so that every cut meets some.
			triggers = append(triggers, "a"+strings.Repeat("-", length-2)+"z")
		}
		for hyphen := 1; hyphen < length-1; hyphen++ {
			triggers = append(triggers, letters[:hyphen]+"-"+letters[hyphen+1:])
			if hyphen+1 < length-1 {
				triggers = append(triggers, letters[:hyphen]+"--"+letters[hyphen+2:])
			}
		}
		for _, trigger := range triggers {
			if problems := validation.IsDNS1123Label(trigger); len(problems) > 0 {
				t.Fatalf("%q is no name of a trigger: %v", trigger, problems)
			}
			name := uniqueName(trigger, testTime)
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
				t.Errorf("a run of %q is named %q: %v", trigger, name, problems)
			}
			if problems := validation.IsValidLabelValue(name); len(problems) > 0 {
				t.Errorf("a run of %q is named %q, which is no value of a label: %v", trigger, name, problems)
			}
			prefix := trigger[:min(length, room)]
			if length > room {
				prefix = strings.TrimRight(prefix, "-")
			}
			if got, want := name[:len(name)-len(suffixOf(t, name))], prefix+"-"; got != want {
				t.Errorf("a run of %q is named %q, want it to begin with %q", trigger, name, want)
			}
		}
	}
}

func TestRunNameSortsByTime(t *testing.T) {
	times := []time.Time{
		time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(2),
		testTime.Add(-time.Hour), testTime.Add(-time.Millisecond), testTime, testTime.Add(time.Millisecond), testTime.Add(2 * time.Millisecond),
		testTime.Add(time.Second), testTime.AddDate(0, 1, 0), testTime.AddDate(1, 0, 0), testTime.AddDate(100, 0, 0),
		time.Date(10889, 1, 1, 0, 0, 0, 0, time.UTC), time.UnixMilli(1<<48 - 1),
	}
	for bit := range 48 {
		times = append(times, time.UnixMilli(1<<bit), time.UnixMilli(1<<bit-1))
	}
	slices.SortFunc(times, func(a, b time.Time) int { return a.Compare(b) })
	for _, trigger := range []string{"a", "orders", strings.Repeat("x", 63), strings.Repeat("x", 41) + "-" + strings.Repeat("y", 21)} {
		for i := 1; i < len(times); i++ {
			earlier, later := uniqueName(trigger, times[i-1]), uniqueName(trigger, times[i])
			if times[i-1].UnixMilli() == times[i].UnixMilli() {
				continue
			}
			if earlier >= later {
				t.Errorf("%q at %s does not sort before %q at %s", earlier, times[i-1], later, times[i])
			}
		}
	}
}

// TestRunNameHoldsTime reads the time back: 48 bits of milliseconds in the order of the alphabet.
func TestRunNameHoldsTime(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(0), testTime, time.UnixMilli(1<<48 - 1), testTime.In(time.FixedZone("east", 3600)), testTime.Add(999 * time.Microsecond)} {
		var milliseconds uint64
		for _, c := range suffixOf(t, uniqueName("orders", at))[:10] {
			milliseconds = milliseconds<<5 | uint64(strings.IndexRune("0123456789abcdefghijklmnopqrstuv", c))
		}
		if got := milliseconds >> 2; got != uint64(at.UnixMilli()) {
			t.Errorf("the name of a run at %s holds %d ms, want %d", at, got, at.UnixMilli())
		}
	}
}

func TestRunNameBefore1970(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(-1), {}, time.Date(-10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		name := uniqueName("orders", at)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("a run at %s is named %q: %v", at, name, problems)
		}
	}
}

func TestRunNameIsUnique(t *testing.T) {
	const runs = 50_000 // in one millisecond: two are equal with a chance of 3e-7
	seen := make(map[string]bool, runs)
	// What each character has been. 2 of the tenth's bits belong to chance, and 3 to time.
	var characters [suffixLength]map[byte]bool
	for i := range characters {
		characters[i] = map[byte]bool{}
	}
	for range runs {
		name := uniqueName("orders", testTime)
		if seen[name] {
			t.Fatalf("%q twice", name)
		}
		seen[name] = true
		for i, c := range []byte(suffixOf(t, name)) {
			characters[i][c] = true
		}
	}
	got := make([]int, suffixLength)
	for i := range characters {
		got[i] = len(characters[i])
	}
	want := []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32} // 2^2 * 32^10 = 2^52
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values of each character within a millisecond (-want +got):\n%s", diff)
	}
}

func TestDeliveryName(t *testing.T) {
	const uid = "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11"
	// Worked out apart from this code. It must stay what it is: otherwise a new version takes what an old one has stored for
	// something else.
	if diff := cmp.Diff("orders-5dh25as5tc7r7c046ag6", deliveryName("orders", uid, "evt_1000", nil)); diff != "" {
		t.Errorf("the name of a delivery (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("orders-q5bkd55hdjfvq3khan16", deliveryName("orders", uid, "evt_1000", bodyDigest([]byte("the body")))); diff != "" {
		t.Errorf("the name of a delivery with its body (-want +got):\n%s", diff)
	}
	type delivery struct{ trigger, uid, id, body string }
	long := strings.Repeat("x", 63)
	deliveries := []delivery{
		{trigger: "orders", uid: uid, id: "evt_1000"}, {trigger: "orders", uid: uid, id: "evt_1001"}, {trigger: "orders", uid: uid, id: "EVT_1000"},
		{trigger: "orders", uid: uid, id: "evt_1000 "}, {trigger: "orders", uid: uid},
		{trigger: "orders", uid: uid, id: "\x00"}, {trigger: "orders", uid: uid, id: "\x00evt_1000"}, {trigger: "orders", uid: uid, id: strings.Repeat("i", 256)},
		{trigger: "orders", uid: uid[:35], id: "evt_1000"}, {trigger: "orders", uid: uid[:35], id: "1evt_1000"},
		{trigger: "orders", uid: uid + "e", id: "vt_1000"}, {trigger: "orders", id: uid + "evt_1000"},
		{trigger: "refunds", uid: uid, id: "evt_1000"}, {trigger: long, uid: uid, id: "evt_1000"}, {trigger: "a" + strings.Repeat("-", 61) + "z", uid: uid, id: "evt_1000"},
		{trigger: "orders", uid: uid, id: "evt_1000", body: "a"}, {trigger: "orders", uid: uid, id: "evt_1000", body: "b"},
		{trigger: "orders", uid: uid, id: "evt_1001", body: "a"}, {trigger: "orders", uid: uid[:35], id: "evt_1000", body: "a"},
		// What is hashed of the last but three, if the form did not matter.
		{trigger: "orders", uid: uid, id: string(bodyDigest([]byte("a"))[:]) + "evt_1000"}, {trigger: "orders", uid: uid, id: "\x01" + string(bodyDigest([]byte("a"))[:]) + "evt_1000"},
	}
	seen := map[string]delivery{}
	for _, d := range deliveries {
		name := deliveryName(d.trigger, d.uid, d.id, bodyDigest([]byte(d.body)))
		if again := deliveryName(d.trigger, d.uid, d.id, bodyDigest([]byte(d.body))); again != name {
			t.Errorf("%q is named %q and %q", d, name, again)
		}
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q is named %q: %v", d, name, problems)
		}
		suffix := suffixOf(t, name)
		if other, ok := seen[suffix]; ok && (other.uid != d.uid || other.id != d.id || other.body != d.body) {
			t.Errorf("%q and %q have the same suffix %q", d, other, suffix)
		}
		seen[suffix] = d
	}
}

func TestNewRunOfDelivery(t *testing.T) {
	tests := map[string]struct {
		reason      string
		deduplicate bool
		id          string
		ofDelivery  bool
	}{
		"Deduplicated":   {reason: "the id makes the name", deduplicate: true, id: "evt_1000", ofDelivery: true},
		"NoID":           {reason: "without an id nothing can be told from anything else", deduplicate: true},
		"NotAskedFor":    {reason: "the id is kept, and makes no name", id: "evt_1000"},
		"NeitherOfThem":  {reason: "the usual trigger"},
		"LongestID":      {reason: "it fits into the field", deduplicate: true, id: strings.Repeat("i", signature.MaxDeliveryID), ofDelivery: true},
		"MarkupInTheID":  {reason: "it is text like any other", deduplicate: true, id: `<"&\` + "\x00\u2028", ofDelivery: true},
		"SlashesInTheID": {reason: "nothing of it but its hash is in the name", deduplicate: true, id: "../../a/b", ofDelivery: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := testRoute()
			r.Deduplicate = tc.deduplicate
			if tc.deduplicate {
				r.Window = 90 * time.Minute
			}
			result := signature.Result{Key: "a/b", DeliveryID: tc.id, Signed: true}
			body := []byte("the body")
			first := newRun(r, result, "text/plain", "", testTime, body)
			second := newRun(r, result, "text/html", "", testTime.Add(time.Hour), []byte("another"))
			if first.OfDelivery != tc.ofDelivery || (first.Name == second.Name) != tc.ofDelivery {
				t.Errorf("%s: of a delivery %t, named %q and %q when it is repeated", tc.reason, first.OfDelivery, first.Name, second.Name)
			}
			digest := sha256.Sum256(body)
			if first.Namespace != "shop" {
				t.Errorf("%s: namespace %q, want shop", tc.reason, first.Namespace)
			}
			run := decode(t, first.Object)
			if run.Name != first.Name || run.Namespace != "shop" || run.Spec.Request.DeliveryID != tc.id {
				t.Errorf("%s: %s/%s of %q, want shop/%s of %q", tc.reason, run.Namespace, run.Name, run.Spec.Request.DeliveryID, first.Name, tc.id)
			}
			if diff := cmp.Diff(hex.EncodeToString(digest[:]), run.Annotations[sluicev1alpha1.AnnotationPayloadSHA256]); diff != "" {
				t.Errorf("%s: the digest for those who read metadata alone (-want +got):\n%s", tc.reason, diff)
			}
			until, remembered := run.Annotations[sluicev1alpha1.AnnotationRetainUntil]
			if remembered != tc.ofDelivery {
				t.Errorf("%s: it is kept until %q; a run that is no memory is not kept for one", tc.reason, until)
			}
			if want := retainUntil(testTime, r.Window); remembered && until != want {
				t.Errorf("%s: it is kept until %q, want %q", tc.reason, until, want)
			}
		})
	}
}

// TestMatch shows what two requests of one delivery must have in common.
func TestMatch(t *testing.T) {
	tests := map[string]struct {
		reason    string
		match     route.Match
		signed    bool
		otherBody bool // whether another body under the same id is the same delivery
	}{
		"Signed":           {reason: "it is the sender's word; some count attempts in the body", signed: true, otherBody: true},
		"NotSigned":        {reason: "anybody who has seen a request can send it under another delivery's id"},
		"SignedWithBody":   {reason: "the owner wants both", match: route.MatchIDAndBody, signed: true},
		"NotSignedButAlso": {reason: "the owner has chosen so", match: route.MatchID, otherBody: true},
		"Unknown":          {reason: "what is not known is as by default", match: 7},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := testRoute()
			r.Deduplicate, r.Match = true, tc.match
			run := func(id, body string) string {
				return newRun(r, signature.Result{Key: "a/b", DeliveryID: id, Signed: tc.signed}, "", "", testTime, []byte(body)).Name
			}
			first := run("1", "a")
			if first != run("1", "a") {
				t.Errorf("%s: the same request is another delivery", tc.reason)
			}
			if first == run("2", "a") {
				t.Errorf("%s: another id is the same delivery", tc.reason)
			}
			if got := first == run("1", "b"); got != tc.otherBody {
				t.Errorf("%s: another body under the same id is the same delivery: %t, want %t", tc.reason, got, tc.otherBody)
			}
		})
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
			if diff := cmp.Diff(tc.want, retainUntil(tc.received, tc.window)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func testRoute() *route.Route {
	return &route.Route{Namespace: "shop", Name: "orders", UID: "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11", Flow: "import-orders"}
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

// store is what the API server does with an object of a custom resource: it is decoded into maps, gets some fields, and
// is encoded as encoding/json does by default.
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
			object := encodeFlowRun(testRoute(), "application/json; charset=utf-8", "orders-webhook/secretKey", testTime, body)
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

// TestEncodeFlowRunMembers looks at the JSON itself: the API server checks the presence and form of members.
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
			object := encodeFlowRun(testRoute(), tc.contentType, "orders-webhook/secretKey", testTime.In(time.FixedZone("east", 3600)), []byte(tc.body))
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
		object := encodeFlowRun(testRoute(), "", "a/b", at, nil)
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
	r := testRoute()
	r.Namespace, r.Name, r.Flow = strings.Repeat("n", 63), strings.Repeat("t", 63), strings.Repeat("f", 63)
	contentType := strings.Repeat("<", 300)                               // cut to 256, and 6 bytes for each
	signedBy := strings.Repeat("s", 253) + "/" + strings.Repeat("k", 253) // the longest names
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if len(tc.body) != n {
				t.Fatalf("the body has %d bytes, want %d", len(tc.body), n)
			}
			object := encodeFlowRun(r, contentType, signedBy, testTime, tc.body)
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

// asStored is the oracle of storeAsText: whether the body is valid UTF-8 and, as encoding/json writes it, not longer than
// base64.
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

// checkLength finds out what length storeAsText works out for a body that is valid UTF-8, though it only says whether
// that is within the limit: letters are added to the body, each of which moves the length and the limit by a known
// amount, until every distance of the two from below to above has been seen.
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

// TestStoreAsTextCharacters looks at single characters: all of the first planes' first rows, and what is special later.
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

// FuzzNewRun compares what is written with what encoding/json makes of the API's type: the API server refuses a member whose name is
// written otherwise, or that is there twice, where the decoder of Go does not.
func FuzzNewRun(f *testing.F) {
	f.Add("orders", "import", "0b8c2c2c", "orders-webhook/secretKey", "evt_1", "00-11-22-01", "application/json", int64(time.Hour), true, []byte(`{"a":"é"}`))
	f.Add("o", "f", "", "a/b", "", "", "", int64(0), false, []byte(nil))
	f.Add("o", "f", "u", "a/b", "\xff\"\n", "", "\x00", int64(0), true, []byte("\xff"))
	f.Fuzz(func(t *testing.T, trigger, flow, uid, key, id, traceparent, contentType string, window int64, deduplicate bool, body []byte) {
		for _, text := range []*string{&trigger, &flow, &uid, &key, &traceparent} { // names and digits
			*text = strings.ToValidUTF8(*text, "x")
		}
		trigger, flow, key = "t"+trigger, "f"+flow, "k"+key // these are never empty
		window = max(0, window) % int64(sluicev1alpha1.MaxRetention)
		r := &route.Route{Namespace: "shop", Name: trigger, UID: uid, Flow: flow, Deduplicate: deduplicate, Window: time.Duration(window)}
		result := signature.Result{Key: key, DeliveryID: id}
		made := newRun(r, result, contentType, traceparent, testTime, body)
		sum := sha256.Sum256(body)
		digest := hex.EncodeToString(sum[:])
		annotations := map[string]string{sluicev1alpha1.AnnotationSignedBy: key, sluicev1alpha1.AnnotationPayloadSHA256: digest}
		if deduplicate && id != "" && window > 0 {
			annotations[sluicev1alpha1.AnnotationRetainUntil] = retainUntil(testTime, time.Duration(window))
		}
		if traceparent != "" {
			annotations[sluicev1alpha1.AnnotationTraceparent] = traceparent
		}
		size := int64(len(body))
		want := sluicev1alpha1.FlowRun{
			TypeMeta: metav1.TypeMeta{APIVersion: "sluice.dev/v1alpha1", Kind: "FlowRun"},
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: made.Name, Annotations: annotations,
				Labels: map[string]string{sluicev1alpha1.LabelTrigger: trigger, sluicev1alpha1.LabelFlow: flow},
			},
			Spec: sluicev1alpha1.FlowRunSpec{
				FlowRef:    sluicev1alpha1.FlowReference{Name: flow},
				TriggerRef: sluicev1alpha1.TriggerReference{Name: trigger, UID: uid},
				Payload:    sluicev1alpha1.Payload{ContentType: boundedText(contentType, 256), Size: &size, SHA256: digest},
				Request:    sluicev1alpha1.Request{ReceivedAt: &metav1.MicroTime{Time: testTime}, DeliveryID: boundedText(id, signature.MaxDeliveryID), SignedBy: key},
			},
		}
		if storeAsText(body) {
			want.Spec.Payload.Text = string(body)
		} else {
			want.Spec.Payload.Binary = body
		}
		encoded, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(made.Object) {
			t.Errorf("%q is not UTF-8", made.Object)
		}
		if diff := cmp.Diff(generic(t, encoded), generic(t, made.Object)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// Without white space and in one order of the members, they are as long, but for what encoding/json escapes needlessly.
		var compact bytes.Buffer
		encoder := json.NewEncoder(&compact)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(want); err != nil {
			t.Fatal(err)
		}
		if length := compact.Len() - len("\n"); len(made.Object) > length {
			t.Errorf("%d bytes, which encoding/json makes %d of", len(made.Object), length)
		}
	})
}

// generic decodes JSON as far as can be without knowing what it is.
func generic(tb testing.TB, object []byte) map[string]any {
	tb.Helper()
	var decoded map[string]any
	if err := json.Unmarshal(object, &decoded); err != nil {
		tb.Fatalf("%v: %q", err, object)
	}
	return decoded
}

func FuzzEncodeFlowRun(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "application/json", int64(0))
	f.Add([]byte{}, "", int64(1))
	f.Add([]byte{0}, "\xff\x00<", int64(-1))
	f.Add([]byte("\xff\xfe"), strings.Repeat("é", 300), int64(1<<40))
	f.Add([]byte("<>&\u2028\u2029"), "text/plain;\tcharset=\"utf-8\"", testTime.UnixMicro())
	f.Fuzz(func(t *testing.T, body []byte, contentType string, micros int64) {
		at := time.UnixMicro(micros % (1 << 55)) // the years 829 to 3111
		object := encodeFlowRun(testRoute(), contentType, "a/b", at, body)
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
		// All that is not the body takes no more than the reserve, also where the body is at its longest.
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
					encodeFlowRun(testRoute(), "application/json", "a/b", testTime, body)
				}
			})
		}
	}
}

// encodeFlowRun returns the FlowRun of a request that was signed with the key, without a delivery id.
func encodeFlowRun(r *route.Route, contentType, signedBy string, receivedAt time.Time, body []byte) []byte {
	return newRun(r, signature.Result{Key: signedBy}, contentType, "", receivedAt, body).Object
}
