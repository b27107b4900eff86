/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"crypto/sha256"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The deliveries of the tests, by their bodies.
const testTrigger = "chaos/orders"

func testDelivery(body, id string, s sort) *delivery {
	return &delivery{number: 1, kind: "test", trigger: testTrigger, id: id, signsID: id != "", digest: sha256.Sum256([]byte(body)), sort: s}
}

// unsigned makes the delivery one whose id is not signed.
func unsigned(d *delivery) *delivery {
	d.signsID = false
	return d
}

func testRun(name, body, id string) storedRun {
	digest := digest(sha256.Sum256([]byte(body)))
	return storedRun{name: name, trigger: testTrigger, id: id, digest: digest, said: digest}
}

func ok(status int, run string) answer { return answer{status: status, run: run} }

// sentDelivery is what one delivery's sender was told.
type sentDelivery struct {
	delivery *delivery
	answers  []answer
}

// TestCompare shows that a ledger and etcd which agree are not found fault with, and that each rule
// finds what violates it.
func TestCompare(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		sent   []sentDelivery
		runs   []storedRun
		want   []string // the rules that are violated
	}{
		"Nothing": {reason: "nothing was sent and nothing is stored"},
		"Stored": {
			reason: "what was acknowledged is stored",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
		},
		"StoredAndDeleted": {
			reason: "what is deleted later was stored all the same",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs: []storedRun{func() storedRun {
				run := testRun("chaos/a", "a", "1")
				run.deleted = true
				return run
			}()},
		},
		"AnswerLost": {
			reason: "an answer that SIGKILL cut may have been 202; the second request finds the run of the first",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{{fate: cut}, ok(200, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
		},
		"AnswerLostWithoutID": {
			reason: "without an id, a delivery is stored again for each answer that was not clear",
			sent:   []sentDelivery{{testDelivery("a", "", genuine), []answer{ok(503, ""), {fate: cut}, ok(202, "chaos/c")}}},
			runs:   []storedRun{testRun("chaos/a", "a", ""), testRun("chaos/b", "a", ""), testRun("chaos/c", "a", "")},
		},
		"NotStored": {
			reason: "503 promises nothing to a sender that sends once",
			sent:   []sentDelivery{{testDelivery("a", "", single), []answer{ok(503, "")}}},
		},
		"Rivals": {
			reason: "of two bodies under one id, one is stored",
			sent: []sentDelivery{
				{testDelivery("a", "1", rival), []answer{ok(202, "chaos/a")}},
				{testDelivery("b", "1", rival), []answer{ok(200, "chaos/a")}},
			},
			runs: []storedRun{testRun("chaos/a", "a", "1")},
		},
		"TwoBodiesUnsigned": {
			reason: "an id that is not signed is not the delivery's alone",
			sent: []sentDelivery{
				{unsigned(testDelivery("a", "1", genuine)), []answer{ok(202, "chaos/a")}},
				{unsigned(testDelivery("b", "1", genuine)), []answer{ok(202, "chaos/b"), ok(200, "chaos/b")}},
			},
			runs: []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "b", "1")},
		},
		"RefusedByPolicy": {
			reason: "422 is the owner's will",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(422, "")}}},
		},
		"RepeatedUnderPolicy": {
			reason: "the sender knows that it was stored before the policy came",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a"), ok(422, "")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
		},
		"ForgedAndRefused": {
			reason: "401 is what a forgery gets",
			sent:   []sentDelivery{{testDelivery("a", "1", forged), []answer{ok(401, "")}}},
		},
		"Abandoned": {
			reason: "a sender that broke off is owed no answer",
			sent:   []sentDelivery{{testDelivery("a", "", unwanted), []answer{{fate: abandoned}}}},
		},

		"Lost": {
			reason: "an acknowledged delivery that is not in etcd is the worst there is",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			want:   []string{ruleStored},
		},
		"LostUnderItsName": {
			reason: "a run of the same body under another name is not the one that was named",
			sent:   []sentDelivery{{testDelivery("a", "", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/b", "a", "")},
			want:   []string{ruleStored},
		},
		"Twice": {
			reason: "one delivery id, one FlowRun",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "a", "1")},
			want:   []string{ruleOnce},
		},
		"TwiceNamed": {
			reason: "and it is always the same that is named",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a"), ok(202, "chaos/b")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "a", "1")},
			want:   []string{ruleOnce, ruleNames},
		},
		"BothRivals": {
			reason: "one delivery id, one FlowRun, whatever the bodies are",
			sent: []sentDelivery{
				{testDelivery("a", "1", rival), []answer{ok(202, "chaos/a")}},
				{testDelivery("b", "1", rival), []answer{ok(202, "chaos/b")}},
			},
			runs: []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "b", "1")},
			want: []string{ruleOnce, ruleNames},
		},
		"NeitherRival": {
			reason: "one of them has to be stored",
			sent: []sentDelivery{
				{testDelivery("a", "1", rival), []answer{ok(503, "")}},
				{testDelivery("b", "1", rival), []answer{ok(503, "")}},
			},
			want: []string{ruleSettled, ruleSettled},
		},
		"TooOften": {
			reason: "a clear answer leaves no room for a second run",
			sent:   []sentDelivery{{testDelivery("a", "", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", ""), testRun("chaos/b", "a", "")},
			want:   []string{ruleOften},
		},
		"ForgedAndStored": {
			reason: "a forgery in etcd, though it was answered 401",
			sent:   []sentDelivery{{testDelivery("a", "", forged), []answer{ok(401, "")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "")},
			want:   []string{ruleForged},
		},
		"ForgedAndAccepted": {
			reason: "a forgery that was answered 202, though it is not in etcd",
			sent:   []sentDelivery{{testDelivery("a", "", forged), []answer{ok(202, "chaos/a")}}},
			want:   []string{ruleStored, ruleForgedOK},
		},
		"TooLongAndStored": {
			reason: "a body that was refused for its length",
			sent:   []sentDelivery{{testDelivery("a", "", unwanted), []answer{ok(413, "")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "")},
			want:   []string{ruleUnwanted},
		},
		"RefusedAndStored": {
			reason: "the sender was told for good that it is not stored",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(422, "")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleRefused},
		},
		"Unknown": {
			reason: "nobody sent it",
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleUnknown},
		},
		"OtherDigest": {
			reason: "the FlowRun says that its payload is another one",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs: []storedRun{func() storedRun {
				run := testRun("chaos/a", "a", "1")
				run.said = sha256.Sum256([]byte("b"))
				return run
			}()},
			want: []string{ruleDigest},
		},
		"OtherBody": {
			reason: "the FlowRun that was named has another body",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "b", "1")},
			want:   []string{ruleUnknown, ruleStored},
		},
		"OtherID": {
			reason: "the FlowRun has another delivery id",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "2")},
			want:   []string{ruleDigest},
		},
		"Unanswered": {
			reason: "the connection broke and no SIGKILL was why",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{{fate: unanswered}, ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleUnanswered},
		},
		"WronglyRefused": {
			reason: "the signature was good",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(401, "")}}},
			want:   []string{ruleWrongly},
		},
		"Conflict": {
			reason: "no delivery is refused for its id",
			sent:   []sentDelivery{{testDelivery("a", "1", rival), []answer{ok(409, ""), ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleAnswer},
		},
		"TwiceUnsigned": {
			reason: "with the same body it is the same delivery",
			sent:   []sentDelivery{{unsigned(testDelivery("a", "1", genuine)), []answer{ok(202, "chaos/a"), ok(202, "chaos/b")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "a", "1")},
			want:   []string{ruleOnce, ruleNames},
		},
		"OtherForBodyUnsigned": {
			reason: "what is stored is another delivery",
			sent: []sentDelivery{
				{unsigned(testDelivery("a", "1", genuine)), []answer{ok(202, "chaos/a")}},
				{unsigned(testDelivery("b", "1", genuine)), []answer{ok(200, "chaos/a")}},
			},
			runs: []storedRun{testRun("chaos/a", "a", "1")},
			want: []string{ruleStored},
		},
		"ServerError": {
			reason: "500 is no answer to count on",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(500, ""), ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleAnswer},
		},
		"NotFound": {
			reason: "the trigger was there all the time",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(404, ""), ok(202, "chaos/a")}}},
			runs:   []storedRun{testRun("chaos/a", "a", "1")},
			want:   []string{ruleAnswer},
		},
		"NameMissing": {
			reason: "the sender cannot find what it is not told",
			sent:   []sentDelivery{{testDelivery("a", "", single), []answer{ok(202, "")}}},
			want:   []string{ruleAnswer},
		},
		"NeverStored": {
			reason: "all faults were healed, and the sender came back until the end",
			sent:   []sentDelivery{{testDelivery("a", "1", genuine), []answer{ok(503, ""), ok(503, "")}}},
			want:   []string{ruleSettled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			for _, s := range tc.sent {
				l.expect(s.delivery)
				for _, a := range s.answers {
					l.sent(s.delivery, 1)
					l.note(s.delivery, a, "test")
				}
			}
			var got []string
			for _, v := range l.compare(tc.runs) {
				got = append(got, v.Rule)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: the rules that are violated (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestTotals adds up a small ledger.
func TestTotals(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for _, s := range []sentDelivery{
		{testDelivery("a", "1", genuine), []answer{{fate: cut}, ok(http.StatusOK, "chaos/a")}},
		{testDelivery("b", "", single), []answer{ok(http.StatusServiceUnavailable, "")}},
		{testDelivery("c", "", genuine), []answer{ok(http.StatusServiceUnavailable, ""), ok(http.StatusAccepted, "chaos/c2")}},
		{testDelivery("d", "", forged), []answer{ok(http.StatusUnauthorized, "")}},
		{testDelivery("e", "5", genuine), []answer{ok(http.StatusUnprocessableEntity, "")}},
		{testDelivery("f", "6", rival), []answer{ok(http.StatusOK, "chaos/f2")}},
		{testDelivery("f2", "6", rival), []answer{ok(http.StatusAccepted, "chaos/f2")}},
		{testDelivery("g", "", unwanted), []answer{{fate: abandoned}}},
	} {
		l.expect(s.delivery)
		for _, a := range s.answers {
			l.sent(s.delivery, 1)
			l.note(s.delivery, a, "test")
		}
	}
	runs := []storedRun{testRun("chaos/a", "a", "1"), testRun("chaos/b", "b", ""), testRun("chaos/c1", "c", ""), testRun("chaos/c2", "c", ""), testRun("chaos/f2", "f2", "6")}
	want := totals{
		Deliveries: 8, Requests: 10, Answered: 8, Cut: 1, Abandoned: 1, Genuine: 6, Accepted: 4, Refused: 1, Repeating: 1, Forged: 1,
		Again: 1, Untold: 1, Stored: 5,
	}
	if diff := cmp.Diff(want, l.add(runs)); diff != "" {
		t.Errorf("the totals (-want +got):\n%s", diff)
	}
}
