/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// settleLimit is how long after it was healed a fault may be felt.
	settleLimit = 90 * time.Second
	// settleTime is how long a phase goes on when it is not felt any more.
	settleTime = 2 * time.Second
	// memoryPeriod is how often memory is looked at.
	memoryPeriod = 250 * time.Millisecond
	// memoryLimit is what a replica of ingest may hold.
	memoryLimit = 256 << 20
)

// An experiment is one run.
type experiment struct {
	settings settings
	folder   string
	random   *rand.Rand // for the choices of faults

	triggers   map[string]*trigger
	generation int // of the key that is rotated
	probes     int // of the key that is replaced to see whether replicas follow
	ledger     *ledger
	load       *load
	cluster    *cluster
	history    *history

	phases []*phase
	// peaks is how many requests could be stored, and overloads how many were in an overload, by
	// turns.
	peaks, overloads []goodput

	mu     sync.Mutex
	memory memory // the most since the present phase began
	peak   memory // the most of the whole run, by the kernel's account
}

func newExperiment(s settings, folder string) *experiment {
	e := &experiment{
		settings: s,
		folder:   folder,
		random:   rand.New(rand.NewPCG(s.seed, 2)), //nolint:gosec // to be repeated, not to be secret
		triggers: newTriggers(s.seed),
		ledger:   newLedger(),
	}
	e.load = &load{seed: s.seed, slow: s.readTimeout, triggers: e.triggers, ledger: e.ledger}
	e.load.phase.Store(newPhase("warm-up"))
	return e
}

// run does everything, and returns what came of it. An error means that the experiment itself has
// failed.
func (e *experiment) run(ctx context.Context) (*report, error) {
	processes := newProcesses(e.folder)
	defer processes.stop()
	if path, err := exec.LookPath("haproxy"); err == nil {
		e.settings.haproxy = path
	}
	faults, err := e.choose()
	if err != nil {
		return nil, err
	}

	begin := time.Now()
	e.say("starting etcd, kube-apiserver, %d replicas of ingest and %d of controller; seed %d, %g arrivals a second", e.settings.replicas, e.settings.controllers, e.settings.seed, e.settings.rate)
	e.cluster, err = startCluster(ctx, e.settings, e.folder, processes, e.triggers)
	if err != nil {
		return nil, err
	}
	defer e.cluster.close()
	var followers sync.WaitGroup
	defer followers.Wait()
	following, stop := context.WithCancel(ctx)
	defer stop()
	e.history = newHistory(e.cluster.plane.EtcdURL())
	followers.Go(func() { e.history.follow(following) })
	followers.Go(func() { e.watchMemory(following) })
	for _, r := range e.cluster.ingest {
		e.load.backends = append(e.load.backends, r.backend)
		followers.Go(func() { r.followReadiness(following) })
	}
	if err := e.warmUp(ctx); err != nil {
		return nil, err
	}

	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	settling, stopSettling := context.WithCancel(ctx)
	defer stopSettling()
	e.setRate(e.settings.rate)
	var arrivals sync.WaitGroup
	defer arrivals.Wait()
	defer stopSending()
	arrivals.Go(func() { e.load.run(sending, settling) })
	if err := e.causeFaults(ctx, faults); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// The report is made of what there is: the senders' last chance comes when there are no
		// more arrivals.
		e.endPhase()
		e.ledger.violated(ruleRecovery, "%v", err)
	}

	e.say("waiting for the senders to be done")
	stopSending()
	arrivals.Wait()
	e.startPhase("end")
	e.drain(ctx, stopSettling)
	e.endPhase()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return e.conclude(ctx, begin)
}

// say tells whoever waits what is going on.
func (e *experiment) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// choose returns the faults that were asked for.
func (e *experiment) choose() ([]fault, error) {
	var chosen []fault
	byName := map[string]fault{}
	for _, f := range faults() {
		byName[f.name] = f
	}
	for _, name := range e.settings.faults {
		chosen = append(chosen, byName[name])
	}
	if e.settings.faults == nil {
		chosen = faults()
	}
	for i, f := range chosen {
		if f.name != faultBalancerRoll || e.settings.haproxy != "" {
			continue
		}
		if !e.settings.short {
			return nil, fmt.Errorf("the fault %q needs haproxy (apt-get install haproxy), or leave it out by --faults", f.name)
		}
		e.say("the fault %q is left out: haproxy is not installed", f.name)
		chosen = append(chosen[:i:i], chosen[i+1:]...)
		break
	}
	return chosen, nil
}

// warmUp waits until every replica stores FlowRuns of every trigger: an API server that has just
// learned of a kind makes creates of it wait.
func (e *experiment) warmUp(ctx context.Context) error {
	for _, b := range e.load.backends {
		for _, t := range e.triggers {
			err := e.eventually(ctx, func(ctx context.Context) error {
				a := e.load.measured(kindCalm)
				key, over := t.use(0)
				defer over()
				r, _ := e.load.attempt(ctx, b, e.load.open(a, t, 0, single), e.load.message(a, t, a.body(e.settings.seed, 0), key, nil), false)
				if !accepts(r.status) {
					return fmt.Errorf("%s answers %d to a request for %s", b.name, r.status, t)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *experiment) setRate(rate float64) { e.load.rate.Store(int64(rate * 1000)) }

// causeFaults makes one fault after the other.
func (e *experiment) causeFaults(ctx context.Context, faults []fault) error {
	begin := time.Now()
	var failure error
	one := func(f fault, endsRound bool) bool {
		if failure = e.causeFault(ctx, f); failure != nil {
			return false
		}
		return !endsRound || time.Since(begin) < e.settings.duration
	}
	if e.settings.faults != nil {
		for _, f := range faults {
			if !one(f, false) {
				break
			}
		}
		return failure
	}
	rounds := 0
	schedule(e.settings.seed, faults, func(f fault, endsRound bool) bool {
		if rounds > 0 && time.Since(begin) >= e.settings.duration {
			return false
		}
		if endsRound {
			rounds++
		}
		return one(f, endsRound)
	})
	return failure
}

// causeFault makes a fault and waits until it is not felt any more.
func (e *experiment) causeFault(ctx context.Context, f fault) error {
	e.say("%s: %s", f.name, f.about)
	last := f.long
	if e.settings.short {
		last = f.short
	}
	e.startPhase(f.name)
	e.load.recovery.Store(nil)
	remark, err := f.cause(ctx, e, last)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	if e.load.recovery.Load() == nil {
		e.healed()
	}
	e.settle(ctx, f.name)
	p := e.endPhase()
	p.remark = remark
	all := p.tally(everyTrigger)
	p.mu.Lock() // answers to its requests may still come
	line := fmt.Sprintf("%s: %d requests, %d accepted, %d busy, %d cut; p99 %s; all accept after %s, follow after %s; %s", f.name, p.sent, p.accepted+p.duplicates, p.busy, p.cut,
		all.percentile(99).Round(time.Millisecond), p.recovery.Round(time.Millisecond), p.follow.Round(time.Millisecond), remark)
	p.mu.Unlock()
	e.say("%s", line)
	return ctx.Err()
}

// healed says that the fault has just been healed.
func (e *experiment) healed() { e.load.recovery.Store(newRecovery()) }

// settle waits until every replica accepts requests and follows changes, and there are no more
// senders waiting than usual.
func (e *experiment) settle(ctx context.Context, name string) {
	p := e.phases[len(e.phases)-1] // a fault may have several
	p.recovery, p.follow = -1, -1
	healed := e.load.recovery.Load()
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var follower sync.WaitGroup
	follower.Go(func() {
		if e.replicasFollow(ctx) == nil {
			p.follow = time.Since(healed.healed)
		}
	})
	usual := int64(max(20, e.settings.rate/2))
	for ctx.Err() == nil {
		if slowest, all := healed.slowest(e.load.backends); all && e.load.pending.Load() <= usual {
			p.recovery = slowest
			break
		}
		localcluster.Pause(ctx, 20*time.Millisecond)
	}
	follower.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		_, all := healed.slowest(e.load.backends)
		e.ledger.violated(ruleRecovery, "%s: after %s, all replicas accept: %t; all follow changes: %t; %d deliveries are pending",
			name, settleLimit, all, p.follow >= 0, e.load.pending.Load())
	}
	localcluster.Pause(ctx, settleTime)
}

// replicasFollow replaces a key, and waits until every replica accepts a request that is signed
// with the new one.
func (e *experiment) replicasFollow(ctx context.Context) error {
	t := e.triggers[triggerProbe]
	e.probes++
	key := makeKey(e.settings.seed, t.name, e.probes)
	err := e.eventually(ctx, func(ctx context.Context) error { return e.cluster.admin.Update(ctx, makeSecret(t, t.secret, key)) })
	if err != nil {
		return err
	}
	t.setKeys(key, nil, nil)
	return e.replicasKnow(ctx, t, key, true)
}

// replicasKnow waits until every replica accepts requests that are signed with a key, or until
// every one refuses them.
func (e *experiment) replicasKnow(ctx context.Context, t *trigger, key []byte, accept bool) error {
	uncounted := newPhase("")
	for _, b := range e.load.backends {
		err := e.eventually(ctx, func(ctx context.Context) error {
			a := e.load.measured(kindProbe)
			d := e.load.open(a, t, 0, tentative)
			r, _ := e.load.attemptIn(ctx, uncounted, b, d, e.load.message(a, t, a.body(e.settings.seed, 0), key, nil), false)
			if accepts(r.status) != accept || (!accept && r.status != http.StatusUnauthorized) {
				return fmt.Errorf("%s answers %d", b.name, r.status)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// startPhase begins a phase.
func (e *experiment) startPhase(name string) *phase {
	p := newPhase(name)
	p.begin, p.starts = time.Now(), e.countStarts()
	e.phases = append(e.phases, p)
	e.load.phase.Store(p)
	now, _ := e.cluster.measure()
	e.mu.Lock()
	e.memory = now
	e.mu.Unlock()
	return p
}

// endPhase ends the present phase.
func (e *experiment) endPhase() *phase {
	p := e.phases[len(e.phases)-1]
	p.seconds = time.Since(p.begin).Seconds()
	p.starts = e.countStarts() - p.starts
	e.mu.Lock()
	p.memory = e.memory
	e.mu.Unlock()
	return p
}

// countStarts returns how often processes were started.
func (e *experiment) countStarts() int {
	sum := 0
	for _, p := range e.cluster.processes.all {
		starts, _ := p.count()
		sum += starts
	}
	return sum
}

// watchMemory looks at the memory of the operator's processes until ctx ends.
func (e *experiment) watchMemory(ctx context.Context) {
	for ctx.Err() == nil {
		now, peak := e.cluster.measure()
		e.mu.Lock()
		e.memory, e.peak = e.memory.most(now), e.peak.most(peak)
		e.mu.Unlock()
		localcluster.Pause(ctx, memoryPeriod)
	}
}

// drain waits until all senders are done.
func (e *experiment) drain(ctx context.Context, giveUp func()) {
	done := make(chan struct{})
	go func() {
		e.load.senders.Wait()
		close(done)
	}()
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	select {
	case <-done:
		return
	case <-limit.C:
	case <-ctx.Done():
	}
	giveUp()
	<-done
}

// conclude compares the ledger with etcd.
func (e *experiment) conclude(ctx context.Context, begin time.Time) (*report, error) {
	e.say("comparing what senders were told with what etcd holds")
	// What was not known to be stored when its sender was answered may be stored a moment later.
	localcluster.Pause(ctx, settleTime)
	if err := e.eventually(ctx, e.history.caughtUp); err != nil {
		return nil, err
	}
	names, err := e.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, difference := range e.history.listed(names) {
		e.ledger.violated(ruleListed, "%s", difference)
	}
	for _, p := range e.cluster.processes.all {
		_, fell := p.count()
		for _, how := range fell {
			if !p.mayEnd {
				e.ledger.violated(ruleProcess, "%s ended by itself: %s", p.name, how)
			}
		}
	}
	e.mu.Lock()
	peak := e.peak
	e.mu.Unlock()
	if peak.ingest > memoryLimit {
		e.ledger.violated(ruleTarget, "a replica of ingest held %d MiB; the limit is %d MiB", peak.ingest>>20, memoryLimit>>20)
	}
	runs, err := e.history.all()
	if err != nil {
		return nil, err
	}
	return newReport(e, runs, peak, time.Since(begin)), nil
}

// list returns the names of the FlowRuns that the API server lists, page by page, as
// namespace/name.
func (e *experiment) list(ctx context.Context) (map[string]bool, error) {
	const page = 500
	names := map[string]bool{}
	next := ""
	for {
		var runs metav1.PartialObjectMetadataList
		runs.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("FlowRunList"))
		if err := e.cluster.admin.List(ctx, &runs, client.Limit(page), client.Continue(next)); err != nil {
			return nil, fmt.Errorf("list FlowRuns: %w", err)
		}
		for i := range runs.Items {
			names[runs.Items[i].Namespace+"/"+runs.Items[i].Name] = true
		}
		if next = runs.Continue; next == "" {
			return names, nil
		}
	}
}

// accepts says whether a status is that of an accepted request.
func accepts(status int) bool { return status == http.StatusOK || status == http.StatusAccepted }

var errNoProxy = errors.New("haproxy does not serve")
