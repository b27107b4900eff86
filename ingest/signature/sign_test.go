/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// unsignedOf returns the request of a vector without all that Sign has to make, and the text of
// each signature that was there.
func unsignedOf(t *testing.T, v vector, s signature.Scheme) (u signature.Unsigned, texts []string) {
	t.Helper()
	u = signature.Unsigned{Request: v.request(), Body: v.body(t)}
	var signed []string // the headers with signatures
	for name, values := range u.Headers {
		value := strings.TrimSpace(values[0])
		is := func(names []string) bool {
			return slices.ContainsFunc(names, func(n string) bool {
				return strings.EqualFold(n, name) || s.NumberedHeaders && strings.HasPrefix(strings.ToLower(name), strings.ToLower(n))
			})
		}
		switch {
		case is(s.Headers), len(s.Headers) == 0 && name == signature.DefaultHeader:
			signed = append(signed, value)
		case is(s.Timestamp.Headers):
			u.At = timeOf(value, s.Timestamp.Unit)
		case is(s.DeliveryID.Headers):
			u.ID = value
		default:
			continue
		}
		delete(u.Headers, name)
	}
	for _, value := range signed {
		items := []string{value}
		if s.ItemSeparator != "" {
			items = strings.Split(value, s.ItemSeparator)
		}
		for _, item := range items {
			item = strings.TrimSpace(item)
			if name, text, ok := strings.Cut(item, s.FieldSeparator); ok && s.FieldSeparator != "" {
				if name == s.Timestamp.Field {
					u.At = timeOf(text, s.Timestamp.Unit)
				}
				item = text
			}
			texts = append(texts, strings.TrimPrefix(item, s.Prefix))
		}
	}
	return u, texts
}

// hidden are the signatures in bodies, the time and the token of Mailgun's, and the time of
// Linear's.
var hidden = regexp.MustCompile(`"(hmacSignature|signature|timestamp|token)":"([^"]*)"|"webhookTimestamp":(\d+)`)

// TestSignReproducesVectors has Sign make again what other implementations have made: every valid
// request of providers.json, from what it is without its signature, time and id.
func TestSignReproducesVectors(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, v := range vectors(t) {
		v.stated = true
		scheme := schemeOf(t, v.Provider)
		if v.verify(t, scheme) != "accept" {
			continue
		}
		counts[v.Provider]++
		u, want := unsignedOf(t, v, scheme)
		body := u.Body
		switch v.Provider {
		case "twilio":
			query, _, _ := strings.Cut(u.Query, "bodySHA256=") // which Sign appends
			u.Query = strings.TrimSuffix(query, "&")
			u.URL, _, _ = strings.Cut(u.URL, "?")
			if u.Query != "" {
				u.URL += "?" + u.Query
			}
			if v.ID == "twilio-32-url-default-port-added" { // on the way: it is not signed
				u.URL = strings.Replace(u.URL, ":443", "", 1)
			}
		case "adyen-standard":
			u.Body = hidden.ReplaceAll(body, []byte(`"$1":"-"`))
		case "mailgun":
			for _, match := range hidden.FindAllSubmatch(body, -1) {
				switch string(match[1]) {
				case "timestamp":
					u.At = timeOf(string(match[2]), signature.Seconds)
				case "token":
					u.ID = string(match[2])
				}
			}
			u.Body = hidden.ReplaceAll(body, []byte(`"$1":"-"`))
		case "linear":
			u.At = timeOf(string(hidden.FindSubmatch(body)[3]), signature.Milliseconds)
			u.Body = hidden.ReplaceAll(body, []byte(`"webhookTimestamp":1`))
		}

		got, err := signature.Sign(scheme, signature.Key{Name: "key", Secret: []byte(v.Secret)}, u)
		if err != nil {
			t.Errorf("%s: %v", v.ID, err)
			continue
		}
		// Of hexadecimal digits, any case is good.
		if !bytes.Equal(body, got.Body) && v.ID != "mailgun-16-uppercase-hex" {
			t.Errorf("%s: the body is %q, want %q", v.ID, got.Body, body)
		}
		if diff := cmp.Diff(v.request().Query, got.Query); diff != "" {
			t.Errorf("%s: query (-want +got):\n%s", v.ID, diff)
		}
		if scheme.Special == signature.SpecialAdyen || scheme.Special == signature.SpecialMailgun {
			continue // it is in the body
		}
		_, made := unsignedOf(t, vector{Method: got.Method, URL: got.URL, Headers: first(got.Headers)}, scheme)
		fold := scheme.Encoding == "" && scheme.Algorithm != signature.Token
		if last := made[len(made)-1]; !slices.ContainsFunc(want, func(text string) bool { return text == last || fold && strings.EqualFold(text, last) }) {
			t.Errorf("%s: the signature is %q, want one of %q", v.ID, last, want)
		}
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	t.Logf("%d requests of %d providers: %v", sum, len(counts), counts)
	if sum != 258 || len(counts) != len(presetOf)+1 {
		t.Errorf("%d requests of %d providers are made again, want 258 of %d", sum, len(counts), len(presetOf)+1)
	}
}

func first(headers map[string][]string) map[string]string {
	values := map[string]string{}
	for name := range headers {
		values[name] = headers[name][0]
	}
	return values
}

// TestSignReproducesMACs does the same with the published vectors of HMAC, in every encoding.
func TestSignReproducesMACs(t *testing.T) {
	t.Parallel()
	var file macFile
	if err := json.Unmarshal(macJSON, &file); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, v := range file.Vectors {
		algorithm, ok := vectorAlgorithms[v.Alg]
		key, mac := unhex(t, v.KeyHex), unhex(t, v.MACHex)
		if !ok || v.TruncatedToBytes != 0 || signature.Blank(key) {
			continue
		}
		counts[v.Alg]++
		for encoding, want := range map[signature.Encoding]string{
			"": v.MACHex, signature.Hex: v.MACHex, signature.Base64: base64.StdEncoding.EncodeToString(mac), signature.Base64URL: base64.RawURLEncoding.EncodeToString(mac),
		} {
			got, err := signature.Sign(signature.Scheme{Algorithm: algorithm, Encoding: encoding}, signature.Key{Secret: key}, signature.Unsigned{Body: unhex(t, v.DataHex)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string][]string{signature.DefaultHeader: {want}}, got.Headers); diff != "" {
				t.Errorf("%s, case %s, %s (-want +got):\n%s", v.Source, v.Case, encoding, diff)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"sha1": 5, "sha256": 20, "sha384": 5, "sha512": 5, "ripemd128": 20, "ripemd160": 5}, counts); diff != "" {
		t.Errorf("vectors (-want +got):\n%s", diff)
	}
}

// signOf signs with a signer's key.
func signOf(s signer, u signature.Unsigned) (signature.Signed, error) {
	return signature.Sign(s.scheme, signature.Key{Name: "key", Secret: s.stored}, u)
}

// TestSignAnyScheme makes up schemes. What Sign makes of a request is what the signer of these
// tests makes, which shares nothing with it; Verify takes it, and takes it no more with one bit
// changed.
func TestSignAnyScheme(t *testing.T) {
	t.Parallel()
	const seed = 20261129
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	signed, flipped := 0, 0
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // Repeatable chance is wanted.
		scheme := randomScheme(r)
		if scheme.Algorithm == signature.Ed25519 {
			scheme.Algorithm = signature.SHA256
		}
		if round%10 == 0 && scheme.Template == "" && !scheme.DeliveryID.Signature {
			scheme.Algorithm, scheme.Encoding = signature.Token, ""
		}
		token := scheme.Algorithm == signature.Token
		s := newSigner(scheme, []byte{byte(round), byte(round >> 8)})
		if token {
			s.key = []byte(hex.EncodeToString(s.key))
			s.stored = store(scheme, s.key)
		}
		body := make([]byte, 1+r.IntN(200))
		for i := range body {
			body[i] = byte(r.Uint32())
		}
		if strings.Contains(scheme.Template, "{url}") { // what no URL goes on with
			body[0] = '{'
		}
		if strings.Contains(scheme.Template, "{id}") { // beside an id only what no id has is sure to be told from it
			body[0], body[len(body)-1] = '{', '}'
		}
		u := signature.Unsigned{
			Request: signature.Request{
				Method: s.method, URL: s.url,
				Headers: http.Header{"Content-Type": {"text/plain"}, "X-Other-Signature": {"stale"}, "X-Absent": {"0"}, "X-Signature-7": {"stale"}},
			},
			Body: body, ID: s.id, At: s.now,
		}
		got, err := signOf(s, u)
		if err != nil {
			t.Fatalf("round %d: %+v: %v", round, scheme, err)
		}
		signed++
		if len(u.Headers) != 4 || got.Headers["Content-Type"][0] != "text/plain" {
			t.Fatalf("round %d: the headers that are there are changed", round)
		}
		for name, numbered := range map[string]bool{"X-Other-Signature": false, "X-Signature-7": true} {
			if stale := http.Header(got.Headers).Get(name) == "stale"; stale == (len(scheme.Headers) > 0 && scheme.NumberedHeaders == numbered) {
				t.Fatalf("round %d: %+v: a signature that was there is in %q", round, scheme, got.Headers)
			}
		}
		v, err := signature.NewVerifier(scheme, signature.Key{Name: "other", Secret: s.otherStored()}, signature.Key{Name: "key", Secret: s.stored})
		if err != nil {
			t.Fatal(err)
		}
		accepted := func(r signature.Signed) bool {
			result, err := verifyBothWays(t, v, r.Request, r.Body, s.now)
			return err == nil && result.Key == "key"
		}
		if !accepted(got) {
			t.Fatalf("round %d: %+v is refused: %q", round, scheme, got.Headers)
		}
		if token {
			continue // which signs nothing
		}
		mac := s.mac(s.content(body))
		if text := encoded(scheme.Encoding, mac); !strings.HasSuffix(signatureHeaderOf(scheme, got), text) {
			t.Fatalf("round %d: %+v: the header is %q, want %q in it", round, scheme, signatureHeaderOf(scheme, got), text)
		}
		for name, change := range map[string]func(r *signature.Signed){
			"body": func(c *signature.Signed) { c.Body = flip(r, c.Body) },
			"signature": func(c *signature.Signed) {
				replaceHeader(c, encoded(scheme.Encoding, mac), encoded(scheme.Encoding, flip(r, mac)))
			},
			"{timestamp}": func(c *signature.Signed) {
				later := s
				later.now = s.now.Add(time.Second)
				replaceHeader(c, s.timestamp(), later.timestamp())
			},
			"{id}":     func(c *signature.Signed) { replaceHeader(c, s.id, "msg_0") },
			"{method}": func(c *signature.Signed) { c.Method = http.MethodPut },
			"{url}":    func(c *signature.Signed) { c.URL, c.Query = c.URL+"x", c.Query+"x" },
		} {
			if strings.HasPrefix(name, "{") && !strings.Contains(scheme.Template, name) {
				continue
			}
			flipped++
			changed := got
			changed.Headers = http.Header(got.Headers).Clone()
			change(&changed)
			if accepted(changed) {
				t.Fatalf("round %d: %+v takes another %s: %q", round, scheme, name, changed.Headers)
			}
		}
	}
	t.Logf("%d requests are signed, %d changed", signed, flipped)
}

func encoded(e signature.Encoding, mac []byte) string {
	switch e {
	case signature.Base64:
		return base64.StdEncoding.EncodeToString(mac)
	case signature.Base64URL:
		return base64.RawURLEncoding.EncodeToString(mac)
	default:
		return hex.EncodeToString(mac)
	}
}

// signatureHeaderOf returns the header that Sign writes a signature into.
func signatureHeaderOf(s signature.Scheme, r signature.Signed) string {
	name := signature.DefaultHeader
	if len(s.Headers) > 0 {
		name = s.Headers[0]
	}
	if s.NumberedHeaders {
		name += "1"
	}
	return http.Header(r.Headers).Get(name)
}

func replaceHeader(r *signature.Signed, from, to string) {
	for name, values := range r.Headers {
		r.Headers[name] = []string{strings.Replace(values[0], from, to, 1)}
	}
}

// TestSignAndVerifyRefuseTheSame makes up templates, and requests whose parts could be taken for
// parts of each other. Sign makes one exactly where Verify takes the one that the signer of these
// tests makes.
func TestSignAndVerifyRefuseTheSame(t *testing.T) {
	t.Parallel()
	const seed = 20261130
	rounds := 6000
	if testing.Short() {
		rounds = 600
	}
	signed, refused := 0, map[string]int{}
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // Repeatable chance is wanted.
		scheme := randomTemplate(r)
		if scheme.Validate() != nil {
			continue
		}
		s := newSigner(scheme, []byte(fmt.Sprint(round)))
		v := s.verifier(t)
		for range 4 {
			p := splitParts(r, &s)
			s.id = p.id
			request := s.request(s.mac([]byte(signedText(scheme, p))))
			request.Method, request.URL, request.Query = p.method, p.url, p.query
			_, verifyErr := v.Verify(request, []byte(p.body), s.now)
			u := signature.Unsigned{Request: signature.Request{Method: p.method, URL: p.url, Query: p.query}, Body: []byte(p.body), ID: p.id, At: s.now}
			got, err := signOf(s, u)
			if (err == nil) != (verifyErr == nil) || err != nil && !errors.Is(err, verifyErr) {
				t.Fatalf("round %d: Sign says %v, Verify %v: %q, %+v", round, err, verifyErr, scheme.Template, p)
			}
			if err != nil {
				refused[verifyErr.Error()]++
				continue
			}
			signed++
			if _, err := v.Verify(got.Request, got.Body, s.now); err != nil {
				t.Fatalf("round %d: %v: %q, %+v", round, err, scheme.Template, p)
			}
		}
	}
	t.Logf("%d requests are signed, and none where %v", signed, refused)
	if signed < rounds || len(refused) < 3 {
		t.Error("that is too little")
	}
}

// signedText is signed without what the template does not have.
func signedText(s signature.Scheme, p parts) string {
	if !strings.Contains(s.Template, "{url}") {
		p.url, p.query = "", ""
	}
	return signed(s.Template, p)
}

// bodyFor returns a body that the preset's scheme can sign, and the part of it that is signed.
func bodyFor(s signature.Scheme) (body, part string) {
	switch s.Special {
	case signature.SpecialAdyen:
		return `{"notificationItems":[{"NotificationRequestItem":{"pspReference":"7914073381342284","merchantReference":"a:b","amount":{"value":1130,"currency":"EUR"},"eventCode":"AUTHORISATION","success":"true"}}]}`, "7914073381342284"
	case signature.SpecialMailgun:
		return `{"event-data":{"event":"delivered"}}`, "msg_1"
	case signature.SpecialTwilio:
		return "AccountSid=AC1&Body=hello+there", "hello"
	default:
		return `{"id":"evt_1","n":1.5}`, "evt_1"
	}
}

// TestSignPresets signs as every provider does that signs with a key of ours, and leaves nobody
// out.
func TestSignPresets(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, preset := range signature.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			s := newSigner(preset.Scheme, []byte(preset.Name))
			if preset.Scheme.Algorithm == signature.Token {
				s.key = []byte("a token of the one who sends")
				s.stored = store(preset.Scheme, s.key)
			}
			text, part := bodyFor(preset.Scheme)
			u := signature.Unsigned{
				Request: signature.Request{URL: "https://hooks.example.com/hooks/shop/orders", Headers: http.Header{"Content-Type": {"application/json"}}},
				Body:    []byte(text), ID: s.id, At: s.now,
			}
			if preset.Scheme.Special == signature.SpecialTwilio {
				u.Headers["Content-Type"] = []string{"application/x-www-form-urlencoded"}
			}
			got, err := signOf(s, u)
			if preset.Scheme.Algorithm == signature.Ed25519 {
				count["Ed25519"]++
				if !errors.Is(err, signature.ErrNoPrivateKey) {
					t.Errorf("got %v, want %v", err, signature.ErrNoPrivateKey)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			count["signed"]++
			v, err := signature.NewVerifier(preset.Scheme, signature.Key{Name: "key", Secret: s.stored})
			if err != nil {
				t.Fatal(err)
			}
			result, err := v.Verify(got.Request, got.Body, s.now)
			if err != nil {
				t.Fatalf("%v: %+v", err, got)
			}
			if len(preset.Scheme.DeliveryID.Headers) > 0 && result.DeliveryID != s.id {
				t.Errorf("the id is %q, want %q", result.DeliveryID, s.id)
			}
			if preset.Scheme.Algorithm == signature.Token {
				return
			}
			at := bytes.Index(got.Body, []byte(part))
			for i := range 8 * len(part) {
				changed := bytes.Clone(got.Body)
				changed[at+i/8] ^= 1 << (i % 8)
				if _, err := v.Verify(got.Request, changed, s.now); err == nil {
					t.Errorf("%q is accepted", changed)
				}
			}
			for name, values := range got.Headers {
				if (name == "Content-Type" && preset.Scheme.Special != signature.SpecialContentful) || slices.Equal(values, []string{s.id}) && !preset.Scheme.SignsDeliveryID() {
					continue
				}
				changed := got.Request
				changed.Headers = http.Header(got.Headers).Clone()
				delete(changed.Headers, name)
				if _, err := v.Verify(changed, got.Body, s.now); err == nil {
					t.Errorf("without %s it is accepted", name)
				}
			}
		})
	}
	if diff := cmp.Diff(map[string]int{"signed": len(signature.Presets()) - 2, "Ed25519": 2}, count); diff != "" {
		t.Errorf("presets (-want +got):\n%s", diff)
	}
}

// TestSignSpecials has what the senders of special schemes add to a request, and what is not as the
// presets have it.
func TestSignSpecials(t *testing.T) {
	t.Parallel()
	const address, form = "https://hooks.example.com/hooks/shop/orders", "application/x-www-form-urlencoded"
	at := time.UnixMilli(1767225600123)
	for name, tc := range map[string]struct {
		reason  string
		preset  string
		request signature.Request
		body    string
		id      string
		at      time.Time
		query   string // that is sent
		want    string // the body that is sent, with what is no hash
	}{
		"TwilioForm":         {reason: "a form is signed parameter by parameter", preset: "Twilio", request: signature.Request{URL: address, Headers: http.Header{"Content-Type": {form + "; charset=UTF-8"}}}, body: "To=b&CallSid=CA1&To=a&Empty="},
		"TwilioFormQuery":    {reason: "the URL may have a query", preset: "Twilio", request: signature.Request{URL: address + "?a=1", Headers: http.Header{"Content-Type": {form}}}, body: "Body=x", query: "a=1"},
		"TwilioUnstated":     {reason: "of which the trigger says nothing", preset: "Twilio", request: signature.Request{URL: address, Query: "a=1", Headers: http.Header{"Content-Type": {form}}}, body: "AccountSid=AC1", query: "a=1"},
		"TwilioPort":         {reason: "a port is signed", preset: "Twilio", request: signature.Request{URL: "https://h:8443/p", Headers: http.Header{"Content-Type": {form}}}, body: "CallSid=CA1"},
		"TwilioJSON":         {reason: "of another body the digest is in the URL", preset: "Twilio", request: signature.Request{URL: address, Headers: http.Header{"Content-Type": {"application/json"}}}, body: "{}", query: "bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"TwilioJSONQuery":    {reason: "behind what is there", preset: "Twilio", request: signature.Request{URL: address + "?a=1", Headers: http.Header{"Content-Type": {"application/json"}}}, body: "{}", query: "a=1&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"TwilioJSONNoQuery":  {reason: "and be it nothing", preset: "Twilio", request: signature.Request{URL: address + "?", Headers: http.Header{"Content-Type": {"application/json"}}}, body: "{}", query: "&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
		"TwilioDigest":       {reason: "a digest that is there is not made again", preset: "Twilio", request: signature.Request{URL: address, Query: "bodySHA256=44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A"}, body: "{}", query: "bodySHA256=44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A"},
		"TwilioGET":          {reason: "without a body the URL is all", preset: "Twilio", request: signature.Request{Method: "GET", URL: address + "?CallSid=CA1"}, query: "CallSid=CA1"},
		"AdyenInserted":      {reason: "each item has its signature", preset: "AdyenStandard", body: ` {"notificationItems":[{"NotificationRequestItem":{"eventCode":"A"}},{"NotificationRequestItem":{"additionalData":{}}}, {"NotificationRequestItem" : {"additionalData":{"x":"y"}}}]} `, want: ` {"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"#"},"eventCode":"A"}},{"NotificationRequestItem":{"additionalData":{"hmacSignature":"#"}}}, {"NotificationRequestItem" : {"additionalData":{"hmacSignature":"#","x":"y"}}}]} `},
		"AdyenReplaced":      {reason: "a signature that is there is replaced", preset: "AdyenStandard", body: `{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":null,"x":"y"}}}]}`, want: `{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"#","x":"y"}}}]}`},
		"Mailgun":            {reason: "time and token are written", preset: "Mailgun", body: `{ "event-data":{}}`, id: "t-1", want: `{"signature":{"signature":"#","token":"t-1","timestamp":"1767225600"}, "event-data":{}}`},
		"MailgunReplaced":    {reason: "and those that are there replaced", preset: "Mailgun", body: `{"signature":{"timestamp":1,"token":"old","signature":"x"}}`, id: "t-1", want: `{"signature":{"timestamp":"1767225600","token":"t-1","signature":"#"}}`},
		"MailgunKept":        {reason: "or kept, if there are no others", preset: "Mailgun", body: `{"signature":{"timestamp":"1767225600","token":"old"}}`, at: time.Time{}, want: `{"signature":{"signature":"#","timestamp":"1767225600","token":"old"}}`},
		"Linear":             {reason: "the time is in the body, as a number", preset: "Linear", body: `{"a":{}}`, want: `{"webhookTimestamp":1767225600123,"a":{}}`},
		"LinearEmpty":        {reason: "nothing follows it", preset: "Linear", body: `{ }`, want: `{"webhookTimestamp":1767225600123 }`},
		"LinearText":         {reason: "or as what it was", preset: "Linear", body: `{"webhookTimestamp":"1"}`, want: `{"webhookTimestamp":"1767225600123"}`},
		"Contentful":         {reason: "the list says what is signed", preset: "Contentful", request: signature.Request{URL: address, Headers: http.Header{"Content-Type": {"a/b"}}}, body: "{}"},
		"ContentfulBare":     {reason: "with no header beside", preset: "Contentful", request: signature.Request{URL: address}, body: "{}"},
		"ContentfulListed":   {reason: "a list that is there is taken", preset: "Contentful", request: signature.Request{URL: address, Headers: http.Header{"X-A": {"b"}, "X-Contentful-Signed-Headers": {"x-a, X-Contentful-Signed-Headers,x-contentful-timestamp,host"}}}, body: "{}"},
		"HubSpot":            {reason: "some of a query is decoded", preset: "HubSpot", request: signature.Request{URL: address, Query: "a=%3Fb"}, body: "{}", query: "a=%3Fb"},
		"HubSpotGET":         {reason: "any method that there is", preset: "HubSpot", request: signature.Request{Method: "GET", URL: address + "?a=b"}, query: "a=b"},
		"Square":             {reason: "a query that is stated need not be said again", preset: "Square", request: signature.Request{URL: address + "?a=b"}, body: "{}", query: "a=b"},
		"IDThatIsThere":      {reason: "an id in a header counts", preset: "StandardWebhooks", request: signature.Request{Headers: http.Header{"Webhook-Id": {"there"}}}, body: "{}"},
		"TimeThatIsThere":    {reason: "so does a time", preset: "StandardWebhooks", request: signature.Request{Headers: http.Header{"Webhook-Id": {"there"}, "Webhook-Timestamp": {"1767225600"}}}, body: "{}", at: time.Time{}},
		"OtherFamilyOfNames": {reason: "the first name counts", preset: "Svix", request: signature.Request{Headers: http.Header{"Webhook-Id": {"there"}, "Webhook-Timestamp": {"1"}, "Webhook-Signature": {"v1,x"}}}, id: "a", body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(preset(t, tc.preset), []byte(name))
			u := signature.Unsigned{Request: tc.request, Body: []byte(tc.body), ID: tc.id, At: at}
			if strings.HasPrefix(name, "MailgunKept") || strings.HasPrefix(name, "TimeThat") {
				u.At = tc.at
			}
			got, err := signOf(s, u)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if _, err := s.verifier(t).Verify(got.Request, got.Body, at); err != nil {
				t.Errorf("%s: %v: %+v", tc.reason, err, got)
			}
			if diff := cmp.Diff(tc.query, got.Query); diff != "" {
				t.Errorf("%s: query (-want +got):\n%s", tc.reason, diff)
			}
			if tc.want == "" {
				tc.want = tc.body
			}
			written := regexp.MustCompile(`ignature":"[^"]*"`).ReplaceAllString(string(got.Body), `ignature":"#"`)
			if diff := cmp.Diff(tc.want, written); diff != "" {
				t.Errorf("%s: body (-want +got):\n%s", tc.reason, diff)
			}
			if string(u.Body) != tc.body {
				t.Errorf("%s: the body that was given is changed", tc.reason)
			}
		})
	}
}

// TestSignOneItemInEachHeader has a header with the time, and one with the signature.
func TestSignOneItemInEachHeader(t *testing.T) {
	t.Parallel()
	s := newSigner(signature.Scheme{
		Algorithm: signature.SHA256, Headers: []string{"X-A", "X-B"}, FieldSeparator: "=", SignatureFields: []string{"v1"},
		Timestamp: signature.Timestamp{Field: "t", Tolerance: time.Second}, Template: "{timestamp}.{body}",
	}, []byte("seed"))
	got, err := signOf(s, signature.Unsigned{Body: []byte("{}"), At: s.now})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"X-A": {"v1=" + hex.EncodeToString(s.mac(s.content([]byte("{}"))))}, "X-B": {"t=" + s.timestamp()}}
	if diff := cmp.Diff(want, got.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if _, err := s.verifier(t).Verify(got.Request, got.Body, s.now); err != nil {
		t.Error(err)
	}
}

// TestSignTwilioPort shows that a port is signed where the URL has one, though Verify takes the
// signature without it too.
func TestSignTwilioPort(t *testing.T) {
	t.Parallel()
	s := newSigner(preset(t, "Twilio"), []byte("seed"))
	for _, address := range []string{"https://h/p", "https://h:443/p", "https://h:8443/p", "http://h/p", "http://h:80/p"} {
		u := signature.Unsigned{Request: signature.Request{URL: address, Headers: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, Body: []byte("CallSid=CA1")}
		got, err := signOf(s, u)
		if err != nil {
			t.Fatal(err)
		}
		want := base64.StdEncoding.EncodeToString(s.mac([]byte(address + "CallSidCA1")))
		if diff := cmp.Diff([]string{want}, got.Headers["X-Twilio-Signature"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", address, diff)
		}
	}
}

// TestSignRefuses has what nobody can sign. No error has anything of the key or the request in it.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	const secret, id = "the-key-that-nobody-sees", "the-id-that-nobody-sees"
	at := time.UnixMilli(1767225600123)
	token := func(s signature.Scheme) signature.Scheme {
		s.Algorithm = signature.Token
		return s
	}
	sha256 := func(s signature.Scheme) signature.Scheme {
		s.Algorithm = signature.SHA256
		return s
	}
	fields := []string{"v1"}
	stamped := signature.Timestamp{Field: "t"}
	for name, tc := range map[string]struct {
		reason string
		scheme signature.Scheme
		key    string
		u      signature.Unsigned
		want   error // nil for one that has no name
		text   string
	}{
		"Invalid":          {reason: "a scheme must be valid", scheme: sha256(signature.Scheme{Template: "{x}"}), text: "unknown placeholder"},
		"NoKey":            {reason: "there must be something to sign with", scheme: sha256(signature.Scheme{}), key: "\n", text: "is blank"},
		"KeyNotHex":        {reason: "a key is decoded as it is for verifying", scheme: preset(t, "AdyenPlatform"), text: "is not hex"},
		"Discord":          {reason: "the private key is Discord's", scheme: preset(t, "Discord"), want: signature.ErrNoPrivateKey},
		"NoID":             {reason: "an id is signed", scheme: preset(t, "StandardWebhooks"), key: "whsec_dGhlLWtleS10aGF0LW5vYm9keS1zZWVz", u: signature.Unsigned{At: at}, want: signature.ErrIDMissing},
		"BlankID":          {reason: "an id is trimmed", scheme: preset(t, "StandardWebhooks"), key: "whsec_dGhlLWtleS10aGF0LW5vYm9keS1zZWVz", u: signature.Unsigned{At: at, ID: " "}, want: signature.ErrIDMissing},
		"MovableID":        {reason: "an id must have one end", scheme: preset(t, "StandardWebhooks"), key: "whsec_dGhlLWtleS10aGF0LW5vYm9keS1zZWVz", u: signature.Unsigned{At: at, ID: id + "."}, want: signature.ErrHeaderMalformed},
		"IDInBody":         {reason: "the body could begin with it", scheme: preset(t, "StandardWebhooks"), key: "whsec_dGhlLWtleS10aGF0LW5vYm9keS1zZWVz", u: signature.Unsigned{At: at, ID: id, Body: []byte("1.1")}, want: signature.ErrIDAmbiguous},
		"NoTime":           {reason: "a time is signed", scheme: preset(t, "Slack"), want: signature.ErrTimestampMissing},
		"NoTimeField":      {reason: "be it a field", scheme: preset(t, "Stripe"), want: signature.ErrTimestampMissing},
		"NoTimeInBody":     {reason: "or in the body", scheme: preset(t, "Linear"), u: signature.Unsigned{Body: []byte("{}")}, want: signature.ErrTimestampMissing},
		"TimeInNoObject":   {reason: "the body has no place for it", scheme: preset(t, "Linear"), u: signature.Unsigned{Body: []byte("[]"), At: at}, want: signature.ErrBodyMalformed},
		"TimeInNoJSON":     {reason: "the body has no place for it", scheme: preset(t, "Linear"), u: signature.Unsigned{Body: []byte("a=b"), At: at}, want: signature.ErrBodyMalformed},
		"TimeTwice":        {reason: "which one counts is not clear", scheme: preset(t, "Linear"), u: signature.Unsigned{Body: []byte(`{"webhookTimestamp":1,"webhookTimestamp":1}`), At: at}, want: signature.ErrBodyMalformed},
		"TimeOfOld":        {reason: "it has no ten digits", scheme: sha256(preset(t, "Discord")), key: "ab", u: signature.Unsigned{At: time.Unix(1, 0)}, want: signature.ErrTimestampMalformed},
		"TimeBefore1970":   {reason: "no unit has it", scheme: preset(t, "Slack"), u: signature.Unsigned{At: time.Unix(-1, 0)}, want: signature.ErrTimestampMalformed},
		"NoPlaceForTime":   {reason: "a header has one item", scheme: sha256(signature.Scheme{FieldSeparator: "=", SignatureFields: fields, Timestamp: stamped, Template: "{timestamp}.{body}"}), u: signature.Unsigned{At: at}, want: signature.ErrTimestampMissing},
		"HexSeparator":     {reason: "the signature would be two items", scheme: sha256(signature.Scheme{ItemSeparator: "a"}), want: signature.ErrHeaderLength},
		"SameHeader":       {reason: "one name for two things", scheme: sha256(signature.Scheme{Headers: []string{"X-A"}, DeliveryID: signature.DeliveryID{Headers: []string{"x-a"}}}), u: signature.Unsigned{ID: id}, want: signature.ErrHeaderMalformed},
		"BlankPrefix":      {reason: "a header's value is trimmed", scheme: sha256(signature.Scheme{Prefix: " "}), want: signature.ErrHeaderMalformed},
		"TokenNewline":     {reason: "no header has a line break", scheme: token(signature.Scheme{}), key: secret + "\n" + secret, want: signature.ErrHeaderMalformed},
		"TokenBlanks":      {reason: "a header's value is trimmed", scheme: token(signature.Scheme{}), key: " " + secret, want: signature.ErrHeaderMalformed},
		"TokenSeparator":   {reason: "the token would be two items", scheme: token(signature.Scheme{ItemSeparator: "-"}), want: signature.ErrHeaderRepeated},
		"IDNewline":        {reason: "no header has a line break", scheme: preset(t, "GitHub"), u: signature.Unsigned{ID: id + "\r\n" + id}, want: signature.ErrHeaderMalformed},
		"TwoIDs":           {reason: "which one counts is not clear", scheme: preset(t, "GitHub"), u: signature.Unsigned{Request: signature.Request{Headers: http.Header{"X-Github-Delivery": {id, id}}}}, want: signature.ErrHeaderRepeated},
		"NoURL":            {reason: "the URL is signed", scheme: preset(t, "Square"), want: signature.ErrMismatch},
		"OtherQuery":       {reason: "it is not what the trigger states", scheme: preset(t, "Square"), u: signature.Unsigned{Request: signature.Request{URL: "https://h?a=1", Query: "a=2"}}, want: signature.ErrQueryMismatch},
		"UnclearQuery":     {reason: "the body could be a part of it", scheme: preset(t, "Square"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Query: "a=2"}, Body: []byte("b")}, want: signature.ErrQueryAmbiguous},
		"NoMethod":         {reason: "it is none", scheme: preset(t, "HubSpot"), u: signature.Unsigned{Request: signature.Request{Method: "POSTS", URL: "https://h"}, At: at}, want: signature.ErrMismatch},
		"TwilioOpen":       {reason: "nothing says where the form begins", scheme: preset(t, "Twilio"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Query: "a=1", Headers: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, Body: []byte("b=2")}, want: signature.ErrQueryAmbiguous},
		"TwilioNoForm":     {reason: "it is none", scheme: preset(t, "Twilio"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Headers: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, Body: []byte("%zz")}, want: signature.ErrBodyMalformed},
		"TwilioOtherBody":  {reason: "the digest is another's", scheme: preset(t, "Twilio"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Query: "bodySHA256=00"}, Body: []byte("{}")}, want: signature.ErrMismatch},
		"AdyenNoJSON":      {reason: "there are no items", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte("{")}, want: signature.ErrBodyMalformed},
		"AdyenNoItems":     {reason: "there are no items", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte("{}")}, want: signature.ErrBodyMalformed},
		"AdyenEmpty":       {reason: "there are no items", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":[]}`)}, want: signature.ErrBodyMalformed},
		"AdyenObject":      {reason: "there are no items", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":{}}`)}, want: signature.ErrBodyMalformed},
		"AdyenNoItem":      {reason: "it is no item", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":[{}]}`)}, want: signature.ErrBodyMalformed},
		"AdyenText":        {reason: "there is no place for a signature", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":[{"NotificationRequestItem":{"additionalData":""}}]}`)}, want: signature.ErrBodyMalformed},
		"AdyenColon":       {reason: "the fields could be others", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":[{"NotificationRequestItem":{"pspReference":":"}}]}`)}, want: signature.ErrBodyMalformed},
		"AdyenMany":        {reason: "there are too many", scheme: preset(t, "AdyenStandard"), key: "ab", u: signature.Unsigned{Body: []byte(`{"notificationItems":[` + strings.Repeat(`{"NotificationRequestItem":{}},`, 64) + `{"NotificationRequestItem":{}}]}`)}, want: signature.ErrBodyMalformed},
		"MailgunNoToken":   {reason: "a token is signed", scheme: preset(t, "Mailgun"), u: signature.Unsigned{At: at, Body: []byte("{}")}, want: signature.ErrHeaderMissing},
		"MailgunNoTime":    {reason: "a time is signed", scheme: preset(t, "Mailgun"), u: signature.Unsigned{ID: id, Body: []byte("{}")}, want: signature.ErrTimestampMissing},
		"MailgunNoJSON":    {reason: "there is no place for them", scheme: preset(t, "Mailgun"), u: signature.Unsigned{ID: id, At: at}, want: signature.ErrBodyMalformed},
		"MailgunText":      {reason: "there is no place for them", scheme: preset(t, "Mailgun"), u: signature.Unsigned{ID: id, At: at, Body: []byte(`{"signature":""}`)}, want: signature.ErrBodyMalformed},
		"ContentfulQuery":  {reason: "it would be signed in another form", scheme: preset(t, "Contentful"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Query: "a=1"}, At: at}, want: signature.ErrMismatch},
		"ContentfulAbsent": {reason: "what is listed must be there", scheme: preset(t, "Contentful"), u: signature.Unsigned{Request: signature.Request{URL: "https://h", Headers: http.Header{"X-Contentful-Signed-Headers": {"x-contentful-signed-headers,x-contentful-timestamp,x-a"}}}, At: at}, want: signature.ErrHeaderMissing},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.key == "" {
				tc.key = secret
			}
			_, err := signature.Sign(tc.scheme, signature.Key{Name: "orders/key", Secret: []byte(tc.key)}, tc.u)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("%s: got %v, want %v, or something with %q", tc.reason, err, tc.want, tc.text)
			}
			for _, text := range []string{secret, id, strings.TrimPrefix(tc.key, "whsec_")} {
				if len(text) > 2 && strings.Contains(err.Error(), text) {
					t.Errorf("%v has something of the key or the request in it", err)
				}
			}
			// What is refused here is refused there.
			var cause signature.Cause
			if errors.As(err, &cause) && !slices.Contains(signature.Causes(), cause) {
				t.Errorf("%q is no cause", cause)
			}
		})
	}
}

// TestSignHandshake has every handshake made and answered.
func TestSignHandshake(t *testing.T) {
	t.Parallel()
	const token, challenge = "the token", "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
	at := time.Unix(1767225600, 0)
	handshakes := signature.Handshakes()
	for _, h := range handshakes {
		t.Run(string(h), func(t *testing.T) {
			scheme := preset(t, string(h))
			if scheme.Algorithm == signature.Ed25519 {
				if _, err := signature.SignHandshake(scheme, signature.Key{Secret: []byte(token)}, signature.Unsigned{At: at}, challenge); !errors.Is(err, signature.ErrNoPrivateKey) {
					t.Errorf("got %v, want %v", err, signature.ErrNoPrivateKey)
				}
				scheme = signature.Scheme{Algorithm: signature.SHA256, Handshake: h}
			}
			v, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: []byte("the key")})
			if err != nil {
				t.Fatal(err)
			}
			v = v.WithVerifyToken(signature.Key{Secret: []byte(token)})
			key := "the key"
			if h.NeedsVerifyToken() {
				key = token
			}
			u := signature.Unsigned{Request: signature.Request{URL: "https://h/p?own=1"}, At: at}
			r, err := signature.SignHandshake(scheme, signature.Key{Secret: []byte(key)}, u, challenge)
			if err != nil {
				t.Fatal(err)
			}
			var answer signature.Answer
			if r.Method == http.MethodGet {
				question, ok := v.Asked(r.Query)
				if !ok || !strings.HasPrefix(r.Query, "own=1&") || r.Body != nil {
					t.Fatalf("nothing is asked by %q", r.Query)
				}
				if answer, err = v.Reply(question); err != nil {
					t.Fatal(err)
				}
			} else {
				result, err := v.Verify(r.Request, r.Body, at)
				if err != nil || result.Challenge == nil {
					t.Fatalf("nothing is asked by %q (%v)", r.Body, err)
				}
				answer = *result.Challenge
			}
			if answer.Handshake != h || h != signature.HandshakeDiscord && !strings.Contains(string(answer.Body), challenge) {
				t.Errorf("the answer is %+v", answer)
			}
		})
	}

	for name, tc := range map[string]struct{ reason, preset, key, challenge, want string }{
		"None":          {"GitHub has none", "GitHub", token, challenge, "no handshake"},
		"Markup":        {"nobody would repeat it", "Dropbox", token, "<b>", "challenge"},
		"Nothing":       {"there would be nothing to repeat", "Slack", token, "", "challenge"},
		"NotRandom":     {"it could be something that is signed", "Zoom", token, "v0:1:x", "challenge"},
		"NoVerifyToken": {"nobody would answer", "Meta", " ", challenge, "is blank"},
		"LongToken":     {"nobody would read it", "Meta", strings.Repeat("t", 4096), challenge, "longer"},
		"NoKey":         {"a key is needed", "Slack", " ", challenge, "is blank"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signature.SignHandshake(preset(t, tc.preset), signature.Key{Secret: []byte(tc.key)}, signature.Unsigned{At: at}, tc.challenge)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(tc.key) > 1 && strings.Contains(err.Error(), tc.key) {
				t.Errorf("%s: got %v, want something with %q", tc.reason, err, tc.want)
			}
		})
	}
}

// FuzzSign makes schemes of whatever an owner may write. What Sign makes, Verify takes, and takes
// no more with one bit changed.
func FuzzSign(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256=", "", "", "", "{body}", "id", "a=1", "the key", []byte("{}"), uint8(0), uint8(0))
	f.Add("stripe-signature", "", ",", "=", "v1", "{timestamp}.{body}", "", "", "whsec_1", []byte("a"), uint8(3), uint8(17))
	f.Add("webhook-signature", "", " ", ",", "v1", "{id}.{timestamp}.{body}", "msg_1", "", "k", []byte("{}"), uint8(0), uint8(5))
	f.Add("X", "Bearer ", "", "", "", "", "", "", "a token, with blanks", []byte("a"), uint8(9), uint8(0))
	f.Add("X", "", "a", "b", "c", "{url}\n{method}{body}", "\xff", "?", "k", []byte("a"), uint8(2), uint8(34))
	f.Fuzz(func(t *testing.T, header, prefix, items, fields, field, template, id, query, key string, body []byte, algorithm, choice uint8) {
		scheme := signature.Scheme{
			Algorithm: signature.Algorithms()[int(algorithm)%len(signature.Algorithms())],
			Encoding:  []signature.Encoding{"", signature.Base64, signature.Base64URL, signature.Hex}[choice%4],
			Headers:   []string{header}, Prefix: prefix, ItemSeparator: items, FieldSeparator: fields, Template: template,
			NumberedHeaders: choice&64 != 0,
		}
		if scheme.Algorithm == signature.Token {
			scheme.Encoding = ""
		}
		if fields != "" {
			scheme.SignatureFields = []string{field}
		}
		if strings.Contains(template, "{id}") || choice&128 != 0 {
			scheme.DeliveryID.Headers = []string{"X-Delivery"}
		}
		if strings.Contains(template, "{timestamp}") {
			scheme.Timestamp = signature.Timestamp{Headers: []string{"X-Time"}, Unit: []signature.Unit{"", signature.Milliseconds, signature.RFC3339}[choice>>2%3], Tolerance: time.Second}
			if choice&32 != 0 && fields != "" {
				scheme.Timestamp.Headers, scheme.Timestamp.Field = nil, "t"
			}
		}
		at := time.UnixMilli(1767225600123)
		u := signature.Unsigned{Request: signature.Request{URL: "https://h/p", Query: query}, Body: body, ID: id, At: at}
		k := signature.Key{Name: "key", Secret: []byte(key)}
		r, err := signature.Sign(scheme, k, u)
		v, invalid := signature.NewVerifier(scheme, k)
		if invalid != nil && err == nil {
			t.Fatalf("%+v signs, and %v", scheme, invalid)
		}
		if err != nil {
			// Nothing is in the way of plain ones.
			plain := items == "" && fields == "" && prefix == "" && template == "" && id == "" && scheme.Algorithm != signature.Ed25519 && scheme.Algorithm != signature.Token
			if plain && invalid == nil {
				t.Errorf("%+v: %v", scheme, err)
			}
			return
		}
		if _, err := verifyBothWays(t, v, r.Request, r.Body, at); err != nil {
			t.Fatalf("%+v: %v: %q", scheme, err, r.Headers)
		}
		if len(body) == 0 || scheme.Algorithm == signature.Token {
			return
		}
		changed := bytes.Clone(body)
		changed[int(choice)%len(body)] ^= 1 << (algorithm % 8)
		if _, err := verifyBothWays(t, v, r.Request, changed, at); err == nil {
			t.Errorf("%+v accepts another body", scheme)
		}
	})
}

// FuzzTimeInBody has the time written into bodies of JSON, and compares with encoding/json that
// nothing else is changed.
func FuzzTimeInBody(f *testing.F) {
	f.Add("/webhookTimestamp", []byte(`{"a":1}`), uint8(0))
	f.Add("/a/0/t", []byte(` {"a" : [ {"t":"x\"}" } ] } `), uint8(1))
	f.Add("/a/b/c", []byte(`{"a":{},"x":"a\\"}`), uint8(2))
	f.Add("/", []byte(`{"":{"":1},"\u0061":[[],{}]}`), uint8(0))
	f.Fuzz(func(t *testing.T, pointer string, body []byte, unit uint8) {
		scheme := signature.Scheme{Algorithm: signature.SHA256, Timestamp: signature.Timestamp{
			BodyPointer: pointer, Tolerance: time.Second, Unit: []signature.Unit{signature.Seconds, signature.Milliseconds, signature.RFC3339}[unit%3],
		}}
		at := time.UnixMilli(1767225600123)
		k := signature.Key{Secret: []byte("key")}
		r, err := signature.Sign(scheme, k, signature.Unsigned{Body: body, At: at})
		if err != nil {
			return
		}
		v, err := signature.NewVerifier(scheme, k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(r.Request, r.Body, at); err != nil {
			t.Fatalf("%q: %v: %q", pointer, err, r.Body)
		}
		if !utf8.Valid(body) || !utf8.ValidString(pointer) { // other names can become one
			return
		}
		names := strings.Split(pointer[1:], "/")
		for i := range names {
			names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(names[i])
		}
		text := signer{scheme: scheme, now: at}.timestamp()
		want, got := anyOf(t, body), anyOf(t, r.Body)
		if diff := cmp.Diff(without(want, names, text), without(got, names, text)); diff != "" {
			t.Errorf("%q becomes %q (-want +got):\n%s", body, r.Body, diff)
		}
	})
}

func anyOf(t *testing.T, body []byte) (value any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// without returns a value with another one at the names, for which objects are made.
func without(value any, names []string, text string) any {
	if len(names) == 0 {
		return text
	}
	switch value := value.(type) {
	case map[string]any:
		changed := maps.Clone(value)
		changed[names[0]] = without(value[names[0]], names[1:], text)
		return changed
	case []any:
		changed := slices.Clone(value)
		i, _ := strconv.Atoi(names[0])
		changed[i] = without(value[i], names[1:], text)
		return changed
	}
	return map[string]any{names[0]: without(nil, names[1:], text)}
}

// BenchmarkSign shows what a Signer spares.
func BenchmarkSign(b *testing.B) {
	scheme, k := signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Secret: []byte("a key of more than sixteen bytes")}
	u := signature.Unsigned{Body: bytes.Repeat([]byte("x"), 1024), Request: signature.Request{URL: (&url.URL{Scheme: "https", Host: "h"}).String()}}
	signer, err := signature.NewSigner(scheme, k)
	if err != nil {
		b.Fatal(err)
	}
	for name, sign := range map[string]func() (signature.Signed, error){
		"Sign": func() (signature.Signed, error) { return signature.Sign(scheme, k, u) }, "Signer": func() (signature.Signed, error) { return signer.Sign(u) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sign(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
