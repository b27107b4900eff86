/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package connlimit

import (
	"container/heap"
	"net/netip"
	"sync/atomic"
	"time"
)

// A sender that is slower than SlowRate bytes a second, SlowGrace after its headers, is slow: it
// has to go when others need the room. One far away has sent ten segments by then, and is not slow.
// Nor does an answer take longer to be taken: it is shorter than what a socket and a stream hold.
const (
	SlowGrace = 100 * time.Millisecond
	SlowRate  = 64 << 10
)

// A client that holds less than all of them divided by this is not in anybody's way by itself.
const largePart = 8

// kind is what an item is doing.
type kind int

const (
	// fresh is a connection that has had no turn yet: no whole header has come.
	fresh kind = iota
	// idle is one between two requests.
	idle
	// waiting is one whose request's headers have come, and whose body has not, or a request itself
	// of which that is so.
	waiting
	// answered is one whose requests have been handled, and whose answers have not all been taken.
	answered
	// busy is one with a request that is complete, and being handled. It stays, but not for ever.
	busy
	// gone is one that is in no pool.
	gone

	queued = int(gone) // these have queues
)

// item is what a pool counts: a connection, or a request of HTTP/2. All but received is under the
// lock.
type item struct {
	kind     kind
	begin    time.Duration // when it became what it is
	received atomic.Int64  // bytes, since it began to wait
	due      time.Duration // when it has been that for too long, as far as was known when it was last looked at
	order    uint64        // of two that are due at the same time
	client   *group[netip.Prefix]
	path     *group[string] // of what waits, nil otherwise
	places   [3]int         // in the queues of all, of the client, and of the path

	connection *connection // itself, or whose request it is
	turn       *Turn       // if it is a request
}

// The queues that an item is in, in item.places.
const (
	ofAll = iota
	ofClient
	ofPath
)

// queue has the item that is due next first. It implements heap.Interface.
type queue struct {
	of    int
	items []*item
}

// Len implements heap.Interface.
func (q *queue) Len() int { return len(q.items) }

// Less implements heap.Interface.
func (q *queue) Less(i, j int) bool { return q.items[i].before(q.items[j]) }

func (i *item) before(other *item) bool {
	return i.due < other.due || i.due == other.due && i.order < other.order
}

// Swap implements heap.Interface.
func (q *queue) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	q.items[i].places[q.of], q.items[j].places[q.of] = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	i := x.(*item) //nolint:errcheck // there is nothing else
	i.places[q.of] = len(q.items)
	q.items = append(q.items, i)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(q.items) - 1
	i := q.items[last]
	q.items[last] = nil
	q.items = q.items[:last]
	return i
}

func (q *queue) first() *item {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// group is what one client, or one path, holds.
type group[K comparable] struct {
	key     K
	exempt  bool // it may hold any number
	members int  // busy ones included
	held    int  // busy ones not included
	place   int  // in the ranking
	queues  [queued]queue
}

// groups are all clients, or all paths, the one that holds the most first. They implement
// heap.Interface.
type groups[K comparable] struct {
	of     int
	known  map[K]*group[K]
	ranked []*group[K] // but those that are exempt
	spare  []*group[K] // so that a client that comes and goes costs no memory
}

const maxSpare = 64

func newGroups[K comparable](of int) groups[K] { return groups[K]{of: of, known: map[K]*group[K]{}} }

// Len implements heap.Interface.
func (g *groups[K]) Len() int { return len(g.ranked) }

// Less implements heap.Interface.
func (g *groups[K]) Less(i, j int) bool { return g.ranked[i].held > g.ranked[j].held }

// Swap implements heap.Interface.
func (g *groups[K]) Swap(i, j int) {
	g.ranked[i], g.ranked[j] = g.ranked[j], g.ranked[i]
	g.ranked[i].place, g.ranked[j].place = i, j
}

// Push implements heap.Interface.
func (g *groups[K]) Push(x any) {
	one := x.(*group[K]) //nolint:errcheck // there is nothing else
	one.place = len(g.ranked)
	g.ranked = append(g.ranked, one)
}

// Pop implements heap.Interface.
func (g *groups[K]) Pop() any {
	last := len(g.ranked) - 1
	one := g.ranked[last]
	g.ranked[last] = nil
	g.ranked = g.ranked[:last]
	return one
}

// top returns who holds the most, nil for nobody.
func (g *groups[K]) top() *group[K] {
	if len(g.ranked) == 0 {
		return nil
	}
	return g.ranked[0]
}

// join returns the group of that key with a member more.
func (g *groups[K]) join(key K, exempt bool) *group[K] {
	one := g.known[key]
	if one == nil {
		if last := len(g.spare) - 1; last >= 0 {
			one, g.spare = g.spare[last], g.spare[:last]
		} else {
			one = new(group[K])
			for k := range one.queues {
				one.queues[k].of = g.of
			}
		}
		one.key, one.exempt = key, exempt
		g.known[key] = one
		if !exempt {
			heap.Push(g, one)
		}
	}
	one.members++
	return one
}

// part takes a member away.
func (g *groups[K]) part(one *group[K]) {
	one.members--
	if one.members > 0 {
		return
	}
	delete(g.known, one.key)
	if !one.exempt {
		heap.Remove(g, one.place)
	}
	if len(g.spare) < maxSpare {
		g.spare = append(g.spare, one)
	}
}

func (g *groups[K]) push(one *group[K], i *item) {
	heap.Push(&one.queues[i.kind], i)
	if i.kind != busy {
		g.hold(one, 1)
	}
}

func (g *groups[K]) remove(one *group[K], i *item) {
	heap.Remove(&one.queues[i.kind], i.places[g.of])
	if i.kind != busy {
		g.hold(one, -1)
	}
}

func (g *groups[K]) hold(one *group[K], more int) {
	one.held += more
	if !one.exempt {
		heap.Fix(g, one.place)
	}
}

// pool holds no more than most items.
type pool struct {
	most      int
	answering time.Duration // how long one may be busy
	size      int           // busy ones included,
	exempt    int           // and of these, those of clients that are exempt
	order     uint64
	all       [queued]queue
	clients   groups[netip.Prefix]
	paths     groups[string]
}

func newPool(most int, answering time.Duration) *pool {
	return &pool{most: most, answering: answering, clients: newGroups[netip.Prefix](ofClient), paths: newGroups[string](ofPath)}
}

// whose says to whom an item counts.
type whose struct {
	client netip.Prefix
	exempt bool // the client is a proxy, and has many behind it
	path   string
}

// put makes the item one of that kind.
func (p *pool) put(i *item, k kind, w whose, now time.Duration) {
	client, path := i.client, i.path
	p.leave(i)
	if i.kind == gone {
		p.size++
	}
	p.order++
	i.kind, i.begin, i.order = k, now, p.order
	i.received.Store(0)
	i.due = p.due(i)
	i.client, i.path = p.clients.join(w.client, w.exempt), nil
	if i.client.exempt {
		p.exempt++
	}
	if k == waiting {
		i.path = p.paths.join(w.path, false)
	}
	heap.Push(&p.all[k], i)
	p.clients.push(i.client, i)
	if i.path != nil {
		p.paths.push(i.path, i)
	}
	// Not before: they may be the same ones.
	if client != nil {
		p.part(client)
	}
	if path != nil {
		p.paths.part(path)
	}
}

// part takes a member away from the client.
func (p *pool) part(client *group[netip.Prefix]) {
	if client.exempt {
		p.exempt--
	}
	p.clients.part(client)
}

// leave takes the item out of the queues, but not out of its groups.
func (p *pool) leave(i *item) {
	if i.kind == gone {
		return
	}
	heap.Remove(&p.all[i.kind], i.places[ofAll])
	p.clients.remove(i.client, i)
	if i.path != nil {
		p.paths.remove(i.path, i)
	}
}

// forget takes the item out of the pool.
func (p *pool) forget(i *item) {
	if i.kind == gone {
		return
	}
	p.leave(i)
	p.part(i.client)
	if i.path != nil {
		p.paths.part(i.path)
	}
	i.kind, i.client, i.path = gone, nil, nil
	p.size--
}

// due returns when the item has been what it is for too long. That can only become later.
func (p *pool) due(i *item) time.Duration {
	switch i.kind {
	case waiting:
		return i.begin + SlowGrace + time.Duration(i.received.Load())*(time.Second/SlowRate)
	case busy:
		if oldest := i.connection.answering.Front(); oldest != nil { // of HTTP/2; others have come and gone
			return oldest.Value.(*Turn).since + p.answering //nolint:errcheck // there is nothing else
		}
		return i.begin + p.answering
	default:
		return i.begin + SlowGrace
	}
}

// first returns the item of the queue that is due next. What an item has received, and which of its
// requests have been answered, is looked at only here, so that receiving takes no lock, and
// answering does not move it.
func (p *pool) first(q *queue) *item {
	for {
		i := q.first()
		if i == nil {
			return nil
		}
		due := p.due(i)
		if due == i.due {
			return i
		}
		i.due = due
		heap.Fix(&p.all[i.kind], i.places[ofAll])
		heap.Fix(&i.client.queues[i.kind], i.places[ofClient])
		if i.path != nil {
			heap.Fix(&i.path.queues[i.kind], i.places[ofPath])
		}
	}
}

// slow returns the item of the queue that has been slow for the longest time, nil if none is.
func (p *pool) slow(q *queue, now time.Duration) *item {
	if i := p.first(q); i != nil && i.due < now {
		return i
	}
	return nil
}

// unread returns the item of the queues whose answer should have been there, or taken, for the
// longest time; nil if there is none. Nothing is lost with it but an answer, which its sender does
// not read.
func (p *pool) unread(queues *[queued]queue, now time.Duration) *item {
	a, b := p.slow(&queues[busy], now), p.slow(&queues[answered], now)
	if a == nil || b != nil && b.before(a) {
		return b
	}
	return a
}

// oldest returns the item of what is neither idle nor busy that has been so for the longest time,
// the time for what has come not counted; nil if that is the newest.
func (p *pool) oldest(queues *[queued]queue, newest *item) (oldest *item) {
	for _, k := range [...]kind{fresh, waiting, answered} {
		if i := p.first(&queues[k]); i != nil && i != newest && (oldest == nil || i.before(oldest)) {
			oldest = i
		}
	}
	return oldest
}

// back returns what the client gives back of what it holds, nil if it holds nothing that could go.
func (p *pool) back(client *group[netip.Prefix], newest *item) *item {
	if i := p.oldest(&client.queues, newest); i != nil || newest.client != client {
		return i
	}
	return newest // the bodies of its others come
}

// victim returns which item has to go, now that there is one too many, and why.
func (p *pool) victim(newest *item, now time.Duration) (*item, Why) {
	// A client that holds more than its part, and so much that others feel it, has all of that
	// taken from itself.
	most := p.clients.top()
	if most != nil && most.held > p.most/largePart && most.held*len(p.clients.ranked) > p.size-p.exempt {
		for _, i := range [...]*item{
			p.unread(&most.queues, now), p.slow(&most.queues[waiting], now), most.queues[idle].first(), p.back(most, newest),
		} {
			if i != nil {
				return i, WhyClient
			}
		}
	}
	if i := p.unread(&p.all, now); i != nil {
		return i, WhySlow
	}
	// Many clients: of the path for which the most wait.
	if path := p.paths.top(); path != nil {
		if i := p.slow(&path.queues[waiting], now); i != nil {
			if path.held*len(p.paths.ranked) > len(p.all[waiting].items) {
				return i, WhyPath
			}
			return i, WhySlow
		}
	}
	if i := p.slow(&p.all[waiting], now); i != nil {
		return i, WhySlow
	}
	if i := p.all[idle].first(); i != nil {
		return i, WhyIdle
	}
	// Nobody is slow yet. Those who hold several give one back.
	if most != nil && most.held > 1 {
		if i := p.back(most, newest); i != nil {
			return i, WhyClient
		}
	}
	if i := p.oldest(&p.all, newest); i != nil {
		return i, WhyOldest
	}
	return newest, WhyNewest
}
