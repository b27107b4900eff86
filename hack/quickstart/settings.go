/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// The environment variables that a user may set.
const (
	clusterVariable    = "QUICKSTART_CLUSTER"
	ingestPortVariable = "QUICKSTART_INGEST_PORT"
	apiPortVariable    = "QUICKSTART_API_PORT"
)

// The values of QUICKSTART_CLUSTER.
const (
	clusterEmbedded = "embedded"
	clusterCurrent  = "current"
)

// defaultIngestPort is the operator's own default.
const defaultIngestPort = 8080

// settings are what the environment says, and ports.
type settings struct {
	cluster string

	ingestPort int
	healthPort int // of the operator
	apiPort    int // of kube-apiserver
	etcdPort   int
}

func readSettings(getenv func(string) string) (settings, error) {
	s := settings{cluster: getenv(clusterVariable)}
	switch s.cluster {
	case "":
		s.cluster = clusterEmbedded
	case clusterEmbedded, clusterCurrent:
	default:
		return s, fmt.Errorf("%s must be %s or %s, not %q", clusterVariable, clusterEmbedded, clusterCurrent, s.cluster)
	}
	var err error
	if s.ingestPort, err = readPort(getenv, ingestPortVariable, defaultIngestPort); err != nil {
		return s, err
	}
	if s.apiPort, err = readPort(getenv, apiPortVariable, 0); err != nil {
		return s, err
	}
	if s.ingestPort != 0 && s.ingestPort == s.apiPort {
		return s, fmt.Errorf("%s and %s are both %d; choose different ports", ingestPortVariable, apiPortVariable, s.apiPort)
	}
	return s, nil
}

func readPort(getenv func(string) string, variable string, otherwise int) (int, error) {
	value := getenv(variable)
	if value == "" {
		return otherwise, nil
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s must be a port from 1 to 65535, or 0 for a free one, not %q", variable, value)
	}
	return int(port), nil
}

// choosePorts checks that the ports which were asked for are free, and chooses the others.
func (s *settings) choosePorts(ctx context.Context) error {
	for _, port := range []struct {
		number   *int
		variable string
	}{
		// Those that were asked for come first, so that none of them is chosen for another.
		{&s.ingestPort, ingestPortVariable},
		{&s.apiPort, apiPortVariable},
		{&s.healthPort, ""},
		{&s.etcdPort, ""},
	} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", localcluster.Address(*port.number))
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("port %d is in use; stop what uses it, or choose another port with %s", *port.number, port.variable)
		}
		if err != nil {
			return fmt.Errorf("port %d cannot be used (%w); choose another with %s", *port.number, err, port.variable)
		}
		// All are held until all are chosen: they are to be different.
		defer listener.Close() //nolint:errcheck,revive // nothing was written, and there are four of them
		if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
			*port.number = tcp.Port
		}
	}
	return nil
}
