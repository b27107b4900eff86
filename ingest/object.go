/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"encoding/base64"
	"strconv"
)

// object is JSON (RFC 8259) that is being written: an object, and objects in it. Texts must be valid UTF-8. Names are written as they
// are, so they must need no escapes. A text that is empty is left out. Nothing here notices a text that is no UTF-8; the API server
// refuses it.
type object []byte

// newObject begins the outermost object, with room for that many bytes.
func newObject(room int) object { return append(make(object, 0, room), '{') }

// begin begins a member that is an object.
func (o *object) begin(name string) {
	o.name(name)
	*o = append(*o, '{')
}

// end ends the object that was begun last.
func (o *object) end() { *o = append(*o, '}') }

// name begins a member.
func (o *object) name(name string) {
	if (*o)[len(*o)-1] != '{' {
		*o = append(*o, ',')
	}
	*o = append(*o, '"')
	*o = append(*o, name...)
	*o = append(*o, `":`...)
}

func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		*o = appendText(*o, value)
	}
}

func (o *object) rawText(name string, value []byte) {
	if len(value) > 0 {
		o.name(name)
		*o = appendText(*o, value)
	}
}

func (o *object) base64(name string, value []byte) {
	o.name(name)
	*o = append(*o, '"')
	*o = base64.StdEncoding.AppendEncode(*o, value)
	*o = append(*o, '"')
}

func (o *object) number(name string, value int64) {
	o.name(name)
	*o = strconv.AppendInt(*o, value, 10)
}

// appendText appends a string as RFC 8259, section 7, has it: with escapes only where there must be, and none that is longer than what
// storedLength has for it.
func appendText[T string | []byte](b []byte, text T) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	written := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[written:i]...)
		written = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	return append(append(b, text[written:]...), '"')
}
