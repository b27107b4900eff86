/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// MaxDeliveryID is the length in bytes of the longest Result.DeliveryID.
const MaxDeliveryID = 256

// boundedID returns the id, or "sha256:" and its digest if it is too long or can't be written in JSON. To cut it would make
// one id of two.
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

// separatorEscaper keeps two lists of parts from being joined to one id.
var separatorEscaper = strings.NewReplacer("%", "%25", ":", "%3A")

// joinedID returns what stands at the pointers, or "" unless there is something at each.
func (d document) joinedID(pointers []pointer) string {
	if len(pointers) == 1 {
		id, _ := d.scalarAt(pointers[0])
		return id
	}
	parts := make([]string, len(pointers))
	for i, p := range pointers {
		part, ok := d.scalarAt(p)
		if !ok || part == "" {
			return ""
		}
		parts[i] = separatorEscaper.Replace(part)
	}
	return strings.Join(parts, ":")
}
