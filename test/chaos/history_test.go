/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// etcdEvent is a change of a FlowRun as etcd's gateway has it.
func etcdEvent(t *testing.T, kind, name string, created, modified int, value string) *event {
	t.Helper()
	text := fmt.Sprintf(`{"type":%q,"kv":{"key":%q,"value":%q,"create_revision":"%d","mod_revision":"%d"}}`,
		kind, base64.StdEncoding.EncodeToString([]byte(flowRunsPrefix+name)), base64.StdEncoding.EncodeToString([]byte(value)), created, modified)
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return &e
}

// storedFlowRun is a FlowRun as the API server stores it.
func storedFlowRun(name, id, payload, digest string) string {
	return fmt.Sprintf(`{"apiVersion":"sluice.dev/v1alpha1","kind":"FlowRun",
		"metadata":{"namespace":"chaos","name":%q,"annotations":{"sluice.dev/payload-sha256":%q}},
		"spec":{"triggerRef":{"name":"orders"},"payload":{%s,"sha256":%q},"request":{"deliveryID":%q}}}`, name, digest, payload, digest, id)
}

func hexDigest(body string) string {
	digest := sha256.Sum256([]byte(body))
	return hex.EncodeToString(digest[:])
}

// TestHistory shows what is kept of the changes in etcd: each FlowRun once, with the digest of what
// is stored, and whether it was deleted.
func TestHistory(t *testing.T) {
	t.Parallel()
	h := newHistory("")
	for _, e := range []*event{
		etcdEvent(t, "", "chaos/a", 5, 5, storedFlowRun("a", "1", `"text":"hello"`, hexDigest("hello"))),
		etcdEvent(t, "", "chaos/a", 5, 6, storedFlowRun("a", "1", `"text":"hello"`, hexDigest("hello"))),             // its status, say
		etcdEvent(t, "", "chaos/b", 7, 7, storedFlowRun("b", "", `"binary":"aGVsbG8gdG9v"`, hexDigest("hello too"))), // base64
		etcdEvent(t, "", "chaos/c", 8, 8, storedFlowRun("c", "", `"text":"this"`, hexDigest("that"))),
		etcdEvent(t, "DELETE", "chaos/a", 0, 9, ""),
		etcdEvent(t, "", "chaos/a", 10, 10, storedFlowRun("a", "1", `"text":"again"`, hexDigest("again"))),
	} {
		h.take(e)
	}
	runs, err := h.all()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(runs, func(a, b storedRun) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(hex.EncodeToString(b.digest[:]), hex.EncodeToString(a.digest[:])))
	})
	type run struct{ name, trigger, id, digest, said string }
	var got []run
	deleted := 0
	for _, r := range runs {
		got = append(got, run{r.name, r.trigger, r.id, hex.EncodeToString(r.digest[:]), hex.EncodeToString(r.said[:])})
		if r.deleted {
			deleted++
		}
	}
	want := []run{
		{"chaos/a", "chaos/orders", "1", hexDigest("again"), hexDigest("again")},
		{"chaos/a", "chaos/orders", "1", hexDigest("hello"), hexDigest("hello")},
		{"chaos/b", "chaos/orders", "", hexDigest("hello too"), hexDigest("hello too")},
		{"chaos/c", "chaos/orders", "", hexDigest("this"), hexDigest("that")},
	}
	slices.SortFunc(want[:2], func(a, b run) int { return cmp.Compare(b.digest, a.digest) })
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(run{})); diff != "" {
		t.Errorf("the FlowRuns (-want +got):\n%s", diff)
	}
	if deleted != 1 {
		t.Errorf("%d are deleted, want 1", deleted)
	}
	if h.revision != 10 {
		t.Errorf("the revision is %d, want 10", h.revision)
	}

	if differences := h.listed(map[string]bool{"chaos/a": true, "chaos/b": true, "chaos/c": true}); len(differences) != 0 {
		t.Errorf("a complete list differs: %v", differences)
	}
	wantDifferences := []string{"chaos/c is in etcd and not listed", "chaos/d is listed and not in etcd"}
	if diff := gocmp.Diff(wantDifferences, h.listed(map[string]bool{"chaos/a": true, "chaos/b": true, "chaos/d": true})); diff != "" {
		t.Errorf("the differences (-want +got):\n%s", diff)
	}

	h.take(etcdEvent(t, "", "chaos/e", 11, 11, "this is no FlowRun"))
	if _, err := h.all(); err == nil {
		t.Errorf("what cannot be read is not reported")
	}
}
