/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// env is a real API server, with the CustomResourceDefinitions that are made from the types: what
// the types' markers demand can be seen nowhere else.
var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// strict is the validation that kubectl asks for: an unknown or repeated field is an error.
const strict = client.FieldValidation("Strict")

// The good objects that tests change one thing of.
const (
	triggerYAML = `
apiVersion: sluice.dev/v1alpha1
kind: WebhookTrigger
metadata:
  name: orders
spec:
  flowRef:
    name: import-orders
  algorithm: SHA-256
  secretRef:
    name: orders-webhook
    key: secretKey
`
	flowYAML = `
apiVersion: sluice.dev/v1alpha1
kind: Flow
metadata:
  name: import-orders
`
	runYAML = `
apiVersion: sluice.dev/v1alpha1
kind: FlowRun
metadata:
  name: orders-1
spec:
  flowRef:
    name: import-orders
  triggerRef:
    name: orders
    uid: 6f2c1b0e-5a9d-4c57-8a52-0b4f9d3b8a11
  payload:
    contentType: application/json
    text: '{"order": 1001}'
    size: 15
    sha256: 4f7b7d403455b0f328f219945efb3cf7fd0b514c1a8eadbdf31e70fa0435d82c
  request:
    receivedAt: "2026-01-31T12:00:00.000000Z"
    signedBy: orders-webhook/secretKey
`
	binaryRunYAML = `
apiVersion: sluice.dev/v1alpha1
kind: FlowRun
metadata:
  name: orders-2
spec:
  flowRef:
    name: import-orders
  payload:
    binary: +/8=
    size: 2
    sha256: db8fed54159afe40ace5b49d702259fd88c9c4009307181824487baab5c6bdea
`
)

// parse makes an object from YAML, in a namespace.
func parse(tb testing.TB, namespace, text string) *unstructured.Unstructured {
	tb.Helper()
	raw, err := yaml.ToJSON([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw); err != nil {
		tb.Fatal(err)
	}
	object.SetNamespace(namespace)
	return object
}

// absent is the value of a field that is left out.
type absent struct{}

// set changes the field of an object at a path such as spec.flowRef.name.
func set(tb testing.TB, object *unstructured.Unstructured, path string, value any) {
	tb.Helper()
	fields := strings.Split(path, ".")
	if value == (any)(absent{}) {
		if _, found, err := unstructured.NestedFieldNoCopy(object.Object, fields...); !found || err != nil {
			tb.Fatalf("there is no %s to leave out: %v", path, err)
		}
		unstructured.RemoveNestedField(object.Object, fields...)
		return
	}
	if err := unstructured.SetNestedField(object.Object, value, fields...); err != nil {
		tb.Fatalf("set %s: %v", path, err)
	}
}

// get returns the field of an object at a path, and absent{} if there is none.
func get(tb testing.TB, object *unstructured.Unstructured, path string) any {
	tb.Helper()
	value, found, err := unstructured.NestedFieldCopy(object.Object, strings.Split(path, ".")...)
	if err != nil {
		tb.Fatalf("read %s: %v", path, err)
	}
	if !found {
		return absent{}
	}
	return value
}

// read returns an object as it is stored.
func read(tb testing.TB, object client.Object) *unstructured.Unstructured {
	tb.Helper()
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
	if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(object), stored); err != nil {
		tb.Fatalf("read %s %q: %v", stored.GetKind(), object.GetName(), err)
	}
	return stored
}

// decode reads an object into its Go type, as controllers do with every object of a kind: a list
// with one that cannot be decoded is an error for all who ask for it.
func decode(tb testing.TB, object *unstructured.Unstructured) client.Object {
	tb.Helper()
	made, err := env.Client.Scheme().New(object.GroupVersionKind())
	if err != nil {
		tb.Fatal(err)
	}
	decoded, ok := made.(client.Object)
	if !ok {
		tb.Fatalf("%T is no object", made)
	}
	if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(object), decoded); err != nil {
		tb.Fatalf("%s %q is stored, but nobody can read it: %v", object.GetKind(), object.GetName(), err)
	}
	decoded.GetObjectKind().SetGroupVersionKind(object.GroupVersionKind())
	return decoded
}

// explanation is what a user reads of a refusal: kubectl prints the causes, or else the message.
func explanation(err error) string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return ""
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) == 0 {
		return status.Status().Message
	}
	lines := make([]string, len(details.Causes))
	for i, cause := range details.Causes {
		lines[i] = cause.Field + ": " + cause.Message
	}
	return strings.Join(lines, "\n")
}

// checkRefused fails the test unless the API server refused an object because of what is in it, and
// said each of the texts.
func checkRefused(tb testing.TB, reason string, err error, want ...string) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("%s: it was accepted", reason)
	}
	if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
		tb.Fatalf("%s: want a refusal, got: %v", reason, err)
	}
	if len(want) == 0 {
		tb.Fatalf("%s: no test of what the user reads, which is:\n%s", reason, explanation(err))
	}
	got := explanation(err)
	for _, text := range want {
		if !strings.Contains(got, text) {
			tb.Errorf("%s: the user reads\n%s\nwhich does not contain\n%s", reason, got, text)
		}
	}
}

// letters returns n letters.
func letters(n int) string { return strings.Repeat("a", n) }

// TestScheme registers what the API server serves.
func TestScheme(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := sluicev1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for kind, list := range map[string]client.ObjectList{
		"WebhookTrigger": &sluicev1alpha1.WebhookTriggerList{},
		"Flow":           &sluicev1alpha1.FlowList{},
		"FlowRun":        &sluicev1alpha1.FlowRunList{},
	} {
		for _, name := range []string{kind, kind + "List"} {
			if !scheme.Recognizes(sluicev1alpha1.GroupVersion.WithKind(name)) {
				t.Errorf("the scheme does not know %s", name)
			}
		}
		if err := env.Client.List(t.Context(), list, client.InNamespace(env.Namespace(t))); err != nil {
			t.Errorf("list the kind %s: %v", kind, err)
		}
	}
}

// post sends JSON as it is, which a client that decodes it first does not, and returns the status
// and body of the answer.
func post(tb testing.TB, path, body string) (int, string) {
	tb.Helper()
	httpClient, err := rest.HTTPClientFor(env.Config)
	if err != nil {
		tb.Fatal(err)
	}
	address := strings.TrimSuffix(env.Config.Host, "/") + path + "?fieldValidation=Strict"
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := httpClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
