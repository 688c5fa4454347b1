"""How processes live: who they are, how they are asked, how they end, how many there are, who watches them."""

import functools
import json
import re
import subprocess

import yaml
from known import metrics_known
from promql import selectors as series_of
from release import LOADER, NAMESPACE, ROOT, selects, title
from policy import selectors_of

MONITORING = ROOT / "monitoring"
ADMIN = (ROOT / "pipeline/src/admin/http.rs").read_text()
PATHS = set(re.findall(r'\.route\("(/\w+)"', ADMIN))
# Key → default.
DOCUMENTED = {
    key: default.strip('"')
    for key, default in re.findall(r"(?m)^\| `([a-z_.0-9]+)` \| `([^`]*)` \| `TREBLE_", (ROOT / "docs/configuration.md").read_text())
}
# As the collector of a node finds it below the kubelet's folder.
AUDIT_VOLUME = re.search(r"kubernetes\.io~empty-dir/([\w-]+)/audit\.log", (MONITORING / "logs/fluent-bit/kubernetes.yaml").read_text()).group(1)
LARGEST_CONFIG_MAP = 1 << 20


def of(pod, key):
    """What a pod's configuration has for a key, or by default."""
    return pod.environment().get("TREBLE_" + key.upper().replace(".", "_"), DOCUMENTED[key])


def identity(release):
    """A process of stages has a name that its successor has as well, and nobody else."""
    for pod in release.processes():
        name = pod.environment().get("TREBLE_INSTANCE_ID")
        if not pod.runs_stages:
            if name:
                yield pod.about, "is a member of no group and needs no name"
            continue
        if pod.owner["kind"] != "StatefulSet":
            yield pod.about, "its pods have other names after each restart: no successor fences its predecessor"
        if name != f"{NAMESPACE}.{pod.owner['metadata']['name']}-0":
            yield pod.about, f"instance_id is {name}, and not the namespace and the pod's name"
        elif len(name) + len("000") > 100:
            yield pod.about, f"instance_id is longer than Kafka takes: {name}"


def probes(release):
    for pod in release.processes():
        if pod.owner["kind"] == "Job":
            continue
        wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
        for probe, path in wanted.items():
            asked = pod.container.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or path not in PATHS:
                yield pod.about, f"{probe} asks {asked.get('path')}; the process serves {', '.join(sorted(PATHS))}"
            if asked.get("port") not in pod.ports():
                yield pod.about, f"{probe} asks the port {asked.get('port')}, which is not there"


def grace(release):
    """A drain ends before it is killed: commit.deadline_ms, and time for what was being computed."""
    for pod in release.processes():
        seconds = pod.spec.get("terminationGracePeriodSeconds", 30)
        if pod.runs_stages and seconds * 1000 < int(of(pod, "commit.deadline_ms")) + 5000:
            yield pod.about, f"is killed after {seconds} s, and may commit for {of(pod, 'commit.deadline_ms')} ms"


def threads(release):
    """Without a CPU limit a process sees all cores of the node: threads follow the request."""
    wanted = {"run": "TREBLE_FLOW_THREADS", "serve": "TREBLE_SQL_THREADS"}
    for pod in release.pods():
        variable = wanted.get(pod.container["args"][0])
        if variable and variable not in pod.environment():
            yield pod.about, f"{variable} is not set: a thread for each core of the node"


def gpu(release):
    for pod in release.processes():
        resources = pod.container["resources"]
        asked = [key for key in resources["limits"] if key.endswith("/gpu")]
        if not asked and of(pod, "engine.device") in ("cuda", "tensorrt"):
            yield pod.about, "wants a GPU and is given none"
        for key in asked:
            if not pod.spec.get("nodeSelector") or not any(each.get("key") == key for each in pod.spec.get("tolerations", [])):
                yield pod.about, f"asks for {key}, and for no node that has it"
            if of(pod, "engine.device") not in ("cuda", "tensorrt") or of(pod, "upscale.mode") != "ai":
                yield pod.about, f"has {key}, and would not say so if it did not use it"
            if resources["requests"].get(key, resources["limits"][key]) != resources["limits"][key]:
                yield pod.about, f"{key} cannot be overcommitted"


def scaling(release):
    workloads = {pod.about: pod for pod in release.pods()}
    for each in release.of("ScaledObject"):
        spec = each["spec"]
        target = f"{spec['scaleTargetRef']['kind']}/{spec['scaleTargetRef']['name']}"
        pod = workloads.get(target)
        if pod is None:
            yield title(each), f"scales {target}, which is not made"
            continue
        if "replicas" in pod.owner["spec"]:
            yield target, "has replicas of its own: every upgrade would undo what was scaled"
        if not 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= int(of(pod, "topics.partitions")):
            yield title(each), f"{spec['minReplicaCount']} to {spec['maxReplicaCount']} replicas for {of(pod, 'topics.partitions')} partitions"
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        patience = behavior["scaleUp"]["stabilizationWindowSeconds"]
        if patience < stuck_after() + spec["pollingInterval"] + 30:
            yield title(each), f"scales {patience} s after a partition began to look late, before it can be known to be stuck"
        (down,) = behavior["scaleDown"]["policies"]
        if down["type"] != "Pods" or down["value"] != 1 or down["periodSeconds"] * 1000 <= 2 * int(of(pod, "kafka.session_timeout_ms")):
            yield title(each), "takes members away faster than their sessions end"
        for trigger in spec["triggers"]:
            if trigger["metadata"].get("ignoreNullValues") != "false":
                yield title(each), f"{trigger['name']}: takes silence for zero"
            yield from unknown_series(each, trigger)


def stuck_after():
    """For how long the rule that scaling rests on counts a partition that no longer moves, in seconds."""
    text = (MONITORING / "prometheus/rules/records.yml").read_text()
    expr = re.search(r"record: group:kafka_scaling_lag_seconds:max\n +expr: (.*)", text).group(1)
    return 60 * int(re.search(r"changes\(kafka_consumergroup_current_offset\[(\d+)m\]\)", expr).group(1))


@functools.cache
def unparsed(query):
    """What promtool says of a query that is none."""
    rules = {"groups": [{"name": "asked", "rules": [{"record": "asked:query", "expr": query}]}]}
    said = subprocess.run(["promtool", "check", "rules", "--lint=none", "/dev/stdin"], input=json.dumps(rules), capture_output=True, text=True)
    return "" if said.returncode == 0 else said.stderr.strip()


def unknown_series(each, trigger):
    if said := unparsed(trigger["metadata"]["query"]):
        yield title(each), f"{trigger['name']}: {said}"
        return
    for selector in series_of(trigger["metadata"]["query"]):
        if re.sub("_(sum|count|bucket)$", "", selector.metric) not in metrics_known():
            yield title(each), f"{trigger['name']}: nobody exports {selector.metric}"
        if selector.matchers.get("namespace") != ("=", f'"{NAMESPACE}"'):
            yield title(each), f"{trigger['name']}: {selector} counts other installations as well"


def monitors(release):
    """All are watched, once, under the limits and labels of monitoring/prometheus/prometheus.yml."""
    if not release.of("PodMonitor"):
        return
    limits = {"sampleLimit": "sample_limit", "labelLimit": "label_limit", "labelValueLengthLimit": "label_value_length_limit", "bodySizeLimit": "body_size_limit"}
    for pod in release.pods():
        watching = [each for each in release.of("PodMonitor") if selects(selectors_of(each), pod.labels)]
        if len(watching) != bool({"admin", "metrics"} & set(pod.ports())):
            yield pod.about, f"is watched {len(watching)} times"
        for each in watching:
            job = scrape_jobs()[{"lag": "treble-lag", "otel": "otel"}.get(pod.component, "treble")]
            for here, there in limits.items():
                if each["spec"].get(here) != job.get(there):
                    yield title(each), f"{here} is {each['spec'].get(here)}, and {job.get(there)} elsewhere"
            if pod.is_treble:
                yield from relabelled(each)


def relabelled(each):
    (endpoint,) = each["spec"]["podMetricsEndpoints"]
    given = {rule["targetLabel"]: rule for rule in endpoint["relabelings"] if "targetLabel" in rule}
    if given.get("job", {}).get("replacement") != "treble":
        yield title(each), "rules look for job=\"treble\""
    if given.get("component", {}).get("sourceLabels") != ["__meta_kubernetes_pod_label_app_kubernetes_io_component"]:
        yield title(each), "rules tell components apart by the label component"
    if endpoint["path"] not in PATHS or endpoint["port"] != "admin":
        yield title(each), f"asks {endpoint['port']}{endpoint['path']}, which nobody serves"


def components(release):
    """The label that rules and dashboards rest on has the values that they know."""
    for pod in release.processes():
        stages = of(pod, "stages").split(",") if pod.runs_stages else []
        wanted = ("pipeline" if len(stages) > 1 else stages[0]) if stages else {"serve": "sql"}.get(pod.container["args"][0], pod.container["args"][0])
        if pod.component != wanted:
            yield pod.about, f"is labelled {pod.component}, and rules know it as {wanted}"


def rules(release):
    """Every group of rules, as it is; only where links lead may differ."""
    made = {each["metadata"]["name"].removeprefix("treble-"): each for each in release.of("PrometheusRule")}
    if not release.of("PodMonitor"):
        return
    for file, groups in rule_files():
        here = made.pop(file.stem, {"spec": {"groups": []}})["spec"]["groups"]
        if plain(here) != groups:
            yield f"PrometheusRule/treble-{file.stem}", f"not what {file.name} says"
        for rule in [rule for group in here for rule in group["rules"] if "alert" in rule]:
            links = rule["annotations"]
            if "127.0.0.1" in links["dashboard_url"] or "://" not in links["runbook_url"]:
                yield f"PrometheusRule/treble-{file.stem}", f"{rule['alert']}: its links lead nowhere: {links['runbook_url']}"
    for name in made:
        yield f"PrometheusRule/treble-{name}", "of no file"


def lines(release):
    """Where a stage stores lines of the log, their topic is made."""
    for pod in release.processes():
        storing = of(pod, "lake.logs") == "true"
        if pod.container["args"] == ["topics", "create"] and not storing and any(of(other, "lake.logs") == "true" for other in release.processes() if other.runs_stages):
            yield pod.about, "makes no topic for lines of the log: lake.logs is not under config"


def audit(release):
    """Who is watched writes what was refused, each into a folder of its own that has room for all that is kept."""
    processes = [pod for pod in release.processes() if "admin" in pod.ports()]
    audited = [pod for pod in release.processes() if of(pod, "log.audit_file")]
    if audited and audited != processes:
        yield release.name, f"some write an audit log: {', '.join(pod.about for pod in audited)}"
    for pod in audited:
        folder = of(pod, "log.audit_file").rpartition("/")[0]
        mount = next((mount for mount in pod.container["volumeMounts"] if mount["mountPath"] == folder), None)
        volume = next((each for each in pod.spec["volumes"] if mount and each["name"] == mount["name"]), {})
        kept = int(of(pod, "log.audit_mb")) * int(of(pod, "log.audit_files"))
        if not mount or mount.get("readOnly"):
            yield pod.about, f"cannot write to {folder}"
        elif mount["name"] != AUDIT_VOLUME:
            yield pod.about, f"the nodes' collector looks for {AUDIT_VOLUME}, and not for {mount['name']}"
        elif "emptyDir" in volume and int(volume["emptyDir"].get("sizeLimit", "0Mi").removesuffix("Mi")) <= kept:
            yield pod.about, f"is evicted before it has kept {kept} MB"
        elif "persistentVolumeClaim" in volume and mount.get("subPathExpr") != "$(POD_NAME)":
            yield pod.about, "writes into the file of another pod"
        elif "subPathExpr" in mount and "POD_NAME" not in pod.environment():
            yield pod.about, "does not know its own name, and so its folder"


@functools.cache
def rule_files():
    """The files of rules, each with what it says."""
    return [(file, plain(yaml.load(file.read_text(), LOADER)["groups"])) for file in sorted((MONITORING / "prometheus/rules").glob("*.yml"))]


@functools.cache
def scrape_jobs():
    """Name → job of Prometheus' configuration."""
    return {job["job_name"]: job for job in yaml.load((MONITORING / "prometheus/prometheus.yml").read_text(), LOADER)["scrape_configs"]}


def plain(groups):
    """Groups without the beginnings of links."""
    text = json.dumps(groups, sort_keys=True)
    return re.sub(r'"(dashboard_url|runbook_url)": "[^"]*?(/d/[^"]*|/[\w-]+\.md)"', r'"\1": "\2"', text)


def dashboards(release):
    made = {name: (each, text) for each in release.of("ConfigMap") for name, text in each["data"].items() if "-dashboard-" in each["metadata"]["name"]}
    if not release.of("PodMonitor"):
        return
    for file in sorted((MONITORING / "grafana/dashboards").glob("*.json")):
        each, text = made.pop(file.name, ({"kind": "ConfigMap", "metadata": {"name": file.stem}}, ""))
        if text != file.read_text():
            yield title(each), f"not what {file.name} says"
        if each["metadata"].get("labels", {}).get("grafana_dashboard") != "1":
            yield title(each), "Grafana's sidecar looks for grafana_dashboard: \"1\""
        if len(text.encode()) > LARGEST_CONFIG_MAP * 9 // 10:
            yield title(each), "nearly larger than Kubernetes takes"
    for name in made:
        yield f"ConfigMap/{name}", "of no file"


OPERATION = {
    "identity": identity, "probes": probes, "grace": grace, "threads": threads, "gpu": gpu, "scaling": scaling, "monitors": monitors,
    "components": components, "rules": rules, "dashboards": dashboards, "audit": audit, "lines": lines,
}
