/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestContentful signs as Contentful's library does; there are no published vectors.
func TestContentful(t *testing.T) {
	const (
		body    = `{"sys":{"id":"x"}}`
		address = "https://hooks.example.com/hooks/shop/orders"
		list    = "x-contentful-timestamp,content-type,x-contentful-signed-headers"
	)
	good := func() http.Header {
		return http.Header{
			"Content-Type":                {"application/json"},
			"X-Contentful-Timestamp":      {"1767225600000"},
			"X-Contentful-Signed-Headers": {list},
			"X-Other":                     {"not signed"},
		}
	}
	sign := func(content string) string {
		h := hmac.New(sha256.New, []byte("geheim"))
		h.Write([]byte(content))
		return hex.EncodeToString(h.Sum(nil))
	}
	canonical := "POST\n/hooks/shop/orders\ncontent-type:application/json;x-contentful-signed-headers:" + list + ";x-contentful-timestamp:1767225600000\n" + body
	v, err := signature.NewVerifier(preset(t, "Contentful"), signature.Key{Name: "key", Secret: []byte("geheim")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		change func(h http.Header)
		url    string
		query  string
		method string
		want   error
	}{
		"Good":           {reason: "as signed"},
		"UnsignedHeader": {reason: "a header that is not listed doesn't count", change: func(h http.Header) { h.Set("X-Other", "changed") }},
		"SignedHeader":   {reason: "one that is does", change: func(h http.Header) { h.Set("Content-Type", "text/plain") }, want: signature.ErrMismatch},
		"HeaderMissing":  {reason: "and has to be there", change: func(h http.Header) { h.Del("Content-Type") }, want: signature.ErrHeaderMissing},
		"HeaderTwice":    {reason: "once", change: func(h http.Header) { h.Add("Content-Type", "x") }, want: signature.ErrHeaderRepeated},
		"NoList":         {reason: "nothing would be signed", change: func(h http.Header) { h.Del("X-Contentful-Signed-Headers") }, want: signature.ErrHeaderMalformed},
		"TimestampUnlisted": {reason: "it could be set to now", change: func(h http.Header) {
			h.Set("X-Contentful-Signed-Headers", "x-contentful-signed-headers")
		}, want: signature.ErrHeaderMalformed},
		"OtherPath":   {reason: "the path is signed", url: "https://hooks.example.com/hooks/shop/other", want: signature.ErrMismatch},
		"Query":       {reason: "it would not be signed as it is", query: "a=1", want: signature.ErrMismatch},
		"StatedQuery": {reason: "nor as the trigger states it", url: address + "?a=1", query: "a=1", want: signature.ErrMismatch},
		"OtherQuery":  {reason: "it is not what the trigger states", url: address + "?a=1", query: "a=2", want: signature.ErrQueryMismatch},
		"OtherMethod": {reason: "it is no method", method: "POST\n/hooks", want: signature.ErrMismatch},
		"OddName":     {reason: "no header has such a name", change: func(h http.Header) { h.Set("X-Contentful-Signed-Headers", list+",a;b:c") }, want: signature.ErrHeaderMalformed},
		"PairInValue": {reason: "it could be a header of its own", change: func(h http.Header) {
			h.Set("Content-Type", "application/json;x-contentful-timestamp:1767225600001")
		}, want: signature.ErrHeaderMalformed},
		"NoURL": {reason: "a URL that cannot be read is no URL", url: ":", want: signature.ErrMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			headers := good()
			headers.Set("X-Contentful-Signature", sign(canonical))
			if tc.change != nil {
				tc.change(headers)
			}
			if tc.url == "" {
				tc.url = address
			}
			_, err := v.Verify(signature.Request{Method: cmp.Or(tc.method, http.MethodPost), URL: tc.url, Query: tc.query, Headers: headers}, []byte(body), time.Unix(1767225601, 0))
			if err != tc.want { //nolint:errorlint // It is returned as it is.
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

// TestUnverifiedBodiesAreBounded shows that nobody can make Verify interpret a long body.
func TestUnverifiedBodiesAreBounded(t *testing.T) {
	padding := strings.Repeat(" ", 256<<10)
	for _, v := range vectors(t) {
		switch v.ID {
		case "adyen-standard-01-official-vector", "mailgun-01-valid":
			v.Body += padding
		case "twilio-01-official-vector":
			v.Body += "&A=" + strings.Repeat("x", 256<<10)
		default:
			continue
		}
		verifier, err := signature.NewVerifier(schemeOf(t, v.Provider), signature.Key{Secret: []byte(v.Secret)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(v.request(), v.body(t), time.Unix(v.Now, 0)); err != signature.ErrBodyMalformed { //nolint:errorlint // It is returned as it is.
			t.Errorf("%s: got %v", v.ID, err)
		}
	}
}

// TestAmbiguousBodies shows that a name that stands there twice is not taken for either.
func TestAmbiguousBodies(t *testing.T) {
	for _, v := range vectors(t) {
		var from, to string
		switch v.ID {
		case "adyen-standard-01-official-vector":
			from, to = `"eventCode":"EVENT"`, `"eventCode":"EVENT","eventCode":"OTHER"`
		case "mailgun-01-valid":
			from, to = `"timestamp":`, `"timestamp":"0","timestamp":`
		default:
			continue
		}
		v.Body = strings.Replace(v.Body, from, to, 1)
		if got := v.verify(t, schemeOf(t, v.Provider)); got != "reject" {
			t.Errorf("%s with %s: got %s", v.ID, to, got)
		}
	}
}
