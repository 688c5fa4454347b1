"""What the rigs share: stand-ins of Slack, PagerDuty and the dead man's switch, and a real Prometheus and Alertmanager whose durations
are divided by 60. The unscaled rules are those that promtool tests. All on loopback and free ports.
"""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
SCALE = 60
PATIENCE = 60  # seconds for any one notification, on a busy machine
ROUTING_KEY = "key-of-the-rig"
WRITE_TOKEN = "token-of-the-rig"


class Sink:
    """Receives what Alertmanager sends, and keeps it. `exposition` answers GET: path → text, or nothing where it is down."""

    def __init__(self, exposition=lambda path: None):
        self.lock = threading.Lock()
        self.received = []
        self.written = []
        self.exposition = exposition
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, kind, alert):
        with self.lock:
            return [body for path, body in self.received if path.startswith(kind) and alert in json.dumps(body)]

    def pages(self, alert, action):
        """What PagerDuty was sent about `alert`."""
        return [body for body in self.of("/pagerduty", alert) if body["event_action"] == action]

    def messages(self, channel, alert, word):
        """What a channel of Slack was sent about `alert`: FIRING or RESOLVED."""
        return [body for body in self.of(f"/slack/{channel}", alert) if word in body["attachments"][0]["title"]]


def handler(sink):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code, text):
            data = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            text = sink.exposition(self.path)
            self.answer(200, text) if text else self.answer(503, "down\n")

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/write":
                sink.written.append((self.headers["Authorization"], self.headers["Content-Encoding"], len(raw)))
                self.answer(204, "")
                return
            body = json.loads(raw)
            with sink.lock:
                sink.received.append((self.path, body))
            if self.path == "/pagerduty":
                self.answer(202, json.dumps({"status": "success", "message": "ok", "dedup_key": body.get("dedup_key", "")}))
            else:
                self.answer(200, "ok")

        def log_message(self, *_):
            pass

    return Handler


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scaled(text):
    """Durations of whole minutes, hours and days, a sixtieth of them; what is too short for that, a tenth of a second."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def shorter(match):
        total = int(match.group(1)) * seconds[match.group(2)]
        return f"{max(total * 1000 // SCALE, 100)}ms"

    return re.sub(r"(?<![\w.])(\d+)([smhd])(?![\w:])", shorter, text)


def is_among(file, patterns):
    return any(fnmatch(file.stem, pattern) for pattern in patterns)


def write_rules(folder, left_out, unscaled=()):
    """The rules with shorter patience, without the files that `left_out` has patterns for; those of `unscaled` keep their ranges and are
    evaluated every second as well."""
    folder.mkdir()
    for file in (ROOT / "monitoring/prometheus/rules").glob("*.yml"):
        if is_among(file, left_out):
            continue
        rules = re.sub(r"(?m)^    interval: .*$", "    interval: 1s", file.read_text())
        if not is_among(file, unscaled):
            rules = re.sub(r"(?m)^( +(?:for|keep_firing_for): )(.*)$", lambda m: m.group(1) + scaled(m.group(2)), rules)
            rules = re.sub(r"\[(\d+)m\]", lambda m: f"[{max(int(m.group(1)), 5)}s]", rules)
            # A difference over 5 minutes is divided by 300 s to be a rate.
            rules = rules.replace("/ 300", "/ 5")
        (folder / file.name).write_text(rules)


def write_prometheus(folder, alertmanager, jobs):
    """Its configuration: `jobs` maps a job to its targets, each an address, its labels, and the path of its metrics."""
    text = (
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {cluster: rig}}\n"
        "rule_files: [rules/*.yml]\n"
        f'alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}\n'
        "scrape_configs:\n"
    )
    for job, targets in jobs.items():
        text += f"  - job_name: {job}\n    static_configs:\n"
        for port, labels in targets:
            inside = ", ".join(f"{name}: {value}" for name, value in labels.items())
            text += f'      - targets: ["127.0.0.1:{port}"]\n        labels: {{{inside}}}\n'
    (folder / "prometheus.yml").write_text(text)


def write_remote(folder, sink):
    """Adds the block of monitoring/prometheus/remote-write.yml, towards the sink."""
    block = (ROOT / "monitoring/prometheus/remote-write.yml").read_text().replace("http://127.0.0.1:9201/write", f"http://127.0.0.1:{sink}/write")
    with open(folder / "prometheus.yml", "a") as file:
        file.write(block)
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets/remote-write-token").write_text(WRITE_TOKEN)


def write_alertmanager(folder, sink):
    source = ROOT / "monitoring/alertmanager"
    shutil.copytree(source / "templates", folder / "templates")
    (folder / "secrets").mkdir(exist_ok=True)
    for name in ("critical", "alerts", "info"):
        (folder / f"secrets/slack-{name}-url").write_text(f"http://127.0.0.1:{sink}/slack/{name}")
    (folder / "secrets/pagerduty-routing-key").write_text(ROUTING_KEY)
    text = (source / "alertmanager.yml").read_text()
    text = re.sub(r"(?m)^( +(?:group_wait|group_interval|repeat_interval): )(.*)$", lambda m: m.group(1) + scaled(m.group(2)), text)
    # Warnings are not held back until morning.
    text = re.sub(r"(?m)^ +mute_time_intervals: .*\n", "", text)
    text = text.replace("http://127.0.0.1:9099/deadman", f"http://127.0.0.1:{sink}/deadman")
    text = text.replace("routing_key_file:", f"url: http://127.0.0.1:{sink}/pagerduty\n        routing_key_file:")
    (folder / "alertmanager.yml").write_text(text)


class Processes:
    """What a rig starts, by name; each with a log of its own. All are killed at the end."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def start(self, name, command, **options):
        log = open(self.folder / f"{name}.log", "a")
        self.running[name] = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, **{"cwd": self.folder, **options})
        return self.running[name]

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def end(self):
        for name in list(self.running):
            self.kill(name)


def start_watchers(processes, ports):
    """Prometheus and Alertmanager, over the configuration that lies in the folder already."""
    folder = processes.folder
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    processes.start("alertmanager", [
        alertmanager, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=",
    ])
    processes.start("prometheus", [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        # What is not sent again for four times as long is over: longer than a busy machine takes to send it.
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--rules.alert.resend-delay=3s",
    ])


def await_that(what, holds, patience=PATIENCE):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        found = holds()
        if found:
            print(f"ok      {what}", flush=True)
            return found
        time.sleep(0.1)
    raise SystemExit(f"FAILED  {what}: not within {patience} s")


def demand(what, holds):
    if not holds:
        raise SystemExit(f"FAILED  {what}")
    print(f"ok      {what}", flush=True)


def demand_slack(body, channel, colour, alert):
    attachment = body["attachments"][0]
    whole = json.dumps(body)
    demand(f"Slack's message on {alert} is whole", all([
        body["channel"] == channel, body["username"] == "Treble", attachment["color"] == colour,
        alert in attachment["title"], alert in attachment["fallback"], f"runbooks/{alert}.md" in attachment["text"],
        re.search(r"Dashboard: http://\S+/d/treble-\w+\?viewPanel=\d+", attachment["text"]),
        "no value" not in whole, "{{" not in whole,
    ]) or print(whole))


def demand_page(event, alert, component, details):
    payload = event["payload"]
    demand(f"PagerDuty's event on {alert} is whole", all([
        event["routing_key"] == ROUTING_KEY, event["dedup_key"], payload["severity"] == "critical",
        payload["class"] == alert, payload["component"] == component, payload["group"] == "treble",
        details in json.dumps(payload["custom_details"]), f"runbooks/{alert}.md" in json.dumps(payload["custom_details"]), payload["source"],
    ]) or print(json.dumps(event)))


def fetch(url):
    with urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def demand_dead_man(sink, processes, name):
    """Kills one of the watchers: the heartbeat stops, and was never resolved."""
    demand("the watchdog was never resolved", all(body["status"] == "firing" for body in sink.of("/deadman", "Watchdog")))
    processes.kill(name)

    def silent():
        heard = len(sink.of("/deadman", "Watchdog"))
        time.sleep(4)
        return len(sink.of("/deadman", "Watchdog")) == heard

    await_that(f"{name} is killed: the dead man's switch hears nothing any more", silent)
