/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"fmt"
	"net/http"
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

// padded returns bodies in which nothing is but to be read: many names, each with an escape, at the
// place where they are looked at most often.
func padded(size int) map[string]string {
	names := strings.Repeat(`,"\n":0`, size/len(`,"\n":0`)-64)
	return map[string]string{
		"AdyenStandard": `{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"` + strings.Repeat("A", 43) + `="}` + names + `}}]}`,
		"Mailgun":       `{"signature":{"timestamp":"1767225600","token":"x","signature":"` + strings.Repeat("ab", 32) + `"` + names + `}}`,
	}
}

// TestUnverifiedNamesTakeNoMemory shows that a forged body is not costlier for what its names look
// like: none is read to its end, or copied. Before, each was decoded, by encoding/json, for each
// field that was looked for.
func TestUnverifiedNamesTakeNoMemory(t *testing.T) {
	for name, body := range padded(256 << 10) {
		v, err := signature.NewVerifier(preset(t, name), signature.Key{Name: "key", Secret: []byte(strings.Repeat("ab", 32))})
		if err != nil {
			t.Fatal(err)
		}
		allocations := testing.AllocsPerRun(3, func() {
			if _, err := v.Verify(signature.Request{}, []byte(body), time.Unix(1767225600, 0)); err != signature.ErrMismatch { //nolint:errorlint // a Cause is never wrapped
				t.Errorf("%s: %v, want %v", name, err, signature.ErrMismatch)
			}
		})
		if allocations > 100 {
			t.Errorf("%s: %.0f allocations for a body of %d bytes", name, allocations, len(body))
		}
	}
}

// TestTokensAreOneGuess shows several tokens at once. Who guesses is counted by requests, so none
// of them may say anything of more than one token.
func TestTokensAreOneGuess(t *testing.T) {
	const right, wrong = "the right token", "a wrong token"
	tests := map[string]struct {
		reason  string
		scheme  signature.Scheme
		headers http.Header
		want    error
	}{
		"List":         {reason: "the second one would be a guess more", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(wrong + "," + right), want: signature.ErrHeaderRepeated},
		"RightFirst":   {reason: "which is the first is not known before", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(right + "," + wrong), want: signature.ErrHeaderRepeated},
		"ListOfWrong":  {reason: "none is looked at", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(wrong + ",another"), want: signature.ErrHeaderRepeated},
		"Single":       {reason: "a list of one", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(right)},
		"Trailing":     {reason: "nothing is no token", scheme: signature.Scheme{ItemSeparator: ","}, headers: header("," + right + ", ")},
		"Nothing":      {reason: "nothing is no token", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(", ,"), want: signature.ErrHeaderMalformed},
		"Same":         {reason: "it is one guess", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(right + ", " + right)},
		"SameWrong":    {reason: "it is one guess", scheme: signature.Scheme{ItemSeparator: ","}, headers: header(wrong + ", " + wrong), want: signature.ErrMismatch},
		"Headers":      {reason: "the second one would be a guess more", scheme: signature.Scheme{Headers: []string{"X-A", "X-B"}}, headers: http.Header{"X-A": {wrong}, "X-B": {right}}, want: signature.ErrHeaderRepeated},
		"OneHeader":    {reason: "either will do", scheme: signature.Scheme{Headers: []string{"X-A", "X-B"}}, headers: http.Header{"X-B": {right}}},
		"EmptyHeader":  {reason: "nothing is no token", scheme: signature.Scheme{Headers: []string{"X-A", "X-B"}}, headers: http.Header{"X-A": {" "}, "X-B": {right}}},
		"SameHeaders":  {reason: "a sender whose name for it has changed sends both", scheme: signature.Scheme{Headers: []string{"X-A", "X-B"}}, headers: http.Header{"X-A": {right}, "X-B": {right}}},
		"Numbered":     {reason: "numbers make headers", scheme: signature.Scheme{Headers: []string{"X-A-"}, NumberedHeaders: true}, headers: http.Header{"X-A-1": {wrong}, "X-A-2": {right}}, want: signature.ErrHeaderRepeated},
		"Fields":       {reason: "fields do", scheme: signature.Scheme{ItemSeparator: ",", FieldSeparator: "=", SignatureFields: []string{"a", "b"}}, headers: header("a=" + wrong + ",b=" + right), want: signature.ErrHeaderRepeated},
		"OtherField":   {reason: "this is none", scheme: signature.Scheme{ItemSeparator: ",", FieldSeparator: "=", SignatureFields: []string{"a"}}, headers: header("x=" + wrong + ",a=" + right)},
		"OtherPrefix":  {reason: "nor is this", scheme: signature.Scheme{ItemSeparator: ",", Prefix: "v1."}, headers: header("v0." + wrong + ",v1." + right)},
		"BothPrefixed": {reason: "but this is", scheme: signature.Scheme{ItemSeparator: ",", Prefix: "v1."}, headers: header("v1." + wrong + ",v1." + right), want: signature.ErrHeaderRepeated},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.scheme.Algorithm = signature.Token
			v, err := signature.NewVerifier(tc.scheme, signature.Key{Name: "other", Secret: []byte("another token")}, signature.Key{Name: "key", Secret: []byte(right)})
			if err != nil {
				t.Fatal(err)
			}
			result, err := verifyBothWays(t, v, signature.Request{Headers: tc.headers}, []byte(testBody), time.Unix(0, 0))
			if err != tc.want || (err == nil) != (result.Key == "key") { //nolint:errorlint // a Cause is never wrapped
				t.Errorf("%s: key %q, %v, want %v", tc.reason, result.Key, err, tc.want)
			}
		})
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

// TestOneContentOneID takes the signature as the delivery id of a request that was signed with two
// keys.
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
