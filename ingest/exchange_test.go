/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const stageKey = "the key of the trigger, of many bytes"

func signed(body string) http.Header {
	mac := hmac.New(sha256.New, []byte(stageKey))
	mac.Write([]byte(body))
	return http.Header{signature.DefaultHeader: {hex.EncodeToString(mac.Sum(nil))}}
}

// testRoute is a route of the default scheme. change may change it; it may be nil.
func testRoute(tb testing.TB, change func(*route.Route)) *route.Route {
	tb.Helper()
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "webhook/key", Secret: []byte(stageKey)})
	if err != nil {
		tb.Fatal(err)
	}
	r := &route.Route{Namespace: "shop", Name: "orders", UID: "orders", Flow: "import", Verifier: verifier}
	if change != nil {
		change(r)
	}
	return r
}

// testExchange is a request to the route at its beginning.
func testExchange(tb testing.TB, sink delivery.Sink, target *route.Route, request *http.Request) *exchange {
	tb.Helper()
	table := route.NewTable()
	table.Replace([]*route.Route{target})
	h := testHandler(tb, sink, table, nil)
	return h.begin(httptest.NewRecorder(), request, target, time.Now())
}

func post(tb testing.TB, body string, header http.Header) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/hooks/shop/orders", strings.NewReader(body))
	maps.Copy(r.Header, header)
	return r
}

// through goes through the stages before the one that is tested, none of which may end the request.
func (x *exchange) through(tb testing.TB, stages ...func(*exchange) (answer, bool)) {
	tb.Helper()
	for i, stage := range stages {
		if a, ended := stage(x); ended {
			tb.Fatalf("stage %d ends the request: %s", i, a.result)
		}
	}
}

// goesOn stands for the result of a stage that leaves the request to the next one.
const goesOn = "goes on"

func resultOf(a answer, ended bool) string {
	if !ended {
		return goesOn
	}
	return a.result
}

func TestStageRoute(t *testing.T) {
	dropbox, _ := signature.PresetByName("Dropbox")
	greeted, err := signature.NewVerifier(dropbox.Scheme, signature.Key{Name: "webhook/key", Secret: []byte(stageKey)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason, method, query string
		change                func(*route.Route)
		want                  string
	}{
		"Post":        {reason: "a delivery", method: "POST", want: goesOn},
		"Put":         {reason: "no sender that is known uses it", method: "PUT", want: "method_not_allowed"},
		"Get":         {reason: "no handshake of this scheme", method: "GET", want: "method_not_allowed"},
		"Handshake":   {reason: "it is answered and not stored", method: "GET", query: "?challenge=abc", change: func(r *route.Route) { r.Verifier = greeted }, want: "challenge"},
		"NoHandshake": {reason: "a GET of somebody else", method: "GET", query: "?other=abc", change: func(r *route.Route) { r.Verifier = greeted }, want: "method_not_allowed"},
		"Suspended":   {reason: "it cannot accept", method: "POST", change: func(r *route.Route) { r.Verifier, r.Unavailable = nil, "Suspended" }, want: "unavailable"},
		"AllTheSame":  {reason: "whatever the method", method: "GET", change: func(r *route.Route) { r.Verifier, r.Unavailable = nil, "Suspended" }, want: "method_not_allowed"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), tc.method, "/hooks/shop/orders"+tc.query, nil)
		x := testExchange(t, &keeper{}, testRoute(t, tc.change), request)
		if got := resultOf(x.route()); got != tc.want {
			t.Errorf("%s (%s): %s, want %s", name, tc.reason, got, tc.want)
		}
		x.close()
	}
}

func TestStageAdmit(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		change  func(*route.Route)
		request func(*http.Request)
		before  func(*exchange)
		want    string
	}{
		"Good":       {reason: "there is nothing in the way", want: goesOn},
		"NoLength":   {reason: "a body in chunks", request: func(r *http.Request) { r.ContentLength = -1 }, want: goesOn},
		"Large":      {reason: "the server's limit", request: func(r *http.Request) { r.ContentLength = 1<<20 + 1 }, want: "too_large"},
		"OwnLimit":   {reason: "the trigger's limit", change: func(r *route.Route) { r.Limits.MaxBodyBytes = 1 }, want: "too_large"},
		"NoHeader":   {reason: "it cannot be genuine", request: func(r *http.Request) { r.Header = http.Header{} }, want: "unauthorized"},
		"OddHeader":  {reason: "nor can this", request: func(r *http.Request) { r.Header[signature.DefaultHeader] = []string{"zz"} }, want: "unauthorized"},
		"NoMemory":   {reason: "others hold all", before: func(x *exchange) { x.budget = overload.NewBudget(1, time.Now) }, want: "no_capacity"},
		"StoreIsOut": {reason: "the breaker is open", before: func(x *exchange) { open(t, x.control, x.tenant) }, want: "cannot_store"},
	} {
		request := post(t, "hello", signed("hello"))
		if tc.request != nil {
			tc.request(request)
		}
		x := testExchange(t, &keeper{}, testRoute(t, tc.change), request)
		if tc.before != nil {
			tc.before(x)
		}
		x.through(t, (*exchange).route)
		if got := resultOf(x.admit()); got != tc.want {
			t.Errorf("%s (%s): %s, want %s", name, tc.reason, got, tc.want)
		}
		x.close()
	}
}

// open makes the breaker open by attempts that fail.
func open(t *testing.T, c *overload.Control, tenant overload.Tenant) {
	t.Helper()
	for range 100 {
		pass, reason, _ := c.Enter(t.Context(), tenant, 0)
		if reason != "" {
			return
		}
		c.Leave(pass, overload.Failed, time.Minute)
	}
	t.Fatal("the breaker does not open")
}

func TestStageRead(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		body   io.Reader
		before func(*exchange) // while the body is on its way
		want   string
	}{
		"Whole":   {reason: "it is read to its end", body: strings.NewReader("hello"), want: goesOn},
		"Broken":  {reason: "the sender goes away", body: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("hello"))), want: "aborted"},
		"Slow":    {reason: "the read timeout", body: iotest.ErrReader(os.ErrDeadlineExceeded), want: "slow_body"},
		"Long":    {reason: "it is longer than it may be", body: strings.NewReader(strings.Repeat("x", 1<<20+1)), want: "too_large"},
		"Deleted": {reason: "the trigger is gone by then", body: strings.NewReader("hello"), before: func(x *exchange) { x.table.Delete("/hooks/shop/orders") }, want: "unknown_path"},
		"NoKey": {reason: "the key is gone by then", body: strings.NewReader("hello"), before: func(x *exchange) {
			x.table.Upsert(&route.Route{Namespace: "shop", Name: "orders", UID: "orders", Unavailable: "SecretNotFound"})
		}, want: "unavailable"},
		"NoMemory": {reason: "others took all meanwhile", body: strings.NewReader(strings.Repeat("x", 1<<20)), before: func(x *exchange) { hold(t, x) }, want: "no_capacity"},
	} {
		request := post(t, "", signed("hello"))
		request.Body, request.ContentLength = io.NopCloser(tc.body), -1
		x := testExchange(t, &keeper{}, testRoute(t, nil), request)
		x.through(t, (*exchange).route, (*exchange).admit)
		if tc.before != nil {
			tc.before(x)
		}
		if got := resultOf(x.read()); got != tc.want {
			t.Errorf("%s (%s): %s, want %s", name, tc.reason, got, tc.want)
		}
		wholly := tc.want == goesOn || tc.want == "unknown_path" || tc.want == "unavailable"
		if x.complete != wholly {
			t.Errorf("%s (%s): the body is complete %t, want %t", name, tc.reason, x.complete, wholly)
		}
		x.close()
	}
}

// hold takes nearly all of the body budget for another request of the tenant.
func hold(t *testing.T, x *exchange) {
	t.Helper()
	for {
		if _, ok := x.budget.Reserve(x.tenant, 0, nil); !ok {
			return
		}
	}
}

func TestStageVerify(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		header http.Header
		want   string
	}{
		"Genuine": {reason: "signed with the key", header: signed("hello"), want: goesOn},
		"Forged":  {reason: "another body", header: signed("hallo"), want: "unauthorized"},
	} {
		x := testExchange(t, &keeper{}, testRoute(t, nil), post(t, "hello", tc.header))
		x.through(t, (*exchange).route, (*exchange).admit, (*exchange).read)
		if got := resultOf(x.verify()); got != tc.want {
			t.Errorf("%s (%s): %s, want %s", name, tc.reason, got, tc.want)
		}
		x.close()
	}
}

func TestStageLimit(t *testing.T) {
	target := testRoute(t, func(r *route.Route) { r.Limits.PerSecond, r.Limits.Burst = 1, 1 })
	x := testExchange(t, &keeper{}, target, post(t, "hello", signed("hello")))
	x.through(t, (*exchange).route, (*exchange).admit, (*exchange).read, (*exchange).verify, (*exchange).limit)
	second := *x
	if got := resultOf(second.limit()); got != "too_many" {
		t.Errorf("the second one within a second: %s, want too_many", got)
	}
	x.close() // it was not stored, so it does not count
	third := *x
	if got := resultOf(third.limit()); got != goesOn {
		t.Errorf("after the first one was not stored: %s, want that it goes on", got)
	}
}

// TestStageAccept goes through the ways in which storing a delivery can end: what the sender is
// told, what overload control is told, and whether it counts against the rate.
func TestStageAccept(t *testing.T) {
	type end struct {
		Status     int
		RetryAfter bool
		Signal     overload.Signal
		Counts     bool
	}
	failure := func(kind delivery.Kind) error { return &delivery.Error{Kind: kind, Err: errors.New("by the test")} }
	for name, tc := range map[string]struct {
		reason  string
		receipt delivery.Receipt
		err     error
		want    end
	}{
		"Stored":      {reason: "the promise", want: end{202, false, overload.Success, true}},
		"Duplicate":   {reason: "it was stored before; whoever repeats it must not use up what is the sender's", receipt: delivery.Receipt{Duplicate: true}, want: end{200, false, overload.Success, false}},
		"Unavailable": {reason: "the store does not work", err: failure(delivery.Unavailable), want: end{503, true, overload.Failed, false}},
		"Throttled":   {reason: "the store wants less", err: failure(delivery.Throttled), want: end{503, true, overload.Throttled, false}},
		"Blocked":     {reason: "the tenant's own trouble, which may pass", err: failure(delivery.Blocked), want: end{503, true, overload.Rejected, false}},
		"Rejected":    {reason: "the tenant's own policy", err: failure(delivery.Rejected), want: end{422, false, overload.Rejected, false}},
		"Occupied":    {reason: "the store works, and has something else there", err: failure(delivery.Occupied), want: end{503, true, overload.Success, false}},
		"Wrapped":     {reason: "somebody has added words", err: fmt.Errorf("by a wrapper: %w", failure(delivery.Rejected)), want: end{422, false, overload.Rejected, false}},
		"Unknown":     {reason: "an error that says nothing is the worst", err: errors.New("by the test"), want: end{503, true, overload.Failed, false}},
	} {
		sink := sinkFunc(func(context.Context, *delivery.Delivery) (delivery.Receipt, error) { return tc.receipt, tc.err })
		x := testExchange(t, sink, testRoute(t, nil), post(t, "hello", signed("hello")))
		x.through(t, (*exchange).route, (*exchange).admit, (*exchange).read, (*exchange).verify, (*exchange).limit)
		a, ended := x.accept()
		if got := (end{a.status, a.retryAfter > 0, x.signal, !x.refund}); got != tc.want || !ended {
			t.Errorf("%s (%s): %+v, want %+v", name, tc.reason, got, tc.want)
		}
		x.close()
		if state := x.control.State(); state.Running != 0 || x.budget.Held() != 0 {
			t.Errorf("%s (%s): %d are still under way, %d bytes held", name, tc.reason, state.Running, x.budget.Held())
		}
	}
}

// TestKindsAreAnswered sees that each kind of error has a signal and an answer that is no success.
func TestKindsAreAnswered(t *testing.T) {
	for _, kind := range delivery.Kinds() {
		err := &delivery.Error{Kind: kind, RetryAfter: 7 * time.Second, Err: errors.New("by the test")}
		if signal := signalOf(err); signal == overload.Ignored {
			t.Errorf("%s tells nothing of the store", kind)
		}
		a := answerOf(err)
		if a.status < 400 || a.status == http.StatusServiceUnavailable && a.retryAfter != 7*time.Second {
			t.Errorf("%s is answered %d, Retry-After %s", kind, a.status, a.retryAfter)
		}
	}
}

// TestDeliveryOfRequest makes a delivery of a request that goes through all stages.
func TestDeliveryOfRequest(t *testing.T) {
	k := &keeper{}
	target := testRoute(t, func(r *route.Route) { r.Deduplicate, r.Window = true, time.Hour })
	request := post(t, "hello", signed("hello"))
	request.Header.Set("Content-Type", "text/plain")
	x := testExchange(t, k, target, request)
	defer x.close()
	x.through(t, (*exchange).route, (*exchange).admit, (*exchange).read, (*exchange).verify)
	x.verified.DeliveryID, x.verified.Signed = "evt_1", true
	x.through(t, (*exchange).limit)
	if a, _ := x.accept(); a.status != http.StatusAccepted {
		t.Fatalf("it is answered %d", a.status)
	}
	want := delivery.New(delivery.Delivery{
		Trigger: delivery.Trigger{Namespace: "shop", Name: "orders", UID: "orders"}, Flow: "import", ID: "evt_1", Key: "webhook/key",
		ContentType: "text/plain", Body: []byte("hello"), ReceivedAt: x.receivedAt, RetainUntil: x.receivedAt.Add(time.Hour),
	}, delivery.ByID)
	if diff := cmp.Diff([]delivery.Delivery{want}, k.kept); diff != "" {
		t.Errorf("the delivery (-want +got):\n%s", diff)
	}
}

// TestIdentity shows what two requests of one delivery must have in common.
func TestIdentity(t *testing.T) {
	for name, tc := range map[string]struct {
		reason      string
		deduplicate bool
		match       route.Match
		id          string
		signed      bool
		want        delivery.Identity
	}{
		"Signed":           {reason: "it is the sender's word; some count attempts in the body", deduplicate: true, id: "1", signed: true, want: delivery.ByID},
		"NotSigned":        {reason: "anybody who has seen a request can send it under another delivery's id", deduplicate: true, id: "1", want: delivery.ByIDAndBody},
		"SignedWithBody":   {reason: "the owner wants both", deduplicate: true, match: route.MatchIDAndBody, id: "1", signed: true, want: delivery.ByIDAndBody},
		"NotSignedButAlso": {reason: "the owner has chosen so", deduplicate: true, match: route.MatchID, id: "1", want: delivery.ByID},
		"Unknown":          {reason: "what is not known is as by default", deduplicate: true, match: 7, id: "1", want: delivery.ByIDAndBody},
		"UnknownSigned":    {reason: "what is not known is as by default", deduplicate: true, match: 7, id: "1", signed: true, want: delivery.ByID},
		"NoID":             {reason: "nothing can be told from anything else", deduplicate: true, signed: true, want: delivery.Unique},
		"NotAskedFor":      {reason: "the id is kept, and makes no name", id: "1", signed: true, want: delivery.Unique},
	} {
		target := &route.Route{Deduplicate: tc.deduplicate, Match: tc.match}
		if got := identityOf(target, &signature.Result{DeliveryID: tc.id, Signed: tc.signed}); got != tc.want {
			t.Errorf("%s (%s): %d, want %d", name, tc.reason, got, tc.want)
		}
	}
}

// TestPanicIsAnswered has the sink panic: the sender is answered, and nothing is held any more.
func TestPanicIsAnswered(t *testing.T) {
	table := route.NewTable()
	table.Replace([]*route.Route{testRoute(t, nil)})
	h := testHandler(t, sinkFunc(func(context.Context, *delivery.Delivery) (delivery.Receipt, error) { panic("by the test") }), table, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, post(t, "hello", signed("hello")))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("it is answered %d, want 500", w.Code)
	}
	if state := h.control.State(); state.Running != 0 || h.budget.Held() != 0 {
		t.Errorf("%d are still under way, %d bytes held", state.Running, h.budget.Held())
	}
}

// TestFailuresAreLoggedNowAndThen repeats a request that cannot be stored: a flood must not fill
// the disk.
func TestFailuresAreLoggedNowAndThen(t *testing.T) {
	var lines int
	table := route.NewTable()
	table.Replace([]*route.Route{testRoute(t, nil)})
	sink := sinkFunc(func(context.Context, *delivery.Delivery) (delivery.Receipt, error) {
		return delivery.Receipt{}, &delivery.Error{Kind: delivery.Blocked, Err: errors.New("by the test")}
	})
	clock := &fakeClock{time.Unix(1_800_000_000, 0)}
	h := testHandler(t, sink, table, func(o *Options) {
		o.Now = clock.now
		o.Log = funcr.New(func(_, line string) {
			if strings.Contains(line, "Could not store a FlowRun") {
				lines++
			}
		}, funcr.Options{})
	})
	for range 3 * refusalLogBurst {
		h.ServeHTTP(httptest.NewRecorder(), post(t, "hello", signed("hello")))
	}
	if lines != refusalLogBurst {
		t.Errorf("%d lines are logged, want %d", lines, refusalLogBurst)
	}
}
