/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

var mistakes = filepath.Join("docs", "mistakes.md")

// tests says which tests there are, by package.
type tests map[string]map[string]bool

// has says whether a package has a test, or a fuzz target, of that name.
func (all tests) has(t *testing.T, pkg, name string) bool {
	t.Helper()
	if all[pkg] == nil {
		all[pkg] = map[string]bool{}
		files, err := filepath.Glob(filepath.Join(testenv.Root(), pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no tests: %v", pkg, err)
		}
		for _, file := range files {
			for _, declaration := range parse(t, file).Decls {
				if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
					all[pkg][f.Name.Name] = true
				}
			}
		}
	}
	return all[pkg][name]
}

// TestMistakes looks for the tests that are said to catch the mistakes of others.
func TestMistakes(t *testing.T) {
	t.Parallel()
	all := tests{}
	rows := tableUnder(t, mistakes, "## Mistakes")
	for _, cells := range rows {
		named, packages := code.FindAllStringSubmatch(cells[3], -1), code.FindStringSubmatch(cells[4])
		if len(named) == 0 || packages == nil {
			t.Errorf("docs/mistakes.md: no test or no package for %q", cells)
			continue
		}
		for _, test := range named {
			if !all.has(t, packages[1], test[1]) {
				t.Errorf("docs/mistakes.md: there is no %s in %s", test[1], packages[1])
			}
		}
	}
	if len(rows) < 20 {
		t.Errorf("docs/mistakes.md has only %d rows", len(rows))
	}
}

// isTest matches the name of a test or a fuzz target.
var isTest = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)

// TestThreatModel looks for the tests that the threat model names, each behind the name of its
// package.
func TestThreatModel(t *testing.T) {
	t.Parallel()
	all := tests{}
	security := filepath.Join("docs", "security.md")
	for heading, least := range map[string]int{
		"### Who might attack": 8, "### What a failure or takeover gives": 12, "### What was tried": 15,
		"## What the author of a trigger learns of a Secret": 5, "### What gives nothing away": 6,
	} {
		rows := tableUnder(t, security, heading)
		for _, cells := range rows {
			var pkg string
			for _, span := range code.FindAllStringSubmatch(cells[len(cells)-1], -1) {
				switch {
				case !isTest.MatchString(span[1]):
					pkg = span[1]
				case pkg == "":
					t.Errorf("%s: %s is behind no package", security, span[1])
				case !all.has(t, pkg, span[1]):
					t.Errorf("%s: there is no %s in %s", security, span[1], pkg)
				}
			}
		}
		if len(rows) < least {
			t.Errorf("%s has only %d rows under %q", security, len(rows), heading)
		}
	}
}

// TestGoroutines compares the goroutines that the documentation accounts for with those that the
// code starts.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	is, documented := map[string]int{}, map[string]int{}
	for _, folder := range []string{"cmd", "controllers", "ingest", "internal"} {
		err := filepath.WalkDir(filepath.Join(testenv.Root(), folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/sinktest/") {
				return err
			}
			name, err := filepath.Rel(testenv.Root(), path)
			if err != nil {
				return err
			}
			ast.Inspect(parse(t, path), func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.GoStmt:
					is[name]++
				case *ast.CallExpr:
					// errgroup.Group, sync.WaitGroup and their like; and time.AfterFunc.
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Go" || f.Sel.Name == "TryGo" || f.Sel.Name == "AfterFunc") {
						is[name]++
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, cells := range tableUnder(t, mistakes, "## Goroutines") {
		count, err := strconv.Atoi(cells[1])
		if err != nil {
			t.Fatal(err)
		}
		documented[strings.Trim(cells[0], "`")] = count
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("docs/mistakes.md, goroutines that are started (-code +documented); say why each can cause no panic, or recover in it:\n%s", diff)
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
