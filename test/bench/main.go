/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command bench measures Sluice against what it cannot be faster than: creates straight at
// kube-apiserver, a bare net/http handler, crypto/hmac, a Go map. It is what make bench runs, in
// the project's root folder, on Linux.
//
// What counts are ratios: what is compared is measured by turns in one run, A B A B, and the ratio
// is taken within each round. A figure is the median of the rounds with the first and the third
// quartile. Absolute figures are for orientation: the generator, Sluice, kube-apiserver and etcd
// share one machine. FlowRuns are deleted after each round, as a database that grows is slower.
//
// The load comes from vegeta. Where latency is reported, requests are sent at a rate, whatever
// becomes of those before them, so that stalls count. Where the most that can be done is reported,
// each of a number of connections sends one request after the other. For requests that are refused,
// that is wrk's work: it takes less of the processors.
//
// It starts a control plane of its own on loopback addresses, and processes of the operator with
// the permissions of config/rbac. With --url it uses a Sluice that runs already and the cluster of
// KUBECONFIG, where it makes a namespace and deletes it in the end. Then the experiments are left
// out for which processes have to be started or looked at.
//
// The control plane, and all that is written but the results, is in a temporary folder that is
// removed in the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

func main() {
	if len(os.Args) >= 3 && os.Args[1] == bareCommand {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(os.Args[2], os.Args[3:]...))
		os.Exit(1)
	}
	err := run(context.Background(), os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp), errors.Is(err, localcluster.ErrSignalled):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	ctrllog.SetLogger(logr.Discard()) // the client complains if nobody says where it should log
	s, err := readSettings(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	ctx, fail, hurry := localcluster.Notify(ctx)
	defer fail(nil)
	children := newChildren(&localcluster.Children{Folder: folder, Fail: fail, Hurry: hurry})
	defer func() {
		if s.keep {
			fmt.Fprintln(os.Stderr, "logs and data are in", folder)
			return
		}
		_ = os.RemoveAll(folder)
	}()
	defer children.Stop(false) // nothing that they hold is of use any more

	begin := time.Now()
	b := &bench{settings: s, folder: folder, children: children, begin: begin}
	tables, err := b.run(ctx)
	report := &report{Command: s.command, Begin: begin, Seconds: time.Since(begin).Seconds(), Tables: tables}
	if len(tables) > 0 {
		report.Machine = b.machine(context.WithoutCancel(ctx))
		err = errors.Join(err, report.writeText(os.Stdout))
		if s.page != "" && err == nil {
			err = report.writePage(s.page)
		} else { // what was measured before something failed is not lost
			err = errors.Join(err, report.write(s.output))
		}
	}
	// What ended the context is the reason; what the step in progress made of that is not.
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
