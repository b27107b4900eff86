/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serveOnce accepts connections and hands them to a function, which closes them.
func serveOnce(t *testing.T, serve func(net.Conn)) *backend {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	b := &backend{name: "test", address: listener.Addr().String()}
	b.setReady(true)
	return b
}

func testMessage(body string) *message {
	return &message{head: head("/hooks/chaos/orders", len(body)), body: []byte(body)}
}

// TestFates shows how a request can end for its sender, and that what is nobody's fault is not
// taken for what is.
func TestFates(t *testing.T) {
	t.Parallel()
	readRequest := func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}
	for name, tc := range map[string]struct {
		reason  string
		serve   func(net.Conn)
		message *message
		killed  bool
		want    fate
		status  int
	}{
		"Answered": {
			reason: "the usual case",
			serve: func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno")
			},
			message: testMessage("a"),
			want:    answered, status: 503,
		},
		"Closed": {
			reason: "a connection that is closed without an answer",
			serve: func(c net.Conn) {
				readRequest(c)
				_ = c.Close()
			},
			message: testMessage("a"),
			want:    unanswered,
		},
		"BrokenAnswer": {
			reason: "half an answer is none",
			serve: func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 200\r\n\r\n{")
				_ = c.Close()
			},
			message: testMessage("a"),
			want:    unanswered,
		},
		"Killed": {
			reason: "the same when the replica is being killed",
			serve: func(c net.Conn) {
				readRequest(c)
				_ = c.Close()
			},
			message: testMessage("a"),
			killed:  true,
			want:    cut,
		},
		"Abandoned": {
			reason:  "the sender goes away in the midst of the body",
			serve:   readRequest,
			message: &message{head: head("/", 100), body: []byte(strings.Repeat("a", 100)), pace: &pace{parts: 4, send: 2, leave: true}},
			want:    abandoned,
		},
		"AnsweredEarly": {
			reason: "an answer that does not wait for the end of the body",
			serve: func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			},
			message: testMessage(strings.Repeat("a", 8<<20)),
			want:    answered, status: 413,
		},
		"AnsweredSlow": {
			reason: "a body that comes in parts, and in chunks",
			serve: func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
			},
			message: &message{head: head("/", -1), body: []byte(strings.Repeat("a", 100)), chunked: true, pace: &pace{parts: 4, pause: time.Millisecond, send: 4}},
			want:    answered, status: 202,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serveOnce(t, tc.serve)
			if tc.killed {
				b.kills.Add(1)
			}
			r, fate, err := b.do(t.Context(), tc.message)
			if fate != tc.want || r.status != tc.status {
				t.Errorf("%s: the fate is %d and the status %d, %v, want %d and %d", tc.reason, fate, r.status, err, tc.want, tc.status)
			}
			if tc.status == 503 && r.retryAfter != 7*time.Second {
				t.Errorf("%s: Retry-After is %s", tc.reason, r.retryAfter)
			}
		})
	}
}

// TestNotSent shows that a request to nobody is not one.
func TestNotSent(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: listener.Addr().String()}
	_ = listener.Close()
	if _, _, err := b.do(t.Context(), testMessage("a")); err == nil || err.Error() != errNotSent.Error() {
		t.Errorf("the error is %v, want %v", err, errNotSent)
	}
}

// TestConnectionsAreKept shows that a backend uses a connection again, unless it is not ready.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	}))
	t.Cleanup(server.Close)
	b := &backend{address: server.Listener.Addr().String()}
	b.setReady(true)
	var peers []string
	for i := range 3 {
		b.setReady(i != 2)
		b.ready.Store(true)
		r, _, err := b.do(t.Context(), testMessage("a"))
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, string(r.body))
	}
	if diff := cmp.Diff([]bool{true, false}, []bool{peers[0] == peers[1], peers[1] == peers[2]}); diff != "" {
		t.Errorf("whether the connection is that of the request before (-want +got):\n%s", diff)
	}
}

// TestFlowRunOf shows what is read from an answer.
func TestFlowRunOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"","flowRun":{"namespace":"chaos","name":"orders-1"},"duplicate":false}`: "chaos/orders-1",
		`{"title":"Service Unavailable"}`: "",
		``:                                "",
	} {
		if got := (reply{body: []byte(body)}).flowRun(); got != want {
			t.Errorf("of %q: %q, want %q", body, got, want)
		}
	}
}
