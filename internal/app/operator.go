/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/controllers/history"
	"github.com/sluice-dev/sluice/controllers/webhooktrigger"
	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/sink/kube"
	"github.com/sluice-dev/sluice/internal/kube/relist"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/internal/kube/strip"
	"github.com/sluice-dev/sluice/internal/kube/tolerant"
)

const (
	// leaderElectionID is the name of the lease.
	leaderElectionID = "sluice-controller"
	// shutdownMargin is what the manager gets on top of the time that the webhook server takes to
	// drain.
	shutdownMargin = 5 * time.Second
)

// An Operator is the whole of one process.
type Operator struct {
	Manager ctrl.Manager
	// Table and Server are nil in role controller.
	Table  *route.Table
	Server *ingest.Server

	synced   started
	warmedUp <-chan struct{} // closed when nothing is left to do for it; nil without a table
}

// The lease of the leader, and an Event of the core API that says who leads.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=create,namespace=sluice-system,roleName=sluice-leader-election
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=sluice-controller,verbs=get;update,namespace=sluice-system,roleName=sluice-leader-election
// +kubebuilder:rbac:groups=core,resources=events,verbs=create,namespace=sluice-system,roleName=sluice-leader-election

// NewOperator puts an operator together. ctx bounds the setting up only.
func NewOperator(ctx context.Context, restConfig *rest.Config, o Options, log logr.Logger) (*Operator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	restConfig = rest.CopyConfig(restConfig)
	restConfig.QPS = -1 // API Priority and Fairness is the limiter
	restConfig.UserAgent = "sluice/" + Version() + " (" + string(o.Role) + ")"

	certificates, err := readCertificates(o)
	if err != nil {
		return nil, err
	}
	types := scheme.New()
	restConfig.Wrap(relist.Wrap(log.WithName("outage")))
	restConfig.Wrap(tolerant.Wrap(types, log.WithName("unreadable"))) // around the other: it makes errors of broken answers

	namespaces := watchedNamespaces(o.WatchNamespaces)
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme: types,
		Logger: log,
		Cache: cache.Options{
			DefaultNamespaces:           namespaces,
			DefaultTransform:            strip.Transform(o.Role.controller()),
			ReaderFailOnMissingInformer: true,
		},
		Client: client.Options{
			// A cached read of a Secret would start a cache of all Secrets with their data.
			Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}},
		},
		Metrics:                       metricsOptions(o, certificates[UseMetrics]),
		HealthProbeBindAddress:        o.HealthAddress,
		PprofBindAddress:              o.PprofAddress,
		LeaderElection:                o.Role.controller(),
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true, // safe because the process exits when the manager has stopped
		LeaseDuration:                 &o.LeaseDuration,
		RenewDeadline:                 &o.RenewDeadline,
		RetryPeriod:                   &o.RetryPeriod,
		GracefulShutdownTimeout:       new(shutdownTime(o)),
		// Several operators in one process, as tests have them, are no mistake; two controllers of
		// one name in one manager would fail to register their metrics anyway.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	if err := addCertificates(mgr, certificates, o); err != nil {
		return nil, err
	}
	selector, err := labels.Parse(o.SecretLabelSelector)
	if err != nil {
		return nil, fmt.Errorf("--secret-label-selector: %w", err) // Validate has parsed it before
	}
	secrets, err := webhooktrigger.NewSecretCache(mgr.GetConfig(), mgr.GetHTTPClient(), mgr.GetScheme(), namespaces, selector)
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(secrets); err != nil {
		return nil, fmt.Errorf("add the cache of Secret metadata: %w", err)
	}
	if err := webhooktrigger.SetupIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	operator := &Operator{Manager: mgr}
	if err := operator.addHealthChecks(); err != nil {
		return nil, err
	}
	if o.Role.ingest() {
		if err := operator.addIngest(ctx, secrets, webhookTLS(o, certificates[UseWebhooks]), o); err != nil {
			return nil, err
		}
	}
	if err := operator.addSettling(o.Settled, o.SettleTime); err != nil {
		return nil, err
	}
	if o.Role.controller() {
		usage, err := webhooktrigger.SetupStatus(mgr, secrets, o.ExternalURL, o.KeyUsagePeriod)
		if err != nil {
			return nil, fmt.Errorf("set up the status controller: %w", err)
		}
		if err := addHistory(ctx, mgr, slices.Sorted(maps.Keys(namespaces)), o, usage); err != nil {
			return nil, err
		}
	}
	return operator, nil
}

// shutdownTime is how long the manager may take to stop. Without webhooks to drain it is far less
// than the 30 s that Kubernetes gives a pod by default, so that the leader's lease is released
// before.
func shutdownTime(o Options) time.Duration {
	if !o.Role.ingest() {
		return shutdownMargin
	}
	return o.Limits.ShutdownDelay + o.Limits.DrainTimeout + shutdownMargin
}

// Start runs the operator until ctx ends and its requests in flight are answered. The webhook
// server is drained before the manager stops, so that controllers and caches keep its routes up to
// date until then.
func (o *Operator) Start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- o.Manager.Start(running) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	if o.Server != nil {
		o.Server.Drain()
	}
	stop()
	if !o.synced.yes.Load() {
		// A manager of controller-runtime that is stopped while its caches wait to be filled never
		// returns: for want of a permission, say, or of an API server. Nothing has been served yet,
		// and the process is about to end.
		return nil
	}
	return <-stopped
}

func (o *Operator) addIngest(ctx context.Context, secrets *webhooktrigger.SecretCache, certificate *tls.Config, options Options) error {
	mgr := o.Manager
	o.Table = route.NewTable()
	var err error
	if o.warmedUp, err = webhooktrigger.SetupRoutes(ctx, mgr, secrets, o.Table, options.ExternalURL); err != nil {
		return fmt.Errorf("set up the route controller: %w", err)
	}
	sink, err := kube.New(mgr.GetConfig(), options.Limits.MaxCreates)
	if err != nil {
		return err
	}
	tracing, err := addTracing(ctx, mgr, options.Tracing)
	if err != nil {
		return err
	}
	o.Server, err = ingest.NewServer(ingest.Options{
		Address:        options.IngestAddress,
		TLS:            certificate,
		Table:          o.Table,
		Sink:           sink,
		Limits:         options.Limits,
		TrustedProxies: options.TrustedProxies,
		Registerer:     options.registerer(),
		Tracing:        tracing,
		Log:            mgr.GetLogger().WithName("ingest"),
		Now:            options.Now,
		Reporter:       webhooktrigger.RefusalRecorder{Recorder: mgr.GetEventRecorder("sluice-ingest")},
	})
	if err != nil {
		return fmt.Errorf("set up the webhook server: %w", err)
	}
	if err := mgr.Add(o.Server); err != nil {
		return fmt.Errorf("add the webhook server: %w", err)
	}
	return errors.Join(
		mgr.AddReadyzCheck("routes", o.Server.CheckRoutes),
		mgr.AddReadyzCheck("ingest", o.Server.CheckListening),
		mgr.AddReadyzCheck("draining", o.Server.CheckDraining),
	)
}

// addSettling adds what calls settled, if there is such a function.
func (o *Operator) addSettling(settled func(), after time.Duration) error {
	if settled == nil {
		return nil
	}
	s := &settling{warmedUp: o.warmedUp, after: after, settled: settled}
	if err := o.Manager.Add(s); err != nil {
		return fmt.Errorf("add what follows the start: %w", err)
	}
	return nil
}

// addHistory adds what deletes FlowRuns.
func addHistory(ctx context.Context, mgr ctrl.Manager, namespaces []string, options Options, observer history.KeyObserver) error {
	// Before the first sweep reads Flows: a cache has only what somebody has asked it to have.
	if _, err := mgr.GetCache().GetInformer(ctx, &sluicev1alpha1.Flow{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watch flows: %w", err)
	}
	collector, err := history.NewCollector(history.Options{
		Config:      mgr.GetConfig(),
		Flows:       mgr.GetClient(),
		Namespaces:  namespaces,
		KeyObserver: observer,
		Registerer:  options.registerer(),
		Log:         mgr.GetLogger().WithName("history"),
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(collector); err != nil {
		return fmt.Errorf("add the collector of flow runs: %w", err)
	}
	return nil
}

// addHealthChecks adds what holds for every role. Liveness does not depend on the API server:
// starting again would not bring it back.
func (o *Operator) addHealthChecks() error {
	return errors.Join(
		o.Manager.Add(&o.synced),
		o.Manager.AddHealthzCheck("ping", healthz.Ping),
		o.Manager.AddReadyzCheck("caches", o.synced.check),
	)
}

// started learns from the manager that the caches have synced: it is started after them.
type started struct{ yes atomic.Bool }

// NeedLeaderElection tells the manager that this holds on every replica.
func (s *started) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (s *started) Start(context.Context) error {
	s.yes.Store(true)
	return nil
}

var errNotSynced = errors.New("the caches have not synced yet")

func (s *started) check(*http.Request) error {
	if !s.yes.Load() {
		return errNotSynced
	}
	return nil
}

func watchedNamespaces(names []string) map[string]cache.Config {
	if len(names) == 0 {
		return nil
	}
	namespaces := make(map[string]cache.Config, len(names))
	for _, name := range names {
		namespaces[name] = cache.Config{}
	}
	return namespaces
}
