/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// goodVectors are one good request of each provider.
func goodVectors(t testing.TB) []vector {
	t.Helper()
	var good []vector
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		if !seen[v.Provider] && v.Expect == "accept" && v.Level == "must" {
			seen[v.Provider] = true
			good = append(good, v)
		}
	}
	if len(good) != len(presetOf)+1 { // and RIPEMD-128
		t.Fatalf("there are good requests of %d providers, want %d", len(good), len(presetOf)+1)
	}
	return good
}

// signatureText matches a signature in hexadecimal digits or base64, or the token of GitLab's
// vectors.
var signatureText = regexp.MustCompile(`[0-9a-f]{32,}|[0-9A-Za-z+/]{27,}=|glwh-[0-9a-f]+`)

// withSignatures calls f with the good request in which its signature was replaced by each of what
// alter makes of it.
func withSignatures(t *testing.T, v vector, alter func(right string) []string, f func(altered string, v vector)) {
	t.Helper()
	scheme := schemeOf(t, v.Provider)
	replace := func(text string) (before, right, after string, ok bool) {
		places := signatureText.FindAllStringIndex(text, -1)
		if len(places) == 0 {
			return "", "", "", false
		}
		last := places[len(places)-1]
		return text[:last[0]], text[last[0]:last[1]], text[last[1]:], true
	}
	names := scheme.Headers
	if len(names) == 0 {
		names = []string{signature.DefaultHeader}
	}
	for header, value := range v.Headers {
		for _, name := range names {
			if !strings.EqualFold(header, name) && (!scheme.NumberedHeaders || !strings.HasPrefix(strings.ToLower(header), strings.ToLower(name))) {
				continue
			}
			before, right, after, ok := replace(value)
			if !ok {
				continue
			}
			for _, altered := range alter(right) {
				changed := v
				changed.Headers = maps.Clone(v.Headers)
				changed.Headers[header] = before + altered + after
				f(altered, changed)
			}
			return
		}
	}
	for _, name := range []string{`"signature":"`, `"hmacSignature":"`} { // in the body
		if i := strings.LastIndex(v.Body, name); i >= 0 {
			i += len(name)
			length := strings.IndexByte(v.Body[i:], '"')
			for _, altered := range alter(v.Body[i : i+length]) {
				changed := v
				text, err := json.Marshal(altered)
				if err != nil {
					t.Fatal(err)
				}
				changed.Body = v.Body[:i-1] + string(text) + v.Body[i+length+1:]
				f(altered, changed)
			}
			return
		}
	}
	t.Errorf("%s: no signature is found in it", v.ID)
}

// TestPrefixesAndExtensions replaces the signature of a good request of each provider by every
// prefix of it, and by what it is the beginning or end of.
//
// CVE-2024-21491: Svix's library for Rust compared as far as the shorter of two signatures went.
func TestPrefixesAndExtensions(t *testing.T) {
	for _, v := range goodVectors(t) {
		tried := 0
		withSignatures(t, v, func(right string) []string {
			altered := []string{right + right, strings.Repeat(right, 100), right + "=", right + "==", right + "\x00", "\x00" + right, right[1:], "+" + right, "0x" + right}
			for i := range len(right) {
				altered = append(altered, right[:i], right[:i]+"\x00", right[:i]+strings.Repeat("0", len(right)-i-1)+"g", right[i+1:]+right[:i])
			}
			for c := byte('!'); c <= '~'; c++ { // printable, and no white space, which may stand around a header's value
				if c == ',' || c == ';' {
					continue // where there can be several signatures, this is the end of one
				}
				altered = append(altered, right+string(c), right+strings.Repeat(string(c), len(right)), string(c)+right)
			}
			return altered
		}, func(altered string, changed vector) {
			tried++
			if got := changed.verify(t, schemeOf(t, v.Provider)); got != "reject" {
				t.Errorf("%s with the signature %q: got %s", v.ID, altered, got)
			}
		})
		if tried < 250 {
			t.Errorf("%s: only %d signatures were tried", v.ID, tried)
		}
	}
}

// TestPrefixesOfBytes has every prefix and extension of the right MAC, well encoded, in every
// encoding and algorithm.
func TestPrefixesOfBytes(t *testing.T) {
	for _, algorithm := range signature.Algorithms() {
		if algorithm == signature.Token {
			continue
		}
		for _, encoding := range []signature.Encoding{signature.Hex, signature.Base64, signature.Base64URL} {
			s := newSigner(signature.Scheme{Algorithm: algorithm, Encoding: encoding}, []byte("seed"))
			v := s.verifier(t)
			body := []byte("the body")
			right := s.mac(body)
			for length := range 2*len(right) + 1 {
				mac := append(append([]byte(nil), right...), right...)[:length]
				_, err := v.Verify(s.request(mac), body, s.now)
				if accepted := err == nil; accepted != (length == len(right)) {
					t.Errorf("%s in %s: %d of %d bytes are accepted: %v (%v)", algorithm, encoding, length, len(right), accepted, err)
				}
			}
		}
	}
}

// unprotected are the presets whose signatures leave a part of the body open.
var unprotected = map[string]bool{"adyen-standard": true, "mailgun": true, "gitlab-token": true}

// oddValues take the place of parts of a JSON text.
var oddValues = []string{
	`null`, `true`, `0`, `-0`, `1e999`, `-1`, `123456789012345678901234567890`, `""`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `"` + strings.Repeat("x", 5000) + `"`,
	`[]`, `{}`, `[[]]`, `{"":{}}`, strings.Repeat("[", 500) + strings.Repeat("]", 500), strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
	strings.Repeat("[", 20000) + strings.Repeat("]", 20000), // deeper than encoding/json goes
	`"a","a"`, `1,"id":2`, `}`, `]`, ``, `,`, `:`, `"`, "\\", "\x00", "\ufeff{}", `NaN`, `.5`, `'a'`, `//`,
}

// scalars returns where the strings, numbers, names and other words of a JSON text are.
func scalars(text []byte) [][2]int {
	var found [][2]int
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if err != nil {
			return found
		}
		if _, ok := token.(json.Delim); ok {
			continue
		}
		end := int(decoder.InputOffset())
		raw, err := json.Marshal(token)
		if err != nil || end < len(raw) || !bytes.Equal(text[end-len(raw):end], raw) {
			continue // it is written otherwise than encoding/json does
		}
		found = append(found, [2]int{end - len(raw), end})
	}
}

// mutate replaces parts of a JSON text as the program says, two bytes each: which part, and by
// what.
func mutate(text, program []byte) []byte {
	for ; len(program) >= 2; program = program[2:] {
		places := scalars(text)
		if len(places) == 0 {
			break
		}
		place := places[int(program[0])%len(places)]
		value := oddValues[int(program[1])%len(oddValues)]
		text = append(append(bytes.Clone(text[:place[0]]), value...), text[place[1]:]...)
	}
	return text
}

// FuzzPayloads changes the structure of the bodies of good requests, for every provider, once with
// the signature of the original and once with one of its own. Nothing panics, the former is
// refused, and the latter is accepted.
//
// CVE-2025-59531 and its like: Argo CD took a payload apart before it had checked the signature, in
// a goroutine whose panic ended the process.
func FuzzPayloads(f *testing.F) {
	type one struct {
		vector
		scheme   signature.Scheme
		verifier *signature.Verifier
		body     []byte
		signer   *signer // for those that have a template
		own      *signature.Verifier
	}
	var all []one
	for _, v := range goodVectors(f) {
		scheme := schemeOf(f, v.Provider)
		verifier, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: []byte(v.Secret)})
		if err != nil {
			f.Fatal(err)
		}
		o := one{vector: v, scheme: scheme, verifier: verifier, body: v.body(f)}
		if scheme.Special == "" && scheme.Algorithm != signature.Token && scheme.Timestamp.BodyPointer == "" {
			s := newSigner(scheme, []byte("seed"))
			o.signer, o.own = &s, s.verifier(f)
		}
		all = append(all, o)
		for value := range oddValues {
			f.Add(uint8(len(all)-1), []byte{uint8(value), uint8(value)})
		}
	}
	f.Fuzz(func(t *testing.T, choice uint8, program []byte) {
		o := all[int(choice)%len(all)]
		if len(program) > 64 {
			program = program[:64]
		}
		body := mutate(o.body, program)
		changed := !bytes.Equal(body, o.body)
		now := time.Unix(o.Now, 0)
		_, err := o.verifier.Verify(o.request(), body, now)
		if changed && err == nil && !unprotected[o.Provider] {
			t.Errorf("%s: a changed body is accepted: %q", o.ID, body)
		}
		if err != nil {
			_ = o.verifier.Explain(o.request(), body, now).String()
		}
		if o.signer == nil {
			return
		}
		if _, err := o.own.Verify(o.signer.request(o.signer.mac(o.signer.content(body))), body, o.signer.now); err != nil {
			t.Errorf("%s: a body that was signed as it is: %v: %q", o.ID, err, body)
		}
	})
}
