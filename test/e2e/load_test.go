//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

const (
	// answerLimit is how long a sender waits for an answer.
	answerLimit = 30 * time.Second
	// pause is between two requests of a sender. Six of them send at this pace, which leaves the
	// processors to the cluster.
	pause = 200 * time.Millisecond
	// slowBody is how long the slow senders take for a body: longer than a pod that stops goes on
	// to take requests (5 s).
	slowBody = 8 * time.Second
)

// A signing is how requests to a trigger are signed.
type signing struct {
	trigger   string
	algorithm signature.Algorithm
	key       string
}

// orders signs as the sample trigger of that name wants it.
func orders(key string) signing {
	return signing{trigger: "orders", algorithm: signature.SHA256, key: key}
}

// An answer is what became of a request.
type answer struct {
	status int
	run    string // the name of the FlowRun
	took   time.Duration
	err    error
}

// A ledger has all answers.
type ledger struct {
	mu       sync.Mutex
	accepted map[string]int // how often a FlowRun was named
	refused  int
	failed   int // attempts after which nobody knows whether there is a FlowRun
}

func (l *ledger) add(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.status == http.StatusAccepted:
		if l.accepted == nil {
			l.accepted = map[string]int{}
		}
		l.accepted[a.run]++
	case a.err == nil && a.status < http.StatusInternalServerError:
		l.refused++
	default:
		l.failed++
	}
}

// newSender returns a client that does not repeat requests.
func newSender(keepAlive bool) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: !keepAlive}, Timeout: answerLimit}
}

// send signs a body and sends it, and notes the answer.
func (w *world) send(ctx context.Context, sender *http.Client, by signing, body string, content io.Reader) answer {
	signed, err := signature.Sign(signature.Scheme{Algorithm: by.algorithm}, signature.Key{Name: by.trigger, Secret: []byte(by.key)}, signature.Unsigned{Body: []byte(body)})
	if err != nil {
		return answer{err: err}
	}
	begin := time.Now()
	a := func() answer {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/hooks/"+shop+"/"+by.trigger, content)
		if err != nil {
			return answer{err: err}
		}
		request.ContentLength = int64(len(body))
		request.GetBody = nil // net/http would repeat a request whose connection turns out to be closed
		request.Header = signed.Headers
		request.Header.Set("Content-Type", "application/json")
		response, err := sender.Do(request)
		if err != nil {
			return answer{err: err}
		}
		defer response.Body.Close()
		var text bytes.Buffer
		if _, err := text.ReadFrom(response.Body); err != nil {
			return answer{status: response.StatusCode, err: err}
		}
		var stored struct{ FlowRun struct{ Name string } }
		if response.StatusCode == http.StatusAccepted {
			if err := json.Unmarshal(text.Bytes(), &stored); err != nil || stored.FlowRun.Name == "" {
				return answer{err: fmt.Errorf("the answer names no FlowRun: %s", &text)}
			}
		}
		return answer{status: response.StatusCode, run: stored.FlowRun.Name}
	}()
	a.took = time.Since(begin)
	w.ledger.add(a)
	return a
}

// The kinds of senders: one that keeps its connection, one that makes one for each request, and one
// that takes long for a body, so that its requests are in flight when a pod is told to stop.
const (
	keepingSender    = "keep-alive"
	connectingSender = "new connection"
	slowSender       = "slow"
)

// kinds are all senders of a load.
var kinds = []string{
	keepingSender, keepingSender, keepingSender, keepingSender,
	connectingSender, connectingSender,
	slowSender, slowSender, slowSender, slowSender,
}

// A load is what was sent while a step did something.
type load struct {
	mu       sync.Mutex
	begin    time.Time
	count    int
	slow     int
	worst    time.Duration
	failures []string
	inFlight map[string]int // by key
}

func (l *load) start(by signing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[by.key]++
}

func (l *load) add(kind string, by signing, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight[by.key]--
	l.count++
	if kind == slowSender {
		l.slow++
	} else {
		l.worst = max(l.worst, a.took)
	}
	if a.status != http.StatusAccepted {
		l.failures = append(l.failures, fmt.Sprintf("after %.1f s: %s sender, status %d, %v", time.Since(l.begin).Seconds(), kind, a.status, a.err))
	}
}

// more waits until as many requests again have been answered.
func (l *load) more(t *testing.T, requests int) {
	t.Helper()
	total := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.count
	}
	want := total() + requests
	testenv.Eventually(t, patience, func() error {
		if n := total(); n < want {
			return fmt.Errorf("%d requests were answered, want %d", n, want)
		}
		return nil
	})
}

// unused waits until no request is under way that is signed with a key.
func (l *load) unused(t *testing.T, key string) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := l.inFlight[key]; n > 0 {
			return fmt.Errorf("%d requests are signed with the key and not answered yet", n)
		}
		return nil
	})
}

func (l *load) String() string {
	return fmt.Sprintf("%d requests, %d of them slow, %d failed; the longest of the others took %d ms", l.count, l.slow, len(l.failures), l.worst.Milliseconds())
}

// underLoad does something while senders send, and returns what became of that. Who is not answered
// 202 sends the same body again, as webhook senders do, until it is. sign is asked anew for each
// request.
func (w *world) underLoad(t *testing.T, sign func() signing, do func(*load)) *load {
	t.Helper()
	l := &load{begin: time.Now(), inFlight: map[string]int{}}
	var stopped atomic.Bool
	var senders sync.WaitGroup
	var number atomic.Int64
	for _, kind := range kinds {
		senders.Go(func() {
			sender := newSender(kind == keepingSender)
			defer sender.CloseIdleConnections()
			tick := time.NewTicker(pause)
			defer tick.Stop()
			body, accepted := "", true
			for ; !stopped.Load() || !accepted; <-tick.C {
				if accepted {
					body = fmt.Sprintf(`{"number": %d}`, number.Add(1))
				}
				var content io.Reader = strings.NewReader(body)
				if kind == slowSender {
					content = &slowReader{ctx: t.Context(), text: body}
				}
				by := sign()
				l.start(by)
				a := w.send(t.Context(), sender, by, body, content)
				l.add(kind, by, a)
				accepted = a.status == http.StatusAccepted || t.Context().Err() != nil
			}
		})
	}
	defer senders.Wait() // also if what is done fails the test
	defer stopped.Store(true)
	l.more(t, 2*len(kinds)) // all are under way, the slow ones with a body in flight
	do(l)
	return l
}

// withoutFailure is underLoad for what no sender may notice.
func (w *world) withoutFailure(t *testing.T, sign func() signing, do func(*load)) *load {
	t.Helper()
	l := w.underLoad(t, sign, do)
	if len(l.failures) > 0 {
		t.Fatalf("%d of %d requests were not accepted:\n%s", len(l.failures), l.count, strings.Join(l.failures[:min(20, len(l.failures))], "\n"))
	}
	return l
}

// slowReader reads half of a text at once and the rest after a while.
type slowReader struct {
	ctx  context.Context //nolint:containedctx // a Reader has no other way to be told
	text string
	read int
}

func (r *slowReader) Read(p []byte) (int, error) {
	half := len(r.text) / 2
	switch {
	case r.read == len(r.text):
		return 0, io.EOF
	case r.read < half:
		n := copy(p, r.text[r.read:half])
		r.read += n
		return n, nil
	case r.read == half:
		timer := time.NewTimer(slowBody)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
	n := copy(p, r.text[r.read:])
	r.read += n
	return n, nil
}
