/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"net/http"
	"testing"
	"time"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestTracingOffAllocatesNothing makes all the calls of a request while nothing is traced.
func TestTracingOffAllocatesNothing(t *testing.T) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/shop/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(traceparentHeader, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	target := &route.Route{Namespace: "shop", Name: "orders"}
	var off *Tracing
	allocations := testing.AllocsPerRun(200, func() {
		r, traced := off.request(request, target, time.Time{})
		ctx, storing := off.store(r.Context(), target)
		if r != request || ctx != request.Context() || storing.traceparent() != "" {
			t.Error("something is traced")
		}
		storing.stored("orders-0dq0v8s1m", outcomeStored)
		traced.cause(string(signature.ErrMismatch))
		traced.answered(resultAccepted, http.StatusAccepted)
	})
	if allocations != 0 {
		t.Errorf("there are %v allocations, want none", allocations)
	}
}
