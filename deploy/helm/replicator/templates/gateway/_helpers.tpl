{{- define "replicator.gateway.account" -}}
{{- with .Values.gateway.serviceAccount -}}
{{- .name | default (ternary (printf "%s-gateway" (include "replicator.fullname" $)) "default" .create) -}}
{{- end -}}
{{- end -}}

{{/* The agent's settings: what it must agree upon with the recorder is the recorder's. */}}
{{- define "replicator.gateway.agent" -}}
{{- $shared := pick .Values.config "etcd" "archive" "s3" "encryption" "apisix" "fallback_cp" | deepCopy -}}
{{- $settings := mergeOverwrite $shared (deepCopy .Values.gateway.config) -}}
{{- $secret := .Values.gateway.secrets.etcdTls -}}
{{- include "replicator.settings" (dict "root" . "settings" $settings "secret" $secret) -}}
{{- end -}}

{{/* The gateway's own config.yaml, of the same etcd as the agent's. */}}
{{- define "replicator.gateway.config" -}}
{{- $config := deepCopy .Values.gateway.apisix -}}
{{- $etcd := (include "replicator.gateway.agent" . | fromYaml).etcd -}}
{{- if not ($config.deployment).etcd -}}
{{- $same := dict "host" $etcd.endpoints "prefix" ($etcd.prefix | default "/apisix") -}}
{{- if and $etcd.cert $etcd.key -}}
{{- $_ := set $same "tls" (dict "cert" $etcd.cert "key" $etcd.key "verify" true) -}}
{{- end -}}
{{- $config = mergeOverwrite $config (dict "deployment" (dict "etcd" $same)) -}}
{{- end -}}
{{- if and $etcd.cacert (not (($config.apisix).ssl).ssl_trusted_certificate) -}}
{{- $trusted := dict "ssl" (dict "ssl_trusted_certificate" $etcd.cacert) -}}
{{- $config = mergeOverwrite $config (dict "apisix" $trusted) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What `prepare` and `agent` have in common. Takes the root, and the Secret with etcd's certificates. */}}
{{- define "replicator.gateway.besideGateway" -}}
{{- $gateway := .root.Values.gateway -}}
{{- $secret := include "replicator.secretVariables" $gateway.secrets | fromYamlArray -}}
{{- $env := concat $secret $gateway.agentEnv -}}
image: {{ include "replicator.image" (dict "root" .root "image" .root.Values.image) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with $env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $gateway.agentResources | nindent 2 }}
securityContext:
  {{- include "replicator.confined" . | nindent 2 }}
volumeMounts:
  - name: settings
    mountPath: /etc/replicator
    readOnly: true
  - name: scripts
    mountPath: /scripts
    readOnly: true
  {{- if .tls }}
  - name: etcd-tls
    mountPath: /etc/etcd-tls
    readOnly: true
  {{- end }}
  - name: conf
    mountPath: /usr/local/apisix/conf
  - name: home
    mountPath: {{ $gateway.config.agent.home }}
  - name: scratch
    mountPath: /tmp
    subPath: agent-tmp
{{- end -}}
