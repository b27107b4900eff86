/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command image makes an image offline, from a Dockerfile whose last stage begins with FROM scratch
// and has nothing to run: it packs files and says how they are used. Where docker build makes the
// binary in a stage of its own, this takes the one that is there already.
//
// It reads the Dockerfile with BuildKit's own parser, so there is one description of the image and
// two ways to make it. An instruction that it does not know is an error. A file that is copied from
// another stage is expected at the same place of the project that it has below that stage's
// WORKDIR.
//
// The result is what docker save would write: docker load, podman load and ctr images import read
// it. Or it is a tarball of an OCI layout, which can hold an image for several architectures, each
// made of the files of a folder of its own: podman load, ctr images import and skopeo copy read
// that, and the last puts it into a registry. The same files make the same bytes.
//
// It is a module of its own so that neither library gets into the operator's go.mod.
package main
