{{/* What the schema cannot say: values that contradict each other. Each is told in a sentence. */}}
{{- define "agent-api.validate" -}}
{{- $v := .Values -}}
{{- include "agent-api.validateNames" . -}}
{{- include "agent-api.validateAddresses" . -}}
{{- range $name := list "anthropic" "openai" -}}
{{- with get $v $name -}}
{{- if and .existingSecret .apiKey -}}
{{- fail (printf "%s.existingSecret and %s.apiKey are both set: give the key by one of them." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.redis.existingSecret $v.redis.url -}}
{{- fail "redis.existingSecret and redis.url are both set: give the address by one of them." -}}
{{- end -}}
{{- if and $v.ollama.enabled $v.ollama.url -}}
{{- fail "ollama.enabled and ollama.url are both set: run the sidecar or name a server of your own, not both." -}}
{{- end -}}
{{- $ollama := or $v.ollama.enabled (ne $v.ollama.url "") -}}
{{- if and $ollama (not $v.models) (not $v.ollama.model) -}}
{{- fail "There is no model: ollama is configured, but ollama.model and models are both empty." -}}
{{- end -}}
{{- $models := include "agent-api.models" . -}}
{{- $served := include "agent-api.ollamaModels" . -}}
{{- if and $served (not $ollama) -}}
{{- fail (printf "models names ollama/%s, but there is no Ollama: set ollama.enabled=true for the sidecar or ollama.url for a server of your own." (first (splitList " " $served))) -}}
{{- end -}}
{{- if and $v.ollama.enabled (not $served) -}}
{{- fail (printf "ollama.enabled is true, but models (%s) names no ollama/ model: add one, or leave models empty to use ollama.model." $models) -}}
{{- end -}}
{{- $named := dict -}}
{{- range splitList "," $models -}}{{- $_ := set $named (first (splitList "/" .)) true -}}{{- end -}}
{{- $elsewhere := or $v.extraEnv $v.extraEnvFrom -}}
{{- $key := or $v.anthropic.apiKey $v.anthropic.existingSecret -}}
{{- if and $key (not (hasKey $named "anthropic")) -}}
{{- fail (printf "anthropic has a key, but models (%s) names no anthropic/ model: add one, such as models={anthropic/NAME}." $models) -}}
{{- end -}}
{{- if and (hasKey $named "anthropic") (not $key) (not $elsewhere) -}}
{{- fail "models names an anthropic/ model, but there is no key: set anthropic.existingSecret (or anthropic.apiKey for a trial)." -}}
{{- end -}}
{{- $key = or $v.openai.apiKey $v.openai.existingSecret -}}
{{- if and (or $key $v.openai.baseUrl) (not (hasKey $named "openai")) -}}
{{- fail (printf "openai is configured, but models (%s) names no openai/ model: add one, such as models={openai/NAME}." $models) -}}
{{- end -}}
{{- if and (hasKey $named "openai") (not $key) (not $v.openai.baseUrl) (not $elsewhere) -}}
{{- fail "models names an openai/ model, but there is neither a key nor a server: set openai.existingSecret (or openai.apiKey for a trial), or openai.baseUrl." -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: without a Gateway the route leads nowhere." -}}
{{- end -}}
{{- with $v.caBundle -}}
{{- if and .configMap .secret -}}
{{- fail "caBundle.configMap and caBundle.secret are both set: give the certificates by one of them." -}}
{{- end -}}
{{- end -}}
{{- include "agent-api.validateScale" . -}}
{{- include "agent-api.validateWorker" . -}}
{{- include "agent-api.validateAuth" . -}}
{{- include "agent-api.validateLimits" . -}}
{{- include "agent-api.validateSizes" . -}}
{{- end }}
