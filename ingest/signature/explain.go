/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Hint classifies why a request was refused, for the owner of the key. The sender must not be told:
// some of it would be of use to one who guesses.
type Hint string

// The hints.
const (
	HintNone             Hint = "None"             // nothing more than the cause is known
	HintAccepted         Hint = "Accepted"         // the request is good; so it was not refused for its signature, or not at that time
	HintHeaderMissing    Hint = "HeaderMissing"    // see Explanation.Header
	HintOtherAlgorithm   Hint = "OtherAlgorithm"   // see Explanation.Algorithm
	HintIsBase64         Hint = "IsBase64"         // and hexadecimal digits are expected
	HintIsHex            Hint = "IsHex"            // and base64 is expected
	HintPrefixMissing    Hint = "PrefixMissing"    // the signature would be well formed without its prefix
	HintPrefixUnexpected Hint = "PrefixUnexpected" // the signature would be well formed with a prefix
	HintKeyNewline       Hint = "KeyNewline"       // the key ends in white space and matches without
	HintSecretPrefix     Hint = "SecretPrefix"     // whsec_ was left on or off: the key matches with it treated the other way
	HintSecretEncoding   Hint = "SecretEncoding"   // the key matches if it is decoded, or if it is not
	HintClock            Hint = "Clock"            // see Explanation.Seconds
	HintTimestampUnit    Hint = "TimestampUnit"    // the timestamp is of now in another unit
	HintFormerKey        Hint = "FormerKey"        // see Explanation.Key
	HintReserialised     Hint = "Reserialised"     // the body matches once white space between its tokens, or at its end, is changed
	HintCompressed       Hint = "Compressed"       // the body is compressed, and its content may be what was signed
	HintContent          Hint = "Content"          // something else was signed: the body alone matches
	HintStateQuery       Hint = "StateQuery"       // the signature is good, but not for this URL and body alone: the trigger has to state a query, or the body has to begin with what no URL has
	HintIDInBody         Hint = "IDInBody"         // the signature is good, but the body begins or ends like more of the id
	HintOtherQuery       Hint = "OtherQuery"       // the request has another query than the trigger states, or none

	HintVerifyToken      Hint = "VerifyToken"      // a handshake shows another verify token than the stored one
	HintVerifyTokenUnset Hint = "VerifyTokenUnset" // a handshake needs a verify token, and none is stored
)

// An Explanation is a hint with its details. It holds nothing secret: no part of a key, of a
// signature or of a body.
type Explanation struct {
	Hint Hint
	// Cause is why the request was refused.
	Cause Cause
	// Header is the name of the header that is missing.
	Header string
	// Algorithm is the one that the signature seems to be of.
	Algorithm Algorithm
	// Key is the name of the key that would match.
	Key string
	// Seconds is how far the timestamp is outside of the tolerance: positive if it is too old,
	// negative if it is ahead.
	Seconds int64
}

// String makes an Explanation a sentence.
func (e Explanation) String() string {
	switch e.Hint {
	case HintAccepted:
		return "the request is good"
	case HintHeaderMissing:
		name := e.Header
		if name == DefaultHeader {
			name = defaultHeaderName // so that it can be found in the documentation
		}
		return fmt.Sprintf("the request has no header %s", name)
	case HintOtherAlgorithm:
		return fmt.Sprintf("the signature is as long as one of %s", e.Algorithm)
	case HintIsBase64:
		return "the signature is in base64, but hexadecimal digits are expected"
	case HintIsHex:
		return "the signature is in hexadecimal digits, but base64 is expected"
	case HintPrefixMissing:
		return "the signature has no prefix, but one is expected"
	case HintPrefixUnexpected:
		return "the signature has a prefix, but none is expected, or another"
	case HintKeyNewline:
		return fmt.Sprintf("the key %q ends in white space and would match without it; store it without (printf instead of echo)", e.Key)
	case HintSecretPrefix:
		return fmt.Sprintf("the key %q would match with whsec_ left off, or on", e.Key)
	case HintSecretEncoding:
		return fmt.Sprintf("the key %q would match if it were decoded, or if it were not", e.Key)
	case HintClock:
		if e.Seconds < 0 {
			return fmt.Sprintf("the timestamp is %d seconds further ahead than the tolerance allows", -e.Seconds)
		}
		return fmt.Sprintf("the timestamp is %d seconds older than the tolerance allows", e.Seconds)
	case HintTimestampUnit:
		return "the timestamp is in another unit than expected"
	case HintFormerKey:
		return fmt.Sprintf("the request was signed with the former key %q", e.Key)
	case HintReserialised:
		return "the body has other white space than what was signed: it was written anew on its way, or the sender signed a newline that it does not send"
	case HintCompressed:
		return "the body is compressed; probably its content was signed before that"
	case HintStateQuery:
		return "the signature is good, but a part of the URL could have been signed as a part of the body, or the other way round; set spec.publicURL to the URL that the sender posts to, with its query if it has one, and have the sender send JSON behind it (of Twilio: a form whose first name, sorted, begins with a capital letter)"
	case HintIDInBody:
		return "the signature is good, but a part of the body could have been signed as a part of the delivery id; that the template separates them by a text that neither has would help"
	case HintOtherQuery:
		return "the request has another query than spec.publicURL, or none"
	case HintContent:
		return "the signature is one of the body alone, but the scheme signs more than that"
	case HintVerifyToken:
		return "the handshake shows another verify token than the one of spec.handshake.verifyTokenRef; give the sender that one, or somebody guesses"
	case HintVerifyTokenUnset:
		return "the handshake is answered only to who shows a verify token, and there is none; set spec.handshake.verifyTokenRef"
	default:
		if e.Cause == ErrMismatch {
			return "no usual mistake explains it; compare the key, and the bytes that the sender signs"
		}
		return "nothing more is known"
	}
}

// Bounds of Explain.
const (
	maxExplained = 64 << 10 // of a body in bytes; a longer one is not hashed again
	maxTries     = 64
)

// Explain tries to find out why Verify refuses a request. former are keys that were valid once. It
// hashes the body up to 64 times if that is at most 64 KiB, and not at all otherwise, which is some
// milliseconds at most; it is meant to run where that holds up nobody.
func (v *Verifier) Explain(r Request, body []byte, now time.Time, former ...Key) Explanation {
	_, err := v.Verify(r, body, now)
	e := Explanation{Hint: HintNone}
	if err == nil {
		e.Hint = HintAccepted
		return e
	}
	e.Cause, _ = errors.AsType[Cause](err)
	switch e.Cause {
	case ErrHeaderMissing, ErrIDMissing, ErrTimestampMissing:
		if e.Header = v.missingHeader(r.Headers, e.Cause); e.Header != "" {
			e.Hint = HintHeaderMissing
		}
	case ErrHeaderLength, ErrHeaderMalformed:
		v.explainForm(r.Headers, &e)
	case ErrTimestampStale, ErrTimestampFuture:
		v.explainTime(r.Headers, body, now, &e)
	case ErrMismatch:
		x := &experiment{v: v, r: r, body: body, now: now, tries: maxTries}
		if len(body) > maxExplained {
			x.tries = 0
		}
		x.explain(former, &e)
	case ErrQueryAmbiguous:
		e.Hint = HintStateQuery
	case ErrIDAmbiguous:
		e.Hint = HintIDInBody
	case ErrQueryMismatch:
		e.Hint = HintOtherQuery
	case ErrHeaderRepeated, ErrTimestampMalformed, ErrBodyMalformed, ErrVerifyTokenWrong, ErrVerifyTokenUnset:
	}
	return e
}

// ExplainHandshake says why a handshake was refused. The token that it shows is not looked at: what
// is nearly right would help who guesses and can read Events.
func ExplainHandshake(cause Cause) Explanation {
	switch cause { //nolint:exhaustive // the others are not of handshakes
	case ErrVerifyTokenWrong:
		return Explanation{Hint: HintVerifyToken, Cause: cause}
	case ErrVerifyTokenUnset:
		return Explanation{Hint: HintVerifyTokenUnset, Cause: cause}
	}
	return Explanation{Hint: HintNone, Cause: cause}
}

func (v *Verifier) missingHeader(headers map[string][]string, cause Cause) string {
	names := v.scheme.Headers
	switch cause {
	case ErrIDMissing:
		names = v.scheme.DeliveryID.Headers
	case ErrTimestampMissing:
		names = v.scheme.Timestamp.Headers
	default:
	}
	for _, name := range names {
		if len(headers[name]) > 0 && trim(headers[name][0]) != "" {
			return ""
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// explainForm looks at the first text that stands where a signature should be.
func (v *Verifier) explainForm(headers map[string][]string, e *Explanation) {
	text, marked := "", false
	v.eachSignature(headers, func(t string) bool {
		text, marked = t, true
		return false
	})
	if !marked { // no prefix, or no field of that name
		for _, name := range v.scheme.Headers {
			if values := headers[name]; len(values) == 1 {
				text = trim(values[0])
				break
			}
		}
		switch {
		case v.wellFormed(text):
			e.Hint = HintPrefixMissing
		case v.wellFormed(afterPrefix(text)):
			e.Hint = HintPrefixUnexpected
		}
		return
	}
	var buffer [maxDecoded]byte
	other := *v.compiled
	if v.scheme.Encoding == Hex {
		other.scheme.Encoding = Base64
	} else {
		other.scheme.Encoding = Hex
	}
	if _, cause := other.decode(&buffer, text); cause == "" {
		e.Hint = HintIsHex
		if other.scheme.Encoding == Base64 {
			e.Hint = HintIsBase64
		}
		return
	}
	for _, a := range algorithms {
		other := *v.compiled
		other.algorithm = a
		if _, cause := other.decode(&buffer, text); cause == "" && a.kind == kindHMAC && v.algorithm.kind == kindHMAC {
			e.Hint, e.Algorithm = HintOtherAlgorithm, a.name
			return
		}
	}
	if v.wellFormed(afterPrefix(text)) {
		e.Hint = HintPrefixUnexpected
	}
}

func (v *Verifier) wellFormed(text string) bool {
	var buffer [maxDecoded]byte
	_, cause := v.decode(&buffer, text)
	return cause == "" && text != ""
}

// afterPrefix returns what follows something like "sha256=" or "v1,".
func afterPrefix(text string) string {
	if i := strings.IndexAny(text, "=,: "); i >= 0 {
		return text[i+1:]
	}
	return ""
}

func (v *Verifier) explainTime(headers map[string][]string, body []byte, now time.Time, e *Explanation) {
	t := v.scheme.Timestamp
	var text string
	switch {
	case t.Field != "":
		text, _ = v.timestampField(headers)
	case v.timestampPointer != nil:
		doc, _ := newDocument(body)
		text, _ = doc.scalarAt(v.timestampPointer)
	default:
		text, _ = firstHeader(headers, t.Headers)
	}
	for _, unit := range []Unit{Seconds, Milliseconds} {
		other := Timestamp{Unit: unit, Tolerance: max(t.Tolerance, time.Hour)}
		if unit != t.Unit && other.check(text, now) == "" {
			e.Hint = HintTimestampUnit
			return
		}
	}
	at, ok := t.Unit.parse(text)
	if !ok {
		return
	}
	age := now.Sub(at)
	e.Hint = HintClock
	if age > 0 {
		e.Seconds = seconds(age - t.Tolerance)
	} else {
		e.Seconds = -seconds(-age - t.Tolerance)
	}
}

// seconds rounds up: a tolerance that is exceeded is exceeded by at least one.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// An experiment verifies a request under changed conditions, a bounded number of times.
type experiment struct {
	v     *Verifier
	r     Request
	body  []byte
	now   time.Time
	tries int
}

// good says whether the request would be accepted.
func (x *experiment) good(scheme Scheme, body []byte, keys ...Key) (string, bool) {
	if x.tries -= len(keys); x.tries < 0 {
		return "", false
	}
	v, err := NewVerifier(scheme, keys...)
	if err != nil {
		return "", false
	}
	result, err := v.Verify(x.r, body, x.now)
	return result.Key, err == nil
}

func (x *experiment) explain(former []Key, e *Explanation) {
	scheme := x.v.given
	keys := x.v.Keys()
	for _, k := range former {
		if _, ok := x.good(scheme, x.body, k); ok {
			e.Hint, e.Key = HintFormerKey, k.Name
			return
		}
	}
	for _, k := range keys {
		if hint := x.otherSecret(scheme, k); hint != "" {
			e.Hint, e.Key = hint, k.Name
			return
		}
	}
	for _, a := range algorithms {
		if a.kind != kindHMAC || a.name == scheme.Algorithm || a.size != x.v.algorithm.size || x.v.algorithm.kind != kindHMAC {
			continue
		}
		other := scheme
		other.Algorithm = a.name
		if name, ok := x.good(other, x.body, keys...); ok {
			e.Hint, e.Algorithm, e.Key = HintOtherAlgorithm, a.name, name
			return
		}
	}
	if x.compressed() {
		e.Hint = HintCompressed
		return
	}
	for _, body := range otherBodies(x.body) {
		if name, ok := x.good(scheme, body, keys...); ok {
			e.Hint, e.Key = HintReserialised, name
			return
		}
	}
	if scheme.Special == "" && scheme.Template != "" && scheme.Template != defaultTemplate && x.v.algorithm.kind == kindHMAC {
		other := scheme
		other.Template, other.Timestamp, other.DeliveryID = defaultTemplate, Timestamp{}, DeliveryID{}
		if name, ok := x.good(other, x.body, keys...); ok {
			e.Hint, e.Key = HintContent, name
		}
	}
}

// otherSecret tries to read a stored key in other ways than the scheme has it. However the key
// looks, it counts as many tries: if there were fewer left for what follows, an author whose own
// key is among the others could see from the hint how it looks.
func (x *experiment) otherSecret(scheme Scheme, k Key) Hint {
	raw := scheme
	raw.Secret = Secret{}
	try := func(s Scheme, secret []byte) bool {
		_, ok := x.good(s, x.body, Key{Name: k.Name, Secret: secret})
		return ok
	}
	if try(scheme, bytes.TrimSpace(k.Secret)) {
		return HintKeyNewline
	}
	const prefix = "whsec_"
	bare, had := bytes.CutPrefix(k.Secret, []byte(prefix))
	if try(raw, bare) && had || try(raw, append([]byte(prefix), bare...)) {
		return HintSecretPrefix
	}
	for _, encoding := range []SecretEncoding{SecretRaw, SecretBase64, SecretHex} {
		if encoding == SecretRaw && scheme.Secret == (Secret{}) {
			continue // as it is
		}
		other := raw
		other.Secret.Encoding = encoding
		if encoding != SecretRaw && had {
			other.Secret.StripPrefix = prefix
		}
		if try(other, k.Secret) {
			if other.Secret.StripPrefix != "" {
				return HintSecretPrefix
			}
			return HintSecretEncoding
		}
	}
	return ""
}

// otherBodies returns what the body may have been before it was written anew.
func otherBodies(body []byte) [][]byte {
	trimmed := bytes.TrimRight(body, " \t\r\n")
	bodies := [][]byte{append(bytes.Clone(trimmed), '\n')}
	if len(trimmed) != len(body) {
		bodies = append(bodies, trimmed)
	}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		bodies = append(bodies, compact.Bytes())
		for _, indent := range []string{"  ", "    ", "\t"} {
			var indented bytes.Buffer
			if compact.Len() <= maxExplained/4 && depth(compact.Bytes()) <= maxIndented && json.Indent(&indented, body, "", indent) == nil && indented.Len() <= maxExplained {
				bodies = append(bodies, indented.Bytes())
			}
		}
	}
	return bodies
}

// maxIndented is how deep a body that is indented anew may be nested. The indentation of n levels
// takes space that grows with n times the number of tokens, and nobody has vouched for the body.
const maxIndented = 16

// depth returns how deep a JSON text is nested. Brackets in strings count, which only makes it
// more.
func depth(text []byte) int {
	deepest, level := 0, 0
	for _, c := range text {
		switch c {
		case '[', '{':
			level++
			deepest = max(deepest, level)
		case ']', '}':
			level = max(0, level-1) // one in a string has no partner
		}
	}
	return deepest
}

func (x *experiment) compressed() bool {
	if encoding, _ := firstHeader(x.r.Headers, []string{"Content-Encoding"}); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return true
	}
	return bytes.HasPrefix(x.body, []byte{0x1f, 0x8b}) // gzip, RFC 1952
}
