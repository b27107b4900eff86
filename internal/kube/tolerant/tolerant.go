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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// annotation is on objects in memory only. Whoever stores it makes an object of theirs count as unreadable, which takes
// it out of service and nothing else.
const annotation = "sluice.dev/unreadable"

const spec, status = "spec", "status"

// Spec says whether the spec of an object could not be read, and is missing from it for that reason.
func Spec(object metav1.Object) bool { return object.GetAnnotations()[annotation] == spec }

// Wrap returns a wrapper for the transport of a client of the scheme's types.
func Wrap(scheme *runtime.Scheme, log logr.Logger) transport.WrapperFunc {
	m := &mender{decoder: serializer.NewCodecFactory(scheme).UniversalDeserializer(), log: log}
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err != nil || !concerns(r) || response.StatusCode != http.StatusOK {
				return response, err
			}
			if r.URL.Query().Get("watch") != "" {
				response.Body = &events{Closer: response.Body, decoder: json.NewDecoder(response.Body), mend: m.mend}
				return response, nil
			}
			defer response.Body.Close()
			raw, err := io.ReadAll(response.Body)
			if err != nil {
				return nil, err
			}
			raw = m.mend(raw)
			response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
			return response, nil
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// concerns says whether the answer holds objects of Sluice's kinds in full, rather than their metadata or a table of them. Creates are
// left alone, for their speed.
func concerns(r *http.Request) bool {
	return r.Method != http.MethodPost &&
		strings.HasPrefix(r.URL.Path, "/apis/"+sluicev1alpha1.GroupVersion.Group+"/") &&
		!strings.Contains(r.Header.Get("Accept"), ";as=")
}

// events is the body of a watch, event by event.
type events struct {
	io.Closer
	decoder *json.Decoder
	mend    func([]byte) []byte
	rest    []byte // of the present event
}

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
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
			if mended := e.mend(event.Object); !bytes.Equal(mended, event.Object) {
				event.Object = mended
				e.rest = encode(event)
			}
		}
		e.rest = append(e.rest, '\n') // as the API server does; not every value ends by itself
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// mender leaves out of objects what cannot be decoded.
type mender struct {
	decoder runtime.Decoder
	log     logr.Logger
}

// mend returns an object, or a list of them, in a form that can be decoded. What can be is returned as it is, and so is what is no
// object of a known kind.
func (m *mender) mend(raw []byte) []byte {
	err := m.decode(raw)
	if err == nil {
		return raw
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return raw
	}
	var items []json.RawMessage
	if json.Unmarshal(fields["items"], &items) == nil {
		for i := range items {
			items[i] = m.mend(items[i])
		}
		fields["items"] = encode(items)
		return encode(fields)
	}
	for _, parts := range [][]string{{status}, {spec}, {spec, status}} {
		mended, metadata := without(fields, parts)
		if m.decode(mended) == nil {
			m.log.Error(err, "Cannot read all of an object", "kind", text(fields["kind"]), "object", klog.KRef(text(metadata["namespace"]), text(metadata["name"])), "parts", parts)
			return mended
		}
	}
	return raw
}

// decode returns what a client would fail with.
func (m *mender) decode(raw []byte) error {
	_, _, err := m.decoder.Decode(raw, nil, nil)
	if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) || runtime.IsMissingVersion(err) {
		return nil
	}
	return err
}

// without returns the object without these parts, and with the annotation if the spec is one of them, and its metadata.
func without(fields map[string]json.RawMessage, parts []string) (object []byte, metadata map[string]json.RawMessage) {
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
