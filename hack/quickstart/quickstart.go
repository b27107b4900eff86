/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	crdFolder    = "config/crd"
	sampleFolder = "config/samples"
	// operatorBinary is what make build makes.
	operatorBinary = "bin/manager"
	// fieldOwner is who manages, in the eyes of server-side apply, what is applied.
	fieldOwner = client.FieldOwner("sluice-quickstart")
	// applyLimit is how long the API server may take to serve a new kind.
	applyLimit = 30 * time.Second
	// operatorLimit is how long the operator may take to be ready. In a current cluster it may have
	// to wait for the lease of one that was killed.
	operatorLimit = time.Minute
)

// quickstart is what runs.
type quickstart struct {
	settings
	children *localcluster.Children
}

// start starts everything, and returns when the samples are ready and the user has been told.
func (q *quickstart) start(ctx context.Context) error {
	begin := time.Now()
	var config clientcmdapi.Config
	var assets string
	var err error
	if q.cluster == clusterCurrent {
		config, err = currentCluster(ctx)
	} else {
		config, assets, err = q.startControlPlane(ctx)
	}
	if err != nil {
		return err
	}
	if err := clientcmd.WriteToFile(config, inFolder(kubeconfigFile)); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	restConfig, err := localcluster.REST(config)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := sluicev1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	c, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}

	fmt.Println("Installing the CustomResourceDefinitions and the samples.")
	definitions, err := localcluster.ReadKustomization(crdFolder)
	if err != nil {
		return err
	}
	samples, err := localcluster.ReadKustomization(sampleFolder)
	if err != nil {
		return err
	}
	for _, object := range samples {
		object.SetNamespace(namespace)
	}
	for _, object := range append(definitions, samples...) {
		// The API server takes a moment to serve a new kind.
		if err := localcluster.Eventually(ctx, applyLimit, func(ctx context.Context) error { return apply(ctx, c, object) }); err != nil {
			return fmt.Errorf("apply %s %q: %w", object.GetKind(), object.GetName(), err)
		}
	}

	// The samples are there before it, so that it does not listen before it serves them.
	if err := q.startOperator(ctx); err != nil {
		return err
	}
	triggers, err := waitForTriggers(ctx, c, samples)
	if err != nil {
		return err
	}
	if err := localcluster.Eventually(ctx, applyLimit, func(ctx context.Context) error { return tryFlowRun(ctx, c) }); err != nil {
		return fmt.Errorf("the cluster does not take FlowRuns: %w", err)
	}
	text, err := report(q.ingestURL(), findKubectl(assets), triggers, samples)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\nSluice is ready after %.1f s. Ctrl-C stops it.\n", text, time.Since(begin).Seconds())
	return nil
}

func (q *quickstart) ingestURL() string { return "http://" + localcluster.Address(q.ingestPort) }

func (q *quickstart) startOperator(ctx context.Context) error {
	fmt.Println("Starting Sluice.")
	args := []string{
		"--kubeconfig=" + inFolder(kubeconfigFile),
		"--role=all",
		"--external-url=" + q.ingestURL(),
		"--ingest-bind-address=" + localcluster.Address(q.ingestPort),
		"--health-probe-bind-address=" + localcluster.Address(q.healthPort),
		"--metrics-bind-address=0",
		"--leader-election-namespace=" + namespace,
		"--log-format=text",
		// No load balancer has to notice that it stops.
		"--shutdown-delay=0s",
		"--drain-timeout=5s",
	}
	if q.cluster == clusterCurrent {
		args = append(args,
			"--watch-namespaces="+namespace,
			// After one that was killed, the next does not wait long. (An embedded cluster has no
			// lease of an earlier one.)
			"--leader-election-lease-duration=15s",
			"--leader-election-renew-deadline=10s",
			"--leader-election-retry-period=2s",
		)
	}
	operator, err := q.children.Start(ctx, "sluice", operatorBinary, args...)
	if err != nil {
		return err
	}
	err = localcluster.Eventually(ctx, operatorLimit, func(ctx context.Context) error {
		_, err := localcluster.Fetch(ctx, "http://"+localcluster.Address(q.healthPort)+"/readyz?verbose")
		return err
	})
	if err != nil {
		return operator.Describe(fmt.Errorf("sluice is not ready: %w", err))
	}
	return nil
}

// apply applies without force: in a current cluster, what somebody else manages is not ours to
// change.
func apply(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	// A fresh copy for each attempt: Apply stores the answer in it.
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), fieldOwner)
}

// tryFlowRun creates a FlowRun without storing it. For two seconds after a kind has become known,
// an API server makes every create of it wait for two seconds, which is as long as the operator
// waits for one; this takes the wait upon itself.
func tryFlowRun(ctx context.Context, c client.Client) error {
	return c.Create(ctx, &sluicev1alpha1.FlowRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quickstart-dry-run"},
		Spec: sluicev1alpha1.FlowRunSpec{
			FlowRef: sluicev1alpha1.FlowReference{Name: "quickstart-dry-run"},
			Payload: sluicev1alpha1.Payload{Size: new(int64(0)), SHA256: fmt.Sprintf("%x", sha256.Sum256(nil))},
		},
	}, client.DryRunAll)
}

// waitForTriggers returns the sample triggers when all are Ready, in the order of the samples.
func waitForTriggers(ctx context.Context, c client.Client, samples []*unstructured.Unstructured) ([]sluicev1alpha1.WebhookTrigger, error) {
	var triggers []sluicev1alpha1.WebhookTrigger
	for _, sample := range samples {
		if sample.GetKind() != "WebhookTrigger" {
			continue
		}
		var trigger sluicev1alpha1.WebhookTrigger
		err := localcluster.Eventually(ctx, operatorLimit, func(ctx context.Context) error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(sample), &trigger); err != nil {
				return err
			}
			ready := apimeta.FindStatusCondition(trigger.Status.Conditions, sluicev1alpha1.ConditionReady)
			switch {
			case ready == nil || ready.ObservedGeneration != trigger.Generation:
				return errors.New("no status yet")
			case ready.Status != metav1.ConditionTrue:
				return fmt.Errorf("%s: %s", ready.Reason, ready.Message)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("WebhookTrigger %q is not ready: %w", sample.GetName(), err)
		}
		triggers = append(triggers, trigger)
	}
	return triggers, nil
}
