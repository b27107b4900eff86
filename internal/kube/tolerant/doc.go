/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package tolerant keeps one stored object that cannot be decoded from failing all others.
//
// The API server does not check what it reads from etcd: an object that was stored under another version of its
// CustomResourceDefinition is handed out as it is. client-go decodes a list, or the beginning of a watch, as a whole, so
// that one such object keeps a cache from ever being filled. Wrap stands between the two. It hands on what can be read
// of each object of Sluice's own kinds, and Spec tells readers that its spec is missing; what to make of that is up to
// them.
//
// An object without its spec must never be sent back in an update: that would store what is left of it.
package tolerant
