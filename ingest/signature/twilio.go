/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// maxFormParameters is far more than Twilio sends.
const maxFormParameters = 1000

// twilioFirst are the parameters of which one sorts first in what Twilio sends, with what their
// values begin with. The longest stands first. In a query there would be a = between a name and a
// value.
var twilioFirst = []string{"AccountSidAC", "CallSidCA"}

// findTwilio: the URL, and behind it the form's parameters, sorted, each name followed by its
// value, without separators. If the URL has a parameter bodySHA256, that stands for the body
// instead. (twilio.com/docs/usage/webhooks/webhooks-security)
//
// That there are no separators is a weakness of the scheme: a character can move from a value to
// the next name. What is seen to is that none moves between the URL and the form: see
// twilioAmbiguous.
func findTwilio(r Request, _ carried, q query, body []byte) ([]message, Cause) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, ErrMismatch
	}
	parsed, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, ErrMismatch
	}
	var parameters string
	switch digests, ok := parsed[bodyDigest]; {
	case ok:
		claimed, err := hex.DecodeString(digests[0])
		digest := sha256.Sum256(body)
		if err != nil || len(digests) > 1 || len(claimed) != len(digest) || !hmac.Equal(claimed, digest[:]) {
			return nil, ErrMismatch
		}
	case len(body) > 0:
		var cause Cause
		if parameters, cause = twilioParameters(r, body); cause != "" {
			return nil, cause
		}
	}
	var contents [][]byte
	for _, address := range twilioURLs(r.URL, u) {
		contents = append(contents, []byte(address+parameters))
	}
	return one(twilioAmbiguous(q, parameters), contents...), ""
}

// twilioAmbiguous says whether the end of the URL could be the beginning of the form, or the other
// way round. A query that the trigger does not state must have none of twilioFirst in it, and a
// form behind it begins with one of them: so that is where it ends. Another form may begin with any
// capital letter, as applications choose names of their own: no path of Sluice has one. See
// Preset.Weak.
func twilioAmbiguous(q query, parameters string) bool {
	switch {
	case q.text == "": // or it is stated
		return parameters != "" && continuesURL(parameters[0]) && (parameters[0] < 'A' || parameters[0] > 'Z')
	case !onlyInQuery(q.text):
		return true
	}
	// No name behind the beginning of the form counts, so no more of that is looked at than the
	// longest could take.
	text := q.text + parameters[:min(len(parameters), len(twilioFirst[0]))]
	first := len(text)
	for _, name := range twilioFirst {
		if i := strings.Index(text, name); i >= 0 {
			first = min(first, i)
		}
	}
	return first != len(q.text)
}

// appendsDigest says whether a query is another one and the digest that Twilio appends.
func appendsDigest(stated, query string) bool {
	digest, ok := strings.CutPrefix(query, stated+"&"+bodyDigest+"=")
	if !ok || len(digest) != hex.EncodedLen(sha256.Size) {
		return false
	}
	_, err := hex.DecodeString(digest)
	return err == nil
}

func twilioParameters(r Request, body []byte) (string, Cause) {
	if !isForm(r.Headers) {
		// Twilio's own libraries ignore such a body; here nothing is accepted that nothing vouches
		// for.
		return "", ErrBodyMalformed
	}
	if len(body) > maxUnverified || strings.Count(string(body), "&") >= maxFormParameters {
		return "", ErrBodyMalformed
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form) == 0 { // with nothing but &, it would be signed as an empty body is
		return "", ErrBodyMalformed
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name == "" { // without a value either, it would be signed as an empty body is
			return "", ErrBodyMalformed
		}
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			text.WriteString(name)
			text.WriteString(value)
		}
	}
	return text.String(), ""
}

// twilioURLs returns the forms in which Twilio may have signed a URL: with and without the port of
// its scheme. Its own libraries try both. The first is the one that is given.
func twilioURLs(address string, u *url.URL) []string {
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	if port == "" {
		return []string{address}
	}
	bare := u.Host
	if u.Port() != "" {
		bare = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	with := bare + port
	if u.Port() != "" {
		with = u.Host
	}
	forms := []string{
		strings.Replace(address, "//"+u.Host, "//"+bare, 1),
		strings.Replace(address, "//"+u.Host, "//"+with, 1),
	}
	if u.Port() != "" {
		slices.Reverse(forms)
	}
	return forms
}

// completeTwilio adds the digest of a body that is no form to the query.
func completeTwilio(r *Signed, _, _ string) bool {
	if len(r.Body) == 0 || isForm(r.Headers) {
		return true
	}
	if parsed, _ := url.ParseQuery(r.Query); parsed.Has(bodyDigest) {
		return true
	}
	digest := sha256.Sum256(r.Body)
	if r.Query != "" || strings.Contains(r.URL, "?") {
		r.Query += "&"
	}
	r.Query += bodyDigest + "=" + hex.EncodeToString(digest[:])
	return true
}

// isForm says whether a body is one whose parameters are signed.
func isForm(headers map[string][]string) bool {
	contentType, _ := firstHeader(headers, []string{"Content-Type"})
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/x-www-form-urlencoded"
}
