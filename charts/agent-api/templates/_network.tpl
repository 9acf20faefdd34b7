{{/* What is called, and by which way: hosts and ports of addresses, proxies, certificates. An address may hold a password, so none is ever handed to a function that fails with its argument. */}}

{{/* The host and port of an address, without what stands before an @. */}}
{{- define "agent-api.authority" -}}
{{- regexReplaceAll "^.*@" (regexReplaceAll "[/?#].*$" (regexReplaceAll "^[a-z+]+://" . "") "") "" -}}
{{- end }}

{{/* The host of an address. */}}
{{- define "agent-api.urlHost" -}}
{{- regexReplaceAll ":[0-9]*$" (include "agent-api.authority" .) "" | trimPrefix "[" | trimSuffix "]" -}}
{{- end }}

{{/* The port of an address: the one written, else its scheme's. */}}
{{- define "agent-api.urlPort" -}}
{{- $written := regexFind ":[0-9]+$" (include "agent-api.authority" .) -}}
{{- if $written -}}{{- trimPrefix ":" $written -}}
{{- else -}}{{- get (dict "http" "80" "https" "443" "redis" "6379" "rediss" "6379" "postgresql" "5432") (regexFind "^[a-z]+" .) -}}
{{- end -}}
{{- end }}

{{/* Whether an address has a scheme of the list and a host. Takes (list ADDRESS SCHEMES). */}}
{{- define "agent-api.isAddress" -}}
{{- $address := first . -}}
{{- if and (has (regexFind "^[a-z]+" $address) (last .)) (regexMatch "^[a-z]+://[^\\s/?#]" $address) (include "agent-api.urlHost" $address) (regexMatch "^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:\\[\\]]+)(:[0-9]+)?$" (include "agent-api.authority" $address)) -}}true{{- end -}}
{{- end }}

{{/* Addresses that are none, told without the address. */}}
{{- define "agent-api.validateAddresses" -}}
{{- $http := list "http" "https" -}}
{{- range list (list "redis.url" .Values.redis.url (list "redis" "rediss")) (list "runQueue.url" (.Values.runQueue | default dict).url (list "redis" "rediss" "postgresql")) (list "ollama.url" .Values.ollama.url $http) (list "openai.baseUrl" .Values.openai.baseUrl $http) (list "anthropic.baseUrl" .Values.anthropic.baseUrl $http) (list "auth.jwt.jwksUrl" .Values.auth.jwt.jwksUrl $http) (list "tracing.endpoint" .Values.tracing.endpoint $http) -}}
{{- $schemes := last . -}}
{{- if and (index . 1) (not (include "agent-api.isAddress" (list (index . 1) $schemes))) -}}
{{- fail (printf "%s is not an address: it begins with %s://, then names a host and perhaps a port. Write what a password has of @ / ? # in percent-encoding." (first .) (join ":// or " $schemes)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The TCP ports that have to be open for what is configured, separated by commas. */}}
{{- define "agent-api.calledPorts" -}}
{{- $ports := list -}}
{{- $models := printf ",%s" (include "agent-api.models" .) -}}
{{- if or .Values.ollama.enabled (and (contains ",anthropic/" $models) (not .Values.anthropic.baseUrl)) (and (contains ",openai/" $models) (not .Values.openai.baseUrl)) -}}
{{- $ports = append $ports "443" -}}
{{- end -}}
{{- $addresses := list .Values.ollama.url .Values.openai.baseUrl .Values.anthropic.baseUrl .Values.redis.url (.Values.runQueue | default dict).url .Values.auth.jwt.jwksUrl .Values.tracing.endpoint -}}
{{- range list "REDIS_URL" "RUN_QUEUE_URL" "OLLAMA_API_BASE" "OPENAI_BASE_URL" "ANTHROPIC_BASE_URL" "JWT_JWKS_URL" "OTEL_EXPORTER_OTLP_ENDPOINT" "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY" "http_proxy" "https_proxy" "all_proxy" -}}
{{- $addresses = append $addresses (include "agent-api.given" (list $ .)) -}}
{{- end -}}
{{- range .Values.ollama.extraEnv -}}{{- if hasSuffix "_proxy" (lower .name) -}}{{- $addresses = append $addresses (ternary "" .value (eq (lower .name) "no_proxy")) -}}{{- end -}}{{- end -}}
{{- range compact $addresses -}}
{{- with include "agent-api.urlPort" . -}}{{- $ports = append $ports . -}}{{- end -}}
{{- end -}}
{{- if .Values.redis.existingSecret -}}
{{- $ports = append $ports (toString .Values.redis.port) -}}
{{- end -}}
{{- with .Values.runQueue | default dict -}}
{{- if .existingSecret -}}{{- $ports = append $ports (toString (.port | default 5432)) -}}{{- end -}}
{{- end -}}
{{- if (.Values.webhooks | default dict).existingSecret -}}{{- $ports = append $ports "443" -}}{{- end -}}
{{- with .Values.sqlQuery | default dict -}}
{{- if .existingSecret -}}{{- $ports = append $ports (toString (.port | default 5432)) -}}{{- end -}}
{{- end -}}
{{- with .Values.mcp | default dict -}}
{{- if .existingSecret -}}{{- range .ports -}}{{- $ports = append $ports (toString .) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range .Values.networkPolicy.egressPorts -}}{{- $ports = append $ports (toString .) -}}{{- end -}}
{{- uniq $ports | join "," -}}
{{- end }}

{{/* What is called without a proxy: the pod itself, the cluster, and what is configured with a plain address. */}}
{{- define "agent-api.noProxy" -}}
{{- $hosts := list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" -}}
{{- range compact (list .Values.redis.url (.Values.runQueue | default dict).url .Values.tracing.endpoint .Values.ollama.url .Values.openai.baseUrl .Values.anthropic.baseUrl .Values.auth.jwt.jwksUrl) -}}
{{- if not (hasPrefix "https://" .) -}}{{- $hosts = append $hosts (include "agent-api.urlHost" .) -}}{{- end -}}
{{- end -}}
{{- uniq $hosts | join "," -}}
{{- end }}

{{/*
The user's variables, with NO_PROXY completed where there is a proxy. In both spellings: gRPC reads the small one alone.
Takes (list . VARIABLES). A NO_PROXY that comes from elsewhere (valueFrom) is left alone.
*/}}
{{- define "agent-api.withNoProxy" -}}
{{- $ours := include "agent-api.noProxy" (first .) -}}
{{- $proxied := false -}}{{- $elsewhere := false -}}
{{- $exceptions := dict -}}{{- $variables := list -}}
{{- range last . -}}
{{- $name := lower .name -}}
{{- if has $name (list "http_proxy" "https_proxy" "all_proxy") -}}{{- $proxied = true -}}{{- end -}}
{{- if eq $name "no_proxy" -}}
{{- if .valueFrom -}}{{- $elsewhere = true -}}{{- end -}}
{{- $_ := set $exceptions .name (.value | default "") -}}
{{- end -}}
{{- end -}}
{{- range last . -}}
{{- if or (ne (lower .name) "no_proxy") (not $proxied) $elsewhere -}}{{- $variables = append $variables . -}}{{- end -}}
{{- end -}}
{{- if and $proxied (not $elsewhere) -}}
{{- range list "NO_PROXY" "no_proxy" -}}
{{- $value := get $exceptions . | default (get $exceptions (ternary "no_proxy" "NO_PROXY" (eq . "NO_PROXY"))) -}}
{{- $hosts := concat (splitList "," (nospace $value)) (splitList "," $ours) | compact | uniq -}}
{{- $variables = append $variables (dict "name" . "value" (join "," $hosts)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{- define "agent-api.caFolder" -}}/etc/agent-api/ca{{- end }}

{{/* Where OpenSSL, Go and gRPC look for the authorities they trust. */}}
{{- define "agent-api.caVariables" -}}
{{- $variables := list -}}
{{- with .Values.caBundle -}}
{{- if or .configMap .secret -}}
{{- $file := printf "%s/%s" (include "agent-api.caFolder" $) (.key | default "ca.crt") -}}
{{- range list "SSL_CERT_FILE" "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" -}}{{- $variables = append $variables (dict "name" . "value" $file) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* Who may scrape the metrics, as a list of peers in YAML. */}}
{{- define "agent-api.metricsPeers" -}}
{{- $peers := .Values.networkPolicy.metricsFrom | default list -}}
{{- with .Values.networkPolicy.metricsNamespace -}}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end }}
