/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package sdk_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v75/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"
	svix "github.com/svix/svix-webhooks/go"
	"github.com/twilio/twilio-go/client"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/ingesttest"
)

const (
	// patience is far more than anything here takes.
	patience = 30 * time.Second
	// address is where the senders believe to send to.
	address = "https://hooks.example.com/hooks/default/orders"
	// outside is further away than every tolerance.
	outside = time.Hour

	deliveryID = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
	// event is JSON that no one would get back byte for byte who parsed it.
	event = "{\"id\": \"evt_1\",  \"type\":\"order.paid\", \"name\":\"Zo\u00eb \\u00e9\", \"amount\": 10.00, \"note\":\"a<b & c\"}\n"
)

// A request is one that a provider sends.
type request struct {
	secret string
	url    string
	at     time.Time
	header http.Header
	body   string
}

func (r request) unix() string { return strconv.FormatInt(r.at.Unix(), 10) }

// A provider is one of the presets, with its SDK.
type provider struct {
	preset string
	// signed is the header with the signature.
	signed string
	// secret is the key of the route, another one that is as well formed.
	secret, another string
	contentType     string
	body            string
	url             string
	// timed, identified and located say whether a time, an id and the URL are signed.
	timed, identified, located bool
	// sign adds to a request the headers with its signature.
	sign func(*testing.T, request)
	// verify is what the SDK does with a request.
	verify func(secret string, r request) error
}

var errRefused = errors.New("the SDK refuses it")

// providers are the presets whose SDKs are here.
var providers = map[string]provider{
	"Stripe": {
		preset: "Stripe", signed: "Stripe-Signature", timed: true,
		secret: "whsec_5f3c6a1d9b7e4280a1c2e3f4", another: "whsec_5f3c6a1d9b7e4280a1c2e3f5",
		contentType: "application/json; charset=utf-8", body: event, url: address,
		sign: func(_ *testing.T, r request) {
			signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(r.body), Secret: r.secret, Timestamp: r.at})
			r.header.Set("Stripe-Signature", signed.Header)
		},
		verify: func(secret string, r request) error {
			return webhook.ValidatePayload([]byte(r.body), r.header.Get("Stripe-Signature"), secret)
		},
	},
	"Svix": {
		preset: "Svix", signed: "Svix-Signature", timed: true, identified: true,
		secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", another: "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		contentType: "application/json", body: event, url: address,
		sign: func(t *testing.T, r request) {
			signer, err := svix.NewWebhook(r.secret)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign(deliveryID, r.at, []byte(r.body))
			if err != nil {
				t.Fatal(err)
			}
			r.header.Set("Svix-Id", deliveryID)
			r.header.Set("Svix-Timestamp", r.unix())
			r.header.Set("Svix-Signature", signed)
		},
		verify: func(secret string, r request) error {
			verifier, err := svix.NewWebhook(secret)
			if err != nil {
				return err
			}
			return verifier.Verify([]byte(r.body), r.header)
		},
	},
	"Standard Webhooks": {
		preset: "StandardWebhooks", signed: "Webhook-Signature", timed: true, identified: true,
		secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", another: "whsec_D2FVsBQIhrscChlQIMV+b5sSYspob7oD",
		contentType: "application/json", body: event, url: address,
		sign: func(t *testing.T, r request) {
			signer, err := standardwebhooks.NewWebhook(r.secret)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign(deliveryID, r.at, []byte(r.body))
			if err != nil {
				t.Fatal(err)
			}
			r.header.Set(standardwebhooks.HeaderWebhookID, deliveryID)
			r.header.Set(standardwebhooks.HeaderWebhookTimestamp, r.unix())
			r.header.Set(standardwebhooks.HeaderWebhookSignature, signed)
		},
		verify: func(secret string, r request) error {
			verifier, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				return err
			}
			return verifier.Verify([]byte(r.body), r.header)
		},
	},
	"Slack": {
		preset: "Slack", signed: "X-Slack-Signature", timed: true,
		secret: "8f742231b10e8888abcd99yyyzzz85a5", another: "8f742231b10e8888abcd99yyyzzz85a6",
		contentType: "application/json", body: event, url: address,
		sign: func(_ *testing.T, r request) {
			mac := hmac.New(sha256.New, []byte(r.secret))
			_, _ = io.WriteString(mac, "v0:"+r.unix()+":"+r.body) // never fails, see hash.Hash
			r.header.Set("X-Slack-Request-Timestamp", r.unix())
			r.header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
		},
		verify: func(secret string, r request) error {
			verifier, err := slack.NewSecretsVerifier(r.header, secret)
			if err != nil {
				return err
			}
			if _, err := verifier.Write([]byte(r.body)); err != nil {
				return err
			}
			return verifier.Ensure()
		},
	},
	"GitHub": {
		preset: "GitHub", signed: "X-Hub-Signature-256",
		secret: "It's a Secret to Everybody", another: "It's a Secret to Everyone",
		contentType: "application/json", body: event, url: address,
		sign: func(t *testing.T, r request) {
			r.header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
			r.header.Set("X-Hub-Signature-256", signWithNode(t, "GitHub", r))
		},
		verify: func(secret string, r request) error {
			return github.ValidateSignature(r.header.Get(github.SHA256SignatureHeader), []byte(r.body), []byte(secret))
		},
	},
	"Twilio, form": twilio("application/x-www-form-urlencoded; charset=UTF-8",
		"ToCountry=DE&Body=Zo%C3%AB+says+1%2B1%3D2%26more&From=%2B14155551234&MessageSid=SM0123456789abcdef&Empty=", address+"?tenant=a%20b"),
	"Twilio, JSON": twilio("application/json", event, address+"?bodySHA256="+digest(event)),
}

// stated is the URL of a trigger: what a form is signed behind has to be stated, query included.
func (p provider) stated() string {
	if strings.HasPrefix(p.contentType, "application/x-www-form-urlencoded") {
		return p.url
	}
	return address
}

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func twilio(contentType, body, to string) provider {
	return provider{
		preset: "Twilio", signed: "X-Twilio-Signature", located: true,
		secret: "12345678901234567890123456789012", another: "12345678901234567890123456789013",
		contentType: contentType, body: body, url: to,
		sign: func(t *testing.T, r request) {
			r.header.Set("X-Twilio-Signature", signWithNode(t, "Twilio", r))
		},
		verify: func(secret string, r request) error {
			validator := client.NewRequestValidator(secret)
			if !validator.ValidateBody(r.url, []byte(r.body), r.header.Get("X-Twilio-Signature")) {
				return errRefused
			}
			return nil
		},
	}
}

// TestSDKs sends what the SDKs sign to the webhook server, as it is and tampered with.
func TestSDKs(t *testing.T) {
	t.Parallel()
	type change = func(*request)
	all := func(provider) bool { return true }
	timed := func(p provider) bool { return p.timed }
	identified := func(p provider) bool { return p.identified }
	located := func(p provider) bool { return p.located }
	cases := map[string]struct {
		reason string
		// of says which providers it is for.
		of func(provider) bool
		// unsigned is what is different before it is signed, signed what is changed on the way.
		unsigned, signed func(provider) change
		// lenient are the presets whose Go SDK accepts what is refused here.
		lenient []string
		status  int
	}{
		"Genuine": {
			reason: "What the provider's SDK signs should be accepted, and stored byte for byte.",
			of:     all,
			status: http.StatusAccepted,
		},
		"BodyFirstByte": {
			reason: "The first byte should be signed.",
			of:     all,
			signed: func(provider) change { return func(r *request) { r.body = flip(r.body, 0) } },
			status: http.StatusUnauthorized,
		},
		"BodyInTheMiddle": {
			reason: "Each byte of a value should be signed.",
			of:     all,
			signed: func(provider) change { return func(r *request) { r.body = flip(r.body, strings.Index(r.body, "Zo")) } },
			status: http.StatusUnauthorized,
		},
		"BodyLonger": {
			reason: "The end of the body should be signed.",
			of:     all,
			signed: func(provider) change { return func(r *request) { r.body += "1" } },
			status: http.StatusUnauthorized,
		},
		"Signature": {
			reason: "One other character in the signature should make it another signature.",
			of:     all,
			signed: func(p provider) change {
				return func(r *request) {
					signed := r.header.Get(p.signed)
					r.header.Set(p.signed, flip(signed, len(signed)-5)) // before the padding of base64
				}
			},
			status: http.StatusUnauthorized,
		},
		"NoSignature": {
			reason: "The signature should not be optional.",
			of:     all,
			signed: func(p provider) change { return func(r *request) { r.header.Del(p.signed) } },
			status: http.StatusUnauthorized,
		},
		"AnotherSecret": {
			reason:   "What the SDK signs with another secret should be refused.",
			of:       all,
			unsigned: func(p provider) change { return func(r *request) { r.secret = p.another } },
			status:   http.StatusUnauthorized,
		},
		"Stale": {
			reason:   "A good signature should not be good for ever.",
			of:       timed,
			unsigned: func(provider) change { return func(r *request) { r.at = r.at.Add(-outside) } },
			status:   http.StatusUnauthorized,
		},
		"Future": {
			reason:   "A time ahead should not make a signature good for longer.",
			of:       timed,
			unsigned: func(provider) change { return func(r *request) { r.at = r.at.Add(outside) } },
			lenient:  []string{"Stripe"}, // looks for too old ones only
			status:   http.StatusUnauthorized,
		},
		"Time": {
			reason: "The time should be signed: nobody may freshen a request up.",
			of:     timed,
			signed: func(provider) change {
				return func(r *request) {
					later := *r
					later.at = r.at.Add(time.Second)
					replace(r.header, r.unix(), later.unix())
				}
			},
			status: http.StatusUnauthorized,
		},
		"ID": {
			reason: "A signed id should be: nobody may make another delivery of a request.",
			of:     identified,
			signed: func(provider) change {
				return func(r *request) { replace(r.header, deliveryID, flip(deliveryID, len(deliveryID)-1)) }
			},
			status: http.StatusUnauthorized,
		},
		"Query": {
			reason: "A signed URL should be so with its query.",
			of:     located,
			signed: func(provider) change { return func(r *request) { r.url += "&more=1" } },
			status: http.StatusUnauthorized,
		},
		"AnotherURL": {
			reason: "What was signed for another URL should not be accepted at this one.",
			of:     located,
			unsigned: func(provider) change {
				return func(r *request) { r.url = strings.Replace(r.url, "//hooks.", "//elsewhere.", 1) }
			},
			signed: func(p provider) change { return func(r *request) { r.url = p.url } },
			status: http.StatusUnauthorized,
		},
	}
	for name, p := range providers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, stored := serve(t, p)
			signed := func(t *testing.T, unsigned change) request {
				r := request{secret: p.secret, url: p.url, at: time.Now(), header: http.Header{}, body: p.body}
				r.header.Set("Content-Type", p.contentType)
				if unsigned != nil {
					unsigned(&r)
				}
				p.sign(t, r)
				return r
			}
			genuine := signed(t, nil)
			for name, tc := range cases {
				if !tc.of(p) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					r := genuine
					r.header = genuine.header.Clone()
					if tc.unsigned != nil {
						r = signed(t, tc.unsigned(p))
					}
					if tc.signed != nil {
						tc.signed(p)(&r)
					}
					status := send(t, server, r)
					if status != tc.status {
						t.Errorf("%s\nstatus %d, want %d", tc.reason, status, tc.status)
					}
					var want []string
					if tc.status == http.StatusAccepted {
						want = []string{r.body}
					}
					var payloads []string
					for _, d := range stored.Take() {
						payloads = append(payloads, string(d.Body))
					}
					if diff := cmp.Diff(want, payloads); diff != "" {
						t.Errorf("%s\npayloads of the stored runs (-want +got):\n%s", tc.reason, diff)
					}
					accepts := tc.status == http.StatusAccepted || slices.Contains(tc.lenient, p.preset)
					if err := p.verify(p.secret, r); (err == nil) != accepts {
						t.Errorf("%s\nthe Go SDK's verdict is %v; want it to accept: %v", tc.reason, err, accepts)
					}
				})
			}
		})
	}
}

// flip returns the text with another character at that place, which is as good a digit as any in
// hexadecimal and base64.
func flip(text string, at int) string {
	other := "a"
	if text[at] == 'a' {
		other = "b"
	}
	return text[:at] + other + text[at+1:]
}

// replace replaces a part of whatever header has it.
func replace(header http.Header, before, after string) {
	for _, values := range header {
		for i := range values {
			values[i] = strings.ReplaceAll(values[i], before, after)
		}
	}
}

// serve starts a webhook server with one route, of that provider.
func serve(t *testing.T, p provider) (*ingest.Server, *ingesttest.Memory) {
	t.Helper()
	preset, ok := signature.PresetByName(p.preset)
	if !ok {
		t.Fatalf("there is no preset %s", p.preset)
	}
	verifier, err := signature.NewVerifier(preset.Scheme, signature.Key{Name: "orders-webhook/secretKey", Secret: []byte(p.secret)})
	if err != nil {
		t.Fatal(err)
	}
	stored := new(ingesttest.Memory)
	server := ingesttest.Start(t, stored, []*route.Route{{Namespace: "default", Name: "orders", Flow: "import-orders", Verifier: verifier, PublicURL: p.stated()}}, nil)
	return server, stored
}

// send sends a request, as through a proxy that ends TLS, and returns the status of the answer.
func send(t *testing.T, server *ingest.Server, r request) int {
	t.Helper()
	to, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	to.Scheme, to.Host = "http", server.Address().String()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader([]byte(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	sent.Header = r.header
	answer, err := http.DefaultClient.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}
