"""What documents promise: the commands of README.md name what the chart makes or they themselves made; the two charts and Alertmanager agree."""

import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml
from release import HERE, LOADER, NAME, NAMESPACE, ROOT, helm
from scraping import CERTIFICATE

README = HERE / "README.md"
STACK = HERE / "kube-prometheus-stack/values.yaml"
NAMESPACES = {"treble", "monitoring"}


def commands(text):
    """The commands of all shell blocks, as words, and what they name of the caller's own left as it is."""
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text):
        for line in block.splitlines():
            yield shlex.split(line, comments=True)


def made(releases):
    """(kind in small letters, name) of everything that any of the values makes, and what follows from it."""
    there = {(each["kind"].lower(), each["metadata"]["name"]) for release in releases for each in release.objects}
    there |= {("hpa", f"keda-hpa-{name}") for kind, name in there if kind == "scaledobject"}
    sets = [name for kind, name in there if kind == "statefulset"]
    return there | {("pod", f"{name}-0") for name in sets}


def created(text):
    """Secret → its keys, as `kubectl create secret` of the README makes them."""
    secrets = {}
    for words in commands(text):
        if "secret" not in words or "create" not in words:
            continue
        kind, name = words[words.index("secret") + 1 :][:2]
        keys = {"tls.crt", "tls.key"} if kind == "tls" else set()
        keys |= {word.split("=")[1] for word in words if word.startswith(("--from-file=", "--from-literal="))}
        secrets[name] = keys
    return secrets


def named(words):
    """(kind, name) of the objects that a kubectl command names."""
    for place, word in enumerate(words):
        if word.startswith("-") or "=" in word:
            continue
        kind, _, name = word.partition("/")
        if name and kind in {"job", "statefulset", "deployment", "service", "serviceaccount", "networkpolicy", "persistentvolumeclaim"}:
            yield kind, name
        elif word in ("scaledobject", "hpa"):
            yield word, words[place + 1]
        elif re.fullmatch(r"treble-[\w-]+-\d+", word):
            yield "pod", word


def unknown_objects(text, releases):
    there = made(releases)
    for words in commands(text):
        if words[:1] == ["kubectl"]:
            for kind, name in named(words):
                if (kind, name) not in there:
                    yield f"{' '.join(words[:5])} …: there is no {kind}/{name}"
            if "-n" in words and words[words.index("-n") + 1] not in NAMESPACES:
                yield f"the namespace {words[words.index('-n') + 1]} is not made"
        for word in words:
            if word.startswith(("infra/", "monitoring/")) and not (ROOT / word).exists():
                yield f"README.md: {word} does not exist"
            path = word.partition("=")[2].rpartition("=")[2]
            if path.startswith(("infra/", "monitoring/")) and not (ROOT / path).exists():
                yield f"README.md: {path} does not exist"


def wanted_secrets(releases, stack):
    """Secret → the keys that somebody reads from it."""
    for release in releases:
        for pod in release.pods():
            for volume in pod.spec["volumes"]:
                if "secret" in volume:
                    yield volume["secret"]["secretName"], {item["key"] for item in volume["secret"]["items"]}
            yield from ((each["name"], set()) for each in pod.spec.get("imagePullSecrets", []))
        for each in release.of("PodMonitor"):
            endpoint = each["spec"]["podMetricsEndpoints"][0]
            read = endpoint.get("tlsConfig", {}).get("ca", {}).get("secret"), endpoint.get("authorization", {}).get("credentials")
            yield from ((secret["name"], {secret["key"]}) for secret in read if secret)
    grafana, alertmanager = stack["grafana"], stack["alertmanager"]["alertmanagerSpec"]
    yield grafana["admin"]["existingSecret"], {grafana["admin"]["userKey"], grafana["admin"]["passwordKey"]}
    files = re.findall(r"\$__file\{([^}]*)\}", str(grafana["grafana.ini"]))
    for mount in grafana["extraSecretMounts"]:
        yield mount["secretName"], {file.rpartition("/")[2] for file in files if file.rpartition("/")[0] == mount["mountPath"]}
    for file in files:
        if file.rpartition("/")[0] not in {mount["mountPath"] for mount in grafana["extraSecretMounts"]}:
            yield "nobody mounts", {file}
    yield alertmanager["configSecret"], {"alertmanager.yaml"} | {file.name for file in (ROOT / "monitoring/alertmanager/templates").iterdir()}
    yield from receivers(alertmanager["secrets"])


def receivers(secrets):
    """The files that Alertmanager reads, by the Secret that the operator mounts."""
    text = subprocess.run([HERE / "alertmanager", "https://deadman.example.org/x"], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"(?m)_file: (\S+)", text):
        folder, _, key = path.removeprefix("/etc/alertmanager/secrets/").partition("/")
        yield (folder if folder in secrets else f"nobody mounts {path}"), {key}


def missing_secrets(text, releases, stack):
    there = created(text)
    for name, keys in wanted_secrets(releases, stack):
        if name not in there:
            yield f"README.md: nothing makes the Secret {name}"
        elif not keys <= there[name]:
            yield f"README.md: the Secret {name} lacks {', '.join(sorted(keys - there[name]))}"


def stack_faults(stack, releases):
    """What kube-prometheus-stack is told, against what the other files promise."""
    spec, grafana = stack["prometheus"]["prometheusSpec"], stack["grafana"]
    for kind in ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig"):
        if spec.get(f"{kind}SelectorNilUsesHelmValues") is not False:
            yield f"kube-prometheus-stack: {kind}s of other releases are not seen"
    retention = re.search(r"storage\.tsdb\.retention\.time=(\w+)", (ROOT / "docker-compose.yml").read_text()).group(1)
    if spec.get("retention") != retention:
        yield f"kube-prometheus-stack: retention is {spec.get('retention')}, and {retention} elsewhere"
    if "cluster" not in spec.get("externalLabels", {}):
        yield "kube-prometheus-stack: alerts are grouped by the label cluster"
    alerts = (ROOT / "monitoring/prometheus/rules/meta.yml").read_text()
    for name, off in stack["defaultRules"]["disabled"].items():
        if not off or f"alert: {name}\n" not in alerts:
            yield f"kube-prometheus-stack: {name} is not among our rules, or there twice"
    login = grafana["grafana.ini"]["auth.generic_oauth"]
    if {"adminPassword", "adminUser"} & set(grafana) or not str(login["client_secret"]).startswith("$__file{"):
        yield "kube-prometheus-stack: a secret in the file"
    roles = set(re.findall(r"&& '(\w+)'", login["role_attribute_path"]))
    if roles != {"Admin", "Editor", "Viewer"} or login.get("role_attribute_strict") is not True or not login.get("enabled"):
        yield f"kube-prometheus-stack: Grafana lets people in as {sorted(roles)}, or anybody"
    if login.get("tls_skip_verify_insecure") or grafana["grafana.ini"]["auth.anonymous"].get("enabled"):
        yield "kube-prometheus-stack: Grafana trusts whom it should not"
    shown = grafana["sidecar"]["dashboards"]
    for release in releases:
        for each in (each for each in release.of("ConfigMap") if "-dashboard-" in each["metadata"]["name"]):
            if each["metadata"]["labels"].get(shown["label"]) != shown["labelValue"] or shown.get("searchNamespace") != "ALL":
                yield f"kube-prometheus-stack: Grafana does not look for {each['metadata']['name']}"


def alertmanager_faults():
    """Alertmanager takes what is made for it."""
    text = subprocess.run([HERE / "alertmanager", "https://deadman.example.org/x"], capture_output=True, text=True, check=True).stdout
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text)
        file.flush()
        said = subprocess.run(["amtool", "check-config", file.name], capture_output=True, text=True)
    if said.returncode != 0 or "127.0.0.1" in text:
        yield f"alertmanager: {said.stdout}{said.stderr}"


def notes(values, version):
    """What Helm tells after an installation: it shows that only where there is a cluster, so the chart is rendered with one template more."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, "treble")
        shutil.copytree(HERE / "treble", chart)
        told = (chart / "templates/NOTES.txt").read_text()
        (chart / "templates/told.yaml").write_text('{{ define "told" }}' + told + '{{ end }}\ntold: {{ include "told" . | quote }}\n')
        code, text, said = helm("template", NAME, chart, "--namespace", NAMESPACE, "--values", values, "--kube-version", version, "--show-only", "templates/told.yaml")
    if code != 0:
        raise SystemExit(f"NOTES.txt: {said}")
    return yaml.load(text, LOADER)["told"]


def note_faults(told, release):
    """The commands among notes name what this release makes, each set is named, and what travels open is told."""
    typed = [line.strip() for line in told.splitlines() if line.strip().startswith("kubectl ")]
    yield from unknown_objects("```sh\n" + "\n".join(typed) + "\n```\n", [release])
    for each in release.of("StatefulSet"):
        if f"statefulset/{each['metadata']['name']}" not in told:
            yield f"NOTES.txt: says nothing of {each['metadata']['name']}"
    unencrypted = any("admin" in pod.ports() and CERTIFICATE not in pod.environment() for pod in release.pods())
    if each := next((each for each in release.of("Deployment") if each["metadata"]["name"].endswith("-otel")), None):
        if f"deployment/{each['metadata']['name']}" not in told:
            yield "NOTES.txt: says nothing of the collector of traces"
    if ("Metrics travel unencrypted" in told) != unencrypted:
        yield f"NOTES.txt: metrics travel {'open, and it says nothing of that' if unencrypted else 'encrypted, and it says otherwise'}"


def document_faults(releases, version):
    for name, release in releases.items():
        told = notes(HERE / f"values/{name}.yaml", version)
        yield from (f"{name}: {fault}" for fault in note_faults(told, release))
        if not list(note_faults(told.replace("deployment/treble-lag", "deployment/treble-log"), release)):
            yield f"{name}: notes on a deployment that is not there are taken"
        wrong = told.replace("Metrics travel unencrypted", "") if "Metrics travel" in told else f"{told}\nMetrics travel unencrypted"
        if not list(note_faults(wrong, release)):
            yield f"{name}: notes that are wrong on how metrics travel are taken"
    releases = releases.values()
    text, stack = README.read_text(), yaml.load(STACK.read_text(), LOADER)
    yield from unknown_objects(text, releases)
    yield from missing_secrets(text, releases, stack)
    yield from stack_faults(stack, releases)
    yield from alertmanager_faults()
    # What it is for, it finds.
    broken = {
        "statefulset/treble-decode": "statefulset/treble-recode", "treble-upscale-0": "treble-upscaler-0", "--from-file=tokens=": "--from-file=token=",
        "scaledobject treble-upscale": "scaledobject upscale", "infra/k8s/treble ": "infra/k8s/chart ", "treble-receivers": "receivers",
        "secret generic treble-metrics-ca --from-file=ca.crt=": "secret generic treble-metrics-ca --from-file=ca.pem=",
    }
    for good, bad in broken.items():
        wrong = text.replace(good, bad)
        if wrong == text or not [*unknown_objects(wrong, releases), *missing_secrets(wrong, releases, stack)]:
            yield f"README.md with '{bad}' is taken"
    for good, bad in {"retention: 30d": "retention: 3d", "podMonitorSelectorNilUsesHelmValues: false": "podMonitorSelectorNilUsesHelmValues: true",
                      "client_secret: $__file{/etc/secrets/grafana-oidc/client-secret}": "client_secret: hunter2",
                      "role_attribute_strict: true": "role_attribute_strict: false", 'labelValue: "1"': 'labelValue: "yes"',
                      "cluster: production": "region: north", "    Watchdog: true": "    Guarddog: true"}.items():
        told = STACK.read_text().replace(good, bad)
        if told == STACK.read_text() or not list(stack_faults(yaml.load(told, LOADER), releases)):
            yield f"kube-prometheus-stack with '{bad}' is taken"
