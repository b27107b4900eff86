/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// point is one of the curve of Ed25519, -x² + y² = 1 + dx²y², in affine coordinates.
type point struct{ x, y *big.Int }

// curve is what TestSignaturesByNobody needs to know of the curve (RFC 8032, section 5.1), by
// math/big and thus by another implementation than that which checks signatures.
type curve struct{ p, d *big.Int }

func newCurve() curve {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p))
	return curve{p, d.Mod(d, p)}
}

func (c curve) mod(x *big.Int) *big.Int { return x.Mod(x, c.p) }

// add is the addition of RFC 8032, section 5.1.4, which is complete.
func (c curve) add(a, b point) point {
	mul := func(x, y *big.Int) *big.Int { return c.mod(new(big.Int).Mul(x, y)) }
	t := mul(c.d, mul(mul(a.x, b.x), mul(a.y, b.y)))
	over := func(n, d *big.Int) *big.Int { return mul(c.mod(n), new(big.Int).ModInverse(c.mod(d), c.p)) }
	one := big.NewInt(1)
	return point{
		over(new(big.Int).Add(mul(a.x, b.y), mul(b.x, a.y)), new(big.Int).Add(one, t)),
		over(new(big.Int).Add(mul(a.y, b.y), mul(a.x, b.x)), new(big.Int).Sub(one, t)),
	}
}

// points returns those of that y, of which there are up to two.
func (c curve) points(y *big.Int) []point {
	yy := c.mod(new(big.Int).Mul(y, y))
	xx := new(big.Int).Sub(yy, big.NewInt(1))
	xx.Mul(xx, new(big.Int).ModInverse(c.mod(new(big.Int).Add(big.NewInt(1), new(big.Int).Mul(c.d, yy))), c.p))
	x := new(big.Int).ModSqrt(c.mod(xx), c.p)
	if x == nil {
		return nil
	}
	return []point{{x, y}, {c.mod(new(big.Int).Neg(x)), y}}
}

// encodings are all 32 bytes that stand for y, whatever the sign of x.
func (c curve) encodings(y *big.Int) (all [][]byte) {
	for written := new(big.Int).Set(y); written.BitLen() <= 255; written.Add(written, c.p) {
		little := written.FillBytes(make([]byte, 32))
		slices.Reverse(little)
		for _, sign := range []byte{0, 0x80} {
			with := slices.Clone(little)
			with[31] |= sign
			all = append(all, with)
		}
	}
	return all
}

// lowOrder are all encodings of the eight points that are nothing when they are added to themselves
// eight times: the multiples of one of order 8, which is what is left of any point when it is
// multiplied by the order of the big group.
func (c curve) lowOrder(t *testing.T) [][]byte {
	t.Helper()
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	neutral := point{big.NewInt(0), big.NewInt(1)}
	times := func(n *big.Int, a point) point {
		sum := neutral
		for i := n.BitLen() - 1; i >= 0; i-- {
			if sum = c.add(sum, sum); n.Bit(i) == 1 {
				sum = c.add(sum, a)
			}
		}
		return sum
	}
	same := func(a, b point) bool { return a.x.Cmp(b.x) == 0 && a.y.Cmp(b.y) == 0 }
	for y := int64(2); ; y++ {
		candidates := c.points(big.NewInt(y))
		if candidates == nil {
			continue
		}
		generator := times(order, candidates[0])
		if same(times(big.NewInt(4), generator), neutral) {
			continue
		}
		if !same(times(big.NewInt(8), generator), neutral) {
			t.Fatal("the curve is another one")
		}
		var all [][]byte
		for n := range int64(8) {
			all = append(all, c.encodings(times(big.NewInt(n), generator).y)...)
		}
		slices.SortFunc(all, slices.Compare)
		return slices.CompactFunc(all, slices.Equal)
	}
}

// TestSignaturesByNobody makes signatures without a private key: they are good by crypto/ed25519
// where the public key is a point of low order. Who may write triggers, and not read Secrets, could
// start their Flows by them, and so find out that a Secret has such a content; and nobody should
// take it for a key.
func TestSignaturesByNobody(t *testing.T) {
	t.Parallel()
	forged := make([]byte, ed25519.SignatureSize) // R is the neutral element, S is 0
	forged[0] = 1
	public := newCurve().lowOrder(t)
	if len(public) != 14 {
		t.Fatalf("%d encodings, want 14", len(public))
	}
	for _, key := range public {
		var body string
		for n := 0; body == "" && n < 1000; n++ {
			if text := fmt.Sprintf(`{"order": %d}`, n); ed25519.Verify(key, []byte(text), forged) {
				body = text
			}
		}
		if body == "" {
			t.Errorf("%x: no message that the signature is good for was found", key)
			continue
		}
		for _, encoding := range []signature.SecretEncoding{signature.SecretRaw, signature.SecretHex} {
			stored := key
			if encoding == signature.SecretHex {
				stored = []byte(hex.EncodeToString(key))
			}
			v, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.Ed25519, Secret: signature.Secret{Encoding: encoding}}, signature.Key{Name: "k", Secret: stored})
			if err != nil {
				continue
			}
			_, err = v.Verify(signature.Request{Method: http.MethodPost, Headers: http.Header{"X-Hmac-Hash": {hex.EncodeToString(forged)}}}, []byte(body), time.Unix(0, 0))
			t.Errorf("%x, as %s: is taken for a key; a signature that nobody made: %v", key, encoding, err)
		}
	}
	good, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.Ed25519}, signature.Key{Name: "k", Secret: good}); err != nil {
		t.Errorf("a good key: %v", err)
	}
}

// TestSecretPrefixes shows what the prefixes must be like, lest they say more of a Secret than
// whether it begins with one.
func TestSecretPrefixes(t *testing.T) {
	t.Parallel()
	prefixes := signature.SecretPrefixes()
	if diff := cmp.Diff([]string{"whsec_", "whpk_", "v1,whsec_"}, prefixes); diff != "" {
		t.Errorf("the prefixes (-want +got):\n%s", diff)
	}
	for i, prefix := range prefixes {
		for j, other := range prefixes {
			if i != j && len(other) >= len(prefix) && other[:len(prefix)] == prefix {
				t.Errorf("%q begins with %q", other, prefix)
			}
		}
	}
	for _, prefix := range []string{"a", "0", "whsec", "whsec_0", "WHSEC_", "v1,", " whsec_", "whsec_\n", "whsk_", "\xff"} {
		scheme := signature.Scheme{Algorithm: signature.SHA256, Secret: signature.Secret{StripPrefix: prefix}}
		want := fmt.Sprintf(`the secret prefix %q is none of ["whsec_" "whpk_" "v1,whsec_"]: store the key without its prefix, and leave the prefix out`, prefix)
		if err := scheme.Validate(); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", prefix, err, want)
		}
	}
}
