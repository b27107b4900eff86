/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

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
		"Number":      {reason: "as it is written, so that none is rounded", id: pointers("/id"), body: `{"id":123456789012345678901}`, want: signature.Result{DeliveryID: "123456789012345678901", Signed: true}},
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

// TestSignsDeliveryID shows which ids are taken for signed. One that is not may be anybody's, and what is taken for a repetition because
// of it is lost.
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
