/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestQueryDoesNotBecomeBody sends one signed request of Square's with its bytes in every other
// place between the query and the body. Only as it was sent it is a FlowRun.
func TestQueryDoesNotBecomeBody(t *testing.T) {
	const address, path = "https://hooks.example.com/square", "/hooks/shop/square"
	k := &keeper{}
	h := fuzzHandler(t, k)
	preset, _ := signature.PresetByName("Square")
	verifier, err := signature.NewVerifier(preset.Scheme, signature.Key{Name: "webhook/key", Secret: []byte(fuzzKey)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason      string
		stated      string // with its question mark, as the next is
		query, body string
		genuine     int // the answer to the request as it was sent
	}{
		"JSON":       {reason: "its first byte is in no query", query: "?tenant=1", body: `{"event_id":"1"}`, genuine: http.StatusAccepted},
		"NoQuery":    {reason: "there is none", body: `{"event_id":"1"}`, genuine: http.StatusAccepted},
		"NoBody":     {reason: "it could have been a form", query: "?tenant=1", genuine: http.StatusUnauthorized},
		"Form":       {reason: "it could have been the query", query: "?tenant=1", body: "&a=1", genuine: http.StatusUnauthorized},
		"FormStated": {reason: "the query of another trigger could go on like that", stated: "?tenant=1", query: "?tenant=1", body: "&a=1", genuine: http.StatusUnauthorized},
		"JSONStated": {reason: "the same with JSON", stated: "?tenant=1", query: "?tenant=1", body: `{"event_id":"1"}`, genuine: http.StatusAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			h.table.Upsert(&route.Route{Namespace: "shop", Name: "square", UID: "square", Flow: "import", Verifier: verifier, PublicURL: address + tc.stated})
			text := tc.query + tc.body
			mac := hmac.New(sha256.New, []byte(fuzzKey))
			mac.Write([]byte(address + text))
			right := base64.StdEncoding.EncodeToString(mac.Sum(nil))
			sent := 0
			for cut := range len(text) + 1 {
				if cut > 0 && text[0] != '?' {
					break // no query begins like that
				}
				k.kept = nil
				query, body := text[:cut], text[cut:]
				raw := fmt.Sprintf("POST %s%s HTTP/1.1\r\nHost: h\r\nX-Square-Hmacsha256-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", path, query, right, len(body), body)
				request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
				if err != nil {
					t.Fatal(err)
				}
				recorder := httptest.NewRecorder()
				h.ServeHTTP(recorder, request)
				sent++
				want := http.StatusUnauthorized
				if query == tc.query {
					want = tc.genuine
				}
				if recorder.Code != want || (want == http.StatusAccepted) != (len(k.kept) == 1) {
					t.Errorf("%s: query %q, body %q: answered %d with %d FlowRuns, want %d", tc.reason, query, body, recorder.Code, len(k.kept), want)
				}
			}
			t.Logf("%d requests of the same signed bytes", sent)
		})
	}
}
