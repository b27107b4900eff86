/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"slices"
	"time"
)

// A Preset is a Scheme with a provider's name, and what its users should know of it.
type Preset struct {
	// Name is what the API calls it.
	Name string
	// Scheme is the scheme. Scheme.SignsDeliveryID tells how far its delivery id can be trusted.
	Scheme Scheme
	// RetryHorizon is how long after the first attempt the provider may send a delivery again; zero
	// if it is not known.
	RetryHorizon time.Duration
	// Key says which of the provider's secrets is meant.
	Key string
	// Note is what a user has to do, or may wonder about; often empty.
	Note string
	// Weak says what the scheme leaves unprotected; empty if the whole body is signed with a time
	// or an id of its own, or at least as a whole.
	Weak string
	// Source is where the facts come from.
	Source string
}

// What several presets have in common.
var (
	// standardWebhooks is specification 1.0.0 of Standard Webhooks. The tolerance is that of its
	// libraries.
	standardWebhooks = Scheme{
		Algorithm:       SHA256,
		Headers:         []string{"webhook-signature"},
		ItemSeparator:   " ",
		FieldSeparator:  ",",
		SignatureFields: []string{"v1"},
		Encoding:        Base64,
		Template:        "{id}.{timestamp}.{body}",
		Timestamp:       Timestamp{Headers: []string{"webhook-timestamp"}, Tolerance: fiveMinutes},
		Secret:          Secret{StripPrefix: "whsec_", Encoding: SecretBase64},
		DeliveryID:      DeliveryID{Headers: []string{"webhook-id"}},
	}
	standardWebhooksHorizon = 75*time.Hour + 35*time.Minute
)

const (
	fiveMinutes = 5 * time.Minute

	unsignedID    = "The delivery id is not signed: it stops honest repetitions, but no replay with another id."
	jsonBehindURL = "Between the URL and the body nothing is signed, so only a body is accepted that begins with what no URL goes on with, as JSON does. If the URL has a query, state it in publicURL."
	noTimestamp   = "Neither a time nor an id is signed apart from the body: a copy of a request stays good for as long as the key."
)

// overBody is a scheme that signs the body alone, in hexadecimal digits.
func overBody(a Algorithm, header, prefix string, id DeliveryID) Scheme {
	return Scheme{Algorithm: a, Headers: []string{header}, Prefix: prefix, DeliveryID: id}
}

// overBodyBase64 is the same in base64.
func overBodyBase64(header string, id DeliveryID) Scheme {
	return Scheme{Algorithm: SHA256, Headers: []string{header}, Encoding: Base64, DeliveryID: id}
}

// listed is a scheme of one header with a list of the time and the signatures of "time.body", as
// "t=…,v1=…".
func listed(header, item, timestamp, field, join string, tolerance time.Duration, id DeliveryID) Scheme {
	return Scheme{
		Algorithm:       SHA256,
		Headers:         []string{header},
		ItemSeparator:   item,
		FieldSeparator:  "=",
		SignatureFields: []string{field},
		Template:        "{timestamp}" + join + "{body}",
		Timestamp:       Timestamp{Field: timestamp, Tolerance: tolerance},
		DeliveryID:      id,
	}
}

// An id in a header, in the body, and the signature as the id.
func inHeader(names ...string) DeliveryID  { return DeliveryID{Headers: names} }
func inBody(pointers ...string) DeliveryID { return DeliveryID{BodyPointers: pointers} }

// bySignature is for schemes that sign a time: two deliveries never share a signature, and an exact
// copy is found out. A repetition that is signed anew is not.
var bySignature = DeliveryID{Signature: true}

// presets is the table of providers, in alphabetical order.
var presets = []Preset{
	{
		Name:   "AdyenPlatform",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"HmacSignature"}, Encoding: Base64, Secret: Secret{Encoding: SecretHex}},
		Key:    "the webhook's HMAC key, in hexadecimal digits as shown",
		Note:   "For Adyen's platform, management and classic account webhooks, which have their signature in a header.",
		Weak:   noTimestamp,
		Source: "docs.adyen.com, Verify HMAC signatures; npm @adyen/api-library",
	},
	{
		Name: "AdyenStandard",
		Scheme: Scheme{
			Algorithm: SHA256, Encoding: Base64, Special: SpecialAdyen, Secret: Secret{Encoding: SecretHex},
			DeliveryID: inBody("/notificationItems/0/NotificationRequestItem/pspReference", "/notificationItems/0/NotificationRequestItem/eventCode", "/notificationItems/0/NotificationRequestItem/success"),
		},
		Key:  "the webhook's HMAC key, in hexadecimal digits as shown",
		Note: "For Adyen's payment webhooks, which have their signatures in the body.",
		Weak: "Only the reference, amount, event and success fields are signed; the rest of the body is not. Of these, only the merchant's reference may have colons. " +
			"Each item is signed by itself, so that captured ones can be put together anew.",
		Source: "docs.adyen.com, Verify HMAC signatures; npm @adyen/api-library",
	},
	{
		Name:   "Asana",
		Scheme: overBody(SHA256, "X-Hook-Signature", "", DeliveryID{}),
		Key:    "the X-Hook-Secret of the handshake",
		Note:   "Asana makes the secret during the handshake, so the handshake has to be answered elsewhere and its secret stored.",
		Weak:   noTimestamp,
		Source: "developers.asana.com, Webhooks; Asana/devrel-examples",
	},
	{
		Name:   "Bitbucket",
		Scheme: overBody(SHA256, "X-Hub-Signature", "sha256=", inHeader("X-Request-UUID", "X-Request-Id")),
		Key:    "the webhook's secret",
		Note:   "For Bitbucket Cloud and Data Center.",
		Weak:   unsignedID,
		Source: "support.atlassian.com, Manage webhooks",
	},
	{
		Name: "Box",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"BOX-SIGNATURE-PRIMARY", "BOX-SIGNATURE-SECONDARY"}, Encoding: Base64,
			Template:   "{body}{timestamp}",
			Timestamp:  Timestamp{Headers: []string{"BOX-DELIVERY-TIMESTAMP"}, Unit: RFC3339, Tolerance: 10 * time.Minute},
			DeliveryID: inHeader("BOX-DELIVERY-ID"),
		},
		Key:    "the primary signature key; the secondary one as an additional key",
		Weak:   unsignedID,
		Source: "developer.box.com, Verify webhooks; npm box-node-sdk",
	},
	{
		Name:   "CalCom",
		Scheme: overBody(SHA256, "X-Cal-Signature-256", "", DeliveryID{}),
		Key:    "the webhook's secret",
		Weak:   noTimestamp,
		Source: "triggerdotdev/trigger.dev, packages/core/src/v3/webhooks",
	},
	{
		Name:   "Calendly",
		Scheme: listed("Calendly-Webhook-Signature", ",", "t", "v1", ".", 3*time.Minute, bySignature),
		Key:    "the webhook subscription's signing key",
		Source: "developer.calendly.com, Webhook signatures, where the tolerance is 3 minutes",
	},
	{
		Name: "CircleCI",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"circleci-signature"}, ItemSeparator: ",", FieldSeparator: "=", SignatureFields: []string{"v1"},
			DeliveryID: inBody("/id"),
		},
		Key:    "the webhook's secret token",
		Source: "circleci.com/docs, Outbound webhooks",
	},
	{
		Name:   "CoinbaseCommerce",
		Scheme: overBody(SHA256, "X-CC-Webhook-Signature", "", inBody("/event/id")),
		Key:    "the webhook's shared secret",
		Source: "docs.cdp.coinbase.com, Commerce webhooks",
	},
	{
		Name: "Contentful",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"x-contentful-signature"}, Special: SpecialContentful,
			Timestamp:  Timestamp{Headers: []string{"x-contentful-timestamp"}, Unit: Milliseconds, Tolerance: 30 * time.Second},
			DeliveryID: inHeader("X-Contentful-Idempotency-Key"),
		},
		Key:    "the request verification secret",
		Note:   "The webhook's URL must have no query.",
		Weak:   unsignedID,
		Source: "npm @contentful/node-apps-toolkit, src/requests, where the tolerance is 30 seconds",
	},
	{
		Name: "Discord",
		Scheme: Scheme{
			Algorithm: Ed25519, Headers: []string{"X-Signature-Ed25519"}, Template: "{timestamp}{body}",
			Timestamp:  Timestamp{Headers: []string{"X-Signature-Timestamp"}, Tolerance: fiveMinutes},
			Secret:     Secret{Encoding: SecretHex},
			DeliveryID: inBody("/id"),
			Handshake:  HandshakeDiscord,
		},
		Key: "the application's public key, in hexadecimal digits as shown",
		Note: "For interactions and for webhook events, which differ in what a PING is and in what they want back: Discord expects 204 with no body for a webhook event, " +
			"so set `response.status` to 204 for those. A webhook event has no id, so that one that Discord repeats, for up to 10 minutes, becomes two FlowRuns. " +
			"The tolerance is not Discord's, which names none.",
		Source: "docs.discord.com, Interactions overview, Receiving and responding, Webhook events; npm discord-interactions",
	},
	{
		Name:   "DocuSign",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"X-DocuSign-Signature-"}, NumberedHeaders: true, Encoding: Base64},
		Key:    "the Connect HMAC key, as text although it looks like base64",
		Weak:   noTimestamp,
		Source: "developers.docusign.com, HMAC with Connect; docusign/code-examples-node",
	},
	{
		Name:   "Dropbox",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"X-Dropbox-Signature"}, Handshake: HandshakeDropbox},
		Key:    "the app secret",
		Note:   "Two deliveries can be equal to the byte, so that there is nothing to tell a repetition by.",
		Weak:   noTimestamp,
		Source: "developers.dropbox.com, Webhooks; dropbox/mdwebhook",
	},
	{
		Name:   "ElevenLabs",
		Scheme: listed("ElevenLabs-Signature", ",", "t", "v0", ".", 30*time.Minute, bySignature),
		Key:    "the webhook's secret",
		Source: "triggerdotdev/trigger.dev, packages/core/src/v3/webhooks; hookdeck/webhook-skills",
	},
	{
		Name:   "Forgejo",
		Scheme: overBody(SHA256, "X-Forgejo-Signature", "", inHeader("X-Forgejo-Delivery")),
		Key:    "the webhook's secret",
		Weak:   unsignedID,
		Source: "forgejo.org/docs, Webhooks",
	},
	{
		Name:   "Gitea",
		Scheme: overBody(SHA256, "X-Gitea-Signature", "", inHeader("X-Gitea-Delivery")),
		Key:    "the webhook's secret",
		Weak:   unsignedID,
		Source: "docs.gitea.com, Webhooks",
	},
	{
		Name:         "GitHub",
		Scheme:       overBody(SHA256, "X-Hub-Signature-256", "sha256=", inHeader("X-GitHub-Delivery")),
		RetryHorizon: 72 * time.Hour,
		Key:          "the webhook's secret",
		Note:         "GitHub never repeats a delivery by itself; a person can, for three days, under the same id.",
		Weak:         unsignedID,
		Source:       "docs.github.com, Validating webhook deliveries, Handling failed webhook deliveries",
	},
	{
		Name:   "GitLab",
		Scheme: standardWebhooks,
		Key:    "the webhook's signing token, with whsec_",
		Note:   "Needs a GitLab that has signing tokens; for the older secret token there is GitLabToken.",
		Source: "gitlab.com/gitlab-org/gitlab, merge requests 230944 and 231325",
	},
	{
		Name:   "GitLabToken",
		Scheme: Scheme{Algorithm: Token, Headers: []string{"X-Gitlab-Token"}, DeliveryID: inHeader("Idempotency-Key")},
		Key:    "the webhook's secret token",
		Weak:   "Nothing is signed: the token says who sends, and nothing of what. Use signing tokens (GitLab) if yours has them.",
		Source: "docs.gitlab.com, Webhooks",
	},
	{
		Name:   "Hookdeck",
		Scheme: overBodyBase64("x-hookdeck-signature", DeliveryID{}),
		Key:    "the project's signing secret",
		Weak:   noTimestamp,
		Source: "hookdeck/webhook-skills",
	},
	{
		Name: "HubSpot",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"X-HubSpot-Signature-v3"}, Encoding: Base64, Special: SpecialHubSpot,
			Timestamp:  Timestamp{Headers: []string{"X-HubSpot-Request-Timestamp"}, Unit: Milliseconds, Tolerance: fiveMinutes},
			DeliveryID: bySignature,
		},
		Key:    "the app's client secret",
		Weak:   jsonBehindURL,
		Note:   "For version 3 of the signature. A delivery can hold many events, and their eventId is not unique, so the signature is the delivery id.",
		Source: "developers.hubspot.com, Validating requests",
	},
	{
		Name:   "Intercom",
		Scheme: overBody(SHA1, "X-Hub-Signature", "sha1=", inBody("/id")),
		Key:    "the app's client secret",
		Source: "developers.intercom.com, Signed notifications",
	},
	{
		Name:   "Jira",
		Scheme: overBody(SHA256, "X-Hub-Signature", "sha256=", inHeader("X-Atlassian-Webhook-Identifier")),
		Key:    "the webhook's secret",
		Weak:   unsignedID,
		Source: "developer.atlassian.com, Jira Cloud webhooks",
	},
	{
		Name: "Linear",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"Linear-Signature"},
			Timestamp:  Timestamp{BodyPointer: "/webhookTimestamp", Unit: Milliseconds, Tolerance: time.Minute},
			DeliveryID: inHeader("Linear-Delivery"),
		},
		Key:    "the webhook's signing secret",
		Weak:   unsignedID,
		Source: "linear.app/developers/webhooks; npm @linear/sdk, where the tolerance is a minute",
	},
	{
		Name: "Mailgun",
		Scheme: Scheme{
			Algorithm: SHA256, Special: SpecialMailgun,
			Timestamp:  Timestamp{BodyPointer: "/signature/timestamp", Tolerance: fiveMinutes},
			DeliveryID: inBody("/signature/token"),
		},
		Key:    "the HTTP webhook signing key",
		Note:   "The tolerance is not Mailgun's, which warns against a tight one and names none.",
		Weak:   "Only a time and a token are signed, not the event: whoever sees a request can send another event with them once.",
		Source: "documentation.mailgun.com, Securing webhooks; mailgun-go",
	},
	{
		Name:   "Meta",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"X-Hub-Signature-256"}, Prefix: "sha256=", Handshake: HandshakeMeta},
		Key:    "the app secret",
		Note: "For Facebook, Instagram, WhatsApp. Make up a verify token (`openssl rand -hex 32`), store it without a newline, name it in `handshake.verifyTokenRef`, and give it to Meta. " +
			"It signs nothing. Without it the handshake is not answered; deliveries are accepted all the same.",
		Weak:   noTimestamp,
		Source: "developers.facebook.com, Webhooks: Getting started",
	},
	{
		Name:   "Mux",
		Scheme: listed("Mux-Signature", ",", "t", "v1", ".", fiveMinutes, inBody("/id")),
		Key:    "the webhook's signing secret",
		Source: "docs.mux.com, Verify webhook signatures",
	},
	{
		Name:   "Nexus",
		Scheme: overBody(SHA1, "X-Nexus-Webhook-Signature", "", DeliveryID{}),
		Key:    "the webhook capability's secret key",
		Weak:   noTimestamp,
		Source: "help.sonatype.com, Webhooks; fluxcd/notification-controller",
	},
	{
		Name:   "Notion",
		Scheme: overBody(SHA256, "X-Notion-Signature", "sha256=", inBody("/id")),
		Key:    "the verification_token of the first request",
		Note:   "Notion sends the secret in a first request, signed with itself, which has to be received elsewhere and its token stored.",
		Source: "developers.notion.com, Webhooks",
	},
	{
		Name:         "Paddle",
		Scheme:       listed("Paddle-Signature", ";", "ts", "h1", ":", fiveMinutes, inBody("/event_id")),
		RetryHorizon: 72 * time.Hour,
		Key:          "the notification destination's secret key",
		Note:         "For Paddle Billing. Paddle's libraries allow 5 seconds, which is said to refuse Paddle's own repetitions; as the delivery id is signed, 5 minutes let no replay in.",
		Source:       "developer.paddle.com, Signature verification; npm @paddle/paddle-node-sdk",
	},
	{
		Name: "PagerDuty",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"X-PagerDuty-Signature"}, ItemSeparator: ",", FieldSeparator: "=", SignatureFields: []string{"v1"},
			DeliveryID: inBody("/event/id"),
		},
		Key:    "the webhook subscription's signing secret",
		Source: "developer.pagerduty.com, Verifying webhook signatures; go-pagerduty",
	},
	{
		Name:   "Patchworks",
		Scheme: Scheme{Algorithm: SHA256},
		Key:    "the secret key",
		Note:   "For RIPEMD-128, leave the provider out and set the algorithm: the scheme is Sluice's default.",
		Weak:   noTimestamp,
		Source: "doc.wearepatchworks.com, Using HMAC-verified webhooks",
	},
	{
		Name:   "QuickBooks",
		Scheme: overBodyBase64("intuit-signature", DeliveryID{}),
		Key:    "the verifier token",
		Weak:   noTimestamp,
		Source: "developer.intuit.com, Webhooks",
	},
	{
		Name:   "Razorpay",
		Scheme: overBody(SHA256, "X-Razorpay-Signature", "", inHeader("X-Razorpay-Event-Id")),
		Key:    "the webhook's secret",
		Weak:   unsignedID,
		Source: "razorpay.com/docs/webhooks/validate-test",
	},
	{
		Name:   "Sentry",
		Scheme: overBody(SHA256, "Sentry-Hook-Signature", "", inHeader("Request-ID")),
		Key:    "the integration's client secret",
		Weak:   unsignedID,
		Source: "docs.sentry.io, Integration platform webhooks",
	},
	{
		Name:         "Shopify",
		Scheme:       overBodyBase64("X-Shopify-Hmac-Sha256", inHeader("X-Shopify-Webhook-Id")),
		RetryHorizon: 4 * time.Hour,
		Key:          "the app's client secret, or the key that the admin shows for its own webhooks",
		Weak:         unsignedID,
		Source:       "shopify.dev, Verify deliveries; changelog of 2024-09-10",
	},
	{
		Name: "Slack",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"X-Slack-Signature"}, Prefix: "v0=", Template: "v0:{timestamp}:{body}",
			Timestamp:  Timestamp{Headers: []string{"X-Slack-Request-Timestamp"}, Tolerance: fiveMinutes},
			DeliveryID: inBody("/event_id"),
			Handshake:  HandshakeSlack,
		},
		RetryHorizon: 6 * time.Minute,
		Key:          "the app's signing secret",
		Source:       "api.slack.com/authentication/verifying-requests-from-slack",
	},
	{
		Name:   "Square",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"x-square-hmacsha256-signature"}, Encoding: Base64, Template: "{url}{body}", DeliveryID: inBody("/event_id")},
		Key:    "the webhook subscription's signature key",
		Weak:   jsonBehindURL,
		Source: "developer.squareup.com, Verify and validate an event notification",
	},
	{
		Name:         "StandardWebhooks",
		Scheme:       standardWebhooks,
		RetryHorizon: standardWebhooksHorizon,
		Key:          "the endpoint's secret, with or without whsec_",
		Note:         "For all who follow the specification, such as OpenAI and Replicate.",
		Source:       "standard-webhooks/standard-webhooks, spec/standard-webhooks.md",
	},
	{
		Name: "StandardWebhooksEd25519",
		Scheme: func() Scheme {
			s := standardWebhooks
			s.Algorithm, s.SignatureFields = Ed25519, []string{"v1a"}
			s.Secret.StripPrefix = "whpk_"
			return s
		}(),
		RetryHorizon: standardWebhooksHorizon,
		Key:          "the endpoint's public key, with or without whpk_",
		Source:       "standard-webhooks/standard-webhooks, spec/standard-webhooks.md",
	},
	{
		Name:         "Stripe",
		Scheme:       listed("Stripe-Signature", ",", "t", "v1", ".", fiveMinutes, inBody("/id")),
		RetryHorizon: 72 * time.Hour,
		Key:          "the endpoint's signing secret, whsec_ included",
		Source:       "docs.stripe.com, Webhook signatures; stripe-go",
	},
	{
		Name: "Svix",
		Scheme: func() Scheme {
			s := standardWebhooks
			s.Headers = []string{"svix-signature", "webhook-signature"}
			s.Timestamp.Headers = []string{"svix-timestamp", "webhook-timestamp"}
			s.DeliveryID = inHeader("svix-id", "webhook-id")
			return s
		}(),
		RetryHorizon: 27*time.Hour + 36*time.Minute,
		Key:          "the endpoint's signing secret, with or without whsec_",
		Note:         "For all who send with Svix, such as Clerk and Resend.",
		Source:       "docs.svix.com, Verifying payloads; npm svix",
	},
	{
		Name:   "Twilio",
		Scheme: Scheme{Algorithm: SHA1, Headers: []string{"X-Twilio-Signature"}, Encoding: Base64, Special: SpecialTwilio, DeliveryID: inHeader("I-Twilio-Idempotency-Token")},
		Key:    "the account's auth token",
		Weak: "Between a form's names and values nothing is signed, so that a character can move from one to the next. Nor is anything between the URL and the form: " +
			"only a form is accepted whose first name, sorted, begins with a capital letter, or is AccountSid or CallSid behind a query that publicURL does not state; " +
			"and the end of such a query that has AccountSidAC or CallSidCA in it can be sent as a form. " +
			"Give Twilio no two URLs of which one is the other, queries included, and more that begins with a capital letter. " + unsignedID,
		Note: "Applications may name parameters of their own as they like, but for the one that sorts first. If the URL has a query, state it in publicURL: " +
			"one that is not stated is refused (`query ambiguous`) if it has `{`, `[`, `|` or another character that has to be encoded in a query.",
		Source: "twilio.com/docs/usage/webhooks/webhooks-security; twilio-go",
	},
	{
		Name:   "Typeform",
		Scheme: Scheme{Algorithm: SHA256, Headers: []string{"Typeform-Signature"}, Prefix: "sha256=", Encoding: Base64, DeliveryID: inBody("/event_id")},
		Key:    "the webhook's secret",
		Source: "typeform.com/developers/webhooks/secure-your-webhooks",
	},
	{
		Name:         "Vercel",
		Scheme:       overBody(SHA1, "x-vercel-signature", "", inBody("/id")),
		RetryHorizon: 24 * time.Hour,
		Key:          "the webhook's secret, or the integration's client secret",
		Source:       "vercel.com/docs/webhooks; hookdeck/webhook-skills",
	},
	{
		Name: "Webflow",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"x-webflow-signature"}, Template: "{timestamp}:{body}",
			Timestamp:  Timestamp{Headers: []string{"x-webflow-timestamp"}, Unit: Milliseconds, Tolerance: fiveMinutes},
			DeliveryID: bySignature,
		},
		Key:    "the OAuth application's client secret",
		Note:   "Only webhooks that an OAuth application has made are signed.",
		Source: "developers.webflow.com, Webhook signatures",
	},
	{
		Name:   "WooCommerce",
		Scheme: overBodyBase64("X-WC-Webhook-Signature", inHeader("X-WC-Webhook-Delivery-ID")),
		Key:    "the webhook's secret",
		Note:   "WooCommerce sends an unsigned ping when a webhook is saved. It is refused, which does no harm.",
		Weak:   unsignedID,
		Source: "woocommerce/woocommerce, class-wc-webhook.php",
	},
	{
		Name: "WorkOS",
		Scheme: func() Scheme {
			s := listed("WorkOS-Signature", ",", "t", "v1", ".", fiveMinutes, inBody("/id"))
			s.Timestamp.Unit = Milliseconds
			return s
		}(),
		Key:    "the endpoint's signing secret",
		Source: "triggerdotdev/trigger.dev, packages/core/src/v3/webhooks",
	},
	{
		Name:   "Xero",
		Scheme: overBodyBase64("x-xero-signature", DeliveryID{}),
		Key:    "the webhook's signing key, as text although it looks like base64",
		Note:   "Xero insists on 200 with an empty body, and on 401 with an empty body for a wrong signature, within 5 seconds: override the response.",
		Weak:   noTimestamp,
		Source: "developer.xero.com, Configuring your server",
	},
	{
		Name: "Zendesk",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"X-Zendesk-Webhook-Signature"}, Encoding: Base64, Template: "{timestamp}{body}",
			Timestamp:  Timestamp{Headers: []string{"X-Zendesk-Webhook-Signature-Timestamp"}, Unit: RFC3339, Tolerance: fiveMinutes},
			DeliveryID: inHeader("X-Zendesk-Webhook-Invocation-Id"),
		},
		Key:    "the webhook's signing secret, as text although it looks like base64",
		Note:   "The tolerance is not Zendesk's, which names none.",
		Weak:   unsignedID,
		Source: "developer.zendesk.com, Verifying webhooks",
	},
	{
		Name: "Zoom",
		Scheme: Scheme{
			Algorithm: SHA256, Headers: []string{"x-zm-signature"}, Prefix: "v0=", Template: "v0:{timestamp}:{body}",
			Timestamp:  Timestamp{Headers: []string{"x-zm-request-timestamp"}, Tolerance: fiveMinutes},
			DeliveryID: bySignature,
			Handshake:  HandshakeZoom,
		},
		Key:    "the app's secret token",
		Note:   "The tolerance is not Zoom's, which names none.",
		Source: "developers.zoom.us, Using webhooks; zoom/webhook-sample",
	},
}

// Presets returns all presets in alphabetical order. They are not to be changed.
func Presets() []Preset { return slices.Clone(presets) }

// PresetByName returns the preset of that name.
func PresetByName(name string) (Preset, bool) {
	for i := range presets {
		if presets[i].Name == name {
			return presets[i], true
		}
	}
	return Preset{}, false
}
