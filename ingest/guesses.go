/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/ingest/connlimit"
)

const (
	// guessBurst is how many wrong tokens somebody may show to a trigger at once, and guessPause
	// after which time one more.
	guessBurst = 20
	guessPause = time.Second
	// guessDebt bounds how far who guesses at many connections at once can get ahead, and has to
	// wait then.
	guessDebt = 2 * guessBurst * guessPause
	// guessSets and guessWays are how many of those who guess are remembered, 16384: half a MiB for
	// good.
	guessSets = 2048
	guessWays = 8
)

// guesses keeps count of wrong tokens: of handshakes, and of schemes that have a token in place of
// a signature. Each shows whether it was the right one, so that only their number stands between a
// short token and who tries all of them. It is not for signatures: an HMAC or a signature of
// Ed25519 has 128 bits at least, whatever the key, and who has one signed request tries keys at
// home.
//
// Who never shows a wrong token is never held up, however many others do, unless they share their
// address with somebody who guesses, and the token is short. What is remembered has a fixed size:
// where there are more than that, those are forgotten first who have guessed the least. So many
// addresses can guess more often, each as often as any other, but not take memory, nor wash out the
// debts of one of them without having as many debts themselves.
type guesses struct {
	seed  maphash.Seed // so that nobody can choose whom to meet in a set
	begin time.Time
	sets  [guessSets]guessSet
}

type guessSet struct {
	mu  sync.Mutex
	all [guessWays]guesser
}

// A guesser is somebody at one trigger.
type guesser struct {
	key uint64
	// free is when all is forgiven, after guesses.begin: each wrong token moves it by guessPause.
	free time.Duration
}

func newGuesses(now time.Time) *guesses {
	return &guesses{seed: maphash.MakeSeed(), begin: now}
}

// wait returns after which time a token from the address may be looked at; 0 if now.
func (g *guesses) wait(uid string, client netip.Addr, now time.Time) time.Duration {
	key, set, at := g.find(uid, client, now)
	set.mu.Lock()
	defer set.mu.Unlock()
	for i := range set.all {
		if who := &set.all[i]; who.key == key {
			return max(0, who.free-at-(guessBurst-1)*guessPause)
		}
	}
	return 0
}

// wrong counts a wrong token.
func (g *guesses) wrong(uid string, client netip.Addr, now time.Time) {
	key, set, at := g.find(uid, client, now)
	set.mu.Lock()
	defer set.mu.Unlock()
	least := &set.all[0]
	for i := range set.all {
		who := &set.all[i]
		if who.key == key {
			who.free = min(max(who.free, at)+guessPause, at+guessDebt)
			return
		}
		if who.free < least.free {
			least = who
		}
	}
	*least = guesser{key, at + guessPause}
}

func (g *guesses) find(uid string, client netip.Addr, now time.Time) (key uint64, set *guessSet, at time.Duration) {
	key = maphash.Comparable(g.seed, struct {
		uid    string
		client netip.Prefix
	}{uid, connlimit.Network(client)})
	return key, &g.sets[key%guessSets], now.Sub(g.begin)
}
