{{/* What all pods are made of. */}}

{{- define "treble.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "treble.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* root, component: its like on other nodes and in other zones, where there are any. */}}
{{- define "treble.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "treble.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* name of the volume → secret, items: the volumes. */}}
{{- define "treble.secretVolumes" -}}
{{- range $name, $secret := . }}
- name: {{ $name }}
  secret:
    secretName: {{ $secret.secret }}
    defaultMode: 0440
    items:
      {{- range $key, $path := $secret.items }}
      - { key: {{ $key | quote }}, path: {{ $path }} }
      {{- end }}
{{- end }}
{{- end }}

{{/*
A pod's spec. root, component, image, args, environment (text of `env`), resources, placement (nodeSelector, tolerations, priorityClassName,
runtimeClassName), grace (seconds), startupSeconds (0: no probes), ports (name → number), doors (whether it serves SQL), lake ("": none, rw, ro),
sleep (seconds before SIGTERM), spillMb (room in /tmp for queries), restartPolicy.
*/}}
{{- define "treble.pod" -}}
{{- $root := .root -}}
{{- $secrets := fromYaml (include "treble.secrets" .) -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne $root.Values.security.metrics.tls.secret "") -}}
{{- $audited := and $root.Values.audit.enabled (hasKey (default dict .ports) "admin") -}}
{{- $claim := $root.Values.audit.claim.existing -}}
{{- $folder := and .lake $root.Values.lake.url (not (contains "://" $root.Values.lake.url)) -}}
serviceAccountName: {{ include "treble.fullname" $root }}-{{ .component }}
automountServiceAccountToken: false
# A Service by the name of treble-… would put variables TREBLE_… into the pods.
enableServiceLinks: false
securityContext:
  {{- include "treble.podSecurity" . | nindent 2 }}
terminationGracePeriodSeconds: {{ .grace }}
{{- with .restartPolicy }}
restartPolicy: {{ . }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .placement }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}
topologySpreadConstraints:
  {{- include "treble.spread" . | trim | nindent 2 }}
containers:
  - name: treble
    image: {{ include "treble.image" . }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      {{- .environment | trim | nindent 6 }}
      {{- if and $audited $claim (not (contains "name: POD_NAME" .environment)) }}
      - name: POD_NAME
        valueFrom: { fieldRef: { fieldPath: metadata.name } }
      {{- end }}
    {{- with .ports }}
    ports:
      {{- range $name, $number := . }}
      - { name: {{ $name }}, containerPort: {{ $number }}, protocol: TCP }
      {{- end }}
    {{- end }}
    {{- if .startupSeconds }}
    # Who probes asks for no certificate and brings no token. The process turns; a restart mends nothing that is outside of it, so liveness asks no more.
    startupProbe:
      httpGet: { path: /livez, port: admin, scheme: {{ $scheme }} }
      periodSeconds: 2
      failureThreshold: {{ div (add (int64 .startupSeconds) 1) 2 }}
    livenessProbe:
      httpGet: { path: /livez, port: admin, scheme: {{ $scheme }} }
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 3
    # Every partition is restored and read, and a broker answers.
    readinessProbe:
      httpGet: { path: /readyz, port: admin, scheme: {{ $scheme }} }
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 2
    {{- end }}
    {{- with .sleep }}
    # Until every proxy has heard that this pod is going.
    lifecycle:
      preStop:
        sleep: { seconds: {{ . }} }
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- include "treble.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - { name: tmp, mountPath: /tmp }
      {{- range $name, $secret := $secrets }}
      - { name: {{ $name }}, mountPath: /etc/treble/{{ $name }}, readOnly: true }
      {{- end }}
      {{- if $audited }}
      # One folder a pod: two processes must not write one file.
      - { name: treble-audit, mountPath: /var/log/treble{{ if $claim }}, subPathExpr: $(POD_NAME){{ end }} }
      {{- end }}
      {{- if $folder }}
      - { name: lake, mountPath: /var/lib/treble, readOnly: {{ eq .lake "ro" }} }
      {{- end }}
volumes:
  - name: tmp
    emptyDir: { sizeLimit: {{ add 256 (int64 (default 0 .spillMb)) }}Mi }
  {{- include "treble.secretVolumes" $secrets | trim | nindent 2 }}
  {{- if $audited }}
  # The collector of each node knows it by this name (monitoring/logs/fluent-bit/kubernetes.yaml).
  - name: treble-audit
    {{- if $claim }}
    persistentVolumeClaim: { claimName: {{ $claim }} }
    {{- else }}
    emptyDir: { sizeLimit: {{ add 16 (mul (int64 $root.Values.audit.megabytes) (int64 $root.Values.audit.files)) }}Mi }
    {{- end }}
  {{- end }}
  {{- if $folder }}
  - name: lake
    persistentVolumeClaim:
      claimName: {{ default (printf "%s-lake" (include "treble.fullname" $root)) $root.Values.lake.claim.existing }}
      readOnly: {{ eq .lake "ro" }}
  {{- end }}
{{- end }}
