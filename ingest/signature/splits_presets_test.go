/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// whyOneMeaning says, of each way in which a preset has something signed, why nothing of it can pass for something else.
var whyOneMeaning = map[string]string{
	"":                        "the body is all that is signed",
	"Token":                   "nothing is signed: Preset.Weak says so",
	"{timestamp}.{body}":      "the digits end at the first dot",
	"{timestamp}:{body}":      "the digits end at the first colon",
	"v0:{timestamp}:{body}":   "the digits end at the second colon",
	"{timestamp}{body}":       "ten digits (Discord), or a date and time that ends with its zone (Zendesk)",
	"{body}{timestamp}":       "a date and time that begins with its year (Box)",
	"{id}.{timestamp}.{body}": "an id has no dot, the digits end at the second one, and no body that begins with what an id may have has another",
	"{url}{body}":             "a query is stated, or ends before the first byte that none may have, which is the first of JSON",
	"HubSpot":                 "as that, for the decoded query; the method is a known one, and the last 13 digits are the time",
	"Twilio":                  "a query is stated, or ends where AccountSidAC or CallSidCA stands first, with which the form begins. Within the form the scheme has no bounds: Preset.Weak says so",
	"Contentful":              "line breaks end the method, path and headers; the list of headers is signed too, and no value holds what begins another",
	"Mailgun":                 "ten digits, and the token is the rest. The event is not signed: Preset.Weak says so",
	"Adyen":                   "only the fourth field may have colons. The rest is not signed: Preset.Weak says so",
}

// meanings collects what requests are accepted with the same signed bytes.
type meanings struct {
	explored
	accepted map[string]bool
}

// verify notes what a request means, if it is accepted.
func (m *meanings) verify(v *signature.Verifier, r signature.Request, body string, now time.Time, meaning string) {
	m.splits++
	if _, err := v.Verify(r, []byte(body), now); err == nil {
		m.accepted[meaning] = true
	}
}

// done ends a signed text: one meaning at most has been accepted, and of what can be sent only the genuine one. It says whether that is.
func (m *meanings) done(t *testing.T, name, text, genuine string, canBeSent bool) bool {
	t.Helper()
	m.contents++
	ok := m.accepted[genuine]
	if canBeSent {
		m.likely++
	}
	if len(m.accepted) > 1 || canBeSent && len(m.accepted) == 1 && !ok {
		m.several++
		if m.several <= 10 {
			t.Errorf("%s: %q, signed for\n%s, is accepted as each of\n%q", name, text, genuine, slices.Sorted(maps.Keys(m.accepted)))
		}
	}
	if ok {
		m.genuine++
	}
	m.accepted = map[string]bool{}
	return ok
}

func newMeanings() *meanings { return &meanings{accepted: map[string]bool{}} }

// TestPresetsHaveOneMeaning does with each preset what TestSignedBytesHaveOneMeaning does with made up templates, and loses no ordinary
// request by it.
func TestPresetsHaveOneMeaning(t *testing.T) {
	var e explored
	specials := map[signature.Special]func(*testing.T, signer) explored{
		signature.SpecialTwilio: splitTwilio, signature.SpecialHubSpot: splitHubSpot, signature.SpecialContentful: splitContentful,
		signature.SpecialMailgun: splitMailgun, signature.SpecialAdyen: splitAdyen,
	}
	unused := maps.Clone(whyOneMeaning)
	for _, preset := range signature.Presets() {
		scheme := preset.Scheme
		way := scheme.Template
		switch {
		case scheme.Special != "":
			way = string(scheme.Special)
		case scheme.Algorithm == signature.Token:
			way = "Token"
		}
		if _, ok := whyOneMeaning[way]; !ok {
			t.Errorf("%s: nothing says why what it signs has one meaning", preset.Name)
		}
		delete(unused, way)
		if way == "Token" {
			continue
		}
		e.schemes++
		s := newSigner(scheme, []byte(preset.Name))
		if scheme.Special != "" {
			special := specials[scheme.Special](t, s)
			t.Logf("%s: of %d signed texts %d are accepted as they were sent; %d splits", preset.Name, special.contents, special.genuine, special.splits)
			e.contents, e.likely, e.genuine = e.contents+special.contents, e.likely+special.likely, e.genuine+special.genuine
			e.splits, e.several = e.splits+special.splits, e.several+special.several
			continue
		}
		v := s.verifier(t)
		now := s.timestamp()
		for _, id := range []string{"msg_1", "evt-2", "a.b", ".", "a." + now, now} {
			for _, query := range []string{"", "a=1", "a=1&b=2", "?", "{", "a" + `{"a":1}`} {
				for _, body := range []string{"", "{}", `{"a":1}`, `[1]`, "a=1&b=2", "?a=1", "&a=1", "0", now, now + ".", "." + now + ".{}", now + ":{}", "\n", "x" + now, "{}0", "=1{}?"} {
					p := parts{method: "POST", url: "https://h/p", query: query, id: id, timestamp: now, body: body}
					ordinary := scheme.Timestamp.BodyPointer == "" && !strings.Contains(id, ".")
					switch structured := json.Valid([]byte(body)) && (body[0] == '{' || body[0] == '['); scheme.Template {
					case "{url}{body}":
						ordinary = ordinary && !strings.Contains(query, "{") && (structured || query == "" && !strings.HasPrefix(body, "?"))
					case "{id}.{timestamp}.{body}":
						ordinary = ordinary && structured
					}
					if accepted := checkSplits(t, s, v, p, &e); ordinary && !accepted {
						t.Errorf("%s: a genuine request is refused: %+v", preset.Name, p)
					}
				}
			}
		}
	}
	e.log(t)
	if e.several > 0 {
		t.Errorf("%d signed texts have several meanings", e.several)
	}
	for way := range unused {
		t.Errorf("no preset signs %s", way)
	}
}

// splitTwilio splits what Twilio signs between the query and the form. Each rest is sent as the forms of one parameter that it can be.
func splitTwilio(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	const address = "https://h/p"
	structured := `{"a":1}`
	digest := sha256.Sum256([]byte(structured))
	withDigest := "bodySHA256=" + hex.EncodeToString(digest[:])
	for _, stated := range []string{"", "?a=1", "?AccountSid=2"} {
		for _, query := range []string{"", "a=1", "a=1&b=AccountSid", "AccountSid=AC1", "a=Call", "callSid", "a=CallSidx", "a=1&AccountSidAC", "a=1&" + withDigest, withDigest, "Body=b&" + withDigest, "AccountSid=2&" + withDigest} {
			for _, form := range []string{"", "AccountSidAC1BodyxCallSidCA2", "CallSidCA2", "BodyAccountSid", "Sid1", "From1", "=1&AccountSid2", "?a=1AccountSidAC1", ":443/pAccountSid1", "&" + withDigest, "AccountSidAC1&" + withDigest} {
				hasDigest := strings.Contains(query, "bodySHA256")
				if _, q, ok := strings.Cut(stated, "?"); ok && !strings.HasPrefix(query, q) || hasDigest && form != "" {
					continue
				}
				text := address
				if query != "" {
					text += "?" + query
				}
				text += form
				mac := s.mac([]byte(text))
				for _, base := range []string{address, "https://h:443/p"} {
					send := func(query, rest string) {
						r := s.request(mac)
						r.URL, r.Query = base+stated, query
						r.Headers["Content-Type"] = []string{"application/x-www-form-urlencoded"}
						meaning := "query " + query + ", form " + rest
						if rest == "" {
							m.verify(v, r, "", s.now, meaning)
						}
						m.verify(v, r, structured, s.now, meaning) // of which nothing is signed but the digest
						for i := range len(rest) + 1 {
							m.verify(v, r, url.Values{rest[:i]: {rest[i:]}}.Encode(), s.now, meaning)
						}
					}
					rest := strings.TrimPrefix(text, address)
					send("", rest)
					if behind, ok := strings.CutPrefix(rest, "?"); ok {
						for i := range len(behind) + 1 {
							send(behind[:i], behind[i:])
						}
					}
				}
				sids := (form == "" || strings.HasPrefix(form, "AccountSidAC1B") || form == "CallSidCA2") && !strings.Contains(query, "AccountSidAC")
				accepted := m.done(t, "Twilio"+stated, text, "query "+query+", form "+form, sids)
				plain := form == "" || strings.HasPrefix(form, "AccountSidAC1B") || form == "CallSidCA2" // a form that is like Twilio's
				told := stated != "" && (!hasDigest || strings.HasPrefix("?"+query, stated+"&bodySHA256=") || "?"+query == stated) ||
					stated == "" && !strings.Contains(query, "AccountSidAC")
				if exact := stated == "" || "?"+query == stated || hasDigest && strings.HasPrefix("?"+query, stated+"&bodySHA256="); plain && told && exact && !accepted {
					t.Errorf("publicURL with %q: a genuine request is refused: query %q, form %q", stated, query, form)
				}
			}
		}
	}
	return m.explored
}

// splitHubSpot splits what HubSpot signs between the method, the query, the body and the time.
func splitHubSpot(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	encode := strings.NewReplacer("?", "%3F", ":", "%3a", "/", "%2F")
	for _, stated := range []string{"", "?a=b", "?x%3Ay"} {
		for _, query := range []string{"", "a=b", "a=b?c:d", "?", "x:y", "a{}", s.timestamp()} {
			for _, body := range []string{"", "{}", "[]", `{"a":1}`, "a=b", "?a=b", "0", "[" + s.timestamp(), s.timestamp(), "{}0"} {
				decoded := "https://h/p"
				if query != "" {
					decoded += "?" + query
				}
				if _, q, ok := strings.Cut(stated, "?"); ok && strings.ReplaceAll(q, "%3A", ":") != query {
					continue
				}
				text := "POST" + decoded + body + s.timestamp()
				mac := s.mac([]byte(text))
				eachSplit("{method}{url}{body}{timestamp}", "https://h/p", text, signature.Milliseconds, func(p parts) {
					if len(p.timestamp) > 15 {
						return
					}
					for _, query := range []string{p.query, encode.Replace(p.query)} {
						sent := s
						sent.text = p.timestamp
						r := sent.request(mac)
						r.Method, r.URL, r.Query = p.method, "https://h/p"+stated, query
						m.verify(v, r, p.body, timeOf(p.timestamp, signature.Milliseconds), fmt.Sprintf("%+v", p))
					}
				})
				p := parts{method: "POST", url: "https://h/p", query: query, timestamp: s.timestamp(), body: body}
				accepted := m.done(t, "HubSpot"+stated, text, fmt.Sprintf("%+v", p), canBeSent(p))
				ordinary := json.Valid([]byte(body)) && (body[0] == '{' || body[0] == '[') || query == "" && !strings.HasPrefix(body, "?") || stated != ""
				if ordinary && query != "a{}" && stated != "?x%3Ay" && !accepted {
					t.Errorf("publicURL with %q: a genuine request is refused: query %q, body %q", stated, query, body)
				}
			}
		}
	}
	return m.explored
}

// splitContentful splits the line of headers that Contentful signs at its semicolons, in all ways.
func splitContentful(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	const list, stamp = "x-contentful-signed-headers", "x-contentful-timestamp"
	now := s.timestamp()
	for _, headers := range []map[string]string{
		{list: list + "," + stamp, stamp: now},
		{list: "content-type," + stamp + "," + list, stamp: now, "content-type": "application/json; charset=utf-8"},
		{list: list + "," + stamp + ",x-b", stamp: now, "x-b": "1;x-c:2"},
		{list: list + "," + stamp + ",a", stamp: now, "a": "1;" + list + ":" + list + "," + stamp + ",a;" + stamp + ":1"},
		{list: list + "," + stamp + ",z", stamp: now, "z": "1;z:2"},
		{list: list + ",a," + stamp, stamp: now, "a": "1;" + stamp + ":" + now},
		{list: stamp + "," + list + ",y,z", stamp: now, "y": "1;z:2", "z": "3"},
	} {
		names := slices.Sorted(maps.Keys(headers))
		pairs := make([]string, len(names))
		for i, name := range names {
			pairs[i] = name + ":" + headers[name]
		}
		line := strings.Join(pairs, ";")
		for _, body := range []string{"", "{}", "\n{}", line + "\n{}"} {
			text := "POST\n/p\n" + line + "\n" + body
			mac := s.mac([]byte(text))
			for end := range text { // of the line; no header has a line break in it
				if text[end] != '\n' || end < len("POST\n/p\n") {
					continue
				}
				cuts := strings.Split(text[len("POST\n/p\n"):end], ";")
				for choice := range 1 << (len(cuts) - 1) {
					r := s.request(mac)
					r.URL, r.Query = "https://h/p", ""
					delete(r.Headers, http.CanonicalHeaderKey(stamp))
					pair, fine := cuts[0], true
					add := func() {
						name, value, ok := strings.Cut(pair, ":")
						key := textproto.CanonicalMIMEHeaderKey(name)
						if _, had := r.Headers[key]; !ok || had || strings.ContainsAny(value, "\n") {
							fine = false
							return
						}
						r.Headers[key] = []string{value}
					}
					for i, cut := range cuts[1:] {
						if choice>>i&1 == 1 {
							add()
							pair = cut
						} else {
							pair += ";" + cut
						}
					}
					if add(); !fine {
						continue
					}
					at := r.Headers[http.CanonicalHeaderKey(stamp)]
					if len(at) == 0 {
						continue
					}
					delete(r.Headers, http.CanonicalHeaderKey("X-Contentful-Idempotency-Key"))
					m.verify(v, r, text[end+1:], timeOf(at[0], signature.Milliseconds), fmt.Sprintf("%v %q", r.Headers, text[end+1:]))
				}
			}
			if accepted := len(m.accepted) > 0; !accepted && len(headers) <= 3 && !strings.Contains(line, "1;") {
				t.Errorf("a genuine request is refused: %q", text)
			}
			m.done(t, "Contentful", text, strings.Join(slices.Collect(maps.Keys(m.accepted)), ""), true)
		}
	}
	return m.explored
}

// splitMailgun splits the time from the token, which is the delivery's id.
func splitMailgun(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	for _, token := range []string{strings.Repeat("70b5477167", 5), strings.Repeat("0", 50), "e0b5477167110d68991efc6b9f89f0a11066af27834600e123", "1"} {
		text := s.timestamp() + token
		mac := hex.EncodeToString(s.mac([]byte(text)))
		for i := range len(text) {
			timestamp, rest := text[:i], text[i:]
			body := fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q}}`, timestamp, rest, mac)
			m.verify(v, signature.Request{Method: "POST"}, body, timeOf(timestamp, signature.Seconds), rest)
		}
		if !m.done(t, "Mailgun", text, token, true) {
			t.Errorf("a genuine request is refused: %q", text)
		}
	}
	return m.explored
}

// splitAdyen takes any seven of the colons for those between the fields.
func splitAdyen(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	for _, fields := range [][]string{
		{"psp", "orig", "account", "ref", "1000", "EUR", "AUTHORISATION", "true"},
		{"psp", "", "account", "a:b\\c", "1000", "EUR", "AUTHORISATION", "true"},
		{"psp", "", "account", "::", "0", "EUR", "CAPTURE", "false"},
		{"p:q", "", "account", "ref", "1000", "EUR", "REFUND", "true"},
		{"psp", "", "account", "", "1000", "EUR", "X:Y", "true"},
		{"", "", "", "", "", "", "", ""},
	} {
		text := strings.Join(fields, ":")
		cuts := strings.Split(text, ":")
		mac := s.mac([]byte(text))
		signatureText := base64.StdEncoding.EncodeToString(mac)
		for choice := range 1 << (len(cuts) - 1) {
			split := []string{cuts[0]}
			for i, cut := range cuts[1:] {
				if choice>>i&1 == 1 {
					split = append(split, cut)
				} else {
					split[len(split)-1] += ":" + cut
				}
			}
			if len(split) != len(fields) {
				continue
			}
			item := map[string]any{
				"pspReference": split[0], "originalReference": split[1], "merchantAccountCode": split[2], "merchantReference": split[3],
				"amount": map[string]any{"value": split[4], "currency": split[5]}, "eventCode": split[6], "success": split[7],
				"additionalData": map[string]any{"hmacSignature": signatureText},
			}
			body, err := json.Marshal(map[string]any{"notificationItems": []any{map[string]any{"NotificationRequestItem": item}}})
			if err != nil {
				t.Fatal(err)
			}
			m.verify(v, signature.Request{Method: "POST"}, string(body), s.now, fmt.Sprintf("%q", split))
		}
		plain := !strings.Contains(fields[0]+fields[6], ":")
		if accepted := m.done(t, "AdyenStandard", text, fmt.Sprintf("%q", fields), plain); plain != accepted {
			t.Errorf("%q is accepted: %v, want %v", fields, accepted, plain)
		}
	}
	return m.explored
}
