{{/* The names and labels of the objects. */}}

{{- define "agent-api.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "agent-api.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "agent-api.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "agent-api.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The name of an object that each kind of pods has its own of. */}}
{{- define "agent-api.objectName" -}}
{{- include "agent-api.fullname" . }}{{ ternary "-worker" "" (eq (include "agent-api.component" .) "worker") }}
{{- end }}

{{- define "agent-api.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "agent-api.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* What the Deployment and the Services select by; never to change within a release. */}}
{{- define "agent-api.selectorLabels" -}}
{{- dict "app.kubernetes.io/name" (include "agent-api.name" .) "app.kubernetes.io/instance" .Release.Name "app.kubernetes.io/component" (include "agent-api.component" .) | toYaml -}}
{{- end }}

{{/* Labels of every object but the pods. */}}
{{- define "agent-api.labels" -}}
{{- include "agent-api.labelsWith" (list . dict) -}}
{{- end }}

{{/* The same with more, which win. Takes (list . MORE). Each key is rendered once. */}}
{{- define "agent-api.labelsWith" -}}
{{- $ := first . -}}
{{- $chart := dict "app.kubernetes.io/version" $.Chart.AppVersion "app.kubernetes.io/managed-by" $.Release.Service "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_") -}}
{{- include "agent-api.merged" (list (include "agent-api.selectorLabels" $ | fromYaml) $chart $.Values.commonLabels (last .)) -}}
{{- end }}

{{/* Labels of the pods: nothing of the chart's version, so that another version alone restarts no pod. */}}
{{- define "agent-api.podLabels" -}}
{{- include "agent-api.merged" (list .Values.commonLabels .Values.podLabels (include "agent-api.selectorLabels" . | fromYaml)) -}}
{{- end }}

{{/* Maps as one, in YAML: of a key that several have, the last counts. Takes a list of maps, each of which may be nil. */}}
{{- define "agent-api.merged" -}}
{{- $merged := dict -}}
{{- range . -}}{{- range $key, $value := . | default dict -}}{{- $_ := set $merged $key $value -}}{{- end -}}{{- end -}}
{{- toYaml $merged -}}
{{- end }}

{{/* An image by digest where there is one, else by tag. Takes (list . IMAGE TAG), the tag being the default. */}}
{{- define "agent-api.image" -}}
{{- $image := index . 1 -}}
{{- $repository := $image.repository -}}
{{- with ((first .).Values.global | default dict).imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- if and (gt (len $parts) 1) (regexMatch "[.:]|^localhost$" (first $parts)) -}}{{- $parts = rest $parts -}}{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default (last .)) -}}
{{- end -}}
{{- end }}

{{/* The secrets for the registries: the release's own, then those of all charts. */}}
{{- define "agent-api.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat (.Values.imagePullSecrets | default list) ((.Values.global | default dict).imagePullSecrets | default list) -}}
{{- $names = append $names (dict "name" (ternary . (get (ternary dict . (kindIs "string" .)) "name") (kindIs "string" .))) -}}
{{- end -}}
{{- with uniq $names -}}{{- toYaml . -}}{{- end -}}
{{- end }}

{{/* Names that the API server would refuse half-way through an install. */}}
{{- define "agent-api.validateNames" -}}
{{- $name := include "agent-api.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot name a Service: a name begins with a letter and has only a-z, 0-9 and hyphens. Choose another name for the release, or set fullnameOverride." $name) -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$" (include "agent-api.name" .)) -}}
{{- fail (printf "nameOverride (%q) cannot be a label: it begins and ends with a letter or digit and has only those, hyphens, dots and _ between." .Values.nameOverride) -}}
{{- end -}}
{{- range $where := list "commonLabels" "podLabels" -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if hasKey (get $.Values $where | default dict) $label -}}
{{- fail (printf "%s sets %s, which the chart selects its pods by: use another label, or nameOverride." $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
