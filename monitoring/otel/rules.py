"""What the collector's configuration must keep, rule by rule. Pure: documents in, faults out."""

import re

# What may decide: each of them only ever keeps. drop, not, and, composite and rates can throw away what another wants to keep.
KEEPERS = {"status_code", "ottl_condition", "probabilistic"}
SECRETS = re.compile(r"(?i)^(token|tokens|password|api_?key|client_secret|key_pem|cert_pem|ca_pem|headers)$")
LISTENERS = ("endpoint", "host")
MARGIN_SECONDS = 30  # from when a stream is slow until its trace is decided upon


def walk(value, path=()):
    """Every value that is no table and no list, with the keys that lead there."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from walk(inside, (*path, str(key)))
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            yield from walk(inside, (*path, str(place)))
    else:
        yield path, value


def keys(value, path=()):
    """Every key with the path to it."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield (*path, str(key)), inside
            yield from keys(inside, (*path, str(key)))
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            yield from keys(inside, (*path, str(place)))


def default(value):
    """What a value is where the environment says nothing."""
    return re.sub(r"\$\{env:\w+(?::-([^}]*))?\}", lambda match: match.group(1) or "", str(value))


def seconds(value):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)?", default(value)).groups()
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[unit]


def pipelines(document):
    return document["service"]["pipelines"].items()


def kind(name):
    """`otlp/inside` is of the kind `otlp`."""
    return name.split("/")[0]


def section(document, part, name):
    """The settings of a component; an empty table where there are none."""
    return (document.get(part) or {}).get(name) or {}


def components(document):
    """Receivers, processors, exporters and extensions that run: (part, name)."""
    for name in document["service"].get("extensions", []):
        yield "extensions", name
    for _, pipeline in pipelines(document):
        for part in ("receivers", "processors", "exporters"):
            for name in pipeline.get(part, []):
                yield part, name


def policies(document):
    return [policy for name, settings in (document.get("processors") or {}).items() if kind(name) == "tail_sampling" for policy in settings["policies"]]


def limiter_first(document):
    for name, pipeline in pipelines(document):
        if [kind(each) for each in pipeline.get("processors", [])][:1] != ["memory_limiter"]:
            yield f"pipeline {name}: memory_limiter is not the first processor: memory has no bound"


def errors_are_kept(document):
    if not any(policy["type"] == "status_code" and policy["status_code"]["status_codes"] == ["ERROR"] for policy in policies(document)):
        yield "no policy keeps the traces of streams that failed: type status_code, status_codes [ERROR]"


def slow_is_kept(document):
    conditions = [condition for policy in policies(document) if policy["type"] == "ottl_condition" for condition in policy["ottl_condition"]["span"]]
    if not any(re.match(r'span\.attributes\["treble\.latency_seconds"\] > ', condition) for condition in conditions):
        yield "no policy keeps the traces of slow streams: a condition on treble.latency_seconds"


def nothing_is_thrown(document):
    for policy in policies(document):
        if policy["type"] not in KEEPERS or "invert_match" in str(policy):
            yield f"policy {policy['name']}: {policy['type']} can throw away what another policy keeps; use one of {', '.join(sorted(KEEPERS))}"


def decides_late(document):
    """After slow streams have been told to be slow, and so that late spans of kept traces follow and late errors are heard."""
    for name, settings in (document.get("processors") or {}).items():
        if kind(name) != "tail_sampling":
            continue
        slow = max((float(number) for condition in (walk(settings["policies"])) for number in re.findall(r"latency_seconds\"\] > ([\d.]+)", default(condition[1]))), default=0)
        if seconds(settings["decision_wait"]) < slow + MARGIN_SECONDS:
            yield f"decision_wait is less than {MARGIN_SECONDS} s beyond the {slow:g} s from which a stream is slow"
        cache = settings.get("decision_cache", {})
        if int(cache.get("sampled_cache_size", 0)) < int(default(settings["num_traces"])):
            yield "decision_cache: sampled_cache_size is below num_traces: late spans of kept traces are lost"
        if cache.get("non_sampled_cache_size") != 1:
            yield "decision_cache: non_sampled_cache_size is not 1: a late error goes the way of the trace that was let go"


def authenticated(document, settings):
    return settings.get("auth", {}).get("authenticator") in document["service"].get("extensions", [])


def comes_in_encrypted(document):
    for part, name in components(document):
        if part != "receivers":
            continue
        for protocol, settings in section(document, part, name)["protocols"].items():
            tls = (settings or {}).get("tls", {})
            if not tls.get("cert_file") or not tls.get("key_file") or tls.get("min_version") not in ("1.2", "1.3"):
                yield f"{name}: {protocol} takes plain text, or TLS older than 1.2"
            if not authenticated(document, settings or {}):
                yield f"{name}: {protocol} asks for no token, or its authenticator does not run"


def goes_out_encrypted(document):
    for part, name in components(document):
        settings = section(document, part, name)
        if part != "exporters" or not kind(name).startswith("otlp"):
            continue
        tls = settings.get("tls", {})
        if tls.get("insecure") or not tls.get("ca_file") or str(settings.get("endpoint", "")).startswith("http:"):
            yield f"{name}: sends plain text, or trusts nobody in particular: tls.ca_file"
        if not authenticated(document, settings):
            yield f"{name}: shows no token, or its authenticator does not run"
    for path, value in walk(document):
        if path[-1] == "insecure_skip_verify" and value:
            yield f"{'.'.join(path)}: any certificate would do"


def secrets_lie_in_files(document):
    for path, _ in keys(document):
        if SECRETS.match(path[-1]):
            yield f"{'.'.join(path)}: a secret in the configuration; name a file that holds it"


def listens_on_loopback(document):
    """Who wants more says so by the environment."""
    listening = [section(document, part, name) for part, name in components(document) if part in ("receivers", "extensions")]
    listening.append(document["service"].get("telemetry", {}))
    for settings in listening:
        for path, value in walk(settings):
            if path[-1] in LISTENERS and not default(value).startswith("127.0.0.1"):
                yield f"{'.'.join(path)}: listens on {default(value) or 'all addresses'} unless told otherwise"


def queue_is_bounded_and_kept(document):
    for part, name in components(document):
        if part != "exporters" or not kind(name).startswith("otlp"):
            continue
        settings = section(document, part, name)
        queue = settings.get("sending_queue", {})
        if queue.get("storage") not in document["service"].get("extensions", []):
            yield f"{name}: its queue is in memory: what was kept is lost with the process"
        if queue.get("sizer") != "items" or not 0 < int(default(queue.get("queue_size", 0))) <= 10_000_000:
            yield f"{name}: its queue has no bound in spans"
        if seconds(settings.get("retry_on_failure", {}).get("max_elapsed_time", "300s")) != 0:
            yield f"{name}: gives a batch up after a while, although the queue has room"
    for part, name in components(document):
        if kind(name) == "file_storage" and not section(document, part, name).get("max_size"):
            yield f"{name}: may fill the disk: max_size"


def secrets_are_redacted(document):
    for name, pipeline in pipelines(document):
        order = [kind(each) for each in pipeline["processors"]]
        if "redaction" not in order or order.index("redaction") > order.index("tail_sampling"):
            yield f"pipeline {name}: spans of others leave as they came: redaction, before tail_sampling"


def is_watched(document):
    readers = document["service"].get("telemetry", {}).get("metrics", {}).get("readers", [])
    if not any("prometheus" in reader.get("pull", {}).get("exporter", {}) for reader in readers):
        yield "its own metrics are told to nobody: service.telemetry.metrics"


COMMON = {rule.__name__: rule for rule in (limiter_first, comes_in_encrypted, goes_out_encrypted, secrets_lie_in_files, listens_on_loopback)}
GATEWAY = COMMON | {rule.__name__: rule for rule in (
    errors_are_kept, slow_is_kept, nothing_is_thrown, decides_late, queue_is_bounded_and_kept, secrets_are_redacted, is_watched)}


def faults(document, rules):
    """(rule, what is wrong) of each fault."""
    return [(name, said) for name, rule in rules.items() for said in rule(document)]


def module_kind(module):
    """The kind of a component, as configurations name it, by the Go module that holds it."""
    last = module.split("/")[-1]
    special = {"filestorage": "file_storage", "healthcheckextension": "health_check", "memorylimiterprocessor": "memory_limiter",
               "tailsamplingprocessor": "tail_sampling", "otlpexporter": "otlp_grpc"}
    return special.get(last) or re.sub(r"(receiver|processor|exporter|extension)$", "", last)


def manifest_faults(manifest, documents):
    """What is built is what runs, of one version."""
    listed = {(part, module_kind(entry["gomod"].split()[0])) for part in ("receivers", "processors", "exporters", "extensions") for entry in manifest[part]}
    run = {(part, kind(name)) for document in documents for part, name in components(document)}
    for part, name in sorted(listed - run):
        yield f"{part} {name}: is built, and no configuration runs it"
    for part, name in sorted(run - listed):
        yield f"{part} {name}: a configuration runs it, and it is not built"
    versions = {entry["gomod"].split()[1] for part in ("receivers", "processors", "exporters", "extensions") for entry in manifest[part]}
    if versions != {f"v{manifest['dist']['version']}"}:
        yield f"components of versions {', '.join(sorted(versions))} in a collector {manifest['dist']['version']}"
