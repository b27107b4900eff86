/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"encoding/json"
	"slices"
	"strings"
)

// What is signed is one text, and a request is accepted only if its sender can have sent no other
// one with that text: where one part ends and the next begins has to follow from the text and the
// scheme. That the one that was sent is refused is not enough. Nothing has to be looked at for most
// parts:
//
//   - Each placeholder stands in a template at most once, the body always. So what stands before
//     the body is read from the beginning, what stands behind it from the end, and the body is what
//     is left.
//   - Text is what it is.
//   - No method begins or ends with another one.
//   - A timestamp of RFC 3339 ends with its zone and begins with its year. One of digits ends at
//     what is no digit; where nothing of that kind stands beside it, it has as many digits as any
//     time of now.
//
// What is left are a URL, and an id. A URL is what the trigger says, but another trigger of the
// same key may have one that begins with it, and a query that the trigger does not state is
// anything.

// methods are all that may be signed. None begins or ends with another.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

func knownMethod(method string) bool { return slices.Contains(methods, method) }

// A query is that of a request whose URL is signed.
type query struct {
	stated bool   // by the trigger, and the request has the same
	text   string // if it is not stated; a request without one has none
}

// bodyDigest is the parameter that Twilio appends to the query of a request whose body is not a
// form.
const bodyDigest = "bodySHA256"

// resolve returns the URL as the sender has signed it, and the query in it.
func (r Request) resolve(special Special) (string, query, Cause) {
	switch address, stated, ok := strings.Cut(r.URL, "?"); {
	case ok && r.Query == stated:
		return r.URL, query{stated: true}, ""
	case ok && special == SpecialTwilio && appendsDigest(stated, r.Query):
		return address + "?" + r.Query, query{stated: true}, ""
	case ok:
		return "", query{}, ErrQueryMismatch
	case r.Query != "":
		return address + "?" + r.Query, query{text: r.Query}, ""
	}
	return r.URL, query{}, ""
}

// queryChars are what a query may have beside letters and digits (RFC 3986, section 3.4).
const queryChars = "-._~!$&'()*+,;=:@/?%"

// inQuery says whether a query may have the byte.
func inQuery(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte(queryChars, c) >= 0
}

// onlyInQuery says whether a query may be the text.
func onlyInQuery(text string) bool {
	for i := range len(text) {
		if !inQuery(text[i]) {
			return false
		}
	}
	return true
}

// continuesURL says whether a URL may go on with the byte, as spec.publicURL may have it: one that
// begins with the URL of a trigger may be that of another trigger, or of another receiver, which
// the sender signs for with the same key.
func continuesURL(c byte) bool { return inQuery(c) || c == '[' || c == ']' }

// onlyInURL says whether a URL may go on with the text.
func onlyInURL(text string) bool {
	for i := range len(text) {
		if !continuesURL(text[i]) {
			return false
		}
	}
	return true
}

// A urlEnd is what stands beside the URL in what is signed, if it can tell where that ends. The
// zero value cannot tell where a query ends: what comes next is a method or digits.
type urlEnd struct {
	text string // between the URL and what comes next; if it stands behind the body, all text between that and it
	body bool   // the body comes next
	// ends says that between the URL and the body stands what no URL has, and there ends what the
	// URL could go on with: a byte, or a method, which is in capital letters, as the paths of
	// Sluice are not.
	ends bool
	id   string // the text in front of an id between the URL and the body; empty if there is none, or if text tells the end
	// behind says that the URL stands behind the body, which could have the like of it at its end;
	// before is what stands between them, if that is a text.
	behind bool
	before string
}

// determined says whether it follows from what is signed where the URL ends, and where it begins if
// that is behind the body. A URL, and a query, end before the first byte that none may have. That
// stands in the text behind it, or it is the first of the body.
func (e urlEnd) determined(address string, q query, id string, body []byte) bool {
	switch {
	case e.behind:
		return (q.stated || q.text == "") && !e.beginsBefore(address, id, body)
	case q.text == "": // or it is stated
		return (e.ends || e.endsAtBody(address, body)) && (e.id == "" || strings.LastIndex(e.id+id, e.id) == 0)
	case !onlyInQuery(q.text):
		return false
	case !onlyInURL(e.text):
		return true
	}
	return e.body && isStructured(body)
}

// endsAtBody says whether the URL ends where the body begins. A [ could be one of a URL, but no end
// of an object or array is one too: so nothing else will do behind a URL that has one. White space
// is where words of a text end, and such a word could be the end of a URL.
func (e urlEnd) endsAtBody(address string, body []byte) bool {
	switch {
	case isStructured(body):
		return true
	case strings.Contains(address, "["):
		return false
	}
	return len(body) == 0 || !continuesURL(body[0]) && strings.IndexByte(" \t\r\n", body[0]) < 0
}

// beginsBefore says whether what stands in front of the URL could end with the beginning of a URL
// that ends with this one.
func (e urlEnd) beginsBefore(address, id string, body []byte) bool {
	start := len(body)
	for start > 0 && (continuesURL(body[start-1]) || strings.IndexByte(idChars+e.text+address, body[start-1]) >= 0) {
		start--
	}
	for _, scheme := range []string{"http://", "https://"} {
		if strings.Contains(string(body[start:]), e.before+scheme) || strings.Contains(id, scheme) {
			return true
		}
	}
	return false
}

// isStructured says whether the body is an object or array of JSON.
func isStructured(body []byte) bool {
	return len(body) > 0 && (body[0] == '{' || body[0] == '[') && json.Valid(body)
}

// An idEnd is what stands between an id and the body. A text beside the id that no id has tells
// where that ends.
type idEnd struct {
	text   string // that is nearest to the body, on the side of the id; empty if there is nothing to see to
	chars  string // of all that stands in between
	behind bool   // the id stands behind the body
}

// idChars are what ids are made of, beside letters and digits.
const idChars = "-_.:/+~@|"

// determined says whether the body could begin, or end where the id stands behind it, with more of
// an id and all that follows that.
func (e idEnd) determined(body []byte) bool {
	if e.text == "" {
		return true
	}
	run := 0
	if e.behind {
		for run < len(body) && e.has(body[len(body)-1-run]) {
			run++
		}
		return !strings.Contains(string(body[len(body)-run:])+e.text[:len(e.text)-1], e.text)
	}
	for run < len(body) && e.has(body[run]) {
		run++
	}
	return !strings.Contains(e.text[1:]+string(body[:run]), e.text)
}

// has says whether the byte is one of an id, or of what stands between it and the body.
func (e idEnd) has(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte(idChars, c) >= 0 || strings.IndexByte(e.chars, c) >= 0
}

// onlyInID says whether an id may be the text.
func onlyInID(text string) bool {
	for i := range len(text) {
		if !(idEnd{}).has(text[i]) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
