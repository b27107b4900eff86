/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// A phase is a stretch of the run: what happened in it, as senders saw it. Requests count for the
// phase in which they were sent.
type phase struct {
	name  string
	begin time.Time

	mu         sync.Mutex
	sent       int
	accepted   int // 202
	duplicates int // 200
	busy       int // 503 and 429
	denied     int // 401
	refused    int // 4xx other than that
	failed     int // any other
	cut        int
	unanswered int
	left       int // broken off by the sender

	triggers map[string]*tally // of genuine requests, by trigger
	seconds  float64
	recovery time.Duration // until all replicas accepted again; -1 if they did not
	follow   time.Duration // until all replicas followed changes again; -1 if they did not
	memory   memory        // the most that a process held
	starts   int           // of processes
	remark   string
}

// A tally is what became of the genuine requests of a trigger.
type tally struct {
	first, atOnce int             // first requests of deliveries, and those of them that were accepted
	latencies     []time.Duration // of accepted requests with bodies that are neither slow nor large
}

func newPhase(name string) *phase { return &phase{name: name, triggers: map[string]*tally{}} }

// note counts a request. usual says that its body was neither slow nor large, and first that it was
// the first of a genuine delivery.
func (p *phase) note(trigger string, status int, f fate, took time.Duration, usual, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	ok := false
	switch f {
	case cut:
		p.cut++
	case unanswered:
		p.unanswered++
	case abandoned:
		p.left++
	case answered:
		switch {
		case status == http.StatusAccepted:
			p.accepted++
			ok = true
		case status == http.StatusOK:
			p.duplicates++
			ok = true
		case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
			p.busy++
		case status == http.StatusUnauthorized:
			p.denied++
		case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
			p.refused++
		default:
			p.failed++
		}
	}
	t := p.triggers[trigger]
	if t == nil {
		t = &tally{}
		p.triggers[trigger] = t
	}
	if first {
		t.first++
	}
	if ok && first {
		t.atOnce++
	}
	if ok && usual {
		t.latencies = append(t.latencies, took)
	}
}

// acceptedSoFar returns how many requests of the phase were accepted by now.
func (p *phase) acceptedSoFar() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted + p.duplicates
}

// tally adds up the triggers that are asked for.
func (p *phase) tally(which func(trigger string) bool) tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sum tally
	for name, t := range p.triggers {
		if !which(name) {
			continue
		}
		sum.first += t.first
		sum.atOnce += t.atOnce
		sum.latencies = append(sum.latencies, t.latencies...)
	}
	slices.Sort(sum.latencies)
	return sum
}

func everyTrigger(string) bool { return true }

// percentile returns the latency that so many of 100 accepted requests had at most, and 0 if there
// was none.
func (t *tally) percentile(percent float64) time.Duration {
	if len(t.latencies) == 0 {
		return 0
	}
	return t.latencies[min(len(t.latencies)-1, int(float64(len(t.latencies))*percent/100))]
}

// share returns how many of 100 deliveries were accepted at once.
func (t *tally) share() float64 {
	if t.first == 0 {
		return 0
	}
	return 100 * float64(t.atOnce) / float64(t.first)
}
