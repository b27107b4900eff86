/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// setting returns the number that an environment variable holds, or another one.
func setting(b *testing.B, name string, usual int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// benchRun is a run as ingest stores it, with a payload of 1 KiB.
func benchRun(namespace string, i int) *sluicev1alpha1.FlowRun {
	run := makeRun(namespace, fmt.Sprintf("orders-%020d", i))
	run.Spec.Payload.Text = strings.Repeat("x", 1024)
	run.Spec.Payload.Size = new(int64(1024))
	return run
}

// BenchmarkSweep stores 20,000 FlowRuns, or as many as SLUICE_BENCH_RUNS says, and reports how long
// a sweep takes that finds nothing to do, how much memory it takes, and then how fast all of them
// are deleted.
func BenchmarkSweep(b *testing.B) {
	namespace, count := env.Namespace(b), setting(b, "SLUICE_BENCH_RUNS", 20_000)
	env.Create(b, makeFlow(namespace))
	var group errgroup.Group
	group.SetLimit(16)
	for i := range count {
		group.Go(func() error {
			return env.Client.Create(b.Context(), benchRun(namespace, i))
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}

	now := time.Now()
	c := newCollector(b, in(namespace), func(o *Options) { o.Now = func() time.Time { return now } })
	debug.FreeOSMemory()
	resetPeak(b)
	before := residentMiB(b, "VmRSS")
	for b.Loop() {
		if _, err := c.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/sweep")
	b.ReportMetric(residentMiB(b, "VmHWM")-before, "MiB-more-at-most")

	now = now.Add(defaultLimits.received)
	began := time.Now()
	if _, err := c.Sweep(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(count)/time.Since(began).Seconds(), "deletes/s")
	if left := countRuns(b, namespace); left != 0 {
		b.Fatalf("%d runs are left of %d", left, count)
	}
}

// BenchmarkSteadyState creates 200 FlowRuns a second for 60 seconds, or as SLUICE_BENCH_RATE and
// SLUICE_BENCH_SECONDS say, while a Collector deletes those that are older than a second; with
// SLUICE_BENCH_FINISH=1 each of them succeeds before, and all but the newest 10 are deleted. It
// reports whether the deletes keep pace.
func BenchmarkSteadyState(b *testing.B) {
	namespace := env.Namespace(b)
	perSecond, seconds := setting(b, "SLUICE_BENCH_RATE", 200), setting(b, "SLUICE_BENCH_SECONDS", 60)
	finish := setting(b, "SLUICE_BENCH_FINISH", 0) == 1
	flow := makeFlow(namespace)
	flow.Spec.History = sluicev1alpha1.History{TTLSecondsAfterReceived: 1, SuccessfulRunsHistoryLimit: new(int32(10))}
	if finish {
		flow.Spec.History.TTLSecondsAfterReceived = 3600
	}
	env.Create(b, flow)
	c := newCollector(b, in(namespace))
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return c.Start(ctx) })

	for b.Loop() {
		load(b, namespace, perSecond, seconds, finish)
	}
	stop()
	if err := group.Wait(); err != nil {
		b.Error(err)
	}
}

func load(b *testing.B, namespace string, perSecond, seconds int, finish bool) {
	b.Helper()
	limiter := rate.NewLimiter(rate.Limit(perSecond), 1)
	var mu sync.Mutex
	var took []time.Duration
	var group errgroup.Group
	group.SetLimit(64)
	began, counts, nextCount := time.Now(), []int{}, time.Now()
	for i := range perSecond * seconds {
		if err := limiter.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		if time.Now().After(nextCount) {
			nextCount = nextCount.Add(time.Second)
			group.Go(func() error {
				count := countRuns(b, namespace)
				mu.Lock()
				defer mu.Unlock()
				counts = append(counts, count)
				return nil
			})
		}
		group.Go(func() error {
			run, sent := benchRun(namespace, i), time.Now()
			if err := env.Client.Create(b.Context(), run); err != nil {
				return err
			}
			mu.Lock()
			took = append(took, time.Since(sent))
			mu.Unlock()
			if !finish {
				return nil
			}
			object := &sluicev1alpha1.FlowRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: run.Name}}
			return env.Client.Status().Patch(b.Context(), object, client.RawPatch("application/merge-patch+json", finished(true, time.Now())))
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(took))/time.Since(began).Seconds(), "creates/s")
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "create-p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "create-p99-ms")
	b.ReportMetric(float64(slices.Max(counts[len(counts)/3:])), "runs-at-most")
	b.ReportMetric(float64(counts[len(counts)-1]), "runs-at-the-end")
	b.Logf("runs, each second: %v", counts)
}

// countRuns returns how many FlowRuns there are.
func countRuns(tb testing.TB, namespace string) int {
	tb.Helper()
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("FlowRunList"))
	if err := env.Client.List(tb.Context(), &list, client.InNamespace(namespace), client.Limit(1)); err != nil {
		tb.Error(err)
		return -1
	}
	count := len(list.Items)
	if more := list.RemainingItemCount; more != nil {
		count += int(*more)
	}
	return count
}

// residentMiB returns a figure of this process's memory, as Linux calls it.
func residentMiB(b *testing.B, figure string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(figure+":")); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatal(errors.New("no " + figure))
	return 0
}

// resetPeak makes VmHWM begin anew.
func resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}
