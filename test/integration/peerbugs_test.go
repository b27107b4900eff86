/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// providerRequest is a request that a provider's own SDK takes for good.
type providerRequest struct {
	ID, Provider, Method, URL, Secret, Expect, Level string
	Headers                                          map[string]string
	Body, BodyBase64                                 string
	Now                                              int64
}

// goodRequests are one of each provider that there are vectors of, by the name of its preset.
func goodRequests(tb testing.TB) map[string]providerRequest {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "ingest", "signature", "testdata", "providers.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var file struct{ Vectors []providerRequest }
	if err := json.Unmarshal(raw, &file); err != nil {
		tb.Fatal(err)
	}
	good := map[string]providerRequest{}
	for _, v := range file.Vectors {
		preset := string(providerOf[v.Provider])
		if _, ok := good[preset]; ok || preset == "" || v.Expect != "accept" || v.Level != "must" {
			continue
		}
		if v.BodyBase64 != "" {
			body, err := base64.StdEncoding.DecodeString(v.BodyBase64)
			if err != nil {
				tb.Fatal(err)
			}
			v.Body = string(body)
		}
		good[preset] = v
	}
	return good
}

// sendTo sends the request to a trigger.
func (v providerRequest) sendTo(tb testing.TB, o *operator, namespace, trigger string) reply {
	tb.Helper()
	headers := []string{contentLength(len(v.Body))}
	for name, value := range v.Headers {
		if !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "Host") {
			headers = append(headers, name+": "+value)
		}
	}
	target := "/hooks/" + namespace + "/" + trigger
	if _, query, ok := strings.Cut(v.URL, "?"); ok {
		target += "?" + query
	}
	return exchange(tb, o, rawRequest(http.MethodPost, target, headers, v.Body))
}

// TestForeignCredentials sends what is good for one trigger to all others: those of other
// providers, and those of the same name and provider of another tenant, who has another key. The
// right one alone accepts it.
//
// CVE-2026-40109: Flux took any genuine token of Google's, whomever it was made for.
func TestForeignCredentials(t *testing.T) {
	t.Parallel()
	good := goodRequests(t)
	if len(good) != len(providerOf) {
		t.Fatalf("there are good requests of %d providers, want %d", len(good), len(providerOf))
	}
	tenants := []string{env.Namespace(t), env.Namespace(t)}
	for i, namespace := range tenants {
		env.Create(t, makeFlow(namespace))
		for preset, v := range good {
			trigger := makeTrigger(namespace)
			trigger.Name = strings.ToLower(preset)
			trigger.Spec.Algorithm, trigger.Spec.Provider = "", sluicev1alpha1.Provider(preset)
			trigger.Spec.SecretRef.Name = trigger.Name
			trigger.Spec.PublicURL, _, _ = strings.Cut(v.URL, "?")
			trigger.Spec.Deduplication.Source = sluicev1alpha1.DeduplicateNone
			key := v.Secret
			if i > 0 { // of the same form, and another
				place := strings.LastIndexAny(key, "0123456789")
				if place < 0 {
					place = len(key) - 2
				}
				key = key[:place] + string(key[place]^1) + key[place+1:]
			}
			env.Create(t, trigger, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: trigger.Name},
				Data:       map[string][]byte{secretKey: []byte(key)},
			})
		}
	}
	var now atomic.Int64
	o := startOperator(t, tenants[0], func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Role = app.RoleIngest
			options.WatchNamespaces = tenants
			options.Now = func() time.Time { return time.Unix(now.Load(), 0) }
		}
	})

	for from, v := range good {
		now.Store(v.Now)
		for to := range good {
			for i, namespace := range tenants {
				want := http.StatusUnauthorized
				if from == to && i == 0 {
					want = http.StatusAccepted
				}
				// Svix takes the headers of Standard Webhooks too, and the vectors of both are
				// signed with one key.
				if from == "StandardWebhooks" && to == "Svix" && i == 0 {
					want = http.StatusAccepted
				}
				if i > 0 && from != to {
					continue // other provider, other tenant: nothing new
				}
				if r := v.sendTo(t, o, namespace, strings.ToLower(to)); r.status != want {
					t.Errorf("what is good for %s, sent to %s of tenant %d: answer is %d, want %d: %s", from, to, i, r.status, want, r.body)
				}
			}
		}
	}
	if n := countRuns(t, tenants[0]); n != len(good)+1 {
		t.Errorf("there are %d runs, want %d", n, len(good)+1)
	}
	if n := countRuns(t, tenants[1]); n != 0 {
		t.Errorf("the other tenant has %d runs, want none", n)
	}
}

// TestNoKeySignsNothing signs with keys that anybody has, while the Secret is in every state in
// which it could be taken for one of them: as the trigger's only key, and as an additional one.
//
// CVE-2026-86080 (n8n): no secret was stored, and so nothing was checked. CVE-2026-119037
// (Business::GoCardless): an empty key was one.
func TestNoKeySignsNothing(t *testing.T) {
	t.Parallel()
	states := map[string]struct {
		reason string
		data   map[string][]byte // nil for no Secret
		why    string
	}{
		"missing":      {reason: "there is no Secret", why: sluicev1alpha1.ReasonSecretNotFound},
		"no-entries":   {reason: "the Secret is empty", data: map[string][]byte{}, why: sluicev1alpha1.ReasonSecretKeyNotFound},
		"other-entry":  {reason: "it has other entries", data: map[string][]byte{"other": []byte(keyText)}, why: sluicev1alpha1.ReasonSecretKeyNotFound},
		"other-case":   {reason: "names of entries have case", data: map[string][]byte{"secretkey": []byte(keyText)}, why: sluicev1alpha1.ReasonSecretKeyNotFound},
		"empty":        {reason: "the entry is empty", data: map[string][]byte{secretKey: {}}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
		"newline":      {reason: "a file filled with nothing", data: map[string][]byte{secretKey: []byte("\n")}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
		"white-space":  {reason: "a template that nothing was put into", data: map[string][]byte{secretKey: []byte(" \t\r\n\v\f ")}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
		"unicode":      {reason: "white space that is not ASCII", data: map[string][]byte{secretKey: []byte("\u00a0\u2028\u3000")}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
		"nul":          {reason: "HMAC pads keys with NUL", data: map[string][]byte{secretKey: {0}}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
		"block-of-nul": {reason: "a whole block of them", data: map[string][]byte{secretKey: make([]byte, 64)}, why: sluicev1alpha1.ReasonSecretKeyEmpty},
	}
	anybodys := []string{"", "\x00", strings.Repeat("\x00", 64), " ", "\n", " \t\r\n\v\f ", "\u00a0\u2028\u3000", "null", "undefined", "<nil>", secretKey, secretName}

	namespace := newWorld(t)
	for name, state := range states {
		if state.data != nil {
			env.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: state.data})
		}
		only, additional := makeTrigger(namespace), makeTrigger(namespace)
		only.Name, additional.Name = "only-"+name, "additional-"+name
		ref := sluicev1alpha1.SecretKeyReference{Name: name, Key: secretKey}
		only.Spec.SecretRef, additional.Spec.AdditionalSecretRefs = ref, []sluicev1alpha1.SecretKeyReference{ref}
		env.Create(t, only, additional)
	}
	o := startOperator(t, namespace)
	for name, state := range states {
		for trigger, want := range map[string]int{"only-" + name: http.StatusServiceUnavailable, "additional-" + name: http.StatusUnauthorized} {
			for _, key := range anybodys {
				if r := o.postTo(t, namespace, trigger, forge(key, "{}"), "{}"); r.status != want {
					t.Errorf("%s (%s), signed with %q: answer is %d, want %d", trigger, state.reason, key, r.status, want)
				}
			}
			if r := o.postTo(t, namespace, trigger, "", "{}"); r.status != want {
				t.Errorf("%s (%s), not signed: answer is %d, want %d", trigger, state.reason, r.status, want)
			}
		}
		if r := o.postTo(t, namespace, "additional-"+name, sign(keyText, "{}"), "{}"); r.status != http.StatusAccepted {
			t.Errorf("additional-%s: the good key beside it is answered %d, want 202", name, r.status)
		}
		eventuallyConditionOf(t, namespace, "only-"+name, "Ready", isFalse, state.why)
		eventuallyConditionOf(t, namespace, "additional-"+name, "ResolvedRefs", isTrue, state.why)
	}
	if n := countRuns(t, namespace); n != len(states) {
		t.Errorf("there are %d runs, want %d", n, len(states))
	}
}

// eventuallyConditionOf is eventuallyCondition of a trigger of any name.
func eventuallyConditionOf(tb testing.TB, namespace, name, kind string, status metav1.ConditionStatus, reason string) {
	tb.Helper()
	testenv.Eventually(tb, patience, func() error {
		trigger := &sluicev1alpha1.WebhookTrigger{}
		if err := env.Client.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: name}, trigger); err != nil {
			return err
		}
		for _, c := range trigger.Status.Conditions {
			if c.Type == kind && c.Status == status && c.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("the conditions of %s are %+v, want %s %s/%s", name, trigger.Status.Conditions, kind, status, reason)
	})
}

// TestKeyIsTakenAwayMeanwhile deletes a Secret while requests that are signed with it come in. From
// the moment that the replica has noticed, none is accepted, and for each that was before there is
// one FlowRun.
func TestKeyIsTakenAwayMeanwhile(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	load := startLoad(t, o, namespace)
	load.awaitAnswers(t, 20)
	remove(t, makeSecret(namespace, ""))
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	before := countRuns(t, namespace) // and some of the load may be on its way still
	load.awaitAnswers(t, load.count()+50)
	load.stop()
	if bad := load.failures(http.StatusAccepted, http.StatusServiceUnavailable); len(bad) > 0 {
		t.Errorf("of the answers some are %v", bad[:min(5, len(bad))])
	}
	accepted := load.count() - len(load.failures(http.StatusAccepted))
	after := countRuns(t, namespace)
	if after < accepted { // eventuallyAnswers may have been accepted too
		t.Errorf("there are %d runs of %d requests that were accepted", after, accepted)
	}
	if after > before+4 { // one for each sender
		t.Errorf("there were %d runs when the key was gone, and %d later", before, after)
	}
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonSecretNotFound)
}

// TestKeyIsTakenAwayWhileBodyArrives revokes the key of a request whose body is still on its way.
func TestKeyIsTakenAwayWhileBodyArrives(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	connection := dial(t, o)
	raw := rawRequest("POST", "/hooks/"+namespace+"/"+triggerName, []string{contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{")
	if _, err := io.WriteString(connection, raw); err != nil {
		t.Fatal(err)
	}
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	remove(t, makeSecret(namespace, ""))
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
	before := countRuns(t, namespace)
	if _, err := io.WriteString(connection, "}"); err != nil {
		t.Fatal(err)
	}
	if r := readReply(t, connection, http.MethodPost); r.status != http.StatusServiceUnavailable {
		t.Errorf("answer is %d, want 503: %s", r.status, r.body)
	}
	if n := countRuns(t, namespace); n != before {
		t.Errorf("%d runs were made", n-before)
	}
}

// TestWorstBodiesAreStored stores the longest bodies that --max-body-bytes can let through, of the
// contents that take the most room, with the longest of everything around them, and reads them
// back.
func TestWorstBodiesAreStored(t *testing.T) {
	t.Parallel()
	const limit = sluicev1alpha1.MaxPayloadBytes
	fill := func(pattern string) string { return strings.Repeat(pattern, limit/len(pattern)+1)[:limit] }
	random := make([]byte, limit)
	_, _ = rand.Read(random)
	bodies := map[string]struct {
		reason string
		body   string
		text   bool
	}{
		"quotes":        {reason: "twice as long as text", body: fill(`"`)},
		"backslashes":   {reason: "twice as long as text", body: fill(`\`)},
		"nul":           {reason: "six times as long as text", body: fill("\x00")},
		"unit-sep":      {reason: "six times as long as text", body: fill("\x1f")},
		"markup":        {reason: "six times as long as text, in the API server", body: fill("<")},
		"line-sep":      {reason: "twice as long as text", body: fill("\u2028")},
		"invalid":       {reason: "not UTF-8", body: fill("\xff")},
		"surrogates":    {reason: "not UTF-8, though other languages write it", body: fill("\xed\xa0\x80")},
		"random":        {reason: "what is encrypted or compressed", body: string(random)},
		"letters":       {reason: "the shortest", body: fill("a"), text: true},
		"edge-of-text":  {reason: "as text exactly as long as in base64", body: fill(`aa"`), text: true},
		"over-the-edge": {reason: "and one byte more", body: fill(`aa"`)[:limit-1] + "<"},
		"edge-of-nul":   {reason: "the same with NUL", body: fill("aaaaaaaaaaaaaa\x00"), text: true},
		"deep":          {reason: "nesting deeper than any reader of JSON goes", body: strings.Repeat("[", limit/2) + strings.Repeat("]", limit/2), text: true},
		"last-byte":     {reason: "not UTF-8, as the last byte tells", body: fill("a")[:limit-1] + "\xff"},
	}
	longest := strings.Repeat("a", 63)
	namespace := env.Namespace(t)
	secret, flow, trigger := makeSecret(namespace, keyText), makeFlow(namespace), makeTrigger(namespace)
	secret.Name, flow.Name, trigger.Name = strings.Repeat("s", 253), longest, longest
	secret.Data = map[string][]byte{strings.Repeat("k", 253): []byte(keyText)}
	trigger.Spec.SecretRef = sluicev1alpha1.SecretKeyReference{Name: secret.Name, Key: strings.Repeat("k", 253)}
	trigger.Spec.FlowRef.Name = flow.Name
	trigger.Spec.Deduplication = sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Delivery"}
	env.Create(t, secret, flow, trigger)
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.Role, options.Limits.MaxBodyBytes = app.RoleIngest, limit }
	})
	path := "/hooks/" + namespace + "/" + longest
	for name, tc := range bodies {
		// Header values that JSON makes as long as can be.
		id, contentType := name+strings.Repeat("\u2028", 80), strings.Repeat("<", 4000)
		headers := []string{contentLength(limit), "X-HMAC-HASH: " + sign(keyText, tc.body), "X-Delivery: " + id, "Content-Type: " + contentType}
		run := acceptedRun(t, namespace, exchange(t, o, rawRequest("POST", path, headers, tc.body)))
		if payload(run) != tc.body || *run.Spec.Payload.Size != limit {
			t.Errorf("%s (%s): the body that is stored has %d bytes and is another", name, tc.reason, len(payload(run)))
		}
		if text := run.Spec.Payload.Text != ""; text != tc.text {
			t.Errorf("%s (%s): it is stored as text: %v, want %v", name, tc.reason, text, tc.text)
		}
		if run.Spec.Payload.ContentType != contentType[:256] || run.Spec.Request.DeliveryID != id {
			t.Errorf("%s: the content type has %d characters, and the id is %q", name, len(run.Spec.Payload.ContentType), run.Spec.Request.DeliveryID)
		}
		longer := tc.body + "a"
		if r := exchange(t, o, rawRequest("POST", path, []string{contentLength(limit + 1), "X-HMAC-HASH: " + sign(keyText, longer)}, longer)); r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: one byte more is answered %d, want 413", name, r.status)
		}
		remove(t, run) // a megabyte each
	}
}

// TestTenantsURLIsNotFetched gives a trigger the URL of a listener as its public URL, in every
// scheme that signs it, and in all other places where an owner can write text. Nobody ever
// connects.
//
// CVE-2026-40161: Tekton sent the operator's token to a URL of the tenant's. GO-2025-3608: a
// tenant's object made Argo Events run what it liked with its own rights.
func TestTenantsURLIsNotFetched(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan string, 100)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				close(connected)
				return
			}
			request := make([]byte, 4096)
			n, _ := connection.Read(request)
			connected <- string(request[:n])
			_ = connection.Close()
		}
	}()
	url := "http://" + listener.Addr().String() + "/hooks"

	namespace := env.Namespace(t)
	env.Create(t, makeSecret(namespace, keyText))
	flow := makeFlow(namespace)
	flow.Annotations = map[string]string{"sluice.dev/url": url, "example.com/callback": url}
	env.Create(t, flow)
	var triggers []string
	for _, provider := range []sluicev1alpha1.Provider{"Square", "Twilio", "HubSpot", "Contentful", "GitHub"} {
		trigger := makeTrigger(namespace)
		trigger.Name = strings.ToLower(string(provider))
		trigger.Spec.Algorithm, trigger.Spec.Provider, trigger.Spec.PublicURL = "", provider, url
		trigger.Spec.Response = sluicev1alpha1.Response{Body: url, ContentType: "text/plain"}
		trigger.Annotations = flow.Annotations
		env.Create(t, trigger)
		triggers = append(triggers, trigger.Name)
	}
	trigger := makeTrigger(namespace)
	trigger.Spec.PublicURL = url
	trigger.Annotations = flow.Annotations
	env.Create(t, trigger)

	var outgoing atomic.Int32
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.ExternalURL = "http://" + listener.Addr().String() }
		c.transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(listener.Addr().String(), ":"+r.URL.Port()) {
					outgoing.Add(1)
					return nil, errors.New("to a tenant's URL")
				}
				return next.RoundTrip(r)
			})
		}
	})
	run := acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, `{"callback": "`+url+`", "SubscribeURL": "`+url+`"}`))
	for _, name := range triggers { // refused, and then looked into, which compares URLs
		if r := o.postTo(t, namespace, name, "", "SubscribeURL="+url); r.status != http.StatusUnauthorized {
			t.Errorf("%s: answer is %d, want 401", name, r.status)
		}
		eventuallyConditionOf(t, namespace, name, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	}
	testenv.Eventually(t, patience, func() error {
		if n := strings.Count(o.logs.String(), `"explanation"`); n < len(triggers) {
			return fmt.Errorf("%d refused requests were looked into, want %d", n, len(triggers))
		}
		return nil
	})
	if run.Namespace != namespace || len(run.OwnerReferences) > 0 {
		t.Errorf("the run is in %s and is owned by %v", run.Namespace, run.OwnerReferences)
	}
	o.stop()
	<-o.done
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for request := range connected {
		t.Errorf("somebody connected: %q", request)
	}
	if n := outgoing.Load(); n > 0 {
		t.Errorf("%d requests were on their way to the tenant's URL", n)
	}
}
