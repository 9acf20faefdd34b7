{{/* How often and for how much: the settings, and what makes them hold over several pods. */}}

{{- define "agent-api.limitsSettings" -}}
{{- $limits := dict -}}
{{- with .Values.limits.global -}}
{{- $_ := set $limits "global" (include "agent-api.limit" . | fromJson) -}}
{{- end -}}
{{- with .Values.limits.tiers -}}
{{- $tiers := dict -}}
{{- range $name, $tier := . -}}
{{- $own := dict -}}
{{- range $level, $limit := $tier -}}
{{- if eq $level "tools" -}}
{{- $tools := dict -}}
{{- range $tool, $of := $limit -}}{{- $_ := set $tools $tool (include "agent-api.limit" $of | fromJson) -}}{{- end -}}
{{- $_ := set $own "tools" $tools -}}
{{- else -}}
{{- $_ := set $own $level (include "agent-api.limit" $limit | fromJson) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $tiers $name $own -}}
{{- end -}}
{{- $_ := set $limits "tiers" $tiers -}}
{{- end -}}
{{- with $limits -}}
LIMITS: {{ toJson . | quote }}
{{ end -}}
{{- range $name, $budget := dict "USER_DAY" .Values.budgets.userDay "TEAM_MONTH" .Values.budgets.teamMonth "GLOBAL_DAY" .Values.budgets.globalDay -}}
{{- if $budget.usd -}}
BUDGET_{{ $name }}_USD: {{ toJson $budget.usd | quote }}
{{ else if eq $name "GLOBAL_DAY" -}}
BUDGET_{{ $name }}_USD: "off"
{{ end -}}
{{- with $budget.tokens -}}
BUDGET_{{ $name }}_TOKENS: {{ int64 . | quote }}
{{ end -}}
{{- end -}}
{{- end }}

{{/* One limit as the setting LIMITS has it. */}}
{{- define "agent-api.limit" -}}
{{- $limit := dict -}}
{{- range $name, $most := . -}}{{- $_ := set $limit (snakecase $name) $most -}}{{- end -}}
{{- toJson $limit -}}
{{- end }}

{{/* Whether what one pod counts is known to the others. */}}
{{- define "agent-api.sharesState" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret (include "agent-api.setElsewhere" (list . "REDIS_URL")) -}}true{{- end -}}
{{- end }}

{{- define "agent-api.validateLimits" -}}
{{- if and (include "agent-api.severalPods" .) (not (include "agent-api.sharesState" .)) -}}
{{- $set := list -}}
{{- if or .Values.limits.global .Values.limits.tiers -}}{{- $set = append $set "limits" -}}{{- end -}}
{{- with .Values.budgets -}}
{{- if or .userDay.usd .userDay.tokens .teamMonth.usd .teamMonth.tokens .globalDay.tokens -}}{{- $set = append $set "budgets" -}}{{- end -}}
{{- end -}}
{{- with $set -}}
{{- fail (printf "%s: several pods are asked for and there is no Redis, so each pod would count by itself and all together allow a multiple: set redis.existingSecret (or redis.url), or run one replica without autoscaling." (join " and " .)) -}}
{{- end -}}
{{- end -}}
{{- end }}
