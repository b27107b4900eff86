/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // An algorithm that is offered.
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ripemd160" //nolint:staticcheck,gosec // An algorithm that is offered.

	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// signer makes requests as a sender would. It shares nothing with the verifier, or with
// signature.Signer, but the description of the scheme, and it knows just those that have a
// template. Both are held against it, so it must stay as it is: by itself.
type signer struct {
	scheme signature.Scheme
	stored []byte             // the secret as it is stored
	key    []byte             // what is signed with
	sign   ed25519.PrivateKey // instead of key
	now    time.Time
	id     string
	method string
	url    string
	text   string // the timestamp, if not that of now
}

func (s signer) timestamp() string {
	if s.text != "" {
		return s.text
	}
	switch s.scheme.Timestamp.Unit {
	case signature.Milliseconds:
		return strconv.FormatInt(s.now.UnixMilli(), 10)
	case signature.RFC3339:
		return s.now.UTC().Format(time.RFC3339)
	default:
		return strconv.FormatInt(s.now.Unix(), 10)
	}
}

func (s signer) content(body []byte) []byte {
	if s.scheme.Template == "" {
		return body
	}
	// The body is last in what is replaced, so that nothing in it is.
	text := strings.NewReplacer("{{", "{", "}}", "}", "{timestamp}", s.timestamp(), "{id}", s.id, "{method}", s.method, "{url}", s.url, "{body}", string(body))
	return []byte(text.Replace(s.scheme.Template))
}

// mac returns the signature of the content.
func (s signer) mac(content []byte) []byte {
	newHash := map[signature.Algorithm]func() hash.Hash{
		signature.SHA1: sha1.New, signature.SHA256: sha256.New, signature.SHA384: sha512.New384, signature.SHA512: sha512.New,
		signature.SHA3256: func() hash.Hash { return sha3.New256() }, signature.SHA3512: func() hash.Hash { return sha3.New512() },
		signature.RIPEMD128: ripemd128.New, signature.RIPEMD160: ripemd160.New,
	}[s.scheme.Algorithm]
	if newHash == nil {
		return ed25519.Sign(s.sign, content)
	}
	h := hmac.New(newHash, s.key)
	h.Write(content)
	return h.Sum(nil)
}

// request returns the request that carries the signature, among others that match nothing.
func (s signer) request(mac []byte) signature.Request {
	text := hex.EncodeToString(mac)
	switch s.scheme.Encoding {
	case signature.Base64:
		text = base64.StdEncoding.EncodeToString(mac)
	case signature.Base64URL:
		text = base64.RawURLEncoding.EncodeToString(mac)
	default:
	}
	var items []string
	if s.scheme.FieldSeparator != "" {
		other := strings.Repeat("A", len(text))
		items = append(items, "zz"+s.scheme.FieldSeparator+text)
		for _, field := range s.scheme.SignatureFields {
			if s.scheme.ItemSeparator != "" {
				items = append(items, field+s.scheme.FieldSeparator+other)
			}
			items = append(items, field+s.scheme.FieldSeparator+text)
		}
		if s.scheme.Timestamp.Field != "" {
			items = append(items, s.scheme.Timestamp.Field+s.scheme.FieldSeparator+s.timestamp())
		}
		if s.scheme.ItemSeparator == "" {
			items = items[1:2]
		}
	} else {
		items = append(items, s.scheme.Prefix+text)
	}
	header := http.Header{}
	name := "X-HMAC-HASH"
	if len(s.scheme.Headers) > 0 {
		name = s.scheme.Headers[len(s.scheme.Headers)-1]
	}
	if s.scheme.NumberedHeaders {
		name += "2"
	}
	header.Set(name, " "+strings.Join(items, s.scheme.ItemSeparator)+"\t")
	if names := s.scheme.Timestamp.Headers; len(names) > 0 {
		header.Set(names[len(names)-1], s.timestamp())
	}
	if names := s.scheme.DeliveryID.Headers; len(names) > 0 {
		header.Set(names[len(names)-1], s.id)
	}
	_, query, _ := strings.Cut(s.url, "?")
	return signature.Request{Method: s.method, URL: s.url, Query: query, Headers: header}
}

func (s signer) verifier(t testing.TB) *signature.Verifier {
	t.Helper()
	v, err := signature.NewVerifier(s.scheme, signature.Key{Name: "other", Secret: s.otherStored()}, signature.Key{Name: "key", Secret: s.stored})
	if err != nil {
		t.Fatalf("%+v: %v", s.scheme, err)
	}
	return v
}

// verifyBothWays returns what Verify does, and sees that Parse and VerifyParsed, one after the
// other, come to the same.
func verifyBothWays(t testing.TB, v *signature.Verifier, request signature.Request, body []byte, now time.Time) (signature.Result, error) {
	t.Helper()
	result, err := v.Verify(request, body, now)
	var after signature.Result
	parsed, afterErr := v.Parse(request.Headers, now)
	if afterErr == nil {
		after, afterErr = v.VerifyParsed(request, &parsed, body, now)
	}
	if diff := cmp.Diff(result, after); diff != "" || afterErr != err { //nolint:errorlint // a Cause is never wrapped
		t.Errorf("Verify says %v, VerifyParsed after Parse %v (-Verify +VerifyParsed):\n%s\n%q", err, afterErr, diff, request.Headers)
	}
	return result, err
}

// otherStored returns another secret in the same stored form.
func (s signer) otherStored() []byte {
	key := make([]byte, len(s.key))
	for i := range key {
		key[i] = s.key[i] ^ 0x55
	}
	return store(s.scheme, key)
}

// store returns a key as the scheme has it stored.
func store(scheme signature.Scheme, key []byte) []byte {
	text := string(key)
	switch scheme.Secret.Encoding {
	case signature.SecretBase64:
		text = base64.StdEncoding.EncodeToString(key)
	case signature.SecretHex:
		text = hex.EncodeToString(key)
	default:
	}
	return []byte(scheme.Secret.StripPrefix + text)
}

func newSigner(scheme signature.Scheme, seed []byte) signer {
	key := sha256.Sum256(seed)
	s := signer{
		scheme: scheme, key: key[:], now: time.UnixMilli(1767225600123), id: "msg_1",
		method: http.MethodPost, url: "https://hooks.example.com/hooks/shop/orders?a=1",
	}
	if scheme.Algorithm == signature.Ed25519 {
		s.sign = ed25519.NewKeyFromSeed(key[:])
		s.key, _ = s.sign.Public().(ed25519.PublicKey)
	}
	s.stored = store(scheme, s.key)
	return s
}
