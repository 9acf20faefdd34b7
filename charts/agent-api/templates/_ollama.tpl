{{/* The init containers of a pod with its own Ollama: the server, which stays, then the pull of its models. */}}
{{- define "agent-api.ollamaContainers" -}}
- name: ollama
  image: {{ include "agent-api.image" (list . .Values.ollama.image "") | quote }}
  imagePullPolicy: {{ .Values.ollama.image.pullPolicy }}
  restartPolicy: Always
  args: [serve]
  env: {{- include "agent-api.ollamaEnv" . | nindent 4 }}
  startupProbe:
    exec:
      command: [ollama, list]
    periodSeconds: 1
    timeoutSeconds: 5
    failureThreshold: 60
  resources:
    {{- $resources := deepCopy .Values.ollama.resources -}}
    {{- with .Values.ollama.gpu }}
    {{- if .enabled }}
    {{- $resources = mergeOverwrite $resources (dict "limits" (dict .resource (int .count))) }}
    {{- end }}
    {{- end }}
    {{- toYaml $resources | nindent 4 }}
  securityContext: {{- toYaml .Values.securityContext | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - name: ollama
      mountPath: /ollama
    - name: ollama-tmp
      mountPath: /tmp
    {{- if (include "agent-api.caVariables" . | fromYamlArray) }}
    - name: ca
      mountPath: {{ include "agent-api.caFolder" . }}
      readOnly: true
    {{- end }}
- name: pull-models
  image: {{ include "agent-api.image" (list . .Values.image .Chart.AppVersion) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, /models/pull_models.py]
  args: {{- splitList " " (include "agent-api.ollamaModels" .) | toYaml | nindent 4 }}
  env:
    - name: OLLAMA_API_BASE
      value: {{ include "agent-api.ollamaAddress" . | quote }}
    - name: PRELOAD
      value: {{ .Values.ollama.preload | quote }}
  resources:
    requests: {cpu: 10m, memory: 32Mi, ephemeral-storage: 8Mi}
    limits: {cpu: "1", memory: 128Mi, ephemeral-storage: 32Mi}
  securityContext: {{- toYaml .Values.securityContext | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - name: models
      mountPath: /models
      readOnly: true
{{- end }}

{{- define "agent-api.ollamaVolumes" -}}
- name: ollama
  {{- with .Values.ollama.persistence }}
  {{- if .enabled }}
  persistentVolumeClaim:
    claimName: {{ .existingClaim | default (printf "%s-models" (include "agent-api.fullname" $)) | quote }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .size }}
  {{- end }}
  {{- end }}
- name: ollama-tmp
  emptyDir:
    sizeLimit: 1Gi
- name: models
  configMap:
    name: {{ include "agent-api.fullname" . }}-models
{{- end }}
