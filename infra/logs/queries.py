"""Questions about logs in Kusto: every query, function and the rule's transformation bind by Microsoft's parser without a word, what
must be refused is, and every query has a twin in SQL. What the twins answer is shown by tests/logs.rs.

Usage: python3 queries.py
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "monitoring/logs"
MODULES = ROOT / ".treble/kusto/node_modules"

# What must be refused, and words of the reason.
BROKEN = {
    "a column that nobody has": ("AIAudioUpscalerLogs | where levl_s == 'ERROR'", "levl_s"),
    "a column of old on the table of today": ("TrebleLogs_CL | where level_s == 'ERROR'", "level_s"),
    "an operator that is none": ("TrebleLogs_CL | summarise count() by Level", "operator"),
    "a text compared with a number": ("TrebleLogs_CL | where Level == 5", "text is compared with a number"),
    "a number compared with a text": ("TrebleLogs_CL | where DurationSeconds > '1'", "text is compared with a number"),
    "a table that nobody has": ("TrebleLog_CL | take 1", "TrebleLog_CL"),
    "a function that is none": ("TrebleLogs_CL | summarize percentil(DurationSeconds, 95)", "percentil"),
    "a sum of texts": ("TrebleLogs_CL | summarize sum(Message)", "number"),
}


def bind(queries):
    """Diagnostics by name, of queries by name."""
    command = ["node", Path(__file__).with_name("kusto.js"), MODULES, LOGS / "schema.json", LOGS / "kql/functions"]
    path = ROOT / ".treble/kusto/asked.json"
    path.write_text(json.dumps(queries))
    told = subprocess.run([*command, path], capture_output=True, text=True)
    if told.returncode:
        raise SystemExit(told.stderr)
    return {answer["name"]: answer["diagnostics"] for answer in map(json.loads, told.stdout.splitlines())}


def judge():
    files = {str(file.relative_to(LOGS)): file.read_text() for file in sorted(LOGS.glob("kql/**/*.kql"))}
    rule = json.loads((LOGS / "azure/rule.json").read_text())["resources"][0]["properties"]
    files |= {f"azure/rule.json, {flow['outputStream']}": flow["transformKql"] for flow in rule["dataFlows"]}
    bound = bind(files)
    faults = [f"{name}: {word}" for name in files for word in bound[name]]
    refused = bind({name: query for name, (query, _) in BROKEN.items()})
    for name, (_, words) in BROKEN.items():
        if not any(words in word for word in refused[name]):
            faults.append(f"not refused: {name}: {refused[name]}")
    names = {file.stem for file in LOGS.glob("kql/*.kql")} ^ {file.stem for file in LOGS.glob("sql/*.sql")}
    faults += [f"{name}: one of the two languages does not have it" for name in sorted(names)]
    print("\n".join(faults) or f"{len(files)} bind, {len(BROKEN)} broken ones are refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(judge())
