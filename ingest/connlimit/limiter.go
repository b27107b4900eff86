/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package connlimit

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Why is the reason for which one had to go. It is the value of a metric label.
type Why string

// The reasons.
const (
	// WhyClient means that its client held more than its part.
	WhyClient Why = "client"
	// WhyPath means that it waited for a body, and that its path had more than its part of those
	// that do.
	WhyPath Why = "path"
	// WhySlow means that it waited for a body that did not come, that its answer was not taken, or
	// that it was being answered for longer than that may take.
	WhySlow Why = "slow"
	// WhyIdle means that it was idle for the longest time.
	WhyIdle Why = "idle"
	// WhyOldest means that it has been without a complete request for the longest time, when nobody
	// was slow.
	WhyOldest Why = "oldest"
	// WhyNewest means that it came last, and all others had complete requests, or bodies that came.
	WhyNewest Why = "newest"
)

// Whys returns all reasons.
func Whys() []Why { return []Why{WhyClient, WhyPath, WhySlow, WhyIdle, WhyOldest, WhyNewest} }

// Limiter bounds connections, and requests of HTTP/2 that wait for their bodies. Its methods
// ConnContext and ConnState are for the fields of an http.Server of these names.
type Limiter struct {
	proxies Proxies
	now     func() time.Time
	start   time.Time
	closed  map[Why]*atomic.Int64

	mu          sync.Mutex
	at          map[net.Conn]*connection
	connections *pool
	streams     *pool // requests of HTTP/2, as long as they wait for their bodies
}

// connection is one that the server has.
type connection struct {
	item               // in Limiter.connections
	conn  net.Conn     //
	peer  netip.Prefix // whose it is while it has no request
	proxy bool         // whether that is a proxy
	turns Turn         // of a request of HTTP/1.1, one after the other
	idles bool         // as the server said last; in HTTP/2, a request that was reset may still be handled then

	// Of HTTP/2, *Turn, the oldest first: the requests that wait for their bodies, and those that
	// are complete and being handled.
	awaiting, answering list.List
}

// New returns a Limiter of that many connections, and as many requests of HTTP/2. A request that is
// complete is safe for as long as answering may take, but no longer.
func New(most int, answering time.Duration, proxies Proxies, now func() time.Time) *Limiter {
	l := &Limiter{
		proxies: proxies, now: now, start: now(), closed: map[Why]*atomic.Int64{}, at: map[net.Conn]*connection{},
		connections: newPool(most, answering), streams: newPool(most, answering),
	}
	for _, why := range Whys() {
		l.closed[why] = new(atomic.Int64)
	}
	return l
}

// Open returns how many connections there are, but those that are being closed.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connections.size
}

// Closed returns how many connections were closed for that reason, requests of HTTP/2 included.
func (l *Limiter) Closed(why Why) int64 { return l.closed[why].Load() }

// ClientAddress returns the address of the client, as Proxies.ClientAddress does.
func (l *Limiter) ClientAddress(r *http.Request) netip.Addr { return l.proxies.ClientAddress(r) }

// key is of the context's value that is the connection of a request.
type key struct{}

// ConnContext is for http.Server.ConnContext. It is called before ConnState is.
func (l *Limiter) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return context.WithValue(ctx, key{}, l.known(conn))
}

// known returns the connection, which becomes known by that.
func (l *Limiter) known(conn net.Conn) *connection {
	c := l.at[conn]
	if c == nil {
		c = &connection{conn: conn}
		c.kind, c.connection = gone, c
		var address netip.Addr
		if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			address = tcp.AddrPort().Addr().Unmap().WithZone("")
		}
		c.peer, c.proxy = Network(address), l.proxies.Trusts(address)
		if c.proxy {
			c.peer = netip.PrefixFrom(address, address.BitLen()) // apart from others of its network
		}
		l.at[conn] = c
	}
	return c
}

// ConnState is for http.Server.ConnState.
func (l *Limiter) ConnState(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	var surplus *item
	switch c := l.at[conn]; {
	case state == http.StateNew:
		c = l.known(conn)
		l.connections.put(&c.item, fresh, whose{client: c.peer, exempt: c.proxy}, l.elapsed())
		if l.connections.size > l.connections.most {
			surplus = l.evict(l.connections, &c.item)
			l.forget(surplus.connection)
		}
	case c == nil:
	case state == http.StateIdle || state == http.StateActive:
		c.idles = state == http.StateIdle
		switch { // in HTTP/2, requests that were reset may be complete, and still be handled
		case c.answering.Len() > 0:
		case c.idles:
			l.enter(c, idle)
		default:
			l.enter(c, waiting)
		}
	case state == http.StateClosed || state == http.StateHijacked:
		l.forget(c)
	}
	l.mu.Unlock()
	if surplus != nil {
		surplus.connection.close()
	}
}

// enter makes a connection one of that kind, which counts to its peer. One that is being closed
// stays so.
func (l *Limiter) enter(c *connection, k kind) {
	l.enterAs(c, k, whose{client: c.peer, exempt: c.proxy})
}

func (l *Limiter) enterAs(c *connection, k kind, to whose) {
	if c.kind != gone {
		l.connections.put(&c.item, k, to, l.elapsed())
	}
}

func (l *Limiter) elapsed() time.Duration { return l.now().Sub(l.start) }

// evict chooses who has to go.
func (l *Limiter) evict(p *pool, newest *item) *item {
	i, why := p.victim(newest, l.elapsed())
	l.closed[why].Add(1)
	return i
}

func (l *Limiter) forget(c *connection) {
	l.connections.forget(&c.item)
	delete(l.at, c.conn)
}

// close closes the socket. The server finds out, and says that the connection is closed.
func (c *connection) close() {
	conn := c.conn
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn() // without a TLS close_notify, which can take seconds, and no other connection is accepted meanwhile
	}
	_ = conn.Close()
}

// Turn is one request, from its headers to its answer. Its methods do nothing on a Turn that is
// nil.
type Turn struct {
	limiter    *Limiter
	connection *connection
	stream     item // of HTTP/2; else it is gone

	// Under the lock of the limiter.
	complete bool
	path     string
	since    time.Duration // of HTTP/2: when it was complete
	place    *list.Element // of HTTP/2: in connection.awaiting or answering

	mu     sync.Mutex
	writer http.ResponseWriter // nil when the body is not being read, when nothing must be done to it
	cut    bool
}

// Begin says that a request's headers have come, for a path, or "" for one that is not known. Call
// Complete when its body has come too, and End when it was handled. In HTTP/2, the reading of its
// body can be made to fail; CutOff says so.
func (l *Limiter) Begin(w http.ResponseWriter, r *http.Request, path string) *Turn {
	c, ok := r.Context().Value(key{}).(*connection)
	if !ok {
		return nil // no server of ours: there is nothing to bound
	}
	to := whose{client: c.peer, exempt: c.proxy, path: path}
	if c.proxy {
		if address := l.ClientAddress(r); !l.proxies.Trusts(address) {
			to.client, to.exempt = Network(address), false
		}
	}
	t, alone := &c.turns, r.ProtoMajor < 2
	if !alone {
		t = new(Turn)
	}
	l.mu.Lock()
	t.limiter, t.connection, t.complete, t.path, t.stream.kind = l, c, hasNoBody(r), path, gone
	var surplus *item
	switch {
	case alone && t.complete:
		l.enter(c, busy)
	case alone:
		l.enterAs(c, waiting, to)
	case t.complete:
		l.answer(t)
	default:
		t.place = c.awaiting.PushBack(t)
		// Whoever the request is for, the connection is the peer's. One of a proxy is as young as
		// its youngest request, since it is another's; else it would stay who sends headers again
		// and again.
		if c.answering.Len() == 0 && (c.proxy || c.awaiting.Len() == 1 || c.hasNoPath()) {
			l.enterAs(c, waiting, whose{client: c.peer, exempt: c.proxy, path: path})
		}
		t.writer, t.stream.turn = w, t
		l.streams.put(&t.stream, waiting, to, l.elapsed())
		if l.streams.size > l.streams.most {
			surplus = l.evict(l.streams, &t.stream)
			l.streams.forget(surplus)
		}
	}
	l.mu.Unlock()
	if surplus != nil {
		surplus.turn.cutOff()
	}
	return t
}

// hasNoBody says whether all of the request is there with its headers. In HTTP/2, one that declares
// a body of no bytes, or a length that is no number, can leave open whether that was all.
func hasNoBody(r *http.Request) bool {
	return r.ContentLength == 0 && (r.ProtoMajor < 2 || r.Header["Content-Length"] == nil)
}

// hasNoPath says whether the path for which the connection waits is not known yet: the server has
// said that headers are coming.
func (c *connection) hasNoPath() bool { return c.kind != waiting || c.path.key == "" }

// answer takes note that a request of HTTP/2 is complete.
func (l *Limiter) answer(t *Turn) {
	c := t.connection
	t.since, t.place = l.elapsed(), c.answering.PushBack(t)
	if c.kind != busy {
		l.enter(c, busy)
	}
}

// cutOff makes the reading of the body fail.
func (t *Turn) cutOff() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer != nil {
		t.cut = true
		_ = http.NewResponseController(t.writer).SetReadDeadline(time.Unix(1, 0))
	}
}

// Received says that so much of the body has come. It takes no lock.
func (t *Turn) Received(bytes int64) {
	if t != nil {
		t.connection.received.Add(bytes)
		t.stream.received.Add(bytes)
	}
}

// Complete says that the body has come. The connection then stays until the request is answered, if
// that does not take too long.
func (t *Turn) Complete() {
	if t == nil {
		return
	}
	t.release()
	l, c := t.limiter, t.connection
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.complete {
		return
	}
	t.complete = true
	if t == &c.turns {
		l.enter(c, busy)
		return
	}
	l.streams.forget(&t.stream)
	c.awaiting.Remove(t.place)
	l.answer(t)
}

// release keeps the reading from being made to fail.
func (t *Turn) release() {
	t.mu.Lock()
	t.writer = nil
	t.mu.Unlock()
}

// CutOff says whether the reading was made to fail.
func (t *Turn) CutOff() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

// End says that the request was handled. Its answer may be on its way yet, for as long as the
// sender does not take it: that the connection is idle is what the server says.
func (t *Turn) End() {
	if t == nil {
		return
	}
	t.release()
	l, c := t.limiter, t.connection
	l.mu.Lock()
	defer l.mu.Unlock()
	if t == &c.turns {
		if c.kind == busy { // else the server waits for what is left of the body
			l.enter(c, answered)
		}
		return
	}
	l.streams.forget(&t.stream)
	if t.complete {
		c.answering.Remove(t.place)
	} else {
		c.awaiting.Remove(t.place)
	}
	l.settle(c)
}

// settle makes a connection of HTTP/2 what it is, now that one of its requests less is being
// handled.
func (l *Limiter) settle(c *connection) {
	switch {
	case c.answering.Len() > 0:
	case c.awaiting.Len() > 0:
		if oldest := c.awaiting.Front().Value.(*Turn); c.kind == busy { //nolint:errcheck // there is nothing else
			l.enterAs(c, waiting, whose{client: c.peer, exempt: c.proxy, path: oldest.path})
		}
	case c.idles:
		if c.kind != idle {
			l.enter(c, idle)
		}
	default:
		l.enter(c, answered)
	}
}
