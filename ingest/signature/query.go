/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"slices"
	"strings"
)

// What is signed is one text, and a request is accepted only if no other one could be made of it: where one part ends and the
// next begins has to follow from the text and the scheme. Nothing has to be looked at for most parts:
//
//   - Each placeholder stands in a template at most once, the body always. So what stands before the body is read from the
//     beginning, what stands behind it from the end, and the body is what is left.
//   - Text is what it is, and so are the URL and the query that a trigger states.
//   - No method begins or ends with another one.
//   - A timestamp of RFC 3339 ends with its zone and begins with its year. One of digits ends at what is no digit; where
//     nothing of that kind stands beside it, it has as many digits as any time of now.
//   - An id has text beside it, which it must not contain.
//
// What is left is a query that the trigger does not state.

// methods are all that may be signed. None begins or ends with another.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

func knownMethod(method string) bool { return slices.Contains(methods, method) }

// A query is that of a request whose URL is signed.
type query struct {
	stated bool   // by the trigger, and the request has the same
	text   string // if it is not stated; a request without one has none
}

// bodyDigest is the parameter that Twilio appends to the query of a request whose body is not a form.
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

// inQuery says whether a query may have the byte (RFC 3986, section 3.4).
func inQuery(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@/?%", c) >= 0
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

// A urlEnd is what stands behind the URL in what is signed, if it can tell where a query ends. The zero value cannot: a method, digits,
// or nothing, as where the URL stands behind the body, which could have the like of it at its end.
type urlEnd struct {
	text string // between the URL and what comes next
	body bool   // the body comes next
}

// determined says whether it follows from what is signed where the URL ends. A query ends before the first byte that no query
// may have; that has to stand in the text behind it, or right behind that.
func (e urlEnd) determined(q query, body []byte) bool {
	switch {
	case q.stated:
		return true
	case q.text == "": // and there could be one, if what follows looked like it
		return e.text != "" || !e.body || len(body) == 0 || body[0] != '?'
	case strings.HasPrefix(e.text, "?"), !onlyInQuery(q.text):
		return false
	case !onlyInQuery(e.text):
		return true
	}
	return e.body && (len(body) == 0 || !inQuery(body[0]))
}
