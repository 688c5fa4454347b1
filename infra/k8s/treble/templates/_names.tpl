{{/* What things are called, and what they are labelled with. */}}

{{- define "treble.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "treble.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Of the whole release: what selectors of several components begin with. */}}
{{- define "treble.release" -}}
app.kubernetes.io/name: {{ include "treble.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* root, component: what a selector of one component holds; never changes. */}}
{{- define "treble.selector" -}}
{{ include "treble.release" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* root, component (optional). */}}
{{- define "treble.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ with .component -}}
{{ include "treble.selector" (dict "root" $.root "component" .) }}
{{- else -}}
{{ include "treble.release" .root }}
{{- end }}
{{- end }}

{{/* root, component: of a pod. The chart's own version is not among them, so that another one restarts nothing. */}}
{{- define "treble.podLabels" -}}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "treble.selector" . }}
{{- end }}

{{/* base, over: both in one, as YAML; what `over` says wins, also where it says false, 0 or nothing (mergeOverwrite keeps the base's then). */}}
{{- define "treble.merged" -}}
{{- $merged := deepCopy .base -}}
{{- range $key, $value := .over -}}
{{- $below := get $merged $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $below) -}}
{{- $_ := set $merged $key (fromYaml (include "treble.merged" (dict "base" $below "over" $value))) -}}
{{- else -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{ toYaml $merged }}
{{- end }}

{{/* root, image (optional, wins). */}}
{{- define "treble.image" -}}
{{- $image := fromYaml (include "treble.merged" (dict "base" .root.Values.image "over" (default dict .image))) -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{/* First part of the names of topics and groups. */}}
{{- define "treble.prefix" -}}
{{ default "treble" (index .Values.config "prefix") }}
{{- end }}

{{/*
The sets of processes that run, as YAML: name → all of its values, with `stages` and `group` (the consumer group).
*/}}
{{- define "treble.sets" -}}
{{- $names := ternary (list "pipeline") (list "decode" "upscale" "encode") (eq .Values.topology "fused") -}}
{{- if .Values.lake.url }}{{ $names = append $names "analyse" }}{{ end -}}
{{- $sets := dict -}}
{{- range $name := $names -}}
{{- $stages := ternary (list "decode" "upscale" "encode") (list $name) (eq $name "pipeline") -}}
{{- $set := fromYaml (include "treble.merged" (dict "base" $.Values.defaults "over" (index $.Values.sets $name))) -}}
{{- /* Its topic is written by all and its work is small: nothing says how busy it is. */}}
{{- if eq $name "analyse" }}{{ $_ := set $set.scaling "enabled" false }}{{ end -}}
{{- $_ := set $set "stages" $stages -}}
{{- $_ := set $set "group" (printf "%s.%s" (include "treble.prefix" $) (join "-" $stages)) -}}
{{- $_ := set $sets $name $set -}}
{{- end -}}
{{ toYaml $sets }}
{{- end }}
