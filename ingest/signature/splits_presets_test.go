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

// whyOneMeaning says, of each way in which a preset has something signed, why nothing of it can
// pass for something else.
var whyOneMeaning = map[string]string{
	"":                        "the body is all that is signed",
	"Token":                   "nothing is signed: Preset.Weak says so",
	"{timestamp}.{body}":      "the digits end at the first dot",
	"{timestamp}:{body}":      "the digits end at the first colon",
	"v0:{timestamp}:{body}":   "the digits end at the second colon",
	"{timestamp}{body}":       "ten digits (Discord), or a date and time that ends with its zone (Zendesk)",
	"{body}{timestamp}":       "a date and time that begins with its year (Box)",
	"{id}.{timestamp}.{body}": "an id has no dot, the digits end at the second one, and no body that begins with what an id may have has another",
	"{url}{body}":             "the URL and its query end before the first byte that none may have, which is the first of JSON",
	"HubSpot":                 "as that, for the decoded URL; the method is a known one, and the last 13 digits are the time",
	"Twilio":                  "a query ends where AccountSidAC or CallSidCA stands first, with which the form begins; a path and a stated query end before a capital letter, so none may go on with one, and Preset.Weak says so. Within the form the scheme has no bounds: it says that too",
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

// done ends a signed text: one meaning at most has been accepted, and of what can be sent only the
// genuine one. It says whether that is.
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

// TestPresetsHaveOneMeaning does with each preset what TestSignedBytesHaveOneMeaning does with made
// up templates, and loses no ordinary request by it.
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
			t.Logf("%s: of %d signed texts %d are accepted as they were sent; %d splits, %d of them for triggers with another URL", preset.Name, special.contents, special.genuine, special.splits, special.elsewhere)
			e.contents, e.likely, e.genuine = e.contents+special.contents, e.likely+special.likely, e.genuine+special.genuine
			e.splits, e.elsewhere, e.several = e.splits+special.splits, e.elsewhere+special.elsewhere, e.several+special.several
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
						ordinary = ordinary && !strings.Contains(query, "{") && (structured || query == "" && (body == "" || strings.Contains("{\x00", body[:1])))
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

// specialURLs are those of triggers of one key, of which one begins with the other.
var specialURLs = []string{
	"https://h/p", "https://h/p?a=1", "https://h/p?AccountSid=2", "https://h/p?x%3Ay", "https://h/p-eu", "https://h/p0", "https://h/pq?a=1", "https://h/p.q/r", "https://h/p?a=1&b=2", "https://h/p?a=12", "https://h/p?a=1B", "https://h/p?a=1[0]", "https://h",
}

// goesOnWithCapital says whether a URL is another one, and more that begins with a capital letter.
func goesOnWithCapital(url, other string) bool {
	more, ok := strings.CutPrefix(url, other)
	return ok && more != "" && more[0] >= 'A' && more[0] <= 'Z'
}

// splitTwilio splits what Twilio signs between the URL, the query and the form, for all triggers.
// Each rest is sent as the forms of one parameter that it can be.
func splitTwilio(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	structured := `{"a":1}`
	digest := sha256.Sum256([]byte(structured))
	withDigest := "bodySHA256=" + hex.EncodeToString(digest[:])
	for _, sender := range specialURLs {
		address, stated, isStated := strings.Cut(sender, "?")
		queries := []string{"", "a=1", "a=1&b=AccountSid", "AccountSid=AC1", "a=Call", "callSid", "a=CallSidx", "a=1&AccountSidAC", "a=1&" + withDigest, withDigest, "Body=b&" + withDigest, "AccountSid=2&" + withDigest}
		switch {
		case isStated:
			queries = []string{stated, stated + "&" + withDigest}
		case sender != specialURLs[0]:
			queries = []string{"", "a=1", withDigest}
		}
		for _, query := range queries {
			for _, form := range []string{"", "AccountSidAC1BodyxCallSidCA2", "CallSidCA2", "ANI1AccountSidAC1", "BodyAccountSid", "Sid1", "From1", "-euAccountSidAC1", "0AccountSidAC1", "q", "2CallSidCA1", "=1&AccountSid2", "?a=1AccountSidAC1", ":443/pAccountSid1", "&" + withDigest, "AccountSidAC1&" + withDigest} {
				hasDigest := strings.Contains(query, "bodySHA256")
				if hasDigest && form != "" {
					continue
				}
				signedURL := address
				if query != "" {
					signedURL += "?" + query
				}
				text := signedURL + form
				mac := s.mac([]byte(text))
				for _, receiver := range specialURLs {
					base, statedThere, isStatedThere := strings.Cut(receiver, "?")
					rest, ok := strings.CutPrefix(text, base)
					if !ok || base == address && isStatedThere != isStated && goesOnWithCapital(text, signedURL) && !strings.HasPrefix(form, "AccountSidAC") {
						continue // to who states no query, the other could have one that goes on with a capital letter
					}
					for _, port := range []string{"", ":443"} {
						send := func(query, rest string) {
							r := s.request(mac)
							r.URL, r.Query = strings.Replace(receiver, "//h", "//h"+port, 1), query
							r.Headers["Content-Type"] = []string{"application/x-www-form-urlencoded"}
							if isStatedThere && query != statedThere && !strings.HasPrefix(query, statedThere+"&bodySHA256=") {
								return // any other is refused, whatever the form
							}
							theirs := base
							if query != "" {
								theirs += "?" + query
							}
							if receiver != sender && (goesOnWithCapital(theirs, signedURL) || goesOnWithCapital(signedURL, theirs)) {
								return
							}
							meaning := "URL " + base + ", query " + query + ", form " + rest
							body := func(text string) {
								if receiver != sender {
									m.elsewhere++
								}
								m.verify(v, r, text, s.now, meaning)
							}
							if rest == "" {
								body("")
							}
							body(structured) // of which nothing is signed but the digest
							for i := range len(rest) + 1 {
								body(url.Values{rest[:i]: {rest[i:]}}.Encode())
							}
						}
						send("", rest)
						if behind, ok := strings.CutPrefix(rest, "?"); ok {
							for i := range len(behind) + 1 {
								send(behind[:i], behind[i:])
							}
						}
					}
				}
				plain := form == "" || strings.HasPrefix(form, "AccountSidAC1B") || form == "CallSidCA2" // a form that is like Twilio's
				custom := (query == "" || isStated) && form == "ANI1AccountSidAC1"                       // or begins with a name of the application's
				sids := (plain || custom) && !strings.Contains(query, "AccountSidAC")
				genuine := "URL " + address + ", query " + query + ", form " + form
				accepted := m.done(t, "Twilio at "+sender, text, genuine, sids)
				if told := isStated || !strings.Contains(query, "AccountSidAC"); (plain || custom) && told && !accepted {
					t.Errorf("publicURL %s: a genuine request is refused: query %q, form %q", sender, query, form)
				}
			}
		}
	}
	return m.explored
}

// splitHubSpot splits what HubSpot signs between the method, the URL, the query, the body and the
// time, for all triggers.
func splitHubSpot(t *testing.T, s signer) explored {
	m, v := newMeanings(), s.verifier(t)
	encode := strings.NewReplacer("?", "%3F", ":", "%3a", "/", "%2F")
	decode := strings.NewReplacer("%3A", ":")
	meaning := func(p parts) string {
		return fmt.Sprintf("%s %s, body %q, time %s", p.method, p.signedURL(), p.body, p.timestamp)
	}
	for _, sender := range specialURLs {
		address, stated, isStated := strings.Cut(sender, "?")
		queries := []string{"", "a=b", "a=b?c:d", "?", "x:y", "a{}", s.timestamp()}
		switch {
		case isStated:
			queries = []string{decode.Replace(stated)}
		case sender != specialURLs[0]:
			queries = []string{"", "a=b"}
		}
		for _, query := range queries {
			for _, body := range []string{"", "{}", "[]", `{"a":1}`, "a=b", "?a=b", "0", "-eu{}", "q?a=1{}", "2[]", "&b=2[{}]", "[0]", "<a/>", "[" + s.timestamp(), s.timestamp(), "{}0"} {
				p := parts{method: "POST", url: address, query: query, timestamp: s.timestamp(), body: body}
				text := "POST" + p.signedURL() + body + s.timestamp()
				mac := s.mac([]byte(text))
				for _, receiver := range specialURLs {
					eachSplit("{method}{url}{body}{timestamp}", decode.Replace(receiver), text, signature.Milliseconds, func(p parts) {
						if len(p.timestamp) > 15 {
							return
						}
						queries := []string{p.query, encode.Replace(p.query)}
						if _, stated, ok := strings.Cut(receiver, "?"); ok {
							queries = []string{stated}
						}
						for _, query := range queries {
							sent := s
							sent.text = p.timestamp
							r := sent.request(mac)
							r.Method, r.URL, r.Query = p.method, receiver, query
							if receiver != sender {
								m.elsewhere++
							}
							m.verify(v, r, p.body, timeOf(p.timestamp, signature.Milliseconds), meaning(p))
						}
					})
				}
				couldBeMore := slices.ContainsFunc(specialURLs, func(other string) bool { // the body begins with what another URL has beyond this
					other = decode.Replace(other)
					return len(other) > len(p.signedURL()) && strings.HasPrefix(text, "POST"+other)
				})
				accepted := m.done(t, "HubSpot at "+sender, text, meaning(p), canBeSent(p) && !couldBeMore)
				structured := json.Valid([]byte(body)) && (body[0] == '{' || body[0] == '[')
				ordinary := structured || (query == "" || isStated) && !strings.Contains(stated, "[") && (body == "" || body == "<a/>")
				if ordinary && query != "a{}" && !accepted {
					t.Errorf("publicURL %s: a genuine request is refused: query %q, body %q", sender, query, body)
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
