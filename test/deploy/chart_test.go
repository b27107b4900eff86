/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"
)

// TestRenderings renders the chart with each feature on and off. The API server is asked whether it
// would take what comes out, and what differs from the chart's defaults is looked at.
func TestRenderings(t *testing.T) {
	t.Parallel()
	defaults := map[string]bool{}
	for _, object := range mustRender(t, "") {
		defaults[id(object)] = true
	}
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	cases := map[string]struct {
		reason string
		values string
		// more and fewer are the objects that there are and are not, other than by default.
		more, fewer []string
		// fields are what is at JSON paths of objects, as JSON; nothing if it is empty.
		fields map[string]string
	}{
		"Defaults": {
			reason: "two Deployments of two pods, whose flags are known to an operator of any version",
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.replicas":                                                   `2`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args":                           `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s"]`,
				"Deployment/sluice-ingest .spec.minReadySeconds":                                            `5`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].env":                            `[{"name":"GOMEMLIMIT","value":"230MiB"}]`,
				"Deployment/sluice-ingest .spec.template.spec.terminationGracePeriodSeconds":                `35`,
				"Deployment/sluice-ingest .spec.template.spec.automountServiceAccountToken":                 `true`,
				"Deployment/sluice-ingest .spec.template.spec.volumes":                                      ``,
				"Deployment/sluice-controller .spec.replicas":                                               `2`,
				"Deployment/sluice-controller .spec.minReadySeconds":                                        `5`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].env":                        `[{"name":"GOMEMLIMIT","value":"230MiB"}]`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].args":                       `["--role=controller"]`,
				"Deployment/sluice-controller .spec.template.spec.terminationGracePeriodSeconds":            ``,
				"Deployment/sluice-controller .spec.template.spec.containers[0].ports[*].name":              `"probes" "metrics"`,
				"CustomResourceDefinition/flows.sluice.dev .metadata.annotations.helm\\.sh/resource-policy": `"keep"`,
				"Service/sluice-ingest .spec.ports[0].port":                                                 `80`,
			},
		},
		"Tracing": {
			reason: "only what serves webhooks traces; 0 is a ratio",
			values: `{tracing: {endpoint: "http://collector.observability:4317", sampleRatio: 0, trustTraceparent: always}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args":     `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s","--tracing-endpoint=http://collector.observability:4317","--tracing-sample-ratio=0","--trust-traceparent=always"]`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].args": `["--role=controller"]`,
			},
		},
		"TracingWithoutEndpoint": {
			reason: "there is nothing to trace to",
			values: `{tracing: {sampleRatio: 0.5, trustTraceparent: always}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s"]`,
			},
		},
		"ModeAll": {
			reason: "one Deployment with both permissions; the Service keeps its name",
			values: `{mode: all, ingest: {replicas: 1}}`,
			more:   []string{"Deployment/sluice-all", "PodDisruptionBudget/sluice-all", "ServiceAccount/sluice-all"},
			fewer: []string{
				"Deployment/sluice-ingest", "PodDisruptionBudget/sluice-ingest", "ServiceAccount/sluice-ingest",
				"Deployment/sluice-controller", "PodDisruptionBudget/sluice-controller", "ServiceAccount/sluice-controller",
			},
			fields: map[string]string{
				"Deployment/sluice-all .spec.replicas":                                                      `1`,
				"Deployment/sluice-all .spec.template.spec.containers[0].args[0]":                           `"--role=all"`,
				"Deployment/sluice-all .spec.template.spec.serviceAccountName":                              `"sluice-all"`,
				"Service/sluice-ingest .spec.selector.app\\.kubernetes\\.io/component":                      `"all"`,
				"ClusterRoleBinding/sluice-ingest .subjects[*].name":                                        `"sluice-all"`,
				"ClusterRoleBinding/sluice-controller .subjects[*].name":                                    `"sluice-all"`,
				"RoleBinding/sluice-leader-election .subjects[*].name":                                      `"sluice-all"`,
				"ClusterRoleBinding/sluice-metrics-auth .subjects[*].name":                                  `"sluice-all"`,
				"PodDisruptionBudget/sluice-all .spec.selector.matchLabels.app\\.kubernetes\\.io/component": `"all"`,
			},
		},
		"Namespaced": {
			reason: "nothing of the whole cluster but who may read the metrics",
			values: `{watchNamespaces: [shop, billing]}`,
			more: []string{
				"Role/shop/sluice-ingest", "Role/shop/sluice-controller", "RoleBinding/shop/sluice-ingest", "RoleBinding/shop/sluice-controller",
				"Role/billing/sluice-ingest", "Role/billing/sluice-controller", "RoleBinding/billing/sluice-ingest", "RoleBinding/billing/sluice-controller",
				"ClusterRole/sluice-metrics-auth-sluice-system", "ClusterRoleBinding/sluice-metrics-auth-sluice-system", "ClusterRole/sluice-metrics-reader-sluice-system",
			},
			fewer: []string{
				"ClusterRole/sluice-ingest", "ClusterRole/sluice-controller", "ClusterRoleBinding/sluice-ingest", "ClusterRoleBinding/sluice-controller",
				"ClusterRole/sluice-view", "ClusterRole/sluice-edit",
				"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader",
			},
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args[1]":     `"--watch-namespaces=shop,billing"`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].args[1]": `"--watch-namespaces=shop,billing"`,
				"RoleBinding/shop/sluice-ingest .subjects[0].namespace":                  `"sluice-system"`,
				"RoleBinding/shop/sluice-ingest .roleRef.kind":                           `"Role"`,
			},
		},
		"NamespacedWithoutTheCluster": {
			reason: "for those who may do nothing in the whole cluster",
			values: `{watchNamespaces: [shop], crds: {enabled: false}, metrics: {access: open}}`,
			more:   []string{"Role/shop/sluice-ingest", "Role/shop/sluice-controller", "RoleBinding/shop/sluice-ingest", "RoleBinding/shop/sluice-controller"},
			fewer: []string{
				"ClusterRole/sluice-ingest", "ClusterRole/sluice-controller", "ClusterRoleBinding/sluice-ingest", "ClusterRoleBinding/sluice-controller",
				"ClusterRole/sluice-view", "ClusterRole/sluice-edit",
				"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader",
				"CustomResourceDefinition/flows.sluice.dev", "CustomResourceDefinition/flowruns.sluice.dev", "CustomResourceDefinition/webhooktriggers.sluice.dev",
			},
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--watch-namespaces=shop","--shutdown-delay=5s","--drain-timeout=20s","--metrics-access=open"]`,
			},
		},
		"CRDsNotKept": {
			reason: "they go with the release",
			values: `{crds: {keep: false}}`,
			fields: map[string]string{"CustomResourceDefinition/flows.sluice.dev .metadata.annotations.helm\\.sh/resource-policy": ``},
		},
		"PermissionsOfOnesOwn": {
			reason: "neither roles nor service accounts, and pods that use those that are there",
			values: `{rbac: {create: false}, ingest: {serviceAccount: {create: false, name: in}}, controller: {serviceAccount: {create: false, name: con}}}`,
			fewer: []string{
				"ClusterRole/sluice-ingest", "ClusterRole/sluice-controller", "ClusterRoleBinding/sluice-ingest", "ClusterRoleBinding/sluice-controller",
				"ClusterRole/sluice-view", "ClusterRole/sluice-edit", "Role/sluice-leader-election", "RoleBinding/sluice-leader-election",
				"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader",
				"ServiceAccount/sluice-ingest", "ServiceAccount/sluice-controller",
			},
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.serviceAccountName":     `"in"`,
				"Deployment/sluice-controller .spec.template.spec.serviceAccountName": `"con"`,
			},
		},
		"NamedServiceAccounts": {
			reason: "such as a cloud's identity asks for; bindings follow",
			values: `{ingest: {serviceAccount: {name: in, annotations: {example.com/identity: sluice}}}, rbac: {aggregate: false}}`,
			more:   []string{"ServiceAccount/in"},
			fewer:  []string{"ServiceAccount/sluice-ingest", "ClusterRole/sluice-view", "ClusterRole/sluice-edit"},
			fields: map[string]string{
				"ServiceAccount/in .metadata.annotations.example\\.com/identity":  `"sluice"`,
				"Deployment/sluice-ingest .spec.template.spec.serviceAccountName": `"in"`,
				"ClusterRoleBinding/sluice-ingest .subjects[*].name":              `"in"`,
				"ClusterRoleBinding/sluice-metrics-auth .subjects[*].name":        `"in" "sluice-controller"`,
			},
		},
		"Image": {
			reason: "a digest takes the place of the tag",
			values: `{image: {repository: "registry.example:5000/sluice", tag: v9, digest: "` + digest + `", pullPolicy: Always}, imagePullSecrets: [{name: registry}]}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].image":           `"registry.example:5000/sluice@` + digest + `"`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].image":       `"registry.example:5000/sluice@` + digest + `"`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].imagePullPolicy": `"Always"`,
				"Deployment/sluice-ingest .spec.template.spec.imagePullSecrets":              `[{"name":"registry"}]`,
			},
		},
		"Tag": {
			reason: "a tag other than the chart's",
			values: `{image: {tag: v9.9.9}}`,
			fields: map[string]string{"Deployment/sluice-ingest .spec.template.spec.containers[0].image": `"ghcr.io/sluice-dev/sluice:v9.9.9"`},
		},
		"Flags": {
			reason: "each value becomes its flag, large numbers as digits",
			values: `{externalURL: "https://hooks.example.com", secretLabelSelector: "a=b,c in (d)", log: {level: debug, format: text},
				ingest: {maxBodyBytes: 1048576, maxInFlightBytes: 268435456, acceptDeadlineSeconds: 2.5, trustedProxies: [10.0.0.0/8, "2001:db8::/32"], shutdownDelaySeconds: 0, drainTimeoutSeconds: 40, extraArgs: [--idle-timeout=30s], resources: {limits: {memory: 2Gi}}},
				controller: {extraArgs: [--leader-election-retry-period=3s]}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--external-url=https://hooks.example.com","--secret-label-selector=a=b,c in (d)",` +
					`"--shutdown-delay=0s","--drain-timeout=40s","--max-body-bytes=1048576","--max-in-flight-bytes=268435456","--accept-deadline=2.5s","--trusted-proxies=10.0.0.0/8,2001:db8::/32","--log-level=debug","--log-format=text","--idle-timeout=30s"]`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].args": `["--role=controller","--external-url=https://hooks.example.com","--secret-label-selector=a=b,c in (d)",` +
					`"--log-level=debug","--log-format=text","--leader-election-retry-period=3s"]`,
				"Deployment/sluice-ingest .spec.template.spec.terminationGracePeriodSeconds": `50`,
			},
		},
		"LongDeadline": {
			reason: "the operator wants time for it; who says how much is heeded",
			values: `{ingest: {acceptDeadlineSeconds: 10}}`,
			fields: map[string]string{"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s","--accept-deadline=10s","--write-timeout=25s"]`},
		},
		"LongerDeadline": {
			reason: "bodies may take longer than by default, and so may answers",
			values: `{ingest: {acceptDeadlineSeconds: 10, extraArgs: [--read-timeout=30s, --write-timeout=60s]}}`,
			fields: map[string]string{"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s","--accept-deadline=10s","--read-timeout=30s","--write-timeout=60s"]`},
		},
		"Nulls": {
			reason: "what is taken away does not become something else",
			values: `{commonLabels: null, ingest: {podLabels: null, podAnnotations: null, resources: null, podDisruptionBudget: {maxUnavailable: null}}, controller: {podLabels: null, resources: {limits: {memory: 268435456}}, podDisruptionBudget: {maxUnavailable: 0}}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].env":     ``,
				"Deployment/sluice-controller .spec.template.spec.containers[0].env": `[{"name":"GOMEMLIMIT","value":"230MiB"}]`,
				"PodDisruptionBudget/sluice-ingest .spec.maxUnavailable":             `1`,
				"PodDisruptionBudget/sluice-controller .spec.maxUnavailable":         `0`,
			},
		},
		"LabelsTwice": {
			reason: "each is there once, and the more special one counts",
			values: `{commonLabels: {release: a, app.kubernetes.io/version: mine}, ingest: {podLabels: {release: b}, podAnnotations: {kubectl.kubernetes.io/default-container: other}}, metrics: {dashboard: {enabled: true, labels: {release: c}}}}`,
			more:   []string{"ConfigMap/sluice-dashboard"},
			fields: map[string]string{
				"ConfigMap/sluice-dashboard .metadata.labels.release":                     `"c"`,
				"Deployment/sluice-ingest .metadata.labels.release":                       `"a"`,
				"Deployment/sluice-ingest .metadata.labels.app\\.kubernetes\\.io/version": `"mine"`,
				"Deployment/sluice-ingest .spec.template.metadata.labels.release":         `"b"`,
				"Deployment/sluice-ingest .spec.template.metadata.annotations":            `{"kubectl.kubernetes.io/default-container":"other"}`,
			},
		},
		"Pods": {
			reason: "all that can be said about pods, of one component only",
			values: `{commonLabels: {team: hooks}, ingest: {minReadySeconds: 0,
				resources: {limits: {memory: 1.5Gi, cpu: "1"}, requests: null},
				affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}},
				nodeSelector: {disk: fast}, tolerations: [{key: edge, operator: Exists}], priorityClassName: system-cluster-critical,
				topologySpreadConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}],
				strategy: {type: Recreate}, annotations: {a: "1"}, podAnnotations: {b: "2"}, podLabels: {c: "3"},
				extraEnv: [{name: HTTPS_PROXY, value: "http://proxy"}], extraVolumes: [{name: scratch, emptyDir: {}}], extraVolumeMounts: [{name: scratch, mountPath: /scratch}]}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.minReadySeconds":                          `0`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].env":          `[{"name":"GOMEMLIMIT","value":"1382MiB"},{"name":"HTTPS_PROXY","value":"http://proxy"}]`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].volumeMounts": `[{"mountPath":"/scratch","name":"scratch"}]`,
				"Deployment/sluice-ingest .spec.template.spec.volumes":                    `[{"emptyDir":{},"name":"scratch"}]`,
				"Deployment/sluice-ingest .spec.template.spec.priorityClassName":          `"system-cluster-critical"`,
				"Deployment/sluice-ingest .spec.template.spec.nodeSelector":               `{"disk":"fast"}`,
				"Deployment/sluice-ingest .spec.template.spec.tolerations[0].key":         `"edge"`,
				"Deployment/sluice-ingest .spec.template.spec.topologySpreadConstraints":  `[{"labelSelector":{"matchLabels":{"a":"b"}},"maxSkew":2,"topologyKey":"rack","whenUnsatisfiable":"DoNotSchedule"}]`,
				"Deployment/sluice-ingest .spec.strategy":                                 `{"type":"Recreate"}`,
				"Deployment/sluice-ingest .metadata.annotations.a":                        `"1"`,
				"Deployment/sluice-ingest .spec.template.metadata.annotations.b":          `"2"`,
				"Deployment/sluice-ingest .spec.template.metadata.labels.c":               `"3"`,
				"Deployment/sluice-ingest .spec.template.metadata.labels.team":            `"hooks"`,
				"Deployment/sluice-ingest .spec.selector.matchLabels.team":                ``,
				"Deployment/sluice-controller .spec.template.metadata.labels.c":           ``,
				"ClusterRole/sluice-view .metadata.labels.team":                           `"hooks"`,
				"CustomResourceDefinition/flows.sluice.dev .metadata.labels.team":         `"hooks"`,
			},
		},
		"MemoryLimitOfOnesOwn": {
			reason: "no variable is set twice",
			values: `{ingest: {extraEnv: [{name: GOMEMLIMIT, value: 1GiB}]}, controller: {resources: {limits: null}}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].env":     `[{"name":"GOMEMLIMIT","value":"1GiB"}]`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].env": ``,
			},
		},
		"SecurityContextsOfOnesOwn": {
			reason: "such as OpenShift's, which chooses the user itself",
			values: `{podSecurityContext: {runAsUser: null, runAsGroup: null}}`,
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.securityContext": `{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}`,
			},
		},
		"Autoscaling": {
			reason: "the number of pods is the autoscaler's",
			values: `{ingest: {autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 9, behavior: {scaleDown: {stabilizationWindowSeconds: 60}}}}}`,
			more:   []string{"HorizontalPodAutoscaler/sluice-ingest"},
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.replicas":                         ``,
				"Deployment/sluice-controller .spec.replicas":                     `2`,
				"HorizontalPodAutoscaler/sluice-ingest .spec.scaleTargetRef.name": `"sluice-ingest"`,
				"HorizontalPodAutoscaler/sluice-ingest .spec.minReplicas":         `3`,
				"HorizontalPodAutoscaler/sluice-ingest .spec.maxReplicas":         `9`,
			},
		},
		"AutoscalingInModeAll": {
			reason: "the autoscaler follows the Deployment",
			values: `{mode: all, ingest: {autoscaling: {enabled: true}}}`,
			more:   []string{"HorizontalPodAutoscaler/sluice-all", "Deployment/sluice-all", "PodDisruptionBudget/sluice-all", "ServiceAccount/sluice-all"},
			fewer: []string{
				"Deployment/sluice-ingest", "PodDisruptionBudget/sluice-ingest", "ServiceAccount/sluice-ingest",
				"Deployment/sluice-controller", "PodDisruptionBudget/sluice-controller", "ServiceAccount/sluice-controller",
			},
			fields: map[string]string{
				"HorizontalPodAutoscaler/sluice-all .spec.scaleTargetRef.name": `"sluice-all"`,
				"Deployment/sluice-all .spec.replicas":                         ``,
			},
		},
		"DisruptionBudgets": {
			reason: "minAvailable takes the place of maxUnavailable, 0 too",
			values: `{ingest: {podDisruptionBudget: {minAvailable: 50%}}, controller: {podDisruptionBudget: {minAvailable: 0}}}`,
			fields: map[string]string{
				"PodDisruptionBudget/sluice-ingest .spec.minAvailable":       `"50%"`,
				"PodDisruptionBudget/sluice-ingest .spec.maxUnavailable":     ``,
				"PodDisruptionBudget/sluice-controller .spec.minAvailable":   `0`,
				"PodDisruptionBudget/sluice-controller .spec.maxUnavailable": ``,
			},
		},
		"NoDisruptionBudgets": {
			reason: "there need not be any",
			values: `{ingest: {podDisruptionBudget: {enabled: false}}, controller: {podDisruptionBudget: {enabled: false}}}`,
			fewer:  []string{"PodDisruptionBudget/sluice-ingest", "PodDisruptionBudget/sluice-controller"},
		},
		"LoadBalancer": {
			reason: "a Service that senders reach by themselves",
			values: `{service: {type: LoadBalancer, port: 8443, nodePort: 30080, loadBalancerClass: example.com/lb, loadBalancerSourceRanges: [192.0.2.0/24, "2001:db8::/32"], externalTrafficPolicy: Local, annotations: {a: b}}}`,
			fields: map[string]string{
				"Service/sluice-ingest .spec.type":                     `"LoadBalancer"`,
				"Service/sluice-ingest .spec.ports[0].port":            `8443`,
				"Service/sluice-ingest .spec.ports[0].nodePort":        `30080`,
				"Service/sluice-ingest .spec.loadBalancerClass":        `"example.com/lb"`,
				"Service/sluice-ingest .spec.loadBalancerSourceRanges": `["192.0.2.0/24","2001:db8::/32"]`,
				"Service/sluice-ingest .spec.externalTrafficPolicy":    `"Local"`,
				"Service/sluice-ingest .metadata.annotations.a":        `"b"`,
			},
		},
		"NodePort": {
			reason: "what is of load balancers only is left out",
			values: `{service: {type: NodePort}}`,
			fields: map[string]string{
				"Service/sluice-ingest .spec.loadBalancerClass":        ``,
				"Service/sluice-ingest .spec.loadBalancerSourceRanges": ``,
			},
		},
		"Ingress": {
			reason: "the webhooks' path only",
			values: `{ingress: {enabled: true, className: nginx, hosts: [hooks.example.com, "*.example.org"], annotations: {a: b}, tls: [{hosts: [hooks.example.com], secretName: hooks-tls}]}}`,
			more:   []string{"Ingress/sluice-ingest"},
			fields: map[string]string{
				"Ingress/sluice-ingest .spec.ingressClassName":                       `"nginx"`,
				"Ingress/sluice-ingest .spec.rules[*].host":                          `"hooks.example.com" "*.example.org"`,
				"Ingress/sluice-ingest .spec.rules[0].http.paths[*].path":            `"/hooks/"`,
				"Ingress/sluice-ingest .spec.rules[0].http.paths[0].backend.service": `{"name":"sluice-ingest","port":{"name":"webhooks"}}`,
				"Ingress/sluice-ingest .spec.tls[0].secretName":                      `"hooks-tls"`,
			},
		},
		"HTTPRoute": {
			reason: "the webhooks' path only, at the Service's port",
			values: `{httpRoute: {enabled: true, parentRefs: [{name: public, namespace: gateways}], hostnames: [hooks.example.com], filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-internal]}}]}}`,
			more:   []string{"HTTPRoute/sluice-ingest"},
			fields: map[string]string{
				"HTTPRoute/sluice-ingest .spec.parentRefs":               `[{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"public","namespace":"gateways"}]`,
				"HTTPRoute/sluice-ingest .spec.rules[0].matches[0].path": `{"type":"PathPrefix","value":"/hooks/"}`,
				"HTTPRoute/sluice-ingest .spec.rules[0].backendRefs":     `[{"group":"","kind":"Service","name":"sluice-ingest","port":80,"weight":1}]`,
				"HTTPRoute/sluice-ingest .spec.rules[0].filters[0].type": `"RequestHeaderModifier"`,
			},
		},
		"TLSFromASecret": {
			reason: "only what serves webhooks has the key",
			values: `{tls: {enabled: true, secretName: hooks-tls, minVersion: "1.3"}, httpRoute: {enabled: true, parentRefs: [{name: public}]}}`,
			more:   []string{"HTTPRoute/sluice-ingest"},
			fields: map[string]string{
				"Deployment/sluice-ingest .spec.template.spec.containers[0].args": `["--role=ingest","--shutdown-delay=5s","--drain-timeout=20s",` +
					`"--tls-cert-file=/etc/sluice/tls/tls.crt","--tls-key-file=/etc/sluice/tls/tls.key","--tls-min-version=1.3"]`,
				"Deployment/sluice-ingest .spec.template.spec.containers[0].volumeMounts": `[{"mountPath":"/etc/sluice/tls","name":"tls","readOnly":true}]`,
				"Deployment/sluice-ingest .spec.template.spec.volumes":                    `[{"name":"tls","secret":{"secretName":"hooks-tls"}}]`,
				"Deployment/sluice-controller .spec.template.spec.volumes":                ``,
				"Deployment/sluice-controller .spec.template.spec.containers[0].args":     `["--role=controller"]`,
				"Service/sluice-ingest .spec.ports[0].port":                               `443`,
				"Service/sluice-ingest .spec.ports[0].appProtocol":                        `"https"`,
				"HTTPRoute/sluice-ingest .spec.rules[0].backendRefs[0].port":              `443`,
			},
		},
		"TLSFromCertManager": {
			reason: "the certificate is for the Service, and its Secret is the one that is mounted",
			values: `{tls: {enabled: true, certManager: {enabled: true, issuerRef: {kind: ClusterIssuer, name: ca}, duration: 2160h, renewBefore: 360h}}}`,
			more:   []string{"Certificate/sluice-ingest"},
			fields: map[string]string{
				"Certificate/sluice-ingest .spec.secretName":                                `"sluice-tls"`,
				"Certificate/sluice-ingest .spec.dnsNames":                                  `["sluice-ingest.sluice-system.svc","sluice-ingest.sluice-system.svc.cluster.local"]`,
				"Certificate/sluice-ingest .spec.issuerRef":                                 `{"kind":"ClusterIssuer","name":"ca"}`,
				"Certificate/sluice-ingest .spec.renewBefore":                               `"360h"`,
				"Deployment/sluice-ingest .spec.template.spec.volumes[0].secret.secretName": `"sluice-tls"`,
			},
		},
		"TLSFromCertManagerWithNames": {
			reason: "names that senders use themselves",
			values: `{tls: {enabled: true, secretName: hooks-tls, certManager: {enabled: true, issuerRef: {name: ca}, dnsNames: [hooks.example.com]}}}`,
			more:   []string{"Certificate/sluice-ingest"},
			fields: map[string]string{
				"Certificate/sluice-ingest .spec.secretName": `"hooks-tls"`,
				"Certificate/sluice-ingest .spec.dnsNames":   `["hooks.example.com"]`,
			},
		},
		"NetworkPolicies": {
			reason: "webhooks from everybody, metrics from one namespace, out only to DNS and the API server",
			values: `{networkPolicy: {enabled: true, apiServerTo: [{ipBlock: {cidr: 192.0.2.1/32}}]}}`,
			more:   []string{"NetworkPolicy/sluice-ingest", "NetworkPolicy/sluice-controller"},
			fields: map[string]string{
				"NetworkPolicy/sluice-ingest .spec.policyTypes":                  `["Ingress","Egress"]`,
				"NetworkPolicy/sluice-ingest .spec.ingress[*].ports[*].port":     `8080 8081 8082`,
				"NetworkPolicy/sluice-ingest .spec.ingress[0].from":              ``,
				"NetworkPolicy/sluice-ingest .spec.ingress[2].from":              `[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]`,
				"NetworkPolicy/sluice-ingest .spec.egress[*].ports[*].port":      `53 53 443 6443`,
				"NetworkPolicy/sluice-ingest .spec.egress[*].to":                 `[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},"podSelector":{"matchExpressions":[{"key":"k8s-app","operator":"In","values":["kube-dns","node-local-dns"]}]}},{"ipBlock":{"cidr":"169.254.20.10/32"}}] [{"ipBlock":{"cidr":"192.0.2.1/32"}}]`,
				"NetworkPolicy/sluice-controller .spec.egress[*].ports[*].port":  `53 53 443 6443`,
				"NetworkPolicy/sluice-controller .spec.egress[*].to":             `[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},"podSelector":{"matchExpressions":[{"key":"k8s-app","operator":"In","values":["kube-dns","node-local-dns"]}]}},{"ipBlock":{"cidr":"169.254.20.10/32"}}] [{"ipBlock":{"cidr":"192.0.2.1/32"}}]`,
				"NetworkPolicy/sluice-controller .spec.ingress[*].ports[*].port": `8081 8082`,
			},
		},
		"NetworkPoliciesNarrowed": {
			reason: "peers for each direction",
			values: `{metrics: {enabled: false}, networkPolicy: {enabled: true, webhooksFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}],
				apiServerTo: [{ipBlock: {cidr: 192.0.2.1/32}}], apiServerPorts: [6443], extraEgress: [{ports: [{port: 4317, protocol: TCP}]}]}}`,
			more:  []string{"NetworkPolicy/sluice-ingest", "NetworkPolicy/sluice-controller"},
			fewer: []string{"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader"},
			fields: map[string]string{
				"NetworkPolicy/sluice-ingest .spec.ingress[*].ports[*].port": `8080 8081`,
				"NetworkPolicy/sluice-ingest .spec.ingress[0].from":          `[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"ingress-nginx"}}}]`,
				"NetworkPolicy/sluice-ingest .spec.egress[1].to":             `[{"ipBlock":{"cidr":"192.0.2.1/32"}}]`,
				"NetworkPolicy/sluice-ingest .spec.egress[*].ports[*].port":  `53 53 6443 4317`,
			},
		},
		"NetworkPoliciesWithoutNames": {
			reason: "a destination that is left out would be every one",
			values: `{networkPolicy: {enabled: true, dnsTo: [], apiServerTo: [{ipBlock: {cidr: 192.0.2.1/32}}]}}`,
			more:   []string{"NetworkPolicy/sluice-ingest", "NetworkPolicy/sluice-controller"},
			fields: map[string]string{
				"NetworkPolicy/sluice-ingest .spec.egress[*].ports[*].port": `443 6443`,
				"NetworkPolicy/sluice-ingest .spec.egress[*].to":            `[{"ipBlock":{"cidr":"192.0.2.1/32"}}]`,
			},
		},
		"NoMetrics": {
			reason: "no port, no permission to ask who reads",
			values: `{metrics: {enabled: false}}`,
			fewer:  []string{"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader"},
			fields: map[string]string{
				"Deployment/sluice-controller .spec.template.spec.containers[0].args":          `["--role=controller","--metrics-bind-address=0"]`,
				"Deployment/sluice-controller .spec.template.spec.containers[0].ports[*].name": `"probes"`,
			},
		},
		"ServiceMonitor": {
			reason: "by HTTPS, with the token of Prometheus, which is bound to the role that may read",
			values: `{metrics: {readers: [{kind: ServiceAccount, name: prometheus, namespace: monitoring}],
				serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 30s, scrapeTimeout: 10s, relabelings: [{action: labeldrop, regex: a}], metricRelabelings: [{action: labeldrop, regex: b}]}}}`,
			more: []string{"Service/sluice-metrics", "ServiceMonitor/sluice", "ClusterRoleBinding/sluice-metrics-reader"},
			fields: map[string]string{
				"Service/sluice-metrics .spec.clusterIP":                     `"None"`,
				"Service/sluice-metrics .spec.selector":                      `{"app.kubernetes.io/instance":"sluice","app.kubernetes.io/name":"sluice"}`,
				"ServiceMonitor/sluice .metadata.labels.release":             `"prometheus"`,
				"ServiceMonitor/sluice .spec.endpoints[0].scheme":            `"https"`,
				"ServiceMonitor/sluice .spec.endpoints[0].tlsConfig":         `{"insecureSkipVerify":true}`,
				"ServiceMonitor/sluice .spec.endpoints[0].bearerTokenFile":   `"/var/run/secrets/kubernetes.io/serviceaccount/token"`,
				"ServiceMonitor/sluice .spec.endpoints[0].interval":          `"30s"`,
				"ClusterRoleBinding/sluice-metrics-reader .subjects[0].name": `"prometheus"`,
			},
		},
		"ServiceMonitorWithACertificate": {
			reason: "Prometheus checks whom it talks to, and says who it is by a token of its own",
			values: `{metrics: {tls: {secretName: metrics-tls}, serviceMonitor: {enabled: true,
				tlsConfig: {insecureSkipVerify: false, serverName: sluice-metrics, ca: {secret: {name: metrics-tls, key: ca.crt}}}, authorization: {credentials: {name: token, key: token}}}}}`,
			more: []string{"Service/sluice-metrics", "ServiceMonitor/sluice"},
			fields: map[string]string{
				"Deployment/sluice-controller .spec.template.spec.containers[0].args": `["--role=controller","--metrics-tls-cert-file=/etc/sluice/metrics-tls/tls.crt","--metrics-tls-key-file=/etc/sluice/metrics-tls/tls.key"]`,
				"Deployment/sluice-controller .spec.template.spec.volumes":            `[{"name":"metrics-tls","secret":{"secretName":"metrics-tls"}}]`,
				"Deployment/sluice-ingest .spec.template.spec.volumes[*].name":        `"metrics-tls"`,
				"ServiceMonitor/sluice .spec.endpoints[0].bearerTokenFile":            ``,
				"ServiceMonitor/sluice .spec.endpoints[0].authorization":              `{"credentials":{"key":"token","name":"token"}}`,
				"ServiceMonitor/sluice .spec.endpoints[0].tlsConfig.serverName":       `"sluice-metrics"`,
			},
		},
		"OpenMetrics": {
			reason: "by HTTP, without a token",
			values: `{metrics: {access: open, podMonitor: {enabled: true, labels: {release: prometheus}}}}`,
			more:   []string{"PodMonitor/sluice"},
			fewer:  []string{"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader"},
			fields: map[string]string{
				"PodMonitor/sluice .spec.podMetricsEndpoints": `[{"path":"/metrics","port":"metrics","scheme":"http"}]`,
			},
		},
		"OpenServiceMonitor": {
			reason: "by HTTP, without a token",
			values: `{metrics: {access: open, serviceMonitor: {enabled: true}}}`,
			more:   []string{"Service/sluice-metrics", "ServiceMonitor/sluice"},
			fewer:  []string{"ClusterRole/sluice-metrics-auth", "ClusterRoleBinding/sluice-metrics-auth", "ClusterRole/sluice-metrics-reader"},
			fields: map[string]string{
				"ServiceMonitor/sluice .spec.endpoints":             `[{"path":"/metrics","port":"metrics","scheme":"http"}]`,
				"Service/sluice-metrics .spec.ports[0].appProtocol": `"http"`,
			},
		},
		"PodMonitor": {
			reason: "with a token from a Secret",
			values: `{metrics: {podMonitor: {enabled: true, authorization: {credentials: {name: token, key: token}}}}}`,
			more:   []string{"PodMonitor/sluice"},
			fields: map[string]string{
				"PodMonitor/sluice .spec.podMetricsEndpoints[0].scheme":        `"https"`,
				"PodMonitor/sluice .spec.podMetricsEndpoints[0].authorization": `{"credentials":{"key":"token","name":"token"}}`,
			},
		},
		"AlertsAndDashboard": {
			reason: "the files of the chart",
			values: `{metrics: {prometheusRule: {enabled: true, labels: {release: prometheus}}, dashboard: {enabled: true, annotations: {grafana_folder: Sluice}}}}`,
			more:   []string{"PrometheusRule/sluice", "ConfigMap/sluice-dashboard"},
			fields: map[string]string{
				"PrometheusRule/sluice .metadata.labels.release":                  `"prometheus"`,
				"PrometheusRule/sluice .spec.groups[0].name":                      `"sluice-requests"`,
				"ConfigMap/sluice-dashboard .metadata.labels.grafana_dashboard":   `"1"`,
				"ConfigMap/sluice-dashboard .metadata.annotations.grafana_folder": `"Sluice"`,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := mustRender(t, tc.values)
			want := maps.Clone(defaults)
			for _, id := range tc.more {
				want[id] = true
			}
			for _, id := range tc.fewer {
				delete(want, id)
			}
			found := map[string]*unstructured.Unstructured{}
			is := map[string]bool{}
			for _, object := range objects {
				found[id(object)], is[id(object)] = object, true
			}
			if len(is) != len(objects) {
				t.Errorf("%s: some objects are there twice", tc.reason)
			}
			if diff := cmp.Diff(want, is); diff != "" {
				t.Errorf("%s: the objects (-want +got):\n%s", tc.reason, diff)
			}
			for place, want := range tc.fields {
				name, path, _ := strings.Cut(place, " ")
				object := found[name]
				if object == nil {
					t.Errorf("%s: there is no %s", tc.reason, name)
					continue
				}
				if diff := cmp.Diff(want, field(t, object, path)); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", tc.reason, place, diff)
				}
			}
			accept(t, objects)
		})
	}
}

// field returns what is at a JSON path, as JSON; several things are separated by blanks.
func field(t *testing.T, object *unstructured.Unstructured, path string) string {
	t.Helper()
	finder := jsonpath.New("").AllowMissingKeys(true)
	finder.EnableJSONOutput(false)
	if err := finder.Parse("{" + path + "}"); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	results, err := finder.FindResults(object.Object)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var found []string
	for _, result := range results {
		for _, value := range result {
			var text bytes.Buffer
			encoder := json.NewEncoder(&text)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(value.Interface()); err != nil {
				t.Fatal(err)
			}
			found = append(found, strings.TrimSpace(text.String()))
		}
	}
	return strings.Join(found, " ")
}

// TestFiles shows that the alerts and the dashboard are in the objects as they are in the chart's
// files.
func TestFiles(t *testing.T) {
	t.Parallel()
	read := func(name string, into any) {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(chart, "files", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var alerts, dashboard map[string]any
	read("alerts.yaml", &alerts)
	read("dashboard.json", &dashboard)
	if groups, ok := alerts["groups"].([]any); !ok || len(groups) == 0 || dashboard["title"] != "Sluice" {
		t.Fatalf("the files have %d groups of alerts and a dashboard of the title %v", len(groups), dashboard["title"])
	}
	for _, object := range mustRender(t, `{metrics: {prometheusRule: {enabled: true}, dashboard: {enabled: true}}}`) {
		switch id(object) {
		case "PrometheusRule/sluice":
			if diff := cmp.Diff(any(alerts), object.Object["spec"], cmp.Transformer("number", func(i int64) float64 { return float64(i) })); diff != "" {
				t.Errorf("the alerts (-file +object):\n%s", diff)
			}
		case "ConfigMap/sluice-dashboard":
			text, _, err := unstructured.NestedString(object.Object, "data", "sluice.json")
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("the dashboard is no JSON: %v", err)
			}
			if diff := cmp.Diff(dashboard, got); diff != "" {
				t.Errorf("the dashboard (-file +object):\n%s", diff)
			}
		}
	}
}

// TestRefusals renders the chart with values that are wrong, and looks for the words that say what
// is.
func TestRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		values string
		want   []string
	}{
		"Misspelt":           {"a name that is not known", `{ingest: {replica: 3}}`, []string{"at '/ingest': additional properties 'replica' not allowed"}},
		"MisspeltAtTheTop":   {"a name that is not known", `{externalUrl: "https://a"}`, []string{"additional properties 'externalUrl' not allowed"}},
		"OfTheOther":         {"the controller cannot be scaled", `{controller: {autoscaling: {enabled: true}}}`, []string{"at '/controller': additional properties 'autoscaling' not allowed"}},
		"WrongType":          {"a word where a number is due", `{ingest: {replicas: two}}`, []string{"at '/ingest/replicas': got string, want integer"}},
		"WordForABoolean":    {"a word that means true elsewhere", `{crds: {keep: "yes"}}`, []string{"at '/crds/keep': got string, want boolean"}},
		"NumberForALabel":    {"Kubernetes takes strings only", `{ingest: {podLabels: {a: 1}}}`, []string{"at '/ingest/podLabels/a': got number, want string"}},
		"UnknownMode":        {"not one of the modes", `{mode: both}`, []string{"at '/mode': value must be one of 'split', 'all'"}},
		"Empty":              {"a section that is taken away", `{image: null}`, []string{"missing property 'image'"}},
		"ExternalURL":        {"not a URL", `{externalURL: hooks.example.com}`, []string{"at '/externalURL'", "does not match pattern"}},
		"Namespace":          {"not the name of a namespace", `{watchNamespaces: [Shop]}`, []string{"at '/watchNamespaces/0': 'Shop' does not match pattern"}},
		"NamespaceTwice":     {"its Roles would be there twice", `{watchNamespaces: [shop, shop]}`, []string{"at '/watchNamespaces': items at 0 and 1 are equal"}},
		"Digest":             {"not a digest", `{image: {digest: latest}}`, []string{"at '/image/digest': 'latest' does not match pattern"}},
		"BodyTooLarge":       {"more than fits into etcd", `{ingest: {maxBodyBytes: 2000000}}`, []string{"at '/ingest/maxBodyBytes': maximum"}},
		"Memory":             {"a form of which nine tenths are not known", `{ingest: {resources: {limits: {memory: 1Ti}}}}`, []string{"at '/ingest/resources/limits/memory': '1Ti' does not match pattern"}},
		"Ready":              {"a duration, where seconds are due", `{controller: {minReadySeconds: 5s}}`, []string{"at '/controller/minReadySeconds': got string, want integer"}},
		"Argument":           {"not a flag", `{ingest: {extraArgs: [idle-timeout=30s]}}`, []string{"at '/ingest/extraArgs/0'", "does not match pattern"}},
		"TLSVersion":         {"a version that nobody should use", `{tls: {minVersion: "1.0"}}`, []string{"at '/tls/minVersion': value must be one of"}},
		"Path":               {"not a path", `{ingress: {path: hooks}}`, []string{"at '/ingress/path': 'hooks' does not match pattern"}},
		"TLSWithoutAny":      {"no certificate", `{tls: {enabled: true}}`, []string{"tls.enabled needs a certificate: set tls.secretName, or tls.certManager.enabled"}},
		"CertificateForNone": {"a certificate that is not used", `{tls: {certManager: {enabled: true, issuerRef: {name: ca}}}}`, []string{"tls.certManager.enabled does nothing unless tls.enabled is true"}},
		"NoIssuer":           {"nobody to sign", `{tls: {enabled: true, certManager: {enabled: true}}}`, []string{"needs tls.certManager.issuerRef"}},
		"IngressWithoutHost": {"it would take every host's path", `{ingress: {enabled: true}}`, []string{"ingress.enabled needs ingress.hosts"}},
		"RouteWithoutParent": {"nobody would serve it", `{httpRoute: {enabled: true}}`, []string{"httpRoute.enabled needs httpRoute.parentRefs"}},
		"ScalesBackwards":    {"the least is more than the most", `{ingest: {autoscaling: {enabled: true, minReplicas: 11}}}`, []string{"ingest.autoscaling.minReplicas is greater than ingest.autoscaling.maxReplicas"}},
		"DrainsTooShort":     {"the operator would refuse it", `{ingest: {drainTimeoutSeconds: 1}}`, []string{"ingest.drainTimeoutSeconds is less than ingest.acceptDeadlineSeconds"}},
		"MemoryForNoBody":    {"the operator would refuse it", `{ingest: {maxInFlightBytes: 1064959}}`, []string{"ingest.maxInFlightBytes is less than 1064960"}},
		"MemoryForNoLongest": {"the operator would refuse it", `{ingest: {maxBodyBytes: 1130496, maxInFlightBytes: 1146879}}`, []string{"ingest.maxInFlightBytes is less than 1146880"}},
		"TooMuchMemory":      {"the operator would refuse it", `{ingest: {maxInFlightBytes: 1099511627777}}`, []string{"at '/ingest/maxInFlightBytes': maximum"}},
		"DeadlineOfNothing":  {"the operator could not read it", `{ingest: {acceptDeadlineSeconds: 0.00001}}`, []string{"at '/ingest/acceptDeadlineSeconds': minimum"}},
		"ProxyAddress":       {"the operator would refuse it", `{ingest: {trustedProxies: [10.0.0.1]}}`, []string{"at '/ingest/trustedProxies/0'", "does not match pattern"}},
		"ProxyHostBits":      {"the operator would refuse it", `{ingest: {trustedProxies: [192.0.2.0/24, 10.0.0.1/8]}}`, []string{"ingest.trustedProxies has 10.0.0.1/8, which is no network"}},
		"ProxyEverybody":     {"anybody could be anybody", `{ingest: {trustedProxies: ["0.0.0.0/0"]}}`, []string{"at '/ingest/trustedProxies/0'", "does not match pattern"}},
		"LittleInteger":      {"bytes, without a unit", `{controller: {resources: {limits: {memory: 50000000}}}}`, []string{"controller.resources.limits.memory is", "it must be at least 54Mi"}},
		"MemoryForFew":       {"the pods would be killed rather than turn requests away", `{ingest: {maxInFlightBytes: 67108864}}`, []string{"ingest.resources.limits.memory is 256Mi, of which requests in flight may take 5 times ingest.maxInFlightBytes"}},
		"LabelOfSelectors":   {"the Deployment would not find its pods", `{commonLabels: {app.kubernetes.io/component: a}}`, []string{"commonLabels and ingest.podLabels cannot have app.kubernetes.io/component"}},
		"DaysForGo":          {"cert-manager would refuse it", `{tls: {certManager: {duration: 90d}}}`, []string{"at '/tls/certManager/duration': '90d' does not match pattern"}},
		"SelectorOfNothing":  {"the operator would refuse it", `{secretLabelSelector: "a b"}`, []string{"at '/secretLabelSelector': 'a b' does not match pattern"}},
		"RepositoryWithTag":  {"there would be two tags", `{image: {repository: "registry.example.com/sluice:v1"}}`, []string{"at '/image/repository'", "does not match pattern"}},
		"Affinity":           {"a name that is not known", `{ingest: {affinity: {nodeAffinty: {}}}}`, []string{"at '/ingest/affinity': additional properties 'nodeAffinty' not allowed"}},
		"Toleration":         {"a name that is not known", `{ingest: {tolerations: [{kee: a}]}}`, []string{"at '/ingest/tolerations/0': additional properties 'kee' not allowed"}},
		"NumberForVariable":  {"Kubernetes takes strings only", `{ingest: {extraEnv: [{name: A, value: 1}]}}`, []string{"at '/ingest/extraEnv/0/value': got number, want string"}},
		"ReaderOfNowhere":    {"an account is of a namespace", `{metrics: {readers: [{kind: ServiceAccount, name: prometheus}]}}`, []string{"at '/metrics/readers/0': missing property 'namespace'"}},
		"SecretForNone":      {"a certificate that is not used", `{tls: {secretName: hooks-tls}}`, []string{"tls.secretName does nothing unless tls.enabled is true"}},
		"URLWithHooks":       {"it would be there twice", `{externalURL: "https://hooks.example.com/hooks"}`, []string{"leave that away"}},
		"NodePortForNone":    {"nodes do not listen", `{service: {nodePort: 30080}}`, []string{"service.nodePort does nothing unless"}},
		"PolicyForNone":      {"nothing comes from outside", `{service: {externalTrafficPolicy: Local}}`, []string{"service.externalTrafficPolicy does nothing unless"}},
		"RangesForNone":      {"there is no load balancer to heed them", `{service: {type: NodePort, loadBalancerSourceRanges: [192.0.2.0/24]}}`, []string{"do nothing unless service.type is LoadBalancer"}},
		"RoleAgain":          {"it has the permissions of its role", `{ingest: {extraArgs: [--role=all]}}`, []string{"ingest.extraArgs has --role, which the chart sets"}},
		"ArgumentAgain":      {"there is a value for it", `{log: {level: debug}, controller: {extraArgs: [-log-level=info]}}`, []string{"controller.extraArgs has --log-level, which the chart sets"}},
		"ArgumentOfOthers":   {"permissions go with it", `{controller: {extraArgs: [--watch-namespaces=shop]}}`, []string{"controller.extraArgs has --watch-namespaces, which the chart sets"}},
		"LittleMemory":       {"it would be killed, or do nothing but collect garbage", `{ingest: {resources: {limits: {memory: 53Mi}}}}`, []string{"ingest.resources.limits.memory is 53Mi", "it must be at least 54Mi"}},
		"AlertsOfNothing":    {"nothing is served", `{metrics: {enabled: false, prometheusRule: {enabled: true}}}`, []string{"metrics.prometheusRule has nothing to look at"}},
		"SelectorTooLong":    {"the operator would refuse it", `{secretLabelSelector: "xxx` + strings.Repeat(",x", 127) + `"}`, []string{"at '/secretLabelSelector': maxLength"}},
		"MonitorOfNothing":   {"nothing is served", `{metrics: {enabled: false, serviceMonitor: {enabled: true}}}`, []string{"read nothing unless metrics.enabled is true"}},
		"BothMonitors":       {"everything twice", `{metrics: {access: open, serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}}`, []string{"would count everything twice"}},
		"MonitorWithoutWord": {"Prometheus would be turned away", `{metrics: {podMonitor: {enabled: true}}}`, []string{"metrics.podMonitor needs metrics.podMonitor.authorization"}},
		"MetricsByBoth":      {"a certificate that is not used", `{metrics: {access: open, tls: {secretName: a}}}`, []string{"metrics.tls.secretName does nothing if metrics.access is open"}},
		"NoServiceAccount":   {"none is made, and none is named", `{controller: {serviceAccount: {create: false}}}`, []string{"controller.serviceAccount.name is needed when controller.serviceAccount.create is false"}},
		"Collector":          {"not a URL", `{tracing: {endpoint: "collector:4317"}}`, []string{"at '/tracing/endpoint'", "does not match pattern"}},
		"SampleRatio":        {"more than all", `{tracing: {sampleRatio: 10}}`, []string{"at '/tracing/sampleRatio': maximum"}},
		"Trust":              {"not one of the ways", `{tracing: {trustTraceparent: "true"}}`, []string{"at '/tracing/trustTraceparent': value must be one of"}},
		"All":                {"all that is wrong, at once", `{mode: both, log: {level: trace}}`, []string{"at '/mode'", "at '/log/level'"}},
		"PolicyToAnywhere":   {"Secrets could leave the cluster", `{networkPolicy: {enabled: true}}`, []string{"networkPolicy.enabled needs networkPolicy.apiServerTo", "kubectl get endpointslices"}},
		"PolicyToNull":       {"it would be anywhere, too", `{networkPolicy: {enabled: true, apiServerTo: null}}`, []string{"networkPolicy.enabled needs networkPolicy.apiServerTo"}},
		"PeerOfNothing":      {"the API server would refuse it", `{networkPolicy: {dnsTo: [{}]}}`, []string{"at '/networkPolicy/dnsTo/0': minProperties"}},
		"PeerMisspelt":       {"the API server would leave it out", `{networkPolicy: {apiServerTo: [{ipblock: {cidr: 192.0.2.1/32}}]}}`, []string{"at '/networkPolicy/apiServerTo/0': additional properties 'ipblock' not allowed"}},
		"AllContradictions":  {"all that is wrong, at once", `{tls: {enabled: true}, ingress: {enabled: true}}`, []string{"- tls.enabled needs", "- ingress.enabled needs"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := render(t, tc.values)
			if err == nil {
				t.Fatalf("%s: it is accepted", tc.reason)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q is not in\n%s", tc.reason, want, err)
				}
			}
		})
	}
}

// TestPartOfAnotherChart renders a chart that has this one as a dependency, which hands over values
// of its own.
func TestPartOfAnotherChart(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	files := map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n  - {name: sluice, version: '*', condition: sluice.enabled}\n",
		"values.yaml": "global: {registry: example.com}\nsluice: {enabled: true, mode: all}\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(parent, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(parent, "charts", "sluice"), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := run(t, "", nil, helm, "template", "platform", parent, "--namespace", system)
	if err != nil {
		t.Fatalf("render: %v\n%s", err, stderr)
	}
	var names []string
	for _, object := range parse(t, stdout) {
		if object.GetKind() == "Deployment" {
			names = append(names, object.GetName())
		}
	}
	if diff := cmp.Diff([]string{"platform-sluice-all"}, names); diff != "" {
		t.Errorf("the Deployments (-want +got):\n%s", diff)
	}
}

// TestNames renders the chart for releases whose names make long ones.
func TestNames(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, release, values, want string }{
		"Release":      {"the chart's name is in it already", "my-sluice", `{}`, "my-sluice-ingest"},
		"Other":        {"both are in it", "hooks", `{}`, "hooks-sluice-ingest"},
		"Override":     {"what the user wants", "hooks", `{fullnameOverride: gate}`, "gate-ingest"},
		"NameOverride": {"what the user wants", "hooks", `{nameOverride: gate}`, "hooks-gate-ingest"},
		"Dots":         {"a Service's name has none", "team.sluice", `{}`, "team-sluice-ingest"},
		"CutAtADot":    {"it must not end in one", strings.Repeat("a", 45) + ".b", `{}`, strings.Repeat("a", 45) + "-ingest"},
		"CutAtTwo":     {"it must not end in one", strings.Repeat("a", 44) + "--b.c", `{}`, strings.Repeat("a", 44) + "-ingest"},
		"Long":         {"cut, so that the longest is a DNS label", strings.Repeat("a", 53), `{}`, strings.Repeat("a", 46) + "-ingest"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := run(t, tc.values, nil, helm, "template", tc.release, chart, "--namespace", system, "--values", "-")
			if err != nil {
				t.Fatalf("render: %v\n%s", err, stderr)
			}
			objects := parse(t, stdout)
			if !slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Service" && o.GetName() == tc.want }) {
				t.Errorf("%s: there is no Service %q", tc.reason, tc.want)
			}
			accept(t, objects)
		})
	}
}

// TestNameOfNoService has a release whose name would make a Service's that is none. Helm allows it,
// and the API server did not always.
func TestNameOfNoService(t *testing.T) {
	t.Parallel()
	_, stderr, err := run(t, "", nil, helm, "template", "1.sluice", chart, "--namespace", system)
	if want := `"1-sluice" cannot begin the names of objects`; err == nil || !strings.Contains(stderr, want) || !strings.Contains(stderr, "set fullnameOverride") {
		t.Errorf("%q is not in what Helm says (%v):\n%s", want, err, stderr)
	}
	if _, stderr, err := run(t, "", nil, helm, "template", "1.sluice", chart, "--namespace", system, "--set", "fullnameOverride=first-sluice"); err != nil {
		t.Errorf("another name does not help: %v\n%s", err, stderr)
	}
}

// TestLongVersion renders a chart of a version that is longer than a label may be, and cut where no
// label may end.
func TestLongVersion(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), "sluice")
	if err := os.CopyFS(long, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	begin := "0.1.0-" + strings.Repeat("a", 63-len("sluice-0.1.0-."))
	about := filepath.Join(long, "Chart.yaml")
	raw, err := os.ReadFile(about)
	if err != nil {
		t.Fatal(err)
	}
	raw = regexp.MustCompile(`(?m)^version: .*$`).ReplaceAll(raw, []byte("version: "+begin+".b+c"))
	if err := os.WriteFile(about, raw, 0o600); err != nil { //nolint:gosec // the test has made the folder
		t.Fatal(err)
	}
	stdout, stderr, err := run(t, "", nil, helm, "template", "sluice", long, "--namespace", system)
	if err != nil {
		t.Fatalf("render: %v\n%s", err, stderr)
	}
	objects := parse(t, stdout)
	if label := objects[0].GetLabels()["helm.sh/chart"]; label != "sluice-"+begin {
		t.Errorf("the label helm.sh/chart is %q, want %q", label, "sluice-"+begin)
	}
	accept(t, objects)
}

// TestSchemaAndValues shows that what the schema allows is in values.yaml, and so in the README.
// That what is in values.yaml is allowed is what every rendering shows.
func TestSchemaAndValues(t *testing.T) {
	t.Parallel()
	read := func(name string) map[string]any {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(chart, name))
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := yaml.UnmarshalStrict(raw, &content); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return content
	}
	schema, values := read("values.schema.json"), read("values.yaml")
	var compare func(path string, schema, values map[string]any)
	compare = func(path string, part, values map[string]any) {
		if ref, ok := part["$ref"].(string); ok {
			defs, _ := schema["$defs"].(map[string]any)
			def, _ := defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
			if def == nil {
				t.Fatalf("%s: there is no %s", path, ref)
			}
			compare(path, def, values)
		}
		properties, _ := part["properties"].(map[string]any)
		if path == "resources" || strings.HasSuffix(path, ".resources") {
			return // the API's own
		}
		for name, property := range properties {
			// These are what Helm hands over by itself.
			if path == "" && (name == "global" || name == "enabled") {
				continue
			}
			value, ok := values[name]
			if !ok {
				t.Errorf("values.yaml has no %s", strings.TrimPrefix(path+"."+name, "."))
				continue
			}
			nested, isObject := value.(map[string]any)
			if sub, ok := property.(map[string]any); ok && isObject && len(nested) > 0 {
				compare(strings.TrimPrefix(path+"."+name, "."), sub, nested)
			}
		}
	}
	compare("", schema, values)
}
