/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery/sinktest"
	"github.com/sluice-dev/sluice/ingest/sink/kube"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// patience is how long to wait for what should take milliseconds.
const patience = 30 * time.Second

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// TestContract holds the sink to the contract of all sinks, at a real API server.
func TestContract(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Subject {
		t.Helper()
		line := &line{}
		config := rest.CopyConfig(env.Config)
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			line.next = next
			return line
		})
		sink, err := kube.New(config, 16)
		if err != nil {
			t.Fatal(err)
		}
		return sinktest.Subject{
			Sink:      sink,
			Stored:    stored,
			Namespace: func(t *testing.T) string { t.Helper(); return env.Namespace(t) },
			Lose:      line.lose,
			Stop:      line.stop,
			Refuse:    refuse,
		}
	})
}

// stored reads a FlowRun.
func stored(t *testing.T, namespace, run string) [][]byte {
	t.Helper()
	var found sluicev1alpha1.FlowRun
	switch err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: run}, &found); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		t.Fatal(err)
	}
	if p := found.Spec.Payload; p.Binary != nil {
		return [][]byte{p.Binary}
	}
	return [][]byte{[]byte(found.Spec.Payload.Text)}
}

// refuse has an admission policy deny all FlowRuns of a namespace, and waits until it does.
func refuse(t *testing.T, namespace string) {
	t.Helper()
	env.Create(t, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"sluice.dev"}, APIVersions: []string{"*"}, Resources: []string{"flowruns"}},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "no runs here"}},
		},
	}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        namespace,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	})
	testenv.Eventually(t, patience, func() error {
		err := env.Client.Create(t.Context(), &sluicev1alpha1.FlowRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "trial"},
			Spec: sluicev1alpha1.FlowRunSpec{
				FlowRef: sluicev1alpha1.FlowReference{Name: "trial"},
				Payload: sluicev1alpha1.Payload{Size: new(int64), SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			},
		}, client.DryRunAll)
		if err == nil {
			return errors.New("the policy is not in force yet")
		}
		return nil
	})
}

// line is what is between the sink and the API server.
type line struct {
	next http.RoundTripper

	mu      sync.Mutex
	losing  bool
	stopped chan struct{} // nil if requests are let through
}

var errLost = errors.New("the answer was lost by the test")

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	losing, stopped := l.losing, l.stopped
	l.losing = false
	l.mu.Unlock()
	if stopped != nil {
		select {
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		case <-stopped:
		}
	}
	response, err := l.next.RoundTrip(r)
	if err == nil && losing {
		_ = response.Body.Close()
		return nil, errLost
	}
	return response, err
}

func (l *line) lose(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losing = true
}

func (l *line) stop(t *testing.T) (resume func()) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	stopped := make(chan struct{})
	l.stopped = stopped
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stopped = nil
		close(stopped)
	}
}
