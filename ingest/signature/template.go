/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxTemplate bounds a template in bytes.
const maxTemplate = 512

type part int

const (
	partText part = iota
	partBody
	partTimestamp
	partID
	partMethod
	partURL
)

// placeholders are what a template may contain between braces.
var placeholders = map[string]part{
	"body":      partBody,
	"timestamp": partTimestamp,
	"id":        partID,
	"method":    partMethod,
	"url":       partURL,
}

// A template is the parsed form of Scheme.Template: what is signed, piece by piece.
type template []piece

type piece struct {
	part part
	text string // of a partText
}

// parseTemplate reads a template once, so that nothing is ever parsed that holds a value. A brace
// that is meant as such is written twice.
func parseTemplate(s string) (template, error) {
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("template is longer than %d bytes", maxTemplate)
	}
	var (
		t    template
		text strings.Builder
	)
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "}}"):
			text.WriteByte(s[0])
			s = s[2:]
		case s[0] == '}':
			return nil, errors.New("template has a } without a {; write }} if it is meant to be signed")
		case s[0] == '{':
			name, rest, ok := strings.Cut(s[1:], "}")
			if !ok {
				return nil, errors.New("template has a { without a }; write {{ if it is meant to be signed")
			}
			p, ok := placeholders[name]
			if !ok {
				return nil, fmt.Errorf("template has an unknown placeholder {%s}; known are {body}, {timestamp}, {id}, {method} and {url}", name)
			}
			if text.Len() > 0 {
				t = append(t, piece{text: text.String()})
				text.Reset()
			}
			t = append(t, piece{part: p})
			s = rest
		default:
			text.WriteByte(s[0])
			s = s[1:]
		}
	}
	if text.Len() > 0 {
		t = append(t, piece{text: text.String()})
	}
	if !t.separated() {
		return nil, errors.New("template has {id} next to another placeholder: text must separate them, or a part of one could pass for a part of the other")
	}
	if !t.has(partBody) {
		return nil, errors.New("template has no {body}: the body would not be protected")
	}
	for _, name := range slices.Sorted(maps.Keys(placeholders)) {
		if t.count(placeholders[name]) > 1 {
			return nil, fmt.Errorf("template has {%s} more than once: leave all but one out, or a part of one could pass for a part of the other", name)
		}
	}
	if i := t.index(partURL); i >= 0 && i+1 < len(t) && strings.HasPrefix(t[i+1].text, "?") {
		return nil, errors.New("template has ? behind {url}: put another text there, or it could pass for the beginning of a query")
	}
	return t, nil
}

// movable says whether an id could have another end, or, behind the body, another beginning: the
// text that stands there must not be found before that, not even where the two meet. A part of what
// was signed as the id could then pass for a part of its neighbour, such as the time, or the other
// way round.
func (t template) movable(id string) bool {
	i := t.index(partID)
	if i < t.index(partBody) {
		text := t[i+1].text
		return strings.Index(id+text, text) < len(id)
	}
	text := t[i-1].text
	return strings.LastIndex(text+id, text) > 0
}

// separated says whether every {id} has text, or nothing, on either side.
func (t template) separated() bool {
	for i, p := range t {
		if p.part == partID && (i > 0 && t[i-1].part != partText || i+1 < len(t) && t[i+1].part != partText) {
			return false
		}
	}
	return true
}

// fixesDigits says whether only the number of its digits tells where a timestamp of digits ends or
// begins.
func (t template) fixesDigits() bool {
	i := t.index(partTimestamp)
	if i < 0 {
		return false
	}
	if i > 0 {
		if before := t[i-1].text; before == "" || isDigit(before[len(before)-1]) {
			return true
		}
	}
	if i+1 < len(t) {
		if next := t[i+1].text; next == "" || isDigit(next[0]) {
			return true
		}
	}
	return false
}

// urlEnd returns what stands beside the URL.
func (t template) urlEnd() urlEnd {
	i, body := t.index(partURL), t.index(partBody)
	if i < 0 {
		return urlEnd{}
	}
	if i > body {
		end := urlEnd{behind: true}
		if body == i-2 {
			end.before = t[i-1].text
		}
		for _, piece := range t[body:i] {
			end.text += piece.text
		}
		return end
	}
	next := t[i+1] // there is one: the body follows
	end := urlEnd{text: next.text, body: next.part == partBody || next.part == partText && t[i+2].part == partBody}
	for j, piece := range t[i+1 : body] {
		end.ends = end.ends || !onlyInURL(piece.text) || piece.part == partMethod
		if piece.part == partID && onlyInURL(next.text) {
			end.id = t[i+j].text
		}
	}
	return end
}

// idEnd returns what stands between the id and the body.
func (t template) idEnd() (end idEnd) {
	id, body := t.index(partID), t.index(partBody)
	if id < 0 {
		return idEnd{}
	}
	end.behind = id > body
	between := t[min(id, body)+1 : max(id, body)]
	beside := between[0].text // of the id: there is one
	if end.behind {
		beside = between[len(between)-1].text
	}
	if !onlyInID(beside) {
		return idEnd{}
	}
	for _, piece := range between {
		end.chars += piece.text
		if piece.text != "" && (!end.behind || end.text == "") {
			end.text = piece.text
		}
	}
	if t.index(partURL) >= 0 {
		end.chars += queryChars
	}
	return end
}

// index returns where the part stands first, or -1.
func (t template) index(p part) int {
	return slices.IndexFunc(t, func(piece piece) bool { return piece.part == p })
}

func (t template) count(p part) (n int) {
	for _, piece := range t {
		if piece.part == p {
			n++
		}
	}
	return n
}

func (t template) has(p part) bool { return t.index(p) >= 0 }

// write writes what a request's signature has to be over.
func (t template) write(s *state, r Request, c carried, body []byte) {
	for _, piece := range t {
		switch piece.part {
		case partText:
			s.writeString(piece.text)
		case partBody:
			s.write(body)
		case partTimestamp:
			s.writeString(c.timestamp)
		case partID:
			s.writeString(c.id)
		case partMethod:
			s.writeString(r.Method)
		case partURL:
			s.writeString(r.URL)
		}
	}
}
