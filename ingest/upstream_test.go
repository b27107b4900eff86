/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// newTestUpstream returns an upstream of a server, by TLS.
func newTestUpstream(t *testing.T, server *httptest.Server, idle int) *upstream {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport.(*http.Transport).Clone() //nolint:errcheck // it is one
	transport.DialContext = new(net.Dialer).DialContext
	u, ok := newUpstream(transport, target, idle).(*upstream)
	if !ok {
		t.Fatal("there is no proxy, and no upstream")
	}
	t.Cleanup(transport.CloseIdleConnections)
	return u
}

// send makes a request with a body of that length and reads the answer.
func (u *upstream) send(ctx context.Context, server string, length int) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/runs", bytes.NewReader(make([]byte, length)))
	if err != nil {
		return 0, "", err
	}
	response, err := u.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), errors.Join(err, response.Body.Close())
}

// answerWith starts a server that counts its connections. It writes what it is told to each request, whatever that is.
func answerWith(t *testing.T, opened *atomic.Int32, answer func(io.Writer)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		// From here on it is not net/http that speaks.
		go func() {
			defer conn.Close() //nolint:errcheck // it is of no use any more
			for reader := bufio.NewReader(conn); ; {
				answer(conn)
				next, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, next.Body)
			}
		}()
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TestUpstreamAnswers makes two requests, one after the other.
func TestUpstreamAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason      string
		answer      string
		status      int // 0 for an error
		body        string
		connections int32 // for both
	}{
		"Length":   {"the usual answer", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}", 1},
		"Chunked":  {"what the API server sends of what is longer", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 201, "{}", 1},
		"Empty":    {"there is no body", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, "", 1},
		"NoBody":   {"there is never one", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 1},
		"Hints":    {"what comes before the answer is none", "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}", 1},
		"Closing":  {"the server is about to go", "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 201, "{}", 2},
		"Old":      {"it knows nothing of kept connections", "HTTP/1.0 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201, "{}", 2},
		"TooMuch":  {"what follows would be the answer to the next request", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, "{}", 2},
		"Switched": {"another protocol was not asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 0, "", 2},
		"Headers":  {"more than anybody needs", "HTTP/1.1 201 Created\r\nA: " + strings.Repeat("a", maxExchange) + "\r\nContent-Length: 0\r\n\r\n", 0, "", 2},
		"AllHints": {"it comes to nothing", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxHints+1) + "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 0, "", 2},
		"Garbage":  {"that is not HTTP", "SSH-2.0-OpenSSH_10.0\r\n\r\n", 0, "", 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opened atomic.Int32
			server := answerWith(t, &opened, func(w io.Writer) { _, _ = io.WriteString(w, tc.answer) })
			u := newTestUpstream(t, server, 1)
			for range 2 {
				status, body, err := u.send(t.Context(), server.URL, 10)
				if err != nil && strings.Contains(err.Error(), "OpenSSH") {
					t.Errorf("%s: the error quotes it: %v", tc.reason, err)
				}
				if status != tc.status || body != tc.body || (err == nil) != (tc.status != 0) {
					t.Errorf("%s: got %d %q (%v), want %d %q", tc.reason, status, body, err, tc.status, tc.body)
				}
			}
			if got := opened.Load(); got != tc.connections {
				t.Errorf("%s: %d connections were made for two requests, want %d", tc.reason, got, tc.connections)
			}
		})
	}
}

// TestUpstreamBrokenOff is for an answer that ends too early: nobody may take it for a whole one.
func TestUpstreamBrokenOff(t *testing.T) {
	t.Parallel()
	const whole = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
	for end := range len(whole) {
		var opened atomic.Int32
		server := answerWith(t, &opened, func(w io.Writer) {
			_, _ = io.WriteString(w, whole[:end])
			_ = w.(io.Closer).Close() //nolint:errcheck // it is a connection
		})
		u := newTestUpstream(t, server, 1)
		if status, body, err := u.send(t.Context(), server.URL, 10); err == nil {
			t.Errorf("%q is taken for the answer %d %q", whole[:end], status, body)
		}
		if u.take() != nil {
			t.Errorf("the connection of %q is used again", whole[:end])
		}
		server.Close()
	}
}

// TestUpstreamRestart is for a server that has closed connections which were idle. No request finds that out.
func TestUpstreamRestart(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	closing := make(chan struct{})
	server := answerWith(t, &opened, func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
		_ = w.(io.Closer).Close() //nolint:errcheck // it is a connection
		closing <- struct{}{}
	})
	u := newTestUpstream(t, server, 1)
	for i := range 3 {
		done := make(chan error, 1)
		go func() {
			_, _, err := u.send(t.Context(), server.URL, 10)
			done <- err
		}()
		<-closing
		if err := <-done; err != nil {
			t.Error(err)
		}
		testenv.Eventually(t, 20*time.Second, func() error { // the news travels
			u.mu.Lock()
			defer u.mu.Unlock()
			if len(u.idle) == 1 && u.idle[0].silent() {
				return errors.New("the connection looks open")
			}
			return nil
		})
		if got := opened.Load(); got != int32(i+1) {
			t.Errorf("%d connections were made for %d requests", got, i+1)
		}
	}
}

// TestUpstreamUnasked is for a server that goes on talking after its answer. That is not the answer to the next request.
func TestUpstreamUnasked(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	talk := make(chan struct{})
	server := answerWith(t, &opened, func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		<-talk
		_, _ = io.WriteString(w, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	})
	u := newTestUpstream(t, server, 1)
	if _, _, err := u.send(t.Context(), server.URL, 10); err != nil {
		t.Fatal(err)
	}
	talk <- struct{}{}
	testenv.Eventually(t, 20*time.Second, func() error {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.idle[0].silent() {
			return errors.New("nothing has come")
		}
		return nil
	})
	status, _, err := u.send(t.Context(), server.URL, 10)
	if err != nil || status != http.StatusOK {
		t.Errorf("the answer is %d, %v", status, err)
	}
	close(talk)
}

// TestUpstreamTimeout has one request that is not answered among others that are. It takes no connection from those that have just
// shown that theirs work, and takes those that were idle all the time.
func TestUpstreamTimeout(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	arrived := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); len(body) == 1 {
			arrived <- struct{}{}
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusCreated)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	u := newTestUpstream(t, server, 3)
	now := time.Now()
	u.now = func() time.Time { return now }
	held := make([]*upstreamConn, 3)
	for i := range held { // each on a connection of its own
		if _, _, err := u.send(t.Context(), server.URL, 10); err != nil {
			t.Fatal(err)
		}
		held[i] = u.take()
	}
	for _, conn := range held {
		u.keep(conn)
	}
	now = now.Add(time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := u.send(ctx, server.URL, 1)
		done <- err
	}()
	<-arrived
	now = now.Add(time.Second)
	if _, _, err := u.send(t.Context(), server.URL, 10); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.idle) != 1 || !u.idle[0].since.Equal(now) {
		t.Errorf("%d connections are left, want the one that has just worked", len(u.idle))
	}
	if opened.Load() != 3 {
		t.Errorf("%d connections were made, want 3", opened.Load())
	}
}

// TestUpstreamRenewal has another authority take the place of one. A server of the former is not talked to any more, be it over a
// connection that is there.
func TestUpstreamRenewal(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	former := server.Client().Transport.(*http.Transport).Clone() //nolint:errcheck // it is one
	former.DialContext = new(net.Dialer).DialContext
	latter := former.Clone()
	latter.TLSClientConfig.RootCAs = x509.NewCertPool()
	defer former.CloseIdleConnections()
	// As client-go's, it looks at the file when it has a request.
	base := &renewing{transport: former}
	u, ok := newUpstream(base, target, 1).(*upstream)
	if !ok {
		t.Fatal("there is no upstream")
	}
	now := time.Now()
	u.now = func() time.Time { return now }
	if _, _, err := u.send(t.Context(), server.URL, 10); err != nil {
		t.Fatal(err)
	}
	base.next = latter
	now = now.Add(renewPeriod - time.Second)
	if _, _, err := u.send(t.Context(), server.URL, 10); err != nil {
		t.Errorf("before it was time to look: %v", err)
	}
	now = now.Add(time.Second)
	if _, _, err := u.send(t.Context(), server.URL, 10); err == nil {
		t.Error("the server's authority is trusted, though it was time to look")
	}
	if _, _, err := u.send(t.Context(), server.URL, 10); err == nil {
		t.Error("a connection from before is used")
	}
}

// renewing is a transport that another one takes the place of.
type renewing struct {
	transport *http.Transport
	next      *http.Transport
}

func (r *renewing) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.next != nil {
		r.transport = r.next
	}
	return r.transport.RoundTrip(request)
}

func (r *renewing) WrappedRoundTripper() http.RoundTripper { return r.transport }

// TestUpstreamAnswerBeforeTheEnd is for a server that refuses without reading. The refusal counts, and not that the rest could not be sent.
func TestUpstreamAnswerBeforeTheEnd(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	u := newTestUpstream(t, server, 1)
	if status, _, err := u.send(t.Context(), server.URL, 64<<20); status != http.StatusTooManyRequests {
		t.Errorf("the answer is %d, %v", status, err)
	}
}

// TestUpstreamCancel is for a server that does not answer: the request ends with its context, and the connection with it.
func TestUpstreamCancel(t *testing.T) {
	t.Parallel()
	arrived, gone := make(chan struct{}), make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		close(gone)
	}))
	defer server.Close()
	u := newTestUpstream(t, server, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, _, err := u.send(ctx, server.URL, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	<-gone
	if u.take() != nil {
		t.Error("a connection on which an answer may come yet is used again")
	}
}

// TestUpstreamUnread does not read an answer to its end.
func TestUpstreamUnread(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := answerWith(t, &opened, func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}") })
	u := newTestUpstream(t, server, 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := u.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as http.Response.Body may be
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	if u.take() != nil {
		t.Error("a connection with half an answer is used again")
	}
}

// TestUpstreamIdle turns the clock on.
func TestUpstreamIdle(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := answerWith(t, &opened, func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") })
	u := newTestUpstream(t, server, 2)
	now := time.Now()
	u.now = func() time.Time { return now }
	for i, step := range []struct {
		reason string
		after  time.Duration
		sweep  bool
		opened int32
		idle   int
	}{
		{"the first one", 0, false, 1, 1},
		{"it is there yet", idleTimeout - 1, false, 1, 1},
		{"the server may be about to close it", idleTimeout, false, 2, 2},
		{"the old one is closed, and the other one is there", idleTimeout - 1, true, 2, 1},
	} {
		now = now.Add(step.after)
		if step.sweep {
			u.sweep()
		}
		if _, _, err := u.send(t.Context(), server.URL, 0); err != nil {
			t.Fatal(err)
		}
		u.mu.Lock()
		idle := len(u.idle)
		u.mu.Unlock()
		if got := opened.Load(); got != step.opened || idle != step.idle {
			t.Errorf("%d, %s: %d connections were made and %d are idle, want %d and %d", i, step.reason, got, idle, step.opened, step.idle)
		}
	}
}

// TestUpstreamBase is for what client-go's transport is left to do.
func TestUpstreamBase(t *testing.T) {
	t.Parallel()
	server, err := url.Parse("https://192.0.2.1:6443")
	if err != nil {
		t.Fatal(err)
	}
	errBase := errors.New("it was left to the base")
	for name, tc := range map[string]struct {
		reason string
		base   http.RoundTripper
	}{
		"Proxy": {"it knows how to ask one", &http.Transport{
			Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://192.0.2.9:3128") },
			DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
				if address != "192.0.2.9:3128" {
					t.Errorf("there is a proxy, and %s is dialed", address)
				}
				return nil, errBase
			},
		}},
		"Foreign":     {"there is no telling how it connects", roundTrip(func(*http.Request) (*http.Response, error) { return nil, errBase })},
		"Unreachable": {"it may know more by now", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errBase }}},
		"Wrapped": {"of what is inside it is known how it connects, and all of it is asked when that fails", wrapped{
			roundTrip(func(*http.Request) (*http.Response, error) { return nil, errBase }),
			&http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := newUpstream(tc.base, server, 1).RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
			}
			if !errors.Is(err, errBase) {
				t.Errorf("%s: the error is %v", tc.reason, err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// wrapped is a transport around another one, as client-go's are.
type wrapped struct {
	http.RoundTripper
	inner http.RoundTripper
}

func (w wrapped) WrappedRoundTripper() http.RoundTripper { return w.inner }

// TestUpstreamAddress is for servers that are named without a port, or by IPv6.
func TestUpstreamAddress(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"https://api.example":          "api.example:443",
		"http://api.example/below":     "api.example:80",
		"https://api.example:6443":     "api.example:6443",
		"https://[2001:db8::1]":        "[2001:db8::1]:443",
		"https://[2001:db8::1]:6443/x": "[2001:db8::1]:6443",
	} {
		target, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		u, ok := newUpstream(new(http.Transport), target, 1).(*upstream)
		if got := fmt.Sprint(ok, " ", u.address); got != "true "+want {
			t.Errorf("%s is at %s, want %s", server, got, want)
		}
	}
}
