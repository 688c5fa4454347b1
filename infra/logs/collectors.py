"""What must hold of the collectors' configurations, beyond that they can be read: no match is out of reach, lines of containers are taken
apart, only Treble's namespace is read, what is not delivered waits on disk, nothing is sent in the clear, no secret stands in a file; the archive gets
lines as they were written."""

import copy
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "monitoring/logs"
NAMESPACE = re.search(r'^NAME, NAMESPACE = "(\w+)", "(\w+)"$', (ROOT / "infra/k8s/release.py").read_text(), re.MULTILINE).group(2)
# Where analyse reads lines from, with the prefix that topics have by default.
TOPIC = "treble.logs"
# Streams of Azure's rule: of lines, and of audit logs.
STREAM, AUDIT_STREAM = re.findall(r'^(?:AUDIT_)?STREAM = "Custom-(\w+)"$', (LOGS / "generate").read_text(), re.MULTILINE)
AUDIT = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/treble-audit/audit.log"
SECRET = re.compile(r"^(\$\{[A-Z_]+\}|\"#\{ENV\['[A-Z_]+'\]\}\")$")
MEGABYTE = 1_000_000


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)\s*([kKmMgG]?)[bB]?", str(text)).groups()
    return int(number) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit.lower()]


def reaches(pattern, tag):
    """Whether a match takes lines of a tag; `*` and `**` of both languages take any rest here."""
    return re.fullmatch(re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", ".*"), tag) is not None


def paths(text):
    return [path.strip() for path in str(text).split(",")]


def foreign_paths(found):
    """Paths of containers that are not of Treble's namespace alone."""
    for path in found:
        if path.startswith("/var/log/containers/") and not re.fullmatch(rf"/var/log/containers/[\w*-]+_{NAMESPACE}_\*\.log", path):
            yield f"{path} reads other namespaces than {NAMESPACE}"
        if path.startswith("/var/lib/kubelet/") and path != AUDIT:
            yield f"{path} reads more of pods than their audit logs"


def fluent_bit(document):
    """Faults of a configuration of Fluent Bit."""
    service, pipeline = document.get("service", {}), document.get("pipeline", {})
    known = {parser["name"] for parser in document.get("parsers", [])} | {"cri", "docker"}
    inputs, filters, outputs = (pipeline.get(part, []) for part in ("inputs", "filters", "outputs"))
    if not service.get("http_server"):
        yield "nobody can ask how it is: http_server is off"
    if "storage.path" not in service:
        yield "what is not delivered waits in memory: there is no storage.path"
    tags = [source["tag"].replace("*", "var.log.x") for source in inputs]
    copies = [part for part in filters if part["name"] == "rewrite_tag"]
    for part in copies:
        yield from fluent_bit_copy(part, filters)
        tags += [part["rule"].split()[2].replace("$TAG", tag) for tag in tags if reaches(part["match"], tag)]
    for source in inputs:
        yield from foreign_paths(paths(source["path"]))
        of_containers = "/var/log/containers/" in source["path"]
        if of_containers and source.get("multiline.parser") != "cri":
            yield f"{source['path']}: lines of containers are read with {source.get('parser', source.get('multiline.parser'))}, and not as CRI writes them"
        if not of_containers and "parser" in source:
            yield f"{source['path']}: lines are taken apart where they are read: nothing is left of them for the archive"
        if "db" not in source:
            yield f"{source['path']}: how far it was read is forgotten: there is no db"
        if source.get("storage.type") != "filesystem":
            yield f"{source['path']}: what was read is lost with the process"
        if bytes_of(source.get("buffer_max_size", "32k")) >= MEGABYTE:
            yield f"{source['path']}: a line may be longer than a call of the API"
    for part in filters + outputs:
        if not any(reaches(part["match"], tag) for tag in tags):
            yield f"{part['name']}: nothing reaches the match {part['match']}"
    for source in inputs:
        wanted = [part for part in filters if part["name"] == "parser" and part.get("key_name") == "log" and part.get("parser") in known]
        if not any(reaches(part["match"], source["tag"].replace("*", "var.log.x")) for part in wanted):
            yield f"{source['path']}: lines are never read as JSON"
    for tag in tags:
        if not any(reaches(part["match"], tag) for part in outputs):
            yield f"lines of {tag} go nowhere"
    for part in outputs:
        yield from {"kafka": fluent_bit_kafka}.get(part["name"], fluent_bit_output)(part)
        if "storage.total_limit_size" not in part:
            yield f"{part['name']}: the spool grows without end"
        if str(part.get("retry_limit")).lower() in ("false", "no_limits", "none") or int(part.get("retry_limit", 1)) < 100:
            yield f"{part['name']}: retry_limit {part.get('retry_limit')} gives up at once, or never"


def fluent_bit_copy(part, filters):
    """Faults of a filter that copies lines under another tag."""
    key, pattern, _, keep = part["rule"].split()
    if key != "$log" or not re.match(pattern, "") or keep != "true":
        yield f"rewrite_tag: {part['rule']} does not copy every line as it was written"
    if part.get("emitter_storage.type") != "filesystem":
        yield "rewrite_tag: its copies wait in memory"
    changing = [other for other in filters[: filters.index(part)] if other["name"] in ("parser", "modify")]
    if changing:
        yield "rewrite_tag: it copies lines after they were changed"


def fluent_bit_kafka(part):
    """Faults of the way to the archive."""
    property_of = lambda name: str(part.get(f"rdkafka.{name}", ""))
    for key, value in (("brokers", part.get("brokers")), ("username", property_of("sasl.username")), ("password", property_of("sasl.password"))):
        if not SECRET.match(str(value)):
            yield f"kafka: {key} does not come from the environment"
    if property_of("security.protocol") != "SASL_SSL" or not property_of("ssl.ca.location"):
        yield "kafka: it is sent without TLS, or to anyone"
    if part.get("topics") != TOPIC or {"topic_key", "dynamic_topic"} & set(part):
        yield f"kafka: lines go to {part.get('topics')}, or wherever they say, and not to {TOPIC}"
    if part.get("format") != "raw" or part.get("raw_log_key") != "log":
        yield "kafka: the record is not the line as it was written"
    if property_of("acks") != "all" or property_of("enable.idempotence") != "True":
        yield "kafka: one broker may lose it, or have it twice"
    if property_of("message.timeout.ms") != "0" or int(property_of("queue.buffering.max.messages") or 100000) > 1000:
        yield "kafka: its client gives lines up that have left the spool, or holds many of them"


def fluent_bit_output(part):
    for key in ("client_id", "client_secret", "tenant_id", "dce_url", "dcr_id"):
        if not SECRET.match(str(part.get(key, ""))):
            yield f"{part['name']}: {key} does not come from the environment"
    if part.get("tls") is not True or part.get("tls.verify") is not True:
        yield f"{part['name']}: it is sent without TLS, or to anyone"
    if part.get("table_name") != (AUDIT_STREAM if part["match"].startswith("audit.") else STREAM):
        yield f"{part['name']}: {part.get('table_name')} is no stream of the rule"
    if part.get("time_key") != "time" or part.get("time_generated") is not True:
        yield f"{part['name']}: the rule finds no time"


def fluentd_sections(text):
    """(name, argument, {key: value}, [sections]) of a configuration of Fluentd."""
    top = ("", "", {}, [])
    open_ones = [top]
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if opened := re.fullmatch(r"<(\w+)\s*([^>]*)>", line):
            section = (opened.group(1), opened.group(2), {}, [])
            open_ones[-1][3].append(section)
            open_ones.append(section)
        elif closed := re.fullmatch(r"</(\w+)>", line):
            if open_ones.pop()[0] != closed.group(1):
                raise ValueError(f"line {number}: </{closed.group(1)}> closes nothing")
        else:
            key, _, value = line.partition(" ")
            open_ones[-1][2][key] = value.strip()
    if open_ones != [top]:
        raise ValueError(f"<{open_ones[-1][0]}> is not closed")
    return top[3]


def fluentd(text):
    """Faults of a configuration of Fluentd."""
    sections = fluentd_sections(text)
    tails = [section for section in sections if section[0] == "source" and section[2].get("@type") == "tail"]
    arriving, labels = {}, {"": sections} | {section[1]: section[3] for section in sections if section[0] == "label"}
    for _, _, settings, inner in tails:
        yield from foreign_paths(paths(settings["path"]))
        parse = next((section[2].get("@type") for section in inner if section[0] == "parse"), None)
        if "/var/log/containers/" in settings["path"] and parse != "cri":
            yield f"{settings['path']}: lines of containers are read with {parse}, and not as CRI writes them"
        if "pos_file" not in settings:
            yield f"{settings['path']}: how far it was read is forgotten"
        arriving.setdefault(settings.get("@label", ""), set()).add(settings["tag"].replace("*", "var.log.x"))
    joined = [section for part in labels.values() for section in part if section[2].get("use_partial_cri_logtag") == "true"]
    if tails and not joined:
        yield "lines that the container runtime cut are never joined"
    waiting, seen = list(arriving), set()
    while waiting:
        label = waiting.pop(0)
        seen.add(label)
        if label not in labels:
            yield f"there is no label {label}"
            continue
        for fault, further in fluentd_label(label, labels[label], arriving[label]):
            if fault:
                yield fault
            else:
                arriving.setdefault(further[0], set()).update(further[1])
                waiting.append(further[0])
    for label in sorted(set(labels) - seen - {""}):
        yield f"<label {label}>: nothing reaches it"


def fluentd_label(label, sections, tags):
    """(fault, None), and (None, (label, tags)) for lines that go on under another label."""
    taken = set()
    for name, argument, settings, inner in sections:
        if name not in ("filter", "match"):
            continue
        found = {tag for tag in tags if any(reaches(pattern, tag) for pattern in argument.split())}
        # The first match takes a line, and none behind it sees it.
        if not found - taken:
            yield f"<{name} {argument}>: nothing reaches it", None
        for key, value in settings.items():
            if "${" in value and settings.get("enable_ruby") != "true":
                yield f"<{name} {argument}>: {key} is text, as enable_ruby is off", None
        if name != "match":
            continue
        taken |= found
        stores = [(store[2], store[3]) for store in inner if store[0] == "store"] if settings.get("@type") == "copy" else [(settings, inner)]
        if len(stores) > 1 and settings.get("copy_mode") != "deep":
            yield f"<{name} {argument}>: what one changes, the other sees changed", None
        for each, below in stores:
            if each.get("@type") == "relabel":
                yield None, (each.get("@label"), found)
            else:
                judge = {"kafka2": fluentd_kafka}.get(each.get("@type"), fluentd_output)
                yield from ((fault, None) for fault in (*judge(each, below), *fluentd_buffer(below)))
    for tag in tags - taken:
        yield f"lines of {tag} go nowhere{f', under {label}' if label else ''}", None


def fluentd_kafka(settings, inner):
    """Faults of the way to the archive."""
    for key in ("brokers", "username", "password"):
        if not SECRET.match(settings.get(key, "")):
            yield f"kafka2: {key} does not come from the environment"
    if settings.get("sasl_over_ssl") != "true" or not settings.get("ssl_ca_cert") or settings.get("scram_mechanism") != "sha512":
        yield "kafka2: it is sent without TLS, or to anyone"
    if settings.get("default_topic") != TOPIC:
        yield f"kafka2: lines go to {settings.get('default_topic')}, and not to {TOPIC}"
    if settings.get("required_acks") != "-1":
        yield "kafka2: one broker may lose it"
    form = next((section[2] for section in inner if section[0] == "format"), {})
    if (form.get("@type"), form.get("message_key"), form.get("add_newline")) != ("single_value", "message", "false"):
        yield "kafka2: the record is not the line as it was written"


def fluentd_output(settings, inner):
    for key in ("client_id", "client_secret", "tenant_id", "endpoint", "dcr_immutable_id"):
        if not SECRET.match(settings.get(key, "")):
            yield f"{settings.get('@type')}: {key} does not come from the environment"
    if settings.get("stream_name") != f"Custom-{AUDIT_STREAM if settings.get('@id') == 'audit' else STREAM}":
        yield f"{settings.get('@type')}: {settings.get('stream_name')} is no stream of the rule"


def fluentd_buffer(inner):
    buffer = next((section[2] for section in inner if section[0] == "buffer"), {})
    if buffer.get("@type") != "file":
        yield "what is not delivered waits in memory"
    if bytes_of(buffer.get("chunk_limit_size", "8MB")) >= MEGABYTE:
        yield "a batch may be longer than a call of the API"
    if buffer.get("overflow_action") != "block":
        yield "what does not fit is thrown away silently"
    if "retry_max_times" in buffer:
        yield "a batch is thrown away after so many tries, however short"


# What the rules must find: each change of a good configuration, and words of the fault that it is.
BROKEN_YAML = [
    (lambda d: d["pipeline"]["outputs"][0].update(match="other.*"), "nothing reaches the match"),
    (lambda d: d["pipeline"]["filters"][1].update(match="kube.*"), "nothing reaches the match"),
    (lambda d: d["pipeline"]["outputs"].clear(), "go nowhere"),
    (lambda d: d["pipeline"]["inputs"][0].update(path="/var/log/containers/*.log"), "other namespaces"),
    (lambda d: d["pipeline"]["inputs"][0].update(path="/var/log/containers/treble-*_ai-upscaler_*.log"), "other namespaces"),
    (lambda d: (d["pipeline"]["inputs"][0].pop("multiline.parser"), d["pipeline"]["inputs"][0].update(parser="treble")), "as CRI writes"),
    (lambda d: d["pipeline"]["inputs"][0].pop("db"), "how far it was read"),
    (lambda d: d["pipeline"]["inputs"][0].pop("storage.type"), "lost with the process"),
    (lambda d: d["pipeline"]["inputs"][0].update(buffer_max_size="2M"), "longer than a call"),
    (lambda d: d["pipeline"]["filters"].pop(1), "never read as JSON"),
    (lambda d: d["pipeline"]["filters"].pop(2), "treble-audit/audit.log: lines are never read as JSON"),
    (lambda d: d["pipeline"]["inputs"][1].update(path="/var/lib/kubelet/pods/*/volumes/*/*/*.log"), "more of pods"),
    (lambda d: d["pipeline"]["outputs"][2].update(table_name="TrebleLogs"), "no stream of the rule"),
    (lambda d: d["pipeline"]["outputs"].pop(2), "go nowhere"),
    (lambda d: d["pipeline"]["filters"].append(d["pipeline"]["filters"].pop(0)), "after they were changed"),
    (lambda d: d["pipeline"]["filters"][0].update(rule="$log ^.*$ archive.$TAG false"), "does not copy every line"),
    (lambda d: d["pipeline"]["filters"][0].update(rule="$log ^{.*$ archive.$TAG true"), "does not copy every line"),
    (lambda d: d["pipeline"]["filters"][0].pop("emitter_storage.type"), "copies wait in memory"),
    (lambda d: d["pipeline"]["outputs"].pop(1), "go nowhere"),
    (lambda d: d["pipeline"]["outputs"][1].update(match="treble.*"), "go nowhere"),
    (lambda d: d["pipeline"]["outputs"][1].update(topics="treble.log"), "and not to treble.logs"),
    # A line has a field of that name, and it names another topic.
    (lambda d: d["pipeline"]["outputs"][1].update(topic_key="topic"), "and not to treble.logs"),
    (lambda d: d["pipeline"]["outputs"][1].update(format="json"), "not the line"),
    (lambda d: d["pipeline"]["outputs"][1].update({"rdkafka.acks": 1}), "may lose it"),
    (lambda d: d["pipeline"]["outputs"][1].pop("rdkafka.security.protocol"), "without TLS"),
    (lambda d: d["pipeline"]["outputs"][1].pop("rdkafka.ssl.ca.location"), "without TLS"),
    (lambda d: d["pipeline"]["outputs"][1].update({"rdkafka.sasl.password": "hunter2"}), "password does not come"),
    (lambda d: d["pipeline"]["outputs"][1].pop("rdkafka.message.timeout.ms"), "gives lines up"),
    (lambda d: d["pipeline"]["outputs"][1].pop("storage.total_limit_size"), "without end"),
    (lambda d: d["service"].pop("storage.path"), "waits in memory"),
    (lambda d: d["service"].update(http_server=False), "how it is"),
    (lambda d: d["pipeline"]["outputs"][0].update(client_secret="hunter2"), "client_secret does not come"),
    (lambda d: d["pipeline"]["outputs"][0].update({"tls.verify": False}), "without TLS"),
    (lambda d: d["pipeline"]["outputs"][0].update(table_name="AIAudioUpscalerLogs"), "no stream of the rule"),
    (lambda d: d["pipeline"]["outputs"][0].update(time_key="@timestamp"), "no time"),
    (lambda d: d["pipeline"]["outputs"][0].pop("storage.total_limit_size"), "without end"),
    (lambda d: d["pipeline"]["outputs"][0].update(retry_limit=5), "gives up at once"),
    (lambda d: d["pipeline"]["outputs"][0].update(retry_limit=False), "or never"),
]
BROKEN_FLUENTD = [
    ("@type cri", "@type json", "as CRI writes"),
    ("<match treble.**>", "<match kubernetes.**>", "nothing reaches it"),
    ("  <match treble.**>\n    @type azure", "  <match **>\n  @type null\n</match>\n  <match treble.**>\n    @type azure", "nothing reaches it"),
    ("@label @archive", "@label @archives", "no label @archives"),
    ("<store>\n      @type relabel\n      @label @archive\n    </store>", "", "<label @archive>: nothing reaches it"),
    ("copy_mode deep", "copy_mode no_copy", "sees changed"),
    ("use_partial_cri_logtag true", "use_partial_cri_logtag false", "never joined"),
    ("default_topic treble.logs", "default_topic logs", "and not to treble.logs"),
    ("@type single_value", "@type json", "not the line"),
    ("add_newline false", "add_newline true", "not the line"),
    ("required_acks -1", "required_acks 1", "may lose it"),
    ("sasl_over_ssl true", "sasl_over_ssl false", "without TLS"),
    ("\"#{ENV['KAFKA_PASSWORD']}\"", "hunter2", "password does not come"),
    ("treble-*_treble_*.log", "*.log", "other namespaces"),
    ("pos_file /var/lib/fluentd/treble.pos", "", "how far it was read"),
    ("reserve_data false", "service_name ${record.dig('app')}", "enable_ruby is off"),
    ("\"#{ENV['AZURE_CLIENT_SECRET']}\"", "hunter2", "client_secret does not come"),
    ("Custom-TrebleLogs", "Custom-Other", "no stream of the rule"),
    ("Custom-TrebleAudit", "Custom-TrebleLogs", "no stream of the rule"),
    ("treble-audit/audit.log", "*/audit.log", "more of pods"),
    ("@type file", "@type memory", "waits in memory"),
    ("900KB", "10MB", "longer than a call"),
    ("overflow_action block", "overflow_action drop_oldest_chunk", "thrown away silently"),
    ("retry_timeout 72h", "retry_max_times 5", "after so many tries"),
]


def main():
    faults = []
    for file in sorted((LOGS / "fluent-bit").glob("*.yaml")):
        faults += [f"{file.name}: {fault}" for fault in fluent_bit(yaml.safe_load(file.read_text()))]
    for file in sorted((LOGS / "fluentd").glob("*.conf")):
        faults += [f"{file.name}: {fault}" for fault in fluentd(file.read_text())]
    good = yaml.safe_load((LOGS / "fluent-bit/kubernetes.yaml").read_text())
    for number, (change, words) in enumerate(BROKEN_YAML):
        broken = copy.deepcopy(good)
        change(broken)
        if not any(words in fault for fault in fluent_bit(broken)):
            faults.append(f"no rule finds broken Fluent Bit {number}: {words}")
    # Who has no Kafka for lines leaves it out.
    plain = copy.deepcopy(good)
    plain["pipeline"]["filters"].pop(0)
    plain["pipeline"]["outputs"].pop(1)
    faults += [f"Fluent Bit without Kafka: {fault}" for fault in fluent_bit(plain)]
    text = (LOGS / "fluentd/kubernetes.conf").read_text()
    for was, becomes, words in BROKEN_FLUENTD:
        if was not in text or not any(words in fault for fault in fluentd(text.replace(was, becomes))):
            faults.append(f"no rule finds broken Fluentd: {becomes or was}: {words}")
    print("\n".join(faults) or f"{len(BROKEN_YAML) + len(BROKEN_FLUENTD)} broken ones are refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
