/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"fmt"
	"slices"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const (
	// MaxKeyBytes bounds what a trigger can make every replica hold. A key longer than the hash's
	// block is hashed first anyway (RFC 2104, section 2), so nothing is gained by one.
	MaxKeyBytes = 4096
	// WeakKeyBytes is the length of a key under which a remark advises a longer one: 128 bits.
	WeakKeyBytes = 16
)

// KeyRefs returns all references to keys, the first of which is the primary one.
func KeyRefs(trigger *sluicev1alpha1.WebhookTrigger) []sluicev1alpha1.SecretKeyReference {
	return append([]sluicev1alpha1.SecretKeyReference{trigger.Spec.SecretRef}, trigger.Spec.AdditionalSecretRefs...)
}

// KeyName is the name of a key in records, status and logs.
func KeyName(ref sluicev1alpha1.SecretKeyReference) string { return ref.Name + "/" + ref.Key }

// SecretNames returns the names of the Secrets that the trigger refers to, each once.
func SecretNames(trigger *sluicev1alpha1.WebhookTrigger) []string {
	var names []string
	refs := KeyRefs(trigger)
	if ref := trigger.Spec.Handshake.VerifyTokenRef; ref.Name != "" {
		refs = append(refs, ref)
	}
	for _, ref := range refs {
		if !slices.Contains(names, ref.Name) {
			names = append(names, ref.Name)
		}
	}
	return names
}

// Key returns the key that a reference names, of the data of its Secret, and remarks on it. The
// error, an *Error, says why it cannot be used. scheme is nil if there is none to use it with: then
// it is only looked for, and there is no key.
//
// Each outcome is something that the author of a trigger learns about a Secret: docs/security.md
// counts them, and TestWhatATriggerTellsOfASecret sees to it.
func Key(ref sluicev1alpha1.SecretKeyReference, data map[string][]byte, scheme *signature.Scheme) (key []byte, remarks []string, err error) {
	key, ok := data[ref.Key]
	switch {
	case !ok:
		return nil, nil, errorf(sluicev1alpha1.ReasonSecretKeyNotFound,
			"The Secret %q has no key %q; add it or correct the reference.", ref.Name, ref.Key)
	case scheme == nil:
		return nil, nil, nil
	case signature.Blank(key):
		return nil, nil, errorf(sluicev1alpha1.ReasonSecretKeyEmpty,
			"The key %q of the Secret %q is empty or white space; anybody could sign with it. Store a key there.", ref.Key, ref.Name)
	case len(key) > MaxKeyBytes:
		return nil, nil, errorf(sluicev1alpha1.ReasonSecretKeyTooLong,
			"The key %q of the Secret %q is longer than %d bytes; is it the right one?", ref.Key, ref.Name, MaxKeyBytes)
	}
	decoded, err := scheme.DecodeSecret(key)
	if err != nil {
		return nil, nil, errorf(sluicev1alpha1.ReasonSecretKeyMalformed, "The key %q of the Secret %q %v.", ref.Key, ref.Name, err)
	}
	if last := key[len(key)-1]; last == '\n' || last == '\r' {
		remarks = append(remarks, fmt.Sprintf("The key %q of the Secret %q ends in a newline, which is part of the key; if signatures do not match, store it without (printf instead of echo).", ref.Key, ref.Name))
	}
	if len(decoded) < WeakKeyBytes {
		remarks = append(remarks, fmt.Sprintf("The key %q of the Secret %q is weak: shorter than %d bytes. Use a longer random one.", ref.Key, ref.Name, WeakKeyBytes))
	}
	return key, remarks, nil
}
