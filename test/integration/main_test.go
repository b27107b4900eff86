/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package integration_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/app"
	"github.com/sluice-dev/sluice/internal/telemetry"
	"github.com/sluice-dev/sluice/test/framework/testenv"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

// patience is how long tests wait for what should take milliseconds.
const patience = 30 * time.Second

var env *testenv.Environment

func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(childVariable); kubeconfig != "" {
		runChild(kubeconfig)
		return
	}
	klog.SetLogger(telemetry.NewLogger(wholeRun.say(inLogs), slog.LevelDebug, telemetry.LogJSON))
	log.SetOutput(wholeRun.say(inLogs))
	http.DefaultTransport = wholeRun.sender(http.DefaultTransport)
	testenv.Main(m, &env, checkWholeRun)
}

// operator is one that runs, as a service account that has the permissions of config/rbac and no
// others.
type operator struct {
	*app.Operator
	url    string // of the webhook server
	health string // of the health probes
	logs   *logBuffer
	stop   context.CancelFunc
	done   chan struct{} // closed when it has stopped
	err    error         // to be read after done
}

// operatorConfig is what startOperator can be told.
type operatorConfig struct {
	options   func(*app.Options)
	transport func(http.RoundTripper) http.RoundTripper
	config    func(app.Options) *rest.Config // userConfig by default
}

// wrap puts something between the operator and the API server, before what is there already.
func (c *operatorConfig) wrap(f func(http.RoundTripper) http.RoundTripper) {
	inner := c.transport
	c.transport = func(next http.RoundTripper) http.RoundTripper {
		if inner != nil {
			next = inner(next)
		}
		return f(next)
	}
}

// startOperator runs an operator for one namespace until the test ends, and waits until it serves.
func startOperator(tb testing.TB, namespace string, configure ...func(*operatorConfig)) *operator {
	tb.Helper()
	o := launchOperator(tb, namespace, configure...)
	o.waitReady(tb)
	return o
}

func (o *operator) waitReady(tb testing.TB) {
	tb.Helper()
	testenv.Eventually(tb, patience, func() error {
		select {
		case <-o.done:
			tb.Fatalf("the operator stopped: %v", o.err)
		default:
		}
		return o.ready()
	})
	if o.Server != nil {
		o.url = "http://" + o.Server.Address().String()
	}
}

// launchOperator starts an operator and does not wait.
func launchOperator(tb testing.TB, namespace string, configure ...func(*operatorConfig)) *operator {
	tb.Helper()
	var c operatorConfig
	for _, f := range configure {
		f(&c)
	}
	options := app.DefaultOptions()
	options.WatchNamespaces = []string{namespace}
	options.LeaderElectionNamespace = namespace
	options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = 4*time.Second, 3*time.Second, 200*time.Millisecond
	options.IngestAddress = "127.0.0.1:0"
	options.HealthAddress = testenv.FreeAddress(tb)
	options.MetricsAddress = "0"
	options.Limits.ShutdownDelay = 0
	// The tests share two cores with the API server, which also holds back creates of a kind that
	// is less than 2 s old.
	options.Limits.AcceptDeadline, options.Limits.WriteTimeout = 10*time.Second, 30*time.Second
	options.LogLevel = slog.LevelDebug
	options.Registerer = prometheus.NewRegistry()
	if c.options != nil {
		c.options(&options)
	}

	if c.config == nil {
		c.config = func(o app.Options) *rest.Config { return userConfig(tb, o) }
	}
	config := c.config(options)
	config.Wrap(wholeRun.operator)
	if c.transport != nil {
		config.Wrap(c.transport)
	}
	o := &operator{logs: &logBuffer{}, health: "http://" + options.HealthAddress, done: make(chan struct{})}
	var err error
	if o.Operator, err = app.NewOperator(tb.Context(), config, options, telemetry.NewLogger(io.MultiWriter(o.logs, wholeRun.say(inLogs)), options.LogLevel, options.LogFormat)); err != nil {
		tb.Fatalf("set up the operator: %v", err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	o.stop = cancel
	go func() {
		defer close(o.done)
		o.err = o.Start(ctx)
	}()
	tb.Cleanup(func() {
		cancel()
		<-o.done
		if o.err != nil {
			tb.Errorf("the operator ended with: %v", o.err)
		}
		if registry, ok := options.Registerer.(prometheus.Gatherer); ok {
			if err := wholeRun.metrics(registry); err != nil {
				tb.Error(err)
			}
		}
		if tb.Failed() {
			tb.Logf("the end of the operator's log:\n%s", o.logs.tail(40))
		}
	})
	return o
}

// ready asks /readyz.
func (o *operator) ready() error {
	response, err := http.Get(o.health + "/readyz?verbose") //nolint:noctx // Eventually bounds it
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %d %s", response.StatusCode, body)
	}
	return nil
}

// userConfig makes a service account that may do what config/rbac allows for the role, and returns
// the configuration of a pod that has it.
func userConfig(tb testing.TB, options app.Options) *rest.Config {
	tb.Helper()
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: options.LeaderElectionNamespace, Name: "operator-" + string(options.Role)}
	apply(tb, &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name},
	})
	roles := map[app.Role][]string{
		app.RoleAll:        {"sluice-ingest", "sluice-controller", "sluice-leader-election"},
		app.RoleIngest:     {"sluice-ingest"},
		app.RoleController: {"sluice-controller", "sluice-leader-election"},
	}[options.Role]
	if options.MetricsAddress != "0" && options.MetricsAccess == app.MetricsAuthorized {
		roles = append(roles, "sluice-metrics-auth")
	}
	for _, name := range roles {
		grant(tb, name, account)
	}
	return env.ServiceAccount(tb, account.Namespace, account.Name)
}

// grant gives a role of config/rbac to a service account, in its namespace if it is not a cluster
// role.
func grant(tb testing.TB, name string, account rbacv1.Subject) {
	tb.Helper()
	role := configuredRole(tb, name)
	if role.GetKind() == "Role" {
		role.SetNamespace(account.Namespace)
	}
	apply(tb, role)
	apply(tb, &rbacv1.ClusterRoleBinding{ // a RoleBinding has the same fields
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: role.GetKind() + "Binding"},
		ObjectMeta: metav1.ObjectMeta{Namespace: role.GetNamespace(), Name: account.Namespace + "-" + account.Name + "-" + role.GetName()},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.GetKind(), Name: role.GetName()},
		Subjects:   []rbacv1.Subject{account},
	})
}

// configuredRole returns a Role or ClusterRole of config/rbac.
func configuredRole(tb testing.TB, name string) *unstructured.Unstructured {
	tb.Helper()
	for _, file := range []string{"operator_roles.yaml", "metrics_reader_role.yaml"} {
		for _, object := range readObjects(tb, filepath.Join(testenv.Root(), "config", "rbac", file)) {
			if object.GetName() == name {
				return object
			}
		}
	}
	tb.Fatalf("config/rbac has no role %s", name)
	return nil
}

func apply(tb testing.TB, object client.Object) {
	tb.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		tb.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, u); err != nil {
		tb.Fatal(err)
	}
	if err := env.Client.Apply(tb.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"), client.ForceOwnership); err != nil {
		tb.Fatalf("apply %s %q: %v", u.GetKind(), u.GetName(), err)
	}
}

func readObjects(tb testing.TB, file string) []*unstructured.Unstructured {
	tb.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			tb.Fatalf("read %s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

// logBuffer collects a log from several goroutines.
type logBuffer struct{ testenv.Buffer }

// tail returns the last lines.
func (b *logBuffer) tail(lines int) string {
	all := strings.SplitAfter(b.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// The objects of the tests: a trigger "orders" of a Flow "import", with the Secret "key".
const (
	triggerName = "orders"
	flowName    = "import"
	secretName  = "webhook"
	secretKey   = "secretKey"
	keyText     = "a-key-of-more-than-sixteen-bytes"
)

func makeSecret(namespace, key string) *corev1.Secret {
	return wrappers.Secret(namespace, secretName, secretKey, key)
}

func makeFlow(namespace string) *sluicev1alpha1.Flow { return wrappers.Flow(namespace, flowName).Obj() }

func makeTrigger(namespace string) *sluicev1alpha1.WebhookTrigger {
	return wrappers.Trigger(namespace, triggerName).Flow(flowName).Secret(secretName, secretKey).Obj()
}

// newWorld creates a namespace with a trigger that has all it needs.
func newWorld(tb testing.TB) (namespace string) {
	tb.Helper()
	namespace = env.Namespace(tb)
	env.Create(tb, makeSecret(namespace, keyText), makeFlow(namespace), makeTrigger(namespace))
	return namespace
}

// sign returns what X-HMAC-HASH must be for SHA-256.
func sign(key, body string) string {
	return signWith(signature.SHA256, key, body)
}

// signWith is sign for another algorithm.
func signWith(algorithm signature.Algorithm, key, body string) string {
	signed, err := signature.Sign(signature.Scheme{Algorithm: algorithm}, signature.Key{Name: "key", Secret: []byte(key)}, signature.Unsigned{Body: []byte(body)})
	if err != nil {
		panic(err)
	}
	return signed.Headers[signature.DefaultHeader][0]
}

// forge is sign for keys that are none, such as the empty one, with which nothing is signed but
// forgeries.
func forge(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// reply is an answer of the webhook server.
type reply struct {
	status int
	header http.Header
	body   string
}

// post sends a body to a trigger with this signature.
func (o *operator) post(ctx context.Context, namespace, signature, body string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url+"/hooks/"+namespace+"/"+triggerName, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-HMAC-HASH", signature)
	return do(request)
}

func do(request *http.Request) (reply, error) { return doWith(http.DefaultClient, request) }

func doWith(c *http.Client, request *http.Request) (reply, error) {
	response, err := c.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, body: string(body)}, err
}

// mustPost sends a body signed with the key and expects an answer.
func (o *operator) mustPost(tb testing.TB, namespace, key, body string) reply {
	tb.Helper()
	r, err := o.post(tb.Context(), namespace, sign(key, body), body)
	if err != nil {
		tb.Fatalf("post: %v", err)
	}
	return r
}

// eventuallyAnswers waits until a body signed with the key is answered with the status.
func (o *operator) eventuallyAnswers(tb testing.TB, namespace, key string, status int) {
	tb.Helper()
	testenv.Eventually(tb, patience, func() error {
		r, err := o.post(tb.Context(), namespace, forge(key, "{}"), "{}") // be the key a blank one
		if err == nil && r.status != status {
			err = fmt.Errorf("answer is %d, want %d: %s", r.status, status, r.body)
		}
		return err
	})
}

// acceptedRun returns the FlowRun that an answer names.
func acceptedRun(tb testing.TB, namespace string, r reply) *sluicev1alpha1.FlowRun {
	tb.Helper()
	if r.status != http.StatusAccepted {
		tb.Fatalf("answer is %d, want 202: %s", r.status, r.body)
	}
	var answer struct {
		FlowRun struct{ Namespace, Name string }
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		tb.Fatalf("the answer %q: %v", r.body, err)
	}
	if answer.FlowRun.Namespace != namespace {
		tb.Errorf("the answer's namespace is %q, want %q", answer.FlowRun.Namespace, namespace)
	}
	run := &sluicev1alpha1.FlowRun{}
	if err := env.Client.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: answer.FlowRun.Name}, run); err != nil {
		tb.Fatalf("an accepted request's FlowRun: %v", err)
	}
	return run
}

// payload returns the bytes of a run's payload.
func payload(run *sluicev1alpha1.FlowRun) string {
	return run.Spec.Payload.Text + string(run.Spec.Payload.Binary)
}

// countRuns returns how many FlowRuns the namespace has.
func countRuns(tb testing.TB, namespace string) int {
	tb.Helper()
	var runs sluicev1alpha1.FlowRunList
	if err := env.Client.List(tb.Context(), &runs, client.InNamespace(namespace)); err != nil {
		tb.Fatalf("list runs: %v", err)
	}
	return len(runs.Items)
}

// eventuallyCondition waits until a condition of the trigger has this status and reason for the
// present generation, and returns its message.
func eventuallyCondition(tb testing.TB, namespace, kind string, status metav1.ConditionStatus, reason string) string {
	tb.Helper()
	var message string
	testenv.Eventually(tb, patience, func() error {
		trigger := &sluicev1alpha1.WebhookTrigger{}
		if err := env.Client.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: triggerName}, trigger); err != nil {
			return err
		}
		c := apimeta.FindStatusCondition(trigger.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != trigger.Generation {
			return fmt.Errorf("condition %s is %+v, want %s/%s for generation %d", kind, c, status, reason, trigger.Generation)
		}
		message = c.Message
		return nil
	})
	return message
}

// update changes an object. The operator may write to it at the same time.
func update[T client.Object](tb testing.TB, object T, change func(T)) {
	tb.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := env.Client.Get(tb.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return env.Client.Update(tb.Context(), object)
	})
	if err != nil {
		tb.Fatalf("update %T: %v", object, err)
	}
}

func remove(tb testing.TB, object client.Object) {
	tb.Helper()
	if err := env.Client.Delete(tb.Context(), object); err != nil {
		tb.Fatalf("delete %T: %v", object, err)
	}
}
