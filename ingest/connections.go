/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections bounds how many there are. One too many takes the place of the one that has gone longest without a request, so
// that those who connect and stay silent cannot keep others out; or else, that has had the same one for the longest time,
// if that is longer than stuck: no request takes as long whose sender is not slow. Otherwise the new one has to go.
type connections struct {
	most  int
	stuck time.Duration
	now   func() time.Time

	mu     sync.Mutex
	idle   queue // the one that is idle the longest first
	active queue // the one that has had its request for the longest time first
	at     map[net.Conn]*connection
}

// connection is in one of the queues. It changes them twice for each request, for which it needs no memory.
type connection struct {
	net.Conn
	since          time.Time
	in             *queue // nil for none
	previous, next *connection
}

// queue has its first connection behind, and its last one before, a connection that is none.
type queue struct{ ends connection }

func (q *queue) init() { q.ends.previous, q.ends.next = &q.ends, &q.ends }

func (q *queue) first() *connection {
	if q.ends.next == &q.ends {
		return nil
	}
	return q.ends.next
}

func (q *queue) push(c *connection) {
	c.in, c.previous, c.next = q, q.ends.previous, &q.ends
	c.previous.next, q.ends.previous = c, c
}

// leave takes the connection out of its queue.
func (c *connection) leave() {
	c.previous.next, c.next.previous = c.next, c.previous
	c.in, c.previous, c.next = nil, nil, nil
}

func newConnections(most int, stuck time.Duration, now func() time.Time) *connections {
	c := &connections{most: most, stuck: stuck, now: now, at: map[net.Conn]*connection{}}
	c.idle.init()
	c.active.init()
	return c
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	var surplus net.Conn
	switch state {
	case http.StateNew:
		c.put(conn, &c.idle)
		if len(c.at) > c.most {
			surplus = c.surplus(conn)
		}
	case http.StateIdle:
		c.put(conn, &c.idle)
	case http.StateActive:
		c.put(conn, &c.active)
	case http.StateClosed, http.StateHijacked:
		c.forget(conn)
	}
	c.mu.Unlock()
	if surplus == nil {
		return
	}
	if encrypted, ok := surplus.(*tls.Conn); ok {
		surplus = encrypted.NetConn() // without a word of farewell, which can take seconds, and no other connection is accepted meanwhile
	}
	_ = surplus.Close() // the server finds out, and says that it is closed
}

// connectionKey is of the context's value that is the connection of a request.
type connectionKey struct{}

// context is for http.Server.ConnContext.
func (*connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// noting takes note of requests that no change of state tells of: a connection of HTTP/2 is active for as long as it has one
// request or another.
func (c *connections) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			if conn, ok := r.Context().Value(connectionKey{}).(net.Conn); ok {
				c.busy(conn)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// busy takes note of another request on an active connection.
func (c *connections) busy(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.at[conn]; known != nil && known.in == &c.active {
		known.leave()
		c.enter(known, &c.active)
	}
}

// surplus returns the connection that has to go for a new one.
func (c *connections) surplus(newest net.Conn) net.Conn {
	chosen := newest
	if first := c.idle.first(); first.Conn != newest { // newest is there
		chosen = first.Conn
	} else if first := c.active.first(); first != nil && c.now().Sub(first.since) > c.stuck {
		chosen = first.Conn
	}
	c.forget(chosen)
	return chosen
}

// put moves a connection to the end of a queue, unless it is in it.
func (c *connections) put(conn net.Conn, q *queue) {
	known := c.at[conn]
	switch {
	case known == nil:
		known = &connection{Conn: conn}
		c.at[conn] = known
	case known.in == q:
		return
	default:
		known.leave()
	}
	c.enter(known, q)
}

func (c *connections) enter(known *connection, q *queue) {
	known.since = c.now()
	q.push(known)
}

func (c *connections) forget(conn net.Conn) {
	if known := c.at[conn]; known != nil {
		known.leave()
		delete(c.at, conn)
	}
}

// open returns how many there are, but those that are being closed.
func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}
