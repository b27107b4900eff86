/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/textproto"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"weak"
)

// A Request is what a signature can be about, but for the body.
type Request struct {
	// Method is the request's method.
	Method string
	// URL is what the sender is configured with, as far as the trigger states it. If it has a
	// query, the request must have the same. It is read only if the scheme's NeedsURL, as is Query.
	URL string
	// Query is the query of the request, as it came. If URL has none, the sender is taken to have
	// signed this one.
	Query string
	// Headers is an http.Header: its keys are in canonical form.
	Headers map[string][]string
}

// A Result is what is known of a request whose signature is good.
type Result struct {
	// Key is the name of the key that the request was signed with.
	Key string
	// DeliveryID tells the delivery from others. It is empty if the scheme has none, or the
	// request. It is valid UTF-8 and at most MaxDeliveryID bytes.
	DeliveryID string
	// Signed says whether the DeliveryID is under the signature. If it is not, somebody who saw the
	// request can send it again under another id.
	Signed bool
	// Challenge is the answer that the sender is waiting for, if the request is no delivery but a
	// handshake.
	Challenge *Answer
}

// A Verifier checks signatures of one scheme against a set of keys. It is immutable and may be used
// concurrently.
type Verifier struct {
	*compiled
	keys                 []*key
	verifyToken          []byte // its SHA-256; nil if there is none
	verifyTokenGuessable bool
}

// compiled is what follows from a scheme alone. Verifiers of equal schemes share it: there may be
// 100,000 of them, and it takes more memory than all the rest of one. It must not be changed.
type compiled struct {
	given     Scheme
	scheme    Scheme // as given, but with canonical header names and without empty values that stand for something
	algorithm algorithm
	template  template // nil if there is a special
	special   special
	handshake handshake

	timestampPointer pointer
	idPointers       []pointer
	signsID          bool // the delivery id is under the signature
	needsID          bool // and stands in a header that the template has
	signsURL         bool
	signsMethod      bool
	digits           int    // that a timestamp in the headers must have; 0 if its end is told by what stands there
	urlEnd           urlEnd // of the template
	idEnd            idEnd  // of the template
	single           bool   // there is one signature at most: one header has it, and nothing else
}

// NewVerifier returns a verifier that accepts what was signed with any one of the keys, which it
// copies. It is an error if the scheme is not valid, if there is no key, or if one of the keys is
// Blank or can't be decoded. The errors say nothing of a secret.
func NewVerifier(scheme Scheme, keys ...Key) (*Verifier, error) {
	shared, err := share(scheme)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	v := &Verifier{compiled: shared, keys: make([]*key, len(keys))}
	for i, k := range keys {
		if v.keys[i], err = newKey(shared, k); err != nil {
			return nil, fmt.Errorf("key %q %w", k.Name, err)
		}
	}
	return v, nil
}

// Keys returns the keys, in the form in which they are stored. They must not be changed. A nil
// verifier has none.
func (v *Verifier) Keys() []Key {
	if v == nil {
		return nil
	}
	keys := make([]Key, len(v.keys))
	for i, k := range v.keys {
		keys[i] = k.Key
	}
	return keys
}

// inUse has each compiled scheme that a verifier holds, as a weak.Pointer, by what fmt makes of the
// scheme.
var inUse sync.Map

// share returns what is compiled of an equal scheme, if there is such, or compiles this one.
func share(scheme Scheme) (*compiled, error) {
	name := fmt.Sprintf("%#v", scheme)
	for {
		found, ok := inUse.Load(name)
		if ok {
			if c := found.(weak.Pointer[compiled]).Value(); c != nil { //nolint:errcheck // the map has nothing else
				return c, nil
			}
			inUse.CompareAndDelete(name, found) // nobody holds it any more, and it is about to be removed
		}
		c, err := compile(scheme)
		if err != nil {
			return nil, err
		}
		pointer := weak.Make(c)
		if _, ok := inUse.LoadOrStore(name, pointer); ok {
			continue // somebody else was faster
		}
		runtime.AddCleanup(c, func(name string) { inUse.CompareAndDelete(name, pointer) }, name)
		return c, nil
	}
}

func compile(scheme Scheme) (*compiled, error) {
	if err := scheme.Validate(); err != nil {
		return nil, err
	}
	c := &compiled{
		given:     scheme.clone(),
		scheme:    normalise(scheme.clone()),
		special:   scheme.Special.lookup(),
		handshake: scheme.Handshake.lookup(),
		signsID:   scheme.SignsDeliveryID(),
		needsID:   scheme.signs(partID),
	}
	c.algorithm, _ = scheme.Algorithm.lookup()
	c.single = len(c.scheme.Headers) == 1 && scheme.ItemSeparator == "" && scheme.FieldSeparator == ""
	c.signsURL, c.signsMethod = scheme.NeedsURL(), scheme.signs(partMethod) || c.special.signsMethod
	fixesDigits := c.special.fixesDigits
	if scheme.Special == "" {
		c.template, _ = parseTemplate(c.scheme.Template) // as Validate did
		c.urlEnd, c.idEnd, fixesDigits = c.template.urlEnd(), c.template.idEnd(), c.template.fixesDigits()
	}
	if fixesDigits {
		c.digits = c.scheme.Timestamp.Unit.digits()
	}
	if scheme.Timestamp.BodyPointer != "" {
		c.timestampPointer, _ = parsePointer(scheme.Timestamp.BodyPointer)
	}
	for _, text := range scheme.DeliveryID.BodyPointers {
		p, _ := parsePointer(text)
		c.idPointers = append(c.idPointers, p)
	}
	return c, nil
}

// clone returns a copy that shares nothing that could be changed.
func (s Scheme) clone() Scheme {
	s.Headers = slices.Clone(s.Headers)
	s.SignatureFields = slices.Clone(s.SignatureFields)
	s.Timestamp.Headers = slices.Clone(s.Timestamp.Headers)
	s.DeliveryID.Headers = slices.Clone(s.DeliveryID.Headers)
	s.DeliveryID.BodyPointers = slices.Clone(s.DeliveryID.BodyPointers)
	return s
}

// normalise returns the scheme with everything spelled out.
func normalise(s Scheme) Scheme {
	if len(s.Headers) == 0 && !s.Special.inBody() {
		s.Headers = []string{DefaultHeader}
	}
	s.Headers = canonicalHeaders(s.Headers)
	if s.NumberedHeaders {
		var numbered []string
		for _, name := range s.Headers {
			for n := 1; n <= maxNumbered; n++ {
				numbered = append(numbered, textproto.CanonicalMIMEHeaderKey(name+strconv.Itoa(n)))
			}
		}
		s.Headers = numbered
	}
	s.Timestamp.Headers = canonicalHeaders(s.Timestamp.Headers)
	s.DeliveryID.Headers = canonicalHeaders(s.DeliveryID.Headers)
	if s.Encoding == "" {
		s.Encoding = Hex
	}
	if s.Timestamp.Unit == "" {
		s.Timestamp.Unit = Seconds
	}
	if s.Template == "" {
		s.Template = defaultTemplate
	}
	return s
}

// NeedsURL says whether Verify reads Request.URL and Request.Query.
func (v *Verifier) NeedsURL() bool { return v.signsURL }

// ComparesToken says whether requests show a token in place of a signature: whoever sends one
// learns whether it is the right one.
func (v *Verifier) ComparesToken() bool { return v.algorithm.kind == kindToken }

// unguessable is the length in bytes from which on a random token cannot be found by trying, at any
// rate and from any number of addresses: 128 bits.
const unguessable = 16

// Guessable says whether requests show a token, and one of the verifier's is so short that it could
// be found by trying.
func (v *Verifier) Guessable() bool {
	return v.ComparesToken() && slices.ContainsFunc(v.keys, func(k *key) bool { return len(k.decoded) < unguessable })
}

// VerifyTokenGuessable says whether there is a verify token that is so short that it could be found
// by trying.
func (v *Verifier) VerifyTokenGuessable() bool { return v.verifyTokenGuessable }

// carried is what the headers of a request hold besides signatures. What the scheme doesn't ask for
// is empty.
type carried struct{ timestamp, id string }

// A Parsed is what Parse has found in the headers of a request, so that VerifyParsed need not look
// for it again.
type Parsed struct {
	by *Verifier // who has found it; nil in the zero value, which nobody takes
	carried
	signature [maxDecoded]byte // the first that is well formed begins this
	length    int              // of the signature; 0 if it is a token, or in the body
}

// Parse refuses a request that cannot be good, whatever its body: one without a signature, with
// none that is well formed, or with a timestamp that is out of tolerance. It is for use before a
// body is read. The error is a Cause other than ErrMismatch; nil means that there is something to
// verify, and no more. VerifyParsed takes what it returns.
func (v *Verifier) Parse(headers map[string][]string, now time.Time) (p Parsed, err error) {
	if cause := v.parse(&p, headers, now); cause != "" {
		return Parsed{}, cause
	}
	return p, nil
}

// parse fills p, which must be zero.
func (v *Verifier) parse(p *Parsed, headers map[string][]string, now time.Time) Cause {
	p.by = v
	if !v.special.inBody {
		if cause := v.findSignature(p, headers); cause != "" {
			return cause
		}
	}
	if t := &v.scheme.Timestamp; len(t.Headers) > 0 || t.Field != "" {
		var cause Cause
		if t.Field != "" {
			p.timestamp, cause = v.timestampField(headers)
		} else {
			p.timestamp, cause = firstHeader(headers, t.Headers)
		}
		switch {
		case cause != "":
			return cause
		case p.timestamp == "":
			return ErrTimestampMissing
		}
		if cause := t.check(p.timestamp, now); cause != "" {
			return cause
		}
		if v.digits != 0 && len(p.timestamp) != v.digits { // the next digit could be a part of the body
			return ErrTimestampMalformed
		}
	}
	if names := v.scheme.DeliveryID.Headers; len(names) > 0 {
		var cause Cause
		p.id, cause = firstHeader(headers, names)
		switch {
		case cause != "":
			return cause
		case p.id == "" && v.needsID:
			return ErrIDMissing
		case v.needsID && v.template.movable(p.id):
			return ErrHeaderMalformed
		}
	}
	return ""
}

// Verify checks a request, with the body as it was received. Nothing of the body is interpreted
// before its signature was found good, but in the special schemes that have the signature, or
// something that is signed, in it. The error is a Cause.
//
// The body is hashed once for each key that is tried, so the time this takes tells which key was
// used, but nothing of it.
func (v *Verifier) Verify(r Request, body []byte, now time.Time) (Result, error) {
	p, err := v.Parse(r.Headers, now)
	if err != nil {
		return Result{}, err
	}
	return v.VerifyParsed(r, &p, body, now)
}

// VerifyParsed is Verify for a request whose headers Parse has seen, and which have not changed
// since. The timestamp has to be fresh now too. What another verifier has parsed does not count:
// the trigger may have another scheme by now.
func (v *Verifier) VerifyParsed(r Request, p *Parsed, body []byte, now time.Time) (result Result, err error) {
	if p.by != v {
		return v.Verify(r, body, now)
	}
	if p.timestamp != "" { // it was fresh then
		if cause := v.scheme.Timestamp.check(p.timestamp, now); cause != "" {
			return Result{}, cause
		}
	}
	q, cause := v.resolve(&r)
	if cause != "" {
		return Result{}, cause
	}
	matched, id, cause := v.match(r, p, q, body)
	if cause != "" {
		return Result{}, cause
	}
	result.Key, result.DeliveryID = matched.Name, id
	// The body is the sender's from here on.
	var doc document
	mayAsk := v.handshake.post != nil && len(body) <= maxHandshakeBody
	if v.timestampPointer != nil || v.idPointers != nil || mayAsk {
		doc, _ = newDocument(body)
	}
	if v.timestampPointer != nil {
		text, ok := doc.scalarAt(v.timestampPointer)
		if !ok {
			return Result{}, ErrTimestampMissing
		}
		if cause := v.scheme.Timestamp.check(text, now); cause != "" {
			return Result{}, cause
		}
	}
	switch {
	case p.id != "":
		result.DeliveryID = boundedID(p.id)
	case v.idPointers != nil:
		result.DeliveryID = boundedID(v.bodyID(doc))
	}
	result.Signed = v.signsID && result.DeliveryID != ""
	if mayAsk {
		if result.Challenge = v.handshake.post(matched, doc); result.Challenge != nil {
			result.Challenge.Handshake = v.scheme.Handshake
		}
	}
	return result, nil
}

// resolve makes the URL that the sender has signed of the one that the trigger states, and returns
// the query in it. It refuses a method that none may have signed.
func (v *Verifier) resolve(r *Request) (q query, cause Cause) {
	if v.signsURL {
		if r.URL, q, cause = r.resolve(v.scheme.Special); cause != "" {
			return query{}, cause
		}
	}
	if v.signsMethod && !knownMethod(r.Method) {
		return query{}, ErrMismatch
	}
	return q, ""
}

// match finds the key that the request was signed with. It returns a digest of the signed content
// if that is the delivery id.
func (v *Verifier) match(r Request, p *Parsed, q query, body []byte) (*key, string, Cause) {
	var messages []message
	if v.special.find != nil {
		var cause Cause
		if messages, cause = v.special.find(r, p.carried, q, body); cause != "" {
			return nil, "", cause
		}
	}
	for _, k := range v.keys {
		if id, ok := v.matchKey(k, r, p, body, messages); ok {
			if cause := v.undetermined(r.URL, q, p.id, body, messages); cause != "" {
				return nil, "", cause
			}
			return k, id, ""
		}
	}
	return nil, "", ErrMismatch
}

// undetermined says whether what is signed could be of another query, id and body.
func (v *Verifier) undetermined(address string, q query, id string, body []byte, messages []message) Cause {
	switch {
	case v.signsURL && v.ambiguous(address, q, id, body, messages):
		return ErrQueryAmbiguous
	case v.needsID && !v.idEnd.determined(body):
		return ErrIDAmbiguous
	}
	return ""
}

// ambiguous says whether what is signed could be of another query and body, or id.
func (v *Verifier) ambiguous(address string, q query, id string, body []byte, messages []message) bool {
	if v.special.find == nil {
		if !v.needsID {
			id = ""
		}
		return !v.urlEnd.determined(address, q, id, body)
	}
	return slices.ContainsFunc(messages, func(m message) bool { return m.ambiguous })
}

// matchKey says whether the request, or each of the messages that a special scheme found in it, was
// signed with the key. It returns a digest of the signed content if that is the delivery id.
// Neither the key nor the signature may be part of it: a request that was signed twice, as while a
// key is replaced, would be two deliveries.
func (v *Verifier) matchKey(k *key, r Request, p *Parsed, body []byte, messages []message) (id string, ok bool) {
	s := k.acquire()
	defer k.release(s)
	if v.special.find == nil {
		s.reset()
		v.template.write(s, r, p.carried, body)
		s.finish()
		ok = v.matchState(s, r.Headers, p, "")
		if ok && v.scheme.DeliveryID.Signature {
			digest := &state{hmac: sha256.New()}
			v.template.write(digest, r, p.carried, body)
			id = digest.id()
		}
		return id, ok
	}
	for _, m := range messages {
		ok = false
		for _, content := range m.contents {
			s.reset()
			s.write(content)
			s.finish()
			if ok = v.matchState(s, r.Headers, p, m.signature); !ok {
				continue
			}
			if v.scheme.DeliveryID.Signature {
				id = digestID(content)
			}
			break
		}
		if !ok {
			return "", false
		}
	}
	return id, ok
}

// matchState looks for a good signature of the content that was written to s: text, or one in the
// headers if that is empty.
func (v *Verifier) matchState(s *state, headers map[string][]string, p *Parsed, text string) (ok bool) {
	kept := text == "" && p.length != 0
	if kept {
		if ok = v.acceptsKept(s, p); ok || v.single {
			return ok
		}
	}
	try := func(text string) bool {
		if v.algorithm.kind == kindToken {
			ok = s.isToken(text)
			return text == "" // a second one would be a second guess
		}
		var buffer [maxDecoded]byte
		signature, cause := v.decode(&buffer, text)
		switch {
		case cause != "":
		case kept: // this one was tried
			kept = false
		default:
			ok = s.accepts(signature)
		}
		return !ok
	}
	if text != "" {
		try(text)
	} else {
		v.eachSignature(headers, try)
	}
	return ok
}

// acceptsKept says whether the signature that Parse has kept is good.
func (v *Verifier) acceptsKept(s *state, p *Parsed) bool {
	if p.length == 0 || p.length != v.algorithm.size {
		return false
	}
	return s.accepts(p.signature[:p.length])
}

// findSignature keeps the first signature that is well formed, or says what is wrong if there is
// none.
func (v *Verifier) findSignature(p *Parsed, headers map[string][]string) Cause {
	if !v.single {
		return v.findAmong(p, headers)
	}
	text, cause := firstHeader(headers, v.scheme.Headers)
	switch {
	case cause != "":
		return cause
	case text == "":
		return ErrHeaderMissing
	}
	text, marked := strings.CutPrefix(text, v.scheme.Prefix)
	if !marked {
		return ErrHeaderMalformed
	}
	return v.keep(p, text)
}

// findAmong is findSignature where there may be several. It would find a single one too, as most
// schemes have it, but it looks into the headers twice, and calls back for each signature.
func (v *Verifier) findAmong(p *Parsed, headers map[string][]string) Cause {
	empty := true
	for _, name := range v.scheme.Headers {
		switch values := headers[name]; {
		case len(values) > 1:
			return ErrHeaderRepeated
		case len(values) == 1 && trim(values[0]) != "":
			empty = false
		}
	}
	if empty {
		return ErrHeaderMissing
	}
	if v.ComparesToken() {
		return v.findToken(headers)
	}
	first := ErrHeaderMalformed // no item is marked as a signature
	seen := false
	v.eachSignature(headers, func(text string) bool {
		cause := v.keep(p, text)
		if !seen || cause == "" {
			first, seen = cause, true
		}
		return first != ""
	})
	return first
}

// findToken is findAmong for tokens. Guesses are counted by requests, so a request may show one
// token only, though it may repeat that.
func (v *Verifier) findToken(headers map[string][]string) Cause {
	token, cause := "", ErrHeaderMalformed
	v.eachSignature(headers, func(text string) bool {
		switch {
		case text == "" || text == token:
		case token == "":
			token, cause = text, ""
		default:
			cause = ErrHeaderRepeated
		}
		return cause != ErrHeaderRepeated
	})
	return cause
}

// keep decodes a signature to p, or says why the text is none. A token is not decoded.
func (v *Verifier) keep(p *Parsed, text string) Cause {
	if v.algorithm.kind == kindToken {
		return ""
	}
	signature, cause := v.decode(&p.signature, text)
	p.length = len(signature)
	return cause
}

// eachSignature calls visit for the signatures in the headers, without what marks them, until it
// returns false.
func (v *Verifier) eachSignature(headers map[string][]string, visit func(text string) bool) {
	v.eachItem(headers, func(name, value string) bool {
		if v.scheme.FieldSeparator != "" {
			return !slices.Contains(v.scheme.SignatureFields, name) || visit(value)
		}
		text, ok := strings.CutPrefix(value, v.scheme.Prefix)
		return !ok || visit(text)
	})
}

// maxItems is how many items of the headers are looked at. Senders have one for each key that is in
// use; without a limit, a header full of them would cost a signature check each.
const maxItems = 16

// eachItem calls visit for the first maxItems items of the headers, until it returns false. Where
// items have names, those without are left out.
func (v *Verifier) eachItem(headers map[string][]string, visit func(name, value string) bool) {
	left := maxItems
	for _, header := range v.scheme.Headers {
		values := headers[header]
		if len(values) != 1 {
			continue
		}
		for rest, more := trim(values[0]), true; more; {
			item := rest
			if v.scheme.ItemSeparator == "" {
				more = false
			} else {
				item, rest, more = strings.Cut(rest, v.scheme.ItemSeparator)
				item = trim(item)
			}
			name, value := "", item
			if v.scheme.FieldSeparator != "" {
				var ok bool
				if name, value, ok = strings.Cut(item, v.scheme.FieldSeparator); !ok {
					continue
				}
			}
			if left--; left < 0 || !visit(name, value) {
				return
			}
		}
	}
}

func (v *Verifier) timestampField(headers map[string][]string) (text string, cause Cause) {
	v.eachItem(headers, func(name, value string) bool {
		if name != v.scheme.Timestamp.Field {
			return true
		}
		if text != "" { // which one was signed is anybody's guess
			cause = ErrTimestampMalformed
			return false
		}
		text = value
		return true
	})
	return text, cause
}

// maxDecoded has room for a signature of maxSize while it is decoded: to encoding/base64, padding
// stands for bytes too.
const maxDecoded = maxSize + 2

// Strict, because otherwise some texts differ in bits that mean nothing.
var (
	strictBase64       = base64.StdEncoding.Strict()
	strictBase64URL    = base64.URLEncoding.Strict()
	strictRawBase64URL = base64.RawURLEncoding.Strict()
)

// decode returns the signature that the text stands for, in the buffer.
func (c *compiled) decode(buffer *[maxDecoded]byte, text string) ([]byte, Cause) {
	size := c.algorithm.size
	var encoding *base64.Encoding
	length := hex.EncodedLen(size)
	switch c.scheme.Encoding {
	case Base64:
		encoding = strictBase64
		length = encoding.EncodedLen(size)
	case Base64URL:
		encoding = strictBase64URL
		if length = encoding.EncodedLen(size); len(text) != length {
			encoding = strictRawBase64URL
			length = encoding.EncodedLen(size)
		}
	case Hex:
	}
	if len(text) != length {
		return nil, ErrHeaderLength
	}
	// The text is not copied: neither function keeps or changes it, which the compiler sees.
	var (
		n   int
		err error
	)
	if encoding == nil {
		n, err = hex.Decode(buffer[:], []byte(text))
	} else {
		// Line breaks are skipped by encoding/base64. They leave fewer bytes than there must be.
		n, err = encoding.Decode(buffer[:], []byte(text))
	}
	if err != nil || n != size {
		return nil, ErrHeaderMalformed
	}
	return buffer[:n], ""
}

// firstHeader returns the value of the first of the headers that the request has, or "".
func firstHeader(headers map[string][]string, names []string) (string, Cause) {
	for _, name := range names {
		switch values := headers[name]; {
		case len(values) > 1:
			return "", ErrHeaderRepeated
		case len(values) == 1:
			if value := trim(values[0]); value != "" {
				return value, ""
			}
		}
	}
	return "", ""
}

// trim removes what is not part of a header's value (RFC 9110, section 5.5).
func trim(s string) string { return strings.Trim(s, " \t") }
