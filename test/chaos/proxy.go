/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// weather is what a proxy does to the connections that go through it.
type weather struct {
	// delay is by how much each piece of data is late, half of it for certain.
	delay time.Duration
	// lost is whether nothing gets through: data stays where it is until the weather changes, as
	// with packets that are sent again and again.
	lost bool
	// refuse is whether new connections are closed at once.
	refuse bool
	// cutAfter is after how many bytes of answers a connection is reset; 0 for never. Each
	// connection gets a limit of its own, of between half of it and all of it.
	cutAfter int64
}

// A proxy passes TCP connections on to an API server, as well as the weather allows.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	weather weather
	changed chan struct{} // closed when the weather changes
	random  *rand.Rand
	links   map[*link]struct{}
	closed  bool
	running sync.WaitGroup
	cuts    atomic.Int64 // connections that were reset in the midst of an answer
}

// A link is one connection through the proxy.
type link struct {
	near, far net.Conn
	cut       int64        // the limit of answers in bytes; 0 for none
	answered  atomic.Int64 // bytes of answers
	orphaned  atomic.Bool
}

// newProxy listens on a free port of the loopback address.
func newProxy(ctx context.Context, target string, seed uint64) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{
		listener: listener,
		target:   target,
		changed:  make(chan struct{}),
		random:   rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // to be repeated, not to be secret
		links:    map[*link]struct{}{},
	}
	p.running.Go(func() { p.accept(context.WithoutCancel(ctx)) })
	return p, nil
}

// port is where it listens.
func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port } //nolint:errcheck // it listens to tcp

// set changes the weather, for what is under way too.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	for l := range p.links {
		l.cut = 0
		if w.cutAfter > 0 {
			l.cut = l.answered.Load() + w.cutAfter/2 + p.random.Int64N(w.cutAfter/2+1)
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// reset resets all connections.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// orphan loses whatever goes through the connections there are, for good. New ones are not
// affected. So it is when what is at the other end is gone without a FIN or RST.
func (p *proxy) orphan() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.orphaned.Store(true)
	}
}

// close ends everything.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.reset()
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.running.Wait()
}

// reset closes both ends without a farewell.
func (l *link) reset() {
	for _, c := range []net.Conn{l.near, l.far} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (p *proxy) accept(ctx context.Context) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(ctx, near) })
	}
}

func (p *proxy) serve(ctx context.Context, near net.Conn) {
	p.mu.Lock()
	refuse := p.weather.refuse
	p.mu.Unlock()
	if refuse {
		_ = near.Close()
		return
	}
	l := &link{near: near}
	far, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = near.Close()
		return
	}
	l.far = far
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links[l] = struct{}{}
	if c := p.weather.cutAfter; c > 0 {
		l.cut = c/2 + p.random.Int64N(c/2+1)
	}
	p.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { p.pass(l, far, near, false) })
	both.Go(func() { p.pass(l, near, far, true) })
	both.Wait()
	_, _ = near.Close(), far.Close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

const (
	// pieceLength is how much is passed on at a time.
	pieceLength = 16 << 10
	// underWay is how many pieces may be on their way in one direction.
	underWay = 256
)

// A piece is data on its way.
type piece struct {
	data []byte
	due  time.Time // when it may arrive
}

// pass copies from one end to the other until either ends. answers says that it is the direction of
// answers.
func (p *proxy) pass(l *link, to, from net.Conn, answers bool) {
	pieces := make(chan piece, underWay)
	var writing sync.WaitGroup
	writing.Go(func() {
		for piece := range pieces {
			if !p.deliver(l, to, piece, answers) {
				_ = from.Close()
				break
			}
		}
		for range pieces { // until the reader has noticed
			continue
		}
	})
	for {
		buffer := make([]byte, pieceLength)
		n, err := from.Read(buffer)
		if n > 0 {
			pieces <- piece{data: buffer[:n], due: time.Now().Add(p.delay())}
		}
		if err != nil {
			close(pieces)
			writing.Wait()
			if tcp, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
				_ = tcp.CloseWrite() // the other direction may go on
				return
			}
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

// deliver writes a piece when it is due, and returns false if the connection is no more.
func (p *proxy) deliver(l *link, to net.Conn, piece piece, answers bool) bool {
	if late := time.Until(piece.due); late > 0 {
		pause := time.NewTimer(late)
		<-pause.C
	}
	limit := int64(0)
	for {
		p.mu.Lock()
		lost, changed, closed := p.weather.lost || l.orphaned.Load(), p.changed, p.closed
		limit = l.cut
		p.mu.Unlock()
		if closed {
			return false
		}
		if !lost {
			break
		}
		<-changed
	}
	data := piece.data
	if answers {
		before := l.answered.Load()
		if limit > 0 && before+int64(len(data)) >= limit {
			_, _ = to.Write(data[:max(0, limit-before)])
			p.cuts.Add(1)
			l.reset()
			return false
		}
		l.answered.Add(int64(len(data)))
	}
	_, err := to.Write(data)
	return err == nil
}

// delay draws how late a piece is.
func (p *proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.weather.delay <= 0 {
		return 0
	}
	return p.weather.delay/2 + rand.N(p.weather.delay/2+1) //nolint:gosec // jitter is no secret
}
