"""Turns CustomResourceDefinitions into JSON schemas that refuse what they do not know.

Usage: strict.py CRDS TARGET
"""

import json
import sys
from pathlib import Path

import yaml

# The pure loader takes a minute for some of them.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KINDS = ("PodMonitor", "PrometheusRule", "ScaledObject")
# Of an OpenAPI schema, what JSON Schema means as well; the rest (descriptions, list types, CEL) is left out.
KEPT = {
    "type", "enum", "pattern", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "required",
    "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf", "allOf", "not",
}


def strict(schema):
    """The same for JSON Schema, closed: a key that it does not name is refused, where Kubernetes would drop it without a word."""
    closed = {key: value for key, value in schema.items() if key in KEPT}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in closed:
            closed[key] = [{part: value for part, value in each.items() if part in KEPT} for each in closed[key]]
    if "items" in schema:
        closed["items"] = strict(schema["items"])
    if "properties" in schema:
        closed["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = strict(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed["additionalProperties"] = False
    return closed


def main(crds, target):
    for file in sorted(Path(crds).glob("*.yaml")):
        crd = yaml.load(file.read_text(), LOADER)
        kind, group = crd["spec"]["names"]["kind"], crd["spec"]["group"]
        if kind not in KINDS:
            continue
        (version,) = crd["spec"]["versions"]
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["apiVersion"] = {"const": f"{group}/{version['name']}"}
        schema["properties"]["metadata"] = {"type": "object"}
        text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
        Path(target, f"{kind}.json").write_text(text + "\n")
        print(f"{kind}: {len(text)} bytes")


if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]) or len(sys.argv) != 3:
        print(__doc__)
    else:
        main(*sys.argv[1:])
