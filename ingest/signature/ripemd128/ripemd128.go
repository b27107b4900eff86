/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ripemd128

import (
	"encoding"
	"encoding/binary"
	"errors"
	"hash"
)

//go:generate go run gen.go

// Size is the size of a RIPEMD-128 checksum in bytes.
const Size = 16

// BlockSize is the block size of RIPEMD-128 in bytes.
const BlockSize = 64

const (
	init0 = 0x67452301
	init1 = 0xefcdab89
	init2 = 0x98badcfe
	init3 = 0x10325476
)

const (
	// magic opens every marshaled state and names its format: a change of
	// the layout needs a new magic.
	magic         = "rmd\x01"
	marshaledSize = len(magic) + 4*4 + BlockSize + 8
)

var (
	errStateIdentifier = errors.New("ripemd128: invalid hash state identifier")
	errStateSize       = errors.New("ripemd128: invalid hash state size")
)

// crypto/hmac saves two blocks per message when the hash marshals, and clones
// its state when the hash clones.
var _ interface {
	hash.Cloner
	encoding.BinaryMarshaler
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
} = (*digest)(nil)

// digest is a partly computed checksum. It holds no pointer, so a copy of it
// is an independent hash: Sum and Clone rely on that.
type digest struct {
	h   [4]uint32
	x   [BlockSize]byte // the first len%BlockSize bytes wait for a full block
	nx  int             // len % BlockSize
	len uint64          // bytes written so far
}

// New returns a new [hash.Hash] computing the RIPEMD-128 checksum. The Hash
// also implements [encoding.BinaryMarshaler], [encoding.BinaryAppender] and
// [encoding.BinaryUnmarshaler] to marshal and unmarshal the internal state of
// the hash, and [hash.Cloner].
//
// A marshaled state is as secret as the data written: for an HMAC it stands
// in for the key.
func New() hash.Hash {
	d := new(digest)
	d.Reset()
	return d
}

// Sum returns the RIPEMD-128 checksum of the data.
func Sum(data []byte) [Size]byte {
	var d digest
	d.Reset()
	d.write(data)
	return d.checkSum()
}

// Size implements [hash.Hash].
func (d *digest) Size() int { return Size }

// BlockSize implements [hash.Hash].
func (d *digest) BlockSize() int { return BlockSize }

// Reset implements [hash.Hash].
func (d *digest) Reset() {
	d.h = [4]uint32{init0, init1, init2, init3}
	d.nx = 0
	d.len = 0
}

// Write implements [hash.Hash]. It never returns an error.
func (d *digest) Write(p []byte) (int, error) {
	d.write(p)
	return len(p), nil
}

func (d *digest) write(p []byte) {
	d.len += uint64(len(p))
	if d.nx > 0 {
		n := copy(d.x[d.nx:], p)
		d.nx += n
		if d.nx < BlockSize {
			return
		}
		block(&d.h, d.x[:])
		d.nx = 0
		p = p[n:]
	}
	if n := len(p) &^ (BlockSize - 1); n > 0 {
		block(&d.h, p[:n])
		p = p[n:]
	}
	d.nx = copy(d.x[:], p)
}

// Sum implements [hash.Hash]. It leaves d as it was: the caller may go on
// writing.
func (d *digest) Sum(in []byte) []byte {
	d0 := *d
	sum := d0.checkSum()
	return append(in, sum[:]...)
}

// checkSum pads the message and finishes the hash. It uses d up.
func (d *digest) checkSum() [Size]byte {
	// One 1 bit, 0 bits up to eight bytes short of a full block, and the
	// length of the message in bits modulo 2^64, least significant byte first.
	bitLen := d.len << 3
	d.x[d.nx] = 0x80
	clear(d.x[d.nx+1:])
	if d.nx >= BlockSize-8 {
		block(&d.h, d.x[:])
		clear(d.x[:])
	}
	binary.LittleEndian.PutUint64(d.x[BlockSize-8:], bitLen)
	block(&d.h, d.x[:])

	var sum [Size]byte
	for i, h := range d.h {
		binary.LittleEndian.PutUint32(sum[4*i:], h)
	}
	return sum
}

// MarshalBinary implements [encoding.BinaryMarshaler]. It never returns an
// error.
func (d *digest) MarshalBinary() ([]byte, error) {
	return d.AppendBinary(make([]byte, 0, marshaledSize))
}

// AppendBinary implements [encoding.BinaryAppender]. It never returns an error.
func (d *digest) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, magic...)
	for _, h := range d.h {
		b = binary.BigEndian.AppendUint32(b, h)
	}
	// The rest of x is of earlier blocks: it must not leak into the state.
	var zero [BlockSize]byte
	b = append(b, d.x[:d.nx]...)
	b = append(b, zero[d.nx:]...)
	b = binary.BigEndian.AppendUint64(b, d.len)
	return b, nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. It leaves d unchanged
// when it returns an error.
func (d *digest) UnmarshalBinary(b []byte) error {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return errStateIdentifier
	}
	if len(b) != marshaledSize {
		return errStateSize
	}
	b = b[len(magic):]
	for i := range d.h {
		d.h[i] = binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	b = b[copy(d.x[:], b):]
	d.len = binary.BigEndian.Uint64(b)
	d.nx = int(d.len % BlockSize)
	return nil
}

// Clone implements [hash.Cloner]. It never returns an error.
func (d *digest) Clone() (hash.Cloner, error) {
	c := *d
	return &c, nil
}
