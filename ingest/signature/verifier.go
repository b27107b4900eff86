/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/textproto"
	"strings"
	"sync"
)

// DefaultHeader is the header of the default scheme, in the form that the keys of a header map have.
var DefaultHeader = textproto.CanonicalMIMEHeaderKey("X-HMAC-HASH")

// A Scheme says how requests are signed: the header Header holds the HMAC of the body in hexadecimal digits of either
// case, with nothing but blanks around them.
type Scheme struct {
	// Algorithm is the hash function of the HMAC.
	Algorithm Algorithm
	// Header is the name of the header in canonical form; DefaultHeader if empty.
	Header string
}

// A Key is one of the keys that a request may be signed with.
type Key struct {
	// Name says which key it is, in records and logs. It is no secret.
	Name string
	// Secret is the key itself.
	Secret []byte
}

// Blank says whether there is nothing in a key but white space. Such a key keeps no one out, and it is what a template
// that was filled with nothing leaves behind.
func Blank(secret []byte) bool { return len(bytes.TrimSpace(secret)) == 0 }

// Cause says why a request was refused. It holds nothing of the request or of a key, so that it may go to logs and
// metrics; the sender is not told.
type Cause string

// The causes.
const (
	ErrHeaderMissing   Cause = "header missing"     // no such header, or nothing in it
	ErrHeaderRepeated  Cause = "header repeated"    // the header stands there more than once
	ErrHeaderLength    Cause = "header length"      // not as many characters as the algorithm's MAC has hexadecimal digits
	ErrHeaderMalformed Cause = "header malformed"   // not hexadecimal
	ErrMismatch        Cause = "signature mismatch" // another key, or another body
)

// Causes returns every Cause.
func Causes() []Cause {
	return []Cause{ErrHeaderMissing, ErrHeaderRepeated, ErrHeaderLength, ErrHeaderMalformed, ErrMismatch}
}

// Error makes a Cause an error.
func (c Cause) Error() string { return string(c) }

// MAC is the message authentication code that a request carries. It is a value, so that it needs no allocation.
type MAC struct {
	bytes [maxMACSize]byte
	size  int
}

// A Verifier checks signatures of one scheme against a set of keys. It is immutable and may be used concurrently.
type Verifier struct {
	header string
	size   int // of a MAC in bytes
	keys   []*key
}

// key holds a key as HMAC states that are ready to use, so that a request pays neither for their allocation nor for the
// hashing of the padded key.
type key struct {
	name   string
	states sync.Pool // of *state
}

type state struct {
	hmac hash.Hash
	sum  [maxMACSize]byte
}

// NewVerifier returns a verifier that accepts what was signed with any one of the keys, which it copies. It is an error
// if the algorithm is not known, if there is no key, or if a key is Blank.
func NewVerifier(scheme Scheme, keys ...Key) (*Verifier, error) {
	algorithm, ok := algorithms[scheme.Algorithm]
	if !ok {
		return nil, fmt.Errorf("unknown algorithm %q", scheme.Algorithm)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	v := &Verifier{header: scheme.Header, size: algorithm.size}
	if v.header == "" {
		v.header = DefaultHeader
	}
	for _, k := range keys {
		if Blank(k.Secret) {
			return nil, fmt.Errorf("key %q is blank", k.Name)
		}
		secret := bytes.Clone(k.Secret)
		v.keys = append(v.keys, &key{
			name:   k.Name,
			states: sync.Pool{New: func() any { return &state{hmac: hmac.New(algorithm.new, secret)} }},
		})
	}
	return v, nil
}

// Parse returns the MAC that the headers carry. headers is an http.Header: its keys are in canonical form. The error is
// a Cause other than ErrMismatch.
func (v *Verifier) Parse(headers map[string][]string) (MAC, error) {
	var mac MAC
	values := headers[v.header]
	if len(values) == 0 {
		return mac, ErrHeaderMissing
	}
	if len(values) > 1 {
		return mac, ErrHeaderRepeated
	}
	digits := strings.Trim(values[0], " \t") // RFC 9110, section 5.5
	switch len(digits) {
	case 0:
		return mac, ErrHeaderMissing
	case hex.EncodedLen(v.size):
	default:
		return mac, ErrHeaderLength
	}
	var text [2 * maxMACSize]byte // a copy on the stack, so that decoding needs no allocation
	if _, err := hex.Decode(mac.bytes[:], text[:copy(text[:], digits)]); err != nil {
		return MAC{}, ErrHeaderMalformed
	}
	mac.size = v.size
	return mac, nil
}

// Verify returns the name of the key with which the body has that MAC, and ErrMismatch if there is none. The body is
// hashed as it is, once for each key that is tried.
func (v *Verifier) Verify(mac MAC, body []byte) (string, error) {
	for _, k := range v.keys {
		if k.made(mac, body) {
			return k.name, nil
		}
	}
	return "", ErrMismatch
}

func (k *key) made(mac MAC, body []byte) bool {
	s := k.states.Get().(*state) //nolint:errcheck // the pool has nothing else
	defer k.states.Put(s)
	s.hmac.Reset()
	s.hmac.Write(body) // never returns an error, see hash.Hash
	// A MAC that Parse did not make has size 0, which equals no sum.
	return hmac.Equal(mac.bytes[:mac.size], s.hmac.Sum(s.sum[:0]))
}
