/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package v1alpha1 is version v1alpha1 of the API group sluice.dev: the kinds WebhookTrigger, Flow
// and FlowRun.
//
// A WebhookTrigger says which signed requests start which Flow; a FlowRun is one request that
// passed. All three are namespaced, and every reference is to an object of the same namespace.
//
// The package imports apimachinery only, so that a client pays for nothing else.
//
// +kubebuilder:object:generate=true
// +groupName=sluice.dev
package v1alpha1
