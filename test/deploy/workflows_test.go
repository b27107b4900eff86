/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// mayWrite are the jobs whose token may write something, and what. Whoever can change what runs in
// one of them makes releases.
var mayWrite = map[string][]string{"release.yaml publish": {"contents", "packages"}}

// TestWorkflows looks at what could let somebody else's code into a release: actions that their
// owners can exchange, because a tag names another commit tomorrow; tokens that may write more than
// they must; and events that run a stranger's change with such a token.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testenv.Root(), ".github", "workflows", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there are no workflows")
	}
	writers := map[string][]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found, writing, err := reviewWorkflow(raw)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, problem := range found {
			t.Errorf("%s: %s", filepath.Base(file), problem)
		}
		for job, permissions := range writing {
			writers[filepath.Base(file)+" "+job] = permissions
		}
	}
	if diff := cmp.Diff(mayWrite, writers); diff != "" {
		t.Errorf("the jobs that may write, and what (-want +got):\n%s", diff)
	}
}

// pinned is an action of GitHub's own whose commit is named in full, and behind it the version, for
// people and for what updates pins.
var pinned = regexp.MustCompile(`^actions/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// reviewWorkflow returns what is wrong with a workflow, and which of its jobs may write what.
func reviewWorkflow(raw []byte) (problems []string, writers map[string][]string, err error) {
	type job struct {
		Permissions any `json:"permissions"`
		Uses        any `json:"uses"`
		Steps       []struct {
			Uses string         `json:"uses"`
			Run  string         `json:"run"`
			With map[string]any `json:"with"`
		} `json:"steps"`
	}
	var workflow struct {
		On          any            `json:"on"`
		Permissions any            `json:"permissions"`
		Jobs        map[string]job `json:"jobs"`
	}
	// For YAML 1.1 the key is true.
	text := regexp.MustCompile(`(?m)^on:`).ReplaceAllString(string(raw), `"on":`)
	if err := yaml.Unmarshal([]byte(text), &workflow); err != nil {
		return nil, nil, err
	}
	for _, event := range []string{"pull_request_target", "workflow_run", "issue_comment"} {
		if strings.Contains(fmt.Sprint(workflow.On), event) {
			problems = append(problems, event+" runs what strangers wrote with a token of this repository")
		}
	}
	if workflow.Permissions == nil {
		problems = append(problems, "without permissions the token has those that the repository gives to all")
	}
	general, ok := writes(workflow.Permissions)
	if !ok || len(general) > 0 {
		problems = append(problems, "permissions of all jobs may only read")
	}
	// Comments are no part of what is decoded.
	lines := 0
	for line := range strings.Lines(text) {
		uses, found := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(line), "- "), "uses:")
		if !found {
			continue
		}
		lines++
		if uses = strings.TrimSpace(uses); !strings.HasPrefix(uses, "./") && !pinned.MatchString(uses) {
			problems = append(problems, uses+" is not a commit of 40 digits of one of GitHub's own actions, with its version behind it, as in # v1.2.3")
		}
	}
	writers = map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(workflow.Jobs)) {
		job := workflow.Jobs[name]
		if job.Uses != nil {
			lines--
			problems = append(problems, name+" is a workflow of somebody else's")
		}
		given, ok := writes(job.Permissions)
		if !ok {
			problems = append(problems, name+" has permissions that are not named one by one")
		}
		if len(given) > 0 {
			writers[name] = given
		}
		for _, step := range job.Steps {
			if step.Uses != "" {
				lines--
			}
			if keeps, ok := step.With["persist-credentials"].(bool); strings.HasPrefix(step.Uses, "actions/checkout@") && (!ok || keeps) {
				problems = append(problems, name+" leaves its token where everything that is checked out can read it: persist-credentials must be false")
			}
			if regexp.MustCompile(`\$\{\{\s*(github|inputs|env|steps|needs)\b`).MatchString(step.Run) {
				problems = append(problems, name+" has text of others in a script: let a variable of the environment have it")
			}
			if len(given) > 0 && strings.HasPrefix(step.Uses, "actions/checkout@") {
				problems = append(problems, name+" may write, and so must not run what is checked out")
			}
		}
	}
	if lines != 0 {
		problems = append(problems, "uses: must stand at the beginning of a line, where it is found")
	}
	return problems, writers, nil
}

// writes returns what permissions allow to write. It is not ok if they do not say so one by one.
func writes(permissions any) (names []string, ok bool) {
	named, ok := permissions.(map[string]any)
	if !ok {
		return nil, permissions == nil
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if named[name] != "read" && named[name] != "none" {
			names = append(names, name)
		}
	}
	return names, true
}

// TestWorkflowsAreReviewed has workflows with each of the mistakes.
func TestWorkflowsAreReviewed(t *testing.T) {
	t.Parallel()
	const good = "on: [push]\npermissions: {}\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@0123456789012345678901234567890123456789 # v1.2.3\n        with: {persist-credentials: false}\n"
	cases := map[string]struct{ reason, old, replacement, want string }{
		"None":        {"nothing is wrong with it", "", "", ""},
		"Tag":         {"a tag can be moved", "@0123456789012345678901234567890123456789 # v1.2.3", "@v1", "is not a commit"},
		"Branch":      {"a branch moves", "@0123456789012345678901234567890123456789 # v1.2.3", "@main", "is not a commit"},
		"Short":       {"another commit can begin so", "@0123456789012345678901234567890123456789", "@0123456", "is not a commit"},
		"NoVersion":   {"nobody sees how old it is", " # v1.2.3", "", "is not a commit"},
		"Owner":       {"somebody else's", "actions/checkout@", "evil/checkout@", "is not a commit"},
		"OwnerLike":   {"somebody with a name like that", "actions/checkout@", "evil-actions/checkout@", "is not a commit"},
		"NoneNamed":   {"the newest", "@0123456789012345678901234567890123456789", "", "is not a commit"},
		"Flow":        {"where it is not looked for", "      - uses: actions/checkout@0123456789012345678901234567890123456789 # v1.2.3", "      - {uses: actions/checkout@v1}\n      - run: a", "must stand at the beginning"},
		"Image":       {"a tag of an image can be moved, too", "actions/checkout@0123456789012345678901234567890123456789 # v1.2.3", "docker://alpine:3", "is not a commit"},
		"Default":     {"whatever the repository's settings say", "permissions: {}\n", "", "without permissions"},
		"WriteAll":    {"everything", "permissions: {}", "permissions: write-all", "may only read"},
		"ReadAll":     {"more than is named", "  a:\n", "  a:\n    permissions: read-all\n", "not named one by one"},
		"AllWrite":    {"a permission for each job", "permissions: {}", "permissions: {contents: write}", "may only read"},
		"Target":      {"a stranger's change", "on: [push]", "on: {pull_request_target: }", "pull_request_target"},
		"Credentials": {"the default is to leave it in .git/config", "persist-credentials: false", "fetch-depth: 0", "persist-credentials"},
		"Script":      {"the name of a branch is a script", "    steps:\n", "    steps:\n      - run: echo ${{ github.head_ref }}\n", "text of others"},
		"Reusable":    {"its steps are not seen", "    steps:\n", "    uses: a/b/.github/workflows/c.yaml@0123456789012345678901234567890123456789 # v1.2.3\n    steps:\n", "somebody else's"},
		"Checkout":    {"what is checked out could publish what it likes", "  a:\n", "  a:\n    permissions: {packages: write}\n", "must not run what is checked out"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(good, tc.old) {
				t.Fatalf("there is no %q to replace", tc.old)
			}
			problems, _, err := reviewWorkflow([]byte(strings.Replace(good, tc.old, tc.replacement, 1)))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(problems, "\n")
			if (tc.want == "") != (all == "") || !strings.Contains(all, tc.want) {
				t.Errorf("%s: found is %q, want %q", tc.reason, all, tc.want)
			}
		})
	}
}
