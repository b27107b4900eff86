/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what the command line says.
type settings struct {
	experiments []string
	connections []int // of the experiment accept
	rounds      int
	round       time.Duration
	steady      time.Duration
	triggers    int
	output      string
	page        string
	manager     string
	pprof       bool
	url         string // of a Sluice that runs already; empty for a cluster of its own
	keep        bool

	assets  string // the folder of etcd and kube-apiserver
	command string // what repeats the run
}

// assetsVariable names the folder of etcd and kube-apiserver, as for controller-runtime's envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// readSettings reads the command line. What it says of mistakes goes to output.
func readSettings(args []string, getenv func(string) string, output io.Writer) (settings, error) {
	s := settings{assets: getenv(assetsVariable), command: strings.TrimSpace("bin/bench " + strings.Join(args, " "))}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	known, usual := experimentNames(false)
	names := flags.String("experiments", "", "Only these experiments, separated by commas. They are: "+strings.Join(known, ", ")+". If this is empty: "+strings.Join(usual, ", ")+".")
	connections := flags.String("connections", "1,16,64,256", "Over how many connections the experiment accept measures, one after the other.")
	flags.IntVar(&s.rounds, "rounds", 5, "How often each thing is measured, by turns with what it is compared with.")
	flags.DurationVar(&s.round, "round", 2*time.Second, "How long one measurement of throughput takes; those of latency take longer.")
	flags.DurationVar(&s.steady, "steady", time.Minute, "How long FlowRuns come, are done and go at a constant rate.")
	flags.IntVar(&s.triggers, "triggers", 10_000, "How many triggers there are, with a Secret each, for the start of a replica and the rotation of keys. 100000 take about 15 minutes.")
	flags.StringVar(&s.output, "output", "bin/bench-results", "The folder for the report and its charts.")
	flags.StringVar(&s.page, "page", "", "A page that the report is put into, and its charts into a folder of that name, instead of --output.")
	flags.StringVar(&s.manager, "manager", "bin/manager", "The operator's binary.")
	flags.BoolVar(&s.pprof, "pprof", false, "Print where replicas serve /debug/pprof.")
	flags.StringVar(&s.url, "url", "", "Where a Sluice that runs already receives webhooks, such as http://192.0.2.1:8080. The cluster is that of KUBECONFIG then.")
	flags.BoolVar(&s.keep, "keep", false, "Keep the folder with logs and data.")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(flags.NArg() == 0, "unexpected argument %q; all options are flags", flags.Arg(0))
	for number := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(number)
		check(err == nil && n >= 1 && n <= 10_000, "--connections must be numbers from 1 to 10000 with commas between them, not %q", *connections)
		s.connections = append(s.connections, n)
	}
	check(s.rounds >= 1 && s.rounds <= 1000, "--rounds must be from 1 to 1000, not %d", s.rounds)
	check(s.round >= 100*time.Millisecond && s.round <= time.Hour, "--round must be from 100ms to 1h, not %s", s.round)
	check(s.steady >= time.Second, "--steady must be at least 1s, not %s", s.steady)
	check(s.triggers >= 1 && s.triggers < 1_000_000, "--triggers must be from 1 to 999999, not %d", s.triggers)
	if s.url != "" {
		u, err := url.Parse(s.url)
		check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "",
			"--url must be the scheme and the host of a server, such as http://192.0.2.1:8080, not %q", s.url)
		s.url = strings.TrimRight(s.url, "/")
	} else {
		check(s.assets != "", "%s must name the folder of etcd and kube-apiserver; make bench sets it", assetsVariable)
		if _, err := os.Stat(s.manager); err != nil {
			errs = append(errs, fmt.Errorf("--manager: %w; make build makes it", err))
		}
	}
	possible, usual := experimentNames(s.url != "")
	s.experiments = usual
	if *names != "" {
		s.experiments = strings.Split(*names, ",")
		for _, name := range s.experiments {
			check(slices.Contains(possible, name), "--experiments: there is no experiment %q here; there are %s", name, strings.Join(possible, ", "))
		}
	}
	return s, errors.Join(errs...)
}
