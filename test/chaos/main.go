/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command chaos breaks everything that Sluice depends on, and Sluice itself, while senders go on
// sending, and compares in the end what they were told with what etcd holds. It is what make chaos
// runs, in the project's root folder.
//
// It starts a control plane of its own on loopback addresses, several processes of role ingest and
// of role controller with the permissions of config/rbac, and a proxy between each of them and the
// API server. Senders arrive at a known rate, whatever becomes of those before them: with good
// signatures and forged ones, with delivery ids sent twice, with bodies that are too long, slow or
// broken off. A good sender comes back after 503 or a broken connection until its delivery is
// stored.
//
// What every request was told is in a ledger. What was stored is read from etcd's own history, by a
// watch that begins with the first revision. The rules that the two are held to are in ledger.go,
// and what is broken is in faults.go. A rule that was violated makes the exit status 1.
//
// The seed decides the order of the faults, what each arrival is, and every body. How the processes
// and their threads meet is not repeated by it.
//
// All processes are in process groups of their own and die with this one even if it is killed. What
// is written is in a temporary folder that is removed in the end, unless --keep is set.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errViolated means that the report says what must not be.
var errViolated = errors.New("a rule was violated; see the report")

func run(ctx context.Context, args []string) error {
	ctrllog.SetLogger(logr.Discard()) // the client complains if nobody says where it should log
	s, err := readSettings(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sluice-chaos-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if s.keep {
			fmt.Fprintln(os.Stderr, "logs and data are in", folder)
			return
		}
		_ = os.RemoveAll(folder)
	}()
	report, err := newExperiment(s, folder).run(ctx)
	if err != nil {
		return err
	}
	if err := report.print(os.Stdout, s.json); err != nil {
		return err
	}
	if len(report.Violations) > 0 {
		return errViolated
	}
	return nil
}
