/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command quickstart runs Sluice with a control plane of its own, real etcd and kube-apiserver on
// loopback addresses, until Ctrl-C. It is what make quickstart runs, in the project's root folder.
//
// Everything it writes is in .quickstart: a kubeconfig, the logs, and the control plane's data and
// keys. The next start begins with empty data. The logs are kept when it stops, the rest is
// removed.
//
// Environment variables change what it does:
//
//	QUICKSTART_CLUSTER      embedded (the default), or current for the cluster that kubectl talks to
//	QUICKSTART_INGEST_PORT  the port of the ingest URLs, 8080 by default; 0 takes a free one
//	QUICKSTART_API_PORT     the port of the embedded kube-apiserver; 0, the default, takes a free one
//	KUBEBUILDER_ASSETS      a folder with kube-apiserver and etcd, instead of getting or building them
//
// In a current cluster it watches the namespace default alone, overwrites nothing that somebody
// else manages, and leaves the CustomResourceDefinitions and samples there when it stops.
//
// The processes it starts are in process groups of their own, so that Ctrl-C reaches only itself.
// On Linux they die with it even if it is killed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const usage = `Runs Sluice with a control plane of its own on this machine, until Ctrl-C.
Usage, in the project's root folder: make quickstart

Environment variables:
  QUICKSTART_CLUSTER      embedded (the default), or current for the cluster that
                          kubectl talks to: KUBECONFIG or ~/.kube/config
  QUICKSTART_INGEST_PORT  the port of the ingest URLs, 8080 by default; 0 takes a
                          free one
  QUICKSTART_API_PORT     the port of the embedded kube-apiserver; 0, the default,
                          takes a free one
  KUBEBUILDER_ASSETS      a folder with kube-apiserver and etcd, instead of getting
                          or building them

With QUICKSTART_CLUSTER=current, the CustomResourceDefinitions and the samples (in
the namespace default) are left in the cluster when it stops.
`

// The kernel kills a process whose parent's thread has ended, if it was asked to, as the children
// are (localcluster.Attributes). The main thread ends last of all, so this keeps the main
// goroutine, which starts the children, on it.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "-h", "-help", "--help", "help":
			fmt.Print(usage)
			return
		default:
			fmt.Fprintf(os.Stderr, "quickstart: unexpected argument %q; settings are environment variables, see --help\n", os.Args[1])
			os.Exit(2)
		}
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run runs everything until a signal comes or something fails.
func run(ctx context.Context) error {
	ctrllog.SetLogger(logr.Discard()) // the client complains if nobody says where it should log
	settings, err := readSettings(os.Getenv)
	if err != nil {
		return err
	}
	ctx, fail, hurry := localcluster.Notify(ctx)
	defer fail(nil)

	if err := settings.choosePorts(ctx); err != nil {
		return err
	}
	unlock, err := prepareFolder()
	if err != nil {
		return err
	}
	defer unlock()

	children := &localcluster.Children{Folder: folder, Fail: fail, Hurry: hurry}
	q := &quickstart{settings: settings, children: children}
	err = q.start(ctx)
	if err == nil {
		<-ctx.Done()
	}
	// What ended the context is the reason; what the step in progress made of that is not.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	// Without one of them the others would not finish anything, but wait for it.
	children.Stop(!errors.Is(err, localcluster.ErrChildEnded))
	removeTemporary()
	if errors.Is(err, localcluster.ErrSignalled) {
		fmt.Println("Stopped.")
		return nil
	}
	return err
}
