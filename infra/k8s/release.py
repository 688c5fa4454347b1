"""What Helm makes of the chart, as objects."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HELM = ROOT / ".treble/helm/helm"
NAME, NAMESPACE = "treble", "treble"
WORKLOADS = {"StatefulSet", "Deployment", "Job"}
# Libyaml's loader where there is one: five times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Fault:
    """What is wrong. `about` is an object or a file."""

    rule: str
    about: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.about}: {self.text}"


def helm(*words):
    """Runs Helm; its exit code and its words, but for its notes that files/ links to what it shows."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(ROOT / ".treble")}
    said = subprocess.run([HELM, *words], capture_output=True, text=True, env=environment)
    notes = [line for line in said.stderr.splitlines() if "found symbolic link" not in line]
    return said.returncode, said.stdout, "\n".join(notes)


def rendered(values, version, *more):
    """The objects that the chart makes of a file of values, for a version of Kubernetes; hooks included."""
    code, text, notes = helm("template", NAME, HERE / "treble", "--namespace", NAMESPACE, "--values", values, "--kube-version", version, *more)
    if code != 0:
        raise SystemExit(f"{values.name}: helm template: {notes}")
    return Release(values.stem, [each for each in yaml.load_all(text, LOADER) if each])


def title(each):
    return f"{each['kind']}/{each['metadata']['name']}"


@dataclass
class Pod:
    """The pods of a workload, as its template has them."""

    owner: dict
    spec: dict
    labels: dict

    @property
    def about(self):
        return title(self.owner)

    @property
    def container(self):
        return self.spec["containers"][0]

    @property
    def component(self):
        return self.labels.get("app.kubernetes.io/component")

    @property
    def is_treble(self):
        """Whether it runs the treble command; the collector of traces does not."""
        return self.container["name"] == NAME

    @property
    def runs_stages(self):
        return self.container["args"][:1] == ["run"]

    def environment(self):
        """Variable → value, as the first of its pods would see it."""
        known = {"metadata.name": f"{self.owner['metadata']['name']}-0", "metadata.namespace": NAMESPACE}
        seen = {}
        for each in self.container.get("env", []):
            if "fieldRef" in each.get("valueFrom", {}):
                seen[each["name"]] = known[each["valueFrom"]["fieldRef"]["fieldPath"]]
            elif "resourceFieldRef" in each.get("valueFrom", {}):
                seen[each["name"]] = "1"
            else:
                value = each.get("value", "")
                for name, earlier in list(seen.items()):
                    value = value.replace(f"$({name})", earlier)
                seen[each["name"]] = value
        return seen

    def ports(self):
        """Name → number."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}


@dataclass
class Release:
    """All objects of one rendering."""

    name: str
    objects: list

    def of(self, *kinds):
        return [each for each in self.objects if each["kind"] in kinds]

    def pods(self):
        for each in self.of(*WORKLOADS):
            template = each["spec"]["template"]
            yield Pod(each, template["spec"], template["metadata"]["labels"])

    def processes(self):
        """The pods that run Treble."""
        return (pod for pod in self.pods() if pod.is_treble)


def selects(selector, labels):
    """Whether a LabelSelector selects what carries `labels`."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", []):
        inside = labels.get(each["key"]) in each["values"]
        if inside != (each["operator"] == "In"):
            return False
    return True
