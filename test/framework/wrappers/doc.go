/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package wrappers builds the objects that tests need: good ones, of which a test says only what
// matters to it. A wrapper is for one object; Obj returns that object and no copy. It must not know
// what a test is about: who needs a field that one package alone sets, sets it on the object.
package wrappers
