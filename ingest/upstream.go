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
	"slices"
	"sync"
	"syscall"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

const (
	// idleTimeout is shorter than kube-apiserver's (90 s), so that it is seldom the server that closes a connection.
	idleTimeout = time.Minute
	// handshakeTimeout is how long a TLS handshake may take, if the request has that long.
	handshakeTimeout = 10 * time.Second
	// renewPeriod is how often client-go's transport is given a request, which is when it looks whether the file with the certificates of
	// authorities has changed. It looks no more often than that.
	renewPeriod = 5 * time.Minute
	// maxExchange is the longest answer in bytes, with its headers. Those about one FlowRun are a small part of it.
	maxExchange = 1 << 20
	// maxHints is how many informational answers (RFC 9110, section 15.2) may come before the one that counts.
	maxHints = 5
)

// upstream makes requests to the API server by HTTP/1.1. It is an http.RoundTripper in which the goroutine of a request writes it and
// reads the answer. That of net/http has two goroutines more for each connection; handing over to them and back takes a good part of
// the processor time of a create.
//
// How to connect it has from client-go's transport, which does itself what upstream does not: requests through a proxy, to a server that
// cannot be reached by what is known, and one every 5 minutes. So it finds out that an authority's certificate was replaced or taken away;
// connections that were made before are closed then.
//
// An idle connection is looked at before it is used: what the server has closed, or has sent something on that nobody asked for, is of no
// use. If it breaks off later, the request fails, and nothing is sent twice. All that were idle while it ran are closed too then, as they
// may have broken off as well.
type upstream struct {
	base    http.RoundTripper
	address string
	secure  bool
	most    int // idle connections
	now     func() time.Time

	mu        sync.Mutex
	transport *http.Transport // of base, by which connections are made
	renewed   time.Time       // when base had a request the last time
	idle      []*upstreamConn // those used last are at the end
	sweeping  bool            // whether a timer will close those that are idle for long
}

type upstreamConn struct {
	net.Conn
	raw       net.Conn        // beneath TLS,
	system    syscall.RawConn // and beneath that
	transport *http.Transport // by which it was made
	limit     *io.LimitedReader
	reader    *bufio.Reader
	writer    *bufio.Writer
	peek      [1]byte
	since     time.Time // when it became idle; zero if it never was
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
	u := &upstream{base: base, address: server.Host, secure: server.Scheme == "https", most: idle, now: time.Now, transport: transport, renewed: time.Now()}
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
	if u.due() {
		return u.leave(request)
	}
	ctx := request.Context()
	begin := u.now()
	conn := u.take()
	if conn == nil {
		var err error
		if conn, err = u.connect(ctx); err != nil {
			return u.leave(request)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	response, err := conn.exchange(request)
	if err != nil {
		stop()
		conn.close()
		if !conn.since.IsZero() {
			u.closeIdle(func(other *upstreamConn) bool { return other.since.Before(begin) })
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	response.Body = &upstreamBody{ReadCloser: response.Body, upstream: u, conn: conn, stop: stop, reusable: !response.Close}
	return response, nil
}

// due says whether it is time to give base a request.
func (u *upstream) due() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	if now.Sub(u.renewed) < renewPeriod {
		return false
	}
	u.renewed = now
	return true
}

// leave leaves a request to base.
func (u *upstream) leave(request *http.Request) (*http.Response, error) {
	response, err := u.base.RoundTrip(request)
	u.mu.Lock()
	transport := connecting(u.base) // with the lock, so that nobody puts back an older one
	other := transport != u.transport
	u.transport = transport
	u.mu.Unlock()
	if other {
		u.closeIdle(func(*upstreamConn) bool { return true })
	}
	return response, err
}

// WrappedRoundTripper implements RoundTripperWrapper, as client-go expects of what is wrapped around its transport.
func (u *upstream) WrappedRoundTripper() http.RoundTripper { return u.base }

// close closes the connection without a word of farewell, which can take seconds. Nobody uses it any more, whatever comes of that.
func (c *upstreamConn) close() { _ = c.raw.Close() }

// exchange sends a request and reads the answer but for its body.
func (c *upstreamConn) exchange(request *http.Request) (*http.Response, error) {
	c.limit.N = maxExchange
	sent := request.Write(c.writer)
	if sent == nil {
		sent = c.writer.Flush()
	}
	if request.Body != nil {
		_ = request.Body.Close() // bytes in memory
	}
	// A server may answer before it has read everything, and then not read on. That answer is what counts.
	for range maxHints + 1 {
		response, err := http.ReadResponse(c.reader, request)
		switch {
		case sent != nil && err != nil:
			return nil, sent
		case err != nil:
			return nil, unquoted(err)
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errNoAnswer
		case response.StatusCode >= http.StatusOK:
			response.Close = response.Close || sent != nil
			return response, nil
		}
	}
	return nil, errNoAnswer
}

// errNoAnswer is for what is no answer of HTTP/1.1.
var errNoAnswer = errors.New("the answer is not to be understood")

// unquoted returns the error with which an answer could not be read, unless it may quote the answer.
func unquoted(err error) error {
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	return errNoAnswer
}

// connect makes a connection.
func (u *upstream) connect(ctx context.Context) (*upstreamConn, error) {
	u.mu.Lock()
	transport := u.transport
	u.mu.Unlock()
	if transport == nil || transport.DialContext == nil {
		return nil, errors.ErrUnsupported
	}
	raw, err := transport.DialContext(ctx, "tcp", u.address)
	if err != nil {
		return nil, err
	}
	system := systemConn(raw)
	if system == nil {
		_ = raw.Close() // it was not used
		return nil, errors.ErrUnsupported
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
	limit := &io.LimitedReader{R: conn}
	return &upstreamConn{Conn: conn, raw: raw, system: system, transport: transport, limit: limit, reader: bufio.NewReader(limit), writer: bufio.NewWriter(conn)}, nil
}

// systemConn returns what is beneath a connection, or nil if it does not show that.
func systemConn(conn net.Conn) syscall.RawConn {
	shown, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	system, err := shown.SyscallConn()
	if err != nil {
		return nil
	}
	return system
}

// silent says whether a connection is open and nothing has come on it.
func (c *upstreamConn) silent() bool {
	silent := false
	err := c.system.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), c.peek[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && silent
}

// take returns the connection that was used last and can be used again, or nil if there is none.
func (u *upstream) take() *upstreamConn {
	for {
		u.mu.Lock()
		last := len(u.idle) - 1
		if last < 0 || u.now().Sub(u.idle[last].since) >= idleTimeout {
			u.mu.Unlock()
			return nil
		}
		conn := u.idle[last]
		u.idle[last] = nil
		u.idle = u.idle[:last]
		u.mu.Unlock()
		if conn.silent() {
			return conn
		}
		conn.close()
	}
}

// keep notes that a connection can be used again.
func (u *upstream) keep(conn *upstreamConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if conn.transport != u.transport {
		conn.close()
		return
	}
	if len(u.idle) >= u.most {
		u.idle[0].close() // it was idle for the longest time
		u.idle = slices.Delete(u.idle, 0, 1)
	}
	conn.since = u.now()
	u.idle = append(u.idle, conn)
	if !u.sweeping {
		u.sweeping = true
		time.AfterFunc(idleTimeout, u.sweep)
	}
}

// closeIdle closes idle connections.
func (u *upstream) closeIdle(which func(*upstreamConn) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.idle = slices.DeleteFunc(u.idle, func(conn *upstreamConn) bool {
		if !which(conn) {
			return false
		}
		conn.close()
		return true
	})
}

// sweep closes the connections that have been idle for too long, and comes back while there are others.
func (u *upstream) sweep() {
	u.closeIdle(func(conn *upstreamConn) bool { return u.now().Sub(conn.since) >= idleTimeout })
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sweeping = len(u.idle) > 0; u.sweeping {
		time.AfterFunc(idleTimeout-u.now().Sub(u.idle[0].since), u.sweep)
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
