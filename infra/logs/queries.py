"""Questions about logs: those in Kusto are bound by Microsoft's parser, their twins in SQL are answered by DataFusion over sample lines.

Usage: python3 queries.py kusto|sql

  kusto   every query, function and the rule's transformation bind without a word; what must be refused is
  sql     every query has its twin, and the answer is the one that is expected
"""

import datetime
import json
import subprocess
import sys
import tomllib
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


def kusto():
    files = {str(file.relative_to(LOGS)): file.read_text() for file in sorted(LOGS.glob("kql/**/*.kql"))}
    rule = json.loads((LOGS / "azure/rule.json").read_text())["resources"][0]["properties"]
    files |= {f"azure/rule.json, {flow['outputStream']}": flow["transformKql"] for flow in rule["dataFlows"]}
    bound = bind(files)
    faults = [f"{name}: {word}" for name in files for word in bound[name]]
    refused = bind({name: query for name, (query, _) in BROKEN.items()})
    for name, (_, words) in BROKEN.items():
        if not any(words in word for word in refused[name]):
            faults.append(f"not refused: {name}: {refused[name]}")
    print("\n".join(faults) or f"{len(files)} bind, {len(BROKEN)} broken ones are refused")
    return 1 if faults else 0


def samples(now):
    """The sample lines as a table of Arrow, with the columns of the schema and when they arrived."""
    import pyarrow as arrow

    fields = json.loads((LOGS / "schema.json").read_text())["properties"]
    moment = arrow.timestamp("us", tz="UTC")
    types = {"integer": arrow.int64(), "number": arrow.float64(), "object": arrow.map_(arrow.string(), arrow.string())}
    kind = lambda field: moment if field.get("format") == "date-time" else types.get(field.get("type"), arrow.string())
    schema = arrow.schema([(name, kind(field)) for name, field in fields.items()] + [("ingested", moment)])
    rows = []
    for line in map(json.loads, (LOGS / "sql/samples.jsonl").read_text().splitlines()):
        ago = line.pop("ago")
        arrived = line.pop("arrived", ago)
        unknown = set(line) - set(fields)
        if unknown:
            raise SystemExit(f"samples.jsonl: no such fields: {unknown}")
        row = {name: line.get(name) for name in fields}
        row["attributes"] = list(line.get("attributes", {}).items())
        row["time"] = now - datetime.timedelta(seconds=ago)
        row["ingested"] = now - datetime.timedelta(seconds=arrived)
        rows.append(row)
    return arrow.Table.from_pylist(rows, schema=schema)


def plain(value, expected, now):
    """A value as expected.toml writes it."""
    if expected == "*":
        return expected
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, datetime.datetime):
        return round((now - value).total_seconds())
    if isinstance(value, float):
        return round(value, 3)
    return "" if value is None else value


def sql():
    from datafusion import SessionContext

    now = datetime.datetime.now(datetime.timezone.utc)
    # The sample lines stand where a step of five minutes begins, so that none of them falls into the next one by chance.
    now = datetime.datetime.fromtimestamp(now.timestamp() // 300 * 300, datetime.timezone.utc)
    context = SessionContext()
    context.register_record_batches("logs", [samples(now).to_batches()])
    expected = tomllib.loads((LOGS / "sql/expected.toml").read_text())
    names = {file.stem for file in LOGS.glob("kql/*.kql")}
    twins = {file.stem for file in LOGS.glob("sql/*.sql")}
    faults = [f"{name}: the two languages and expected.toml do not all have it" for name in sorted(names ^ twins | names ^ set(expected))]
    for name in sorted(twins & set(expected)):
        table = context.sql((LOGS / f"sql/{name}.sql").read_text()).to_arrow_table()
        rows = [list(row.values()) for row in table.to_pylist()]
        wanted = expected[name]
        if len(rows) == len(wanted):
            rows = [[plain(value, want, now) for value, want in zip(row, one)] for row, one in zip(rows, wanted)]
        if rows != wanted:
            faults.append(f"{name}: {rows}, and not {wanted}")
    print("\n".join(faults) or f"{len(twins)} questions are answered as expected")
    return 1 if faults else 0


if __name__ == "__main__":
    asked = {"kusto": kusto, "sql": sql}.get(" ".join(sys.argv[1:]))
    if asked is None:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    sys.exit(asked())
