/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import "slices"

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
	// find returns the messages that make up a request, all of which must be signed with one key.
	// It reads what nobody has vouched for yet, so it is bounded by maxUnverified and never panics.
	// The URL is the one that the sender has signed, and q the query in it.
	find func(r Request, c carried, q query, body []byte) ([]message, Cause)

	inBody         bool // the signatures are in the body
	signsTimestamp bool // that of the headers
	fixesDigits    bool // of that timestamp: nothing else says where it begins
	signsMethod    bool
	signsURL       bool
	// complete adds to a request what the sender adds before it signs; nil if that is nothing. The
	// id and the time are empty if they are there already. It says whether the request could take
	// it.
	complete func(r *Signed, id, timestamp string) bool
	// places are where the signatures of the messages stand in the body, in their order; nil if
	// they are in the headers.
	places func(body []byte) []pointer
	// signsPointer says whether what a pointer into the body leads to is signed; nil if nothing is.
	signsPointer func(pointer) bool
}

// A message is something that is signed.
type message struct {
	// signature is what came with it; empty if that is in the headers.
	signature string
	// contents are what may have been signed; one is enough. The first is of the request as it
	// stands.
	contents [][]byte
	// ambiguous says that the same content could be of another URL, or query, and body.
	ambiguous bool
}

// maxUnverified is the length in bytes of the longest body that is interpreted without having been
// verified.
const maxUnverified = 256 << 10

func (s Special) lookup() special {
	switch s {
	case SpecialTwilio:
		return special{find: findTwilio, complete: completeTwilio, signsURL: true}
	case SpecialAdyen:
		return special{find: findAdyen, places: adyenPlaces, inBody: true, signsPointer: adyenSigns}
	case SpecialMailgun:
		return special{find: findMailgun, complete: completeMailgun, places: mailgunPlaces, inBody: true, signsPointer: mailgunSigns}
	case SpecialContentful:
		return special{find: findContentful, complete: completeContentful, signsTimestamp: true, signsMethod: true, signsURL: true, signsPointer: wholeBody}
	case SpecialHubSpot:
		return special{find: findHubSpot, signsTimestamp: true, fixesDigits: true, signsMethod: true, signsURL: true, signsPointer: wholeBody}
	}
	return special{}
}

// wholeBody is for schemes that sign every byte of it.
func wholeBody(pointer) bool { return true }

func (s Special) inBody() bool { return s.lookup().inBody }

// signsPointers says whether all that is at these JSON pointers is signed.
func (s Special) signsPointers(texts []string) bool {
	signs := s.lookup().signsPointer
	return signs != nil && !slices.ContainsFunc(texts, func(text string) bool {
		p, err := parsePointer(text)
		return err != nil || !signs(p)
	})
}

// one returns a single message with a signature in the headers.
func one(ambiguous bool, contents ...[]byte) []message {
	return []message{{contents: contents, ambiguous: ambiguous}}
}
