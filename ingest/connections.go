/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"container/list"
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
	idle   list.List // of connection, the one that is idle the longest first
	active list.List // of connection, the one that has had its request for the longest time first
	at     map[net.Conn]listed
}

type connection struct {
	net.Conn
	since time.Time
}

type listed struct {
	list    *list.List
	element *list.Element
}

func newConnections(most int, stuck time.Duration, now func() time.Time) *connections {
	return &connections{most: most, stuck: stuck, now: now, at: map[net.Conn]listed{}}
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
	if h := c.at[conn]; h.list == &c.active {
		h.element.Value = connection{conn, c.now()}
		c.active.MoveToBack(h.element)
	}
}

// surplus returns the connection that has to go for a new one.
func (c *connections) surplus(newest net.Conn) net.Conn {
	if first, ok := c.idle.Front().Value.(connection); ok && first.Conn != newest { // newest is there
		c.forget(first.Conn)
		return first.Conn
	}
	if e := c.active.Front(); e != nil {
		if first, ok := e.Value.(connection); ok && c.now().Sub(first.since) > c.stuck {
			c.forget(first.Conn)
			return first.Conn
		}
	}
	c.forget(newest)
	return newest
}

// put moves a connection to the end of a list, unless it is in it.
func (c *connections) put(conn net.Conn, l *list.List) {
	if c.at[conn].list != l {
		c.forget(conn)
		c.at[conn] = listed{l, l.PushBack(connection{conn, c.now()})}
	}
}

func (c *connections) forget(conn net.Conn) {
	if h, ok := c.at[conn]; ok {
		h.list.Remove(h.element)
		delete(c.at, conn)
	}
}

// open returns how many there are, but those that are being closed.
func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}
