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
	"os"
	"slices"
	"strings"
	"time"
)

// settings are what the command line says, and what follows from it.
type settings struct {
	seed     uint64
	duration time.Duration
	rate     float64 // arrivals a second
	faults   []string
	short    bool
	json     string
	keep     bool
	manager  string

	assets        string // the folder of etcd and kube-apiserver
	haproxy       string // its path; empty if it is not installed
	replicas      int    // of ingest
	controllers   int
	lease         time.Duration
	readTimeout   time.Duration // --read-timeout of the replicas
	shutdownDelay time.Duration // --shutdown-delay of the replicas
}

// assetsVariable names the folder of etcd and kube-apiserver, as for controller-runtime's envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// readSettings reads the command line. What it says of mistakes goes to output.
func readSettings(args []string, getenv func(string) string, output io.Writer) (settings, error) {
	s := settings{assets: getenv(assetsVariable)}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Uint64Var(&s.seed, "seed", 1, "What the order of the faults, the mix of requests and their bodies are made from.")
	flags.DurationVar(&s.duration, "duration", 20*time.Minute, "How long to go on with faults. Every fault comes once in any case.")
	flags.Float64Var(&s.rate, "rate", 80, "How many senders arrive in a second.")
	names := flags.String("faults", "", "Only these faults, separated by commas, in this order; all if this is empty. They are: "+strings.Join(faultNames(), ", ")+".")
	flags.BoolVar(&s.short, "short", false, "A shortened run of less than 3 minutes: the most telling faults, at a lower rate.")
	flags.StringVar(&s.json, "json", "", "A file for the report as JSON.")
	flags.BoolVar(&s.keep, "keep", false, "Keep the folder with logs and data.")
	flags.StringVar(&s.manager, "manager", "bin/manager", "The operator's binary.")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var errs []error
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q; all options are flags", flags.Arg(0)))
	}
	s.replicas, s.controllers, s.lease, s.readTimeout, s.shutdownDelay = 3, 2, 16*time.Second, 15*time.Second, 5*time.Second
	if s.short {
		s.replicas, s.readTimeout, s.shutdownDelay = 2, 5*time.Second, time.Second
		s.faults = shortFaults
		if !isSet(flags, "rate") {
			s.rate = 30
		}
		if isSet(flags, "duration") {
			errs = append(errs, errors.New("--duration is not for --short, which takes each of its faults once"))
		}
		s.duration = 0
	}
	if s.rate <= 0 || s.rate > 10000 {
		errs = append(errs, fmt.Errorf("--rate must be more than 0 and at most 10000, not %g", s.rate))
	}
	if s.duration < 0 {
		errs = append(errs, fmt.Errorf("--duration must not be negative, as %s is", s.duration))
	}
	if *names != "" {
		s.faults, s.duration = strings.Split(*names, ","), 0
		for _, name := range s.faults {
			if !slices.Contains(faultNames(), name) {
				errs = append(errs, fmt.Errorf("--faults: there is no fault %q; there are %s", name, strings.Join(faultNames(), ", ")))
			}
		}
	}
	if s.assets == "" {
		errs = append(errs, fmt.Errorf("%s must name the folder of etcd and kube-apiserver; make chaos sets it", assetsVariable))
	}
	if _, err := os.Stat(s.manager); err != nil {
		errs = append(errs, fmt.Errorf("--manager: %w; make build makes it", err))
	}
	return s, errors.Join(errs...)
}

func isSet(flags *flag.FlagSet, name string) bool {
	set := false
	flags.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// command is what repeats the run.
func (s settings) command() string {
	switch {
	case s.short:
		return fmt.Sprintf("bin/chaos --short --seed=%d", s.seed)
	case s.faults != nil:
		return fmt.Sprintf("bin/chaos --seed=%d --rate=%g --faults=%s", s.seed, s.rate, strings.Join(s.faults, ","))
	}
	return fmt.Sprintf("make chaos SEED=%d DURATION=%s RATE=%g", s.seed, s.duration, s.rate)
}
