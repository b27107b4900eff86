/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A format is a way to write images into a file.
type format struct {
	manifest, config, layer types.MediaType
	save                    func(images []*image, tag name.Tag, output string) error
}

var formats = map[string]format{
	// What docker save writes, of one image.
	"docker": {types.DockerManifestSchema2, types.DockerConfigJSON, types.DockerLayer, saveDocker},
	// A tarball of an OCI layout, of images of several architectures under one name.
	"oci": {types.OCIManifestSchema1, types.OCIConfigJSON, types.OCILayer, saveLayout},
}

// write writes images, whole or not at all.
func (f format) write(images []*image, tag, output string) error {
	reference, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o750); err != nil {
		return err
	}
	partial := output + ".partial"
	defer os.Remove(partial) //nolint:errcheck // unless something failed, it is not there any more
	if err := f.save(images, reference, partial); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return os.Rename(partial, output)
}

func saveDocker(images []*image, tag name.Tag, output string) error {
	return tarball.WriteToFile(output, tag, images[0])
}

func saveLayout(images []*image, tag name.Tag, output string) error {
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	known := map[string]bool{}
	for _, image := range images {
		if known[image.architecture] {
			return fmt.Errorf("two folders have programs for linux/%s", image.architecture)
		}
		known[image.architecture] = true
		all = mutate.AppendManifests(all, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: image.architecture}},
		})
	}
	folder, err := os.MkdirTemp(filepath.Dir(output), ".layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	// The first is the OCI's own, and says the tag only; by the second containerd knows the whole
	// name.
	names := map[string]string{"org.opencontainers.image.ref.name": tag.TagStr(), "io.containerd.image.name": tag.Name()}
	if err := written.AppendIndex(all, layout.WithAnnotations(names)); err != nil {
		return err
	}
	return pack(folder, output)
}

// pack writes the files of a folder, in the order of their names and without their times.
func pack(folder, output string) (err error) {
	file, err := os.Create(output) //nolint:gosec // the user says what to write
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := tar.NewWriter(file)
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, name)) //nolint:gosec // it was just written
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
			return err
		}
		_, err = archive.Write(content)
		return err
	})
	return errors.Join(err, archive.Close())
}
