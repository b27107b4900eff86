/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package testenv

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

// Run runs something until the test ends, or until stop is called, and fails the test if it ends
// with an error. stop returns when it has ended, and may be called again.
func Run(tb testing.TB, what string, start func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the %s ended with: %v", what, err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// FreeAddress returns a loopback address whose port was free a moment ago.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it was only to find a port
	return listener.Addr().String()
}

// Buffer collects what several goroutines write, such as a log, and can be read meanwhile.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String implements fmt.Stringer.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
