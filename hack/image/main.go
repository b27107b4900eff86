/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	err := run(os.Args[1:], os.Getenv, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	file := flags.String("file", "Dockerfile", "The Dockerfile.")
	var folders []string
	flags.Func("folder", "The folder that files are copied from, the current one by default; repeated for other architectures, with --format=oci.", func(s string) error {
		folders = append(folders, s)
		return nil
	})
	as := flags.String("format", "docker", "docker, as docker save writes it, or oci, a tarball of an OCI layout.")
	tag := flags.String("tag", "", "The image's name and tag.")
	output := flags.String("output", "", "Where to write the tarball.")
	buildArgs := map[string]string{}
	flags.Func("build-arg", "A value for an ARG, as NAME=VALUE; may be repeated.", func(s string) error {
		name, value, found := strings.Cut(s, "=")
		if !found {
			return errors.New("must be NAME=VALUE")
		}
		buildArgs[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; all options are flags", flags.Arg(0))
	}
	if *tag == "" || *output == "" {
		return errors.New("--tag and --output are required")
	}
	created, err := sourceDate(getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}

	stage, err := readDockerfile(*file, buildArgs)
	if err != nil {
		return err
	}
	if len(folders) == 0 {
		folders = []string{"."}
	}
	format, ok := formats[*as]
	if !ok {
		return fmt.Errorf("--format must be docker or oci, not %q", *as)
	}
	if len(folders) > 1 && *as == "docker" {
		return errors.New("only --format=oci has room for several folders")
	}
	var images []*image
	for _, folder := range folders {
		image, err := build(stage, folder, created, format)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	if err := format.write(images, *tag, *output); err != nil {
		return err
	}
	for _, image := range images {
		if _, err := fmt.Fprintf(out, "%s: %s for linux/%s, %.1f MiB compressed\n", *output, *tag, image.architecture, float64(image.size)/(1<<20)); err != nil {
			return err
		}
	}
	return nil
}

// sourceDate returns the time that the image says it was made: not now, or no two builds would be
// the same. See https://reproducible-builds.org/specs/source-date-epoch.
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH must be a number of seconds, not %q", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
