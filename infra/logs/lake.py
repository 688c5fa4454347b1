"""The lake's table of lines: a process that fills it from the topic, and what it answers."""

import json
import subprocess
from collections import Counter

from process import PATIENCE, ROOT, binary

# A question about logs as it is saved, whose answer the lines themselves give as well.
LOGINS = ROOT / "monitoring/logs/sql/authentication-failures.sql"


class Lake:
    """`treble run --stages analyse` on a Kafka, and `treble sql` on what it stored."""

    def __init__(self, folder, servers, registry):
        self.folder = folder
        self.settings = {"kafka.bootstrap_servers": servers, "registry.url": registry, "lake.url": folder / "lake", "lake.logs": "true",
                         "lake.flush_interval_ms": 500, "admin.listen": "127.0.0.1:0"}
        self.ask("topics", "create")
        self.start()

    def start(self):
        """Under the name that it had: a successor takes over what its predecessor had not stored."""
        command = [binary(), "run", "--stages", "analyse", *self.flags()]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=(self.folder / "analyse.err").open("a"))

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def flags(self):
        return [word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")]

    def ask(self, *words):
        said = subprocess.run([binary(), *map(str, words), *self.flags()], cwd=self.folder, capture_output=True, text=True)
        if said.returncode:
            raise SystemExit(f"treble {words[0]}: {said.stderr}")
        return said.stdout

    def sql(self, *words):
        return json.loads(self.ask("sql", "--stored", "--format", "json", *words))

    def count(self):
        """Rows that are stored; 0 before there is a table."""
        made = (self.folder / "lake/logs/_delta_log").is_dir()
        return self.sql("-c", "SELECT count(*) AS n FROM logs")[0]["n"] if made else 0

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def faults(self, arrived):
        """What is wrong with the table, by the records that are in the topic."""
        rows = self.sql("-c", "SELECT level, event, message, instance, count(*) AS n, count(DISTINCT kafka_partition * 1000000 + kafka_offset) AS once FROM logs GROUP BY ALL")
        lines = [json.loads(line) for line in arrived]
        yield from unlike(rows, lines)
        if any(row["n"] != row["once"] for row in rows):
            yield "a record is in the lake twice"
        failures = Counter(line["client_ip"] for line in lines if "authentication failed" in line["message"])
        told = {row["client_ip"]: row["count"] for row in self.sql("--file", LOGINS)}
        if told != failures:
            yield f"{LOGINS.name} answers {told}, and the lines say {dict(failures)}"


def unlike(rows, lines):
    """Kinds of lines that the lake has in another number than the topic."""
    key = lambda each: (each["level"], each.get("event"), each["message"], each["instance"])
    stored, sent = Counter({key(row): row["n"] for row in rows}), Counter(map(key, lines))
    for kind in sorted(set(stored) | set(sent), key=str):
        if stored[kind] != sent[kind]:
            yield f"{stored[kind]} rows in the lake and {sent[kind]} records: {kind}"
