{{/* Names and labels that all templates share. */}}
{{- define "bridge.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: make-bridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* One kind of pod: of (dict "root" $ "kind" name). */}}
{{- define "bridge.kindSelector" -}}
{{ include "bridge.selector" .root }}
app.kubernetes.io/component: {{ .kind }}
{{- end -}}

{{- define "bridge.kindName" -}}
{{ include "bridge.name" .root }}-{{ .kind }}
{{- end -}}

{{/* The kind of pod that the world calls: what serves everything, or the gateway. */}}
{{- define "bridge.entrance" -}}
{{- range $kind, $is := .Values.pods }}
{{- if and $is (or (not $is.roles) (has "gateway" $is.roles)) }}{{ $kind }}{{ end }}
{{- end }}
{{- end -}}

{{- define "bridge.labels" -}}
{{ include "bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: make-bridge
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "bridge.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* What Pod Security "restricted" asks of a pod, and of a container. */}}
{{- define "bridge.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "bridge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "bridge.secretVolume" -}}
name: secrets
secret: {secretName: {{ . }}, defaultMode: 0400}
{{- end -}}

{{- define "bridge.mounts" -}}
- {name: secrets, mountPath: /run/secrets/make-bridge, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "bridge.tmpVolume" -}}
name: tmp
emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end -}}
