/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"slices"
	"strconv"
	"strings"
)

// maxAdyenItems is far more than Adyen sends: one, in JSON.
const maxAdyenItems = 64

// adyenFields are signed, in this order, with colons between them and nothing escaped. A missing
// one counts as empty. Only one of them, the merchant's own reference, may have colons itself: it
// is then what the others leave.
var adyenFields = []pointer{
	{"pspReference"}, {"originalReference"}, {"merchantAccountCode"}, {"merchantReference"},
	{"amount", "value"}, {"amount", "currency"}, {"eventCode"}, {"success"},
}

// adyenMembers are where these and the signature are.
var adyenMembers = []string{
	"pspReference", "originalReference", "merchantAccountCode", "merchantReference", "amount", "eventCode", "success", "additionalData",
}

// adyenSigns says whether a pointer leads to one of them, in whatever item.
func adyenSigns(p pointer) bool {
	return len(p) > 3 && p[0] == "notificationItems" && p[2] == "NotificationRequestItem" &&
		slices.ContainsFunc(adyenFields, func(signed pointer) bool { return slices.Equal(signed, p[3:]) }) //nolint:forbidigo // the scheme's own words, and no MAC
}

// adyenReference is the index of merchantReference.
const adyenReference = 3

// findAdyen: each item carries a signature of eight of its fields; the rest of the body is not
// signed. That is the scheme of Adyen's standard webhooks. (docs.adyen.com, "Verify HMAC
// signatures")
func findAdyen(_ Request, _ carried, _ query, body []byte) ([]message, Cause) {
	if len(body) > maxUnverified {
		return nil, ErrBodyMalformed
	}
	doc, ok := newDocument(body)
	if !ok {
		return nil, ErrBodyMalformed
	}
	items, ok := doc.find(pointer{"notificationItems"})
	if !ok {
		return nil, ErrHeaderMissing
	}
	var (
		messages []message
		cause    Cause
	)
	if !items.each(func(count int, item document) bool {
		if count == maxAdyenItems {
			cause = ErrBodyMalformed
			return false
		}
		var m message
		m, cause = adyenMessage(item)
		messages = append(messages, m)
		return cause == ""
	}) {
		return nil, ErrBodyMalformed
	}
	if cause == "" && len(messages) == 0 {
		cause = ErrHeaderMissing
	}
	return messages, cause
}

func adyenMessage(item document) (message, Cause) {
	item, ok := item.find(pointer{"NotificationRequestItem"})
	if !ok {
		return message{}, ErrBodyMalformed
	}
	members := make([]field, len(adyenMembers))
	item.fields(adyenMembers, members)
	at := func(p pointer) (document, presence) {
		member := members[slices.Index(adyenMembers, p[0])]
		if member.found != present {
			return nil, member.found
		}
		return member.value.lookup(p[1:])
	}
	signed, _ := at(pointer{"additionalData", "hmacSignature"})
	text, ok := signed.nonEmpty()
	if !ok {
		return message{}, ErrHeaderMissing
	}
	fields := make([]string, len(adyenFields))
	for i, p := range adyenFields {
		switch value, found := at(p); found {
		case ambiguous:
			return message{}, ErrBodyMalformed
		case present:
			if string(value) == "null" {
				continue
			}
			if fields[i], ok = value.scalar(); !ok || i != adyenReference && strings.Contains(fields[i], ":") {
				return message{}, ErrBodyMalformed
			}
		case absent:
		}
	}
	return message{signature: text, contents: [][]byte{[]byte(strings.Join(fields, ":"))}}, ""
}

// adyenPlaces are where the items have their signatures.
func adyenPlaces(body []byte) (places []pointer) {
	doc, ok := newDocument(body)
	if !ok {
		return nil
	}
	items, ok := doc.find(pointer{"notificationItems"})
	if !ok {
		return nil
	}
	whole := true
	items.each(func(count int, item document) bool {
		_, found := item.find(pointer{"NotificationRequestItem"})
		whole = whole && found
		places = append(places, pointer{"notificationItems", strconv.Itoa(count), "NotificationRequestItem", "additionalData", "hmacSignature"})
		return count < maxAdyenItems // one more is refused
	})
	if !whole {
		return nil
	}
	return places
}
