/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// namedConn is a connection that remembers whether it was closed.
type namedConn struct {
	net.Conn
	name   string
	closed bool
}

// Close implements net.Conn.
func (c *namedConn) Close() error {
	c.closed = true
	return nil
}

func TestConnections(t *testing.T) {
	const most = 3
	const stuck = time.Second
	const wait = http.ConnState(100)    // no state: time passes
	const another = http.ConnState(101) // no state: another request on a connection of HTTP/2
	type step struct {
		conn  string
		state http.ConnState
	}
	open := func(names ...string) (steps []step) {
		for _, name := range names {
			steps = append(steps, step{name, http.StateNew})
		}
		return steps
	}
	tests := map[string]struct {
		reason string
		steps  []step
		want   []string // that are closed
	}{
		"Enough":       {reason: "there is room for three", steps: open("a", "b", "c")},
		"SilentOldest": {reason: "the first has sent nothing for the longest time", steps: open("a", "b", "c", "d", "e"), want: []string{"a", "b"}},
		"BusyIsSpared": {
			reason: "the first has a request",
			steps:  append(append(open("a"), step{"a", http.StateActive}), open("b", "c", "d")...), want: []string{"b"},
		},
		"IdleAgain": {
			reason: "the first has had a request since the second came",
			steps: append(append(open("a"), step{"a", http.StateActive}), append(open("b", "c"),
				step{"b", http.StateActive}, step{"b", http.StateIdle}, step{"a", http.StateIdle}, step{"d", http.StateNew})...), want: []string{"c"},
		},
		"Stuck": {
			reason: "all have requests, the first for longer than any takes",
			steps: append(open("a", "b", "c"), step{"b", http.StateActive}, step{"a", http.StateActive}, step{"", wait}, step{"c", http.StateActive},
				step{"d", http.StateNew}), want: []string{"b"},
		},
		"BusyForLong": {
			reason: "the first has had one request or another all the time, and the second the same one",
			steps: append(open("a", "b", "c"), step{"a", http.StateActive}, step{"b", http.StateActive}, step{"c", http.StateActive}, step{"", wait},
				step{"a", another}, step{"c", another}, step{"d", http.StateNew}), want: []string{"b"},
		},
		"LateRequest": {
			reason: "a request that is told of when its connection is gone brings nothing back",
			steps:  append(open("a"), step{"a", http.StateActive}, step{"a", http.StateClosed}, step{"a", another}),
		},
		"AllBusy": {
			reason: "the new one is the only one without a request",
			steps: append(open("a", "b", "c"), step{"a", http.StateActive}, step{"b", http.StateActive}, step{"c", http.StateActive},
				step{"d", http.StateNew}), want: []string{"d"},
		},
		"OneHasGone": {reason: "there is room again", steps: append(open("a", "b", "c"), step{"b", http.StateClosed}, step{"d", http.StateNew})},
		"IdleTwice": {
			reason: "net/http may say so twice",
			steps:  append(open("a"), append([]step{{"a", http.StateIdle}, {"a", http.StateActive}}, open("b", "c", "d")...)...), want: []string{"b"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			clock := &fakeClock{time: time.Unix(1_800_000_000, 0)}
			c := newConnections(most, stuck, clock.now)
			conns := map[string]*namedConn{}
			for _, s := range tc.steps {
				if s.state == wait {
					clock.pass(stuck + 1)
					continue
				}
				if conns[s.conn] == nil {
					conns[s.conn] = &namedConn{name: s.conn}
				}
				if s.state == another {
					c.busy(conns[s.conn])
					continue
				}
				c.changed(conns[s.conn], s.state)
			}
			var closed []string
			for _, conn := range conns {
				if conn.closed {
					closed = append(closed, conn.name)
				}
			}
			slices.Sort(closed)
			if !slices.Equal(closed, tc.want) {
				t.Errorf("%s: closed %q, want %q", tc.reason, closed, tc.want)
			}
			for _, conn := range conns {
				c.changed(conn, http.StateClosed)
			}
			if c.open() != 0 || length(&c.idle) != 0 || length(&c.active) != 0 {
				t.Errorf("%s: in the end %d are open, %d idle and %d active, want none", tc.reason, c.open(), length(&c.idle), length(&c.active))
			}
		})
	}
}

func length(q *queue) (n int) {
	for c := q.ends.next; c != &q.ends; c = c.next {
		n++
	}
	return n
}
