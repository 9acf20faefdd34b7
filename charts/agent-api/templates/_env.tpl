{{/* The variables of a container: each name once, and what the user gives wins. */}}

{{/*
Variables as a list in YAML. Takes (dict "own" YAML "derived" YAML "user" LIST). Kubernetes expands $(NAME) from
variables that stand above, so the user's may refer to the chart's own, and `derived` may refer to both.
*/}}
{{- define "agent-api.env" -}}
{{- $given := dict -}}
{{- $user := list -}}
{{- range reverse (.user | default list) -}}
{{- if not (hasKey $given .name) -}}
{{- $_ := set $given .name true -}}
{{- $user = prepend $user . -}}
{{- end -}}
{{- end -}}
{{- $variables := list -}}
{{- range .own | fromYamlArray -}}{{- if not (hasKey $given .name) -}}{{- $variables = append $variables . -}}{{- end -}}{{- end -}}
{{- $variables = concat $variables $user -}}
{{- range .derived | fromYamlArray -}}{{- if not (hasKey $given .name) -}}{{- $variables = append $variables . -}}{{- end -}}{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* The variables of the service's container. */}}
{{- define "agent-api.serviceEnv" -}}
{{- $own := list (dict "name" "HOST" "value" (.Values.host | default "::")) (dict "name" "PORT" "value" "8000") (dict "name" "METRICS_PORT" "value" "9090") -}}
{{- $derived := list -}}
{{- if .Values.tracing.endpoint -}}
{{- $own = append $own (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "apiVersion" "v1" "fieldPath" "metadata.name"))) -}}
{{- $derived = append $derived (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" (printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME)" .Release.Namespace)) -}}
{{- end -}}
{{- $own = concat $own (include "agent-api.workerVariables" . | fromYamlArray) (include "agent-api.secretVariables" . | fromYamlArray) (include "agent-api.caVariables" . | fromYamlArray) -}}
{{- $user := include "agent-api.withNoProxy" (list . .Values.extraEnv) | fromYamlArray -}}
{{- include "agent-api.env" (dict "own" (toYaml $own) "derived" (toYaml $derived) "user" $user) -}}
{{- end }}

{{/* The variables of the sidecar. Only the pod itself can reach it: Ollama has no authentication. */}}
{{- define "agent-api.ollamaEnv" -}}
{{- $own := list (dict "name" "OLLAMA_HOST" "value" "127.0.0.1:11434") (dict "name" "HOME" "value" "/ollama") (dict "name" "OLLAMA_MODELS" "value" "/ollama/models") -}}
{{- $own = concat $own (include "agent-api.caVariables" . | fromYamlArray) -}}
{{- $user := include "agent-api.withNoProxy" (list . .Values.ollama.extraEnv) | fromYamlArray -}}
{{- include "agent-api.env" (dict "own" (toYaml $own) "derived" "[]" "user" $user) -}}
{{- end }}

{{/* The address of the sidecar inside the pod, whose port is another where ollama.extraEnv says so. */}}
{{- define "agent-api.ollamaAddress" -}}
{{- $port := ":11434" -}}
{{- range .Values.ollama.extraEnv -}}
{{- if eq .name "OLLAMA_HOST" -}}{{- $port = regexFind ":[0-9]+$" (trimSuffix "/" (.value | default "")) | default ":11434" -}}{{- end -}}
{{- end -}}
http://127.0.0.1{{ $port }}
{{- end }}

{{/* The value that extraEnv gives a variable, if it gives a plain one. Takes (list . NAME). */}}
{{- define "agent-api.given" -}}
{{- $name := last . -}}{{- $value := "" -}}
{{- range (first .).Values.extraEnv -}}{{- if eq .name $name -}}{{- $value = .value | default "" -}}{{- end -}}{{- end -}}
{{- $value -}}
{{- end }}

{{/* Whether a variable is, or may be, set by the user's own means. Takes (list . NAME). */}}
{{- define "agent-api.setElsewhere" -}}
{{- $values := (first .).Values -}}{{- $name := last . -}}
{{- if $values.extraEnvFrom -}}true{{- end -}}
{{- range $values.extraEnv -}}{{- if eq .name $name -}}true{{- end -}}{{- end -}}
{{- end }}
