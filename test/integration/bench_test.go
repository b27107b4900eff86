/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// BenchmarkSecretRotation measures how long it takes from the update of a Secret until the new key
// is accepted and the old one refused.
func BenchmarkSecretRotation(b *testing.B) {
	namespace := newWorld(b)
	o := startOperator(b, namespace)
	o.eventuallyAnswers(b, namespace, keyText, http.StatusAccepted)
	key := keyText
	var took []time.Duration
	for b.Loop() {
		old := key
		key = fmt.Sprintf("key-number-%030d", len(took))
		update(b, makeSecret(namespace, ""), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(key)} })
		begin := time.Now()
		o.eventuallyAnswers(b, namespace, key, http.StatusAccepted)
		if r := o.mustPost(b, namespace, old, "{}"); r.status != http.StatusUnauthorized {
			b.Fatalf("the old key is answered %d, want 401", r.status)
		}
		took = append(took, time.Since(begin))
	}
	reportQuantiles(b, took)
}

// BenchmarkAccept measures a signed request from the sender's side, one at a time.
func BenchmarkAccept(b *testing.B) {
	namespace := newWorld(b)
	o := startOperator(b, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.LogLevel = 0 }
	})
	body := strings.Repeat("x", 1024)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if r := o.mustPost(b, namespace, keyText, body); r.status != http.StatusAccepted {
			b.Fatalf("answer is %d, want 202", r.status)
		}
		took = append(took, time.Since(begin))
	}
	reportQuantiles(b, took)
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1000, "max-ms")
}

// BenchmarkWarmUp starts the operator, as a process of its own, on 10,000 triggers with a Secret
// each, and reports how long the warm-up of the route table took and how much memory the process
// then has. Another number can be set with SLUICE_BENCH_TRIGGERS.
func BenchmarkWarmUp(b *testing.B) {
	count := 10_000
	if s := os.Getenv("SLUICE_BENCH_TRIGGERS"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	namespace := env.Namespace(b)
	env.Create(b, makeFlow(namespace))
	group, _ := errgroup.WithContext(b.Context())
	group.SetLimit(32)
	for i := range count {
		group.Go(func() error {
			secret, trigger := makeSecret(namespace, keyText), makeTrigger(namespace)
			secret.Name = fmt.Sprintf("secret-%06d", i)
			trigger.Name = fmt.Sprintf("trigger-%06d", i)
			trigger.Spec.SecretRef.Name = secret.Name
			if err := env.Client.Create(b.Context(), secret); err != nil {
				return err
			}
			return env.Client.Create(b.Context(), trigger)
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}

	dir := b.TempDir()
	manager := filepath.Join(dir, "manager")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", manager, "./cmd/manager")
	build.Dir = testenv.Root()
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the manager: %v\n%s", err, out)
	}
	kubeconfig, err := env.AddUser(b, "warm-up", "system:masters").KubeConfig()
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), kubeconfig, 0o600); err != nil {
		b.Fatal(err)
	}

	for b.Loop() {
		log := &logBuffer{}
		health := testenv.FreeAddress(b)
		process := exec.CommandContext(b.Context(), manager, "--role=ingest", "--kubeconfig="+filepath.Join(dir, "kubeconfig"),
			"--watch-namespaces="+namespace, "--ingest-bind-address=127.0.0.1:0", "--health-probe-bind-address="+health,
			"--metrics-bind-address=0", "--shutdown-delay=0")
		process.Stderr = log
		begin := time.Now()
		if err := process.Start(); err != nil {
			b.Fatal(err)
		}
		o := &operator{health: "http://" + health}
		testenv.Eventually(b, 5*time.Minute, o.ready)
		ready := time.Since(begin)
		b.ReportMetric(ready.Seconds(), "s-until-ready")
		b.ReportMetric(warmUpTook(b, log.String()).Seconds(), "s-warm-up")
		b.ReportMetric(residentMiB(b, process.Process.Pid), "MiB-resident")
		if err := process.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := process.Wait(); err != nil {
			b.Fatalf("the manager ended with: %v\n%s", err, log.tail(20))
		}
	}
}

// warmUpTook reads the time from the operator's log.
func warmUpTook(b *testing.B, log string) time.Duration {
	b.Helper()
	for line := range strings.Lines(log) {
		var entry struct{ Msg, Took string }
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.Msg == "Warmed up the route table" {
			took, err := time.ParseDuration(entry.Took)
			if err != nil {
				b.Fatal(err)
			}
			return took
		}
	}
	b.Fatalf("the log does not say how long the warm-up took:\n%s", log)
	return 0
}

// residentMiB returns the resident memory of a process.
func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
