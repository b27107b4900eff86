/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// namespace is where the samples and the leader's lease go.
	namespace = "default"
	// controlPlaneScript prints the folder of the control plane's binaries, which it may have to
	// make first.
	controlPlaneScript = "hack/controlplane/build.sh"
	// controlPlaneLimit is how long etcd and kube-apiserver may take to be ready.
	controlPlaneLimit = 2 * time.Minute
	// currentLimit is how long the current cluster may take to answer.
	currentLimit = 10 * time.Second
)

// startControlPlane starts etcd and kube-apiserver and returns the way to them, and the folder of
// their binaries.
func (q *quickstart) startControlPlane(ctx context.Context) (config clientcmdapi.Config, assets string, err error) {
	if assets, err = localcluster.Output(ctx, controlPlaneScript); err != nil {
		return config, "", fmt.Errorf("get the control plane: %w", err)
	}
	fmt.Println("Starting etcd and kube-apiserver.")
	plane := &localcluster.ControlPlane{Folder: folder, EtcdPort: q.etcdPort, APIPort: q.apiPort, Users: []localcluster.User{localcluster.Admin}}
	if err := plane.Prepare(); err != nil {
		return config, "", err
	}
	// The data is gone after the run anyway.
	etcd := append(plane.EtcdArguments(), "--unsafe-no-fsync")
	if _, err := q.children.Start(ctx, "etcd", filepath.Join(assets, "etcd"), etcd...); err != nil {
		return config, "", err
	}
	server, err := q.children.Start(ctx, "kube-apiserver", filepath.Join(assets, "kube-apiserver"), plane.APIServerArguments()...)
	if err != nil {
		return config, "", err
	}
	config = plane.Kubeconfig("sluice-quickstart", localcluster.Admin.Name, q.apiPort, namespace)
	restConfig, err := localcluster.REST(config)
	if err != nil {
		return config, "", err
	}
	err = localcluster.Eventually(ctx, controlPlaneLimit, func(ctx context.Context) error { return localcluster.Ready(ctx, restConfig) })
	if err != nil {
		return config, "", server.Describe(fmt.Errorf("kube-apiserver is not ready: %w", err))
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
	restConfig, err := localcluster.REST(config)
	if err != nil {
		return config, fmt.Errorf("%s: %w", setting, err)
	}
	fmt.Printf("Using the cluster of context %q at %s.\n", config.CurrentContext, restConfig.Host)
	fmt.Println("The CustomResourceDefinitions and the samples will be left in it; see config/crd and config/samples.")
	ctx, cancel := context.WithTimeout(ctx, currentLimit)
	defer cancel()
	if err := localcluster.Get(ctx, restConfig, "/version"); err != nil {
		return config, fmt.Errorf("%s: the cluster of context %q cannot be reached: %w", setting, config.CurrentContext, err)
	}
	return config, nil
}
