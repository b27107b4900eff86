/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"testing"
)

func TestPublicURL(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, spec, external, want string }{
		"Neither":  {reason: "nobody knows it"},
		"External": {reason: "that of the operator", external: "https://hooks.example.com", want: "https://hooks.example.com/hooks/shop/orders"},
		"WithPath": {reason: "an ingress may add a path", external: "https://example.com/sluice", want: "https://example.com/sluice/hooks/shop/orders"},
		"Own":      {reason: "the trigger's own, byte for byte", spec: "https://example.com/a/", want: "https://example.com/a/"},
		"Query":    {reason: "the query is a part of it", spec: "https://example.com/a?b=c", want: "https://example.com/a?b=c"},
		"Both":     {reason: "the trigger's own goes first", spec: "https://example.com", external: "https://hooks.example.com", want: "https://example.com"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trigger := testTrigger()
			trigger.Spec.PublicURL = tc.spec
			got, err := Translate(trigger, tc.external)
			if err != nil || got.Route.PublicURL != tc.want {
				t.Errorf("%s: %q, %v, want %q", tc.reason, got.Route.PublicURL, err, tc.want)
			}
		})
	}
}
