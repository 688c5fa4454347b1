"""What no object of the chart may do, whatever it is for: rights, secrets, networks, names."""

import re
from pathlib import PurePosixPath

from release import ROOT, Fault, selects, title

# Where files of Secrets lie.
SECRETS = "/etc/treble/"
USER = int(re.search(r"(?m)^USER (\d+):", (ROOT / "infra/docker/Dockerfile").read_text()).group(1))


def pod_user(release):
    for pod in release.pods():
        security = pod.spec.get("securityContext", {})
        wanted = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}}
        for key, value in wanted.items():
            if security.get(key) != value:
                yield pod.about, f"securityContext.{key} is {security.get(key)}, and {value} is wanted"


def container_rights(release):
    for pod in release.pods():
        for container in pod.spec["containers"] + pod.spec.get("initContainers", []):
            wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            if container.get("securityContext") != wanted:
                yield pod.about, f"the container {container['name']} has other rights than {wanted}"


def host(release):
    for pod in release.pods():
        for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            if pod.spec.get(key):
                yield pod.about, f"{key}: it sees more than its own container"
        for volume in pod.spec.get("volumes", []):
            if not set(volume) & {"emptyDir", "secret", "persistentVolumeClaim", "configMap"}:
                yield pod.about, f"the volume {volume['name']} is of a kind that is not needed"
        if any("hostPort" in port for port in pod.container.get("ports", [])):
            yield pod.about, "a port of the node"


def api_token(release):
    for each in release.of("ServiceAccount"):
        if each.get("automountServiceAccountToken") is not False:
            yield title(each), "hands out tokens for the Kubernetes API, which nothing here speaks to"
    for pod in release.pods():
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield pod.about, "mounts a token for the Kubernetes API"


def account(release):
    known = {each["metadata"]["name"] for each in release.of("ServiceAccount")}
    taken = [pod.spec.get("serviceAccountName") for pod in release.pods()]
    for pod in release.pods():
        name = pod.spec.get("serviceAccountName")
        if name not in known:
            yield pod.about, f"the account {name} is not made"
        elif taken.count(name) > 1:
            yield pod.about, f"the account {name} is shared"
    for name in known - set(taken):
        yield f"ServiceAccount/{name}", "nobody has it"


def rbac(release):
    for each in release.of("ClusterRole", "ClusterRoleBinding"):
        yield title(each), "rights in every namespace"
    for role in release.of("Role"):
        for rule in role["rules"]:
            named = rule.get("apiGroups", []) + rule.get("resources", []) + rule.get("verbs", [])
            if "*" in named:
                yield title(role), "a wildcard"
            if any(resource.split("/")[0] == "secrets" for resource in rule.get("resources", [])):
                yield title(role), "reads secrets"
            if not set(rule.get("verbs", [])) - {"*"} <= {"get", "list", "watch"}:
                yield title(role), f"changes things: {rule['verbs']}"


def service_links(release):
    for pod in release.pods():
        if pod.spec.get("enableServiceLinks") is not False:
            yield pod.about, "a Service called treble-… would put variables TREBLE_… into it"


def image_version(release):
    for pod in release.pods():
        image = pod.container["image"]
        if not re.search(r"(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$", image) or image.endswith(":latest"):
            yield pod.about, f"{image} is of no version"


def resources(release):
    for pod in release.pods():
        wanted = pod.container.get("resources", {})
        for key in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if not wanted.get(key[0], {}).get(key[1]):
                yield pod.about, f"says nothing of {'.'.join(key)}"


def spread(release):
    for pod in release.pods():
        keys = {each["topologyKey"] for each in pod.spec.get("topologySpreadConstraints", [])}
        if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield pod.about, "may stand on one node with all its like"
        for each in pod.spec.get("topologySpreadConstraints", []):
            if not selects(each["labelSelector"], pod.labels):
                yield pod.about, f"is spread over {each['topologyKey']} with others than its like"


def secret_files(release):
    for each in release.of("Secret"):
        yield title(each), "a secret in the chart"
    for pod in release.pods():
        if pod.container.get("envFrom") or any("secretKeyRef" in each.get("valueFrom", {}) for each in pod.container["env"]):
            yield pod.about, "a secret in the environment: children, dumps and `kubectl describe` see it, and it is never renewed"
        for variable, value in pod.environment().items():
            if re.search(r"(PASSWORD|TOKEN|SECRET|KEY)$", variable) and value and not value.startswith(SECRETS):
                yield pod.about, f"{variable} has a value in the chart"
        secrets = {each["name"]: each["secret"] for each in pod.spec["volumes"] if "secret" in each}
        for mount in pod.container["volumeMounts"]:
            if mount["name"] in secrets and (mount.get("subPath") or not mount.get("readOnly")):
                yield pod.about, f"the secret {mount['name']} is mounted so that it is never renewed, or can be written"
        for name, secret in secrets.items():
            if secret.get("defaultMode") != 0o440:
                yield pod.about, f"others may read the secret {name}"


def mounted_files(release):
    """Each file that a variable names is mounted, and nothing is mounted that no variable names."""
    for pod in release.pods():
        volumes = {each["name"]: each for each in pod.spec["volumes"]}
        there, folders = set(), {}
        for mount in pod.container["volumeMounts"]:
            folder, volume = PurePosixPath(mount["mountPath"]), volumes.get(mount["name"])
            if volume is None:
                yield pod.about, f"mounts {mount['name']}, which is no volume"
            elif "secret" in volume:
                there |= {str(folder / item["path"]) for item in volume["secret"]["items"]}
            else:
                folders[str(folder)] = mount
        named = {value for value in pod.environment().values() if value.startswith(SECRETS)}
        for path in sorted(named ^ there):
            yield pod.about, f"{path} is {'named and not mounted' if path in named else 'mounted and not named'}"
        lake = pod.environment().get("TREBLE_LAKE_URL", "")
        mount = next((folders[str(parent)] for parent in PurePosixPath(lake).parents if str(parent) in folders), None)
        if lake.startswith("/") and mount is None:
            yield pod.about, f"nothing is mounted where the lake is: {lake}"
        elif lake.startswith("/") and bool(mount.get("readOnly")) == pod.runs_stages:
            yield pod.about, "analyse writes the lake, others read it"


def names(release):
    seen = set()
    for each in release.objects:
        if each["metadata"].get("namespace") != "treble":
            yield title(each), "says no namespace"
        if title(each) in seen:
            yield title(each), "is there twice"
        seen.add(title(each))
        if len(each["metadata"]["name"]) > 63:
            yield title(each), "its name is longer than a label may be"


def selectors_of(each):
    """What an object selects pods by."""
    spec = each["spec"]
    if each["kind"] == "Service":
        return {"matchLabels": spec["selector"]}
    return spec.get("podSelector") or spec["selector"]


def selectors(release):
    """Who selects pods selects some; a workload, its own and no others."""
    pods = list(release.pods())
    for each in release.of("Service", "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"):
        if not any(selects(selectors_of(each), pod.labels) for pod in pods):
            yield title(each), "selects nothing"
    for each in release.of("StatefulSet", "Deployment"):
        chosen = [pod.about for pod in pods if selects(selectors_of(each), pod.labels)]
        if chosen != [title(each)]:
            yield title(each), f"selects {chosen}"


def service_ports(release):
    pods = list(release.pods())
    for service in release.of("Service"):
        for port in service["spec"]["ports"]:
            # A headless one names pods and passes nothing on: one that lacks the port is no fault.
            having = [pod for pod in pods if selects(selectors_of(service), pod.labels) and port["targetPort"] in pod.ports()]
            if not having or any(pod.ports()[port["targetPort"]] != port["port"] for pod in having):
                yield title(service), f"no pod serves {port['targetPort']} at {port['port']}"
    known = {each["metadata"]["name"] for each in release.of("Service")}
    for each in release.of("StatefulSet"):
        if each["spec"]["serviceName"] not in known:
            yield title(each), f"the Service {each['spec']['serviceName']} is not made"


def disruption(release):
    for pod in release.pods():
        budgets = [each for each in release.of("PodDisruptionBudget") if selects(selectors_of(each), pod.labels)]
        wanted = 1 if pod.runs_stages or pod.component == "sql" else 0
        if len(budgets) != wanted:
            yield pod.about, f"has {len(budgets)} disruption budgets, and {wanted} are wanted"
        if any(each["spec"].get("maxUnavailable") in (None, 0, "0%") for each in budgets):
            yield pod.about, "its node can never be drained"


POLICY = {
    "pod-user": pod_user, "container-rights": container_rights, "host": host, "api-token": api_token, "account": account, "rbac": rbac,
    "service-links": service_links, "image-version": image_version, "resources": resources, "spread": spread, "secret-files": secret_files,
    "mounted-files": mounted_files, "names": names, "selectors": selectors, "service-ports": service_ports, "disruption": disruption,
}


def faults(release, rules):
    """What `rules` find."""
    return [Fault(name, *found) for name, rule in rules.items() for found in rule(release)]
