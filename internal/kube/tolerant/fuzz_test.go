/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package tolerant_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/internal/kube/tolerant"
)

// FuzzWrap has the API server answer anything. What a client can decode comes through byte by byte,
// but for the annotation of this package, and what it cannot comes through as it is, or as
// something that it can: the same object, of which is said whether its spec is missing. Watches
// lose no event.
func FuzzWrap(f *testing.F) {
	for _, object := range []string{goodFlow, badFlow, badStatus, badBoth, badMetadata, noMetadata, markedFlow, otherKind, noKind, status, "null", "[]", "{", ""} {
		f.Add([]byte(object), false)
		f.Add([]byte(flowList(object)), false)
		f.Add([]byte(event("ADDED", object)+event("DELETED", goodFlow)), true)
	}
	var body []byte
	types := scheme.New()
	decoder := serializer.NewCodecFactory(types).UniversalDeserializer()
	wrapped := tolerant.Wrap(types, logr.Discard())(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, nil
	}))
	answer := func(t *testing.T, sent []byte, target string) ([]byte, error) {
		t.Helper()
		body = sent
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://cluster.example.com/apis/sluice.dev/v1alpha1/flows"+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := wrapped.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}
	f.Fuzz(func(t *testing.T, sent []byte, watch bool) {
		if watch {
			got, err := answer(t, sent, "?watch=true")
			wantEvents, wantErr := events(sent)
			gotEvents, _ := events(got)
			if diff := cmp.Diff(wantEvents, gotEvents); diff != "" {
				t.Errorf("%q (-sent +got):\n%s", sent, diff)
			}
			if (err == nil) != (wantErr == nil) {
				t.Errorf("%q ends with %v, want %v", sent, err, wantErr)
			}
			return
		}
		got, err := answer(t, sent, "")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, sent) {
			return
		}
		if decodes(decoder, sent) && !bytes.Contains(sent, []byte("unreadable")) && !bytes.ContainsRune(sent, '\\') {
			t.Fatalf("%q can be decoded, and came through as %q", sent, got)
		}
		if again, err := answer(t, got, ""); err != nil || !decodes(decoder, again) && decodes(decoder, got) {
			t.Errorf("%q became %q, and that %q, %v", sent, got, again, err)
		}
		before, after := object(sent), object(got)
		if before.Kind != after.Kind || before.Metadata.Name != after.Metadata.Name || before.Metadata.UID != after.Metadata.UID {
			t.Errorf("%q became %q", sent, got)
		}
		if before.Items != nil {
			if len(before.Items) != len(after.Items) {
				t.Errorf("%d items became %d", len(before.Items), len(after.Items))
			}
			return
		}
		if !decodes(decoder, got) {
			t.Errorf("%q became %q, which cannot be decoded either", sent, got)
		}
		marked := tolerant.HasUndecodableSpec(&metav1.ObjectMeta{Annotations: after.Metadata.Annotations})
		if missing := len(before.Spec) > 0 && len(after.Spec) == 0; missing && !marked {
			t.Errorf("%q became %q, and nothing says that the spec is missing", sent, got)
		} else if marked && !missing && len(after.Spec) > 0 {
			t.Errorf("%q became %q, and the spec is said to be missing", sent, got)
		}
	})
}

// decodes says whether a client can make something of an object, or would not try.
func decodes(decoder runtime.Decoder, raw []byte) bool {
	_, _, err := decoder.Decode(raw, nil, nil)
	return err == nil || runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) || runtime.IsMissingVersion(err)
}

type looked struct {
	Kind     string
	Metadata struct {
		Name, UID   string
		Annotations map[string]string
	}
	Spec  json.RawMessage
	Items []json.RawMessage
}

// object reads as much of an object as there is.
func object(raw []byte) looked {
	var l looked
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	_ = json.Unmarshal(fields["kind"], &l.Kind)
	_ = json.Unmarshal(fields["metadata"], &l.Metadata)
	_ = json.Unmarshal(fields["items"], &l.Items)
	l.Spec = fields["spec"]
	return l
}

// events returns the types of a stream's events, and what it ends with if that is not its end.
func events(stream []byte) ([]string, error) {
	var types []string
	for decoder := json.NewDecoder(bytes.NewReader(stream)); ; {
		var raw json.RawMessage
		switch err := decoder.Decode(&raw); {
		case err == io.EOF:
			return types, nil
		case err != nil:
			return types, err
		}
		var event struct{ Type string }
		_ = json.Unmarshal(raw, &event)
		types = append(types, event.Type)
	}
}
