/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

var (
	noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	day  = 24 * time.Hour
)

// TestExpired has every rule about age.
func TestExpired(t *testing.T) {
	t.Parallel()
	l := limits{finished: time.Hour, received: 2 * time.Hour}
	cases := map[string]struct {
		reason string
		run    run
		after  time.Duration // after noon, when the run was created
		want   reason
	}{
		"Received":            {reason: "it may be begun yet", run: run{state: received}, after: 2*time.Hour - 1},
		"ReceivedLong":        {reason: "nobody begins it any more", run: run{state: received}, after: 2 * time.Hour, want: expiredReceived},
		"ReceivedInFuture":    {reason: "the clock of the API server is ahead", run: run{state: received}, after: -day},
		"ReceivedAndRetained": {reason: "repetitions are recognised by it", run: run{state: received, retainUntil: noon.Add(3 * time.Hour)}, after: 3*time.Hour - 1},
		"ReceivedNoLonger":    {reason: "its window is over", run: run{state: received, retainUntil: noon.Add(3 * time.Hour)}, after: 3 * time.Hour, want: expiredReceived},
		"WindowBefore":        {reason: "a window makes no run go earlier", run: run{state: received, retainUntil: noon.Add(time.Minute)}, after: time.Hour},
		"Active":              {reason: "somebody is at work", run: run{state: active}, after: 10 * 365 * day},
		"Deleting":            {reason: "it is deleted already", run: run{state: deleting}, after: 10 * 365 * day},
		"Succeeded":           {reason: "it is young", run: run{state: succeeded, finished: noon.Add(day)}, after: day + time.Hour - 1},
		"SucceededLong":       {reason: "it is old", run: run{state: succeeded, finished: noon.Add(day)}, after: day + time.Hour, want: expiredFinished},
		"FailedLong":          {reason: "it is as old", run: run{state: failed, finished: noon.Add(day)}, after: day + time.Hour, want: expiredFinished},
		"FinishedAndRetained": {reason: "repetitions are recognised by it", run: run{state: failed, finished: noon, retainUntil: noon.Add(2 * day)}, after: day},
		"FinishedNoLonger":    {reason: "its window is over", run: run{state: failed, finished: noon, retainUntil: noon.Add(2 * day)}, after: 2 * day, want: expiredFinished},
		"FinishedNever":       {reason: "it has no time at all, not even that of its creation", run: run{state: failed}, after: time.Second, want: expiredFinished},
		"FinishedNow":         {reason: "it is not old", run: run{state: succeeded, finished: noon}},
		"FinishedAndReceived": {reason: "what is finished was not left lying", run: run{state: succeeded, finished: noon.Add(3 * time.Hour)}, after: 3 * time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.run.created = noon
			if got := l.expired(&tc.run, noon.Add(tc.after)); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	t.Run("AtOnce", func(t *testing.T) {
		t.Parallel()
		if got := (limits{}).expired(&run{state: succeeded, created: noon, finished: noon}, noon); got != expiredFinished {
			t.Errorf("a history of 0 seconds: %q", got)
		}
	})
}

func TestDropsPayload(t *testing.T) {
	t.Parallel()
	hour := new(time.Hour)
	cases := map[string]struct {
		reason string
		ttl    *time.Duration
		run    run
		after  time.Duration
		want   bool
	}{
		"NotAskedFor":   {reason: "the payload stays as long as the run", run: run{state: succeeded, finished: noon, payload: true}, after: 10 * 365 * day},
		"Young":         {reason: "it may be looked at", ttl: hour, run: run{state: succeeded, finished: noon, payload: true}, after: time.Hour - 1},
		"Old":           {reason: "it counts from when the run finished", ttl: hour, run: run{state: succeeded, finished: noon, payload: true}, after: time.Hour, want: true},
		"OldAndFailed":  {reason: "the same", ttl: hour, run: run{state: failed, finished: noon, payload: true}, after: time.Hour, want: true},
		"FinishedLate":  {reason: "it counts from when the run finished", ttl: hour, run: run{state: succeeded, finished: noon.Add(day), payload: true}, after: day},
		"AtOnce":        {reason: "0 is no default", ttl: new(time.Duration(0)), run: run{state: succeeded, finished: noon, payload: true}, want: true},
		"NoPayload":     {reason: "there is nothing to drop", ttl: hour, run: run{state: succeeded, finished: noon}, after: day},
		"Retained":      {reason: "no repetition is recognised by the payload", ttl: hour, run: run{state: succeeded, finished: noon, retainUntil: noon.Add(day), payload: true}, after: time.Hour, want: true},
		"Received":      {reason: "nobody has begun it", ttl: hour, run: run{state: received, payload: true}, after: time.Hour, want: true},
		"ReceivedYoung": {reason: "somebody may begin it", ttl: hour, run: run{state: received, payload: true}, after: time.Hour - 1},
		"Active":        {reason: "somebody is at work on it", ttl: hour, run: run{state: active, payload: true}, after: 10 * 365 * day},
		"Deleting":      {reason: "it is on its way out", ttl: hour, run: run{state: deleting, payload: true}, after: 10 * 365 * day},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.run.created = noon
			if got := (limits{payload: tc.ttl}).dropsPayload(&tc.run, noon.Add(tc.after)); got != tc.want {
				t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

// TestRetention has what may stand in the annotation.
func TestRetention(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		annotation string
		want       time.Duration // after noon, when the run was created
	}{
		"Good":        {reason: "what ingest writes", annotation: "2026-01-31T13:00:00Z", want: time.Hour},
		"OtherZone":   {reason: "a time is a time", annotation: "2026-01-31T15:00:00+02:00", want: time.Hour},
		"Fraction":    {reason: "a time is a time", annotation: "2026-01-31T12:00:00.5Z", want: 500 * time.Millisecond},
		"Past":        {reason: "the window is over", annotation: "2026-01-30T12:00:00Z", want: -day},
		"LongPast":    {reason: "the window is over", annotation: "1970-01-01T00:00:00Z", want: time.Unix(0, 0).Sub(noon)},
		"Longest":     {reason: "30 days are allowed", annotation: "2026-03-02T12:00:00Z", want: 30 * day},
		"TooLong":     {reason: "30 days are the most", annotation: "2026-03-02T12:00:01Z", want: 30 * day},
		"Eternal":     {reason: "no run is immortal by accident", annotation: "9999-12-31T23:59:59Z", want: 30 * day},
		"Empty":       {reason: "it was there once", annotation: "", want: day},
		"Never":       {reason: "a word is no time", annotation: "never", want: day},
		"Duration":    {reason: "a duration is no time", annotation: "720h", want: day},
		"Unix":        {reason: "RFC 3339 is asked for", annotation: "1800000000", want: day},
		"NoZone":      {reason: "which noon?", annotation: "2026-01-31T13:00:00", want: day},
		"Blank":       {reason: "RFC 3339 has no blanks", annotation: " 2026-01-31T13:00:00Z", want: day},
		"NoSuchDay":   {reason: "February has no 30", annotation: "2026-02-30T13:00:00Z", want: day},
		"TooManyDays": {reason: "a year has four digits", annotation: "99999-01-01T00:00:00Z", want: day},
		"Binary":      {reason: "an annotation can hold anything", annotation: "\x00\x1b[31m", want: day},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := retention(tc.annotation, noon); !got.Equal(noon.Add(tc.want)) {
				t.Errorf("%s: until %s, want %s", tc.reason, got, noon.Add(tc.want))
			}
		})
	}
}

// TestFinishTime has what may stand in a status.
func TestFinishTime(t *testing.T) {
	t.Parallel()
	now := noon.Add(day)
	cases := map[string]struct {
		reason     string
		completion string
		want       time.Time
	}{
		"Good":         {reason: "when it finished", completion: "2026-01-31T13:00:00Z", want: noon.Add(time.Hour)},
		"OtherZone":    {reason: "a time is a time", completion: "2026-01-31T15:00:00.5+02:00", want: noon.Add(time.Hour + time.Second/2)},
		"AtOnce":       {reason: "it took less than a second", completion: "2026-01-31T12:00:00Z", want: noon},
		"Before":       {reason: "nothing finishes before it is there", completion: "2026-01-31T11:59:59Z", want: noon},
		"LongBefore":   {reason: "a time that was forgotten", completion: "0001-01-01T00:00:00Z", want: noon},
		"LittleAhead":  {reason: "clocks differ", completion: "2026-02-01T13:00:00Z", want: now},
		"FarAhead":     {reason: "clocks do not differ as much", completion: "2026-02-01T13:00:01Z", want: noon},
		"Eternal":      {reason: "no run is immortal by accident", completion: "9999-12-31T23:59:59Z", want: noon},
		"NoTime":       {reason: "it has finished all the same", completion: "yesterday", want: noon},
		"LeapSecond":   {reason: "it has finished all the same", completion: "2026-01-31T23:59:60Z", want: noon},
		"SinceTheEdge": {reason: "now is not ahead", completion: "2026-02-01T12:00:00Z", want: now},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := finishTime(tc.completion, noon, now); !got.Equal(tc.want) {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestLimits compares what is made of a history with what is in it, and the defaults with those of
// the API server.
func TestLimits(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	flow := makeFlow(namespace)
	env.Create(t, flow)
	everything := limits{finished: time.Second, received: 2 * time.Second, successful: 3, failed: 4, payload: new(5 * time.Second)}
	cases := map[string]struct {
		reason  string
		history sluicev1alpha1.History
		want    limits
	}{
		"Defaulted": {reason: "the API server has the same defaults", history: flow.Spec.History, want: defaultLimits},
		"Absent":    {reason: "a Flow that was stored before there were histories", want: defaultLimits},
		"Everything": {
			reason: "each field goes to its place",
			history: sluicev1alpha1.History{
				TTLSecondsAfterFinished: new(int32(1)), TTLSecondsAfterReceived: 2, SuccessfulRunsHistoryLimit: new(int32(3)),
				FailedRunsHistoryLimit: new(int32(4)), PayloadTTLSeconds: new(int32(5)),
			},
			want: everything,
		},
		"Zero": {
			reason: "0 is no default",
			history: sluicev1alpha1.History{
				TTLSecondsAfterFinished: new(int32), SuccessfulRunsHistoryLimit: new(int32), FailedRunsHistoryLimit: new(int32), PayloadTTLSeconds: new(int32),
			},
			want: limits{received: defaultLimits.received, payload: new(time.Duration(0))},
		},
		"Negative": {
			reason:  "another version's number may have meant to keep them all",
			history: sluicev1alpha1.History{SuccessfulRunsHistoryLimit: new(int32(-1))},
			want:    limits{unknown: true},
		},
		"Longest": {
			reason:  "no number overflows",
			history: sluicev1alpha1.History{TTLSecondsAfterFinished: new(int32(31536000)), TTLSecondsAfterReceived: 31536000},
			want:    limits{finished: 365 * day, received: 365 * day, successful: 100, failed: 100},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, limitsOf(tc.history), cmp.AllowUnexported(limits{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestNewest offers runs in any order, and compares what stays with what sorting says.
func TestNewest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same cases each time
	for range 200 {
		limit, count := random.IntN(6), random.IntN(20)
		n := keepNewest{limit: limit}
		var all, displaced []*run
		for i := range count {
			// Few different times, so that there are equal ones.
			r := &run{name: fmt.Sprintf("run-%02d", i), finished: noon.Add(time.Duration(random.IntN(5)) * time.Second)}
			all = append(all, r)
		}
		random.Shuffle(count, func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, r := range all {
			if d := n.offer(r); d != nil {
				displaced = append(displaced, d)
			}
			if len(n.runs) > limit {
				t.Fatalf("%d runs are held, of %d", len(n.runs), limit)
			}
		}
		slices.SortFunc(all, compareFinish)
		kept := slices.Clone(n.runs)
		slices.SortFunc(kept, compareFinish)
		slices.SortFunc(displaced, compareFinish)
		cut := max(count-limit, 0)
		if diff := cmp.Diff(names(all[cut:]), names(kept)); diff != "" {
			t.Errorf("%d of %d are kept (-want +got):\n%s", limit, count, diff)
		}
		if diff := cmp.Diff(names(all[:cut]), names(displaced)); diff != "" {
			t.Errorf("%d of %d are displaced (-want +got):\n%s", count-limit, count, diff)
		}
	}
}

func names(runs []*run) []string {
	found := []string{}
	for _, r := range runs {
		found = append(found, r.name)
	}
	return found
}
