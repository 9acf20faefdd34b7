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

{{- define "agent-api.gracePeriod" -}}
{{- add .Values.preStopSeconds .Values.drainSeconds .Values.marginSeconds -}}
{{- end }}

{{/* Whether the chart makes a Secret: only for what is given as a value. */}}
{{- define "agent-api.hasSecret" -}}
{{- if or .Values.anthropic.apiKey .Values.openai.apiKey .Values.redis.url (.Values.runQueue | default dict).url -}}true{{- end -}}
{{- end }}

{{/* The data of the chart's Secret, in YAML. */}}
{{- define "agent-api.secretData" -}}
{{- $data := dict -}}
{{- range $name, $value := dict "ANTHROPIC_API_KEY" .Values.anthropic.apiKey "OPENAI_API_KEY" .Values.openai.apiKey "REDIS_URL" .Values.redis.url "RUN_QUEUE_URL" (.Values.runQueue | default dict).url -}}
{{- if $value -}}{{- $_ := set $data $name (b64enc $value) -}}{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end }}

{{/* The variables that come from secrets, as a list in YAML: the user's own by name, else the chart's. */}}
{{- define "agent-api.secretVariables" -}}
{{- $variables := list -}}
{{- range list (list "ANTHROPIC_API_KEY" .Values.anthropic .Values.anthropic.apiKey) (list "OPENAI_API_KEY" .Values.openai .Values.openai.apiKey) (list "REDIS_URL" .Values.redis .Values.redis.url) (list "RUN_QUEUE_URL" (.Values.runQueue | default dict) (.Values.runQueue | default dict).url) (list "SQL_QUERY_URL" (.Values.sqlQuery | default dict) "") (list "JWT_SECRET" .Values.auth.jwt "") (list "OTEL_EXPORTER_OTLP_HEADERS" .Values.tracing "") -}}
{{- $name := index . 0 -}}{{- $from := index . 1 -}}
{{- if or $from.existingSecret (index . 2) -}}
{{- $reference := ternary (dict "name" $from.existingSecret "key" ($from.existingSecretKey | default $name)) (dict "name" (include "agent-api.fullname" $) "key" $name) (not (empty $from.existingSecret)) -}}
{{- $variables = append $variables (dict "name" $name "valueFrom" (dict "secretKeyRef" $reference)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* The settings that are a value of the chart unchanged (files/settings.json), as a map in YAML. What is empty is left to the service. */}}
{{- define "agent-api.plainSettings" -}}
{{- $settings := dict -}}
{{- $plain := .Files.Get "files/settings.json" | fromJson -}}
{{- range $path, $name := $plain.settings -}}
{{- $value := $.Values -}}
{{- range splitList "." $path -}}{{- $value = get ($value | default dict) . -}}{{- end -}}
{{- if and (has $name $plain.off) (kindIs "bool" $value) -}}{{- $value = "off" -}}{{- end -}}
{{- if kindIs "slice" $value -}}{{- $value = join "," $value -}}{{- end -}}
{{- if and (kindIs "map" $value) $value -}}{{- $value = toJson $value -}}{{- end -}}
{{- if kindIs "string" $value -}}
{{- if $value -}}{{- $_ := set $settings $name $value -}}{{- end -}}
{{- else if or (kindIs "bool" $value) (kindIs "float64" $value) (kindIs "int64" $value) (kindIs "int" $value) -}}
{{- $_ := set $settings $name (toJson $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* The settings of the service, as a map in YAML. What extraEnv sets is left out: each name stands in one place. */}}
{{- define "agent-api.settings" -}}
{{- $settings := include "agent-api.plainSettings" . | fromYaml -}}
{{- $_ := set $settings "MODELS" (include "agent-api.models" .) -}}
{{- if .Values.ollama.enabled -}}{{- $_ := set $settings "OLLAMA_API_BASE" (include "agent-api.ollamaAddress" .) -}}
{{- else if .Values.ollama.url -}}{{- $_ := set $settings "OLLAMA_API_BASE" .Values.ollama.url -}}
{{- end -}}
{{- if include "agent-api.promptFile" . -}}{{- $_ := set $settings "SYSTEM_PROMPT_FILE" (include "agent-api.promptFile" .) -}}
{{- else if .Values.systemPrompt -}}{{- $_ := set $settings "SYSTEM_PROMPT" .Values.systemPrompt -}}
{{- end -}}
{{- if include "agent-api.agentsConfigMap" . -}}{{- $_ := set $settings "AGENTS_DIR" (include "agent-api.agentsFolder" .) -}}{{- end -}}
{{- if and (.Values.worker | default dict).enabled (kindIs "invalid" .Values.workers) -}}{{- $_ := set $settings "WORKERS" "0" -}}{{- end -}}
{{- if (.Values.webhooks | default dict).existingSecret -}}{{- $_ := set $settings "WEBHOOK_SECRETS_DIR" (include "agent-api.webhooksFolder" .) -}}{{- end -}}
{{- if (.Values.guardRules | default dict).configMap -}}{{- $_ := set $settings "GUARD_RULES_DIR" (include "agent-api.guardRulesFolder" .) -}}{{- end -}}
{{- if (.Values.redactionRules | default dict).configMap -}}{{- $_ := set $settings "REDACTION_RULES_DIR" (include "agent-api.redactionRulesFolder" .) -}}{{- end -}}
{{- if (.Values.mcp | default dict).existingSecret -}}{{- $_ := set $settings "MCP_SERVERS_FILE" (printf "%s/servers.yaml" (include "agent-api.mcpFolder" .)) -}}{{- end -}}
{{- with .Values.auditKey | default dict -}}
{{- if .existingSecret -}}{{- $_ := set $settings "AUDIT_KEY_FILE" (printf "%s/%s" (include "agent-api.auditKeyFolder" $) (.existingSecretKey | default "audit.pem")) -}}{{- end -}}
{{- end -}}
{{- if .Values.tracing.endpoint -}}
{{- $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" .Values.tracing.endpoint -}}
{{- $_ := set $settings "OTEL_EXPORTER_OTLP_PROTOCOL" (.Values.tracing.protocol | default "grpc") -}}
{{- $_ := set $settings "OTEL_TRACES_SAMPLER" "parentbased_traceidratio" -}}
{{- $_ := set $settings "OTEL_TRACES_SAMPLER_ARG" (toString .Values.tracing.ratio) -}}
{{- $_ := set $settings "OTEL_SERVICE_NAME" (include "agent-api.fullname" .) -}}
{{- end -}}
{{- range $name, $value := merge (include "agent-api.authSettings" . | fromYaml) (include "agent-api.limitsSettings" . | fromYaml) -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- range .Values.extraEnv -}}{{- $settings = omit $settings .name -}}{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* The file of a system prompt that is too long for a variable: Linux takes 128 KiB, name included, and no more. */}}
{{- define "agent-api.promptFile" -}}
{{- if gt (len .Values.systemPrompt) 65536 -}}/etc/agent-api/prompt/system-prompt.txt{{- end -}}
{{- end }}

{{/* Settings that no process could be started with. */}}
{{- define "agent-api.validateSizes" -}}
{{- if gt (len .Values.systemPrompt) 900000 -}}
{{- fail (printf "systemPrompt has %d bytes; a ConfigMap takes 1 MiB, so at most 900000 are accepted." (len .Values.systemPrompt)) -}}
{{- end -}}
{{- range $name, $value := include "agent-api.settings" . | fromYaml -}}
{{- if gt (add (len $name) (len $value)) 131000 -}}
{{- fail (printf "%s would have %d bytes; no variable of a process may have more than 128 KiB." $name (len $value)) -}}
{{- end -}}
{{- end -}}
{{- range $where, $variables := dict "extraEnv" .Values.extraEnv "ollama.extraEnv" .Values.ollama.extraEnv -}}
{{- range $variables -}}
{{- if gt (add (len .name) (len (.value | default ""))) 131000 -}}
{{- fail (printf "%s: %s has %d bytes; no variable of a process may have more than 128 KiB. Mount a file instead." $where .name (len .value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
