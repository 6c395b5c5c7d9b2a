{{- define "replicator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What chooses the pods of a component. Takes the root and the component's name. */}}
{{- define "replicator.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "replicator.labels" -}}
{{ include "replicator.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "replicator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "replicator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Takes the root and the image: repository, tag, digest. */}}
{{- define "replicator.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The name of the Secret with etcd's certificates, or nothing. Takes the root and the name. */}}
{{- define "replicator.etcdTls" -}}
{{- $endpoints := ((.root.Values.config.etcd).endpoints) | default list -}}
{{- if not (and $endpoints (hasPrefix "http://" (first $endpoints))) -}}
{{- .secret -}}
{{- end -}}
{{- end -}}

{{/* The settings with the paths of etcd's certificates. Takes the root, settings, and the Secret's name. */}}
{{- define "replicator.settings" -}}
{{- $settings := deepCopy .settings -}}
{{- $etcd := $settings.etcd | default dict -}}
{{- if and (include "replicator.etcdTls" .) (not (or $etcd.cacert $etcd.cert $etcd.key)) -}}
{{- $own := dict "cert" "/etc/etcd-tls/tls.crt" "key" "/etc/etcd-tls/tls.key" -}}
{{- $_ := set $settings "etcd" (merge (dict "cacert" "/etc/etcd-tls/ca.crt") $own $etcd) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* A port, from an address to listen at. */}}
{{- define "replicator.port" -}}
{{- splitList ":" .metrics.listen | last -}}
{{- end -}}

{{/*
The variables that come from Secrets, as a list. Takes their names. Those of an etcd that asks for a password
may be missing: an empty variable counts as not set.
*/}}
{{- define "replicator.secretVariables" -}}
{{- if .etcdUser -}}
- name: REPLICATOR_ETCD_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ .etcdUser | quote }}, key: username, optional: true}
- name: REPLICATOR_ETCD_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .etcdUser | quote }}, key: password, optional: true}
{{ end }}
{{- if .archiveKeys -}}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .archiveKeys | quote }}, key: AWS_ACCESS_KEY_ID}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .archiveKeys | quote }}, key: AWS_SECRET_ACCESS_KEY}
{{- end -}}
{{- end -}}

{{/* What no container needs, and so none may. */}}
{{- define "replicator.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "replicator.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "replicator.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* On which nodes, and by which secrets for their images. Takes the root and what says where. */}}
{{- define "replicator.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .where.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}
