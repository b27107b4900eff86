/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// fuzzedAlgorithms are what a fuzzer chooses from.
var fuzzedAlgorithms = func() []signature.Algorithm {
	var algorithms []signature.Algorithm
	for algorithm := range hashes {
		algorithms = append(algorithms, algorithm)
	}
	slices.Sort(algorithms)
	return algorithms
}()

// FuzzParse holds Parse of the default scheme against encoding/hex: after trimming, it accepts what
// that decodes to a MAC's length, and nothing else.
func FuzzParse(f *testing.F) {
	for i, algorithm := range fuzzedAlgorithms {
		right := sign(algorithm, []byte(testKey), []byte(testBody))
		for _, value := range []string{
			"", " ", "\t", right, strings.ToUpper(right), " " + right + "\t", right[1:], right + "0", right[:8] + " " + right[9:],
			"\u00a0" + right, right + "\n", "0x" + right[2:], strings.Repeat("g", len(right)), right[:len(right)-2] + "é",
		} {
			f.Add(value, uint8(i), uint8(1))
		}
		f.Add(right, uint8(i), uint8(0))
		f.Add(right, uint8(i), uint8(2))
	}
	f.Fuzz(func(t *testing.T, value string, choice, times uint8) {
		algorithm := fuzzedAlgorithms[int(choice)%len(fuzzedAlgorithms)]
		values := make([]string, times%4)
		for i := range values {
			values[i] = value
		}
		trimmed := strings.Trim(value, " \t")
		decoded, hexErr := hex.DecodeString(trimmed)
		var want error
		switch {
		case len(values) == 0:
			want = signature.ErrHeaderMissing
		case len(values) > 1:
			want = signature.ErrHeaderRepeated
		case trimmed == "":
			want = signature.ErrHeaderMissing
		case len(trimmed) != hashes[algorithm].digits:
			want = signature.ErrHeaderLength
		case hexErr != nil:
			want = signature.ErrHeaderMalformed
		}
		v := newVerifier(t, algorithm)
		if _, err := v.Parse(header(values...), time.Unix(0, 0)); !errors.Is(err, want) {
			t.Fatalf("%d of %q: %v, want %v", len(values), value, err, want)
		}
		// What is well formed is good exactly if it is the MAC.
		if want == nil && !bytes.Equal(decoded, mac(algorithm, []byte(testKey), []byte(testBody))) {
			want = signature.ErrMismatch
		}
		if got := check(v, header(values...), []byte(testBody)); !errors.Is(got.err, want) {
			t.Errorf("%d of %q, verified: %v, want %v", len(values), value, got.err, want)
		}
	})
}

// FuzzVerify signs and verifies, and then flips a bit here and there.
func FuzzVerify(f *testing.F) {
	for i := range fuzzedAlgorithms {
		choice := uint8(i)
		f.Add([]byte(testKey), []byte(testBody), uint16(0), choice)
		f.Add([]byte(testKey+"\n"), []byte{}, uint16(77), choice)
		f.Add([]byte("\n"), []byte(testBody), uint16(3), choice)
		f.Add([]byte("\x00a"), []byte{0}, uint16(8), choice)
		f.Add([]byte("\x00\x00"), []byte{0}, uint16(8), choice)
		f.Add(bytes.Repeat([]byte{0xaa}, 64), bytes.Repeat([]byte{0xdd}, 55), uint16(511), choice)
		f.Add(bytes.Repeat([]byte{0xaa}, 65), bytes.Repeat([]byte{0xdd}, 64), uint16(519), choice)
		f.Add(bytes.Repeat([]byte{0xaa}, 131), bytes.Repeat([]byte{0xdd}, 4096), uint16(1000), choice)
	}
	f.Fuzz(func(t *testing.T, key, body []byte, bit uint16, choice uint8) {
		scheme := signature.Scheme{Algorithm: fuzzedAlgorithms[int(choice)%len(fuzzedAlgorithms)]}
		v, err := signature.NewVerifier(scheme, signature.Key{Name: "fuzz", Secret: key})
		if blank := signature.Blank(key); blank != (err != nil) {
			t.Fatalf("a key %q, blank %t: %v", key, blank, err)
		}
		if err != nil {
			return
		}
		right := mac(scheme.Algorithm, key, body)
		headers := header(hex.EncodeToString(right))
		if diff := cmp.Diff(result{key: "fuzz"}, check(v, headers, body), compareResults); diff != "" {
			t.Fatalf("key %q, body %q (-want +got):\n%s", key, body, diff)
		}
		if bytes.Equal(right, mac(scheme.Algorithm, nil, body)) {
			t.Fatalf("key %q makes the MACs of the empty key", key)
		}
		mismatch := result{err: signature.ErrMismatch}
		wrong := flipped(right, int(bit)%(8*len(right)))
		if diff := cmp.Diff(mismatch, check(v, header(hex.EncodeToString(wrong)), body), compareResults); diff != "" {
			t.Errorf("key %q, body %q, bit %d of the MAC (-want +got):\n%s", key, body, bit, diff)
		}
		if len(body) > 0 {
			wrong := flipped(body, int(bit)%(8*len(body)))
			if diff := cmp.Diff(mismatch, check(v, headers, wrong), compareResults); diff != "" {
				t.Errorf("key %q, body %q, bit %d of the body (-want +got):\n%s", key, body, bit, diff)
			}
		}
		wrongKey := flipped(key, int(bit)%(8*len(key)))
		if other, err := signature.NewVerifier(scheme, signature.Key{Name: "fuzz", Secret: wrongKey}); err == nil {
			if diff := cmp.Diff(mismatch, check(other, headers, body), compareResults); diff != "" {
				t.Errorf("key %q, body %q, bit %d of the key (-want +got):\n%s", key, body, bit, diff)
			}
		}
	})
}
