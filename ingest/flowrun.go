/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
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
// bits of the SHA-256 of the trigger's UID and the delivery id. A trigger that is made anew begins anew.
func deliveryName(trigger, uid, deliveryID string) string {
	h := sha256.New()
	h.Write([]byte(uid))
	h.Write([]byte{0}) // no UID has one, so that no two pairs run together to the same
	h.Write([]byte(deliveryID))
	return runName(trigger, h.Sum(nil))
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
func newRun(r *route.Route, result signature.Result, contentType, traceparent string, receivedAt time.Time, body []byte) (NewRun, error) {
	made := NewRun{Namespace: r.Namespace, OfDelivery: r.Deduplicate && result.DeliveryID != ""}
	if made.OfDelivery {
		made.Name = deliveryName(r.Name, r.UID, result.DeliveryID)
	} else {
		made.Name = uniqueName(r.Name, receivedAt)
	}
	annotations := map[string]string{sluicev1alpha1.AnnotationSignedBy: result.Key}
	if made.OfDelivery && r.Window > 0 {
		annotations[sluicev1alpha1.AnnotationRetainUntil] = retainUntil(receivedAt, r.Window)
	}
	if traceparent != "" {
		annotations[sluicev1alpha1.AnnotationTraceparent] = traceparent
	}
	size := int64(len(body))
	digest := sha256.Sum256(body)
	made.Digest = hex.EncodeToString(digest[:])
	annotations[sluicev1alpha1.AnnotationPayloadSHA256] = made.Digest
	run := sluicev1alpha1.FlowRun{
		TypeMeta: metav1.TypeMeta{APIVersion: sluicev1alpha1.GroupVersion.String(), Kind: "FlowRun"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace,
			Name:      made.Name,
			Labels: map[string]string{
				sluicev1alpha1.LabelTrigger: r.Name,
				sluicev1alpha1.LabelFlow:    r.Flow,
			},
			Annotations: annotations,
		},
		Spec: sluicev1alpha1.FlowRunSpec{
			FlowRef:    sluicev1alpha1.FlowReference{Name: r.Flow},
			TriggerRef: sluicev1alpha1.TriggerReference{Name: r.Name, UID: r.UID},
			Payload: sluicev1alpha1.Payload{
				ContentType: boundedText(contentType, maxContentTypeLength),
				Size:        &size,
				SHA256:      made.Digest,
			},
			Request: sluicev1alpha1.Request{
				ReceivedAt: &metav1.MicroTime{Time: receivedAt},
				SignedBy:   result.Key,
				DeliveryID: boundedText(result.DeliveryID, signature.MaxDeliveryID),
			},
		},
	}
	if storeAsText(body) {
		run.Spec.Payload.Text = string(body)
	} else {
		run.Spec.Payload.Binary = body
	}

	var encoded bytes.Buffer
	encoded.Grow(len(body)/2*3 + 1024)
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // 6 bytes for each of < > & would not matter to the API server, which escapes for itself
	if err := encoder.Encode(run); err != nil {
		return NewRun{}, err
	}
	made.Object = encoded.Bytes()
	return made, nil
}

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
			switch {
			case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
				length += 2
			case c < ' ' || c == '<' || c == '>' || c == '&':
				length += 6
			default:
				length++
			}
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
