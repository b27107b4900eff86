/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package diagnosis

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// told keeps what the owners of triggers are told.
type told struct{ all []signature.Explanation }

// ReportRefusal implements Reporter.
func (r *told) ReportRefusal(_ context.Context, _ *route.Route, e signature.Explanation) {
	r.all = append(r.all, e)
}

// fakeClock is set by hand.
type fakeClock struct{ time time.Time }

func (c *fakeClock) now() time.Time { return c.time }

func target(t *testing.T, uid string) *route.Route {
	t.Helper()
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "webhook/key", Secret: []byte("the key of this trigger\n")})
	if err != nil {
		t.Fatal(err)
	}
	return &route.Route{Namespace: "shop", Name: uid, UID: uid, Verifier: verifier}
}

// TestHintNeedsNoBody has a long body, which is not kept, beside causes that say it all.
func TestHintNeedsNoBody(t *testing.T) {
	for cause, hint := range map[signature.Cause]signature.Hint{
		signature.ErrQueryAmbiguous:   signature.HintStateQuery,
		signature.ErrIDAmbiguous:      signature.HintIDInBody,
		signature.ErrVerifyTokenWrong: signature.HintVerifyToken,
		signature.ErrVerifyTokenUnset: signature.HintVerifyTokenUnset,
		signature.ErrMismatch:         signature.HintNone,
	} {
		var owner told
		d := New(&owner, logr.Discard(), time.Now)
		if !d.Offer(Denial{Target: target(t, "orders"), Body: make([]byte, maxBody+1), Cause: cause}) {
			t.Fatalf("%s is not taken", cause)
		}
		d.Next(t.Context())
		if len(owner.all) != 1 || owner.all[0].Hint != hint || owner.all[0].Cause != cause {
			t.Errorf("of %s the owner is told %+v, want the hint %s", cause, owner.all, hint)
		}
	}
}

// TestDiagnosesAreFew floods a trigger with forged requests.
func TestDiagnosesAreFew(t *testing.T) {
	clock := &fakeClock{time.Unix(1_800_000_000, 0)}
	var owner told
	d := New(&owner, logr.Discard(), clock.now)
	offer := func(uid string, cause signature.Cause) bool {
		return d.Offer(Denial{Target: target(t, uid), Cause: cause})
	}
	var got []bool
	for _, step := range []struct {
		uid   string
		cause signature.Cause
		after time.Duration
	}{
		{"a", signature.ErrMismatch, 0}, {"a", signature.ErrMismatch, 0}, // once a minute
		{"a", signature.ErrHeaderMissing, 0}, {"b", signature.ErrMismatch, 0}, // but for each cause and trigger
		{"a", signature.ErrMismatch, pause - 1}, {"a", signature.ErrMismatch, 1}, // and again a minute later
	} {
		clock.time = clock.time.Add(step.after)
		got = append(got, offer(step.uid, step.cause))
	}
	if diff := cmp.Diff([]bool{true, false, true, true, false, true}, got); diff != "" {
		t.Errorf("what is taken (-want +got):\n%s", diff)
	}
	taken := 0
	for i := range 3 * maxQueued {
		if offer(fmt.Sprint("many-", i), signature.ErrMismatch) {
			taken++
		}
	}
	if want := maxQueued - 4; taken != want {
		t.Errorf("%d are taken with 4 of %d waiting, want %d", taken, maxQueued, want)
	}
	for range maxQueued {
		d.Next(t.Context())
	}
	if len(owner.all) != maxQueued {
		t.Errorf("the owners are told of %d, want %d", len(owner.all), maxQueued)
	}
}

// TestDiagnosis tells the owner what is wrong, and says nothing of the key, the signature or the
// body.
func TestDiagnosis(t *testing.T) {
	var owner told
	var log bytes.Buffer
	d := New(&owner, funcr.New(func(_, line string) { log.WriteString(line) }, funcr.Options{}), time.Now)
	headers := map[string][]string{signature.DefaultHeader: {"9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b"}}
	body := []byte("hello")
	denial := Denial{Target: target(t, "orders"), Request: signature.Request{Method: http.MethodPost, Headers: headers}, Body: body, Cause: signature.ErrMismatch, Result: "unauthorized"}
	if !d.Offer(denial) {
		t.Fatal("it is not taken")
	}
	copy(body, "other") // the memory is another request's by now
	headers[signature.DefaultHeader][0] = "0"
	d.Next(t.Context())
	if len(owner.all) != 1 {
		t.Fatalf("the owner is told %+v", owner.all)
	}
	for _, secret := range []string{"the key of this", "9307b3b9", "hello"} {
		if strings.Contains(log.String(), secret) || strings.Contains(owner.all[0].String(), secret) {
			t.Errorf("it holds %q: %s", secret, log.String())
		}
	}
	for _, part := range []string{"Refused a request", "orders", "unauthorized", string(signature.ErrMismatch)} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %q: %s", part, log.String())
		}
	}
}

// panicking is a Reporter that panics.
type panicking struct{}

// ReportRefusal implements Reporter.
func (panicking) ReportRefusal(context.Context, *route.Route, signature.Explanation) {
	panic("with a secret")
}

func TestPanicIsSurvived(t *testing.T) {
	var log bytes.Buffer
	d := New(panicking{}, funcr.New(func(_, line string) { log.WriteString(line) }, funcr.Options{}), time.Now)
	if !d.Offer(Denial{Target: target(t, "orders"), Cause: signature.ErrHeaderMissing}) {
		t.Fatal("it is not taken")
	}
	d.Next(t.Context())
	if !strings.Contains(log.String(), "Panic while diagnosing") || strings.Contains(log.String(), "with a secret") {
		t.Errorf("the log is %s", log.String())
	}
}
