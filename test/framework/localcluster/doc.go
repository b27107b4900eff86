/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package localcluster is what make quickstart, make chaos, make bench and the cluster of make e2e
// have in common: the settings of an etcd and a kube-apiserver on loopback addresses, the reading
// of manifests, waiting, the lock of a folder, and child processes that end with the program.
//
// Children are for those who start everything once and stop it in the end. make chaos has processes
// of its own, because it kills them and starts them again. None uses controller-runtime's envtest,
// which tests do: what that starts is left behind if the program is killed, cannot be interrupted
// while it starts, does not say when it ends, and cannot be stopped and started again on the same
// data.
package localcluster
