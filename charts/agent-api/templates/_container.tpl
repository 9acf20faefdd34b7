{{/* The service's own container; a worker answers its probes beside its metrics, for it has no API. */}}
{{- define "agent-api.serviceContainer" -}}
{{- $worker := include "agent-api.isWorker" . -}}
{{- $probed := ternary "metrics" "http" (eq $worker "true") -}}
- name: agent-api
  image: {{ include "agent-api.image" (list . .Values.image .Chart.AppVersion) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if $worker }}
  args: [worker]
  {{- end }}
  ports:
    {{- if not $worker }}
    - name: http
      containerPort: {{ include "agent-api.given" (list . "PORT") | regexFind "^[0-9]+$" | default "8000" }}
      protocol: TCP
    {{- end }}
    - name: metrics
      containerPort: {{ include "agent-api.given" (list . "METRICS_PORT") | regexFind "^[0-9]+$" | default "9090" }}
      protocol: TCP
  envFrom:
    - configMapRef:
        name: {{ include "agent-api.fullname" . | quote }}
    {{- with .Values.extraEnvFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env: {{- include "agent-api.serviceEnv" . | nindent 4 }}
  startupProbe:
    httpGet:
      path: /live
      port: {{ $probed }}
    {{- toYaml .Values.startupProbe | nindent 4 }}
  livenessProbe:
    httpGet:
      path: /live
      port: {{ $probed }}
    {{- toYaml .Values.livenessProbe | nindent 4 }}
  readinessProbe:
    httpGet:
      path: /ready
      port: {{ $probed }}
    {{- toYaml .Values.readinessProbe | nindent 4 }}
  {{- if gt (int .Values.preStopSeconds) 0 }}
  lifecycle:
    preStop:
      sleep:
        seconds: {{ .Values.preStopSeconds }}
  {{- end }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.securityContext | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- with include "agent-api.fileMounts" . }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
