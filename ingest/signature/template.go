/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"errors"
	"fmt"
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

// parseTemplate reads a template once, so that nothing is ever parsed that holds a value. A brace that is meant as such is
// written twice.
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
	return t, nil
}

// movable says whether an id holds the text that stands beside it in the template. A part of what was signed as the id could
// then pass for a part of its neighbour, such as the time, or the other way round.
func (t template) movable(id string) bool {
	for i, p := range t {
		if p.part != partID {
			continue
		}
		if i > 0 && t[i-1].part == partText && strings.Contains(id, t[i-1].text) ||
			i+1 < len(t) && t[i+1].part == partText && strings.Contains(id, t[i+1].text) {
			return true
		}
	}
	return false
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

func (t template) has(p part) bool {
	for _, piece := range t {
		if piece.part == p {
			return true
		}
	}
	return false
}

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
