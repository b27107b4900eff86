/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package docs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"hash"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/ingest/signature/ripemd128"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/markdown"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// code is a code span.
var code = regexp.MustCompile("`([^`]+)`")

// section returns the part of a file under a heading, up to the next of the same or a higher level.
func section(tb testing.TB, file, heading string) string {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), file))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "\n"+heading+"\n")
	if !ok {
		tb.Fatalf("%s has no heading %q", file, heading)
	}
	level := strings.IndexByte(heading, ' ')
	end := regexp.MustCompile(`(?m)^#{1,` + strconv.Itoa(level) + `} `).FindStringIndex(rest)
	if end == nil {
		return rest
	}
	return rest[:end[0]]
}

// tableUnder returns the rows of the tables under a heading, without their heads.
func tableUnder(tb testing.TB, file, heading string) [][]string {
	tb.Helper()
	var rows [][]string
	head := true
	for line := range strings.Lines(section(tb, file, heading)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			head = true
			continue
		}
		if strings.HasPrefix(line, "| ---") {
			head = false
			continue
		}
		if head {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		tb.Fatalf("%s has no table under %q", file, heading)
	}
	return rows
}

// TestFlags compares the table of flags with the flags.
func TestFlags(t *testing.T) {
	t.Parallel()
	options := app.DefaultOptions()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	options.BindFlags(flags)
	type row struct{ Default, Usage string }
	is := map[string]row{}
	flags.VisitAll(func(f *flag.Flag) { is["--"+f.Name] = row{f.DefValue, f.Usage} })

	documented := map[string]row{}
	for _, cells := range tableUnder(t, filepath.Join("docs", "operations.md"), "## Flags") {
		documented[strings.Trim(cells[0], "`")] = row{strings.Trim(cells[1], "`"), cells[2]}
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the table of flags in docs/operations.md (-code +documented):\n%s", diff)
	}
}

// TestPorts compares the table of ports with the addresses that the flags default to.
func TestPorts(t *testing.T) {
	t.Parallel()
	options := app.DefaultOptions()
	is := []string{options.IngestAddress, options.HealthAddress, options.MetricsAddress}
	var documented []string
	for _, cells := range tableUnder(t, filepath.Join("docs", "operations.md"), "## Ports") {
		documented = append(documented, ":"+cells[0])
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the ports in docs/operations.md (-code +documented):\n%s", diff)
	}
}

// TestRoles compares the table of permissions with the roles of config/rbac.
func TestRoles(t *testing.T) {
	t.Parallel()
	applied, stderr, err := env.Kubectl(t, "", "kustomize", filepath.Join(testenv.Root(), "config", "rbac"))
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	is, documented := map[string]string{}, map[string]string{}
	for _, object := range objects(t, markdown.Block{File: "config/rbac", Text: applied}) {
		if kind := object.GetKind(); kind == "Role" || kind == "ClusterRole" {
			is[object.GetName()] = kind
		}
	}
	for _, cells := range tableUnder(t, filepath.Join("docs", "operations.md"), "## Permissions") {
		documented[strings.Trim(cells[0], "`")] = strings.TrimSuffix(strings.Fields(cells[1])[0], ",")
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the roles in docs/operations.md (-config/rbac +documented):\n%s", diff)
	}
}

// TestReasons compares the reasons that the documentation explains with the constants of the API.
func TestReasons(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(testenv.Root(), "api", "v1alpha1", "conditions.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	is := map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a literal", spec.Names[0].Name)
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		is[value] = true
		return true
	})
	documented := map[string]bool{}
	for _, cells := range tableUnder(t, filepath.Join("docs", "webhooktrigger.md"), "### Conditions") {
		if strings.HasPrefix(cells[0], "`") {
			documented[strings.Trim(cells[0], "`")] = true
		}
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the reasons in docs/webhooktrigger.md (-code +documented):\n%s", diff)
	}
}

// TestCauses compares the causes of a 401 that the documentation explains with those that there
// are.
func TestCauses(t *testing.T) {
	t.Parallel()
	var is, documented []string
	for _, cause := range signature.Causes() {
		is = append(is, string(cause))
	}
	for _, cells := range tableUnder(t, filepath.Join("docs", "debugging.md"), "## Causes") {
		documented = append(documented, strings.Trim(cells[0], "`"))
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the causes in docs/debugging.md (-code +documented):\n%s", diff)
	}
}

// TestHints compares the hints that the documentation explains with those that there are.
func TestHints(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(testenv.Root(), "ingest", "signature", "explain.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	is, documented := map[string]bool{}, map[string]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Hint") {
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				is[strings.Trim(literal.Value, `"`)] = true
			}
		}
		return true
	})
	for _, cells := range tableUnder(t, filepath.Join("docs", "debugging.md"), "## Hints") {
		documented[strings.Trim(cells[0], "`")] = true
	}
	if diff := cmp.Diff(is, documented); diff != "" {
		t.Errorf("the hints in docs/debugging.md (-code +documented):\n%s", diff)
	}
}

// TestProviders compares what the documentation says of providers with the presets.
func TestProviders(t *testing.T) {
	t.Parallel()
	type known struct {
		trigger, signed, unsigned bool // whether there is a trigger, and where the delivery id is a header whether it is signed
		repeats                   string
	}
	is, documented := map[string]known{}, map[string]known{}
	for _, p := range signature.Presets() {
		k := known{trigger: true}
		k.signed = len(p.Scheme.DeliveryID.Headers) > 0 && p.Scheme.SignsDeliveryID()
		k.unsigned = len(p.Scheme.DeliveryID.Headers) > 0 && !p.Scheme.SignsDeliveryID()
		if p.RetryHorizon > 0 {
			k.repeats = p.RetryHorizon.String()
		}
		is[p.Name] = k
	}
	for _, b := range markdown.Blocks(t, filepath.Join("docs", "providers.md")) {
		if _, name, ok := strings.Cut(b.Text, "\n  provider: "); ok {
			name, _, _ = strings.Cut(name, "\n")
			documented[name] = known{trigger: true}
		}
	}
	note := func(cell string, change func(*known)) {
		for _, span := range code.FindAllStringSubmatch(cell, -1) {
			k := documented[span[1]]
			change(&k)
			documented[span[1]] = k
		}
	}
	deduplication := filepath.Join("docs", "deduplication.md")
	for _, cells := range tableUnder(t, deduplication, "## The window") {
		horizon, err := time.ParseDuration(strings.NewReplacer(" h", "h", " min", "m", " ", "").Replace(cells[1]))
		if err != nil {
			t.Fatal(err)
		}
		note(cells[0], func(k *known) { k.repeats = horizon.String() })
	}
	for _, cells := range tableUnder(t, deduplication, "### Where the id is signed") {
		note(cells[0], func(k *known) { k.signed = true })
	}
	for _, cells := range tableUnder(t, deduplication, "### Where it is not") {
		note(cells[0], func(k *known) { k.unsigned = true })
	}
	if diff := cmp.Diff(is, documented, cmp.AllowUnexported(known{})); diff != "" {
		t.Errorf("docs/providers.md and docs/deduplication.md (-presets +documented):\n%s", diff)
	}
}

// TestLogMessages looks for the documented messages in the code.
func TestLogMessages(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{
		"cmd/manager/*.go", "controllers/*/*.go", "ingest/*.go", "ingest/diagnosis/*.go",
		"internal/kube/relist/*.go", "internal/app/*.go", "internal/telemetry/*.go", "internal/authfilter/*.go", "internal/kube/tolerant/*.go",
	} {
		files, err := filepath.Glob(filepath.Join(testenv.Root(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(raw)
		}
	}
	for _, cells := range tableUnder(t, filepath.Join("docs", "operations.md"), "## Logs") {
		for _, cell := range []string{cells[0], cells[2]} {
			for _, span := range code.FindAllStringSubmatch(cell, -1) {
				if !strings.Contains(source.String(), strconv.Quote(span[1])) {
					t.Errorf("docs/operations.md tells of %s in the log, which the code does not have", span[0])
				}
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	slug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestLinks follows the links within the project.
func TestLinks(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		raw, err := os.ReadFile(filepath.Join(testenv.Root(), file))
		if err != nil {
			t.Fatal(err)
		}
		return fenced.ReplaceAllLiteralString(string(raw), "")
	}
	for _, file := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(read(file), -1) {
			target := found[1]
			if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://") {
				continue
			}
			path, anchor, hasAnchor := strings.Cut(target, "#")
			other := file
			if path != "" {
				other = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(filepath.Join(testenv.Root(), other)); err != nil || !filepath.IsLocal(other) {
				t.Errorf("%s: there is nothing at %s", file, target)
				continue
			}
			if hasAnchor && !anchors(read(other))[anchor] {
				t.Errorf("%s: there is no heading for %s", file, target)
			}
		}
	}
}

// anchors returns the anchors that GitHub makes of the headings of a text.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		found[strings.ReplaceAll(slug.ReplaceAllLiteralString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return found
}

// TestSignatures shows that the signatures in the documentation are right, whatever languages the
// machine has.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const body = `{"order": 1001}`
	sign := func(algorithm func() hash.Hash) string {
		mac := hmac.New(algorithm, []byte(key))
		mac.Write([]byte(body))
		return hex.EncodeToString(mac.Sum(nil))
	}
	rightly := map[string]string{"sha256": sign(sha256.New), "ripemd128": sign(ripemd128.New)}
	seen := map[string]int{}
	blocks := markdown.Blocks(t, filepath.Join("docs", "faq.md"))
	for i, b := range blocks[:len(blocks)-1] {
		for algorithm, signature := range rightly {
			if (b.Info == "python" || b.Info == "php" || b.Info == "sh run") && strings.Contains(b.Text, algorithm) && strings.Contains(b.Text, key) {
				seen[algorithm]++
				if got := strings.TrimSpace(blocks[i+1].Text); got != signature {
					t.Errorf("%s: the signature is %s, want %s", b, got, signature)
				}
			}
		}
	}
	if seen["sha256"] < 3 || seen["ripemd128"] < 1 {
		t.Errorf("there are signatures of %v", seen)
	}
	if sample := markdown.Blocks(t, filepath.Join("docs", "http.md"))[0]; !strings.Contains(sample.Text, "X-HMAC-HASH: "+rightly["sha256"]+"\n") || !strings.HasSuffix(sample.Text, "\n\n"+body+"\n") {
		t.Errorf("%s: the sample's signature is not right", sample)
	}
}

var (
	makeTarget = regexp.MustCompile("(?m)(?:`|^)make ([a-z0-9-]+)")
	variable   = regexp.MustCompile(`\b(?:QUICKSTART|SLUICE|KUBEBUILDER)_[A-Z_]+\b`)
	oneFlag    = regexp.MustCompile("`--([a-z-]+)(?:=[^`]*)?`")
)

// TestNames looks for the make targets, environment variables and flags that the documentation
// mentions.
func TestNames(t *testing.T) {
	t.Parallel()
	source := func(patterns ...string) string {
		var all strings.Builder
		for _, pattern := range patterns {
			files, err := filepath.Glob(filepath.Join(testenv.Root(), pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %d files, %v", pattern, len(files), err)
			}
			for _, file := range files {
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all.Write(raw)
			}
		}
		return all.String()
	}
	minor := regexp.MustCompile(`k8s\.io/kubernetes v1\.(\d+)\.`).FindStringSubmatch(source("hack/controlplane/go.mod"))
	install := strings.Join(strings.Fields(section(t, filepath.Join("docs", "install.md"), "## Requirements")), " ")
	if minor == nil || !strings.Contains(install, "tested with Kubernetes 1."+minor[1]+".") {
		t.Errorf("docs/install.md does not say that Sluice is tested with the version in hack/controlplane/go.mod, %v", minor)
	}
	makefile := source("Makefile")
	code := source("hack/quickstart/*.go", "hack/controlplane/build.sh", "internal/*/*.go")
	options := app.DefaultOptions()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	options.BindFlags(flags)
	for _, other := range []string{
		"kubeconfig", "version", // of cmd/manager
		"from-file", "from-literal", "sort-by", "watch", // of kubectl
		"data-binary",                       // of curl
		"take-ownership", "force-conflicts", // of helm
	} {
		flags.Bool(other, false, "")
	}
	for _, file := range pages(t) {
		raw, err := os.ReadFile(filepath.Join(testenv.Root(), file))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, found := range makeTarget.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+found[1]+":") {
				t.Errorf("%s: there is no target %q", file, found[1])
			}
		}
		for _, found := range variable.FindAllString(text, -1) {
			if !strings.Contains(code, found) {
				t.Errorf("%s: nothing reads the variable %s", file, found)
			}
		}
		for _, found := range oneFlag.FindAllStringSubmatch(text, -1) {
			if flags.Lookup(found[1]) == nil {
				t.Errorf("%s: there is no flag --%s", file, found[1])
			}
		}
	}
}
