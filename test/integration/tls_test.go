/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// issued is a certificate for the loopback address that signs itself, with its key.
type issued struct {
	cert, key string // in PEM
	leaf      *x509.Certificate
}

func issue(tb testing.TB) issued {
	tb.Helper()
	return issueFor(tb, time.Hour)
}

// issueFor makes a certificate that is valid for that long.
func issueFor(tb testing.TB, validity time.Duration) issued {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "hooks.example.com"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		tb.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return issued{
		cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey})),
		leaf: leaf,
	}
}

// trust returns the configuration of a client that trusts these certificates and no others.
func trust(certificates ...issued) *tls.Config {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c.leaf)
	}
	return &tls.Config{RootCAs: pool}
}

// write stores the certificate in a folder as a key pair.
func (i issued) write(tb testing.TB, folder string) app.KeyPair {
	tb.Helper()
	pair := app.KeyPair{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")}
	writeFile(tb, pair.CertFile, i.cert)
	writeFile(tb, pair.KeyFile, i.key)
	return pair
}

func writeFile(tb testing.TB, file, text string) {
	tb.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// startTLS starts an operator that serves webhooks with the key pair, and returns it with the
// address.
func startTLS(tb testing.TB, namespace string, pair app.KeyPair, change ...func(*app.Options)) (*operator, string) {
	tb.Helper()
	o := startOperator(tb, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) {
			options.TLS = pair
			for _, f := range change {
				f(options)
			}
		}
	})
	address := o.Server.Address().String()
	o.url = "https://" + address
	return o, address
}

// newHTTPClient returns a client of its own, with no connection to share.
func newHTTPClient(tb testing.TB, config *tls.Config, change func(*http.Protocols)) *http.Client {
	tb.Helper()
	transport := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	change(transport.Protocols)
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: wholeRun.sender(transport)}
}

// TestTLS sends genuine requests over what TLS allows and what it does not.
func TestTLS(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	certificate := issue(t)
	o, _ := startTLS(t, namespace, certificate.write(t, t.TempDir()))
	strict, _ := startTLS(t, namespace, certificate.write(t, t.TempDir()), func(options *app.Options) {
		options.TLSMinVersion, options.Role = app.TLS13, app.RoleIngest
	})

	http1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	http2Only := func(p *http.Protocols) { p.SetHTTP2(true) }
	version := func(v uint16) *tls.Config {
		config := trust(certificate)
		config.MinVersion, config.MaxVersion = v, v
		return config
	}
	cases := map[string]struct {
		reason    string
		server    *operator
		config    *tls.Config
		protocols func(*http.Protocols)
		protocol  string // of the answer
		refused   string // what the client learns if there is none, as a regular expression
	}{
		"HTTP1":        {reason: "the protocol of most senders", server: o, config: trust(certificate), protocols: http1, protocol: "HTTP/1.1"},
		"HTTP2":        {reason: "negotiated by TLS", server: o, config: trust(certificate), protocols: http2Only, protocol: "HTTP/2.0"},
		"TLS13":        {reason: "the newest version", server: o, config: version(tls.VersionTLS13), protocols: http1, protocol: "HTTP/1.1"},
		"TLS12":        {reason: "the oldest version that is allowed by default", server: o, config: version(tls.VersionTLS12), protocols: http2Only, protocol: "HTTP/2.0"},
		"TLS11":        {reason: "broken", server: o, config: version(tls.VersionTLS11), protocols: http1, refused: "protocol version"},
		"TLS10":        {reason: "broken", server: o, config: version(tls.VersionTLS10), protocols: http1, refused: "protocol version"},
		"StrictTLS13":  {reason: "the newest version is always good", server: strict, config: version(tls.VersionTLS13), protocols: http2Only, protocol: "HTTP/2.0"},
		"StrictTLS12":  {reason: "--tls-min-version=1.3", server: strict, config: version(tls.VersionTLS12), protocols: http1, refused: "protocol version"},
		"NotTrusted":   {reason: "the sender trusts another certificate", server: o, config: trust(issue(t)), protocols: http1, refused: "x509"},
		"NotEncrypted": {reason: "no plain HTTP on a port for TLS", server: o, protocols: func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, refused: "EOF|broken pipe|reset by peer|client conn"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := tc.server.url
			if tc.config == nil {
				url = strings.Replace(url, "https://", "http://", 1)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hooks/"+namespace+"/"+triggerName, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-HMAC-HASH", sign(keyText, "{}"))
			response, err := newHTTPClient(t, tc.config, tc.protocols).Do(request)
			if tc.refused != "" {
				if err == nil {
					response.Body.Close()
					t.Fatalf("%s: answered %s", tc.reason, response.Status)
				}
				if !regexp.MustCompile(tc.refused).MatchString(err.Error()) {
					t.Errorf("%s: the client learns %q, want something with %q", tc.reason, err, tc.refused)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			response.Body.Close()
			if got, want := response.Proto+" "+response.Status, tc.protocol+" 202 Accepted"; got != want {
				t.Errorf("%s: answered %q, want %q", tc.reason, got, want)
			}
		})
	}
}

// TestHTTP2Settings reads what the server tells its clients to keep to. What they send beyond it
// ends the connection.
func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	certificate := issue(t)
	_, address := startTLS(t, namespace, certificate.write(t, t.TempDir()), func(options *app.Options) { options.Role = app.RoleIngest })
	config := trust(certificate)
	config.NextProtos = []string{"h2"}
	connection, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close() //nolint:errcheck // nothing is lost
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(connection, connection)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint32{"window": 65535} // what the protocol begins with
	for len(got) < 6 || got["window"] == 65535 {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if err := f.ForeachSetting(func(s http2.Setting) error {
				got[s.ID.String()] = s.Val
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		case *http2.WindowUpdateFrame:
			got["window"] += f.Increment
		}
	}
	want := map[string]uint32{
		"MAX_CONCURRENT_STREAMS": 16,
		"MAX_FRAME_SIZE":         16 << 10,
		"INITIAL_WINDOW_SIZE":    128 << 10, // of a request's body
		"window":                 256 << 10, // of all requests' bodies together
		"HEADER_TABLE_SIZE":      4 << 10,
		"MAX_HEADER_LIST_SIZE":   8<<10 + 320, // what net/http adds is for the overhead of 10 headers
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the server allows (-want +got):\n%s", diff)
	}
}

// TestNoHTTP2InClearText asks a server without TLS for HTTP/2 in both ways that there are.
func TestNoHTTP2InClearText(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	o := startOperator(t, namespace)
	path := "/hooks/" + namespace + "/" + triggerName
	if r := exchange(t, o, http2.ClientPreface); r.status != http.StatusNotFound {
		t.Errorf("the preface of HTTP/2 is answered %d, want 404 by HTTP/1.1, as it names no path", r.status)
	}
	r := exchange(t, o, rawRequest(http.MethodPost, path, []string{
		contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}"), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
	}, "{}"))
	if r.status != http.StatusAccepted {
		t.Errorf("a request that offers an upgrade to HTTP/2 is answered %d, want 202 by HTTP/1.1", r.status)
	}
}

// TestCertificateIsFollowed replaces the files of the certificate in every way that is usual while
// connections are being made: each of them gets the old certificate or the new one.
func TestCertificateIsFollowed(t *testing.T) {
	namespace := newWorld(t)
	rename := func(tb testing.TB, folder string, next issued) {
		tb.Helper()
		staged := next.write(tb, tb.TempDir())
		for from, to := range map[string]string{staged.CertFile: "tls.crt", staged.KeyFile: "tls.key"} {
			if err := os.Rename(from, filepath.Join(folder, to)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		reason  string
		first   func(tb testing.TB, folder string, first issued)
		replace func(tb testing.TB, folder string, next issued)
	}{
		"WrittenOver": {
			reason:  "as an editor or a script does",
			first:   func(tb testing.TB, folder string, first issued) { tb.Helper(); first.write(tb, folder) },
			replace: func(tb testing.TB, folder string, next issued) { tb.Helper(); next.write(tb, folder) },
		},
		"Renamed": {
			reason:  "as a careful script does",
			first:   func(tb testing.TB, folder string, first issued) { tb.Helper(); first.write(tb, folder) },
			replace: rename,
		},
		"Volume": {reason: "as the kubelet does with the volume of a Secret", first: mountVolume, replace: updateVolume},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			first, next := issue(t), issue(t)
			tc.first(t, folder, first)
			_, address := startTLS(t, namespace, app.KeyPair{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key")},
				func(options *app.Options) { options.Role = app.RoleIngest })
			trusted := trust(first, next)
			if got, err := served(t.Context(), address, trusted); err != nil || got != first.leaf.SerialNumber.String() {
				t.Fatalf("%s: the first certificate is not served: %s, %v", tc.reason, got, err)
			}
			for _, now := range []issued{next, first, next} {
				tc.replace(t, folder, now)
				eventuallyServes(t, address, trusted, now)
			}
		})
	}
}

// eventuallyServes waits until a certificate is served. Every handshake until then must succeed.
func eventuallyServes(t *testing.T, address string, trusted *tls.Config, want issued) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		got, err := served(t.Context(), address, trusted)
		if err != nil {
			t.Fatalf("a handshake failed: %v", err)
		}
		if got != want.leaf.SerialNumber.String() {
			return errors.New("the certificate before is served")
		}
		return nil
	})
}

// served makes a handshake and returns the serial number of the certificate that the server shows.
func served(ctx context.Context, address string, config *tls.Config) (string, error) {
	connection, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()                          //nolint:errcheck // nothing is lost
	state := connection.(*tls.Conn).ConnectionState() //nolint:errcheck // dialled so
	return state.PeerCertificates[0].SerialNumber.String(), nil
}

// mountVolume lays the files out as the kubelet does: links to files in a folder that is a link
// itself.
func mountVolume(tb testing.TB, folder string, first issued) {
	tb.Helper()
	updateVolume(tb, folder, first)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)); err != nil {
			tb.Fatal(err)
		}
	}
}

// updateVolume replaces the folder behind the links and removes the former one.
func updateVolume(tb testing.TB, folder string, next issued) {
	tb.Helper()
	before, _ := os.Readlink(filepath.Join(folder, "..data"))
	target := filepath.Join(folder, fmt.Sprintf("..%d", time.Now().UnixNano()))
	if err := os.Mkdir(target, 0o700); err != nil {
		tb.Fatal(err)
	}
	next.write(tb, target)
	link := filepath.Join(folder, "..data")
	if err := os.Symlink(filepath.Base(target), link+"_tmp"); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		tb.Fatal(err)
	}
	if before != "" {
		if err := os.RemoveAll(filepath.Join(folder, before)); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestCertificateStaysUntilThereIsAGoodOne breaks the files in turn. What was served before is
// served on, and the files are mended without a restart. No other parallel test may make such
// errors: they are counted for the whole process.
func TestCertificateStaysUntilThereIsAGoodOne(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	folder := t.TempDir()
	first, other := issue(t), issue(t)
	pair := first.write(t, folder)
	_, address := startTLS(t, namespace, pair, func(options *app.Options) { options.Role = app.RoleIngest })
	trusted := trust(first, other)

	steps := []struct {
		reason string
		do     func()
	}{
		{"a certificate that is none", func() { writeFile(t, pair.CertFile, "no certificate") }},
		{"half a certificate, as of a disk that is full", func() { writeFile(t, pair.CertFile, other.cert[:len(other.cert)/2]) }},
		{"an empty one", func() { writeFile(t, pair.CertFile, "") }},
		{"the key of another certificate", func() { writeFile(t, pair.CertFile, first.cert); writeFile(t, pair.KeyFile, other.key) }},
		{"no files", func() {
			if err := errors.Join(os.Remove(pair.CertFile), os.Remove(pair.KeyFile)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, step := range steps {
		before := readErrors(t)
		step.do()
		testenv.Eventually(t, patience, func() error {
			if readErrors(t) == before {
				return fmt.Errorf("%s: it has not been read yet", step.reason)
			}
			return nil
		})
		if got, err := served(t.Context(), address, trusted); err != nil || got != first.leaf.SerialNumber.String() {
			t.Errorf("%s: the certificate before is not served: %s, %v", step.reason, got, err)
		}
	}
	other.write(t, folder)
	eventuallyServes(t, address, trusted, other)
}

// readErrors returns how often a certificate could not be read.
func readErrors(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "certwatcher_read_certificate_errors_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no metric of certificates that cannot be read")
	return 0
}

// TestUnusableCertificateAtStart shows that an operator does not start with files that it cannot
// serve, and that it says which flags are meant.
func TestUnusableCertificateAtStart(t *testing.T) {
	good, other := issue(t), issue(t)
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		writeFile(t, file, text)
		return file
	}
	cert, key := write("good.crt", good.cert), write("good.key", good.key)
	cases := map[string]struct {
		reason string
		pair   app.KeyPair
		want   string
	}{
		"Mismatch":    {reason: "the key of another certificate", pair: app.KeyPair{CertFile: cert, KeyFile: write("other.key", other.key)}, want: "private key does not match public key"},
		"Swapped":     {reason: "one for the other", pair: app.KeyPair{CertFile: key, KeyFile: cert}, want: "PEM"},
		"NoCert":      {reason: "a file that is not there", pair: app.KeyPair{CertFile: filepath.Join(folder, "none.crt"), KeyFile: key}, want: "none.crt"},
		"NoKey":       {reason: "a file that is not there", pair: app.KeyPair{CertFile: cert, KeyFile: filepath.Join(folder, "none.key")}, want: "none.key"},
		"Folder":      {reason: "not a file", pair: app.KeyPair{CertFile: folder, KeyFile: key}, want: "is a directory"},
		"EmptyCert":   {reason: "nothing in it", pair: app.KeyPair{CertFile: write("empty.crt", ""), KeyFile: key}, want: "failed to find any PEM data"},
		"CertWithout": {reason: "one flag without the other", pair: app.KeyPair{CertFile: cert}, want: "both or neither"},
		"KeyWithout":  {reason: "one flag without the other", pair: app.KeyPair{KeyFile: key}, want: "both or neither"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := app.DefaultOptions()
			options.Role = app.RoleIngest
			options.HealthAddress, options.MetricsAddress = "0", "0"
			options.TLS = tc.pair
			_, err := app.NewOperator(t.Context(), env.Config, options, logr.Discard())
			if err == nil {
				t.Fatalf("%s: accepted", tc.reason)
			}
			for _, want := range []string{"--tls-cert-file and --tls-key-file", tc.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: the error %q does not say %q", tc.reason, err, want)
				}
			}
			if strings.Contains(err.Error(), "MIG") {
				t.Errorf("%s: the error quotes a key", tc.reason)
			}
		})
	}
}
