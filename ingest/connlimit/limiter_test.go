/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package connlimit

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// fakeClock is set by hand.
type fakeClock struct{ time time.Time }

func (c *fakeClock) now() time.Time { return c.time }

func (c *fakeClock) pass(d time.Duration) { c.time = c.time.Add(d) }

// peer is a connection of a sender.
type peer struct {
	net.Conn
	name    string
	address *net.TCPAddr
	closed  bool
	turn    *Turn
}

// RemoteAddr implements net.Conn.
func (p *peer) RemoteAddr() net.Addr { return p.address }

// Close implements net.Conn.
func (p *peer) Close() error {
	p.closed = true
	return nil
}

// world has a Limiter and its connections. A connection's name begins with the letter of its
// client: a1 and a2 are of one.
type world struct {
	t       testing.TB
	clock   *fakeClock
	limiter *Limiter
	peers   map[string]*peer
}

// answering is how long one may be busy.
const answering = 500 * time.Millisecond

func newWorld(t testing.TB, most int, proxies Proxies) *world {
	clock := &fakeClock{time: time.Unix(1_800_000_000, 0)}
	return &world{t: t, clock: clock, limiter: New(most, answering, proxies, clock.now), peers: map[string]*peer{}}
}

func (w *world) peer(name string) *peer {
	p := w.peers[name]
	if p == nil {
		p = &peer{name: name, address: &net.TCPAddr{IP: net.IPv4(192, 0, 2, name[0]), Port: 1000 + len(w.peers)}}
		w.peers[name] = p
	}
	return p
}

// request is one on the connection, of a body of that length.
func (w *world) request(p *peer, major int, length int64, client string) *http.Request {
	r := (&http.Request{ProtoMajor: major, ContentLength: length, RemoteAddr: p.address.String(), Header: http.Header{}}).
		WithContext(w.limiter.ConnContext(w.t.Context(), p))
	if client != "" {
		r.Header.Set(forwardedFor, client)
	}
	return r
}

// do does what a step says: what happens, and to which connections.
//
//	new a1 b1          connections come
//	head:orders a1     the headers of a request to a path, of HTTP/1.1
//	head:orders:203.0.113.1 a1 the same, forwarded for that client
//	get a1             a request without a body
//	bytes:1000 a1      so much of its body comes
//	body a1            its body is there
//	end a1             it was handled, and its answer is on its way
//	idle a1, closed a1 as net/http says; one that is idle was handled before
//	pass:1s            time passes
func (w *world) do(step string) {
	verb, names, _ := strings.Cut(step, " ")
	verb, argument, _ := strings.Cut(verb, ":")
	if verb == "pass" {
		d, err := time.ParseDuration(argument)
		if err != nil {
			w.t.Fatal(err)
		}
		w.clock.pass(d)
		return
	}
	for name := range strings.FieldsSeq(names) {
		p := w.peer(name)
		switch verb {
		case "new":
			w.limiter.ConnContext(w.t.Context(), p)
			w.limiter.ConnState(p, http.StateNew)
		case "head", "get":
			path, client, _ := strings.Cut(argument, ":")
			length := int64(1)
			if verb == "get" {
				length = 0
			}
			w.limiter.ConnState(p, http.StateActive)
			p.turn = w.limiter.Begin(nil, w.request(p, 1, length, client), path)
		case "bytes":
			var n int64
			if _, err := fmt.Sscan(argument, &n); err != nil {
				w.t.Fatal(err)
			}
			p.turn.Received(n)
		case "body":
			p.turn.Complete()
		case "end":
			p.turn.End()
		case "idle":
			p.turn.End()
			w.limiter.ConnState(p, http.StateIdle)
		case "closed":
			w.limiter.ConnState(p, http.StateClosed)
		default:
			w.t.Fatalf("what is %q?", step)
		}
	}
}

func (w *world) closed() (names []string) {
	for _, p := range w.peers {
		if p.closed {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// whys returns the reasons that were counted.
func (w *world) whys() (all []string) {
	for _, why := range Whys() {
		for range w.limiter.Closed(why) {
			all = append(all, string(why))
		}
	}
	return all
}

// empty closes everything, and fails the test if something is left behind.
func (w *world) empty() {
	w.t.Helper()
	for _, p := range w.peers {
		w.limiter.ConnState(p, http.StateClosed)
	}
	for name, p := range map[string]*pool{"connections": w.limiter.connections, "streams": w.limiter.streams} {
		held := len(p.clients.known) + len(p.clients.ranked) + len(p.paths.known) + len(p.paths.ranked) + p.size
		for k := range p.all {
			held += p.all[k].Len()
		}
		if held != 0 {
			w.t.Errorf("of %s something is left behind", name)
		}
	}
	if len(w.limiter.at) != 0 {
		w.t.Errorf("%d connections are left behind", len(w.limiter.at))
	}
}

// TestOrder has one connection too many, of four, time and again.
func TestOrder(t *testing.T) {
	t.Parallel()
	proxies := mustParse(t, fmt.Sprintf("192.0.2.%d/32", 'p'))
	tests := map[string]struct {
		reason string
		steps  []string
		closed string
		why    string
	}{
		"Room":           {reason: "there are four", steps: []string{"new a1 b1 c1 d1"}},
		"RoomAgain":      {reason: "one has gone", steps: []string{"new a1 b1 c1 d1", "closed b1", "new e1"}},
		"Silent":         {reason: "the oldest have been silent for the longest time", steps: []string{"new a1 b1 c1 d1", "new e1"}, closed: "a1", why: "oldest"},
		"ClientOfMany":   {reason: "who holds the most gives one back", steps: []string{"new a1 b1 b2 c1", "new e1"}, closed: "b1", why: "client"},
		"ItsOwn":         {reason: "the newest is of who holds the most", steps: []string{"new a1 b1 b2 c1", "new b3"}, closed: "b1", why: "client"},
		"SlowFirst":      {reason: "of who holds the most, who waits for a body", steps: []string{"new a1 b1 b2 b3", "head:x b2 a1", "pass:1s", "new e1"}, closed: "b2", why: "client"},
		"IdleNext":       {reason: "of who holds the most, who is idle", steps: []string{"new a1 b1 b2 b3", "get b3", "idle b3", "head:x a1", "pass:1s", "new e1"}, closed: "b3", why: "client"},
		"ManyClients":    {reason: "who waits for a body goes before who had no turn", steps: []string{"new a1 b1 c1 d1", "head:x c1", "pass:1s", "new e1"}, closed: "c1", why: "slow"},
		"SlowBeforeIdle": {reason: "who waits for a body goes before who is idle", steps: []string{"new a1 b1 c1 d1", "get a1", "idle a1", "head:x c1", "pass:1s", "new e1"}, closed: "c1", why: "slow"},
		"Progress": {
			reason: "of a body that comes, the rest is waited for",
			steps:  []string{"new a1 b1 c1 d1", "head:x a1 b1", "bytes:1000000 a1", "pass:1s", "new e1"}, closed: "b1", why: "slow",
		},
		"Trickle": {
			reason: "a byte now and then is no progress",
			steps:  []string{"new a1 b1 c1 d1", "head:x a1", "pass:500ms", "bytes:1 a1", "pass:10ms", "new e1"}, closed: "a1", why: "slow",
		},
		"Path": {
			reason: "one path has two of three that wait, which are younger",
			steps:  []string{"new a1 b1 c1 d1", "head:y a1", "pass:10ms", "head:x b1 c1", "pass:1s", "new e1"}, closed: "b1", why: "path",
		},
		"SlowOfAnotherPath": {
			reason: "of the path for which the most wait, none is slow yet",
			steps:  []string{"new a1 b1 c1 d1", "get d1", "idle d1", "head:y a1", "pass:1s", "head:x b1 c1", "new e1"}, closed: "a1", why: "slow",
		},
		"PathOfOne": {
			reason: "each path has as many", steps: []string{"new a1 b1 c1 d1", "head:y a1", "pass:10ms", "head:x b1", "pass:1s", "new e1"}, closed: "a1", why: "slow",
		},
		"LongestIdle": {
			reason: "nobody is slow", steps: []string{"new a1 b1 c1 d1", "get a1 b1", "idle b1", "pass:10ms", "idle a1", "new e1"}, closed: "b1", why: "idle",
		},
		"IdleAgain": {
			reason: "it has had a request meanwhile", steps: []string{"new a1 b1 c1 d1", "get a1 b1", "idle b1", "pass:10ms", "idle a1", "get b1", "idle b1", "new e1"}, closed: "a1", why: "idle",
		},
		"JustCame": {
			reason: "nobody had the time", steps: []string{"new a1 b1 c1 d1", "pass:10ms", "head:x a1", "new e1"}, closed: "b1", why: "oldest",
		},
		"Busy": {
			reason: "who waits for an answer gets it", steps: []string{"new a1 b1 b2 b3", "head:x b1 b2 b3", "body b1 b2 b3", "pass:500ms", "new e1"}, closed: "a1", why: "oldest",
		},
		"AllBusy": {
			reason: "all others wait for an answer", steps: []string{"new a1 b1 c1 d1", "get a1 b1 c1 d1", "pass:500ms", "new e1"}, closed: "e1", why: "newest",
		},
		"BusyTooLong": {
			reason: "no answer takes that long", steps: []string{"new a1 b1 c1 d1", "get b1 c1", "pass:300ms", "get a1 d1", "pass:300ms", "new e1 f1"},
			closed: "b1 c1", why: strings.Repeat(" slow", 2)[1:],
		},
		"Unread": {
			reason: "an answer that nobody reads was read by others long ago",
			steps:  []string{"new a1 b1 c1 d1", "head:x a1", "get b1", "idle b1", "get c1", "end c1", "pass:1s", "new e1"}, closed: "c1", why: "slow",
		},
		"UnreadOfOne": {
			reason: "one client has all of those whose answers are on their way",
			steps:  []string{"new a1 b1 b2 b3", "get b1 b2 b3", "end b1 b2 b3", "new c1 d1"}, closed: "b1 b2", why: strings.Repeat(" client", 2)[1:],
		},
		"UnreadOfMost": {
			reason: "another's is older, but who holds the most loses one: what nobody reads, before what has not begun",
			steps:  []string{"new a1 b1 b2 b3", "get a1", "end a1", "pass:1s", "get b3", "end b3", "pass:1s", "new e1"}, closed: "b3", why: "client",
		},
		"UnreadAgain": {
			reason: "it asks again and again, so it is never slow", steps: []string{"new a1 b1 b2 b3", "get b1 b2 b3", "end b1 b2 b3", "pass:50ms", "get b1 b2 b3", "end b1 b2 b3", "pass:50ms", "new a2"},
			closed: "b1", why: "client",
		},
		"AllAnswered": {
			reason: "nobody had the time to read", steps: []string{"new a1 b1 c1 d1", "get a1 b1 c1 d1", "end b1 c1 a1 d1", "new e1"}, closed: "b1", why: "oldest",
		},
		"AnswerIsRead": {
			reason: "who has read the answer is idle", steps: []string{"new a1 b1 c1 d1", "get a1 b1", "end a1 b1", "idle a1", "pass:50ms", "get b1", "end b1", "idle b1", "pass:1s", "new e1"}, closed: "a1", why: "idle",
		},
		"AnsweredBeforeBody": {
			reason: "the server waits for what is left of the body", steps: []string{"new a1 b1 c1 d1", "get b1", "end b1", "idle b1", "head:x a1", "end a1", "pass:1s", "new e1"}, closed: "a1", why: "slow",
		},
		"AnsweredThenSlow": {
			reason: "the next request on the connection is one like others", steps: []string{"new a1 b1 c1 d1", "get a1", "idle a1", "head:x a1", "pass:1s", "new e1"}, closed: "a1", why: "slow",
		},
		"BehindProxy": {
			reason: "the proxy has many clients, and one of them has two that wait",
			steps:  []string{"new p1 p2 p3 p4", "head:x:198.51.100.1 p1", "head:x:203.0.113.1 p2 p3", "pass:1s", "new p5"}, closed: "p2", why: "client",
		},
		"ProxyHoldsMany": {
			reason: "its connections are not one client's", steps: []string{"new p1 p2 a1 a2", "new p3"}, closed: "a1", why: "client",
		},
		"ProxyOnly": {
			reason: "there is nobody else", steps: []string{"new p1 p2 p3 p4", "new p5"}, closed: "p1", why: "oldest",
		},
		"Spoofed": {
			reason: "who is no proxy is whoever it is",
			steps:  []string{"new a1 b1 b2 c1", "head:x:198.51.100.1 b1", "head:x:198.51.100.2 b2", "pass:1s", "new e1"}, closed: "b1", why: "client",
		},
		"Twice":       {reason: "net/http may say so twice", steps: []string{"new a1 b1 c1 d1", "idle a1", "idle a1", "closed a1", "closed a1", "new e1"}},
		"AfterTheEnd": {reason: "what is told of a connection that is gone brings nothing back", steps: []string{"new a1", "head:x a1", "closed a1", "body a1", "idle a1", "new b1 c1 d1 e1"}},
		"EvictedGoesOn": {
			reason: "a handler that goes on with what had to go brings nothing back",
			steps:  []string{"new a1 b1 c1 d1", "head:x a1", "pass:1s", "new e1", "bytes:1 a1", "body a1", "idle a1", "new f1"}, closed: "a1 b1", why: "slow oldest",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4, proxies)
			for _, step := range tc.steps {
				w.do(step)
				if n := w.limiter.Open(); n > 4 {
					t.Errorf("%s: after %q there are %d", tc.reason, step, n)
				}
			}
			if diff := gocmp.Diff(strings.Fields(tc.closed), w.closed()); diff != "" && tc.closed+strings.Join(w.closed(), "") != "" {
				t.Errorf("%s: closed (-want +got):\n%s", tc.reason, diff)
			}
			if got := strings.Join(w.whys(), " "); got != tc.why {
				t.Errorf("%s: counted %q, want %q", tc.reason, got, tc.why)
			}
			w.empty()
		})
	}
}

// TestStreams goes through requests of HTTP/2, several of which one connection has.
func TestStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.do("new a1 b1")
	w.limiter.ConnState(w.peer("a1"), http.StateActive)
	begin := func(length int64) *Turn {
		return w.limiter.Begin(http.ResponseWriter(nil), w.request(w.peer("a1"), 2, length, ""), "x")
	}
	first, second := begin(1), begin(0)
	if got := w.limiter.connections.all[waiting].Len(); got != 0 {
		t.Error("the connection waits, though one of its requests is complete")
	}
	w.clock.pass(answering)
	w.do("new c1")
	if diff := gocmp.Diff([]string{"b1"}, w.closed()); diff != "" {
		t.Errorf("a connection with a complete request stays; closed (-want +got):\n%s", diff)
	}
	second.End()
	w.clock.pass(time.Minute)
	w.do("new d1")
	if diff := gocmp.Diff([]string{"a1", "b1"}, w.closed()); diff != "" {
		t.Errorf("one whose requests all wait goes; closed (-want +got):\n%s", diff)
	}
	first.Complete() // its handler goes on for a moment
	first.End()
	late := begin(1)
	if late.CutOff() {
		t.Error("a request of a connection that has gone is cut off")
	}
	late.End()
	w.empty()
}

// stream is a request of HTTP/2 over the connection.
func (w *world) stream(name, path string, length int64) *Turn {
	return w.limiter.Begin(nil, w.request(w.peer(name), 2, length, ""), path)
}

// TestStreamsThatAreReset has the server say that a connection is idle, or has a request again,
// while one that was reset is still handled.
func TestStreamsThatAreReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.do("new a1 b1")
	a1 := w.peer("a1")
	c := func() *connection { return w.limiter.at[a1] }
	says := func(state http.ConnState, want kind) {
		t.Helper()
		w.limiter.ConnState(a1, state)
		if c().kind != want {
			t.Errorf("%s: the connection is %d, want %d", state, c().kind, want)
		}
	}
	says(http.StateActive, waiting)
	reset := w.stream("a1", "x", 0)
	says(http.StateIdle, busy)
	w.clock.pass(answering)
	w.do("new c1")
	if diff := gocmp.Diff([]string{"b1"}, w.closed()); diff != "" {
		t.Errorf("a connection with a complete request stays; closed (-want +got):\n%s", diff)
	}
	says(http.StateActive, busy)
	body := w.stream("a1", "y", 1)
	reset.End()
	if c().kind != waiting || c().path.key != "y" {
		t.Errorf("the connection is %d, and not one that waits for the path y", c().kind)
	}
	says(http.StateIdle, idle) // that was reset too
	says(http.StateActive, waiting)
	another := w.stream("a1", "z", 1)
	if c().path.key != "z" {
		t.Errorf("the connection waits for the path %q, want z", c().path.key)
	}
	body.End()
	another.Complete()
	says(http.StateIdle, busy)
	another.End()
	if c().kind != idle {
		t.Errorf("the connection is %d, want idle, as all of its requests were reset", c().kind)
	}
	w.empty()
}

// TestStreamsUnread has requests of HTTP/2 whose answers are not taken, which the server does not
// say.
func TestStreamsUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.do("new a1 b1")
	w.limiter.ConnState(w.peer("a1"), http.StateActive)
	w.stream("a1", "", 0).End()
	w.clock.pass(time.Second)
	w.do("new c1")
	w.limiter.ConnState(w.peer("c1"), http.StateActive)
	w.stream("c1", "", 1).End() // without its body
	w.clock.pass(time.Second)
	w.do("new d1")
	if diff := gocmp.Diff([]string{"a1", "c1"}, w.closed()); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
	w.empty()
}

// TestStreamsBusy has a connection of HTTP/2 on which there always is a complete request. It may
// stay for as long as none of them takes too long.
func TestStreamsBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, nil)
	w.do("new a1 b1")
	w.limiter.ConnState(w.peer("a1"), http.StateActive)
	last := w.stream("a1", "x", 0)
	for range 10 {
		w.clock.pass(answering * 3 / 4)
		next := w.stream("a1", "x", 0)
		last.End()
		last = next
	}
	w.do("new c1")
	if diff := gocmp.Diff([]string{"b1"}, w.closed()); diff != "" {
		t.Errorf("each of its requests is answered in time; closed (-want +got):\n%s", diff)
	}
	w.clock.pass(answering * 3 / 4)
	w.stream("a1", "x", 0)
	w.clock.pass(answering * 3 / 4)
	w.do("new d1")
	if diff := gocmp.Diff([]string{"a1", "b1"}, w.closed()); diff != "" {
		t.Errorf("one of its requests takes too long, whatever else comes; closed (-want +got):\n%s", diff)
	}
	w.empty()
}

// TestStreamsWithoutLength has requests of HTTP/2 that declare no bytes, and may have them all the
// same: the server does not say whether the headers were all of it.
func TestStreamsWithoutLength(t *testing.T) {
	t.Parallel()
	for length, want := range map[string]kind{"": busy, "0": waiting, "x": waiting} {
		w := newWorld(t, 2, nil)
		w.do("new a1")
		w.limiter.ConnState(w.peer("a1"), http.StateActive)
		r := w.request(w.peer("a1"), 2, 0, "")
		if length != "" {
			r.Header.Set("Content-Length", length)
		}
		turn := w.limiter.Begin(nil, r, "x")
		if got := w.limiter.at[w.peer("a1")].kind; got != want {
			t.Errorf("with the length %q the connection is %d, want %d", length, got, want)
		}
		turn.Complete()
		if got := w.limiter.at[w.peer("a1")].kind; got != busy {
			t.Errorf("with the length %q and its body the connection is %d, want busy", length, got)
		}
		turn.End()
		w.empty()
	}
}

// TestStreamsOfOne has a client announce one body too many while those of its others come. What is
// one too many is its own.
func TestStreamsOfOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, nil)
	w.limiter.streams.most = 4
	w.do("new a1 b1")
	var all []*Turn
	for range 3 {
		turn := w.stream("a1", "x", 1<<20)
		turn.Received(1 << 19)
		all = append(all, turn)
	}
	other := w.stream("b1", "x", 1)
	w.clock.pass(time.Second)
	all = append(all, w.stream("a1", "x", 1))
	if got := other.stream.kind; got != waiting {
		t.Error("the request of another client has to go")
	}
	if got := all[3].stream.kind; got != gone {
		t.Error("the newest request of who holds the most stays")
	}
	if diff := gocmp.Diff([]string{"client"}, w.whys()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	other.End()
	for _, turn := range all {
		turn.End()
	}
	w.empty()
}

// TestStreamsOfAnyKind lets anything happen to a connection of HTTP/2. Whatever the server says, it
// stays as long as a request is complete, and goes like others when none is.
func TestStreamsOfAnyKind(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that can be repeated
		w := newWorld(t, 2, nil)
		w.do("new a1")
		a1 := w.peer("a1")
		c := w.limiter.at[a1]
		var turns []*Turn
		says := http.StateNew
		for range 1000 {
			w.clock.pass(time.Duration(random.IntN(20)) * time.Millisecond)
			switch n := random.IntN(6); {
			case n == 0:
				says = http.StateActive
				w.limiter.ConnState(a1, says)
			case n == 1:
				says = http.StateIdle
				w.limiter.ConnState(a1, says)
			case n == 2 || len(turns) == 0:
				turns = append(turns, w.stream("a1", "x", int64(random.IntN(2))))
			case n == 3:
				turns[random.IntN(len(turns))].Complete()
			default:
				i := random.IntN(len(turns))
				turns[i].End()
				turns = slices.Delete(turns, i, i+1)
			}
			complete := 0
			for _, turn := range turns {
				if turn.complete {
					complete++
				}
			}
			switch {
			case (complete > 0) != (c.kind == busy):
				t.Fatalf("%d requests are complete, and the connection is %d", complete, c.kind)
			case complete > 0 || says == http.StateNew:
			case len(turns) > 0 && says == http.StateActive && c.kind != waiting:
				t.Fatalf("all of %d requests wait, and the connection is %d", len(turns), c.kind)
			case len(turns) == 0 && says == http.StateIdle && c.kind != idle:
				t.Fatalf("there is no request, and the connection is %d", c.kind)
			case len(turns) == 0 && says == http.StateActive && c.kind != waiting && c.kind != answered:
				t.Fatalf("there may be an answer, and the connection is %d", c.kind)
			}
		}
		for _, turn := range turns {
			turn.End()
		}
		w.empty()
	}
}

// event is what can happen to a connection in TestInvariants, by what it is doing.
var events = map[kind][]string{
	fresh:    {"head", "head", "get", "closed"},
	idle:     {"head", "get", "closed"},
	waiting:  {"bytes", "bytes", "body", "closed"},
	answered: {"idle", "get", "closed"},
	busy:     {"idle", "end", "end", "closed"},
}

// TestInvariants lets anything happen. There are never more connections than there may be; what is
// complete stays, if it is answered in time; and who holds less than a part, and sends, does not
// have to go while another holds more.
func TestInvariants(t *testing.T) {
	t.Parallel()
	const most = 24
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 6)) //nolint:gosec // a test that can be repeated
			w := newWorld(t, most, nil)
			clients := "abcdefgh"[:1+random.IntN(8)] + "aaa" // one of them comes more often
			var open []*peer
			for step := range 4000 {
				w.clock.pass(time.Duration(random.IntN(20)) * time.Millisecond)
				if len(open) == 0 || random.IntN(3) == 0 {
					before, held := w.snapshot(open)
					p := w.peer(fmt.Sprintf("%c%d", clients[random.IntN(len(clients))], step))
					open = append(open, p)
					w.do("new " + p.name)
					open = w.check(open, before, held, p, most)
					continue
				}
				p := open[random.IntN(len(open))]
				possible := events[w.limiter.at[p].kind]
				switch verb := possible[random.IntN(len(possible))]; verb {
				case "closed":
					w.do("closed " + p.name)
					open = slices.DeleteFunc(open, func(other *peer) bool { return other == p })
				case "head":
					w.do(fmt.Sprintf("head:%d %s", random.IntN(3), p.name))
				case "bytes":
					w.do(fmt.Sprintf("bytes:%d %s", random.IntN(5000), p.name))
				default:
					w.do(verb + " " + p.name)
				}
			}
			w.empty()
		})
	}
}

// was is what a connection was before another came.
type was struct {
	safe     bool // its request is complete, and not yet for too long
	progress bool
}

func (w *world) snapshot(open []*peer) (all map[*peer]was, held map[byte]int) {
	all, held = map[*peer]was{}, map[byte]int{}
	for _, p := range open {
		c := w.limiter.at[p]
		since := w.limiter.elapsed() - c.begin
		elapsed := since - SlowGrace
		all[p] = was{
			safe: c.kind == busy && since <= answering,
			progress: c.kind == waiting && c.received.Load() >= int64(elapsed.Seconds()*SlowRate)+1 ||
				c.kind == answered && elapsed <= 0,
		}
		if c.kind != busy {
			held[p.name[0]]++
		}
	}
	return all, held
}

// check looks at who had to go for the newest, if anybody had to, and returns those that are left.
func (w *world) check(open []*peer, before map[*peer]was, held map[byte]int, newest *peer, most int) []*peer {
	w.t.Helper()
	clients := map[byte]bool{newest.name[0]: true}
	for p := range before {
		clients[p.name[0]] = true
	}
	held[newest.name[0]]++
	left := slices.DeleteFunc(slices.Clone(open), func(p *peer) bool { return p.closed })
	switch gone := len(open) - len(left); {
	case len(open) <= most && gone > 0:
		w.t.Fatalf("%d had to go where there was room", gone)
	case len(open) > most && gone != 1:
		w.t.Fatalf("%d had to go, want one", gone)
	case w.limiter.Open() != len(left):
		w.t.Fatalf("there are %d, and %d are counted", len(left), w.limiter.Open())
	case gone == 0:
		return left
	}
	victim := open[slices.IndexFunc(open, func(p *peer) bool { return p.closed })]
	b := before[victim]
	if victim == newest {
		for p, b := range before {
			if !b.safe {
				w.t.Errorf("the newest has to go, though %s could", p.name)
			}
		}
		return left
	}
	if b.safe {
		w.t.Errorf("%s has to go, though its request is complete", victim.name)
	}
	largest := slices.MaxFunc(slices.Collect(keys(held)), func(a, b byte) int { return cmp.Compare(held[a], held[b]) })
	if own := victim.name[0]; b.progress && own != largest && held[own] < held[largest] && held[own]*len(clients) <= most {
		w.t.Errorf("%s has to go, whose body comes, and whose client holds %d, though another holds %d", victim.name, held[own], held[largest])
	}
	return left
}

func keys(m map[byte]int) func(yield func(byte) bool) {
	return func(yield func(byte) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestNoMemoryForARequest sees that a request over a connection that is there takes no memory of
// this package.
func TestNoMemoryForARequest(t *testing.T) { //nolint:paralleltest // it counts allocations
	w := newWorld(t, 100, nil)
	w.do("new a1 b1")
	p := w.peer("a1")
	r := w.request(p, 1, 10, "")
	once := func() {
		w.limiter.ConnState(p, http.StateActive)
		turn := w.limiter.Begin(nil, r, "orders")
		turn.Received(10)
		turn.Complete()
		turn.End()
		w.limiter.ConnState(p, http.StateIdle)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("a request takes %v allocations, want none", n)
	}
}

// BenchmarkRequest is a request over one of many connections.
func BenchmarkRequest(b *testing.B) {
	for _, count := range []int{100, 10_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld(b, count, nil)
			var peers []*peer
			var requests []*http.Request
			for i := range count {
				p := &peer{address: &net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1000}}
				w.limiter.ConnContext(b.Context(), p)
				w.limiter.ConnState(p, http.StateNew)
				peers, requests = append(peers, p), append(requests, w.request(p, 1, 10, ""))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := peers[i%count]
				w.limiter.ConnState(p, http.StateActive)
				turn := w.limiter.Begin(nil, requests[i%count], "orders")
				turn.Received(10)
				turn.Complete()
				turn.End()
				w.limiter.ConnState(p, http.StateIdle)
			}
		})
	}
}

// BenchmarkFlood is a connection too many, of many clients whose bodies do not come.
func BenchmarkFlood(b *testing.B) {
	for _, count := range []int{100, 10_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			w := newWorld(b, count, nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				w.clock.pass(time.Millisecond)
				p := &peer{address: &net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)), Port: 1000}}
				ctx := w.limiter.ConnContext(b.Context(), p)
				w.limiter.ConnState(p, http.StateNew)
				w.limiter.ConnState(p, http.StateActive)
				w.limiter.Begin(nil, (&http.Request{ProtoMajor: 1, ContentLength: 1}).WithContext(ctx), "orders")
			}
		})
	}
}
