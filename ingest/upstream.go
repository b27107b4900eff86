/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

const (
	// idleTimeout is shorter than kube-apiserver's (90 s), so that it is not on a request's way that a connection is closed.
	idleTimeout = time.Minute
	// handshakeTimeout is how long a TLS handshake may take, if the request has that long.
	handshakeTimeout = 10 * time.Second
)

// upstream makes requests to the API server by HTTP/1.1. It is an http.RoundTripper in which the goroutine of a request writes it and
// reads the answer. That of net/http has two goroutines more for each connection; handing over to them and back takes a good part of
// the processor time of a create.
//
// What it does not do is left to client-go's transport, from which it has how to connect: proxies, and a server that cannot be reached
// by what is known, such as one whose certificate is of a new authority.
//
// Nothing is sent twice: a connection that the server has closed meanwhile is an error like any other. It is taken as a sign for all that
// were idle at that time, so the next attempt makes a new one.
type upstream struct {
	base    http.RoundTripper
	address string
	secure  bool
	most    int // idle connections
	now     func() time.Time

	mu       sync.Mutex
	idle     []*upstreamConn // those used last are at the end
	sweeping bool            // whether a timer will close those that are idle for long
}

type upstreamConn struct {
	net.Conn
	raw    net.Conn // beneath TLS
	reader *bufio.Reader
	writer *bufio.Writer
	since  time.Time // when it became idle; zero if it never was
}

// newUpstream returns a round tripper for requests to that server, which keeps that many idle connections. base must be client-go's, before
// anything is wrapped around it. It is base itself where requests go through a proxy.
func newUpstream(base http.RoundTripper, server *url.URL, idle int) http.RoundTripper {
	transport := connecting(base)
	if transport == nil {
		return base
	}
	transport.MaxIdleConnsPerHost, transport.IdleConnTimeout = idle, idleTimeout
	if transport.Proxy != nil {
		if proxy, err := transport.Proxy(&http.Request{URL: server}); proxy != nil || err != nil {
			return base
		}
	}
	u := &upstream{base: base, address: server.Host, secure: server.Scheme == "https", most: idle, now: time.Now}
	if server.Port() == "" {
		u.address = net.JoinHostPort(server.Hostname(), map[bool]string{true: "443", false: "80"}[u.secure])
	}
	return u
}

// connecting returns the transport of net/http inside of a round tripper of client-go, which may be another one after a while.
func connecting(rt http.RoundTripper) *http.Transport {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			return t
		case utilnet.RoundTripperWrapper:
			rt = t.WrappedRoundTripper()
		default:
			return nil
		}
	}
}

// RoundTrip implements http.RoundTripper. An answer that is not read to its end costs the connection.
func (u *upstream) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	conn := u.take()
	if conn == nil {
		var err error
		if conn, err = u.connect(ctx); err != nil {
			return u.base.RoundTrip(request)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	response, err := conn.exchange(request)
	if err != nil {
		stop()
		u.discard(conn)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	response.Body = &upstreamBody{ReadCloser: response.Body, upstream: u, conn: conn, stop: stop, reusable: !response.Close}
	return response, nil
}

// WrappedRoundTripper implements RoundTripperWrapper, as client-go expects of what is wrapped around its transport.
func (u *upstream) WrappedRoundTripper() http.RoundTripper { return u.base }

// close closes the connection without a word of farewell, which can take seconds. Nobody uses it any more, whatever comes of that.
func (c *upstreamConn) close() { _ = c.raw.Close() }

// exchange sends a request and reads the answer but for its body.
func (c *upstreamConn) exchange(request *http.Request) (*http.Response, error) {
	sent := request.Write(c.writer)
	if sent == nil {
		sent = c.writer.Flush()
	}
	if request.Body != nil {
		_ = request.Body.Close() // bytes in memory
	}
	// A server may answer before it has read everything, and then not read on. That answer is what counts.
	for {
		response, err := http.ReadResponse(c.reader, request)
		switch {
		case sent != nil && err != nil:
			return nil, sent
		case err != nil:
			return nil, fmt.Errorf("read the answer: %w", err)
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errNotConfirmed
		case response.StatusCode >= http.StatusOK:
			response.Close = response.Close || sent != nil
			return response, nil
		}
	}
}

// connect makes a connection.
func (u *upstream) connect(ctx context.Context) (*upstreamConn, error) {
	transport := connecting(u.base)
	if transport == nil || transport.DialContext == nil {
		return nil, errors.ErrUnsupported
	}
	raw, err := transport.DialContext(ctx, "tcp", u.address)
	if err != nil {
		return nil, err
	}
	conn := raw
	if u.secure {
		config := transport.TLSClientConfig.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(u.address)
		}
		config.NextProtos = []string{"http/1.1"}
		shaking, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(shaking); err != nil {
			_ = raw.Close() // it is of no use
			return nil, err
		}
		conn = secure
	}
	return &upstreamConn{Conn: conn, raw: raw, reader: bufio.NewReader(conn), writer: bufio.NewWriter(conn)}, nil
}

// take returns the connection that was used last, or nil if there is none that has not been idle for too long.
func (u *upstream) take() *upstreamConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := len(u.idle) - 1
	if last < 0 || u.now().Sub(u.idle[last].since) >= idleTimeout {
		return nil
	}
	conn := u.idle[last]
	u.idle[last] = nil
	u.idle = u.idle[:last]
	return conn
}

// keep notes that a connection can be used again.
func (u *upstream) keep(conn *upstreamConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.idle) >= u.most {
		conn.close()
		return
	}
	conn.since = u.now()
	u.idle = append(u.idle, conn)
	if !u.sweeping {
		u.sweeping = true
		time.AfterFunc(idleTimeout, u.sweep)
	}
}

// discard closes a connection that has failed. If it was idle before, so it may be with the others that are.
func (u *upstream) discard(conn *upstreamConn) {
	conn.close()
	if conn.since.IsZero() {
		return
	}
	u.mu.Lock()
	others := u.idle
	u.idle = nil
	u.mu.Unlock()
	for _, other := range others {
		other.close()
	}
}

// sweep closes the connections that have been idle for too long, and comes back while there are others.
func (u *upstream) sweep() {
	u.mu.Lock()
	old := 0
	for old < len(u.idle) && u.now().Sub(u.idle[old].since) >= idleTimeout {
		old++
	}
	closing := u.idle[:old:old]
	u.idle = append([]*upstreamConn(nil), u.idle[old:]...)
	if u.sweeping = len(u.idle) > 0; u.sweeping {
		time.AfterFunc(idleTimeout-u.now().Sub(u.idle[0].since), u.sweep)
	}
	u.mu.Unlock()
	for _, conn := range closing {
		conn.close()
	}
}

// upstreamBody gives the connection back when the answer is read.
type upstreamBody struct {
	io.ReadCloser
	upstream *upstream
	conn     *upstreamConn
	stop     func() bool
	reusable bool
	complete bool
	closed   bool
}

// Read implements io.Reader.
func (b *upstreamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.complete = b.complete || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer.
func (b *upstreamBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	if alive := b.stop(); alive && b.complete && b.reusable && b.conn.reader.Buffered() == 0 {
		b.upstream.keep(b.conn)
		return nil
	}
	b.conn.close()
	return nil
}
