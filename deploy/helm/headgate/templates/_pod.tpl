{{- define "headgate.name" -}}
{{- printf "%s-headgate" .Release.Name | replace "headgate-headgate" "headgate" | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "headgate.selector" -}}
app.kubernetes.io/name: headgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "headgate.labels" -}}
{{ include "headgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What the containers of the service and of the workers have in common. */}}
{{- define "headgate.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
env:
  {{- if .Values.connectionSecrets }}
  - name: HEADGATE_SECRET_FILES
    value: /run/secrets/connections
  {{- end }}
  {{- range $name, $value := .Values.settings }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
volumeMounts:
  - name: data
    mountPath: /data
  - name: tmp
    mountPath: /tmp
  {{- if .Values.settingsSecret }}
  - name: settings
    mountPath: /etc/headgate
    readOnly: true
  {{- end }}
  {{- if .Values.connectionSecrets }}
  - name: connections
    mountPath: /run/secrets/connections
    readOnly: true
  {{- end }}
{{- end }}
