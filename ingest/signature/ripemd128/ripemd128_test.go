/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ripemd128_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
)

// digestFile is testdata/digests.json.
type digestFile struct {
	Vectors []struct {
		Name  string `json:"name"`
		Input struct {
			UTF8   string `json:"utf8"`
			Repeat string `json:"repeat"`
			Count  int    `json:"count"`
		} `json:"input"`
		Hex    string `json:"hex"`
		Source string `json:"source"`
	} `json:"vectors"`
	Boundary struct {
		// Hex[n] is the digest of the n bytes 0, 1, 2, ... n-1.
		Hex []string `json:"hex"`
		Why string   `json:"why"`
	} `json:"boundary"`
}

// macFile is testdata/hmac.json.
type macFile struct {
	Vectors []struct {
		Case     string `json:"case"`
		KeyHex   string `json:"keyHex"`
		DataHex  string `json:"dataHex"`
		MACHex   string `json:"macHex"`
		MAC96Hex string `json:"mac96Hex"`
		Source   string `json:"source"`
	} `json:"vectors"`
}

//go:embed testdata/digests.json
var digestsJSON []byte

//go:embed testdata/hmac.json
var hmacJSON []byte

// fullHash is what New promises to return.
type fullHash interface {
	hash.Cloner
	encoding.BinaryMarshaler
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func newHash(t *testing.T) fullHash {
	t.Helper()
	h, ok := ripemd128.New().(fullHash)
	if !ok {
		t.Fatal("New returns a hash without one of Cloner, BinaryMarshaler, BinaryAppender, BinaryUnmarshaler")
	}
	return h
}

// counting returns the n bytes 0, 1, 2, ... modulo 256.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func hexSum(data []byte) string {
	sum := ripemd128.Sum(data)
	return hex.EncodeToString(sum[:])
}

func marshal(t *testing.T, h encoding.BinaryMarshaler) []byte {
	t.Helper()
	state, err := h.MarshalBinary()
	if err != nil {
		t.Fatalf("MarshalBinary: %v", err)
	}
	return state
}

func unmarshal(t *testing.T, h encoding.BinaryUnmarshaler, state []byte) {
	t.Helper()
	if err := h.UnmarshalBinary(state); err != nil {
		t.Fatalf("UnmarshalBinary: %v", err)
	}
}

func TestSizes(t *testing.T) {
	h := newHash(t)
	got := []int{ripemd128.Size, h.Size(), ripemd128.BlockSize, h.BlockSize()}
	if diff := cmp.Diff([]int{16, 16, 64, 64}, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}

func TestPublishedVectors(t *testing.T) {
	var file digestFile
	if err := json.Unmarshal(digestsJSON, &file); err != nil {
		t.Fatal(err)
	}
	if got, want := len(file.Vectors), 9; got != want {
		t.Fatalf("%d vectors in testdata, want %d", got, want)
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			data := []byte(v.Input.UTF8 + strings.Repeat(v.Input.Repeat, v.Input.Count))
			if diff := cmp.Diff(v.Hex, hexSum(data)); diff != "" {
				t.Errorf("Sum, %s (-want +got):\n%s", v.Source, diff)
			}
			h := newHash(t)
			h.Write(data)
			if diff := cmp.Diff(v.Hex, hex.EncodeToString(h.Sum(nil))); diff != "" {
				t.Errorf("New, %s (-want +got):\n%s", v.Source, diff)
			}
		})
	}
}

func TestPaddingBoundaries(t *testing.T) {
	var file digestFile
	if err := json.Unmarshal(digestsJSON, &file); err != nil {
		t.Fatal(err)
	}
	if got, want := len(file.Boundary.Hex), 131; got != want {
		t.Fatalf("%d boundary digests in testdata, want %d", got, want)
	}
	for n, want := range file.Boundary.Hex {
		if diff := cmp.Diff(want, hexSum(counting(n))); diff != "" {
			t.Errorf("%d bytes, %s (-want +got):\n%s", n, file.Boundary.Why, diff)
		}
	}
}

// TestLengthField reaches lengths that no test can write, through a marshaled
// state: a length cut to 32 bits anywhere shows here.
func TestLengthField(t *testing.T) {
	tests := map[string]struct {
		reason string
		length uint64
	}{
		"BitsBeyond32": {
			reason: "512 MiB and one byte: the length in bits needs more than 32 bits",
			length: 1<<29 + 1,
		},
		"BytesBeyond32": {
			reason: "4 GiB and 63 bytes: the length in bytes needs more than 32 bits, the padding a second block",
			length: 1<<32 + 63,
		},
		"BitsModulo64": {
			reason: "the specification takes the length in bits modulo 2^64",
			length: 1<<61 + 56,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			chain := [4]uint32{0x01234567, 0x89abcdef, 0xdeadbeef, 0xfeedface}
			tail := counting(int(tc.length % ripemd128.BlockSize))

			state := []byte("rmd\x01")
			for _, word := range chain {
				state = binary.BigEndian.AppendUint32(state, word)
			}
			state = append(state, tail...)
			state = append(state, make([]byte, ripemd128.BlockSize-len(tail))...)
			state = binary.BigEndian.AppendUint64(state, tc.length)

			h := newHash(t)
			unmarshal(t, h, state)
			want := referenceFinish(chain, tail, tc.length)
			if diff := cmp.Diff(want[:], h.Sum(nil)); diff != "" {
				t.Errorf("%s: checksum (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSumAppendsAndKeepsState(t *testing.T) {
	data := counting(150)
	for n := range data {
		h := newHash(t)
		h.Write(data[:n])
		first := h.Sum([]byte("prefix"))
		want := ripemd128.Sum(data[:n])
		if diff := cmp.Diff(append([]byte("prefix"), want[:]...), first); diff != "" {
			t.Fatalf("Sum after %d bytes must append the checksum (-want +got):\n%s", n, diff)
		}
		h.Write(data[n:])
		if diff := cmp.Diff(hexSum(data), hex.EncodeToString(h.Sum(nil))); diff != "" {
			t.Fatalf("Sum after %d bytes changed the hash (-want +got):\n%s", n, diff)
		}
		h.Reset()
		if diff := cmp.Diff(hexSum(nil), hex.EncodeToString(h.Sum(nil))); diff != "" {
			t.Fatalf("Reset after %d bytes left something behind (-want +got):\n%s", n, diff)
		}
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	data := counting(300)
	want := hexSum(data)
	for n := range 131 {
		h := newHash(t)
		// A block that is no part of the message: none of it may show.
		h.Write(bytes.Repeat([]byte{0xa5}, 2*ripemd128.BlockSize-1))
		h.Reset()
		h.Write(data[:n])
		state := marshal(t, h)

		appended, err := h.AppendBinary([]byte("prefix"))
		if err != nil {
			t.Fatalf("AppendBinary after %d bytes: %v", n, err)
		}
		if diff := cmp.Diff(append([]byte("prefix"), state...), appended); diff != "" {
			t.Errorf("AppendBinary after %d bytes differs from MarshalBinary (-want +got):\n%s", n, diff)
		}

		fresh := newHash(t)
		fresh.Write(data[:n])
		if diff := cmp.Diff(marshal(t, fresh), state); diff != "" {
			t.Errorf("state after %d bytes shows what was written before Reset (-want +got):\n%s", n, diff)
		}

		used := newHash(t)
		used.Write(counting(n + 77))
		unmarshal(t, used, state)
		for name, restored := range map[string]hash.Hash{"original": h, "restored": used} {
			if diff := cmp.Diff(hexSum(data[:n]), hex.EncodeToString(restored.Sum(nil))); diff != "" {
				t.Errorf("%s after %d bytes (-want +got):\n%s", name, n, diff)
			}
			restored.Write(data[n:])
			if diff := cmp.Diff(want, hex.EncodeToString(restored.Sum(nil))); diff != "" {
				t.Errorf("%s after %d bytes and the rest (-want +got):\n%s", name, n, diff)
			}
		}
	}
}

// TestMarshalFormat pins the layout: a state that was stored by one version
// must be read by the next or be refused for its magic, never misread.
func TestMarshalFormat(t *testing.T) {
	h := newHash(t)
	h.Write(counting(ripemd128.BlockSize + 3))

	chain := referenceInit
	referenceCompress(&chain, counting(ripemd128.BlockSize))
	want := "726d6401" + fmt.Sprintf("%08x%08x%08x%08x", chain[0], chain[1], chain[2], chain[3]) +
		"404142" + strings.Repeat("00", ripemd128.BlockSize-3) + "0000000000000043"
	if diff := cmp.Diff(want, hex.EncodeToString(marshal(t, h))); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	const (
		wrongIdentifier = "ripemd128: invalid hash state identifier"
		wrongSize       = "ripemd128: invalid hash state size"
	)
	good := marshal(t, newHash(t))
	other, ok := sha256.New().(encoding.BinaryMarshaler)
	if !ok {
		t.Fatal("SHA-256 does not marshal")
	}

	tests := map[string]struct {
		reason string
		state  []byte
		want   string
	}{
		"Nil": {
			reason: "nothing cannot be told from a state of another hash",
			state:  nil,
			want:   wrongIdentifier,
		},
		"PartOfMagic": {
			reason: "a state that ends within the magic is not read beyond its end",
			state:  good[:3],
			want:   wrongIdentifier,
		},
		"MagicOnly": {
			reason: "the magic alone is the right kind of state, cut off",
			state:  good[:4],
			want:   wrongSize,
		},
		"OneByteShort": {
			reason: "a cut state is refused, not padded",
			state:  good[:len(good)-1],
			want:   wrongSize,
		},
		"OneByteLong": {
			reason: "bytes after the state are refused, not ignored",
			state:  append(bytes.Clone(good), 0),
			want:   wrongSize,
		},
		"OtherVersion": {
			reason: "the last byte of the magic is the version of the layout",
			state:  append([]byte("rmd\x02"), good[4:]...),
			want:   wrongIdentifier,
		},
		"OtherHash": {
			reason: "a state of SHA-256 is told by its magic, whatever its size",
			state:  marshal(t, other),
			want:   wrongIdentifier,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHash(t)
			h.Write(counting(100))
			got := ""
			if err := h.UnmarshalBinary(tc.state); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: error (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(hexSum(counting(100)), hex.EncodeToString(h.Sum(nil))); diff != "" {
				t.Errorf("%s: a refused state changed the hash (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestClone(t *testing.T) {
	data := counting(200)
	for n := range 131 {
		original := newHash(t)
		original.Write(data[:n])
		clone, err := original.Clone()
		if err != nil {
			t.Fatalf("Clone after %d bytes: %v", n, err)
		}

		clone.Write(bytes.Repeat([]byte{0xa5}, 70))
		if diff := cmp.Diff(hexSum(data[:n]), hex.EncodeToString(original.Sum(nil))); diff != "" {
			t.Errorf("writing to the clone of %d bytes changed the original (-want +got):\n%s", n, diff)
		}
		original.Write(data[n:])
		if diff := cmp.Diff(hexSum(data), hex.EncodeToString(original.Sum(nil))); diff != "" {
			t.Errorf("original after %d bytes and the rest (-want +got):\n%s", n, diff)
		}
		want := append(bytes.Clone(data[:n]), bytes.Repeat([]byte{0xa5}, 70)...)
		if diff := cmp.Diff(hexSum(want), hex.EncodeToString(clone.Sum(nil))); diff != "" {
			t.Errorf("clone after %d bytes and 70 others (-want +got):\n%s", n, diff)
		}
	}
}

func TestHMAC(t *testing.T) {
	var file macFile
	if err := json.Unmarshal(hmacJSON, &file); err != nil {
		t.Fatal(err)
	}
	if got, want := len(file.Vectors), 23; got != want {
		t.Fatalf("%d vectors in testdata, want %d", got, want)
	}
	for _, v := range file.Vectors {
		t.Run(v.Case, func(t *testing.T) {
			key, err := hex.DecodeString(v.KeyHex)
			if err != nil {
				t.Fatal(err)
			}
			data, err := hex.DecodeString(v.DataHex)
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(ripemd128.New, key)
			// The first Reset turns from padded keys to marshaled states, the
			// second starts from a marshaled state.
			for i, path := range []string{"new", "after one Reset", "after two Resets"} {
				if i > 0 {
					mac.Reset()
				}
				mac.Write(data)
				got := hex.EncodeToString(mac.Sum(nil))
				if diff := cmp.Diff(v.MACHex, got); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", path, v.Source, diff)
				}
				if !strings.HasPrefix(got, v.MAC96Hex) {
					t.Errorf("%s, %s: first 96 bits of %s, want %s", path, v.Source, got, v.MAC96Hex)
				}
			}

			cloner, ok := mac.(hash.Cloner)
			if !ok {
				t.Fatal("the HMAC does not clone")
			}
			clone, err := cloner.Clone()
			if err != nil {
				t.Fatalf("Clone: %v", err)
			}
			if diff := cmp.Diff(v.MACHex, hex.EncodeToString(clone.Sum(nil))); diff != "" {
				t.Errorf("clone, %s (-want +got):\n%s", v.Source, diff)
			}
		})
	}
}

// calls counts what crypto/hmac asks of the hash.
type calls struct {
	Resets, Writes, Sums, Marshals, Unmarshals int
}

type countingHash struct {
	fullHash

	calls *calls
}

func (h *countingHash) Reset() {
	h.calls.Resets++
	h.fullHash.Reset()
}

func (h *countingHash) Write(p []byte) (int, error) {
	h.calls.Writes++
	return h.fullHash.Write(p)
}

func (h *countingHash) Sum(in []byte) []byte {
	h.calls.Sums++
	return h.fullHash.Sum(in)
}

func (h *countingHash) MarshalBinary() ([]byte, error) {
	h.calls.Marshals++
	return h.fullHash.MarshalBinary()
}

func (h *countingHash) UnmarshalBinary(state []byte) error {
	h.calls.Unmarshals++
	return h.fullHash.UnmarshalBinary(state)
}

// TestHMACFastPath sees to it that crypto/hmac, used again after a Reset,
// restores states instead of hashing both padded keys for each message.
func TestHMACFastPath(t *testing.T) {
	var got calls
	mac := hmac.New(func() hash.Hash { return &countingHash{fullHash: newHash(t), calls: &got} }, []byte("key"))
	message := func() {
		mac.Write([]byte("message"))
		mac.Sum(nil)
	}
	message()

	got = calls{}
	mac.Reset()
	want := calls{Resets: 2, Writes: 2, Marshals: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the first Reset hashes both keys once more and keeps the states (-want +got):\n%s", diff)
	}
	message()

	got = calls{}
	mac.Reset()
	message()
	want = calls{Writes: 2, Sums: 2, Unmarshals: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a later message hashes itself and the inner sum, nothing else (-want +got):\n%s", diff)
	}
}

func TestAllocations(t *testing.T) {
	data := counting(1000)
	sum := make([]byte, 0, ripemd128.Size)
	state := marshal(t, newHash(t))
	buffer := make([]byte, 0, len(state))
	h := newHash(t)
	mac := hmac.New(ripemd128.New, []byte("key"))
	mac.Reset()
	var kept [1]hash.Hash

	tests := map[string]struct {
		reason string
		run    func()
		want   float64
	}{
		"New": {
			reason: "the hash itself is the one allocation",
			run:    func() { kept[0] = ripemd128.New() },
			want:   1,
		},
		"PackageSum": {
			reason: "the hash stays on the stack",
			run:    func() { ripemd128.Sum(data) },
		},
		"Write": {
			reason: "buffered and unbuffered writes use the buffer of the hash",
			run: func() {
				h.Write(data[:7])
				h.Write(data)
			},
		},
		"Sum": {
			reason: "the copy that is padded stays on the stack, the checksum fits",
			run:    func() { sum = h.Sum(sum[:0]) },
		},
		"Reset": {
			reason: "the hash is reused",
			run:    func() { h.Reset() },
		},
		"AppendBinary": {
			reason: "the state fits",
			run:    func() { buffer, _ = h.AppendBinary(buffer[:0]) },
		},
		"UnmarshalBinary": {
			reason: "crypto/hmac restores two states for each message",
			run:    func() { _ = h.UnmarshalBinary(state) },
		},
		"HMAC": {
			reason: "an HMAC that is used again does not allocate at all",
			run: func() {
				mac.Reset()
				mac.Write(data)
				sum = mac.Sum(sum[:0])
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, testing.AllocsPerRun(100, tc.run)); diff != "" {
				t.Errorf("%s: allocations (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
