/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

const (
	// CRDFolder has the definitions.
	CRDFolder = "config/crd"
	// RBACFolder has the permissions.
	RBACFolder = "config/rbac"
	// OperatorNamespace is where RBACFolder has the service accounts, and the leader's lease is.
	OperatorNamespace = "sluice-system"
)

// The users are the service accounts of RBACFolder, so that what is bound there holds for them.
var (
	IngestUser     = User{Name: "system:serviceaccount:" + OperatorNamespace + ":sluice-ingest", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + OperatorNamespace}}
	ControllerUser = User{Name: "system:serviceaccount:" + OperatorNamespace + ":sluice-controller", Groups: IngestUser.Groups}
)

// ReadOperator reads the definitions and permissions of Sluice, in the order in which they are to
// be applied. The working directory is the project's root.
func ReadOperator() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, folder := range []string{CRDFolder, RBACFolder} {
		objects, err := ReadKustomization(folder)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}
