{{/* The two kinds of pods: those of the API, and with worker.enabled those of the workers. All objects of the second are
rendered by the templates of the first, from values with the worker's own in their place. */}}

{{/* Fills a dict: `all` has a context for each kind of pods. Takes (list . DICT). */}}
{{- define "agent-api.pods" -}}
{{- $root := first . -}}{{- $pods := last . -}}
{{- $all := list $root -}}
{{- if ($root.Values.worker | default dict).enabled -}}
{{- $worker := dict -}}
{{- include "agent-api.asWorker" (list $root $worker) -}}
{{- $all = append $all $worker -}}
{{- end -}}
{{- $_ := set $pods "all" $all -}}
{{- end }}

{{/* Fills a dict with the context of the workers' pods. Takes (list . DICT). */}}
{{- define "agent-api.asWorker" -}}
{{- $root := first . -}}{{- $context := last . -}}
{{- $worker := $root.Values.worker -}}
{{- $values := deepCopy $root.Values -}}
{{- range $name := list "resources" "strategy" "autoscaling" "podDisruptionBudget" -}}
{{- $_ := set $values $name (get $worker $name | default dict) -}}
{{- end -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" "drainSeconds" -}}
{{- if and (hasKey $worker $name) (not (kindIs "invalid" (get $worker $name))) -}}{{- $_ := set $values $name (get $worker $name) -}}{{- end -}}
{{- end -}}
{{- range $name := list "podAnnotations" "podLabels" -}}
{{- $_ := set $values $name (include "agent-api.merged" (list (get $values $name) (get $worker $name)) | fromYaml) -}}
{{- end -}}
{{- $_ := set $values "extraEnv" (concat ($values.extraEnv | default list) ($worker.extraEnv | default list)) -}}
{{- $_ := set $values "replicaCount" $worker.replicaCount -}}
{{- /* No Service leads to them, so there are no endpoints to wait for. */ -}}
{{- $_ := set $values "preStopSeconds" 0 -}}
{{- range $key, $value := $root -}}{{- $_ := set $context $key $value -}}{{- end -}}
{{- $_ := set $context "Values" $values -}}
{{- $_ := set $context "component" "worker" -}}
{{- end }}

{{- define "agent-api.component" -}}{{ get . "component" | default "api" }}{{- end }}

{{- define "agent-api.isWorker" -}}{{ ternary "true" "" (eq (include "agent-api.component" .) "worker") }}{{- end }}

{{/* What a value is called in a sentence about it: those of the workers stand below `worker`. */}}
{{- define "agent-api.where" -}}{{ ternary "worker." "" (eq (include "agent-api.component" .) "worker") }}{{- end }}

{{/* The variables that only the workers' pods have, as a list in YAML. */}}
{{- define "agent-api.workerVariables" -}}
{{- $variables := list -}}
{{- if include "agent-api.isWorker" . -}}
{{- $variables = append $variables (dict "name" "WORKERS" "value" (.Values.worker.concurrency | default 16 | toString)) -}}
{{- if not (kindIs "invalid" .Values.worker.drainSeconds) -}}
{{- $variables = append $variables (dict "name" "DRAIN_SECONDS" "value" (toString .Values.worker.drainSeconds)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* The query of the queue's age: all workers read the same number from the store. */}}
{{- define "agent-api.queueAgeQuery" -}}
{{- .Values.autoscaling.keda.query | default (printf "max(agent_run_queue_age_seconds{namespace=\"%s\",service=\"%s-metrics\"})" .Release.Namespace (include "agent-api.objectName" .)) -}}
{{- end }}

{{/* Workers that would find no runs, and a queue that would call nobody. */}}
{{- define "agent-api.validateWorker" -}}
{{- $v := .Values -}}
{{- $worker := $v.worker | default dict -}}
{{- $queue := $v.runQueue | default dict -}}
{{- if and $queue.existingSecret $queue.url -}}
{{- fail "runQueue.existingSecret and runQueue.url are both set: give the address by one of them." -}}
{{- end -}}
{{- if not (include "agent-api.sharesState" .) -}}
{{- if $worker.enabled -}}
{{- fail "worker.enabled needs a Redis that the pods share: the workers could not read the runs that the API takes. Set redis.existingSecret (or redis.url)." -}}
{{- end -}}
{{- if or $queue.existingSecret $queue.url -}}
{{- fail "runQueue is set, but there is no Redis: the workers that it calls could not read the runs. Set redis.existingSecret (or redis.url)." -}}
{{- end -}}
{{- end -}}
{{- if $worker.enabled -}}
{{- $context := dict -}}
{{- include "agent-api.asWorker" (list . $context) -}}
{{- include "agent-api.validateScale" $context -}}
{{- with ($worker.autoscaling | default dict).keda | default dict -}}
{{- if and .enabled (not .serverAddress) -}}
{{- fail "worker.autoscaling.keda.enabled needs worker.autoscaling.keda.serverAddress: Prometheus, which is asked how long runs wait." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
