/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestExplainIsBounded has a body looked into that would take a gigabyte if it were indented.
func TestExplainIsBounded(t *testing.T) {
	v := newVerifier(t, signature.SHA256)
	body := []byte(strings.Repeat("[", 8000) + strings.Repeat("]", 8000))
	request := signature.Request{Headers: header(strings.Repeat("ab", 32))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if e := v.Explain(request, body, time.Unix(0, 0)); e.Hint != signature.HintNone {
		t.Errorf("the hint is %s", e.Hint)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d bytes were allocated for a body of %d", allocated, len(body))
	}
}

// TestItemsAreBounded puts the right signature behind many others: only so many are tried.
func TestItemsAreBounded(t *testing.T) {
	scheme := signature.Scheme{Algorithm: signature.SHA256, ItemSeparator: ","}
	v, err := signature.NewVerifier(scheme, signature.Key{Name: "test", Secret: []byte(testKey)})
	if err != nil {
		t.Fatal(err)
	}
	right := sign(signature.SHA256, []byte(testKey), []byte(testBody))
	for others, want := range map[int]error{0: nil, 15: nil, 16: signature.ErrMismatch, 200: signature.ErrMismatch} {
		if _, err := verifyRequest(v, header(strings.Repeat(strings.Repeat("ab", 32)+",", others)+right), []byte(testBody)); err != want { //nolint:errorlint // a Cause is never wrapped
			t.Errorf("behind %d others: %v, want %v", others, err, want)
		}
	}
}

// TestPartsCannotMove shows that no part of what was signed can pass for another one.
func TestPartsCannotMove(t *testing.T) {
	preset, ok := signature.PresetByName("StandardWebhooks")
	if !ok {
		t.Fatal("no preset")
	}
	s := newSigner(preset.Scheme, nil)
	s.id = "msg_1.1700000000" // and the body's first characters would be the time
	v := s.verifier(t)
	request := s.request(s.mac(s.content([]byte("evil"))))
	if _, err := v.Verify(request, []byte("evil"), s.now); err != signature.ErrHeaderMalformed { //nolint:errorlint // a Cause is never wrapped
		t.Errorf("an id with a dot: %v, want %v", err, signature.ErrHeaderMalformed)
	}
}

// TestOneContentOneID takes the signature as the delivery id of a request that was signed with two keys.
func TestOneContentOneID(t *testing.T) {
	scheme := signature.Scheme{Algorithm: signature.SHA256, ItemSeparator: ",", DeliveryID: signature.DeliveryID{Signature: true}}
	v, err := signature.NewVerifier(scheme, signature.Key{Name: "a", Secret: []byte(testKey)}, signature.Key{Name: "b", Secret: []byte("other-" + testKey)})
	if err != nil {
		t.Fatal(err)
	}
	a := sign(signature.SHA256, []byte(testKey), []byte(testBody))
	b := sign(signature.SHA256, []byte("other-"+testKey), []byte(testBody))
	ids := map[string]bool{}
	for _, value := range []string{a + "," + b, b + "," + a, a, b} {
		result, err := v.Verify(signature.Request{Headers: header(value)}, []byte(testBody), time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		ids[result.DeliveryID] = true
		if strings.Contains(result.DeliveryID, a) || strings.Contains(result.DeliveryID, b) {
			t.Errorf("the id %q tells a signature", result.DeliveryID)
		}
	}
	if len(ids) != 1 {
		t.Errorf("one content has the ids %v", ids)
	}
}

// TestJoinedIDsDiffer shows that two lists of values are never one id.
func TestJoinedIDsDiffer(t *testing.T) {
	scheme := signature.Scheme{Algorithm: signature.SHA256, DeliveryID: signature.DeliveryID{BodyPointers: []string{"/a", "/b"}}}
	v, err := signature.NewVerifier(scheme, signature.Key{Name: "test", Secret: []byte(testKey)})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, parts := range [][2]string{{"x:y", "z"}, {"x", "y:z"}, {"x%3Ay", "z"}, {"x", "y%3Az"}} {
		body := fmt.Sprintf(`{"a": %q, "b": %q}`, parts[0], parts[1])
		result, err := v.Verify(signature.Request{Headers: header(sign(signature.SHA256, []byte(testKey), []byte(body)))}, []byte(body), time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := ids[result.DeliveryID]; ok || result.DeliveryID == "" {
			t.Errorf("%s has the id of %s: %q", body, was, result.DeliveryID)
		}
		ids[result.DeliveryID] = body
	}
}
