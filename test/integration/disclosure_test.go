/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// conditionsOf waits until the conditions of a trigger are of its present generation, and returns
// one a line.
func conditionsOf(tb testing.TB, namespace, name string) []string {
	tb.Helper()
	var lines []string
	testenv.Eventually(tb, patience, func() error {
		trigger := &sluicev1alpha1.WebhookTrigger{}
		if err := env.Client.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: name}, trigger); err != nil {
			return err
		}
		lines = nil
		for _, kind := range []string{"Ready", "Accepted", "ResolvedRefs"} {
			c := apimeta.FindStatusCondition(trigger.Status.Conditions, kind)
			if c == nil || c.ObservedGeneration != trigger.Generation {
				return fmt.Errorf("the condition %s of %s is %+v", kind, name, c)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s: %s", kind, c.Status, c.Reason, c.Message))
		}
		return nil
	})
	return lines
}

// TestStoredSecretPrefix has triggers that an earlier version let somebody store, to find out by
// prefixes how a Secret begins. They are served by no one, say what to change and nothing of the
// Secret, and can be mended; new ones are refused.
func TestStoredSecretPrefix(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	digits := strings.Repeat("c0ffee0123456789", 4)
	update(t, makeSecret(namespace, keyText), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(digits)} })
	attack := func(name, prefix string) *sluicev1alpha1.WebhookTrigger {
		trigger := makeTrigger(namespace)
		trigger.Name = name
		trigger.Spec.Algorithm = ""
		trigger.Spec.Signature = sluicev1alpha1.SignatureScheme{Algorithm: sluicev1alpha1.AlgorithmEd25519, SecretEncoding: "Hex", SecretPrefix: sluicev1alpha1.SecretPrefix(prefix)}
		return trigger
	}
	var names []string
	for _, digit := range "0123456789abcdef" {
		name := "guess-" + string(digit)
		env.Store(t, "webhooktriggers", poison(t, attack(name, "c0f"+string(digit)), "WebhookTrigger", name))
		names = append(names, name)
	}
	o := startOperator(t, namespace)

	said := map[string]string{} // with another digit in place of the guess, by the trigger
	for _, name := range names {
		lines := conditionsOf(t, namespace, name)
		for _, want := range []string{"Ready False InvalidScheme: ", "Accepted False InvalidScheme: ", "ResolvedRefs True ResolvedRefs: ", `none of ["whsec_" "whpk_" "v1,whsec_"]: store the key without its prefix`} {
			if !strings.Contains(strings.Join(lines, "\n"), want) {
				t.Errorf("%s: the conditions do not say %q:\n%s", name, want, strings.Join(lines, "\n"))
			}
		}
		said[name] = strings.ReplaceAll(strings.Join(lines, "\n"), "c0f"+strings.TrimPrefix(name, "guess-"), "c0f?")
		if said[name] != said[names[0]] {
			t.Errorf("the guesses can be told apart:\n%s", cmp.Diff(said[names[0]], said[name]))
		}
		r := exchange(t, o, rawRequest(http.MethodPost, "/hooks/"+namespace+"/"+name, []string{contentLength(2), "X-HMAC-HASH: " + sign(keyText, "{}")}, "{}"))
		if r.status != http.StatusServiceUnavailable {
			t.Errorf("%s: answered %d, want 503", name, r.status)
		}
	}

	t.Log("what is stored can be read, changed elsewhere, and mended")
	mended := &sluicev1alpha1.WebhookTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: names[0]}}
	update(t, mended, func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.FlowRef.Name = "other" })
	update(t, mended, func(w *sluicev1alpha1.WebhookTrigger) {
		w.Spec.FlowRef.Name, w.Spec.Signature = flowName, sluicev1alpha1.SignatureScheme{Algorithm: "SHA-256", SecretEncoding: "Hex"}
	})
	if lines := conditionsOf(t, namespace, names[0]); !strings.HasPrefix(lines[0], "Ready True Ready: ") {
		t.Errorf("the mended trigger is not ready: %s", lines)
	}

	t.Log("nobody can store a guess any more")
	if err := env.Client.Create(t.Context(), attack("late", "c0ff")); err == nil || !strings.Contains(err.Error(), `spec.signature.secretPrefix: Unsupported value: "c0ff": supported values: "whsec_", "whpk_", "v1,whsec_"`) {
		t.Errorf("a new guess: %v", err)
	}
}

// eventsOn returns what Events say of a trigger, one a line.
func eventsOn(tb testing.TB, namespace, name string) []string {
	tb.Helper()
	var events corev1.EventList
	if err := env.Client.List(tb.Context(), &events, client.InNamespace(namespace)); err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for _, e := range events.Items {
		if e.InvolvedObject.Name == name {
			lines = append(lines, fmt.Sprint(e.Type, " ", e.Reason, " ", e.Action, " ", e.ReportingController, ": ", e.Message))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestUnlabelledIsMissing has people who may write triggers, and not read Secrets, use an operator
// that is limited to Secrets with a label: of any other Secret they see the same as of one that
// does not exist, whatever is in it and whatever is done to it.
func TestUnlabelledIsMissing(t *testing.T) {
	t.Parallel()
	namespace := newWorld(t)
	label := func(s *corev1.Secret) { s.Labels = map[string]string{"sluice.dev/webhook-key": "true"} }
	own := makeSecret(namespace, keyText)
	update(t, own, label)
	contents := map[string]string{
		"text": "the-key-of-a-secret-without-label", "blank": " ", "long": strings.Repeat("k", 5000), "newline": "a key\n", "hex": strings.Repeat("c0ffee01", 8), "whsec": "whsec_AAECAwQFBgcICQoLDA0ODxAREhM=",
	}
	choices := map[string]func(*sluicev1alpha1.WebhookTriggerSpec){
		"plain":     func(*sluicev1alpha1.WebhookTriggerSpec) {},
		"suspended": func(s *sluicev1alpha1.WebhookTriggerSpec) { s.State = sluicev1alpha1.TriggerSuspended },
		"ed25519": func(s *sluicev1alpha1.WebhookTriggerSpec) {
			s.Algorithm, s.Signature = "", sluicev1alpha1.SignatureScheme{Algorithm: "Ed25519", SecretEncoding: "Hex"}
		},
		"preset":   func(s *sluicev1alpha1.WebhookTriggerSpec) { s.Algorithm, s.Provider = "", "StandardWebhooks" },
		"no-entry": func(s *sluicev1alpha1.WebhookTriggerSpec) { s.SecretRef.Key = "other" },
		"additional": func(s *sluicev1alpha1.WebhookTriggerSpec) {
			s.AdditionalSecretRefs = []sluicev1alpha1.SecretKeyReference{s.SecretRef}
			s.SecretRef.Name = secretName
		},
	}
	for kind, content := range contents {
		secret := makeSecret(namespace, content)
		secret.Name = "hidden-" + kind
		env.Create(t, secret)
	}
	each := func(visit func(choice, kind, hidden, missing string)) {
		for choice := range choices {
			for kind := range contents {
				visit(choice, kind, choice+"-hidden-"+kind, choice+"-missing-"+kind)
			}
		}
	}
	each(func(choice, _, hidden, missing string) {
		for _, name := range []string{hidden, missing} {
			trigger := makeTrigger(namespace)
			trigger.Name, trigger.Spec.SecretRef.Name = name, strings.TrimPrefix(name, choice+"-")
			choices[choice](&trigger.Spec)
			env.Create(t, trigger)
		}
	})
	o := startOperator(t, namespace, func(c *operatorConfig) {
		c.options = func(options *app.Options) { options.SecretLabelSelector = "sluice.dev/webhook-key=true" }
	})

	// compare compares what two triggers show, but for their names and those of their Secrets.
	compare := func(what, hidden, missing string, of func(name string) []string) {
		t.Helper()
		same := func(lines []string) []string {
			for i := range lines {
				lines[i] = strings.ReplaceAll(lines[i], "missing-", "hidden-")
			}
			return lines
		}
		if diff := cmp.Diff(same(of(missing)), same(of(hidden))); diff != "" {
			t.Errorf("%s of %s and %s (-missing +hidden):\n%s", what, missing, hidden, diff)
		}
	}
	show := func() {
		t.Helper()
		each(func(choice, kind, hidden, missing string) {
			compare("the conditions", hidden, missing, func(name string) []string { return conditionsOf(t, namespace, name) })
			for _, headers := range [][]string{{}, {"X-HMAC-HASH: " + forge(contents[kind], "{}")}, {"X-HMAC-HASH: " + forge("", "{}")}} {
				compare("an answer", hidden, missing, func(name string) []string {
					r := exchange(t, o, rawRequest(http.MethodPost, "/hooks/"+namespace+"/"+name, append(headers, contentLength(2)), "{}"))
					r.header.Del("Date")
					r.header.Del("Retry-After") // has a random part
					if want := map[bool]int{true: 401, false: 503}[choice == "additional"]; r.status != want {
						t.Errorf("%s: answered %d, want %d", name, r.status, want)
					}
					return []string{fmt.Sprint(r.status, r.header), r.body}
				})
			}
		})
	}
	show()
	t.Log("Events come a little later")
	each(func(choice, _, hidden, missing string) {
		want := map[bool]int{true: 3, false: 1}[choice == "additional"] // Ready, header missing, and signature mismatch
		for _, name := range []string{hidden, missing} {
			testenv.Eventually(t, patience, func() error {
				if lines := eventsOn(t, namespace, name); len(lines) != want {
					return fmt.Errorf("the Events on %s are %q, want %d", name, lines, want)
				}
				return nil
			})
		}
		compare("the Events", hidden, missing, func(name string) []string { return eventsOn(t, namespace, name) })
	})

	t.Log("the Secrets change, and one is deleted: nobody who sees the triggers can tell")
	versions := func() map[string]string {
		var triggers sluicev1alpha1.WebhookTriggerList
		if err := env.Client.List(t.Context(), &triggers, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		versions := map[string]string{}
		for i := range triggers.Items {
			if name := triggers.Items[i].Name; name != triggerName {
				versions[name] = triggers.Items[i].ResourceVersion
			}
		}
		return versions
	}
	before := versions()
	for kind := range contents {
		secret := makeSecret(namespace, "")
		secret.Name = "hidden-" + kind
		update(t, secret, func(s *corev1.Secret) {
			s.Data = map[string][]byte{secretKey: []byte("another key, of more than 16 bytes")}
		})
		if kind == "text" {
			remove(t, secret)
		}
	}
	// What comes of a later change shows that the earlier ones have been seen, if they can be.
	update(t, makeTrigger(namespace), func(w *sluicev1alpha1.WebhookTrigger) { w.Spec.State = sluicev1alpha1.TriggerSuspended })
	eventuallyCondition(t, namespace, "Ready", isFalse, sluicev1alpha1.ReasonSuspended)
	if diff := cmp.Diff(before, versions()); diff != "" {
		t.Errorf("triggers changed (-before +after):\n%s", diff)
	}
	show()
}
