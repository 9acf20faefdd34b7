{{/* The way in: how long an answer may take there, and an HTTPRoute with all that the API server would add to it. */}}

{{/* The longest that a way in has to wait for an answer, in seconds: a run, and half a minute around it. */}}
{{- define "agent-api.waitSeconds" -}}
{{- $run := include "agent-api.given" (list . "RUN_TIMEOUT_SECONDS") | default (toString .Values.runTimeoutSeconds) -}}
{{- add (ceil (float64 $run)) 30 -}}
{{- end }}

{{/* The annotations that a known kind of Ingress controller needs, in YAML: it waits for a run to end and passes on a stream as it is written. */}}
{{- define "agent-api.ingressAnnotations" -}}
{{- $class := .Values.ingress.className | default (get (.Values.ingress.annotations | default dict) "kubernetes.io/ingress.class") -}}
{{- $wait := include "agent-api.waitSeconds" . -}}
{{- $own := dict -}}
{{- if contains "nginx" $class -}}
{{- /* Two controllers share the name: the one of the Kubernetes project and F5's. Each ignores the other's. */ -}}
{{- range $name := list "proxy-read-timeout" "proxy-send-timeout" -}}
{{- $_ := set $own (printf "nginx.ingress.kubernetes.io/%s" $name) $wait -}}
{{- $_ := set $own (printf "nginx.org/%s" $name) (printf "%ss" $wait) -}}
{{- end -}}
{{- $_ := set $own "nginx.ingress.kubernetes.io/proxy-buffering" "off" -}}
{{- $_ := set $own "nginx.org/proxy-buffering" "false" -}}
{{- $_ := set $own "nginx.ingress.kubernetes.io/proxy-body-size" (toString (int64 .Values.maxBodyBytes)) -}}
{{- $_ := set $own "nginx.org/client-max-body-size" (toString (int64 .Values.maxBodyBytes)) -}}
{{- else if contains "alb" $class -}}
{{- $_ := set $own "alb.ingress.kubernetes.io/load-balancer-attributes" (printf "idle_timeout.timeout_seconds=%s" $wait) -}}
{{- $_ := set $own "alb.ingress.kubernetes.io/target-group-attributes" (printf "deregistration_delay.timeout_seconds=%d" (int .Values.drainSeconds)) -}}
{{- $_ := set $own "alb.ingress.kubernetes.io/healthcheck-path" "/ready" -}}
{{- if eq .Values.service.type "ClusterIP" -}}{{- $_ := set $own "alb.ingress.kubernetes.io/target-type" "ip" -}}{{- end -}}
{{- else if contains "haproxy" $class -}}
{{- $_ := set $own "haproxy.org/timeout-server" (printf "%ss" $wait) -}}
{{- $_ := set $own "haproxy-ingress.github.io/timeout-server" (printf "%ss" $wait) -}}
{{- end -}}
{{- include "agent-api.merged" (list $own .Values.ingress.annotations) -}}
{{- end }}

{{/* The timeouts of a rule in YAML, those that are given filled up with httpRoute.timeouts. Takes (list . GIVEN). */}}
{{- define "agent-api.routeTimeouts" -}}
{{- $values := (first .).Values.httpRoute.timeouts | default dict -}}
{{- $request := $values.request | default (printf "%ss" (include "agent-api.waitSeconds" (first .))) -}}
{{- $timeouts := dict -}}
{{- if ne $request "none" -}}{{- $_ := set $timeouts "request" $request -}}{{- end -}}
{{- with $values.backendRequest -}}{{- $_ := set $timeouts "backendRequest" . -}}{{- end -}}
{{- include "agent-api.merged" (list $timeouts (last .)) -}}
{{- end }}

{{/* Filters, with the defaults of the API. */}}
{{- define "agent-api.routeFilters" -}}
{{- $filters := list -}}
{{- range . -}}
{{- $filter := deepCopy . -}}
{{- with $filter.requestRedirect -}}{{- if not .statusCode -}}{{- $_ := set . "statusCode" 302 -}}{{- end -}}{{- end -}}
{{- with $filter.requestMirror -}}
{{- with .backendRef -}}
{{- if not (hasKey . "group") -}}{{- $_ := set . "group" "" -}}{{- end -}}
{{- if not .kind -}}{{- $_ := set . "kind" "Service" -}}{{- end -}}
{{- end -}}
{{- with .fraction -}}{{- if not .denominator -}}{{- $_ := set . "denominator" 100 -}}{{- end -}}{{- end -}}
{{- end -}}
{{- $filters = append $filters $filter -}}
{{- end -}}
{{- toYaml $filters -}}
{{- end }}

{{/* Matches, with the defaults of the API; without any, everything. */}}
{{- define "agent-api.routeMatches" -}}
{{- $matches := list -}}
{{- range . | default (list dict) -}}
{{- $match := deepCopy . -}}
{{- $path := $match.path | default dict -}}
{{- $_ := set $match "path" (dict "type" ($path.type | default "PathPrefix") "value" ($path.value | default "/")) -}}
{{- range concat ($match.headers | default list) ($match.queryParams | default list) -}}
{{- if not .type -}}{{- $_ := set . "type" "Exact" -}}{{- end -}}
{{- end -}}
{{- $matches = append $matches $match -}}
{{- end -}}
{{- toYaml $matches -}}
{{- end }}

{{/* Backends, with the defaults of the API; without any, the service. Takes (list . BACKENDS). */}}
{{- define "agent-api.routeBackends" -}}
{{- $ := first . -}}
{{- $service := dict "name" (include "agent-api.fullname" $) "port" (int $.Values.service.port) -}}
{{- $backends := list -}}
{{- range last . | default (list $service) -}}
{{- $backend := include "agent-api.merged" (list (dict "group" "" "kind" "Service" "weight" 1) .) | fromYaml -}}
{{- if not $backend.name -}}{{- $_ := set $backend "name" $service.name -}}{{- end -}}
{{- if and (not $backend.port) (eq $backend.name $service.name) -}}{{- $_ := set $backend "port" $service.port -}}{{- end -}}
{{- if $backend.filters -}}{{- $_ := set $backend "filters" (include "agent-api.routeFilters" $backend.filters | fromYamlArray) -}}{{- end -}}
{{- $backends = append $backends $backend -}}
{{- end -}}
{{- toYaml $backends -}}
{{- end }}

{{/* The rules in YAML: the user's, or one that leads everything to the service. */}}
{{- define "agent-api.routeRules" -}}
{{- $rules := list -}}
{{- range .Values.httpRoute.rules | default (list (dict "filters" (.Values.httpRoute.filters | default list))) -}}
{{- $rule := omit . "matches" "filters" "backendRefs" "timeouts" -}}
{{- $_ := set $rule "matches" (include "agent-api.routeMatches" .matches | fromYamlArray) -}}
{{- $redirects := false -}}
{{- range .filters -}}{{- if eq .type "RequestRedirect" -}}{{- $redirects = true -}}{{- end -}}{{- end -}}
{{- with .filters -}}{{- $_ := set $rule "filters" (include "agent-api.routeFilters" . | fromYamlArray) -}}{{- end -}}
{{- if not $redirects -}}
{{- $_ := set $rule "backendRefs" (include "agent-api.routeBackends" (list $ .backendRefs) | fromYamlArray) -}}
{{- with include "agent-api.routeTimeouts" (list $ .timeouts) | fromYaml -}}{{- $_ := set $rule "timeouts" . -}}{{- end -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end }}
