/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

func TestGuesses(t *testing.T) {
	t.Parallel()
	const uid, client = "orders", "192.0.2.1"
	type step struct {
		pass  time.Duration // before the others
		from  string        // client if empty
		of    string        // uid if empty
		wrong int           // tokens shown
		wait  time.Duration // afterwards
	}
	for name, tc := range map[string]struct {
		reason string
		steps  []step
	}{
		"Nobody":        {"who has shown nothing wrong is not held up", []step{{wait: 0}}},
		"Burst":         {"a few mistakes are everybody's", []step{{wrong: guessBurst - 1, wait: 0}}},
		"Exhausted":     {"the next one has to wait", []step{{wrong: guessBurst, wait: guessPause}}},
		"Refilled":      {"one more after each pause", []step{{wrong: guessBurst, wait: guessPause}, {pass: guessPause, wait: 0}, {wrong: 1, wait: guessPause}}},
		"AlmostRefill":  {"not before", []step{{wrong: guessBurst, wait: guessPause}, {pass: guessPause - 1, wait: 1}}},
		"Forgiven":      {"after the burst's worth of pauses all is as before", []step{{wrong: guessBurst}, {pass: guessBurst * guessPause, wrong: guessBurst - 1, wait: 0}}},
		"LongPause":     {"and no more than that, however long the pause", []step{{wrong: guessBurst}, {pass: 1000 * time.Hour, wrong: guessBurst, wait: guessPause}}},
		"AtOnce":        {"who guesses at many connections at once pays for what went too far", []step{{wrong: guessBurst + 5, wait: 6 * guessPause}}},
		"Debt":          {"but not for good", []step{{wrong: 100 * guessBurst, wait: (guessBurst + 1) * guessPause}}},
		"OtherAddress":  {"others are not held up", []step{{wrong: 100 * guessBurst}, {from: "192.0.2.2", wait: 0}}},
		"OtherTrigger":  {"nor is the same one elsewhere", []step{{wrong: 100 * guessBurst}, {of: "refunds", wait: 0}}},
		"SameNetwork":   {"whoever has an address of IPv6 has 2^64", []step{{from: "2001:db8::1", wrong: guessBurst}, {from: "2001:db8::ffff:ffff:ffff:ffff", wait: guessPause}}},
		"OtherNetwork":  {"the neighbour is somebody else", []step{{from: "2001:db8::1", wrong: guessBurst}, {from: "2001:db8:0:1::1", wait: 0}}},
		"Zone":          {"a zone is not the sender's", []step{{from: "fe80::1%eth0", wrong: guessBurst}, {from: "fe80::1%eth1", wait: guessPause}}},
		"Mapped":        {"one address in two forms", []step{{from: "::ffff:192.0.2.1", wrong: guessBurst}, {wait: guessPause}}},
		"MappedAreMany": {"these are no network", []step{{from: "::ffff:192.0.2.1", wrong: guessBurst}, {from: "::ffff:192.0.2.2", wait: 0}}},
		"Unknown":       {"an address that is not known is one", []step{{from: "unknown", wrong: guessBurst}, {from: "unknown", wait: guessPause}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := fakeClock{time.Unix(1767225600, 0)}
			g := newGuesses(clock.now())
			for i, s := range tc.steps {
				clock.pass(s.pass)
				from, of := client, uid
				if s.from != "" {
					from = s.from
				}
				if s.of != "" {
					of = s.of
				}
				address, _ := netip.ParseAddr(from)
				for range s.wrong {
					g.wrong(of, address, clock.now())
				}
				if got := g.wait(of, address, clock.now()); (i == len(tc.steps)-1 || s.wait != 0) && got != s.wait {
					t.Errorf("%s: after step %d the wait is %s, want %s", tc.reason, i, got, s.wait)
				}
			}
		})
	}
}

// TestGuessesOfMany has more addresses guess than are remembered. Nobody who has not guessed is
// held up, and who has guessed a lot is not forgotten for those who have guessed once.
func TestGuessesOfMany(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(guesses{}); size > 512<<10 {
		t.Errorf("what is remembered takes %d bytes", size)
	}
	clock := fakeClock{time.Unix(1767225600, 0)}
	g := newGuesses(clock.now())
	address := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(10 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	const many = 4 * guessSets * guessWays
	for range guessBurst {
		g.wrong("orders", address(0), clock.now())
	}
	for i := 1; i < many; i++ {
		g.wrong("orders", address(i), clock.now())
	}
	if wait := g.wait("orders", address(0), clock.now()); wait != guessPause {
		t.Errorf("who has guessed %d times has to wait %s after %d others, want %s", guessBurst, wait, many, guessPause)
	}
	for i := 1; i < 2*many; i++ {
		if wait := g.wait("orders", address(i), clock.now()); wait != 0 {
			t.Fatalf("who has guessed once, or not at all, has to wait %s", wait)
		}
	}
}

// reports gathers what the owners of triggers are told.
type reports struct{ all []string }

// ReportRefusal implements diagnosis.Reporter.
func (r *reports) ReportRefusal(_ context.Context, target *route.Route, e signature.Explanation) {
	r.all = append(r.all, fmt.Sprintf("%s: %s, %s, %s", target.Name, e.Cause, e.Hint, e))
}

const (
	tokenKey    = "a short key"
	verifyToken = "a short token"
)

// tokenServer is a handler without a network, at a time that the test sets.
type tokenServer struct {
	*handler
	clock   *fakeClock
	metrics *prometheus.Registry
	reports *reports
	log     *strings.Builder
	stored  *keeper
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	return newServerOfTokens(t, tokenKey, verifyToken)
}

func newServerOfTokens(t *testing.T, tokenKey, verifyToken string) *tokenServer {
	t.Helper()
	s := &tokenServer{clock: &fakeClock{time.Unix(1767225600, 0)}, metrics: prometheus.NewRegistry(), reports: &reports{}, log: &strings.Builder{}, stored: &keeper{}}
	table := route.NewTable()
	for name, provider := range map[string]string{"meta": "Meta", "unset": "Meta", "gitlab": "GitLabToken", "dropbox": "Dropbox", "orders": "Patchworks", "slack": "Slack"} {
		preset, ok := signature.PresetByName(provider)
		if !ok {
			t.Fatalf("there is no preset %s", provider)
		}
		verifier, err := signature.NewVerifier(preset.Scheme, signature.Key{Name: "webhook/key", Secret: []byte(tokenKey)})
		if err != nil {
			t.Fatal(err)
		}
		if name == "meta" {
			verifier = verifier.WithVerifyToken(signature.Key{Name: "webhook/token", Secret: []byte(verifyToken)})
		}
		table.Upsert(&route.Route{Namespace: "shop", Name: name, UID: name, Flow: "import", Verifier: verifier})
	}
	log := funcr.New(func(_, line string) { s.log.WriteString(line + "\n") }, funcr.Options{Verbosity: 1})
	s.handler = testHandler(t, s.stored, table, func(o *Options) {
		o.Log, o.Now, o.Registerer, o.Reporter = log, s.clock.now, s.metrics, s.reports
	})
	return s
}

// send returns the answer to a request, and looks into its refusal.
func (s *tokenServer) send(t *testing.T, method, target, from string, headers http.Header, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.RemoteAddr = from
	maps.Copy(r.Header, headers)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	s.diagnoser.Next(t.Context())
	return w
}

// count returns the value of a counter.
func (s *tokenServer) count(t *testing.T, name, value string) int {
	t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && labelOf(metric) == value {
				return int(metric.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("there is no %s of %q", name, value)
	return 0
}

func labelOf(m *dto.Metric) string {
	if len(m.GetLabel()) != 1 {
		return ""
	}
	return m.GetLabel()[0].GetValue()
}

func metaQuery(trigger, token string) string {
	return "/hooks/shop/" + trigger + "?" + url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1158201444"}, "hub.verify_token": {token}}.Encode()
}

// TestWrongTokensAreLimited shows wrong tokens until none is looked at any more, the right one
// included.
func TestWrongTokensAreLimited(t *testing.T) {
	t.Parallel()
	const guesser, other = "192.0.2.1:1000", "192.0.2.2:1000"
	for name, tc := range map[string]struct {
		reason       string
		show         func(s *tokenServer, from, token string) *httptest.ResponseRecorder
		right        string
		good, refuse int // answers
		cause        signature.Cause
	}{
		"Handshake": {
			reason: "Meta's verify token", right: verifyToken, good: 200, refuse: 403, cause: signature.ErrVerifyTokenWrong,
			show: func(s *tokenServer, from, token string) *httptest.ResponseRecorder {
				return s.send(t, "GET", metaQuery("meta", token), from, nil, "")
			},
		},
		"Scheme": {
			reason: "GitLab's secret token", right: tokenKey, good: 202, refuse: 401, cause: signature.ErrMismatch,
			show: func(s *tokenServer, from, token string) *httptest.ResponseRecorder {
				return s.send(t, "POST", "/hooks/shop/gitlab", from, http.Header{"X-Gitlab-Token": {token}}, "{}")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTokenServer(t)
			answers := func(from, token string, times, want int) {
				t.Helper()
				for i := range times {
					if got := tc.show(s, from, token).Code; got != want {
						t.Fatalf("%s: answer %d is %d, want %d", tc.reason, i, got, want)
					}
				}
			}
			answers(guesser, tc.right, 100, tc.good) // what is right does not count
			for i := range guessBurst {
				answers(guesser, "guess "+strconv.Itoa(i), 1, tc.refuse)
			}
			answers(guesser, "another guess", 300-guessBurst, 429)
			// Who learns of the right one among wrong ones could go on guessing.
			limited := tc.show(s, guesser, tc.right)
			if seconds, err := strconv.Atoi(limited.Header().Get("Retry-After")); limited.Code != 429 || err != nil || seconds < 1 || seconds > 6 {
				t.Errorf("%s: with too many guesses before it, the right one gets %d, Retry-After %q", tc.reason, limited.Code, limited.Header().Get("Retry-After"))
			}
			answers(other, tc.right, 100, tc.good) // others do not notice
			s.clock.pass(guessPause)
			answers(guesser, "one more", 1, tc.refuse)
			answers(guesser, "and another", 1, 429)
			s.clock.pass(guessPause)
			answers(guesser, tc.right, 100, tc.good)

			if got := s.count(t, "sluice_ingest_signature_failures_total", string(tc.cause)); got != guessBurst+1 {
				t.Errorf("%s: %d are counted as %q, want %d", tc.reason, got, tc.cause, guessBurst+1)
			}
			if got := s.count(t, "sluice_ingest_shed_total", "guesses"); got != 300-guessBurst+2 {
				t.Errorf("%s: %d are counted as turned away, want %d", tc.reason, got, 300-guessBurst+2)
			}
			if len(s.reports.all) != 1 || !strings.Contains(s.reports.all[0], string(tc.cause)) {
				t.Errorf("%s: the owner is told %q", tc.reason, s.reports.all)
			}
			for _, said := range append(s.reports.all, s.log.String()) {
				if strings.Contains(said, "guess ") || strings.Contains(said, tokenKey) || strings.Contains(said, verifyToken) {
					t.Errorf("%s: a token is said in %q", tc.reason, said)
				}
			}
		})
	}
}

// TestLongTokensAreAlwaysLookedAt has a genuine sender share its address with somebody who guesses.
// A token that nobody finds by trying need not be kept from being looked at; the wrong ones are
// turned away all the same.
func TestLongTokensAreAlwaysLookedAt(t *testing.T) {
	t.Parallel()
	const shared = "192.0.2.1:1000"
	const longKey, longToken = "16 bytes long: 1", "16 bytes long: 2"
	s := newServerOfTokens(t, longKey, longToken)
	for name, tc := range map[string]struct {
		reason     string
		show       func(token string) int
		right      string
		good, deny int
	}{
		"Handshake": {"Meta's verify token", func(token string) int {
			return s.send(t, "GET", metaQuery("meta", token), shared, nil, "").Code
		}, longToken, 200, 403},
		"Scheme": {"GitLab's secret token", func(token string) int {
			return s.send(t, "POST", "/hooks/shop/gitlab", shared, http.Header{"X-Gitlab-Token": {token}}, "{}").Code
		}, longKey, 202, 401},
	} {
		for i := range 300 {
			want := tc.deny
			if i >= guessBurst {
				want = http.StatusTooManyRequests
			}
			if got := tc.show("guess " + strconv.Itoa(i)); got != want {
				t.Fatalf("%s (%s): wrong token %d gets %d, want %d", name, tc.reason, i, got, want)
			}
			if got := tc.show(tc.right); got != tc.good {
				t.Fatalf("%s (%s): after %d wrong ones, the right one gets %d, want %d", name, tc.reason, i+1, got, tc.good)
			}
		}
	}
}

// TestSignaturesAreNotLimited sends more wrong signatures than wrong tokens would be looked at.
func TestSignaturesAreNotLimited(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	for range 3 * guessBurst {
		if got := s.send(t, "POST", "/hooks/shop/orders", "192.0.2.1:1", http.Header{"X-Hmac-Hash": {strings.Repeat("0", 64)}}, "{}").Code; got != 401 {
			t.Fatalf("a wrong signature gets %d", got)
		}
	}
}

// TestHandshakesAreCounted sends what is answered without being stored, and what looks like it.
func TestHandshakesAreCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason         string
		method, target string
		status         int
		result         string
		handshake      string // empty for none
		report         string // a part of what the owner is told
	}{
		"Meta":          {"the token is right", "GET", metaQuery("meta", verifyToken), 200, "challenge", "Meta", ""},
		"MetaWrong":     {"a guess", "GET", metaQuery("meta", "x"), 403, "forbidden", "", "meta: verify token wrong, VerifyToken,"},
		"MetaKey":       {"a key that signs is no verify token", "GET", metaQuery("meta", tokenKey), 403, "forbidden", "", "meta: verify token wrong, VerifyToken,"},
		"MetaUnset":     {"as with a wrong one, so that nobody learns whether there is one", "GET", metaQuery("unset", "x"), 403, "forbidden", "", "unset: verify token unset, VerifyTokenUnset,"},
		"MetaUnsetKey":  {"the handshake of triggers of old is off", "GET", metaQuery("unset", tokenKey), 403, "forbidden", "", "unset: verify token unset, VerifyTokenUnset,"},
		"MetaOther":     {"no handshake", "GET", "/hooks/shop/meta", 405, "method_not_allowed", "", ""},
		"MetaHead":      {"a handshake is a GET", "HEAD", metaQuery("meta", verifyToken), 405, "method_not_allowed", "", ""},
		"MetaOptions":   {"a handshake is a GET", "OPTIONS", metaQuery("meta", verifyToken), 405, "method_not_allowed", "", ""},
		"MetaElsewhere": {"only Meta has it", "GET", metaQuery("orders", tokenKey), 405, "method_not_allowed", "", ""},
		"Dropbox":       {"whoever asks is answered, and counted", "GET", "/hooks/shop/dropbox?challenge=abc", 200, "challenge", "Dropbox", ""},
		"DropboxHead":   {"a handshake is a GET", "HEAD", "/hooks/shop/dropbox?challenge=abc", 405, "method_not_allowed", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTokenServer(t)
			got := s.send(t, tc.method, tc.target, "192.0.2.1:1", nil, "")
			if got.Code != tc.status {
				t.Errorf("%s: answer is %d, want %d", tc.reason, got.Code, tc.status)
			}
			if n := s.count(t, "sluice_ingest_requests_total", tc.result); n != 1 {
				t.Errorf("%s: %q is counted %d times", tc.reason, tc.result, n)
			}
			counted := map[string]int{}
			for _, handshake := range signature.Handshakes() {
				if n := s.count(t, "sluice_ingest_handshakes_total", string(handshake)); n != 0 {
					counted[string(handshake)] = n
				}
			}
			want := map[string]int{}
			if tc.handshake != "" {
				want[tc.handshake] = 1
			}
			if diff := cmp.Diff(want, counted); diff != "" {
				t.Errorf("%s: handshakes (-want +got):\n%s", tc.reason, diff)
			}
			if told := strings.Join(s.reports.all, "\n"); !strings.Contains(told, tc.report) || (told == "") != (tc.report == "") {
				t.Errorf("%s: the owner is told %q, want %q in it", tc.reason, told, tc.report)
			}
		})
	}
}

// TestDiscordEventsAreStored sends what Discord sends to an app: interactions and webhook events,
// which are signed with one key. Each request that is no PING becomes a FlowRun of its own, but an
// interaction that comes twice.
func TestDiscordEventsAreStored(t *testing.T) {
	t.Parallel()
	const interaction = `{"application_id":"1","id":"2","token":"3","type":1,"version":1}`
	for name, tc := range map[string]struct {
		reason string
		bodies []string
		status int
		names  int // of the FlowRuns
	}{
		"InteractionsPing": {"a handshake", []string{interaction}, 200, 0},
		"EventsPing":       {"a handshake", []string{`{"version":1,"application_id":"1","type":0}`}, 204, 0},
		"Event":            {"type 1 is an event there", []string{`{"version":1,"application_id":"1","type":1,"event":{"type":"ENTITLEMENT_CREATE","data":{"id":"2"}}}`}, 202, 1},
		"TwoEvents": {
			"the same app, and the same id of something else in it: no two events are one", []string{
				`{"version":1,"application_id":"1","type":1,"event":{"type":"ENTITLEMENT_CREATE","data":{"id":"2"}}}`,
				`{"version":1,"application_id":"1","type":1,"event":{"type":"ENTITLEMENT_DELETE","data":{"id":"2"}}}`,
			}, 202, 2,
		},
		"Commands": {
			"two interactions", []string{strings.ReplaceAll(interaction, `"type":1`, `"type":2`), strings.NewReplacer(`"type":1`, `"type":2`, `"id":"2"`, `"id":"4"`).Replace(interaction)}, 202, 2,
		},
		"CommandTwice": {"one interaction", slices.Repeat([]string{strings.ReplaceAll(interaction, `"type":1`, `"type":2`)}, 2), 202, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTokenServer(t)
			public, private, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			discord, _ := signature.PresetByName("Discord")
			verifier, err := signature.NewVerifier(discord.Scheme, signature.Key{Name: "app/key", Secret: []byte(hex.EncodeToString(public))})
			if err != nil {
				t.Fatal(err)
			}
			s.table.Upsert(&route.Route{Namespace: "shop", Name: "discord", UID: "discord", Flow: "import", Verifier: verifier, Deduplicate: true})
			for _, body := range tc.bodies {
				at := strconv.FormatInt(s.clock.now().Unix(), 10)
				signed := hex.EncodeToString(ed25519.Sign(private, []byte(at+body)))
				headers := http.Header{"X-Signature-Ed25519": {signed}, "X-Signature-Timestamp": {at}}
				if got := s.send(t, "POST", "/hooks/shop/discord", "192.0.2.1:1", headers, body); got.Code != tc.status {
					t.Errorf("%s: %s gets %d, want %d", tc.reason, body, got.Code, tc.status)
				}
			}
			names := map[string]bool{}
			for _, run := range s.stored.kept {
				names[run.Run] = true
			}
			if len(names) != tc.names {
				t.Errorf("%s: %d FlowRuns, want %d", tc.reason, len(names), tc.names)
			}
			if got, want := s.count(t, "sluice_ingest_handshakes_total", "Discord"), len(tc.bodies); (got == want) == (tc.names > 0) {
				t.Errorf("%s: %d handshakes are counted", tc.reason, got)
			}
		})
	}
}

// TestForbiddenIsOneAnswer sees that a sender cannot tell a wrong verify token from none.
func TestForbiddenIsOneAnswer(t *testing.T) {
	t.Parallel()
	s := newTokenServer(t)
	answer := func(target string) string {
		r := httptest.NewRequestWithContext(t.Context(), "GET", target, nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return fmt.Sprint(w.Code, w.Header(), w.Body)
	}
	want := answer(metaQuery("meta", "x"))
	for _, other := range []string{metaQuery("unset", "x"), metaQuery("unset", tokenKey), metaQuery("meta", tokenKey), metaQuery("meta", verifyToken+"x")} {
		if got := answer(other); got != want {
			t.Errorf("%s gets\n%s, and not\n%s", other, got, want)
		}
	}
}
