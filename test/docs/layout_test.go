/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package docs_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// module is what the import paths of Sluice's packages begin with, in all of its modules.
const module = "github.com/sluice-dev/sluice/"

// packages are the folders that hold Go files, with the folders of Sluice that those import which
// are no tests.
type packages map[string]map[string]bool

// readPackages goes through the tree, whatever modules and build tags its files belong to.
func readPackages(t *testing.T, root string) packages {
	t.Helper()
	all := packages{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "bin" || name == "dist" || name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".")) && file != root:
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		relative, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(relative)
		if all[folder] == nil {
			all[folder] = map[string]bool{}
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if of, ok := strings.CutPrefix(imported, module); ok {
				all[folder][of] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A pattern is a folder or, with «/...» at its end, a folder and all below it.
type pattern string

func (p pattern) folder() string { return strings.TrimSuffix(string(p), "/...") }

func (p pattern) matches(folder string) bool {
	return folder == p.folder() || p.folder() != string(p) && strings.HasPrefix(folder, p.folder()+"/")
}

func anyMatches(patterns []pattern, folder string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(folder) })
}

// A layoutRow is a row of the table of folders.
type layoutRow struct {
	folders  []pattern
	noGo     bool
	anything bool      // but what is denied
	imports  []pattern // or those that are denied
}

var errLayoutCell = errors.New("it is not in the syntax of the table")

// patternsOf reads a list of patterns.
func patternsOf(cell string) ([]pattern, error) {
	var patterns []pattern
	for item := range strings.SplitSeq(cell, ", ") {
		m := code.FindStringSubmatch(item)
		if m == nil || m[0] != item || path.Clean(m[1]) != m[1] {
			return nil, fmt.Errorf("%q: %w", item, errLayoutCell)
		}
		patterns = append(patterns, pattern(m[1]))
	}
	return patterns, nil
}

// layoutRowOf reads a row.
func layoutRowOf(cells []string) (layoutRow, error) {
	var r layoutRow
	if len(cells) != 3 || cells[1] == "" {
		return r, fmt.Errorf("%q: %w", cells, errLayoutCell)
	}
	var err error
	if r.folders, err = patternsOf(cells[0]); err != nil {
		return r, err
	}
	denied, anything := strings.CutPrefix(cells[2], "anything but ")
	switch {
	case cells[2] == "nothing":
	case cells[2] == "no Go":
		r.noGo = true
	case anything:
		r.anything = true
		r.imports, err = patternsOf(denied)
	default:
		r.imports, err = patternsOf(cells[2])
	}
	return r, err
}

// may says whether a row's folders may import a folder.
func (r layoutRow) may(folder string) bool {
	return anyMatches(r.folders, folder) || anyMatches(r.imports, folder) != r.anything
}

// checkLayout returns what is wrong with a table of folders.
func checkLayout(table [][]string, all packages, exists func(folder string) bool) []string {
	var wrong []string
	report := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	rowsOf := map[string]int{}
	for _, cells := range table {
		row, err := layoutRowOf(cells)
		if err != nil {
			report("%v", err)
			continue
		}
		for _, p := range row.folders {
			if !exists(p.folder()) {
				report("there is no folder %s", p.folder())
			}
		}
		imported := map[string]bool{}
		for _, folder := range slices.Sorted(maps.Keys(all)) {
			if !anyMatches(row.folders, folder) {
				continue
			}
			rowsOf[folder]++
			if row.noGo {
				report("%s holds Go", folder)
			}
			maps.Copy(imported, all[folder])
			for _, of := range slices.Sorted(maps.Keys(all[folder])) {
				if !row.may(of) {
					report("%s imports %s", folder, of)
				}
			}
		}
		for _, p := range row.imports {
			if !row.anything && !slices.ContainsFunc(slices.Collect(maps.Keys(imported)), p.matches) {
				report("%s does not import %s", row.folders[0], p)
			}
			if !exists(p.folder()) {
				report("there is no folder %s to import", p.folder())
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(all)) {
		if rowsOf[folder] != 1 {
			report("%s is in %d rows", folder, rowsOf[folder])
		}
	}
	return wrong
}

// TestLayout holds the table of folders in CONTRIBUTING.md to the tree: every folder with Go files
// is in one row, every row's folder is there, and what is imported is what the last column says.
func TestLayout(t *testing.T) {
	t.Parallel()
	root := testenv.Root()
	all := readPackages(t, root)
	if len(all) < 20 {
		t.Errorf("there are %d folders with Go files only", len(all))
	}
	exists := func(folder string) bool {
		info, err := os.Stat(filepath.Join(root, filepath.FromSlash(folder)))
		return err == nil && info.IsDir()
	}
	for _, wrong := range checkLayout(tableUnder(t, "CONTRIBUTING.md", "## Layout"), all, exists) {
		t.Errorf("CONTRIBUTING.md: %s", wrong)
	}
}

// TestCheckLayout shows what is found wrong with a table.
func TestCheckLayout(t *testing.T) {
	t.Parallel()
	all := packages{
		"api": {}, "web": {"api": true, "web/table": true}, "web/table": {}, "tool": {"web": true},
	}
	exists := func(folder string) bool { return folder == "docs" || all[folder] != nil }
	api, docs := []string{"`api`", "the kinds", "nothing"}, []string{"`docs`", "pages", "no Go"}
	web, tool := []string{"`web/...`", "a server", "`api`"}, []string{"`tool`", "a tool", "anything but `api`"}
	cases := map[string]struct {
		reason string
		table  [][]string
		want   []string
	}{
		"Good":        {reason: "it is as the table says", table: [][]string{api, web, tool, docs}},
		"NotThere":    {reason: "a folder that was moved", table: [][]string{api, web, tool, {"`web2`, `docs`", "pages", "nothing"}}, want: []string{"there is no folder web2"}},
		"NotCovered":  {reason: "a new folder", table: [][]string{api, {"`web`", "a server", "`api`, `web/table`"}, tool}, want: []string{"web/table is in 0 rows"}},
		"Twice":       {reason: "which row counts?", table: [][]string{api, web, tool, {"`api`", "again", "nothing"}}, want: []string{"api is in 2 rows"}},
		"NotSaid":     {reason: "an import that the table does not have", table: [][]string{api, {"`web/...`", "a server", "nothing"}, tool}, want: []string{"web imports api"}},
		"NotImported": {reason: "an import that is gone", table: [][]string{{"`api`", "the kinds", "`tool`"}, web, tool}, want: []string{"api does not import tool"}},
		"Denied":      {reason: "an import that is denied", table: [][]string{api, web, {"`tool`", "a tool", "anything but `web`"}}, want: []string{"tool imports web"}},
		"DeniedGone":  {reason: "what is denied is not there", table: [][]string{api, web, {"`tool`", "a tool", "anything but `web2`"}}, want: []string{"there is no folder web2 to import"}},
		"Below":       {reason: "only with … it is all below", table: [][]string{api, {"`web`", "a server", "`api`"}, {"`web/table`", "a table", "nothing"}, tool}, want: []string{"web imports web/table"}},
		"Go":          {reason: "documentation with Go", table: [][]string{{"`api`", "pages", "no Go"}, web, tool}, want: []string{"api holds Go"}},
		"Prose":       {reason: "who can check that?", table: [][]string{{"`api`", "the kinds", "its children, `tool`"}, web, tool}, want: []string{`"its children": it is not in the syntax of the table`, "api is in 0 rows"}},
		"Cells":       {reason: "no table", table: [][]string{{"`api`", "the kinds"}, web, tool}, want: []string{"[\"`api`\" \"the kinds\"]: it is not in the syntax of the table", "api is in 0 rows"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, checkLayout(tc.table, all, exists)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
