/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// parts are what the signed bytes of a request are made of. url is what the trigger states, with or
// without a query.
type parts struct{ method, url, query, id, timestamp, body string }

// signedURL returns the URL as the sender signs it.
func (p parts) signedURL() string {
	address, _, _ := strings.Cut(p.url, "?")
	if p.query == "" {
		return address
	}
	return address + "?" + p.query
}

// templatePieces takes a template apart, on its own: at even places stands text, at odd ones the
// name of a placeholder.
func templatePieces(template string) []string {
	pieces := []string{""}
	for template != "" {
		switch end := strings.IndexByte(template, '}'); {
		case strings.HasPrefix(template, "{{"), strings.HasPrefix(template, "}}"):
			pieces[len(pieces)-1] += template[:1]
			template = template[2:]
		case template[0] == '{':
			pieces = append(pieces, template[1:end], "")
			template = template[end+1:]
		default:
			pieces[len(pieces)-1] += template[:1]
			template = template[1:]
		}
	}
	return pieces
}

// signed returns what is signed of the parts.
func signed(template string, p parts) string {
	if template == "" {
		return p.body
	}
	text := ""
	for i, piece := range templatePieces(template) {
		if i%2 == 0 {
			text += piece
			continue
		}
		text += map[string]string{"body": p.body, "timestamp": p.timestamp, "id": p.id, "method": p.method, "url": p.signedURL()}[piece]
	}
	return text
}

// methods are those that a webhook can come with.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// eachSplit calls visit with all parts that a request can have if those bytes are what is signed:
// for a query, an id and a body all that HTTP can carry, for a timestamp all that could be one.
func eachSplit(template, url, text string, unit signature.Unit, visit func(parts)) {
	if template == "" {
		template = "{body}"
	}
	address, stated, isStated := strings.Cut(url, "?")
	pieces := templatePieces(template)
	known := parts{url: url}
	set := map[string]bool{}
	var match func(i int, text string)
	// take has text begin with value, as the part that p points to, and goes on behind it.
	take := func(i int, name string, p *string, value, text string) {
		was, had := *p, set[name]
		if had && was != value || !strings.HasPrefix(text, value) { // a placeholder that stands there twice means the same twice
			return
		}
		*p, set[name] = value, true
		match(i+1, text[len(value):])
		*p, set[name] = was, had
	}
	match = func(i int, text string) {
		if i == len(pieces) {
			if text == "" {
				visit(known)
			}
			return
		}
		if i%2 == 0 {
			if rest, ok := strings.CutPrefix(text, pieces[i]); ok {
				match(i+1, rest)
			}
			return
		}
		switch pieces[i] {
		case "body":
			for end := range len(text) + 1 {
				take(i, "body", &known.body, text[:end], text)
			}
		case "id":
			for end := 1; end <= len(text) && text[end-1] >= ' '; end++ {
				if id := text[:end]; strings.Trim(id, " \t") == id {
					take(i, "id", &known.id, id, text)
				}
			}
		case "timestamp":
			for end := 1; end <= min(len(text), 40); end++ {
				if unit != signature.RFC3339 && (text[end-1] < '0' || text[end-1] > '9') {
					break
				}
				if unit != signature.RFC3339 || end >= 18 {
					take(i, "timestamp", &known.timestamp, text[:end], text)
				}
			}
		case "method":
			for _, method := range methods {
				take(i, "method", &known.method, method, text)
			}
		case "url":
			rest, ok := strings.CutPrefix(text, address)
			if !ok {
				return
			}
			take(i, "query", &known.query, "", rest)
			if !strings.HasPrefix(rest, "?") {
				return
			}
			rest = rest[1:]
			if isStated {
				take(i, "query", &known.query, stated, rest)
				return
			}
			for end := 1; end <= len(rest) && rest[end-1] > ' ' && rest[end-1] != 0x7f; end++ {
				take(i, "query", &known.query, rest[:end], rest)
			}
		}
	}
	match(0, text)
}

// timeOf returns the time that a timestamp says, so that its tolerance is of no help.
func timeOf(text string, unit signature.Unit) time.Time {
	if unit == signature.RFC3339 {
		at, _ := time.Parse(time.RFC3339, text)
		return at
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	if unit == signature.Milliseconds {
		return time.UnixMilli(n)
	}
	return time.Unix(n, 0)
}

// explored is what a test has seen.
type explored struct{ schemes, refusedSchemes, contents, likely, genuine, splits, elsewhere, several int }

// canBeSent says whether senders send the like of it: a query as RFC 3986 has it, an id of the
// characters that ids are made of, and no body that ends in JSON behind what a query may have.
func canBeSent(p parts) bool {
	const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	const inQuery = alphanumeric + "-._~!$&'()*+,;=:@/?%"
	if strings.Trim(p.id, alphanumeric+"-_.:/+~@|") != "" || strings.Trim(p.query, inQuery) != "" {
		return false
	}
	rest := strings.TrimLeft(p.body, inQuery)
	return p.query == "" || strings.Contains(p.url, "?") || rest == p.body || !json.Valid([]byte(rest))
}

func (e explored) log(t *testing.T) {
	t.Helper()
	t.Logf("%d schemes (and %d that are not valid), %d signed texts, %d of them of requests as senders send them, %d of them accepted as they were sent; %d splits of them are verified, %d of these by triggers with another URL",
		e.schemes, e.refusedSchemes, e.contents, e.likely, e.genuine, e.splits, e.elsewhere)
}

// publicURL is what the API takes for spec.publicURL.
var publicURL = regexp.MustCompile(`^https?://[][!$-.0-;=@-Z_a-z~]+(/[!$-;=@-Z_a-z~]*([?][][!$-;=?@-Z_a-z~]+)?)?$`)

// neighbours returns URLs of other triggers of the same key, of which one begins with the other:
// some that are given, and those that the URL becomes with up to 8 bytes of the signed text behind
// it, or all that a URL may have of it, and those that end with it. None has a method in it, which
// the paths of Sluice cannot have; schemes.md says so.
func neighbours(text, signedURL string) []string {
	others := []string{"https://h", "https://h/p", "https://h/p0", "https://h/p-eu", "https://h/p.eu.1", "https://h/p:443/q", "https://h/p?a=b", "https://h/p?a=b.", "https://h/p?a=b1", "https://h/p?a=b[1]"}
	before, behind, _ := strings.Cut(text, signedURL)
	for i := range before {
		if url := before[i:] + signedURL; publicURL.MatchString(url) {
			others = append(others, url)
		}
	}
	for n := 1; n <= len(behind) && publicURL.MatchString(signedURL+behind[:n]); n++ {
		whole := n == len(behind) || !publicURL.MatchString(signedURL+behind[:n+1])
		if (n <= 8 || whole) && !slices.ContainsFunc(methods, func(method string) bool { return strings.Contains(behind[:n], method) }) {
			others = append(others, signedURL+behind[:n])
		}
	}
	return others
}

// longerElsewhere says whether the body that was signed begins with what the URL of another
// trigger, and a query there, has beyond the one it was signed for, or ends like that where the URL
// stands behind it. Then the other trigger cannot know; schemes.md says so.
func longerElsewhere(genuine, other parts) bool {
	return other.url != genuine.url && len(other.signedURL()) > len(genuine.signedURL())
}

// checkSplits signs a request, splits what is signed in every way there is, for the trigger that it
// is sent to and others of the same key, and sees that no two of all these are accepted. It says
// whether the one that was signed is.
func checkSplits(t *testing.T, s signer, v *signature.Verifier, genuine parts, e *explored) (accepted bool) {
	t.Helper()
	for name, part := range map[string]*string{"{method}": &genuine.method, "{url}": &genuine.query, "{id}": &genuine.id, "{timestamp}": &genuine.timestamp} {
		if !strings.Contains(s.scheme.Template, name) {
			*part = ""
		}
	}
	text := signed(s.scheme.Template, genuine)
	request := s.request(s.mac([]byte(text)))
	e.contents++
	var taken []parts // one for each meaning
	meanings := map[parts]bool{}
	verify := func(p parts) {
		e.splits++
		if p.url != genuine.url {
			e.elsewhere++
		}
		request.Method, request.URL, request.Query = p.method, p.url, p.query
		for _, name := range s.scheme.Timestamp.Headers {
			request.Headers[http.CanonicalHeaderKey(name)] = nil
			request.Headers[http.CanonicalHeaderKey(s.scheme.Timestamp.Headers[0])] = []string{p.timestamp}
		}
		if field := s.scheme.Timestamp.Field; field != "" {
			withTime := s
			withTime.text = p.timestamp
			request.Headers = withTime.request(s.mac([]byte(text))).Headers
		}
		for _, name := range s.scheme.DeliveryID.Headers {
			request.Headers[http.CanonicalHeaderKey(name)] = nil
			request.Headers[http.CanonicalHeaderKey(s.scheme.DeliveryID.Headers[0])] = []string{p.id}
		}
		if _, err := v.Verify(request, []byte(p.body), timeOf(p.timestamp, s.scheme.Timestamp.Unit)); err == nil {
			meaning := p
			meaning.url, meaning.query = p.signedURL(), ""
			if !meanings[meaning] {
				taken = append(taken, p)
			}
			meanings[meaning] = true
			accepted = accepted || p == genuine
		}
	}
	found := false
	urls := []string{genuine.url}
	if strings.Contains(s.scheme.Template, "{url}") {
		urls = append(urls, neighbours(text, genuine.signedURL())...)
	}
	for _, url := range urls {
		eachSplit(s.scheme.Template, url, text, s.scheme.Timestamp.Unit, func(p parts) {
			found = found || p == genuine
			verify(p)
		})
	}
	if !found {
		t.Fatalf("%q: the split that was signed is not among those of %q: %+v", s.scheme.Template, text, genuine)
	}
	wrong := len(taken) > 1
	if canBeSent(genuine) { // and nothing else may be made of it, even if it is refused itself
		e.likely++
		wrong = wrong || len(taken) == 1 && !accepted && !longerElsewhere(genuine, taken[0])
	}
	if wrong {
		e.several++
		if e.several <= 20 {
			t.Errorf("%q, unit %q: %q, signed for\n%+v, is accepted as\n%+v", s.scheme.Template, s.scheme.Timestamp.Unit, text, genuine, taken)
		}
	}
	if accepted {
		e.genuine++
	}
	return accepted
}

// splitTexts are texts between placeholders, most of them such that something beside them could
// pass for them.
var splitTexts = []string{
	"", "", "", ".", ":", "|", "?", "&", "=", "\n", " ", ".\n", "\n.", "?\n", "aa", "aba", "..", "0", "1.", ".1", "-", "T", "Z", "/", "https", "https://h/p", "{{", "}}", "%", "POST", "v0:",
}

// randomTemplate returns a scheme with a template of any shape, which need not be valid.
func randomTemplate(r *rand.Rand) signature.Scheme {
	pick := func(values []string) string { return values[r.IntN(len(values))] }
	s := signature.Scheme{Algorithm: signature.SHA256}
	names := []string{"{body}"}
	for _, name := range []string{"{timestamp}", "{id}", "{method}", "{url}"} {
		if r.IntN(2) == 0 {
			names = append(names, name)
		}
	}
	if r.IntN(12) == 0 {
		names = append(names, names[r.IntN(len(names))])
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		s.Template += pick(splitTexts) + name
	}
	s.Template += pick(splitTexts)
	if strings.Contains(s.Template, "{timestamp}") {
		s.Timestamp.Headers = []string{"X-Timestamp"}
		s.Timestamp.Unit = signature.Unit(pick([]string{"", "Seconds", "Milliseconds", "RFC3339"}))
		s.Timestamp.Tolerance = time.Duration(r.IntN(2)) * 5 * time.Minute
	}
	if strings.Contains(s.Template, "{id}") {
		s.DeliveryID.Headers = []string{"X-Id"}
	}
	return s
}

// randomText returns up to so many of the characters.
func randomText(r *rand.Rand, of string, from, to int) string {
	text := make([]byte, from+r.IntN(to-from+1))
	for i := range text {
		text[i] = of[r.IntN(len(of))]
	}
	return string(text)
}

// splitParts returns a request of any kind.
func splitParts(r *rand.Rand, s *signer) parts {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	p := parts{method: pick(methods...), url: pick("https://h", "https://h/p", "https://h/p0", "https://h/p-eu", "https://h/p.eu", "https://h/p?a=b", "https://h/p?a=b.", "https://h/p?a=b1", "http://h:80/"), timestamp: s.timestamp()}
	switch r.IntN(3) {
	case 0:
	case 1:
		p.query = pick("a=1", "a", "?", "a=1&b=2", "https://h/p?a", "x=https://h", "x=https://h/p", ".https://h/p", "|https://h/p", "a.b", "0", "a=1.", "a{}", p.timestamp)
	case 2:
		p.query = randomText(r, "a=&.?10:{|%/", 1, 5)
	}
	if r.IntN(8) == 0 { // a query that ends with all that stands in front of it
		p.query = "x=" + pick(".", "0", "|", "") + p.url
	}
	if _, stated, ok := strings.Cut(p.url, "?"); ok {
		p.query = stated
	}
	p.id = pick("msg_1", "a.b", "aa", "a", "ab", "0", ".", "a.", ".a", "aaa", "x:y", "POST", randomText(r, "a.:|0b-T", 1, 4), "1."+p.timestamp)
	p.body = pick("", "{}", `{"a":1}`, "[0]", "a=1&b=2", "?a=1", "?", "0", "1700000000", ".", "a.b", "x\n0", p.timestamp, "0"+p.timestamp, p.timestamp+"."+p.timestamp, "\x00\xff",
		"?a=1"+p.url, "{"+p.url+"?a", "{}https://x/?u=", `["https://x"]http://y/`, randomText(r, "01.?&=aT{\n:|-Z ", 0, 8), randomText(r, "01.?&=aT{\n:|-Z ", 0, 8))
	return p
}

// TestSignedBytesHaveOneMeaning makes up schemes and requests, and splits what is signed in every
// other way.
func TestSignedBytesHaveOneMeaning(t *testing.T) {
	const seed = 20261129
	rounds := 6000
	if testing.Short() {
		rounds = 600
	}
	var e explored
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // Repeatable chance is wanted.
		scheme := randomTemplate(r)
		if scheme.Validate() != nil {
			e.refusedSchemes++
			continue
		}
		e.schemes++
		s := newSigner(scheme, []byte(fmt.Sprint(round)))
		v := s.verifier(t)
		for range 4 {
			checkSplits(t, s, v, splitParts(r, &s), &e)
		}
	}
	e.log(t)
	if e.several > 0 {
		t.Errorf("%d signed texts have several meanings", e.several)
	}
	if e.schemes < rounds/2 || e.genuine < e.contents/2 || e.splits < e.contents*5/4 {
		t.Errorf("that is too little: %+v", e)
	}
}

// tellsQuery says whether JSON, or text that no query has, stands behind the URL: a query that is
// not stated ends there. A template without a URL takes any query.
func tellsQuery(template string) bool {
	pieces := templatePieces(template)
	i := slices.Index(pieces, "url")
	if i < 0 {
		return true
	}
	behind := pieces[i+1]
	return slices.Index(pieces, "body") > i && (strings.ContainsAny(behind, "\n {}|") || pieces[i+2] == "body")
}

// TestOrdinaryRequestsAreAccepted makes up schemes and sends what senders send: JSON, an id and a
// method like all others, and a query only where it is stated, or where the URL stands right before
// the body, or before text that no query has. None is lost.
func TestOrdinaryRequestsAreAccepted(t *testing.T) {
	const seed = 20261130
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	schemes, sent, queries := 0, 0, 0
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // Repeatable chance is wanted.
		scheme := randomTemplate(r)
		if scheme.Validate() != nil || strings.Contains(scheme.Template, "{{") || strings.Contains(scheme.Template, "}}") { // JSON could be the text
			continue
		}
		schemes++
		s := newSigner(scheme, []byte(fmt.Sprint(round)))
		s.id = "xY_5" // of characters that none of splitTexts has
		v := s.verifier(t)
		told := tellsQuery(scheme.Template)
		for _, method := range methods {
			for _, body := range []string{`{"id":"evt_1","n":1.5}`, "[{}]", "{}", "[]"} {
				for url, sentQueries := range map[string][]string{
					"http://h": {"", "tenant=1"},
					"https://hooks.example.com/hooks/shop/orders":     {"", "tenant=1", "a=b&c=d%20e+f/g?h:i"},
					"https://hooks.example.com/a?tenant=1&x=%20&x[]=": {"tenant=1&x=%20&x[]="},
				} {
					for _, query := range sentQueries {
						if unstated := query != "" && !strings.Contains(url, "?"); unstated {
							if !told {
								continue
							}
							queries++
						}
						p := parts{method: method, url: url, query: query, id: s.id, timestamp: s.timestamp(), body: body}
						request := s.request(s.mac([]byte(signed(scheme.Template, p))))
						request.Method, request.URL, request.Query = method, url, query
						sent++
						if _, err := v.Verify(request, []byte(body), s.now); err != nil {
							t.Fatalf("%q: %v: %+v", scheme.Template, err, p)
						}
					}
				}
			}
		}
	}
	t.Logf("%d schemes, %d requests, %d of them with a query that is not stated", schemes, sent, queries)
	if schemes < rounds/2 || queries < sent/10 {
		t.Error("that is too little")
	}
}

// FuzzSplits has a fuzzer look for a template and a request whose signed bytes have two meanings.
func FuzzSplits(f *testing.F) {
	f.Add("{url}{body}", "https://h/p", "a=1", "id", "b=2", uint8(0))
	f.Add("{body}{timestamp}", "https://h/p", "", "id", "0", uint8(1))
	f.Add("{id}aa{timestamp}.{body}", "https://h/p?a=b", "", "xa", "{}", uint8(2))
	f.Add("{method}{url}?\n{body}.{id}", "https://h", "?", "..", "?", uint8(3))
	f.Fuzz(func(t *testing.T, template, url, query, id, body string, unit uint8) {
		scheme := signature.Scheme{Algorithm: signature.SHA256, Template: template}
		if strings.Contains(template, "{timestamp}") {
			scheme.Timestamp = signature.Timestamp{Headers: []string{"X-Timestamp"}, Unit: []signature.Unit{signature.Seconds, signature.Milliseconds, signature.RFC3339}[unit%3]}
		}
		if strings.Contains(template, "{id}") {
			scheme.DeliveryID.Headers = []string{"X-Id"}
		}
		if len(url)+len(query)+len(id)+len(body)+len(template) > 100 || scheme.Validate() != nil || template == "" {
			return
		}
		for _, c := range []byte(id + query) {
			if c < ' ' || c == 0x7f {
				return // nothing that HTTP carries
			}
		}
		if id == "" || strings.Trim(id, " \t") != id || strings.Contains(query, " ") {
			return
		}
		s := newSigner(scheme, []byte("seed"))
		p := parts{method: "POST", url: url, query: query, id: id, timestamp: s.timestamp(), body: body}
		if _, stated, ok := strings.Cut(url, "?"); ok {
			p.query = stated
		}
		var e explored
		checkSplits(t, s, s.verifier(t), p, &e)
	})
}
