/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command providers writes the page of the documentation that lists the presets of package
// signature. Its argument is the name of the file.
package main

//go:generate go run . ../../docs/providers.md

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

//go:embed providers.md.tmpl
var page string

const (
	// width is the longest line of a list.
	width = 120
	// none stands in a table for what there is not.
	none = "–"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: providers FILE")
		os.Exit(2)
	}
	text, err := render(signature.Presets())
	if err == nil {
		err = os.WriteFile(os.Args[1], text, 0o644) //nolint:gosec // a page for all to read
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "providers:", err)
		os.Exit(1)
	}
}

// render returns the page.
func render(presets []signature.Preset) ([]byte, error) {
	t, err := template.New("page").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	rows := make([]row, len(presets))
	for i := range presets {
		rows[i] = newRow(&presets[i])
	}
	for _, name := range slices.Sorted(maps.Keys(extras)) {
		if !slices.ContainsFunc(presets, func(p signature.Preset) bool { return p.Name == name }) {
			return nil, fmt.Errorf("there is no preset %q for the extra lines", name)
		}
	}
	var text bytes.Buffer
	if err := t.Execute(&text, rows); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return text.Bytes(), nil
}

// A row is what the template needs of a preset.
type row struct {
	Name, Anchor string
	// These are the cells of the table.
	Headers, Signature, Signed, Time, DeliveryID, Retries string
	// Facts are the items of the list, wrapped.
	Facts   []string
	Trigger string
}

// extras are the lines of a trigger's spec besides those that every trigger has.
var extras = map[string]string{
	"Meta": `  handshake:
    verifyTokenRef:
      name: meta-webhook
      key: verifyToken
`,
	"Box": `  additionalSecretRefs:
    - name: box-webhook
      key: secondary
`,
	"Slack": `  response:
    status: 200
`,
	"Xero": `  response:
    status: 200
    unauthorizedBody: Empty
`,
}

// special says in words what no template can.
var special = map[signature.Special]string{
	signature.SpecialTwilio:     "URL and sorted form parameters",
	signature.SpecialAdyen:      "eight fields of each item",
	signature.SpecialMailgun:    "time and token in the body",
	signature.SpecialContentful: "method, path, listed headers, body",
	signature.SpecialHubSpot:    "`{method}{url}{body}{timestamp}`, with some characters of the URL decoded",
}

// handshakes says how a provider makes sure that somebody is there.
var handshakes = map[signature.Handshake]string{
	signature.HandshakeSlack:   "a signed POST of type `url_verification`, whose challenge is answered",
	signature.HandshakeZoom:    "a signed POST of `endpoint.url_validation`, whose token is answered together with its HMAC, if it is in letters, digits, `-`, `_`, `+` and `/`",
	signature.HandshakeDiscord: "a signed POST of a PING: of interactions, with `type` 1, which is answered with `{\"type\":1}`, or of webhook events, with `type` 0 and no `event`, which is answered with 204. An event, which has `type` 1 and `event`, is a delivery",
	signature.HandshakeMeta:    "a GET with `hub.challenge`, which is answered if `hub.verify_token` is the one of `handshake.verifyTokenRef`, and with 403 otherwise",
	signature.HandshakeDropbox: "a GET with `challenge`, which is answered to whoever asks",
}

var encodings = map[signature.Encoding]string{"": "hexadecimal", signature.Hex: "hexadecimal", signature.Base64: "base64", signature.Base64URL: "base64url"}

var units = map[signature.Unit]string{"": "seconds", signature.Seconds: "seconds", signature.Milliseconds: "milliseconds", signature.RFC3339: "RFC 3339"}

func newRow(p *signature.Preset) row {
	s := &p.Scheme
	r := row{
		Name: p.Name, Anchor: strings.ToLower(p.Name),
		Headers: headers(s), Signature: written(s), Signed: signed(s), Time: none, DeliveryID: none, Retries: none,
	}
	fact := func(name, text string) {
		if text != "" {
			r.Facts = append(r.Facts, wrap("- **"+name+"**: "+strings.TrimSuffix(text, ".")+"."))
		}
	}
	fact("Key", p.Key)
	fact("Signature", form(s))
	fact("Signed", r.Signed)
	if tolerance := s.Timestamp.Tolerance; tolerance > 0 {
		r.Time = span(tolerance)
		fact("Time", fmt.Sprintf("%s, in %s, at most %s from now", place(s.Timestamp), units[s.Timestamp.Unit], r.Time))
	}
	if id := deliveryID(s); id != "" {
		under := ""
		if !s.SignsDeliveryID() {
			under = ", **not signed**"
		}
		r.DeliveryID = id + under
		fact("Delivery id", r.DeliveryID)
	} else {
		fact("Delivery id", "none, so that every request becomes a FlowRun")
	}
	if p.RetryHorizon > 0 {
		r.Retries = span(p.RetryHorizon)
		fact("Retries", "up to "+r.Retries+" after the first attempt")
	}
	fact("Handshake", handshakes[s.Handshake])
	fact("Weakness", p.Weak)
	fact("Note", p.Note)
	fact("Source", p.Source)

	name := strings.ToLower(p.Name)
	r.Trigger = fmt.Sprintf("apiVersion: sluice.dev/v1alpha1\nkind: WebhookTrigger\nmetadata:\n  name: %s\nspec:\n"+
		"  flowRef:\n    name: import\n  provider: %s\n  secretRef:\n    name: %s-webhook\n    key: key\n", name, p.Name, name)
	if s.NeedsURL() {
		r.Trigger += "  publicURL: https://hooks.example.com/hooks/default/" + name + " # as it is configured there\n"
	}
	r.Trigger += extras[p.Name]
	return r
}

func headers(s *signature.Scheme) string {
	names := s.Headers
	switch {
	case s.Special == signature.SpecialAdyen || s.Special == signature.SpecialMailgun:
		return "in the body"
	case len(names) == 0:
		names = []string{"X-HMAC-HASH"}
	}
	text := spans(names, " or ")
	if s.NumberedHeaders {
		text += " and a number"
	}
	return text
}

// written says in a few words how a signature is made and written.
func written(s *signature.Scheme) string {
	if s.Algorithm == signature.Token {
		return "none: a token"
	}
	return fmt.Sprintf("%s, %s", s.Algorithm, encodings[s.Encoding])
}

// form says where a signature stands and what it looks like.
func form(s *signature.Scheme) string {
	what := "HMAC-" + string(s.Algorithm)
	switch s.Algorithm {
	case signature.Token:
		return "none; " + headers(s) + " holds the key itself"
	case signature.Ed25519:
		what = "Ed25519"
	default:
	}
	text := fmt.Sprintf("%s in %s, in %s", what, encodings[s.Encoding], strings.TrimPrefix(headers(s), "in "))
	if s.Prefix != "" {
		text += fmt.Sprintf(", behind `%s`", s.Prefix)
	}
	if s.FieldSeparator != "" {
		item := s.SignatureFields[0] + s.FieldSeparator + "…"
		if s.Timestamp.Field != "" {
			item = s.Timestamp.Field + s.FieldSeparator + "…" + s.ItemSeparator + item
		}
		text += fmt.Sprintf(", written `%s`", item)
	}
	return text
}

func signed(s *signature.Scheme) string {
	switch {
	case s.Special != "":
		return special[s.Special]
	case s.Algorithm == signature.Token:
		return "nothing"
	case s.Template == "":
		return "`{body}`"
	}
	return "`" + s.Template + "`"
}

// place says where a timestamp stands.
func place(t signature.Timestamp) string {
	switch {
	case t.Field != "":
		return fmt.Sprintf("item `%s` of the header", t.Field)
	case t.BodyPointer != "":
		return fmt.Sprintf("`%s` in the body", t.BodyPointer)
	}
	return spans(t.Headers, " or ")
}

func deliveryID(s *signature.Scheme) string {
	switch id := s.DeliveryID; {
	case len(id.Headers) > 0:
		return spans(id.Headers, " or ")
	case len(id.BodyPointers) > 0:
		return spans(id.BodyPointers, " and ") + " in the body"
	case id.Signature:
		return "the signature itself"
	}
	return ""
}

// spans joins code spans.
func spans(texts []string, separator string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = "`" + text + "`"
	}
	return strings.Join(quoted, separator)
}

// span writes a duration as people do.
func span(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+" "+unit.name)
			d %= unit.length
		}
	}
	return strings.Join(parts, " ")
}

// wrap breaks an item of a list into lines.
func wrap(text string) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = "  " + word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}
