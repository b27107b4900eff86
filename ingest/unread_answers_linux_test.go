/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// frames is a connection of HTTP/2 of a sender that takes no byte of an answer but its headers.
type frames struct {
	*http2.Framer
	connection net.Conn
	headers    bytes.Buffer
	encoder    *hpack.Encoder
}

func (f *flooded) frames(from string) (*frames, error) {
	connection, err := dialer(from).DialContext(f.t.Context(), "tcp", f.address)
	if err != nil {
		return nil, err
	}
	f.t.Cleanup(func() { _ = connection.Close() })
	config := f.client.Clone()
	config.NextProtos = []string{"h2"}
	encrypted := tls.Client(connection, config)
	if err := encrypted.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	h := &frames{Framer: http2.NewFramer(encrypted, encrypted), connection: encrypted}
	h.encoder = hpack.NewEncoder(&h.headers)
	if _, err := io.WriteString(encrypted, http2.ClientPreface); err != nil {
		return nil, err
	}
	return h, h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// request sends the headers of a request, which may be all of it.
func (h *frames) request(stream uint32, all bool, method, path string, fields ...string) error {
	h.headers.Reset()
	fields = append([]string{":method", method, ":scheme", "https", ":authority", "example.com", ":path", path}, fields...)
	for i := 0; i < len(fields); i += 2 {
		if err := h.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return err
		}
	}
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.headers.Bytes(), EndStream: all, EndHeaders: true})
}

// answered waits for the headers of the answer. The server sends them when it has handled the
// request, and would like to send the rest.
func (h *frames) answered(stream uint32) error {
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return err
		}
		if headers, ok := frame.(*http2.HeadersFrame); ok && headers.StreamID == stream {
			return nil
		}
	}
}

// unread is a sender of HTTP/2 that does not read the answer to its request.
func (f *flooded) unread(from string) error {
	h, err := f.frames(from)
	if err != nil {
		return err
	}
	if err := h.request(1, true, http.MethodGet, "/nobody"); err != nil {
		return err
	}
	return h.answered(1)
}

// unreadTwice has a second request when the first was handled.
func (f *flooded) unreadTwice(from string) error {
	h, err := f.frames(from)
	if err != nil {
		return err
	}
	for stream := uint32(1); stream < 5; stream += 2 {
		if err := h.request(stream, true, http.MethodGet, "/nobody"); err != nil {
			return err
		}
		if err := h.answered(stream); err != nil {
			return err
		}
	}
	return nil
}

// unended declares a body of no bytes, and does not say that this was all.
func (f *flooded) unended(from string) error {
	h, err := f.frames(from)
	if err != nil {
		return err
	}
	return h.request(1, false, http.MethodPost, "/hooks/shop/a", "content-length", "0", "x-hmac-hash", strings.Repeat("ab", 32))
}

// unreadPipeline is a sender of HTTP/1.1 with one request after the other, until the server reads
// no more, since nobody reads its answers.
func (f *flooded) unreadPipeline(from string) error {
	d := dialer(from)
	d.Control = func(_, _ string, raw syscall.RawConn) error { // so that the server's side holds little
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096),
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536))
		})
		return errors.Join(err, failed)
	}
	connection, err := d.DialContext(f.t.Context(), "tcp", f.address)
	if err != nil {
		return err
	}
	f.t.Cleanup(func() { _ = connection.Close() })
	text := strings.Repeat(head(http.MethodGet, "/nobody", "Accept: */*"), 100)
	for {
		if err := connection.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := io.WriteString(connection, text); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
	}
}

// TestFloodOfUnreadAnswers has attackers take all connections that there are, with requests that
// are complete, or look so, and one more before each genuine request. They send what anybody can,
// and then take no answer. All genuine requests are answered.
func TestFloodOfUnreadAnswers(t *testing.T) {
	t.Parallel()
	one := func(int) string { return "127.0.0.2" }
	many := func(i int) string { return fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250) }
	tests := map[string]struct {
		reason    string
		encrypted bool
		from      func(i int) string
		attack    func(f *flooded, from string) error
		inFlight  float64 // requests, once all attackers are there
	}{
		"OneAddress":    {reason: "what was handled is no request any more", encrypted: true, from: one, attack: (*flooded).unread},
		"ManyAddresses": {reason: "who does not read an answer goes first", encrypted: true, from: many, attack: (*flooded).unread},
		"Again":         {reason: "the second request was handled too", encrypted: true, from: one, attack: (*flooded).unreadTwice},
		"Unended":       {reason: "a body of no bytes can be waited for", encrypted: true, from: one, attack: (*flooded).unended, inFlight: floodConnections},
		"UnendedMany":   {reason: "a body of no bytes can be waited for", encrypted: true, from: many, attack: (*flooded).unended, inFlight: floodConnections},
		"Pipeline":      {reason: "the same by HTTP/1.1", from: one, attack: (*flooded).unreadPipeline},
		"PipelineMany":  {reason: "the same by HTTP/1.1", from: many, attack: (*flooded).unreadPipeline},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlooded(t, tc.encrypted, nil)
			errs := make(chan error, floodConnections)
			for i := range floodConnections {
				go func() { errs <- tc.attack(f, tc.from(i)) }()
			}
			for range floodConnections {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			testenv.Eventually(t, patience, func() error {
				if n := f.value("sluice_ingest_connections"); n != floodConnections {
					return fmt.Errorf("there are %v connections, want %d", n, floodConnections)
				}
				if n := f.value("sluice_ingest_requests_in_flight"); n != tc.inFlight {
					return fmt.Errorf("%v requests are handled, want %v", n, tc.inFlight)
				}
				return nil
			})
			transport := &http.Transport{DialContext: dialer("127.0.0.1").DialContext, TLSClientConfig: f.client, DisableKeepAlives: true}
			answered := 0
			for i := range floodConnections {
				if tc.encrypted { // the other takes too long
					_ = tc.attack(f, tc.from(floodConnections+i))
				}
				if status, err := f.post(transport, "/hooks/shop/a", nil); err != nil || status != http.StatusAccepted {
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
		})
	}
}
