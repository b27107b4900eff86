/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery"
)

// maxText is the limit of the fields contentType and deliveryID, in characters.
const maxText = 256

// newFlowRun returns the FlowRun of a delivery.
func newFlowRun(d *delivery.Delivery) *sluicev1alpha1.FlowRun {
	digest := d.HexDigest()
	receivedAt := metav1.NewMicroTime(d.ReceivedAt.UTC())
	run := &sluicev1alpha1.FlowRun{
		TypeMeta: metav1.TypeMeta{APIVersion: sluicev1alpha1.GroupVersion.String(), Kind: "FlowRun"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Trigger.Namespace,
			Name:      d.Run,
			Labels: map[string]string{
				sluicev1alpha1.LabelTrigger: d.Trigger.Name,
				sluicev1alpha1.LabelFlow:    d.Flow,
			},
			Annotations: map[string]string{
				sluicev1alpha1.AnnotationPayloadSHA256: digest,
				sluicev1alpha1.AnnotationSignedBy:      d.Key,
			},
		},
		Spec: sluicev1alpha1.FlowRunSpec{
			FlowRef:    sluicev1alpha1.FlowReference{Name: d.Flow},
			TriggerRef: sluicev1alpha1.TriggerReference{Name: d.Trigger.Name, UID: d.Trigger.UID},
			Payload: sluicev1alpha1.Payload{
				ContentType: boundedText(d.ContentType, maxText),
				Size:        new(int64(len(d.Body))),
				SHA256:      digest,
			},
			Request: sluicev1alpha1.Request{
				ReceivedAt: &receivedAt,
				DeliveryID: boundedText(d.ID, maxText),
				SignedBy:   d.Key,
			},
		},
	}
	if !d.RetainUntil.IsZero() {
		run.Annotations[sluicev1alpha1.AnnotationRetainUntil] = retainUntil(d.RetainUntil)
	}
	if d.Traceparent != "" {
		run.Annotations[sluicev1alpha1.AnnotationTraceparent] = d.Traceparent
	}
	if storeAsText(d.Body) {
		run.Spec.Payload.Text = string(d.Body)
	} else {
		run.Spec.Payload.Binary = d.Body
	}
	return run
}

// encode returns the FlowRun of a delivery as JSON for the API server. <, > and & stay as they are:
// escaped, they would take six times as much of a request.
func encode(d *delivery.Delivery) ([]byte, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, len(d.Body)/2*3+2048))
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(newFlowRun(d)); err != nil {
		return nil, fmt.Errorf("encode the FlowRun: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// retainUntil is the end of a delivery's window, to the second and not before it.
func retainUntil(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Format(time.RFC3339)
}

// storeAsText says whether the body is stored as a JSON string rather than as base64: where it is
// valid UTF-8, and where that is not longer. What counts is the length in etcd, and the API server
// escapes what it stores as encoding/json does by default: 6 bytes for a control character, for <,
// > and &, and for U+2028 and U+2029. So any body is stored in at most 4/3 of its length, which
// delivery.MaxBody rests on.
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

// boundedText makes a header value fit to be stored: valid UTF-8 of at most limit characters.
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
