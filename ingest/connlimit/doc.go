/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package connlimit bounds connections, and the requests of HTTP/2 that wait for their bodies, and
// says which one has to go when there is one too many.
//
// Nothing is proved about anybody at that point, so it goes by who holds what: a client, which is
// an address, may hold a part of all, and so may a path. Who sends a header and then nothing goes
// before who has not had a turn yet, and a request that is complete stays while it is handled,
// unless that takes longer than it may. After that its answer has to be taken: who could keep a
// place by not reading would need nothing else. Behind proxies that the operator has named, the
// client is the one that they forward for; nobody else's word is taken.
//
// It is the application of an old rule for shared buffers to connections: when there is no room,
// the queue that holds the most gives some back.
//
// Concurrency: everything may be called at any time. A Limiter has one lock, under which nothing
// waits; sockets are closed outside of it. An event costs O(log n), and a request needs no memory
// of its own in HTTP/1.1.
//
// The package knows nothing of triggers, signatures or Kubernetes.
package connlimit
