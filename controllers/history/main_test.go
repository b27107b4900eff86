/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/testenv"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

const flowName = "import-orders"

func makeFlow(namespace string) *sluicev1alpha1.Flow { return wrappers.Flow(namespace, flowName).Obj() }

// makeRun returns a run as ingest makes it, of a delivery without an id.
func makeRun(namespace, name string) *sluicev1alpha1.FlowRun {
	run := wrappers.FlowRun(namespace, name).Flow(flowName).Trigger("orders").
		Payload(sluicev1alpha1.Payload{ContentType: "application/json", Text: secret, Size: new(int64(len(secret))), SHA256: digest}).Obj()
	run.Labels = map[string]string{sluicev1alpha1.LabelTrigger: "orders", sluicev1alpha1.LabelFlow: flowName}
	run.Annotations = map[string]string{
		sluicev1alpha1.AnnotationPayloadSHA256: digest,
		sluicev1alpha1.AnnotationSignedBy:      "orders-webhook/secretKey",
	}
	run.Spec.Request = sluicev1alpha1.Request{ReceivedAt: &metav1.MicroTime{Time: time.Now()}, SignedBy: "orders-webhook/secretKey"}
	return run
}

// digest is the SHA-256 of secret.
const digest = "261b26722e6712880c99dc2e2f067c8c01bcebe8512c33d8d6365258eea90adc"

// finished is a patch of the status of a run that has finished.
func finished(success bool, at time.Time) []byte {
	conclusion := metav1.ConditionFalse
	if success {
		conclusion = metav1.ConditionTrue
	}
	raw, _ := json.Marshal(map[string]any{"status": sluicev1alpha1.FlowRunStatus{
		Conditions: []metav1.Condition{{
			Type: sluicev1alpha1.ConditionSucceeded, Status: conclusion, Reason: "Done", LastTransitionTime: metav1.NewTime(at),
		}},
		CompletionTime: new(metav1.NewTime(at)),
	}})
	return raw
}

// newCollector returns a Collector that is not started.
func newCollector(tb testing.TB, change ...func(*Options)) *Collector {
	tb.Helper()
	options := Options{Config: env.Config, Flows: env.Client, Registerer: prometheus.NewRegistry(), Log: logr.Discard()}
	for _, f := range change {
		f(&options)
	}
	c, err := NewCollector(options)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
