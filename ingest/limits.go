/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
)

// Limits bound what a request, a connection and a shutdown may cost. Use DefaultLimits and change
// what must differ.
type Limits struct {
	// MaxBodyBytes is the longest body that is read; a longer one gets 413.
	MaxBodyBytes int64
	// MaxHeaderBytes bounds the request line and headers; more gets 431. net/http allows 4 KiB on
	// top.
	MaxHeaderBytes int
	// MaxInFlightBytes bounds the bodies that are in memory at a time, from before they are read
	// until they are answered, with 16 KiB added for each; a request for which there is no room
	// gets 503. A body takes up to about 5 times its length while it is being stored, so that is
	// what the memory of the process has to be.
	MaxInFlightBytes int64
	// MaxConnections is how many connections there may be, and how many requests of HTTP/2 whose
	// bodies are to come; for one more, connlimit chooses which one has to go.
	MaxConnections int
	// MaxCreates is how many FlowRuns may be stored at a time at the most. How many there really
	// are follows from the latency of the API server.
	MaxCreates int

	// ReadHeaderTimeout is how long the headers may take.
	ReadHeaderTimeout time.Duration
	// ReadTimeout is how long the headers and the body together may take; a slower body gets 408.
	ReadTimeout time.Duration
	// AcceptDeadline is how long after its last byte a request is answered at the latest, with 503
	// if the outcome of the create is not known by then. Slack waits 3 s for an answer, Shopify 5,
	// GitHub 10.
	AcceptDeadline time.Duration
	// WriteTimeout bounds a request from the end of its headers to the end of the answer, the
	// reading of the body included.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request.
	IdleTimeout time.Duration

	// ShutdownDelay is how long requests are served on after readiness has turned red, so that load
	// balancers have time to notice.
	ShutdownDelay time.Duration
	// DrainTimeout is how long the requests that are then in flight may take.
	DrainTimeout time.Duration
}

// DefaultLimits returns the limits that the flags default to.
func DefaultLimits() Limits {
	return Limits{
		MaxBodyBytes:      1 << 20,
		MaxHeaderBytes:    8 << 10,
		MaxInFlightBytes:  32 << 20,
		MaxConnections:    1024,
		MaxCreates:        256,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		AcceptDeadline:    2 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		ShutdownDelay:     5 * time.Second,
		DrainTimeout:      20 * time.Second,
	}
}

// BindFlags adds a flag for each limit, with its present value as the default.
func (l *Limits) BindFlags(fs *flag.FlagSet) {
	fs.Int64Var(&l.MaxBodyBytes, "max-body-bytes", l.MaxBodyBytes,
		fmt.Sprintf("The longest request body in bytes; a longer one gets 413. At most %d, so that any body fits into etcd.", delivery.MaxBody))
	fs.IntVar(&l.MaxHeaderBytes, "max-header-bytes", l.MaxHeaderBytes,
		"The longest request line and headers in bytes; longer ones get 431.")
	fs.Int64Var(&l.MaxInFlightBytes, "max-in-flight-bytes", l.MaxInFlightBytes,
		"How many bytes of bodies, and 16384 for each request, may be in flight; a request for which there is no room gets 503. At most about 5 times as much memory is used.")
	fs.IntVar(&l.MaxConnections, "max-connections", l.MaxConnections,
		"How many connections there may be, and how many requests of HTTP/2 whose bodies are to come. One more takes the place of one of the client that holds the most, or of one that is slow, or idle, the longest.")
	fs.IntVar(&l.MaxCreates, "max-creates", l.MaxCreates,
		"How many FlowRuns may be stored at a time at the most; the latency of the API server decides how many there really are.")
	fs.DurationVar(&l.ReadHeaderTimeout, "read-header-timeout", l.ReadHeaderTimeout,
		"How long the headers of a request may take.")
	fs.DurationVar(&l.ReadTimeout, "read-timeout", l.ReadTimeout,
		"How long a request may take to arrive, headers and body; a slower body gets 408.")
	fs.DurationVar(&l.AcceptDeadline, "accept-deadline", l.AcceptDeadline,
		"How long after its last byte a request is answered at the latest, with 503 if its FlowRun is not known to be stored by then.")
	fs.DurationVar(&l.WriteTimeout, "write-timeout", l.WriteTimeout,
		"How long a request may take from its headers to the end of the answer. At least --read-timeout and --accept-deadline together.")
	fs.DurationVar(&l.IdleTimeout, "idle-timeout", l.IdleTimeout,
		"How long a connection without a request is kept.")
	fs.DurationVar(&l.ShutdownDelay, "shutdown-delay", l.ShutdownDelay,
		"How long requests are served on after readiness has turned red, so that load balancers notice. 0 is allowed.")
	fs.DurationVar(&l.DrainTimeout, "drain-timeout", l.DrainTimeout,
		"How long requests in flight may take after that.")
}

// Validate returns what is wrong with the limits, naming the flags.
func (l *Limits) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(l.MaxBodyBytes >= 1 && l.MaxBodyBytes <= delivery.MaxBody,
		"--max-body-bytes must be from 1 to %d, not %d", delivery.MaxBody, l.MaxBodyBytes)
	check(l.MaxHeaderBytes >= 1024, "--max-header-bytes must be at least 1024, not %d", l.MaxHeaderBytes)
	check(l.MaxInFlightBytes >= l.MaxBodyBytes+overload.RequestOverhead || l.MaxBodyBytes > delivery.MaxBody,
		"--max-in-flight-bytes must be at least --max-body-bytes and %d (%d), not %d", overload.RequestOverhead, l.MaxBodyBytes+overload.RequestOverhead, l.MaxInFlightBytes)
	check(l.MaxInFlightBytes <= 1<<40, "--max-in-flight-bytes must be at most %d, not %d", 1<<40, l.MaxInFlightBytes)
	check(l.MaxConnections >= 1, "--max-connections must be at least 1, not %d", l.MaxConnections)
	check(l.MaxCreates >= 1, "--max-creates must be at least 1, not %d", l.MaxCreates)
	for _, timeout := range []struct {
		flag  string
		value time.Duration
	}{
		{"read-header-timeout", l.ReadHeaderTimeout},
		{"read-timeout", l.ReadTimeout},
		{"accept-deadline", l.AcceptDeadline},
		{"idle-timeout", l.IdleTimeout},
		{"drain-timeout", l.DrainTimeout},
	} {
		check(timeout.value > 0, "--%s must be more than 0, not %s", timeout.flag, timeout.value)
	}
	check(l.ReadHeaderTimeout <= l.ReadTimeout || l.ReadTimeout <= 0,
		"--read-header-timeout must be at most --read-timeout (%s), which includes it, not %s", l.ReadTimeout, l.ReadHeaderTimeout)
	check(l.ShutdownDelay >= 0, "--shutdown-delay must not be negative, as %s is", l.ShutdownDelay)
	check(l.WriteTimeout-l.ReadTimeout >= l.AcceptDeadline, // a sum could overflow
		"--write-timeout must be at least --read-timeout and --accept-deadline together (%s), not %s", l.ReadTimeout+l.AcceptDeadline, l.WriteTimeout)
	check(l.DrainTimeout >= l.AcceptDeadline,
		"--drain-timeout must be at least --accept-deadline (%s), not %s", l.AcceptDeadline, l.DrainTimeout)
	return errors.Join(errs...)
}
