/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"fmt"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// applyDeduplication makes what the trigger says of delivery ids a part of the scheme.
func applyDeduplication(scheme *signature.Scheme, d sluicev1alpha1.Deduplication) {
	switch d.Source {
	case sluicev1alpha1.DeduplicateByHeader:
		if d.Header != "" {
			scheme.DeliveryID = signature.DeliveryID{Headers: headerNames(d.Header)}
		}
	case sluicev1alpha1.DeduplicateByBody:
		pointers := make([]string, len(d.BodyPointers))
		for i, p := range d.BodyPointers {
			pointers[i] = string(p)
		}
		scheme.DeliveryID = signature.DeliveryID{BodyPointers: pointers}
	case sluicev1alpha1.DeduplicateBySignature:
		scheme.DeliveryID = signature.DeliveryID{Signature: true}
	case sluicev1alpha1.DeduplicateByProvider, sluicev1alpha1.DeduplicateNone, "":
	}
}

// deduplicates says whether requests of one delivery id are to become one FlowRun.
func deduplicates(spec *sluicev1alpha1.WebhookTriggerSpec, scheme signature.Scheme) bool {
	switch spec.Deduplication.Source {
	case sluicev1alpha1.DeduplicateNone:
		return false
	case sluicev1alpha1.DeduplicateByProvider, "":
		id := scheme.DeliveryID
		return spec.Provider != "" && (len(id.Headers) > 0 || len(id.BodyPointers) > 0 || id.Signature)
	default:
		return true
	}
}

// defaultWindow is the window where it is not known for how long a provider repeats deliveries:
// most have given up by then.
const defaultWindow = 24 * time.Hour

// window returns for how long the FlowRun of a delivery is kept so that repetitions are recognised,
// and a remark if that is short; the trigger deduplicates. A tenth is added to how long a provider
// repeats deliveries, as each attempt takes time too. A timestamp may be off in both directions, so
// a copy of a request is good for up to twice its tolerance.
func window(spec *sluicev1alpha1.WebhookTriggerSpec, scheme signature.Scheme) (kept time.Duration, remark string) {
	preset, _ := signature.PresetByName(string(spec.Provider))
	repeated, replayable := preset.RetryHorizon, 2*scheme.Timestamp.Tolerance
	kept = time.Duration(spec.Deduplication.WindowSeconds) * time.Second
	const advice = "spec.deduplication.windowSeconds is %d, but %s for up to %d seconds; what comes after the window may start the Flow again."
	switch {
	case kept == 0 && repeated == 0:
		kept = max(defaultWindow, replayable)
	case kept == 0:
		kept = max(repeated+repeated/10, replayable)
	case kept < repeated:
		remark = fmt.Sprintf(advice, seconds(kept), string(spec.Provider)+" repeats deliveries", seconds(repeated))
	case kept < replayable:
		remark = fmt.Sprintf(advice, seconds(kept), "the timestamp of a request is good", seconds(replayable))
	}
	return kept, remark
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// match returns what two requests of one delivery have in common, and a remark if that is not safe;
// the trigger deduplicates.
func match(d sluicev1alpha1.Deduplication, scheme signature.Scheme) (made route.Match, remark string) {
	switch {
	case d.Match == sluicev1alpha1.MatchIDAndBody:
		return route.MatchIDAndBody, ""
	case d.Match != sluicev1alpha1.MatchID:
		return route.MatchDefault, ""
	case !scheme.SignsDeliveryID():
		remark = "spec.deduplication.match is ID, but the delivery id is not signed: who has seen a request can send it under the id of a delivery to come, which is lost then. Leave match out, or take an id that is signed."
	}
	return route.MatchID, remark
}
