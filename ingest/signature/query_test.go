/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's algorithm.
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNoMethodIsPartOfAnother is what lets a method stand beside anything.
func TestNoMethodIsPartOfAnother(t *testing.T) {
	for _, a := range methods {
		for _, b := range methods {
			if a != b && (strings.HasPrefix(a, b) || strings.HasSuffix(a, b)) {
				t.Errorf("%s begins or ends with %s", a, b)
			}
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if !knownMethod(method) {
			t.Errorf("%s is no method", method)
		}
	}
	for _, method := range []string{"", "post", "POSTS", "POST\n"} {
		if knownMethod(method) {
			t.Errorf("%q is a method", method)
		}
	}
}

// TestQueries has requests with queries, each signed as its sender does it, and what becomes of
// them.
func TestQueries(t *testing.T) {
	const (
		address = "https://hooks.example.com/hooks/shop/orders"
		now     = "1767225600000"
		form    = "From=%2B1&AccountSid=AC1"
		sorted  = "AccountSidAC1From+1"
		json    = `{"a":1}`
		digest  = "bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
	)
	preset := func(name string) Scheme {
		p, ok := PresetByName(name)
		if !ok {
			t.Fatalf("no preset %s", name)
		}
		return p.Scheme
	}
	template := func(text string) Scheme { return Scheme{Algorithm: SHA256, Template: text} }
	if sum := sha256.Sum256([]byte(json)); digest != bodyDigest+"="+hex.EncodeToString(sum[:]) {
		t.Fatalf("the digest is %x", sum)
	}
	for name, tc := range map[string]struct {
		reason string
		scheme Scheme
		stated string // the query in the URL of the trigger
		query  string
		signed string // behind the address
		body   string
		want   error
	}{
		"Square":                    {reason: "JSON behind a query", scheme: preset("Square"), query: "a=1", signed: "?a=1" + json, body: json},
		"SquareNoBody":              {reason: "it could have had a form", scheme: preset("Square"), query: "a=1", signed: "?a=1", want: ErrQueryAmbiguous},
		"SquareEndOfBody":           {reason: "it could be the end of another body", scheme: preset("Square"), query: "a=1--x", signed: "?a=1--x\r\n\r\n1", body: "\r\n\r\n1", want: ErrQueryAmbiguous},
		"SquareForm":                {reason: "the form could be the query", scheme: preset("Square"), query: "a=1", signed: "?a=1&b=2", body: "&b=2", want: ErrQueryAmbiguous},
		"SquareFormStated":          {reason: "the URL of another trigger could go on with it", scheme: preset("Square"), stated: "a=1", query: "a=1", signed: "?a=1&b=2", body: "&b=2", want: ErrQueryAmbiguous},
		"SquareMovedToQuery":        {reason: "the whole of it is not what the trigger says", scheme: preset("Square"), stated: "a=1", query: "a=1&b=2", signed: "?a=1&b=2", want: ErrQueryMismatch},
		"SquareMovedToBody":         {reason: "nor is nothing of it", scheme: preset("Square"), stated: "a=1", signed: "?a=1&b=2", body: "?a=1&b=2", want: ErrQueryMismatch},
		"SquareQueryAsBody":         {reason: "a body that begins like a query", scheme: preset("Square"), signed: "?a=1" + json, body: "?a=1" + json, want: ErrQueryAmbiguous},
		"SquareBodyAsQuery":         {reason: "RFC 3986 has no braces", scheme: preset("Square"), query: "a=1" + json, signed: "?a=1" + json, want: ErrQueryAmbiguous},
		"SquareForged":              {reason: "who has no key learns nothing", scheme: preset("Square"), query: "a=1", signed: "other", body: "&b=2", want: ErrMismatch},
		"OtherLetters":              {reason: "a stated query is compared to the byte", scheme: preset("Square"), stated: "a=%2f", query: "a=%2F", signed: "?a=%2f{}", body: "{}", want: ErrQueryMismatch},
		"HubSpot":                   {reason: "an encoded query before JSON", scheme: preset("HubSpot"), query: "a=%3A", signed: "?a=:" + json + now, body: json},
		"HubSpotForm":               {reason: "the form could be the query", scheme: preset("HubSpot"), query: "a=%3A", signed: "?a=:b=1" + now, body: "b=1", want: ErrQueryAmbiguous},
		"HubSpotFormStated":         {reason: "the URL of another trigger could go on with it", scheme: preset("HubSpot"), stated: "a=%3A", query: "a=%3A", signed: "?a=:b=1" + now, body: "b=1", want: ErrQueryAmbiguous},
		"Twilio":                    {reason: "AccountSid begins the form", scheme: preset("Twilio"), query: "a=1", signed: "?a=1" + sorted, body: form},
		"TwilioNameInQuery":         {reason: "in a query there is a = behind it", scheme: preset("Twilio"), query: "a=1&AccountSid=AC2", signed: "?a=1&AccountSid=AC2" + sorted, body: form},
		"TwilioFormInQuery":         {reason: "the form could have begun earlier", scheme: preset("Twilio"), query: "a=1AccountSidAC2", signed: "?a=1AccountSidAC2" + sorted, body: form, want: ErrQueryAmbiguous},
		"TwilioQueryInForm":         {reason: "what was a name of the query", scheme: preset("Twilio"), query: "a=1&", signed: "?a=1&AccountSid=AC2" + sorted, body: "AccountSid=%3DAC2" + sorted[:len(sorted)-2] + "%2B1", want: ErrQueryAmbiguous},
		"TwilioFormInQueryStated":   {reason: "not if the trigger says so", scheme: preset("Twilio"), stated: "a=1AccountSidAC2", query: "a=1AccountSidAC2", signed: "?a=1AccountSidAC2" + sorted, body: form},
		"TwilioOtherName":           {reason: "nothing says where the form begins", scheme: preset("Twilio"), query: "a=1", signed: "?a=1b2", body: "b=2", want: ErrQueryAmbiguous},
		"TwilioFormAsQuery":         {reason: "a form that was made a part of the query", scheme: preset("Twilio"), query: "a=1" + sorted, signed: "?a=1" + sorted, want: ErrQueryAmbiguous},
		"TwilioQueryAsName":         {reason: "a query that was made a name of the form", scheme: preset("Twilio"), signed: "?a=1" + sorted, body: "%3Fa=%3D1AccountSidAC1From%2B1", want: ErrQueryAmbiguous},
		"TwilioDigest":              {reason: "a digest of JSON", scheme: preset("Twilio"), query: digest, signed: "?" + digest, body: json},
		"TwilioDigestBehind":        {reason: "behind another query", scheme: preset("Twilio"), query: "a=1&" + digest, signed: "?a=1&" + digest, body: json},
		"TwilioDigestBehindStated":  {reason: "Twilio appends it to what it is configured with", scheme: preset("Twilio"), stated: "a=1", query: "a=1&" + digest, signed: "?a=1&" + digest, body: json},
		"TwilioDigestAsName":        {reason: "a digest that was made a name of the form", scheme: preset("Twilio"), stated: "a=1", query: "a=1", signed: "?a=1&" + digest, body: "%26bodySHA256=" + digest[len(bodyDigest):], want: ErrQueryAmbiguous},
		"TwilioDigestOfNoLength":    {reason: "anything could be appended", scheme: preset("Twilio"), stated: "a=1", query: "a=1&bodySHA256=00", signed: "?a=1&bodySHA256=00", body: json, want: ErrQueryMismatch},
		"DigestOfSquare":            {reason: "only Twilio appends it", scheme: preset("Square"), stated: "a=1", query: "a=1&" + digest, signed: "?a=1&" + digest, want: ErrQueryMismatch},
		"LineBreak":                 {reason: "no query has one", scheme: template("{url}\n{body}"), query: "a=1", signed: "?a=1\n&b=2", body: "&b=2"},
		"DotAndForm":                {reason: "a query may have dots", scheme: template("{url}.{body}"), query: "a=1", signed: "?a=1.b.c", body: "b.c", want: ErrQueryAmbiguous},
		"DotAndJSON":                {reason: "but no brace", scheme: template("{url}.{body}"), query: "a=1.2", signed: "?a=1.2." + json, body: json},
		"URLBehindBody":             {reason: "the body could end with it", scheme: template("{body}\n{url}"), query: "a=1", signed: "?a=1", body: json, want: ErrMismatch},
		"MethodBehindURL":           {reason: "a query could end with it", scheme: template("{url}{method}{body}"), query: "a=1", signed: "?a=1POST{}", body: "{}", want: ErrQueryAmbiguous},
		"NoURLNoRule":               {reason: "a query that is not signed says nothing", scheme: template("{body}"), query: "a{b", signed: "", body: json},
		"SquareMoreOfAPath":         {reason: "the path of another trigger", scheme: preset("Square"), signed: "-eu" + json, body: "-eu" + json, want: ErrQueryAmbiguous},
		"SquareMoreOfAQuery":        {reason: "the query of another trigger", scheme: preset("Square"), stated: "t=1", query: "t=1", signed: "?t=12" + json, body: "2" + json, want: ErrQueryAmbiguous},
		"SquareList":                {reason: "a query that goes on with a bracket", scheme: preset("Square"), stated: "t", query: "t", signed: "?t[1]" + json, body: "[1]" + json, want: ErrQueryAmbiguous},
		"SquareListInURL":           {reason: "an array could be the end of this URL", scheme: preset("Square"), stated: "t[1]", query: "t[1]", signed: "?t[1]", want: ErrQueryAmbiguous},
		"SquareJSONStated":          {reason: "no URL goes on with a brace", scheme: preset("Square"), stated: "t=1", query: "t=1", signed: "?t=1" + json, body: json},
		"HubSpotMoreOfAPath":        {reason: "the path of another trigger", scheme: preset("HubSpot"), signed: "-eu" + json + now, body: "-eu" + json, want: ErrQueryAmbiguous},
		"TwilioMoreOfAPath":         {reason: "the path of another trigger", scheme: preset("Twilio"), signed: "-eu" + sorted, body: "-euAccountSid=AC1&From=%2B1", want: ErrQueryAmbiguous},
		"TwilioMoreOfAPathAsValue":  {reason: "the same as a name alone", scheme: preset("Twilio"), signed: "2" + sorted, body: "2" + sorted[:len(sorted)-2] + "%2B1", want: ErrQueryAmbiguous},
		"TwilioMoreOfAQuery":        {reason: "the query of another trigger", scheme: preset("Twilio"), stated: "t=1", query: "t=1", signed: "?t=12" + sorted, body: "2AccountSid=AC1&From=%2B1", want: ErrQueryAmbiguous},
		"TwilioOwnNames":            {reason: "applications choose names", scheme: preset("Twilio"), signed: "ANI1" + sorted + "widgets:x y2", body: "ANI=1&" + form + "&widgets%3Ax+y=2"},
		"TwilioOwnNamesBehindQuery": {reason: "the query ends at AccountSid", scheme: preset("Twilio"), query: "a=1", signed: "?a=1" + sorted + "widgets:x y2", body: form + "&widgets%3Ax+y=2"},
		"TwilioOwnNamesStated":      {reason: "no more is asked of a stated query than of none", scheme: preset("Twilio"), stated: "t=1", query: "t=1", signed: "?t=1ANI1" + sorted, body: "ANI=1&" + form},
		"TwilioNoName":              {reason: "it would be signed as an empty body is", scheme: preset("Twilio"), signed: "", body: "=", want: ErrBodyMalformed},
		"TwilioNameOfNoURL":         {reason: "no URL goes on with it", scheme: preset("Twilio"), signed: "\u00e91", body: "%C3%A9=1"},
		"XMLBehindURL":              {reason: "no URL goes on with <", scheme: template("{url}{body}"), signed: "<a/>", body: "<a/>"},
		"FormBehindURL":             {reason: "the path of another trigger could", scheme: template("{url}{body}"), signed: "a=1", body: "a=1", want: ErrQueryAmbiguous},
		"TextBehindURL":             {reason: "a word ends at a blank, and it could be that of another trigger", scheme: template("{url}{body}"), signed: " late", body: " late", want: ErrQueryAmbiguous},
		"LineAndForm":               {reason: "no URL has a line break", scheme: template("{url}\n{body}"), signed: "\na=1", body: "a=1"},
		"MethodAndForm":             {reason: "no path of Sluice has capital letters", scheme: template("{url}.{method}.{body}"), signed: ".POST.a=1", body: "a=1"},
		"DotAndOtherTrigger":        {reason: "orders.eu may be another trigger", scheme: template("{url}.{body}"), signed: ".eu." + json, body: "eu." + json, want: ErrQueryAmbiguous},
		"OtherURLInBody":            {reason: "a URL that ends with this one", scheme: template("{body}{url}"), signed: "", body: "{}https://proxy/?to=", want: ErrQueryAmbiguous},
		"EmptyFormIsNoEmptyRequest": {reason: "both would be signed alike", scheme: preset("Twilio"), signed: "", body: "&&", want: ErrBodyMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifierOf(t, tc.scheme, "geheim")
			content := address + tc.signed
			switch {
			case tc.scheme.Special == SpecialHubSpot:
				content = "POST" + content
			case tc.scheme.Template == "{body}":
				content = tc.body
			case tc.scheme.Template == "{body}{url}":
				content = tc.body + content
			}
			newHash, encode := func() hash.Hash { return sha256.New() }, hex.EncodeToString
			if tc.scheme.Algorithm == SHA1 {
				newHash = sha1.New
			}
			if tc.scheme.Encoding == Base64 {
				encode = base64.StdEncoding.EncodeToString
			}
			mac := hmac.New(newHash, []byte("geheim"))
			mac.Write([]byte(content))
			headers := http.Header{
				"Content-Type":                {"application/x-www-form-urlencoded"},
				"X-Hubspot-Request-Timestamp": {now},
			}
			headers.Set(v.scheme.Headers[0], encode(mac.Sum(nil)))
			r := Request{Method: http.MethodPost, URL: address, Query: tc.query, Headers: headers}
			if tc.stated != "" {
				r.URL += "?" + tc.stated
			}
			if _, err := v.Verify(r, []byte(tc.body), time.UnixMilli(1767225600000)); err != tc.want { //nolint:errorlint // a Cause is never wrapped
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			e := v.Explain(r, []byte(tc.body), time.UnixMilli(1767225600000))
			if hint := map[error]Hint{ErrQueryAmbiguous: HintStateQuery, ErrQueryMismatch: HintOtherQuery}[tc.want]; hint != "" && e.Hint != hint {
				t.Errorf("the hint is %s, want %s", e.Hint, hint)
			}
		})
	}
}

// TestTimestampsAreWrittenInOneWay has what is no time, or could be the beginning or the end of
// another one.
func TestTimestampsAreWrittenInOneWay(t *testing.T) {
	for text, want := range map[string]map[Unit]bool{
		"1767225600":                     {Seconds: true, Milliseconds: true},
		"0":                              {Seconds: true, Milliseconds: true},
		"01767225600":                    {},
		"00":                             {},
		"+1767225600":                    {},
		"1767225600.0":                   {},
		"":                               {},
		"2026-01-01T00:00:00Z":           {RFC3339: true},
		"2026-01-01T00:00:00.123456789Z": {RFC3339: true},
		"2026-01-01T00:00:00+01:00":      {RFC3339: true},
		"2026-01-01T0:00:00Z":            {},
		"2026-01-01T00:00:00,5Z":         {},
		"2026-01-01t00:00:00z":           {},
		"2026-01-01T00:00:00":            {},
		"2026-01-01 00:00:00Z":           {},
	} {
		for _, unit := range []Unit{Seconds, Milliseconds, RFC3339} {
			if _, ok := unit.parse(text); ok != want[unit] {
				t.Errorf("%q as %s: %v, want %v", text, unit, ok, want[unit])
			}
		}
	}
}

// TestDigitsBesideDigits shows when a timestamp has to have as many digits as one of now, and that
// a sender is told so by the cause.
func TestDigitsBesideDigits(t *testing.T) {
	for template, fixed := range map[string]bool{
		"{timestamp}{body}": true, "{body}{timestamp}": true, "{timestamp}0.{body}": true, "{body}.1{timestamp}": true, "{timestamp}{url}{body}": true,
		"{timestamp}.{body}": false, "{body}.{timestamp}": false, "{timestamp}.0{body}": false, "v0:{timestamp}:{body}": false, "{body}|{timestamp}{url}": true, "{method}{timestamp}.{body}": true, "{body}.{timestamp}0": true,
	} {
		for unit, digits := range map[Unit]int{Seconds: 10, Milliseconds: 13, RFC3339: 0} {
			v := verifierOf(t, Scheme{Algorithm: SHA256, Template: template, Timestamp: Timestamp{Headers: []string{"X-Time"}, Unit: unit}}, "geheim")
			if want := map[bool]int{true: digits}[fixed]; v.digits != want {
				t.Errorf("%s in %s: %d digits, want %d", template, unit, v.digits, want)
			}
			if unit != Seconds {
				continue
			}
			want := error(nil)
			if fixed {
				want = ErrTimestampMalformed
			}
			headers := http.Header{"X-Time": {"17672256001"}, DefaultHeader: {strings.Repeat("00", 32)}}
			if _, err := v.Parse(headers, time.Unix(0, 0)); err != want { //nolint:errorlint // a Cause is never wrapped
				t.Errorf("%s with eleven digits: %v, want %v", template, err, want)
			}
		}
	}
}
