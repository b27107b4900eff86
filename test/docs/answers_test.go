/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package docs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluice-dev/sluice/controllers/history"
	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/delivery"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/ingesttest"
	"github.com/sluice-dev/sluice/test/framework/markdown"
)

// end is how a delivery ends in the sink.
type end func() (delivery.Receipt, error)

// The ends that a delivery can have.
var (
	stored    end = func() (delivery.Receipt, error) { return delivery.Receipt{}, nil }
	duplicate end = func() (delivery.Receipt, error) { return delivery.Receipt{Duplicate: true}, nil }
	rejected      = failing(delivery.Rejected)
	notStored     = failing(delivery.Blocked)
	aPanic    end = func() (delivery.Receipt, error) { panic("a panic") }
)

func failing(kind delivery.Kind) end {
	return func() (delivery.Receipt, error) {
		return delivery.Receipt{}, &delivery.Error{Kind: kind, Err: errors.New("no API server")}
	}
}

// key is the one that the routes of a testServer check with.
const key = "a-key-of-more-than-sixteen-bytes"

const verifyToken = "a-token-of-more-than-sixteen-bytes"

// newServer starts a webhook server without a cluster. It serves /hooks/default/orders,
// /hooks/default/suspended, which is unavailable, /hooks/default/overridden with answers of its
// own, and a path for each provider that has a handshake.
func newServer(t *testing.T, registerer prometheus.Registerer, accept end, change func(*ingest.Limits)) *ingest.Server {
	t.Helper()
	verifier := newVerifier(t, signature.Scheme{Algorithm: signature.SHA256})
	routes := []*route.Route{
		{Namespace: "default", Name: "orders", Flow: "import-orders", Verifier: verifier},
		{Namespace: "default", Name: "limited", Flow: "import-orders", Verifier: verifier, Limits: route.Limits{Concurrency: 1}},
		{Namespace: "default", Name: "suspended", Flow: "import-orders", Unavailable: "Suspended"},
		{
			Namespace: "default", Name: "overridden", Flow: "import-orders", Verifier: verifier,
			Response: route.Response{Override: true, Status: http.StatusNoContent, EmptyUnauthorized: true},
		},
	}
	for _, preset := range signature.Presets() {
		if s := preset.Scheme; s.Handshake != "" && s.Algorithm != signature.Ed25519 { // which would need a key of its own
			verifier := newVerifier(t, s).WithVerifyToken(signature.Key{Name: "meta-webhook/verifyToken", Secret: []byte(verifyToken)})
			routes = append(routes, &route.Route{Namespace: "default", Name: strings.ToLower(preset.Name), Flow: "import-orders", Verifier: verifier})
		}
	}
	discord := newVerifier(t, signature.Scheme{Algorithm: signature.SHA256, Handshake: signature.HandshakeDiscord})
	routes = append(routes, &route.Route{Namespace: "default", Name: "discord", Flow: "import-orders", Verifier: discord})
	token, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.Token}, signature.Key{Name: "orders-webhook/token", Secret: []byte("a short one")})
	if err != nil {
		t.Fatal(err)
	}
	routes = append(routes, &route.Route{Namespace: "default", Name: "token", UID: "token", Flow: "import-orders", Verifier: token})
	sink := ingesttest.SinkFunc(func(context.Context, *delivery.Delivery) (delivery.Receipt, error) { return accept() })
	return ingesttest.Start(t, sink, routes, func(o *ingest.Options) {
		o.Registerer = registerer
		if change != nil {
			change(&o.Limits)
		}
	})
}

func newVerifier(t *testing.T, scheme signature.Scheme) *signature.Verifier {
	t.Helper()
	verifier, err := signature.NewVerifier(scheme, signature.Key{Name: "orders-webhook/secretKey", Secret: []byte(key)})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// request returns a request with its headers as it is sent. Of a signed one those are all that it
// needs, but for a length.
func request(method, target, headers, body string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: hooks.example.com\r\n" + headers + "\r\n" + body
}

// headersOf returns the headers of a signed request.
func headersOf(t *testing.T, signed signature.Signed, err error) string {
	t.Helper()
	var headers strings.Builder
	if err == nil {
		err = http.Header(signed.Headers).Write(&headers)
	}
	if err != nil {
		t.Fatal(err)
	}
	return headers.String()
}

// sign returns the headers of a request with this body.
func sign(t *testing.T, scheme signature.Scheme, body string) string {
	t.Helper()
	signed, err := signature.Sign(scheme, signature.Key{Secret: []byte(key)}, signature.Unsigned{Body: []byte(body), At: time.Now()})
	return headersOf(t, signed, err)
}

// handshake returns the request with which a provider makes sure that somebody is there. The path
// is its name.
func handshake(t *testing.T, provider, key, challenge string) string {
	t.Helper()
	preset, _ := signature.PresetByName(provider)
	signed, err := signature.SignHandshake(preset.Scheme, signature.Key{Secret: []byte(key)}, signature.Unsigned{At: time.Now()}, challenge)
	headers, path := headersOf(t, signed, err), "/hooks/default/"+strings.ToLower(provider)
	if signed.Method == http.MethodGet {
		return request(signed.Method, path+"?"+signed.Query, headers, "")
	}
	return request(signed.Method, path, fmt.Sprintf("Content-Length: %d\r\n%s", len(signed.Body), headers), string(signed.Body))
}

// send sends a request as it is and returns the answer. half closes the connection for writing
// after it.
func send(t *testing.T, server *ingest.Server, raw string, half bool) string {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close() //nolint:errcheck // all is read by then
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(connection, raw) // the server may answer before it has read all
		if tcp, ok := connection.(*net.TCPConn); ok && half {
			_ = tcp.CloseWrite()
		}
	}()
	answer, header := receive(t, connection)
	if slices.Contains(ofNetHTTP, answer) {
		return answer
	}
	for name, want := range ofEveryAnswer {
		if diff := cmp.Diff([]string{want}, header[name]); diff != "" {
			t.Errorf("the header %s (-want +got):\n%sof the answer\n%s", name, diff, answer)
		}
	}
	return answer
}

// ofEveryAnswer are the headers that docs/http.md says every answer of Sluice has. A sender has no
// use for the last three; a browser that somebody makes fetch an answer neither runs nor guesses
// anything, nor stores it.
var ofEveryAnswer = map[string]string{
	"Content-Security-Policy": "default-src 'none'; sandbox",
	"X-Content-Type-Options":  "nosniff",
	"Cache-Control":           "no-store",
}

// ofNetHTTP are the answers that net/http writes past every handler. They are always the same text,
// and no type that a browser would run.
var ofNetHTTP = []string{
	"HTTP/1.1 400 Bad Request\nConnection: close\nContent-Type: text/plain; charset=utf-8\n\n400 Bad Request\n",
	"HTTP/1.1 431 Request Header Fields Too Large\nConnection: close\nContent-Type: text/plain; charset=utf-8\n\n431 Request Header Fields Too Large\n",
}

var runName = regexp.MustCompile(`"name":"orders-[0-9a-v]{20}"`)

// incidental are the headers that every answer has, or that say nothing about it.
var incidental = append(slices.Collect(maps.Keys(ofEveryAnswer)), "Content-Length", "Date")

// readAnswer returns an answer in one form, whoever wrote it.
func readAnswer(t *testing.T, r io.Reader) string {
	t.Helper()
	answer, _ := receive(t, r)
	return answer
}

// receive is readAnswer, and returns all of the headers too.
func receive(t *testing.T, r io.Reader) (string, http.Header) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	// Up to 3 s are added by chance, so that not all come back at once.
	for _, least := range []int{1, 5} {
		if seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")); seconds >= least && seconds <= least+3 {
			response.Header.Set("Retry-After", strconv.Itoa(least))
		}
	}
	if response.Close { // net/http takes the header away
		response.Header.Set("Connection", "close")
	}
	var answer strings.Builder
	fmt.Fprintf(&answer, "HTTP/1.1 %s\n", response.Status)
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		if !slices.Contains(incidental, name) {
			fmt.Fprintf(&answer, "%s: %s\n", name, strings.Join(response.Header[name], ", "))
		}
	}
	text := runName.ReplaceAllLiteralString(strings.TrimSpace(string(body)), `"name":"orders-…"`)
	fmt.Fprintf(&answer, "\n%s\n", text)
	return answer.String(), response.Header
}

// TestAnswers provokes every answer that the webhook server has, and compares them with the blocks
// of docs/http.md. The metrics that this leaves are compared with the table in docs/operations.md.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const body = `{"order": 1001}`
	signed := sign(t, signature.Scheme{Algorithm: signature.SHA256}, body)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	const path = "/hooks/default/orders"
	good := request("POST", path, length+signed, body)
	const overridden = "/hooks/default/overridden"
	discord := func(body string) string {
		headers := sign(t, signature.Scheme{Algorithm: signature.SHA256, Handshake: signature.HandshakeDiscord}, body)
		return request("POST", "/hooks/default/discord", fmt.Sprintf("Content-Length: %d\r\n%s", len(body), headers), body)
	}
	guess := request("POST", "/hooks/default/token", length+"X-HMAC-HASH: a guess\r\n", body)

	registry := prometheus.NewRegistry()
	ends := make(chan end, 1)
	server := newServer(t, registry, func() (delivery.Receipt, error) { return (<-ends)() }, nil)
	after := func(e end) *ingest.Server {
		ends <- e
		return server
	}
	slow := newServer(t, prometheus.NewRegistry(), nil, func(l *ingest.Limits) {
		l.ReadHeaderTimeout, l.ReadTimeout = 100*time.Millisecond, 100*time.Millisecond
	})
	limited := request("POST", "/hooks/default/limited", length+signed, body)
	// Two servers that are busy with one request each.
	release := make(chan struct{})
	var busy sync.WaitGroup
	occupied := func(request string, change func(*ingest.Limits)) *ingest.Server {
		entered := make(chan struct{})
		server := newServer(t, prometheus.NewRegistry(), func() (delivery.Receipt, error) {
			close(entered)
			<-release
			return stored()
		}, change)
		busy.Go(func() { send(t, server, request, false) })
		<-entered
		return server
	}
	full := occupied(good, func(l *ingest.Limits) { l.MaxBodyBytes, l.MaxInFlightBytes = 1000, 1000+16<<10 })
	atLimit := occupied(limited, nil)
	// One whose circuit breaker is open, and whose probe is under way for as long as this takes.
	var attempts atomic.Int32
	probing := make(chan struct{})
	down := newServer(t, prometheus.NewRegistry(), func() (delivery.Receipt, error) {
		if attempts.Add(1) == 9 {
			close(probing)
			<-release
		}
		return failing(delivery.Unavailable)()
	}, nil)
	for range 8 {
		send(t, down, good, false)
	}
	busy.Go(func() {
		for {
			select {
			case <-probing:
				return
			default:
				send(t, down, good, false)
			}
		}
	})
	<-probing
	for range 40 { // more than twice as many as are looked at, so that some seconds more do not matter
		send(t, server, guess, false)
	}

	answers := map[string]string{
		"accepted":        send(t, after(stored), good, false),
		"duplicate":       send(t, after(duplicate), good, false),
		"overridden":      send(t, after(stored), request("POST", overridden, length+signed, body), false),
		"empty 401":       send(t, server, request("POST", overridden, length+signed, strings.ToUpper(body)), false),
		"Slack":           send(t, server, handshake(t, "Slack", key, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"), false),
		"Zoom":            send(t, server, handshake(t, "Zoom", key, "qgg8vlvZRS6UYooatFL8Aw"), false),
		"Discord":         send(t, server, discord(`{"application_id":"1","id":"2","token":"3","type":1,"version":1}`), false),
		"Discord events":  send(t, server, discord(`{"application_id":"1","type":0,"version":1}`), false),
		"Meta":            send(t, server, handshake(t, "Meta", verifyToken, "1158201444"), false),
		"forbidden":       send(t, server, handshake(t, "Meta", key, "1158201444"), false),
		"guesses":         send(t, server, guess, false),
		"malformed":       send(t, server, request("POST", path+"%zz", length+signed, body), false),
		"aborted":         send(t, server, request("POST", path, "Content-Length: 100\r\n"+signed, body), true),
		"unauthorized":    send(t, server, request("POST", path, length+signed, strings.ToUpper(body)), false),
		"unknown path":    send(t, server, request("POST", "/hooks/default/nobody", length+signed, body), false),
		"method":          send(t, server, request("PUT", path, length+signed, body), false),
		"slow body":       send(t, slow, request("POST", path, "Content-Length: 100\r\n"+signed, body), false),
		"too large":       send(t, server, request("POST", path, "Content-Length: 1048577\r\n"+signed, ""), false),
		"refused":         send(t, after(rejected), good, false),
		"header too long": send(t, server, request("POST", path, "X-Filler: "+strings.Repeat("a", 64<<10)+"\r\n", ""), false),
		"failed":          send(t, after(aPanic), good, false),
		"unavailable":     send(t, server, request("POST", "/hooks/default/suspended", length+signed, body), false),
		"no capacity":     send(t, full, good, false),
		"cannot store":    send(t, down, good, false),
		"too many":        send(t, atLimit, limited, false),
		"not stored":      send(t, after(notStored), good, false),
	}
	close(release)
	busy.Wait()

	if dropbox := send(t, server, handshake(t, "Dropbox", key, "1158201444"), false); dropbox != answers["Meta"] {
		t.Errorf("docs/http.md has one answer for Dropbox and Meta, but Dropbox gets:\n%s", dropbox)
	}

	documented := map[string]markdown.Block{}
	for _, b := range markdown.Blocks(t, filepath.Join("docs", "http.md")) {
		if b.Info == "http" && strings.HasPrefix(b.Text, "HTTP/") {
			head, body, _ := strings.Cut(b.Text, "\n\n") // without a length it would end with the connection
			if !strings.HasPrefix(head, "HTTP/1.1 204 ") {
				head += fmt.Sprintf("\nContent-Length: %d", len(body))
			}
			documented[readAnswer(t, strings.NewReader(head+"\n\n"+body))] = b
		}
	}
	for name, answer := range answers {
		if _, ok := documented[answer]; !ok {
			t.Errorf("docs/http.md does not have the answer %q, which is:\n%s", name, answer)
		}
		delete(documented, answer)
	}
	for answer, b := range documented {
		t.Errorf("%s: there is no such answer:\n%s", b, answer)
	}

	if _, err := history.NewCollector(history.Options{Config: env.Config, Registerer: registry}); err != nil {
		t.Fatal(err)
	}
	expirations := map[app.CertificateUse]func() time.Time{app.UseWebhooks: time.Now, app.UseMetrics: time.Now}
	if err := registry.Register(app.NewProcessCollector(app.RoleAll, expirations)); err != nil {
		t.Fatal(err)
	}
	checkMetrics(t, registry)
}

// checkMetrics compares what was registered and counted, names and values of labels, with the table
// in docs/operations.md, and has the names and the helps judged by Prometheus' own linter.
func checkMetrics(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("the name of the metric %s is unusual: %s", problem.Metric, problem.Text)
	}

	documented := map[string]map[string]bool{} // by metric, what there is in its row: its type, its labels and their values
	for _, cells := range tableUnder(t, filepath.Join("docs", "operations.md"), "## Metrics") {
		row := map[string]bool{cells[1]: true}
		for labels := range strings.SplitSeq(cells[2], "; ") {
			name, values, _ := strings.Cut(labels, ": ")
			name = strings.Trim(name, "`")
			row[name] = true
			for _, value := range code.FindAllStringSubmatch(values, -1) {
				row[name+"="+value[1]] = true
			}
		}
		documented[strings.Trim(cells[0], "`")] = row
	}
	for _, family := range families {
		row, ok := documented[family.GetName()]
		if !ok {
			t.Errorf("docs/operations.md does not have the metric %s; run make generate", family.GetName())
			continue
		}
		delete(documented, family.GetName())
		is := []string{strings.ToLower(family.GetType().String())}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				is = append(is, label.GetName())
				if label.GetName() != "version" { // which has another value in each release
					is = append(is, label.GetName()+"="+label.GetValue())
				}
			}
		}
		for _, what := range is {
			if !row[what] {
				t.Errorf("docs/operations.md does not have %q of the metric %s; run make generate", what, family.GetName())
			}
		}
	}
	for name := range documented {
		t.Errorf("docs/operations.md has the metric %s, which there is not; run make generate", name)
	}
}
