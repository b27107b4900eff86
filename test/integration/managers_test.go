/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// countStatusWrites counts an operator's writes of triggers' status.
func countStatusWrites(writes *atomic.Int32) func(*operatorConfig) {
	return func(c *operatorConfig) {
		c.transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/status") {
					writes.Add(1)
				}
				return next.RoundTrip(r)
			})
		}
	}
}

// TestTwoManagers runs two operators of role all: both serve, one writes status. When that one
// stops, not one request to the other fails, and it takes over the status.
func TestTwoManagers(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	var writes [2]atomic.Int32
	first := startOperator(t, namespace, countStatusWrites(&writes[0]))
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	second := startOperator(t, namespace, countStatusWrites(&writes[1]))
	for _, o := range []*operator{first, second} {
		acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
	}

	flow := makeFlow(namespace)
	disable := func(f *sluicev1alpha1.Flow) { f.Spec.State = sluicev1alpha1.FlowDisabled }
	enable := func(f *sluicev1alpha1.Flow) { f.Spec.State = sluicev1alpha1.FlowEnabled }
	update(t, flow, disable)
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonFlowDisabled)
	for _, o := range []*operator{first, second} { // both follow, though only one writes
		o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	}
	update(t, flow, enable)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	for _, o := range []*operator{first, second} {
		o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	}
	if writes[0].Load() == 0 || writes[1].Load() != 0 {
		t.Errorf("the leader wrote status %d times and the other %d times, want some and none", writes[0].Load(), writes[1].Load())
	}

	load := startLoad(t, second, namespace)
	load.awaitAnswers(t, 20)
	first.stop()
	<-first.done
	update(t, flow, disable)
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonFlowDisabled)
	if writes[1].Load() == 0 {
		t.Errorf("the other manager has not taken over the status")
	}
	load.stop()
	// 503 is right once the Flow is disabled.
	if bad := load.failures(http.StatusAccepted, http.StatusServiceUnavailable); len(bad) > 0 {
		t.Errorf("%d of %d requests to the other manager failed: %v", len(bad), load.count(), bad[:min(5, len(bad))])
	}
}

// TestRollingRestart stops a replica of role ingest under load, as a rollout does, with senders
// that keep their connections and move on when they are told to. Every request is answered 202, by
// the one or the other.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	ingestOnly := func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Role = app.RoleIngest
			options.Limits.ShutdownDelay = time.Second
		}
	}
	old := startOperator(t, namespace, ingestOnly)
	fresh := startOperator(t, namespace, ingestOnly)

	load := startLoad(t, old, namespace, fresh)
	load.awaitAnswers(t, 50)
	old.stop()
	<-old.done
	load.awaitAnswers(t, load.count()+50)
	load.stop()
	if bad := load.failures(http.StatusAccepted); len(bad) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(bad), load.count(), bad[:min(5, len(bad))])
	}
	if n := countRuns(t, namespace); n != load.count() {
		t.Errorf("there are %d runs of %d requests that were accepted", n, load.count())
	}
}

// load sends signed requests from several senders until it is stopped.
type load struct {
	cancel  context.CancelFunc
	senders sync.WaitGroup
	mu      sync.Mutex
	answers []string
}

// startLoad sends to the first operator, and to the next when that one closes the connection: a
// load balancer has noticed by then that it is going.
func startLoad(t *testing.T, first *operator, namespace string, others ...*operator) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	t.Cleanup(l.stop)
	for range 4 {
		l.senders.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			target := append([]*operator{first}, others...)
			for ctx.Err() == nil {
				answer, closed := send(transport, target[0], namespace)
				if closed && len(target) > 1 {
					target = target[1:]
				}
				l.mu.Lock()
				l.answers = append(l.answers, answer)
				l.mu.Unlock()
			}
		})
	}
	return l
}

// send returns the status of the answer, or the error, and whether the server asks to close the
// connection.
func send(transport *http.Transport, o *operator, namespace string) (answer string, closed bool) {
	request, err := http.NewRequest(http.MethodPost, o.url+"/hooks/"+namespace+"/"+triggerName, strings.NewReader("{}")) //nolint:noctx // a request that was begun is finished, or the ledger would not add up
	if err != nil {
		return err.Error(), false
	}
	request.Header.Set("X-HMAC-HASH", sign(keyText, "{}"))
	response, err := wholeRun.sender(transport).RoundTrip(request)
	if err != nil {
		return err.Error(), false
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err.Error(), false
	}
	return fmt.Sprint(response.StatusCode), response.Close
}

func (l *load) stop() {
	l.cancel()
	l.senders.Wait()
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answers)
}

func (l *load) awaitAnswers(t *testing.T, n int) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		if got := l.count(); got < n {
			return fmt.Errorf("there are %d answers, want %d", got, n)
		}
		return nil
	})
}

// failures returns the answers that are none of these.
func (l *load) failures(good ...int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bad []string
next:
	for _, answer := range l.answers {
		for _, status := range good {
			if answer == fmt.Sprint(status) {
				continue next
			}
		}
		bad = append(bad, answer)
	}
	return bad
}
