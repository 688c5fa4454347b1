"""A real process that writes a log, and a real shipper (syslog-ng) that follows it: what ship and archive have in common."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "infra/logs"
PATIENCE = 120
# Lines of one place in ten seconds.
REPEATS = 40


def wait_for(what, is_so):
    """Polls until it is so."""
    end = time.monotonic() + PATIENCE
    while not (found := is_so()):
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.05)
    return found


def start_shipper(folder, configuration, **values):
    """syslog-ng with one of the configurations beside this file, whose @NAMES@ are filled in; it goes on where it was, if it ran in `folder` before."""
    text = (HERE / configuration).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    (folder / configuration).write_text(text)
    names = ["--cfgfile", configuration, "--persist-file", "persist", "--pidfile", "pid", "--control", "control"]
    said = (folder / "shipper.log").open("a")
    return subprocess.Popen(["syslog-ng", "--foreground", "--no-caps", *names], cwd=folder, stdout=said, stderr=said)


def has_read(folder):
    """How many lines the shipper has taken in since it was started."""
    said = subprocess.run(["syslog-ng-ctl", "stats", "--control", folder / "control"], capture_output=True, text=True).stdout
    counts = [line.split(";") for line in said.splitlines()]
    return sum(int(words[-1]) for words in counts if words[0] == "source" and words[1] == "treble" and words[4] == "processed")


def has_module(name):
    """Whether syslog-ng is here, with that module."""
    return shutil.which("syslog-ng") and list(Path("/usr/lib/syslog-ng").glob(f"*/lib{name}.so"))


def binary():
    return os.environ.get("TREBLE_BINARY", ROOT / "target/debug/treble")


def start_process(folder, log, more=()):
    """The doors of analysts, whose log says each time that somebody was not let in. Kafka is away, of which it tells as well. `more`: further settings."""
    (folder / "tokens").write_text("ada a-token-that-nobody-shows\n")
    settings = {"log.file": log, "log.format": "json", "log.level": "debug", "log.repeats": REPEATS, "kafka.bootstrap_servers": "127.0.0.1:1"}
    settings |= {"sql.tokens_file": folder / "tokens", "sql.http_listen": "127.0.0.1:0", "sql.flight_listen": "", "sql.postgres_listen": "", "log.audit_file": folder / "audit.log"}
    settings |= dict(more)
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [binary(), "serve", *flags, "--listen", "127.0.0.1:0", "--output", "json"]
    said = {name: (folder / f"treble.{name}").open("w") for name in ("out", "err")}
    return subprocess.Popen(command, cwd=folder, stdout=said["out"], stderr=said["err"])


def told(folder):
    """Where it serves; nothing before it does."""
    text = (folder / "treble.out").read_text()
    return json.loads(text) if text.endswith("\n") else None


def knock(folder, times):
    """Asks so often with a token that nobody has: a line each."""
    address = told(folder)["doors"]["http"]
    for _ in range(times):
        request = urllib.request.Request(f"http://{address}/v1/sql", b"SELECT 1", {"Authorization": "Bearer nobody-has-it"})
        try:
            urllib.request.urlopen(request, timeout=PATIENCE)
            raise SystemExit("somebody was let in without a token")
        except urllib.error.HTTPError as refused:
            if refused.code != 401:
                raise SystemExit(f"answered {refused.code}, not 401") from refused


def read(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
