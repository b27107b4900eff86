/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package kube is the direct way: a delivery.Sink that creates the FlowRun through the Kubernetes
// API and returns only when the API server has confirmed that it is in etcd.
//
// It speaks HTTP/1.1 with as many idle connections as there are creates at a time, and asks for
// metadata in return: a create by client-go's typed client takes more than twice the processor
// time, and noticeably more of the API server's (docs/performance.md). Credentials, certificates,
// proxies and their renewal are client-go's.
package kube
