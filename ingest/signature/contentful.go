/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// maxContentfulHeaders is far more than Contentful signs.
const maxContentfulHeaders = 64

// findContentful: the method, the path, the headers that X-Contentful-Signed-Headers lists, and the
// body, with line breaks between them. The headers are sorted and in lower case, as "name:value"
// with semicolons between them.
// (contentful.com/developers/docs/extensibility/app-framework/request-verification; npm
// @contentful/node-apps-toolkit)
//
// Contentful's library encodes a query in a way of its own, which is not done here: a webhook's URL
// must have none.
func findContentful(r Request, _ carried, _ query, body []byte) ([]message, Cause) {
	u, err := url.Parse(r.URL)
	if err != nil || u.RawQuery != "" {
		return nil, ErrMismatch
	}
	list, cause := firstHeader(r.Headers, []string{"X-Contentful-Signed-Headers"})
	if cause != "" {
		return nil, cause
	}
	names := strings.Split(strings.ToLower(list), ",")
	if len(names) > maxContentfulHeaders {
		return nil, ErrHeaderMalformed
	}
	for i := range names {
		if names[i] = trim(names[i]); !validHeaderName(names[i]) {
			return nil, ErrHeaderMalformed
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	// What is not listed is not signed, and these two say when, and what else.
	if !slices.Contains(names, "x-contentful-timestamp") || !slices.Contains(names, "x-contentful-signed-headers") {
		return nil, ErrHeaderMalformed
	}
	pairs := make([]string, 0, len(names))
	for _, name := range names {
		values := r.Headers[textproto.CanonicalMIMEHeaderKey(name)]
		if name == "host" { // net/http takes it out of the headers
			values = []string{u.Host}
		}
		switch {
		case len(values) == 0:
			return nil, ErrHeaderMissing
		case len(values) > 1:
			return nil, ErrHeaderRepeated
		}
		pairs = append(pairs, name+":"+strings.TrimSpace(values[0]))
	}
	// A value in which another pair seems to begin could be two, or two pairs a value.
	line := strings.Join(pairs, ";")
	for _, name := range names {
		if strings.Count(";"+line, ";"+name+":") != 1 {
			return nil, ErrHeaderMalformed
		}
	}
	head := r.Method + "\n" + u.EscapedPath() + "\n" + line + "\n"
	return one(false, append([]byte(head), body...)), ""
}

// completeContentful lists the headers that are signed, if that has not been done: those that must
// be, and the content's type.
func completeContentful(r *Signed, _, _ string) bool {
	const name = "X-Contentful-Signed-Headers"
	if len(r.Headers[name]) > 0 {
		return true
	}
	list := "x-contentful-signed-headers,x-contentful-timestamp"
	if len(r.Headers["Content-Type"]) > 0 {
		list += ",content-type"
	}
	r.Headers[name] = []string{list}
	return true
}
