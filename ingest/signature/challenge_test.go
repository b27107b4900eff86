/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
	meta := func(change url.Values) url.Values {
		query := url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {"the token"}, "hub.challenge": {"1158201444"}}
		maps.Copy(query, change)
		return query
	}
	const unasked = signature.Cause("it is no handshake")
	for name, tc := range map[string]struct {
		reason string
		preset string
		unset  bool // there is no verify token
		query  url.Values
		want   string          // the body; empty if there is no answer
		cause  signature.Cause // why not
	}{
		"Meta":              {reason: "as Meta documents it", preset: "Meta", query: meta(nil), want: "1158201444"},
		"MetaOwnQuery":      {reason: "the URL that Meta was given may have a query", preset: "Meta", query: meta(url.Values{"x": {"y"}}), want: "1158201444"},
		"MetaWrongToken":    {reason: "somebody guesses", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"the tokem"}}), cause: signature.ErrVerifyTokenWrong},
		"MetaPartOfToken":   {reason: "somebody guesses", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"the toke"}}), cause: signature.ErrVerifyTokenWrong},
		"MetaNewline":       {reason: "a token is compared as it is", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"the token\n"}}), cause: signature.ErrVerifyTokenWrong},
		"MetaKey":           {reason: "a key is for signing", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"the key"}}), cause: signature.ErrVerifyTokenWrong},
		"MetaOtherKey":      {reason: "every key is", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"another"}}), cause: signature.ErrVerifyTokenWrong},
		"MetaUnset":         {reason: "nobody knows a token that there is not", preset: "Meta", unset: true, query: meta(nil), cause: signature.ErrVerifyTokenUnset},
		"MetaUnsetKey":      {reason: "a key is for signing", preset: "Meta", unset: true, query: meta(url.Values{"hub.verify_token": {"the key"}}), cause: signature.ErrVerifyTokenUnset},
		"MetaNoToken":       {reason: "nothing is shown", preset: "Meta", query: meta(url.Values{"hub.verify_token": {""}}), cause: unasked},
		"MetaUnsetNoToken":  {reason: "nothing is no token", preset: "Meta", unset: true, query: meta(url.Values{"hub.verify_token": {""}}), cause: unasked},
		"MetaTwoTokens":     {reason: "which one counts is not clear", preset: "Meta", query: meta(url.Values{"hub.verify_token": {"the token", "x"}}), cause: unasked},
		"MetaOtherMode":     {reason: "Meta knows one mode", preset: "Meta", query: meta(url.Values{"hub.mode": {"unsubscribe"}}), cause: unasked},
		"MetaMarkup":        {reason: "the token is not looked at if the challenge cannot be repeated", preset: "Meta", query: meta(url.Values{"hub.challenge": {"<b>"}}), cause: unasked},
		"MetaNoChallenge":   {reason: "there is nothing to repeat", preset: "Meta", query: meta(url.Values{"hub.challenge": nil}), cause: unasked},
		"MetaTwoChallenges": {reason: "which one to repeat is not clear", preset: "Meta", query: meta(url.Values{"hub.challenge": {"1", "2"}}), cause: unasked},
		"Dropbox":           {reason: "whoever asks is answered", preset: "Dropbox", query: url.Values{"challenge": {"abc-123_X"}}, want: "abc-123_X"},
		"DropboxUnset":      {reason: "it has no token", preset: "Dropbox", unset: true, query: url.Values{"challenge": {"abc-123_X"}}, want: "abc-123_X"},
		"DropboxMarkup":     {reason: "nothing is repeated that a browser could run", preset: "Dropbox", query: url.Values{"challenge": {"<script>"}}, cause: unasked},
		"DropboxControl":    {reason: "nothing is repeated that could end a line", preset: "Dropbox", query: url.Values{"challenge": {"a\r\nb"}}, cause: unasked},
		"DropboxLongest":    {reason: "the bound", preset: "Dropbox", query: url.Values{"challenge": {strings.Repeat("x", 512)}}, want: strings.Repeat("x", 512)},
		"DropboxTooLong":    {reason: "behind the bound", preset: "Dropbox", query: url.Values{"challenge": {strings.Repeat("x", 513)}}, cause: unasked},
		"DropboxNothing":    {reason: "there is nothing to repeat", preset: "Dropbox", query: url.Values{}, cause: unasked},
		"GitHub":            {reason: "GitHub has no handshake", preset: "GitHub", query: url.Values{"challenge": {"abc"}}, cause: unasked},
		"GitHubLikeMeta":    {reason: "GitHub has no handshake, though its signatures look like Meta's", preset: "GitHub", query: meta(nil), cause: unasked},
		"SlackIsNotAGET":    {reason: "Slack's is a POST", preset: "Slack", query: url.Values{"challenge": {"abc"}}, cause: unasked},
		"DropboxVeryLong":   {reason: "a long query is not even parsed", preset: "Dropbox", query: url.Values{"challenge": {"abc"}, "x": {strings.Repeat("x", 4096)}}, cause: unasked},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := signature.NewVerifier(preset(t, tc.preset), signature.Key{Name: "other", Secret: []byte("another")}, signature.Key{Name: "key", Secret: []byte("the key")})
			if err != nil {
				t.Fatal(err)
			}
			if !tc.unset {
				v = v.WithVerifyToken(signature.Key{Secret: []byte("the token")})
			}
			got, cause := signature.Answer{}, error(unasked)
			if question, ok := v.Asked(tc.query.Encode()); ok {
				got, cause = v.Reply(question)
			}
			want, wantCause := signature.Answer{}, error(tc.cause)
			if tc.want != "" {
				want = signature.Answer{Handshake: signature.Handshake(tc.preset), Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(tc.want)}
				wantCause = nil
			}
			if diff := cmp.Diff(want, got); diff != "" || cause != wantCause { //nolint:errorlint // a Cause is never wrapped
				t.Errorf("%s: cause %v, want %v (-want +got):\n%s", tc.reason, cause, wantCause, diff)
			}
		})
	}
	v, err := signature.NewVerifier(preset(t, "Dropbox"), signature.Key{Secret: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Asked("challenge=%zz"); ok {
		t.Error("a broken query is answered")
	}
}

// TestVerifyToken sees that a verify token is good for the handshake and for nothing else, and that
// it is none if there is nothing in it.
func TestVerifyToken(t *testing.T) {
	t.Parallel()
	token, body := []byte("the verify token"), []byte(`{"object":"page"}`)
	s := newSigner(preset(t, "Meta"), []byte("TestVerifyToken"))
	without := s.verifier(t)
	v := without.WithVerifyToken(signature.Key{Secret: token})
	byToken := s
	byToken.key = token
	if _, err := v.Verify(byToken.request(byToken.mac(byToken.content(body))), body, s.now); !errors.Is(err, signature.ErrMismatch) {
		t.Errorf("what is signed with the verify token gets %v", err)
	}
	if _, err := v.Verify(s.request(s.mac(s.content(body))), body, s.now); err != nil {
		t.Errorf("with a verify token, a good signature gets %v", err)
	}
	if diff := cmp.Diff(without.Keys(), v.Keys()); diff != "" {
		t.Errorf("keys (-without +with a verify token):\n%s", diff)
	}
	asked := func(v *signature.Verifier, token string) error {
		question, ok := v.Asked(url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {token}, "hub.challenge": {"1"}}.Encode())
		if !ok {
			return errors.New("it is not taken for a handshake")
		}
		_, err := v.Reply(question)
		return err
	}
	if err := asked(v, string(token)); err != nil {
		t.Errorf("the right token gets %v", err)
	}
	if err := asked(without, string(token)); !errors.Is(err, signature.ErrVerifyTokenUnset) {
		t.Errorf("the verifier that it was made of has changed: %v", err)
	}
	for _, blank := range []string{" ", "\n", "\x00\x00", " \t\x00"} {
		if err := asked(v.WithVerifyToken(signature.Key{Secret: []byte(blank)}), blank); !errors.Is(err, signature.ErrVerifyTokenUnset) {
			t.Errorf("the token %q gets %v", blank, err)
		}
	}
	for _, cause := range signature.Causes() {
		e := signature.ExplainHandshake(cause)
		if e.Cause != cause || cause.OfHandshake() != (e.Hint != signature.HintNone) || strings.Contains(e.String(), string(token)) {
			t.Errorf("%q is explained as %+v", cause, e)
		}
	}
}

// What providers send to make sure that somebody is there, as their documents have it.
const (
	// api.slack.com/events/url_verification
	slackHandshake = `{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`
	// developers.zoom.us, Using webhooks
	zoomHandshake = `{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}`
	// docs.discord.com, Interactions overview, and the interaction structure
	discordInteractionsPing = `{"app_permissions":"562949953601536","application_id":"1234560123453231555","attachment_size_limit":524288000,` +
		`"authorizing_integration_owners":{},"entitlements":[],"id":"1234560123453231556","token":"aW50ZXJhY3Rpb24","type":1,` +
		`"user":{"bot":true,"id":"643945264868098049","username":"discord"},"version":1}`
	// docs.discord.com, Webhook events, payload structure
	discordEventsPing = `{"version":1,"application_id":"1234560123453231555","type":0}`
)

func TestChallengePOST(t *testing.T) {
	with := func(body, member string) string { return strings.TrimSuffix(body, "}") + "," + member + "}" }
	replaced := strings.ReplaceAll
	for name, tc := range map[string]struct {
		reason string
		preset string
		body   string
		want   func(key []byte) string // nil if it is a delivery
		kind   string
		status int
	}{
		"Slack": {
			reason: "Slack wants its challenge back", preset: "Slack", body: slackHandshake,
			want: func([]byte) string { return "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P" }, kind: "text/plain; charset=utf-8", status: 200,
		},
		"SlackNoToken": {
			reason: "Slack advises against its token", preset: "Slack", body: `{"challenge":"3eZbrw1aB","type":"url_verification"}`,
			want: func([]byte) string { return "3eZbrw1aB" }, kind: "text/plain; charset=utf-8", status: 200,
		},
		"SlackEvent":     {reason: "a delivery", preset: "Slack", body: `{"type":"event_callback","event_id":"Ev1","challenge":"x"}`},
		"SlackDeep":      {reason: "the same members deeper", preset: "Slack", body: `{"type":"event_callback","event":` + slackHandshake + `}`},
		"SlackWithEvent": {reason: "only events have an event", preset: "Slack", body: with(slackHandshake, `"event":{"type":"message"}`)},
		"SlackEventID":   {reason: "only events have an id", preset: "Slack", body: with(slackHandshake, `"event_id":"Ev1"`)},
		"SlackTwoTypes":  {reason: "another reader sees the other type", preset: "Slack", body: with(slackHandshake, `"type":"event_callback"`)},
		"SlackTwice":     {reason: "another reader sees the other challenge", preset: "Slack", body: with(slackHandshake, `"challenge":"x"`)},
		"SlackEscaped":   {reason: "the same name, written otherwise", preset: "Slack", body: with(slackHandshake, `"\u0074ype":"event_callback"`)},
		"SlackNoString":  {reason: "a challenge is a string", preset: "Slack", body: `{"challenge":1,"type":"url_verification"}`},
		"SlackMarkup":    {reason: "not a challenge of Slack's", preset: "Slack", body: `{"challenge":"<b>","type":"url_verification"}`},
		"SlackArray":     {reason: "an array of handshakes is none", preset: "Slack", body: `[` + slackHandshake + `]`},
		"SlackForm":      {reason: "a slash command is a form", preset: "Slack", body: `command=/x&challenge=1`},
		"SlackLong":      {reason: "no handshake is that long", preset: "Slack", body: slackHandshake + strings.Repeat(" ", 16<<10)},
		"Zoom": {
			reason: "Zoom wants its token signed", preset: "Zoom", body: zoomHandshake,
			want: func(key []byte) string {
				h := hmac.New(sha256.New, key)
				h.Write([]byte("qgg8vlvZRS6UYooatFL8Aw"))
				return `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"` + hex.EncodeToString(h.Sum(nil)) + `"}`
			}, kind: "application/json", status: 200,
		},
		"ZoomOracle":       {reason: "what looks like a delivery is not signed", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "v0:1:x")},
		"ZoomOracleJSON":   {reason: "what could be the body of another scheme is not signed", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "{}")},
		"ZoomOracleTime":   {reason: "nor a time and a body, as many schemes sign them", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "1654503849.1")},
		"ZoomOracleForm":   {reason: "nor a form", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "a=b")},
		"ZoomOracleURL":    {reason: "nor a URL", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "https://a")},
		"ZoomOracleDigits": {reason: "nor a time with a body straight behind it", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "1654503849abc")},
		"ZoomOracleMillis": {reason: "of whatever unit", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "1654503849680abc")},
		"ZoomOracleBehind": {reason: "nor before it", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "abc1654503849")},
		"ZoomOracleID":     {reason: "nor among others", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "id-1654503849-abc")},
		"ZoomDigits": {
			reason: "what has digits is no time yet", preset: "Zoom", body: replaced(zoomHandshake, "qgg8vlvZRS6UYooatFL8Aw", "165450384a9_123456789"),
			want: func(key []byte) string {
				h := hmac.New(sha256.New, key)
				h.Write([]byte("165450384a9_123456789"))
				return `{"plainToken":"165450384a9_123456789","encryptedToken":"` + hex.EncodeToString(h.Sum(nil)) + `"}`
			}, kind: "application/json", status: 200,
		},
		"ZoomNumber":      {reason: "a token is a string", preset: "Zoom", body: replaced(zoomHandshake, `"qgg8vlvZRS6UYooatFL8Aw"`, "1")},
		"ZoomEvent":       {reason: "a delivery", preset: "Zoom", body: `{"event":"meeting.started","payload":{"plainToken":"a"}}`},
		"ZoomDeep":        {reason: "the same members deeper", preset: "Zoom", body: `{"event":"meeting.started","payload":` + zoomHandshake + `}`},
		"ZoomWithAccount": {reason: "only events have an account", preset: "Zoom", body: with(zoomHandshake, `"account_id":"a"`)},
		"ZoomWithObject":  {reason: "only events have an object", preset: "Zoom", body: replaced(zoomHandshake, `Aw"}`, `Aw","object":{}}`)},
		"ZoomTwoEvents":   {reason: "another reader sees the other event", preset: "Zoom", body: with(zoomHandshake, `"event":"meeting.started"`)},
		"ZoomTwoPayloads": {reason: "another reader sees the other payload", preset: "Zoom", body: with(zoomHandshake, `"payload":{"plainToken":"x"}`)},
		"ZoomTwoTokens":   {reason: "another reader sees the other token", preset: "Zoom", body: replaced(zoomHandshake, `Aw"}`, `Aw","plainToken":"x"}`)},
		"Discord": {
			reason: "Discord wants a pong", preset: "Discord", body: discordInteractionsPing,
			want: func([]byte) string { return `{"type":1}` }, kind: "application/json", status: 200,
		},
		"DiscordNewMember": {
			reason: "Discord adds members to interactions", preset: "Discord", body: with(discordInteractionsPing, `"new":{"data":{}}`),
			want: func([]byte) string { return `{"type":1}` }, kind: "application/json", status: 200,
		},
		"DiscordCommand":   {reason: "a delivery", preset: "Discord", body: replaced(discordInteractionsPing, `"type":1`, `"type":2`)},
		"DiscordData":      {reason: "only commands have data", preset: "Discord", body: with(discordInteractionsPing, `"data":{"type":1}`)},
		"DiscordMessage":   {reason: "only components have a message", preset: "Discord", body: with(discordInteractionsPing, `"message":{}`)},
		"DiscordChannel":   {reason: "a ping comes from nowhere", preset: "Discord", body: with(discordInteractionsPing, `"channel_id":"1"`)},
		"DiscordGuild":     {reason: "a ping comes from nowhere", preset: "Discord", body: with(discordInteractionsPing, `"guild_id":"1"`)},
		"DiscordMember":    {reason: "a ping is of nobody in a guild", preset: "Discord", body: with(discordInteractionsPing, `"member":{}`)},
		"DiscordPingEvent": {reason: "an event beside what makes a ping", preset: "Discord", body: with(discordInteractionsPing, `"event":{"type":"APPLICATION_AUTHORIZED"}`)},
		"DiscordTwoTypes":  {reason: "another reader sees the other type", preset: "Discord", body: with(discordInteractionsPing, `"type":2`)},
		"DiscordTwoIDs":    {reason: "another reader sees the other id", preset: "Discord", body: with(discordInteractionsPing, `"id":"2"`)},
		"DiscordFraction":  {reason: "not how Discord writes 1", preset: "Discord", body: replaced(discordInteractionsPing, `"type":1`, `"type":1.0`)},
		"DiscordExponent":  {reason: "not how Discord writes 1", preset: "Discord", body: replaced(discordInteractionsPing, `"type":1`, `"type":1e0`)},
		"DiscordString":    {reason: "not how Discord writes 1", preset: "Discord", body: replaced(discordInteractionsPing, `"type":1`, `"type":"1"`)},
		"DiscordBare":      {reason: "every interaction has an id and a token", preset: "Discord", body: `{"type":1}`},
		"DiscordNoToken":   {reason: "every interaction has a token", preset: "Discord", body: replaced(discordInteractionsPing, `"token"`, `"x"`)},
		"DiscordDeep":      {reason: "a ping inside of something", preset: "Discord", body: `{"ping":` + discordInteractionsPing + `}`},
		"DiscordEvents": {
			reason: "Discord wants nothing back", preset: "Discord", body: discordEventsPing,
			want: func([]byte) string { return "" }, kind: "application/json", status: 204,
		},
		"DiscordEvent": {
			reason: "in webhook events, type 1 is an event", preset: "Discord",
			body: `{"version":1,"application_id":"1234560123453231555","type":1,"event":{"type":"APPLICATION_AUTHORIZED","timestamp":"2024-10-18T14:42:53.064834","data":{"integration_type":1,"scopes":["applications.commands"],"user":{"id":"1"}}}}`,
		},
		"DiscordEventless":   {reason: "type 1 of webhook events is no ping, whatever it lacks", preset: "Discord", body: replaced(discordEventsPing, `"type":0`, `"type":1`)},
		"DiscordEventOf0":    {reason: "an event whose type is that of a ping", preset: "Discord", body: with(discordEventsPing, `"event":{"type":"ENTITLEMENT_CREATE"}`)},
		"DiscordNullEvent":   {reason: "a ping has no such member", preset: "Discord", body: with(discordEventsPing, `"event":null`)},
		"DiscordEventsExtra": {reason: "a ping has three members", preset: "Discord", body: with(discordEventsPing, `"id":"1"`)},
		"DiscordEventsTwice": {reason: "another reader sees the other type", preset: "Discord", body: with(discordEventsPing, `"type":1`)},
		"DiscordNegative":    {reason: "not how Discord writes 0", preset: "Discord", body: replaced(discordEventsPing, `"type":0`, `"type":-0`)},
		"DiscordFalse":       {reason: "not how Discord writes 0", preset: "Discord", body: replaced(discordEventsPing, `"type":0`, `"type":false`)},
		"DiscordNoApp":       {reason: "every payload names the app", preset: "Discord", body: `{"version":1,"type":0}`},
		"DiscordEventsDeep":  {reason: "a ping inside of something", preset: "Discord", body: `{"version":1,"application_id":"1","type":1,"event":` + discordEventsPing + `}`},
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
				want = &signature.Answer{Handshake: signature.Handshake(tc.preset), Status: tc.status, ContentType: tc.kind, Body: []byte(tc.want(s.key))}
			}
			if diff := cmp.Diff(want, result.Challenge, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if _, err := v.Verify(s.request(make([]byte, len(s.mac(nil)))), []byte(tc.body), s.now); err == nil {
				t.Error("an unsigned handshake is answered")
			}
		})
	}
}
