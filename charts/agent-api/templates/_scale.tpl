{{/* How many pods there are, and how they are replaced. */}}

{{/* The fewest pods there will be; where a scaler of the user's own decides, two, since it may be several. */}}
{{- define "agent-api.minReplicas" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.minReplicas }}
{{- else if kindIs "invalid" .Values.replicaCount -}}2
{{- else -}}{{ .Values.replicaCount }}
{{- end -}}
{{- end }}

{{/* Whether several pods may run at once. */}}
{{- define "agent-api.severalPods" -}}
{{- if or .Values.autoscaling.enabled (gt (int (include "agent-api.minReplicas" .)) 1) -}}true{{- end -}}
{{- end }}

{{/*
Who sets the number of pods, as a map in YAML: `by` is chart or scaler, `replicas` the number to render, if any.

A scaler's Deployment has no `replicas`. But a release that had them cannot just lose them: Helm and kubectl then remove
the field, and the API server puts 1 in its place. So where the last release rendered them (which an annotation of the
Deployment says; an older chart did unless it had an autoscaler), what runs is rendered from then on. Without a cluster
to ask, as in `helm template`, nothing is.
*/}}
{{- define "agent-api.replicas" -}}
{{- $result := dict "by" "chart" -}}
{{- if and (not .Values.autoscaling.enabled) (not (kindIs "invalid" .Values.replicaCount)) -}}
{{- $_ := set $result "replicas" (int .Values.replicaCount) -}}
{{- else -}}
{{- $_ := set $result "by" "scaler" -}}
{{- $name := include "agent-api.objectName" . -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- $noted := get (.metadata.annotations | default dict) "agent-api/replicas" -}}
{{- $rendered := eq $noted "rendered" -}}
{{- if and (not $noted) (not (lookup "autoscaling/v2" "HorizontalPodAutoscaler" $.Release.Namespace $name)) -}}{{- $rendered = true -}}{{- end -}}
{{- if $rendered -}}{{- $_ := set $result "replicas" (int .spec.replicas) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $result -}}
{{- end }}

{{/* Whether one node alone can mount the models, so that an old and a new pod cannot run together. */}}
{{- define "agent-api.modelsOnOneNode" -}}
{{- with .Values.ollama -}}
{{- if and .enabled .persistence.enabled (ne .persistence.accessMode "ReadWriteMany") -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* The strategy in YAML. A new pod that waits for the GPU or the volume of an old one would wait for ever. */}}
{{- define "agent-api.strategy" -}}
{{- if .Values.strategy -}}{{- toYaml .Values.strategy -}}
{{- else if or (include "agent-api.modelsOnOneNode" .) (and .Values.ollama.enabled .Values.ollama.gpu.enabled) -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 25%
  maxUnavailable: 0
{{- end -}}
{{- end }}

{{- define "agent-api.validateScale" -}}
{{- $v := .Values -}}
{{- $where := include "agent-api.where" . -}}
{{- $activeRequests := $v.autoscaling.activeRequests | default dict -}}
{{- $queueAge := $v.autoscaling.queueAge | default dict -}}
{{- $keda := $v.autoscaling.keda | default dict -}}
{{- $queueDepth := $v.autoscaling.queueDepth | default dict -}}
{{- if and (include "agent-api.modelsOnOneNode" .) (or (include "agent-api.severalPods" .) ($v.worker | default dict).enabled) -}}
{{- fail (printf "ollama.persistence.accessMode is %s, which one node alone may mount, but more than one replica is asked for: use ReadWriteMany, or leave persistence off so that each pod pulls its own models." $v.ollama.persistence.accessMode) -}}
{{- end -}}
{{- if and $v.strategy (eq ($v.strategy.type | default "RollingUpdate") "Recreate") $v.strategy.rollingUpdate -}}
{{- fail (printf "%sstrategy.rollingUpdate is set, but %sstrategy.type is Recreate: leave one of them out." $where $where) -}}
{{- end -}}
{{- if $keda.enabled -}}
{{- if not $v.autoscaling.enabled -}}
{{- fail (printf "%sautoscaling.keda.enabled needs %sautoscaling.enabled=true as well." $where $where) -}}
{{- end -}}
{{- if $queueDepth.enabled -}}
{{- fail "autoscaling.queueDepth is a metric of the HorizontalPodAutoscaler's own: with KEDA, give a trigger of type prometheus in autoscaling.keda.triggers." -}}
{{- end -}}
{{- if $queueAge.enabled -}}
{{- fail "worker.autoscaling.queueAge is a metric of the HorizontalPodAutoscaler's own: KEDA asks Prometheus for it, so leave it off." -}}
{{- end -}}
{{- if $activeRequests.enabled -}}
{{- fail "autoscaling.activeRequests is a metric of the HorizontalPodAutoscaler's own: with KEDA, give a trigger of type prometheus in autoscaling.keda.triggers." -}}
{{- end -}}
{{- end -}}
{{- if and $queueDepth.enabled (eq (toString ($v.maxConcurrentCalls | default "off")) "off") (not (or $v.extraEnv $v.extraEnvFrom)) -}}
{{- fail "autoscaling.queueDepth.enabled needs maxConcurrentCalls: without a maximum no model call ever waits." -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- fail (printf "%sautoscaling.minReplicas (%d) is above %sautoscaling.maxReplicas (%d)." $where (int $v.autoscaling.minReplicas) $where (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if kindIs "invalid" $v.autoscaling.targetCPUUtilizationPercentage -}}
{{- if $where -}}
{{- if not (or $queueAge.enabled $keda.enabled) -}}
{{- fail "worker.autoscaling.targetCPUUtilizationPercentage is null and nothing else is scaled on: set it, or worker.autoscaling.queueAge.enabled, or worker.autoscaling.keda.enabled." -}}
{{- end -}}
{{- else if not (or $activeRequests.enabled $queueDepth.enabled (and $keda.enabled $keda.triggers)) -}}
{{- fail "autoscaling.targetCPUUtilizationPercentage is null and nothing else is scaled on: set it, or autoscaling.activeRequests.enabled, or autoscaling.queueDepth.enabled, or autoscaling.keda.triggers." -}}
{{- end -}}
{{- else if not (dig "requests" "cpu" "" $v.resources) -}}
{{- fail (printf "%sautoscaling.enabled needs %sresources.requests.cpu: the target is a percentage of it." $where $where) -}}
{{- end -}}
{{- end -}}
{{- end }}
