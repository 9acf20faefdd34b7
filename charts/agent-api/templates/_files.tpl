{{/* What the pods read as files: from secrets and ConfigMaps, as whole folders, which the kubelet keeps up to date; it never updates a subPath. */}}

{{- define "agent-api.agentsFolder" -}}/etc/agent-api/agents{{- end }}
{{- define "agent-api.webhooksFolder" -}}/etc/agent-api/webhooks{{- end }}
{{- define "agent-api.guardRulesFolder" -}}/etc/agent-api/guard-rules{{- end }}
{{- define "agent-api.redactionRulesFolder" -}}/etc/agent-api/redaction-rules{{- end }}
{{- define "agent-api.mcpFolder" -}}/etc/agent-api/mcp{{- end }}
{{- define "agent-api.auditKeyFolder" -}}/etc/agent-api/audit{{- end }}

{{/* The ConfigMap with the agents' files; empty where there are none. */}}
{{- define "agent-api.agentsConfigMap" -}}
{{- .Values.agentsConfigMap | default (ternary (printf "%s-agents" (include "agent-api.fullname" .)) "" (not (empty .Values.agents))) -}}
{{- end }}

{{/* Each as {name, folder, kind, from, key, mode}, a list in YAML; without a key all files of it. */}}
{{- define "agent-api.files" -}}
{{- $files := list -}}
{{- with .Values.auth.apiKeys -}}
{{- if .existingSecret -}}
{{- $files = append $files (dict "name" "api-keys" "folder" (include "agent-api.apiKeysFolder" $) "kind" "secret" "from" .existingSecret "key" .existingSecretKey) -}}
{{- end -}}
{{- end -}}
{{- with .Values.redis.tls -}}
{{- if .existingSecret -}}
{{- $files = append $files (dict "name" "redis-ca" "folder" (include "agent-api.redisCaFolder" $) "kind" "secret" "from" .existingSecret "key" .existingSecretKey) -}}
{{- end -}}
{{- end -}}
{{- with (.Values.webhooks | default dict).existingSecret -}}
{{- $files = append $files (dict "name" "webhooks" "folder" (include "agent-api.webhooksFolder" $) "kind" "secret" "from" . "mode" "0440") -}}
{{- end -}}
{{- with (.Values.mcp | default dict).existingSecret -}}
{{- $files = append $files (dict "name" "mcp" "folder" (include "agent-api.mcpFolder" $) "kind" "secret" "from" . "mode" "0440") -}}
{{- end -}}
{{- with .Values.auditKey | default dict -}}
{{- if .existingSecret -}}
{{- $files = append $files (dict "name" "audit-key" "folder" (include "agent-api.auditKeyFolder" $) "kind" "secret" "from" .existingSecret "key" (.existingSecretKey | default "audit.pem") "mode" "0440") -}}
{{- end -}}
{{- end -}}
{{- with (.Values.guardRules | default dict).configMap -}}
{{- $files = append $files (dict "name" "guard-rules" "folder" (include "agent-api.guardRulesFolder" $) "kind" "configMap" "from" .) -}}
{{- end -}}
{{- with (.Values.redactionRules | default dict).configMap -}}
{{- $files = append $files (dict "name" "redaction-rules" "folder" (include "agent-api.redactionRulesFolder" $) "kind" "configMap" "from" .) -}}
{{- end -}}
{{- if include "agent-api.promptFile" . -}}
{{- $path := include "agent-api.promptFile" . -}}
{{- $files = append $files (dict "name" "prompt" "folder" (dir $path) "kind" "configMap" "from" (printf "%s-prompt" (include "agent-api.fullname" .)) "key" (base $path)) -}}
{{- end -}}
{{- with include "agent-api.agentsConfigMap" . -}}
{{- $files = append $files (dict "name" "agents" "folder" (include "agent-api.agentsFolder" $) "kind" "configMap" "from" .) -}}
{{- end -}}
{{- with .Values.caBundle -}}
{{- if or .configMap .secret -}}
{{- $files = append $files (dict "name" "ca" "folder" (include "agent-api.caFolder" $) "kind" (ternary "configMap" "secret" (not (empty .configMap))) "from" (.configMap | default .secret) "key" (.key | default "ca.crt")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end }}

{{- define "agent-api.fileMounts" -}}
{{- range include "agent-api.files" . | fromYamlArray }}
- name: {{ .name }}
  mountPath: {{ .folder }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Readable by every user of the containers that mount them, where there is no secret in it, but hashes, certificates or a prompt; what holds secrets is for fsGroup. */}}
{{- define "agent-api.fileVolumes" -}}
{{- range include "agent-api.files" . | fromYamlArray }}
- name: {{ .name }}
  {{ .kind }}:
    {{ ternary "secretName" "name" (eq .kind "secret") }}: {{ .from | quote }}
    defaultMode: {{ .mode | default "0444" }}
    {{- with .key }}
    items:
      - key: {{ . | quote }}
        path: {{ . | quote }}
    {{- end }}
{{- end }}
{{- end }}
