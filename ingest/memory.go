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

	"github.com/sluice-dev/sluice/ingest/connlimit"
)

const (
	// requestBytes is what a request is taken to hold besides its body: headers, buffers of the connection, a stack.
	requestBytes = 16 << 10
	// firstBody is how much is set aside for a body before any of it has come. More follows what does come: who only
	// announces a long body must not hold the room for it.
	firstBody = 16 << 10
	// smallRequest is the size up to which a request counts as small, its requestBytes included.
	smallRequest = 64 << 10

	// A sender that is slower than slowRate bytes a second, slowGrace after its headers, has to go when others need the
	// room. A sender far away has sent ten segments by then, and is not slow.
	slowGrace = 100 * time.Millisecond
	slowRate  = 64 << 10
	// slowLook bounds how many senders are looked at to find slow ones, because all requests wait meanwhile.
	slowLook = 256
)

// memory shares what requests may hold in memory out among namespaces, and within each among its triggers. It is asked before a
// body is read, when nobody knows yet whether the request is genuine, and has to keep a flood of forged ones from starving the
// others:
//
//   - A namespace may hold as much as is left free (for small requests, three times as much). So one can take half of all,
//     two a third each, and there is always something left for the next: the dynamic thresholds of Choudhury and Hahne
//     (IEEE/ACM Transactions on Networking 6(2), 1998). A trigger may hold as much as its namespace may hold more (or three times
//     as much). Where there is one namespace alone, which need leave nothing to others, a trigger may hold as much as is left free.
//   - A request that is complete is gone in milliseconds. Who wants to hold memory for longer has to send slowly. So where
//     there is no room, slow senders are cut off, the oldest first: those of the same trigger, and those of triggers
//     of its namespace, and of namespaces, that hold more. The real sender gets in.
type memory struct {
	now func() time.Time

	mu       sync.Mutex
	free     int64
	tenants  map[string]*holding // by namespace; only those that hold something
	triggers map[string]*share   // by UID, likewise
	reading  list.List           // of *place whose bodies are being read, the oldest first
	mix      mix
}

// holding is what one namespace holds.
type holding struct {
	namespace string
	held      int64
}

// share is what one trigger holds.
type share struct {
	uid     string
	tenant  *holding
	held    int64
	reading list.List // as in memory, but of this trigger
}

// place is the room of one request. Its methods must be called by one goroutine, but for cutOff.
type place struct {
	memory *memory
	share  *share
	begin  time.Time

	// Under memory.mu.
	held     int64
	received int64
	inAll    *list.Element // in memory.reading; nil when the body is not being read
	inShare  *list.Element // in share.reading, likewise

	mu   sync.Mutex
	stop func() // makes the reading fail; nil when the body is not being read, when it must not be called
	cut  bool   // whether it was
}

func newMemory(size int64, now func() time.Time) *memory {
	return &memory{now: now, free: size, tenants: map[string]*holding{}, triggers: map[string]*share{}}
}

// enter takes room for a request with a body of that length, or -1 if it is not known, and says whether there is any. stop must
// make the reading of the body fail, when it is called from another goroutine. Call done on the place when the
// body is read and leave when the request is answered.
func (m *memory) enter(namespace, uid string, length int64, stop func()) (*place, bool) {
	first := length
	if length < 0 || length > firstBody {
		first = firstBody
	}
	p := &place{memory: m, begin: m.now(), stop: stop}
	m.mu.Lock()
	m.mix.note(namespace, p.begin)
	s := m.share(namespace, uid)
	p.share = s
	// One for whose announced length there is no chance is refused before it is read.
	var slow []*place
	ok := m.allows(p, length+requestBytes, freed{}) || m.slowOnes(p, length+requestBytes) != nil
	if ok {
		ok, slow = m.take(p, first+requestBytes)
	}
	if ok {
		m.tenants[namespace], m.triggers[uid] = s.tenant, s
		p.inAll, p.inShare = m.reading.PushBack(p), s.reading.PushBack(p)
	}
	m.mu.Unlock()
	cutOff(slow)
	return p, ok
}

// share returns that of the trigger, which may be one that holds nothing yet.
func (m *memory) share(namespace, uid string) *share {
	if s := m.triggers[uid]; s != nil {
		return s
	}
	tenant := m.tenants[namespace]
	if tenant == nil {
		tenant = &holding{namespace: namespace}
	}
	return &share{uid: uid, tenant: tenant}
}

// take gives the place that many bytes more, if the trigger may have them. It returns the places that had to go for it.
func (m *memory) take(p *place, bytes int64) (ok bool, slow []*place) {
	if !m.allows(p, bytes, freed{}) {
		if slow = m.slowOnes(p, bytes); slow == nil {
			return false, nil
		}
		for _, other := range slow {
			m.giveBack(other)
		}
	}
	m.free -= bytes
	p.share.tenant.held += bytes
	p.share.held += bytes
	p.held += bytes
	return true, slow
}

// freed is what places would give back that have to go.
type freed struct {
	trigger   int64 // of the same trigger
	namespace int64 // of the same namespace, those of the same trigger included
	all       int64
}

// allows says whether the place may have that many bytes more, once so much is given back.
func (m *memory) allows(p *place, bytes int64, f freed) bool {
	free, held, tenant := m.free-bytes+f.all, p.share.held-f.trigger, p.share.tenant.held-f.namespace
	factor := int64(1)
	if p.held+bytes <= smallRequest {
		factor = 3
	}
	if !m.mix.several(m.now()) {
		return free >= 0 && held == p.held || held+bytes <= factor*free // the only request of its trigger may have all
	}
	if tenant == p.held { // the only request of its namespace
		return free >= 0
	}
	more := factor*free - tenant - bytes // what the namespace may have besides
	return more >= 0 && (held == p.held || held+bytes <= factor*more)
}

// slowOnes returns slow senders that make enough room for the place when they go; nil if there are none. They are those of
// its own trigger first, and then those of triggers of its namespace, and of other namespaces, that hold more.
func (m *memory) slowOnes(p *place, bytes int64) (slow []*place) {
	now := m.now()
	var f freed
	for _, l := range []*list.List{&p.share.reading, &m.reading} {
		looked := 0
		for e := l.Front(); e != nil && looked < slowLook; e = e.Next() {
			other, _ := e.Value.(*place)
			if now.Sub(other.begin) <= slowGrace {
				break // and so are those behind it
			}
			looked++
			own := other.share == p.share
			if other == p || own == (l == &m.reading) || !own && !other.share.holdsMore(p.share, bytes) || !other.slow(now) {
				continue
			}
			slow = append(slow, other)
			f.all += other.held
			if other.share.tenant == p.share.tenant {
				f.namespace += other.held
			}
			if own {
				f.trigger += other.held
			}
			if m.allows(p, bytes, f) {
				return slow
			}
		}
	}
	return nil
}

// holdsMore says whether a trigger holds more than another one would with so much more. If they are of two namespaces, these count.
func (s *share) holdsMore(other *share, bytes int64) bool {
	if s.tenant != other.tenant {
		return s.tenant.held > other.tenant.held+bytes
	}
	return s.held > other.held+bytes
}

// slow says whether the sender is one of those that have to make room.
func (p *place) slow(now time.Time) bool {
	elapsed := now.Sub(p.begin)
	return elapsed > slowGrace && float64(p.received) < elapsed.Seconds()*slowRate
}

// giveBack frees what the place holds.
func (m *memory) giveBack(p *place) {
	m.free += p.held
	p.share.tenant.held -= p.held
	p.share.held -= p.held
	p.held = 0
	p.notReading()
	if p.share.held == 0 && m.triggers[p.share.uid] == p.share {
		delete(m.triggers, p.share.uid)
	}
	if tenant := p.share.tenant; tenant.held == 0 && m.tenants[tenant.namespace] == tenant {
		delete(m.tenants, tenant.namespace)
	}
}

func (p *place) notReading() {
	if p.inAll != nil {
		p.memory.reading.Remove(p.inAll)
		p.share.reading.Remove(p.inShare)
		p.inAll, p.inShare = nil, nil
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

// reader returns a reader of the request's body that takes room for what comes.
func (p *place) reader(body io.Reader, turn *connlimit.Turn) io.Reader {
	return &placeReader{place: p, turn: turn, body: body}
}

type placeReader struct {
	place *place
	turn  *connlimit.Turn // is told of what comes
	body  io.Reader
}

// Read implements io.Reader.
func (r *placeReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	r.turn.Received(int64(n))
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
	if p.inAll == nil || missing <= 0 {
		m.mu.Unlock()
		return true
	}
	ok, slow := m.take(p, missing+firstBody) // so as not to ask for each segment
	if !ok {
		ok, slow = m.take(p, missing)
	}
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

	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.notReading()
	return cut
}

// leave gives the room back.
func (p *place) leave() {
	p.done()
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.memory.giveBack(p)
}
