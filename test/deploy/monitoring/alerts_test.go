/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package monitoring

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// pace is how often it is looked at what fires, where that is to be so without a break. It has no
// divisor in common with how often anything is sent, so that it is looked at in every minute
// between two requests in the end.
const pace = 7 * time.Minute

var alertsFile = filepath.Join(testenv.Root(), "charts", "sluice", "files", "alerts.yaml")

// healthy is what Prometheus reads of an installation that has nothing to complain of: two replicas
// of role ingest and two of role controller, in promtool's notation, a sample a minute for eight
// hours. A key is a pod and a series; which target a series comes from is added.
var healthy = func() map[string]string {
	const (
		always = "1x480"
		never  = "0x480"
	)
	series := map[string]string{}
	for _, pod := range []string{"ingest-0", "ingest-1"} {
		of := func(s string) string { return pod + " " + s }
		series[of("up")] = always
		series[of(`sluice_build_info{version="v1",role="ingest"}`)] = always
		series[of(`sluice_ingest_requests_total{result="accepted"}`)] = "0+60x480"
		series[of(`sluice_ingest_requests_total{result="duplicate"}`)] = "0+1x480"
		series[of(`sluice_ingest_requests_total{result="unauthorized"}`)] = "0+1x480"
		for _, result := range []string{"unavailable", "no_capacity", "cannot_store", "not_stored", "refused", "failed", "forbidden", "too_many_guesses"} {
			series[of(`sluice_ingest_requests_total{result="`+result+`"}`)] = never
		}
		for _, reason := range []string{"memory", "slow_sender", "rate", "concurrency", "queue", "wait", "circuit", "guesses"} {
			series[of(`sluice_ingest_shed_total{reason="`+reason+`"}`)] = never
		}
		series[of("sluice_ingest_circuit_open")] = never
		series[of(`sluice_ingest_routes{state="ready"}`)] = "10x480"
		series[of(`sluice_ingest_routes{state="unavailable"}`)] = never
		series[of("sluice_ingest_in_flight_bytes")] = "1000000x480"
		series[of("sluice_ingest_max_in_flight_bytes")] = "33554432x480"
		series[of("sluice_ingest_connections")] = "100x480"
		series[of("sluice_ingest_max_connections")] = "1024x480"
		series[of(`sluice_certificate_expiration_timestamp_seconds{use="webhooks"}`)] = "7776000x480" // 90 days
		series[of("certwatcher_read_certificate_errors_total")] = never
	}
	for pod, leads := range map[string]string{"controller-0": always, "controller-1": never} {
		of := func(s string) string { return pod + " " + s }
		series[of("up")] = always
		series[of(`sluice_build_info{version="v1",role="controller"}`)] = always
		series[of(`leader_election_master_status{name="sluice-controller"}`)] = leads
		for _, operation := range []string{"list", "delete", "drop"} {
			series[of(`sluice_history_errors_total{operation="`+operation+`"}`)] = never
		}
		series[of("sluice_history_sweep_duration_seconds_count")] = strings.Replace(leads, "1x", "0+6x", 1)
		series[of("certwatcher_read_certificate_errors_total")] = never
	}
	// Somebody else's operator in the same namespace has troubles and a leader of its own, which
	// are none of Sluice's.
	series["other-0 up"] = never
	series[`other-0 leader_election_master_status{name="other"}`] = always
	series["other-0 certwatcher_read_certificate_errors_total"] = "0+1x480"
	return series
}()

// rarely is an installation to which nothing comes but the change.
func rarely(change map[string]string) map[string]string {
	series := map[string]string{}
	for key := range healthy {
		if strings.Contains(key, "sluice_ingest_requests_total") {
			series[key] = "0x480"
		}
	}
	maps.Copy(series, change)
	return series
}

// every is a counter that goes up by a number every so many minutes, for eight hours, and first
// after some more.
func every(minutes, after, by int) string {
	values := fmt.Sprintf("0x%d", after+minutes-1)
	for i := 1; after+i*minutes <= 480; i++ {
		values += fmt.Sprintf(" %dx%d", i*by, minutes-1)
	}
	return values
}

// describe returns the name of an alert, and the labels that tell it from others of the name.
func describe(a alert) string {
	text := a.name
	for _, name := range slices.Sorted(maps.Keys(a.labels)) {
		if name != "namespace" && name != "severity" {
			text += " " + name + "=" + a.labels[name]
		}
	}
	return text
}

// TestAlerts has each alert fire, and not fire where it nearly would.
func TestAlerts(t *testing.T) {
	t.Parallel()
	gone := func(pods ...string) map[string]string { // within the last half hour
		series := map[string]string{}
		for key, values := range healthy {
			pod, metric, _ := strings.Cut(key, " ")
			switch {
			case !slices.Contains(pods, pod):
			case metric == "up":
				series[key] = "1x90 0x390"
			default:
				series[key] = regexp.MustCompile(`x480$`).ReplaceAllLiteralString(values, "x90 stale")
			}
		}
		return series
	}
	never := func(pods ...string) map[string]string {
		series := map[string]string{}
		for key := range healthy {
			if pod, _, _ := strings.Cut(key, " "); slices.Contains(pods, pod) {
				series[key] = ""
			}
		}
		return series
	}
	unread := map[string]string{}
	for key := range healthy {
		if strings.Contains(key, "sluice_build_info") {
			unread[key] = "1x108"
		}
	}
	cases := map[string]struct {
		reason string
		change map[string]string // of what is healthy; an empty value takes a series away
		only   bool              // whether there is nothing but the change
		at     time.Duration     // 2 hours if it is 0
		from   time.Duration     // since when it is so, without a break; at is all that is looked at if it is 0
		want   []string
		nearly []string // which alerts this is just not a case of
	}{
		"Healthy": {reason: "there is nothing to complain of, but of somebody else's operator"},

		"CircuitOpen": {
			reason: "one replica can store nothing",
			change: map[string]string{"ingest-0 sluice_ingest_circuit_open": "0x117 1x300"},
			want:   []string{"SluiceCircuitOpen"},
		},
		"CircuitOpensBriefly": {
			reason: "an API server that is restarted is back soon",
			change: map[string]string{"ingest-0 sluice_ingest_circuit_open": "0x119 1x300"},
			nearly: []string{"SluiceCircuitOpen"},
		},
		"NotStored": {
			reason: "creates fail again and again",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x60 0+1x400"},
			want:   []string{"SluiceNotStored"},
		},
		"CannotStore": {
			reason: "requests that are turned away because of an open circuit are not stored either",
			change: map[string]string{`ingest-1 sluice_ingest_requests_total{result="cannot_store"}`: "0x60 0+1x400"},
			want:   []string{"SluiceNotStored"},
		},
		"NotStoredOnce": {
			reason: "a few that failed a while ago have been sent again since",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x117 5x300"},
			nearly: []string{"SluiceNotStored"},
		},
		"NotStoredNow": {
			reason: "a quota is used up, and the others of a busy installation are stored: it is not hours yet",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x60 0+1x400"},
			at:     4 * time.Hour,
			want:   []string{"SluiceNotStored"},
			nearly: []string{"SluiceNothingStored", "SluiceNotStoredForHours"},
		},
		"LastNotStored": {
			reason: "the only webhook of the morning was not stored, and nobody sent it again",
			change: rarely(map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x100 1x300"}),
			want:   []string{"SluiceNothingStored"},
		},
		"LastNotStoredAfterOthersWere": {
			reason: "what was stored before says nothing of now",
			change: rarely(map[string]string{
				`ingest-1 sluice_ingest_requests_total{result="accepted"}`:     "0x60 1x20 2x300",
				`ingest-0 sluice_ingest_requests_total{result="cannot_store"}`: "0x100 1x300",
			}),
			want: []string{"SluiceNothingStored"},
		},
		"LastNotStoredWasSentAgain": {
			reason: "its repetition was stored, 14 minutes later",
			change: rarely(map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x100 1x300",
				`ingest-1 sluice_ingest_requests_total{result="accepted"}`:   "0x114 1x300",
			}),
			from:   95 * time.Minute,
			nearly: []string{"SluiceNothingStored"},
		},
		"LastNotStoredHadBeen": {
			reason: "its repetition was a duplicate: only the answer had been lost",
			change: rarely(map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x60 1x300",
				`ingest-1 sluice_ingest_requests_total{result="duplicate"}`:  "0x90 1x300",
			}),
			nearly: []string{"SluiceNothingStored"},
		},
		"LastNotStoredLongAgo": {
			reason: "it was more than 6 hours ago, and nothing has come since",
			change: rarely(map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x60 1x400"}),
			at:     7*time.Hour + 10*time.Minute,
			nearly: []string{"SluiceNothingStored"},
		},
		"NotStoredEveryTenMinutes": {
			reason: "nothing of what comes is stored",
			change: rarely(map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: every(10, 60, 1)}),
			from:   85 * time.Minute,
			want:   []string{"SluiceNothingStored"},
		},
		"NotStoredEveryFourHours": {
			reason: "there are hours between one and the next",
			change: rarely(map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: every(230, 0, 1)}),
			from:   4*time.Hour + 5*time.Minute,
			at:     8 * time.Hour,
			want:   []string{"SluiceNothingStored"},
		},
		"OneOfManyNotStoredEveryHour": {
			reason: "the quota of a namespace is used up to which something comes each hour, and the others are stored",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: every(60, 60, 1)},
			from:   5*time.Hour + time.Minute,
			at:     7 * time.Hour,
			want:   []string{"SluiceNotStoredForHours"},
		},
		"NotStoredTwiceInHours": {
			reason: "the API server was restarted twice, and all was sent again",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="not_stored"}`: "0x60 9x75 18x300"},
			at:     3*time.Hour + 45*time.Minute,
			nearly: []string{"SluiceNotStoredForHours"},
		},
		"Failed": {
			reason: "one 500 is one too many",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="failed"}`: "0x117 1x300"},
			want:   []string{"SluiceFailed"},
		},
		"FailedBefore": {
			reason: "it was a while ago",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="failed"}`: "0x110 1x300"},
			nearly: []string{"SluiceFailed"},
		},
		"Refused": {
			reason: "a policy refuses a FlowRun, and nobody sends it again",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="refused"}`: "0x110 1x300"},
			want:   []string{"SluiceRefusedForGood"},
		},
		"RefusedBefore": {
			reason: "it was more than 15 minutes ago",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="refused"}`: "0x100 1x300"},
			nearly: []string{"SluiceRefusedForGood"},
		},
		"UnavailableTriggers": {
			reason: "somebody sends to a trigger that cannot accept, for more than half an hour",
			change: map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="unavailable"}`: "0x80 0+1x300",
				`ingest-0 sluice_ingest_routes{state="unavailable"}`:          "0x80 1x300",
			},
			want: []string{"SluiceUnavailableTriggers"},
		},
		"UnavailableTriggersEveryHalfHour": {
			reason: "somebody sends to it now and then",
			change: map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="unavailable"}`: every(30, 60, 1),
				`ingest-1 sluice_ingest_routes{state="unavailable"}`:          "0x60 1x400",
			},
			from: 125 * time.Minute,
			at:   5 * time.Hour,
			want: []string{"SluiceUnavailableRoutes", "SluiceUnavailableTriggers"},
		},
		"UnavailableForMinutes": {
			reason: "a Secret that is replaced is there again soon, though requests came meanwhile",
			change: map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="unavailable"}`: "0x80 0+1x28 28x300",
				`ingest-0 sluice_ingest_routes{state="unavailable"}`:          "0x80 1x28 0x300",
			},
			from:   85 * time.Minute,
			nearly: []string{"SluiceUnavailableTriggers"},
		},
		"UnavailableRoutes": {
			reason: "a trigger has lacked something for more than an hour, whether anybody sends to it or not",
			change: map[string]string{`ingest-0 sluice_ingest_routes{state="unavailable"}`: "0x50 2x400"},
			want:   []string{"SluiceUnavailableRoutes"},
		},
		"UnavailableRoutesForMinutes": {
			reason: "somebody is at work on a trigger",
			change: map[string]string{`ingest-0 sluice_ingest_routes{state="unavailable"}`: "0x70 2x400"},
			nearly: []string{"SluiceUnavailableRoutes"},
		},
		"UnauthorizedSurge": {
			reason: "one signature in a hundred was wrong, and suddenly all are",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="unauthorized"}`: "0+1x400 460+60x70"},
			at:     7 * time.Hour,
			want:   []string{"SluiceUnauthorizedSurge"},
		},
		"GuessedTokens": {
			reason: "somebody tries tokens, most of which are not looked at",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="too_many_guesses"}`: "0x400 0+60x70"},
			at:     7 * time.Hour,
			want:   []string{"SluiceUnauthorizedSurge"},
		},
		"GuessedVerifyTokens": {
			reason: "somebody tries tokens from many addresses",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="forbidden"}`: "0x400 0+60x70"},
			at:     7 * time.Hour,
			want:   []string{"SluiceUnauthorizedSurge"},
		},
		"UnauthorizedAsUsual": {
			reason: "it is as many as ever, from a scanner for instance",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="unauthorized"}`: "0+60x480"},
			at:     7 * time.Hour,
			nearly: []string{"SluiceUnauthorizedSurge"},
		},
		"ManyDuplicates": {
			reason: "a sender does not understand the answers and sends everything again and again",
			change: map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="duplicate"}`: "0+100x480",
				`ingest-1 sluice_ingest_requests_total{result="duplicate"}`: "0+100x480",
			},
			at:   3 * time.Hour,
			want: []string{"SluiceManyDuplicates"},
		},
		"ManyDuplicatesOfRareWebhooks": {
			reason: "a sender that comes once an hour sends everything five times",
			change: rarely(map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="accepted"}`:  every(60, 0, 1),
				`ingest-1 sluice_ingest_requests_total{result="duplicate"}`: every(60, 5, 4),
			}),
			from: 4 * time.Hour,
			at:   6 * time.Hour,
			want: []string{"SluiceManyDuplicates"},
		},
		"AllDuplicatesOnce": {
			reason: "a sender has repeated a day's webhooks, for a few minutes",
			change: map[string]string{`ingest-0 sluice_ingest_requests_total{result="duplicate"}`: "0x120 0+9000x5 45000x300"},
			from:   2 * time.Hour,
			at:     5 * time.Hour,
			nearly: []string{"SluiceManyDuplicates"},
		},
		"SomeDuplicates": {
			reason: "nearly half",
			change: map[string]string{
				`ingest-0 sluice_ingest_requests_total{result="duplicate"}`: "0+55x480",
				`ingest-1 sluice_ingest_requests_total{result="duplicate"}`: "0+55x480",
			},
			at:     3 * time.Hour,
			nearly: []string{"SluiceManyDuplicates"},
		},

		"Overload": {
			reason: "the API server has been too slow for more than 20 minutes",
			change: map[string]string{`ingest-0 sluice_ingest_shed_total{reason="queue"}`: "0x90 0+1x300"},
			want:   []string{"SluiceOverload reason=queue"},
		},
		"OverloadEveryTenMinutes": {
			reason: "senders that come by the clock come all at once",
			change: map[string]string{`ingest-0 sluice_ingest_shed_total{reason="memory"}`: every(10, 60, 1)},
			from:   91 * time.Minute,
			want:   []string{"SluiceOverload reason=memory"},
		},
		"Burst": {
			reason: "a burst is over soon, and the limits that triggers set themselves are no overload",
			change: map[string]string{
				`ingest-0 sluice_ingest_shed_total{reason="queue"}`: "0x100 0+1x4 4x300",
				`ingest-0 sluice_ingest_shed_total{reason="rate"}`:  "0+1x480",
			},
			from:   101 * time.Minute,
			nearly: []string{"SluiceOverload"},
		},
		"MemoryBudget": {
			reason: "30 of 32 MiB have been held for more than 5 minutes",
			change: map[string]string{"ingest-0 sluice_ingest_in_flight_bytes": "1000000x110 30000000x300"},
			want:   []string{"SluiceMemoryBudgetNearlyUsed pod=ingest-0"},
		},
		"MemoryPeak": {
			reason: "that was a peak",
			change: map[string]string{"ingest-0 sluice_ingest_in_flight_bytes": "1000000x116 30000000x300"},
			nearly: []string{"SluiceMemoryBudgetNearlyUsed"},
		},
		"Connections": {
			reason: "950 of 1024 connections have been open for more than 10 minutes",
			change: map[string]string{"ingest-1 sluice_ingest_connections": "100x105 950x300"},
			want:   []string{"SluiceConnectionsNearLimit pod=ingest-1"},
		},
		"ManyConnections": {
			reason: "900 are not that many",
			change: map[string]string{"ingest-1 sluice_ingest_connections": "900x480"},
			nearly: []string{"SluiceConnectionsNearLimit"},
		},

		"HistoryErrors": {
			reason: "deletes have failed for more than half an hour",
			change: map[string]string{`controller-0 sluice_history_errors_total{operation="delete"}`: "0x80 0+1x300"},
			want:   []string{"SluiceHistoryErrors operation=delete"},
		},
		"HistoryErrorsForMinutes": {
			reason: "an API server that is restarted",
			change: map[string]string{`controller-0 sluice_history_errors_total{operation="delete"}`: "0x95 0+1x4 4x300"},
			nearly: []string{"SluiceHistoryErrors"},
		},
		"HistoryStalled": {
			reason: "the leader hangs",
			change: map[string]string{"controller-0 sluice_history_sweep_duration_seconds_count": "0+6x20 120x400"},
			want:   []string{"SluiceHistoryStalled"},
		},
		"HistorySlow": {
			reason: "a sweep takes 50 minutes",
			change: map[string]string{"controller-0 sluice_history_sweep_duration_seconds_count": "0x49 1x49 2x49 3x400"},
			nearly: []string{"SluiceHistoryStalled"},
		},

		"Down": {
			reason: "both replicas of role ingest are gone",
			change: gone("ingest-0", "ingest-1"),
			want:   []string{"SluiceDown", "SluiceReplicaDown pod=ingest-0", "SluiceReplicaDown pod=ingest-1"},
		},
		"DownForHours": {
			reason: "and are still, hours later",
			change: gone("ingest-0", "ingest-1"),
			at:     5 * time.Hour,
			want:   []string{"SluiceDown", "SluiceReplicaDown pod=ingest-0", "SluiceReplicaDown pod=ingest-1"},
		},
		"NeverUp": {
			reason: "no replica of role ingest has ever come up",
			change: never("ingest-0", "ingest-1"),
			want:   []string{"SluiceDown"},
		},
		"AllDownForHours": {
			reason: "nothing of Sluice is there any more",
			change: gone("ingest-0", "ingest-1", "controller-0", "controller-1"),
			at:     5 * time.Hour,
			want: []string{
				"SluiceAbsent", "SluiceDown", "SluiceReplicaDown pod=controller-0", "SluiceReplicaDown pod=controller-1", "SluiceReplicaDown pod=ingest-0", "SluiceReplicaDown pod=ingest-1",
			},
		},
		"ReplicaDown": {
			reason: "one is, and the other serves on",
			change: gone("ingest-0"),
			want:   []string{"SluiceReplicaDown pod=ingest-0"},
			nearly: []string{"SluiceDown"},
		},
		"ReplicaRestarts": {
			reason: "a pod that is replaced",
			change: map[string]string{"ingest-0 up": "1x117 0x300"},
			nearly: []string{"SluiceReplicaDown"},
		},
		"Absent": {
			reason: "Prometheus does not find Sluice",
			only:   true,
			change: map[string]string{"other-0 up": "1x480"},
			want:   []string{"SluiceAbsent"},
		},
		"Unread": {
			reason: "Prometheus has read nothing for 12 minutes; the webhook server may well be down",
			change: unread,
			want:   []string{"SluiceDown"},
			nearly: []string{"SluiceAbsent"},
		},
		"NoLeader": {
			reason: "both replicas are there, and neither gets the lease",
			change: map[string]string{`controller-0 leader_election_master_status{name="sluice-controller"}`: "1x100 0x300"},
			want:   []string{"SluiceNoLeader"},
		},
		"NoController": {
			reason: "nobody is there who could lead",
			change: gone("controller-0", "controller-1"),
			want:   []string{"SluiceNoLeader", "SluiceReplicaDown pod=controller-0", "SluiceReplicaDown pod=controller-1"},
		},
		"LeaderChanges": {
			reason: "the lease passes from one to the other after a minute",
			change: map[string]string{
				`controller-0 leader_election_master_status{name="sluice-controller"}`: "1x116 0x300",
				`controller-1 leader_election_master_status{name="sluice-controller"}`: "0x118 1x300",
			},
			nearly: []string{"SluiceNoLeader"},
		},
		"CertificateExpires": {
			reason: "less than 7 days are left",
			change: map[string]string{`ingest-0 sluice_certificate_expiration_timestamp_seconds{use="webhooks"}`: "608400x480"},
			want:   []string{"SluiceCertificateExpiring use=webhooks"},
		},
		"CertificateExpired": {
			reason: "none are",
			change: map[string]string{`ingest-0 sluice_certificate_expiration_timestamp_seconds{use="webhooks"}`: "3600x480"},
			want:   []string{"SluiceCertificateExpiring use=webhooks"},
		},
		"CertificateIsValid": {
			reason: "7 days and 5 minutes are left",
			change: map[string]string{`ingest-0 sluice_certificate_expiration_timestamp_seconds{use="webhooks"}`: "612300x480"},
			nearly: []string{"SluiceCertificateExpiring"},
		},
		"CertificateUnreadable": {
			reason: "the key does not belong to the certificate",
			change: map[string]string{"ingest-1 certwatcher_read_certificate_errors_total": "0x110 1x300"},
			want:   []string{"SluiceCertificateUnreadable pod=ingest-1"},
		},
		"CertificateUnreadableBefore": {
			reason: "it has been put right, more than 15 minutes ago",
			change: map[string]string{"ingest-1 certwatcher_read_certificate_errors_total": "0x100 1x300"},
			nearly: []string{"SluiceCertificateUnreadable"},
		},
	}
	rules := readRules(t)
	seen := map[string]bool{}
	for name, tc := range cases {
		for _, alert := range tc.want {
			alert, _, _ = strings.Cut(alert, " ")
			seen[alert+" fires"] = true
		}
		for _, alert := range tc.nearly {
			seen[alert+" nearly fires"] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			series := map[string]string{}
			if !tc.only {
				maps.Copy(series, healthy)
			}
			for key := range tc.change {
				if _, ok := healthy[key]; !ok {
					t.Errorf("%q is no series of what is healthy", key)
				}
			}
			maps.Copy(series, tc.change)
			var lines []string
			for key, values := range series {
				pod, metric, _ := strings.Cut(key, " ")
				lines = append(lines, withTarget(pod, metric)+" "+values)
			}
			db, at := load(t, lines), cmp.Or(tc.at, 2*time.Hour)
			from := cmp.Or(tc.from, at)
			fires := firing(t, rules, db, from, at, pace)
			for now := from; now <= at; now += pace {
				var got []string
				for _, a := range fires[now] {
					got = append(got, describe(a))
					checkAnnotations(t, a)
				}
				slices.Sort(got)
				if diff := gocmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: the alerts that fire after %s (-want +got):\n%s", tc.reason, now, diff)
				}
			}
		})
	}
	for _, rule := range rules {
		for _, what := range []string{" fires", " nearly fires"} {
			if !seen[rule.Alert+what] {
				t.Errorf("there is no case in which %s%s", rule.Alert, what)
			}
		}
	}
}

// checkAnnotations checks what an alert says: what is wrong, what to do, and where the
// documentation goes on.
func checkAnnotations(t *testing.T, a alert) {
	t.Helper()
	if severity := a.labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, severity) {
		t.Errorf("%s has the severity %q", describe(a), severity)
	}
	for _, name := range []string{"summary", "description", "runbook"} {
		text := a.annotations[name]
		if text == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "<error") || strings.Contains(text, "{{") {
			t.Errorf("the %s of %s is %q", name, describe(a), text)
		}
	}
	if summary := a.annotations["summary"]; len(summary) > 80 || strings.HasSuffix(summary, ".") {
		t.Errorf("the summary of %s is no headline: %q", describe(a), summary)
	}
	file, section, hasSection := strings.Cut(a.annotations["runbook"], ", ")
	page, err := os.ReadFile(filepath.Join(testenv.Root(), file))
	if err != nil {
		t.Errorf("the runbook of %s: %v", describe(a), err)
	}
	if hasSection && !regexp.MustCompile(`(?m)^#+ `+regexp.QuoteMeta(section)+`$`).Match(page) {
		t.Errorf("%s, which %s refers to, has no section %q", file, describe(a), section)
	}
}

// TestDocumentedAlerts compares the table of alerts in the documentation with the rules.
func TestDocumentedAlerts(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented, is := map[string]string{}, map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Sluice\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	for _, rule := range readRules(t) {
		is[rule.Alert] = rule.Labels["severity"]
	}
	if diff := gocmp.Diff(is, documented); diff != "" {
		t.Errorf("the alerts and their severities in docs/operations.md (-rules +documented):\n%s", diff)
	}
}
