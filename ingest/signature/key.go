/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
	"unicode"
)

// A Key is one of the keys that a request may be signed with.
type Key struct {
	// Name says which key it is, in records and logs. It is no secret.
	Name string
	// Secret is the key itself, in the form in which the scheme has it stored.
	Secret []byte
}

// Blank says whether there is nothing in a key but white space and zero bytes. White space is what
// a template that was filled with nothing leaves behind. Zero bytes are no key at all: HMAC pads
// keys with them (RFC 2104, section 2), so any number of them makes the MACs of the empty key.
func Blank(secret []byte) bool {
	return len(bytes.TrimFunc(secret, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })) == 0
}

// key holds a key as states that are ready to use, so that a request pays neither for their
// allocation nor for the hashing of the padded key.
type key struct {
	Key
	algorithm *algorithm
	decoded   []byte
	states    sync.Pool // of *state
}

// newKey copies the key.
func newKey(c *compiled, k Key) (*key, error) {
	decoded, err := c.given.DecodeSecret(k.Secret)
	if err != nil {
		return nil, err
	}
	return &key{Key: Key{Name: k.Name, Secret: bytes.Clone(k.Secret)}, algorithm: &c.algorithm, decoded: decoded}, nil
}

// maxPooledMessage keeps the copies of a few large bodies from staying for good.
const maxPooledMessage = 256 << 10

// A state checks the signatures of one content with one key. One of hmac, public and token is set.
type state struct {
	hmac    hash.Hash
	sum     [maxSize]byte
	mac     []byte // the content's HMAC, a part of sum
	scratch []byte // for strings on their way to hmac

	public  ed25519.PublicKey
	message []byte // the content: Ed25519 reads it twice

	token []byte // its SHA-256
}

func (k *key) acquire() *state {
	if s, ok := k.states.Get().(*state); ok {
		return s
	}
	switch k.algorithm.kind {
	case kindEd25519:
		return &state{public: k.decoded}
	case kindToken:
		digest := sha256.Sum256(k.decoded)
		return &state{token: digest[:]}
	case kindHMAC:
	}
	return &state{hmac: hmac.New(k.algorithm.new, k.decoded)}
}

func (k *key) release(s *state) {
	if cap(s.message) > maxPooledMessage {
		s.message = nil
	}
	k.states.Put(s)
}

func (s *state) reset() {
	s.message = s.message[:0]
	if s.hmac != nil {
		s.hmac.Reset()
	}
}

func (s *state) write(p []byte) {
	switch {
	case s.hmac != nil:
		s.hmac.Write(p) // never returns an error, see hash.Hash
	case s.public != nil:
		s.message = append(s.message, p...)
	}
}

func (s *state) writeString(p string) {
	s.scratch = append(s.scratch[:0], p...)
	s.write(s.scratch)
}

// finish ends the content.
func (s *state) finish() {
	if s.hmac != nil {
		s.mac = s.hmac.Sum(s.sum[:0])
	}
}

// accepts says whether a decoded signature, which has the length of the algorithm's, is one of the
// content.
func (s *state) accepts(signature []byte) bool {
	if s.public != nil {
		return ed25519.Verify(s.public, s.message, signature)
	}
	return hmac.Equal(signature, s.mac)
}

// isToken says whether a text is the token. Digests are compared, so that the time it takes does
// not tell the token's length either.
func (s *state) isToken(text string) bool {
	digest := sha256.Sum256([]byte(text))
	return hmac.Equal(digest[:], s.token)
}

// id ends the content and returns its digest as an id. It is for states that hash without a key.
func (s *state) id() string {
	s.finish()
	return "sha256:" + hex.EncodeToString(s.mac)
}
