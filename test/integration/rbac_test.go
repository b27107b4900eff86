/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/test/framework/testenv"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// operatorNamespace is where config/rbac has the service accounts.
const operatorNamespace = "sluice-system"

var createOperatorNamespace sync.Once

// applyNamespaced applies config/rbac-namespaced for these watched namespaces, as the documentation
// says.
func applyNamespaced(t *testing.T, namespaces ...string) {
	t.Helper()
	createOperatorNamespace.Do(func() {
		env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}})
	})
	folder := filepath.Join(testenv.Root(), "config", "rbac-namespaced")
	commands := [][]string{{"apply", "--server-side", "-k", filepath.Join(folder, "operator")}}
	for _, namespace := range namespaces {
		commands = append(commands, []string{"apply", "--server-side", "--namespace", namespace, "-k", filepath.Join(folder, "watched")})
	}
	for _, command := range commands {
		applied, stderr, err := env.Kubectl(t, "", command...)
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", command, err, stderr)
		}
		if strings.Contains(applied, "clusterrole") {
			t.Errorf("kubectl %s has applied something of the whole cluster:\n%s", command, applied)
		}
	}
}

// TestTokens holds the token of a service account of each role to what the role may do and what it
// may not, by asking a real API server. Writes are dry runs; the API server decides on permission
// before it looks at anything else.
func TestTokens(t *testing.T) {
	t.Parallel()
	namespace, other := newWorld(t), newWorld(t)
	run := wrappers.FlowRun(namespace, "run").Flow(flowName).Trigger(triggerName).Obj()
	env.Create(t, run)
	applyNamespaced(t, namespace)
	for _, name := range []string{"ingest", "controller"} {
		account := makeAccount(t, namespace, name)
		grant(t, "sluice-"+name, account)
		grant(t, "sluice-metrics-auth", account)
		if name == "controller" {
			grant(t, "sluice-leader-election", account)
		}
	}
	accounts := []struct {
		what           string
		config         *rest.Config
		leaseNamespace string
	}{
		{"ingest", env.ServiceAccount(t, namespace, "ingest"), namespace},
		{"controller", env.ServiceAccount(t, namespace, "controller"), namespace},
		{"ingest in one namespace", env.ServiceAccount(t, operatorNamespace, "sluice-ingest"), operatorNamespace},
		{"controller in one namespace", env.ServiceAccount(t, operatorNamespace, "sluice-controller"), operatorNamespace},
	}

	const (
		ok, made, no = http.StatusOK, http.StatusCreated, http.StatusForbidden
		core         = "/api/v1"
		sluice       = "/apis/sluice.dev/v1alpha1"
		rbac         = "/apis/rbac.authorization.k8s.io/v1"
		leases       = "/apis/coordination.k8s.io/v1/namespaces/LEASES/leases"
	)
	nobody := [4]int{no, no, no, no}
	runObject := `{"apiVersion":"sluice.dev/v1alpha1","kind":"FlowRun","metadata":{"name":"another"},"spec":{"flowRef":{"name":"import"},` +
		`"triggerRef":{"name":"orders"},"payload":{"size":0,"sha256":"` + run.Spec.Payload.SHA256 + `"}}}`
	event := `{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e"},"eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"sluice",` +
		`"reportingInstance":"x","action":"a","reason":"r","type":"Normal","regarding":{"kind":"WebhookTrigger","namespace":"NAMESPACE","name":"orders"}}`
	cases := map[string]struct {
		reason  string
		method  string
		path    string // NAMESPACE is the one that is watched, OTHER another one
		headers map[string]string
		body    string
		want    [4]int // for ingest and controller, and for both in one namespace
	}{
		"ListTriggers":      {reason: "to know the routes", method: "GET", path: sluice + "/namespaces/NAMESPACE/webhooktriggers", want: [4]int{ok, ok, ok, ok}},
		"ListAllTriggers":   {reason: "only without --watch-namespaces", method: "GET", path: sluice + "/webhooktriggers", want: [4]int{ok, ok, no, no}},
		"ListOtherTriggers": {reason: "one namespace is one namespace", method: "GET", path: sluice + "/namespaces/OTHER/webhooktriggers", want: [4]int{ok, ok, no, no}},
		"ListFlows":         {reason: "to know whether they are enabled", method: "GET", path: sluice + "/namespaces/NAMESPACE/flows", want: [4]int{ok, ok, ok, ok}},
		"ListOtherFlows":    {reason: "one namespace is one namespace", method: "GET", path: sluice + "/namespaces/OTHER/flows", want: [4]int{ok, ok, no, no}},
		"GetSecret":         {reason: "the key", method: "GET", path: core + "/namespaces/NAMESPACE/secrets/webhook", want: [4]int{ok, ok, ok, ok}},
		"GetOtherSecret":    {reason: "a key of another namespace", method: "GET", path: core + "/namespaces/OTHER/secrets/webhook", want: [4]int{ok, ok, no, no}},
		"ListAllSecrets":    {reason: "only without --watch-namespaces", method: "GET", path: core + "/secrets", want: [4]int{ok, ok, no, no}},
		"ListSystemSecrets": {reason: "nor those of the system", method: "GET", path: core + "/namespaces/kube-system/secrets", want: [4]int{ok, ok, no, no}},
		"CreateRun":         {reason: "what ingest is for", method: "POST", path: sluice + "/namespaces/NAMESPACE/flowruns", body: runObject, want: [4]int{made, no, made, no}},
		"CreateOtherRun":    {reason: "one namespace is one namespace", method: "POST", path: sluice + "/namespaces/OTHER/flowruns", body: runObject, want: [4]int{made, no, no, no}},
		"GetRun":            {reason: "to recognise a repeated delivery", method: "GET", path: sluice + "/namespaces/NAMESPACE/flowruns/run", want: [4]int{ok, no, ok, no}},
		"ListRuns":          {reason: "payloads are not for what faces the internet", method: "GET", path: sluice + "/namespaces/NAMESPACE/flowruns", want: [4]int{no, ok, no, ok}},
		"ListAllRuns":       {reason: "payloads are not for what faces the internet", method: "GET", path: sluice + "/flowruns", want: [4]int{no, ok, no, no}},
		"PatchStatus":       {reason: "what controller is for", method: "PATCH", path: sluice + "/namespaces/NAMESPACE/webhooktriggers/orders/status", body: "{}", want: [4]int{no, ok, no, ok}},
		"PatchOtherStatus":  {reason: "one namespace is one namespace", method: "PATCH", path: sluice + "/namespaces/OTHER/webhooktriggers/orders/status", body: "{}", want: [4]int{no, ok, no, no}},
		"CreateEvent":       {reason: "to tell owners of triggers", method: "POST", path: "/apis/events.k8s.io/v1/namespaces/NAMESPACE/events", body: event, want: [4]int{made, made, made, made}},
		"CreateLease":       {reason: "to lead", method: "POST", path: leases, body: `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"another"}}`, want: [4]int{no, made, no, made}},
		"ReviewToken": {
			reason: "to know who reads metrics", method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews",
			body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"x"}}`, want: [4]int{made, made, no, no},
		},

		"ListConfigMaps":     {reason: "no business of Sluice", method: "GET", path: core + "/namespaces/NAMESPACE/configmaps", want: nobody},
		"ListPods":           {reason: "no business of Sluice", method: "GET", path: core + "/namespaces/NAMESPACE/pods", want: nobody},
		"CreatePod":          {reason: "a way to every Secret of the namespace", method: "POST", path: core + "/namespaces/NAMESPACE/pods", body: "{}", want: nobody},
		"ExecInPod":          {reason: "a way to every Secret of the namespace", method: "POST", path: core + "/namespaces/NAMESPACE/pods/p/exec", want: nobody},
		"ListNamespaces":     {reason: "no business of Sluice", method: "GET", path: core + "/namespaces", want: nobody},
		"ListNodes":          {reason: "no business of Sluice", method: "GET", path: core + "/nodes", want: nobody},
		"ListServices":       {reason: "no business of Sluice", method: "GET", path: core + "/namespaces/NAMESPACE/services", want: nobody},
		"CreateSecret":       {reason: "keys are made by others", method: "POST", path: core + "/namespaces/NAMESPACE/secrets", body: "{}", want: nobody},
		"UpdateSecret":       {reason: "who sets a key starts flows", method: "PUT", path: core + "/namespaces/NAMESPACE/secrets/webhook", body: "{}", want: nobody},
		"PatchSecret":        {reason: "who sets a key starts flows", method: "PATCH", path: core + "/namespaces/NAMESPACE/secrets/webhook", body: "{}", want: nobody},
		"DeleteSecret":       {reason: "keys are taken away by others", method: "DELETE", path: core + "/namespaces/NAMESPACE/secrets/webhook", want: nobody},
		"CreateTrigger":      {reason: "triggers are made by others", method: "POST", path: sluice + "/namespaces/NAMESPACE/webhooktriggers", body: "{}", want: nobody},
		"UpdateTrigger":      {reason: "who sets a trigger's key starts flows", method: "PUT", path: sluice + "/namespaces/NAMESPACE/webhooktriggers/orders", body: "{}", want: nobody},
		"PatchTrigger":       {reason: "who sets a trigger's key starts flows", method: "PATCH", path: sluice + "/namespaces/NAMESPACE/webhooktriggers/orders", body: "{}", want: nobody},
		"DeleteTrigger":      {reason: "triggers are taken away by others", method: "DELETE", path: sluice + "/namespaces/NAMESPACE/webhooktriggers/orders", want: nobody},
		"UpdateStatus":       {reason: "the status is patched", method: "PUT", path: sluice + "/namespaces/NAMESPACE/webhooktriggers/orders/status", body: "{}", want: nobody},
		"PatchFlow":          {reason: "Flows are the users'", method: "PATCH", path: sluice + "/namespaces/NAMESPACE/flows/import", body: "{}", want: nobody},
		"DeleteFlow":         {reason: "Flows are the users'", method: "DELETE", path: sluice + "/namespaces/NAMESPACE/flows/import", want: nobody},
		"UpdateRun":          {reason: "a record is not rewritten", method: "PUT", path: sluice + "/namespaces/NAMESPACE/flowruns/run", body: "{}", want: nobody},
		"PatchRun":           {reason: "payloads are dropped", method: "PATCH", path: sluice + "/namespaces/NAMESPACE/flowruns/run", body: "{}", want: [4]int{no, ok, no, ok}},
		"DeleteRun":          {reason: "old runs are removed", method: "DELETE", path: sluice + "/namespaces/NAMESPACE/flowruns/none", want: [4]int{no, http.StatusNotFound, no, http.StatusNotFound}},
		"DeleteRuns":         {reason: "but one at a time", method: "DELETE", path: sluice + "/namespaces/NAMESPACE/flowruns", want: nobody},
		"ListEvents":         {reason: "Events are for others to read", method: "GET", path: "/apis/events.k8s.io/v1/namespaces/NAMESPACE/events", want: nobody},
		"DeleteEvents":       {reason: "nothing hides its traces", method: "DELETE", path: "/apis/events.k8s.io/v1/namespaces/NAMESPACE/events", want: nobody},
		"GetOtherLease":      {reason: "others' leases", method: "GET", path: leases + "/kube-controller-manager", want: nobody},
		"UpdateOtherLease":   {reason: "others' leases", method: "PUT", path: leases + "/kube-controller-manager", body: "{}", want: nobody},
		"UpdateSystemLease":  {reason: "others' leases", method: "PUT", path: "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sluice-controller", body: "{}", want: nobody},
		"DeleteLease":        {reason: "a leader gives its lease up by an update", method: "DELETE", path: leases + "/sluice-controller", want: nobody},
		"Impersonate":        {reason: "nobody but oneself", method: "GET", path: sluice + "/webhooktriggers", headers: map[string]string{"Impersonate-User": "admin"}, want: nobody},
		"ImpersonateMasters": {reason: "least of all those who may do anything", method: "GET", path: sluice + "/webhooktriggers", headers: map[string]string{"Impersonate-User": "admin", "Impersonate-Group": "system:masters"}, want: nobody},
		"Escalate":           {reason: "no permission for oneself", method: "PATCH", path: rbac + "/clusterroles/sluice-ingest", body: `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`, want: nobody},
		"EscalateRole":       {reason: "no permission for oneself", method: "PATCH", path: rbac + "/namespaces/NAMESPACE/roles/sluice-ingest", body: `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`, want: nobody},
		"Bind":               {reason: "no permission for oneself", method: "POST", path: rbac + "/clusterrolebindings", body: "{}", want: nobody},
		"BindRole":           {reason: "no permission for oneself", method: "POST", path: rbac + "/namespaces/NAMESPACE/rolebindings", body: "{}", want: nobody},
		"RequestToken":       {reason: "no token of another account", method: "POST", path: core + "/namespaces/NAMESPACE/serviceaccounts/controller/token", body: "{}", want: nobody},
		"SignCertificate":    {reason: "no other way to be somebody", method: "POST", path: "/apis/certificates.k8s.io/v1/certificatesigningrequests", body: "{}", want: nobody},
		"ReadDefinitions":    {reason: "no business of Sluice", method: "GET", path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", want: nobody},
		"CreateWebhook":      {reason: "a way to see every object", method: "POST", path: "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", body: "{}", want: nobody},
		"APIServerMetrics":   {reason: "others' metrics", method: "GET", path: "/metrics", want: nobody},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, account := range accounts {
				replace := strings.NewReplacer("NAMESPACE", namespace, "OTHER", other, "LEASES", account.leaseNamespace)
				if got := ask(t, account.config, tc.method, replace.Replace(tc.path), tc.headers, replace.Replace(tc.body)); got != tc.want[i] {
					t.Errorf("%s: %s is answered %d, want %d", tc.reason, account.what, got, tc.want[i])
				}
			}
		})
	}
}

// ask sends a request to the API server, as a dry run if it is a write, and returns the status of
// the answer.
func ask(t *testing.T, config *rest.Config, method, path string, headers map[string]string, body string) int {
	t.Helper()
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	if method != http.MethodGet {
		path += "?dryRun=All"
	}
	request, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(config.Host, "/")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	r, err := doWith(transport, request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r.status
}

// TestNamespacedPermissions runs both roles for two namespaces, with the permissions of
// config/rbac-namespaced and not one of the whole cluster. Both namespaces are served, and nothing
// is asked of a third one.
func TestNamespacedPermissions(t *testing.T) {
	t.Parallel()
	shop, billing, other := newWorld(t), newWorld(t), newWorld(t)
	applyNamespaced(t, shop, billing)
	audited := newAuditor()
	start := func(role app.Role) *operator {
		return startOperator(t, operatorNamespace, audited.watch, func(c *operatorConfig) {
			c.options = func(o *app.Options) { o.Role, o.WatchNamespaces = role, []string{shop, billing} }
			c.config = func(app.Options) *rest.Config {
				return env.ServiceAccount(t, operatorNamespace, "sluice-"+string(role))
			}
		})
	}
	o := start(app.RoleIngest)
	start(app.RoleController)

	for _, namespace := range []string{shop, billing} {
		acceptedRun(t, namespace, o.mustPost(t, namespace, keyText, "{}"))
		eventuallyCondition(t, namespace, "Ready", isTrue, sluicev1alpha1.ReasonReady)
	}
	if r := o.mustPost(t, other, keyText, "{}"); r.status != http.StatusNotFound {
		t.Errorf("a namespace that is not watched is answered %d, want 404", r.status)
	}
	trigger := makeTrigger(other)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
		t.Fatal(err)
	}
	if len(trigger.Status.Conditions) > 0 && trigger.Status.Conditions[0].Reason != "Pending" {
		t.Errorf("the status of a trigger in a namespace that is not watched was written: %+v", trigger.Status)
	}

	t.Log("a key is live in either namespace")
	const newKey = "the-key-after-the-rotation-of-it"
	update(t, makeSecret(billing, ""), func(s *corev1.Secret) { s.Data = map[string][]byte{secretKey: []byte(newKey)} })
	o.eventuallyAnswers(t, billing, newKey, http.StatusAccepted)
	if r := o.mustPost(t, shop, newKey, "{}"); r.status != http.StatusUnauthorized {
		t.Errorf("the key of another namespace is answered %d, want 401", r.status)
	}

	audited.mu.Lock()
	defer audited.mu.Unlock()
	if len(audited.refused) > 0 {
		t.Errorf("refused: %s", strings.Join(audited.refused, ", "))
	}
	if len(audited.clusterWide) > 0 {
		t.Errorf("asked of the whole cluster: %s", sorted(audited.clusterWide))
	}
	for _, needed := range []permission{{"", "secrets", "get"}, {"sluice.dev", "flowruns", "create"}} {
		if !audited.used[needed] {
			t.Errorf("nothing was seen of: %s", needed)
		}
	}
}
