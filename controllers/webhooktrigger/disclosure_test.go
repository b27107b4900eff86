/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// maxBits is how many bits the author of a trigger can learn about one entry of a Secret, as
// docs/security.md has it.
const maxBits = 8

// prefixes are the texts that a scheme may take off a Secret's.
var prefixes = []string{"whsec_", "whpk_", "v1,whsec_"}

// looks is all that the author of a trigger can learn about an entry of a Secret, as
// docs/security.md lists it. It is worked out here from the content, without the code that is
// tested.
type looks struct {
	there   string // "no Secret", "no entry", "blank", "too long"; and "a key", of which there is more to say
	newline bool   // it ends in one
	prefix  string // it begins with one of prefixes
	whole   reading
	rest    reading // of what follows the prefix
}

// reading is what a text can be, in three ways to read it.
type reading struct{ raw, hex, base64 string }

// appearance returns how an entry looks. content is nil for one that is not there.
func appearance(content []byte) looks {
	switch {
	case content == nil:
		return looks{there: "no entry"}
	case signature.Blank(content):
		return looks{there: "blank"}
	case len(content) > 4096:
		return looks{there: "too long"}
	}
	l := looks{there: "a key", whole: read(content)}
	last := content[len(content)-1]
	l.newline = last == '\n' || last == '\r'
	for _, prefix := range prefixes {
		if rest, ok := bytes.CutPrefix(content, []byte(prefix)); ok {
			l.prefix, l.rest = prefix, read(rest)
		}
	}
	return l
}

func read(text []byte) reading {
	r := reading{raw: size(text), hex: "not", base64: "not"}
	if len(bytes.TrimSpace(text)) != len(text) {
		r.hex, r.base64 = "blank at an end", "blank at an end"
		return r
	}
	if key, err := hex.DecodeString(string(text)); err == nil {
		r.hex = size(key)
	}
	if key, err := base64.StdEncoding.Strict().DecodeString(string(text)); err == nil && !bytes.ContainsAny(text, "\r\n") {
		r.base64 = size(key)
	}
	return r
}

// lowOrder are the public keys of Ed25519 that are none, but for the highest bit; ingest/signature
// has a test of why.
var lowOrder = []string{
	strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "ec" + strings.Repeat("ff", 30) + "7f", "ed" + strings.Repeat("ff", 30) + "7f", "ee" + strings.Repeat("ff", 30) + "7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}

// size is what there is to see of what a text stands for.
func size(key []byte) string {
	switch {
	case signature.Blank(key):
		return "blank"
	case len(key) < 16:
		return "shorter than 16 bytes"
	case len(key) != 32:
		return "other"
	}
	unsigned := bytes.Clone(key)
	unsigned[31] &= 0x7f
	if slices.Contains(lowOrder, hex.EncodeToString(unsigned)) {
		return "other"
	}
	return "32 bytes"
}

// contents returns what entries of Secrets may hold: every kind of text in every length that makes
// a difference, behind every prefix and with white space at every place, and at random what keys,
// certificates and passwords look like.
func contents(r *rand.Rand) [][]byte {
	const digits, letters = "0123456789abcdefABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	of := func(alphabet string, n int) []byte {
		text := make([]byte, n)
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		return text
	}
	noise := func(n int) []byte {
		key := make([]byte, n)
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		return key
	}
	var texts [][]byte
	for n := range 101 {
		if n > 70 && n < 85 {
			continue // nothing begins or ends there
		}
		key := noise(n)
		texts = append(texts,
			key, of(digits, n), of(letters, n), of("!?-_", n), bytes.Repeat([]byte{0}, n), bytes.Repeat([]byte("0"), n), bytes.Repeat([]byte("20"), n), bytes.Repeat([]byte("A"), n),
			[]byte(hex.EncodeToString(key)), []byte(base64.StdEncoding.EncodeToString(key)), []byte(base64.URLEncoding.EncodeToString(key)), []byte(base64.RawStdEncoding.EncodeToString(key)),
			[]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(" "), n))), append(bytes.Clone(key), 0, 0))
	}
	for _, point := range lowOrder {
		key, _ := hex.DecodeString(point)
		signed := bytes.Clone(key)
		signed[31] |= 0x80
		for _, key := range [][]byte{key, signed} {
			texts = append(texts, key, []byte(hex.EncodeToString(key)), []byte(base64.StdEncoding.EncodeToString(key)))
		}
	}
	for n := 4080; n <= 4100; n++ {
		texts = append(texts, noise(n), of(digits, n), of(letters, n))
	}
	all := [][]byte{nil, {}}
	for _, text := range texts {
		for _, prefix := range append(prefixes, "", "whsk_", "v1,") {
			with := append([]byte(prefix), text...)
			all = append(all, with)
			for _, blank := range []string{"\n", "\r\n", " ", "\u00a0"} {
				if r.IntN(12) == 0 {
					all = append(all, append(bytes.Clone(with), blank...), append([]byte(blank), with...), slices.Concat([]byte(prefix+blank), text))
				}
			}
			if cut := len(text) / 2; cut > 0 && r.IntN(6) == 0 {
				all = append(all, slices.Concat([]byte(prefix), text[:cut], []byte("\n"), text[cut:]))
			}
		}
	}
	for range 900 {
		key := noise(r.IntN(200))
		all = append(all, key, of(digits, r.IntN(200)), of(letters, r.IntN(200)), []byte(hex.EncodeToString(key)), []byte(base64.StdEncoding.EncodeToString(key)))
	}
	return all
}

// A choice is something that the author of a trigger sets.
type choice struct {
	name string
	set  func(*sluicev1alpha1.WebhookTriggerSpec)
}

// readings are the choices that differ in how they read a Secret: by each kind of algorithm, each
// encoding, and each prefix. The triggers are suspended, which makes them cheap: conditions say the
// same of a key.
func readings() []choice {
	all := schemes([]sluicev1alpha1.SignatureAlgorithm{"SHA-256", "Ed25519"}, []sluicev1alpha1.SecretEncoding{"Raw", "Hex", "Base64"}, append(prefixes, ""))
	for i, c := range all {
		all[i].set = func(spec *sluicev1alpha1.WebhookTriggerSpec) {
			c.set(spec)
			spec.State = sluicev1alpha1.TriggerSuspended
		}
	}
	return all
}

func schemes(algorithms []sluicev1alpha1.SignatureAlgorithm, encodings []sluicev1alpha1.SecretEncoding, prefixes []string) []choice {
	var all []choice
	for _, algorithm := range algorithms {
		for _, encoding := range encodings {
			for _, prefix := range prefixes {
				scheme := sluicev1alpha1.SignatureScheme{Algorithm: algorithm, SecretEncoding: encoding, SecretPrefix: sluicev1alpha1.SecretPrefix(prefix)}
				all = append(all, choice{fmt.Sprintf("%+v", scheme), func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.Algorithm, spec.Signature = "", scheme }})
			}
		}
	}
	return all
}

// choices are everything that an author can set and that could have to do with a Secret, one at a
// time, and some of what only another version of the CustomResourceDefinition lets through.
func choices() []choice {
	all := schemes([]sluicev1alpha1.SignatureAlgorithm{"SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-512", "RIPEMD-128", "RIPEMD-160", "Ed25519", "Token", "SHA-9000"},
		[]sluicev1alpha1.SecretEncoding{"", "Raw", "Hex", "Base64", "Base32"}, append(prefixes, "", "a", "0", "whsec", "whsec_0", "\n"))
	for _, algorithm := range signature.Algorithms() {
		all = append(all, choice{"algorithm " + string(algorithm), func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.Algorithm = sluicev1alpha1.Algorithm(algorithm) }})
	}
	for _, preset := range signature.Presets() {
		for _, url := range []string{"", testURL} {
			all = append(all, choice{"provider " + preset.Name + " " + url, func(spec *sluicev1alpha1.WebhookTriggerSpec) {
				spec.Algorithm, spec.Provider, spec.PublicURL = "", sluicev1alpha1.Provider(preset.Name), url
			}})
		}
	}
	for name, d := range map[string]sluicev1alpha1.Deduplication{
		"absent":     {},
		"Provider":   {Source: sluicev1alpha1.DeduplicateByProvider},
		"Header":     {Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Other-Id"},
		"SameHeader": {Source: sluicev1alpha1.DeduplicateByHeader},
		"Body":       {Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/id"}},
		"Signature":  {Source: sluicev1alpha1.DeduplicateBySignature},
		"None":       {Source: sluicev1alpha1.DeduplicateNone},
	} {
		all = append(all, choice{"deduplication " + name, func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.Deduplication = d }})
	}
	return append(all,
		choice{"Suspended", func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.State = sluicev1alpha1.TriggerSuspended }},
		choice{"no such state", func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.State = "Paused" }},
		choice{"no such Flow", func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.FlowRef.Name = "other" }},
		choice{"no such provider", func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.Algorithm, spec.Provider = "", "Nobody" }},
		choice{"verify token", func(spec *sluicev1alpha1.WebhookTriggerSpec) {
			spec.Algorithm, spec.Provider = "", "Meta"
			spec.Handshake.VerifyTokenRef, spec.SecretRef.Name = spec.SecretRef, "mine"
		}},
		choice{"verify token of a spec that is not accepted", func(spec *sluicev1alpha1.WebhookTriggerSpec) {
			spec.Algorithm, spec.Provider, spec.State = "", "Meta", "Paused"
			spec.Handshake.VerifyTokenRef, spec.SecretRef.Name = spec.SecretRef, "mine"
		}},
		choice{"no such status", func(spec *sluicev1alpha1.WebhookTriggerSpec) { spec.Response.Status = 42 }},
	)
}

// attempts are requests of somebody who has no key: unsigned, signed with another key, and signed
// as fits a public key that is none.
func attempts() []http.Header {
	const name = "X-Hmac-Hash" // of the schemes that a trigger describes
	foreign := sha256.Sum256([]byte("another key"))
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1
	return []http.Header{{}, {name: {hex.EncodeToString(foreign[:])}}, {name: {hex.EncodeToString(forged)}}}
}

// observed is all that the author of a trigger sees that refers to an entry with that content:
// conditions, whether requests get 503, and how they are refused otherwise. The entry is that of an
// additional key if the author has one of their own.
func observed(c choice, content []byte, additional bool) string {
	in := testSnapshot()
	in.Secrets["webhook"].Data = map[string][]byte{"other": []byte("x")}
	if content != nil {
		in.Secrets["webhook"].Data["secretKey"] = content
	}
	in.Secrets["mine"] = &corev1.Secret{Data: map[string][]byte{"secretKey": []byte(strings.Repeat("c0ffee0123456789", 4))}}
	c.set(&in.Trigger.Spec)
	if in.Trigger.Spec.FlowRef.Name != in.Flow.Name {
		in.Flow = nil
	}
	if additional {
		in.Trigger.Spec.AdditionalSecretRefs = []sluicev1alpha1.SecretKeyReference{in.Trigger.Spec.SecretRef}
		in.Trigger.Spec.SecretRef.Name = "mine"
	}
	got := Resolve(in)
	var b strings.Builder
	for _, c := range got.Conditions {
		b.WriteString(c.Type + " " + string(c.Status) + " " + c.Reason + ": " + c.Message + "\n")
	}
	b.WriteString(got.Route.Unavailable)
	if v := got.Route.Verifier; v != nil {
		fmt.Fprintln(&b, got.Route.Deduplicate, got.Route.Window)
		for _, headers := range attempts() {
			result, err := v.Verify(signature.Request{Method: http.MethodPost, Headers: headers}, []byte("{}"), time.Unix(1767225600, 0))
			fmt.Fprintln(&b, result, err)
		}
		fmt.Fprintln(&b, func() bool {
			question, ok := v.Asked("hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess")
			if !ok {
				return false
			}
			_, err := v.Reply(question)
			return err == nil
		}())
	}
	return b.String()
}

// outcome is what an author sees of an entry who tries all choices.
func outcome(all []choice, content []byte, positions ...bool) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range all {
		for _, additional := range positions {
			_, _ = io.WriteString(h, c.name+"\n"+observed(c, content, additional))
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// TestWhatATriggerTellsOfASecret counts what the author of a trigger can learn of a Secret, without
// the right to read it, by all that can be set in a trigger, and any number of changes to it. As
// what is seen follows from the spec and the Secret, an order of trying that depends on what was
// seen so far finds no more than this does.
func TestWhatATriggerTellsOfASecret(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same contents each time
	all := contents(r)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	t.Run("OfTheWaysToReadIt", func(t *testing.T) {
		t.Parallel()
		trials := readings()
		seen := map[looks][sha256.Size]byte{}
		example := map[looks][]byte{}
		outcomes := map[[sha256.Size]byte]bool{}
		for _, content := range all {
			is, got := appearance(content), outcome(trials, content, false)
			if was, ok := seen[is]; ok && was != got {
				t.Errorf("%q and %q look alike (%+v), and can be told apart", content, example[is], is)
			}
			seen[is], example[is] = got, content
			outcomes[got] = true
		}
		outcomes[outcome(trials, nil, false)] = true
		t.Logf("%d contents that look in %d ways, tried by %d schemes: %d outcomes", len(all), len(seen), len(trials), len(outcomes)+1) // and no Secret
		if len(all) < 20_000 || len(seen) < 100 || len(outcomes) < 50 {
			t.Errorf("too little was tried for that to mean anything")
		}
		if len(outcomes)+1 > 1<<maxBits {
			t.Errorf("%d outcomes are more than %d bits", len(outcomes)+1, maxBits)
		}
	})
	t.Run("OfEverythingElse", func(t *testing.T) {
		t.Parallel()
		few, everything := readings(), choices()
		seen := map[[sha256.Size]byte][sha256.Size]byte{}
		example := map[[sha256.Size]byte][]byte{}
		for _, content := range all[:60] {
			some, got := outcome(few, content, false), outcome(everything, content, false, true)
			if was, ok := seen[some]; ok && was != got {
				t.Errorf("%q and %q can be told apart by something else than how they are read", content, example[some])
			}
			seen[some], example[some] = got, content
		}
		t.Logf("%d choices, each for a trigger's key and for an additional one", len(everything))
	})
}

// TestGuessedPrefixes is the attack of somebody who may write triggers and read their status, but
// not read Secrets: a prefix of an odd number of hexadecimal digits leaves what can be decoded
// exactly if it is not there. Digit by digit, that once told all of a key.
func TestGuessedPrefixes(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdef"
	secret := strings.Repeat("c0ffee0123456789", 4)
	guess := func(stored, prefix string) []metav1.Condition {
		in := testSnapshot()
		in.Secrets["webhook"].Data["secretKey"] = []byte(stored)
		in.Trigger.Spec.Algorithm = ""
		in.Trigger.Spec.Signature = sluicev1alpha1.SignatureScheme{Algorithm: "Ed25519", SecretEncoding: "Hex", SecretPrefix: sluicev1alpha1.SecretPrefix(prefix)}
		return Resolve(in).Conditions
	}
	other := strings.Repeat("0123456789abcdef", 4)
	var known string
	for len(known) < len(secret) {
		before := len(known)
		for _, digit := range digits {
			prefix := known + string(digit)
			got := guess(secret, prefix)
			if diff := cmp.Diff(guess(other, prefix), got); diff != "" {
				t.Errorf("the prefix %q tells one key from another (-other +secret):\n%s", prefix, diff)
			}
			if strings.HasPrefix(secret, prefix) && cmp.Diff(guess(other, prefix), got) != "" {
				known = prefix
				break
			}
		}
		if len(known) == before {
			break
		}
	}
	if known != "" {
		t.Errorf("%d of %d digits were read: %s", len(known), len(secret), known)
	}
}
