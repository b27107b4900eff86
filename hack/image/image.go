/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// sizeLimit is how large the image may be, compressed: it is what each node downloads.
const sizeLimit = 25 << 20

// architectures are those the image can be made for, by what is in the head of their binaries.
var architectures = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// An image is ready to be written.
type image struct {
	v1.Image
	architecture string
	size         int64 // compressed
}

// build makes an image of one layer.
func build(s stage, folder string, created time.Time, f format) (*image, error) {
	made := &image{}
	var content bytes.Buffer
	layer := tar.NewWriter(&content)
	for _, f := range s.files {
		bytes, err := os.ReadFile(filepath.Join(folder, f.from)) //nolint:gosec // the Dockerfile says what to copy
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.to, Size: int64(len(bytes)), Mode: 0o644, ModTime: created}
		architecture, err := architectureOf(bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.from, err)
		}
		if architecture != "" {
			header.Mode = 0o755
			made.architecture = architecture
		}
		if err := layer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.from, err)
		}
		if _, err := layer.Write(bytes); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.from, err)
		}
	}
	if err := layer.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if made.architecture == "" {
		return nil, errors.New("none of the files is a program for Linux")
	}

	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithCompressedCaching, tarball.WithMediaType(f.layer))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if made.size, err = packed.Size(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if made.size > sizeLimit {
		return nil, fmt.Errorf("the image is %d bytes, compressed, and may be %d", made.size, sizeLimit)
	}
	typed := mutate.ConfigMediaType(mutate.MediaType(empty.Image, f.manifest), f.config)
	made.Image, err = mutate.Append(typed, mutate.Addendum{
		Layer:   packed,
		History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "hack/image"},
	})
	if err != nil {
		return nil, fmt.Errorf("add the layer: %w", err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", made.architecture
	config.Created = v1.Time{Time: created}
	config.Config = v1.Config{User: s.user, Entrypoint: s.entrypoint, Labels: s.labels, WorkingDir: "/"}
	if made.Image, err = mutate.ConfigFile(made.Image, config); err != nil {
		return nil, fmt.Errorf("set the image's configuration: %w", err)
	}
	return made, nil
}

// architectureOf returns the architecture that a program is for, and nothing if it is no program.
func architectureOf(content []byte) (string, error) {
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		if bytes.HasPrefix(content, []byte(elf.ELFMAG)) {
			return "", err
		}
		return "", nil
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return "", errors.New("it is not linked statically, and an image from scratch has no libraries; build it with CGO_ENABLED=0")
		}
	}
	architecture, ok := architectures[program.Machine]
	if !ok {
		return "", fmt.Errorf("there is no image for %s", program.Machine)
	}
	return architecture, nil
}
