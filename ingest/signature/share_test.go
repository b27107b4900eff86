/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// verifierOf returns a verifier with one key.
func verifierOf(t *testing.T, scheme Scheme, secret string) *Verifier {
	t.Helper()
	v, err := NewVerifier(scheme, Key{Name: "key", Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSharedSchemes shows which verifiers share what is compiled of their schemes.
func TestSharedSchemes(t *testing.T) {
	t.Parallel()
	given := func() Scheme {
		return Scheme{Algorithm: SHA256, Headers: []string{"X-One", "X-Two"}, Prefix: "\xff"}
	}
	first := verifierOf(t, given(), "a key that is long enough")
	cases := map[string]struct {
		reason string
		change func(*Scheme)
		want   bool
	}{
		"Equal":     {reason: "slices are compared by what is in them", change: func(*Scheme) {}, want: true},
		"Algorithm": {reason: "a signature of another hash must not be accepted", change: func(s *Scheme) { s.Algorithm = SHA512 }},
		"Borders":   {reason: "what are two names there is one here", change: func(s *Scheme) { s.Headers = []string{"X-OneX-Two"} }},
		"Order":     {reason: "the first header counts", change: func(s *Scheme) { s.Headers = []string{"X-Two", "X-One"} }},
		"NotUTF8":   {reason: "bytes that are no text differ all the same", change: func(s *Scheme) { s.Prefix = "\xfe" }},
		"Secret":    {reason: "the same stored text is another key", change: func(s *Scheme) { s.Secret.StripPrefix = "whsec_" }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			scheme := given()
			tc.change(&scheme)
			v := verifierOf(t, scheme, "another key that is long enough")
			if got := v.compiled == first.compiled; got != tc.want {
				t.Errorf("%s: shared is %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

// TestSharedSchemeStaysAsItIs has one verifier look for what is wrong with refused requests, which
// it does by trying other schemes.
func TestSharedSchemeStaysAsItIs(t *testing.T) {
	t.Parallel()
	for _, p := range append(Presets(), Preset{Name: "default", Scheme: Scheme{Algorithm: SHA256}}) {
		c, err := compile(p.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%#v %#v %v", c.given, c.scheme, c.algorithm.name)
		v := &Verifier{compiled: c}
		key, err := newKey(c, Key{Name: "key", Secret: []byte(strings.Repeat("ab", 16))})
		if err != nil {
			continue // it is for another encoding
		}
		v.keys = append(v.keys, key)
		for _, text := range []string{"", "x", "sha256=00", strings.Repeat("0", 64), strings.Repeat("0", 40), strings.Repeat("A", 43) + "="} {
			headers := http.Header{}
			for _, name := range append(c.scheme.Headers, c.scheme.Timestamp.Headers...) {
				headers.Set(name, text)
			}
			v.Explain(Request{Headers: headers, URL: "https://hooks.example.com"}, []byte("{}"), time.Now())
			if got := fmt.Sprintf("%#v %#v %v", c.given, c.scheme, c.algorithm.name); got != want {
				t.Errorf("%s: an explanation for %q has changed the scheme of all verifiers from %s to %s", p.Name, text, want, got)
			}
		}
	}
}

// TestUnusedSchemesAreFreed would notice a table that grows with each scheme that ever was.
func TestUnusedSchemesAreFreed(t *testing.T) {
	t.Parallel()
	name := func(i int) string {
		return fmt.Sprintf("%#v", Scheme{Algorithm: SHA256, Prefix: fmt.Sprintf("unused-%d", i)})
	}
	const many = 100
	for i := range many {
		verifierOf(t, Scheme{Algorithm: SHA256, Prefix: fmt.Sprintf("unused-%d", i)}, "a key that is long enough")
		if _, ok := inUse.Load(name(i)); !ok {
			t.Fatal("a scheme that is in use is not shared")
		}
	}
	left := many
	for deadline := time.Now().Add(10 * time.Second); left > 0 && time.Now().Before(deadline); {
		runtime.GC()
		left = 0
		for i := range many {
			if _, ok := inUse.Load(name(i)); ok {
				left++
			}
		}
	}
	if left > 0 {
		t.Errorf("%d schemes of which there is no verifier any more are still there", left)
	}
}

// TestSharingAtATime makes verifiers of one scheme while others of it go.
func TestSharingAtATime(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 200 {
				v, err := NewVerifier(Scheme{Algorithm: SHA256, Prefix: "at-a-time"}, Key{Name: "key", Secret: []byte("a key that is long enough")})
				if err != nil || v.scheme.Prefix != "at-a-time" {
					t.Errorf("%v", err)
				}
				if i%50 == 0 {
					runtime.GC()
				}
			}
		})
	}
	group.Wait()
}
