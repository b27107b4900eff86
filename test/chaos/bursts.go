/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// overloadFactor is how many times the requests that can be stored are sent in an overload.
	overloadFactor = 10
	// goodputTarget is how much of the most that could be stored is to be stored in an overload.
	goodputTarget = 0.9
	// overloadTurns is how often both are measured; the medians count.
	overloadTurns = 3
	// inFlightLimit is how many requests of an open loop may be without an answer. It keeps each
	// replica below --max-connections, as what is in front of it has to: a connection too many is
	// closed without an answer.
	inFlightLimit = 1500
)

// once sends a signed request of a measurement, and does not repeat it.
func (l *load) once(ctx context.Context, k kind, s sort, b *backend) reply {
	a := l.measured(k)
	t := l.triggers[a.trigger]
	body := a.body(l.seed, 0)
	key, over := t.use(a.number)
	defer over()
	answer, _ := l.attempt(ctx, b, l.open(a, t, 0, s), l.message(a, t, body, key, nil), true)
	return answer
}

// quiet ends the arrivals of the mix for a measurement, and waits for the senders to be done.
func (e *experiment) quiet(ctx context.Context) {
	e.setRate(0)
	for limit := time.Now().Add(settleLimit); e.load.pending.Load() > 0 && time.Now().Before(limit) && ctx.Err() == nil; {
		localcluster.Pause(ctx, 20*time.Millisecond)
	}
}

// goodput is how many requests were stored in a second, and how many processors the generator took
// meanwhile. It runs on the machine that Sluice and the API server run on.
type goodput struct{ stored, taken float64 }

// ofTheRest returns how many requests were stored by a second of one of the processors that the
// generator left.
func (g goodput) ofTheRest() float64 { return g.stored / (float64(runtime.NumCPU()) - g.taken) }

// goodputOf measures the goodput of something that returns how many were stored, and takes so long.
func goodputOf(last time.Duration, store func() int) goodput {
	begin, before := time.Now(), processorTime()
	stored := store()
	return goodput{stored: float64(stored) / last.Seconds(), taken: (processorTime() - before).Seconds() / time.Since(begin).Seconds()}
}

// processorTime returns how much time of processors this process has taken.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it cannot fail
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// overload measures how many requests can be stored, and then sends ten times as many; and both
// again, by turns.
func overload(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	e.quiet(ctx)
	defer e.setRate(e.settings.rate)
	defer e.healed()
	best, senders := 0.0, 0
	for _, n := range []int{8, 16, 32, 64, 128} {
		g := goodputOf(last/4, func() int { return e.storeFor(ctx, n, last/4) })
		e.say("  %d senders: %.0f stored a second", n, g.stored)
		if g.stored > best {
			best, senders = g.stored, n
		}
	}
	e.phases[len(e.phases)-1].name = "overload: search"
	remark := fmt.Sprintf("most is stored for %d senders that wait for each answer", senders)
	for i := range overloadTurns {
		e.endPhase().remark = remark
		e.startPhase(fmt.Sprintf("overload: peak %d", i+1))
		peak := goodputOf(last, func() int { return e.storeFor(ctx, senders, last) })
		e.peaks = append(e.peaks, peak)
		e.endPhase().remark = fmt.Sprintf("goodput %.0f/s, %d senders that wait for each answer", peak.stored, senders)

		p := e.startPhase(fmt.Sprintf("overload %d", i+1))
		var sent, left int
		over := goodputOf(last, func() (accepted int) {
			sent, left, accepted = e.sendFor(ctx, p, overloadFactor*peak.stored, last)
			return accepted
		})
		e.overloads = append(e.overloads, over)
		remark = fmt.Sprintf("%.0f requests/s, goodput %.0f/s", float64(sent)/last.Seconds(), over.stored)
		if left > 0 {
			remark += fmt.Sprintf("; %d could not be sent, with %d in flight", left, inFlightLimit)
		}
	}
	if o := newOverloadRow(e.peaks, e.overloads); o.OfTheRest < goodputTarget {
		e.ledger.violated(ruleTarget, "goodput at %d times the peak is %.2f of the peak, of what the generator leaves; the target is %.2f",
			overloadFactor, o.OfTheRest, goodputTarget)
	}
	return remark, nil
}

// storeFor has senders send one request after the other, and returns how many were stored.
func (e *experiment) storeFor(ctx context.Context, senders int, last time.Duration) int {
	var stored atomic.Int64
	sending, stop := context.WithTimeout(ctx, last)
	defer stop()
	closedLoop(sending, senders, func() {
		r := e.load.once(ctx, kindCalm, single, e.load.pick(ctx, nil))
		if accepts(r.status) && sending.Err() == nil {
			stored.Add(1)
		}
		if r.retryAfter > 0 { // or it would count how fast requests are turned away
			localcluster.Pause(sending, firstPause)
		}
	})
	return int(stored.Load())
}

// sendFor sends requests at a rate, however many of them have no answer yet, and returns how many
// it sent, how many it could not, and how many were accepted in that time.
func (e *experiment) sendFor(ctx context.Context, p *phase, rate float64, last time.Duration) (sent, left, accepted int) {
	var inFlight atomic.Int64
	var senders sync.WaitGroup
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	begin := time.Now()
	for due := 0.0; ctx.Err() == nil; {
		now := <-ticker.C
		if now.Sub(begin) >= last {
			break
		}
		due = now.Sub(begin).Seconds()*rate - float64(sent+left)
		for ; due >= 1; due-- {
			if inFlight.Load() >= inFlightLimit {
				left++
				continue
			}
			sent++
			inFlight.Add(1)
			senders.Go(func() {
				defer inFlight.Add(-1)
				e.load.once(ctx, kindCalm, single, e.load.pick(ctx, nil))
			})
		}
	}
	accepted = p.acceptedSoFar() // those that come later do not count
	senders.Wait()
	return sent, left, accepted
}

// flood has forgers send to a trigger whose genuine senders go on.
func flood(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	const forgers = 64
	e.phases[len(e.phases)-1].name = "flood: before"
	localcluster.Pause(ctx, last)
	before := e.endPhase()
	p := e.startPhase(faultFlood)
	flooded := e.triggers[triggerOrders]
	path := flooded.path()
	stop := time.Now().Add(last)
	var all sync.WaitGroup
	for i := range forgers {
		k := kindFlood
		if i%2 == 0 {
			k = kindFloodLarge
		}
		all.Go(func() {
			for time.Now().Before(stop) && ctx.Err() == nil {
				a := e.load.measured(k)
				body := a.body(e.settings.seed, 0)
				d := e.load.open(a, flooded, 0, forged)
				m := &message{body: body, head: head(path, len(body), signatureHeader, strings.Repeat("ab", 32), deliveryHeader, a.id())}
				if r, _ := e.load.attempt(ctx, e.load.pick(ctx, nil), d, m, false); r.status == 0 {
					localcluster.Pause(ctx, tick)
				}
			}
		})
	}
	all.Wait()
	e.healed()
	name := flooded.String()
	of := func(p *phase, which func(string) bool) string {
		t := p.tally(which)
		return fmt.Sprintf("%.1f %% at once, p99 %s", t.share(), t.percentile(99).Round(time.Millisecond))
	}
	same, others := func(t string) bool { return t == name }, func(t string) bool { return t != name }
	before.remark = fmt.Sprintf("%s: %s; others: %s", name, of(before, same), of(before, others))
	return fmt.Sprintf("%s: %s; others: %s", name, of(p, same), of(p, others)), nil
}

// rollBehindBalancer restarts all replicas while senders that never retry go through HAProxy.
func rollBehindBalancer(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	e.quiet(ctx)
	defer e.setRate(e.settings.rate)
	defer e.healed()
	ports, err := localcluster.FreePorts(ctx, 2)
	if err != nil {
		return "", err
	}
	balancer := &backend{name: "haproxy", address: localcluster.Address(ports[0])}
	balancer.setReady(true)
	configuration := filepath.Join(e.folder, "haproxy.cfg")
	if err := os.WriteFile(configuration, []byte(e.balancerConfiguration(balancer.address, localcluster.Address(ports[1]))), 0o600); err != nil {
		return "", fmt.Errorf("configure haproxy: %w", err)
	}
	process, err := e.cluster.processes.start("haproxy", e.settings.haproxy, "-db", "-f", configuration)
	if err != nil {
		return "", err
	}
	err = e.eventually(ctx, func(ctx context.Context) error {
		if r := e.load.once(ctx, kindCalm, single, balancer); !accepts(r.status) {
			return errNoProxy
		}
		return nil
	})
	if err != nil {
		return "", process.describe(err)
	}

	var sent, failed atomic.Int64
	sending, stop := context.WithCancel(ctx)
	var senders sync.WaitGroup
	senders.Go(func() {
		ticker := time.NewTicker(time.Duration(float64(time.Second) / min(e.settings.rate, 100)))
		defer ticker.Stop()
		for sending.Err() == nil {
			<-ticker.C
			senders.Go(func() {
				sent.Add(1)
				if r := e.load.once(ctx, kindBalanced, genuine, balancer); !accepts(r.status) {
					failed.Add(1)
				}
			})
		}
	})
	localcluster.Pause(ctx, last)
	err = e.roll(ctx, func(ctx context.Context, r *replica) error {
		return e.eventually(ctx, func(ctx context.Context) error { return balanced(ctx, localcluster.Address(ports[1]), r.name) })
	})
	localcluster.Pause(ctx, last)
	stop()
	senders.Wait()
	if err != nil {
		return "", err
	}
	if failed.Load() > 0 {
		e.ledger.violated(ruleTarget, "%d of %d requests through the balancer failed; none may", failed.Load(), sent.Load())
	}
	_, err = process.end(ctx, syscall.SIGKILL)
	return fmt.Sprintf("%d requests through HAProxy, %d failed", sent.Load(), failed.Load()), err
}

// balancerConfiguration is what docs/reliability.md shows, for these replicas.
func (e *experiment) balancerConfiguration(address, statistics string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `global
  maxconn 2000
  stats socket ipv4@%s level user
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend webhooks
  bind %s
  default_backend ingest
backend ingest
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 200ms fall 1 rise 1
`, statistics, address)
	for _, r := range e.cluster.ingest {
		_, port, _ := strings.Cut(strings.TrimPrefix(r.health, "http://"), ":")
		fmt.Fprintf(&text, "  server %s %s port %s\n", r.name, r.backend.address, port)
	}
	return text.String()
}

// balanced returns nil if HAProxy sends requests to the replica. A rollout has to wait for that, by
// minReadySeconds, say: otherwise the last replica that HAProxy knows may go before it knows a new
// one.
func balanced(ctx context.Context, statistics, name string) error {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", statistics)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing can be lost
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		return err
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	// In each line, separated by commas, the backend comes first, then the server, and the status
	// is the 18th field.
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ","); len(fields) > 17 && fields[1] == name && fields[17] == "UP" {
			return nil
		}
	}
	return fmt.Errorf("haproxy does not know yet that %s is up", name)
}
