/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

func TestDeliveryID(t *testing.T) {
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	pointers := func(p ...string) signature.DeliveryID { return signature.DeliveryID{BodyPointers: p} }
	long := strings.Repeat("x", signature.MaxDeliveryID)
	for name, tc := range map[string]struct {
		reason string
		id     signature.DeliveryID
		header string
		body   string
		want   signature.Result
	}{
		"None":        {reason: "a scheme need not have one", body: `{"id":"a"}`},
		"Field":       {reason: "a string", id: pointers("/id"), body: `{"x":{"id":"b"},"id":"a"}`, want: signature.Result{DeliveryID: "a", Signed: true}},
		"Nested":      {reason: "deeper", id: pointers("/event/1/id"), body: ` {"event" : [ [], {"id" : "a"} ] } `, want: signature.Result{DeliveryID: "a", Signed: true}},
		"Number":      {reason: "as it is written, so that none is rounded", id: pointers("/id"), body: `{"id":123456789012345678901}`, want: signature.Result{DeliveryID: "json:123456789012345678901", Signed: true}},
		"Digits":      {reason: "a string of digits is no number", id: pointers("/id"), body: `{"id":"1"}`, want: signature.Result{DeliveryID: "1", Signed: true}},
		"Boolean":     {reason: "nor is a Boolean a word", id: pointers("/id"), body: `{"id":true}`, want: signature.Result{DeliveryID: "json:true", Signed: true}},
		"Marked":      {reason: "a string that looks like a number here", id: pointers("/id"), body: `{"id":"json:1"}`, want: signature.Result{DeliveryID: `json:"json:1"`, Signed: true}},
		"HalfAPair":   {reason: "no text can say it", id: pointers("/id"), body: `{"id":"a\ud800"}`, want: signature.Result{DeliveryID: `json:"a\ud800"`, Signed: true}},
		"Pair":        {reason: "a character", id: pointers("/id"), body: `{"id":"\ud83d\ude00\ufffd\\ud800"}`, want: signature.Result{DeliveryID: `😀�\ud800`, Signed: true}},
		"SomeNumbers": {reason: "a number among strings", id: pointers("/a", "/b"), body: `{"a":1,"b":"\u0032"}`, want: signature.Result{DeliveryID: `json:[1,"2"]`, Signed: true}},
		"Escapes":     {reason: "strings are unescaped, names too", id: pointers("/a~1b~0"), body: `{"\u0061/b~":"\u00e9\n"}`, want: signature.Result{DeliveryID: "é\n", Signed: true}},
		"Several":     {reason: "Adyen's", id: pointers("/a", "/b"), body: `{"b":"2","a":"1"}`, want: signature.Result{DeliveryID: "1:2", Signed: true}},
		"OneOfTwo":    {reason: "half an id is none", id: pointers("/a", "/b"), body: `{"a":"1"}`},
		"Absent":      {reason: "Slack's handshake has none", id: pointers("/id"), body: `{}`},
		"Null":        {reason: "no id", id: pointers("/id"), body: `{"id":null}`},
		"Object":      {reason: "no id", id: pointers("/id"), body: `{"id":{}}`},
		"ThroughText": {reason: "nothing is in a string", id: pointers("/id/x"), body: `{"id":"x"}`},
		"Twice":       {reason: "two readers could see two ids", id: pointers("/id"), body: `{"id":"a","id":"b"}`},
		"TwiceHidden": {reason: "the same, spelled otherwise", id: pointers("/id"), body: `{"id":"a","\u0069d":"b"}`},
		"NotUTF8":     {reason: "two readers could see two ids", id: pointers("/id"), body: "{\"id\":\"\xff\"}"},
		"NotJSON":     {reason: "a form", id: pointers("/id"), body: `id=a`},
		"Empty":       {reason: "nothing", id: pointers("/id"), body: ``},
		"Cut":         {reason: "not JSON", id: pointers("/id"), body: `{"id":"a"`},
		"Longest":     {reason: "the bound", id: pointers("/id"), body: `{"id":"` + long + `"}`, want: signature.Result{DeliveryID: long, Signed: true}},
		"TooLong":     {reason: "cutting would make one id of two", id: pointers("/id"), body: `{"id":"x` + long + `"}`, want: signature.Result{DeliveryID: digest("x" + long), Signed: true}},
		"Header":      {reason: "not signed", id: signature.DeliveryID{Headers: []string{"x-id"}}, header: " a ", want: signature.Result{DeliveryID: "a"}},
		"HeaderBytes": {reason: "it couldn't be stored", id: signature.DeliveryID{Headers: []string{"x-id"}}, header: "\xff", want: signature.Result{DeliveryID: digest("\xff")}},
		"NoHeader":    {reason: "it may be missing where it is not signed", id: signature.DeliveryID{Headers: []string{"x-id"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(signature.Scheme{Algorithm: signature.SHA256, DeliveryID: tc.id}, []byte(name))
			s.id = tc.header
			got, err := s.verifier(t).Verify(s.request(s.mac([]byte(tc.body))), []byte(tc.body), s.now)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Key = "key"
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestDifferentIDsDiffer has values that are different to who reads JSON, alone and in pairs. None
// of them is another.
func TestDifferentIDsDiffer(t *testing.T) {
	values := []string{
		`1`, `"1"`, `1.0`, `"1.0"`, `true`, `"true"`, `false`, `"false"`, `"\ud800"`, `"\ud801"`, `"\udfff"`, `"\ufffd"`, `"\\ud800"`, `"\udfff\ud800"`, `"\ud800\udfff"`,
		`"json:1"`, `"json:\"1\""`, `"json:\"\ud800\""`, `"json:\"\\ud800\""`, `"json:\ud800"`, `"json:\\ud800"`, `"json"`, `"json:"`, `"[1"`, `"1]"`, `"[1,1]"`, `"json:[1,1]"`, `"[\"1"`, `"1%3A1"`, `"1:1"`, `"%"`,
	}
	one := signature.DeliveryID{BodyPointers: []string{"/a"}}
	two := signature.DeliveryID{BodyPointers: []string{"/a", "/b"}}
	for _, id := range []signature.DeliveryID{one, two} {
		s := newSigner(signature.Scheme{Algorithm: signature.SHA256, DeliveryID: id}, []byte("TestDifferentIDsDiffer"))
		v := s.verifier(t)
		ids := map[string]string{}
		add := func(body string) {
			result, err := v.Verify(s.request(s.mac([]byte(body))), []byte(body), s.now)
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := ids[result.DeliveryID]; ok || result.DeliveryID == "" {
				t.Errorf("%s has the id of %s: %q", body, was, result.DeliveryID)
			}
			ids[result.DeliveryID] = body
		}
		for _, a := range values {
			if len(id.BodyPointers) == 1 {
				add(`{"a":` + a + `}`)
				continue
			}
			for _, b := range values {
				add(`{"a":` + a + `,"b":` + b + `}`)
			}
		}
	}
}

// TestSpellingMakesNoID has one text in two spellings, which is one id.
func TestSpellingMakesNoID(t *testing.T) {
	s := newSigner(signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{"/a", "/b"}}}, []byte("TestSpellingMakesNoID"))
	v := s.verifier(t)
	for _, bodies := range [][2]string{
		{`{"a":"x","b":"y"}`, `{"b":"\u0079","\u0061":"\u0078"}`},
		{`{"a":"<x>","b":1}`, `{"a":"\u003cx\u003E","b":1}`},
		{`{"a":"json","b":"[/]"}`, `{"a":"json","b":"[\/]"}`},
	} {
		var ids [2]string
		for i, body := range bodies {
			result, err := v.Verify(s.request(s.mac([]byte(body))), []byte(body), s.now)
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = result.DeliveryID
		}
		if ids[0] != ids[1] || ids[0] == "" {
			t.Errorf("%s has the ids %q", bodies, ids)
		}
	}
}

// adyenItem returns an item of Adyen's, signed with the key, with something beside what is signed.
func adyenItem(key []byte, reference, success, beside string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(reference + "::M:order:100:EUR:AUTHORISATION:true"))
	return fmt.Sprintf(`{"NotificationRequestItem":{%s"additionalData":{"hmacSignature":%q},"amount":{"currency":"EUR","value":100},`+
		`"eventCode":"AUTHORISATION","merchantAccountCode":"M","merchantReference":"order","pspReference":%q,"success":%s}}`,
		beside, base64.StdEncoding.EncodeToString(h.Sum(nil)), reference, success)
}

// TestAdyenItems takes captured items apart and puts them together anew. What has the same items is
// the same delivery, and what has others is not, so that nothing is lost.
func TestAdyenItems(t *testing.T) {
	const path = "/notificationItems/0/NotificationRequestItem/"
	key := sha256.Sum256([]byte("TestAdyenItems"))
	item := func(reference string) string { return adyenItem(key[:], reference, `"true"`, "") }
	tests := map[string]struct {
		reason string
		id     []string // empty for the preset's own
		items  []string
		want   string
	}{
		"One":         {reason: "as Adyen sends it, and as it was named before", items: []string{item("A")}, want: "A:AUTHORISATION:true"},
		"Another":     {reason: "another delivery", items: []string{item("B")}, want: "B:AUTHORISATION:true"},
		"Two":         {reason: "neither the one nor the other", items: []string{item("A"), item("B")}, want: `json:["A:AUTHORISATION:true","B:AUTHORISATION:true"]`},
		"Turned":      {reason: "their order is not signed", items: []string{item("B"), item("A")}, want: `json:["A:AUTHORISATION:true","B:AUTHORISATION:true"]`},
		"Repeated":    {reason: "nor is their number", items: []string{item("A"), item("A")}, want: "A:AUTHORISATION:true"},
		"Boolean":     {reason: "the text is signed, and not how it is written", items: []string{adyenItem(key[:], "A", `true`, "")}, want: "A:AUTHORISATION:true"},
		"Respelled":   {reason: "the same", items: []string{adyenItem(key[:], "A", `"\u0074rue"`, `"x":1,`)}, want: "A:AUTHORISATION:true"},
		"OnePointer":  {reason: "an id of one's own", id: []string{path + "pspReference"}, items: []string{item("A")}, want: "A"},
		"OneOfTwo":    {reason: "it is of all items too", id: []string{path + "pspReference"}, items: []string{item("A"), item("B")}, want: `json:["A","B"]`},
		"OneLikeTwo":  {reason: "what looks like a list is none", id: []string{path + "x"}, items: []string{adyenItem(key[:], "A", `"true"`, `"x":"json:[\"A\",\"B\"]",`)}, want: `json:["json:[\"A\",\"B\"]"]`},
		"NotInOne":    {reason: "there is no id", id: []string{path + "x"}, items: []string{item("A")}},
		"NotInAny":    {reason: "there is no id", id: []string{path + "x"}, items: []string{item("A"), item("B")}},
		"Outside":     {reason: "what is not in an item is as it is", id: []string{path + "pspReference", "/live"}, items: []string{item("A"), item("B")}, want: "A:false"},
		"OutsideNone": {reason: "half an id is none", id: []string{path + "pspReference", "/x"}, items: []string{item("A"), item("B")}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			scheme := preset(t, "AdyenStandard")
			if len(tc.id) > 0 {
				scheme.DeliveryID = signature.DeliveryID{BodyPointers: tc.id}
			}
			v, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: []byte(hex.EncodeToString(key[:]))})
			if err != nil {
				t.Fatal(err)
			}
			body := `{"live":"false","notificationItems":[` + strings.Join(tc.items, ",") + `]}`
			result, err := v.Verify(signature.Request{}, []byte(body), time.Unix(1767225600, 0))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, result.DeliveryID); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSignatureAsDeliveryID shows that another spelling of a signature makes no other id.
func TestSignatureAsDeliveryID(t *testing.T) {
	s := newSigner(signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{Signature: true}}, nil)
	v := s.verifier(t)
	request := s.request(s.mac(nil))
	lower, err := v.Verify(request, nil, s.now)
	if err != nil {
		t.Fatal(err)
	}
	request.Headers["X-Hmac-Hash"][0] = strings.ToUpper(request.Headers["X-Hmac-Hash"][0])
	upper, err := v.Verify(request, nil, s.now)
	if err != nil {
		t.Fatal(err)
	}
	if lower != upper || lower.DeliveryID == "" {
		t.Errorf("got %q and %q", lower.DeliveryID, upper.DeliveryID)
	}
}

// TestSignsDeliveryID shows which ids are taken for signed. One that is not may be anybody's, and
// what is taken for a repetition because of it is lost.
func TestSignsDeliveryID(t *testing.T) {
	const item = "/notificationItems/0/NotificationRequestItem"
	tests := map[string]struct {
		reason   string
		provider string
		id       signature.DeliveryID // empty for the preset's own
		want     bool
	}{
		"GitHub":              {reason: "a header that is not signed", provider: "GitHub"},
		"Svix":                {reason: "a header that is", provider: "Svix", want: true},
		"Stripe":              {reason: "the whole body is", provider: "Stripe", id: signature.DeliveryID{BodyPointers: []string{"/anything"}}, want: true},
		"GitLabToken":         {reason: "a token signs nothing", provider: "GitLabToken", id: signature.DeliveryID{BodyPointers: []string{"/anything"}}},
		"Adyen":               {reason: "these fields are signed", provider: "AdyenStandard", want: true},
		"AdyenAmount":         {reason: "so is this one", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{item + "/amount/value"}}, want: true},
		"AdyenOtherItem":      {reason: "and that of each item", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{"/notificationItems/12/NotificationRequestItem/success"}}, want: true},
		"AdyenEventDate":      {reason: "this one is not", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{item + "/eventDate"}}},
		"AdyenOneIsNot":       {reason: "who can change a part of the id can change the id", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{item + "/pspReference", "/live"}}},
		"AdyenElsewhere":      {reason: "it has that name only", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{"/pspReference"}}},
		"AdyenBeside":         {reason: "it is beside the item", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{"/notificationItems/0/x/pspReference"}}},
		"AdyenDeeper":         {reason: "what is signed is a value, and nothing is below it", provider: "AdyenStandard", id: signature.DeliveryID{BodyPointers: []string{item + "/pspReference/0"}}},
		"Mailgun":             {reason: "the token is signed", provider: "Mailgun", want: true},
		"MailgunTimestamp":    {reason: "so is the time", provider: "Mailgun", id: signature.DeliveryID{BodyPointers: []string{"/signature/timestamp"}}, want: true},
		"MailgunEvent":        {reason: "the event is not", provider: "Mailgun", id: signature.DeliveryID{BodyPointers: []string{"/event-data/id"}}},
		"MailgunTokenAndMore": {reason: "who can change a part of the id can change the id", provider: "Mailgun", id: signature.DeliveryID{BodyPointers: []string{"/signature/token", "/event-data/id"}}},
		"HubSpot":             {reason: "the whole body is", provider: "HubSpot", id: signature.DeliveryID{BodyPointers: []string{"/0/eventId"}}, want: true},
		"TwilioBody":          {reason: "the body may be signed by a digest in the URL or as parameters; nobody vouches for JSON in it", provider: "Twilio", id: signature.DeliveryID{BodyPointers: []string{"/sid"}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			preset, ok := signature.PresetByName(tc.provider)
			if !ok {
				t.Fatal("there is no such preset")
			}
			scheme := preset.Scheme
			if len(tc.id.BodyPointers) > 0 {
				scheme.DeliveryID = tc.id
			}
			if err := scheme.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := scheme.SignsDeliveryID(); got != tc.want {
				t.Errorf("%s: signed %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
