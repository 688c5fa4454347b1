"""The collector of traces in the chart: monitoring/otel's own configuration, told what it asks for, reached by those who send, found by Prometheus."""

import re

import yaml
from operation import of, scrape_jobs
from policy import selectors_of
from release import LOADER, NAMESPACE, ROOT, selects, title

CONFIGURATION = ROOT / "monitoring/otel/collector.yaml"
TEXT = CONFIGURATION.read_text()
READ = re.findall(r"\$\{env:(\w+)(:-([^}]*))?\}", TEXT)
# Variable → its default, empty where there is none; and those without.
ASKED = {name: default for name, _, default in READ}
WITHOUT = {name for name, told, _ in READ if not told}
# What the container names → the variable that says where the program listens.
LISTENS = {"otlp": "OTELCOL_LISTEN", "health": "OTELCOL_HEALTH", "metrics": "OTELCOL_METRICS_PORT"}


def collectors(release):
    return [pod for pod in release.pods() if not pod.is_treble]


def collector_configuration(release):
    """It runs the repository's configuration, and starts anew when that changes."""
    for pod in collectors(release):
        maps = {each["metadata"]["name"]: each["data"] for each in release.of("ConfigMap")}
        mounts = {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]}
        files = {f"{mounts.get(volume['name'])}/{name}": text for volume in pod.spec["volumes"] for name, text in maps.get(volume.get("configMap", {}).get("name"), {}).items()}
        args = pod.container["args"]
        if args[:1] != ["--config"] or files.get(args[-1]) != TEXT:
            yield pod.about, f"{' '.join(args)} is not monitoring/otel/collector.yaml"
        if "checksum/configuration" not in pod.owner["spec"]["template"]["metadata"].get("annotations", {}):
            yield pod.about, "goes on with the old configuration after an upgrade"
        if (pod.owner["spec"].get("replicas"), pod.owner["spec"]["strategy"]["type"]) != (1, "Recreate"):
            yield pod.about, "two of them: the spans of a trace come to either"


def collector_told(release):
    """Every variable that has no default is told, and none that nobody reads."""
    for pod in collectors(release):
        told = pod.environment()
        for name in sorted(WITHOUT - set(told)):
            yield pod.about, f"{name} has no default and is not told"
        for name in sorted(set(told) - set(ASKED) - {"GOMEMLIMIT"}):
            yield pod.about, f"{name} is read by nobody"
        folders = {mount["mountPath"] for mount in pod.container["volumeMounts"] if not mount.get("readOnly")}
        if told.get("OTELCOL_STORAGE") not in folders:
            yield pod.about, f"what waits lies in {told.get('OTELCOL_STORAGE')}, where nothing can be written"
        yield from bounds(pod, told)


def bounds(pod, told):
    """What it may hold fits into what it may have."""
    bytes_of = lambda text: int(re.match(r"\d+", text).group()) * {"Mi": 1 << 20, "Gi": 1 << 30, "MiB": 1 << 20}[re.search(r"[A-Za-z]+$", text).group()]
    memory = int(told.get("OTELCOL_MEMORY_MIB", 0)) << 20
    if not 0 < memory <= bytes_of(pod.container["resources"]["limits"]["memory"]) * 8 // 10:
        yield pod.about, "may hold more in spans than its memory allows"
    if bytes_of(told.get("GOMEMLIMIT", "0MiB")) > memory:
        yield pod.about, "GOMEMLIMIT is beyond what it may hold"
    most = int(re.search(r"max_size: (\d+)", TEXT).group(1))
    for volume in pod.spec["volumes"]:
        if "emptyDir" in volume and bytes_of(volume["emptyDir"].get("sizeLimit", "0Mi")) < 2 * most:
            yield pod.about, f"is evicted before its queue is full: {volume['name']}"


def collector_ports(release):
    """What it listens on is what is named, probed and scraped."""
    job = scrape_jobs()["otel"]
    for pod in collectors(release):
        told = pod.environment()
        listened = {name: int(told.get(variable, ASKED[variable]).rsplit(":", 1)[-1]) for name, variable in LISTENS.items()}
        if listened != pod.ports():
            yield pod.about, f"names the ports {pod.ports()}, and listens on {listened}"
        if any(not told.get(name, "").startswith("0.0.0.0") for name in ("OTELCOL_LISTEN", "OTELCOL_HEALTH", "OTELCOL_METRICS_HOST")):
            yield pod.about, "listens where nobody reaches it"
        for probe in ("livenessProbe", "readinessProbe"):
            if pod.container.get(probe, {}).get("httpGet", {}).get("port") != "health":
                yield pod.about, f"{probe} does not ask for its health"
        for each in release.of("PodMonitor"):
            if not selects(selectors_of(each), pod.labels):
                continue
            (endpoint,) = each["spec"]["podMetricsEndpoints"]
            given = {rule["targetLabel"]: rule.get("replacement") for rule in endpoint["relabelings"] if "targetLabel" in rule}
            if given.get("job") != job["job_name"] or endpoint["interval"] != job["scrape_interval"] or endpoint["port"] != "metrics":
                yield title(each), f"is not the job {job['job_name']} of monitoring/prometheus/prometheus.yml"


def collector_senders(release):
    """Pods send to it by a name and a port that a Service has, trust somebody there, and show the token that it asks for; nobody else gets in unnamed."""
    for pod in collectors(release):
        services = [each for each in release.of("Service") if selects({"matchLabels": each["spec"]["selector"]}, pod.labels) and each["spec"].get("clusterIP") != "None"]
        names = {f"https://{each['metadata']['name']}.{NAMESPACE}.svc:{port['port']}" for each in services for port in each["spec"]["ports"] if port["targetPort"] == "otlp"}
        asks = secret_of(pod, pod.environment().get("OTELCOL_TOKEN_FILE", ""))
        for sender in release.processes():
            if of(sender, "traces.endpoint") not in names:
                yield sender.about, f"sends its traces to {of(sender, 'traces.endpoint') or 'nobody'}, and not to {', '.join(sorted(names))}"
            if not of(sender, "traces.ca_file"):
                yield sender.about, "knows no authority for the collector"
            if secret_of(sender, of(sender, "traces.token_file")) != asks:
                yield sender.about, "shows the collector another token than it asks for"


def secret_of(pod, path):
    """(Secret, key) that a file of a pod comes from."""
    folder, _, name = path.rpartition("/")
    volume = next((mount["name"] for mount in pod.container["volumeMounts"] if mount["mountPath"] == folder), None)
    secret = next((each["secret"] for each in pod.spec["volumes"] if each["name"] == volume and "secret" in each), {"items": []})
    return secret.get("secretName"), next((item["key"] for item in secret["items"] if item["path"] == name), None)


def collector_image(release):
    """The image is not Treble's: it is built from the manifest, whose version the Dockerfile need not know."""
    for pod in collectors(release):
        if pod.container["image"] in {other.container["image"] for other in release.processes()}:
            yield pod.about, "runs Treble's image, which holds no collector"


COLLECTOR = {
    "collector-configuration": collector_configuration, "collector-told": collector_told, "collector-ports": collector_ports,
    "collector-senders": collector_senders, "collector-image": collector_image,
}


def image_faults(text, ignored):
    """What infra/docker/otelcol.Dockerfile promises: built by the setup's own script, as the user of the chart, from files that its context holds."""
    user = re.search(r"(?m)^USER (\d+):", (ROOT / "infra/docker/Dockerfile").read_text()).group(1)
    if f"\nUSER {user}:{user}\n" not in text:
        yield "otelcol.Dockerfile: runs as another user than the chart's pods"
    if "infra/setup/otelcol" not in text or "monitoring/otel/builder" not in text:
        yield "otelcol.Dockerfile: is not built from monitoring/otel/builder"
    let = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", text):
        for path in line.split()[:-1]:
            if not (ROOT / path).exists():
                yield f"otelcol.Dockerfile: {path} does not exist"
            if not any(path == each or path.startswith(f"{each}/") for each in let):
                yield f"otelcol.Dockerfile: its context lacks {path}"
    wanted = re.search(r"(?m)^go (\d+\.\d+)", (ROOT / "monitoring/otel/builder/go.mod").read_text()).group(1)
    if f"FROM golang:{wanted}-" not in text:
        yield f"otelcol.Dockerfile: go.mod wants Go {wanted}"


def collector_faults():
    """Those of the image as it is, and of images that break it."""
    folder = ROOT / "infra/docker"
    text, ignored = (folder / "otelcol.Dockerfile").read_text(), (folder / "otelcol.Dockerfile.dockerignore").read_text()
    yield from image_faults(text, ignored)
    for good, bad in {"USER 10001:": "USER 0:", "infra/setup/otelcol.txt": "infra/setup/collector.txt", "FROM golang:1.": "FROM golang:2."}.items():
        if good not in text or not list(image_faults(text.replace(good, bad), ignored)):
            yield f"otelcol.Dockerfile with {bad} is taken"
    if not list(image_faults(text, ignored.replace("!monitoring/otel/builder", ""))):
        yield "otelcol.Dockerfile without its manifest is taken"
    # The chart's copy is a link.
    if (ROOT / "infra/k8s/treble/files/collector.yaml").resolve() != CONFIGURATION:
        yield "files/collector.yaml is not monitoring/otel/collector.yaml itself"
