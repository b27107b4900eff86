/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
	"github.com/sluice-dev/sluice/test/framework/wrappers"
)

const (
	flowName    = "import"
	triggerName = "orders"
	secretName  = "orders-key"
	secretKey   = "secretKey"
	keyText     = "a key of the length that senders use"
	fieldOwner  = client.FieldOwner("sluice-bench")

	// patience is how long to wait for what takes seconds, and longPatience for what takes minutes
	// on many objects.
	patience     = 2 * time.Minute
	longPatience = 15 * time.Minute
)

// A cluster is where FlowRuns are stored.
type cluster struct {
	bench *bench
	own   bool
	plane localcluster.ControlPlane // if it is of our own
	// config is for those who create FlowRuns straight at the API server. In a cluster of our own
	// they are the service account of ingest, so that priority and fairness treats both alike.
	config    *rest.Config
	admin     client.Client
	namespace string
	url       string                // of the Sluice that runs in a given cluster
	servers   []*localcluster.Child // etcd and kube-apiserver, if they are our own

	ingest    *replica            // the one that most experiments use; see ingestURL
	hopServer *localcluster.Child // see hop
	hopURL    string
}

// useCluster uses the cluster of KUBECONFIG and a Sluice that runs in it.
func useCluster(ctx context.Context, url string) (*cluster, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--url needs the cluster of KUBECONFIG: %w", err)
	}
	c := &cluster{config: config, url: url}
	if c.admin, err = newClient(config); err != nil {
		return nil, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "sluice-bench-"}}
	if err := c.admin.Create(ctx, namespace); err != nil {
		return nil, fmt.Errorf("make a namespace: %w", err)
	}
	c.namespace = namespace.Name
	if err := c.makeTrigger(ctx); err != nil {
		c.cleanUp(ctx)
		return nil, err
	}
	return c, nil
}

// startCluster starts a control plane and installs Sluice's definitions and permissions.
func startCluster(ctx context.Context, b *bench) (*cluster, error) {
	ports, err := localcluster.FreePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	c := &cluster{bench: b, own: true, namespace: "bench", plane: localcluster.ControlPlane{
		Folder: b.folder, EtcdPort: ports[0], APIPort: ports[1],
		Users: []localcluster.User{localcluster.Admin, localcluster.IngestUser, localcluster.ControllerUser},
	}}
	if err := c.plane.Prepare(); err != nil {
		return nil, err
	}
	// Deletes between rounds leave their history behind until it is compacted, which is more than
	// etcd's default allows.
	etcd := append(c.plane.EtcdArguments(), "--quota-backend-bytes=8589934592", "--log-level=warn")
	database, err := b.children.start(ctx, "etcd", filepath.Join(b.settings.assets, "etcd"), etcd...)
	if err != nil {
		return nil, err
	}
	// What was stored in a round is deleted faster so; nothing that is measured deletes so.
	apiServer := append(c.plane.APIServerArguments(), "--delete-collection-workers=16")
	server, err := b.children.start(ctx, "kube-apiserver", filepath.Join(b.settings.assets, "kube-apiserver"), apiServer...)
	if err != nil {
		return nil, err
	}
	c.servers = []*localcluster.Child{database, server}
	if c.config, err = localcluster.REST(c.plane.Kubeconfig("bench", localcluster.IngestUser.Name, c.plane.APIPort, c.namespace)); err != nil {
		return nil, err
	}
	admin, err := localcluster.REST(c.plane.Kubeconfig("bench", localcluster.Admin.Name, c.plane.APIPort, c.namespace))
	if err != nil {
		return nil, err
	}
	if err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error { return localcluster.Ready(ctx, admin) }); err != nil {
		return nil, server.Describe(fmt.Errorf("kube-apiserver is not ready: %w", err))
	}
	if c.admin, err = newClient(admin); err != nil {
		return nil, err
	}
	return c, c.install(ctx)
}

func newClient(config *rest.Config) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme.New()})
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	return c, nil
}

// install installs Sluice's definitions and permissions, and makes the trigger.
func (c *cluster) install(ctx context.Context) error {
	for _, name := range []string{localcluster.OperatorNamespace, c.namespace} {
		if err := c.create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	objects, err := localcluster.ReadOperator()
	if err != nil {
		return err
	}
	for _, object := range objects {
		err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error {
			return c.admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), fieldOwner, client.ForceOwnership)
		})
		if err != nil {
			return fmt.Errorf("apply %s %q: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return c.makeTrigger(ctx)
}

// create creates an object, again and again while the API server does not know its kind yet.
func (c *cluster) create(ctx context.Context, object client.Object) error {
	err := localcluster.Eventually(ctx, patience, func(ctx context.Context) error { return c.admin.Create(ctx, object) })
	if err != nil {
		return fmt.Errorf("create %T %q: %w", object, object.GetName(), err)
	}
	return nil
}

// makeTrigger makes the trigger that is sent to, with its Flow and its Secret.
func (c *cluster) makeTrigger(ctx context.Context) error {
	flow := wrappers.Flow(c.namespace, flowName).Obj()
	secret, trigger := c.newTrigger(triggerName, secretName)
	return errors.Join(c.create(ctx, flow), c.create(ctx, secret), c.create(ctx, trigger))
}

func (c *cluster) newTrigger(name, secret string) (*corev1.Secret, *sluicev1alpha1.WebhookTrigger) {
	return wrappers.Secret(c.namespace, secret, secretKey, keyText),
		wrappers.Trigger(c.namespace, name).Flow(flowName).Secret(secret, secretKey).Obj()
}

// cleanUp removes what was made in a given cluster. One of our own goes as a whole.
func (c *cluster) cleanUp(ctx context.Context) {
	if c.own {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := c.admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}}); err != nil {
		fmt.Printf("The namespace %s is left in the cluster: %v\n", c.namespace, err)
	}
}

// deleteRuns deletes what a round has stored.
func (c *cluster) deleteRuns(ctx context.Context) error {
	if err := c.admin.DeleteAllOf(ctx, &sluicev1alpha1.FlowRun{}, client.InNamespace(c.namespace)); err != nil {
		return fmt.Errorf("delete the FlowRuns: %w", err)
	}
	return nil
}

// A replica is a process of the operator.
type replica struct {
	child *localcluster.Child
	url   string // empty in role controller
	pprof string
}

// writeKubeconfig writes the kubeconfig of a process and returns its path.
func (c *cluster) writeKubeconfig(process string, user localcluster.User) (string, error) {
	file := filepath.Join(c.bench.folder, process+".kubeconfig")
	if err := clientcmd.WriteToFile(c.plane.Kubeconfig("bench", user.Name, c.plane.APIPort, localcluster.OperatorNamespace), file); err != nil {
		return "", fmt.Errorf("write the kubeconfig: %w", err)
	}
	return file, nil
}

// startReplica starts a process of the operator, and returns when it is ready.
func (c *cluster) startReplica(ctx context.Context, name string, user localcluster.User, args ...string) (*replica, error) {
	ports, err := localcluster.FreePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := c.writeKubeconfig(name, user)
	if err != nil {
		return nil, err
	}
	r := &replica{url: "http://" + localcluster.Address(ports[0]), pprof: "http://" + localcluster.Address(ports[2]) + "/debug/pprof/"}
	args = append(args, "--kubeconfig="+kubeconfig,
		"--ingest-bind-address="+localcluster.Address(ports[0]),
		"--health-probe-bind-address="+localcluster.Address(ports[1]),
		"--pprof-bind-address="+localcluster.Address(ports[2]),
		"--metrics-bind-address=0", "--shutdown-delay=0")
	if c.bench.settings.pprof {
		c.bench.say("  %s: %s", name, r.pprof)
	}
	if r.child, err = c.bench.children.start(ctx, name, c.bench.settings.manager, args...); err != nil {
		return nil, err
	}
	ready := func(ctx context.Context) error {
		_, err := localcluster.Fetch(ctx, "http://"+localcluster.Address(ports[1])+"/readyz")
		return err
	}
	if err := localcluster.Eventually(ctx, longPatience, ready); err != nil {
		return nil, r.child.Describe(fmt.Errorf("%s is not ready: %w", name, err))
	}
	return r, nil
}

func (c *cluster) startIngest(ctx context.Context, name string) (*replica, error) {
	return c.startReplica(ctx, name, localcluster.IngestUser, "--role=ingest")
}

func (c *cluster) startController(ctx context.Context) (*replica, error) {
	return c.startReplica(ctx, "controller", localcluster.ControllerUser, "--role=controller", "--leader-election-namespace="+localcluster.OperatorNamespace)
}

// ingestURL is where to send webhooks. In a cluster of our own, the first call starts a replica.
func (c *cluster) ingestURL(ctx context.Context) (string, error) {
	if c.own && c.ingest == nil {
		r, err := c.startIngest(ctx, "ingest")
		if err != nil {
			return "", err
		}
		c.ingest, c.url = r, r.url
	}
	return c.url, nil
}

// stopIngest ends the replica of ingestURL.
func (c *cluster) stopIngest() {
	if c.ingest != nil {
		c.ingest.child.End()
		c.ingest = nil
	}
}

// observed runs a round, and notes how much time of processors it has taken those that take part,
// if they are our own.
func (c *cluster) observed(between *localcluster.Child, run func() round) (round, error) {
	if !c.own {
		return run(), nil
	}
	var others []*localcluster.Child
	if between != nil {
		others = append(others, between)
	}
	servers, err := processorTimes(c.servers...)
	other, err2 := processorTimes(others...)
	r := run()
	serversAfter, err3 := processorTimes(c.servers...)
	otherAfter, err4 := processorTimes(others...)
	r.servers, r.between = serversAfter-servers, otherAfter-other
	return r, errors.Join(err, err2, err3, err4)
}

// hop returns a bare server that posts FlowRuns to that URL, as the user who runs ingest, and its
// address. The first call starts it.
func (c *cluster) hop(ctx context.Context, runs string) (*localcluster.Child, string, error) {
	if c.hopServer == nil {
		kubeconfig, err := c.writeKubeconfig("hop", localcluster.IngestUser)
		if err != nil {
			return nil, "", err
		}
		server, address, err := startBare(ctx, c.bench, "hop", kubeconfig, runs)
		if err != nil {
			return nil, "", err
		}
		c.hopServer, c.hopURL = server, address
	}
	return c.hopServer, c.hopURL, nil
}

// protocol is how the generator speaks to a server.
type protocol string

const (
	http1 protocol = "HTTP/1.1"
	http2 protocol = "HTTP/2"
)

// newSender returns a client of the generator that keeps so many connections; HTTP/2 makes its own
// number, as it sends many requests over each.
func newSender(p protocol, connections int, config *tls.Config) *http.Client {
	return &http.Client{Transport: patient{newTransport(p, connections, config)}, Timeout: time.Minute}
}

func newTransport(p protocol, connections int, config *tls.Config) *http.Transport {
	transport := &http.Transport{
		TLSClientConfig:     config,
		MaxIdleConnsPerHost: connections,
		MaxConnsPerHost:     connections,
		IdleConnTimeout:     time.Minute,
		Protocols:           new(http.Protocols),
		DisableCompression:  true,
	}
	if p == http2 {
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetHTTP1(true)
	}
	return transport
}

// patient waits before it hands over an answer for as long as that asks the sender to: otherwise a
// connection that is turned away would come again at once, and what is measured is how fast Sluice
// turns away.
type patient struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		localcluster.Pause(request.Context(), time.Duration(seconds)*time.Second)
	}
	return response, nil
}
