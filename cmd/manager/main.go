/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command manager is the operator.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
)

func main() {
	err := run(ctrl.SetupSignalHandler(), os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "sluice:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	options := app.DefaultOptions()
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	options.BindFlags(flags)
	config.RegisterFlags(flags)
	version := flags.Bool("version", false, "Print the version and exit.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; all options are flags", flags.Arg(0))
	}
	if *version {
		fmt.Println(app.Version())
		return nil
	}
	if err := options.Validate(); err != nil {
		return err
	}

	if err := noticeLostConnections(); err != nil {
		return err
	}
	log := telemetry.NewLogger(os.Stderr, options.LogLevel, options.LogFormat)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	// What the servers for metrics and probes have to say about single connections, which have no
	// logger of their own.
	slog.SetLogLoggerLevel(slog.LevelDebug)
	slog.SetDefault(slog.New(logr.ToSlogHandler(log)))

	restConfig, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	log.Info("Starting", "version", app.Version(), "role", options.Role)
	options.Settled = startLean()
	operator, err := app.NewOperator(ctx, restConfig, options, log)
	if err != nil {
		return err
	}
	return operator.Start(ctx)
}

// noticeLostConnections makes client-go ping the API server on a connection that is silent for 5 s,
// and give it up after 5 s more. It would take 45 s otherwise when a connection is lost without a
// FIN or RST, as by a firewall or a node that is gone, and all watches share that connection;
// creates have some of their own, by HTTP/1.1. The environment is the only way to say so; what it
// says already holds.
func noticeLostConnections() error {
	for _, name := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} {
		if _, ok := os.LookupEnv(name); ok {
			continue
		}
		if err := os.Setenv(name, "5"); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}
