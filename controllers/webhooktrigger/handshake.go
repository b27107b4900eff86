/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"fmt"
	"slices"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/translation"
)

// checkVerifyToken finds the verify token of the provider's handshake, why it is passed over, and
// remarks on it. None of that keeps deliveries from being accepted.
//
// Whether the token is the same as a key is not looked into: who writes triggers, and may not read
// Secrets, could ask so whether two of them are equal.
//
// Nor is anything looked into unless the spec is accepted, as with keys.
func checkVerifyToken(in Snapshot, scheme signature.Scheme, accepted bool) (token signature.Key, passed *problem, remarks []string) {
	const off = "The handshake of the provider gets 403, while deliveries are accepted: "
	ref := in.Trigger.Spec.Handshake.VerifyTokenRef
	set := ref != sluicev1alpha1.SecretKeyReference{}
	switch {
	case !scheme.Handshake.NeedsVerifyToken() && set:
		return token, nil, []string{"spec.handshake.verifyTokenRef is not used: the provider's handshake has no verify token. Remove it."}
	case !scheme.Handshake.NeedsVerifyToken():
		return token, nil, nil
	case !set:
		return token, nil, []string{off + "there is no verify token. To change the URL or the subscriptions at the provider, set spec.handshake.verifyTokenRef; a key does not do."}
	case slices.Contains(translation.KeyRefs(in.Trigger), ref): // which the API server lets nobody store
		return token, nil, []string{off + "spec.handshake.verifyTokenRef names a key, which is for signing. Store a verify token of its own."}
	}
	raw := &signature.Scheme{}
	if !accepted {
		raw = nil
	}
	secret, p, remarks := checkKey(in, ref, raw)
	switch {
	case p != nil && p.reason == sluicev1alpha1.ReasonSecretKeyEmpty:
		return token, &problem{p.reason, off + fmt.Sprintf("the verify token, key %q of the Secret %q, is empty or white space. Store one there.", ref.Key, ref.Name)}, nil
	case p != nil:
		return token, &problem{p.reason, off + p.message}, nil
	}
	return signature.Key{Name: translation.KeyName(ref), Secret: secret}, nil, remarks
}
