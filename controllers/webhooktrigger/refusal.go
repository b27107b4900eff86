/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// ReasonRequestRefused is the reason of the Event on a trigger that says why a request to it got
// 401, or a handshake 403.
const ReasonRequestRefused = "RequestRefused"

// RefusalRecorder makes an Event of a refused request. Whoever calls it limits the rate.
type RefusalRecorder struct {
	Recorder events.EventRecorder
}

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch,roleName=sluice-ingest

// ReportRefusal implements diagnosis.Reporter. The hint is the Event's action, because
// client-go counts Events of one action and reason as repetitions of the first, whatever they say.
func (r RefusalRecorder) ReportRefusal(_ context.Context, target *route.Route, explanation signature.Explanation) {
	trigger := &sluicev1alpha1.WebhookTrigger{
		TypeMeta:   metav1.TypeMeta{APIVersion: sluicev1alpha1.GroupVersion.String(), Kind: "WebhookTrigger"},
		ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name, UID: types.UID(target.UID)},
	}
	what := "A request got 401"
	if explanation.Cause.OfHandshake() {
		what = "A handshake got 403"
	}
	r.Recorder.Eventf(trigger, nil, corev1.EventTypeWarning, ReasonRequestRefused, string(explanation.Hint),
		"%s (%s): %s.", what, string(explanation.Cause), explanation.String())
}
