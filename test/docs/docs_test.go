/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package docs_test holds the documentation to what the program does. Its objects are applied to a
// real API server, its commands are run against a running operator, and its tables are compared
// with the code.
//
// Fenced blocks say by their first line what is done with them:
//
//	yaml           objects must be accepted; what has no kind is a fragment and must only be YAML
//	yaml refused   the object must be refused
//	sh run         is run by bash, in the order of the file, and must succeed
//	sh run until   the same, again and again until it prints what the block after it has
//	python, php    are run too if there is such a program
//	text output    what the block before it prints, or is refused with; … stands for anything
//	http           an answer of the webhook server, see TestAnswers
//
// These need a node, the chart or the kinds of other projects, and test/deploy sees to them:
//
//	sh node             commands for a cluster that can run pods, which test/e2e runs
//	sh node kubectl     the same, for who installs without Helm
//	yaml values         of the chart
//	yaml kustomization  a kustomization.yaml
//	yaml foreign        objects of kinds that are not Kubernetes' or Sluice's
//
// In a file's blocks 127.0.0.1:8080 stands for the webhook server, and the namespace default for
// one of the file's own.
package docs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
	"github.com/sluice-dev/sluice/test/framework/markdown"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// patience is how long to wait for what should take milliseconds.
const patience = 30 * time.Second

var env *testenv.Environment

func TestMain(m *testing.M) { testenv.Main(m, &env) }

// pages returns the Markdown files that are written by hand, relative to the project's root.
func pages(tb testing.TB) []string {
	tb.Helper()
	root := os.DirFS(testenv.Root())
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/design/*.md"} {
		found, err := fs.Glob(root, pattern)
		if err != nil || len(found) == 0 {
			tb.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	return files
}

// TestBlocks applies the objects of every file and runs its commands.
func TestBlocks(t *testing.T) {
	t.Parallel()
	operator := startOperator(t)
	known := []string{"", "console", "go", "http", "json", "make", "php", "python", "sh", "sh node", "sh node kubectl", "sh run", "sh run until",
		"text", "text output", "yaml", "yaml foreign", "yaml kustomization", "yaml refused", "yaml values"}
	for _, file := range pages(t) {
		blocks := markdown.Blocks(t, file)
		if len(blocks) == 0 {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := newReader(t, operator)
			for i, b := range blocks {
				if !slices.Contains(known, b.Info) {
					t.Fatalf("%s: what is to be done with %q?", b, b.Info)
				}
				var output *markdown.Block
				if i+1 < len(blocks) && blocks[i+1].Info == "text output" {
					output = &blocks[i+1]
				}
				r.follow(t, b, output)
			}
		})
	}
}

// startOperator runs an operator for all namespaces until the test ends.
func startOperator(t *testing.T) *app.Operator {
	t.Helper()
	options := app.DefaultOptions()
	options.LeaderElectionNamespace = metav1.NamespaceDefault
	options.IngestAddress = testenv.FreeAddress(t)
	options.HealthAddress = "0"
	options.Registerer = prometheus.NewRegistry()
	options.MetricsAddress = "0"
	options.KeyUsagePeriod = 100 * time.Millisecond
	options.Limits.ShutdownDelay = 0
	options.Limits.AcceptDeadline = patience // for the API server, on a busy machine
	options.Limits.DrainTimeout, options.Limits.WriteTimeout = patience, 2*patience
	options.ExternalURL = "http://" + options.IngestAddress
	log := &testenv.Buffer{}
	operator, err := app.NewOperator(t.Context(), env.Config, options, telemetry.NewLogger(log, options.LogLevel, options.LogFormat))
	if err != nil {
		t.Fatalf("set up the operator: %v", err)
	}
	stop := testenv.Run(t, "operator", operator.Start)
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the operator's log:\n%s", log)
		}
	})
	testenv.Eventually(t, patience, func() error { return operator.Server.CheckListening(nil) })
	return operator
}

// reader does what a file says, in a namespace of its own.
type reader struct {
	operator  *app.Operator
	namespace string
	address   string
	dir       string
	env       []string
}

func newReader(t *testing.T, operator *app.Operator) *reader {
	t.Helper()
	r := &reader{
		operator:  operator,
		namespace: env.Namespace(t),
		address:   operator.Server.Address().String(),
		dir:       t.TempDir(),
	}
	user := env.AddUser(t, r.namespace, "system:masters")
	raw, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = r.namespace
	kubeconfig := filepath.Join(r.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	kubectl, err := user.Kubectl()
	if err != nil {
		t.Fatal(err)
	}
	r.env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "NO_PROXY=*",
		"PATH="+filepath.Dir(kubectl.Path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return r
}

var theNamespace = regexp.MustCompile(`\bdefault\b`)

// here replaces what stands for something of this test.
func (r *reader) here(text string) string {
	return theNamespace.ReplaceAllLiteralString(strings.ReplaceAll(text, "127.0.0.1:8080", r.address), r.namespace)
}

func (r *reader) follow(t *testing.T, b markdown.Block, output *markdown.Block) {
	t.Helper()
	switch b.Info {
	case "yaml", "yaml refused":
		var refusals []string
		for _, object := range objects(t, b) {
			switch err := r.apply(t, object); {
			case err == nil && b.Info == "yaml refused":
				t.Errorf("%s: %s %q is accepted", b, object.GetKind(), object.GetName())
			case err != nil && b.Info == "yaml":
				t.Errorf("%s: %s %q is refused: %v", b, object.GetKind(), object.GetName(), err)
			case err != nil && !apierrors.IsInvalid(err):
				t.Errorf("%s: %s %q is refused for another reason than what is in it: %v", b, object.GetKind(), object.GetName(), err)
			case err != nil:
				refusals = append(refusals, err.Error())
			}
		}
		if b.Info == "yaml refused" && len(refusals) == 0 {
			t.Errorf("%s: there is nothing to refuse", b)
		}
		if output != nil {
			// A refusal is one line, which the documentation wraps.
			r.compare(t, *output, strings.Join(strings.Fields(output.Text), " "), strings.Join(refusals, "\n"))
		}
	case "sh run", "sh run until":
		r.settle(t)
		// Variables are kept for the blocks after it.
		state := filepath.Join(r.dir, "variables")
		script := "set -euo pipefail -o allexport\n[ ! -e " + state + " ] || . " + state + "\n" + r.here(b.Text) + "\nexport -p >" + state + "\n"
		if b.Info == "sh run" {
			r.run(t, b, output, "bash", "-c", script)
			return
		}
		if output == nil {
			t.Fatalf("%s: until what?", b)
		}
		testenv.Eventually(t, patience, func() error {
			command := exec.CommandContext(t.Context(), "bash", "-c", script)
			command.Dir, command.Env = r.dir, r.env
			printed, err := command.CombinedOutput()
			if line, ok := r.missing(output.Text, string(printed)); err == nil && !ok {
				err = fmt.Errorf("%s: the line %q is not (or not there) in what is printed:\n%s", output, line, printed)
			}
			return err
		})
	case "python":
		r.run(t, b, output, "python3", "-c", b.Text)
	case "php":
		r.run(t, b, output, "php", "-r", strings.TrimPrefix(b.Text, "<?php"))
	}
}

// objects returns the Kubernetes objects of a block.
func objects(t *testing.T, b markdown.Block) []*unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(b.Text), len(b.Text))
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if object.GetKind() != "" && object.GetAPIVersion() != "" {
			found = append(found, object)
		}
	}
}

// apply applies an object as kubectl apply --server-side does.
func (r *reader) apply(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	checkPayload(t, object)
	kind := object.GroupVersionKind()
	mapping, err := env.Client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	if mapping.Scope.Name() == apimeta.RESTScopeNameNamespace {
		switch object.GetNamespace() {
		case "", metav1.NamespaceDefault:
			object.SetNamespace(r.namespace)
		default:
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}}
			if err := env.Client.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
	}
	return env.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("docs"), client.ForceOwnership)
}

// checkPayload shows that a FlowRun in the documentation agrees with itself.
func checkPayload(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	text, found, err := unstructured.NestedString(object.Object, "spec", "payload", "text")
	if object.GetKind() != "FlowRun" || !found || err != nil {
		return
	}
	size, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "payload", "size")
	digest, _, _ := unstructured.NestedString(object.Object, "spec", "payload", "sha256")
	if sum := sha256.Sum256([]byte(text)); fmt.Sprint(size) != strconv.Itoa(len(text)) || digest != hex.EncodeToString(sum[:]) {
		t.Errorf("FlowRun %q: the payload %q has size %d and SHA-256 %x", object.GetName(), text, len(text), sum)
	}
}

// run runs a block and compares what it prints. A language that the machine does not have is left
// out.
func (r *reader) run(t *testing.T, b markdown.Block, output *markdown.Block, program string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil && program != "bash" {
		t.Logf("%s is not run: %v", b, err)
		return
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir, command.Env = r.dir, r.env
	var printed strings.Builder
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", b, err, &printed)
	}
	if output != nil {
		r.compare(t, *output, output.Text, printed.String())
	}
}

// compare looks for each expected line in what was printed, in this order.
func (r *reader) compare(t *testing.T, b markdown.Block, expected, printed string) {
	t.Helper()
	if line, ok := r.missing(expected, printed); !ok {
		t.Errorf("%s: the line %q is not (or not there) in what is printed:\n%s", b, line, printed)
	}
}

// missing returns the first expected line that is not in what was printed, and false, if there is
// one.
func (r *reader) missing(expected, printed string) (line string, ok bool) {
	rest := strings.Split(printed, "\n")
	for line := range strings.Lines(r.here(expected)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		parts := strings.Fields(line)
		for i := range parts {
			parts[i] = strings.ReplaceAll(regexp.QuoteMeta(parts[i]), "…", ".*")
		}
		pattern := regexp.MustCompile(`^\s*` + strings.Join(parts, `\s+`) + `\s*$`)
		i := slices.IndexFunc(rest, pattern.MatchString)
		if i < 0 {
			return line, false
		}
		rest = rest[i+1:]
	}
	return "", true
}

// settle waits until the operator has taken in all there is in the namespace.
func (r *reader) settle(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		var triggers sluicev1alpha1.WebhookTriggerList
		if err := env.Client.List(t.Context(), &triggers, client.InNamespace(r.namespace)); err != nil {
			return err
		}
		routes := 0
		for known := range r.operator.Table.All() {
			if known.Namespace == r.namespace {
				routes++
			}
		}
		if routes != len(triggers.Items) {
			return fmt.Errorf("there are %d routes for %d triggers", routes, len(triggers.Items))
		}
		for i := range triggers.Items {
			if err := r.settled(t.Context(), &triggers.Items[i]); err != nil {
				return fmt.Errorf("trigger %q: %w", triggers.Items[i].Name, err)
			}
		}
		return nil
	})
}

func (r *reader) settled(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger) error {
	served, ok := r.operator.Table.Lookup(route.Path(trigger.Namespace, trigger.Name))
	if !ok {
		return errors.New("it has no route")
	}
	states := []string{fmt.Sprintf("%s/%d", trigger.UID, trigger.Generation)}
	flow, secret := &sluicev1alpha1.Flow{}, &corev1.Secret{}
	switch err := env.Client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: trigger.Spec.FlowRef.Name}, flow); {
	case err == nil:
		states = append(states, fmt.Sprintf("%s/%d", flow.UID, flow.Generation))
	case !apierrors.IsNotFound(err):
		return err
	}
	switch err := env.Client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: trigger.Spec.SecretRef.Name}, secret); {
	case err == nil:
		states = append(states, fmt.Sprintf("%s/%s", secret.UID, secret.ResourceVersion))
	case !apierrors.IsNotFound(err):
		return err
	}
	for _, ref := range trigger.Spec.AdditionalSecretRefs {
		additional := &corev1.Secret{}
		switch err := env.Client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: ref.Name}, additional); {
		case err == nil:
			states = append(states, fmt.Sprintf("%s/%s", additional.UID, additional.ResourceVersion))
		case !apierrors.IsNotFound(err):
			return err
		}
	}
	for _, state := range states {
		if !strings.Contains(served.Revision, state) {
			return fmt.Errorf("its route is of %q, not of %q", served.Revision, state)
		}
	}
	ready := apimeta.FindStatusCondition(trigger.Status.Conditions, sluicev1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != trigger.Generation || (ready.Reason != sluicev1alpha1.ReasonReady && ready.Reason != served.Unavailable) {
		return fmt.Errorf("its condition is %+v", ready)
	}
	return nil
}
