/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/telemetry"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// ledger is what all tests of this package together have given Sluice that is secret, and what
// Sluice has said, to whom. After the last test everything of the one is looked for in everything
// of the other.
type ledger struct {
	mu      sync.Mutex
	secrets map[string]string // what kind of secret, by its value
	said    map[string]*bytes.Buffer
	raw     []*recordedConn
}

// The kinds of secrets, and where Sluice says things.
const (
	aKey, aPayload, aHeader, aMAC, aToken = "a key", "a payload", "a header's value", "an expected signature", "a token"

	inLogs, inMetrics, inEvents, inStatus, inAnswers, inTraces = "the logs", "the metrics", "the Events", "the status of triggers", "the answers", "the traces"
)

// wholeRun is the ledger of this run of the tests.
var wholeRun = &ledger{secrets: map[string]string{}, said: map[string]*bytes.Buffer{}}

// open are headers whose values are no secret.
var open = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Expect", "Host", "Http2-Settings", "Transfer-Encoding", "Upgrade", "User-Agent",
}

// shortest is the length of a secret below which it is not looked for: it would be found in other
// words.
const shortest = 8

// secret takes note of a secret.
func (l *ledger) secret(kind, value string) {
	if value = strings.TrimSpace(value); len(value) < shortest {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.secrets[value] == "" {
		l.secrets[value] = kind
	}
}

func (l *ledger) headers(h http.Header) {
	for name, values := range h {
		for _, value := range values {
			if token, ok := strings.CutPrefix(value, "Bearer "); ok {
				l.secret(aToken, token)
			}
			if !slices.Contains(open, name) {
				l.secret(aHeader, value)
			}
		}
	}
}

// say returns a writer that takes note of what is said there.
func (l *ledger) say(where string) io.Writer { return place{l, where} }

// note takes note of something that is said there.
func (l *ledger) note(where string, what any) {
	_, _ = fmt.Fprintln(l.say(where), what) // it cannot fail
}

type place struct {
	ledger *ledger
	where  string
}

// Write implements io.Writer.
func (p place) Write(text []byte) (int, error) {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	if p.ledger.said[p.where] == nil {
		p.ledger.said[p.where] = &bytes.Buffer{}
	}
	return p.ledger.said[p.where].Write(text)
}

// metrics takes note of metrics.
func (l *ledger) metrics(gatherer prometheus.Gatherer) error {
	families, err := gatherer.Gather()
	for _, family := range families {
		l.note(inMetrics, family)
	}
	return err
}

// sender takes note of what is sent to Sluice and of its answers.
func (l *ledger) sender(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		l.headers(r.Header)
		if r.Body != nil && r.Body != http.NoBody {
			r = r.Clone(r.Context())
			r.Body = &recordedBody{ReadCloser: r.Body, ledger: l}
		}
		response, err := next.RoundTrip(r)
		if err == nil {
			l.note(inAnswers, response.Header)
			response.Body = tee{io.TeeReader(response.Body, l.say(inAnswers)), response.Body}
		}
		return response, err
	})
}

type tee struct {
	io.Reader
	io.Closer
}

// recordedBody takes note of a body that is sent, once that is over: it can go on after the answer.
type recordedBody struct {
	io.ReadCloser
	ledger *ledger

	mu   sync.Mutex
	read bytes.Buffer
}

// Read implements io.Reader.
func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read.Write(p[:n])
	return n, err
}

// Close implements io.Closer.
func (b *recordedBody) Close() error {
	b.mu.Lock()
	b.ledger.secret(aPayload, b.read.String())
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// operator takes note of the keys that an operator reads, and of the payloads that it stores.
func (l *ledger) operator(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/flowruns") && r.GetBody != nil {
			if body, err := r.GetBody(); err == nil {
				var run sluicev1alpha1.FlowRun
				if json.NewDecoder(body).Decode(&run) == nil {
					l.secret(aPayload, payload(&run))
				}
			}
		}
		l.headers(http.Header{"Authorization": r.Header["Authorization"]})
		response, err := next.RoundTrip(r)
		if err != nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/secrets") || r.URL.Query().Get("watch") != "" {
			return response, err
		}
		raw, err := io.ReadAll(response.Body)
		response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(raw))
		object, _, decodeErr := clientgoscheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
		if decodeErr != nil { // metadata, or an error
			return response, err
		}
		var secrets []corev1.Secret
		switch object := object.(type) {
		case *corev1.Secret:
			secrets = []corev1.Secret{*object}
		case *corev1.SecretList:
			secrets = object.Items
		}
		for i := range secrets {
			for _, key := range secrets[i].Data {
				l.secret(aKey, string(key))
			}
		}
		return response, err
	})
}

// connection takes note of what goes over a connection.
func (l *ledger) connection(c net.Conn) net.Conn {
	recorded := &recordedConn{Conn: c}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = append(l.raw, recorded)
	return recorded
}

type recordedConn struct {
	net.Conn

	mu             sync.Mutex
	sent, received bytes.Buffer
}

// Read implements net.Conn.
func (c *recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received.Write(p[:n])
	return n, err
}

// Write implements net.Conn.
func (c *recordedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.sent.Write(p)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// CloseWrite closes the half of a TCP connection.
func (c *recordedConn) CloseWrite() error {
	return c.Conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // dialled as TCP
}

// settle takes what went over raw connections to pieces, as far as it is HTTP.
func (l *ledger) settle() {
	l.mu.Lock()
	connections := l.raw
	l.mu.Unlock()
	for _, c := range connections {
		c.mu.Lock()
		_, _ = l.say(inAnswers).Write(c.received.Bytes())
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(c.sent.Bytes())))
		if err == nil {
			l.headers(request.Header)
			if body, _ := io.ReadAll(request.Body); len(body) > 0 { // some tests break off, some break the rules
				l.secret(aPayload, string(body))
			}
		}
		c.mu.Unlock()
	}
}

// check returns what of the secrets is in what was said.
func (l *ledger) check() error {
	l.settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, mac := range expected(l.secrets) {
		if l.secrets[mac] == "" {
			l.secrets[mac] = aMAC
		}
	}
	index := map[string][]needle{} // by how they begin
	for value, kind := range l.secrets {
		for _, form := range forms(value) {
			index[form[:shortest]] = append(index[form[:shortest]], needle{form, kind})
		}
	}
	var found []string
	seen := map[string]bool{}
	for _, where := range slices.Sorted(maps.Keys(l.said)) {
		text := l.said[where].String()
		for i := range len(text) - shortest + 1 {
			for _, n := range index[text[i:i+shortest]] {
				if strings.HasPrefix(text[i:], n.form) && !seen[where+n.form] {
					seen[where+n.form] = true
					found = append(found, fmt.Sprintf("%s is in %s, as %q: …%s…", n.kind, where, n.form, around(text, i, len(n.form))))
				}
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%d things that are secret were said:\n%s", len(found), strings.Join(found[:min(len(found), 20)], "\n"))
}

// needle is a form in which a secret may appear.
type needle struct{ form, kind string }

// around returns a text with what is around it.
func around(text string, from, length int) string {
	return strings.ToValidUTF8(text[max(0, from-80):min(len(text), from+length+80)], "?")
}

// expected returns the signatures of the default scheme that Sluice expects of each payload under
// each key, whatever the sender has sent.
func expected(secrets map[string]string) []string {
	var keys, payloads, macs []string
	for value, kind := range secrets {
		switch {
		case kind == aKey:
			keys = append(keys, value)
		case kind == aPayload && len(value) <= 4096:
			payloads = append(payloads, value)
		}
	}
	payloads = append(payloads, "{}")
	for _, key := range keys {
		for _, text := range payloads {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte(text))
			macs = append(macs, hex.EncodeToString(mac.Sum(nil)), base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		}
	}
	return macs
}

// forms returns how a secret, or a part of it, may look in a log or an answer. Of a long one three
// parts are looked for, which also finds it where it was cut.
func forms(value string) []string {
	const part = 24
	parts := []string{value}
	if len(value) > 2*part {
		middle := len(value) / 2
		parts = []string{value[:part], value[middle : middle+part], value[len(value)-part:]}
	}
	var all []string
	for i, p := range parts {
		all = append(all, p)
		for _, quoted := range []string{fmt.Sprintf("%q", p), fmt.Sprintf("%+q", p), asJSON(p)} {
			escaped := quoted[1 : len(quoted)-1]
			twice := asJSON(escaped)
			all = append(all, escaped, twice[1:len(twice)-1])
		}
		all = append(all, hex.EncodeToString([]byte(p)), strings.Trim(fmt.Sprintf("%d", []byte(p)), "[]"))
		if i == 0 { // elsewhere it depends on what is before it
			all = append(all, base64.RawStdEncoding.EncodeToString([]byte(p[:len(p)/3*3])))
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(form string) bool { return len(form) < shortest || repetitive(form) })
}

// repetitive says whether a text is so little in what is different that it is in texts of others
// too: "xxxxxxxx", "0 0 0 0".
func repetitive(text string) bool {
	different := map[byte]bool{}
	for i := range len(text) {
		different[text[i]] = true
	}
	return len(different) < 4
}

func asJSON(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(raw)
}

// checkWholeRun is called after the last test, while the API server still runs.
func checkWholeRun(ctx context.Context) error {
	if err := wholeRun.metrics(metrics.Registry); err != nil {
		return err
	}
	var events corev1.EventList
	if err := env.Client.List(ctx, &events); err != nil {
		return fmt.Errorf("list Events: %w", err)
	}
	for i := range events.Items {
		wholeRun.note(inEvents, events.Items[i].String())
	}
	var triggers unstructured.UnstructuredList // some of them cannot be decoded, on purpose
	triggers.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("WebhookTriggerList"))
	if err := env.Client.List(ctx, &triggers); err != nil {
		return fmt.Errorf("list triggers: %w", err)
	}
	for i := range triggers.Items {
		if err := json.NewEncoder(wholeRun.say(inStatus)).Encode(triggers.Items[i].Object["status"]); err != nil {
			return err
		}
	}
	return wholeRun.check()
}

// TestLeaksAreFound lets something secret slip into what a ledger of its own is told.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const key, body, header = "a-key-that-nobody-may-see", `{"card": "4711 0815", "name": "Zoë"}`, "the-value-of-a-header"
	long := strings.Repeat("one\n", 300) + "in the middle of a long payload" + strings.Repeat(" two", 300)
	line := func(keysAndValues ...any) string {
		var b strings.Builder
		telemetry.NewLogger(&b, slog.LevelInfo, telemetry.LogJSON).Info("Something happened", keysAndValues...)
		return b.String()
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	cases := map[string]struct {
		reason string
		said   string
		want   string // the kind of secret; nothing if it is empty
	}{
		"Nothing":          {reason: "what may be said", said: line("trigger", "shop/orders", "cause", "signature mismatch", "contentType", "application/json")},
		"Key":              {reason: "a key as text", said: line("key", key), want: aKey},
		"KeyAsBytes":       {reason: "slices of bytes are logged in base64", said: line("key", []byte(key)), want: aKey},
		"KeyAsNumbers":     {reason: "or as numbers, by %v", said: line("key", fmt.Sprintf("%d", []byte(key))), want: aKey},
		"KeyAsHex":         {reason: "or as hexadecimal digits, by %x", said: line("key", hex.EncodeToString([]byte(key))), want: aKey},
		"KeyInAnError":     {reason: "in the middle of something", said: line("err", fmt.Errorf("decode %q: no", key)), want: aKey},
		"Payload":          {reason: "quotes are escaped in a log", said: line("body", body), want: aPayload},
		"PayloadTwice":     {reason: "escaped before it is escaped", said: line("body", fmt.Sprintf("%q", body)), want: aPayload},
		"PayloadQuoted":    {reason: "as in an Event", said: fmt.Sprintf("%q", body), want: aPayload},
		"LongPayload":      {reason: "all of it", said: line("body", long), want: aPayload},
		"BeginningOfALong": {reason: "cut, as messages are", said: line("body", long[:100]), want: aPayload},
		"MiddleOfALong":    {reason: "cut on both sides", said: line("body", long[1100:1300]), want: aPayload},
		"Header":           {reason: "the value of a header", said: line("headers", http.Header{"X-Signature": {header}}), want: aHeader},
		"Token":            {reason: "who scrapes metrics has one", said: line("authorization", "Bearer eyJhbGciOi.token"), want: aToken},
		"ExpectedMAC":      {reason: "what the sender should have sent", said: line("want", hex.EncodeToString(mac.Sum(nil))), want: aMAC},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{secrets: map[string]string{}, said: map[string]*bytes.Buffer{}}
			l.secret(aKey, key)
			l.secret(aPayload, body)
			l.secret(aPayload, long)
			l.headers(http.Header{"Content-Type": {"application/json"}, "X-Hmac-Hash": {header}, "Authorization": {"Bearer eyJhbGciOi.token"}})
			l.note(inLogs, tc.said)
			err := l.check()
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: %v", tc.reason, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want+" is in the logs")):
				t.Errorf("%s: %s in %q was not found: %v", tc.reason, tc.want, tc.said, err)
			}
		})
	}
}

// TestLedgerHears shows that what goes over a raw connection, and what an operator reads and
// stores, gets into the ledger of the whole run.
func TestLedgerHears(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	const key, body, header = "the-key-of-the-test-of-the-ledger", "the payload of the test of the ledger", "the-header-of-the-test-of-the-ledger"
	update(t, makeSecret(namespace, ""), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(key)} })
	o := startOperator(t, namespace)
	exchange(t, o, rawRequest(http.MethodPost, "/hooks/"+namespace+"/"+triggerName,
		[]string{contentLength(len(body)), "X-HMAC-HASH: " + sign(key, body), "X-Other: " + header}, body))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/elsewhere", strings.NewReader(body+", again"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Other", header+"-again")
	if _, err := do(request); err != nil {
		t.Fatal(err)
	}
	o.stop()
	<-o.done

	testenv.Eventually(t, patience, func() error { // a body can be sent to its end after the answer
		wholeRun.settle()
		wholeRun.mu.Lock()
		defer wholeRun.mu.Unlock()
		for value, kind := range map[string]string{
			key: aKey, body: aPayload, header: aHeader, sign(key, body): aHeader, body + ", again": aPayload, header + "-again": aHeader,
		} {
			if got := wholeRun.secrets[value]; got != kind {
				return fmt.Errorf("the ledger has %q as %q, want %q", value, got, kind)
			}
		}
		return nil
	})
	wholeRun.mu.Lock()
	defer wholeRun.mu.Unlock()
	for where, part := range map[string]string{inLogs: namespace, inAnswers: "No webhook is served at this path."} {
		if said := wholeRun.said[where]; said == nil || !strings.Contains(said.String(), part) {
			t.Errorf("the ledger has nothing of this test among %s", where)
		}
	}
}
