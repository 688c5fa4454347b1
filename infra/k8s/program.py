"""What the chart says to the program, and what the program says to that: the treble command itself is asked."""

import functools
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from operation import DOCUMENTED, of
from release import HERE, ROOT, title

BINARY = Path(os.environ.get("TREBLE_BINARY") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/treble")
# Shorter names for two keys, which the documentation names in its first paragraph.
VARIABLES = {"TREBLE_" + key.upper().replace(".", "_") for key in DOCUMENTED} | {"TREBLE_BOOTSTRAP_SERVERS", "TREBLE_SCHEMA_REGISTRY_URL"}


@functools.cache
def asked(environment, *words):
    """Runs treble with an environment (pairs) in an empty folder; exit code, standard output, standard error."""
    with tempfile.TemporaryDirectory() as empty:
        said = subprocess.run([BINARY, *words], env={"HOME": empty, **dict(environment)}, cwd=empty, capture_output=True, text=True)
    return said.returncode, said.stdout, said.stderr


def treble(pod, *words):
    own = {name: value for name, value in pod.environment().items() if name.startswith("TREBLE_")}
    return asked(tuple(sorted(own.items())), *words)


def environment(release):
    """Every variable sets a key of docs/configuration.md, and `treble validate` takes all of them together."""
    for pod in release.processes():
        names = [each["name"] for each in pod.container["env"]]
        for name in sorted(set(names)):
            if names.count(name) > 1:
                yield pod.about, f"{name} is set twice"
            if name.startswith("TREBLE_") and name not in VARIABLES and not name.startswith("TREBLE_KAFKA_PROPERTIES_"):
                yield pod.about, f"{name} sets nothing"
        code, _, said = treble(pod, "validate", "--no-environment", "--output", "json")
        if code != 0 and not (needs_a_bucket(said) and not pod.container["image"].startswith("treble:")):
            yield pod.about, f"treble validate: {said.strip()}"


def needs_a_bucket(said):
    """Whether the one fault is that this build knows no lakes in buckets: an image of another name may."""
    told = [json.loads(line) for line in said.splitlines()]
    found = [fault for each in told for fault in each.get("faults", [])]
    return [fault["key"] for fault in found] == ["lake.url"] and "--features lake-" in found[0]["problem"]


def warnings(release):
    """With everything encrypted, validation has nothing to warn of."""
    if release.name != "secure":
        return
    for pod in release.processes():
        for line in treble(pod, "validate", "--no-environment", "--output", "json")[2].splitlines():
            told = json.loads(line)
            if told["kind"] != "warning":
                continue
            # The job that registers schemas is the deployment which the warning asks for.
            job = told["key"] == "registry.auto_register" and pod.container["args"] == ["topics", "create"]
            if not job and concerns(pod, told["key"]):
                yield pod.about, f"{told['key']}: {told['problem']}"


def concerns(pod, key):
    """Whether a pod does what a key is about: the lag collector asks no registry, stages open no doors."""
    wanted = {"registry": {"run", "serve", "topics", "canary"}, "sql": {"serve"}}.get(key.split(".")[0])
    return wanted is None or pod.container["args"][0] in wanted


def command(release):
    for pod in release.processes():
        code, _, said = asked((), *pod.container["args"], "--help")
        if code != 0:
            yield pod.about, f"treble {' '.join(pod.container['args'])}: {said.splitlines()[0]}"


def ports(release):
    """A port of a container is an address that its process is told to listen on."""
    exposed = int(re.search(r"(?m)^EXPOSE (\d+)", (ROOT / "infra/docker/Dockerfile").read_text()).group(1))
    for pod in release.processes():
        told = {}
        if pod.runs_stages:
            told["admin"] = of(pod, "admin.listen")
        elif "--listen" in pod.container["args"]:
            told["admin"] = pod.container["args"][pod.container["args"].index("--listen") + 1]
        if pod.container["args"][0] == "serve":
            told |= {door: of(pod, f"sql.{door}_listen") for door in ("http", "flight", "postgres")}
        listened = {name: int(address.rsplit(":", 1)[1]) for name, address in told.items()}
        if listened != pod.ports():
            yield pod.about, f"names the ports {pod.ports()}, and listens on {listened}"
        if any(not address.startswith("0.0.0.0:") for address in told.values()):
            yield pod.about, "listens where nobody reaches it"
        if listened.get("admin", exposed) != exposed:
            yield pod.about, f"the image exposes {exposed}"


def groups(release):
    """A ScaledObject asks for the consumer group that its processes really are members of."""
    pods = {pod.about: pod for pod in release.pods()}
    for each in release.of("ScaledObject"):
        pod = pods.get(f"StatefulSet/{each['spec']['scaleTargetRef']['name']}")
        if pod is None:
            continue
        told = json.loads(treble(pod, "graph", "--output", "json")[1])
        real = {segment["group"] for segment in told["segments"]}
        query = each["spec"]["triggers"][0]["metadata"]["query"]
        wanted = set(re.findall(r'consumergroup="([^"]*)"', query))
        if wanted != real:
            yield title(each), f"asks for the group {wanted}, and its processes are members of {real}"


PROGRAM = {"environment": environment, "warnings": warnings, "command": command, "ports": ports, "groups": groups}


def chart_faults(chart, template):
    """What the chart's own files say of the program: its version, and the keys that the chart decides."""
    version = re.search(r'(?m)^version = "(.*)"', (ROOT / "Cargo.toml").read_text()).group(1)
    if f'appVersion: "{version}"' not in chart:
        yield f"Chart.yaml: appVersion is not that of the workspace, {version}"
    decided = re.search(r'(?s)define "treble.decided" -}}(.*?)\{\{', template).group(1).split()
    for key in decided:
        if key not in DOCUMENTED:
            yield f"_configuration.tpl: there is no key {key}"
    # What could be set twice would be set by whoever comes last. A file is refused by the ending of its key.
    templates = "".join(file.read_text() for file in sorted((HERE / "treble/templates").glob("*.yaml"))) + template
    for key in DOCUMENTED:
        written = re.search(rf'"{re.escape(key)}" (?!\|)[("$.\w]', templates)
        if written and key not in decided and not key.endswith("_file") and key not in OPEN:
            yield f"_configuration.tpl: the chart writes {key}, and config may set it too"


# Written by the chart and open all the same: config wins, or the chart reads it.
OPEN = {"log.format", "kafka.bootstrap_servers", "registry.url", "traces.endpoint", "flow.threads", "sql.threads"}


def own_faults():
    """Those of the chart as it is, and of charts that break it."""
    chart, template = (HERE / "treble/Chart.yaml").read_text(), (HERE / "treble/templates/_configuration.tpl").read_text()
    yield from chart_faults(chart, template)
    for good, bad in {"instance_id stages": "instance_name stages", "admin.listen lake.url": "lake.url", 'appVersion: "': 'appVersion: "9.'}.items():
        if not list(chart_faults(chart.replace(good, bad), template.replace(good, bad, 1))):
            yield f"a chart with {bad} is taken"
