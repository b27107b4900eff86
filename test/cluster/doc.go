/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command cluster runs a cluster of one real node on this machine, for end-to-end tests: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet and kube-proxy. It
// needs Linux, root and some Debian packages, which it names if they are missing, and neither
// Docker nor a registry. To be run in the project's root folder.
//
// Everything runs in network, process and mount namespaces of its own. So its addresses and mounts
// are not seen outside, several can run at a time, and nothing is left: the first process in the
// namespaces dies with this program, however that ends, and the kernel takes everything else along.
// What it writes is in .cluster, but for cgroups, which the next start or down removes if this
// program was killed.
//
// Nobody outside reaches what is in there. Commands can be run in the node's network, which is how
// end-to-end tests run.
//
// What it does not have: a name server for pods, a NetworkPolicy controller (policies are stored,
// and nothing enforces them), storage, and anything to pull images from. Images are imported from
// tarballs.
package main
