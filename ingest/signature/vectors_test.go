/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// vector is a request of testdata/providers.json.
type vector struct {
	ID         string            `json:"id"`
	Provider   string            `json:"provider"`
	Method     string            `json:"method"`
	URL        string            `json:"url"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	BodyBase64 string            `json:"bodyBase64"`
	BodyRule   *struct {
		Length int `json:"length"`
		XOR    *struct {
			Index int  `json:"index"`
			Mask  byte `json:"mask"`
		} `json:"xor"`
	} `json:"bodyRule"`
	Secret string `json:"secret"`
	Now    int64  `json:"now"`
	Expect string `json:"expect"`
	Level  string `json:"level"`
	Why    string `json:"why"`

	stated bool // the trigger states the query
}

func (v vector) body(t testing.TB) []byte {
	t.Helper()
	switch {
	case v.BodyRule != nil:
		body := make([]byte, v.BodyRule.Length)
		for i := range body {
			body[i] = byte(31*i + 17*(i>>8) + 7)
		}
		if x := v.BodyRule.XOR; x != nil {
			body[x.Index] ^= x.Mask
		}
		return body
	case v.BodyBase64 != "":
		body, err := base64.StdEncoding.DecodeString(v.BodyBase64)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	return []byte(v.Body)
}

// request sets the headers without cleaning the values up, as http.Header.Set does too.
func (v vector) request() signature.Request {
	header := http.Header{}
	for name, value := range v.Headers {
		header.Set(name, value)
	}
	address, query, _ := strings.Cut(v.URL, "?")
	if v.stated {
		address = v.URL
	}
	return signature.Request{Method: v.Method, URL: address, Query: query, Headers: header}
}

// verify says "accept" or "reject".
func (v vector) verify(t testing.TB, scheme signature.Scheme) string {
	t.Helper()
	verifier, err := signature.NewVerifier(scheme, signature.Key{Name: "key", Secret: []byte(v.Secret)})
	if err != nil { // a key that can't be used accepts nothing
		return "reject"
	}
	now := time.Unix(v.Now, 0)
	request, body := v.request(), v.body(t)
	if _, err := verifyBothWays(t, verifier, request, body, now); err != nil {
		return "reject"
	}
	return "accept"
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/providers.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

// presetOf says which preset the vectors of a provider are for.
var presetOf = map[string]string{
	"adyen-header": "AdyenPlatform", "adyen-standard": "AdyenStandard", "asana": "Asana", "bitbucket": "Bitbucket",
	"docusign": "DocuSign", "dropbox": "Dropbox", "github": "GitHub", "gitlab-signing-token": "GitLab",
	"gitlab-token": "GitLabToken", "hubspot-v3": "HubSpot", "intercom": "Intercom", "linear": "Linear",
	"mailgun": "Mailgun", "meta": "Meta", "paddle": "Paddle", "pagerduty": "PagerDuty",
	"patchworks-sha256": "Patchworks", "quickbooks": "QuickBooks", "shopify": "Shopify",
	"slack": "Slack", "square": "Square", "standard-webhooks": "StandardWebhooks", "stripe": "Stripe", "svix": "Svix",
	"twilio": "Twilio", "typeform": "Typeform", "woocommerce": "WooCommerce", "xero": "Xero", "zoom": "Zoom",
}

func schemeOf(t testing.TB, provider string) signature.Scheme {
	t.Helper()
	if provider == "patchworks-ripemd128" {
		return signature.Scheme{Algorithm: signature.RIPEMD128}
	}
	preset, ok := signature.PresetByName(presetOf[provider])
	if !ok {
		t.Fatalf("no preset for the provider %q", provider)
	}
	return preset.Scheme
}

// deviations are the vectors that are decided otherwise than recommended. None of them is a must.
var deviations = map[string]string{
	"paddle-22-expired-by-1s": "the preset allows 5 minutes, because 5 seconds are said to refuse Paddle's own repetitions; the delivery id is signed",
}

// needStatedQuery are the vectors that are good only where the trigger states the query.
var needStatedQuery = map[string]string{
	"twilio-13-valid-unicode-parameters": "it begins with Body; Twilio's own requests have an AccountSid, which comes before that",
}

// inherent are the vectors that show what a scheme cannot see. All are accepted, as the scheme has
// it.
var inherent = map[string]string{
	"github-25-delivery-id-changed":             "the delivery id is not signed: Result.Signed is false",
	"gitlab-token-03-body-tampered-1-byte":      "a token signs nothing: Preset.Weak says so",
	"twilio-18-parameters-reencoded":            "decoded values are signed; deduplication on the signature would notice other bytes",
	"twilio-22-boundary-shifted":                "there are no separators: Preset.Weak says so",
	"mailgun-02-event-data-tampered":            "the event is not signed: deduplication on the token lets it happen once",
	"adyen-standard-11-unsigned-field-tampered": "eight fields are signed: Preset.Weak says so",
}

func TestProviderVectors(t *testing.T) {
	counts := map[string]int{}
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		want := v.Expect
		if _, ok := deviations[v.ID]; ok {
			if v.Level == "must" {
				t.Errorf("%s is a must: no deviation is allowed", v.ID)
			}
			want = map[string]string{"accept": "reject", "reject": "accept"}[want]
		}
		if _, ok := inherent[v.ID]; ok != (v.Level == "inherent") {
			t.Errorf("%s: the list of inherent vectors is not that of the file", v.ID)
		}
		seen[v.ID] = true
		counts[v.Level]++
		unstated := want
		if needStatedQuery[v.ID] != "" {
			unstated = "reject"
		}
		if got := v.verify(t, schemeOf(t, v.Provider)); got != unstated {
			t.Errorf("%s: got %s, want %s (%s: %s)", v.ID, got, unstated, v.Level, v.Why)
		}
		v.stated = true
		if got := v.verify(t, schemeOf(t, v.Provider)); got != want {
			t.Errorf("%s, with the query stated: got %s, want %s (%s: %s)", v.ID, got, want, v.Level, v.Why)
		}
	}
	for id := range deviations {
		if !seen[id] {
			t.Errorf("the deviation %s is no vector", id)
		}
	}
	if diff := cmp.Diff(map[string]int{"must": 571, "policy": 84, "inherent": 6}, counts); diff != "" {
		t.Errorf("vectors by level (-want +got):\n%s", diff)
	}
}

// TestOtherVectors has what providers have published for schemes that providers.json doesn't have.
func TestOtherVectors(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		preset string
		secret string
		header string
		value  string
		body   string
		now    int64
	}{
		"Notion": {
			reason: "Notion's first request is signed with the token in it",
			preset: "Notion", secret: "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
			header: "X-Notion-Signature", value: "sha256=461e8cbcba8a75c3edd866f0e71280f5a85cbf21eff040ebd10fe266df38a735",
			body: `{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}`,
		},
		"Mux": {
			reason: "a test of Mux's library",
			preset: "Mux", secret: "SuperSecret123",
			header: "Mux-Signature", value: "t=1591664030,v1=e43496b6aae982c4c2fd6f8e92935f1d90216f1f64d56024e72390acfb988272",
			body: "payload", now: 1591664030,
		},
		"Razorpay": {
			reason: "a test of Razorpay's libraries",
			preset: "Razorpay", secret: "123456",
			header: "X-Razorpay-Signature", value: "ee0a3edebeb4be41bafa3bc0a39069d7845a5c37760b863405049de80b5fe92d",
			body: "{a:1, b:2}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			preset, _ := signature.PresetByName(tc.preset)
			v := vector{ID: name, Headers: map[string]string{tc.header: tc.value}, Body: tc.body, Secret: tc.secret, Now: tc.now}
			if got := v.verify(t, preset.Scheme); got != "accept" {
				t.Errorf("%s: got %s, want accept", tc.reason, got)
			}
			v.Body += " "
			if got := v.verify(t, preset.Scheme); got != "reject" {
				t.Errorf("with another body: got %s, want reject", got)
			}
		})
	}
}

// TestForeignCredentials sends what is good for one preset to all the others, with the same secret.
func TestForeignCredentials(t *testing.T) {
	// Presets that share the header and all else can't tell each other's requests; with secrets of
	// their own they can.
	kin := map[string][]string{
		"GitLab":           {"StandardWebhooks", "Svix"},
		"StandardWebhooks": {"GitLab", "Svix"},
		"Bitbucket":        {"Jira"},
		"GitHub":           {"Meta"},
		"Meta":             {"GitHub"},
	}
	done := map[string]bool{}
	for _, v := range vectors(t) {
		if done[v.Provider] || v.Expect != "accept" || v.Level != "must" || v.Provider == "patchworks-ripemd128" {
			continue
		}
		done[v.Provider] = true
		from := presetOf[v.Provider]
		for _, to := range signature.Presets() {
			want := "reject"
			if to.Name == from || slices.Contains(kin[from], to.Name) {
				want = "accept"
			}
			if got := v.verify(t, to.Scheme); got != want {
				t.Errorf("%s sent to %s: got %s, want %s", v.ID, to.Name, got, want)
			}
		}
	}
	if len(done) != len(presetOf) {
		t.Errorf("%d providers, want %d", len(done), len(presetOf))
	}
}

// TestHMACVectors runs the published vectors of HMAC (RFC 2202, 2286, 4231) through a verifier.
func TestHMACVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/hmac.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Alg       string `json:"alg"`
			Case      string `json:"case"`
			KeyHex    string `json:"keyHex"`
			DataHex   string `json:"dataHex"`
			MACHex    string `json:"macHex"`
			Truncated int    `json:"truncatedToBytes"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	algorithms := map[string]signature.Algorithm{
		"sha1": signature.SHA1, "sha256": signature.SHA256, "sha384": signature.SHA384, "sha512": signature.SHA512,
		"ripemd128": signature.RIPEMD128, "ripemd160": signature.RIPEMD160,
	}
	counts := map[string]int{}
	for _, v := range file.Vectors {
		algorithm, ok := algorithms[v.Alg]
		key, keyErr := hex.DecodeString(v.KeyHex)
		body, bodyErr := hex.DecodeString(v.DataHex)
		if keyErr != nil || bodyErr != nil {
			t.Fatal(keyErr, bodyErr)
		}
		if !ok || v.Truncated != 0 || signature.Blank(key) { // truncation is not offered, and a blank key is refused
			continue
		}
		counts[v.Alg]++
		verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: algorithm}, signature.Key{Secret: key})
		if err != nil {
			t.Fatal(err)
		}
		headers := http.Header{signature.DefaultHeader: {v.MACHex}}
		if _, err := verifier.Verify(signature.Request{Headers: headers}, body, time.Time{}); err != nil {
			t.Errorf("%s, case %s: %v", v.Alg, v.Case, err)
		}
	}
	for name := range algorithms {
		if counts[name] < 5 { // each RFC has seven, of which case 1 has a key of vertical tabs, which is blank, and case 5 may be truncated
			t.Errorf("%s: only %d vectors", name, counts[name])
		}
	}
}
