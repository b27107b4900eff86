/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package tolerant

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// annotation marks an object whose spec was left out. It is set in memory only, by this package
// alone: it is removed from what the API server sends, where anybody who may change the object
// could have set it.
const annotation = "sluice.dev/unreadable"

const spec, status = "spec", "status"

// HasUndecodableSpec says whether the spec of an object could not be decoded, and is missing from
// it for that reason. The object must have been read through Wrap.
func HasUndecodableSpec(object metav1.Object) bool {
	return object.GetAnnotations()[annotation] == spec
}

// Wrap returns a wrapper for the transport of a client of the scheme's types.
func Wrap(scheme *runtime.Scheme, log logr.Logger) transport.WrapperFunc {
	s := &sanitizer{decoder: serializer.NewCodecFactory(scheme).UniversalDeserializer(), log: log}
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err != nil || !readsObjects(r) || response.StatusCode != http.StatusOK {
				return response, err
			}
			if r.URL.Query().Get("watch") != "" {
				response.Body = &eventReader{Closer: response.Body, decoder: json.NewDecoder(response.Body), sanitize: s.sanitize}
				return response, nil
			}
			defer response.Body.Close()
			raw, err := io.ReadAll(response.Body)
			if err != nil {
				return nil, err
			}
			raw = s.sanitize(raw)
			response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
			return response, nil
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// readsObjects says whether the answer holds full objects of Sluice's kinds, rather than their
// metadata or a table of them. Creates are left alone, for their speed.
func readsObjects(r *http.Request) bool {
	return r.Method != http.MethodPost &&
		strings.HasPrefix(r.URL.Path, "/apis/"+sluicev1alpha1.GroupVersion.Group+"/") &&
		!strings.Contains(r.Header.Get("Accept"), ";as=")
}

// eventReader is the body of a watch. It sanitizes event by event.
type eventReader struct {
	io.Closer
	decoder  *json.Decoder
	sanitize func([]byte) []byte
	rest     []byte // of the present event
}

// Read implements io.Reader.
func (e *eventReader) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		var raw json.RawMessage
		if err := e.decoder.Decode(&raw); err != nil {
			return 0, err
		}
		e.rest = raw
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if json.Unmarshal(raw, &event) == nil && len(event.Object) > 0 {
			if sanitized := e.sanitize(event.Object); !bytes.Equal(sanitized, event.Object) {
				event.Object = sanitized
				e.rest = encode(event)
			}
		}
		e.rest = append(e.rest, '\n') // as the API server does: a number, say, has no end of its own
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// sanitizer leaves out of objects what cannot be decoded, and the annotation that somebody else has
// set.
type sanitizer struct {
	decoder runtime.Decoder
	log     logr.Logger
}

// sanitize returns an object, or a list of them, in a form that can be decoded. What needs no
// change is returned as it is, and so is what is no object of a known kind.
func (s *sanitizer) sanitize(raw []byte) []byte {
	object, err := s.decode(raw)
	if err == nil && !isMarked(object) {
		return raw
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return raw
	}
	var items []json.RawMessage
	if json.Unmarshal(fields["items"], &items) == nil {
		for i := range items {
			items[i] = s.sanitize(items[i])
		}
		fields["items"] = encode(items)
		return encode(fields)
	}
	unmark(fields)
	for _, parts := range [][]string{{}, {status}, {spec}, {spec, status}} {
		remaining, metadata := omit(fields, parts)
		if _, failed := s.decode(remaining); failed != nil {
			continue
		}
		if err != nil {
			object := klog.KRef(text(metadata["namespace"]), text(metadata["name"]))
			s.log.Error(err, "Cannot read all of an object", "kind", text(fields["kind"]), "object", object, "parts", parts)
		}
		return remaining
	}
	return raw
}

// decode does what a client would do: it returns the object, or what the client would fail with. Of
// a kind that clients do not decode it returns neither.
func (s *sanitizer) decode(raw []byte) (runtime.Object, error) {
	object, _, err := s.decoder.Decode(raw, nil, nil)
	if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) || runtime.IsMissingVersion(err) {
		return nil, nil
	}
	return object, err
}

// isMarked says whether an object, or one in a list, has the annotation.
func isMarked(object runtime.Object) bool {
	if !apimeta.IsListType(object) {
		o, ok := object.(metav1.Object)
		return ok && hasAnnotation(o)
	}
	marked := false
	_ = apimeta.EachListItem(object, func(item runtime.Object) error { // no error: the function returns none
		o, ok := item.(metav1.Object)
		marked = marked || ok && hasAnnotation(o)
		return nil
	})
	return marked
}

func hasAnnotation(o metav1.Object) bool {
	_, ok := o.GetAnnotations()[annotation]
	return ok
}

// unmark removes the annotation from an object.
func unmark(fields map[string]json.RawMessage) {
	var metadata, annotations map[string]json.RawMessage
	if json.Unmarshal(fields["metadata"], &metadata) != nil || json.Unmarshal(metadata["annotations"], &annotations) != nil {
		return
	}
	if _, ok := annotations[annotation]; !ok {
		return
	}
	delete(annotations, annotation)
	metadata["annotations"] = encode(annotations)
	fields["metadata"] = encode(metadata)
}

// omit returns the object without these parts, marked if the spec is one of them, and its metadata.
func omit(fields map[string]json.RawMessage, parts []string) (object []byte, metadata map[string]json.RawMessage) {
	fields = maps.Clone(fields)
	for _, part := range parts {
		delete(fields, part)
	}
	var annotations map[string]json.RawMessage
	if raw, ok := fields["metadata"]; ok && json.Unmarshal(raw, &metadata) != nil || !slices.Contains(parts, spec) {
		return encode(fields), metadata
	}
	if metadata == nil {
		metadata = map[string]json.RawMessage{}
	}
	if json.Unmarshal(metadata["annotations"], &annotations) != nil || annotations == nil {
		annotations = map[string]json.RawMessage{}
	}
	annotations[annotation] = encode(spec)
	metadata["annotations"] = encode(annotations)
	fields["metadata"] = encode(metadata)
	return encode(fields), metadata
}

// text returns a string, or "" for whatever else it is.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func encode(value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings, and JSON that was decoded before
	}
	return encoded
}
