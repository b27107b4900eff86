/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
)

// secretTraffic is what an operator asks the API server about Secrets, and all that it is told.
type secretTraffic struct {
	mu       sync.Mutex
	requests []*url.URL
	answers  bytes.Buffer
}

func (s *secretTraffic) watch(c *operatorConfig) {
	c.wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && strings.Contains(r.URL.Path, "/secrets") {
				s.mu.Lock()
				s.requests = append(s.requests, r.URL)
				s.mu.Unlock()
				response.Body = struct {
					io.Reader
					io.Closer
				}{io.TeeReader(response.Body, s), response.Body}
			}
			return response, err
		})
	})
}

// Write implements io.Writer.
func (s *secretTraffic) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers.Write(p)
}

// TestSecretLabelSelector runs an operator that may use the Secrets with a label and no others. The
// API server does the selecting: what does not have the label is never sent to the operator.
func TestSecretLabelSelector(t *testing.T) {
	t.Parallel()
	const selector, hiddenKey = "sluice.dev/webhook-key=true", "the-key-of-a-secret-without-label"
	namespace := newWorld(t)
	secret := makeSecret(namespace, keyText)
	labelled := func(yes bool) {
		t.Helper()
		update(t, secret, func(s *corev1.Secret) {
			s.Labels = nil
			if yes {
				s.Labels = map[string]string{"sluice.dev/webhook-key": "true"}
			}
		})
	}
	labelled(true)
	hidden := makeSecret(namespace, hiddenKey)
	hidden.Name = "hidden"
	curious := makeTrigger(namespace)
	curious.Name, curious.Spec.SecretRef.Name = "curious", "hidden"
	env.Create(t, hidden, curious)

	traffic := &secretTraffic{}
	o := startOperator(t, namespace, traffic.watch, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.SecretLabelSelector = selector }
	})
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
	eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)

	t.Log("a trigger that refers to a Secret without the label")
	r := exchange(t, o, rawRequest(http.MethodPost, "/hooks/"+namespace+"/curious", []string{contentLength(2), "X-HMAC-HASH: " + sign(hiddenKey, "{}")}, "{}"))
	if r.status != http.StatusServiceUnavailable {
		t.Errorf("answered %d, want 503", r.status)
	}

	for range 2 {
		t.Log("the label is taken away: the same as if the Secret were")
		labelled(false)
		o.eventuallyAnswers(t, namespace, keyText, http.StatusServiceUnavailable)
		message := eventuallyCondition(t, namespace, "ResolvedRefs", isFalse, sluicev1alpha1.ReasonSecretNotFound)
		if want := fmt.Sprintf("label it so that %q selects it", selector); !strings.Contains(message, want) {
			t.Errorf("the message %q does not say %s", message, want)
		}
		t.Log("and put back")
		labelled(true)
		o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)
		eventuallyCondition(t, namespace, "ResolvedRefs", isTrue, sluicev1alpha1.ReasonResolvedRefs)
	}

	t.Log("a key that changes while the Secret has the label, and while it has not")
	const newKey = "the-key-after-the-rotation-of-it"
	update(t, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(newKey)} })
	o.eventuallyAnswers(t, namespace, newKey, http.StatusAccepted)
	labelled(false)
	o.eventuallyAnswers(t, namespace, newKey, http.StatusServiceUnavailable)
	update(t, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(keyText)} })
	labelled(true)
	o.eventuallyAnswers(t, namespace, keyText, http.StatusAccepted)

	traffic.mu.Lock()
	defer traffic.mu.Unlock()
	byName := 0
	for _, asked := range traffic.requests {
		if !strings.HasSuffix(asked.Path, "/secrets") || asked.Query().Get("labelSelector") != selector {
			t.Errorf("asked without the selector: %s", asked)
		}
		if strings.HasPrefix(asked.Query().Get("fieldSelector"), "metadata.name=") {
			byName++
		}
	}
	if byName == 0 {
		t.Errorf("no Secret was asked for by name")
	}
	answers := traffic.answers.String()
	if !strings.Contains(answers, keyText) && !strings.Contains(answers, base64.StdEncoding.EncodeToString([]byte(keyText))) {
		t.Errorf("the key of the Secret with the label is in no answer")
	}
	if strings.Contains(answers, hiddenKey) || strings.Contains(answers, base64.StdEncoding.EncodeToString([]byte(hiddenKey))) {
		t.Errorf("the key of a Secret without the label is in an answer")
	}
}
