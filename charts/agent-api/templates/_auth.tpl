{{/* Who may call: the settings, and the files that they name. */}}

{{- define "agent-api.apiKeysFolder" -}}/etc/agent-api/api-keys{{- end }}
{{- define "agent-api.redisCaFolder" -}}/etc/agent-api/redis-ca{{- end }}

{{- define "agent-api.authSettings" -}}
{{- $auth := .Values.auth -}}
AUTH: {{ $auth.mode | quote }}
{{- if $auth.apiKeys.existingSecret }}
API_KEYS_FILE: {{ printf "%s/%s" (include "agent-api.apiKeysFolder" .) $auth.apiKeys.existingSecretKey | quote }}
{{- end }}
{{- if contains "jwt" $auth.mode }}
{{- with $auth.jwt }}
JWT_ALGORITHMS: {{ join "," .algorithms | quote }}
{{- if .allowHttp }}
JWT_JWKS_ALLOW_HTTP: "true"
{{- end }}
{{- range $setting := list (list "JWT_ISSUER" .issuer) (list "JWT_AUDIENCE" .audience) (list "JWT_JWKS_URL" .jwksUrl) (list "JWT_PUBLIC_KEY" .publicKey) }}
{{- with index $setting 1 }}
{{ index $setting 0 }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.redis.tls.existingSecret }}
REDIS_CA_FILE: {{ printf "%s/%s" (include "agent-api.redisCaFolder" .) .Values.redis.tls.existingSecretKey | quote }}
{{- end }}
{{- end }}

{{- define "agent-api.validateAuth" -}}
{{- $v := .Values -}}
{{- $mode := $v.auth.mode -}}
{{- $jwt := $v.auth.jwt -}}
{{- $doors := list -}}
{{- range $door, $open := dict "ingress.enabled" $v.ingress.enabled "httpRoute.enabled" $v.httpRoute.enabled (printf "service.type %s" $v.service.type) (ne $v.service.type "ClusterIP") "service.externalIPs" $v.service.externalIPs -}}
{{- if $open -}}{{- $doors = append $doors $door -}}{{- end -}}
{{- end -}}
{{- if and $doors (eq $mode "none") (not $v.auth.allowAnonymous) -}}
{{- fail (printf "%s would open the service to everyone who reaches it, since auth.mode is none: set auth.mode=api-key or jwt, or auth.allowAnonymous=true if that is meant." (join " and " (sortAlpha $doors))) -}}
{{- end -}}
{{- if and (contains "api-key" $mode) (not $v.auth.apiKeys.existingSecret) (not (include "agent-api.setElsewhere" (list . "API_KEYS_FILE"))) -}}
{{- fail (printf "auth.mode is %s, but there are no API keys: set auth.apiKeys.existingSecret to a secret with the lines that `python -m app keys new` prints." $mode) -}}
{{- end -}}
{{- if and $v.auth.apiKeys.existingSecret (not (contains "api-key" $mode)) -}}
{{- fail (printf "auth.apiKeys.existingSecret is set, but auth.mode is %s, which takes no API keys: set auth.mode=%s." $mode (ternary "api-key" "api-key\\,jwt" (eq $mode "none"))) -}}
{{- end -}}
{{- $sources := list -}}
{{- range $name := list "jwksUrl" "publicKey" "existingSecret" -}}
{{- if get $jwt $name -}}{{- $sources = append $sources (printf "auth.jwt.%s" $name) -}}{{- end -}}
{{- end -}}
{{- if not (contains "jwt" $mode) -}}
{{- with first (compact (list (ternary "auth.jwt.issuer" "" (ne $jwt.issuer "")) (ternary "auth.jwt.audience" "" (ne $jwt.audience "")) (first $sources))) -}}
{{- fail (printf "%s is set, but auth.mode is %s, which takes no tokens: set auth.mode=%s." . $mode (ternary "jwt" "api-key\\,jwt" (eq $mode "none"))) -}}
{{- end -}}
{{- else -}}
{{- range $needed := list (list "issuer" "JWT_ISSUER" "iss") (list "audience" "JWT_AUDIENCE" "aud") -}}
{{- if and (not (get $jwt (first $needed))) (not (include "agent-api.setElsewhere" (list $ (index $needed 1)))) -}}
{{- fail (printf "auth.mode is %s, but auth.jwt.%s is empty: set it to what the `%s` of a token must be." $mode (first $needed) (last $needed)) -}}
{{- end -}}
{{- end -}}
{{- if and (not $sources) (not (include "agent-api.setElsewhere" (list . "JWT_SECRET"))) -}}
{{- fail (printf "auth.mode is %s, but there is no key to verify tokens with: set auth.jwt.jwksUrl, auth.jwt.publicKey or auth.jwt.existingSecret." $mode) -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "%s are set together: give the keys of tokens by one of them." (join " and " $sources)) -}}
{{- end -}}
{{- if contains "PRIVATE KEY" $jwt.publicKey -}}
{{- fail "auth.jwt.publicKey holds a private key: give the public one, which is all that verifying needs." -}}
{{- end -}}
{{- $hmac := 0 -}}
{{- range $jwt.algorithms -}}{{- if hasPrefix "HS" . -}}{{- $hmac = add1 $hmac -}}{{- end -}}{{- end -}}
{{- $algorithms := join "," $jwt.algorithms -}}
{{- if and (gt $hmac 0) (lt $hmac (len $jwt.algorithms)) -}}
{{- fail (printf "auth.jwt.algorithms (%s) mixes HMAC and public-key signatures: a public key could then pass for a secret." $algorithms) -}}
{{- end -}}
{{- if and $jwt.existingSecret (not $hmac) -}}
{{- fail (printf "auth.jwt.existingSecret holds the secret of HMAC signatures, but auth.jwt.algorithms is %s: set auth.jwt.algorithms={HS256}, or give a public key by auth.jwt.jwksUrl or auth.jwt.publicKey." $algorithms) -}}
{{- end -}}
{{- if and $hmac (or $jwt.jwksUrl $jwt.publicKey) -}}
{{- fail (printf "auth.jwt.algorithms is %s, which needs a secret, but %s gives public keys: set auth.jwt.existingSecret instead, or algorithms such as RS256." $algorithms (first $sources)) -}}
{{- end -}}
{{- if and (hasPrefix "http://" $jwt.jwksUrl) (not $jwt.allowHttp) -}}
{{- fail "auth.jwt.jwksUrl is plain http, over which keys can be exchanged on their way: use https://, or set auth.jwt.allowHttp=true where the network is trusted." -}}
{{- end -}}
{{- end -}}
{{- with $v.redis -}}
{{- if and .tls.existingSecret .url (not (hasPrefix "rediss://" .url)) -}}
{{- fail "redis.tls.existingSecret is set, but redis.url is not a rediss:// address, so nothing would be encrypted." -}}
{{- end -}}
{{- if and .tls.existingSecret (not .url) (not .existingSecret) (not (include "agent-api.setElsewhere" (list $ "REDIS_URL"))) -}}
{{- fail "redis.tls.existingSecret is set, but there is no Redis: set redis.existingSecret or redis.url." -}}
{{- end -}}
{{- end -}}
{{- end }}
