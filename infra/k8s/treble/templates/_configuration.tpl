{{/* What processes are told: environment variables, and the files that they name. */}}

{{/* A number as people write it: Helm reads all of them as floating point. */}}
{{- define "treble.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/*
The Secrets that are mounted, as YAML: name of the volume → secret, items (key → file). Each lies in /etc/treble/NAME. root; doors: whether
those of `treble serve` are among them; ports: those of the pod; who serves metrics has `admin` among them.
*/}}
{{- define "treble.secrets" -}}
{{- $secrets := dict -}}
{{- $security := .root.Values.security -}}
{{- with $security.kafka.sasl }}{{ if .secret }}{{ $_ := set $secrets "kafka-sasl" (dict "secret" .secret "items" (dict .key "password")) }}{{ end }}{{ end -}}
{{- with $security.kafka.tls }}{{ if .enabled -}}
{{- if .caSecret }}{{ $_ := set $secrets "kafka-ca" (dict "secret" .caSecret "items" (dict .caKey "ca.crt")) }}{{ end -}}
{{- if .clientSecret }}{{ $_ := set $secrets "kafka-client" (dict "secret" .clientSecret "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}{{ end -}}
{{- end }}{{ end -}}
{{- with $security.registry -}}
{{- if .secret }}{{ $_ := set $secrets "registry" (dict "secret" .secret "items" (dict .key "secret")) }}{{ end -}}
{{- if .caSecret }}{{ $_ := set $secrets "registry-ca" (dict "secret" .caSecret "items" (dict .caKey "ca.crt")) }}{{ end -}}
{{- end -}}
{{- with $security.traces -}}
{{- if .secret }}{{ $_ := set $secrets "traces" (dict "secret" .secret "items" (dict .key "token")) }}{{ end -}}
{{- if .caSecret }}{{ $_ := set $secrets "traces-ca" (dict "secret" .caSecret "items" (dict .caKey "ca.crt")) }}{{ end -}}
{{- end -}}
{{- if hasKey (default dict .ports) "admin" }}{{ with $security.metrics -}}
{{- if .tls.secret }}{{ $_ := set $secrets "metrics-tls" (dict "secret" .tls.secret "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}{{ end -}}
{{- if .token.secret }}{{ $_ := set $secrets "metrics-token" (dict "secret" .token.secret "items" (dict .token.key "token")) }}{{ end -}}
{{- end }}{{ end -}}
{{- if .doors }}{{ with .root.Values.sql -}}
{{- $_ := set $secrets "sql-tokens" (dict "secret" (required "sql.tokens.secret: the doors ask for tokens" .tokens.secret) "items" (dict .tokens.key "tokens")) -}}
{{- if .tls.secret }}{{ $_ := set $secrets "sql-tls" (dict "secret" .tls.secret "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}{{ end -}}
{{- end }}{{ end -}}
{{ toYaml $secrets }}
{{- end }}

{{/* The keys that follow from `security.metrics`, as YAML: of a process that serves metrics. */}}
{{- define "treble.exposure" -}}
{{- $keys := dict -}}
{{- with .Values.security.metrics -}}
{{- if and .token.secret (not .tls.secret) -}}
{{- fail "security.metrics.token.secret: the token would travel open; name security.metrics.tls.secret too" -}}
{{- end -}}
{{- if .tls.secret -}}
{{- $_ := set $keys "admin.tls_certificate_file" "/etc/treble/metrics-tls/tls.crt" -}}
{{- $_ := set $keys "admin.tls_key_file" "/etc/treble/metrics-tls/tls.key" -}}
{{- end -}}
{{- if .token.secret }}{{ $_ := set $keys "admin.token_file" "/etc/treble/metrics-token/token" }}{{ end -}}
{{- end -}}
{{ toYaml $keys }}
{{- end }}

{{/* Where the audit log is written, as YAML: by a process that runs for long. */}}
{{- define "treble.audited" -}}
{{- $keys := dict -}}
{{- with .Values.audit -}}{{ if .enabled -}}
{{- $_ := set $keys "log.audit_file" "/var/log/treble/audit.log" -}}
{{- $_ := set $keys "log.audit_mb" .megabytes -}}
{{- $_ := set $keys "log.audit_files" .files -}}
{{- end }}{{ end -}}
{{ toYaml $keys }}
{{- end }}

{{/* The keys that follow from the rest of `security`, as YAML. */}}
{{- define "treble.credentials" -}}
{{- $keys := dict -}}
{{- with .Values.security.kafka -}}
{{- $_ := set $keys "kafka.security_protocol" (ternary (ternary "SASL_SSL" "SSL" (ne .sasl.secret "")) (ternary "SASL_PLAINTEXT" "PLAINTEXT" (ne .sasl.secret "")) .tls.enabled) -}}
{{- if .sasl.secret -}}
{{- $_ := set $keys "kafka.sasl_mechanism" .sasl.mechanism -}}
{{- $_ := set $keys "kafka.sasl_username" (required "security.kafka.sasl.username: SASL needs one" .sasl.username) -}}
{{- $_ := set $keys "kafka.sasl_password_file" "/etc/treble/kafka-sasl/password" -}}
{{- end -}}
{{- if and .tls.enabled .tls.caSecret }}{{ $_ := set $keys "kafka.ssl_ca_file" "/etc/treble/kafka-ca/ca.crt" }}{{ end -}}
{{- if and .tls.enabled .tls.clientSecret -}}
{{- $_ := set $keys "kafka.ssl_certificate_file" "/etc/treble/kafka-client/tls.crt" -}}
{{- $_ := set $keys "kafka.ssl_key_file" "/etc/treble/kafka-client/tls.key" -}}
{{- end -}}
{{- end -}}
{{- with .Values.security.registry -}}
{{- if and .secret .username -}}
{{- $_ := set $keys "registry.username" .username -}}
{{- $_ := set $keys "registry.password_file" "/etc/treble/registry/secret" -}}
{{- else if .secret -}}
{{- $_ := set $keys "registry.token_file" "/etc/treble/registry/secret" -}}
{{- end -}}
{{- if .caSecret }}{{ $_ := set $keys "registry.ca_file" "/etc/treble/registry-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{- with include "treble.collectorEndpoint" . }}{{ $_ := set $keys "traces.endpoint" . }}{{ end -}}
{{- with .Values.security.traces -}}
{{- if .secret }}{{ $_ := set $keys "traces.token_file" "/etc/treble/traces/token" }}{{ end -}}
{{- if .caSecret }}{{ $_ := set $keys "traces.ca_file" "/etc/treble/traces-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{ toYaml $keys }}
{{- end }}

{{/* root, config (of this component), decided (by the chart; wins), silent (serves no metrics, and is soon over): the entries of `env` that set keys of docs/configuration.md. */}}
{{- define "treble.environment" -}}
{{- include "treble.checked" (dict "root" .root "config" .root.Values.config) -}}
{{- include "treble.checked" (dict "root" .root "config" (default dict .config)) -}}
{{- $keys := dict "log.format" "json" -}}
{{- range $source := list .root.Values.config (default dict .config) (fromYaml (include "treble.credentials" .root)) (ternary dict (fromYaml (include "treble.exposure" .root)) (default false .silent)) (ternary dict (fromYaml (include "treble.audited" .root)) (default false .silent)) .decided -}}
{{- range $key, $value := $source }}{{ $_ := set $keys $key $value }}{{ end -}}
{{- end -}}
{{- range $key, $value := $keys }}
- name: TREBLE_{{ $key | upper | replace "." "_" }}
  value: {{ include "treble.text" $value | quote }}
{{- end }}
{{- end }}

{{/* root, key: an address of the configuration, which has to be there. */}}
{{- define "treble.address" -}}
{{ required (printf "config.%s: say where it is" .key) (index .root.Values.config .key) }}
{{- end }}

{{/* Milliseconds of commit.deadline_ms, as the configuration has it or by default, in whole seconds; and the margin. */}}
{{- define "treble.grace" -}}
{{ add (div (add (int64 (default 10000 (index .Values.config "commit.deadline_ms"))) 999) 1000) (int64 .Values.drainMarginSeconds) }}
{{- end }}

{{/*
Who a process of stages is: its namespace and its pod's name, which has the ordinal. That is the static member's id (group.instance.id), and
behind the group's name the transactional id. root, set. Threads follow the request: without a limit, a process would start one for each core of the node.
*/}}
{{- define "treble.identity" }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: TREBLE_INSTANCE_ID
  value: $(POD_NAMESPACE).$(POD_NAME)
{{- include "treble.threads" (dict "variable" "TREBLE_FLOW_THREADS" "key" "flow.threads" "config" (merge (dict) .set.config .root.Values.config)) }}
{{- end }}

{{/* variable, key, config: the variable, unless the configuration of this component sets the key. */}}
{{- define "treble.threads" }}
{{- if not (hasKey .config .key) }}
- name: {{ .variable }}
  valueFrom: { resourceFieldRef: { resource: requests.cpu } }
{{- end }}
{{- end }}

{{/* Keys that are not for `config`: the chart decides them, takes them elsewhere, or would put a secret where people read it. */}}
{{- define "treble.decided" -}}
instance_id stages topology admin.listen lake.url sql.http_listen sql.flight_listen sql.postgres_listen sql.anonymous registry.auto_register
log.audit_mb log.audit_files kafka.security_protocol kafka.sasl_mechanism kafka.sasl_username registry.username registry.password registry.token
{{- end }}

{{/*
Refuses keys that nobody knows: files/configuration.md is docs/configuration.md itself. Files are mounted from Secrets, which values name elsewhere.
root, config.
*/}}
{{- define "treble.checked" -}}
{{- $page := .root.Files.Get "files/configuration.md" -}}
{{- $decided := regexSplit "\\s+" (include "treble.decided" .root) -1 -}}
{{- range $key, $_ := .config -}}
{{- if or (has $key $decided) (hasSuffix "_file" $key) -}}
{{- fail (printf "config: %s is not set here: the chart decides it; see values.yaml" $key) -}}
{{- else if not (or (contains (printf "\n| `%s` | " $key) $page) (hasPrefix "kafka.properties." $key)) -}}
{{- fail (printf "config: there is no key %s; docs/configuration.md has all of them" $key) -}}
{{- end -}}
{{- end -}}
{{- end }}
