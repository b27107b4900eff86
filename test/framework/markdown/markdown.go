/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package markdown finds what tests run and check of the documentation: the fenced blocks of
// Markdown files. What a block is for stands after its fence, and is for the tests to know. It must
// not run anything.
package markdown

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// Block is a fenced block of a Markdown file.
type Block struct {
	File string
	Line int    // of the fence
	Info string // what stands after the fence
	Text string
}

func (b Block) String() string { return fmt.Sprintf("%s:%d", b.File, b.Line) }

// Blocks finds the blocks of a file, whose name is relative to the project's root.
func Blocks(tb testing.TB, file string) []Block {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), file)) //nolint:gosec // the test says what to read
	if err != nil {
		tb.Fatal(err)
	}
	var blocks []Block
	inside := false
	for i, line := range strings.Split(string(raw), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			blocks = append(blocks, Block{File: file, Line: i + 1, Info: strings.TrimSpace(info)})
		case inside:
			last := &blocks[len(blocks)-1]
			last.Text += line + "\n"
		}
	}
	if inside {
		tb.Fatalf("%s: the last fence is not closed", file)
	}
	return blocks
}

// Texts finds the texts of the blocks of a file with exactly this after their fences.
func Texts(tb testing.TB, file, info string) []string {
	tb.Helper()
	var found []string
	for _, b := range Blocks(tb, file) {
		if b.Info == info {
			found = append(found, b.Text)
		}
	}
	return found
}
