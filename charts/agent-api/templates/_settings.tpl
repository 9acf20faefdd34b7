{{/* What follows from the values: the models, the ports that are called, the number of pods. */}}

{{/* The models in order of preference, separated by commas. */}}
{{- define "agent-api.models" -}}
{{- if .Values.models -}}
{{- join "," .Values.models -}}
{{- else if or .Values.ollama.enabled .Values.ollama.url -}}
{{- printf "ollama/%s" .Values.ollama.model -}}
{{- else -}}
demo
{{- end -}}
{{- end }}

{{/* The names of the models that the sidecar serves, separated by spaces. */}}
{{- define "agent-api.ollamaModels" -}}
{{- $names := list -}}
{{- range splitList "," (include "agent-api.models" .) -}}
{{- if hasPrefix "ollama/" . -}}{{- $names = append $names (trimPrefix "ollama/" .) -}}{{- end -}}
{{- end -}}
{{- join " " $names -}}
{{- end }}

{{/* The fewest pods there will be. */}}
{{- define "agent-api.minReplicas" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.minReplicas }}{{- else -}}{{ .Values.replicaCount }}{{- end -}}
{{- end }}

{{/* Whether one node alone can mount the models, so that an old and a new pod cannot run together. */}}
{{- define "agent-api.modelsOnOneNode" -}}
{{- with .Values.ollama -}}
{{- if and .enabled .persistence.enabled (ne .persistence.accessMode "ReadWriteMany") -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "agent-api.gracePeriod" -}}
{{- add .Values.preStopSeconds .Values.drainSeconds .Values.marginSeconds -}}
{{- end }}

{{/* The port of a URL: the one written, else its scheme's. */}}
{{- define "agent-api.urlPort" -}}
{{- $url := urlParse . -}}
{{- $written := regexFind ":[0-9]+$" $url.host -}}
{{- if $written -}}{{- trimPrefix ":" $written -}}
{{- else -}}{{- get (dict "http" "80" "https" "443" "redis" "6379" "rediss" "6379") $url.scheme -}}
{{- end -}}
{{- end }}

{{/* Whether the chart makes a Secret: only for what is given as a value. */}}
{{- define "agent-api.hasSecret" -}}
{{- if or .Values.anthropic.apiKey .Values.openai.apiKey .Values.redis.url -}}true{{- end -}}
{{- end }}

{{/* The variables that come from secrets: the user's own by name, else the chart's. */}}
{{- define "agent-api.secretVariables" -}}
{{- $variables := list (list "ANTHROPIC_API_KEY" .Values.anthropic .Values.anthropic.apiKey) (list "OPENAI_API_KEY" .Values.openai .Values.openai.apiKey) (list "REDIS_URL" .Values.redis .Values.redis.url) (list "JWT_SECRET" .Values.auth.jwt "") -}}
{{- range $variables -}}
{{- $name := index . 0 -}}{{- $from := index . 1 -}}{{- $value := index . 2 -}}
{{- if or $from.existingSecret $value }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.existingSecret | default (include "agent-api.fullname" $) }}
      key: {{ ternary $from.existingSecretKey $name (ne $from.existingSecret "") }}
{{- end -}}
{{- end -}}
{{- end }}
