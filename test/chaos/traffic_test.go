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
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArrivalsAreSigned compares the signatures of arrivals of all kinds with HMACs made by hand.
func TestArrivalsAreSigned(t *testing.T) {
	t.Parallel()
	triggers := newTriggers(7)
	signed := map[bool]int{}
	for number := range uint64(1000) {
		a := arrive(7, number)
		trigger, body := triggers[a.trigger], a.body(7, 0)
		key, over := trigger.use(number)
		over()
		content := body
		if trigger.signsID {
			content = append([]byte(a.id()+"."), body...)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(content)
		if got, want := trigger.sign(key, &a, body), hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Fatalf("arrival %d (%s) for %s is signed with %s, want %s", number, a.kind, a.trigger, got, want)
		}
		signed[trigger.signsID]++
	}
	if signed[true] == 0 || signed[false] == 0 {
		t.Errorf("signed, by whether the id is signed too: %v", signed)
	}
}

// TestArrivals shows that an arrival depends on nothing but the seed and its number, that all kinds
// come, and that no two bodies are the same.
func TestArrivals(t *testing.T) {
	t.Parallel()
	const count = 5000
	kinds := map[kind]int{}
	bodies := map[digest]bool{}
	for number := range uint64(count) {
		a, again := arrive(7, number), arrive(7, number)
		if a.kind != again.kind || a.trigger != again.trigger {
			t.Fatalf("arrival %d is a %s for %s and then a %s for %s", number, a.kind, a.trigger, again.kind, again.trigger)
		}
		kinds[a.kind]++
		for index := range 2 {
			body := a.body(7, index)
			if !bytes.Equal(body, again.body(7, index)) {
				t.Fatalf("body %d of arrival %d differs from one time to the next", index, number)
			}
			digest := digest(sha256.Sum256(body))
			if bodies[digest] {
				t.Fatalf("body %d of arrival %d has been there before", index, number)
			}
			bodies[digest] = true
			tooLong := a.kind == kindTooLong || a.kind == kindTooLongPart
			if (len(body) > maxBody) != tooLong {
				t.Errorf("the body of arrival %d (%s) has %d bytes", number, a.kind, len(body))
			}
		}
	}
	sum := 0
	for _, w := range weights {
		sum += w.weight
		if kinds[w.kind] == 0 {
			t.Errorf("there is no %q among %d arrivals", w.kind, count)
		}
	}
	if sum != 1000 {
		t.Errorf("the weights add up to %d, want 1000", sum)
	}
	if kinds[""] > 0 {
		t.Errorf("%d arrivals have no kind", kinds[""])
	}
}

// TestSchedule shows that the order depends on the seed alone, that each fault comes in the first
// round, and that those that come once do not come again.
func TestSchedule(t *testing.T) {
	t.Parallel()
	order := func(seed uint64, n int) (names []string) {
		schedule(seed, faults(), func(f fault, _ bool) bool {
			names = append(names, f.name)
			return len(names) < n
		})
		return names
	}
	all := len(faults())
	first := order(1, all)
	if diff := cmp.Diff(slices.Sorted(slices.Values(faultNames())), slices.Sorted(slices.Values(first))); diff != "" {
		t.Errorf("the first round (-want +got):\n%s", diff)
	}
	if first[0] != faultNone {
		t.Errorf("the first is %s, want %s", first[0], faultNone)
	}
	if diff := cmp.Diff(first, order(1, all)); diff != "" {
		t.Errorf("the same seed gives another order:\n%s", diff)
	}
	if slices.Equal(first, order(2, all)) {
		t.Errorf("another seed gives the same order")
	}
	var repeated []string
	for _, f := range faults() {
		if !f.once {
			repeated = append(repeated, f.name)
		}
	}
	second := order(1, all+len(repeated))[all:]
	if diff := cmp.Diff(slices.Sorted(slices.Values(repeated)), slices.Sorted(slices.Values(second))); diff != "" {
		t.Errorf("the second round (-want +got):\n%s", diff)
	}
	if slices.Equal(slices.DeleteFunc(first, func(name string) bool { return !slices.Contains(repeated, name) }), second) {
		t.Errorf("the second round has the order of the first")
	}
}

// TestShortFaults shows that the names of the shortened run are names.
func TestShortFaults(t *testing.T) {
	t.Parallel()
	for _, name := range shortFaults {
		if !slices.Contains(faultNames(), name) {
			t.Errorf("there is no fault %q", name)
		}
	}
}
