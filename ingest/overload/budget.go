/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package overload

import (
	"container/list"
	"io"
	"sync"
	"time"
)

const (
	// RequestOverhead is what a request is taken to hold besides its body, in bytes: headers,
	// buffers of the connection, a stack.
	RequestOverhead = 16 << 10
	// firstBody is how much is reserved for a body before any of it has come. More follows what
	// does come: who only announces a long body must not hold the memory for it.
	firstBody = 16 << 10
	// smallRequest is the size up to which a request counts as small, its RequestOverhead included.
	smallRequest = 64 << 10

	// A sender that is slower than slowRate bytes a second, slowGrace after its headers, is evicted
	// when others need the memory. A sender far away has sent ten segments by then, and is not
	// slow.
	slowGrace = 100 * time.Millisecond
	slowRate  = 64 << 10
	// slowLook bounds how many senders are looked at to find slow ones, because all requests wait
	// meanwhile.
	slowLook = 256
)

// Budget shares the memory that requests in flight may hold out among namespaces, and within each
// among its triggers. It is asked before a body is read, when nobody knows yet whether the request
// is genuine, and has to keep a flood of forged ones from starving the others:
//
//   - A namespace may hold as much as is left free (for small requests, three times as much). So
//     one can take half of all, two a third each, and there is always something left for the next:
//     the dynamic thresholds of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2),
//     1998). A trigger may hold as much as its namespace may hold more (or three times as much).
//     Where there is one namespace alone, which need leave nothing to others, a trigger may hold as
//     much as is left free.
//   - A request that is complete is gone in milliseconds. Who wants to hold memory for longer has
//     to send slowly. So where there is no memory left, slow senders are evicted, the oldest first:
//     those of the same trigger, and those of triggers of its namespace, and of namespaces, that
//     hold more. The real sender gets in.
type Budget struct {
	now  func() time.Time
	size int64

	mu         sync.Mutex
	free       int64
	namespaces map[string]*namespaceUsage // only those that hold something
	triggers   map[string]*triggerUsage   // by UID, likewise
	reading    list.List                  // of *Reservation whose bodies are being read, the oldest first
	mix        mix
}

type namespaceUsage struct {
	name string
	held int64
}

type triggerUsage struct {
	uid       string
	namespace *namespaceUsage
	held      int64
	reading   list.List // as in Budget, but of this trigger
}

// A Reservation is the memory of one request. Its methods must be called by one goroutine. A nil
// Reservation holds nothing.
type Reservation struct {
	budget  *Budget
	trigger *triggerUsage
	begin   time.Time

	// Under budget.mu.
	held      int64
	received  int64
	inAll     *list.Element // in Budget.reading; nil when the body is not being read
	inTrigger *list.Element // in triggerUsage.reading, likewise

	mu      sync.Mutex
	stop    func() // makes the reading fail; nil when the body is not being read, when it must not be called
	evicted bool   // whether it was
}

// NewBudget returns a budget of that many bytes.
func NewBudget(size int64, now func() time.Time) *Budget {
	return &Budget{
		now: now, size: size, free: size,
		namespaces: map[string]*namespaceUsage{}, triggers: map[string]*triggerUsage{},
	}
}

// Reserve reserves memory for a request of the tenant with a body of that length, or -1 if it is
// not known, and says whether there is any. stop must make the reading of the body fail, when it is
// called from another goroutine. Call Done on the reservation when the body is read, and Release
// when the request is answered.
func (b *Budget) Reserve(tenant Tenant, length int64, stop func()) (*Reservation, bool) {
	first := length
	if length < 0 || length > firstBody {
		first = firstBody
	}
	r := &Reservation{budget: b, begin: b.now(), stop: stop}
	b.mu.Lock()
	b.mix.note(tenant.Namespace, r.begin)
	r.trigger = b.of(tenant)
	// Reject early if the declared length cannot fit.
	var slow []*Reservation
	ok := b.allows(r, length+RequestOverhead, freed{}) || b.slowSenders(r, length+RequestOverhead) != nil
	if ok {
		ok, slow = b.take(r, first+RequestOverhead)
	}
	if ok {
		b.namespaces[tenant.Namespace], b.triggers[tenant.Trigger] = r.trigger.namespace, r.trigger
		r.inAll, r.inTrigger = b.reading.PushBack(r), r.trigger.reading.PushBack(r)
	}
	b.mu.Unlock()
	evict(slow)
	return r, ok
}

// of returns the usage of a tenant, which may be one that holds nothing yet.
func (b *Budget) of(tenant Tenant) *triggerUsage {
	if t := b.triggers[tenant.Trigger]; t != nil {
		return t
	}
	n := b.namespaces[tenant.Namespace]
	if n == nil {
		n = &namespaceUsage{name: tenant.Namespace}
	}
	return &triggerUsage{uid: tenant.Trigger, namespace: n}
}

// take adds that many bytes to a reservation, if its tenant may have them. It returns the
// reservations that had to go for it, to be evicted.
func (b *Budget) take(r *Reservation, bytes int64) (ok bool, slow []*Reservation) {
	if !b.allows(r, bytes, freed{}) {
		if slow = b.slowSenders(r, bytes); slow == nil {
			return false, nil
		}
		for _, other := range slow {
			b.giveBack(other)
		}
	}
	b.free -= bytes
	r.trigger.namespace.held += bytes
	r.trigger.held += bytes
	r.held += bytes
	return true, slow
}

// freed is what reservations would give back that have to go.
type freed struct {
	trigger   int64 // of the same trigger
	namespace int64 // of the same namespace, those of the same trigger included
	all       int64
}

// allows says whether a reservation may have that many bytes more, once so much is given back.
func (b *Budget) allows(r *Reservation, bytes int64, f freed) bool {
	free := b.free - bytes + f.all
	held, namespace := r.trigger.held-f.trigger, r.trigger.namespace.held-f.namespace
	factor := int64(1)
	if r.held+bytes <= smallRequest {
		factor = 3
	}
	if !b.mix.several(b.now()) {
		return free >= 0 && held == r.held || held+bytes <= factor*free // the only request of its trigger may have all
	}
	if namespace == r.held { // the only request of its namespace
		return free >= 0
	}
	more := factor*free - namespace - bytes // what the namespace may have besides
	return more >= 0 && (held == r.held || held+bytes <= factor*more)
}

// slowSenders returns slow senders that make enough room for the reservation when they go; nil if
// there are none. They are those of its own trigger first, and then those of triggers of its
// namespace, and of other namespaces, that hold more.
func (b *Budget) slowSenders(r *Reservation, bytes int64) (slow []*Reservation) {
	now := b.now()
	var f freed
	for _, l := range []*list.List{&r.trigger.reading, &b.reading} {
		looked := 0
		for e := l.Front(); e != nil && looked < slowLook; e = e.Next() {
			other, _ := e.Value.(*Reservation)
			if now.Sub(other.begin) <= slowGrace {
				break // and so are those behind it
			}
			looked++
			own := other.trigger == r.trigger
			if other == r || own == (l == &b.reading) || !own && !other.trigger.holdsMore(r.trigger, bytes) || !other.slow(now) {
				continue
			}
			slow = append(slow, other)
			f.add(other, r)
			if b.allows(r, bytes, f) {
				return slow
			}
		}
	}
	return nil
}

// add counts what another reservation would give back for this one.
func (f *freed) add(other, r *Reservation) {
	f.all += other.held
	if other.trigger.namespace == r.trigger.namespace {
		f.namespace += other.held
	}
	if other.trigger == r.trigger {
		f.trigger += other.held
	}
}

// holdsMore says whether a trigger holds more than another one would with so many bytes more. If
// they are of two namespaces, these count.
func (t *triggerUsage) holdsMore(other *triggerUsage, bytes int64) bool {
	if t.namespace != other.namespace {
		return t.namespace.held > other.namespace.held+bytes
	}
	return t.held > other.held+bytes
}

// slow says whether the sender is one of those that have to make room.
func (r *Reservation) slow(now time.Time) bool {
	elapsed := now.Sub(r.begin)
	return elapsed > slowGrace && float64(r.received) < elapsed.Seconds()*slowRate
}

// giveBack frees what the reservation holds.
func (b *Budget) giveBack(r *Reservation) {
	b.free += r.held
	t := r.trigger
	t.namespace.held -= r.held
	t.held -= r.held
	r.held = 0
	r.stopReading()
	if t.held == 0 && b.triggers[t.uid] == t {
		delete(b.triggers, t.uid)
	}
	if n := t.namespace; n.held == 0 && b.namespaces[n.name] == n {
		delete(b.namespaces, n.name)
	}
}

func (r *Reservation) stopReading() {
	if r.inAll != nil {
		r.budget.reading.Remove(r.inAll)
		r.trigger.reading.Remove(r.inTrigger)
		r.inAll, r.inTrigger = nil, nil
	}
}

// Size returns the whole budget in bytes.
func (b *Budget) Size() int64 { return b.size }

// Held returns how many bytes all requests hold.
func (b *Budget) Held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size - b.free
}

// evict makes the reading of bodies fail.
func evict(reservations []*Reservation) {
	for _, r := range reservations {
		r.mu.Lock()
		if r.stop != nil {
			r.evicted = true
			r.stop()
			r.stop = nil
		}
		r.mu.Unlock()
	}
}

// Progress is told how many bytes have come. It may be nil.
type Progress interface{ Received(bytes int64) }

// Reader returns a reader of the request's body that reserves memory for what comes, and fails with
// Memory if there is none.
func (r *Reservation) Reader(body io.Reader, progress Progress) io.Reader {
	return &reservingReader{reservation: r, progress: progress, body: body}
}

type reservingReader struct {
	reservation *Reservation
	progress    Progress
	body        io.Reader
}

// Read implements io.Reader.
func (r *reservingReader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if r.progress != nil {
		r.progress.Received(int64(n))
	}
	if n > 0 && !r.reservation.grow(int64(n)) {
		return n, Memory
	}
	return n, err
}

func (r *Reservation) grow(bytes int64) bool {
	b := r.budget
	b.mu.Lock()
	r.received += bytes
	// One that was evicted holds nothing any more, and its next read will fail.
	missing := r.received + RequestOverhead - r.held
	if r.inAll == nil || missing <= 0 {
		b.mu.Unlock()
		return true
	}
	ok, slow := b.take(r, missing+firstBody) // so as not to ask for each segment
	if !ok {
		ok, slow = b.take(r, missing)
	}
	b.mu.Unlock()
	evict(slow)
	return ok
}

// Done says that the body is read, or that nobody will go on reading it, and returns whether the
// sender was evicted.
func (r *Reservation) Done() (evicted bool) {
	r.mu.Lock()
	r.stop = nil
	evicted = r.evicted
	r.mu.Unlock()

	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	r.stopReading()
	return evicted
}

// Release gives the memory back.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.stop = nil
	r.mu.Unlock()

	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	r.budget.giveBack(r)
}
