/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// A digest is the SHA-256 of a body. No two deliveries have the same body, so it tells them apart.
type digest [sha256.Size]byte

// sort is what a sender may expect of a delivery.
type sort int

const (
	// genuine is one that must be stored in the end.
	genuine sort = iota
	// rival is one of several bodies under one delivery id that is signed: one of them must be
	// stored in the end, and no other. The others are taken for repetitions of it.
	rival
	// single is one that is sent once, whatever the answer is.
	single
	// tentative is one that may be refused: its sender does not know yet whether its key is good.
	tentative
	// unwanted is one that must not be stored: too long, or broken off by its sender.
	unwanted
	// forged is one that must not be stored, and must not be accepted: its signature is not good.
	forged
)

// A delivery is a body that somebody sends, once or several times, and the ledger's page on it.
type delivery struct {
	number  uint64 // of the arrival that it belongs to
	kind    string // for people
	trigger string // as namespace/name
	id      string // the delivery id; empty if it has none
	signsID bool   // the delivery id is signed, and tells the delivery from others without the body
	digest  digest
	sort    sort

	// What the sender was told. Guarded by the ledger's lock.
	sent    int      // requests
	runs    []string // the FlowRuns that answers named, each once
	unclear int      // requests after which the sender cannot know whether it is stored
	refused int      // the status of an answer that says that it is not, and will not be; 0 if there was none
}

// An answer is what became of one request.
type answer struct {
	status int
	run    string // the FlowRun that it names
	fate   fate
}

// fate is how a request ended for its sender.
type fate int

const (
	answered fate = iota
	// cut is a request whose connection broke because its replica was killed with SIGKILL.
	cut
	// unanswered is any other whose connection broke, or that got no answer in time.
	unanswered
	// abandoned is one that its sender broke off.
	abandoned
)

// A ledger is what senders know: what they sent, and what they were told. It may be used
// concurrently.
type ledger struct {
	mu         sync.Mutex
	deliveries map[digest]*delivery
	answers    int // requests that were answered
	cut        int // requests of which SIGKILL cut the connection
	abandoned  int // requests that their senders broke off
	broken     []violation
}

func newLedger() *ledger { return &ledger{deliveries: map[digest]*delivery{}} }

// A violation is one thing that must not be.
type violation struct {
	Rule   string `json:"rule"`
	Detail string `json:"detail"`
}

// The rules. Each is a line of the report.
const (
	ruleStored     = "acknowledged and not stored"
	ruleOnce       = "stored more than once under one delivery id"
	ruleOften      = "stored more often than was sent without a clear answer"
	ruleForged     = "forged and stored"
	ruleUnwanted   = "too long or broken off, and stored"
	ruleRefused    = "refused and stored"
	ruleUnknown    = "stored and never sent"
	ruleDigest     = "stored with a body that is not the one that was sent"
	ruleNames      = "two FlowRuns named for one delivery id"
	ruleForgedOK   = "forged and accepted"
	ruleWrongly    = "genuine and refused"
	ruleUnanswered = "no answer"
	ruleAnswer     = "an answer that cannot be"
	ruleSettled    = "genuine and not stored in the end"
	ruleListed     = "the API server lists something else than etcd holds"
	ruleProcess    = "a process failed"
	ruleLeader     = "two controllers lead"
	ruleRecovery   = "did not recover"
	ruleTarget     = "a target was missed"
)

// rules are all of them, in the order of the report.
var rules = []string{
	ruleStored, ruleOnce, ruleOften, ruleNames, ruleForged, ruleForgedOK, ruleUnwanted, ruleRefused, ruleUnknown, ruleDigest, ruleListed,
	ruleUnanswered, ruleAnswer, ruleWrongly, ruleSettled, ruleProcess, ruleLeader, ruleRecovery, ruleTarget,
}

// expect opens a page. It is done before the first request.
func (l *ledger) expect(d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliveries[d.digest] = d
}

// violated notes what must not be.
func (l *ledger) violated(rule, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violatedLocked(rule, format, args...)
}

func (l *ledger) violatedLocked(rule, format string, args ...any) {
	l.broken = append(l.broken, violation{Rule: rule, Detail: fmt.Sprintf(format, args...)})
}

// sent counts a request that is sent, or takes that back if n is -1.
func (l *ledger) sent(d *delivery, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.sent += n
}

// note notes what became of a request. where is where it was sent, for people.
func (l *ledger) note(d *delivery, a answer, where string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch a.fate {
	case cut:
		l.cut++
		d.unclear++
		return
	case unanswered:
		d.unclear++
		l.violatedLocked(ruleUnanswered, "%s by %s", d, where)
		return
	case abandoned:
		l.abandoned++
		return
	case answered:
		l.answers++
	}
	switch a.status {
	case http.StatusOK, http.StatusAccepted:
		if d.sort == forged || d.sort == unwanted {
			l.violatedLocked(ruleForgedOK, "%s: %d by %s", d, a.status, where)
		}
		switch {
		case a.run == "":
			l.violatedLocked(ruleAnswer, "%s: %d that names no FlowRun, by %s", d, a.status, where)
		case !slices.Contains(d.runs, a.run):
			d.runs = append(d.runs, a.run)
		}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusRequestTimeout:
		d.unclear++
	case http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		d.refused = a.status
	default:
		d.unclear++
		l.violatedLocked(ruleAnswer, "%s: %d by %s", d, a.status, where)
	}
}

// identity is what one FlowRun must have in common with all requests that answers named it to.
func (d *delivery) identity() string {
	if d.signsID {
		return d.trigger + " " + d.id
	}
	return fmt.Sprintf("%s %s %x", d.trigger, d.id, d.digest)
}

// String describes a delivery for people. It says nothing of its body.
func (d *delivery) String() string {
	text := fmt.Sprintf("delivery %d (%s) for %s", d.number, d.kind, d.trigger)
	if d.id != "" {
		text += fmt.Sprintf(" of id %q", d.id)
	}
	return text
}

// A storedRun is a FlowRun that is or was in etcd.
type storedRun struct {
	name    string // as namespace/name
	trigger string // as namespace/name
	id      string // the delivery id
	// digest is that of the payload's bytes, and said what the FlowRun says that it is.
	digest, said digest
	deleted      bool
}

// compare holds the ledger against what etcd has held, and returns what must not be. runs are all
// FlowRuns that were ever stored.
func (l *ledger) compare(runs []storedRun) []violation {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []violation
	violated := func(rule, format string, args ...any) {
		found = append(found, violation{Rule: rule, Detail: fmt.Sprintf(format, args...)})
	}
	byDigest := map[digest][]storedRun{}
	byID := map[string][]storedRun{}
	for _, run := range runs {
		byDigest[run.digest] = append(byDigest[run.digest], run)
		d, known := l.deliveries[run.digest]
		if known && run.id != "" {
			byID[d.identity()] = append(byID[d.identity()], run)
		}
		switch {
		case run.digest != run.said:
			violated(ruleDigest, "FlowRun %s says it has another body than it has", run.name)
		case !known:
			violated(ruleUnknown, "FlowRun %s", run.name)
		case d.trigger != run.trigger || d.id != run.id:
			violated(ruleDigest, "FlowRun %s is of %s and id %q, and has the body of %s", run.name, run.trigger, run.id, d)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		if n := len(byID[id]); n > 1 {
			violated(ruleOnce, "%s: %d FlowRuns", id, n)
		}
	}
	named := map[string]string{} // the FlowRun that answers named, by delivery id
	for _, d := range l.sorted() {
		stored := byDigest[d.digest]
		switch {
		case len(stored) == 0:
		case d.sort == forged:
			violated(ruleForged, "%s as %s", d, stored[0].name)
		case d.sort == unwanted:
			violated(ruleUnwanted, "%s as %s", d, stored[0].name)
		case d.refused != 0 && len(d.runs) == 0:
			violated(ruleRefused, "%s, answered %d, as %s", d, d.refused, stored[0].name)
		case d.id == "" && len(stored) > len(d.runs)+d.unclear:
			violated(ruleOften, "%s: %d FlowRuns, %d named, %d answers unclear", d, len(stored), len(d.runs), d.unclear)
		}
		for _, name := range d.runs {
			if d.sort == rival {
				stored = byID[d.identity()]
			}
			if !slices.ContainsFunc(stored, func(run storedRun) bool { return run.name == name }) {
				violated(ruleStored, "%s, as %s", d, name)
			}
			if d.id == "" {
				continue
			}
			if other, ok := named[d.identity()]; ok && other != name {
				violated(ruleNames, "%s: %s and %s", d, other, name)
			}
			named[d.identity()] = name
		}
	}
	for _, d := range l.sorted() {
		switch {
		case (d.sort == genuine || d.sort == rival || d.sort == single) && d.refused != 0 && d.refused != http.StatusUnprocessableEntity:
			violated(ruleWrongly, "%s: %d", d, d.refused)
		case (d.sort == genuine || d.sort == rival) && d.refused == 0 && len(d.runs) == 0:
			violated(ruleSettled, "%s after %d requests", d, d.sent)
		}
	}
	return append(found, l.broken...)
}

// sorted returns the deliveries in the order of their arrival.
func (l *ledger) sorted() []*delivery {
	return slices.SortedFunc(maps.Values(l.deliveries), func(a, b *delivery) int {
		return cmp.Or(cmp.Compare(a.number, b.number), slices.Compare(a.digest[:], b.digest[:]))
	})
}

// totals are what the ledger adds up to.
type totals struct {
	Deliveries int `json:"deliveries"`
	Requests   int `json:"requests"`
	Answered   int `json:"answered"`
	Cut        int `json:"cutBySIGKILL"`
	Abandoned  int `json:"abandonedBySender"`
	Genuine    int `json:"genuine"`
	Accepted   int `json:"acknowledged"`
	Refused    int `json:"refusedByPolicy"`
	// Repeating is how many were taken for repetitions, because another body was stored under their
	// delivery id, which is signed.
	Repeating int `json:"takenForRepetitions"`
	Forged    int `json:"forged"`
	// Again is how many deliveries without an id were stored more than once, because an answer was
	// lost.
	Again int `json:"storedAgainWithoutId"`
	// Untold is how many were stored although their senders were never told so, or gave up.
	Untold int `json:"storedAndNotAcknowledged"`
	Stored int `json:"stored"`
}

// add adds up the ledger and what was stored.
func (l *ledger) add(runs []storedRun) totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := totals{Deliveries: len(l.deliveries), Answered: l.answers, Cut: l.cut, Abandoned: l.abandoned, Stored: len(runs)}
	times := map[digest]int{}
	for _, run := range runs {
		times[run.digest]++
	}
	for _, d := range l.deliveries {
		t.Requests += d.sent
		switch d.sort {
		case forged:
			t.Forged++
		case genuine, rival, single, tentative:
			t.Genuine++
		case unwanted:
		}
		if len(d.runs) > 0 {
			t.Accepted++
		}
		if d.refused == http.StatusUnprocessableEntity {
			t.Refused++
		}
		if d.sort == rival && len(d.runs) > 0 && times[d.digest] == 0 {
			t.Repeating++
		}
		if d.id == "" && times[d.digest] > 1 {
			t.Again++
		}
		if len(d.runs) == 0 && times[d.digest] > 0 {
			t.Untold++
		}
	}
	return t
}
