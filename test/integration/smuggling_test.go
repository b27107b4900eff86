/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// smuggled is what is sent over one connection, and what it may come to.
type smuggled struct {
	reason string
	raw    string
	// status are those of the answers, in order, without a proxy in between.
	status []int
	// may are the bodies that are signed and framed as requests of their own, so that each of them
	// may be stored, once.
	may []string
	// waits says that the request is not complete, so that nobody answers before the connection
	// ends.
	waits bool
}

// smuggler makes requests to a trigger.
type smuggler struct{ path, mark string }

// body returns one that no other case has.
func (s smuggler) body(name string) string { return fmt.Sprintf(`{"case":%q,"by":%q}`, name, s.mark) }

func (s smuggler) signed(body string) string { return "X-HMAC-HASH: " + sign(keyText, body) }

// post is a good request.
func (s smuggler) post(body string, headers ...string) string {
	return rawRequest("POST", s.path, append([]string{contentLength(len(body)), s.signed(body)}, headers...), body)
}

// chunks encodes the body in chunks, with this line for the size of the first.
func chunks(size, body string) string { return size + "\r\n" + body + "\r\n0\r\n\r\n" }

func size(body string) string { return fmt.Sprintf("%x", len(body)) }

// smuggling returns the corpus: requests whose bounds two readers could see at two places.
func (s smuggler) smuggling() map[string]smuggled {
	const chunkedHeader = "Transfer-Encoding: chunked"
	all := map[string]smuggled{}
	// one adds a request whose body is signed.
	one := func(name, reason string, status []int, headers []string, body func(signed string) string) {
		b := s.body(name)
		all[name] = smuggled{reason: reason, status: status, may: []string{b}, raw: rawRequest("POST", s.path, append(slices.Clone(headers), s.signed(b)), body(b))}
	}
	itself := func(b string) string { return b }
	length := contentLength(len(s.body("length-00"))) // all names of "length-…" are as long

	// Content-Length
	for i, tc := range []struct {
		reason, value string
		status        []int
	}{
		{"a sign", "+%d", []int{400}}, {"a sign", "-%d", []int{400}}, {"a list", "%[1]d, %[1]d", []int{400}}, {"a list", "%d,", []int{400}},
		{"zeros before it are allowed (RFC 9110, section 8.6)", "00%d", []int{202}}, {"hexadecimal", "0x%x", []int{400}}, {"a fraction", "%d.0", []int{400}},
		{"an exponent", "%de0", []int{400}}, {"a blank inside", "%d 0", []int{400}}, {"more than 64 bits", "1844674407370955161%d", []int{400}},
		{"digits that are not ASCII", "%d\u0660", []int{400}}, {"nothing", "%.0d", []int{400}}, {"NUL", "%d\x00", []int{400}}, {"white space around", " \t%d \t", []int{202}},
	} {
		name := fmt.Sprintf("length-%02d", i)
		value := fmt.Sprintf(tc.value, len(s.body(name)))
		if strings.Contains(tc.value, "%.0d") {
			value = ""
		}
		one(name, "Content-Length: "+tc.reason, tc.status, []string{"Content-Length: " + value}, itself)
	}
	one("length-50", "the same length twice is one (RFC 9110, section 8.6)", []int{202}, []string{length, length}, itself)
	one("length-51", "two lengths", []int{400}, []string{length, "Content-Length: 3"}, itself)
	one("length-52", "two lengths, the other way round", []int{400}, []string{"Content-Length: 3", length}, itself)
	one("length-53", "a blank before the colon", []int{400}, []string{"Content-Length : 3", length}, itself)
	one("length-54", "a folded line", []int{202}, []string{strings.Replace(length, ": ", ":\r\n ", 1)}, itself)
	one("length-55", "an underscore makes another header", []int{401, 400}, []string{"Content_Length: 3", "Content-Length: 0"}, itself)
	one("length-56", "a byte that no header's name has", []int{400}, []string{"\x0bContent-Length: 3", length}, itself)

	// Transfer-Encoding
	for i, tc := range []struct {
		reason, header string
		status         []int
	}{
		{"the usual", chunkedHeader, []int{202}}, {"it has no case", "transfer-encoding: CHUNKED", []int{202}}, {"white space around", "Transfer-Encoding: \t chunked \t ", []int{202}},
		{"another coding", "Transfer-Encoding: xchunked", []int{501}}, {"two codings", "Transfer-Encoding: gzip, chunked", []int{501}},
		{"chunked is not last", "Transfer-Encoding: chunked, identity", []int{501}}, {"twice", "Transfer-Encoding: chunked, chunked", []int{501}},
		{"twice", chunkedHeader + "\r\n" + chunkedHeader, []int{501}}, {"identity is no more", "Transfer-Encoding: identity\r\n" + chunkedHeader, []int{501}},
		{"a vertical tab", "Transfer-Encoding: \x0bchunked", []int{400}}, {"NUL", "Transfer-Encoding: chunked\x00", []int{400}}, {"quoted", `Transfer-Encoding: "chunked"`, []int{501}},
		{"a parameter", "Transfer-Encoding: chunked;q=1", []int{501}}, {"a blank before the colon", "Transfer-Encoding : chunked", []int{400}},
		{"a folded line", "Transfer-Encoding:\r\n chunked", []int{202}}, {"a bare CR", "X-A: b\rTransfer-Encoding: chunked", []int{400}}, {"a bare LF", "X-A: b\nTransfer-Encoding: chunked", []int{202}},
	} {
		one(fmt.Sprintf("coding-%02d", i), "Transfer-Encoding: "+tc.reason, tc.status, strings.Split(tc.header, "\r\n"), func(b string) string { return chunks(size(b), b) })
	}

	// chunks
	for i, tc := range []struct {
		reason string
		status []int
		make   func(b string) string
	}{
		{"CVE-2025-22871: a bare LF ends the size", []int{400}, func(b string) string { return size(b) + "\n" + b + "\r\n0\r\n\r\n" }},
		{"a bare LF ends an extension", []int{400}, func(b string) string { return size(b) + ";x=y\n" + b + "\r\n0\r\n\r\n" }},
		{"a bare LF ends the last size", []int{400}, func(b string) string { return size(b) + "\r\n" + b + "\r\n0\n\r\n" }},
		{"a bare CR in an extension", []int{400}, func(b string) string { return chunks(size(b)+";x=\ry", b) }},
		{"an extension", []int{202}, func(b string) string { return chunks(size(b)+";name=value", b) }},
		{"an extension that is quoted", []int{202}, func(b string) string { return chunks(size(b)+`;name="a;b"`, b) }},
		{"an extension of 3 kB", []int{202}, func(b string) string { return chunks(size(b)+";"+strings.Repeat("x", 3000), b) }},
		{"an extension of 64 kB", []int{400}, func(b string) string { return chunks(size(b)+";"+strings.Repeat("x", 64<<10), b) }},
		{"a thousand extensions", []int{400}, func(b string) string {
			return strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\nx\r\n", 1000) + chunks(size(b), b)
		}},
		{"0x", []int{400}, func(b string) string { return chunks("0x"+size(b), b) }},
		{"a sign", []int{400}, func(b string) string { return chunks("+"+size(b), b) }},
		{"a sign", []int{400}, func(b string) string { return chunks("-"+size(b), b) }},
		{"a blank before it", []int{400}, func(b string) string { return chunks(" "+size(b), b) }},
		{"a blank behind it", []int{202}, func(b string) string { return chunks(size(b)+" ", b) }},
		{"zeros before it", []int{202}, func(b string) string { return chunks("000"+size(b), b) }},
		{"many zeros before it", []int{400}, func(b string) string { return chunks(strings.Repeat("0", 32)+size(b), b) }},
		{"more than 64 bits", []int{400}, func(b string) string { return chunks("1"+strings.Repeat("0", 16)+size(b), b) }},
		{"nothing", []int{400}, func(b string) string { return chunks("", b) }},
		{"no line break behind the chunk", []int{400}, func(b string) string { return size(b) + "\r\n" + b + "0\r\n\r\n" }},
		{"another line break behind the chunk", []int{400}, func(b string) string { return size(b) + "\r\n" + b + "\n0\r\n\r\n" }},
		{"two bytes more than the size says", []int{400}, func(b string) string { return size(b) + "\r\n" + b + "xx0\r\n\r\n" }},
		{"more behind the last chunk is another request", []int{202, 400}, func(b string) string { return chunks(size(b), b) + "garbage\r\n\r\n" }},
	} {
		one(fmt.Sprintf("chunk-%02d", i), "chunks: "+tc.reason, tc.status, []string{chunkedHeader}, tc.make)
	}
	forged := s.body("trailer")
	all["trailer"] = smuggled{reason: "a signature in the trailer is none", status: []int{401}, raw: rawRequest("POST", s.path, []string{chunkedHeader, "Trailer: X-HMAC-HASH"},
		size(forged)+"\r\n"+forged+"\r\n0\r\n"+s.signed(forged)+"\r\n\r\n")}

	// both
	one("both-1", "chunks win over a length", []int{202}, []string{"Content-Length: 3", chunkedHeader}, func(b string) string { return chunks(size(b), b) })
	one("both-2", "and so in the other order", []int{202}, []string{chunkedHeader, "Content-Length: 3"}, func(b string) string { return chunks(size(b), b) })
	inner := s.post(s.body("inner"))
	all["clte"] = smuggled{reason: "CL.TE: the last chunk is first, and what follows is a request; it has to stand on its own", status: []int{401, 401}, raw: rawRequest("POST", s.path,
		[]string{contentLength(len("0\r\n\r\n") + 10), chunkedHeader, s.signed(forged)}, "0\r\n\r\n"+rawRequest("POST", s.path, []string{contentLength(2)}, "{}"))}
	all["tecl"] = smuggled{reason: "TE.CL: a request inside a chunk is content", status: []int{401}, raw: rawRequest("POST", s.path,
		[]string{"Content-Length: 4", chunkedHeader, s.signed(forged)}, chunks(size(inner), inner))}

	// a request in what is the body of another that is refused
	for name, outer := range map[string]struct {
		method, path string
		headers      []string
		status       []int
	}{
		"unknown":  {"POST", "/hooks/no/such", nil, []int{404}},
		"method":   {"PUT", s.path, nil, []int{405}},
		"get":      {"GET", s.path, nil, []int{405}},
		"unsigned": {"POST", s.path, nil, []int{401}},
		"mismatch": {"POST", s.path, []string{s.signed("another")}, []int{401}},
		"continue": {"POST", s.path, []string{"Expect: 100-continue"}, []int{401}},
		"expects":  {"POST", s.path, []string{"Expect: a miracle"}, []int{417}},
		"upgrade":  {"POST", s.path, []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, []int{401}},
	} {
		inner := s.post(s.body("inside-" + name))
		all["inside-"+name] = smuggled{reason: "what is inside a body is no request", status: outer.status, raw: rawRequest(outer.method, outer.path, append(slices.Clone(outer.headers), contentLength(len(inner))), inner)}
		all["inside-chunk-"+name] = smuggled{reason: "nor what is inside a chunk", status: outer.status, raw: rawRequest(outer.method, outer.path, append(slices.Clone(outer.headers), chunkedHeader), chunks(size(inner), inner))}
	}
	long := s.post(s.body("inside-long"))
	all["inside-long"] = smuggled{reason: "nor what is far behind in a body that nobody reads", status: []int{413}, raw: rawRequest("POST", s.path, []string{contentLength(2<<20 + len(long)), s.signed("x")}, strings.Repeat(" ", 2<<20)+long)}

	// several requests on one connection
	first, second := s.body("pipe-1"), s.body("pipe-2")
	all["pipe"] = smuggled{reason: "each is judged by itself", status: []int{202, 202}, may: []string{first, second}, raw: s.post(first) + s.post(second)}
	for name, other := range map[string]struct {
		raw    string
		status int
	}{
		"unsigned": {rawRequest("POST", s.path, []string{contentLength(2)}, "{}"), 401},
		"same":     {rawRequest("POST", s.path, []string{contentLength(2), s.signed("{ }")}, "{}"), 401},
		"empty":    {rawRequest("POST", s.path, []string{contentLength(0)}, ""), 401},
		"nobody":   {rawRequest("POST", s.path, nil, ""), 401},
		"unknown":  {rawRequest("POST", s.path+"x", []string{contentLength(2)}, "{}"), 404},
	} {
		good := s.body("pipe-" + name)
		all["pipe-"+name] = smuggled{reason: "a good request vouches for no other", status: []int{202, other.status}, may: []string{good}, raw: s.post(good) + other.raw}
		good = s.body("pipe-after-" + name)
		all["pipe-after-"+name] = smuggled{reason: "nor does a bad one spoil the next", status: []int{other.status, 202}, may: []string{good}, raw: other.raw + s.post(good)}
	}
	kept := s.body("http10")
	all["http10"] = smuggled{reason: "HTTP/1.0 with keep-alive", status: []int{202, 401}, may: []string{kept}, raw: strings.ReplaceAll(s.post(kept, "Connection: keep-alive")+
		rawRequest("POST", s.path, []string{contentLength(2)}, "{}"), "HTTP/1.1", "HTTP/1.0")}
	kept = s.body("http10-chunked")
	all["http10-chunked"] = smuggled{reason: "HTTP/1.0 has no chunks: the coding is left out of account, and so there is no body", status: []int{401}, raw: strings.Replace(rawRequest("POST", s.path,
		[]string{chunkedHeader, s.signed(kept)}, chunks(size(kept), kept)), "HTTP/1.1", "HTTP/1.0", 1)}
	short := s.body("short")
	all["short"] = smuggled{reason: "a body that is cut off is not a shorter one", status: []int{400}, waits: true, raw: rawRequest("POST", s.path, []string{contentLength(len(short) + 1), s.signed(short)}, short)}
	all["short-chunk"] = smuggled{reason: "nor one without its last chunk", status: []int{400}, waits: true, raw: rawRequest("POST", s.path, []string{chunkedHeader, s.signed(short)}, size(short)+"\r\n"+short+"\r\n")}

	// the request line
	line := func(name, reason string, status []int, change func(raw string) string) {
		b := s.body(name)
		all[name] = smuggled{reason: reason, status: status, may: []string{b}, raw: change(s.post(b))}
	}
	replace := func(from, to string) func(string) string {
		return func(raw string) string { return strings.Replace(raw, from, to, 1) }
	}
	line("line-absolute", "a URL instead of a path, of any host: Sluice does not go by hosts", []int{202}, replace("POST /", "POST http://other.example.com/"))
	line("line-09", "HTTP/0.9 has no headers", []int{400}, replace(" HTTP/1.1", ""))
	line("line-12", "no version that there is", []int{202}, replace("HTTP/1.1", "HTTP/1.2"))
	line("line-20", "HTTP/2 is spoken otherwise", []int{505}, replace("HTTP/1.1", "HTTP/2.0"))
	line("line-long", "a version of two digits", []int{400}, replace("HTTP/1.1", "HTTP/1.10"))
	line("line-case", "the name has case", []int{400}, replace("HTTP/1.1", "http/1.1"))
	line("line-blanks", "two blanks", []int{400}, replace("POST ", "POST  "))
	line("line-tab", "a tab", []int{400}, replace("POST ", "POST\t"))
	line("line-blank", "a blank in the path", []int{400}, replace("/hooks/", "/hooks /"))
	line("line-empty", "empty lines before it are left out of account", []int{400}, func(raw string) string { return "\r\n\r\n" + raw })
	line("line-query", "a query, with what looks like another line", []int{202}, replace(" HTTP/1.1", "?a=b%0d%0aContent-Length:%200 HTTP/1.1"))
	line("line-fragment", "a fragment is part of the path", []int{404}, replace(" HTTP/1.1", "#fragment HTTP/1.1"))
	line("line-preface", "the preface of HTTP/2, which is not spoken without TLS", []int{404}, func(raw string) string { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + raw })
	line("host-none", "HTTP/1.1 needs a host", []int{400}, replace("Host: hooks.example.com\r\n", ""))
	line("host-two", "and one of them", []int{400}, replace("Host: ", "Host: a\r\nHost: "))

	// headers
	header := func(name, reason string, status []int, header func(signature string) string) {
		b := s.body(name)
		all[name] = smuggled{reason: reason, status: status, may: []string{b}, raw: strings.Replace(s.post(b), s.signed(b), header(s.signed(b)), 1)}
	}
	header("header-underscore", "proxies make one name of two", []int{401}, func(h string) string { return strings.ReplaceAll(h, "X-HMAC-HASH", "X_HMAC_HASH") })
	header("header-both", "which is it?", []int{202}, func(h string) string { return h + "\r\nX_HMAC_HASH: " + strings.Repeat("ab", 32) })
	header("header-twice", "which is it?", []int{401}, func(h string) string { return h + "\r\n" + h })
	header("header-list", "proxies make one line of two", []int{401}, func(h string) string { return h + ", " + strings.Repeat("ab", 32) })
	header("header-blank", "a blank before the colon", []int{400}, func(h string) string { return strings.Replace(h, ":", " :", 1) })
	header("header-folded", "a folded line", []int{202}, func(h string) string { return strings.Replace(h, ": ", ":\r\n\t", 1) })
	header("header-folded-inside", "a folded line", []int{401}, func(h string) string { return h[:40] + "\r\n " + h[40:] })
	header("header-cr", "a bare CR", []int{400}, func(h string) string { return "X-A: b\r" + h })
	header("header-lf", "a bare LF is taken for an end of line, as RFC 9112 (section 2.2) allows", []int{202}, func(h string) string { return "X-A: b\n" + h })
	header("header-nul", "NUL", []int{400}, func(h string) string { return h + "\x00" })
	header("header-colon", "no colon", []int{400}, func(h string) string { return "no colon\r\n" + h })
	header("header-unnamed", "no name", []int{400}, func(h string) string { return ": nothing\r\n" + h })
	header("header-hop", "who calls the signature a matter of the connection has a proxy remove it", []int{202}, func(h string) string { return h + "\r\nConnection: X-HMAC-HASH" })
	header("header-hop-length", "and so with the length", []int{202}, func(h string) string { return h + "\r\nConnection: Content-Length" })
	return all
}

// exchangeAll sends raw bytes over a connection of their own and returns the statuses of all that
// comes back.
func exchangeAll(tb testing.TB, address string, c smuggled, proxied bool) (statuses []int) {
	tb.Helper()
	connection, err := new(net.Dialer).DialContext(tb.Context(), "tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	defer connection.Close() //nolint:errcheck // all is read
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	tcp, _ := connection.(*net.TCPConn)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(connection, c.raw) // the server may close it before
		if c.waits || !proxied {
			_ = tcp.CloseWrite()
		}
	}()
	for reader := bufio.NewReader(connection); ; {
		response, err := http.ReadResponse(reader, nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			tb.Errorf("there is no end to the connection after %v", statuses)
		}
		if err != nil {
			return statuses
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return statuses
		}
		response.Body.Close()
		if response.StatusCode == http.StatusContinue {
			continue
		}
		statuses = append(statuses, response.StatusCode)
		if proxied { // a proxy takes a sender that closes its side for one that is gone
			<-sent
			_ = tcp.CloseWrite()
		}
	}
}

// runSmuggling sends the corpus and compares what is stored with what may be.
func runSmuggling(t *testing.T, namespace, address, by string) {
	t.Helper()
	s := smuggler{path: "/hooks/" + namespace + "/" + triggerName, mark: by}
	proxied := by != "no proxy"
	may, accepted := map[string]string{}, 0
	corpus := s.smuggling()
	for _, name := range slices.Sorted(maps.Keys(corpus)) {
		c := corpus[name]
		statuses := exchangeAll(t, address, c, proxied)
		if !proxied {
			if diff := cmp.Diff(c.status, statuses); diff != "" {
				t.Errorf("%s (%s): answers (-want +got):\n%s", name, c.reason, diff)
			}
		}
		for _, status := range statuses {
			if status == http.StatusAccepted {
				accepted++
			}
		}
		for _, body := range c.may {
			may[body] = name
		}
		// Somebody else's request after that, which may have to use the same connection to the
		// server.
		after := s.body("after-" + name)
		may[after] = "after " + name
		accepted++
		victim := rawRequest("POST", s.path, []string{contentLength(len(after)), s.signed(after), "Connection: close"}, after)
		if got := exchangeAll(t, address, smuggled{raw: victim}, proxied); !slices.Equal(got, []int{http.StatusAccepted}) {
			t.Errorf("%s (%s): the next request, of somebody else, is answered %v, want 202", name, c.reason, got)
		}
	}
	if len(corpus) < 100 {
		t.Errorf("the corpus has only %d cases", len(corpus))
	}
	stored := map[string]int{}
	var runs sluicev1alpha1.FlowRunList
	if err := env.Client.List(t.Context(), &runs, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	count := 0
	for i := range runs.Items {
		body := payload(&runs.Items[i])
		if others := !strings.Contains(body, fmt.Sprintf(`"by":%q`, by)); others && strings.Contains(body, `"by":`) {
			continue
		}
		count++
		if stored[body]++; stored[body] > 1 {
			t.Errorf("%q is stored %d times", body, stored[body])
		}
		if may[body] == "" {
			t.Errorf("%q is stored, which nobody has sent as a request of its own", body)
		}
	}
	// A proxy may have lost an answer, when the sender closed its side.
	if count < accepted || count > accepted && !proxied {
		t.Errorf("%d requests were accepted, and %d FlowRuns are there", accepted, count)
	}
}

// TestRequestSmuggling sends requests over raw connections whose bounds two readers could see at
// two places, straight and behind proxies. There is at most one FlowRun for each signed body, none
// for anything else, and nobody's request is taken for another's.
//
// CVE-2025-22871: Go took a bare LF for the end of a chunk's size, which proxies did not.
func TestRequestSmuggling(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	server := strings.TrimPrefix(o.url, "http://")
	t.Run("Straight", func(t *testing.T) {
		t.Parallel()
		runSmuggling(t, namespace, server, "no proxy")
	})
	t.Run("HAProxy", func(t *testing.T) {
		t.Parallel()
		address := testenv.FreeAddress(t)
		config := fmt.Sprintf(`
global
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 2s
  timeout server 20s
  timeout http-request 2s
  timeout http-keep-alive 2s
  http-reuse always
listen hooks
  bind %s
  server sluice %s
`, address, server)
		startProxy(t, address, "haproxy", config, "-db", "-f")
		runSmuggling(t, namespace, address, "haproxy")
	})
	t.Run("nginx", func(t *testing.T) {
		t.Parallel()
		address, dir := testenv.FreeAddress(t), t.TempDir()
		config := fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/log;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  client_max_body_size 0;
  client_header_timeout 2s;
  client_body_timeout 2s;
  keepalive_timeout 2s;
  upstream sluice { server %[3]s; keepalive 4; }
  server {
    listen %[2]s;
    location / {
      proxy_pass http://sluice;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
    }
  }
}
`, dir, address, server)
		startProxy(t, address, "nginx", config, "-p", dir, "-c")
		runSmuggling(t, namespace, address, "nginx")
	})
}

// startProxy runs a proxy with this configuration until the test ends. The last argument is
// followed by the file's name.
func startProxy(t *testing.T, address, program, config string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, program)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, append(args, file)...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s says: %s", program, output.String())
		}
	})
	testenv.Eventually(t, patience, func() error {
		connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			err = connection.Close()
		}
		return err
	})
}
