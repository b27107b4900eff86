/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// FuzzHeaders throws headers at every preset. None may be accepted, none may make it panic, and
// Parse may refuse nothing that Verify would take.
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
			if _, err := verifyBothWays(t, o.verifier, request, body, now); err == nil {
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
		_, err := verifyBothWays(t, s.verifier(t), s.request(mac), body, s.now)
		// The id may have the text beside it, and the body may go on like the id.
		unclear := strings.Contains(template, "{id}") && (err == signature.ErrHeaderMalformed || err == signature.ErrIDAmbiguous) //nolint:errorlint // a Cause is never wrapped
		if err != nil && !unclear {
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
	f.Add([]byte(`{"\ud800\u0069\/\b\f\n\r\t\"\\\ud83d\ude00":"\udfff"}`), "\ufffdi/\b\f\n\r\t\"\\😀")
	f.Add([]byte(`{"\ud800":"json:1","\ufffd":1}`), "\xff")
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
		case json.Unmarshal(raw, &text) == nil && text != result.DeliveryID && raw[0] == '"' && !writesText(result.DeliveryID, text):
			t.Errorf("got %q, encoding/json has %q", result.DeliveryID, text)
		case raw[0] != '"' && "json:"+string(raw) != result.DeliveryID:
			t.Errorf("got %q, encoding/json has %q", result.DeliveryID, raw)
		}
	})
}

// FuzzChallenge checks that nothing is repeated that could mean something to a browser, and that
// nobody is answered who does not have Meta's token.
func FuzzChallenge(f *testing.F) {
	f.Add("challenge=abc")
	f.Add("challenge=%3Cscript%3E")
	f.Add("hub.mode=subscribe&hub.verify_token=x&hub.challenge=1")
	dropbox := newSigner(preset(f, "Dropbox"), []byte("seed")).verifier(f)
	meta := newSigner(preset(f, "Meta"), []byte("seed")).verifier(f).WithVerifyToken(signature.Key{Secret: []byte("a token that no fuzzer finds")})
	f.Fuzz(func(t *testing.T, query string) {
		if q, ok := dropbox.Asked(query); ok {
			answer, err := dropbox.Reply(q)
			if err != nil || len(answer.Body) > 512 || strings.ContainsAny(string(answer.Body), "<>\"'&\r\n\x00 ") {
				t.Errorf("%q is repeated, or %v", answer.Body, err)
			}
		}
		if q, ok := meta.Asked(query); ok {
			if _, err := meta.Reply(q); !errors.Is(err, signature.ErrVerifyTokenWrong) {
				t.Errorf("%q gets %v", query, err)
			}
		}
	})
}

// FuzzHandshake checks that what is answered in place of being stored has exactly the shape that
// the provider documents. encoding/json reads it, which has nothing in common with what is tested.
func FuzzHandshake(f *testing.F) {
	for _, body := range []string{
		slackHandshake, zoomHandshake, discordInteractionsPing, discordEventsPing,
		`{"type":1,"event":{"type":"APPLICATION_AUTHORIZED"},"version":1,"application_id":"1"}`,
		`{"type":"url_verification","challenge":"a","type":"event_callback"}`,
		`{"payload":{"plainToken":"a","plainToken":"b"},"event":"endpoint.url_validation"}`,
		`{"id":"1","application_id":"2","token":"3","version":1,"type":1,"t\u0079pe":2}`,
	} {
		f.Add(body)
	}
	signers := map[string]signer{}
	for _, name := range []string{"Slack", "Zoom", "Discord"} {
		signers[name] = newSigner(preset(f, name), []byte("FuzzHandshake"))
	}
	interaction := []string{"event", "data", "message", "member", "guild", "guild_id", "channel", "channel_id"}
	f.Fuzz(func(t *testing.T, body string) {
		for name, s := range signers {
			result, err := s.verifier(t).Verify(s.request(s.mac(s.content([]byte(body)))), []byte(body), s.now)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if result.Challenge == nil {
				continue
			}
			got := onceEach(t, body)
			names := slices.Sorted(maps.Keys(got))
			good := false
			switch {
			case name == "Slack":
				text, ok := got["challenge"].(string)
				good = got["type"] == "url_verification" && ok && string(result.Challenge.Body) == text &&
					len(slices.DeleteFunc(names, func(n string) bool { return n == "token" })) == 2
			case name == "Zoom":
				payload, ok := got["payload"].(map[string]any)
				good = got["event"] == "endpoint.url_validation" && ok && len(payload) == 1 && payload["plainToken"] != nil &&
					len(slices.DeleteFunc(names, func(n string) bool { return n == "event_ts" })) == 2
			case result.Challenge.Status == 204:
				good = got["type"] == json.Number("0") && slices.Equal(names, []string{"application_id", "type", "version"})
			default:
				good = got["type"] == json.Number("1") && got["id"] != nil && got["token"] != nil && got["application_id"] != nil &&
					!slices.ContainsFunc(interaction, func(n string) bool { return slices.Contains(names, n) })
			}
			if !good {
				t.Errorf("%s: %q is taken for a handshake", name, body)
			}
		}
	})
}

// onceEach reads a JSON object, and fails if a name stands there twice.
func onceEach(t *testing.T, body string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	got := map[string]any{}
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		t.Fatalf("%q is no object: %v", body, err)
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		name, _ := token.(string)
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if _, twice := got[name]; twice {
			t.Errorf("%q has %q twice", body, name)
		}
		got[name] = value
	}
	return got
}

// FuzzScheme makes schemes of whatever an owner may write. What Validate lets pass makes a
// verifier; that accepts what was signed as the scheme says, and nothing of what a sender without
// the key makes up.
func FuzzScheme(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256=", "", "", "", "{body}", "sha256=00", []byte("{}"), uint8(0), uint8(0))
	f.Add("stripe-signature", "", ",", "=", "v1", "{id}.{body}", "t=1,v1=00", []byte(nil), uint8(3), uint8(1))
	f.Add("webhook-signature", "v1,", " ", "", "", "", "v1,AA== v1,", []byte("a"), uint8(8), uint8(2))
	f.Add("X", "=", "=", "", "", "{{}}{body}", "====", []byte("a"), uint8(1), uint8(0))
	f.Add("X", "", "a", "b", "c", "{url}\n{method}\n{body}", "cb00acb00", []byte("a"), uint8(2), uint8(0))
	f.Add("X-\u00e9", "", ";", ";", "", "{id}{body}", "", []byte("a"), uint8(200), uint8(7))
	f.Fuzz(func(t *testing.T, header, prefix, items, fields, field, template, forged string, body []byte, algorithm, encoding uint8) {
		scheme := signature.Scheme{
			Algorithm: signature.Algorithms()[int(algorithm)%(len(signature.Algorithms())-1)], // all but Token
			Encoding:  []signature.Encoding{"", signature.Hex, signature.Base64, signature.Base64URL, "Base32"}[encoding%5],
			Headers:   []string{header}, Prefix: prefix, ItemSeparator: items, FieldSeparator: fields, Template: template,
		}
		if fields != "" {
			scheme.SignatureFields = []string{field}
		}
		if strings.Contains(template, "{id}") {
			scheme.DeliveryID.Headers = []string{"X-Delivery"}
		}
		s := newSigner(scheme, []byte("a seed that no fuzzer finds"))
		_, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: s.stored})
		if invalid := scheme.Validate(); (err == nil) != (invalid == nil) {
			t.Fatalf("%+v: valid %v, a verifier %v", scheme, invalid, err)
		}
		if err != nil {
			return
		}
		v := s.verifier(t)
		request := s.request(s.mac(s.content(body)))
		name := http.CanonicalHeaderKey(header)
		// A separator, a blank or an id can make it impossible to tell what is what. Nothing is
		// accepted then.
		plain := items == "" && fields == "" && strings.TrimLeft(prefix, " \t") == prefix && len(scheme.DeliveryID.Headers) == 0
		if _, err := verifyBothWays(t, v, request, body, s.now); plain && err != nil {
			t.Errorf("%+v refuses %q: %v", scheme, request.Headers, err)
		}
		if _, err := verifyBothWays(t, v, request, append(slices.Clip(body), 'x'), s.now); err == nil {
			t.Errorf("%+v accepts another body", scheme)
		}
		request.Headers[name] = []string{forged}
		if _, err := verifyBothWays(t, v, request, body, s.now); err == nil {
			t.Errorf("%+v accepts %q", scheme, forged)
		}
	})
}

// valueAt follows a JSON pointer by encoding/json's tokens. Of a name that stands twice in an
// object there is no value.
func valueAt(t *testing.T, decoder *json.Decoder, path []string) (text string, found bool) {
	t.Helper()
	next := func() json.Token {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err) // what is valid has tokens
		}
		return token
	}
	token := next()
	switch token {
	case json.Delim('{'), json.Delim('['):
		matches := 0
		for i := 0; decoder.More(); i++ {
			name := strconv.Itoa(i)
			if token == json.Delim('{') {
				name, _ = next().(string)
			}
			if len(path) > 0 && name == path[0] {
				matches++
				text, found = valueAt(t, decoder, path[1:])
			} else {
				valueAt(t, decoder, nil)
			}
		}
		next()
		return text, found && matches == 1
	}
	if len(path) > 0 {
		return "", false
	}
	switch token := token.(type) {
	case string:
		return token, true
	case json.Number:
		return "json:" + token.String(), true
	case bool:
		return "json:" + strconv.FormatBool(token), true
	}
	return "", false
}

// writesText says whether an id that is JSON is the same string to encoding/json, to which all
// halves of surrogate pairs are U+FFFD, and one that had to be written so.
func writesText(id, text string) bool {
	written, ok := strings.CutPrefix(id, "json:")
	var got string
	return ok && json.Unmarshal([]byte(written), &got) == nil && got == text &&
		(strings.HasPrefix(text, "json:") || strings.Contains(strings.ToLower(written), `\ud`))
}

// FuzzPointer compares what a JSON pointer leads to with what encoding/json finds there.
func FuzzPointer(f *testing.F) {
	f.Add("/a/b", []byte(`{"a":{"b":"c"}}`))
	f.Add("/a/0/b", []byte(` { "a" : [ { "b" : 1e5 } , 2 ] } `))
	f.Add("/a~1b/~0", []byte(`{"a/b":{"~":true}}`))
	f.Add("/a", []byte(`{"a":1,"\u0061":2}`))
	f.Add("/01", []byte(`["a","b"]`))
	f.Add("//", []byte(`{"":{"":"x"}}`))
	f.Add("/a/b", []byte(`{"a":{"b":"}\"]"},"c":"{"}`))
	f.Add("/\ufffd\n", []byte(`{"\udfff\u000a":"json:\ud800"}`))
	f.Add("/a", []byte(`{"a":"json:1"}`))
	f.Fuzz(func(t *testing.T, pointer string, body []byte) {
		scheme := signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{pointer}}}
		if scheme.Validate() != nil || !utf8.Valid(body) {
			return
		}
		s := newSigner(scheme, []byte("seed"))
		result, err := s.verifier(t).Verify(s.request(s.mac(body)), body, s.now)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if json.Valid(body) {
			path := strings.Split(pointer[1:], "/")
			for i := range path {
				path[i] = strings.ReplaceAll(strings.ReplaceAll(path[i], "~1", "/"), "~0", "~")
			}
			decoder := json.NewDecoder(bytes.NewReader(body))
			decoder.UseNumber()
			value, found := valueAt(t, decoder, path)
			if strings.HasPrefix(result.DeliveryID, "sha256:") && strings.Contains(value, "\ufffd") || writesText(result.DeliveryID, value) {
				return
			}
			if found {
				want = value
			}
		}
		if len(want) > signature.MaxDeliveryID {
			digest := sha256.Sum256([]byte(want))
			want = "sha256:" + hex.EncodeToString(digest[:])
		}
		if result.DeliveryID != want {
			t.Errorf("%q of %q: %q, want %q", pointer, body, result.DeliveryID, want)
		}
	})
}

// FuzzForm signs forms as Twilio does, by an implementation of its own. A form is accepted exactly
// if it can be read in one way, and begins, sorted, with a capital letter or what no URL has.
func FuzzForm(f *testing.F) {
	f.Add("Body=Hello+there&From=%2B1555")
	f.Add("b=2&a=1&b=1&b=2&&a")
	f.Add("a=%zz")
	f.Add("a;b=c")
	f.Add("=")
	f.Add("%41=%ff&A=")
	f.Add("AccountSid=a&%26bodySHA256=00")
	f.Add("a%3Fb=c&:443=")
	f.Add("First+Name=Bob&widgets%3Ax=1&%C3%A9=1")
	f.Add("%C3%A9=1")
	const moreOfURL = "abcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?%[]"
	scheme := preset(f, "Twilio")
	s := newSigner(scheme, []byte("seed"))
	verifier := s.verifier(f)
	f.Fuzz(func(t *testing.T, form string) {
		if form == "" || len(form) > 100<<10 || strings.Count(form, "&") >= 1000 {
			return
		}
		readable := true
		var pairs [][2]string
		for part := range strings.SplitSeq(form, "&") {
			if part == "" {
				continue
			}
			name, value, _ := strings.Cut(part, "=")
			for _, text := range []*string{&name, &value} {
				decoded, err := url.QueryUnescape(*text)
				*text = decoded
				readable = readable && err == nil && !strings.Contains(part, ";")
			}
			readable = readable && name != ""
			pairs = append(pairs, [2]string{name, value})
		}
		slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
		content := s.url
		for _, pair := range slices.Compact(pairs) {
			content += pair[0] + pair[1]
		}
		readable = readable && len(pairs) > 0 && strings.IndexByte(moreOfURL, content[len(s.url)]) < 0
		// A parameter bodySHA256 of the URL would stand for the body: this URL has none.
		request := s.request(s.mac([]byte(content)))
		request.Headers = http.Header(request.Headers).Clone()
		http.Header(request.Headers).Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, err := verifier.Verify(request, []byte(form), s.now)
		switch {
		case readable && len(pairs) > 0 && err != nil:
			t.Errorf("%q: %v", form, err)
		case (!readable || len(pairs) == 0) && err == nil:
			t.Errorf("%q is accepted, and cannot be read", form)
		}
	})
}

// FuzzSecret reads what may be stored as a key. It is one or it is none: nothing is trimmed, what
// it stands for can be written as it was stored, and no error says anything of it.
func FuzzSecret(f *testing.F) {
	for i := range uint8(3) {
		f.Add([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "whsec_", i, false)
		f.Add([]byte("00ff\n"), "", i, false)
		f.Add([]byte(" \t\r\n\x00"), "", i, true)
		f.Add([]byte("whpk_"), "whpk_", i, false)
		f.Add([]byte(hex.EncodeToString(make([]byte, 32))), "", i, true)
		f.Add([]byte("QUJD\r\nRA=="), "", i, true)
	}
	said := regexp.MustCompile(`^is blank( once it is decoded)?$|^has white space around its (hex|base64); store it without \(printf instead of echo\)$|` +
		`^is not (hex|base64) in one line, as the scheme has it$|^is not a public key of Ed25519: those have 32 bytes, and are none of the few that anybody can sign for$`)
	f.Fuzz(func(t *testing.T, stored []byte, prefix string, encoding uint8, public bool) {
		scheme := signature.Scheme{Algorithm: signature.SHA256, Secret: signature.Secret{
			StripPrefix: prefix, Encoding: []signature.SecretEncoding{signature.SecretRaw, signature.SecretHex, signature.SecretBase64}[encoding%3],
		}}
		if public {
			scheme.Algorithm = signature.Ed25519
		}
		if scheme.Validate() != nil {
			return
		}
		before := bytes.Clone(stored)
		key, err := scheme.DecodeSecret(stored)
		if !bytes.Equal(before, stored) {
			t.Fatal("the stored key is changed")
		}
		if _, verr := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: stored}); (verr == nil) != (err == nil) {
			t.Fatalf("%q: %v, but as a verifier's %v", stored, err, verr)
		}
		if err != nil {
			if !said.MatchString(err.Error()) {
				t.Errorf("%q: the error is %q", stored, err)
			}
			return
		}
		if signature.Blank(stored) || signature.Blank(key) || public && len(key) != 32 {
			t.Errorf("%q stands for %q, which is no key", stored, key)
		}
		text := strings.TrimPrefix(string(stored), prefix)
		written := store(signature.Scheme{Secret: signature.Secret{Encoding: scheme.Secret.Encoding}}, key)
		if same := text == string(written) || scheme.Secret.Encoding == signature.SecretHex && strings.EqualFold(text, string(written)); !same {
			t.Errorf("%q stands for %q, which is written %q", stored, key, written)
		}
	})
}

// FuzzExplain has refused requests looked into. What is said comes from a short list of sentences,
// with nothing in it that the request or a key could choose; it is "accepted" exactly of what is;
// and what was signed with a former key is known by it.
func FuzzExplain(f *testing.F) {
	f.Add("sha256=00", "1767225600", "", []byte("{}"), []byte("secret\n"), uint8(0))
	f.Add(strings.Repeat("0", 40), "1767225600123", "gzip", []byte("\x1f\x8b"), []byte("whsec_c2VjcmV0"), uint8(1))
	f.Add("t=1767225600,v1="+strings.Repeat("0", 64), "", "identity", []byte(" [ 1 ] "), []byte("c2VjcmV0"), uint8(2))
	f.Add(strings.Repeat("A", 43)+"=", "1", "", []byte(nil), []byte("00ff"), uint8(3))
	names := []string{"", "GitHub", "Stripe", "Slack", "StandardWebhooks", "Discord", "Twilio", "AdyenStandard"}
	algorithms := make([]string, 0, len(signature.Algorithms()))
	for _, a := range signature.Algorithms() {
		algorithms = append(algorithms, regexp.QuoteMeta(string(a)))
	}
	said := regexp.MustCompile(`^(the request is good|the request has no header [A-Z][A-Za-z0-9-]*|the signature is as long as one of (` + strings.Join(algorithms, "|") + `)` +
		`|the signature is in (base64, but hexadecimal digits are expected|hexadecimal digits, but base64 is expected)` +
		`|the signature has (no prefix, but one is expected|a prefix, but none is expected, or another)` +
		`|the key "key" ends in white space and would match without it; store it without \(printf instead of echo\)` +
		`|the key "key" would match (with whsec_ left off, or on|if it were decoded, or if it were not)` +
		`|the timestamp is [0-9]+ seconds (further ahead|older) than the tolerance allows|the timestamp is in another unit than expected` +
		`|the request was signed with the former key "former"|the body has other white space than what was signed: it was written anew on its way, or the sender signed a newline that it does not send` +
		`|the body is compressed; probably its content was signed before that|the signature is one of the body alone, but the scheme signs more than that` +
		`|the request has another query than spec\.publicURL, or none` +
		`|no usual mistake explains it; compare the key, and the bytes that the sender signs|nothing more is known)$`)
	f.Fuzz(func(t *testing.T, value, timestamp, contentEncoding string, body, secret []byte, choice uint8) {
		scheme := signature.Scheme{Algorithm: signature.SHA256}
		if name := names[int(choice)%len(names)]; name != "" {
			scheme = preset(t, name)
		}
		v, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: secret})
		if err != nil {
			return
		}
		s := newSigner(scheme, []byte("a seed that no fuzzer finds"))
		headers := http.Header{"Content-Encoding": {contentEncoding}}
		for _, name := range slices.Concat(scheme.Headers, []string{"X-HMAC-HASH"}) {
			headers.Set(name, value)
		}
		for _, name := range scheme.Timestamp.Headers {
			headers.Set(name, timestamp)
		}
		request := signature.Request{Method: http.MethodPost, URL: s.url, Headers: headers}
		_, refusal := v.Verify(request, body, s.now)
		former := signature.Key{Name: "former", Secret: s.stored}
		e := v.Explain(request, body, s.now, former)
		if (e.Hint == signature.HintAccepted) != (refusal == nil) {
			t.Errorf("%q of what is answered %v", e, refusal)
		}
		if !said.MatchString(e.String()) {
			t.Errorf("%q is said", e)
		}
		sure := !strings.Contains(scheme.Template, "{id}") || bytes.HasPrefix(body, []byte("{")) // that the body is no part of the id
		if sure && scheme.Special == "" && len(body) <= 64<<10 && !bytes.Equal(secret, s.stored) {
			if e := v.Explain(s.request(s.mac(s.content(body))), body, s.now, former); e.Hint != signature.HintFormerKey || e.Key != "former" {
				t.Errorf("%q of what was signed with the former key", e)
			}
		}
	})
}
