/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// Handshake names a way in which a sender makes sure that somebody is there before it sends anything else.
type Handshake string

// The handshakes. Asana's is not among them: its key does not exist before the handshake.
const (
	HandshakeSlack   Handshake = "Slack"   // POST of url_verification with a challenge, signed
	HandshakeZoom    Handshake = "Zoom"    // POST of endpoint.url_validation with a token to sign, signed itself
	HandshakeDiscord Handshake = "Discord" // POST of a ping, signed
	HandshakeMeta    Handshake = "Meta"    // GET with hub.challenge and the key as hub.verify_token
	HandshakeDropbox Handshake = "Dropbox" // GET with challenge; whoever asks is answered
)

// Bounds of a handshake.
const (
	maxChallenge     = 512
	maxHandshakeBody = 16 << 10
	maxHandshakeURL  = 4 << 10
)

// An Answer is what a sender wants to see. It is safe to send with X-Content-Type-Options: nosniff.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// A handshake is what there is to know of a Handshake. Both functions may be nil.
type handshake struct {
	// post returns the answer to a verified request, or nil if that is a delivery.
	post func(k *key, body []byte) *Answer
	// get returns the answer to a GET.
	get func(v *Verifier, query url.Values) *Answer
}

func (h Handshake) lookup() handshake {
	switch h {
	case HandshakeSlack:
		return handshake{post: answerSlack}
	case HandshakeZoom:
		return handshake{post: answerZoom}
	case HandshakeDiscord:
		return handshake{post: answerDiscord}
	case HandshakeMeta:
		return handshake{get: answerMeta}
	case HandshakeDropbox:
		return handshake{get: answerDropbox}
	}
	return handshake{}
}

func (h Handshake) known() bool {
	l := h.lookup()
	return l.post != nil || l.get != nil
}

// Challenge returns the answer to a GET if it is the scheme's handshake. There's nothing to be verified in a GET but Meta's
// token. Handshakes that are POSTs are signed like any delivery: Verify finds them, see Result.Challenge.
func (v *Verifier) Challenge(rawQuery string) (Answer, bool) {
	if v.handshake.get == nil || len(rawQuery) > maxHandshakeURL {
		return Answer{}, false
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Answer{}, false
	}
	answer := v.handshake.get(v, query)
	if answer == nil {
		return Answer{}, false
	}
	return *answer, true
}

// echo returns the answer that repeats a challenge. One that could mean something to a browser is not repeated.
func echo(challenge string) *Answer {
	if challenge == "" || len(challenge) > maxChallenge {
		return nil
	}
	for i := range len(challenge) {
		if c := challenge[i]; c <= ' ' || c > '~' || strings.IndexByte(`<>"'&`, c) >= 0 {
			return nil
		}
	}
	return &Answer{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}
}

// only returns the only value that a query has for the name.
func only(query url.Values, name string) string {
	if values := query[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// answerDropbox: developers.dropbox.com, "Webhooks".
func answerDropbox(_ *Verifier, query url.Values) *Answer { return echo(only(query, "challenge")) }

// answerMeta: developers.facebook.com, "Getting started" of webhooks. The verify token is one of the keys: it is there for
// its owner to choose.
func answerMeta(v *Verifier, query url.Values) *Answer {
	token := only(query, "hub.verify_token")
	if token == "" || only(query, "hub.mode") != "subscribe" {
		return nil
	}
	shown := sha256.Sum256([]byte(token))
	for _, k := range v.keys {
		digest := sha256.Sum256(k.Secret) // lest the time it takes tell the key's length
		if hmac.Equal(shown[:], digest[:]) {
			return echo(only(query, "hub.challenge"))
		}
	}
	return nil
}

// answerSlack: api.slack.com/events/url_verification.
func answerSlack(_ *key, body []byte) *Answer {
	doc, ok := newDocument(body)
	if !ok {
		return nil
	}
	if kind, _ := doc.scalarAt(pointer{"type"}); kind != "url_verification" {
		return nil
	}
	challenge, _ := doc.scalarAt(pointer{"challenge"})
	return echo(challenge)
}

// answerDiscord: discord.com/developers/docs/interactions/overview, a PING is answered with a PONG.
func answerDiscord(_ *key, body []byte) *Answer {
	doc, ok := newDocument(body)
	if !ok {
		return nil
	}
	if kind, ok := doc.find(pointer{"type"}); !ok || string(kind) != "1" {
		return nil
	}
	return &Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"type":1}`)}
}

// answerZoom: developers.zoom.us, "Validate your webhook endpoint". The token comes back with its HMAC. A token cannot be made
// to look like a delivery that Zoom would sign: those begin with "v0:", and a colon is not answered.
func answerZoom(k *key, body []byte) *Answer {
	doc, ok := newDocument(body)
	if !ok {
		return nil
	}
	if event, _ := doc.scalarAt(pointer{"event"}); event != "endpoint.url_validation" {
		return nil
	}
	token, _ := doc.scalarAt(pointer{"payload", "plainToken"})
	if echo(token) == nil || strings.Contains(token, ":") {
		return nil
	}
	s := k.acquire()
	defer k.release(s)
	s.reset()
	s.writeString(token)
	s.finish()
	answer, err := json.Marshal(struct {
		PlainToken     string `json:"plainToken"`
		EncryptedToken string `json:"encryptedToken"`
	}{token, hex.EncodeToString(s.mac)})
	if err != nil {
		return nil
	}
	return &Answer{Status: 200, ContentType: "application/json", Body: answer}
}
