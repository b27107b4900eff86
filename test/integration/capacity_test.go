/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// postTo sends a signed body to a trigger of any name.
func (o *operator) postTo(tb testing.TB, namespace, trigger, signature, body string) reply {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, o.url+"/hooks/"+namespace+"/"+trigger, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("X-HMAC-HASH", signature)
	r, err := do(request)
	if err != nil {
		tb.Fatalf("post: %v", err)
	}
	return r
}

// newTrigger adds a trigger with limits of its own to the world.
func newTrigger(tb testing.TB, namespace, name string, limits sluicev1alpha1.TriggerLimits) {
	tb.Helper()
	trigger := makeTrigger(namespace)
	trigger.Name = name
	trigger.Spec.Limits = limits
	env.Create(tb, trigger)
}

// TestTriggerLimits sees that the limits of a trigger hold, for verified requests alone and for
// that trigger alone.
func TestTriggerLimits(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	newTrigger(t, namespace, "rated", sluicev1alpha1.TriggerLimits{Rate: sluicev1alpha1.Rate{Requests: 2, Period: sluicev1alpha1.PerHour}})
	newTrigger(t, namespace, "burst", sluicev1alpha1.TriggerLimits{Rate: sluicev1alpha1.Rate{Requests: 1, Period: sluicev1alpha1.PerHour, Burst: 3}})
	newTrigger(t, namespace, "narrow", sluicev1alpha1.TriggerLimits{Concurrency: 1})
	newTrigger(t, namespace, "short", sluicev1alpha1.TriggerLimits{MaxBodyBytes: 10})
	newTrigger(t, namespace, "long", sluicev1alpha1.TriggerLimits{MaxBodyBytes: sluicev1alpha1.MaxPayloadBytes})
	entered, release := make(chan struct{}), make(chan struct{})
	o := startOperator(t, namespace, interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		if r.ContentLength > 5000 { // only the request that is to be held up is that long
			close(entered)
			<-release
		}
		return next.RoundTrip(r)
	}), func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Limits.AcceptDeadline, options.Limits.WriteTimeout, options.Limits.DrainTimeout = patience, 2*patience, patience
		}
	})

	for trigger, most := range map[string]int{"rated": 2, "burst": 3} {
		t.Run(trigger, func(t *testing.T) {
			for range 5 {
				if r := o.postTo(t, namespace, trigger, sign("another key of some length", "{}"), "{}"); r.status != http.StatusUnauthorized {
					t.Fatalf("a forged request is answered %d, want 401", r.status)
				}
			}
			for i := range most {
				if r := o.postTo(t, namespace, trigger, sign(keyText, "{}"), "{}"); r.status != http.StatusAccepted {
					t.Errorf("request %d is answered %d, want 202: forged ones must not count", i, r.status)
				}
			}
			r := o.postTo(t, namespace, trigger, sign(keyText, "{}"), "{}")
			if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); r.status != http.StatusTooManyRequests || err != nil || seconds < 1000 || seconds > 3603 {
				t.Errorf("one over the rate is answered %d with Retry-After %q, want 429 and most of an hour", r.status, r.header.Get("Retry-After"))
			}
			checkAnswer(t, "over the rate", http.MethodPost, r, 0)
		})
	}
	t.Run("narrow", func(t *testing.T) {
		long := strings.Repeat("x", 6000)
		first := make(chan reply, 1)
		go func() { first <- o.postTo(t, namespace, "narrow", sign(keyText, long), long) }()
		<-entered
		if r := o.postTo(t, namespace, "narrow", sign(keyText, "{}"), "{}"); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
			t.Errorf("a second one at a time is answered %d, want 429 with Retry-After", r.status)
		}
		if r := o.mustPost(t, namespace, keyText, "{}"); r.status != http.StatusAccepted {
			t.Errorf("another trigger's request is answered %d, want 202", r.status)
		}
		close(release)
		if r := <-first; r.status != http.StatusAccepted {
			t.Errorf("the first one is answered %d, want 202", r.status)
		}
		if r := o.postTo(t, namespace, "narrow", sign(keyText, "{}"), "{}"); r.status != http.StatusAccepted {
			t.Errorf("the next one is answered %d, want 202", r.status)
		}
	})
	t.Run("short", func(t *testing.T) {
		if r := o.postTo(t, namespace, "short", sign(keyText, "0123456789"), "0123456789"); r.status != http.StatusAccepted {
			t.Errorf("a body at the limit is answered %d, want 202", r.status)
		}
		r := o.postTo(t, namespace, "short", sign(keyText, "0123456789a"), "0123456789a")
		checkAnswer(t, "over the trigger's limit", http.MethodPost, r, 10)
		chunked := exchange(t, o, rawRequest("POST", "/hooks/"+namespace+"/short",
			[]string{"Transfer-Encoding: chunked", "X-HMAC-HASH: " + sign(keyText, "0123456789a")}, "b\r\n0123456789a\r\n0\r\n\r\n"))
		checkAnswer(t, "over the trigger's limit, in chunks", http.MethodPost, chunked, 10)
		if r.status != http.StatusRequestEntityTooLarge || chunked.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body over the limit is answered %d, and %d in chunks, want 413", r.status, chunked.status)
		}
	})
	t.Run("long", func(t *testing.T) {
		body := strings.Repeat("x", 1<<20+1)
		if r := o.postTo(t, namespace, "long", sign(keyText, body), body); r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body over the server's limit is answered %d, want 413", r.status)
		}
	})
	t.Run("changed", func(t *testing.T) {
		trigger := makeTrigger(namespace)
		trigger.Name = "rated"
		update(t, trigger, func(trigger *sluicev1alpha1.WebhookTrigger) { trigger.Spec.Limits = sluicev1alpha1.TriggerLimits{} })
		testenv.Eventually(t, patience, func() error {
			if r := o.postTo(t, namespace, "rated", sign(keyText, "{}"), "{}"); r.status != http.StatusAccepted {
				return fmt.Errorf("without the limit the answer is %d, want 202", r.status)
			}
			return nil
		})
	})
}

// TestFloodOfSlowSenders has connections hold all that a trigger may have, with bodies that do not
// come. The real sender gets in all the same, and so does that of another trigger.
func TestFloodOfSlowSenders(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	newTrigger(t, namespace, "other", sluicev1alpha1.TriggerLimits{})
	registry := prometheus.NewRegistry()
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Registerer = registry
			options.Limits.MaxInFlightBytes = 8 << 20
			options.Limits.ReadTimeout, options.Limits.WriteTimeout = patience, 2*patience
		}
	})
	const million = 1_000_000
	forged := rawRequest("POST", "/hooks/"+namespace+"/"+triggerName, []string{contentLength(10_000), "X-HMAC-HASH: " + sign("forged", "")}, "x")
	var flood []net.Conn
	for range 250 {
		connection := dial(t, o)
		if _, err := io.WriteString(connection, forged); err != nil {
			t.Fatal(err)
		}
		flood = append(flood, connection)
	}
	testenv.Eventually(t, patience, func() error {
		families, err := registry.Gather()
		if held := gauge(families, "sluice_ingest_in_flight_bytes"); err == nil && held < 5*million {
			err = fmt.Errorf("the flood holds %v, want as much as one trigger can get", held)
		}
		return err
	})

	small, large := "{}", strings.Repeat("x", million)
	// Slow is who has sent nothing for a tenth of a second.
	testenv.Eventually(t, patience, func() error {
		if r := o.mustPost(t, namespace, keyText, small); r.status != http.StatusAccepted {
			return fmt.Errorf("a small genuine request to the trigger is answered %d, want 202", r.status)
		}
		return nil
	})
	if r := o.postTo(t, namespace, "other", sign(keyText, large), large); r.status != http.StatusAccepted {
		t.Errorf("a long request to another trigger is answered %d, want 202", r.status)
	}
	// The flood has to make room for long ones too.
	testenv.Eventually(t, patience, func() error {
		if r := o.mustPost(t, namespace, keyText, large); r.status != http.StatusAccepted {
			return fmt.Errorf("a long genuine request is answered %d, want 202", r.status)
		}
		return nil
	})
	testenv.Eventually(t, patience, func() error {
		families, err := registry.Gather()
		if n := counter(families, "sluice_ingest_shed_total", "slow_sender"); err == nil && n < 1 {
			err = fmt.Errorf("%v slow senders were cut off, want one at least", n)
		}
		return err
	})
	if r := readReply(t, flood[0], http.MethodPost); r.status != http.StatusServiceUnavailable { // the oldest goes first
		t.Errorf("a slow sender that was cut off is answered %d, want 503", r.status)
	}
}

// TestOutage takes the API server away for long enough that Sluice stops to ask it for each
// request.
func TestOutage(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	registry := prometheus.NewRegistry()
	var down atomic.Bool
	var asked atomic.Int64
	o := startOperator(t, namespace,
		interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if down.Load() {
				asked.Add(1)
				return nil, errors.New("connection refused")
			}
			return next.RoundTrip(r)
		}),
		func(c *operatorConfig) {
			c.options = func(options *app.Options) {
				options.Registerer = registry
				options.Limits.AcceptDeadline = 100 * time.Millisecond
			}
		})
	open := func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return gauge(families, "sluice_ingest_circuit_open") == 1
	}
	testenv.Eventually(t, patience, func() error { // the deadline is short
		if r := o.mustPost(t, namespace, keyText, "{}"); r.status != http.StatusAccepted {
			return fmt.Errorf("answer is %d, want 202", r.status)
		}
		return nil
	})

	down.Store(true)
	testenv.Eventually(t, patience, func() error {
		r := o.mustPost(t, namespace, keyText, "{}")
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Fatalf("without an API server the answer is %d, want 503 with Retry-After", r.status)
		}
		if !open() {
			return errors.New("the circuit is closed")
		}
		return nil
	})
	// Nobody's body is read now, but that of one who tries; which may be this one.
	testenv.Eventually(t, patience, func() error {
		before := asked.Load()
		r, n, err := o.announceBody(t.Context(), namespace)
		if err != nil {
			return err
		}
		if r.status != http.StatusServiceUnavailable || n != 0 || asked.Load() != before {
			return fmt.Errorf("answer is %d after %d bytes and %d creates, want 503 and none", r.status, n, asked.Load()-before)
		}
		return nil
	})
	if err := o.ready(); err != nil {
		t.Errorf("the replica is not ready, though starting it again would not help: %v", err)
	}

	down.Store(false)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	if open() {
		t.Error("the circuit is open after a success")
	}
}

// TestUnreadBodies has senders announce bodies that nobody wants to read, and stay silent. net/http
// waits for such a body before it sends the answer; here not for as long as the read timeout
// allows, so that they cannot hold connections.
func TestUnreadBodies(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	const most = 20
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Limits.MaxConnections = most
			options.Limits.ReadTimeout, options.Limits.WriteTimeout = 4*patience, 5*patience
		}
	})
	path := "/hooks/" + namespace + "/" + triggerName
	for name, raw := range map[string]string{
		"404": rawRequest("POST", "/hooks/nobody/knows", []string{contentLength(1)}, ""),
		"405": rawRequest("PUT", path, []string{contentLength(1)}, ""),
		"401": rawRequest("POST", path, []string{contentLength(1), "X-HMAC-HASH: short"}, ""),
		"413": rawRequest("POST", path, []string{contentLength(1 << 30), "X-HMAC-HASH: " + sign(keyText, "")}, ""),
	} {
		r := exchange(t, o, raw) // which waits less long than the read timeout
		if got := strconv.Itoa(r.status); got != name {
			t.Errorf("answer is %s, want %s", got, name)
		}
	}
	for range most {
		if _, err := io.WriteString(dial(t, o), rawRequest("POST", "/hooks/nobody/knows", []string{contentLength(1)}, "")); err != nil {
			t.Fatal(err)
		}
	}
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
}
