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
{{- range $setting := list (list "JWT_ISSUER" .issuer) (list "JWT_AUDIENCE" .audience) (list "JWT_JWKS_URL" .jwksUrl) (list "JWT_PUBLIC_KEY" .publicKey) (list "JWT_SCOPE_CLAIM" .scopeClaim) (list "JWT_TEAM_CLAIM" .teamClaim) (list "JWT_TIER_CLAIM" .tierClaim) }}
{{- with index $setting 1 }}
{{ index $setting 0 }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.trustedProxies }}
TRUSTED_PROXIES: {{ join "," . | quote }}
{{- end }}
{{- if .Values.redis.tls.existingSecret }}
REDIS_CA_FILE: {{ printf "%s/%s" (include "agent-api.redisCaFolder" .) .Values.redis.tls.existingSecretKey | quote }}
{{- end }}
{{- end }}

{{/* Secrets that are files: as whole folders, which the kubelet keeps up to date; it never updates a subPath. */}}
{{- define "agent-api.secretMounts" -}}
{{- if .Values.auth.apiKeys.existingSecret }}
- name: api-keys
  mountPath: {{ include "agent-api.apiKeysFolder" . }}
  readOnly: true
{{- end }}
{{- if .Values.redis.tls.existingSecret }}
- name: redis-ca
  mountPath: {{ include "agent-api.redisCaFolder" . }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Readable by every user of the one container that mounts them: neither holds a secret, only hashes and a certificate. */}}
{{- define "agent-api.secretVolumes" -}}
{{- range $volume := list (list "api-keys" .Values.auth.apiKeys) (list "redis-ca" .Values.redis.tls) }}
{{- with index $volume 1 }}
{{- if .existingSecret }}
- name: {{ index $volume 0 }}
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0444
    items:
      - key: {{ .existingSecretKey }}
        path: {{ .existingSecretKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agent-api.validateAuth" -}}
{{- $v := .Values -}}
{{- $mode := $v.auth.mode -}}
{{- $jwt := $v.auth.jwt -}}
{{- if and (eq $mode "none") (or $v.ingress.enabled $v.httpRoute.enabled) (not $v.auth.allowAnonymous) -}}
{{- fail (printf "%s.enabled would open the service to everyone who reaches it, since auth.mode is none: set auth.mode=api-key or jwt, or auth.allowAnonymous=true if that is meant." (ternary "ingress" "httpRoute" $v.ingress.enabled)) -}}
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

{{/* Whether a variable is, or may be, set by the user's own means. Takes (list . NAME). */}}
{{- define "agent-api.setElsewhere" -}}
{{- $values := (first .).Values -}}{{- $name := last . -}}
{{- if $values.extraEnvFrom -}}true{{- end -}}
{{- range $values.extraEnv -}}{{- if eq .name $name -}}true{{- end -}}{{- end -}}
{{- end }}
