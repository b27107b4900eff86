/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	wrkCommand     = "wrk"
	wrkConnections = 64
)

// A shot is what wrk sends again and again.
type shot struct {
	server    *localcluster.Child
	url, path string
	headers   map[string]string
	status    int // what the answer has to be
}

// script is for wrk: what to send, and to print what came of it as JSON.
func (s *shot) script(body []byte) string {
	var text strings.Builder
	fmt.Fprintf(&text, "wrk.method = \"POST\"\nwrk.path = %q\nwrk.body = %q\n", s.path, body)
	for name, value := range s.headers {
		fmt.Fprintf(&text, "wrk.headers[%q] = %q\n", name, value)
	}
	text.WriteString(`done = function(summary)
	io.write(string.format('{"requests":%d,"microseconds":%d,"broken":%d}\n', summary.requests, summary.duration,
		summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
`)
	return text.String()
}

// fire has wrk send for a while, and returns the answers in a second, and how many microseconds of
// a processor the server took for each.
func (s *shot) fire(ctx context.Context, b *bench, last time.Duration) (rate, cost float64, err error) {
	before, err := processorTime(s.server.PID())
	if err != nil {
		return 0, 0, err
	}
	file := filepath.Join(b.folder, "wrk.lua")
	if err := os.WriteFile(file, []byte(s.script(newBody(0))), 0o600); err != nil {
		return 0, 0, fmt.Errorf("write a script for wrk: %w", err)
	}
	//nolint:gosec // our own addresses
	out, err := exec.CommandContext(ctx, wrkCommand, "--threads=1", fmt.Sprintf("--connections=%d", wrkConnections),
		fmt.Sprintf("--duration=%.0fs", max(1, last.Seconds())), "--script="+file, s.url).Output() // wrk knows whole seconds only
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w", err)
	}
	requests, took, err := parseWrk(string(out))
	if err != nil {
		return 0, 0, err
	}
	after, err := processorTime(s.server.PID())
	return requests / took.Seconds(), (after - before).Seconds() * 1e6 / requests, err
}

var errBroken = errors.New("requests broke off")

// parseWrk reads what the script has wrk print.
func parseWrk(out string) (requests float64, took time.Duration, err error) {
	var result struct{ Requests, Microseconds, Broken float64 }
	_, line, _ := strings.Cut(out, "\n{")
	if err := json.Unmarshal([]byte("{"+line), &result); err != nil {
		return 0, 0, fmt.Errorf("read what wrk prints, %q: %w", out, err)
	}
	if result.Broken > 0 || result.Requests == 0 {
		return 0, 0, fmt.Errorf("wrk: %w: %s", errBroken, out)
	}
	return result.Requests, time.Duration(result.Microseconds) * time.Microsecond, nil
}

// probe sends the request once, and returns an error unless it is answered as it has to be.
func (s *shot) probe(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+s.path, strings.NewReader(string(newBody(0))))
	if err != nil {
		return err
	}
	for name, value := range s.headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != s.status {
		return fmt.Errorf("%s%s is answered %s", s.url, s.path, response.Status)
	}
	return nil
}

// reject measures how many requests are refused in a second.
func reject(ctx context.Context, b *bench) ([]table, error) {
	url, err := b.cluster.ingestURL(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := b.cluster.deliver(ctx); err != nil { // so the trigger is there
		return nil, err
	}
	child, bare, err := startBare(ctx, b, bareCommand)
	if err != nil {
		return nil, err
	}
	defer child.End()
	t := table{
		Name:     "reject",
		Title:    fmt.Sprintf("Requests with a body of 1 KiB that are refused, in a second, over %d connections. The ratio of processor times is turned round: it is what the first would be if nothing else took time.", wrkConnections),
		Baseline: "a bare net/http handler with the same timeouts, in a process of its own.",
	}
	path := "/hooks/" + b.cluster.namespace + "/" + triggerName
	forged, err := signedHeaders(newSigner("another key"), newBody(0))
	if err != nil {
		return nil, err
	}
	wrong := map[string]string{signatureHeader: forged.Get(signatureHeader)}
	for _, c := range []struct {
		name           string
		sluice, theirs shot
		target         float64
	}{
		{
			name:   "wrong signature (bare: reads the body, 401)",
			sluice: shot{server: b.cluster.ingest.child, url: url, path: path, headers: wrong, status: http.StatusUnauthorized},
			theirs: shot{server: child, url: bare, path: bareRead, headers: wrong, status: http.StatusUnauthorized},
			target: 0.85,
		},
		{
			name:   "unknown path (bare: 404)",
			sluice: shot{server: b.cluster.ingest.child, url: url, path: path + "-unknown", headers: wrong, status: http.StatusNotFound},
			theirs: shot{server: child, url: bare, path: bareUnknown, headers: wrong, status: http.StatusNotFound},
			target: 0.95,
		},
		{
			name:   "no signature (bare: 401)",
			sluice: shot{server: b.cluster.ingest.child, url: url, path: path, status: http.StatusUnauthorized},
			theirs: shot{server: child, url: bare, path: bareUnread, status: http.StatusUnauthorized},
			target: 0.95,
		},
	} {
		var measured, baseline, cost, bareCost []float64
		turn := func(s *shot, rates, costs *[]float64) func(bool) error {
			return func(warmUp bool) error {
				if warmUp {
					if err := s.probe(ctx); err != nil {
						return err
					}
					_, _, err := s.fire(ctx, b, time.Second)
					return err
				}
				rate, cost, err := s.fire(ctx, b, b.settings.round)
				*rates, *costs = append(*rates, rate), append(*costs, cost)
				return err
			}
		}
		if err := interleave(b.settings.rounds, turn(&c.theirs, &baseline, &bareCost), turn(&c.sluice, &measured, &cost)); err != nil {
			return nil, err
		}
		r := compare(c.name, "a second", measured, baseline, target{atLeast, c.target}, false)
		costs := compare("… processor time of the server", "µs a request", cost, bareCost, target{}, true)
		t.Rows = append(t.Rows, r, costs)
		b.say("  %s: %s; by processor time %s", c.name, r.Ratio.ratio(), costs.Ratio.ratio())
	}
	return []table{t}, b.cluster.deleteRuns(ctx)
}
