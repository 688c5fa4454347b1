"""For each rule a chart that breaks it, and no other: what is rendered, changed in one place."""

import copy


def first(release, kind, name):
    return next(each for each in release.objects if each["kind"] == kind and each["metadata"]["name"] == name)


def changed(release, kind, name, *path, to):
    """A copy in which what lies at `path` of one object is `to`; a function makes it of what is there, `None` takes it away."""
    other = copy.deepcopy(release)
    place = first(other, kind, name)
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return other


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)


def one(kind, name, *path, to):
    return lambda release: changed(release, kind, name, *path, to=to)


def pod(*path, to, of="treble-decode", kind="StatefulSet"):
    return one(kind, of, *POD, *path, to=to)


def container(*path, to, of="treble-decode", kind="StatefulSet"):
    return one(kind, of, *CONTAINER, *path, to=to)


def variable(name, value, of="treble-decode", kind="StatefulSet"):
    """A variable more, or another value of it."""
    def to(listed):
        return [each for each in listed if each["name"] != name] + ([] if value is None else [{"name": name, "value": value}])
    return container("env", to=to, of=of, kind=kind)


def endpoint(*path, to, of="treble-stages"):
    return one("PodMonitor", of, "spec", "podMetricsEndpoints", 0, *path, to=to)


def egress(to):
    return one("NetworkPolicy", "treble-kafka", "spec", "egress", to=to)


def without(kind, name):
    def to(release):
        other = copy.deepcopy(release)
        other.objects.remove(first(other, kind, name))
        return other
    return to


def added(document):
    def to(release):
        other = copy.deepcopy(release)
        other.objects.append({**document, "metadata": {"name": "treble-added", "namespace": "treble"}})
        return other
    return to


def item(listed, name):
    return [each for each in listed if each["name"] != name]


def relabelled(release):
    """All of one set under another name."""
    other = copy.deepcopy(release)
    for each in other.objects:
        if each["metadata"]["name"] == "treble-pipeline":
            for labels in (each["metadata"]["labels"], each.get("spec", {}).get("selector", {}).get("matchLabels", {}),
                           each.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})):
                labels["app.kubernetes.io/component"] = "all"
    for each in other.objects:
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "treble-pipeline":
            for spread in each["spec"]["template"]["spec"]["topologySpreadConstraints"]:
                spread["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] = "all"
    return other


ROLE = {"kind": "Role", "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
OWN = ("spec", "triggers", 0, "metadata", "query")
UP = ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp", "stabilizationWindowSeconds")

# rule → which file of values, and the change; a list: several, each of which must be found.
BROKEN = {
    "pod-user": ("secure", [pod("securityContext", "runAsUser", to=0), pod("securityContext", "seccompProfile", to=None)]),
    "container-rights": ("secure", [container("securityContext", "readOnlyRootFilesystem", to=False),
                                    container("securityContext", "capabilities", "add", to=["NET_RAW"])]),
    "host": ("secure", [pod("hostNetwork", to=True)]),
    "api-token": ("secure", [pod("automountServiceAccountToken", to=True)]),
    "account": ("secure", [pod("serviceAccountName", to="treble-encode"), pod("serviceAccountName", to="default")]),
    "rbac": ("secure", [added(ROLE), added(ROLE | {"rules": [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}]}),
                        added(ROLE | {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}]}), added({"kind": "ClusterRole"})]),
    "service-links": ("secure", [pod("enableServiceLinks", to=None)]),
    "image-version": ("secure", [container("image", to="treble"), container("image", to="treble:latest")]),
    "resources": ("secure", [container("resources", "limits", "memory", to=None)]),
    "spread": ("secure", [pod("topologySpreadConstraints", to=[])]),
    "secret-files": ("secure", [
        added({"kind": "Secret"}),
        container("env", to=lambda listed: [*listed, {"name": "PASSWORD_OF_MINE", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]),
        variable("METRICS_TOKEN", "hunter2"),
        container("volumeMounts", 1, "subPath", to="password"),
    ]),
    "mounted-files": ("secure", [container("volumeMounts", to=lambda listed: item(listed, "kafka-sasl")),
                                 variable("TREBLE_KAFKA_SSL_CA_FILE", "/etc/treble/kafka-ca/gone.crt")]),
    "names": ("secure", [one("Service", "treble", "metadata", "namespace", to=None)]),
    "selectors": ("secure", [added({"kind": "NetworkPolicy", "spec": {"podSelector": {"matchLabels": {"app": "treble"}}, "policyTypes": []}})]),
    "service-ports": ("secure", [one("Service", "treble-sql", "spec", "ports", 0, "port", to=80)]),
    "disruption": ("secure", [without("PodDisruptionBudget", "treble-decode"),
                              one("PodDisruptionBudget", "treble-decode", "spec", "maxUnavailable", to=0)]),
    "default-deny": ("secure", [without("NetworkPolicy", "treble-default-deny")]),
    "narrow": ("secure", [
        one("NetworkPolicy", "treble-sql", "spec", "ingress", 0, "from", to=[]),
        one("NetworkPolicy", "treble-sql", "spec", "ingress", 0, "from", 0, "namespaceSelector", to={}),
    ]),
    "reaches": ("secure", [egress(to=lambda rules: rules[:1] + rules[2:]),
                           egress(to=lambda rules: rules[:-1]),
                           egress(to=lambda rules: [*rules, {"ports": [{"protocol": "TCP", "port": 22}], "to": rules[1]["to"]}])]),
    "admits": ("secure", [without("NetworkPolicy", "treble-metrics")]),
    "before-hooks": ("secure", [one("ServiceAccount", "treble-topics", "metadata", "annotations", to={}),
                                one("NetworkPolicy", "treble-topics", "metadata", "annotations", "helm.sh/hook-weight", to="5")]),
    "identity": ("secure", [variable("TREBLE_INSTANCE_ID", "treble-decode"), variable("TREBLE_INSTANCE_ID", None)]),
    "probes": ("secure", [container("readinessProbe", "httpGet", "path", to="/ready"), container("livenessProbe", "httpGet", "port", to="metrics")]),
    "grace": ("secure", [pod("terminationGracePeriodSeconds", to=10), variable("TREBLE_COMMIT_DEADLINE_MS", "29000")]),
    "threads": ("secure", [variable("TREBLE_FLOW_THREADS", None)]),
    "gpu": ("gpu", [pod("tolerations", to=None, of="treble-upscale"), variable("TREBLE_ENGINE_DEVICE", "auto", of="treble-upscale"),
                    container("resources", "limits", "nvidia.com/gpu", to=None, of="treble-upscale")]),
    "scaling": ("gpu", [
        one("ScaledObject", "treble-decode", "spec", "maxReplicaCount", to=17),
        one("ScaledObject", "treble-decode", *UP, to=60),
        one("ScaledObject", "treble-decode", "spec", "triggers", 0, "metadata", "ignoreNullValues", to="true"),
        one("ScaledObject", "treble-decode", *OWN, to=lambda query: query.replace("scaling_lag", "wished_lag")),
        one("ScaledObject", "treble-decode", "spec", "triggers", 1, "metadata", "query", to=lambda query: query.replace("sum(", "sum((")),
        one("StatefulSet", "treble-decode", "spec", "replicas", to=3),
    ]),
    "groups": ("gpu", [one("ScaledObject", "treble-decode", *OWN, to=lambda query: query.replace("treble.decode", "treble-decode"))]),
    "monitors": ("secure", [one("PodMonitor", "treble-lag", "spec", "sampleLimit", to=4000),
                            one("PodMonitor", "treble-lag", "spec", "selector", "matchExpressions", 0, "values", to=["lag", "sql"]),
                            one("PodMonitor", "treble-stages", "spec", "selector", "matchExpressions", 0, "values", to=lambda listed: [each for each in listed if each != "canary"]),
                            one("PodMonitor", "treble-stages", "spec", "podMetricsEndpoints", 0, "relabelings", 0, "replacement", to="pods")]),
    "probe-scheme": ("secure", [container("readinessProbe", "httpGet", "scheme", to="HTTP"),
                                container("livenessProbe", "httpGet", "scheme", to=None, of="treble-lag", kind="Deployment")]),
    "scrape-tls": ("secure", [
        endpoint("scheme", to="http"),
        endpoint("tlsConfig", "ca", to=None),
        endpoint("tlsConfig", to=lambda trust: trust | {"insecureSkipVerify": True}, of="treble-lag"),
        endpoint("tlsConfig", "serverName", to=None),
    ]),
    "scrape-token": ("secure", [
        endpoint("authorization", to=None),
        endpoint("authorization", "credentials", to={"name": "treble-metrics-token"}),
        endpoint("params", to={"token": ["hunter2"]}, of="treble-lag"),
    ]),
    "components": ("small", [relabelled]),
    "lines": ("secure", [variable("TREBLE_LAKE_LOGS", None, of="treble-topics", kind="Job")]),
    "audit": ("gpu", [
        variable("TREBLE_LOG_AUDIT_FILE", None),
        variable("TREBLE_LOG_AUDIT_FILES", "300"),
        container("volumeMounts", to=lambda listed: item(listed, "treble-audit")),
        container("volumeMounts", to=lambda listed: [each | {"name": "tmp"} if each["name"] == "treble-audit" else each for each in listed]),
        pod("volumes", to=lambda listed: [*item(listed, "treble-audit"), {"name": "treble-audit", "persistentVolumeClaim": {"claimName": "a"}}]),
        container("volumeMounts", to=lambda listed: [each | {"subPathExpr": "$(POD_NAME)"} if each["name"] == "treble-audit" else each for each in listed], of="treble-lag", kind="Deployment"),
    ]),
    "collector-configuration": ("secure", [
        one("ConfigMap", "treble-otel", "data", "collector.yaml", to=lambda text: text.replace("status_codes: [ERROR]", "status_codes: [OK]")),
        one("Deployment", "treble-otel", "spec", "template", "metadata", "annotations", to={}),
        one("Deployment", "treble-otel", "spec", "replicas", to=2),
    ]),
    "collector-told": ("secure", [
        container("env", to=lambda listed: item(listed, "OTELCOL_STORAGE"), of="treble-otel", kind="Deployment"),
        variable("OTELCOL_KEEP_PERCENTAGE", "50", of="treble-otel", kind="Deployment"),
        variable("OTELCOL_MEMORY_MIB", "4096", of="treble-otel", kind="Deployment"),
        variable("GOMEMLIMIT", "900MiB", of="treble-otel", kind="Deployment"),
        pod("volumes", 1, "emptyDir", "sizeLimit", to="512Mi", of="treble-otel", kind="Deployment"),
    ]),
    "collector-ports": ("secure", [
        variable("OTELCOL_HEALTH", "127.0.0.1:13133", of="treble-otel", kind="Deployment"),
        container("readinessProbe", "httpGet", "port", to="metrics", of="treble-otel", kind="Deployment"),
        endpoint("relabelings", 0, "replacement", to="treble", of="treble-otel"),
        endpoint("interval", to="15s", of="treble-otel"),
    ]),
    "collector-senders": ("secure", [
        variable("TREBLE_TRACES_ENDPOINT", "https://treble-otlp.treble.svc:4317"),
        pod("volumes", to=lambda listed: [each if each["name"] != "traces" else each | {"secret": each["secret"] | {"secretName": "other"}} for each in listed], of="treble-otel", kind="Deployment"),
    ]),
    "collector-image": ("secure", [container("image", to="registry.example.org/treble@sha256:" + 64 * "0", of="treble-otel", kind="Deployment")]),
    "rules": ("secure", [without("PrometheusRule", "treble-lag"),
                         one("PrometheusRule", "treble-lag", "spec", "groups", 0, "rules", 0, "expr", to="vector(0)")]),
    "dashboards": ("secure", [without("ConfigMap", "treble-dashboard-treble-lag"),
                              one("ConfigMap", "treble-dashboard-treble-lag", "metadata", "labels", "grafana_dashboard", to="true")]),
    "environment": ("secure", [variable("TREBLE_FLOW_REDS", "4"), variable("TREBLE_COMMIT_INTERVAL_MS", "1"), variable("TREBLE_ENCODE_CODEC", "mp3")]),
    "warnings": ("secure", [variable("TREBLE_REGISTRY_AUTO_REGISTER", "true"), variable("TREBLE_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")]),
    "command": ("secure", [container("args", to=["lag", "--listen", "0.0.0.0:9464", "--often"], of="treble-lag", kind="Deployment")]),
    "ports": ("secure", [variable("TREBLE_ADMIN_LISTEN", "127.0.0.1:9464"), variable("TREBLE_ADMIN_LISTEN", "0.0.0.0:9465")]),
}
