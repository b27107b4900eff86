/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// address is the node's, of a range for documentation. It is not seen outside of the node's
	// network.
	address = "198.51.100.10"
	// podRange is where pods have their addresses.
	podRange = "10.244.0.0/24"
	etcdPort = 2379
	apiPort  = 6443
	nodeName = "sluice"
	// socket is containerd's.
	socket = "/run/containerd.sock"
	// pauseImage is the name that test/cluster/pause has as an image.
	pauseImage = "sluice.dev/pause:1"
	// binaryScript prints the folder of a part's binaries, which it may have to make first.
	binaryScript = "hack/controlplane/build.sh"
	// startLimit is how long each step of the start may take.
	startLimit = 2 * time.Minute
)

// What make builds before.
const (
	pauseBinary  = "bin/pause"
	pauseTarball = "bin/pause-image.tar"
)

//go:embed config
var configs embed.FS

//go:embed namespace.sh
var namespaceScript string

// A cluster is a node and its control plane.
type cluster struct {
	folder     folder
	cniFolder  string
	images     []string // tarballs
	children   *localcluster.Children
	plane      localcluster.ControlPlane
	namespaces int    // the process id of who is first in them
	kubectl    string // the program
}

// start starts everything, and returns when the node takes pods.
func (c *cluster) start(ctx context.Context) error {
	begin := time.Now()
	assets, err := localcluster.Output(ctx, binaryScript)
	if err != nil {
		return fmt.Errorf("get the control plane: %w", err)
	}
	node, err := localcluster.Output(ctx, binaryScript, "node")
	if err != nil {
		return fmt.Errorf("get the node's parts: %w", err)
	}
	c.kubectl = filepath.Join(assets, "kubectl")
	if err := c.writeSettings(); err != nil {
		return err
	}
	if err := c.startNamespaces(ctx); err != nil {
		return err
	}
	if err := c.startControlPlane(ctx, assets, node); err != nil {
		return err
	}
	if err := c.startNode(ctx, node); err != nil {
		return err
	}
	fmt.Printf("The node is ready (%.0f s).\n", time.Since(begin).Seconds())
	return nil
}

// The users whom the API server knows, and what each has its kubeconfig for. The groups are what
// Kubernetes' own RBAC rules and the Node authorizer go by.
var users = map[string]localcluster.User{
	"admin":                   localcluster.Admin,
	"kubelet":                 {Name: "system:node:" + nodeName, Groups: []string{"system:nodes"}},
	"kube-controller-manager": {Name: "system:kube-controller-manager"},
	"kube-scheduler":          {Name: "system:kube-scheduler"},
	"kube-proxy":              {Name: "system:kube-proxy"},
}

// writeSettings writes keys, kubeconfigs and the settings of containerd and the kubelet.
func (c *cluster) writeSettings() error {
	c.plane = localcluster.ControlPlane{Folder: string(c.folder), EtcdPort: etcdPort, APIPort: apiPort, Host: address}
	for _, user := range users {
		c.plane.Users = append(c.plane.Users, user)
	}
	if err := c.plane.Prepare(); err != nil {
		return err
	}
	for name, user := range users {
		kubeconfig := c.plane.Kubeconfig("sluice-cluster", user.Name, apiPort, "default")
		if err := clientcmd.WriteToFile(kubeconfig, c.kubeconfig(name)); err != nil {
			return fmt.Errorf("write a kubeconfig: %w", err)
		}
	}
	if err := os.MkdirAll(c.folder.in("cni"), 0o700); err != nil {
		return err
	}
	parsed, err := template.ParseFS(configs, "config/*")
	if err != nil {
		return err
	}
	settings := map[string]string{
		"Folder": string(c.folder), "Socket": socket, "PauseImage": pauseImage,
		"CNIFolder": c.cniFolder, "PodRange": podRange, "Cgroup": string(c.folder.cgroup()),
	}
	for name, file := range map[string]string{
		"containerd.toml": "containerd.toml", "kubelet.yaml": "kubelet.yaml", "network.conflist": "cni/network.conflist",
	} {
		var text strings.Builder
		if err := parsed.ExecuteTemplate(&text, name, settings); err != nil {
			return err
		}
		if err := os.WriteFile(c.folder.in(file), []byte(text.String()), 0o600); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
	}
	return nil
}

// kubeconfig is the file of a user. That of the administrator has a name of its own, because people
// use it.
func (c *cluster) kubeconfig(user string) string {
	if user == "admin" {
		return c.folder.in(kubeconfigFile)
	}
	return c.folder.in(user + ".kubeconfig")
}

// namespaceArguments has a shell run the script that becomes the first process in the namespaces.
func namespaceArguments(ready, becomes string) []string {
	return []string{"-c", namespaceScript, "namespace.sh", address, ready, becomes}
}

// startNamespaces starts the first process in the namespaces, which everything else dies with.
func (c *cluster) startNamespaces(ctx context.Context) error {
	if err := c.folder.cgroup().create(); err != nil {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	pause, err := filepath.Abs(pauseBinary)
	if err != nil {
		return err
	}
	ready := c.folder.in(readyFile)
	first, err := c.children.StartWith(ctx, namespaces(), "namespaces", "/bin/sh", namespaceArguments(ready, pause)...)
	if err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	c.namespaces = first.PID()
	if err := os.WriteFile(c.folder.in(nodePIDFile), []byte(strconv.Itoa(c.namespaces)), 0o600); err != nil {
		return err
	}
	err = localcluster.Eventually(ctx, startLimit, func(context.Context) error { _, err := os.Stat(ready); return err })
	if err != nil {
		return first.Describe(fmt.Errorf("the namespaces are not ready: %w", err))
	}
	return nil
}

// inNamespaces returns the command line that runs a command in the node's namespaces.
func (c *cluster) inNamespaces(command ...string) []string {
	return append([]string{"nsenter", "--target=" + strconv.Itoa(c.namespaces), "--net", "--pid", "--mount", "--"}, command...)
}

// startChild starts a process in the namespaces.
func (c *cluster) startChild(ctx context.Context, path string, arguments ...string) (*localcluster.Child, error) {
	line := c.inNamespaces(append([]string{path}, arguments...)...)
	return c.children.Start(ctx, filepath.Base(path), line[0], line[1:]...)
}

// do runs a command in the namespaces to its end.
func (c *cluster) do(ctx context.Context, command ...string) error {
	line := c.inNamespaces(command...)
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput() //nolint:gosec // the caller says what to run
	if err != nil {
		return fmt.Errorf("%s: %w: %s", path.Base(command[0]), err, out)
	}
	return nil
}

// wait has kubectl wait for something.
func (c *cluster) wait(ctx context.Context, arguments ...string) error {
	command := []string{c.kubectl, "--kubeconfig=" + c.kubeconfig("admin"), "wait", fmt.Sprintf("--timeout=%s", startLimit)}
	return c.do(ctx, append(command, arguments...)...)
}

func (c *cluster) startControlPlane(ctx context.Context, assets, node string) error {
	fmt.Println("Starting the control plane.")
	// The data is gone after the run anyway.
	if _, err := c.startChild(ctx, filepath.Join(assets, "etcd"), append(c.plane.EtcdArguments(), "--unsafe-no-fsync")...); err != nil {
		return err
	}
	server, err := c.startChild(ctx, filepath.Join(assets, "kube-apiserver"), append(c.plane.APIServerArguments(),
		"--kubelet-preferred-address-types=InternalIP")...)
	if err != nil {
		return err
	}
	err = localcluster.Eventually(ctx, startLimit, func(ctx context.Context) error {
		return c.do(ctx, c.kubectl, "--kubeconfig="+c.kubeconfig("admin"), "get", "--raw=/readyz")
	})
	if err != nil {
		return server.Describe(fmt.Errorf("kube-apiserver is not ready: %w", err))
	}
	if _, err := c.startChild(ctx, filepath.Join(node, "kube-controller-manager"),
		"--kubeconfig="+c.kubeconfig("kube-controller-manager"),
		"--use-service-account-credentials", // what it does by itself is allowed little
		"--service-account-private-key-file="+c.plane.KeyFile(),
		"--root-ca-file="+c.plane.CertFile(),
		"--leader-elect=false",
	); err != nil {
		return err
	}
	_, err = c.startChild(ctx, filepath.Join(node, "kube-scheduler"),
		"--kubeconfig="+c.kubeconfig("kube-scheduler"),
		"--leader-elect=false",
	)
	return err
}

func (c *cluster) startNode(ctx context.Context, node string) error {
	fmt.Println("Starting the node.")
	runtime, err := exec.LookPath("containerd")
	if err != nil {
		return err
	}
	containerd, err := c.startChild(ctx, runtime, "--config="+c.folder.in("containerd.toml"))
	if err != nil {
		return err
	}
	ctr := []string{"ctr", "--address=" + socket, "--namespace=k8s.io"}
	err = localcluster.Eventually(ctx, startLimit, func(ctx context.Context) error { return c.do(ctx, append(ctr, "version")...) })
	if err != nil {
		return containerd.Describe(fmt.Errorf("containerd is not ready: %w", err))
	}
	for _, tarball := range append([]string{pauseTarball}, c.images...) {
		file, err := filepath.Abs(tarball)
		if err != nil {
			return err
		}
		if err := c.do(ctx, append(ctr, "images", "import", file)...); err != nil {
			return fmt.Errorf("import %s: %w", tarball, err)
		}
	}
	kubelet, err := c.startChild(ctx, filepath.Join(node, "kubelet"),
		"--kubeconfig="+c.kubeconfig("kubelet"),
		"--config="+c.folder.in("kubelet.yaml"),
		"--hostname-override="+nodeName,
		"--node-ip="+address,
	)
	if err != nil {
		return err
	}
	if _, err := c.startChild(ctx, filepath.Join(node, "kube-proxy"),
		"--kubeconfig="+c.kubeconfig("kube-proxy"),
		"--hostname-override="+nodeName,
		"--proxy-mode=iptables",
		"--conntrack-max-per-core=0", // the machine's own affair
	); err != nil {
		return err
	}
	err = errors.Join(
		c.wait(ctx, "--for=create", "node/"+nodeName),
		c.wait(ctx, "--for=condition=Ready", "node/"+nodeName),
		c.wait(ctx, "--for=create", "serviceaccount/default"),
	)
	if err != nil {
		return kubelet.Describe(fmt.Errorf("the node is not ready: %w", err))
	}
	return nil
}
