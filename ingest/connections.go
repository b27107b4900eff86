/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many there are. One too many takes the place of the one that has gone longest without a request, so
// that those who connect and stay silent cannot keep others out. While all have requests, the newest has to go.
type connections struct {
	most int

	mu    sync.Mutex
	count int
	idle  list.List                  // of net.Conn, the one that is idle the longest first
	at    map[net.Conn]*list.Element // in idle
}

func newConnections(most int) *connections {
	return &connections{most: most, at: map[net.Conn]*list.Element{}}
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	var surplus net.Conn
	switch state {
	case http.StateNew:
		c.count++
		c.at[conn] = c.idle.PushBack(conn)
		if c.count > c.most {
			surplus, _ = c.idle.Front().Value.(net.Conn) // there is one: conn
			c.busy(surplus)
		}
	case http.StateIdle:
		if c.at[conn] == nil {
			c.at[conn] = c.idle.PushBack(conn)
		}
	case http.StateActive:
		c.busy(conn)
	case http.StateClosed, http.StateHijacked:
		c.busy(conn)
		c.count--
	}
	c.mu.Unlock()
	if surplus != nil {
		_ = surplus.Close() // the server finds out, and says that it is closed
	}
}

// busy takes a connection out of those that may be closed.
func (c *connections) busy(conn net.Conn) {
	if e := c.at[conn]; e != nil {
		c.idle.Remove(e)
		delete(c.at, conn)
	}
}

// open returns how many there are.
func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}
