/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
)

const (
	// namespace is where the samples and the leader's lease go.
	namespace = "default"
	// controlPlaneScript prints the folder of the control plane's binaries, which it may have to make first.
	controlPlaneScript = "hack/controlplane/build.sh"
	// controlPlaneLimit is how long etcd and kube-apiserver may take to be ready.
	controlPlaneLimit = 2 * time.Minute
	// currentLimit is how long the current cluster may take to answer.
	currentLimit = 10 * time.Second
	// poll is how often something is looked at that is waited for.
	poll = 50 * time.Millisecond
)

// startControlPlane starts etcd and kube-apiserver and returns the way to them, and the folder of their binaries.
//
// It does not use controller-runtime's envtest, which tests do: what that starts is left behind if the program is killed,
// cannot be interrupted while it starts, and does not say when it ends.
func (q *quickstart) startControlPlane(ctx context.Context) (config clientcmdapi.Config, assets string, err error) {
	if assets, err = output(ctx, controlPlaneScript); err != nil {
		return config, "", fmt.Errorf("get the control plane: %w", err)
	}
	fmt.Println("Starting etcd and kube-apiserver.")
	// One pair for everything, with a lifetime of one run.
	certificate, key, err := cert.GenerateSelfSignedCertKey(loopback, nil, nil)
	if err != nil {
		return config, "", fmt.Errorf("make a certificate: %w", err)
	}
	token := rand.Text()
	for name, content := range map[string][]byte{
		certFile:  certificate,
		keyFile:   key,
		tokenFile: []byte(token + ",admin,admin,system:masters\n"),
	} {
		if err := os.WriteFile(inFolder(name), content, 0o600); err != nil {
			return config, "", fmt.Errorf("write keys: %w", err)
		}
	}

	etcdURL := "http://" + address(q.etcdPort)
	if _, err := q.children.start(ctx, "etcd", filepath.Join(assets, "etcd"),
		"--data-dir="+inFolder(etcdFolder),
		"--listen-client-urls="+etcdURL,
		"--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://"+address(0), // it has no peers
		"--unsafe-no-fsync",                     // the data is gone after the run anyway
	); err != nil {
		return config, "", err
	}
	// It waits for etcd by itself.
	server, err := q.children.start(ctx, "kube-apiserver", filepath.Join(assets, "kube-apiserver"),
		"--etcd-servers="+etcdURL,
		"--bind-address="+loopback,
		"--advertise-address="+loopback,
		fmt.Sprintf("--secure-port=%d", q.apiPort),
		"--endpoint-reconciler-type=none", // a loopback address is not allowed as an endpoint
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount", // no controller makes service accounts
		"--tls-cert-file="+inFolder(certFile),
		"--tls-private-key-file="+inFolder(keyFile),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+inFolder(keyFile),
		"--service-account-signing-key-file="+inFolder(keyFile),
		"--token-auth-file="+inFolder(tokenFile),
	)
	if err != nil {
		return config, "", err
	}

	const name = "sluice-quickstart"
	config = *clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + address(q.apiPort), CertificateAuthorityData: certificate}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	restConfig, err := toRest(config)
	if err != nil {
		return config, "", err
	}
	err = eventually(ctx, controlPlaneLimit, func(ctx context.Context) error {
		if err := get(ctx, restConfig, "/readyz"); err != nil {
			return err
		}
		return get(ctx, restConfig, "/api/v1/namespaces/"+namespace)
	})
	if err != nil {
		return config, "", server.describe(fmt.Errorf("kube-apiserver is not ready: %w", err))
	}
	return config, assets, nil
}

// currentCluster returns the way to the cluster that kubectl talks to.
func currentCluster(ctx context.Context) (clientcmdapi.Config, error) {
	const setting = clusterVariable + "=" + clusterCurrent
	loaded, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return clientcmdapi.Config{}, fmt.Errorf("%s: read the kubeconfig: %w", setting, err)
	}
	config := *loaded
	// Only what is needed, and independent of what happens to the user's file later.
	if err := clientcmdapi.MinifyConfig(&config); err != nil {
		return config, fmt.Errorf("%s needs a kubeconfig with a current context, in KUBECONFIG or ~/.kube/config: %w", setting, err)
	}
	if err := clientcmdapi.FlattenConfig(&config); err != nil {
		return config, fmt.Errorf("%s: read the kubeconfig: %w", setting, err)
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	restConfig, err := toRest(config)
	if err != nil {
		return config, fmt.Errorf("%s: %w", setting, err)
	}
	fmt.Printf("Using the cluster of context %q at %s.\n", config.CurrentContext, restConfig.Host)
	fmt.Println("The CustomResourceDefinitions and the samples will be left in it; see config/crd and config/samples.")
	ctx, cancel := context.WithTimeout(ctx, currentLimit)
	defer cancel()
	if err := get(ctx, restConfig, "/version"); err != nil {
		return config, fmt.Errorf("%s: the cluster of context %q cannot be reached: %w", setting, config.CurrentContext, err)
	}
	return config, nil
}

func toRest(config clientcmdapi.Config) (*rest.Config, error) {
	restConfig, err := clientcmd.NewDefaultClientConfig(config, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	return restConfig, nil
}

// get asks the API server for a path.
func get(ctx context.Context, config *rest.Config, path string) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	return client.RESTClient().Get().AbsPath(path).Do(ctx).Error()
}

// eventually calls check until it returns nil, an error that time does not mend, or the limit has passed.
func eventually(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil || final(err) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}

// final says whether an API server's answer stays the same.
func final(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) ||
		apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || errors.Is(err, context.Canceled)
}
