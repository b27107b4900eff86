/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package scheme has the scheme of all types that Sluice deals in.
package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// New returns a scheme with Kubernetes' own types and Sluice's.
func New() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(sluicev1alpha1.AddToScheme(scheme))
	return scheme
}
