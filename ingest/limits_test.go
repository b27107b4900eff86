/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"flag"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
)

func limitFlags(l *Limits) *flag.FlagSet {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	l.BindFlags(fs)
	return fs
}

func TestDefaultLimits(t *testing.T) {
	limits := DefaultLimits()
	if err := limits.Validate(); err != nil {
		t.Errorf("the default limits are not valid: %v", err)
	}
	// The ones that others rely on: Slack waits 3 s; the pod's grace period is made for these.
	if limits.AcceptDeadline != 2*time.Second || limits.MaxBodyBytes != 1<<20 || limits.ShutdownDelay+limits.DrainTimeout != 25*time.Second {
		t.Errorf("default limits %+v", limits)
	}
	for i, v := range reflect.ValueOf(limits).Fields() {
		if v.IsZero() {
			t.Errorf("there is no default for %s", i.Name)
		}
	}
}

func TestLimitFlags(t *testing.T) {
	tests := map[string]struct {
		reason string
		set    string
		want   func(l *Limits)
		refuse []string
	}{
		"max-body-bytes": {
			reason: "bytes", set: "4096", want: func(l *Limits) { l.MaxBodyBytes = 4096 }, refuse: []string{"", "1Mi", "1.5", "x", "9223372036854775808"},
		},
		"max-header-bytes": {
			reason: "bytes", set: "2048", want: func(l *Limits) { l.MaxHeaderBytes = 2048 }, refuse: []string{"", "16Ki", "9223372036854775808"},
		},
		"max-in-flight-bytes": {
			reason: "bytes", set: "7000000", want: func(l *Limits) { l.MaxInFlightBytes = 7_000_000 }, refuse: []string{"", "32Mi", "9223372036854775808"},
		},
		"max-connections": {reason: "a number", set: "7", want: func(l *Limits) { l.MaxConnections = 7 }, refuse: []string{"", "many"}},
		"max-creates":     {reason: "a number", set: "7", want: func(l *Limits) { l.MaxCreates = 7 }, refuse: []string{"", "many"}},
		"read-header-timeout": {
			reason: "a duration", set: "1s", want: func(l *Limits) { l.ReadHeaderTimeout = time.Second }, refuse: []string{"", "1", "soon"},
		},
		"read-timeout":    {reason: "a duration", set: "1m1s", want: func(l *Limits) { l.ReadTimeout = 61 * time.Second }, refuse: []string{"", "1"}},
		"accept-deadline": {reason: "a duration", set: "1500ms", want: func(l *Limits) { l.AcceptDeadline = 1500 * time.Millisecond }, refuse: []string{"", "2"}},
		"write-timeout":   {reason: "a duration", set: "1h", want: func(l *Limits) { l.WriteTimeout = time.Hour }, refuse: []string{"", "20"}},
		"idle-timeout":    {reason: "a duration", set: "3m", want: func(l *Limits) { l.IdleTimeout = 3 * time.Minute }, refuse: []string{"", "60"}},
		"shutdown-delay":  {reason: "a duration, and 0 needs no unit", set: "0", want: func(l *Limits) { l.ShutdownDelay = 0 }, refuse: []string{"", "5"}},
		"drain-timeout":   {reason: "a duration", set: "30s", want: func(l *Limits) { l.DrainTimeout = 30 * time.Second }, refuse: []string{"", "30"}},
	}
	defaults := DefaultLimits()
	declared := map[string]string{}
	limitFlags(&defaults).VisitAll(func(f *flag.Flag) {
		declared[f.Name] = f.DefValue
		if len(f.Usage) < 20 || !strings.HasSuffix(f.Usage, ".") {
			t.Errorf("the usage of --%s, %q, is no sentence", f.Name, f.Usage)
		}
	})
	want := map[string]string{
		"max-body-bytes": "1048576", "max-header-bytes": "8192", "max-in-flight-bytes": "33554432", "max-connections": "1024", "max-creates": "256", "read-header-timeout": "5s", "read-timeout": "15s",
		"accept-deadline": "2s", "write-timeout": "20s", "idle-timeout": "1m0s", "shutdown-delay": "5s", "drain-timeout": "20s",
	}
	if diff := cmp.Diff(want, declared); diff != "" {
		t.Errorf("flags and their defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(DefaultLimits(), defaults); diff != "" {
		t.Errorf("BindFlags has changed the limits (-want +got):\n%s", diff)
	}
	if got, want := len(declared), reflect.TypeFor[Limits]().NumField(); got != want || len(tests) != want {
		t.Errorf("%d flags and %d tests for %d limits", got, len(tests), want)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, want := DefaultLimits(), DefaultLimits()
			tc.want(&want)
			if err := limitFlags(&got).Parse([]string{"--" + name + "=" + tc.set}); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: --%s=%s (-want +got):\n%s", tc.reason, name, tc.set, diff)
			}
			for _, value := range tc.refuse {
				l := DefaultLimits()
				if err := limitFlags(&l).Parse([]string{"--" + name + "=" + value}); err == nil {
					t.Errorf("%s: --%s=%s is accepted", tc.reason, name, value)
				}
			}
		})
	}
}

// TestLimitFlagsKeepValues binds flags to limits that are not the default ones.
func TestLimitFlagsKeepValues(t *testing.T) {
	want := Limits{
		MaxBodyBytes: 1, MaxHeaderBytes: 2, MaxInFlightBytes: 3, MaxConnections: 11, MaxCreates: 12, ReadHeaderTimeout: 4, ReadTimeout: 5, AcceptDeadline: 6, WriteTimeout: 7,
		IdleTimeout: 8, ShutdownDelay: 9, DrainTimeout: 10,
	}
	got := want
	if err := limitFlags(&got).Parse(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits without a flag (-want +got):\n%s", diff)
	}
}

func TestLimitsValidate(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(l *Limits)
		want   []string // the flags that each line of the error begins with
	}{
		"Default":                {reason: "nothing is wrong", change: func(*Limits) {}},
		"BodyOfOneByte":          {reason: "the least", change: func(l *Limits) { l.MaxBodyBytes = 1 }},
		"BodyOfNothing":          {reason: "every request would be refused", change: func(l *Limits) { l.MaxBodyBytes = 0 }, want: []string{"--max-body-bytes"}},
		"BodyNegative":           {reason: "no number of bytes", change: func(l *Limits) { l.MaxBodyBytes = -1 }, want: []string{"--max-body-bytes"}},
		"BodyLargest":            {reason: "it fits into etcd", change: func(l *Limits) { l.MaxBodyBytes = delivery.MaxBody }},
		"BodyTooLarge":           {reason: "it does not fit into etcd", change: func(l *Limits) { l.MaxBodyBytes = delivery.MaxBody + 1 }, want: []string{"--max-body-bytes"}},
		"BodyFarTooLarge":        {reason: "it does not fit into etcd", change: func(l *Limits) { l.MaxBodyBytes = math.MaxInt64 }, want: []string{"--max-body-bytes"}},
		"HeadersLeast":           {reason: "the least", change: func(l *Limits) { l.MaxHeaderBytes = 1024 }},
		"HeadersTooSmall":        {reason: "no request would fit", change: func(l *Limits) { l.MaxHeaderBytes = 1023 }, want: []string{"--max-header-bytes"}},
		"HeadersZero":            {reason: "net/http would take 1 MiB", change: func(l *Limits) { l.MaxHeaderBytes = 0 }, want: []string{"--max-header-bytes"}},
		"InFlightLeast":          {reason: "the longest body has room", change: func(l *Limits) { l.MaxInFlightBytes = l.MaxBodyBytes + overload.RequestOverhead }},
		"InFlightTooSmall":       {reason: "the longest body would have no room", change: func(l *Limits) { l.MaxInFlightBytes = l.MaxBodyBytes + overload.RequestOverhead - 1 }, want: []string{"--max-in-flight-bytes"}},
		"InFlightNegative":       {reason: "no number of bytes", change: func(l *Limits) { l.MaxInFlightBytes = math.MinInt64 }, want: []string{"--max-in-flight-bytes"}},
		"ConnectionsOne":         {reason: "the least", change: func(l *Limits) { l.MaxConnections = 1 }},
		"ConnectionsZero":        {reason: "every request would be refused", change: func(l *Limits) { l.MaxConnections = 0 }, want: []string{"--max-connections"}},
		"CreatesOne":             {reason: "the least", change: func(l *Limits) { l.MaxCreates = 1 }},
		"CreatesZero":            {reason: "every request would be refused", change: func(l *Limits) { l.MaxCreates = 0 }, want: []string{"--max-creates"}},
		"ReadHeaderTimeoutLeast": {reason: "more than nothing", change: func(l *Limits) { l.ReadHeaderTimeout = 1 }},
		"ReadHeaderTimeoutZero":  {reason: "net/http takes it for none", change: func(l *Limits) { l.ReadHeaderTimeout = 0 }, want: []string{"--read-header-timeout"}},
		"ReadHeaderTimeoutOver":  {reason: "the headers are a part of the whole", change: func(l *Limits) { l.ReadHeaderTimeout = l.ReadTimeout + 1 }, want: []string{"--read-header-timeout"}},
		"ReadTimeoutZero":        {reason: "net/http takes it for none", change: func(l *Limits) { l.ReadTimeout = 0 }, want: []string{"--read-timeout"}},
		"AcceptDeadlineZero":     {reason: "nothing would be stored", change: func(l *Limits) { l.AcceptDeadline = 0 }, want: []string{"--accept-deadline"}},
		"IdleTimeoutZero":        {reason: "net/http takes another", change: func(l *Limits) { l.IdleTimeout = 0 }, want: []string{"--idle-timeout"}},
		"DrainTimeoutNegative":   {reason: "no duration", change: func(l *Limits) { l.DrainTimeout = -1 }, want: []string{"--drain-timeout", "--drain-timeout"}},
		"ShutdownDelayZero":      {reason: "nothing balances the load", change: func(l *Limits) { l.ShutdownDelay = 0 }},
		"ShutdownDelayNegative":  {reason: "no duration", change: func(l *Limits) { l.ShutdownDelay = -1 }, want: []string{"--shutdown-delay"}},
		"WriteTimeoutLeast":      {reason: "the two together", change: func(l *Limits) { l.WriteTimeout = l.ReadTimeout + l.AcceptDeadline }},
		"WriteTimeoutTooShort":   {reason: "an answer could be cut off", change: func(l *Limits) { l.WriteTimeout = l.ReadTimeout + l.AcceptDeadline - 1 }, want: []string{"--write-timeout"}},
		"WriteTimeoutZero":       {reason: "net/http takes it for none", change: func(l *Limits) { l.WriteTimeout = 0 }, want: []string{"--write-timeout"}},
		"DrainTimeoutLeast":      {reason: "a request in flight can be answered", change: func(l *Limits) { l.DrainTimeout = l.AcceptDeadline }},
		"DrainTimeoutTooShort":   {reason: "a request in flight could be cut off", change: func(l *Limits) { l.DrainTimeout = l.AcceptDeadline - 1 }, want: []string{"--drain-timeout"}},
		"ReadTimeoutTooLong":     {reason: "--write-timeout has to grow with it", change: func(l *Limits) { l.ReadTimeout = time.Hour }, want: []string{"--write-timeout"}},
		"AcceptDeadlineTooLong":  {reason: "two others have to grow with it", change: func(l *Limits) { l.AcceptDeadline = time.Hour }, want: []string{"--write-timeout", "--drain-timeout"}},
		"SeveralAtATime":         {reason: "all are named", change: func(l *Limits) { l.MaxBodyBytes, l.MaxCreates, l.IdleTimeout = 0, 0, 0 }, want: []string{"--max-body-bytes", "--max-creates", "--idle-timeout"}},
		"Everything":             {reason: "all are named", change: func(l *Limits) { *l = Limits{} }, want: []string{"--max-body-bytes", "--max-header-bytes", "--max-in-flight-bytes", "--max-connections", "--max-creates", "--read-header-timeout", "--read-timeout", "--accept-deadline", "--idle-timeout", "--drain-timeout"}},
		"LongestReadTimeout":     {reason: "a sum that overflows is not less than anything", change: func(l *Limits) { l.ReadTimeout = math.MaxInt64 }, want: []string{"--write-timeout"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			limits := DefaultLimits()
			tc.change(&limits)
			before := limits
			err := limits.Validate()
			var got []string
			if err != nil {
				for line := range strings.Lines(err.Error()) {
					flag, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
					got = append(got, flag)
					if !strings.HasPrefix(rest, "must ") {
						t.Errorf("%s: %q does not say what must be", tc.reason, line)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
			if diff := cmp.Diff(before, limits); diff != "" {
				t.Errorf("%s: Validate has changed the limits (-want +got):\n%s", tc.reason, diff)
			}
			// Every flag that is named exists.
			declared := limitFlags(&limits)
			for _, name := range slices.Compact(got) {
				if declared.Lookup(strings.TrimPrefix(name, "--")) == nil {
					t.Errorf("%s: there is no flag %s", tc.reason, name)
				}
			}
		})
	}
}

// TestValidateQuotesValues sees that messages name the value that is wrong and, where there is one,
// the bound.
func TestValidateQuotesValues(t *testing.T) {
	limits := DefaultLimits()
	limits.MaxBodyBytes = 2_000_000
	limits.MaxCreates = -7
	limits.AcceptDeadline = 33 * time.Second
	err := limits.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"1130496", "2000000", "-7", "33s", "48s", "20s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not hold %q", err, want)
		}
	}
}
