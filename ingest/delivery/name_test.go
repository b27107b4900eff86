/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
)

var testTime = time.Date(2026, 1, 31, 12, 34, 56, 789_012_000, time.UTC)

// suffixOf returns the suffix of a run's name.
func suffixOf(t *testing.T, name string) string {
	t.Helper()
	if len(name) < suffixLength+2 || name[len(name)-suffixLength-1] != '-' {
		t.Fatalf("%q has no suffix of %d characters", name, suffixLength)
	}
	return name[len(name)-suffixLength:]
}

func TestRunName(t *testing.T) {
	const room = 63 - 1 - 20 // for the trigger's name
	for length := 1; length <= 63; length++ {
		letters := strings.Repeat("abcdefghij", 7)[:length]
		triggers := []string{letters, strings.Repeat("9", length), strings.Repeat("z", length)}
		if length > 2 {
			// Nothing but hyphens between the first and the last character, so that every cut meets
			// some.
			triggers = append(triggers, "a"+strings.Repeat("-", length-2)+"z")
		}
		for hyphen := 1; hyphen < length-1; hyphen++ {
			triggers = append(triggers, letters[:hyphen]+"-"+letters[hyphen+1:])
			if hyphen+1 < length-1 {
				triggers = append(triggers, letters[:hyphen]+"--"+letters[hyphen+2:])
			}
		}
		for _, trigger := range triggers {
			if problems := validation.IsDNS1123Label(trigger); len(problems) > 0 {
				t.Fatalf("%q is no name of a trigger: %v", trigger, problems)
			}
			name := uniqueName(trigger, testTime)
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
				t.Errorf("a run of %q is named %q: %v", trigger, name, problems)
			}
			if problems := validation.IsValidLabelValue(name); len(problems) > 0 {
				t.Errorf("a run of %q is named %q, which is no value of a label: %v", trigger, name, problems)
			}
			prefix := trigger[:min(length, room)]
			if length > room {
				prefix = strings.TrimRight(prefix, "-")
			}
			if got, want := name[:len(name)-len(suffixOf(t, name))], prefix+"-"; got != want {
				t.Errorf("a run of %q is named %q, want it to begin with %q", trigger, name, want)
			}
		}
	}
}

func TestRunNameSortsByTime(t *testing.T) {
	times := []time.Time{
		time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(2),
		testTime.Add(-time.Hour), testTime.Add(-time.Millisecond), testTime, testTime.Add(time.Millisecond), testTime.Add(2 * time.Millisecond),
		testTime.Add(time.Second), testTime.AddDate(0, 1, 0), testTime.AddDate(1, 0, 0), testTime.AddDate(100, 0, 0),
		time.Date(10889, 1, 1, 0, 0, 0, 0, time.UTC), time.UnixMilli(1<<48 - 1),
	}
	for bit := range 48 {
		times = append(times, time.UnixMilli(1<<bit), time.UnixMilli(1<<bit-1))
	}
	slices.SortFunc(times, func(a, b time.Time) int { return a.Compare(b) })
	for _, trigger := range []string{"a", "orders", strings.Repeat("x", 63), strings.Repeat("x", 41) + "-" + strings.Repeat("y", 21)} {
		for i := 1; i < len(times); i++ {
			earlier, later := uniqueName(trigger, times[i-1]), uniqueName(trigger, times[i])
			if times[i-1].UnixMilli() == times[i].UnixMilli() {
				continue
			}
			if earlier >= later {
				t.Errorf("%q at %s does not sort before %q at %s", earlier, times[i-1], later, times[i])
			}
		}
	}
}

// TestRunNameHoldsTime reads the time back: 48 bits of milliseconds in the order of the alphabet.
func TestRunNameHoldsTime(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(0), testTime, time.UnixMilli(1<<48 - 1), testTime.In(time.FixedZone("east", 3600)), testTime.Add(999 * time.Microsecond)} {
		var milliseconds uint64
		for _, c := range suffixOf(t, uniqueName("orders", at))[:10] {
			milliseconds = milliseconds<<5 | uint64(strings.IndexRune("0123456789abcdefghijklmnopqrstuv", c))
		}
		if got := milliseconds >> 2; got != uint64(at.UnixMilli()) {
			t.Errorf("the name of a run at %s holds %d ms, want %d", at, got, at.UnixMilli())
		}
	}
}

func TestRunNameBefore1970(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(-1), {}, time.Date(-10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		name := uniqueName("orders", at)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("a run at %s is named %q: %v", at, name, problems)
		}
	}
}

func TestRunNameIsUnique(t *testing.T) {
	const runs = 50_000 // in one millisecond: two are equal with a chance of 3e-7
	seen := make(map[string]bool, runs)
	// What each character has been. 2 of the tenth's bits belong to chance, and 3 to time.
	var characters [suffixLength]map[byte]bool
	for i := range characters {
		characters[i] = map[byte]bool{}
	}
	for range runs {
		name := uniqueName("orders", testTime)
		if seen[name] {
			t.Fatalf("%q twice", name)
		}
		seen[name] = true
		for i, c := range []byte(suffixOf(t, name)) {
			characters[i][c] = true
		}
	}
	got := make([]int, suffixLength)
	for i := range characters {
		got[i] = len(characters[i])
	}
	want := []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32} // 2^2 * 32^10 = 2^52
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values of each character within a millisecond (-want +got):\n%s", diff)
	}
}

func TestRepeatableName(t *testing.T) {
	const uid = "0b8c2c2c-7f4a-4f1e-9f43-2f9a9c1f7d11"
	// Worked out apart from this code. It must stay what it is: otherwise a new version takes what
	// an old one has stored for something else.
	if diff := cmp.Diff("orders-5dh25as5tc7r7c046ag6", repeatableName(Trigger{Name: "orders", UID: uid}, "evt_1000", nil)); diff != "" {
		t.Errorf("the name of a delivery (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("orders-q5bkd55hdjfvq3khan16", repeatableName(Trigger{Name: "orders", UID: uid}, "evt_1000", bodyDigest([]byte("the body")))); diff != "" {
		t.Errorf("the name of a delivery with its body (-want +got):\n%s", diff)
	}
	type named struct{ trigger, uid, id, body string }
	long := strings.Repeat("x", 63)
	deliveries := []named{
		{trigger: "orders", uid: uid, id: "evt_1000"}, {trigger: "orders", uid: uid, id: "evt_1001"}, {trigger: "orders", uid: uid, id: "EVT_1000"},
		{trigger: "orders", uid: uid, id: "evt_1000 "}, {trigger: "orders", uid: uid},
		{trigger: "orders", uid: uid, id: "\x00"}, {trigger: "orders", uid: uid, id: "\x00evt_1000"}, {trigger: "orders", uid: uid, id: strings.Repeat("i", 256)},
		{trigger: "orders", uid: uid[:35], id: "evt_1000"}, {trigger: "orders", uid: uid[:35], id: "1evt_1000"},
		{trigger: "orders", uid: uid + "e", id: "vt_1000"}, {trigger: "orders", id: uid + "evt_1000"},
		{trigger: "refunds", uid: uid, id: "evt_1000"}, {trigger: long, uid: uid, id: "evt_1000"}, {trigger: "a" + strings.Repeat("-", 61) + "z", uid: uid, id: "evt_1000"},
		{trigger: "orders", uid: uid, id: "evt_1000", body: "a"}, {trigger: "orders", uid: uid, id: "evt_1000", body: "b"},
		{trigger: "orders", uid: uid, id: "evt_1001", body: "a"}, {trigger: "orders", uid: uid[:35], id: "evt_1000", body: "a"},
		// What is hashed of the last but three, if the form did not matter.
		{trigger: "orders", uid: uid, id: string(bodyDigest([]byte("a"))[:]) + "evt_1000"}, {trigger: "orders", uid: uid, id: "\x01" + string(bodyDigest([]byte("a"))[:]) + "evt_1000"},
	}
	seen := map[string]named{}
	for _, d := range deliveries {
		name := repeatableName(Trigger{Name: d.trigger, UID: d.uid}, d.id, bodyDigest([]byte(d.body)))
		if again := repeatableName(Trigger{Name: d.trigger, UID: d.uid}, d.id, bodyDigest([]byte(d.body))); again != name {
			t.Errorf("%q is named %q and %q", d, name, again)
		}
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q is named %q: %v", d, name, problems)
		}
		suffix := suffixOf(t, name)
		if other, ok := seen[suffix]; ok && (other.uid != d.uid || other.id != d.id || other.body != d.body) {
			t.Errorf("%q and %q have the same suffix %q", d, other, suffix)
		}
		seen[suffix] = d
	}
}

// bodyDigest returns what of a body is in the name of its delivery; nil if there is none, which
// stands for an id that counts alone.
func bodyDigest(body []byte) *[sha256.Size]byte {
	if len(body) == 0 {
		return nil
	}
	digest := sha256.Sum256(body)
	return &digest
}

// FuzzRepeatableName makes names of delivery ids and bodies: valid ones, and different ones of
// different deliveries.
func FuzzRepeatableName(f *testing.F) {
	f.Add("orders", "uid-1", "id-1", []byte(nil), "uid-1", "id-2", []byte(nil))
	f.Add("o", "uid-1", "id-1", []byte("a"), "uid-2", "id-1", []byte("a"))
	f.Add(strings.Repeat("a-", 31)+"b", "u", "", []byte(nil), "u", "\x00", []byte(nil))
	f.Add("orders", "u1", "d", []byte("a"), "u", "1d", []byte("b"))
	f.Add("orders", "u", "\xff\xfe", []byte(nil), "u", "\xff", []byte("a"))
	digest := sha256.Sum256([]byte("a"))
	f.Add("orders", "u", "d", []byte("a"), "u", "\x01"+string(digest[:])+"d", []byte(nil))
	f.Fuzz(func(t *testing.T, trigger, uid, id string, body []byte, otherUID, otherID string, otherBody []byte) {
		if len(validation.IsDNS1123Label(trigger)) > 0 || strings.ContainsAny(uid+otherUID, "\x00\x01") {
			return // which the API server lets nobody have
		}
		name, other := repeatableName(Trigger{Name: trigger, UID: uid}, id, bodyDigest(body)), repeatableName(Trigger{Name: trigger, UID: otherUID}, otherID, bodyDigest(otherBody))
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			t.Errorf("%q is no name: %q", name, wrong)
		}
		if again := repeatableName(Trigger{Name: trigger, UID: uid}, id, bodyDigest(body)); again != name {
			t.Errorf("one delivery has the names %q and %q", name, again)
		}
		if same := uid == otherUID && id == otherID && bytes.Equal(body, otherBody); same != (name == other) {
			t.Errorf("the deliveries %q of %q and %q of %q are the same %t, and have the names %q and %q", id, uid, otherID, otherUID, same, name, other)
		}
	})
}
