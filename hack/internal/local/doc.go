/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package local is what make quickstart, make chaos and make bench have in common: the settings of an etcd and a
// kube-apiserver on loopback addresses, the reading of manifests, waiting, and the attributes of child processes.
//
// It starts no process by itself: how children are watched and stopped is what they differ in. It does not use
// controller-runtime's envtest, which tests do: what that starts is left behind if the program is killed, cannot be
// interrupted while it starts, does not say when it ends, and cannot be stopped and started again on the same data.
package local
