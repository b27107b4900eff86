/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDeliveryID is the length in bytes of the longest Result.DeliveryID.
const MaxDeliveryID = 256

// boundedID returns the id, or "sha256:" and its digest if it is too long or can't be written in
// JSON. To cut it would make one id of two.
func boundedID(id string) string {
	if len(id) <= MaxDeliveryID && utf8.ValidString(id) {
		return id
	}
	return digestID([]byte(id))
}

// digestID returns an id that tells no more of some bytes than that they are the same.
func digestID(id []byte) string {
	digest := sha256.Sum256(id)
	return "sha256:" + hex.EncodeToString(digest[:])
}

// scalarAt returns the string, number or Boolean at the pointer. An empty document has none.
func (d document) scalarAt(p pointer) (string, bool) {
	if len(d) == 0 {
		return "", false
	}
	value, ok := d.find(p)
	if !ok {
		return "", false
	}
	return value.scalar()
}

// bodyID returns the delivery id in a body, or "". In Adyen's and Mailgun's not the JSON is signed
// but the text that its values stand for: written otherwise, the id must stay the same.
func (c *compiled) bodyID(doc document) string {
	if len(doc) == 0 {
		return ""
	}
	switch c.scheme.Special { //nolint:exhaustive // the others sign the JSON, or nothing of it
	case SpecialAdyen:
		return adyenID(doc, c.idPointers)
	case SpecialMailgun:
		return doc.plainID(c.idPointers)
	}
	return doc.typedID(c.idPointers)
}

// jsonMark begins an id that is more than a string, or a list of strings, could say. What follows
// is JSON. An id that would begin with it otherwise is written so too.
const jsonMark = "json:"

// typedID returns what stands at the pointers, or "" unless there is something at each. Different
// values are different ids: a number or Boolean is told from a string, and what no text can say is
// left as it is written.
func (d document) typedID(pointers []pointer) string {
	var room [maxPointers]document
	values := d.at(pointers, room[:0])
	id, whole := joined(values)
	switch {
	case !whole:
		return ""
	case strings.HasPrefix(id, jsonMark) || slices.ContainsFunc(values, document.isMoreThanText):
		return jsonID(values)
	}
	return id
}

// plainID is typedID without the types.
func (d document) plainID(pointers []pointer) string {
	var room [maxPointers]document
	if id, whole := joined(d.at(pointers, room[:0])); whole {
		return id
	}
	return ""
}

// at appends what stands at the pointers: nil for nothing.
func (d document) at(pointers []pointer, values []document) []document {
	for _, p := range pointers {
		value, _ := d.find(p)
		values = append(values, value)
	}
	return values
}

// adyenID returns the id of all items: a pointer into one of them leads into each. Who has seen
// requests can leave items out, repeat them, mix them and put them in another order, since each is
// signed for itself. So the same items are one delivery in whatever order, and others are another:
// an item that has come alone keeps no other from being stored.
func adyenID(doc document, pointers []pointer) string {
	within := make([]pointer, len(pointers))
	for i, p := range pointers {
		if len(p) < 3 || p[0] != "notificationItems" || p[2] != "NotificationRequestItem" { // it is no part of what is signed
			return doc.plainID(pointers)
		}
		within[i] = p[2:]
	}
	items, ok := doc.find(pointer{"notificationItems"})
	if !ok {
		return ""
	}
	var ids []string
	known := true
	items.each(func(_ int, item document) bool {
		id, whole := joined(item.at(within, nil))
		ids, known = append(ids, id), known && whole
		return true
	})
	slices.Sort(ids)
	ids = slices.Compact(ids)
	switch {
	case len(ids) == 1 && !known:
		return ""
	case len(ids) == 1 && !strings.HasPrefix(ids[0], jsonMark):
		return ids[0]
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return ""
	}
	return jsonMark + string(list)
}

// isMoreThanText says whether a scalar is not told by its text alone.
func (d document) isMoreThanText() bool { return d[0] != '"' || d.halvesPair() }

// separatorEscaper keeps two lists of parts from being joined to one id.
var separatorEscaper = strings.NewReplacer("%", "%25", ":", "%3A")

// joined returns the texts of the values as one, and whether each has one.
func joined(values []document) (id string, whole bool) {
	if len(values) == 1 {
		id, _ = values[0].nonEmpty()
		return id, id != ""
	}
	parts := make([]string, len(values))
	whole = true
	for i, value := range values {
		part, ok := value.nonEmpty()
		parts[i], whole = separatorEscaper.Replace(part), whole && ok
	}
	return strings.Join(parts, ":"), whole
}

// nonEmpty returns the text of a scalar, and whether there is something in it. A document that is
// nil has none.
func (d document) nonEmpty() (text string, ok bool) {
	if len(d) == 0 {
		return "", false
	}
	text, _ = d.scalar()
	return text, text != ""
}

// jsonID returns the values as JSON, strings in one spelling.
func jsonID(values []document) string {
	written := make([][]byte, len(values))
	for i, value := range values {
		written[i] = value
		if value.isMoreThanText() {
			continue
		}
		text, _ := value.text()
		written[i] = quoted(text)
	}
	if len(written) == 1 {
		return jsonMark + string(written[0])
	}
	return jsonMark + "[" + string(bytes.Join(written, []byte(","))) + "]"
}
