/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"container/list"
	"io"
	"sync"
	"time"
)

const (
	// requestBytes is what a request is taken to hold besides its body: headers, buffers of the connection, a stack.
	requestBytes = 16 << 10
	// unknownBody is what is set aside for a body of unknown length before any of it has come.
	unknownBody = 16 << 10
	// smallRequest is the size up to which a request counts as small.
	smallRequest = 64 << 10

	// A sender that is slower than slowRate bytes a second, slowGrace after its headers, has to go when its trigger needs
	// the room for others.
	slowGrace = 500 * time.Millisecond
	slowRate  = 512 << 10
)

// memory shares what requests may hold in memory out among triggers. It is asked before a body is read, when nobody
// knows yet whether the request is genuine, and has to keep a flood of forged ones from starving the others:
//
//   - A trigger may hold as much as is left free (for small requests, three times as much). So one trigger can take half of all,
//     two a third each, and there is always something left for the next: the dynamic thresholds of Choudhury and Hahne
//     (IEEE/ACM Transactions on Networking 6(2), 1998).
//   - Who floods a trigger can fill its share only by sending slowly, since a request that is complete is gone in
//     milliseconds. So where a trigger is at its bound, its slowest senders are cut off to make room, and its real
//     sender gets in.
type memory struct {
	now func() time.Time

	mu       sync.Mutex
	free     int64
	triggers map[string]*share // by UID; only those that hold something
}

// share is what one trigger holds.
type share struct {
	uid     string
	held    int64
	reading list.List // of *place whose bodies are being read, the oldest first
}

// place is the room of one request. Its methods must be called by one goroutine, but for cutOff.
type place struct {
	memory *memory
	share  *share
	begin  time.Time

	// Under memory.mu.
	held     int64
	received int64
	element  *list.Element // in share.reading; nil when the body is not being read

	mu   sync.Mutex
	stop func() // makes the reading fail; nil when the body is not being read, when it must not be called
	cut  bool   // whether it was
}

func newMemory(size int64, now func() time.Time) *memory {
	return &memory{now: now, free: size, triggers: map[string]*share{}}
}

// enter takes room for a request with a body of that length, or -1 if it is not known, and says whether there is any. stop must
// make the reading of the body fail, when it is called from another goroutine. Call done on the place when the
// body is read and leave when the request is answered.
func (m *memory) enter(uid string, length int64, stop func()) (*place, bool) {
	if length < 0 {
		length = unknownBody
	}
	p := &place{memory: m, begin: m.now(), stop: stop}
	m.mu.Lock()
	s := m.triggers[uid]
	if s == nil {
		s = &share{uid: uid}
	}
	p.share = s
	ok, slow := m.take(p, length+requestBytes)
	if ok {
		m.triggers[uid] = s
		p.element = s.reading.PushBack(p)
	}
	m.mu.Unlock()
	cutOff(slow)
	return p, ok
}

// take gives the place that many bytes more, if the trigger may have them. It returns the places that had to go for it.
func (m *memory) take(p *place, bytes int64) (ok bool, slow []*place) {
	for e := p.share.reading.Front(); e != nil && !m.allows(p.share, bytes); {
		other, _ := e.Value.(*place)
		e = e.Next()
		if other != p && other.slow(m.now()) {
			m.giveBack(other)
			slow = append(slow, other)
		}
	}
	if !m.allows(p.share, bytes) {
		return false, slow
	}
	m.free -= bytes
	p.share.held += bytes
	p.held += bytes
	return true, slow
}

func (m *memory) allows(s *share, bytes int64) bool {
	free := m.free - bytes
	if s.held == 0 {
		return free >= 0
	}
	if bytes <= smallRequest {
		return s.held+bytes <= 3*free
	}
	return s.held+bytes <= free
}

// slow says whether the sender is one of those that have to make room.
func (p *place) slow(now time.Time) bool {
	elapsed := now.Sub(p.begin)
	return elapsed > slowGrace && float64(p.received) < elapsed.Seconds()*slowRate
}

// giveBack frees what the place holds.
func (m *memory) giveBack(p *place) {
	m.free += p.held
	p.share.held -= p.held
	p.held = 0
	if p.element != nil {
		p.share.reading.Remove(p.element)
		p.element = nil
	}
	if p.share.held == 0 && m.triggers[p.share.uid] == p.share {
		delete(m.triggers, p.share.uid)
	}
}

// held returns how much all requests hold, of a memory of that size.
func (m *memory) held(size int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return size - m.free
}

func cutOff(places []*place) {
	for _, p := range places {
		p.mu.Lock()
		if p.stop != nil {
			p.cut = true
			p.stop()
			p.stop = nil
		}
		p.mu.Unlock()
	}
}

// reader returns a reader of the request's body that takes more room as more comes than was announced.
func (p *place) reader(body io.Reader) io.Reader { return &placeReader{place: p, body: body} }

type placeReader struct {
	place *place
	body  io.Reader
}

// Read implements io.Reader.
func (r *placeReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if n > 0 && !r.place.grow(int64(n)) {
		return n, shortOfMemory
	}
	return n, err
}

func (p *place) grow(bytes int64) bool {
	m := p.memory
	m.mu.Lock()
	p.received += bytes
	// One that was cut off holds nothing any more, and its next read will fail.
	missing := p.received + requestBytes - p.held
	if p.element == nil || missing <= 0 {
		m.mu.Unlock()
		return true
	}
	ok, slow := m.take(p, max(missing, min(p.received, smallRequest))) // doubles at first, so as not to ask for each segment
	m.mu.Unlock()
	cutOff(slow)
	return ok
}

// done says that the body is read, or that nobody will go on reading it, and returns whether it was cut off.
func (p *place) done() (cut bool) {
	p.mu.Lock()
	p.stop = nil
	cut = p.cut
	p.mu.Unlock()

	m := p.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.element != nil {
		p.share.reading.Remove(p.element)
		p.element = nil
	}
	return cut
}

// leave gives the room back.
func (p *place) leave() {
	p.done()
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.memory.giveBack(p)
}
