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
	"slices"
	"strings"
)

// Handshake names a way in which a sender makes sure that somebody is there before it sends
// anything else.
type Handshake string

// The handshakes. Asana's is not among them: its key does not exist before the handshake.
const (
	HandshakeSlack   Handshake = "Slack"   // POST of url_verification with a challenge, signed
	HandshakeZoom    Handshake = "Zoom"    // POST of endpoint.url_validation with a token to sign, signed itself
	HandshakeDiscord Handshake = "Discord" // POST of a ping, of interactions or of webhook events, signed
	HandshakeMeta    Handshake = "Meta"    // GET with hub.challenge and a verify token
	HandshakeDropbox Handshake = "Dropbox" // GET with challenge; whoever asks is answered
)

// Handshakes returns every Handshake.
func Handshakes() []Handshake {
	return []Handshake{HandshakeSlack, HandshakeZoom, HandshakeDiscord, HandshakeMeta, HandshakeDropbox}
}

// Bounds of a handshake.
const (
	maxChallenge     = 512
	maxHandshakeBody = 16 << 10
	maxHandshakeURL  = 4 << 10
)

// An Answer is what a sender wants to see. It is safe to send with X-Content-Type-Options: nosniff.
type Answer struct {
	// Handshake is what is answered.
	Handshake   Handshake
	Status      int
	ContentType string
	Body        []byte
}

// A Question is a GET that is a handshake as the provider describes it. Its token, if it has one,
// is not looked at yet.
type Question struct{ token, challenge string }

// A handshake is what there is to know of a Handshake. One of post and get is nil.
type handshake struct {
	// post returns the answer to a verified request, or nil if that is a delivery. What is not to
	// the last member what the provider documents is a delivery: a handshake that is stored harms
	// nobody, and a delivery that is answered is lost.
	post func(k *key, body document) *Answer
	// get returns what a GET asks, if it is a handshake.
	get func(query url.Values) (Question, bool)
	// token says that only who shows the verify token is answered.
	token bool
	// ask returns the body that is answered by post, or the query that is answered by get. The
	// challenge is one that echo repeats.
	ask func(challenge, token string) string
}

func (h Handshake) lookup() handshake {
	switch h {
	case HandshakeSlack:
		return handshake{post: answerSlack, ask: askSlack}
	case HandshakeZoom:
		return handshake{post: answerZoom, ask: askZoom}
	case HandshakeDiscord:
		return handshake{post: answerDiscord, ask: askDiscord}
	case HandshakeMeta:
		return handshake{get: askedByMeta, token: true, ask: askMeta}
	case HandshakeDropbox:
		return handshake{get: askedByDropbox, ask: askDropbox}
	}
	return handshake{}
}

func (h Handshake) known() bool {
	l := h.lookup()
	return l.post != nil || l.get != nil
}

// NeedsVerifyToken says whether the handshake is answered only to who shows a verify token.
func (h Handshake) NeedsVerifyToken() bool { return h.lookup().token }

// WithVerifyToken returns a verifier that is the same, but answers the scheme's handshake to who
// shows this token. The token is good for nothing else. One that is Blank is none.
func (v *Verifier) WithVerifyToken(token Key) *Verifier {
	with := *v
	with.verifyToken, with.verifyTokenGuessable = nil, false
	if !Blank(token.Secret) {
		digest := sha256.Sum256(token.Secret)
		with.verifyToken = digest[:]
		with.verifyTokenGuessable = len(token.Secret) < unguessable
	}
	return &with
}

// Asked returns what a GET asks, if it is the scheme's handshake. Handshakes that are POSTs are
// signed like any delivery: Verify finds them, see Result.Challenge.
func (v *Verifier) Asked(rawQuery string) (Question, bool) {
	if v.handshake.get == nil || len(rawQuery) > maxHandshakeURL {
		return Question{}, false
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Question{}, false
	}
	return v.handshake.get(query)
}

// Reply answers a handshake. The error is a Cause.
func (v *Verifier) Reply(q Question) (Answer, error) {
	if v.handshake.token {
		if cause := v.checkVerifyToken(q.token); cause != "" {
			return Answer{}, cause
		}
	}
	answer := echo(q.challenge)
	if answer == nil { // which Asked lets nobody have
		return Answer{}, ErrVerifyTokenWrong
	}
	answer.Handshake = v.scheme.Handshake
	return *answer, nil
}

// checkVerifyToken compares digests, so that the time it takes does not tell the token's length
// either.
func (v *Verifier) checkVerifyToken(shown string) Cause {
	if v.verifyToken == nil {
		return ErrVerifyTokenUnset
	}
	digest := sha256.Sum256([]byte(shown))
	if !hmac.Equal(digest[:], v.verifyToken) {
		return ErrVerifyTokenWrong
	}
	return ""
}

// echo returns the answer that repeats a challenge. One that could mean something to a browser is
// not repeated.
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

// askedByDropbox: developers.dropbox.com, "Webhooks".
func askedByDropbox(query url.Values) (Question, bool) {
	q := Question{challenge: only(query, "challenge")}
	return q, echo(q.challenge) != nil
}

// askedByMeta: developers.facebook.com, "Getting started" of webhooks. What the URL has besides is
// its owner's. Whether there is something to answer is known before the token is looked at, so that
// nobody learns of a token by what is wrong with the rest.
func askedByMeta(query url.Values) (Question, bool) {
	q := Question{token: only(query, "hub.verify_token"), challenge: only(query, "hub.challenge")}
	return q, q.token != "" && only(query, "hub.mode") == "subscribe" && echo(q.challenge) != nil
}

// members is a JSON object whose names stand there once each.
type members map[string]document

// membersIf returns the members of a JSON object, one of which is written just like this. It is nil
// for anything else, and for no document.
func (d document) membersIf(name, value string) members {
	if len(d) == 0 {
		return nil
	}
	// Most bodies are deliveries, and end here.
	if found, ok := d.find(pointer{name}); !ok || string(found) != value {
		return nil
	}
	return d.members()
}

// among says whether there are no members but these.
func (m members) among(names ...string) bool {
	for name := range m {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// without says whether there is none of these members.
func (m members) without(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return m[name] != nil })
}

// text returns a member that is a string.
func (m members) text(name string) (string, bool) {
	if len(m[name]) == 0 {
		return "", false
	}
	return m[name].text()
}

// texts says whether all of these members are there, and strings that are not empty.
func (m members) texts(names ...string) bool {
	for _, name := range names {
		if text, ok := m.text(name); !ok || text == "" {
			return false
		}
	}
	return true
}

// integer says whether a member is a number, written in digits.
func (m members) integer(name string) bool {
	value := m[name]
	return len(value) > 0 && strings.Trim(string(value), "0123456789") == ""
}

// answerSlack: api.slack.com/events/url_verification. The token is one that Slack advises against,
// and may go some day.
func answerSlack(_ *key, body document) *Answer {
	m := body.membersIf("type", `"url_verification"`)
	if !m.texts("challenge") || !m.among("type", "challenge", "token") {
		return nil
	}
	challenge, _ := m.text("challenge")
	return echo(challenge)
}

// answerDiscord: a PING is answered. Two products of Discord's, of which one app has the same key,
// have one each, and what is a PING in one is an event in the other.
func answerDiscord(_ *key, body document) *Answer {
	switch {
	case isInteractionsPing(body.membersIf("type", "1")):
		return &Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"type":1}`)}
	case isEventsPing(body.membersIf("type", "0")):
		return &Answer{Status: 204, ContentType: "application/json"}
	}
	return nil
}

// isInteractionsPing: docs.discord.com, "Interactions overview", and the interaction structure.
// Discord adds members to interactions now and then, PINGs included, so that the list of what a
// PING may have would be out of date soon. What it cannot have is what makes something of an
// interaction, or a webhook event.
func isInteractionsPing(m members) bool {
	return m.texts("id", "application_id", "token") && m.integer("version") &&
		m.without("event", "data", "message", "member", "guild", "guild_id", "channel", "channel_id")
}

// isEventsPing: docs.discord.com, "Webhook events", payload structure.
func isEventsPing(m members) bool {
	return m.texts("application_id") && m.integer("version") && m.among("version", "application_id", "type")
}

// answerZoom: developers.zoom.us, "Validate your webhook endpoint". The token comes back with its
// HMAC, so it should be nothing that means something when it is signed: what Zoom signs of a
// delivery begins with "v0:", a URL has colons, an object braces, a form an equals sign, and a time
// of these years ten digits in a row. What is left is in docs/security.md.
func answerZoom(k *key, body document) *Answer {
	m := body.membersIf("event", `"endpoint.url_validation"`)
	if len(m["payload"]) == 0 || !m.among("event", "event_ts", "payload") {
		return nil
	}
	if m["event_ts"] != nil && !m.integer("event_ts") {
		return nil
	}
	payload := m["payload"].members()
	token, ok := payload.text("plainToken")
	if !ok || !payload.among("plainToken") || !isRandom(token) {
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

// isRandom says whether a text looks like bytes in base64 or hexadecimal digits, and has no room
// for a time. Of a hundred million tokens of Zoom's, which have 22 characters of base64, ten have.
func isRandom(text string) bool {
	text = strings.TrimRight(text, "=")
	digits := 0
	for i := range len(text) {
		c := text[i]
		if digits++; !isDigit(c) {
			digits = 0
		}
		if digits == Seconds.digits() {
			return false
		}
		if !isAlphanumeric(c) && strings.IndexByte("-_+/", c) < 0 {
			return false
		}
	}
	return text != "" && len(text) <= maxChallenge
}

// What follows makes the questions that the functions above find.

func askSlack(challenge, _ string) string {
	return `{"token":"-","challenge":` + string(quoted(challenge)) + `,"type":"url_verification"}`
}

func askZoom(challenge, _ string) string {
	return `{"payload":{"plainToken":` + string(quoted(challenge)) + `},"event":"endpoint.url_validation"}`
}

// askDiscord asks as interactions do. Nothing is repeated there, so the challenge is the
// interaction's token.
func askDiscord(challenge, _ string) string {
	return `{"application_id":"1","id":"1","token":` + string(quoted(challenge)) + `,"type":1,"version":1}`
}

func askMeta(challenge, token string) string {
	return "hub.mode=subscribe&hub.challenge=" + url.QueryEscape(challenge) + "&hub.verify_token=" + url.QueryEscape(token)
}

func askDropbox(challenge, _ string) string { return "challenge=" + url.QueryEscape(challenge) }
