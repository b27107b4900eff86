/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const (
	fuzzKey = "a key that stands in no request"
	// fuzzSignature stands for the right signature in what is fuzzed: nobody finds one.
	fuzzSignature = "SIGNATURE"
	fuzzLimit     = 4096 // of a body
)

// fuzzHandler is a handler with a trigger of the default scheme, one that answers handshakes of
// whoever asks, and one that is suspended.
func fuzzHandler(tb testing.TB, k *keeper) *handler {
	tb.Helper()
	table := route.NewTable()
	dropbox, _ := signature.PresetByName("Dropbox")
	for name, scheme := range map[string]signature.Scheme{"orders": {Algorithm: signature.SHA256}, "files": dropbox.Scheme} {
		verifier, err := signature.NewVerifier(scheme, signature.Key{Name: "webhook/key", Secret: []byte(fuzzKey)})
		if err != nil {
			tb.Fatal(err)
		}
		table.Upsert(&route.Route{Namespace: "shop", Name: name, UID: name, Flow: "import", Verifier: verifier})
	}
	table.Upsert(&route.Route{Namespace: "shop", Name: "suspended", UID: "suspended", Unavailable: "Suspended"})
	return testHandler(tb, k, table, func(o *Options) { o.Limits.MaxBodyBytes = fuzzLimit })
}

// FuzzRequest sends requests, byte by byte as they may come. A FlowRun is made exactly of those
// that an independent look finds to be genuine, of exactly their body, and 2xx is said of no other;
// every other answer is a problem that says nothing of the request or the key.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-HMAC-HASH: SIGNATURE\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nx-hmac-hash:\t SIGNATURE \r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"POST /hooks/shop/orders?a=b HTTP/1.0\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE, SIGNATURE\r\n\r\n",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\nContent-Length: 10\r\n\r\nshort",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\nContent-Length: 5000\r\n\r\n",
		"POST /hooks/shop/%6frders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"POST http://h/hooks/shop/orders HTTP/1.1\r\nHost: other\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"POST /hooks/shop/../shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"POST /hooks/shop/suspended HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"PUT /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: SIGNATURE\r\n\r\n",
		"GET /hooks/shop/files?challenge=abc HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /hooks/shop/files?challenge=%3Cscript%3E HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /hooks/shop/orders HTTP/1.1\r\nHost: h\r\nX-Hmac-Hash: " + strings.Repeat("ab", 32) + "\r\nContent-Type: \xff\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	k := &keeper{}
	h := fuzzHandler(f, k)
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		body, bodyErr := io.ReadAll(parsed.Body)
		mac := hmac.New(sha256.New, []byte(fuzzKey))
		mac.Write(body)
		right := hex.EncodeToString(mac.Sum(nil))
		head := raw[:bytes.Index(append(raw, "\r\n\r\n"...), []byte("\r\n\r\n"))]
		signed := slices.Concat(bytes.ReplaceAll(head, []byte(fuzzSignature), []byte(right)), raw[len(head):])
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(signed)))
		if err != nil {
			return // the signature does not fit where its name does
		}
		values := request.Header["X-Hmac-Hash"]
		genuine := request.Method == http.MethodPost && request.URL.EscapedPath() == "/hooks/shop/orders" && bodyErr == nil && len(body) <= fuzzLimit &&
			len(values) == 1 && strings.EqualFold(strings.Trim(values[0], " \t"), right)
		greeting := request.Method == http.MethodGet && request.URL.EscapedPath() == "/hooks/shop/files"

		k.kept = nil
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, request)
		answered := recorder.Body.String()
		if success := recorder.Code/100 == 2; success != genuine && (!success || !greeting) {
			t.Fatalf("answered %d, genuine %t: %q", recorder.Code, genuine, signed)
		}
		if genuine != (len(k.kept) == 1) {
			t.Fatalf("%d FlowRuns of a request that is genuine: %t", len(k.kept), genuine)
		}
		if strings.Contains(answered, right) || strings.Contains(answered, fuzzKey) {
			t.Errorf("the answer holds a secret: %q", answered)
		}
		if h := recorder.Header(); h.Get("Content-Security-Policy") != "default-src 'none'; sandbox" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("a browser could do something with the answer to %q, whose headers are %q", signed, h)
		}
		switch {
		case genuine:
			if d := k.kept[0]; !bytes.Equal(d.Body, body) || d.Trigger != (delivery.Trigger{Namespace: "shop", Name: "orders", UID: "orders"}) || d.Flow != "import" {
				t.Errorf("the delivery is %+v", d)
			}
		case recorder.Code/100 != 2:
			var p problem
			if err := json.Unmarshal([]byte(answered), &p); err != nil || p.Status != recorder.Code || recorder.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("answered %d, %v, %q", recorder.Code, err, answered)
			}
			if !slices.Contains([]int{400, 401, 404, 405, 413, 503}, recorder.Code) {
				t.Errorf("answered %d to %q", recorder.Code, signed)
			}
			if recorder.Code == http.StatusBadRequest && bodyErr == nil {
				t.Errorf("a body that can be read is answered %d: %q", recorder.Code, signed)
			}
		}
	})
}
