/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// TestGuessedPrefixes is the attack of somebody who may write triggers and read their status, but not read Secrets: a prefix of an
// odd number of hexadecimal digits leaves what can be decoded exactly if it is not there. Digit by digit, that once told all of
// a key.
func TestGuessedPrefixes(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdef"
	secret := strings.Repeat("c0ffee0123456789", 4)
	guess := func(stored, prefix string) []metav1.Condition {
		in := testInputs()
		in.Secrets["webhook"].Data["secretKey"] = []byte(stored)
		in.Trigger.Spec.Algorithm = ""
		in.Trigger.Spec.Signature = sluicev1alpha1.SignatureScheme{Algorithm: "Ed25519", SecretEncoding: "Hex", SecretPrefix: sluicev1alpha1.SecretPrefix(prefix)}
		return Resolve(in).Conditions
	}
	other := strings.Repeat("0123456789abcdef", 4)
	var known string
	for len(known) < len(secret) {
		before := len(known)
		for _, digit := range digits {
			prefix := known + string(digit)
			got := guess(secret, prefix)
			if diff := cmp.Diff(guess(other, prefix), got); diff != "" {
				t.Errorf("the prefix %q tells one key from another (-other +secret):\n%s", prefix, diff)
			}
			if strings.HasPrefix(secret, prefix) && cmp.Diff(guess(other, prefix), got) != "" {
				known = prefix
				break
			}
		}
		if len(known) == before {
			break
		}
	}
	if known != "" {
		t.Errorf("%d of %d digits were read: %s", len(known), len(secret), known)
	}
}
