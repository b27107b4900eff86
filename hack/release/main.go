/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	program := flags.String("program", "", "The program whose bill of materials is written.")
	version := flags.String("version", "", "The program's version, such as v0.1.0. A program that is built of files does not know it.")
	created := flags.Int64("created", 0, "When the release was made, in seconds since 1970: the time of its commit, or no two bills would be the same.")
	output := flags.String("output", "", "Where to write the bill.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; all options are flags", flags.Arg(0))
	}
	if *program == "" || *version == "" || *output == "" {
		return errors.New("--program, --version and --output are required")
	}
	bill, err := billOf(*program, *version)
	if err != nil {
		return err
	}
	bill.Metadata.Timestamp = time.Unix(*created, 0).UTC().Format(time.RFC3339)
	return write(bill, *output)
}
