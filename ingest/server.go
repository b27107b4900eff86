/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/ingest/connlimit"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/diagnosis"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
)

// Options are what a Server is made of. All but TLS, TrustedProxies, Tracing, Reporter and Now are
// required.
type Options struct {
	// Address is where to listen, as host:port; port 0 takes a free one.
	Address string
	// TLS has the certificate to serve; nil for plain HTTP.
	TLS *tls.Config
	// Table is what is served. The server does not listen before it is warm.
	Table *route.Table
	// Sink stores the deliveries.
	Sink delivery.Sink
	// Limits must be valid.
	Limits Limits
	// TrustedProxies are those whose X-Forwarded-For says who the client is; nil for none.
	TrustedProxies connlimit.Proxies
	// Registerer takes the server's metrics.
	Registerer prometheus.Registerer
	// Tracing says how requests are traced; nil for not at all.
	Tracing *Tracing
	// Log is where the server logs.
	Log logr.Logger
	// Reporter is told why requests were refused, at most once a minute, trigger and cause; nil for
	// nobody.
	Reporter diagnosis.Reporter
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// A Server is the webhook server, to be run by a manager, on every replica, after its caches have
// synced. It is none of the servers that controller-runtime offers: those listen before the caches
// have synced, and at shutdown they cancel the requests in flight.
type Server struct {
	address   string
	tls       *tls.Config
	table     *route.Table
	limits    Limits
	log       logr.Logger
	handler   http.Handler
	conns     *connlimit.Limiter
	diagnoser *diagnosis.Diagnoser
	draining  *atomic.Bool
	listener  atomic.Pointer[net.Listener] // nil unless it is accepting

	stopOnce sync.Once
	stop     chan struct{} // closed by Drain
	started  atomic.Bool
	done     chan struct{} // closed when Start returns
}

// NewServer returns a server that is not running.
func NewServer(o Options) (*Server, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	conns := connlimit.New(o.Limits.MaxConnections, 2*o.Limits.AcceptDeadline, o.TrustedProxies, time.Now)
	budget := overload.NewBudget(o.Limits.MaxInFlightBytes, time.Now)
	control := overload.NewControl(overload.LimiterOptions{
		Most:    o.Limits.MaxCreates,
		Target:  o.Limits.AcceptDeadline / 4,
		MaxWait: o.Limits.AcceptDeadline / 2,
	}, time.Now)
	m, err := newMetrics(o.Registerer, o.Table, levels{
		control: control, budget: budget, connections: conns, maxConnections: o.Limits.MaxConnections,
	})
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	draining := new(atomic.Bool)
	diagnoser := diagnosis.New(o.Reporter, o.Log, o.Now)
	return &Server{
		address:   o.Address,
		tls:       o.TLS,
		table:     o.Table,
		limits:    o.Limits,
		log:       o.Log,
		handler:   newHandler(o, parts{conns, budget, control, m, diagnoser, draining}),
		conns:     conns,
		diagnoser: diagnoser,
		draining:  draining,
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
	}, nil
}

// NeedLeaderElection tells a manager that every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Start listens once the table is warm, and serves until ctx ends or Drain is called. Then it
// drains: CheckDraining reports it, requests are served on for the shutdown delay while connections
// are closed after their next answer, the listener is closed, and requests in flight are finished
// within the drain timeout. ctx ending cancels none of them. Start can be called once.
func (s *Server) Start(ctx context.Context) error {
	s.started.Store(true)
	defer close(s.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()

	select { // a path that the table does not have yet may well exist
	case <-s.table.Warm():
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	inFlight := context.WithoutCancel(ctx)
	server := &http.Server{
		Handler:                      s.handler,
		TLSConfig:                    s.tls,
		BaseContext:                  func(net.Listener) context.Context { return inFlight },
		ReadHeaderTimeout:            s.limits.ReadHeaderTimeout,
		ReadTimeout:                  s.limits.ReadTimeout,
		WriteTimeout:                 s.limits.WriteTimeout,
		IdleTimeout:                  s.limits.IdleTimeout,
		MaxHeaderBytes:               s.limits.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is an unknown path like any other
		ConnState:                    s.conns.ConnState,
		ConnContext:                  s.conns.ConnContext,
		ErrorLog:                     log.New(connectionLog{s.log}, "", 0),
	}
	setProtocols(server, s.limits.WriteTimeout)
	diagnosing, stopDiagnosing := context.WithCancel(inFlight)
	defer stopDiagnosing()
	go s.diagnoser.Run(diagnosing)
	served := make(chan error, 1)
	go func() { served <- serve(server, listener) }()
	s.listener.Store(&listener)
	s.log.Info("Listening for webhooks", "address", listener.Addr().String(), "tls", s.tls != nil)

	select {
	case err := <-served:
		s.listener.Store(nil)
		return fmt.Errorf("serve webhooks: %w", err)
	case <-ctx.Done():
	}

	s.draining.Store(true)
	s.log.Info("Draining", "delay", s.limits.ShutdownDelay.String(), "timeout", s.limits.DrainTimeout.String())
	delay := time.NewTimer(s.limits.ShutdownDelay)
	defer delay.Stop()
	select {
	case err := <-served:
		s.listener.Store(nil)
		return fmt.Errorf("serve webhooks: %w", err)
	case <-delay.C:
	}
	s.listener.Store(nil)
	drain, stopDraining := context.WithTimeout(inFlight, s.limits.DrainTimeout)
	defer stopDraining()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("requests were still in flight after the drain timeout: %w", err)
	}
	s.log.Info("Drained")
	return nil
}

// Drain makes Start drain and returns when that is done. Stopping a server so, before its manager,
// keeps its routes up to date to the end: a key that is revoked meanwhile is refused, and a trigger
// that is new is served.
func (s *Server) Drain() {
	s.stopOnce.Do(func() { close(s.stop) })
	if s.started.Load() {
		<-s.done
	}
}

// Address returns where the server listens, or nil while it does not.
func (s *Server) Address() net.Addr {
	if listener := s.listener.Load(); listener != nil {
		return (*listener).Addr()
	}
	return nil
}

// The checks of readiness. Each is nil when all is well.
var (
	errNotWarm      = errors.New("the route table is not filled yet")
	errNotListening = errors.New("the webhook server is not listening")
	errDraining     = errors.New("the webhook server is shutting down")
)

// CheckRoutes is a health check that fails until the table is warm.
func (s *Server) CheckRoutes(*http.Request) error {
	select {
	case <-s.table.Warm():
		return nil
	default:
		return errNotWarm
	}
}

// CheckListening is a health check that fails unless the server listens.
func (s *Server) CheckListening(*http.Request) error {
	if s.Address() == nil {
		return errNotListening
	}
	return nil
}

// CheckDraining is a health check that fails from the moment that the server was told to stop.
func (s *Server) CheckDraining(*http.Request) error {
	if s.draining.Load() {
		return errDraining
	}
	return nil
}

// connectionLog takes what net/http has to say about single connections. Anybody who can connect
// causes it, so it is for debugging only.
type connectionLog struct{ log logr.Logger }

// Write implements io.Writer.
func (c connectionLog) Write(line []byte) (int, error) {
	c.log.V(1).Info("Trouble with a connection", "err", string(line))
	return len(line), nil
}
