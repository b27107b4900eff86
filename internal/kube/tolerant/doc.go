/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package tolerant keeps one stored object that cannot be decoded from failing all others.
//
// The API server does not validate what it reads from etcd: an object that was stored under another
// version of its CustomResourceDefinition is handed out as it is. client-go decodes a list, or the
// initial events of a watch, as a whole, so one such object keeps a cache from ever syncing. Wrap
// stands between the two. Of each object of Sluice's own kinds it hands on what can be decoded, and
// HasUndecodableSpec tells readers that the spec is missing; what to make of that is up to them.
//
// Nobody else can make HasUndecodableSpec true: the annotation that it goes by is removed from
// whatever the API server sends.
//
// An object without its spec must never be sent back in an update: that would store what is left of
// it.
package tolerant
