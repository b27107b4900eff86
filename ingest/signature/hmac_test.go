/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// macFile is testdata/hmac.json.
type macFile struct {
	Vectors []struct {
		Alg              string `json:"alg"`
		Case             string `json:"case"`
		KeyHex           string `json:"keyHex"`
		DataHex          string `json:"dataHex"`
		MACHex           string `json:"macHex"`
		TruncatedToBytes int    `json:"truncatedToBytes"`
		Source           string `json:"source"`
	} `json:"vectors"`
}

// requestFile is testdata/patchworks.json.
type requestFile struct {
	Vectors []requestVector `json:"vectors"`
}

type requestVector struct {
	ID         string            `json:"id"`
	Provider   string            `json:"provider"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	BodyBase64 string            `json:"bodyBase64"`
	BodyRule   *struct {
		Rule   string `json:"rule"`
		Length int    `json:"length"`
		SHA256 string `json:"sha256"`
		XOR    *struct {
			Index int  `json:"index"`
			Mask  byte `json:"mask"`
		} `json:"xor"`
	} `json:"bodyRule"`
	Secret string `json:"secret"`
	Expect string `json:"expect"`
	Level  string `json:"level"`
	Why    string `json:"why"`
}

var (
	//go:embed testdata/hmac.json
	macJSON []byte
	//go:embed testdata/patchworks.json
	requestJSON []byte
)

// vectorAlgorithms are the names that testdata/hmac.json has for the algorithms.
var vectorAlgorithms = map[string]signature.Algorithm{
	"sha1":      signature.SHA1,
	"sha256":    signature.SHA256,
	"sha384":    signature.SHA384,
	"sha512":    signature.SHA512,
	"ripemd128": signature.RIPEMD128,
	"ripemd160": signature.RIPEMD160,
}

func TestPublishedMACs(t *testing.T) {
	var file macFile
	if err := json.Unmarshal(macJSON, &file); err != nil {
		t.Fatal(err)
	}
	type count struct{ Verified, BlankKey, Truncated, OtherAlgorithm int }
	got := map[string]count{}
	for _, v := range file.Vectors {
		n := got[v.Alg]
		algorithm, ok := vectorAlgorithms[v.Alg]
		if !ok {
			n.OtherAlgorithm++
			got[v.Alg] = n
			continue
		}
		key, body := unhex(t, v.KeyHex), unhex(t, v.DataHex)
		switch {
		case v.TruncatedToBytes != 0:
			n.Truncated++
			// The RFC gives the first bytes of the MAC only. Verify takes no less than all of it,
			// so the prefix is compared here. The key of this vector is blank too.
			wantBlank(t, algorithm, key)
			if diff := cmp.Diff(v.MACHex, sign(algorithm, key, body)[:2*v.TruncatedToBytes]); diff != "" {
				t.Errorf("%s, case %s: the first bytes of the MAC (-want +got):\n%s", v.Source, v.Case, diff)
			}
			if _, err := newVerifier(t, algorithm).Parse(header(v.MACHex), time.Now()); !errors.Is(err, signature.ErrHeaderLength) {
				t.Errorf("%s, case %s: Parse of a truncated MAC: %v, want %v", v.Source, v.Case, err, signature.ErrHeaderLength)
			}
		case signature.Blank(key):
			n.BlankKey++
			// Empty, or of the bytes 0x0b or 0x0c, which are white space: such keys are refused.
			wantBlank(t, algorithm, key)
			if diff := cmp.Diff(v.MACHex, sign(algorithm, key, body)); diff != "" {
				t.Errorf("%s, case %s: MAC (-want +got):\n%s", v.Source, v.Case, diff)
			}
		default:
			n.Verified++
			verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: v.Case, Secret: key})
			if err != nil {
				t.Fatalf("%s, case %s: %v", v.Source, v.Case, err)
			}
			if diff := cmp.Diff(result{key: v.Case}, check(verifier, header(v.MACHex), body), compareResults); diff != "" {
				t.Errorf("%s, case %s (-want +got):\n%s", v.Source, v.Case, diff)
			}
			if diff := cmp.Diff(result{err: signature.ErrMismatch}, check(verifier, header(v.MACHex), append(body, 0)), compareResults); diff != "" {
				t.Errorf("%s, case %s, with a byte more (-want +got):\n%s", v.Source, v.Case, diff)
			}
		}
		got[v.Alg] = n
	}
	want := map[string]count{
		"sha256":    {Verified: 20, BlankKey: 2, Truncated: 1},
		"ripemd128": {Verified: 20, BlankKey: 3},
		// An algorithm that is added has its vectors here already, and then this count is wrong.
		"md5":       {OtherAlgorithm: 7},
		"sha1":      {Verified: 5, BlankKey: 2},
		"sha224":    {OtherAlgorithm: 7},
		"sha384":    {Verified: 5, BlankKey: 1, Truncated: 1},
		"sha512":    {Verified: 5, BlankKey: 1, Truncated: 1},
		"ripemd160": {Verified: 5, BlankKey: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vectors used, by algorithm (-want +got):\n%s", diff)
	}
}

func wantBlank(t *testing.T, algorithm signature.Algorithm, key []byte) {
	t.Helper()
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: "vector", Secret: key})
	if err == nil || verifier != nil || !strings.Contains(err.Error(), "blank") {
		t.Errorf("NewVerifier with the key %x: %v, %v, want none and that the key is blank", key, verifier, err)
	}
}

func TestPatchworksRequests(t *testing.T) {
	var file requestFile
	if err := json.Unmarshal(requestJSON, &file); err != nil {
		t.Fatal(err)
	}
	algorithms := map[string]signature.Algorithm{
		"patchworks-sha256":    signature.SHA256,
		"patchworks-ripemd128": signature.RIPEMD128,
	}
	got := map[string]int{}
	for _, v := range file.Vectors {
		got[v.Provider+" "+v.Level+" "+v.Expect]++
		t.Run(v.ID, func(t *testing.T) {
			verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithms[v.Provider]},
				signature.Key{Name: "secret", Secret: []byte(v.Secret)})
			if err != nil {
				t.Fatal(err)
			}
			body := v.body(t)
			for name, headers := range v.headerMaps(t) {
				key, err := verifyRequest(verifier, headers, body)
				switch v.Expect {
				case "accept":
					if err != nil || key != "secret" {
						t.Errorf("%s, header %s: %q, %v, want it accepted", v.Why, name, key, err)
					}
				case "reject":
					if err == nil || key != "" {
						t.Errorf("%s, header %s: %q, %v, want it rejected", v.Why, name, key, err)
					}
				default:
					t.Errorf("unknown expectation %q", v.Expect)
				}
			}
		})
	}
	want := map[string]int{
		"patchworks-sha256 must accept":      19,
		"patchworks-sha256 must reject":      11,
		"patchworks-sha256 policy accept":    2,
		"patchworks-ripemd128 must accept":   19,
		"patchworks-ripemd128 must reject":   11,
		"patchworks-ripemd128 policy accept": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vectors used (-want +got):\n%s", diff)
	}
}

func (v requestVector) body(t *testing.T) []byte {
	t.Helper()
	switch {
	case v.BodyRule != nil:
		if want := "byte[i] = (31*i + 17*(i>>8) + 7) & 255"; v.BodyRule.Rule != want {
			t.Fatalf("rule %q, want %q", v.BodyRule.Rule, want)
		}
		body := make([]byte, v.BodyRule.Length)
		for i := range body {
			body[i] = byte((31*i + 17*(i>>8) + 7) & 255)
		}
		if v.BodyRule.XOR != nil {
			body[v.BodyRule.XOR.Index] ^= v.BodyRule.XOR.Mask
		}
		if diff := cmp.Diff(v.BodyRule.SHA256, fmt.Sprintf("%x", sha256.Sum256(body))); diff != "" {
			t.Fatalf("SHA-256 of the body (-want +got):\n%s", diff)
		}
		return body
	case v.BodyBase64 != "":
		body, err := base64.StdEncoding.DecodeString(v.BodyBase64)
		if err != nil {
			t.Fatal(err)
		}
		return body
	default:
		return []byte(v.Body)
	}
}

// headerMaps returns the headers as they reach a server: under names of any case, as a map and over
// the wire.
func (v requestVector) headerMaps(t *testing.T) map[string]http.Header {
	t.Helper()
	maps := map[string]http.Header{}
	for name, spell := range map[string]func(string) string{
		"as given":   func(s string) string { return s },
		"lower case": strings.ToLower,
		"upper case": strings.ToUpper,
		"mixed case": mixCase,
	} {
		headers := http.Header{}
		var wire bytes.Buffer
		for field, value := range v.Headers {
			headers.Add(spell(field), value)
			fmt.Fprintf(&wire, "%s: %s\r\n", spell(field), value)
		}
		maps[name] = headers
		wire.WriteString("\r\n")
		read, err := textproto.NewReader(bufio.NewReader(&wire)).ReadMIMEHeader()
		if err != nil {
			t.Fatal(err)
		}
		maps[name+" on the wire"] = http.Header(read)
	}
	return maps
}

// mixCase makes every second letter a capital.
func mixCase(s string) string {
	mixed := []byte(strings.ToLower(s))
	for i := 1; i < len(mixed); i += 2 {
		mixed[i] = bytes.ToUpper(mixed[i : i+1])[0]
	}
	return string(mixed)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign returns the HMAC in lower-case hexadecimal digits.
func sign(algorithm signature.Algorithm, key, body []byte) string {
	return hex.EncodeToString(mac(algorithm, key, body))
}

func mac(algorithm signature.Algorithm, key, body []byte) []byte {
	h := hmac.New(hashes[algorithm].new, key)
	h.Write(body)
	return h.Sum(nil)
}
