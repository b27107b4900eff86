/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

func preset(t testing.TB, name string) signature.Scheme {
	t.Helper()
	p, ok := signature.PresetByName(name)
	if !ok {
		t.Fatalf("no preset %s", name)
	}
	return p.Scheme
}

func TestChallengeGET(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		preset string
		query  url.Values
		want   string // the body; empty if there is no answer
	}{
		"Meta":            {reason: "the token is the key", preset: "Meta", query: url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {"the key"}, "hub.challenge": {"1158201444"}}, want: "1158201444"},
		"MetaWrongToken":  {reason: "somebody else asks", preset: "Meta", query: url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {"the kex"}, "hub.challenge": {"1"}}},
		"MetaNoToken":     {reason: "somebody else asks", preset: "Meta", query: url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {""}, "hub.challenge": {"1"}}},
		"MetaTwoTokens":   {reason: "which one counts is not clear", preset: "Meta", query: url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {"the key", "x"}, "hub.challenge": {"1"}}},
		"MetaOtherMode":   {reason: "Meta knows one mode", preset: "Meta", query: url.Values{"hub.mode": {"unsubscribe"}, "hub.verify_token": {"the key"}, "hub.challenge": {"1"}}},
		"Dropbox":         {reason: "whoever asks is answered", preset: "Dropbox", query: url.Values{"challenge": {"abc-123_X"}}, want: "abc-123_X"},
		"DropboxMarkup":   {reason: "nothing is repeated that a browser could run", preset: "Dropbox", query: url.Values{"challenge": {"<script>"}}},
		"DropboxControl":  {reason: "nothing is repeated that could end a line", preset: "Dropbox", query: url.Values{"challenge": {"a\r\nb"}}},
		"DropboxLongest":  {reason: "the bound", preset: "Dropbox", query: url.Values{"challenge": {strings.Repeat("x", 512)}}, want: strings.Repeat("x", 512)},
		"DropboxTooLong":  {reason: "behind the bound", preset: "Dropbox", query: url.Values{"challenge": {strings.Repeat("x", 513)}}},
		"DropboxNothing":  {reason: "there is nothing to repeat", preset: "Dropbox", query: url.Values{}},
		"GitHub":          {reason: "GitHub has no handshake", preset: "GitHub", query: url.Values{"challenge": {"abc"}}},
		"SlackIsNotAGET":  {reason: "Slack's is a POST", preset: "Slack", query: url.Values{"challenge": {"abc"}}},
		"DropboxVeryLong": {reason: "a long query is not even parsed", preset: "Dropbox", query: url.Values{"challenge": {"abc"}, "x": {strings.Repeat("x", 4096)}}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := signature.NewVerifier(preset(t, tc.preset), signature.Key{Name: "other", Secret: []byte("another")}, signature.Key{Name: "key", Secret: []byte("the key")})
			if err != nil {
				t.Fatal(err)
			}
			answer, ok := v.Challenge(tc.query.Encode())
			if ok != (tc.want != "") {
				t.Fatalf("%s: answered is %v", tc.reason, ok)
			}
			want := signature.Answer{}
			if ok {
				want = signature.Answer{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(tc.want)}
			}
			if diff := cmp.Diff(want, answer); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	v, err := signature.NewVerifier(preset(t, "Dropbox"), signature.Key{Secret: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Challenge("challenge=%zz"); ok {
		t.Error("a broken query is answered")
	}
}

func TestChallengePOST(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		preset string
		body   string
		want   func(key []byte) string // nil if it is a delivery
		kind   string
	}{
		"Slack": {
			reason: "Slack wants its challenge back", preset: "Slack", body: `{"token":"x","challenge":"3eZbrw1aB","type":"url_verification"}`,
			want: func([]byte) string { return "3eZbrw1aB" }, kind: "text/plain; charset=utf-8",
		},
		"SlackEvent":  {reason: "a delivery", preset: "Slack", body: `{"type":"event_callback","event_id":"Ev1","challenge":"x"}`},
		"SlackMarkup": {reason: "not a challenge of Slack's", preset: "Slack", body: `{"challenge":"<b>","type":"url_verification"}`},
		"SlackForm":   {reason: "a slash command is a form", preset: "Slack", body: `command=/x&challenge=1`},
		"SlackLong":   {reason: "no handshake is that long", preset: "Slack", body: `{"challenge":"a","type":"url_verification"}` + strings.Repeat(" ", 16<<10)},
		"Zoom": {
			reason: "Zoom wants its token signed", preset: "Zoom", body: `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}`,
			want: func(key []byte) string {
				h := hmac.New(sha256.New, key)
				h.Write([]byte("qgg8vlvZRS6UYooatFL8Aw"))
				return `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"` + hex.EncodeToString(h.Sum(nil)) + `"}`
			}, kind: "application/json",
		},
		"ZoomOracle": {reason: "what looks like a delivery is not signed", preset: "Zoom", body: `{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1:x"}}`},
		"ZoomEvent":  {reason: "a delivery", preset: "Zoom", body: `{"event":"meeting.started","payload":{"plainToken":"a"}}`},
		"Discord": {
			reason: "Discord wants a pong", preset: "Discord", body: `{"id":"1","type":1}`,
			want: func([]byte) string { return `{"type":1}` }, kind: "application/json",
		},
		"DiscordCommand": {reason: "a delivery", preset: "Discord", body: `{"id":"1","type":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(preset(t, tc.preset), []byte(name))
			v := s.verifier(t)
			result, err := v.Verify(s.request(s.mac(s.content([]byte(tc.body)))), []byte(tc.body), s.now)
			if err != nil {
				t.Fatal(err)
			}
			var want *signature.Answer
			if tc.want != nil {
				want = &signature.Answer{Status: 200, ContentType: tc.kind, Body: []byte(tc.want(s.key))}
			}
			if diff := cmp.Diff(want, result.Challenge); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if _, err := v.Verify(s.request(make([]byte, len(s.mac(nil)))), []byte(tc.body), s.now); err == nil {
				t.Error("an unsigned handshake is answered")
			}
		})
	}
}
