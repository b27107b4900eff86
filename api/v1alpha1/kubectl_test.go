/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-dev/sluice/test/framework/testenv"
)

// kinds are the good objects of each kind, with what kubectl calls them.
var kinds = map[string]string{
	"webhooktrigger.sluice.dev/orders": triggerYAML,
	"flow.sluice.dev/import-orders":    flowYAML,
	"flowrun.sluice.dev/orders-1":      runYAML,
}

// kubectl runs kubectl and fails the test unless it succeeds and complains of nothing.
func kubectl(tb testing.TB, stdin string, args ...string) string {
	tb.Helper()
	stdout, stderr, err := env.Kubectl(tb, stdin, args...)
	if err != nil || stderr != "" {
		tb.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// oneLine makes every run of white space a blank: kubectl wraps lines.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestKubectlApply applies each kind twice.
func TestKubectlApply(t *testing.T) {
	t.Parallel()
	for object, text := range kinds {
		t.Run(object, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			for _, want := range []string{"created", "unchanged"} {
				got := kubectl(t, text, "apply", "-n", namespace, "-f", "-")
				if diff := cmp.Diff(object+" "+want+"\n", got); diff != "" {
					t.Errorf("what kubectl prints (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestServerSideApply applies each kind again and again, as GitOps tools do: a write that changes
// nothing would wake every controller.
func TestServerSideApply(t *testing.T) {
	t.Parallel()
	for object, text := range kinds {
		t.Run(object, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			apply := func(text string) *unstructured.Unstructured {
				kubectl(t, text, "apply", "--server-side", "-n", namespace, "-f", "-")
				return read(t, parse(t, namespace, text))
			}
			first := apply(text)
			// The second time may store what the API server had only added to what it read:
			// defaults of the status, and who set the fields of an object without any.
			second := apply(text)
			ignore := cmpopts.IgnoreMapEntries(func(key string, _ any) bool { return key == "resourceVersion" || key == "managedFields" })
			if diff := cmp.Diff(first.Object, second.Object, ignore); diff != "" {
				t.Errorf("to apply the same again changed the object (-before +after):\n%s", diff)
			}
			if third := apply(text); third.GetResourceVersion() != second.GetResourceVersion() {
				t.Errorf("to apply the same a third time wrote the object again: its resourceVersion was %s and is %s", second.GetResourceVersion(), third.GetResourceVersion())
			}
			if text == flowYAML {
				return // it has no status
			}
			set(t, second, "status.conditions", []any{goodCondition()})
			if err := env.Client.Status().Update(t.Context(), second, strict); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{text, text + "status: {}\n"} {
				if diff := cmp.Diff(second.Object, apply(text).Object); diff != "" {
					t.Errorf("to apply the same again after a controller wrote the status changed the object (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// TestEmptyStatus applies what generators of YAML put at the end of it.
func TestEmptyStatus(t *testing.T) {
	t.Parallel()
	for object, text := range kinds {
		if text == flowYAML {
			continue // it has no status: TestKubectlApplyRefused
		}
		t.Run(object, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			kubectl(t, text+"status: {}\n", "apply", "-n", namespace, "-f", "-")
			before := read(t, parse(t, namespace, text))
			kubectl(t, text+"status: {}\n", "apply", "-n", namespace, "-f", "-")
			if diff := cmp.Diff(before.Object, read(t, before).Object); diff != "" {
				t.Errorf("to apply the same again changed the object (-before +after):\n%s", diff)
			}
		})
	}
}

func TestKubectlApplyRefused(t *testing.T) {
	t.Parallel()
	testKubectlRefused(t, map[string]applied{
		"algorithm": {
			reason: "the values that there are", good: triggerYAML, replace: "SHA-256", with: "SHA256",
			want: []string{
				`The WebhookTrigger "orders" is invalid`,
				`spec.algorithm: Unsupported value: "SHA256": ` + oneOf(hashes...),
			},
		},
		"algorithm of a stored trigger": {
			reason: "an update is explained as a create is", good: triggerYAML, stored: true, replace: "SHA-256", with: "MD5",
			want: []string{
				`The WebhookTrigger "orders" is invalid`,
				`spec.algorithm: Unsupported value: "MD5": ` + oneOf(hashes...),
			},
		},
		"guess of a Secret": {
			reason: "the values that there are", good: schemeYAML, replace: "secretPrefix: whsec_", with: "secretPrefix: c0ffee",
			want: []string{
				`The WebhookTrigger "orders" is invalid`,
				`spec.signature.secretPrefix: Unsupported value: "c0ffee": ` + oneOf(secretPrefixes...),
			},
		},
		"no spec": {
			reason: "what is missing", good: "apiVersion: sluice.dev/v1alpha1\nkind: WebhookTrigger\nmetadata: {name: orders}\n",
			want: []string{`The WebhookTrigger "orders" is invalid`, "spec: Required value"},
		},
		"no key": {
			reason: "what is missing", good: triggerYAML, replace: "    key: secretKey\n",
			want: []string{"spec.secretRef.key: Required value"},
		},
		"several errors": {
			reason: "all at once", good: triggerYAML, replace: "algorithm: SHA-256\n", with: "algorithm: MD5\n  state: Off\n",
			want: []string{`spec.algorithm: Unsupported value: "MD5"`, "spec.state: Invalid value", `supported values: "Active", "Suspended"`},
		},
		"misspelt field": {
			reason: "the field", good: triggerYAML, replace: "algorithm:", with: "hash:",
			want: []string{"strict decoding error", `unknown field "spec.hash"`},
		},
		"misspelt field of a stored trigger": {
			reason: "the field", good: triggerYAML, stored: true, replace: "flowRef:", with: "state: Active\n  flowref: {}\n  flowRef:",
			want: []string{"strict decoding error", `unknown field "spec.flowref"`},
		},
		"wrong indentation": {
			reason: "the field and where it stands", good: triggerYAML, replace: "  name: orders\n", with: "  name: orders\n  algorithm: SHA-256\n",
			want: []string{"strict decoding error", `unknown field "metadata.algorithm"`},
		},
		"secret with a slash": {
			reason: "what a name is", good: triggerYAML, replace: "name: orders-webhook", with: "name: shop/orders-webhook",
			want: []string{`spec.secretRef.name: Invalid value: "shop/orders-webhook": ` + secretNameMessage},
		},
		"key with a blank": {
			reason: "what a key is", good: triggerYAML, replace: "key: secretKey", with: "key: secret key",
			want: []string{`spec.secretRef.key: Invalid value: "secret key": ` + secretKeyMessage},
		},
		"flow name that is a number": {
			reason: "YAML takes it for a number", good: triggerYAML, replace: "name: import-orders", with: "name: 42",
			want: []string{`spec.flowRef.name: Invalid value: "integer": spec.flowRef.name in body must be of type string`},
		},
		"trigger with a dot": {
			reason: "what to do", good: triggerYAML, replace: "name: orders\n", with: "name: orders.eu\n",
			want: []string{
				`The WebhookTrigger "orders.eu" is invalid`,
				"metadata.name must be at most 63 lower-case letters, digits and '-', because the names and labels of its FlowRuns are made from it; choose a shorter name without '.'",
			},
		},
		"trigger with a long name": {
			reason: "what to do", good: triggerYAML, replace: "name: orders\n", with: "name: " + letters(64) + "\n",
			want: []string{"metadata.name must be at most 63 lower-case letters", "choose a shorter name without '.'"},
		},
		"trigger in upper case": {
			reason: "what a name is", good: triggerYAML, replace: "name: orders\n", with: "name: Orders\n",
			want: []string{`metadata.name: Invalid value: "Orders"`, "must consist of lower case"},
		},
		"Flow with a dot": {
			reason: "what to do", good: flowYAML, replace: "import-orders", with: "import.orders",
			want: []string{
				`The Flow "import.orders" is invalid`,
				"metadata.name must be at most 63 lower-case letters, digits and '-', because it is a label of the Flow's FlowRuns; choose a shorter name without '.'",
			},
		},
		"state of a Flow": {
			reason: "the values that there are", good: flowYAML + "spec: {state: enabled}\n",
			want: []string{`The Flow "import-orders" is invalid`, `spec.state: Unsupported value: "enabled": supported values: "Enabled", "Disabled"`},
		},
		"status of a Flow": {
			reason: "a Flow has none", good: flowYAML + "status: {}\n",
			want: []string{"strict decoding error", `unknown field "status"`},
		},
		"change of a run": {
			reason: "what to do instead", good: runYAML, stored: true, replace: "1001", with: "1002",
			want: []string{`The FlowRun "orders-1" is invalid: spec: Invalid value: ` + immutableMessage},
		},
		"size of a run": {
			reason: "what the size is", good: runYAML, replace: "size: 15", with: "size: 16",
			want: []string{`The FlowRun "orders-1" is invalid: spec.payload: Invalid value: ` + sizeMessage},
		},
		"two bodies": {
			reason: "what to choose between", good: runYAML, replace: "    size: 15", with: "    binary: eyJvcmRlciI6IDEwMDF9\n    size: 15",
			want: []string{`The FlowRun "orders-1" is invalid: spec.payload: Invalid value: ` + oneBodyMessage},
		},
		"binary of a run": {
			reason: "what base64 is", good: binaryRunYAML, replace: "+/8=", with: "-_8=",
			want: []string{`The FlowRun "orders-2" is invalid: spec.payload.binary: Invalid value: "-_8=": ` + binaryMessage},
		},
		"time of a run": {
			reason: "what a time is", good: runYAML, replace: "12:00:00.000000Z", with: "12:00:00Z",
			want: []string{`spec.request.receivedAt in body should match '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$'`},
		},
		"digest of a run": {
			reason: "what a digest is", good: runYAML, replace: "sha256: 4f7b", with: "sha256: 4F7B",
			want: []string{"spec.payload.sha256: Invalid value", sha256Message},
		},
		"key of a run": {
			reason: "what it looks like", good: runYAML, replace: "orders-webhook/secretKey", with: "secretKey",
			want: []string{`spec.request.signedBy: Invalid value: "secretKey": ` + signedByMessage},
		},
		"another version": {
			reason: "there is one version", good: triggerYAML, replace: "v1alpha1", with: "v1",
			want: []string{`no matches for kind "WebhookTrigger" in version "sluice.dev/v1"`},
		},
	})
}

// applied is YAML that kubectl must not be able to apply: a good object with something replaced.
type applied struct {
	reason  string
	good    string
	stored  bool   // whether the good object is there already
	replace string // in the good object
	with    string
	want    []string // of what the user reads
}

// testKubectlRefused shows what a user of kubectl reads.
func testKubectlRefused(t *testing.T, cases map[string]applied) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			if tc.stored {
				kubectl(t, tc.good, "apply", "-n", namespace, "-f", "-")
			}
			text := tc.good
			if tc.replace != "" {
				if text = strings.Replace(tc.good, tc.replace, tc.with, 1); text == tc.good {
					t.Fatalf("there is no %q to replace", tc.replace)
				}
			}
			stdout, stderr, err := env.Kubectl(t, text, "apply", "-n", namespace, "-f", "-")
			if err == nil || stdout != "" {
				t.Errorf("%s: kubectl apply has accepted it: %s", tc.reason, stdout)
			}
			for _, want := range tc.want {
				if !strings.Contains(oneLine(stderr), want) {
					t.Errorf("%s: the user reads\n%s\nwhich does not contain\n%s", tc.reason, stderr, want)
				}
			}
		})
	}
}

// TestRepeatedField sends fields twice: of two values the wrong one would win in silence. It does
// not use kubectl, which drops all but the last before it sends anything.
func TestRepeatedField(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	cases := map[string]struct{ resource, body string }{
		"spec.algorithm": {"webhooktriggers", `{"apiVersion": "sluice.dev/v1alpha1", "kind": "WebhookTrigger", "metadata": {"name": "a"},
			"spec": {"algorithm": "SHA-256", "algorithm": "RIPEMD-128", "flowRef": {"name": "a"}, "secretRef": {"name": "a", "key": "a"}}}`},
		"spec.secretRef.key": {"webhooktriggers", `{"apiVersion": "sluice.dev/v1alpha1", "kind": "WebhookTrigger", "metadata": {"name": "a"},
			"spec": {"algorithm": "SHA-256", "flowRef": {"name": "a"}, "secretRef": {"name": "a", "key": "a", "key": "b"}}}`},
		"spec.state": {"flows", `{"apiVersion": "sluice.dev/v1alpha1", "kind": "Flow", "metadata": {"name": "a"},
			"spec": {"state": "Disabled", "state": "Enabled"}}`},
		"spec.payload.size": {"flowruns", `{"apiVersion": "sluice.dev/v1alpha1", "kind": "FlowRun", "metadata": {"name": "a"},
			"spec": {"flowRef": {"name": "a"}, "payload": {"size": 1, "size": 0, "sha256": "` + strings.Repeat("0", 64) + `"}}}`},
	}
	for field, tc := range cases {
		testRepeatedField(t, namespace, tc.resource, field, tc.body)
	}
}

// testRepeatedField posts JSON that has a field twice.
func testRepeatedField(t *testing.T, namespace, resource, field, body string) {
	t.Helper()
	t.Run(field, func(t *testing.T) {
		status, answer := post(t, "/apis/sluice.dev/v1alpha1/namespaces/"+namespace+"/"+resource, body)
		if want := `duplicate field \"` + field + `\"`; status != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("the answer is %d, want 400 with %s:\n%s", status, want, answer)
		}
	})
}

func TestKubectlExplain(t *testing.T) {
	t.Parallel()
	cases := map[string][]string{ // what a user wants to know of a field
		"webhooktriggers": {
			"KIND: WebhookTrigger", "accepts requests at /hooks/<namespace>/<name>", "the header X-HMAC-HASH carries",
			"spec <Object> -required-", "status <Object>",
		},
		"webhooktriggers.spec": {
			"flowRef <Object> -required-", "secretRef <Object> -required-", "algorithm <string>", "provider <string>", "signature <Object>",
			"additionalSecretRefs <[]Object>", "deduplication <Object>", "handshake <Object>", "publicURL <string>", "response <Object>", "state <string>",
		},
		"webhooktriggers.spec.algorithm": {
			"FIELD: algorithm <string>", "ENUM: SHA-1 SHA-256 SHA-384 SHA-512 SHA3-256 SHA3-512 RIPEMD-128 RIPEMD-160",
			"the header X-HMAC-HASH holds the HMAC of the body in hexadecimal",
			"Exactly one of algorithm, provider and signature is required", "Another value is refused",
		},
		"wht.spec.provider":                    {"ENUM: AdyenPlatform", "GitHub", "Zoom", "the scheme of a well-known sender"},
		"wht.spec.signature":                   {"algorithm <string> -required-", "headers <[]string>", "template <string>", "timestamp <Object>"},
		"wht.spec.signature.timestamp":         {"toleranceSeconds <integer>", "from 1 to 86400"},
		"wht.spec.deduplication.source":        {"ENUM: Provider Header Body Signature None", "Required"},
		"wht.spec.response.status":             {"from 200 to 299"},
		"wht.spec.additionalSecretRefs":        {"up to 8 more keys", "key <string> -required-", "name <string> -required-"},
		"wht.spec.handshake":                   {"verifyTokenRef <Object>", "it signs nothing", "longer than 4096 bytes"},
		"wht.status.keys":                      {"lastMatchedTime <string>", "name <string> -required-"},
		"fr.spec.request.deliveryID":           {"at most 256 characters", "is refused"},
		"wht.spec.flowRef.name":                {"FIELD: name <string>", "at most 63 lower-case letters, digits and '-'", "is refused"},
		"wht.spec.secretRef.name":              {"at most 253 characters", "is refused"},
		"wht.spec.secretRef.key":               {"at most 253 letters, digits, '-', '_' and '.'", "There is no default", "is refused", "4096 bytes", "503"},
		"wht.spec.state":                       {"ENUM: Active Suspended", "Active (the default) or Suspended", "503 with Retry-After"},
		"wht.status":                           {"conditions <[]Object>", "keys <[]Object>", "observedGeneration <integer>", "path <string>", "url <string>"},
		"wht.status.url":                       {"absent when the operator runs without --external-url"},
		"flows.spec":                           {"It may be left out: an empty Flow is Enabled", "state <string>", "enum: Enabled, Disabled"},
		"flows.spec.history":                   {"so that the runs of every Flow are bounded", "failedRunsHistoryLimit <integer>", "payloadTTLSeconds <integer>", "successfulRunsHistoryLimit <integer>", "ttlSecondsAfterFinished <integer>", "ttlSecondsAfterReceived <integer>"},
		"flows.spec.history.payloadTTLSeconds": {"the payload stays for as long as the run", "from 0 to 31536000 (365 days)"},
		"wht.spec.deduplication.windowSeconds": {"from 1 to 2592000 (30 days)", "or else 24 hours"},
		"fr.spec.payload.state":                {"ENUM: Stored Dropped", "the only change of a FlowRun's spec that is allowed"},
		"flows.spec.state":                     {"ENUM: Enabled Disabled", "Enabled (the default) or Disabled"},
		"fr.spec":                              {"It cannot be changed", "flowRef <Object> -required-", "payload <Object> -required-", "request <Object>", "triggerRef <Object>"},
		"fr.spec.payload":                      {"binary <string>", "contentType <string>", "sha256 <string> -required-", "size <integer> -required-", "text <string>"},
		"fr.spec.payload.text":                 {"valid UTF-8", "more than 1130496 bytes, or together with binary, is refused"},
		"fr.spec.payload.binary":               {"base64 (RFC 4648, section 4)", "is refused"},
		"fr.spec.payload.size":                 {"from 0 to 1130496", "is refused"},
		"fr.spec.payload.sha256":               {"64 lower-case hexadecimal digits; anything else is refused"},
		"fr.spec.request.receivedAt":           {"six decimals, such as 2026-01-31T12:00:00.000000Z", "is refused"},
		"fr.spec.request.signedBy":             {"<Secret>/<entry>", "is refused"},
		"fr.status":                            {"completionTime <string>", "conditions <[]Object>", "startTime <string>"},
	}
	for path, want := range cases {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var stdout string
			testenv.Eventually(t, time.Minute, func() error { // the API server publishes the schemas some time after the definitions
				var stderr string
				var err error
				if stdout, stderr, err = env.Kubectl(t, "", "explain", path); err != nil {
					return fmt.Errorf("kubectl explain %s: %w: %s", path, err, stderr)
				}
				return nil
			})
			got := oneLine(stdout)
			for _, text := range want {
				if !strings.Contains(got, text) {
					t.Errorf("the user reads\n%s\nwhich does not contain\n%s", got, text)
				}
			}
		})
	}
}

// TestKubectlGet shows what users see of objects in lists.
func TestKubectlGet(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	trigger, flow, run := parse(t, namespace, triggerYAML), parse(t, namespace, flowYAML), parse(t, namespace, runYAML)
	env.Create(t, trigger, flow, run)
	set(t, trigger, "status", map[string]any{
		"observedGeneration": int64(1), "path": "/hooks/shop/orders", "url": "https://hooks.example.com/hooks/shop/orders",
		"conditions": []any{
			condition("type", "Accepted"),
			map[string]any{
				"type": "Ready", "status": "False", "reason": "SecretNotFound", "message": "no-secret", "lastTransitionTime": "2026-01-31T12:00:00Z",
			},
		},
	})
	if err := env.Client.Status().Update(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	set(t, run, "status", map[string]any{
		"conditions": []any{condition("type", "Queued"), condition("type", "Succeeded")},
		"startTime":  "2026-01-31T12:00:01Z", "completionTime": "2026-01-31T12:00:02.5+01:00",
	})
	if err := env.Client.Status().Update(t.Context(), run); err != nil {
		t.Fatal(err)
	}

	triggers := [][]string{
		{"NAME", "READY", "REASON", "FLOW", "PATH", "AGE"},
		{"webhooktrigger.sluice.dev/orders", "False", "SecretNotFound", "import-orders", "/hooks/shop/orders", age},
	}
	flows := [][]string{
		{"NAME", "STATE", "AGE"},
		{"flow.sluice.dev/import-orders", "Enabled", age},
	}
	runs := [][]string{
		{"NAME", "FLOW", "TRIGGER", "SIZE", "SUCCEEDED", "AGE"},
		{"flowrun.sluice.dev/orders-1", "import-orders", "orders", "15", "True", age},
	}
	cases := map[string][][]string{
		"wht,flows,fr": concat(triggers, flows, runs),
		"sluice":       concat(runs, flows, triggers), // the category, in the order of the names
		"webhooktrigger --output=wide": {
			{"NAME", "READY", "REASON", "FLOW", "PATH", "AGE", "ALGORITHM", "PROVIDER", "URL", "MESSAGE"},
			{
				"orders", "False", "SecretNotFound", "import-orders", "/hooks/shop/orders", age,
				"SHA-256", "https://hooks.example.com/hooks/shop/orders", "no-secret",
			},
		},
		"flow": {
			{"NAME", "STATE", "AGE"},
			{"import-orders", "Enabled", age},
		},
		"flowrun --output=wide": {
			{"NAME", "FLOW", "TRIGGER", "SIZE", "SUCCEEDED", "AGE", "CONTENT-TYPE", "SIGNED-BY", "PAYLOAD", "CONDITION", "STARTED", "COMPLETED"},
			{
				"orders-1", "import-orders", "orders", "15", "True", age,
				"application/json", "orders-webhook/secretKey", "Queued", "2026-01-31T12:00:01Z", "2026-01-31T12:00:02.5+01:00",
			},
		},
	}
	for args, want := range cases {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			got := table(kubectl(t, "", append([]string{"get", "-n", namespace}, strings.Fields(args)...)...))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what kubectl get %s prints (-want +got):\n%s", args, diff)
			}
		})
	}
}

// age stands for the age of an object in a table.
const age = "(age)"

// table splits what kubectl get prints into cells.
func table(text string) [][]string {
	var rows [][]string
	column := 0
	for line := range strings.Lines(text) {
		cells := strings.Fields(line)
		if len(cells) == 0 {
			continue // between tables
		}
		if cells[0] == "NAME" {
			for i, cell := range cells {
				if cell == "AGE" {
					column = i
				}
			}
		} else if column < len(cells) {
			cells[column] = age
		}
		rows = append(rows, cells)
	}
	return rows
}

func concat(tables ...[][]string) [][]string {
	var all [][]string
	for _, rows := range tables {
		all = append(all, rows...)
	}
	return all
}

// TestHostileCells shows that what a sender puts into a header cannot change the terminal of who
// lists runs.
func TestHostileCells(t *testing.T) {
	t.Parallel()
	namespace := env.Namespace(t)
	run := parse(t, namespace, runYAML)
	set(t, run, "spec.payload.contentType", "\x1b[2J\x1b[31m\u009b31m\nfake-run")
	env.Create(t, run)
	got := kubectl(t, "", "get", "-n", namespace, "fr", "--output=wide")
	if strings.ContainsAny(got, "\x1b") {
		t.Errorf("an escape sequence of a sender reaches the terminal: %q", got)
	}
	if lines := strings.Count(got, "\n"); lines != 2 {
		t.Errorf("a sender can add lines to the table: %d, want 2: %q", lines, got)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	type resource struct {
		Namespaced             bool
		ShortNames, Categories []string
	}
	sluice := []string{"sluice"}
	want := map[string]resource{
		"webhooktriggers":        {Namespaced: true, Categories: sluice, ShortNames: []string{"wht"}},
		"webhooktriggers/status": {Namespaced: true},
		"flows":                  {Namespaced: true, Categories: sluice},
		"flowruns":               {Namespaced: true, Categories: sluice, ShortNames: []string{"fr"}},
		"flowruns/status":        {Namespaced: true},
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal([]byte(kubectl(t, "", "get", "--raw", "/apis/sluice.dev/v1alpha1")), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]resource{}
	for _, r := range list.APIResources {
		got[r.Name] = resource{Namespaced: r.Namespaced, Categories: r.Categories, ShortNames: r.ShortNames}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the API server serves (-want +got):\n%s", diff)
	}
}
