/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// exchange sends raw bytes over a connection of their own and returns the first answer.
func exchange(tb testing.TB, o *operator, raw string) reply {
	tb.Helper()
	connection := dial(tb, o)
	go func() { _, _ = io.WriteString(connection, raw) }() // the server may answer before it has read all
	return readReply(tb, connection, http.MethodPost)
}

func dial(tb testing.TB, o *operator) net.Conn {
	tb.Helper()
	connection, err := new(net.Dialer).DialContext(tb.Context(), "tcp", strings.TrimPrefix(o.url, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return wholeRun.connection(connection)
}

func readReply(tb testing.TB, connection net.Conn, method string) reply {
	tb.Helper()
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatalf("half an answer: %v", err)
	}
	return reply{status: response.StatusCode, header: response.Header, body: string(body)}
}

// rawRequest writes a request as it is, whatever net/http would make of it.
func rawRequest(method, target string, headers []string, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: hooks.example.com\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func contentLength(n int) string { return "Content-Length: " + strconv.Itoa(n) }

// vectorBody is the body of a vector, in one of the ways that the files have it.
type vectorBody struct {
	Body, BodyBase64 string
	BodyRule         *bodyRule
}

func (v vectorBody) text(tb testing.TB) string {
	tb.Helper()
	if v.BodyRule != nil {
		return v.BodyRule.make()
	}
	if v.BodyBase64 == "" {
		return v.Body
	}
	decoded, err := base64.StdEncoding.DecodeString(v.BodyBase64)
	if err != nil {
		tb.Fatal(err)
	}
	return string(decoded)
}

// TestVectors sends requests that other implementations have signed, over HTTP, and compares the
// payloads that are stored byte for byte.
func TestVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "ingest", "signature", "testdata", "patchworks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID, Provider, Case, Method, Secret, Expect string
			Headers                                    map[string]string
			vectorBody
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}

	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace))
	triggers := map[string]string{} // by algorithm and secret
	for _, v := range file.Vectors {
		algorithm := sluicev1alpha1.AlgorithmSHA256
		if v.Provider == "patchworks-ripemd128" {
			algorithm = sluicev1alpha1.AlgorithmRIPEMD128
		}
		key := v.Provider + v.Secret
		if triggers[key] != "" {
			continue
		}
		name := fmt.Sprintf("vectors-%d", len(triggers))
		triggers[key] = name
		secret := makeSecret(namespace, v.Secret)
		secret.Name = name
		trigger := makeTrigger(namespace)
		trigger.Name = name
		trigger.Spec.Algorithm = algorithm
		trigger.Spec.SecretRef.Name = name
		env.Create(t, secret, trigger)
	}
	o := startOperator(t, namespace) // with all of them in its table from the start

	accepted, rejected := 0, 0
	for _, v := range file.Vectors {
		body := v.text(t)
		headers := []string{contentLength(len(body))}
		for name, value := range v.Headers {
			headers = append(headers, name+": "+value)
		}
		r := exchange(t, o, rawRequest(v.Method, "/hooks/"+namespace+"/"+triggers[v.Provider+v.Secret], headers, body))
		switch {
		case v.Method != http.MethodPost: // the signature is right, but webhooks are sent with POST
			if r.status != http.StatusMethodNotAllowed {
				t.Errorf("%s: answer is %d, want 405", v.ID, r.status)
			}
		case v.Expect == "accept":
			accepted++
			if r.status != http.StatusAccepted {
				t.Errorf("%s: answer is %d, want 202", v.ID, r.status)
				continue
			}
			if run := acceptedRun(t, namespace, r); payload(run) != body || *run.Spec.Payload.Size != int64(len(body)) {
				t.Errorf("%s: the payload differs from what was sent", v.ID)
			}
		default:
			rejected++
			if r.status != http.StatusUnauthorized {
				t.Errorf("%s: answer is %d, want 401", v.ID, r.status)
			}
		}
	}
	if accepted < 30 || rejected < 20 {
		t.Errorf("%d accepted and %d rejected: vectors are missing", accepted, rejected)
	}
	if n := countRuns(t, namespace); n != accepted {
		t.Errorf("there are %d runs, want %d", n, accepted)
	}
}

// TestHMACVectors sends the published HMAC test cases as requests. Their messages are bytes of any
// kind.
func TestHMACVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "ingest", "signature", "testdata", "hmac.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Alg, Case, KeyHex, DataHex, MACHex string
			TruncatedToBytes                   int
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	namespace := env.Namespace(t)
	env.Create(t, makeFlow(namespace))
	algorithms := map[string]struct {
		algorithm sluicev1alpha1.Algorithm
		new       func() hash.Hash
	}{
		"sha256":    {sluicev1alpha1.AlgorithmSHA256, nil},
		"ripemd128": {sluicev1alpha1.AlgorithmRIPEMD128, ripemd128.New},
	}
	var used []int
	for i, v := range file.Vectors {
		algorithm, ok := algorithms[v.Alg]
		key, err := hex.DecodeString(v.KeyHex)
		if err != nil {
			t.Fatal(err)
		}
		// Keys without content are refused by design, and half a MAC is no signature.
		if !ok || len(bytes.TrimSpace(key)) == 0 || v.TruncatedToBytes > 0 {
			continue
		}
		used = append(used, i)
		name := fmt.Sprintf("hmac-%d", i)
		trigger := makeTrigger(namespace)
		trigger.Name = name
		trigger.Spec.Algorithm = algorithm.algorithm
		trigger.Spec.SecretRef.Name = name
		env.Create(t, trigger, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Data:       map[string][]byte{secretKey: key},
		})
	}
	if len(used) < 40 {
		t.Errorf("only %d vectors can be used", len(used))
	}
	o := startOperator(t, namespace)
	for _, i := range used {
		v := file.Vectors[i]
		data, err := hex.DecodeString(v.DataHex)
		if err != nil {
			t.Fatal(err)
		}
		r := exchange(t, o, rawRequest(http.MethodPost, fmt.Sprintf("/hooks/%s/hmac-%d", namespace, i),
			[]string{contentLength(len(data)), "X-HMAC-HASH: " + v.MACHex}, string(data)))
		if run := acceptedRun(t, namespace, r); payload(run) != string(data) {
			t.Errorf("%s %s: the payload differs from what was sent", v.Alg, v.Case)
		}
	}
}

// TestHostileRequests sends what no well-meaning sender would. Each is answered as the contract
// says, and none leaves a FlowRun behind but those that are accepted.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	suspended := makeTrigger(namespace)
	suspended.Name = "suspended"
	suspended.Spec.State = sluicev1alpha1.TriggerSuspended
	env.Create(t, suspended)
	o := startOperator(t, namespace)

	const limit = 1 << 20
	path := "/hooks/" + namespace + "/" + triggerName
	body := `{"order": 1001}`
	mac := sign(keyText, body)
	full := strings.Repeat("a", limit)
	length := contentLength(len(body))
	signed := []string{length, "X-HMAC-HASH: " + mac}
	chunked := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }

	cases := map[string]struct {
		reason  string
		method  string // POST if empty
		target  string // the trigger's path if empty
		headers []string
		body    string // the signed body if empty and noBody is not set
		noBody  bool
		status  int
	}{
		"Genuine":           {reason: "the request that the others are made from", headers: signed, status: 202},
		"UpperCase":         {reason: "hexadecimal digits of either case are good", headers: []string{length, "X-HMAC-HASH: " + strings.ToUpper(mac)}, status: 202},
		"Blanks":            {reason: "blanks around a header value are no part of it", headers: []string{length, "X-HMAC-HASH:  \t" + mac + " \t "}, status: 202},
		"HeaderNameCase":    {reason: "header names have no case", headers: []string{length, "x-hmac-hash: " + mac}, status: 202},
		"QueryString":       {reason: "the query string is ignored", target: path + "?x=%2e%2e/y&a=b", headers: signed, status: 202},
		"EmptyQuery":        {reason: "an empty one too", target: path + "?", headers: signed, status: 202},
		"AbsoluteForm":      {reason: "a proxy may send the whole URL", target: "http://hooks.example.com" + path, headers: signed, status: 202},
		"Chunked":           {reason: "a body may come in chunks", headers: []string{"Transfer-Encoding: chunked", "X-HMAC-HASH: " + mac}, body: chunked(body), status: 202},
		"EmptyBody":         {reason: "an empty body can be signed", headers: []string{contentLength(0), "X-HMAC-HASH: " + sign(keyText, "")}, noBody: true, status: 202},
		"LimitDeclared":     {reason: "a body of the limit is good", headers: []string{contentLength(limit), "X-HMAC-HASH: " + sign(keyText, full)}, body: full, status: 202},
		"LimitChunked":      {reason: "in chunks too", headers: []string{"Transfer-Encoding: chunked", "X-HMAC-HASH: " + sign(keyText, full)}, body: chunked(full), status: 202},
		"NoHeader":          {reason: "no signature", headers: []string{length}, status: 401},
		"EmptyHeader":       {reason: "nothing in the header", headers: []string{length, "X-HMAC-HASH:"}, status: 401},
		"BlankHeader":       {reason: "nothing but blanks", headers: []string{length, "X-HMAC-HASH:  \t "}, status: 401},
		"TwoHeaders":        {reason: "which of them would be meant?", headers: []string{length, "X-HMAC-HASH: " + mac, "X-HMAC-HASH: " + mac}, status: 401},
		"TwoInOne":          {reason: "nor is a list a signature", headers: []string{length, "X-HMAC-HASH: " + mac + ", " + mac}, status: 401},
		"TooShort":          {reason: "a prefix of the signature", headers: []string{length, "X-HMAC-HASH: " + mac[:62]}, status: 401},
		"TooLong":           {reason: "an extension of the signature", headers: []string{length, "X-HMAC-HASH: " + mac + "00"}, status: 401},
		"NotHex":            {reason: "of the right length, but not hexadecimal", headers: []string{length, "X-HMAC-HASH: " + strings.Repeat("g", 64)}, status: 401},
		"Prefixed":          {reason: "this scheme has no prefix", headers: []string{length, "X-HMAC-HASH: sha256=" + mac}, status: 401},
		"InnerBlank":        {reason: "a blank inside is no digit", headers: []string{length, "X-HMAC-HASH: " + mac[:31] + " " + mac[32:]}, status: 401},
		"OtherAlgorithm":    {reason: "the sender does not choose the algorithm", headers: []string{length, "X-HMAC-HASH: " + signWith(signature.RIPEMD128, keyText, body)}, status: 401},
		"OtherKey":          {reason: "another key", headers: []string{length, "X-HMAC-HASH: " + sign("another-key-of-more-than-16-bytes", body)}, status: 401},
		"EmptyKey":          {reason: "the empty key is nobody's", headers: []string{length, "X-HMAC-HASH: " + forge("", body)}, status: 401},
		"OtherBody":         {reason: "one character changed", headers: signed, body: `{"order": 1002}`, status: 401},
		"DeclaredSmaller":   {reason: "what counts is what was declared; the rest is not of this request", headers: []string{contentLength(len(body) - 1), "X-HMAC-HASH: " + mac}, status: 401},
		"HeaderOf64KiB":     {reason: "more headers than are read", headers: []string{length, "X-HMAC-HASH: " + strings.Repeat("a", 64<<10)}, status: 431},
		"OtherHeaderTooBig": {reason: "whichever header it is", headers: []string{length, "X-HMAC-HASH: " + mac, "X-Filler: " + strings.Repeat("a", 64<<10)}, status: 431},
		"OverDeclared":      {reason: "one byte more than the limit, declared", headers: []string{contentLength(limit + 1), "X-HMAC-HASH: " + sign(keyText, full+"a")}, body: full + "a", status: 413},
		"OverChunked":       {reason: "one byte more than the limit, not declared", headers: []string{"Transfer-Encoding: chunked", "X-HMAC-HASH: " + sign(keyText, full+"a")}, body: chunked(full + "a"), status: 413},
		"HugeDeclared":      {reason: "no memory is set aside for what is declared", headers: []string{"Content-Length: 9223372036854775807", "X-HMAC-HASH: " + mac}, status: 413},
		"NegativeLength":    {reason: "net/http refuses it", headers: []string{"Content-Length: -1", "X-HMAC-HASH: " + mac}, status: 400},
		"TwoLengths":        {reason: "request smuggling", headers: []string{length, "Content-Length: 3", "X-HMAC-HASH: " + mac}, status: 400},
		"LengthAndChunked":  {reason: "request smuggling: chunks win, and what they hold is what was signed or not", headers: []string{"Content-Length: 3", "Transfer-Encoding: chunked", "X-HMAC-HASH: " + mac}, body: chunked(body), status: 202},
		"BrokenChunks":      {reason: "a chunk length that is no number", headers: []string{"Transfer-Encoding: chunked", "X-HMAC-HASH: " + mac}, body: "xyz\r\n" + body + "\r\n0\r\n\r\n", status: 400},
		"GET":               {reason: "webhooks are sent with POST", method: "GET", headers: []string{"X-HMAC-HASH: " + sign(keyText, "")}, noBody: true, status: 405},
		"PUT":               {reason: "webhooks are sent with POST", method: "PUT", headers: signed, status: 405},
		"HEAD":              {reason: "webhooks are sent with POST", method: "HEAD", noBody: true, status: 405},
		"OPTIONS":           {reason: "webhooks are sent with POST", method: "OPTIONS", noBody: true, status: 405},
		"LowerCaseMethod":   {reason: "methods have case", method: "post", headers: signed, status: 405},
		"OptionsStar":       {reason: "not a path", method: "OPTIONS", target: "*", noBody: true, status: 404},
		"EncodedLetter":     {reason: "a path is what it is, byte for byte", target: "/hooks/" + namespace + "/%6frders", headers: signed, status: 404},
		"EncodedSlash":      {reason: "nor does an encoded slash separate", target: "/hooks/" + namespace + "%2F" + triggerName, headers: signed, status: 404},
		"DoubleSlash":       {reason: "there is no cleaning and no redirect", target: "/hooks//" + namespace + "/" + triggerName, headers: signed, status: 404},
		"LeadingSlashes":    {reason: "there is no cleaning and no redirect", target: "/" + path, headers: signed, status: 404},
		"TrailingSlash":     {reason: "there is no cleaning and no redirect", target: path + "/", headers: signed, status: 404},
		"DotDot":            {reason: "there is no cleaning and no redirect", target: "/hooks/x/../" + namespace + "/" + triggerName, headers: signed, status: 404},
		"Dot":               {reason: "there is no cleaning and no redirect", target: "/hooks/./" + namespace + "/" + triggerName, headers: signed, status: 404},
		"EncodedDotDot":     {reason: "encoded or not", target: "/hooks/x/%2e%2e/" + namespace + "/" + triggerName, headers: signed, status: 404},
		"PathCase":          {reason: "paths have case", target: "/hooks/" + namespace + "/Orders", headers: signed, status: 404},
		"Semicolon":         {reason: "path parameters are part of the path", target: path + ";a=b", headers: signed, status: 404},
		"UnknownNamespace":  {reason: "no such namespace", target: "/hooks/no-such/" + triggerName, headers: signed, status: 404},
		"UnknownTrigger":    {reason: "no such trigger", target: "/hooks/" + namespace + "/no-such", headers: signed, status: 404},
		"Root":              {reason: "nothing is served there", target: "/", headers: signed, status: 404},
		"Prefix":            {reason: "nothing is served there", target: "/hooks/", headers: signed, status: 404},
		"ProbePath":         {reason: "health is served elsewhere", method: "GET", target: "/healthz", noBody: true, status: 404},
		"MetricsPath":       {reason: "metrics are served elsewhere", method: "GET", target: "/metrics", noBody: true, status: 404},
		"UnknownAndHuge":    {reason: "an unknown path is answered before its body is looked at", target: "/hooks/no/such", headers: []string{contentLength(1 << 40)}, status: 404},
		"NULInPath":         {reason: "net/http refuses it", target: path + "\x00", headers: signed, status: 400},
		"BadEncoding":       {reason: "net/http refuses it", target: path + "%zz", headers: signed, status: 400},
		"Suspended":         {reason: "a suspended trigger answers so even to a forged request", target: "/hooks/" + namespace + "/suspended", headers: []string{length}, status: 503},
		"SuspendedGenuine":  {reason: "and to a genuine one", target: "/hooks/" + namespace + "/suspended", headers: signed, status: 503},
		"SuspendedGET":      {reason: "the method is looked at first", method: "GET", target: "/hooks/" + namespace + "/suspended", noBody: true, status: 405},
		"NoHost":            {reason: "net/http refuses two", headers: append([]string{"Host: other"}, signed...), status: 400},
		"HTTP10":            {reason: "an old sender is served", target: path, headers: signed, status: 202},
	}
	accepted := 0
	for name, tc := range cases {
		method, target, sent := tc.method, tc.target, tc.body
		if method == "" {
			method = http.MethodPost
		}
		if target == "" {
			target = path
		}
		if sent == "" && !tc.noBody {
			sent = body
		}
		raw := rawRequest(method, target, tc.headers, sent)
		if name == "HTTP10" {
			raw = strings.Replace(raw, "HTTP/1.1", "HTTP/1.0", 1)
		}
		connection := dial(t, o)
		go func() { _, _ = io.WriteString(connection, raw) }()
		r := readReply(t, connection, method)
		if r.status != tc.status {
			t.Errorf("%s (%s): answer is %d, want %d: %s", name, tc.reason, r.status, tc.status, r.body)
			continue
		}
		checkAnswer(t, name, method, r, limit)
		if r.status == http.StatusAccepted {
			accepted++
			acceptedRun(t, namespace, r)
		}
	}
	if n := countRuns(t, namespace); n != accepted {
		t.Errorf("there are %d runs, want %d", n, accepted)
	}
}

// checkAnswer checks what must hold for any answer of a status.
func checkAnswer(t *testing.T, name, method string, r reply, limit int64) {
	t.Helper()
	if r.status == http.StatusBadRequest && r.header.Get("Content-Type") != "application/problem+json" || r.status == http.StatusRequestHeaderFieldsTooLarge {
		return // net/http's own answers
	}
	want := "application/problem+json"
	if r.status == http.StatusAccepted {
		want = "application/json"
	}
	if got := r.header.Get("Content-Type"); got != want {
		t.Errorf("%s: content type is %q, want %q", name, got, want)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" {
		t.Errorf("%s: headers are %v", name, r.header)
	}
	for header, statuses := range map[string][]int{"Allow": {405}, "Www-Authenticate": {401}, "Retry-After": {429, 503}} {
		is := r.header.Get(header) != ""
		if should := slices.Contains(statuses, r.status); is != should {
			t.Errorf("%s: header %s is %q", name, header, r.header.Get(header))
		}
	}
	if method == http.MethodHead {
		return
	}
	var problem struct {
		Title, Detail string
		Status        int
		Limit         int64
	}
	if err := json.Unmarshal([]byte(r.body), &problem); err != nil {
		t.Errorf("%s: the body is no JSON: %v", name, err)
	}
	if r.status != http.StatusAccepted && (problem.Status != r.status || problem.Title == "" || problem.Detail == "") {
		t.Errorf("%s: the problem is %+v", name, problem)
	}
	if r.status == http.StatusRequestEntityTooLarge && problem.Limit != limit {
		t.Errorf("%s: the limit is said to be %d, want %d", name, problem.Limit, limit)
	}
}

// TestSlowSenders shows that headers and bodies must come in time.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.Limits.ReadHeaderTimeout = 200 * time.Millisecond
			options.Limits.ReadTimeout = 400 * time.Millisecond
		}
	})
	path := "/hooks/" + namespace + "/" + triggerName

	t.Run("Body", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, o)
		if _, err := io.WriteString(connection, rawRequest("POST", path, []string{contentLength(100), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{")); err != nil {
			t.Fatal(err)
		}
		r := readReply(t, connection, http.MethodPost)
		if r.status != http.StatusRequestTimeout {
			t.Errorf("answer is %d, want 408", r.status)
		}
		checkAnswer(t, "slow body", http.MethodPost, r, 0)
		if _, err := connection.Read(make([]byte, 1)); err == nil {
			t.Errorf("the connection is still open, and the rest of the body would be taken for a request")
		}
	})
	t.Run("Header", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, o)
		if _, err := io.WriteString(connection, "POST "+path+" HTTP/1.1\r\nHost: x\r\nX-HMAC"); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(connection); err != nil || !strings.HasPrefix(string(rest), "HTTP/1.1 400") {
			t.Errorf("the connection ended with %q, %v; want net/http's 400 and its end", rest, err)
		}
	})
	t.Run("BrokenOff", func(t *testing.T) {
		t.Parallel()
		connection := dial(t, o)
		if _, err := io.WriteString(connection, rawRequest("POST", path, []string{contentLength(100), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{}")); err != nil {
			t.Fatal(err)
		}
		if err := connection.(*recordedConn).CloseWrite(); err != nil { //nolint:errcheck // dial returns it
			t.Fatal(err)
		}
		if r := readReply(t, connection, http.MethodPost); r.status != http.StatusBadRequest {
			t.Errorf("answer is %d, want 400", r.status)
		}
	})
}

// TestNothingSecretIsSaid looks for keys, signatures, payloads and header values in all that Sluice
// writes: its log at the most verbose level, its metrics, its answers and its Events.
func TestNothingSecretIsSaid(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	registry := prometheus.NewRegistry()
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.Registerer = registry }
	})
	const body, header = `{"card": "payload-of-the-request"}`, "value-of-a-header"
	mac := sign(keyText, body)
	path := "/hooks/" + namespace + "/" + triggerName
	var answers strings.Builder
	for _, signature := range []string{mac, strings.Repeat("ab", 32), "not-a-signature", mac[:60]} {
		r := exchange(t, o, rawRequest("POST", path, []string{contentLength(len(body)), "X-HMAC-HASH: " + signature, "X-Other: " + header, "Content-Type: " + header}, body))
		fmt.Fprint(&answers, r.header, r.body)
	}
	exchange(t, o, rawRequest("POST", path+"/"+header, []string{contentLength(len(body)), "X-HMAC-HASH: " + mac}, body))
	update(t, makeSecret(namespace, ""), func(s *corev1.Secret) {
		s.Data = map[string][]byte{secretKey: []byte("the-key-after-the-rotation-of-it\n")}
	})
	o.eventuallyAnswers(t, namespace, "the-key-after-the-rotation-of-it\n", http.StatusAccepted)
	remove(t, makeSecret(namespace, ""))
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonSecretNotFound)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var events string
	testenv.Eventually(t, patience, func() error {
		stdout, stderr, err := env.Kubectl(t, "", "get", "events", "-n", namespace, "-o", "yaml")
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		if events = stdout; !strings.Contains(events, sluicev1alpha1.ReasonSecretNotFound) {
			return fmt.Errorf("no Event tells of the Secret: %s", events)
		}
		return nil
	})
	status, _, err := env.Kubectl(t, "", "get", "wht", "-n", namespace, "-o", "yaml")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{
		"the log": o.logs.String(), "the metrics": fmt.Sprint(families), "the answers": answers.String(), "the Events": events, "the status": status,
	}
	for where, text := range said {
		if text == "" {
			t.Errorf("there is nothing in %s", where)
		}
		for what, secret := range map[string]string{
			"the key": keyText, "the new key": "the-key-after-the-rotation", "the signature": mac, "a wrong signature": "abababab",
			"the payload": "payload-of-the-request", "a header": header, "a malformed signature": "not-a-signature",
			"the key in base64":  base64.StdEncoding.EncodeToString([]byte(keyText))[:40],
			"the expected value": sign(keyText, ""),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", what, where)
			}
		}
	}

	t.Log("what is said instead")
	for _, want := range []string{`"cause":"signature mismatch"`, `"cause":"header length"`, `"why":"unauthorized"`} {
		if !strings.Contains(o.logs.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	if got := counter(families, "sluice_ingest_signature_failures_total", "signature mismatch"); got < 1 {
		t.Errorf("the metric counts %v mismatches", got)
	}
	if got := counter(families, "sluice_ingest_requests_total", "accepted"); got < 2 {
		t.Errorf("the metric counts %v accepted requests", got)
	}
	if got := counter(families, "sluice_ingest_routes", "unavailable"); got != 1 {
		t.Errorf("the metric counts %v unavailable routes", got)
	}
}

// counter returns the value of the metric with that name and value of its only label.
func counter(families []*dto.MetricFamily, name, label string) float64 {
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// gauge returns the value of the metric with that name, which has no labels.
func gauge(families []*dto.MetricFamily, name string) float64 {
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}
