/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package apierror_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/internal/kube/apierror"
)

// TestDenial has messages as the API server writes them.
func TestDenial(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, message, want string }{
		"Policy": {
			reason:  "the policy's own message may quote the object",
			message: `flowruns.sluice.dev "orders-1" is forbidden: ValidatingAdmissionPolicy 'no-deletes' with binding 'shop' denied request: {"order": 1001}`,
			want:    `ValidatingAdmissionPolicy 'no-deletes' with binding 'shop' denied`,
		},
		"Webhook": {
			reason:  "the webhook's own message may quote the object",
			message: `admission webhook "validate.example.com" denied the request: {"order": 1001}`,
			want:    `admission webhook "validate.example.com" denied`,
		},
		"Permission": {reason: "no policy", message: `flowruns.sluice.dev "orders-1" is forbidden: User "a" cannot delete resource "flowruns"`},
		"Broken":     {reason: "the webhook did not deny", message: `Internal error occurred: failed calling webhook "validate.example.com": EOF`},
		"Nothing":    {reason: "no message"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, apierror.AdmissionDenial(tc.message)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
