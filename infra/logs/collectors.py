"""What must hold of the collectors' configurations, beyond that they can be read: no match is out of reach, lines of containers are taken
apart, only Treble's namespace is read, what is not delivered waits on disk, nothing is sent in the clear, no secret stands in a file."""

import copy
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "monitoring/logs"
NAMESPACE = re.search(r'^NAME, NAMESPACE = "(\w+)", "(\w+)"$', (ROOT / "infra/k8s/release.py").read_text(), re.MULTILINE).group(2)
STREAM = re.search(r'^STREAM = "Custom-(\w+)"$', (LOGS / "generate").read_text(), re.MULTILINE).group(1)
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
    for source in inputs:
        yield from foreign_paths(paths(source["path"]))
        of_containers = "/var/log/containers/" in source["path"]
        if of_containers and source.get("multiline.parser") != "cri":
            yield f"{source['path']}: lines of containers are read with {source.get('parser', source.get('multiline.parser'))}, and not as CRI writes them"
        if not of_containers and source.get("parser") not in known:
            yield f"{source['path']}: no parser {source.get('parser')}"
        if "db" not in source:
            yield f"{source['path']}: how far it was read is forgotten: there is no db"
        if source.get("storage.type") != "filesystem":
            yield f"{source['path']}: what was read is lost with the process"
        if bytes_of(source.get("buffer_max_size", "32k")) >= MEGABYTE:
            yield f"{source['path']}: a line may be longer than a call of the API"
    for part in filters + outputs:
        if not any(reaches(part["match"], tag) for tag in tags):
            yield f"{part['name']}: nothing reaches the match {part['match']}"
    if any("/var/log/containers/" in source["path"] for source in inputs):
        wanted = [part for part in filters if part["name"] == "parser" and part.get("key_name") == "log" and part.get("parser") in known]
        if not wanted:
            yield "the lines of containers are never read as JSON"
    for tag in tags:
        if not any(reaches(part["match"], tag) for part in outputs):
            yield f"lines of {tag} go nowhere"
    for part in outputs:
        yield from fluent_bit_output(part)


def fluent_bit_output(part):
    for key in ("client_id", "client_secret", "tenant_id", "dce_url", "dcr_id"):
        if not SECRET.match(str(part.get(key, ""))):
            yield f"{part['name']}: {key} does not come from the environment"
    if part.get("tls") is not True or part.get("tls.verify") is not True:
        yield f"{part['name']}: it is sent without TLS, or to anyone"
    if part.get("table_name") != STREAM:
        yield f"{part['name']}: {part.get('table_name')} is no stream of the rule"
    if part.get("time_key") != "time" or part.get("time_generated") is not True:
        yield f"{part['name']}: the rule finds no time"
    if "storage.total_limit_size" not in part:
        yield f"{part['name']}: the spool grows without end"
    if str(part.get("retry_limit")).lower() in ("false", "no_limits", "none") or int(part.get("retry_limit", 1)) < 100:
        yield f"{part['name']}: retry_limit {part.get('retry_limit')} gives up at once, or never"


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
    tags = [section[2]["tag"].replace("*", "var.log.x") for section in tails]
    for _, _, settings, inner in tails:
        yield from foreign_paths(paths(settings["path"]))
        parse = next((section[2].get("@type") for section in inner if section[0] == "parse"), None)
        if "/var/log/containers/" in settings["path"] and parse != "cri":
            yield f"{settings['path']}: lines of containers are read with {parse}, and not as CRI writes them"
        if "pos_file" not in settings:
            yield f"{settings['path']}: how far it was read is forgotten"
    taken = set()
    for name, argument, settings, inner in sections:
        if name not in ("filter", "match"):
            continue
        found = {tag for tag in tags if any(reaches(pattern, tag) for pattern in argument.split())}
        # The first match takes a line, and none behind it sees it.
        if not found - taken:
            yield f"<{name} {argument}>: nothing reaches it"
        for key, value in settings.items():
            if "${" in value and settings.get("enable_ruby") != "true":
                yield f"<{name} {argument}>: {key} is text, as enable_ruby is off"
        if name == "match":
            taken |= found
            yield from fluentd_output(settings, inner)
    for tag in set(tags) - taken:
        yield f"lines of {tag} go nowhere"


def fluentd_output(settings, inner):
    for key in ("client_id", "client_secret", "tenant_id", "endpoint", "dcr_immutable_id"):
        if not SECRET.match(settings.get(key, "")):
            yield f"{settings.get('@type')}: {key} does not come from the environment"
    if settings.get("stream_name") != f"Custom-{STREAM}":
        yield f"{settings.get('@type')}: {settings.get('stream_name')} is no stream of the rule"
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
    (lambda d: d["pipeline"]["filters"][0].update(match="kube.*"), "nothing reaches the match"),
    (lambda d: d["pipeline"]["outputs"].clear(), "go nowhere"),
    (lambda d: d["pipeline"]["inputs"][0].update(path="/var/log/containers/*.log"), "other namespaces"),
    (lambda d: d["pipeline"]["inputs"][0].update(path="/var/log/containers/treble-*_ai-upscaler_*.log"), "other namespaces"),
    (lambda d: (d["pipeline"]["inputs"][0].pop("multiline.parser"), d["pipeline"]["inputs"][0].update(parser="treble")), "as CRI writes"),
    (lambda d: d["pipeline"]["inputs"][0].pop("db"), "how far it was read"),
    (lambda d: d["pipeline"]["inputs"][0].pop("storage.type"), "lost with the process"),
    (lambda d: d["pipeline"]["inputs"][0].update(buffer_max_size="2M"), "longer than a call"),
    (lambda d: d["pipeline"]["filters"].pop(0), "never read as JSON"),
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
    ("<match treble.**>", "<match **>\n  @type null\n</match>\n<match treble.**>", "nothing reaches it"),
    ("treble-*_treble_*.log", "*.log", "other namespaces"),
    ("pos_file /var/lib/fluentd/treble.pos", "", "how far it was read"),
    ("reserve_data false", "service_name ${record.dig('app')}", "enable_ruby is off"),
    ("\"#{ENV['AZURE_CLIENT_SECRET']}\"", "hunter2", "client_secret does not come"),
    ("Custom-TrebleLogs", "Custom-Other", "no stream of the rule"),
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
    text = (LOGS / "fluentd/kubernetes.conf").read_text()
    for was, becomes, words in BROKEN_FLUENTD:
        if was not in text or not any(words in fault for fault in fluentd(text.replace(was, becomes))):
            faults.append(f"no rule finds broken Fluentd: {becomes or was}: {words}")
    print("\n".join(faults) or f"{len(BROKEN_YAML) + len(BROKEN_FLUENTD)} broken ones are refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
