/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

const testURL = "https://hooks.example.com/hooks/shop/orders"

// testTrigger returns a trigger with the default scheme.
func testTrigger() *sluicev1alpha1.WebhookTrigger {
	return &sluicev1alpha1.WebhookTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders", UID: "trigger-uid", Generation: 3},
		Spec: sluicev1alpha1.WebhookTriggerSpec{
			FlowRef:   sluicev1alpha1.FlowReference{Name: "import"},
			Algorithm: sluicev1alpha1.AlgorithmSHA256,
			SecretRef: sluicev1alpha1.SecretKeyReference{Name: "webhook", Key: "secretKey"},
			State:     sluicev1alpha1.TriggerActive,
		},
	}
}

// translated translates a trigger with a spec that is valid.
func translated(t *testing.T, spec sluicev1alpha1.WebhookTriggerSpec) Translation {
	t.Helper()
	trigger := testTrigger()
	trigger.Spec = spec
	got, err := Translate(trigger, testURL)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// offered says whether the API server lets a trigger have the spec.
func offered(t *testing.T, namespace string, spec sluicev1alpha1.WebhookTriggerSpec) bool {
	t.Helper()
	trigger := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders"}, Spec: spec}
	err := env.Client.Create(t.Context(), trigger, client.DryRunAll)
	if err != nil && !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	return err == nil
}

// ofSignature is a spec with a scheme of one's own.
func ofSignature(s sluicev1alpha1.SignatureScheme, d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
	spec := testTrigger().Spec
	spec.Algorithm, spec.Signature, spec.Deduplication = "", s, d
	return spec
}

// ofProvider is a spec with a preset.
func ofProvider(name string, d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
	spec := testTrigger().Spec
	spec.Algorithm, spec.Provider, spec.Deduplication = "", sluicev1alpha1.Provider(name), d
	return spec
}

// deduplications are all ways to say what a delivery is.
func deduplications() map[string]sluicev1alpha1.Deduplication {
	return map[string]sluicev1alpha1.Deduplication{
		"absent":     {},
		"Provider":   {Source: sluicev1alpha1.DeduplicateByProvider},
		"Header":     {Source: sluicev1alpha1.DeduplicateByHeader, Header: "X-Other-Id"},
		"SameHeader": {Source: sluicev1alpha1.DeduplicateByHeader},
		"Body":       {Source: sluicev1alpha1.DeduplicateByBody, BodyPointers: []sluicev1alpha1.JSONPointer{"/id"}},
		"Signature":  {Source: sluicev1alpha1.DeduplicateBySignature},
		"None":       {Source: sluicev1alpha1.DeduplicateNone},
	}
}
