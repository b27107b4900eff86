/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// DefaultHeader is the header of the default scheme, in the form that the keys of a header map
// have.
var DefaultHeader = textproto.CanonicalMIMEHeaderKey(defaultHeaderName)

// defaultHeaderName is how it is written wherever people read it.
const defaultHeaderName = "X-HMAC-HASH"

// Bounds of a Scheme.
const (
	maxHeaders      = 8
	maxNumbered     = 100 // DocuSign Connect signs with up to 100 keys, each in a header of its own
	maxFields       = 8
	maxPointers     = 4
	maxAffix        = 64 // of prefixes, separators and field names, in bytes
	maxTolerance    = 24 * time.Hour
	defaultTemplate = "{body}"
)

// Encoding is how a signature is written.
type Encoding string

// The encodings. Base64 is strict: its alphabet, and padded (RFC 4648, section 4), because a
// lenient reader accepts one signature in many spellings. Base64URL takes padding or none, as RFC
// 4648, section 5, leaves it open.
const (
	Hex       Encoding = "Hex" // of either case
	Base64    Encoding = "Base64"
	Base64URL Encoding = "Base64URL"
)

// SecretEncoding is how the stored form of a secret becomes the key.
type SecretEncoding string

// The encodings of secrets.
const (
	SecretRaw    SecretEncoding = "Raw" // the bytes as they are, even where they look like something encoded
	SecretHex    SecretEncoding = "Hex"
	SecretBase64 SecretEncoding = "Base64"
)

// A Scheme says how requests are signed. It is nothing but data. The zero values of all fields but
// Algorithm make the default scheme: DefaultHeader holds the HMAC of the body in hexadecimal digits
// of either case, with nothing but blanks around them.
type Scheme struct {
	// Algorithm is how a signature is made.
	Algorithm Algorithm

	// Headers are the names of the headers that may carry signatures, in any spelling;
	// DefaultHeader if empty. A request must have one of them, and any one good signature is
	// enough.
	Headers []string
	// NumberedHeaders says that to each name in Headers a number is appended, from 1 to 100.
	NumberedHeaders bool
	// ItemSeparator is what stands between the items of a header that is a list. Blanks around an
	// item are no part of it.
	ItemSeparator string
	// FieldSeparator is what stands between the name of an item and its value. Items of other names
	// than SignatureFields are skipped, as are items without a name.
	FieldSeparator  string
	SignatureFields []string
	// Prefix is what a signature must begin with.
	Prefix string
	// Encoding is how the signature is written; Hex if empty. It is not for Token.
	Encoding Encoding

	// Template is what is signed: text with {body}, which it must have, {timestamp}, {id}, {method}
	// and {url}; just the body if empty. {url} is the URL as the sender has it, query and all.
	Template string
	// Special is a function to find what is signed, in place of a Template. No one but presets
	// needs it.
	Special Special

	// Timestamp is when the request was signed.
	Timestamp Timestamp
	// Secret is how a key is stored.
	Secret Secret
	// DeliveryID is what tells one delivery from another.
	DeliveryID DeliveryID
	// Handshake is how the sender makes sure that somebody is there.
	Handshake Handshake
}

// Timestamp says where the time stands at which a request was signed, and how far it may be from
// now. It is only of use where it is signed itself; Validate sees to it.
type Timestamp struct {
	// Header are the names of headers; the first that the request has counts.
	Headers []string
	// Field is the name of an item in the headers with the signatures.
	Field string
	// BodyPointer is a JSON pointer (RFC 6901) into the body. It is followed only once the
	// signature was found good.
	BodyPointer string
	// Unit is how the time is written; Seconds if empty.
	Unit Unit
	// Tolerance is how far the time may be from now, before or after. Zero means any distance.
	Tolerance time.Duration
}

func (t Timestamp) none() bool {
	return len(t.Headers) == 0 && t.Field == "" && t.BodyPointer == ""
}

// Secret says how a key is stored.
type Secret struct {
	// StripPrefix is taken off the stored text if it is there. It is one of SecretPrefixes, or
	// empty.
	StripPrefix string
	// Encoding is that of the rest; SecretRaw if empty.
	Encoding SecretEncoding
}

// secretPrefixes is what providers put before the secrets that they show. No text of a trigger's
// author must be added to it: whether something was taken off can be seen of what remains, so that
// a secret could be read by guesses. Nor may one begin with another, or be base64: either would say
// more of a secret than whether it has the prefix.
var secretPrefixes = []string{
	"whsec_",    // Standard Webhooks, Svix, and Stripe, which does not take it off
	"whpk_",     // public keys of Standard Webhooks
	"v1,whsec_", // Supabase
}

// SecretPrefixes returns every StripPrefix that a valid scheme may have.
func SecretPrefixes() []string { return slices.Clone(secretPrefixes) }

// DeliveryID says what tells one delivery from another, and is the same when a delivery is
// repeated. At most one of the fields is set; if none is, there is no such thing.
type DeliveryID struct {
	// Headers are the names of headers; the first that the request has counts. Unless the Template
	// has {id}, anybody can change such a header on the way without being noticed: it stops honest
	// repetitions, but no replay.
	Headers []string
	// BodyPointers are JSON pointers (RFC 6901) into the body, all of which must lead to a string,
	// number or Boolean for there to be an id. They are followed only once the signature was found
	// good.
	BodyPointers []string
	// Signature takes the signature as the id. A repetition that is signed anew, with a new
	// timestamp, then counts as another delivery; and without a timestamp, two deliveries of equal
	// content count as one.
	Signature bool
}

// errorList gathers what is wrong.
type errorList []error

func (l *errorList) addf(format string, args ...any) { *l = append(*l, fmt.Errorf(format, args...)) }

// Validate returns everything that is wrong with the scheme.
func (s Scheme) Validate() error {
	var errs errorList
	a, ok := s.Algorithm.lookup()
	if !ok {
		errs.addf("unknown algorithm %q", s.Algorithm)
	}
	token := ok && a.kind == kindToken
	s.validateHeaders(&errs, token)
	s.validateContent(&errs, token)
	s.validateTimestamp(&errs)
	s.validateDeliveryID(&errs, token)

	switch s.Secret.Encoding {
	case "", SecretRaw, SecretHex, SecretBase64:
	default:
		errs.addf("unknown secret encoding %q", s.Secret.Encoding)
	}
	if prefix := s.Secret.StripPrefix; prefix != "" && !slices.Contains(secretPrefixes, prefix) {
		errs.addf("the secret prefix %q is none of %q: store the key without its prefix, and leave the prefix out", prefix, secretPrefixes)
	}
	if s.Handshake != "" && !s.Handshake.known() {
		errs.addf("unknown handshake %q", s.Handshake)
	}
	return errors.Join(errs...)
}

func (s Scheme) validateHeaders(errs *errorList, token bool) {
	names := slices.Concat(s.Headers, s.Timestamp.Headers, s.DeliveryID.Headers)
	for _, name := range names {
		if !validHeaderName(name) {
			errs.addf("%q is not the name of a header", name)
		}
	}
	if max(len(s.Headers), len(s.Timestamp.Headers), len(s.DeliveryID.Headers)) > maxHeaders {
		errs.addf("more than %d headers", maxHeaders)
	}
	if s.Special.inBody() && (len(s.Headers) > 0 || s.NumberedHeaders || s.ItemSeparator != "" || s.FieldSeparator != "" || s.Prefix != "") {
		errs.addf("the signature is in the body: headers, separators and a prefix have no meaning")
	}
	if s.NumberedHeaders && len(s.Headers) == 0 {
		errs.addf("numbered headers need a header name that the numbers are appended to")
	}

	if (s.FieldSeparator == "") != (len(s.SignatureFields) == 0) {
		errs.addf("a field separator and signature fields go together: one is there without the other")
	}
	if s.FieldSeparator != "" && s.FieldSeparator == s.ItemSeparator {
		errs.addf("the item separator and the field separator are the same")
	}
	if s.FieldSeparator != "" && s.Prefix != "" {
		errs.addf("a signature has either a prefix or a field name, not both")
	}
	if len(s.SignatureFields) > maxFields {
		errs.addf("more than %d signature fields", maxFields)
	}
	for _, affix := range slices.Concat([]string{s.Prefix, s.ItemSeparator, s.FieldSeparator, s.Timestamp.Field}, s.SignatureFields) {
		if len(affix) > maxAffix {
			errs.addf("a prefix, separator or field name is longer than %d bytes", maxAffix)
		}
	}
	if slices.Contains(s.SignatureFields, "") {
		errs.addf("a signature field has no name")
	}

	switch s.Encoding {
	case "", Hex, Base64, Base64URL:
	default:
		errs.addf("unknown encoding %q", s.Encoding)
	}
	if token && s.Encoding != "" {
		errs.addf("a token is compared as it is: it has no encoding")
	}
}

func (s Scheme) validateContent(errs *errorList, token bool) {
	if s.Special != "" {
		if s.Special.lookup().find == nil {
			errs.addf("unknown special scheme %q", s.Special)
		}
		if s.Template != "" {
			errs.addf("a special scheme has no template")
		}
	}
	if s.Template != "" {
		if _, err := parseTemplate(s.Template); err != nil {
			errs.addf("%w", err)
		}
	}
	if token && (s.Template != "" || s.Special != "") {
		errs.addf("a token signs nothing: it has no template")
	}
}

func (s Scheme) validateTimestamp(errs *errorList) {
	t := s.Timestamp
	inTemplate := s.signs(partTimestamp)
	switch t.Unit {
	case "", Seconds, Milliseconds, RFC3339:
	default:
		errs.addf("unknown timestamp unit %q", t.Unit)
	}
	if t.Tolerance < 0 || t.Tolerance > maxTolerance {
		errs.addf("the timestamp tolerance must be from 0 to %s, not %s", maxTolerance, t.Tolerance)
	}
	if t.none() {
		if t.Tolerance != 0 {
			errs.addf("there is a timestamp tolerance, but no timestamp")
		}
		if inTemplate {
			errs.addf("the template has {timestamp}, but there is no timestamp")
		}
		return
	}
	sources := 0
	for _, used := range []bool{len(t.Headers) > 0, t.Field != "", t.BodyPointer != ""} {
		if used {
			sources++
		}
	}
	if sources > 1 {
		errs.addf("the timestamp has more than one source: a header, a field or a place in the body")
	}
	if t.Field != "" {
		if s.FieldSeparator == "" {
			errs.addf("the timestamp is a field, but there is no field separator")
		}
		if slices.Contains(s.SignatureFields, t.Field) {
			errs.addf("the field %q cannot hold both the timestamp and a signature", t.Field)
		}
	}
	switch {
	case t.BodyPointer != "":
		if _, err := parsePointer(t.BodyPointer); err != nil {
			errs.addf("the timestamp's JSON pointer %w", err)
		}
		if inTemplate {
			errs.addf("the template has {timestamp}, but the timestamp is in the body, which is read only once it is verified")
		}
		if t.Tolerance == 0 {
			errs.addf("a timestamp in the body is of use only with a tolerance")
		}
	case !inTemplate && s.validTemplate() && !s.Special.lookup().signsTimestamp:
		errs.addf("the template has no {timestamp}: a timestamp that is not signed proves nothing")
	}
}

func (s Scheme) validateDeliveryID(errs *errorList, token bool) {
	id := s.DeliveryID
	sources := 0
	for _, used := range []bool{len(id.Headers) > 0, len(id.BodyPointers) > 0, id.Signature} {
		if used {
			sources++
		}
	}
	if sources > 1 {
		errs.addf("the delivery id has more than one source: headers, places in the body or the signature")
	}
	if s.signs(partID) && len(id.Headers) == 0 {
		errs.addf("the template has {id}, but the delivery id is not in a header")
	}
	if len(id.BodyPointers) > maxPointers {
		errs.addf("the delivery id has more than %d parts", maxPointers)
	}
	for _, p := range id.BodyPointers {
		if _, err := parsePointer(p); err != nil {
			errs.addf("the delivery id's JSON pointer %w", err)
		}
	}
	if id.Signature && token {
		errs.addf("a token cannot be the delivery id: it is the secret, and the same in every request")
	}
	if id.Signature && s.Special.inBody() {
		errs.addf("the signature cannot be the delivery id where it is in the body")
	}
}

// signs says whether a part of the request is in the template.
func (s Scheme) signs(p part) bool {
	if s.Template == "" {
		return p == partBody && s.Special == "" && s.Algorithm != Token
	}
	t, err := parseTemplate(s.Template)
	return err == nil && t.has(p)
}

func (s Scheme) validTemplate() bool {
	_, err := parseTemplate(s.Template)
	return s.Template == "" || err == nil
}

// SignsDeliveryID says whether a delivery id that was changed on the way would be noticed.
func (s Scheme) SignsDeliveryID() bool {
	switch {
	case s.Algorithm == Token:
		return false
	case len(s.DeliveryID.Headers) > 0:
		return s.signs(partID)
	case len(s.DeliveryID.BodyPointers) > 0:
		return s.Special == "" || s.Special.signsPointers(s.DeliveryID.BodyPointers)
	default:
		return s.DeliveryID.Signature
	}
}

// NeedsURL says whether the URL is signed as the sender has it. Behind a proxy it can't be told
// from the request: its public part must then be configured.
func (s Scheme) NeedsURL() bool { return s.signs(partURL) || s.Special.lookup().signsURL }

// DecodeSecret returns the key that a stored secret stands for. The errors say no more of it than
// is counted in docs/security.md: whoever writes a trigger, without the right to read Secrets, sees
// them. The scheme must be valid.
func (s Scheme) DecodeSecret(secret []byte) ([]byte, error) {
	if Blank(secret) {
		return nil, errors.New("is blank")
	}
	text := strings.TrimPrefix(string(secret), s.Secret.StripPrefix)
	key := []byte(text)
	var err error
	switch s.Secret.Encoding {
	case SecretHex:
		key, err = hex.DecodeString(text)
	case SecretBase64:
		key, err = strictBase64.DecodeString(text)
		// encoding/base64 skips line breaks. They are refused here, as everywhere: a key is never
		// trimmed silently.
		if strings.ContainsAny(text, "\r\n") {
			err = errLineBreak
		}
	case SecretRaw, "":
	}
	switch {
	case err != nil && text != strings.TrimSpace(text):
		return nil, fmt.Errorf("has white space around its %s; store it without (printf instead of echo)", strings.ToLower(string(s.Secret.Encoding)))
	case err != nil: // err itself can hold a part of the secret
		return nil, fmt.Errorf("is not %s in one line, as the scheme has it", strings.ToLower(string(s.Secret.Encoding)))
	case Blank(key):
		return nil, errors.New("is blank once it is decoded")
	case s.Algorithm == Ed25519 && (len(key) != ed25519.PublicKeySize || lowOrder([ed25519.PublicKeySize]byte(key))):
		return nil, errors.New("is not a public key of Ed25519: those have 32 bytes, and are none of the few that anybody can sign for")
	}
	return key, nil
}

// errLineBreak is why a key in base64 is not as it should be. Nobody is told: that would say more
// of a Secret's content than that it cannot be decoded.
var errLineBreak = errors.New("line break")

func validHeaderName(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 { // RFC 9110, section 5.6.2
			return false
		}
	}
	return true
}

func canonicalHeaders(names []string) []string {
	canonical := make([]string, len(names))
	for i, name := range names {
		canonical[i] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return canonical
}
