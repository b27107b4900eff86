/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

// Special names a function that finds what is signed, where no Template can say it.
type Special string

// The special schemes.
const (
	SpecialTwilio     Special = "Twilio"     // sorted form parameters, or a digest of the body in the URL
	SpecialAdyen      Special = "Adyen"      // items in the body with a signature each
	SpecialMailgun    Special = "Mailgun"    // a signed token in the body
	SpecialContentful Special = "Contentful" // headers in canonical form
	SpecialHubSpot    Special = "HubSpot"    // a URL that is decoded in part
)

// A special is what there is to know of a Special.
type special struct {
	// find returns the messages that make up a request, all of which must be signed with one key. It reads what nobody
	// has vouched for yet, so it is bounded by maxUnverified and never panics.
	// The URL is the one that the sender has signed, and q the query in it.
	find func(r Request, c carried, q query, body []byte) ([]message, Cause)

	inBody          bool // the signatures are in the body
	signsTimestamp  bool // that of the headers
	fixesDigits     bool // of that timestamp: nothing else says where it begins
	signsMethod     bool
	signsURL        bool
	signsDeliveryID bool // what a pointer into the body leads to; pointers that leave what is signed make a lie of it
}

// A message is something that is signed.
type message struct {
	// signature is what came with it; empty if that is in the headers.
	signature string
	// contents are what may have been signed; one is enough.
	contents [][]byte
	// ambiguous says that the same content could be of another query and body.
	ambiguous bool
}

// maxUnverified is the length in bytes of the longest body that is interpreted without having been verified.
const maxUnverified = 256 << 10

func (s Special) lookup() special {
	switch s {
	case SpecialTwilio:
		return special{find: findTwilio, signsURL: true}
	case SpecialAdyen:
		return special{find: findAdyen, inBody: true, signsDeliveryID: true}
	case SpecialMailgun:
		return special{find: findMailgun, inBody: true, signsDeliveryID: true}
	case SpecialContentful:
		return special{find: findContentful, signsTimestamp: true, signsMethod: true, signsURL: true, signsDeliveryID: true}
	case SpecialHubSpot:
		return special{find: findHubSpot, signsTimestamp: true, fixesDigits: true, signsMethod: true, signsURL: true, signsDeliveryID: true}
	}
	return special{}
}

func (s Special) inBody() bool { return s.lookup().inBody }

// one returns a single message with a signature in the headers.
func one(ambiguous bool, contents ...[]byte) []message {
	return []message{{contents: contents, ambiguous: ambiguous}}
}
