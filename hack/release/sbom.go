/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// specVersion is the version of CycloneDX. It is older than the newest, for those who read it.
const specVersion = cdx.SpecVersion1_6

// billOf returns the bill of materials of a program that Go has built. It has no time and no random
// number in it.
func billOf(program, version string) (*cdx.BOM, error) {
	content, err := os.ReadFile(program) //nolint:gosec // the user says what to read
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	if info.Main.Path == "" {
		return nil, fmt.Errorf("%s: it was not built of a module", program)
	}
	digest := sha256.Sum256(content)
	product := cdx.Component{
		BOMRef:     packageURL(info.Main.Path, version, info),
		Type:       cdx.ComponentTypeApplication,
		Supplier:   &cdx.OrganizationalEntity{Name: "The Sluice Authors"},
		Name:       info.Main.Path,
		Version:    version,
		PackageURL: packageURL(info.Main.Path, version, info),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}},
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		Properties: &[]cdx.Property{{Name: "file", Value: filepath.Base(program)}},
	}
	// The standard library is no module, and vulnerabilities are found in it all the same.
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	components := []cdx.Component{{
		BOMRef: packageURL("std", goVersion, nil), Type: cdx.ComponentTypeLibrary, Name: "std", Version: goVersion,
		PackageURL: packageURL("std", goVersion, nil),
	}}
	for _, module := range info.Deps {
		component, err := componentOf(module)
		if err != nil {
			return nil, err
		}
		components = append(components, component)
	}
	slices.SortFunc(components, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	var references []string
	for _, component := range components {
		references = append(references, component.BOMRef)
	}

	bill := cdx.NewBOM()
	bill.SerialNumber = serialNumber(digest)
	bill.Metadata = &cdx.Metadata{Component: &product}
	bill.Components = &components
	// Which module needs which is not in the program; that they are all in it is.
	bill.Dependencies = &[]cdx.Dependency{{Ref: product.BOMRef, Dependencies: &references}}
	return bill, nil
}

// componentOf describes a module as it is linked, which is its replacement if it has one.
func componentOf(module *debug.Module) (cdx.Component, error) {
	if module.Replace != nil {
		module = module.Replace
	}
	// Go's own: the SHA-256 of a list of the SHA-256 of all files of the module. A folder has none.
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(module.Sum, "h1:"))
	if err != nil || len(sum) != sha256.Size {
		return cdx.Component{}, fmt.Errorf("module %s %s has no checksum, and can be had by nobody else", module.Path, module.Version)
	}
	return cdx.Component{
		BOMRef: packageURL(module.Path, module.Version, nil), Type: cdx.ComponentTypeLibrary, Name: module.Path, Version: module.Version,
		PackageURL: packageURL(module.Path, module.Version, nil),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}},
	}, nil
}

// packageURL names a module as https://github.com/package-url/purl-spec says, and for a program its
// system too.
func packageURL(path, version string, info *debug.BuildInfo) string {
	text := "pkg:golang/" + path + "@" + url.QueryEscape(version)
	if info == nil {
		return text
	}
	qualifiers := url.Values{}
	for _, setting := range info.Settings {
		if setting.Key == "GOOS" || setting.Key == "GOARCH" {
			qualifiers.Set(strings.ToLower(setting.Key), setting.Value)
		}
	}
	return text + "?" + qualifiers.Encode()
}

// serialNumber makes a UUID (of version 8, which leaves to the maker what is in it) of what is
// described.
func serialNumber(digest [sha256.Size]byte) string {
	id := digest[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// write writes a bill, whole or not at all.
func write(bill *cdx.BOM, output string) error {
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, specVersion); err != nil {
		return fmt.Errorf("encode the bill: %w", err)
	}
	partial := output + ".partial"
	defer os.Remove(partial)                                           //nolint:errcheck // unless something failed, it is not there any more
	if err := os.WriteFile(partial, text.Bytes(), 0o644); err != nil { //nolint:gosec // it is for everybody
		return err
	}
	return os.Rename(partial, output)
}
