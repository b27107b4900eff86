/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a JSON pointer.
const (
	maxPointer      = 256
	maxPointerDepth = 8
)

// A pointer is a parsed JSON pointer (RFC 6901).
type pointer []string

func parsePointer(s string) (pointer, error) {
	if !strings.HasPrefix(s, "/") {
		return nil, errors.New("does not begin with /; write /event/id for the field id of the object event")
	}
	if len(s) > maxPointer {
		return nil, fmt.Errorf("is longer than %d bytes", maxPointer)
	}
	p := pointer(strings.Split(s[1:], "/"))
	if len(p) > maxPointerDepth {
		return nil, fmt.Errorf("is deeper than %d levels", maxPointerDepth)
	}
	for i, name := range p {
		if rest := strings.NewReplacer("~0", "", "~1", "").Replace(name); strings.Contains(rest, "~") {
			return nil, errors.New("has a ~ that is followed by neither 0 nor 1")
		}
		p[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return p, nil
}

// A document is valid JSON. Nothing is built from it: values are found by skipping over what
// precedes them.
type document []byte

// newDocument says whether text is JSON. The check is that of encoding/json, which bounds the
// nesting; all else here rests on it.
func newDocument(text []byte) (document, bool) {
	if !json.Valid(text) {
		return nil, false
	}
	return text[skipSpace(text, 0):], true
}

// presence says what a pointer leads to, and counts as far as it matters.
type presence int

const (
	absent presence = iota
	present
	ambiguous // a name on the way stands there twice: two readers could see two values
)

// find returns the value at the pointer, if there is one and it is not ambiguous.
func (d document) find(p pointer) (document, bool) {
	value, found := d.lookup(p)
	return value, found == present
}

func (d document) lookup(p pointer) (document, presence) {
	for _, name := range p {
		found := absent
		switch d[0] {
		case '{':
			d, found = d.member(name)
		case '[':
			d, found = d.element(name)
		}
		if found != present {
			return nil, found
		}
	}
	return d, present
}

func (d document) member(name string) (value document, found presence) {
	d.eachMember(func(key, candidate document) bool {
		if key.is(name) {
			value, found = candidate, found+1
		}
		return found != ambiguous
	})
	return value, found
}

// with returns the document with a value at the pointer: in place of the one that is there, or as a
// new member, for which objects are made on the way. It is false if something else is in the way,
// or a name stands there twice.
func (d document) with(p pointer, value document) (document, bool) {
	if len(p) == 0 {
		return value, true
	}
	old, found := d.lookup(p[:1])
	switch {
	case found == absent && d[0] == '{':
		return d.withMember(p, value), true
	case found != present:
		return nil, false
	}
	changed, ok := old.with(p[1:], value)
	start := cap(d) - cap(old) // both slices end where their array does
	return slices.Concat(d[:start], changed, d[start+len(old):]), ok
}

// withMember returns an object with a first member that has the value at the pointer.
func (d document) withMember(p pointer, value document) document {
	for i, name := range slices.Backward(p) {
		value = slices.Concat(quoted(name), document(":"), value)
		if i > 0 {
			value = slices.Concat(document("{"), value, document("}"))
		}
	}
	if d[skipSpace(d, 1)] != '}' {
		value = append(value, ',')
	}
	return slices.Concat(d[:1], value, d[1:])
}

// withValue returns a body of JSON with a value at the pointer.
func withValue(body []byte, p pointer, value document) ([]byte, bool) {
	doc, ok := newDocument(body)
	if !ok {
		return nil, false
	}
	changed, ok := doc.with(p, value)
	return slices.Concat(body[:len(body)-len(doc)], []byte(changed)), ok
}

// quoted returns a string of JSON.
func quoted(text string) document {
	written, _ := json.Marshal(text) // which fails for no string
	return written
}

// members returns the members of an object. It is nil if this is none, or if a name stands there
// twice or is not UTF-8: two readers could see two values.
func (d document) members() members {
	if len(d) == 0 || d[0] != '{' {
		return nil
	}
	found := members{}
	if !d.eachMember(func(key, value document) bool {
		name, ok := key.text()
		if _, twice := found[name]; !ok || twice {
			return false
		}
		found[name] = value
		return true
	}) {
		return nil
	}
	return found
}

// eachMember calls visit for the members of an object until it returns false. It says whether it
// never did.
func (d document) eachMember(visit func(key, value document) bool) bool {
	for i := skipSpace(d, 1); d[i] != '}'; {
		end := skipValue(d, i)
		key := d[i:end]
		i = skipSpace(d, skipSpace(d, end)+1) // over the colon
		end = skipValue(d, i)
		if !visit(key, d[i:end]) {
			return false
		}
		if i = skipSpace(d, end); d[i] == ',' {
			i = skipSpace(d, i+1)
		}
	}
	return true
}

// A field is what one of several names of an object leads to.
type field struct {
	value document
	found presence
}

// fields finds several members at once: to look for each by itself would take as many times as
// long. There are none in what is no object.
func (d document) fields(names []string, fields []field) {
	if d[0] != '{' {
		return
	}
	d.eachMember(func(key, value document) bool {
		for i, name := range names {
			if f := &fields[i]; f.found != ambiguous && key.is(name) {
				*f = field{value, f.found + 1}
			}
		}
		return true
	})
}

func (d document) element(index string) (value document, found presence) {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || strconv.Itoa(n) != index {
		return nil, absent
	}
	d.each(func(count int, element document) bool {
		if count == n {
			value, found = element, present
		}
		return found == absent
	})
	return value, found
}

// each calls visit for the elements of an array until it returns false. It says whether there is an
// array.
func (d document) each(visit func(int, document) bool) bool {
	if d[0] != '[' {
		return false
	}
	count := 0
	for i := skipSpace(d, 1); d[i] != ']'; count++ {
		end := skipValue(d, i)
		if !visit(count, d[i:end]) {
			break
		}
		if i = skipSpace(d, end); d[i] == ',' {
			i = skipSpace(d, i+1)
		}
	}
	return true
}

// is says whether the document is the string s. It allocates nothing and ends at the first
// difference: nobody may have vouched for the document, and it is asked of every name in it.
func (d document) is(s string) bool {
	rest := d[1 : len(d)-1]
	if len(rest) < len(s) || len(rest) > len(`\u0000`)*len(s) {
		return false
	}
	for {
		switch {
		case len(rest) == 0 || s == "":
			return len(rest) == 0 && s == ""
		case rest[0] == '\\':
			r, size := unescaped(rest)
			after, same := strings.CutPrefix(s, string(r))
			if !same {
				return false
			}
			rest, s = rest[size:], after
		case rest[0] == s[0]:
			rest, s = rest[1:], s[1:]
		default:
			return false
		}
	}
}

// unescaped returns the character that an escape stands for, and its length. Half of a surrogate
// pair stands for U+FFFD, as encoding/json has it.
func unescaped(d []byte) (r rune, size int) {
	switch d[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default: // what is escaped stands for itself
		return rune(d[1]), 2
	}
	if r = codeUnit(d[2:6]); !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(d) >= 12 && d[6] == '\\' && d[7] == 'u' {
		if r = utf16.DecodeRune(r, codeUnit(d[8:12])); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// codeUnit returns what four hexadecimal digits stand for.
func codeUnit(digits []byte) rune {
	var unit [2]byte
	_, _ = hex.Decode(unit[:], digits) // they are digits: the document is valid
	return rune(binary.BigEndian.Uint16(unit[:]))
}

// halvesPair says whether a string has half of a surrogate pair in it. Its text then has U+FFFD
// there, whichever half it is.
func (d document) halvesPair() bool {
	if d[0] != '"' {
		return false
	}
	for i := 1; i < len(d); {
		if d[i] != '\\' {
			i++
			continue
		}
		r, size := unescaped(d[i:])
		if r == utf8.RuneError && d[i+2]|0x20 == 'd' { // and not \ufffd, which is a character
			return true
		}
		i += size
	}
	return false
}

// text returns the content of a string. A string that is not UTF-8 has none: another reader could
// see another.
func (d document) text() (string, bool) {
	if d[0] != '"' || !utf8.Valid(d) {
		return "", false
	}
	if bytes.IndexByte(d, '\\') >= 0 {
		var s string
		err := json.Unmarshal(d, &s)
		return s, err == nil
	}
	return string(d[1 : len(d)-1]), true
}

// scalar returns a string's content, or a number or Boolean as it is written.
func (d document) scalar() (string, bool) {
	switch d[0] {
	case '"':
		return d.text()
	case '{', '[', 'n':
		return "", false
	}
	return string(d), true
}

func skipSpace(d []byte, i int) int {
	for i < len(d) && (d[i] == ' ' || d[i] == '\t' || d[i] == '\n' || d[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the end of the value that begins at i. It does not recurse.
func skipValue(d []byte, i int) int {
	depth := 0
	for i < len(d) {
		switch d[i] {
		case '"':
			for i++; d[i] != '"'; i++ {
				if d[i] == '\\' {
					i++
				}
			}
			i++
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
		default:
			for i < len(d) && strings.IndexByte(",:]} \t\n\r", d[i]) < 0 {
				i++
			}
		}
		if depth == 0 {
			break
		}
	}
	return i
}
