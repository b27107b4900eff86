/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// A stage is what the last stage of a Dockerfile asks for.
type stage struct {
	files      []file
	user       string
	entrypoint []string
	labels     map[string]string
}

// A file is copied from a path below the project's folder to one below the image's root.
type file struct {
	from, to string
}

// readDockerfile reads the last stage of a Dockerfile. The arguments are those of docker build
// --build-arg.
func readDockerfile(name string, buildArgs map[string]string) (stage, error) {
	text, err := os.Open(name) //nolint:gosec // the user says what to read
	if err != nil {
		return stage{}, err
	}
	defer text.Close() //nolint:errcheck // it is only read
	parsed, err := parser.Parse(text)
	if err != nil {
		return stage{}, fmt.Errorf("%s: %w", name, err)
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return stage{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(stages) == 0 {
		return stage{}, fmt.Errorf("%s has no FROM", name)
	}
	r := &reader{lex: shell.NewLex(parsed.EscapeToken), given: maps.Clone(buildArgs), before: stages[:len(stages)-1]}
	known := map[string]bool{}
	for _, arg := range global {
		for _, pair := range arg.Args {
			known[pair.Key] = true
			if _, given := r.given[pair.Key]; !given && pair.Value != nil {
				r.given[pair.Key] = *pair.Value
			}
		}
	}
	for arg := range buildArgs {
		if !known[arg] {
			return stage{}, fmt.Errorf("%s has no ARG %s before its first FROM", name, arg)
		}
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		return stage{}, fmt.Errorf("%s: the last stage is FROM %s, and only scratch can be had offline", name, last.BaseName)
	}
	r.stage.labels = map[string]string{}
	for _, command := range last.Commands {
		if err := r.add(command); err != nil {
			return stage{}, fmt.Errorf("%s: line %d: %w", name, command.Location()[0].Start.Line, err)
		}
	}
	return r.stage, nil
}

// A reader gathers a stage, instruction by instruction.
type reader struct {
	stage  stage
	lex    *shell.Lex
	given  map[string]string    // what ARG without a value takes
	args   []string             // what an instruction can refer to, as NAME=VALUE
	before []instructions.Stage // what --from can refer to
}

func (r *reader) add(command instructions.Command) error {
	if expandable, ok := command.(instructions.SupportsSingleWordExpansion); ok {
		err := expandable.Expand(func(word string) (string, error) {
			expanded, _, err := r.lex.ProcessWord(word, shell.EnvsFromSlice(r.args))
			return expanded, err
		})
		if err != nil {
			return err
		}
	}
	switch c := command.(type) {
	case *instructions.ArgCommand:
		for _, pair := range c.Args {
			value, given := r.given[pair.Key]
			if !given && pair.Value != nil {
				value = *pair.Value
			}
			r.args = append(r.args, pair.Key+"="+value)
		}
	case *instructions.CopyCommand:
		return r.addFiles(c)
	case *instructions.UserCommand:
		r.stage.user = c.User
	case *instructions.EntrypointCommand:
		if c.PrependShell {
			return fmt.Errorf("%s: there is no shell in the image; write the command as a list", c)
		}
		r.stage.entrypoint = c.CmdLine
	case *instructions.LabelCommand:
		for _, label := range c.Labels {
			r.stage.labels[label.Key] = label.Value
		}
	default:
		return fmt.Errorf("%s is not supported here, see hack/image", command.Name())
	}
	return nil
}

func (r *reader) addFiles(c *instructions.CopyCommand) error {
	if c.Chown != "" || c.Chmod != "" || c.Link || c.Parents || len(c.ExcludePatterns) > 0 || len(c.SourceContents) > 0 {
		return fmt.Errorf("%s: of the options of COPY, only --from is supported here", c)
	}
	root := ""
	if c.From != "" {
		var err error
		if root, err = r.workFolder(c.From); err != nil {
			return err
		}
	}
	for _, source := range c.SourcePaths {
		from := source
		if root != "" {
			below, ok := strings.CutPrefix(source, root+"/")
			if !ok {
				return fmt.Errorf("%s is not below %s, the WORKDIR of stage %s", source, root, c.From)
			}
			from = below
		}
		to := c.DestPath
		if strings.HasSuffix(to, "/") {
			to += path.Base(source)
		}
		r.stage.files = append(r.stage.files, file{from: from, to: strings.TrimPrefix(path.Clean(to), "/")})
	}
	return nil
}

// workFolder returns the last WORKDIR of a stage.
func (r *reader) workFolder(name string) (string, error) {
	for _, other := range r.before {
		if other.Name != name {
			continue
		}
		folder := ""
		for _, command := range other.Commands {
			if c, ok := command.(*instructions.WorkdirCommand); ok {
				folder = c.Path
			}
		}
		if folder == "" {
			return "", fmt.Errorf("stage %s has no WORKDIR", name)
		}
		return path.Clean(folder), nil
	}
	return "", fmt.Errorf("there is no stage %s", name)
}
