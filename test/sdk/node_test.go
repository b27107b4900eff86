/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package sdk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// signWithNode returns the signature that a provider's npm package makes of a request.
func signWithNode(t *testing.T, provider string, r request) string {
	t.Helper()
	for _, command := range []string{"node", "npm"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("%s signs with an npm package, and there is no %s", provider, command)
		}
	}
	if err := install(); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(map[string]string{"provider": provider, "secret": r.secret, "url": r.url, "body": r.body})
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("sign.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil { // and go test runs anew once it has changed
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), "node", script)
	command.Stdin, command.Stderr = bytes.NewReader(input), &stderr
	signed, err := command.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	return string(signed)
}

// install runs npm ci, unless what package-lock.json names is there.
var install = sync.OnceValue(func() error {
	locked, err := os.Stat("package-lock.json")
	if err != nil {
		return err
	}
	// npm writes this file last.
	if installed, err := os.Stat(filepath.Join("node_modules", ".package-lock.json")); err == nil && installed.ModTime().After(locked.ModTime()) {
		return nil
	}
	if output, err := exec.Command("npm", "ci").CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	return nil
})
