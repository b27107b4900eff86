/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// eventually is how long tests wait for what takes milliseconds.
const soon = 30 * time.Second

// echo is a server that answers each line with a line, over a proxy.
type echo struct {
	proxy *proxy
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	p, err := newProxy(t.Context(), listener.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.close()
		_ = listener.Close()
		serving.Wait()
	})
	return &echo{proxy: p}
}

func (e *echo) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", e.proxy.port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a text and returns what comes back, of the same length.
func ask(c net.Conn, text string) (string, error) {
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	answer := make([]byte, len(text))
	n, err := io.ReadFull(c, answer)
	return string(answer[:n]), err
}

func mustAsk(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if got, err := ask(c, text); got != text || err != nil {
		t.Fatalf("the answer is %q, %v, want %q", got, err, text)
	}
}

// TestProxyPasses shows that a proxy in good weather is none: in both directions, of any length,
// and at the end of a stream.
func TestProxyPasses(t *testing.T) {
	t.Parallel()
	c := newEcho(t).dial(t)
	mustAsk(t, c, "hello")
	long := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		_, _ = c.Write(long)
		_ = c.(*net.TCPConn).CloseWrite() //nolint:errcheck,forcetypeassert // it is one
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, long) {
		t.Errorf("%d bytes came back, %v, want the %d that were sent", len(got), err, len(long))
	}
}

// TestProxyDelays shows that what is late arrives nevertheless, in its order.
func TestProxyDelays(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	e.proxy.set(weather{delay: 50 * time.Millisecond})
	c := e.dial(t)
	begin := time.Now()
	for _, text := range []string{"first", "second", "third"} {
		mustAsk(t, c, text)
	}
	// At least half of the delay, in each direction, three times.
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("the answers took %s, want 150 ms at least", took)
	}
}

// TestProxyLoses shows that nothing gets through while all is lost, and that it does once it is
// not.
func TestProxyLoses(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	c := e.dial(t)
	mustAsk(t, c, "before")
	e.proxy.set(weather{lost: true})
	if err := c.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(c, "during"); err == nil || got != "" {
		t.Errorf("the answer is %q, %v, want none", got, err)
	}
	e.proxy.set(weather{})
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("during"))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "during" {
		t.Errorf("after it, the answer is %q, %v, want the one that was under way", answer, err)
	}
}

// TestProxyCuts shows that connections are reset in the midst of an answer, those that there are
// and new ones.
func TestProxyCuts(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	old := e.dial(t)
	mustAsk(t, old, "before")
	e.proxy.set(weather{cutAfter: 1000})
	for name, c := range map[string]net.Conn{"old": old, "new": e.dial(t)} {
		text := string(bytes.Repeat([]byte("x"), 2000))
		got, err := ask(c, text)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the %s connection: %v, want it reset", name, err)
		}
		if len(got) > 1000 {
			t.Errorf("the %s connection: %d bytes of the answer came, want at most 1000", name, len(got))
		}
	}
	if n := e.proxy.cuts.Load(); n != 2 {
		t.Errorf("%d cuts are counted, want 2", n)
	}
	e.proxy.set(weather{})
	mustAsk(t, e.dial(t), "after")
}

// TestProxyRefuses shows that new connections are refused for as long as that is the weather.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	old := e.dial(t)
	mustAsk(t, old, "before")
	e.proxy.set(weather{refuse: true})
	if got, err := ask(e.dial(t), "during"); err == nil {
		t.Errorf("a new connection answers %q", got)
	}
	mustAsk(t, old, "during")
	e.proxy.reset()
	if got, err := ask(old, "after"); err == nil {
		t.Errorf("a connection that was reset answers %q", got)
	}
	e.proxy.set(weather{})
	mustAsk(t, e.dial(t), "after")
}

// TestProxyOrphans shows that old connections are dead and new ones are not.
func TestProxyOrphans(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	old := e.dial(t)
	mustAsk(t, old, "before")
	e.proxy.orphan()
	if err := old.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(old, "after"); err == nil || got != "" {
		t.Errorf("an orphan answers %q, %v", got, err)
	}
	mustAsk(t, e.dial(t), "after")
}

// TestProxyCloses shows that a proxy that is closed leaves nothing behind, whatever the weather.
func TestProxyCloses(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	c := e.dial(t)
	mustAsk(t, c, "before")
	e.proxy.set(weather{lost: true})
	if _, err := io.WriteString(c, "during"); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		e.proxy.close() // waits for everything that runs
		close(closed)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	select {
	case <-closed:
	case <-ctx.Done():
		t.Fatal("it does not end")
	}
	testenv.Eventually(t, soon, func() error {
		if _, err := ask(c, "after"); err == nil {
			return errors.New("the connection is still served")
		}
		return nil
	})
}
