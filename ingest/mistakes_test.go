/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/ingesttest"
)

const patience = 20 * time.Second

// serve starts a webhook server without a cluster, with a trigger for each preset, "default" of the
// default scheme, and "suspended". None of its requests may get as far as a FlowRun.
func serve(t *testing.T, change func(*ingest.Limits)) (address string) {
	t.Helper()
	schemes := map[string]signature.Scheme{"default": {Algorithm: signature.SHA256}}
	for _, preset := range signature.Presets() {
		schemes[strings.ToLower(preset.Name)] = preset.Scheme
	}
	routes := []*route.Route{{Namespace: "shop", Name: "suspended", UID: "suspended", Unavailable: "Suspended"}}
	for name, scheme := range schemes {
		verifier, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: storedKey(scheme)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		routes = append(routes, &route.Route{Namespace: "shop", Name: name, UID: name, Flow: "import", Verifier: verifier, PublicURL: "https://hooks.example.com" + route.Path("shop", name)})
	}
	nothing := ingesttest.SinkFunc(func(_ context.Context, d *delivery.Delivery) (delivery.Receipt, error) {
		t.Errorf("a FlowRun %s is created", d.Run)
		return delivery.Receipt{}, errors.New("nothing is to be created")
	})
	server := ingesttest.Start(t, nothing, routes, func(o *ingest.Options) {
		l := &o.Limits
		l.ReadTimeout, l.ReadHeaderTimeout, l.WriteTimeout = 2*patience, patience, 3*patience // whoever waits for a body fails the test
		change(l)
	})
	return server.Address().String()
}

// storedKey is a key in the form in which the scheme has it stored.
func storedKey(s signature.Scheme) []byte {
	key := "a key of thirty-two bytes, exact"
	switch s.Secret.Encoding {
	case signature.SecretHex:
		key = hex.EncodeToString([]byte(key))
	case signature.SecretBase64:
		key = base64.StdEncoding.EncodeToString([]byte(key))
	case signature.SecretRaw, "":
	}
	return []byte(s.Secret.StripPrefix + key)
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	tcp, _ := connection.(*net.TCPConn)
	return tcp
}

// head writes the headers of a request.
func head(method, path string, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hooks.example.com\r\n%s\r\n\r\n", method, path, strings.Join(headers, "\r\n"))
}

// refusals are requests that are refused for what their headers say, and the answer to each, by
// what they have wrong.
func refusals() map[string]struct {
	method, path string
	headers      []string
	status       int
} {
	type refusal = struct {
		method, path string
		headers      []string
		status       int
	}
	wellFormed := "X-HMAC-HASH: " + strings.Repeat("ab", 32)
	all := map[string]refusal{
		"UnknownPath":     {"POST", "/hooks/no/such", []string{wellFormed}, 404},
		"Root":            {"POST", "/", []string{wellFormed}, 404},
		"OtherMethod":     {"PUT", "/hooks/shop/default", []string{wellFormed}, 405},
		"GETWithBody":     {"GET", "/hooks/shop/default", []string{wellFormed}, 405},
		"Suspended":       {"POST", "/hooks/shop/suspended", []string{wellFormed}, 503},
		"NoSignature":     {"POST", "/hooks/shop/default", []string{"X-Other: x"}, 401},
		"MalformedHeader": {"POST", "/hooks/shop/default", []string{"X-HMAC-HASH: abc"}, 401},
		"RepeatedHeader":  {"POST", "/hooks/shop/default", []string{wellFormed, wellFormed}, 401},
	}
	for _, preset := range signature.Presets() {
		if !inBody(preset) {
			all["NoSignature/"+preset.Name] = refusal{"POST", "/hooks/shop/" + strings.ToLower(preset.Name), []string{"X-Other: x"}, 401}
		}
	}
	return all
}

// inBody says whether the signature is in the body, so that it has to be read.
func inBody(preset signature.Preset) bool {
	return preset.Scheme.Special == signature.SpecialAdyen || preset.Scheme.Special == signature.SpecialMailgun
}

// TestBodyIsNotReadBeforeChecks sends headers that are refused, of requests whose bodies never
// come: each is answered all the same, and a sender that asks whether to go on is not told to.
//
// CVE-2024-40634, CVE-2026-42294 and CVE-2022-31054: Argo CD, Workflows and Events read bodies
// without a limit before they checked anything.
func TestBodyIsNotReadBeforeChecks(t *testing.T) {
	t.Parallel()
	address := serve(t, func(*ingest.Limits) {})
	cases := refusals()
	for name, path := range map[string]string{"Default": "default", "Mailgun": "mailgun", "AdyenStandard": "adyenstandard"} {
		c := cases["NoSignature"]
		c.path, c.headers, c.status = "/hooks/shop/"+path, []string{"X-HMAC-HASH: " + strings.Repeat("ab", 32)}, 413
		cases["TooLong/"+name] = c
	}
	for name, tc := range cases {
		length := "Content-Length: 1000000"
		if tc.status == http.StatusRequestEntityTooLarge {
			length = "Content-Length: 1048577"
		}
		for _, extra := range []string{"X-None: x", "Expect: 100-continue"} {
			t.Run(name+"/"+extra, func(t *testing.T) {
				t.Parallel()
				connection := dial(t, address)
				if _, err := io.WriteString(connection, head(tc.method, tc.path, append([]string{length, extra}, tc.headers...)...)); err != nil {
					t.Fatal(err)
				}
				reader := bufio.NewReader(connection)
				line, err := reader.ReadString('\n')
				if want := fmt.Sprintf("HTTP/1.1 %d ", tc.status); err != nil || !strings.HasPrefix(line, want) {
					t.Fatalf("the answer begins with %q, %v; want %q", line, err, want)
				}
				if _, err := io.Copy(io.Discard, reader); err != nil {
					t.Errorf("the connection is not closed, and the body would be taken for a request: %v", err)
				}
			})
		}
	}
	if len(cases) < 50 {
		t.Errorf("there are %d cases: presets are missing", len(cases))
	}
}

// TestEndlessBodies sends bodies in chunks that never end, through every kind of route. The server
// takes a bounded part of each.
func TestEndlessBodies(t *testing.T) {
	t.Parallel()
	const (
		limit   = 1 << 20
		buffers = 12 << 20 // what the kernel may take on both sides
		endless = 48 << 20
	)
	address := serve(t, func(l *ingest.Limits) { l.MaxBodyBytes = limit })
	cases := refusals()
	wellFormed := []string{"X-HMAC-HASH: " + strings.Repeat("ab", 32)}
	c := cases["NoSignature"]
	c.headers, c.status = wellFormed, 413
	cases["WrongSignature"] = c
	for _, name := range []string{"Mailgun", "AdyenStandard"} { // which have their signatures in the body
		c.path = "/hooks/shop/" + strings.ToLower(name)
		cases["Endless/"+name] = c
	}
	chunk := "10000\r\n" + strings.Repeat("x", 64<<10) + "\r\n"
	for name, tc := range cases {
		if strings.HasPrefix(name, "NoSignature/") && name != "NoSignature/Slack" { // one stands for all that are refused at the same place
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := dial(t, address)
			if err := connection.SetWriteBuffer(64 << 10); err != nil {
				t.Fatal(err)
			}
			answered := make(chan string, 1)
			go func() {
				line, _ := bufio.NewReader(connection).ReadString('\n')
				answered <- line
			}()
			if _, err := io.WriteString(connection, head(tc.method, tc.path, append([]string{"Transfer-Encoding: chunked"}, tc.headers...)...)); err != nil {
				t.Fatal(err)
			}
			sent := 0
			for sent < endless {
				n, err := io.WriteString(connection, chunk)
				sent += n
				if err != nil {
					break // the server has closed it
				}
			}
			if sent > limit+buffers {
				t.Errorf("%d bytes were taken", sent)
			}
			// The end of the connection can overtake the answer.
			if line, want := <-answered, fmt.Sprintf("HTTP/1.1 %d ", tc.status); line != "" && !strings.HasPrefix(line, want) {
				t.Errorf("the answer begins with %q, want %q", line, want)
			}
		})
	}
}

// TestMemoryOfBodies has many senders send long bodies at a time, each but for the last byte. What
// the process holds then is bounded by --max-in-flight-bytes, not by the number of senders.
func TestMemoryOfBodies(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const (
		senders  = 150
		length   = 1_000_000
		inFlight = 8 << 20
	)
	address := serve(t, func(l *ingest.Limits) { l.MaxInFlightBytes = inFlight })
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	body := []byte(strings.Repeat("x", length-1))
	var ready, sending sync.WaitGroup
	release := make(chan struct{})
	for range senders {
		connection := dial(t, address)
		ready.Add(1)
		sending.Go(func() {
			_, err := io.WriteString(connection, head("POST", "/hooks/shop/default", fmt.Sprintf("Content-Length: %d", length), "X-HMAC-HASH: "+strings.Repeat("ab", 32)))
			if err == nil {
				_, err = connection.Write(body)
			}
			ready.Done()
			if err != nil {
				return // it was turned away
			}
			<-release
		})
	}
	ready.Wait()
	held := heap()
	close(release)
	sending.Wait()
	if held > before && held-before > 4*inFlight {
		t.Errorf("%d bytes are held for %d bodies, want at most four times %d", held-before, senders, inFlight)
	}
	t.Logf("%d kB are held for %d bodies of %d kB", int64(held-before)>>10, senders, length>>10)
}
