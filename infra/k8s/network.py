"""Who may speak to whom: nothing that no policy names, and everything that Treble needs."""

from urllib.parse import urlsplit

from policy import selectors_of
from release import NAMESPACE, selects, title


def policies(release, pod, way):
    """The policies for `way` (Ingress, Egress) that hold for a pod."""
    for each in release.of("NetworkPolicy"):
        if way in each["spec"]["policyTypes"] and selects(selectors_of(each), pod.labels):
            yield each


def allowed(release, pod, way):
    """(protocol, port) → the peers that any policy lets through; an empty list: everybody."""
    let = {}
    for policy in policies(release, pod, way):
        for rule in policy["spec"].get(way.lower(), []):
            for port in rule.get("ports", []):
                number = pod.ports().get(port["port"], port["port"]) if way == "Ingress" else port["port"]
                let.setdefault((port["protocol"], number), []).append(rule.get("from" if way == "Ingress" else "to", []))
    return let


def default_deny(release):
    for pod in release.pods():
        for way in ("Ingress", "Egress"):
            if not any(way in each["spec"]["policyTypes"] for each in policies(release, pod, way)):
                yield pod.about, f"no policy holds for its {way}: all of it is open"


def narrow(release):
    for policy in release.of("NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(way, []):
                if not rule.get("ports"):
                    yield title(policy), f"{way} on every port"
                if way == "ingress" and not rule.get("from"):
                    yield title(policy), "lets everybody in"
                for peer in rule.get(peers, []):
                    if peer.get("namespaceSelector") == {} or peer.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0"):
                        yield title(policy), f"{way} with everybody, in so many words"


def calls(pod):
    """What a pod has to reach, as (protocol, port)."""
    environment = pod.environment()
    if not pod.is_treble:
        return {("UDP", 53), ("TCP", 53), ("TCP", int(environment["OTELCOL_BACKEND"].rsplit(":", 1)[1]))}
    registry = urlsplit(environment["TREBLE_REGISTRY_URL"])
    brokers = environment["TREBLE_KAFKA_BOOTSTRAP_SERVERS"].split(",")
    wanted = {("TCP", int(each.rsplit(":", 1)[1])) for each in brokers}
    wanted |= {("TCP", registry.port or {"http": 80, "https": 443}[registry.scheme]), ("UDP", 53), ("TCP", 53)}
    if endpoint := environment.get("TREBLE_TRACES_ENDPOINT"):
        collector = urlsplit(endpoint)
        wanted.add(("TCP", collector.port or {"http": 80, "https": 443}[collector.scheme]))
    if "://" in environment.get("TREBLE_LAKE_URL", ""):
        wanted.add(("TCP", 443))
    return wanted


def reaches(release):
    """What it needs is let out, and nothing else."""
    for pod in release.pods():
        let, wanted = allowed(release, pod, "Egress"), calls(pod)
        for protocol, port in sorted(wanted - set(let)):
            yield pod.about, f"cannot reach {protocol} {port}"
        for protocol, port in sorted(set(let) - wanted):
            yield pod.about, f"is let out to {protocol} {port}, which it never calls"


def admits(release):
    """Prometheus reads metrics wherever a PodMonitor sends it, from its own namespace; the doors are reached by clients alone."""
    monitored = bool(release.of("PodMonitor"))
    for pod in release.pods():
        let = allowed(release, pod, "Ingress")
        served = pod.ports()
        admin = ("TCP", served.get("admin", served.get("metrics")))
        if monitored and admin[1] and admin not in let:
            yield pod.about, "Prometheus cannot read its metrics"
        for peers in let.get(admin, []):
            for peer in peers:
                if not peer.get("namespaceSelector") or not peer.get("podSelector"):
                    yield pod.about, "its metrics are read by others than Prometheus"
        if strangers := set(let) - {("TCP", number) for number in served.values()}:
            yield pod.about, f"is let in at {strangers}, where nobody listens"


def before_hooks(release):
    """What a hook needs is a hook too, and comes first: nothing else is there yet at the first installation."""
    weight = lambda each: int(each["metadata"].get("annotations", {}).get("helm.sh/hook-weight", "0"))
    hook = lambda each: each["metadata"].get("annotations", {}).get("helm.sh/hook")
    for pod in release.pods():
        if not hook(pod.owner):
            continue
        if set(hook(pod.owner).split(",")) != {"pre-install", "pre-upgrade"}:
            yield pod.about, "topics have to be there before a process starts, at installations and upgrades"
        needs = [each for each in release.of("ServiceAccount") if each["metadata"]["name"] == pod.spec["serviceAccountName"]]
        egress = [each for each in policies(release, pod, "Egress") if each["spec"].get("egress")]
        for each in needs + egress:
            if hook(each) != hook(pod.owner) or weight(each) >= weight(pod.owner):
                yield title(each), f"is not there yet when {pod.about} runs"
        if not egress:
            yield pod.about, "cannot call anybody before the release's own policies are there"
    if not any(hook(pod.owner) and pod.container["args"] == ["topics", "create"] for pod in release.pods()):
        yield NAMESPACE, "nobody creates the topics"


NETWORK = {"default-deny": default_deny, "narrow": narrow, "reaches": reaches, "admits": admits, "before-hooks": before_hooks}
