{{/* The OpenTelemetry Collector of the release: what it is called, what it is told, what it mounts. */}}

{{/* Where pods send traces: this release's own collector, or the one that the configuration names. Empty: nowhere. */}}
{{- define "treble.collectorEndpoint" -}}
{{- if .Values.collector.enabled -}}
{{- if index .Values.config "traces.endpoint" }}{{ fail "config.traces.endpoint: collector.enabled says where traces go" }}{{ end -}}
https://{{ include "treble.fullname" . }}-otel.{{ .Release.Namespace }}.svc:4317
{{- else -}}
{{ default "" (index .Values.config "traces.endpoint") }}
{{- end -}}
{{- end }}

{{/* Name → value of what monitoring/otel/collector.yaml reads, as YAML. What values say of it comes first: files and addresses are the chart's. */}}
{{- define "treble.collectorEnvironment" -}}
{{- $keys := dict -}}
{{- range $name, $value := .Values.collector.settings }}{{ $_ := set $keys (printf "OTELCOL_%s" $name) $value }}{{ end -}}
{{- $_ := set $keys "OTELCOL_CERTIFICATE" "/etc/treble/otel-tls/tls.crt" -}}
{{- $_ := set $keys "OTELCOL_KEY" "/etc/treble/otel-tls/tls.key" -}}
{{- $_ := set $keys "OTELCOL_TOKEN_FILE" "/etc/treble/traces/token" -}}
{{- $_ := set $keys "OTELCOL_BACKEND" (required "collector.store.endpoint: say where traces are kept, host:port" .Values.collector.store.endpoint) -}}
{{- $_ := set $keys "OTELCOL_BACKEND_CA" "/etc/treble/trace-store-ca/ca.crt" -}}
{{- $_ := set $keys "OTELCOL_BACKEND_TOKEN_FILE" "/etc/treble/trace-store/token" -}}
{{- $_ := set $keys "OTELCOL_STORAGE" "/var/lib/otelcol" -}}
{{- $_ := set $keys "OTELCOL_LISTEN" "0.0.0.0:4317" -}}
{{- $_ := set $keys "OTELCOL_HEALTH" "0.0.0.0:13133" -}}
{{- $_ := set $keys "OTELCOL_METRICS_HOST" "0.0.0.0" -}}
{{- $_ := set $keys "OTELCOL_METRICS_PORT" "8888" -}}
{{- $_ := set $keys "OTELCOL_CLUSTER" .Values.collector.cluster -}}
{{- $memory := int64 .Values.collector.memoryMib -}}
{{- $_ := set $keys "OTELCOL_MEMORY_MIB" $memory -}}
{{- /* The Collector's own advice. */}}
{{- $_ := set $keys "GOMEMLIMIT" (printf "%dMiB" (div (mul $memory 8) 10)) -}}
{{ toYaml $keys }}
{{- end }}

{{/* The Secrets that it mounts, as YAML, each in /etc/treble/NAME. The token is the one that pods send. */}}
{{- define "treble.collectorSecrets" -}}
{{- $secrets := dict -}}
{{- with .Values.collector -}}
{{- $_ := set $secrets "otel-tls" (dict "secret" (required "collector.tls.secret: spans and tokens would travel open" .tls.secret) "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) -}}
{{- $_ := set $secrets "trace-store" (dict "secret" (required "collector.store.secret: the token for the store" .store.secret) "items" (dict .store.key "token")) -}}
{{- $_ := set $secrets "trace-store-ca" (dict "secret" (required "collector.store.caSecret: whom to trust there" .store.caSecret) "items" (dict .store.caKey "ca.crt")) -}}
{{- end -}}
{{- with .Values.security.traces -}}
{{- $_ := set $secrets "traces" (dict "secret" (required "security.traces.secret: whom the collector lets in" .secret) "items" (dict .key "token")) -}}
{{- if not .caSecret }}{{ fail "security.traces.caSecret: pods have to know whom to trust" }}{{ end -}}
{{- end -}}
{{ toYaml $secrets }}
{{- end }}
