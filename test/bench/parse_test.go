/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	all := figures{}
	for range 2 {
		err := all.add(`goos: linux
BenchmarkDefaultScheme/SHA-256/64B/Verify-2         	   83312	       712.5 ns/op	  89.82 MB/s	       0 B/op	       0 allocs/op
BenchmarkSecretRotation 	 20	 52000000 ns/op	 51.00 p50-ms
--- BENCH: BenchmarkX
PASS
`)
		if err != nil {
			t.Fatal(err)
		}
	}
	want := figures{
		"DefaultScheme/SHA-256/64B/Verify": {"ns/op": {712.5, 712.5}, "MB/s": {89.82, 89.82}, "B/op": {0, 0}, "allocs/op": {0, 0}},
		"SecretRotation":                   {"ns/op": {52e6, 52e6}, "p50-ms": {51, 51}},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := all.times("Renamed"); err == nil {
		t.Error("a benchmark that is gone is not noticed")
	}
	if err := all.add("BenchmarkX-2 1 many ns/op\n"); err == nil {
		t.Error("a number that is none is not noticed")
	}
}

func TestParseWrk(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason, output string
		want           float64
		wantTook       time.Duration
		fails          bool
	}{
		"counted": {reason: "microseconds are a time", output: "Running 2s test\n  Non-2xx or 3xx responses: 100\n{\"requests\":100,\"microseconds\":2000000,\"broken\":0}\n", want: 100, wantTook: 2 * time.Second},
		"broken":  {reason: "connections that break are no answers", output: "Running\n{\"requests\":100,\"microseconds\":2000000,\"broken\":3}\n", fails: true},
		"nothing": {reason: "a server that does not answer is no slow one", output: "Running\n{\"requests\":0,\"microseconds\":2000000,\"broken\":0}\n", fails: true},
		"no JSON": {reason: "a script that failed is noticed", output: "Running 2s test\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, took, err := parseWrk(test.output)
			if got != test.want || took != test.wantTook || (err != nil) != test.fails {
				t.Errorf("%s: %v in %s, %v; want %v in %s", test.reason, got, took, err, test.want, test.wantTook)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const after = " S 1 2 3 4 5 6 7 8 9 10 150 50 7 8 20 0"
	for name, test := range map[string]struct {
		stat  string
		want  time.Duration
		fails bool
	}{
		"usual":                       {stat: "42 (manager)" + after, want: 2 * time.Second},
		"a name with blanks and more": {stat: "42 (a ) b (c)" + after, want: 2 * time.Second},
		"too short":                   {stat: "42 (manager) S 1", fails: true},
		"empty":                       {stat: "", fails: true},
		"no number":                   {stat: "42 (manager) S 1 2 3 4 5 6 7 8 9 10 x 50 7", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat(test.stat)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("%v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, n := range []uint64{0, 1, 999_999_999_999} {
		body := newBody(n)
		if len(body) != bodyLength || !json.Valid(body) {
			t.Errorf("body %d has %d bytes, want JSON of %d: %s", n, len(body), bodyLength, body)
		}
		seen[string(body)] = true
	}
	if len(seen) != 3 {
		t.Error("bodies are alike")
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	target := signed("bench", "http://a", "http://b")
	hosts := map[string]int{}
	for range 4 {
		var got vegeta.Target
		if err := target(&got); err != nil {
			t.Fatal(err)
		}
		host, path := got.URL[:len("http://a")], got.URL[len("http://a"):]
		hosts[host]++
		mac := hmac.New(sha256.New, []byte(keyText))
		mac.Write(got.Body)
		if want := hex.EncodeToString(mac.Sum(nil)); got.Header.Get(signatureHeader) != want || path != "/hooks/bench/orders" {
			t.Errorf("%s has the signature %q, want %q", got.URL, got.Header.Get(signatureHeader), want)
		}
	}
	if diff := cmp.Diff(map[string]int{"http://a": 2, "http://b": 2}, hosts); diff != "" {
		t.Errorf("the servers do not take turns (-want +got):\n%s", diff)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	run := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"name": "orders-0ab1", "namespace": "bench", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
			"generation": int64(1), "managedFields": []any{map[string]any{}}, "labels": map[string]any{"a": "b"},
		},
		"spec":   map[string]any{"payload": "x"},
		"status": map[string]any{"conditions": []any{}},
	}}
	made, err := cutTemplate(run)
	if err != nil {
		t.Fatal(err)
	}
	name, first := made.next()
	other, _ := made.next()
	if name == other || len(name) != len(triggerName)+21 || name > other {
		t.Errorf("the names are %q and %q, want two of 20 characters after the trigger's, in their order", name, other)
	}
	var got map[string]any
	if err := json.NewDecoder(bytes.NewReader(first)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"metadata": map[string]any{"name": name, "namespace": "bench", "labels": map[string]any{"a": "b"}},
		"spec":     map[string]any{"payload": "x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the API server adds is not the sender's (-want +got):\n%s", diff)
	}
	run.SetLabels(map[string]string{"a": run.GetName()})
	if _, err := cutTemplate(run); err == nil {
		t.Error("a name that is also elsewhere would stay there")
	}
}

func TestRunName(t *testing.T) {
	t.Parallel()
	got, err := runName([]byte(`{"message":"stored","flowRun":{"namespace":"bench","name":"orders-0"},"duplicate":false}`))
	if got != "orders-0" || err != nil {
		t.Errorf("the name is %q, %v", got, err)
	}
	if _, err := runName([]byte("no JSON")); err == nil {
		t.Error("an answer that is none is not noticed")
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	s := shot{path: "/hooks/a/b", headers: map[string]string{signatureHeader: "00"}}
	got := s.script([]byte(`{"a":1}`))
	for _, want := range []string{`wrk.path = "/hooks/a/b"`, `wrk.body = "{\"a\":1}"`, `wrk.headers["X-HMAC-HASH"] = "00"`, `wrk.method = "POST"`} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
}

// TestPatient shows that an answer that asks to come back later is handed over later: not as long
// as nobody ends the wait.
func TestPatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{"3": 3 * time.Second, "": 0, "soon": 0} {
			answer := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}}
			answer.Header.Set("Retry-After", header)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://192.0.2.1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			got, err := patient{fixed{answer}}.RoundTrip(request) //nolint:bodyclose // it has none
			if took := time.Since(begin); took != want || got != answer || err != nil {
				t.Errorf("Retry-After %q: the answer after %s, want it after %s (%v)", header, took, want, err)
			}
		}
	})
}

// fixed gives the same answer to every request.
type fixed struct{ answer *http.Response }

func (f fixed) RoundTrip(*http.Request) (*http.Response, error) { return f.answer, nil }
