/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Command release writes the software bill of materials of a program, in CycloneDX's JSON: which
// modules are linked into it, by what the Go compiler has put into the program itself. Nothing is
// looked up anywhere, so that the same program has the same bill.
//
// The rest of a release is release.sh, which make release runs: it calls this program, and says
// what a release consists of. verify.sh makes a release twice and compares them.
//
// It is a module of its own so that CycloneDX' library does not get into the operator's go.mod.
package main
