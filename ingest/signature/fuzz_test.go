/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// FuzzHeaders throws headers at every preset. None may be accepted, none may make it panic, and Parse may refuse nothing
// that Verify would take.
func FuzzHeaders(f *testing.F) {
	type one struct {
		preset   signature.Preset
		verifier *signature.Verifier
	}
	var all []one
	for _, p := range signature.Presets() {
		s := newSigner(p.Scheme, []byte("a secret that no fuzzer finds"))
		all = append(all, one{p, s.verifier(f)})
	}
	f.Add("t=1767225600,v1=00", "1767225600", "msg_1", []byte("{}"))
	f.Add("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1a,", "2026-01-01T00:00:00Z", "", []byte(nil))
	f.Add("sha256="+strings.Repeat("0", 64), "-1", "\xff", []byte("a=b&c=%zz"))
	for _, v := range vectors(f) {
		if strings.HasPrefix(v.ID, "adyen-standard-0") || strings.HasPrefix(v.ID, "mailgun-0") || strings.HasPrefix(v.ID, "twilio-0") {
			f.Add(v.Headers["X-Twilio-Signature"], "1767225600", "id", v.body(f))
		}
	}
	f.Fuzz(func(t *testing.T, value, timestamp, id string, body []byte) {
		now := time.Unix(1767225600, 0)
		for _, o := range all {
			headers := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "X-Hmac-Hash": {value}, "X-Contentful-Signed-Headers": {id}}
			for _, name := range o.preset.Scheme.Headers {
				headers.Set(name, value)
				headers.Set(name+"1", value)
			}
			for _, name := range o.preset.Scheme.Timestamp.Headers {
				headers.Set(name, timestamp)
			}
			for _, name := range o.preset.Scheme.DeliveryID.Headers {
				headers.Set(name, id)
			}
			request := signature.Request{Method: http.MethodPost, URL: "https://hooks.example.com/" + id, Headers: headers}
			if _, err := o.verifier.Verify(request, body, now); err == nil {
				t.Errorf("%s accepts %q", o.preset.Name, headers)
			}
			if o.preset.Name == "Stripe" { // enough of it for all
				_ = o.verifier.Explain(request, body, now).String()
			}
		}
	})
}

// FuzzTemplate checks that a template that is valid signs the body and leaves no brace unread.
func FuzzTemplate(f *testing.F) {
	f.Add("{body}", []byte("x"))
	f.Add("v0:{timestamp}:{body}{{}}", []byte("{id}"))
	f.Add("{{body}}{body}{method}{url}.{id}", []byte(nil))
	f.Fuzz(func(t *testing.T, template string, body []byte) {
		scheme := signature.Scheme{
			Algorithm: signature.SHA256, Template: template,
			Timestamp:  signature.Timestamp{Headers: []string{"X-Time"}},
			DeliveryID: signature.DeliveryID{Headers: []string{"X-Id"}},
		}
		if !strings.Contains(template, "{timestamp}") {
			scheme.Timestamp = signature.Timestamp{}
		}
		if scheme.Validate() != nil {
			return
		}
		s := newSigner(scheme, []byte("seed"))
		mac := s.mac(s.content(body))
		if _, err := s.verifier(t).Verify(s.request(mac), body, s.now); err != nil {
			t.Errorf("%q: %v", template, err)
		}
		if _, err := s.verifier(t).Verify(s.request(mac), append(body, 'x'), s.now); err == nil {
			t.Errorf("%q: another body is accepted", template)
		}
	})
}

// FuzzDeliveryID compares the reader of JSON with encoding/json, for one level.
func FuzzDeliveryID(f *testing.F) {
	f.Add([]byte(`{"id":"a"}`), "id")
	f.Add([]byte(`{"x":[1,{"id":2}],"id":"\u00e9\"\\"}`), "id")
	f.Add([]byte(` {"a/b" : true , "c~" : [ ] } `), "a/b")
	f.Add([]byte(`[["id"],{"id":"a","id":"b"}]`), "1")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		pointer := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		scheme := signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{pointer}}}
		if scheme.Validate() != nil {
			return
		}
		s := newSigner(scheme, []byte("seed"))
		result, err := s.verifier(t).Verify(s.request(s.mac(body)), body, s.now)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(result.DeliveryID) || len(result.DeliveryID) > signature.MaxDeliveryID {
			t.Errorf("%q is no id", result.DeliveryID)
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) != nil || strings.HasPrefix(result.DeliveryID, "sha256:") {
			return
		}
		var text string
		switch raw := fields[name]; {
		case len(raw) == 0 || result.DeliveryID == "": // absent, ambiguous, or not a scalar
			if len(raw) == 0 && result.DeliveryID != "" {
				t.Errorf("%q is not there", result.DeliveryID)
			}
		case json.Unmarshal(raw, &text) == nil && text != result.DeliveryID && raw[0] == '"':
			t.Errorf("got %q, encoding/json has %q", result.DeliveryID, text)
		case raw[0] != '"' && string(raw) != result.DeliveryID:
			t.Errorf("got %q, encoding/json has %q", result.DeliveryID, raw)
		}
	})
}

// FuzzChallenge checks that nothing is repeated that could mean something to a browser.
func FuzzChallenge(f *testing.F) {
	f.Add("challenge=abc")
	f.Add("challenge=%3Cscript%3E")
	f.Add("hub.mode=subscribe&hub.verify_token=x&hub.challenge=1")
	dropbox := newSigner(preset(f, "Dropbox"), []byte("seed")).verifier(f)
	meta := newSigner(preset(f, "Meta"), []byte("a secret that no fuzzer finds")).verifier(f)
	f.Fuzz(func(t *testing.T, query string) {
		if answer, ok := dropbox.Challenge(query); ok && (len(answer.Body) > 512 || strings.ContainsAny(string(answer.Body), "<>\"'&\r\n\x00 ")) {
			t.Errorf("%q is repeated", answer.Body)
		}
		if _, ok := meta.Challenge(query); ok {
			t.Errorf("%q is answered", query)
		}
	})
}
