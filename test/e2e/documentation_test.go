//go:build e2e

/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-dev/sluice/test/framework/markdown"
)

const (
	readme      = "README.md"
	installPage = "docs/install.md"
	// documented is the namespace that the documentation installs Sluice into.
	documented = "sluice-system"
)

// blocks returns the commands of a page that have exactly this after their fences, in a cluster
// with nodes.
func blocks(t *testing.T, page, info string) []string {
	t.Helper()
	found := markdown.Texts(t, page, info)
	if len(found) == 0 {
		t.Fatalf("%s has no commands %q", page, info)
	}
	return found
}

// follow runs commands to the letter. What they leave running in the background ends with them.
func (w *world) follow(t *testing.T, commands string) string {
	t.Helper()
	return w.run(t, "bash", "-e", "-o", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"+commands)
}

// followReadme runs the commands by which the README installs the chart and sends a webhook. The
// step before has left the cluster as it was.
func followReadme(t *testing.T, w *world) string {
	commands := blocks(t, readme, "sh node")[0]
	printed := w.follow(t, commands)
	_, runs, accepted := strings.Cut(printed, "HTTP/1.1 202 Accepted")
	if !accepted || !strings.Contains(runs, "\norders-") {
		t.Errorf("there is no answer 202 and after it a run of the trigger:\n%s", printed)
	}
	return fmt.Sprintf("%d commands, an answer 202 and a run", strings.Count(commands, "\n"))
}

// followInstallPage goes on with what the README has installed: upgrades, rolls back and removes it
// by the commands of docs/install.md. Then it installs and removes everything without Helm.
func followInstallPage(t *testing.T, w *world) string {
	withHelm, withKubectl := blocks(t, installPage, "sh node"), blocks(t, installPage, "sh node kubectl")
	install, _, _ := strings.Cut(blocks(t, readme, "sh node")[0], "\n")
	if strings.TrimSpace(withHelm[0]) != install {
		t.Fatalf("%s begins with %q, and the README with %q", installPage, withHelm[0], install)
	}
	end := withHelm[len(withHelm)-1]
	for _, commands := range withHelm[1:] {
		if commands == end {
			// Everything of Sluice but what belongs to users is gone by now.
			if runs := w.run(t, "kubectl", "get", "flowruns"); !strings.Contains(runs, "\norders-") {
				t.Errorf("there are no FlowRuns any more before they are deleted:\n%s", runs)
			}
			w.run(t, "kubectl", "delete", "--kustomize="+samples)
		}
		w.follow(t, commands)
	}
	w.run(t, "kubectl", "delete", "namespace", documented)
	w.expectNothingLeft(t)

	for i, commands := range withKubectl {
		w.follow(t, commands)
		if i == 0 {
			for _, component := range []string{"ingest", "controller"} {
				w.run(t, "kubectl", "rollout", "status", "--namespace="+documented, "--timeout="+patience.String(), "deployment/sluice-"+component)
			}
		}
	}
	w.follow(t, end)
	w.run(t, "kubectl", "delete", "namespace", documented)
	w.expectNothingLeft(t)
	return fmt.Sprintf("%d commands with Helm and %d with kubectl, and nothing was left", len(withHelm), len(withKubectl))
}
