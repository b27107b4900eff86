/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const testVerifyToken = "a-verify-token-of-more-than-16-bytes"

// metaSnapshot are those of a trigger for Meta, whose verify token is in a Secret of its own.
func metaSnapshot() Snapshot {
	in := testSnapshot()
	in.Trigger.Spec = ofProvider("Meta", sluicev1alpha1.Deduplication{})
	in.Trigger.Spec.Handshake.VerifyTokenRef = sluicev1alpha1.SecretKeyReference{Name: "meta", Key: "verifyToken"}
	in.Secrets["meta"] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "meta", UID: "meta-uid", ResourceVersion: "4"},
		Data: map[string][]byte{
			"verifyToken": []byte(testVerifyToken), "blank": []byte(" \n\x00"), "empty": nil, "long": []byte(strings.Repeat("t", 4097)),
			"longest": []byte(strings.Repeat("t", 3000)), "newline": []byte(testVerifyToken + "\n"), "short": []byte("meatyhamhock"),
		},
	}
	return in
}

// reply answers Meta's handshake with that token.
func reply(t *testing.T, v *signature.Verifier, token string) error {
	t.Helper()
	question, ok := v.Asked(url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1158201444"}, "hub.verify_token": {token}}.Encode())
	if !ok {
		t.Fatalf("%.20q is not taken for a handshake", token)
	}
	_, err := v.Reply(question)
	return err
}

// TestVerifyToken shows what a verify token has to be, and that deliveries are accepted whether
// there is one or not.
func TestVerifyToken(t *testing.T) {
	t.Parallel()
	key := func(name string) func(*Snapshot) {
		return func(in *Snapshot) { in.Trigger.Spec.Handshake.VerifyTokenRef.Key = name }
	}
	const off = "The handshake of the provider gets 403, while deliveries are accepted: "
	for name, tc := range map[string]struct {
		reason   string
		change   func(*Snapshot)
		token    string // that is answered; empty for none
		resolved string
		message  string // a part of it
	}{
		"Good":     {reason: "it is there", change: func(*Snapshot) {}, token: testVerifyToken, resolved: "True/ResolvedRefs"},
		"Longest":  {reason: "it still fits into a URL", change: key("longest"), token: strings.Repeat("t", 3000), resolved: "True/ResolvedRefs"},
		"Newline":  {reason: "it is compared as it is stored", change: key("newline"), token: testVerifyToken + "\n", resolved: "True/ResolvedRefs", message: `The key "newline" of the Secret "meta" ends in a newline`},
		"Short":    {reason: "it can be guessed", change: key("short"), token: "meatyhamhock", resolved: "True/ResolvedRefs", message: `The key "short" of the Secret "meta" is weak`},
		"Same":     {reason: "another entry of the Secret that has the key", change: func(in *Snapshot) { sameSecret(in) }, token: testVerifyToken, resolved: "True/ResolvedRefs"},
		"NotSet":   {reason: "a trigger from before there was the field", change: func(in *Snapshot) { in.Trigger.Spec.Handshake = sluicev1alpha1.Handshake{} }, resolved: "True/ResolvedRefs", message: off + "there is no verify token."},
		"NoSecret": {reason: "a Secret that was deleted", change: func(in *Snapshot) { delete(in.Secrets, "meta") }, resolved: "True/SecretNotFound", message: off + `There is no Secret "meta"`},
		"NoEntry":  {reason: "an entry that was deleted", change: key("gone"), resolved: "True/SecretKeyNotFound", message: off + `The Secret "meta" has no key "gone"`},
		"Empty":    {reason: "nothing is no token", change: key("empty"), resolved: "True/SecretKeyEmpty", message: off + `the verify token, key "empty" of the Secret "meta", is empty`},
		"Blank":    {reason: "nor is white space", change: key("blank"), resolved: "True/SecretKeyEmpty", message: off + `the verify token, key "blank" of the Secret "meta", is empty`},
		"Long":     {reason: "it does not fit into a URL", change: key("long"), resolved: "True/SecretKeyTooLong", message: off + `The key "long" of the Secret "meta" is longer than 4096 bytes`},
		"Key": {
			reason: "a key does not travel in URLs", resolved: "True/ResolvedRefs", message: off + "spec.handshake.verifyTokenRef names a key",
			change: func(in *Snapshot) { in.Trigger.Spec.Handshake.VerifyTokenRef = in.Trigger.Spec.SecretRef },
		},
		"AdditionalKey": {
			reason: "none of them does", resolved: "True/ResolvedRefs", message: off + "spec.handshake.verifyTokenRef names a key",
			change: func(in *Snapshot) {
				additional(in, "former/secretKey")
				in.Trigger.Spec.Handshake.VerifyTokenRef = sluicev1alpha1.SecretKeyReference{Name: "former", Key: "secretKey"}
			},
		},
		"SkippedToo": {
			reason: "what is wrong with a key is said before", resolved: "True/SecretKeyNotFound", message: off + `There is no Secret "meta"`,
			change: func(in *Snapshot) {
				additional(in, "former/gone")
				delete(in.Secrets, "meta")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := metaSnapshot()
			tc.change(&in)
			got := Resolve(in)
			checkConditions(t, got, "True/Ready", "True/Accepted", tc.resolved)
			for _, kind := range []string{sluicev1alpha1.ConditionReady, sluicev1alpha1.ConditionResolvedRefs} {
				message := messageOf(got, kind)
				if !strings.Contains(message, tc.message) || strings.Contains(message, off) != (tc.token == "") {
					t.Errorf("%s: the message of %s is %q, want %q in it", tc.reason, kind, message, tc.message)
				}
			}
			if got.Route.Verifier == nil {
				t.Fatalf("%s: deliveries are not accepted", tc.reason)
			}
			for _, k := range got.Route.Verifier.Keys() {
				if k.Name == "meta/"+in.Trigger.Spec.Handshake.VerifyTokenRef.Key {
					t.Errorf("%s: the verify token is a key", tc.reason)
				}
				if err := reply(t, got.Route.Verifier, string(k.Secret)); err == nil {
					t.Errorf("%s: a key is answered", tc.reason)
				}
			}
			if tc.token != "" {
				if err := reply(t, got.Route.Verifier, tc.token); err != nil {
					t.Errorf("%s: the token gets %v", tc.reason, err)
				}
			} else if err := reply(t, got.Route.Verifier, testVerifyToken); err == nil {
				t.Errorf("%s: a token is answered", tc.reason)
			}
		})
	}
}

// sameSecret moves the verify token to the Secret of the key.
func sameSecret(in *Snapshot) {
	in.Secrets["webhook"].Data["verifyToken"] = []byte(testVerifyToken)
	in.Trigger.Spec.Handshake.VerifyTokenRef.Name = "webhook"
}

// TestVerifyTokenElsewhere says of a verify token that no handshake asks for that it is not used.
func TestVerifyTokenElsewhere(t *testing.T) {
	t.Parallel()
	in := testSnapshot()
	in.Trigger.Spec.Handshake.VerifyTokenRef = sluicev1alpha1.SecretKeyReference{Name: "gone", Key: "verifyToken"}
	got := Resolve(in)
	checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
	if message := messageOf(got, sluicev1alpha1.ConditionReady); !strings.Contains(message, "spec.handshake.verifyTokenRef is not used") {
		t.Errorf("the message is %q", message)
	}
}

// TestVerifyTokenIsFollowed sees that a change of the Secret that holds the verify token is noticed
// as one of a key is.
func TestVerifyTokenIsFollowed(t *testing.T) {
	t.Parallel()
	in := metaSnapshot()
	if diff := cmp.Diff([]string{"webhook", "meta"}, indexSecretRef(in.Trigger)); diff != "" {
		t.Errorf("by Secret (-want +got):\n%s", diff)
	}
	seen := map[string]string{in.revision(): "the base"}
	for name, change := range map[string]func(*Snapshot){
		"changed": func(in *Snapshot) { in.Secrets["meta"].ResourceVersion = "5" },
		"anew":    func(in *Snapshot) { in.Secrets["meta"].UID = "other" },
		"gone":    func(in *Snapshot) { delete(in.Secrets, "meta") },
	} {
		in := metaSnapshot()
		change(&in)
		if was, ok := seen[in.revision()]; ok {
			t.Errorf("%s: the revision is that of %s", name, was)
		}
		seen[in.revision()] = name
	}
}
