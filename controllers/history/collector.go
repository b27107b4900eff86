/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/tolerant"
)

const (
	// defaultPageSize is that of kubectl and of client-go's reflectors.
	defaultPageSize = 500
	// listTimeout and writeTimeout bound one request, so that an admission webhook that hangs
	// cannot stop a sweep.
	listTimeout  = time.Minute
	writeTimeout = 15 * time.Second
)

// The period of sweeps, from start to start, is listingShare times what the API server takes to
// list all runs, so that listing stays a small part of its load, between minPeriod and maxPeriod. A
// sweep that takes longer than its period, because there is much to delete, is followed by the next
// after minPause.
const (
	listingShare = 10
	minPeriod    = 5 * time.Second
	maxPeriod    = time.Minute
	minPause     = time.Second
)

// Options say what a Collector works with.
type Options struct {
	// Config is for the API server.
	Config *rest.Config
	// Flows reads Flows, once for each sweep and Flow that has runs. It should read from a cache.
	Flows client.Reader
	// Namespaces are those to sweep; none means all.
	Namespaces []string
	// KeyObserver is told of each run at each sweep; nil for nobody.
	KeyObserver KeyObserver
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	Log        logr.Logger

	// PageSize is how many runs are listed at a time; 0 means 500.
	PageSize int
	// Now is the clock by which runs expire; nil means time.Now.
	Now func() time.Time
}

// A KeyObserver wants to know which keys runs were signed with. Its method must not block.
type KeyObserver interface {
	// ObserveKey is called with each run at each sweep, before anything is done to the run: with
	// the trigger and the key that it names, empty for none, and its creation. So it is called with
	// the same runs again and again.
	ObserveKey(namespace, trigger, key string, created time.Time)
}

type noObserver struct{}

// ObserveKey implements KeyObserver.
func (noObserver) ObserveKey(string, string, string, time.Time) {}

// +kubebuilder:rbac:groups=sluice.dev,resources=flowruns,verbs=list;delete;patch,roleName=sluice-controller

// A Collector deletes the FlowRuns that are due, and drops payloads.
type Collector struct {
	flows      client.Reader
	namespaces []string
	pager      *pager
	observer   KeyObserver
	absences   *absences
	writer     *writer
	metrics    *metrics
	now        func() time.Time
	log        logr.Logger
}

// NewCollector returns a Collector. Whatever the configuration says, there is no client-side
// throttling, and answers are not compressed: the leader is near the API server, whose processor
// time is worth more than bandwidth.
func NewCollector(o Options) (*Collector, error) {
	config := rest.CopyConfig(o.Config)
	config.QPS = -1
	config.RateLimiter = nil
	config.DisableCompression = true
	config.APIPath = "/apis"
	config.GroupVersion = &sluicev1alpha1.GroupVersion
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	config.WarningHandler = rest.NoWarnings{}
	restClient, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up the client for flow runs: %w", err)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of the history: %w", err)
	}
	c := &Collector{flows: o.Flows, namespaces: o.Namespaces, absences: newAbsences(), metrics: m, now: o.Now, log: o.Log}
	if len(c.namespaces) == 0 {
		c.namespaces = []string{""}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.observer = o.KeyObserver; c.observer == nil {
		c.observer = noObserver{}
	}
	size := o.PageSize
	if size == 0 {
		size = defaultPageSize
	}
	c.pager = &pager{client: restClient, size: size, now: c.now}
	c.writer = &writer{client: restClient, metrics: m, now: c.now, log: o.Log, inFlight: minInFlight, backoffs: map[string]*namespaceBackoff{}}
	return c, nil
}

// NeedLeaderElection tells the manager that one replica is enough.
func (c *Collector) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable. It sweeps until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		listing, err := c.attempt(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Error(err, "Cannot sweep FlowRuns; trying again later")
		}
		took, period := time.Since(began), period(listing, err)
		c.writer.adjustConcurrency(took, period)
		select {
		case <-ctx.Done():
		case <-time.After(max(period-took, minPause)):
		}
	}
	return nil
}

var errPanic = errors.New("panic") // without its value, which can hold a payload

// attempt is Sweep, and recovers from panics: one would end the process, at every start again.
func (c *Collector) attempt(ctx context.Context) (listing time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error(errPanic, "Panic while sweeping FlowRuns", "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return c.Sweep(ctx)
}

// period returns the period after a sweep for which the API server took so long to list all runs.
func period(listing time.Duration, err error) time.Duration {
	if err != nil {
		return maxPeriod
	}
	return min(max(listingShare*listing, minPeriod), maxPeriod)
}

// Sweep evaluates every run once, deletes those that are due and drops payloads. It returns how
// long listing took. If a namespace cannot be listed, the others are swept all the same.
func (c *Collector) Sweep(ctx context.Context) (listing time.Duration, err error) {
	began := time.Now()
	s := &sweep{
		Collector: c,
		histories: map[types.NamespacedName]limits{},
		seen:      map[state]int{},
		pacedAt:   began,
	}
	var errs []error
	for _, namespace := range c.namespaces {
		err := s.namespace(ctx, namespace)
		if err == nil {
			c.absences.swept(namespace, c.now(), s.met)
		}
		errs = append(errs, err)
	}
	err = errors.Join(errs...)
	if ctx.Err() != nil { // stopped, which is no failure
		return s.listing, ctx.Err()
	}
	c.writer.expireBackoffs()
	if err == nil {
		c.metrics.swept(time.Since(began), s.seen)
	}
	log := c.log.V(1)
	if s.deleted+s.dropped > 0 {
		log = c.log
	}
	log.Info("Swept FlowRuns", "deleted", s.deleted, "payloadsDropped", s.dropped, "took", time.Since(began).String())
	return s.listing, err
}

// A group is a set of runs of which the newest are kept. All runs of a namespace whose Flow is gone
// are one group, without a name, so that the number of groups is bounded by that of Flows and
// namespaces.
type group struct {
	namespace, flow string
	state           state
}

// A sweep is the state of one sweep.
type sweep struct {
	*Collector
	histories map[types.NamespacedName]limits // of the Flows that exist
	newest    map[group]*keepNewest           // of the present namespace, or of all
	seen      map[state]int
	tasks     []task // to do after this page
	listing   time.Duration
	pacedAt   time.Time // when adjustPace last found the sweep late

	deleted, dropped int
}

// namespace sweeps one namespace, or all if it is empty.
func (s *sweep) namespace(ctx context.Context, namespace string) error {
	s.newest, s.tasks = map[group]*keepNewest{}, nil
	for token, expired := "", false; ; {
		next, err := s.page(ctx, namespace, token)
		switch again, ok := continuation(err); {
		case ok && !expired: // etcd has compacted the revision of the first page; the rest is of a later one
			next, expired = again, true
		case err != nil:
			s.metrics.failed(opList)
			return fmt.Errorf("list flow runs: %w", err)
		default:
			expired = false
		}
		if next == "" {
			break
		}
		token = next
	}
	// Only now is it known which runs stay. Their payloads may be due.
	for _, n := range s.newest {
		for _, r := range n.runs {
			if err := s.dropPayload(ctx, r); err != nil {
				return err
			}
			if len(s.tasks) >= s.pager.size {
				s.flush(ctx)
			}
		}
	}
	s.flush(ctx)
	return ctx.Err()
}

// continuation returns the token by which an expired list goes on, inconsistently: with the present
// state.
func continuation(err error) (token string, ok bool) {
	if !apierrors.IsResourceExpired(err) {
		return "", false
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return "", false
	}
	token = status.Status().Continue
	return token, token != ""
}

// page lists and evaluates a page of runs, and does what is due.
func (s *sweep) page(ctx context.Context, namespace, token string) (next string, err error) {
	listCtx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	began := time.Now()
	var runs []*run
	next, err = s.pager.read(listCtx, namespace, token, func(r *run) {
		s.observer.ObserveKey(r.namespace, r.trigger, r.signedBy, r.created)
		r.trigger, r.signedBy = "", "" // saves memory: some runs are kept until the end of the sweep
		runs = append(runs, r)
	})
	s.listing += time.Since(began)
	if err != nil {
		return "", err
	}
	for _, r := range runs {
		if err := s.evaluate(ctx, r); err != nil {
			return "", err
		}
	}
	s.flush(ctx)
	return next, ctx.Err()
}

// evaluate adds a task if one is due for the run, or for another of its group that is displaced by
// it.
func (s *sweep) evaluate(ctx context.Context, r *run) error {
	s.seen[r.state]++
	if r.state == deleting {
		return nil
	}
	l, flow, err := s.limits(ctx, r) // of an active run too: absences has to know of its Flow
	if err != nil {
		return err
	}
	if r.state == active || l.unknown {
		return nil
	}
	if reason := l.expired(r, s.now()); reason != "" {
		s.remove(r, reason)
		return nil
	}
	if r.state == received {
		return s.dropPayload(ctx, r)
	}
	limit, surplus := l.kept(r)
	g := group{r.namespace, flow, r.state}
	if s.newest[g] == nil {
		s.newest[g] = &keepNewest{limit: limit}
	}
	switch displaced := s.newest[g].offer(r); {
	case displaced == nil:
		return nil
	case displaced.retained(s.now()):
		return s.dropPayload(ctx, displaced)
	default:
		s.remove(displaced, surplus)
		return nil
	}
}

// limits returns the limits that apply to a run, and the name of its Flow; no name if the Flow is
// gone. They are unknown if the Flow may come back: if it existed within the grace, or the run is
// so young that the Flow may have come and gone between two sweeps.
func (s *sweep) limits(ctx context.Context, r *run) (l limits, flow string, err error) {
	key := types.NamespacedName{Namespace: r.namespace, Name: r.flow}
	if l, ok := s.histories[key]; ok {
		return l, r.flow, nil
	}
	var object sluicev1alpha1.Flow
	if err := s.flows.Get(ctx, key, &object); err != nil {
		if !apierrors.IsNotFound(err) {
			return limits{}, "", fmt.Errorf("get the flow %q: %w", r.flow, err)
		}
		if now := s.now(); s.absences.recent(key, now) || now.Sub(r.created) < absenceGrace {
			return limits{unknown: true}, "", nil
		}
		return defaultLimits, "", nil
	}
	s.absences.seen(key)
	l = limitsOf(object.Spec.History)
	l.unknown = l.unknown || tolerant.HasUndecodableSpec(&object)
	s.histories[key] = l
	return l, r.flow, nil
}

// met returns whether the sweep has met runs of a Flow that exists.
func (s *sweep) met(flow types.NamespacedName) bool {
	_, ok := s.histories[flow]
	return ok
}

func (s *sweep) remove(r *run, reason reason) { s.tasks = append(s.tasks, task{r, reason}) }

func (s *sweep) dropPayload(ctx context.Context, r *run) error {
	l, _, err := s.limits(ctx, r)
	if err == nil && l.dropsPayload(r, s.now()) {
		s.tasks = append(s.tasks, task{run: r})
	}
	return err
}

// flush does the tasks.
func (s *sweep) flush(ctx context.Context) {
	deleted, dropped := s.writer.do(ctx, s.tasks)
	s.deleted, s.dropped = s.deleted+deleted, s.dropped+dropped
	clear(s.tasks)
	s.tasks = s.tasks[:0]
	s.adjustPace(time.Now())
}

// adjustPace raises the number of writes in flight during a sweep that has exceeded its period:
// there is more to delete than it can keep up with. Not so if it is late because writes were
// paused: the API server has asked for less load.
func (s *sweep) adjustPace(now time.Time) {
	took, period := now.Sub(s.pacedAt), period(s.listing, nil)
	if took <= period {
		return
	}
	if !s.writer.pausedSince(s.pacedAt) {
		s.writer.adjustConcurrency(took, period)
	}
	s.pacedAt = now
}
