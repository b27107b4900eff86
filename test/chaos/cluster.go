/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

const (
	// patience is how long to wait for what takes seconds.
	patience = 2 * time.Minute
	// readinessPeriod is how often it is asked whether a replica is ready, as a balancer does.
	readinessPeriod = 200 * time.Millisecond

	secretKey  = "secretKey"
	flowName   = "import"
	statusName = "status" // of the trigger and Flow by which it is seen that status is written
	fieldOwner = client.FieldOwner("sluice-chaos")
)

// A cluster is everything that runs: a control plane of its own, and the operator's processes.
type cluster struct {
	settings  settings
	folder    string
	processes *processes
	plane     localcluster.ControlPlane
	config    *rest.Config
	admin     client.Client // has every permission and goes to the API server directly

	etcd, apiServer *process
	ingest          []*replica
	controllers     []*replica
}

// A replica is a process of the operator, which reaches the API server through a proxy of its own.
type replica struct {
	*process
	proxy   *proxy
	health  string
	metrics string
	backend *backend // nil in role controller
}

// startCluster starts everything, and returns when the replicas are ready.
func startCluster(ctx context.Context, s settings, folder string, processes *processes, triggers map[string]*trigger) (*cluster, error) {
	c := &cluster{settings: s, folder: folder, processes: processes}
	ports, err := localcluster.FreePorts(ctx, 2+2*s.controllers+3*s.replicas)
	if err != nil {
		return nil, err
	}
	c.plane = localcluster.ControlPlane{
		Folder: folder, EtcdPort: ports[0], APIPort: ports[1],
		Users: []localcluster.User{localcluster.Admin, localcluster.IngestUser, localcluster.ControllerUser},
	}
	ports = ports[2:]
	if err := c.startControlPlane(ctx); err != nil {
		return nil, err
	}
	if err := c.applyObjects(ctx, triggers); err != nil {
		return nil, err
	}
	for i := range s.replicas {
		r, err := c.startReplica(ctx, fmt.Sprintf("ingest-%d", i+1), localcluster.IngestUser, ports[0], ports[1],
			"--role=ingest", "--ingest-bind-address="+localcluster.Address(ports[2]))
		if err != nil {
			return nil, err
		}
		r.backend = &backend{name: r.name, address: localcluster.Address(ports[2])}
		c.ingest = append(c.ingest, r)
		ports = ports[3:]
	}
	for i := range s.controllers {
		r, err := c.startReplica(ctx, fmt.Sprintf("controller-%d", i+1), localcluster.ControllerUser, ports[0], ports[1],
			"--role=controller", "--leader-election-namespace="+localcluster.OperatorNamespace,
			fmt.Sprintf("--leader-election-lease-duration=%s", s.lease),
			fmt.Sprintf("--leader-election-renew-deadline=%s", s.lease*2/3),
			fmt.Sprintf("--leader-election-retry-period=%s", s.lease/8))
		if err != nil {
			return nil, err
		}
		r.mayEnd = true // when it has lost the lease
		c.controllers = append(c.controllers, r)
		ports = ports[2:]
	}
	for _, r := range append(c.ingest, c.controllers...) {
		if err := r.waitReady(ctx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) startControlPlane(ctx context.Context) error {
	if err := c.plane.Prepare(); err != nil {
		return err
	}
	var err error
	// What a long run keeps is more than etcd's default allows.
	etcd := append(c.plane.EtcdArguments(), "--quota-backend-bytes=8589934592", "--log-level=warn")
	if c.etcd, err = c.processes.start("etcd", filepath.Join(c.settings.assets, "etcd"), etcd...); err != nil {
		return err
	}
	c.apiServer, err = c.processes.start("kube-apiserver", filepath.Join(c.settings.assets, "kube-apiserver"), c.plane.APIServerArguments()...)
	if err != nil {
		return err
	}
	if c.config, err = localcluster.REST(c.plane.Kubeconfig("chaos", localcluster.Admin.Name, c.plane.APIPort, mainNamespace)); err != nil {
		return err
	}
	c.config.QPS = -1
	c.config.Timeout = 10 * time.Second
	if err := c.waitAPI(ctx); err != nil {
		return err
	}
	if c.admin, err = client.New(c.config, client.Options{Scheme: scheme.New()}); err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	return nil
}

// waitAPI waits until the API server serves.
func (c *cluster) waitAPI(ctx context.Context) error {
	err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error { return localcluster.Ready(ctx, c.config) })
	if err != nil {
		return c.apiServer.describe(fmt.Errorf("kube-apiserver is not ready: %w", err))
	}
	return nil
}

// apply applies an object, again and again while the API server does not know its kind yet.
func (c *cluster) apply(ctx context.Context, object *unstructured.Unstructured) error {
	err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error {
		return c.admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), fieldOwner, client.ForceOwnership)
	})
	if err != nil {
		return fmt.Errorf("apply %s %q: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// create creates an object.
func (c *cluster) create(ctx context.Context, object client.Object) error {
	err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error { return c.admin.Create(ctx, object) })
	if err != nil {
		return fmt.Errorf("create %T %q: %w", object, object.GetName(), err)
	}
	return nil
}

// applyObjects installs Sluice's definitions and permissions, and creates the triggers and all that
// they need.
func (c *cluster) applyObjects(ctx context.Context, triggers map[string]*trigger) error {
	for _, name := range []string{localcluster.OperatorNamespace, mainNamespace, tenantNamespace} {
		if err := c.create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	objects, err := localcluster.ReadOperator()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.apply(ctx, object); err != nil {
			return err
		}
	}
	for _, namespace := range []string{mainNamespace, tenantNamespace} {
		if err := c.create(ctx, makeFlow(namespace, flowName)); err != nil {
			return err
		}
	}
	for _, t := range triggers {
		if err := c.create(ctx, makeSecret(t, t.secret, t.key)); err != nil {
			return err
		}
		if err := c.create(ctx, makeTrigger(t, flowName)); err != nil {
			return err
		}
	}
	status := &trigger{namespace: mainNamespace, name: statusName, secret: triggerCalm}
	return errors.Join(c.create(ctx, makeFlow(mainNamespace, statusName)), c.create(ctx, makeTrigger(status, statusName)))
}

func makeFlow(namespace, name string) *sluicev1alpha1.Flow {
	return wrappers.Flow(namespace, name).Obj()
}

func makeSecret(t *trigger, name string, key []byte) *corev1.Secret {
	return wrappers.Secret(t.namespace, name, secretKey, string(key))
}

func makeTrigger(t *trigger, flow string) *sluicev1alpha1.WebhookTrigger {
	made := wrappers.Trigger(t.namespace, t.name).Flow(flow).Secret(t.secret, secretKey).Obj()
	if t.deduplicates {
		made.Spec.Deduplication = sluicev1alpha1.Deduplication{Source: sluicev1alpha1.DeduplicateByHeader, Header: deliveryHeader}
	}
	if t.signsID {
		made.Spec.Algorithm, made.Spec.Deduplication.Header = "", ""
		made.Spec.Signature = sluicev1alpha1.SignatureScheme{
			Algorithm: sluicev1alpha1.SignatureAlgorithm(sluicev1alpha1.AlgorithmSHA256), Headers: []sluicev1alpha1.HeaderName{signatureHeader},
			Template: signedContent, IDHeader: deliveryHeader,
		}
	}
	return made
}

// startReplica starts a process of the operator.
func (c *cluster) startReplica(ctx context.Context, name string, user localcluster.User, health, metrics int, args ...string) (*replica, error) {
	proxy, err := newProxy(ctx, localcluster.Address(c.plane.APIPort), c.settings.seed)
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	kubeconfig := filepath.Join(c.folder, name+".kubeconfig")
	if err := clientcmd.WriteToFile(c.plane.Kubeconfig("chaos", user.Name, proxy.port(), localcluster.OperatorNamespace), kubeconfig); err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	r := &replica{proxy: proxy, health: "http://" + localcluster.Address(health), metrics: "http://" + localcluster.Address(metrics) + "/metrics"}
	args = append(args,
		"--kubeconfig="+kubeconfig,
		"--health-probe-bind-address="+localcluster.Address(health),
		"--metrics-bind-address="+localcluster.Address(metrics),
		"--metrics-access=open", // to see who leads
		fmt.Sprintf("--read-timeout=%s", c.settings.readTimeout),
		fmt.Sprintf("--shutdown-delay=%s", c.settings.shutdownDelay))
	r.process, err = c.processes.start(name, c.settings.manager, args...)
	return r, err
}

// close closes the proxies.
func (c *cluster) close() {
	for _, r := range append(c.ingest, c.controllers...) {
		r.proxy.close()
	}
}

// isReady asks /readyz.
func (r *replica) isReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := localcluster.Fetch(ctx, r.health+"/readyz")
	return err
}

func (r *replica) waitReady(ctx context.Context) error {
	if err := localcluster.Eventually(ctx, patience, r.isReady); err != nil {
		return r.describe(fmt.Errorf("%s is not ready: %w", r.name, err))
	}
	return nil
}

// followReadiness keeps the backend's readiness up to date until ctx ends.
func (r *replica) followReadiness(ctx context.Context) {
	ticker := time.NewTicker(readinessPeriod)
	defer ticker.Stop()
	for {
		ready := r.isReady(ctx) == nil
		if ready != r.backend.ready.Load() && r.backend.kills.Load()%2 == 0 {
			r.backend.setReady(ready)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// kill kills a replica of ingest with SIGKILL, so that requests that were under way are known to be
// cut by it.
func (r *replica) kill(ctx context.Context) error {
	r.backend.kills.Add(1)
	defer r.backend.kills.Add(1)
	_, err := r.end(ctx, syscall.SIGKILL)
	r.backend.setReady(false)
	return err
}

// leads says whether a controller is the leader.
func (r *replica) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	text, err := localcluster.Fetch(ctx, r.metrics)
	return err == nil && strings.Contains(string(text), `leader_election_master_status{name="sluice-controller"} 1`)
}

// memory is what processes hold, in bytes.
type memory struct{ ingest, controller int64 }

func (m memory) most(other memory) memory {
	return memory{ingest: max(m.ingest, other.ingest), controller: max(m.controller, other.controller)}
}

// measure returns the most that a process of each role holds at present, and the most that one held
// since it was started.
func (c *cluster) measure() (now, peak memory) {
	for _, r := range c.ingest {
		rss, high := localcluster.Resident(r.pid())
		now.ingest, peak.ingest = max(now.ingest, rss), max(peak.ingest, high)
	}
	for _, r := range c.controllers {
		rss, high := localcluster.Resident(r.pid())
		now.controller, peak.controller = max(now.controller, rss), max(peak.controller, high)
	}
	return now, peak
}
