/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// frames is a connection over which frames of HTTP/2 are sent one by one, whatever a client would
// do.
type frames struct {
	*http2.Framer
	conn    *tls.Conn
	encoder *hpack.Encoder
	block   bytes.Buffer

	ended chan struct{} // closed when the server has ended the connection
	mu    sync.Mutex
	code  http2.ErrCode  // with which it has
	reply map[uint32]int // the statuses of answers, by stream; -1 for a stream that was reset
}

// dialFrames opens a connection and reads what comes until it ends.
func dialFrames(ctx context.Context, address string, config *tls.Config) (*frames, error) {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	connection, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn, _ := connection.(*tls.Conn)
	c := &frames{Framer: http2.NewFramer(conn, conn), conn: conn, ended: make(chan struct{}), reply: map[uint32]int{}}
	c.encoder = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	if err := c.WriteSettings(); err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *frames) read() {
	defer close(c.ended)
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return
		}
		c.mu.Lock()
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			c.code = f.ErrCode
		case *http2.RSTStreamFrame:
			if _, ok := c.reply[f.StreamID]; !ok {
				c.reply[f.StreamID] = -1
			}
		case *http2.MetaHeadersFrame:
			c.reply[f.StreamID], _ = strconv.Atoi(f.PseudoValue("status"))
		}
		c.mu.Unlock()
	}
}

func (c *frames) errorCode() http2.ErrCode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// status returns the status of the answer on a stream, -1 if it was reset, and whether there is
// either by now.
func (c *frames) status(stream uint32) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status, ok := c.reply[stream]
	return status, ok
}

// headers encodes the fields, each as "name: value".
func (c *frames) headers(fields ...string) []byte {
	c.block.Reset()
	for _, field := range fields {
		name, value, _ := strings.Cut(field[1:], ": ")
		_ = c.encoder.WriteField(hpack.HeaderField{Name: field[:1] + name, Value: value}) // to memory
	}
	return bytes.Clone(c.block.Bytes())
}

// request writes the headers of a POST on a stream, and ends it there if it has no body.
func (c *frames) request(stream uint32, path string, end bool, more ...string) error {
	fields := append([]string{":method: POST", ":scheme: https", ":authority: hooks.example.com", ":path: " + path}, more...)
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.headers(fields...), EndHeaders: true, EndStream: end})
}

// startHTTP2 starts an operator for a world of its own that speaks HTTP/2.
func startHTTP2(t *testing.T, configure ...func(*operatorConfig)) (o *operator, namespace, address string, config *tls.Config) {
	t.Helper()
	namespace = newWorld(t)
	certificate := issue(t)
	pair := certificate.write(t, t.TempDir())
	o = startOperator(t, namespace, append(configure, func(c *operatorConfig) {
		before := c.options
		c.options = func(options *app.Options) {
			options.Role, options.TLS = app.RoleIngest, pair
			if before != nil {
				before(options)
			}
		}
	})...)
	address = o.Server.Address().String()
	o.url = "https://" + address
	return o, namespace, address, trust(certificate)
}

// runsByBody counts the FlowRuns of a namespace by their payloads.
func runsByBody(t *testing.T, namespace string) map[string]int {
	t.Helper()
	var runs sluicev1alpha1.FlowRunList
	if err := env.Client.List(t.Context(), &runs, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for i := range runs.Items {
		count[payload(&runs.Items[i])]++
	}
	return count
}

// TestRapidReset opens streams and resets them at once, while what they have begun cannot end. No
// more of them run at a time than one connection may have open, the connection is ended, and each
// is stored once or not at all.
//
// CVE-2023-44487, CVE-2023-39325: requests that were reset did not count, and yet they ran.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	const streams = 5000
	registry := prometheus.NewRegistry()
	release := make(chan struct{})
	_, namespace, address, config := startHTTP2(t,
		interceptCreates(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			<-release
			return next.RoundTrip(r)
		}),
		func(c *operatorConfig) {
			c.options = func(options *app.Options) {
				options.Registerer = registry
				options.Limits.AcceptDeadline, options.Limits.WriteTimeout, options.Limits.DrainTimeout = patience, 3*patience, patience
			}
		})
	inFlight := func() float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return gauge(families, "sluice_ingest_requests_in_flight")
	}
	c, err := dialFrames(t.Context(), address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close() //nolint:errcheck // the server has ended it
	most := 0.0
	for i := range streams {
		stream, body := uint32(2*i+1), fmt.Sprint(i)
		err := c.request(stream, "/hooks/"+namespace+"/"+triggerName, false, "x-hmac-hash: "+sign(keyText, body))
		if err == nil {
			err = c.WriteData(stream, true, []byte(body))
		}
		if err == nil {
			err = c.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has ended the connection
		}
		if i%100 == 0 {
			most = max(most, inFlight())
		}
	}
	select {
	case <-c.ended:
	case <-time.After(patience):
		t.Error("the connection has not been ended")
	}
	if code := c.errorCode(); code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("the connection was ended with %s, want %s", code, http2.ErrCodeEnhanceYourCalm)
	}
	if most = max(most, inFlight()); most > 16 || most < 5 {
		t.Errorf("up to %v requests ran at a time, want at most 16, and enough to tell", most)
	}
	close(release)
	testenv.Eventually(t, patience, func() error {
		if n := inFlight(); n > 0 {
			return fmt.Errorf("%v requests still run", n)
		}
		return nil
	})
	for body, n := range runsByBody(t, namespace) {
		if n > 1 {
			t.Errorf("%q is stored %d times", body, n)
		}
	}
}

// TestRapidResetBesideOthers resets streams on connection after connection, all of them forged.
// Others are served meanwhile, and the ledger is exact.
func TestRapidResetBesideOthers(t *testing.T) {
	t.Parallel()
	const (
		good  = 50
		flood = 60_000 // streams; the machine has to do other things as well
	)
	o, namespace, address, config := startHTTP2(t)
	ctx, stop := context.WithCancel(t.Context())
	var resets atomic.Int64
	var attackers sync.WaitGroup
	path := "/hooks/" + namespace + "/" + triggerName
	for range 2 {
		attackers.Go(func() {
			for ctx.Err() == nil && resets.Load() < flood {
				c, err := dialFrames(ctx, address, config)
				if err != nil {
					continue
				}
				for stream := uint32(1); ctx.Err() == nil && resets.Load() < flood; stream += 2 {
					if c.request(stream, path, true, "x-hmac-hash: "+strings.Repeat("ab", 32)) != nil || c.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
						break
					}
					resets.Add(1)
				}
				_ = c.conn.Close()
				<-c.ended
			}
		})
	}
	defer attackers.Wait()
	defer stop()
	testenv.Eventually(t, patience, func() error {
		if n := resets.Load(); n < flood/10 {
			return fmt.Errorf("%d streams were reset", n)
		}
		return nil
	})
	sender := newHTTPClient(t, config, func(p *http.Protocols) { p.SetHTTP2(true) })
	for i := range good {
		body := fmt.Sprint(i)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-HMAC-HASH", sign(keyText, body))
		response, err := sender.Do(request)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Errorf("request %d: answer is %d, want 202", i, response.StatusCode)
		}
	}
	t.Logf("%d streams were reset meanwhile", resets.Load())
	stop()
	attackers.Wait()
	stored := runsByBody(t, namespace)
	for i := range good {
		if n := stored[fmt.Sprint(i)]; n != 1 {
			t.Errorf("request %d is stored %d times", i, n)
		}
	}
	if len(stored) != good {
		t.Errorf("there are runs of %d bodies, want %d", len(stored), good)
	}
}

// TestContinuationFlood sends headers that never end, and headers that become long only when they
// are decoded.
//
// CVE-2023-45288: Go decoded headers beyond the limit for as long as they came.
func TestContinuationFlood(t *testing.T) {
	t.Parallel()
	_, namespace, address, config := startHTTP2(t)
	path := "/hooks/" + namespace + "/" + triggerName
	dial := func(t *testing.T) *frames {
		t.Helper()
		c, err := dialFrames(t.Context(), address, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.conn.Close() })
		return c
	}
	good := []string{":method: POST", ":scheme: https", ":authority: x", ":path: " + path, "x-hmac-hash: " + sign(keyText, "")}

	t.Run("Endless", func(t *testing.T) {
		const buffers, endless = 8 << 20, 64 << 20 // what the kernel may take on both sides, and what is as good as no end
		c := dial(t)
		if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers(good...)}); err != nil {
			t.Fatal(err)
		}
		sent, fragment := 0, c.headers("x-filler: "+strings.Repeat("~", 12<<10))
		for sent < endless && c.WriteContinuation(1, false, fragment) == nil {
			sent += len(fragment)
		}
		if sent > buffers {
			t.Errorf("the server has taken %d bytes of headers", sent)
		}
		select {
		case <-c.ended:
		case <-time.After(patience):
			t.Error("the connection has not been ended")
		}
		if status, ok := c.status(1); ok && status == http.StatusAccepted {
			t.Error("the request is accepted")
		}
	})
	for name, tc := range map[string]struct {
		reason string
		write  func(c *frames) error
	}{
		"Long": {"more headers than are read", func(c *frames) error {
			block := c.headers(append(slices.Clone(good), "x-filler: "+strings.Repeat("~", 6<<10), "x-more: "+strings.Repeat("~", 6<<10))...)
			err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:10<<10], EndStream: true})
			for block = block[10<<10:]; err == nil && len(block) > 0; {
				n := min(len(block), 10<<10)
				err = c.WriteContinuation(1, n == len(block), block[:n])
				block = block[n:]
			}
			return err
		}},
		"Many": {"a thousand short ones", func(c *frames) error {
			fields := slices.Clone(good)
			for i := range 1000 {
				fields = append(fields, fmt.Sprintf("x-%d: y", i))
			}
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers(fields...), EndStream: true, EndHeaders: true})
		}},
		"Bomb": {"one of 3 kB that is named 4000 times, with a byte each", func(c *frames) error {
			fields := slices.Clone(good)
			for range 4000 {
				fields = append(fields, "x-bomb: "+strings.Repeat("~", 3000))
			}
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers(fields...), EndStream: true, EndHeaders: true})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t)
			if err := tc.write(c); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, patience, func() error {
				status, ok := c.status(1)
				if ok && status == http.StatusRequestHeaderFieldsTooLarge {
					return nil
				}
				return fmt.Errorf("%s: the answer is %d (%v), want 431", tc.reason, status, ok)
			})
		})
	}
	if n := countRuns(t, namespace); n > 0 {
		t.Errorf("there are %d runs, want none", n)
	}
}

// TestHTTP2Framing sends requests that say one thing of themselves and are another, all of them
// signed. What is stored is what was signed and what the frames hold; a proxy in front that speaks
// HTTP/1.1 to others would have nothing to smuggle.
func TestHTTP2Framing(t *testing.T) {
	t.Parallel()
	const body = `{"order": 1}`
	_, namespace, address, config := startHTTP2(t)
	path := "/hooks/" + namespace + "/" + triggerName
	signature := "x-hmac-hash: " + sign(keyText, body)
	inner := rawRequest("POST", path, []string{contentLength(len(body)), "X-HMAC-HASH: " + sign(keyText, body)}, body)
	pseudo := []string{":method: POST", ":scheme: https", ":authority: x", ":path: " + path}
	cases := map[string]struct {
		reason string
		fields []string
		data   string
		want   []int // -1 for a stream that is reset, 0 for a connection that is ended
	}{
		"Good":             {reason: "as it should be", fields: append(slices.Clone(pseudo), signature), data: body, want: []int{202}},
		"LengthTooShort":   {reason: "more than was announced", fields: append(slices.Clone(pseudo), signature, "content-length: 3"), data: body, want: []int{-1, 400}},
		"LengthTooLong":    {reason: "less than was announced", fields: append(slices.Clone(pseudo), signature, "content-length: 300"), data: body, want: []int{-1, 400}},
		"TwoLengths":       {reason: "frames say how long a body is; net/http looks at the first", fields: append(slices.Clone(pseudo), signature, fmt.Sprintf("content-length: %d", len(body)), "content-length: 3"), data: body, want: []int{202}},
		"Chunked":          {reason: "HTTP/2 has no transfer codings", fields: append(slices.Clone(pseudo), signature, "transfer-encoding: chunked"), data: body, want: []int{-1, 400}},
		"Connection":       {reason: "nor headers of a connection", fields: append(slices.Clone(pseudo), signature, "connection: close"), data: body, want: []int{-1, 400}},
		"UpperCase":        {reason: "names are in lower case", fields: append(slices.Clone(pseudo), "X-HMAC-HASH: "+sign(keyText, body)), data: body, want: []int{-1, 0, 401}},
		"LineBreak":        {reason: "a value that would be two lines elsewhere", fields: append(slices.Clone(pseudo), "x-other: a\r\n"+signature), data: body, want: []int{-1, 0, 401}},
		"LineBreakInPath":  {reason: "a path that would be a request elsewhere", fields: []string{":method: POST", ":scheme: https", ":authority: x", ":path: / HTTP/1.1\r\n\r\n" + inner, signature}, data: body, want: []int{-1, 0, 400, 404}},
		"TwoPaths":         {reason: "which is it?", fields: append(slices.Clone(pseudo), ":path: /", signature), data: body, want: []int{-1, 0, 400}},
		"NoPath":           {reason: "there is no request without one", fields: []string{":method: POST", ":scheme: https", signature}, data: body, want: []int{-1, 0, 400}},
		"PseudoBehind":     {reason: "they come first", fields: append([]string{signature}, pseudo...), data: body, want: []int{-1, 0, 400}},
		"SignatureTwice":   {reason: "which is it?", fields: append(slices.Clone(pseudo), signature, signature), data: body, want: []int{401}},
		"RequestInTheBody": {reason: "a body is a body", fields: append(slices.Clone(pseudo), signature), data: inner, want: []int{401}},
		"AbsolutePath":     {reason: "a URL instead of a path, as in HTTP/1.1", fields: []string{":method: POST", ":scheme: https", ":authority: x", ":path: http://x" + path, signature}, data: body, want: []int{202}},
	}
	var accepted atomic.Int32
	t.Run("Cases", func(t *testing.T) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c, err := dialFrames(t.Context(), address, config)
				if err != nil {
					t.Fatal(err)
				}
				defer c.conn.Close() //nolint:errcheck // all is read
				if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.headers(tc.fields...), EndHeaders: true}); err != nil {
					t.Fatal(err)
				}
				// The server may have ended the connection by now.
				_ = c.WriteData(1, true, []byte(tc.data))
				testenv.Eventually(t, patience, func() error {
					status, ok := c.status(1)
					select {
					case <-c.ended:
					default:
						if !ok {
							return errors.New("no answer")
						}
					}
					if !slices.Contains(tc.want, status) {
						t.Fatalf("%s: the answer is %d, want one of %v", tc.reason, status, tc.want)
					}
					if status == http.StatusAccepted {
						accepted.Add(1)
					}
					return nil
				})
			})
		}
	})
	if stored := runsByBody(t, namespace); len(stored) != 1 || stored[body] != int(accepted.Load()) {
		t.Errorf("there are runs of %d bodies, and %d of the one that %d requests were accepted of", len(stored), stored[body], accepted.Load())
	}
}
