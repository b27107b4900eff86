/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// root is the project's folder.
var root = filepath.Join("..", "..")

// TestDockerfile shows what the project's Dockerfile asks for, which both ways to make the image
// have to do.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	got, err := readDockerfile(filepath.Join(root, "Dockerfile"), map[string]string{"VERSION": "v1.2.3", "REVISION": "abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	want := stage{
		files:      []file{{from: "LICENSE", to: "LICENSE"}, {from: "bin/manager", to: "manager"}},
		user:       "65532:65532",
		entrypoint: []string{"/manager"},
		labels: map[string]string{
			"org.opencontainers.image.title":         "Sluice",
			"org.opencontainers.image.description":   "A signed webhook starts a flow in Kubernetes",
			"org.opencontainers.image.vendor":        "The Sluice Authors",
			"org.opencontainers.image.licenses":      "Apache-2.0",
			"org.opencontainers.image.source":        "https://github.com/sluice-dev/sluice",
			"org.opencontainers.image.documentation": "https://github.com/sluice-dev/sluice/tree/main/docs",
			"org.opencontainers.image.version":       "v1.2.3",
			"org.opencontainers.image.revision":      "abcdef",
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stage{}, file{})); diff != "" {
		t.Errorf("the Dockerfile's last stage differs (-want +got):\n%s", diff)
	}
}

// TestBuildStage does what the Dockerfile's first stage does, with the files that docker build
// would send: what .dockerignore lets through is enough to build the operator.
func TestBuildStage(t *testing.T) {
	t.Parallel()
	stages := parse(t)
	var commands []string
	for _, command := range stages[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok {
			commands = append(commands, strings.Join(run.CmdLine, " "))
		}
	}
	folder := buildContext(t)
	build := exec.CommandContext(t.Context(), "sh", "-ec", strings.Join(commands, "\n"))
	build.Dir = folder
	build.Env = append(os.Environ(), "VERSION=v1.2.3-test", "TARGETOS=", "TARGETARCH=", "MAKEFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said, err := exec.CommandContext(t.Context(), filepath.Join(folder, "bin", "manager"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(said)); got != "v1.2.3-test" {
		t.Errorf("the operator says that it is version %q", got)
	}
	for _, name := range []string{".git", "bin/tools", "docs", "hack", "internal/app/http_test.go"} {
		if _, err := os.Stat(filepath.Join(folder, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is sent to docker build, and a change of it makes everything anew", name)
		}
	}
}

// buildContext copies the files that docker build would send.
func buildContext(t *testing.T) string {
	t.Helper()
	ignore, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer ignore.Close() //nolint:errcheck // it is only read
	patterns, err := ignorefile.ReadAll(ignore)
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("list the project's files: %v", err)
	}
	folder := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		ignored, err := matcher.MatchesOrParentMatches(name)
		if err != nil {
			t.Fatal(err)
		}
		if ignored {
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), content)
	}
	return folder
}

// TestBaseIsPinned keeps the compiler from changing by itself, and from being older than the
// project asks for.
func TestBaseIsPinned(t *testing.T) {
	t.Parallel()
	base := parse(t)[0].BaseName
	compiler, ok := strings.CutPrefix(base, "golang:")
	if !ok || !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(compiler) {
		t.Fatalf("the base is %s, want golang: and a full version", base)
	}
	asked, err := exec.CommandContext(t.Context(), "go", "list", "-C", root, "-m", "-f", "{{.GoVersion}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(asked)); version.Compare("go"+compiler, "go"+want) < 0 {
		t.Errorf("the base is %s, and go.mod asks for %s", base, want)
	}
}

func parse(t *testing.T) []instructions.Stage {
	t.Helper()
	text, err := os.Open(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close() //nolint:errcheck // it is only read
	parsed, err := parser.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

// TestImage builds an image, and reads it as docker load would.
func TestImage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	program := buildProgram(t)
	write(t, filepath.Join(folder, "Dockerfile"), []byte(`ARG VERSION=dev
FROM somewhere/else:1 AS build
WORKDIR /src
RUN whatever
FROM scratch
ARG VERSION
ARG EXTRA=more
COPY NOTICE /doc/
COPY --from=build /src/bin/program /
USER 1000:1000
ENTRYPOINT ["/program", "--flag"]
LABEL version="$VERSION" extra=${EXTRA}
`))
	write(t, filepath.Join(folder, "NOTICE"), []byte("a text"))
	write(t, filepath.Join(folder, "bin", "program"), program)

	var made [2][]byte
	for n := range made {
		output := filepath.Join(folder, "out", "image.tar")
		var said bytes.Buffer
		if err := run([]string{
			"--file=" + filepath.Join(folder, "Dockerfile"), "--folder=" + folder, "--tag=example.com/sluice:v1",
			"--build-arg=VERSION=v1", "--output=" + output,
		}, func(string) string { return "1700000000" }, &said); err != nil {
			t.Fatal(err)
		}
		if want := "example.com/sluice:v1 for linux/"; !strings.Contains(said.String(), want) {
			t.Errorf("it says %q, want %q in it", said.String(), want)
		}
		made[n] = read(t, output)
		if err := os.Remove(output); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "bin", "program"), program) // at another time
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two images of the same files differ")
	}

	loaded, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(made[0])), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := loaded.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "1000:1000", Entrypoint: []string{"/program", "--flag"}, WorkingDir: "/",
		Labels: map[string]string{"version": "v1", "extra": "more"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH || config.Created.Unix() != 1700000000 {
		t.Errorf("it is for %s/%s, of %s", config.OS, config.Architecture, config.Created)
	}
	type entry struct {
		Mode    int64
		Owner   [2]int
		Time    int64
		Content string
	}
	files := map[string]entry{}
	content := tar.NewReader(mutate.Extract(loaded))
	for {
		header, err := content.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = entry{header.Mode, [2]int{header.Uid, header.Gid}, header.ModTime.Unix(), string(text)}
	}
	wantFiles := map[string]entry{
		"doc/NOTICE": {0o644, [2]int{}, 1700000000, "a text"},
		"program":    {0o755, [2]int{}, 1700000000, string(program)},
	}
	if diff := cmp.Diff(wantFiles, files); diff != "" {
		t.Errorf("the files differ (-want +got):\n%s", diff)
	}
}

// TestArchitectures builds an image for two architectures, and reads it as skopeo would.
func TestArchitectures(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	args := []string{"--format=oci", "--tag=example.com/sluice:v1", "--file=" + filepath.Join(folder, "Dockerfile")}
	write(t, filepath.Join(folder, "Dockerfile"), []byte("FROM scratch\nCOPY program /\nENTRYPOINT [\"/program\"]\n"))
	programs := map[string][]byte{}
	for _, architecture := range []string{"amd64", "arm64"} {
		programs[architecture] = buildProgramFor(t, architecture)
		write(t, filepath.Join(folder, architecture, "program"), programs[architecture])
		args = append(args, "--folder="+filepath.Join(folder, architecture))
	}
	var made [2][]byte
	for n := range made {
		output := filepath.Join(folder, fmt.Sprint("image", n, ".tar"))
		if err := run(append(args, "--output="+output), func(string) string { return "1700000000" }, io.Discard); err != nil {
			t.Fatal(err)
		}
		made[n] = read(t, output)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two images of the same files differ")
	}

	unpacked := filepath.Join(folder, "layout")
	archive := tar.NewReader(bytes.NewReader(made[0]))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.ModTime.Unix() != 0 {
			t.Errorf("file %s of the layout is of %s, and of another time in the next image", header.Name, header.ModTime)
		}
		if !filepath.IsLocal(header.Name) {
			t.Fatalf("a file of the layout is at %q", header.Name)
		}
		write(t, filepath.Join(unpacked, header.Name), content) //nolint:gosec // it is local
	}
	if got := string(read(t, filepath.Join(unpacked, "oci-layout"))); !strings.Contains(got, `"imageLayoutVersion": "1.0.0"`) {
		t.Errorf("oci-layout is %s", got)
	}
	top, err := layout.ImageIndexFromPath(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": "example.com/sluice:v1"}
	if len(manifest.Manifests) != 1 || !cmp.Equal(want, manifest.Manifests[0].Annotations) {
		t.Fatalf("the layout is of %+v, want one image with %v", manifest.Manifests, want)
	}
	all, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	images, err := partial.FindImages(all, func(d v1.Descriptor) bool { return d.MediaType == types.OCIManifestSchema1 })
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, one := range images {
		config, err := one.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		files := tar.NewReader(mutate.Extract(one))
		if header, err := files.Next(); err != nil || header.Name != "program" {
			t.Fatalf("the first file of %s is %v (%v)", config.Architecture, header, err)
		}
		if found[config.Architecture], err = io.ReadAll(files); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(programs, found); diff != "" {
		t.Error("the programs of the image are not those of the folders")
	}

	same := append(slices.Clip(args), "--folder="+filepath.Join(folder, "arm64"), "--output="+filepath.Join(folder, "same.tar"))
	if err := run(same, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), "two folders have programs for linux/arm64") {
		t.Errorf("two programs for the same architecture: %v", err)
	}
}

// TestRefusals shows what is said of a Dockerfile and of files that no image can be made of.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const good = "FROM scratch\nCOPY program /\n"
	static := buildProgram(t)
	cases := map[string]struct {
		reason     string
		dockerfile string
		args       []string
		program    []byte
		epoch      string
		want       string
	}{
		"NoFrom":         {reason: "it says nothing", dockerfile: "ARG A\n", want: "has no FROM"},
		"NotScratch":     {reason: "there is no registry to get a base from", dockerfile: "FROM debian\nCOPY program /\n", want: "FROM debian, and only scratch"},
		"NotADockerfile": {reason: "BuildKit would not take it either", dockerfile: "FROM scratch\nCOPPY a b\n", want: "unknown instruction: COPPY"},
		"Run":            {reason: "nothing can be run", dockerfile: good + "RUN make\n", want: "line 3: RUN is not supported here"},
		"ShellForm":      {reason: "it would need a shell in the image", dockerfile: good + "ENTRYPOINT /program\n", want: "line 3: ENTRYPOINT /program: there is no shell"},
		"Chown":          {reason: "an option that is ignored makes another image than docker build", dockerfile: "FROM scratch\nCOPY --chown=1:1 program /\n", want: "only --from is supported"},
		"OtherStage":     {reason: "a stage that is not there", dockerfile: "FROM scratch\nCOPY --from=build /program /\n", want: "there is no stage build"},
		"NoWorkFolder":   {reason: "nobody knows where its files are here", dockerfile: "FROM a AS build\nFROM scratch\nCOPY --from=build /program /\n", want: "stage build has no WORKDIR"},
		"ElsewhereInStage": {
			reason:     "what is not in the project cannot be had",
			dockerfile: "FROM a AS build\nWORKDIR /src\nFROM scratch\nCOPY --from=build /etc/ssl/cert.pem /\n",
			want:       "/etc/ssl/cert.pem is not below /src",
		},
		"UnknownArgument": {reason: "a misspelt one would be lost", dockerfile: good, args: []string{"--build-arg=VERSON=1"}, want: "has no ARG VERSON"},
		"NoEquals":        {reason: "a value is needed", dockerfile: good, args: []string{"--build-arg=VERSION"}, want: "must be NAME=VALUE"},
		"BadFormat":       {reason: "there are two", dockerfile: good, args: []string{"--format=tar"}, want: `--format must be docker or oci, not "tar"`},
		"TwoAsOne":        {reason: "docker save writes one architecture", dockerfile: good, args: []string{"--folder=testdata"}, want: "only --format=oci has room for several folders"},
		"Positional":      {reason: "it is not lost silently", dockerfile: good, args: []string{"x"}, want: `unexpected argument "x"`},
		"BadTag":          {reason: "a registry would not take it", dockerfile: good, args: []string{"--tag=Sluice:v1"}, want: "repository can only contain"},
		"BadDate":         {reason: "it has to be a number", dockerfile: good, epoch: "yesterday", want: `SOURCE_DATE_EPOCH must be a number of seconds, not "yesterday"`},
		"NoFile":          {reason: "it was not built", dockerfile: "FROM scratch\nCOPY missing /\n", want: "missing: no such file"},
		"NoProgram":       {reason: "there would be nothing to start", dockerfile: good, program: []byte("#!/bin/sh\n"), want: "none of the files is a program"},
		"Truncated":       {reason: "a broken binary is found here and not in the cluster", dockerfile: good, program: static[:100], want: "program: "},
		"Dynamic":         {reason: "there are no libraries", dockerfile: good, program: dynamic(t), want: "not linked statically"},
		"TooLarge":        {reason: "each node downloads it", dockerfile: good + "COPY noise /\n", want: "and may be 26214400"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			write(t, filepath.Join(folder, "Dockerfile"), []byte(tc.dockerfile))
			if tc.program == nil {
				tc.program = static
			}
			write(t, filepath.Join(folder, "program"), tc.program)
			if strings.Contains(tc.dockerfile, "noise") {
				noise := make([]byte, sizeLimit)
				_, _ = rand.Read(noise)
				write(t, filepath.Join(folder, "noise"), noise)
			}
			output := filepath.Join(folder, "image.tar")
			args := append([]string{"--file=" + filepath.Join(folder, "Dockerfile"), "--folder=" + folder, "--tag=sluice:v1", "--output=" + output}, tc.args...)
			err := run(args, func(string) string { return tc.epoch }, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: error is %v, want %q in it", tc.reason, err, tc.want)
			}
			if _, err := os.Stat(output); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: there is an image all the same (%v)", tc.reason, err)
			}
		})
	}
}

// buildProgram builds a small program for Linux.
func buildProgram(t *testing.T) []byte {
	t.Helper()
	return buildProgramFor(t, runtime.GOARCH)
}

func buildProgramFor(t *testing.T, architecture string) []byte {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "program", "main.go")
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a program: %v\n%s", err, out)
	}
	return read(t, filepath.Join(folder, "program"))
}

// dynamic returns the head of a program that needs libraries, which a linker would make only with a
// C compiler.
func dynamic(t *testing.T) []byte {
	t.Helper()
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	var program bytes.Buffer
	for _, part := range []any{header, elf.Prog64{Type: uint32(elf.PT_INTERP)}} {
		if err := binary.Write(&program, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return program.Bytes()
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil { //nolint:gosec // below a temporary folder
		t.Fatal(err)
	}
}
