/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
)

const (
	// Loopback is where everything listens, but for an API server with a Host.
	Loopback = "127.0.0.1"
	// serviceAddress is the API server's in the range of Services, the first of it.
	serviceAddress = "10.0.0.1"
	serviceRange   = "10.0.0.0/24"
)

// The files of a control plane in its folder.
const (
	etcdFolder = "etcd"
	certFile   = "apiserver.crt"
	keyFile    = "apiserver.key"
	tokenFile  = "tokens.csv"
)

// Admin is a user with every permission.
var Admin = User{Name: "admin", Groups: []string{"system:masters"}}

// A User is somebody whom the API server knows.
type User struct {
	Name   string
	Groups []string
}

// A ControlPlane says how etcd and kube-apiserver are to be run.
type ControlPlane struct {
	// Folder is for their data and keys.
	Folder string
	// The ports, all of them different.
	EtcdPort, APIPort int
	// Host is the address of the API server. Unless it is empty, which means loopback, nodes may
	// join and there have to be controllers: they make service accounts.
	Host string
	// Users are whom the API server knows. Their tokens are made anew by Prepare.
	Users []User

	certificate []byte
	tokens      map[string]string // by name
}

// Prepare makes the keys, with a lifetime of one run, and writes them into the folder.
func (c *ControlPlane) Prepare() error {
	// One pair for everything.
	certificate, key, err := cert.GenerateSelfSignedCertKey(c.host(), []net.IP{net.ParseIP(serviceAddress)}, []string{"kubernetes.default.svc"})
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	c.certificate, c.tokens = certificate, map[string]string{}
	var tokens strings.Builder
	for _, user := range c.Users {
		c.tokens[user.Name] = rand.Text()
		fmt.Fprintf(&tokens, "%s,%s,%s", c.tokens[user.Name], user.Name, user.Name)
		if len(user.Groups) > 0 {
			fmt.Fprintf(&tokens, ",%q", strings.Join(user.Groups, ","))
		}
		tokens.WriteByte('\n')
	}
	for name, content := range map[string][]byte{certFile: certificate, keyFile: key, tokenFile: []byte(tokens.String())} {
		if err := os.WriteFile(filepath.Join(c.Folder, name), content, 0o600); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
	}
	return nil
}

// Remove removes the data and the keys. What cannot be removed is overwritten by the next Prepare,
// or by etcd.
func (c *ControlPlane) Remove() {
	for _, name := range []string{etcdFolder, certFile, keyFile, tokenFile} {
		_ = os.RemoveAll(filepath.Join(c.Folder, name))
	}
}

func (c *ControlPlane) host() string {
	if c.Host == "" {
		return Loopback
	}
	return c.Host
}

// CertFile is the certificate of the API server, and who has signed it.
func (c *ControlPlane) CertFile() string { return filepath.Join(c.Folder, certFile) }

// KeyFile is the key of that certificate and of service accounts' tokens.
func (c *ControlPlane) KeyFile() string { return filepath.Join(c.Folder, keyFile) }

// EtcdURL is where etcd's clients find it.
func (c *ControlPlane) EtcdURL() string { return "http://" + Address(c.EtcdPort) }

// EtcdArguments are those of etcd.
func (c *ControlPlane) EtcdArguments() []string {
	return []string{
		"--data-dir=" + filepath.Join(c.Folder, etcdFolder),
		"--listen-client-urls=" + c.EtcdURL(),
		"--advertise-client-urls=" + c.EtcdURL(),
		"--listen-peer-urls=http://" + Address(0), // it has no peers
	}
}

// APIServerArguments are those of kube-apiserver, which waits for etcd by itself.
func (c *ControlPlane) APIServerArguments() []string {
	arguments := []string{
		"--etcd-servers=" + c.EtcdURL(),
		"--bind-address=" + c.host(),
		"--advertise-address=" + c.host(),
		fmt.Sprintf("--secure-port=%d", c.APIPort),
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=RBAC",
		"--tls-cert-file=" + c.CertFile(),
		"--tls-private-key-file=" + c.KeyFile(),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.KeyFile(),
		"--service-account-signing-key-file=" + c.KeyFile(),
		"--token-auth-file=" + filepath.Join(c.Folder, tokenFile),
	}
	if c.Host != "" {
		return append(arguments, "--authorization-mode=Node", "--enable-admission-plugins=NodeRestriction")
	}
	return append(arguments,
		"--endpoint-reconciler-type=none",            // a loopback address is not allowed as an endpoint
		"--disable-admission-plugins=ServiceAccount", // no controller makes service accounts
	)
}

// Kubeconfig is the way of one of the users to the API server. port is that of the API server
// itself or of something in front of it; namespace is where kubectl looks.
func (c *ControlPlane) Kubeconfig(name, user string, port int, namespace string) clientcmdapi.Config {
	config := *clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + net.JoinHostPort(c.host(), strconv.Itoa(port)), CertificateAuthorityData: c.certificate}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.tokens[user]}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	return config
}

// Ready says whether the API server serves: it does for a moment before there are namespaces.
func Ready(ctx context.Context, config *rest.Config) error {
	if err := Get(ctx, config, "/readyz"); err != nil {
		return err
	}
	return Get(ctx, config, "/api/v1/namespaces/default")
}

// Get asks the API server for a path.
func Get(ctx context.Context, config *rest.Config, path string) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	return client.RESTClient().Get().AbsPath(path).Do(ctx).Error()
}

// REST is what a client needs of a kubeconfig.
func REST(config clientcmdapi.Config) (*rest.Config, error) {
	restConfig, err := clientcmd.NewDefaultClientConfig(config, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	return restConfig, nil
}

// Address is a port of the loopback address.
func Address(port int) string { return net.JoinHostPort(Loopback, strconv.Itoa(port)) }
