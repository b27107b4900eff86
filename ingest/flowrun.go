/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const (
	// maxNameLength is that of a label value and of a pod's host name, so that a run's name can become either.
	maxNameLength = 63
	// suffixLength is 10 characters of time and 10 of chance.
	suffixLength = 20
	// maxContentTypeLength is the limit of the field in characters.
	maxContentTypeLength = 256
)

// suffixEncoding is base32 with an alphabet in the order of its values, as base32hex (RFC 4648, section 7) but lower case: encoded
// numbers of equal length sort like the numbers.
var suffixEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// uniqueName returns a name that no other run has: the trigger's, cut if need be, and a suffix that sorts by time to the
// millisecond until the year 10889. Two names of one trigger and one millisecond are equal with a chance of 2^-52.
func uniqueName(trigger string, now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16) // a time before 1970 only sorts wrongly
	_, _ = rand.Read(raw[6:])                                        // never fails, see crypto/rand
	return runName(trigger, raw[:])
}

// deliveryName returns the name that every request of a delivery has: the trigger's, cut if need be, and a suffix of 100
// bits of the SHA-256 of the trigger's UID and the delivery id, and of the digest of the body in between if that is to be the same
// too. A trigger that is made anew begins anew.
func deliveryName(trigger, uid, deliveryID string, body *[sha256.Size]byte) string {
	h := sha256.New()
	h.Write([]byte(uid))
	// No UID has one of these bytes, so nothing runs together to the same, neither of one form nor of both.
	if body == nil {
		h.Write([]byte{0})
	} else {
		h.Write([]byte{1})
		h.Write(body[:])
	}
	h.Write([]byte(deliveryID))
	return runName(trigger, h.Sum(nil))
}

// matchesBody says whether two requests of one delivery id are one delivery only if their bodies are the same too. An id that is not
// signed can be anybody's: who has seen a request can send it ahead under the id of a delivery to come. That one must not be taken for
// a repetition. With a signed id it must: some senders count their attempts in the body.
func matchesBody(match route.Match, signed bool) bool {
	switch match {
	case route.MatchID:
		return false
	case route.MatchIDAndBody:
		return true
	default:
		return !signed
	}
}

func runName(trigger string, raw []byte) string {
	const room = maxNameLength - suffixLength - 1
	if len(trigger) > room {
		trigger = strings.TrimRight(trigger[:room], "-")
	}
	return trigger + "-" + suffixEncoding.EncodeToString(raw)[:suffixLength]
}

// newRun returns the FlowRun of a verified request. traceparent is of the span in which it is stored; empty if there is
// none. body is not kept.
//
// It is written member by member: what encoding/json takes for it is 7 % of what a request takes of ingest. So what comes from headers
// has to go through boundedText, which makes UTF-8 of it. The tests compare it with the API's type.
func newRun(r *route.Route, result signature.Result, contentType, traceparent string, receivedAt time.Time, body []byte) NewRun {
	made := NewRun{Namespace: r.Namespace, OfDelivery: r.Deduplicate && result.DeliveryID != ""}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	switch {
	case !made.OfDelivery:
		made.Name = uniqueName(r.Name, receivedAt)
	case matchesBody(r.Match, result.Signed):
		made.Name = deliveryName(r.Name, r.UID, result.DeliveryID, &sum)
	default:
		made.Name = deliveryName(r.Name, r.UID, result.DeliveryID, nil)
	}

	o := newObject(len(body)/2*3 + 2048)
	o.text("apiVersion", apiVersion)
	o.text("kind", "FlowRun")
	o.begin("metadata")
	o.text("namespace", r.Namespace)
	o.text("name", made.Name)
	o.begin("labels")
	o.text(sluicev1alpha1.LabelTrigger, r.Name)
	o.text(sluicev1alpha1.LabelFlow, r.Flow)
	o.end()
	o.begin("annotations")
	o.text(sluicev1alpha1.AnnotationPayloadSHA256, digest)
	o.text(sluicev1alpha1.AnnotationSignedBy, result.Key)
	if made.OfDelivery && r.Window > 0 {
		o.text(sluicev1alpha1.AnnotationRetainUntil, retainUntil(receivedAt, r.Window))
	}
	o.text(sluicev1alpha1.AnnotationTraceparent, traceparent)
	o.end()
	o.end()
	o.begin("spec")
	o.begin("flowRef")
	o.text("name", r.Flow)
	o.end()
	o.begin("triggerRef")
	o.text("name", r.Name)
	o.text("uid", r.UID)
	o.end()
	o.begin("payload")
	o.text("contentType", boundedText(contentType, maxContentTypeLength))
	if storeAsText(body) {
		o.rawText("text", body)
	} else {
		o.base64("binary", body)
	}
	o.number("size", int64(len(body)))
	o.text("sha256", digest)
	o.end()
	o.begin("request")
	o.text("receivedAt", receivedAt.UTC().Format(metav1.RFC3339Micro))
	o.text("deliveryID", boundedText(result.DeliveryID, signature.MaxDeliveryID))
	o.text("signedBy", result.Key)
	o.end()
	o.end()
	o.end()
	made.Object = o
	return made
}

// apiVersion is of FlowRuns.
var apiVersion = sluicev1alpha1.GroupVersion.String()

// retainUntil is the end of a delivery's window, to the second and not before it.
func retainUntil(receivedAt time.Time, window time.Duration) string {
	return receivedAt.Add(window + time.Second - 1).UTC().Format(time.RFC3339)
}

// storeAsText says whether the body is stored as a JSON string rather than as base64: where it is valid UTF-8, and
// where that is not longer. What counts is the length in etcd, and the API server escapes what it stores as
// encoding/json does by default: 6 bytes for a control character, for <, > and &, and for U+2028 and U+2029. So any body is stored
// in at most 4/3 of its length, which MaxPayloadBytes rests on.
func storeAsText(body []byte) bool {
	limit := base64.StdEncoding.EncodedLen(len(body))
	length := 0
	for i := 0; i < len(body); {
		if c := body[i]; c < utf8.RuneSelf {
			length += int(storedLength[c])
			i++
			continue
		}
		r, size := utf8.DecodeRune(body[i:])
		switch r {
		case utf8.RuneError:
			if size == 1 {
				return false
			}
			length += size
		case '\u2028', '\u2029':
			length += 6
		default:
			length += size
		}
		i += size
	}
	return length <= limit
}

// storedLength is how many bytes an ASCII character of a string takes in etcd, see storeAsText.
var storedLength = func() (lengths [utf8.RuneSelf]uint8) {
	for c := range lengths {
		switch {
		case strings.ContainsRune("\"\\\b\f\n\r\t", rune(c)):
			lengths[c] = 2
		case c < ' ' || c == '<' || c == '>' || c == '&':
			lengths[c] = 6
		default:
			lengths[c] = 1
		}
	}
	return lengths
}()

// boundedText makes a header value fit to be stored: valid UTF-8 and at most limit characters.
func boundedText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	count := 0
	for i := range s {
		if count == limit {
			return s[:i]
		}
		count++
	}
	return s
}
