{{/*
Every name that the chart gives, once. Cluster-wide objects carry the release's name too, so that a second release in
the same cluster is refused by Helm instead of taking over the first one's objects.
*/}}

{{- define "statefulrollout.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "statefulrollout.webhookName" -}}
{{ include "statefulrollout.name" . }}-webhook
{{- end }}

{{- define "statefulrollout.webhookSecretName" -}}
{{- if eq .Values.webhook.existingSecret (include "statefulrollout.webhookName" .) -}}
{{ fail "webhook.existingSecret: choose another name, since a release without this value has a Secret of this name, which Helm deletes" }}
{{- end -}}
{{ .Values.webhook.existingSecret | default (include "statefulrollout.webhookName" .) }}
{{- end }}

{{- define "statefulrollout.leaseName" -}}
{{ include "statefulrollout.name" . }}-leader
{{- end }}

{{- define "statefulrollout.lidName" -}}
{{ include "statefulrollout.name" . }}-lid
{{- end }}

{{- define "statefulrollout.authorPolicyName" -}}
{{ include "statefulrollout.name" . }}-author
{{- end }}

{{- define "statefulrollout.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "statefulrollout.name" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the ServiceAccount to use, since serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* Of the namespaces that the operator looks at. Nothing waits for it in its own, nor where the cluster's own pods are. */}}
{{- define "statefulrollout.namespaceSelector" -}}
{{- $never := list "kube-system" .Release.Namespace | uniq -}}
{{- range .Values.namespaces }}{{ if has . $never }}
{{- fail (printf "namespaces: %s cannot be one of them: the API server asks the operator nothing about pods there" .) }}
{{- end }}{{ end -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: {{ ternary "In" "NotIn" (not (empty .Values.namespaces)) }}
    values: {{ .Values.namespaces | default $never | toJson }}
{{- end }}

{{- define "statefulrollout.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What finds the operator's pods; never changes between versions, since a Deployment's selector cannot. */}}
{{- define "statefulrollout.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "statefulrollout.labels" -}}
{{ include "statefulrollout.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}
