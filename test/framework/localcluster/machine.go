/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
)

// Resident returns the resident memory of a process and the most that it has been, in bytes; 0 if
// it does not run, or if this is not Linux.
func Resident(pid int) (now, peak int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if pid == 0 || err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		var kib int64
		switch name {
		case "VmRSS":
			_, _ = fmt.Sscanf(value, "%d kB", &kib)
			now = kib << 10
		case "VmHWM":
			_, _ = fmt.Sscanf(value, "%d kB", &kib)
			peak = kib << 10
		}
	}
	return now, peak
}

// FreePorts returns different ports of the loopback address that are free. They are not of those
// that the kernel gives to outgoing connections: one of these could take the port of a process that
// is down for a moment.
func FreePorts(ctx context.Context, n int) ([]int, error) {
	const first, last, attempts = 20000, 30000, 1000
	var ports []int
	for range attempts {
		if len(ports) == n {
			return ports, nil
		}
		port := first + rand.IntN(last-first) //nolint:gosec // no secret
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", Address(port))
		if err != nil {
			continue
		}
		defer listener.Close() //nolint:errcheck,revive // all are held until all are chosen
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("there are no %d free ports from %d to %d", n, first, last)
}
