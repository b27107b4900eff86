/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/xeipuuv/gojsonschema"
)

// root is the project's folder.
var root = filepath.Join("..", "..")

// TestBill writes the bill of materials of a program that needs no module.
func TestBill(t *testing.T) {
	t.Parallel()
	program := buildProgram(t, "")
	text := billFile(t, program, "v1.0.0-rc.1")
	bill := decode(t, text)
	digest := sha256.Sum256([]byte(readFile(t, program)))
	self := fmt.Sprintf("pkg:golang/example.com/program@v1.0.0-rc.1?goarch=%s&goos=linux", runtime.GOARCH)
	std := "pkg:golang/std@" + strings.TrimPrefix(runtime.Version(), "go")
	want := &cdx.BOM{
		BOMFormat: "CycloneDX", SpecVersion: cdx.SpecVersion1_6, JSONSchema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Version: 1,
		SerialNumber: bill.SerialNumber,
		Metadata: &cdx.Metadata{Timestamp: "2023-11-14T22:13:20Z", Component: &cdx.Component{
			BOMRef: self, Type: cdx.ComponentTypeApplication, Supplier: &cdx.OrganizationalEntity{Name: "The Sluice Authors"}, Name: "example.com/program", Version: "v1.0.0-rc.1", PackageURL: self,
			Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}},
			Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
			Properties: &[]cdx.Property{{Name: "file", Value: "program"}},
		}},
		Components: &[]cdx.Component{
			{BOMRef: std, Type: cdx.ComponentTypeLibrary, Name: "std", Version: strings.TrimPrefix(runtime.Version(), "go"), PackageURL: std},
		},
		Dependencies: &[]cdx.Dependency{{Ref: self, Dependencies: &[]string{std}}},
	}
	if diff := cmp.Diff(want, bill); diff != "" {
		t.Errorf("the bill (-want +got):\n%s", diff)
	}
	if again := billFile(t, program, "v1.0.0-rc.1"); again != text {
		t.Error("two bills of the same program differ")
	}
	other := buildProgram(t, "println()")
	if decode(t, billFile(t, other, "v1.0.0-rc.1")).SerialNumber == bill.SerialNumber {
		t.Error("the bills of two programs have the same serial number")
	}
}

// TestComponents shows how modules are described.
func TestComponents(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("a module"))
	text := "h1:" + base64.StdEncoding.EncodeToString(sum[:])
	digest := &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	cases := map[string]struct {
		reason string
		module debug.Module
		want   cdx.Component
		err    string
	}{
		"Module": {
			reason: "its name, version and checksum",
			module: debug.Module{Path: "example.com/a/v2", Version: "v2.1.0", Sum: text},
			want: cdx.Component{BOMRef: "pkg:golang/example.com/a/v2@v2.1.0", Type: cdx.ComponentTypeLibrary, Name: "example.com/a/v2", Version: "v2.1.0",
				PackageURL: "pkg:golang/example.com/a/v2@v2.1.0", Hashes: digest},
		},
		"Incompatible": {
			reason: "a plus means something else in a URL",
			module: debug.Module{Path: "example.com/a", Version: "v2.1.0+incompatible", Sum: text},
			want: cdx.Component{BOMRef: "pkg:golang/example.com/a@v2.1.0%2Bincompatible", Type: cdx.ComponentTypeLibrary, Name: "example.com/a", Version: "v2.1.0+incompatible",
				PackageURL: "pkg:golang/example.com/a@v2.1.0%2Bincompatible", Hashes: digest},
		},
		"Replaced": {
			reason: "what is in the program is the other one",
			module: debug.Module{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.0.1", Sum: text}},
			want: cdx.Component{BOMRef: "pkg:golang/example.com/fork@v1.0.1", Type: cdx.ComponentTypeLibrary, Name: "example.com/fork", Version: "v1.0.1",
				PackageURL: "pkg:golang/example.com/fork@v1.0.1", Hashes: digest},
		},
		"Folder": {
			reason: "nobody knows what was in it",
			module: debug.Module{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "./a", Version: "(devel)"}},
			err:    "module ./a (devel) has no checksum",
		},
		"OtherChecksum": {
			reason: "a checksum that is none must not be passed off as one",
			module: debug.Module{Path: "example.com/a", Version: "v1.0.0", Sum: "h2:AAAA"},
			err:    "module example.com/a v1.0.0 has no checksum",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := componentOf(&tc.module)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error is %v, want %q in it", tc.reason, err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: the component (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestBillOfTheOperator holds the operator's bill to what go version -m says is in it, and to
// CycloneDX' own schema.
func TestBillOfTheOperator(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "manager")
	goBuild(t, root, program, "./cmd/manager")
	text := billFile(t, program, "v0.1.0")
	is := map[string]bool{}
	for _, component := range *decode(t, text).Components {
		is[component.Name+" "+component.Version] = true
		if component.Name != "std" && (component.Hashes == nil || len((*component.Hashes)[0].Value) != 2*sha256.Size) {
			t.Errorf("%s has no checksum", component.Name)
		}
	}
	said, err := exec.CommandContext(t.Context(), "go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"std " + strings.TrimPrefix(runtime.Version(), "go"): true}
	for line := range strings.SplitSeq(string(said), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "dep" {
			want[fields[1]+" "+fields[2]] = true
		}
	}
	if len(want) < 10 {
		t.Fatalf("go version -m says that only this is in it: %v", want)
	}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Errorf("the components (-go version +bill):\n%s", diff)
	}
	valid(t, text)
}

// valid holds a bill to the schema, which is among the files of CycloneDX' library.
func valid(t *testing.T, text string) {
	t.Helper()
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(strings.TrimSpace(string(module)), "schema")
	schemas := gojsonschema.NewSchemaLoader()
	for _, name := range []string{"spdx.schema.json", "jsf-0.82.schemax.json"} {
		if err := schemas.AddSchemas(gojsonschema.NewStringLoader(readFile(t, filepath.Join(folder, name)))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	schema, err := schemas.Compile(gojsonschema.NewStringLoader(readFile(t, filepath.Join(folder, "bom-1.6.schema.json"))))
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema.Validate(gojsonschema.NewStringLoader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range result.Errors() {
		t.Errorf("the bill does not fit the schema: %s", problem)
	}
	broken, err := schema.Validate(gojsonschema.NewStringLoader(strings.Replace(text, `"application"`, `"an application"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if broken.Valid() {
		t.Error("the schema takes everything")
	}
}

// TestRefusals shows what is said of what has no bill.
func TestRefusals(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	script, output := filepath.Join(folder, "script"), filepath.Join(folder, "bill")
	writeFile(t, script, "#!/bin/sh\n")
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"Nothing":    {"all are needed", nil, "--program, --version and --output are required"},
		"Positional": {"it is not lost silently", []string{"x"}, `unexpected argument "x"`},
		"Missing":    {"it was not built", []string{"--program=" + filepath.Join(folder, "no"), "--version=v1.0.0", "--output=" + output}, "no such file"},
		"NotGo":      {"nothing is known of it", []string{"--program=" + script, "--version=v1.0.0", "--output=" + output}, "script: unrecognized file format"},
		"NoFolder":   {"the bill cannot be written", []string{"--program=" + os.Args[0], "--version=v1.0.0", "--output=" + filepath.Join(folder, "no", "bill")}, "no such file"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := run(tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: error is %v, want %q in it", tc.reason, err, tc.want)
			}
			if _, err := os.Stat(output); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: there is a bill all the same (%v)", tc.reason, err)
			}
		})
	}
}

// billFile writes a bill and returns it.
func billFile(t *testing.T, program, version string) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "bill.cdx.json")
	if err := run([]string{"--program=" + program, "--version=" + version, "--created=1700000000", "--output=" + output}); err != nil {
		t.Fatal(err)
	}
	return readFile(t, output)
}

func decode(t *testing.T, text string) *cdx.BOM {
	t.Helper()
	bill := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(strings.NewReader(text), cdx.BOMFileFormatJSON).Decode(bill); err != nil {
		t.Fatal(err)
	}
	return bill
}

// buildProgram builds a program that does something, of a module that needs no other.
func buildProgram(t *testing.T, something string) string {
	t.Helper()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "go.mod"), "module example.com/program\n\ngo 1.26.0\n")
	writeFile(t, filepath.Join(folder, "main.go"), "package main\n\nfunc main() { "+something+" }\n")
	goBuild(t, folder, filepath.Join(folder, "program"), ".")
	return filepath.Join(folder, "program")
}

// goBuild builds a program as the release does.
func goBuild(t *testing.T, folder, output, packages string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", output, packages)
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a program: %v\n%s", err, out)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
