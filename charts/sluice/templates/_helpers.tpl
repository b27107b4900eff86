{{/* The name of the chart. */}}
{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
What the names of all objects begin with. 46 characters leave room for what is appended: names are DNS labels, in which a release's
name may have dots.
*/}}
{{- define "sluice.fullname" -}}
{{- $name := include "sluice.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | replace "." "-" | trunc 46 | regexFind "^.*[^-]" }}
{{- end }}

{{/*
What the names of cluster-wide objects end in that releases of some namespaces have too, so that each team may call its own
sluice. Takes the chart's root.
*/}}
{{- define "sluice.clusterSuffix" -}}
{{- if .Values.watchNamespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* The labels by which a component's pods are found; of all components if the component is empty. Takes (list $ component). */}}
{{- define "sluice.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "sluice.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/*
The labels of an object. Takes (list $ component), or (list $ component more); the component may be empty. Each is there once:
not all that read YAML take the second of two.
*/}}
{{- define "sluice.labels" -}}
{{- $root := index . 0 -}}
{{- $selected := include "sluice.selectorLabels" (list $root (index . 1)) | fromYaml -}}
{{- $more := gt (len .) 2 | ternary (last .) dict | default dict -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | regexFind "^.*[A-Za-z0-9]" -}}
{{- $own := dict "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" $chart -}}
{{- merge $selected $more ($root.Values.commonLabels | default dict) $own | toYaml }}
{{- end }}

{{/* The components as a JSON array. Each has a Deployment, and is the role of its pods. */}}
{{- define "sluice.components" -}}
{{- if eq .Values.mode "all" }}["all"]{{ else }}["ingest", "controller"]{{ end }}
{{- end }}

{{/* The component that serves webhooks. */}}
{{- define "sluice.server" -}}
{{- if eq .Values.mode "all" }}all{{ else }}ingest{{ end }}
{{- end }}

{{/* The values of a component, as JSON. Takes (list $ component). */}}
{{- define "sluice.settings" -}}
{{- $root := index . 0 -}}
{{- eq (index . 1) "controller" | ternary $root.Values.controller $root.Values.ingest | toJson }}
{{- end }}

{{/* The name of a component's service account. Takes (list $ component). */}}
{{- define "sluice.serviceAccountName" -}}
{{- $settings := include "sluice.settings" . | fromJson -}}
{{- if $settings.serviceAccount.create -}}
{{- $settings.serviceAccount.name | default (printf "%s-%s" (include "sluice.fullname" (index . 0)) (index . 1)) }}
{{- else -}}
{{- required (printf "%s.serviceAccount.name is needed when %[1]s.serviceAccount.create is false" (eq (index . 1) "controller" | ternary "controller" "ingest")) $settings.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The image's reference. A digest takes the place of the tag. */}}
{{- define "sluice.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of the Secret with the certificate for webhooks. */}}
{{- define "sluice.tlsSecretName" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "sluice.fullname" .)) }}
{{- end }}

{{/* The port of the Service for webhooks. */}}
{{- define "sluice.servicePort" -}}
{{- .Values.service.port | default (.Values.tls.enabled | ternary 443 80) | int }}
{{- end }}

{{/*
The rules of a Role or ClusterRole of config/rbac, from which files/rbac is a copy. Takes (list $ name), with the name it
has there.
*/}}
{{- define "sluice.rules" -}}
{{- $name := index . 1 -}}
{{- $found := dict -}}
{{- range $path, $content := (index . 0).Files.Glob "files/rbac/*.yaml" -}}
{{- range regexSplit "(?m)^---$" (toString $content) -1 -}}
{{- $role := fromYaml . -}}
{{- if eq (dig "metadata" "name" "" $role) $name }}{{ $_ := set $found "rules" $role.rules }}{{ end -}}
{{- end -}}
{{- end -}}
{{- required (printf "files/rbac has no role %s" $name) $found.rules | toYaml }}
{{- end }}

{{/*
Nine tenths of a memory limit in the form of GOMEMLIMIT, so that Go collects garbage rather than be killed. The rest is
for what Go does not count, such as the kernel's buffers of connections. It is computed, because a resourceFieldRef gives
the whole limit only. The schema has seen to it that the limit has one of these forms.
*/}}
{{- define "sluice.goMemoryLimit" -}}
{{- $text := kindIs "string" . | ternary . (printf "%d" (int64 .)) -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- divf (mulf (float64 $number) (get $units $unit) 0.9) 1048576 | floor | int64 }}MiB
{{- end }}

{{/* The flags of a component, as a YAML list. Takes (list $ component). What is the operator's default is not said. */}}
{{- define "sluice.args" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
{{- $component := index . 1 -}}
{{- $settings := include "sluice.settings" . | fromJson -}}
- --role={{ $component }}
{{- with $values.externalURL }}
- {{ printf "--external-url=%s" . | quote }}
{{- end }}
{{- with $values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- with $values.secretLabelSelector }}
- {{ printf "--secret-label-selector=%s" . | quote }}
{{- end }}
{{- if ne $component "controller" }}
- --shutdown-delay={{ $settings.shutdownDelaySeconds }}s
- --drain-timeout={{ $settings.drainTimeoutSeconds }}s
{{- with $settings.maxBodyBytes }}
- --max-body-bytes={{ int64 . }}
{{- end }}
{{- with $settings.maxInFlightBytes }}
- --max-in-flight-bytes={{ int64 . }}
{{- end }}
{{- with $settings.acceptDeadlineSeconds }}
- --accept-deadline={{ . }}s
{{- /* The operator wants room for it after --read-timeout (15s), and its default (20s) has that for 5 seconds. */}}
{{- if and (gt (float64 .) 5.0) (not (regexMatch "(^|\n)--?write-timeout" (join "\n" $settings.extraArgs))) }}
- --write-timeout={{ addf 15 . }}s
{{- end }}
{{- end }}
{{- with $settings.trustedProxies }}
- {{ printf "--trusted-proxies=%s" (join "," .) | quote }}
{{- end }}
{{- with $values.tracing }}
{{- if .endpoint }}
- {{ printf "--tracing-endpoint=%s" .endpoint | quote }}
{{- if not (kindIs "invalid" .sampleRatio) }}
- --tracing-sample-ratio={{ .sampleRatio }}
{{- end }}
{{- with .trustTraceparent }}
- --trust-traceparent={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- with $values.tls }}
{{- if .enabled }}
- --tls-cert-file=/etc/sluice/tls/tls.crt
- --tls-key-file=/etc/sluice/tls/tls.key
{{- with .minVersion }}
- --tls-min-version={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $values.metrics }}
{{- if not .enabled }}
- --metrics-bind-address=0
{{- else if eq .access "open" }}
- --metrics-access=open
{{- else if .tls.secretName }}
- --metrics-tls-cert-file=/etc/sluice/metrics-tls/tls.crt
- --metrics-tls-key-file=/etc/sluice/metrics-tls/tls.key
{{- end }}
{{- end }}
{{- with $values.log }}
{{- if ne .level "info" }}
- --log-level={{ .level }}
{{- end }}
{{- if ne .format "json" }}
- --log-format={{ .format }}
{{- end }}
{{- end }}
{{- range $settings.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Values that contradict each other, which the schema cannot say in words. */}}
{{- define "sluice.checks" -}}
{{- $problems := list -}}
{{- $fullname := include "sluice.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) -}}
{{- $problems = append $problems (printf "%q cannot begin the names of objects, as a Service's must be lower-case letters, digits and hyphens, and begin with a letter: give the release another name, or set fullnameOverride" $fullname) -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if and .enabled (not .secretName) (not .certManager.enabled) -}}
{{- $problems = append $problems "tls.enabled needs a certificate: set tls.secretName, or tls.certManager.enabled" -}}
{{- end -}}
{{- if and .secretName (not .enabled) -}}
{{- $problems = append $problems "tls.secretName does nothing unless tls.enabled is true" -}}
{{- end -}}
{{- if and .certManager.enabled (not .enabled) -}}
{{- $problems = append $problems "tls.certManager.enabled does nothing unless tls.enabled is true" -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef) -}}
{{- $problems = append $problems "tls.certManager.enabled needs tls.certManager.issuerRef, such as {kind: ClusterIssuer, name: letsencrypt}" -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "/hooks/?$" .Values.externalURL -}}
{{- $problems = append $problems "externalURL is what comes before the path of a trigger, which begins with /hooks: leave that away" -}}
{{- end -}}
{{- with .Values.service -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
{{- $problems = append $problems "service.nodePort does nothing unless service.type is NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and .externalTrafficPolicy (eq .type "ClusterIP") -}}
{{- $problems = append $problems "service.externalTrafficPolicy does nothing unless service.type is NodePort or LoadBalancer" -}}
{{- end -}}
{{- if and (or .loadBalancerClass .loadBalancerSourceRanges) (ne .type "LoadBalancer") -}}
{{- $problems = append $problems "service.loadBalancerClass and service.loadBalancerSourceRanges do nothing unless service.type is LoadBalancer" -}}
{{- end -}}
{{- end -}}
{{- range $component := include "sluice.components" . | fromJsonArray -}}
{{- $key := eq $component "controller" | ternary "controller" "ingest" -}}
{{- $settings := get $.Values $key -}}
{{- $given := list -}}
{{- range include "sluice.args" (list $ $component) | fromYamlArray }}{{ $given = append $given (printf "--%s" (regexFind "[a-z][a-z-]*" .)) }}{{ end -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if or (hasKey ($settings.podLabels | default dict) $label) (hasKey ($.Values.commonLabels | default dict) $label) -}}
{{- $problems = append $problems (printf "commonLabels and %s.podLabels cannot have %s, by which pods are found" $key $label) -}}
{{- end -}}
{{- end -}}
{{- range $settings.extraArgs -}}
{{- $flag := printf "--%s" (regexFind "[a-z][a-z-]*" .) -}}
{{- $count := 0 -}}
{{- range $given }}{{ if eq . $flag }}{{ $count = add1 $count }}{{ end }}{{ end -}}
{{- if or (gt $count 1) (has $flag (list "--watch-namespaces" "--secret-label-selector" "--ingest-bind-address" "--health-probe-bind-address" "--metrics-bind-address" "--metrics-access" "--tls-cert-file" "--tls-key-file")) -}}
{{- $problems = append $problems (printf "%s.extraArgs has %s, which the chart sets, and other objects with it: there is a value for it, or it must be what it is" $key $flag) -}}
{{- end -}}
{{- end -}}
{{- with dig "limits" "memory" "" ($settings.resources | default dict) -}}
{{- /* In MiB. Requests in flight take about 5 times what they may hold of bodies; nothing is known of what else there is. */ -}}
{{- $limit := include "sluice.goMemoryLimit" . | trimSuffix "MiB" | int64 -}}
{{- if lt $limit 48 -}}
{{- $problems = append $problems (printf "%s.resources.limits.memory is %v, and a process that has nothing to do needs 40 MiB: it must be at least 54Mi" $key .) -}}
{{- else if and (ne $component "controller") (lt $limit (div (mul 5 (int64 ($settings.maxInFlightBytes | default 33554432))) 1048576)) -}}
{{- $problems = append $problems (printf "ingest.resources.limits.memory is %v, of which requests in flight may take 5 times ingest.maxInFlightBytes (33554432 if that is null): raise the limit, or lower ingest.maxInFlightBytes" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $problems = append $problems "ingress.enabled needs ingress.hosts" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $problems = append $problems "httpRoute.enabled needs httpRoute.parentRefs: which Gateways is it for?" -}}
{{- end -}}
{{- with .Values.networkPolicy -}}
{{- if and .enabled (not .apiServerTo) -}}
{{- $problems = append $problems "networkPolicy.enabled needs networkPolicy.apiServerTo: where is the API server? `kubectl get endpointslices --namespace=default --selector=kubernetes.io/service-name=kubernetes` says it, for [{ipBlock: {cidr: 192.0.2.1/32}}]. [{ipBlock: {cidr: 0.0.0.0/0}}] is anywhere, also for whoever takes a pod over" -}}
{{- end -}}
{{- end -}}
{{- with .Values.ingest.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- $problems = append $problems "ingest.autoscaling.minReplicas is greater than ingest.autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- with .Values.ingest -}}
{{- if gt (float64 (.acceptDeadlineSeconds | default 2)) (float64 .drainTimeoutSeconds) -}}
{{- $problems = append $problems "ingest.drainTimeoutSeconds is less than ingest.acceptDeadlineSeconds (2 if that is null)" -}}
{{- end -}}
{{- range .trustedProxies -}}
{{- $parts := regexFindAll "[0-9]+" . -1 -}}
{{- if not (contains ":" .) -}}
{{- $address := 0 -}}
{{- range slice $parts 0 4 -}}{{- $address = add (mul $address 256) (int64 .) -}}{{- end -}}
{{- $size := 1 -}}
{{- range until (int (sub 32 (int (last $parts)))) -}}{{- $size = mul $size 2 -}}{{- end -}}
{{- if mod $address $size -}}
{{- $problems = append $problems (printf "ingest.trustedProxies has %s, which is no network: it has bits beyond its length" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .maxInFlightBytes -}}
{{- $least := add (int64 ($.Values.ingest.maxBodyBytes | default 1048576)) 16384 -}}
{{- if lt (int64 .) $least -}}
{{- $problems = append $problems (printf "ingest.maxInFlightBytes is less than %d, so the longest body would have no room: it must be at least ingest.maxBodyBytes (1048576 if that is null) and 16384" $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.metrics -}}
{{- if and (not .enabled) (or .serviceMonitor.enabled .podMonitor.enabled) -}}
{{- $problems = append $problems "metrics.serviceMonitor and metrics.podMonitor read nothing unless metrics.enabled is true" -}}
{{- end -}}
{{- if and (not .enabled) .prometheusRule.enabled -}}
{{- $problems = append $problems "metrics.prometheusRule has nothing to look at, and its alert SluiceAbsent would fire, unless metrics.enabled is true" -}}
{{- end -}}
{{- if and .serviceMonitor.enabled .podMonitor.enabled -}}
{{- $problems = append $problems "metrics.serviceMonitor and metrics.podMonitor would count everything twice; enable one of them" -}}
{{- end -}}
{{- if and .enabled .podMonitor.enabled (eq .access "authorized") (not .podMonitor.authorization) -}}
{{- $problems = append $problems "metrics.podMonitor needs metrics.podMonitor.authorization, because it cannot use the token of Prometheus' own service account; or use metrics.serviceMonitor, or set metrics.access to open" -}}
{{- end -}}
{{- if and .tls.secretName (eq .access "open") -}}
{{- $problems = append $problems "metrics.tls.secretName does nothing if metrics.access is open, which is HTTP" -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "these values do not go together:\n- %s" (join "\n- " $problems)) -}}
{{- end -}}
{{- end }}
