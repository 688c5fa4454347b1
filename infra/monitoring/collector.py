"""A real OpenTelemetry Collector for the rig, with the files of monitoring/otel, and a second one in place of a store of traces."""

import json
import re
import ssl
import subprocess
import urllib.error
from collections import defaultdict
from os import environ
from urllib.request import Request, urlopen

from stand import ROOT, await_that, fetch, free_port

OTELCOL = ROOT / ".treble/otelcol/otelcol"
CONFIGURED = ROOT / "monitoring/otel"
PREFIX = {"collector.yaml": "OTELCOL", "backend.yaml": "BACKEND"}  # of the variables that a configuration reads
SALT = b"default-hash-seed"  # of the collector's policy `probabilistic`


class Authority:
    """Issues certificates for this machine."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.certificate, self.key = self.make(name, "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name):
        return self.make(name, "-CA", self.certificate, "-CAkey", self.key, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                         "-addext", "basicConstraints=critical,CA:FALSE")

    def make(self, name, *more):
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *more], check=True, capture_output=True)
        return certificate, key


class Process:
    """The collector under one of its configurations; `more` lays a further one over it."""

    def __init__(self, processes, name, configuration, variables, more=()):
        self.processes, self.name, self.health = processes, name, variables["HEALTH"]
        self.environment = environ | {f"{PREFIX[configuration]}_{key}": str(value) for key, value in variables.items()}
        self.command = [OTELCOL, "--config", CONFIGURED / configuration]
        for each in more:
            self.command += ["--config", f"yaml:{each}"]

    def start(self):
        process = self.processes.start(self.name, self.command, env=self.environment)
        await_that(f"the {self.name} answers", lambda: process.poll() is not None or healthy(self.health))
        if process.poll() is not None:
            raise SystemExit(f"FAILED  the {self.name} ended; see {self.name}.log")
        return self

    def kill(self):
        """SIGKILL."""
        self.processes.kill(self.name)

    def stop(self):
        """SIGTERM: it writes what it has."""
        process = self.processes.running[self.name]
        process.terminate()
        process.wait(30)
        del self.processes.running[self.name]


def healthy(address):
    try:
        return "Server available" in fetch(f"http://{address}/")
    except OSError:
        return False


class Place:
    """Certificates, tokens and addresses of a collector and of the store behind it, in one folder."""

    def __init__(self, folder, processes, **settings):
        folder.mkdir(exist_ok=True)
        self.folder, self.processes = folder, processes
        self.authority, self.settings = Authority(folder), settings
        self.port, self.metrics_port, self.store_port, self.http_port = (free_port() for _ in range(4))
        self.token, self.shown, self.wanted = folder / "token", folder / "shown-token", folder / "wanted-token"
        self.token.write_text("of-the-senders\n")
        for token in (self.shown, self.wanted):
            token.write_text("of-the-collector\n")
        self.store = self.a_store()
        self.collector = self.a_collector(**settings)

    def a_store(self):
        certificate, key = self.authority.issue("store")
        return Process(self.processes, f"{self.folder.name}-store", "backend.yaml", {
            "LISTEN": f"127.0.0.1:{self.store_port}", "HEALTH": f"127.0.0.1:{free_port()}", "CERTIFICATE": certificate, "KEY": key,
            "TOKEN_FILE": self.wanted, "FILE": self.folder / "spans.json"})

    def a_collector(self, more=(), **settings):
        certificate, key = self.authority.issue("collector")
        return Process(self.processes, f"{self.folder.name}-collector", "collector.yaml", {
            "LISTEN": f"127.0.0.1:{self.port}", "HEALTH": f"127.0.0.1:{free_port()}", "METRICS_PORT": self.metrics_port, "CERTIFICATE": certificate,
            "KEY": key, "TOKEN_FILE": self.token, "BACKEND": f"127.0.0.1:{self.store_port}", "BACKEND_TOKEN_FILE": self.shown,
            "BACKEND_CA": self.authority.certificate, "STORAGE": self.folder / "storage", **settings}, more)

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels; 0 where there is none."""
        return total(fetch(f"http://127.0.0.1:{self.metrics_port}/metrics"), name, **labels)

    def is_idle(self):
        """Whether every trace is decided upon, and what was kept is sent."""
        return self.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory") == 0 and self.metric("otelcol_exporter_queue_size") == 0

    def traces(self):
        """What the store has: trace → its spans, each once: who was killed between sending and noting that sends again."""
        found = defaultdict(dict)
        file = self.folder / "spans.json"
        # The last line may be half written.
        for line in file.read_text().splitlines(keepends=True) if file.exists() else []:
            if line.endswith("\n"):
                for span in spans_of(json.loads(line)):
                    found[span["traceId"]][span["spanId"]] = span
        return {trace: sorted(spans.values(), key=lambda span: int(span["startTimeUnixNano"])) for trace, spans in found.items()}


def spans_of(batch):
    for resource in batch["resourceSpans"]:
        about = attributes_of(resource["resource"])
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield span | {"attributes": attributes_of(span), "resource": about, "failed": span.get("status", {}).get("code") == 2}


def attributes_of(holder):
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", [])}


def total(exposition, name, **labels):
    values = [float(value) for inside, value in re.findall(rf"(?m)^{name}(?:\{{(.*)\}})? (\S+)$", exposition)
              if all(f'{label}="{wanted}"' in inside for label, wanted in labels.items())]
    return sum(values)


def is_of_the_share(trace_id, percent):
    """What the collector's policy `probabilistic` says of a trace: FNV-1a, 64 bits, of the salt and the id."""
    state = 0xCBF29CE484222325
    for byte in SALT + bytes.fromhex(trace_id):
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state <= int((2**64 - 1) * percent / 100)


def post(place, spans, token="of-the-senders"):
    """Spans over OTLP's HTTP with JSON, as a producer of somebody else sends them; the status of the answer."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "somebody"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "rig"}, "spans": spans}]}]}).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    context = ssl.create_default_context(cafile=place.authority.certificate)
    try:
        with urlopen(Request(f"https://127.0.0.1:{place.http_port}/v1/traces", body, headers), timeout=60, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
