/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// constantTime are the functions that may compare a key, or what follows from one, with something.
var constantTime = []string{"crypto/hmac.Equal", "crypto/ed25519.Verify"}

// harmless are the functions of other packages that may see a key, or what follows from one, and do
// not compare it; and whether they write something of it elsewhere than into their result.
var harmless = map[string]bool{
	"(hash.Hash).Reset":                          false,
	"(io.Writer).Write":                          true, // of a hash
	"(hash.Hash).Sum":                            true,
	"crypto/hmac.New":                            false,
	"crypto/sha256.Sum256":                       false,
	"bytes.Clone":                                false,
	"encoding/json.Marshal":                      false, // what is sent to who shakes hands
	"encoding/hex.EncodeToString":                false,
	"encoding/hex.DecodeString":                  false,
	"(*encoding/base64.Encoding).DecodeString":   false,
	"(*encoding/base64.Encoding).EncodeToString": false,
}

// keyless are the functions of the package that are called for what holds no key, though others of
// its kind do.
var keyless = []string{"id"}

// sent are those that make of a key what its owner sends, which is no secret from that one: who
// signs sees that it is read as it was written. Who verifies must not call them.
var sent = []string{"written", "shown"}

// senders is the file whose functions may.
const senders = "sign.go"

// exceptions are what else is done with the contents of keys. None of it happens while a request
// waits for its answer, and none has to do with a signature.
var exceptions = map[string]string{
	"Blank: bytes.TrimFunc":                         "whether a key is blank is said in a condition",
	"Blank: r == 0":                                 "the same",
	"Blank: unicode.IsSpace":                        "the same",
	"DecodeSecret: strings.TrimPrefix":              "what every key of the provider begins with",
	"DecodeSecret: strings.ContainsAny":             "a line break is no base64",
	"DecodeSecret: strings.TrimSpace":               "white space is said in a condition",
	"DecodeSecret: text != strings.TrimSpace(text)": "the same",
	"otherSecret: bytes.CutPrefix":                  "for a hint to the owner of the key",
	"otherSecret: bytes.TrimSpace":                  "the same",
}

// TestComparisons follows keys, and all that is made of them, through the source of the package:
// nothing of it is compared but in constant time, with something of equal length.
//
// CVE-2022-36885 and its many likes compared MACs with ==.
func TestComparisons(t *testing.T) {
	t.Parallel()
	want := slices.Sorted(maps.Keys(exceptions))
	if diff := cmp.Diff(want, newSource(t, packages(t), nil).findings()); diff != "" {
		t.Errorf("what is done with keys (-allowed +source):\n%s", diff)
	}
}

// TestComparisonsAreFound makes mistakes in the source, as somebody might, each of which
// TestComparisons would find.
func TestComparisonsAreFound(t *testing.T) {
	t.Parallel()
	all := packages(t)
	const equal = "return hmac.Equal(signature, s.mac)"
	mutants := map[string]struct{ reason, file, old, new, want string }{
		"Operator":     {"the classic", "key.go", equal, "return string(signature) == string(s.mac)", "accepts: string(signature) == string(s.mac)"},
		"NotEqual":     {"the same, the other way round", "key.go", equal, "return !(string(signature) != string(s.mac))", "accepts: string(signature) != string(s.mac)"},
		"Switch":       {"a switch compares", "key.go", equal, "switch string(signature) {\ncase string(s.mac):\nreturn true\n}\nreturn false", "accepts: switch string(s.mac)"},
		"MapKey":       {"a map compares", "key.go", equal, "return map[string]bool{string(signature): true}[string(s.mac)]", "accepts: map[string]bool{…}[string(s.mac)]"},
		"Loop":         {"it ends at the first difference", "key.go", equal, "for i, b := range s.mac {\nif signature[i] != b {\nreturn false\n}\n}\nreturn true", "accepts: signature[i] != b"},
		"BytesEqual":   {"it compares quickly", "key.go", equal, "return bytes.Equal(signature, s.mac)", "accepts: bytes.Equal"},
		"Prefix":       {"it compares a part", "key.go", equal, "return bytes.HasPrefix(s.mac, signature)", "accepts: bytes.HasPrefix"},
		"EqualFold":    {"it compares digits", "key.go", equal, "return hex.EncodeToString(signature) == hex.EncodeToString(s.mac)", "accepts: hex.EncodeToString(signature) == hex.EncodeToString(s.mac)"},
		"Helper":       {"a function compares", "key.go", equal, "return same(string(signature), string(s.mac))\n}\n\nfunc same(a, b string) bool {\nreturn a == b", "same: a == b"},
		"Closure":      {"a variable compares", "key.go", equal, "same := func(a []byte) bool { return string(a) == string(signature) }\nreturn same(s.mac)", "accepts: string(a) == string(signature)"},
		"FunctionType": {"nobody knows what compares", "key.go", equal, "return comparer(signature, s.mac)\n}\n\nvar comparer func(a, b []byte) bool\n\nfunc init() {", "accepts: comparer"},
		"Copy":         {"the MAC by another name", "key.go", equal, "var mac [maxSize]byte\ncopy(mac[:], s.mac)\nreturn string(mac[:len(signature)]) == string(signature)", "accepts: string(mac[:len(signature)]) == string(signature)"},
		"Array":        {"arrays are compared quickly", "key.go", "return hmac.Equal(digest[:], s.token)", "return digest == [sha256.Size]byte(s.token)", "isToken: digest == [sha256.Size]byte(s.token)"},
		"Token":        {"the key itself", "challenge.go", "if !hmac.Equal(digest[:], v.verifyToken) {", "if string(digest[:]) != string(v.verifyToken) {", "checkVerifyToken: string(digest[:]) != string(v.verifyToken)"},
		"TokenLength":  {"the time tells the key's length", "challenge.go", "!hmac.Equal(digest[:], v.verifyToken)", "!hmac.Equal([]byte(shown), v.verifyToken)", "checkVerifyToken: hmac.Equal([]byte(shown), v.verifyToken): []byte(shown) may have any length"},
		"DecodeLength": {"what is decoded may be shorter", "verifier.go", "err != nil || n != size", "err != nil", "accepts: hmac.Equal(signature, s.mac): signature may have any length"},
		"KeptLength":   {"what was kept may be shorter", "verifier.go", "p.length == 0 || p.length != v.algorithm.size", "p.length == 0", "accepts: hmac.Equal(signature, s.mac): signature may have any length"},
		"PartOfMAC":    {"a few bytes are compared", "key.go", equal, "return hmac.Equal(signature[:4], s.mac[:4])", "accepts: hmac.Equal(signature[:4], s.mac[:4]): s.mac[:4] may have any length"},
		"Undecoded":    {"what is compared is not what was decoded", "verifier.go", "s.accepts(signature)", "s.accepts([]byte(text))", "accepts: hmac.Equal(signature, s.mac): signature may have any length"},
		"Signer":       {"a signature is made to be compared", "verifier.go", "s.accepts(signature)", "text == v.written(s, v.keys[0])", "matchState: v.written is not in sign.go"},
		"SignerEqual":  {"the same by who signs", "sign.go", "!v.matchState(s, d.Headers, &p, \"\")", "p.length == 0 || string(p.signature[:p.length]) != string(s.mac)", "attach: string(p.signature[:p.length]) != string(s.mac)"},
		"ClaimedBody":  {"a digest in a URL", "twilio.go", "len(claimed) != len(digest) || ", "", "findTwilio: hmac.Equal(claimed, digest[:]): claimed may have any length"},
	}
	for name, tc := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mutated := newSource(t, all, func(file, text string) string {
				if file != tc.file {
					return text
				}
				if strings.Count(text, tc.old) != 1 {
					t.Fatalf("%s does not have %q once", file, tc.old)
				}
				return strings.Replace(text, tc.old, tc.new, 1)
			})
			if got := mutated.findings(); !slices.Contains(got, tc.want) {
				t.Errorf("%s: found are %q, want %q among them", tc.reason, got, tc.want)
			}
		})
	}
}

// packages returns where the compiled packages are that this one imports, directly or not.
func packages(t *testing.T) map[string]string {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Stderr = &stderr
	listed, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	found := map[string]string{}
	for line := range strings.Lines(string(listed)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			found[path] = file
		}
	}
	return found
}

// A source is the package with what is known of its variables, fields, parameters and results.
type source struct {
	fset   *token.FileSet
	info   types.Info
	pkg    *types.Package
	files  []*ast.File
	secret map[types.Object]bool             // holds a key, or what follows from one
	values map[types.Object][]value          // all that it is set to
	lits   map[types.Object]*types.Signature // the functions that variables hold
	found  map[string]bool
}

// A value is one of those of an expression, which is a call if there are several.
type value struct {
	expr  ast.Expr
	index int
	in    *ast.FuncDecl
}

// newSource reads the package, changed if need be.
func newSource(t *testing.T, compiled map[string]string, change func(file, text string) string) *source {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	s := &source{
		fset: fset,
		info: types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
		secret: map[types.Object]bool{}, values: map[types.Object][]value{}, lits: map[types.Object]*types.Signature{}, found: map[string]bool{},
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if change != nil {
			text = change(name, text)
		}
		file, err := parser.ParseFile(fset, name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, file)
	}
	config := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) }),
		Error: func(err error) {
			if e, ok := err.(types.Error); !ok || !e.Soft { //nolint:errorlint // it is not wrapped, and imports may be unused
				t.Error(err)
			}
		},
	}
	s.pkg, _ = config.Check("signature", fset, s.files, &s.info) // the error is among those above
	key, _ := s.pkg.Scope().Lookup("Key").Type().Underlying().(*types.Struct)
	for field := range key.Fields() {
		if field.Name() == "Secret" {
			s.secret[field] = true
		}
	}
	if len(s.secret) != 1 {
		t.Fatal("Key has no field Secret")
	}
	for {
		before := len(s.secret)
		clear(s.values)
		s.each(s.flow)
		if len(s.secret) == before {
			return s
		}
	}
}

// each calls visit for every node, with the functions around it.
func (s *source) each(visit func(n ast.Node, around []ast.Node)) {
	for _, file := range s.files {
		var stack []ast.Node
		ast.Inspect(file, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return true
			}
			visit(n, stack)
			stack = append(stack, n)
			return true
		})
	}
}

// declared returns the function declaration around a node; nil outside of functions.
func declared(around []ast.Node) *ast.FuncDecl {
	for _, n := range around {
		if f, ok := n.(*ast.FuncDecl); ok {
			return f
		}
	}
	return nil
}

// flow takes note of what a node makes secret, and of what it sets to what.
func (s *source) flow(n ast.Node, around []ast.Node) {
	in := declared(around)
	switch n := n.(type) {
	case *ast.AssignStmt:
		s.assign(n.Lhs, n.Rhs, in)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(n.Names))
		for i := range n.Names {
			names[i] = n.Names[i]
		}
		s.assign(names, n.Values, in)
	case *ast.RangeStmt:
		if n.Value != nil && s.isSecret(n.X) {
			s.mark(n.Value)
		}
	case *ast.CompositeLit:
		for _, element := range n.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				if field, ok := pair.Key.(*ast.Ident); ok && s.info.Uses[field] != nil {
					s.set(s.info.Uses[field], value{pair.Value, 0, in})
				}
			}
		}
	case *ast.ReturnStmt:
		results := s.resultsAround(around)
		for i := range n.Results {
			if len(n.Results) == results.Len() {
				s.set(results.At(i), value{n.Results[i], 0, in})
			}
		}
		if len(n.Results) == 1 && results.Len() > 1 {
			for i := range results.Len() {
				s.set(results.At(i), value{n.Results[0], i, in})
			}
		}
	case *ast.CallExpr:
		s.call(n, in)
	}
}

func (s *source) resultsAround(around []ast.Node) *types.Tuple {
	for _, n := range slices.Backward(around) {
		switch f := n.(type) {
		case *ast.FuncLit:
			signature, _ := s.info.TypeOf(f).(*types.Signature)
			return signature.Results()
		case *ast.FuncDecl:
			signature, _ := s.info.Defs[f.Name].Type().(*types.Signature)
			return signature.Results()
		}
	}
	return nil
}

func (s *source) assign(left, right []ast.Expr, in *ast.FuncDecl) {
	for i, target := range left {
		v := value{in: in}
		switch {
		case len(left) == len(right):
			v.expr = right[i]
		case len(right) == 1:
			v.expr, v.index = right[0], i
		default:
			continue // declared without a value
		}
		if lit, ok := v.expr.(*ast.FuncLit); ok {
			s.lits[s.root(target)], _ = s.info.TypeOf(lit).(*types.Signature)
		}
		if _, ok := target.(*ast.Ident); ok || s.field(target) != nil {
			s.set(s.root(target), v)
		} else if s.isSecretAt(v) {
			s.mark(target)
		}
	}
}

func (s *source) set(o types.Object, v value) {
	if o == nil {
		return
	}
	s.values[o] = append(s.values[o], v)
	if s.isSecretAt(v) && tells(o.Type()) {
		s.secret[o] = true
	}
}

// mark makes the variable or field secret that an expression is a part of.
func (s *source) mark(e ast.Expr) {
	if o := s.root(e); o != nil && tells(o.Type()) {
		s.secret[o] = true
	}
}

// writes says whether a function of another package may write what it sees to other arguments, or
// its receiver.
func writes(o types.Object) bool {
	written, known := harmless[fullName(o)]
	return written || !known
}

// tells says whether values of the type can hold a part of a key. That of what was compared or
// counted does not.
func tells(t types.Type) bool {
	basic, ok := t.Underlying().(*types.Basic)
	return (!ok || basic.Info()&types.IsBoolean == 0) && t.String() != "error"
}

// root returns the variable or field that an expression is, or is a part of.
func (s *source) root(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if o := s.info.Defs[e]; o != nil {
			return o
		}
		return s.info.Uses[e]
	case *ast.SelectorExpr:
		return s.field(e)
	case *ast.IndexExpr:
		return s.root(e.X)
	case *ast.SliceExpr:
		return s.root(e.X)
	case *ast.StarExpr:
		return s.root(e.X)
	case *ast.UnaryExpr:
		return s.root(e.X)
	}
	return nil
}

func (s *source) field(e ast.Expr) types.Object {
	if selector, ok := ast.Unparen(e).(*ast.SelectorExpr); ok {
		if selection := s.info.Selections[selector]; selection != nil && selection.Kind() == types.FieldVal {
			return selection.Obj()
		}
	}
	return nil
}

// callee returns the function that is called, and its signature: of the package, of another one, or
// the one that a variable holds. It is nil for conversions, builtins, and what cannot be known.
func (s *source) callee(call *ast.CallExpr) (types.Object, *types.Signature) {
	var o types.Object
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		o = s.info.Uses[f]
	case *ast.SelectorExpr:
		o = s.info.Uses[f.Sel]
	}
	if lit := s.lits[o]; lit != nil {
		return o, lit
	}
	if f, ok := o.(*types.Func); ok {
		return o, f.Signature()
	}
	return nil, nil
}

// call takes note of what a call makes secret: parameters of what is known, and all arguments of
// what is not.
func (s *source) call(call *ast.CallExpr, in *ast.FuncDecl) {
	o, signature := s.callee(call)
	if s.info.Types[call.Fun].IsType() {
		return
	}
	if o != nil && o.Pkg() == s.pkg {
		for i, argument := range call.Args {
			s.set(signature.Params().At(min(i, signature.Params().Len()-1)), value{argument, 0, in})
		}
		return
	}
	if !s.seesSecret(call) || o != nil && slices.Contains(constantTime, fullName(o)) {
		return
	}
	if name := s.builtin(call); name != "" && name != "copy" {
		return
	}
	arguments := slices.Clone(call.Args)
	if selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && s.info.Selections[selector] != nil {
		arguments = append(arguments, selector.X)
	}
	for _, argument := range arguments {
		if lit, ok := argument.(*ast.FuncLit); ok {
			signature, _ := s.info.TypeOf(lit).(*types.Signature)
			for parameter := range signature.Params().Variables() {
				s.secret[parameter] = true
			}
			continue
		}
		switch s.info.TypeOf(argument).Underlying().(type) {
		case *types.Slice, *types.Pointer, *types.Interface:
			if o == nil || writes(o) {
				s.mark(argument)
			}
		}
	}
}

func (s *source) builtin(call *ast.CallExpr) string {
	if f, ok := ast.Unparen(call.Fun).(*ast.Ident); ok {
		if _, ok := s.info.Uses[f].(*types.Builtin); ok {
			return f.Name
		}
	}
	return ""
}

// seesSecret says whether a call is one of a secret's method, or has a secret among its arguments.
func (s *source) seesSecret(call *ast.CallExpr) bool {
	if selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && s.info.Selections[selector] != nil && s.isSecret(selector.X) {
		return true
	}
	return slices.ContainsFunc(call.Args, s.isSecret)
}

func (s *source) isSecret(e ast.Expr) bool { return s.isSecretAt(value{expr: e}) }

func (s *source) isSecretAt(v value) bool {
	if e, ok := ast.Unparen(v.expr).(*ast.CallExpr); ok {
		return s.isSecretResult(e, v.index)
	}
	if t := s.info.TypeOf(v.expr); t == nil || !tells(t) {
		return false
	}
	switch e := ast.Unparen(v.expr).(type) {
	case *ast.Ident:
		return s.secret[s.root(e)]
	case *ast.SelectorExpr:
		return s.secret[s.field(e)] || s.info.Selections[e] != nil && s.isSecret(e.X)
	case *ast.IndexExpr:
		return s.isSecret(e.X)
	case *ast.SliceExpr:
		return s.isSecret(e.X)
	case *ast.StarExpr:
		return s.isSecret(e.X)
	case *ast.UnaryExpr:
		return s.isSecret(e.X)
	case *ast.TypeAssertExpr:
		return s.isSecret(e.X)
	case *ast.BinaryExpr:
		return s.isSecret(e.X) || s.isSecret(e.Y)
	case *ast.KeyValueExpr:
		return s.isSecret(e.Key) || s.isSecret(e.Value)
	case *ast.CompositeLit:
		if structure, ok := s.info.TypeOf(e).Underlying().(*types.Struct); ok && structure.NumFields() > 0 {
			_, named := s.info.TypeOf(e).(*types.Named)
			return !named && slices.ContainsFunc(e.Elts, s.isSecret) // fields of the package's types are followed one by one
		}
		return slices.ContainsFunc(e.Elts, s.isSecret)
	}
	return false
}

func (s *source) isSecretResult(call *ast.CallExpr, index int) bool {
	switch name := s.builtin(call); {
	case name == "append", name == "min", name == "max":
		return slices.ContainsFunc(call.Args, s.isSecret)
	case name != "":
		return false // lengths are no secret
	case s.info.Types[call.Fun].IsType():
		return s.isSecret(call.Args[0])
	}
	o, signature := s.callee(call)
	switch {
	case o != nil && o.Pkg() == s.pkg:
		return index < signature.Results().Len() && s.secret[signature.Results().At(index)] && !slices.Contains(keyless, o.Name()) && !slices.Contains(sent, o.Name())
	case o != nil && (index >= signature.Results().Len() || !tells(signature.Results().At(index).Type())):
		return false
	}
	return s.seesSecret(call)
}

// findings returns all that is done with keys, but for what is done in constant time and what is
// harmless.
func (s *source) findings() []string {
	clear(s.found)
	s.each(func(n ast.Node, around []ast.Node) {
		in := declared(around)
		if in == nil {
			return
		}
		report := func(format string, args ...any) { s.found[in.Name.Name+": "+fmt.Sprintf(format, args...)] = true }
		switch n := n.(type) {
		case *ast.BinaryExpr:
			switch n.Op { //nolint:exhaustive // those that compare
			case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
				if isNil := s.info.Types[n.X].IsNil() || s.info.Types[n.Y].IsNil(); !isNil && (s.isSecret(n.X) || s.isSecret(n.Y)) {
					report("%s", types.ExprString(n))
				}
			}
		case *ast.SwitchStmt:
			for _, clause := range n.Body.List {
				if clause, ok := clause.(*ast.CaseClause); ok && n.Tag != nil {
					for _, e := range clause.List {
						if s.isSecret(n.Tag) || s.isSecret(e) {
							report("switch %s", types.ExprString(e))
						}
					}
				}
			}
		case *ast.IndexExpr:
			if _, ok := s.info.TypeOf(n.X).Underlying().(*types.Map); ok && s.isSecret(n.Index) {
				report("%s", types.ExprString(n))
			}
		case *ast.CallExpr:
			s.judge(n, report)
		}
	})
	return slices.Sorted(maps.Keys(s.found))
}

// judge reports a call that compares, or may compare, what is secret; and one that compares in
// constant time what may have any length.
func (s *source) judge(call *ast.CallExpr, report func(format string, args ...any)) {
	o, _ := s.callee(call)
	switch {
	case o != nil && fullName(o) == "crypto/hmac.Equal":
		for _, argument := range call.Args {
			if !s.isSized(value{expr: argument}, call, map[types.Object]bool{}) {
				report("%s: %s may have any length", types.ExprString(call), types.ExprString(argument))
			}
		}
	case o != nil && o.Pkg() == s.pkg && slices.Contains(sent, o.Name()) && s.fset.Position(call.Pos()).Filename != senders:
		report("%s is not in %s", types.ExprString(call.Fun), senders)
	case s.builtin(call) != "", s.info.Types[call.Fun].IsType(), !s.seesSecret(call), o != nil && o.Pkg() == s.pkg:
	case o == nil:
		report("%s", types.ExprString(call.Fun))
	default:
		if _, ok := harmless[fullName(o)]; !ok && !slices.Contains(constantTime, fullName(o)) {
			report("%s", types.ExprString(call.Fun))
		}
	}
}

// isSized says whether a value that is used somewhere has the length that it must have: it is a
// whole array, or what HMAC returns, or its length has been compared before, or all that it can be
// has been.
func (s *source) isSized(v value, use ast.Node, seen map[types.Object]bool) bool {
	switch e := ast.Unparen(v.expr).(type) {
	case *ast.SliceExpr:
		t := s.info.TypeOf(e.X).Underlying()
		if pointer, ok := t.(*types.Pointer); ok {
			t = pointer.Elem().Underlying()
		}
		if _, ok := t.(*types.Array); ok && e.Low == nil && e.High == nil {
			return true
		}
		return e.Low == nil && e.High != nil && s.isChecked(e.High, use)
	case *ast.Ident:
		if s.info.Types[e].IsNil() {
			return true
		}
		return s.isChecked(e, use) || s.areSized(s.root(e), seen)
	case *ast.SelectorExpr:
		return s.areSized(s.field(e), seen)
	case *ast.CallExpr:
		o, signature := s.callee(e)
		switch {
		case o == nil:
			return false
		case fullName(o) == "(hash.Hash).Sum":
			part, ok := e.Args[0].(*ast.SliceExpr)
			return ok && part.High != nil && types.ExprString(part.High) == "0"
		case o.Pkg() == s.pkg:
			return s.areSized(signature.Results().At(v.index), seen)
		}
	}
	return false
}

// areSized says whether all that a variable, field, parameter or result is set to has the length
// that it must have.
func (s *source) areSized(o types.Object, seen map[types.Object]bool) bool {
	if o == nil || seen[o] {
		return o != nil
	}
	seen[o] = true
	values := s.values[o]
	return len(values) > 0 && !slices.ContainsFunc(values, func(v value) bool { return !s.isSized(v, v.expr, seen) })
}

// isChecked says whether the function has ended before the use if a length, or the length of
// something, is not another one.
func (s *source) isChecked(e ast.Expr, use ast.Node) bool {
	checked := false
	s.each(func(n ast.Node, around []ast.Node) {
		condition, ok := n.(*ast.IfStmt)
		if !ok || len(around) == 0 {
			return
		}
		block := around[len(around)-1] // or the clause of a switch
		if use.Pos() < block.Pos() || use.Pos() >= block.End() || len(condition.Body.List) == 0 {
			return
		}
		if _, ends := condition.Body.List[len(condition.Body.List)-1].(*ast.ReturnStmt); !ends || condition.Body.Pos() <= use.Pos() && use.Pos() < condition.End() {
			return
		}
		for _, c := range alternatives(condition.Cond) {
			if compared, ok := c.(*ast.BinaryExpr); ok && compared.Op == token.NEQ && c.End() <= use.Pos() && s.isLengthOf(compared.X, e) {
				checked = true
			}
		}
	})
	return checked
}

// isLengthOf says whether a length is that of something, or is that something itself.
func (s *source) isLengthOf(length, e ast.Expr) bool {
	if call, ok := length.(*ast.CallExpr); ok && s.builtin(call) == "len" {
		length = call.Args[0]
	}
	o := s.root(e)
	_, isPart := e.(*ast.SliceExpr)
	return o != nil && !isPart && s.root(length) == o
}

// alternatives are what is combined by ||.
func alternatives(e ast.Expr) []ast.Expr {
	if either, ok := ast.Unparen(e).(*ast.BinaryExpr); ok && either.Op == token.LOR {
		return append(alternatives(either.X), alternatives(either.Y)...)
	}
	return []ast.Expr{ast.Unparen(e)}
}

// fullName is that of a function with its package, and with the receiver of a method.
func fullName(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		return f.FullName()
	}
	return o.Name()
}
