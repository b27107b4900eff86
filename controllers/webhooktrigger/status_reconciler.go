/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

const (
	statusWorkers = 4
	// statusOwner is the field manager of what the controller writes.
	statusOwner = client.FieldOwner("sluice-controller")
	// conflictPause is how long to wait when the cache had an older trigger than the API server.
	conflictPause = 100 * time.Millisecond
	// actionReconcile is the action of the controller's Events.
	actionReconcile = "Reconcile"
)

// StatusReconciler writes the status of triggers, and an Event when one becomes ready or stops
// being so.
type StatusReconciler struct {
	client   client.Client
	loader   ReferenceLoader
	recorder events.EventRecorder
	usage    *KeyUsage
}

// +kubebuilder:rbac:groups=sluice.dev,resources=webhooktriggers/status,verbs=patch,roleName=sluice-controller
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create,roleName=sluice-controller

// SetupStatus adds a StatusReconciler to the manager, on the elected leader only. externalURL is
// what senders put before a trigger's path; if it is empty status.url stays absent. usagePeriod is
// KeyUsagePeriod except in tests. Somebody has to tell the KeyUsage of every FlowRun from time to
// time, and before it is deleted.
func SetupStatus(mgr ctrl.Manager, secrets *SecretCache, externalURL string, usagePeriod time.Duration) (*KeyUsage, error) {
	usage := newKeyUsage(usagePeriod)
	if err := mgr.Add(usage); err != nil {
		return nil, fmt.Errorf("add the use of keys: %w", err)
	}
	r := &StatusReconciler{
		client:   mgr.GetClient(),
		loader:   ReferenceLoader{Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), SecretSelector: secrets.selector, ExternalURL: externalURL},
		recorder: mgr.GetEventRecorder("sluice-controller"),
		usage:    usage,
	}
	return usage, newController(mgr, "webhooktrigger-status", secrets).
		WatchesRawSource(source.Channel(usage.wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controllerOptions(statusWorkers)).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler. That a user's objects are wrong is reported in the
// status and is no error: their watches will wake the controller.
func (r *StatusReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	trigger := &sluicev1alpha1.WebhookTrigger{}
	found, err := get(ctx, r.client, request.Namespace, request.Name, trigger)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read the trigger: %w", err)
	}
	if !found || !trigger.DeletionTimestamp.IsZero() {
		r.usage.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	in, err := r.loader.Load(ctx, trigger)
	if err != nil {
		return ctrl.Result{}, err
	}
	resolution := Resolve(in)

	before := trigger.DeepCopy()
	trigger.Status.ObservedGeneration = new(trigger.Generation)
	trigger.Status.Path = resolution.Route.Path()
	trigger.Status.Keys = r.usage.keyStatuses(trigger)
	trigger.Status.URL = ""
	if r.loader.ExternalURL != "" {
		trigger.Status.URL = r.loader.ExternalURL + trigger.Status.Path
	}
	trigger.Status.Conditions = conditions(before.Status.Conditions, resolution.Conditions)
	if equality.Semantic.DeepEqual(before.Status, trigger.Status) {
		return ctrl.Result{}, nil
	}
	// With the resource version, so that nothing is written to a trigger that is another one by
	// now.
	err = r.client.Status().Patch(ctx, trigger, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), statusOwner)
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: conflictPause}, nil // for the cache to catch up
	case apierrors.IsInvalid(err):
		// The API server checks the spec as well, and this one was stored under another version of
		// the CustomResourceDefinition. Until it is changed there is no status to be had, so that
		// the Event has to do.
		r.report(ctx, before, resolution)
		return ctrl.Result{}, nil
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, fmt.Errorf("write the status: %w", err)
	}
	if err == nil {
		r.report(ctx, before, resolution)
	}
	return ctrl.Result{}, nil
}

// conditions returns these conditions with the times of their last transitions. Whatever else is in
// the status is not ours, and may keep it from being written.
func conditions(before, are []metav1.Condition) []metav1.Condition {
	var made []metav1.Condition
	for _, c := range are {
		if was := apimeta.FindStatusCondition(before, c.Type); was != nil {
			made = append(made, *was)
		}
		apimeta.SetStatusCondition(&made, c)
	}
	return made
}

// maxNote is the length of the longest text of an Event.
const maxNote = 1024

// report says in an Event and in the log that the condition Ready has changed.
func (r *StatusReconciler) report(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, resolution Resolution) {
	was := apimeta.FindStatusCondition(trigger.Status.Conditions, sluicev1alpha1.ConditionReady)
	is := apimeta.FindStatusCondition(resolution.Conditions, sluicev1alpha1.ConditionReady)
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	ctrl.LoggerFrom(ctx).Info("Readiness of a trigger changed", "ready", is.Status, "reason", is.Reason)
	severity := corev1.EventTypeWarning
	if is.Status == metav1.ConditionTrue || is.Reason == sluicev1alpha1.ReasonSuspended || is.Reason == sluicev1alpha1.ReasonFlowDisabled {
		severity = corev1.EventTypeNormal // what the user asked for
	}
	r.recorder.Eventf(trigger, nil, severity, is.Reason, actionReconcile, "%s", bounded(is.Message, maxNote))
}
