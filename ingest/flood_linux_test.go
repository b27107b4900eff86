/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/ingesttest"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// These tests connect from several addresses of the loopback network, which only Linux has without
// preparation.

const (
	floodKey         = "a key of thirty-two bytes, exact"
	floodConnections = 64
)

// flooded is a server that takes few connections, and its triggers "a" and "b" in the namespace
// "shop".
type flooded struct {
	t        *testing.T
	address  string
	registry *prometheus.Registry
	client   *tls.Config // nil for plain HTTP
}

func newFlooded(t *testing.T, encrypted bool, proxies connlimit.Proxies) *flooded {
	t.Helper()
	f := &flooded{t: t, registry: prometheus.NewRegistry()}
	var certificate *tls.Config
	if encrypted {
		donor := httptest.NewTLSServer(nil)
		donor.Close()
		certificate = &tls.Config{Certificates: donor.TLS.Certificates, MinVersion: tls.VersionTLS12}
		f.client = donor.Client().Transport.(*http.Transport).TLSClientConfig.Clone() //nolint:errcheck // it is one
		f.client.ServerName = "example.com"
	}
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "key", Secret: []byte(floodKey)})
	if err != nil {
		t.Fatal(err)
	}
	table := route.NewTable()
	table.Replace([]*route.Route{
		{Namespace: "shop", Name: "a", UID: "a", Flow: "import", Verifier: verifier},
		{Namespace: "shop", Name: "b", UID: "b", Flow: "import", Verifier: verifier},
	})
	limits := ingest.DefaultLimits()
	limits.MaxConnections, limits.ShutdownDelay, limits.DrainTimeout = floodConnections, 0, 10*time.Millisecond+limits.AcceptDeadline
	limits.ReadTimeout, limits.ReadHeaderTimeout, limits.WriteTimeout = 4*patience, 4*patience, 5*patience // nothing ends by itself
	server, err := ingest.NewServer(ingest.Options{
		Address: "127.0.0.1:0", Table: table, Sink: new(ingesttest.Memory), Limits: limits, TLS: certificate, TrustedProxies: proxies,
		Registerer: f.registry, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Start(ctx) // what attackers hold is in flight to the end
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	testenv.Eventually(t, patience, func() error { return server.CheckListening(nil) })
	f.address = server.Address().String()
	return f
}

// value returns what a metric says, its series added up.
func (f *flooded) value(name string) (sum float64) {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

// dialer connects from an address.
func dialer(from string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
}

// attack opens a connection and sends what is given. It may fail: nobody is owed anything who
// attacks.
func (f *flooded) attack(from, text string) error {
	connection, err := dialer(from).DialContext(f.t.Context(), "tcp", f.address)
	if err != nil {
		return err
	}
	f.t.Cleanup(func() { _ = connection.Close() })
	if f.client != nil {
		connection = tls.Client(connection, f.client)
	}
	_, err = io.WriteString(connection, text)
	return err
}

// post sends a genuine request over a connection of its own.
func (f *flooded) post(transport *http.Transport, path string, header http.Header) (status int, err error) {
	const body = `{"id":1}`
	scheme := "http"
	if f.client != nil {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, scheme+"://"+f.address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(floodKey))
	mac.Write([]byte(body))
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("X-HMAC-HASH", hex.EncodeToString(mac.Sum(nil)))
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	return answer.StatusCode, nil
}

// plausible is the header of a request that nobody can tell from a genuine one, without the one
// byte of its body.
func plausible(path string, headers ...string) string {
	return head(http.MethodPost, path, append([]string{"Content-Length: 1", "X-HMAC-HASH: " + strings.Repeat("ab", 32)}, headers...)...)
}

// TestFloodOfConnections has attackers take all connections that there are, and one more before
// each genuine request. All genuine requests are answered.
func TestFloodOfConnections(t *testing.T) {
	t.Parallel()
	const a, b = "/hooks/shop/a", "/hooks/shop/b"
	one := func(int) string { return "127.0.0.2" }
	many := func(i int) string { return fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250) }
	says := func(client string) http.Header { return http.Header{"X-Forwarded-For": {client}} }
	loopback, err := connlimit.ParseProxies("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason    string
		encrypted bool
		proxies   connlimit.Proxies
		from      func(i int) string // of an attacker
		sends     func(i int) string
		path      string // of the genuine requests
		header    http.Header
		fleeting  bool // they are closed after a moment in any case
	}{
		"OneAddress":    {reason: "who holds the most gives it back", from: one, sends: func(int) string { return plausible(a) }, path: a},
		"SameAddress":   {reason: "a proxy is in front that the operator has not named", from: func(int) string { return "127.0.0.1" }, sends: func(int) string { return plausible(a) }, path: a},
		"ManyAddresses": {reason: "who waits for a body goes first", from: many, sends: func(int) string { return plausible(a) }, path: a},
		"OtherPath":     {reason: "one path has all that wait", from: many, sends: func(int) string { return plausible(b) }, path: a},
		"UnknownPath":   {reason: "it is answered, and its body is waited for", from: many, sends: func(int) string { return plausible("/hooks/no/such") }, path: a, fleeting: true},
		"HalfAHeader":   {reason: "they have not had a turn", from: one, sends: func(int) string { return plausible(a)[:40] }, path: a},
		"Silent":        {reason: "they have not had a turn", from: one, sends: func(int) string { return "" }, path: a},
		"ManySilent":    {reason: "the oldest go", from: many, sends: func(int) string { return "" }, path: a},
		"SomeOfABody": {
			reason: "of a long body that comes, only so much is waited for", from: many,
			sends: func(int) string {
				return strings.Replace(plausible(a), ": 1\r", ": 1000000\r", 1) + strings.Repeat("x", 4096)
			}, path: a,
		},
		"TLS":       {reason: "the same by HTTPS", encrypted: true, from: one, sends: func(int) string { return plausible(a) }, path: a},
		"TLSSilent": {reason: "no handshake even", encrypted: true, from: one, sends: func(int) string { return "" }, path: a},
		"BehindProxy": {
			reason: "a client is who the proxy says", proxies: loopback, from: func(int) string { return "127.0.0.1" },
			sends: func(int) string { return plausible(a, "X-Forwarded-For: 203.0.113.66") }, path: a, header: says("198.51.100.1"),
		},
		"BehindProxyMany": {
			reason: "what clients say themselves stands further to the left", proxies: loopback, from: func(int) string { return "127.0.0.1" },
			sends: func(i int) string {
				return plausible(a, fmt.Sprintf("X-Forwarded-For: 10.9.8.%d, 203.0.113.66", i%250))
			}, path: a, header: says("198.51.100.1"),
		},
		"Spoofed": {
			reason: "nobody has named the attacker as a proxy", from: one,
			sends: func(i int) string { return plausible(a, fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i%250)) }, path: a,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlooded(t, tc.encrypted, tc.proxies)
			for i := range floodConnections {
				if err := f.attack(tc.from(i), tc.sends(i)); err != nil {
					t.Fatal(err)
				}
			}
			testenv.Eventually(t, patience, func() error {
				if tc.fleeting {
					return nil
				}
				if n := f.value("sluice_ingest_connections"); n != floodConnections {
					return fmt.Errorf("there are %v connections, want %d", n, floodConnections)
				}
				if n := f.value("sluice_ingest_requests_in_flight"); n != floodConnections && strings.Contains(tc.sends(0), "\r\n\r\n") {
					return fmt.Errorf("%v requests wait for their bodies, want %d", n, floodConnections)
				}
				return nil
			})
			transport := &http.Transport{DialContext: dialer("127.0.0.1").DialContext, TLSClientConfig: f.client, DisableKeepAlives: true}
			answered := 0
			for i := range floodConnections {
				_ = f.attack(tc.from(floodConnections+i), tc.sends(floodConnections+i))
				if status, err := f.post(transport, tc.path, tc.header); err != nil || status != http.StatusAccepted {
					t.Logf("%s: a genuine request is answered %d, %v", tc.reason, status, err)
					continue
				}
				answered++
			}
			if answered != floodConnections {
				t.Errorf("%s: %d of %d genuine requests are answered 202, want all", tc.reason, answered, floodConnections)
			}
			if n := f.value("sluice_ingest_connections"); n > floodConnections {
				t.Errorf("there are %v connections, want at most %d", n, floodConnections)
			}
			if closed := f.value("sluice_ingest_connections_closed_total"); closed < floodConnections && !tc.fleeting {
				t.Errorf("%v connections are counted that had to go, want at least %d", closed, floodConnections)
			}
		})
	}
}

// http2Sender is a sender that speaks HTTP/2, over one connection.
func (f *flooded) http2Sender(from string) *http.Transport {
	config := f.client.Clone()
	config.NextProtos = []string{"h2"}
	transport := &http.Transport{DialContext: dialer(from).DialContext, TLSClientConfig: config, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	f.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// announce sends the headers of a request by HTTP/2, and no body. It returns the status that it is
// answered with, which may be long in coming.
func (f *flooded) announce(ctx context.Context, transport *http.Transport, header http.Header) chan int {
	answered := make(chan int, 1)
	body, writer := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+f.address+"/hooks/shop/a", body)
	if err != nil {
		f.t.Fatal(err)
	}
	r.ContentLength = 1
	r.Header = header.Clone()
	r.Header.Set("X-HMAC-HASH", strings.Repeat("ab", 32))
	go func() {
		defer close(answered)
		answer, err := transport.RoundTrip(r)
		_ = writer.Close()
		if err == nil {
			answered <- answer.StatusCode
			_ = answer.Body.Close()
		}
	}()
	return answered
}

// TestFloodOfHTTP2 has attackers hold connections of HTTP/2 by a request each, whose body does not
// come.
func TestFloodOfHTTP2(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := newFlooded(t, true, nil)
	for i := range floodConnections {
		f.announce(ctx, f.http2Sender(fmt.Sprintf("127.0.1.%d", 1+i)), http.Header{})
		testenv.Eventually(t, patience, func() error {
			if n := f.value("sluice_ingest_requests_in_flight"); n != float64(i+1) {
				return fmt.Errorf("%v requests wait for their bodies, want %d", n, i+1)
			}
			return nil
		})
	}
	for i := range floodConnections {
		f.announce(ctx, f.http2Sender(fmt.Sprintf("127.0.2.%d", 1+i)), http.Header{})
		if status, err := f.post(f.http2Sender("127.0.0.1"), "/hooks/shop/a", nil); err != nil || status != http.StatusAccepted {
			t.Fatalf("genuine request %d is answered %d, %v; want 202", i, status, err)
		}
	}
}

// TestFloodOfStreams has few connections of HTTP/2 announce more bodies than there may be. They are
// requests as others are: the oldest have to go, and are told so. Those of another client stay.
func TestFloodOfStreams(t *testing.T) {
	t.Parallel()
	loopback, err := connlimit.ParseProxies("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for name, proxies := range map[string]connlimit.Proxies{"Direct": nil, "BehindProxy": loopback} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f := newFlooded(t, true, proxies)
			attacker, other := f.http2Sender("127.0.0.2"), f.http2Sender("127.0.0.1")
			if proxies != nil {
				other = attacker // it is the proxy's connection
			}
			waits := f.announce(ctx, other, http.Header{"X-Forwarded-For": {"198.51.100.1"}})
			inFlight := func(want float64) {
				t.Helper()
				testenv.Eventually(t, patience, func() error {
					if n := f.value("sluice_ingest_requests_in_flight"); n != want {
						return fmt.Errorf("%v requests wait for their bodies, want %v", n, want)
					}
					return nil
				})
			}
			inFlight(1)
			const streams = 16 // of a connection
			var flood []chan int
			for i := range floodConnections + 20 {
				if i%streams == streams-1 { // with that of the other client, this connection is full
					attacker = f.http2Sender("127.0.0.2")
				}
				flood = append(flood, f.announce(ctx, attacker, http.Header{"X-Forwarded-For": {"203.0.113.66"}}))
				inFlight(float64(min(i+2, floodConnections)))
			}
			for i := range 21 {
				if status := <-flood[i]; status != http.StatusServiceUnavailable {
					t.Errorf("request %d, which had to go, is answered %d, want 503", i, status)
				}
			}
			select {
			case status := <-waits:
				t.Errorf("the other client's request is answered %d, want none while its body is to come", status)
			default:
			}
			if status, err := f.post(other, "/hooks/shop/a", http.Header{"X-Forwarded-For": {"198.51.100.1"}}); err != nil || status != http.StatusAccepted {
				t.Errorf("a genuine request is answered %d, %v; want 202", status, err)
			}
		})
	}
}

// TestFloodSparesCompleteRequests fills all connections with requests that are complete and being
// answered: it is the newest that has to go, and all others are answered.
func TestFloodSparesCompleteRequests(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "key", Secret: []byte(floodKey)})
	if err != nil {
		t.Fatal(err)
	}
	table := route.NewTable()
	table.Replace([]*route.Route{{Namespace: "shop", Name: "a", UID: "a", Flow: "import", Verifier: verifier}})
	limits := ingest.DefaultLimits()
	limits.MaxConnections, limits.ShutdownDelay, limits.AcceptDeadline = 4, 0, patience
	limits.WriteTimeout, limits.DrainTimeout = 2*patience, 2*patience
	f := &flooded{t: t, registry: prometheus.NewRegistry()}
	server, err := ingest.NewServer(ingest.Options{
		Address: "127.0.0.1:0", Table: table, Sink: waitingSink(release), Limits: limits, Registerer: f.registry, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	testenv.Eventually(t, patience, func() error { return server.CheckListening(nil) })
	f.address = server.Address().String()
	statuses := make(chan int, limits.MaxConnections)
	for range limits.MaxConnections {
		go func() {
			status, err := f.post(&http.Transport{DisableKeepAlives: true}, "/hooks/shop/a", nil)
			if err != nil {
				t.Error(err)
			}
			statuses <- status
		}()
	}
	testenv.Eventually(t, patience, func() error {
		if n := f.value("sluice_ingest_creates_in_flight"); n != float64(limits.MaxConnections) {
			return fmt.Errorf("%v FlowRuns are being stored, want %d", n, limits.MaxConnections)
		}
		return nil
	})
	for range 3 {
		connection := dial(t, f.address)
		_, _ = io.WriteString(connection, plausible("/hooks/shop/a"))
		if answer, err := io.ReadAll(connection); len(bytes.TrimSpace(answer)) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the newest connection gets %q, %v; want it closed", answer, err)
		}
	}
	close(release)
	for range limits.MaxConnections {
		if status := <-statuses; status != http.StatusAccepted {
			t.Errorf("a complete request is answered %d, want 202", status)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// waitingSink stores when it is closed.
type waitingSink chan struct{}

// Accept implements delivery.Sink.
func (c waitingSink) Accept(ctx context.Context, _ *delivery.Delivery) (delivery.Receipt, error) {
	select {
	case <-c:
		return delivery.Receipt{}, nil
	case <-ctx.Done():
		return delivery.Receipt{}, ctx.Err()
	}
}
