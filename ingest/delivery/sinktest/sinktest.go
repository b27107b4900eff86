/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package sinktest is the contract of a delivery.Sink, as tests that every Sink passes. It is for
// tests only.
package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/delivery"
)

// patience is how long an Accept may take whose context does not end before.
const patience = 20 * time.Second

// A Subject is a Sink, and what its tests need to know and do besides.
type Subject struct {
	Sink delivery.Sink
	// Stored returns the bodies that are durable, or certain to become so, under the name of a run
	// in a namespace; none if there is no such run.
	Stored func(t *testing.T, namespace, run string) [][]byte
	// Namespace returns the name of a namespace that deliveries can be stored in.
	Namespace func(t *testing.T) string
	// Lose has the answer to the next attempt get lost, once that attempt has arrived.
	Lose func(t *testing.T)
	// Stop has no attempt arrive, and none answered, until the function that it returns is called.
	Stop func(t *testing.T) (resume func())
	// Refuse makes a namespace refuse whatever is to be stored in it, for good.
	Refuse func(t *testing.T, namespace string)
}

// Run runs the contract. subject is called for each of its tests.
func Run(t *testing.T, subject func(t *testing.T) Subject) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Subject){
		"Stored":            testStored,
		"SameIDSameRun":     testSameID,
		"OtherIDOtherRun":   testOtherID,
		"BodyCounts":        testBodyCounts,
		"NoIDNoRepetition":  testNoID,
		"UnclearAttempt":    testUnclear,
		"UnclearUniqueName": testUnclearUnique,
		"TenantRefuses":     testRefusal,
		"ContextEnds":       testContextEnds,
		"ContextHasEnded":   testContextHasEnded,
		"Copies":            testCopies,
		"Many":              testMany,
		"BodyIsTheCallers":  testBodyIsTheCallers,
	} {
		t.Run(name, func(t *testing.T) { test(t, subject(t)) })
	}
}

// Delivery returns a delivery of a trigger in the namespace.
func Delivery(namespace, id string, body []byte, identity delivery.Identity) delivery.Delivery {
	return delivery.New(delivery.Delivery{
		Trigger:     delivery.Trigger{Namespace: namespace, Name: "orders", UID: "6a4f7a51-0e0b-4a42-8f0f-6a3c27d9f3a7"},
		Flow:        "import-orders",
		ID:          id,
		Key:         "orders-webhook/secretKey",
		ContentType: "application/json",
		Body:        body,
		ReceivedAt:  time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC),
	}, identity)
}

// accept accepts a delivery that must be accepted.
func accept(t *testing.T, s Subject, d *delivery.Delivery, duplicate bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	receipt, err := s.Sink.Accept(ctx, d)
	if err != nil {
		t.Fatalf("%s is not accepted: %v", d.Run, err)
	}
	if receipt.Duplicate != duplicate {
		t.Errorf("%s: duplicate is %t, want %t", d.Run, receipt.Duplicate, duplicate)
	}
}

// checkStored fails the test unless the run is there once, with that body.
func checkStored(t *testing.T, s Subject, d *delivery.Delivery, body []byte) {
	t.Helper()
	found := s.Stored(t, d.Trigger.Namespace, d.Run)
	if len(found) != 1 || !bytes.Equal(found[0], body) {
		t.Errorf("%s is stored %d times, want once with its %d bytes", d.Run, len(found), len(body))
	}
}

// testStored stores bodies of all kinds byte for byte.
func testStored(t *testing.T, s Subject) {
	namespace := s.Namespace(t)
	bodies := map[string][]byte{
		"Empty":    {},
		"JSON":     []byte(`{"id":7,"name":"<Ä&\u2028>"}`),
		"NotUTF8":  {0xff, 0xfe, 0x00, 0x80},
		"Controls": []byte("\x00\x01\r\n\t\x7f"),
		"Long":     bytes.Repeat([]byte("0123456789abcdef"), 60_000),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			d := Delivery(namespace, name, body, delivery.ByID)
			accept(t, s, &d, false)
			checkStored(t, s, &d, body)
		})
	}
}

// testSameID accepts a delivery again, with another body as senders have it that count their
// attempts.
func testSameID(t *testing.T, s Subject) {
	namespace := s.Namespace(t)
	first := Delivery(namespace, "evt_1", []byte(`{"attempt":1}`), delivery.ByID)
	again := Delivery(namespace, "evt_1", []byte(`{"attempt":2}`), delivery.ByID)
	if first.Run != again.Run {
		t.Fatalf("the runs are %s and %s, want one", first.Run, again.Run)
	}
	accept(t, s, &first, false)
	accept(t, s, &first, true)
	accept(t, s, &again, true)
	checkStored(t, s, &first, []byte(`{"attempt":1}`))
}

func testOtherID(t *testing.T, s Subject) {
	namespace := s.Namespace(t)
	for _, id := range []string{"evt_1", "evt_2", "EVT_1"} {
		d := Delivery(namespace, id, []byte("same"), delivery.ByID)
		accept(t, s, &d, false)
		checkStored(t, s, &d, []byte("same"))
	}
}

// testBodyCounts has an id that somebody else may have used before.
func testBodyCounts(t *testing.T, s Subject) {
	namespace := s.Namespace(t)
	for _, body := range []string{"forged", "genuine"} {
		d := Delivery(namespace, "evt_1", []byte(body), delivery.ByIDAndBody)
		accept(t, s, &d, false)
		accept(t, s, &d, true)
		checkStored(t, s, &d, []byte(body))
	}
}

// testNoID accepts equal requests of which nothing says that they are one delivery.
func testNoID(t *testing.T, s Subject) {
	namespace := s.Namespace(t)
	first := Delivery(namespace, "", []byte("same"), delivery.ByID)
	second := Delivery(namespace, "", []byte("same"), delivery.ByID)
	if first.Run == second.Run {
		t.Fatalf("both runs are %s, want two", first.Run)
	}
	for _, d := range []*delivery.Delivery{&first, &second} {
		accept(t, s, d, false)
		checkStored(t, s, d, []byte("same"))
	}
}

// testUnclear loses the answer to an attempt that has arrived: one run, and no duplicate of itself.
func testUnclear(t *testing.T, s Subject) {
	d := Delivery(s.Namespace(t), "evt_1", []byte("body"), delivery.ByID)
	s.Lose(t)
	accept(t, s, &d, false)
	checkStored(t, s, &d, []byte("body"))
	accept(t, s, &d, true)
}

func testUnclearUnique(t *testing.T, s Subject) {
	d := Delivery(s.Namespace(t), "", []byte("body"), delivery.Unique)
	s.Lose(t)
	accept(t, s, &d, false)
	checkStored(t, s, &d, []byte("body"))
}

// testRefusal has one tenant refuse. It must be told from trouble of the store, for which others
// would have to pay.
func testRefusal(t *testing.T, s Subject) {
	refusing, other := s.Namespace(t), s.Namespace(t)
	s.Refuse(t, refusing)
	d := Delivery(refusing, "evt_1", []byte("body"), delivery.ByID)
	_, err := s.Sink.Accept(t.Context(), &d)
	if kind, _ := delivery.KindOf(err); err == nil || kind != delivery.Rejected && kind != delivery.Blocked {
		t.Errorf("the error is %v (%s), want it to be the tenant's", err, kind)
	}
	if found := s.Stored(t, refusing, d.Run); len(found) != 0 {
		t.Errorf("%s is stored although it was refused", d.Run)
	}
	d = Delivery(other, "evt_1", []byte("body"), delivery.ByID)
	accept(t, s, &d, false)
}

// testContextEnds ends the context of an attempt that has no answer. It can be accepted afterwards,
// and is then stored once.
func testContextEnds(t *testing.T, s Subject) {
	d := Delivery(s.Namespace(t), "evt_1", []byte("body"), delivery.ByID)
	resume := s.Stop(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Sink.Accept(ctx, &d)
		failed <- err
	}()
	cancel()
	checkUnavailable(t, failed)
	resume()
	acceptEither(t, s, &d)
	checkStored(t, s, &d, []byte("body"))
}

// testContextHasEnded begins when there is no time left.
func testContextHasEnded(t *testing.T, s Subject) {
	d := Delivery(s.Namespace(t), "evt_1", []byte("body"), delivery.ByID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := s.Sink.Accept(ctx, &d)
		failed <- err
	}()
	checkUnavailable(t, failed)
	acceptEither(t, s, &d)
	checkStored(t, s, &d, []byte("body"))
}

func checkUnavailable(t *testing.T, failed <-chan error) {
	t.Helper()
	select {
	case err := <-failed:
		if kind, _ := delivery.KindOf(err); err == nil || kind != delivery.Unavailable {
			t.Errorf("the error is %v (%s), want %s", err, kind, delivery.Unavailable)
		}
		if _, ok := errors.AsType[*delivery.Error](err); !ok {
			t.Errorf("the error is a %T, want a *delivery.Error", err)
		}
	case <-time.After(patience):
		t.Fatal("Accept does not return after its context has ended")
	}
}

// acceptEither accepts a delivery of which it is not known whether it is stored.
func acceptEither(t *testing.T, s Subject, d *delivery.Delivery) {
	t.Helper()
	if _, err := s.Sink.Accept(t.Context(), d); err != nil {
		t.Fatalf("%s is not accepted afterwards: %v", d.Run, err)
	}
}

// testCopies accepts copies of a delivery at the same time: exactly one of them is no duplicate.
func testCopies(t *testing.T, s Subject) {
	const copies = 16
	namespace := s.Namespace(t)
	receipts := make([]delivery.Receipt, copies)
	var wg sync.WaitGroup
	for i := range copies {
		wg.Go(func() {
			d := Delivery(namespace, "evt_1", []byte("body"), delivery.ByID)
			var err error
			if receipts[i], err = s.Sink.Accept(t.Context(), &d); err != nil {
				t.Errorf("a copy is not accepted: %v", err)
			}
		})
	}
	wg.Wait()
	first := slices.DeleteFunc(receipts, func(r delivery.Receipt) bool { return r.Duplicate })
	if len(first) != 1 {
		t.Errorf("%d of %d copies are no duplicates, want one", len(first), copies)
	}
	d := Delivery(namespace, "evt_1", []byte("body"), delivery.ByID)
	checkStored(t, s, &d, []byte("body"))
}

// testMany accepts different deliveries at the same time.
func testMany(t *testing.T, s Subject) {
	const deliveries = 32
	namespace := s.Namespace(t)
	var wg sync.WaitGroup
	for i := range deliveries {
		wg.Go(func() {
			d := Delivery(namespace, fmt.Sprint(i), fmt.Append(nil, i), delivery.ByID)
			receipt, err := s.Sink.Accept(t.Context(), &d)
			if err != nil || receipt.Duplicate {
				t.Errorf("delivery %d: %+v, %v", i, receipt, err)
			}
			checkStored(t, s, &d, fmt.Append(nil, i))
		})
	}
	wg.Wait()
}

// testBodyIsTheCallers uses the memory of the body for something else afterwards.
func testBodyIsTheCallers(t *testing.T, s Subject) {
	body := []byte("genuine")
	d := Delivery(s.Namespace(t), "evt_1", body, delivery.ByID)
	accept(t, s, &d, false)
	if string(body) != "genuine" {
		t.Errorf("the body was changed to %q", body)
	}
	copy(body, "another")
	checkStored(t, s, &d, []byte("genuine"))
}
