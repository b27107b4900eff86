/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/overload"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// TestMetricsKnowAll compares what there is a series for with what the source can count: a series
// that is missing would be a panic at the end of a request.
func TestMetricsKnowAll(t *testing.T) {
	t.Parallel()
	// These are not the first word of an answer that newAnswer makes.
	others := []string{resultAccepted, resultDuplicate, resultChallenge, resultTooLarge, resultAborted}
	made := slices.DeleteFunc(slices.Clone(results), func(r string) bool { return slices.Contains(others, r) })
	for kind, tc := range map[string]struct {
		source []string
		series []string
	}{
		"outcome":   {values(t, ".", "outcome"), texts(outcomes)},
		"Reason":    {values(t, "overload", "Reason"), texts(overload.Reasons())},
		"Cause":     {values(t, "signature", "Cause"), texts(signature.Causes())},
		"Handshake": {values(t, "signature", "Handshake"), texts(signature.Handshakes())},
		"answer":    {values(t, ".", "answer"), made},
	} {
		slices.Sort(tc.source)
		slices.Sort(tc.series)
		if diff := cmp.Diff(tc.source, tc.series); diff != "" || len(tc.source) == 0 {
			t.Errorf("what is counted of %s (-source +series):\n%s", kind, diff)
		}
	}
}

func texts[T ~string](all []T) []string {
	var found []string
	for _, one := range all {
		found = append(found, string(one))
	}
	return found
}

// values returns the texts of the constants of a type in a folder, or of the results of answers.
func values(t *testing.T, folder, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	add := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, text)
		}
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if name, ok := n.Type.(*ast.Ident); ok && name.Name == kind {
					for _, value := range n.Values {
						add(value)
					}
				}
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "newAnswer" && kind == "answer" {
					add(n.Args[0])
				}
			}
			return true
		})
	}
	return found
}
