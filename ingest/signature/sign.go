/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// An Unsigned is a request that is to be signed.
type Unsigned struct {
	// Request is all of it but the body. The Method is POST if empty. The Query is that of the URL
	// if empty and the URL has one. Headers are those that are there already; what they have of
	// signatures is replaced.
	Request
	// Body is sent as it is, but where the scheme has the time or the signatures in it.
	Body []byte
	// ID tells the delivery from others. It is written where the scheme has it in a header, and as
	// Mailgun's token. If it is empty, the one that is there counts.
	ID string
	// At is when the request is signed, and is written where the scheme has it, be it in the body.
	// If it is zero, the time that is there counts.
	At time.Time
}

// A Signed is a request as it is to be sent, and as Verify takes it.
type Signed struct {
	// Request has the Query that is to be sent, which Twilio's scheme adds to, and all headers.
	Request
	// Body may be that of the Unsigned, of which nothing is changed.
	Body []byte
}

// ErrNoPrivateKey says that a scheme cannot be signed with what it is verified with.
var ErrNoPrivateKey = errors.New("the scheme is verified with a public key, and signed with a private one, which is the sender's")

// A Signer signs requests of one scheme with one key, as the sender does who has it. It is
// immutable and may be used concurrently.
type Signer struct {
	// verifier is the one that takes what is signed. What both have in common, and that is all but
	// who makes the signature, is its.
	verifier *Verifier
}

// NewSigner returns a signer. The key has the form in which the scheme has it stored, as for
// NewVerifier. It is an error if that would not take it, and for Ed25519, where it is
// ErrNoPrivateKey. The errors say nothing of a secret.
func NewSigner(scheme Scheme, k Key) (*Signer, error) {
	if scheme.Algorithm == Ed25519 {
		return nil, ErrNoPrivateKey
	}
	v, err := NewVerifier(scheme, k)
	if err != nil {
		return nil, err
	}
	return &Signer{verifier: v}, nil
}

// Sign signs one request. Whoever signs many has a Signer.
func Sign(scheme Scheme, k Key, u Unsigned) (Signed, error) {
	s, err := NewSigner(scheme, k)
	if err != nil {
		return Signed{}, err
	}
	return s.Sign(u)
}

// Sign returns the request with its signature. What no verifier of the scheme would take is an
// error that wraps the Cause: something is missing, or cannot be carried, or the same signature
// could be that of another request. The errors hold nothing of the request or the key.
func (s *Signer) Sign(u Unsigned) (Signed, error) {
	r, cause := s.sign(u)
	if cause != "" {
		return Signed{}, fmt.Errorf("sign a request: %w: %s", cause, s.remedy(cause))
	}
	return r, nil
}

// SignHandshake returns the request with which the sender makes sure that somebody is there, and
// waits for an answer to the challenge. It is a delivery with a body of its own that is signed with
// the key, or a GET that is not signed; the key is then the verify token if
// Handshake.NeedsVerifyToken, and not looked at if not. The query of a GET is added to the one of
// u.
func SignHandshake(scheme Scheme, k Key, u Unsigned, challenge string) (Signed, error) {
	if err := scheme.Validate(); err != nil {
		return Signed{}, err
	}
	h := scheme.Handshake.lookup()
	switch {
	case h.ask == nil:
		return Signed{}, errors.New("the scheme has no handshake")
	case echo(challenge) == nil || scheme.Handshake == HandshakeZoom && !isRandom(challenge):
		return Signed{}, errors.New("no sender has such a challenge: it must be of letters and digits, and not too long")
	case h.token && Blank(k.Secret):
		return Signed{}, fmt.Errorf("verify token %q is blank", k.Name)
	}
	if h.post != nil {
		u.Body = []byte(h.ask(challenge, ""))
		return Sign(scheme, k, u)
	}
	u.Method = "GET"
	r := unsigned(u)
	r.Body = nil
	if r.Query != "" {
		r.Query += "&"
	}
	if r.Query += h.ask(challenge, shown(k.Secret)); len(r.Query) > maxHandshakeURL {
		return Signed{}, errors.New("the query is longer than that of any handshake")
	}
	return r, nil
}

func (s *Signer) sign(u Unsigned) (Signed, Cause) {
	v := s.verifier
	d, cause := v.draft(u)
	if cause != "" {
		return Signed{}, cause
	}
	k := v.keys[0]
	state := k.acquire()
	defer k.release(state)
	var texts []string
	if v.special.find == nil {
		state.reset()
		v.template.write(state, d.content, d.carried, d.Body)
		state.finish()
		texts = append(texts, v.written(state, k))
	}
	for _, m := range d.messages {
		state.reset()
		state.write(m.contents[0])
		state.finish()
		texts = append(texts, v.written(state, k))
	}
	switch {
	case v.special.inBody && (len(texts) != len(d.places) || !d.put(d.places, texts)):
		return Signed{}, ErrBodyMalformed
	case !v.special.inBody:
		if cause := v.attach(&d, state, texts[0]); cause != "" {
			return Signed{}, cause
		}
	}
	if cause := v.undetermined(d.content.URL, d.query, d.id, d.Body, d.messages); cause != "" {
		return Signed{}, cause
	}
	return d.Signed, ""
}

// A draft is a request that has all but its signature, and what is known of it.
type draft struct {
	Signed
	carried
	content  Request // as it is signed
	query    query
	places   []pointer // of the signatures in the body
	messages []message // of a special scheme
}

// draft reads an unsigned request as Verify does a signed one.
func (v *Verifier) draft(u Unsigned) (d draft, cause Cause) {
	d.Signed = unsigned(u)
	for _, name := range v.scheme.Headers {
		delete(d.Headers, name)
	}
	if cause := v.fill(&d, u); cause != "" {
		return draft{}, cause
	}
	if v.special.inBody { // there must be something to read, as with a signature
		if d.places = v.special.places(d.Body); !d.put(d.places, nil) {
			return draft{}, ErrBodyMalformed
		}
	}
	d.content = d.Request
	switch d.query, cause = v.resolve(&d.content); {
	case cause != "":
		return draft{}, cause
	case v.signsURL && d.content.URL == "":
		return draft{}, ErrMismatch
	case v.special.find != nil:
		d.messages, cause = v.special.find(d.content, d.carried, d.query, d.Body)
	}
	return d, cause
}

// unsigned returns the request as it is before something is written into it.
func unsigned(u Unsigned) Signed {
	r := Signed{Request: u.Request, Body: u.Body}
	r.Method = cmp.Or(r.Method, "POST")
	if _, stated, ok := strings.Cut(r.URL, "?"); ok && r.Query == "" {
		r.Query = stated
	}
	if r.Headers = maps.Clone(u.Headers); r.Headers == nil {
		r.Headers = map[string][]string{}
	}
	return r
}

// fill writes the id and the time, and what else the sender of a special scheme adds.
func (v *Verifier) fill(d *draft, u Unsigned) Cause {
	if names := v.scheme.DeliveryID.Headers; len(names) > 0 {
		d.id = d.setFirst(names, u.ID)
	}
	t := v.scheme.Timestamp
	text := ""
	if !t.none() && !u.At.IsZero() {
		text = t.Unit.format(u.At)
	}
	switch {
	case len(t.Headers) > 0:
		d.timestamp = d.setFirst(t.Headers, text)
	case t.Field != "":
		d.timestamp = text
	}
	if v.special.complete != nil && !v.special.complete(&d.Signed, u.ID, text) {
		return ErrBodyMalformed
	}
	if v.timestampPointer != nil {
		return d.setTime(v.timestampPointer, t.Unit, text)
	}
	return ""
}

// setFirst sets the first of the headers, so that it is the one that counts, and returns which
// does. An empty value leaves them as they are.
func (r *Signed) setFirst(names []string, value string) string {
	if value != "" {
		for _, name := range names {
			delete(r.Headers, name)
		}
		r.Headers[names[0]] = []string{value}
	}
	value, _ = firstHeader(r.Headers, names)
	return value
}

// setTime writes the time into the body: in place of the one that is there, and in its type. An
// empty text leaves that one.
func (r *Signed) setTime(p pointer, unit Unit, text string) Cause {
	doc, ok := newDocument(r.Body)
	if !ok {
		return ErrBodyMalformed
	}
	if text != "" {
		value := document(text)
		if old, ok := doc.find(p); unit == RFC3339 || ok && old[0] == '"' {
			value = quoted(text)
		}
		if r.Body, ok = withValue(r.Body, p, value); !ok {
			return ErrBodyMalformed
		}
		doc, _ = newDocument(r.Body)
	}
	text, ok = doc.scalarAt(p)
	if !ok {
		return ErrTimestampMissing
	}
	if _, ok := unit.parse(text); !ok {
		return ErrTimestampMalformed
	}
	return ""
}

// put writes the signatures into the body, or, if there are none yet, a text that stands for each
// of them. It says whether the body could take them.
func (r *Signed) put(places []pointer, texts []string) (ok bool) {
	for i, place := range places {
		text := "unsigned"
		if texts != nil {
			text = texts[i]
		}
		if r.Body, ok = withValue(r.Body, place, quoted(text)); !ok {
			return false
		}
	}
	return len(places) > 0
}

// attach writes the signature into the headers, and sees that they are read as they were written:
// separators and keys can have whatever characters.
func (v *Verifier) attach(d *draft, s *state, text string) Cause {
	v.writeHeaders(d, text)
	for _, names := range [][]string{v.scheme.Headers, v.scheme.Timestamp.Headers, v.scheme.DeliveryID.Headers} {
		for _, name := range names {
			if values := d.Headers[name]; len(values) > 0 && !validHeaderValue(values[0]) {
				return ErrHeaderMalformed
			}
		}
	}
	at, _ := v.scheme.Timestamp.Unit.parse(d.timestamp) // which is fresh then
	var p Parsed
	switch cause := v.parse(&p, d.Headers, at); {
	case cause != "":
		return cause
	case p.carried != d.carried || !v.matchState(s, d.Headers, &p, ""):
		return ErrHeaderMalformed
	}
	return ""
}

// writeHeaders writes a signature, and the time where that is beside it. Where a header holds one
// item, another takes the time.
func (v *Verifier) writeHeaders(d *draft, text string) {
	names := v.scheme.Headers
	if v.scheme.FieldSeparator == "" {
		d.Headers[names[0]] = []string{v.scheme.Prefix + text}
		return
	}
	item := v.scheme.SignatureFields[0] + v.scheme.FieldSeparator + text
	if field := v.scheme.Timestamp.Field; field != "" {
		stamp := field + v.scheme.FieldSeparator + d.timestamp
		switch {
		case v.scheme.ItemSeparator != "":
			item = stamp + v.scheme.ItemSeparator + item
		case len(names) > 1:
			d.Headers[names[1]] = []string{stamp}
		}
	}
	d.Headers[names[0]] = []string{item}
}

// written returns a signature as it is sent. Whoever asks for it has the key.
func (v *Verifier) written(s *state, k *key) string {
	if v.algorithm.kind == kindToken {
		return shown(k.decoded)
	}
	switch v.scheme.Encoding {
	case Base64:
		return strictBase64.EncodeToString(s.mac)
	case Base64URL:
		return strictRawBase64URL.EncodeToString(s.mac)
	case Hex:
	}
	return hex.EncodeToString(s.mac)
}

// shown returns a secret that is sent as it is, instead of a signature.
func shown(secret []byte) string { return string(secret) }

// validHeaderValue says whether a header can hold the text (RFC 9110, section 5.5).
func validHeaderValue(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// remedy says what is to be done about a cause.
func (s *Signer) remedy(cause Cause) string {
	switch cause {
	case ErrIDMissing:
		return "the scheme signs an id, and there is none"
	case ErrTimestampMissing:
		return "the scheme has a time, and there is none, or no place for it"
	case ErrTimestampMalformed:
		return "the time cannot be written as the scheme has it"
	case ErrQueryMismatch:
		return "the query is not that of the URL"
	case ErrQueryAmbiguous:
		return "the query could have another end; state it in the URL"
	case ErrIDAmbiguous:
		return "the body begins or ends like more of the id"
	case ErrMismatch:
		return "the method or the URL is none that the scheme can sign"
	default:
		if s.verifier.special.inBody || cause == ErrBodyMalformed {
			return "the body has to be such that the scheme can sign it"
		}
		return "the id, the key, or a header of the request has what the scheme's headers cannot carry"
	}
}
