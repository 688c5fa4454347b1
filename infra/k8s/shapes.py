"""Whether objects are of the form that a cluster takes: Kubernetes' own schemas, strict, and those of the custom resources."""

import functools
import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from release import HERE, ROOT, title

NATIVE = ROOT / ".treble/k8s-python/kubernetes_validate/kubernetes-json-schema"
CUSTOM = {"monitoring.coreos.com", "keda.sh"}


@functools.cache
def definitions(version):
    """What schemas of one version of Kubernetes refer to."""
    document = json.loads((NATIVE / f"v{version}-local-strict/_definitions.json").read_text())
    # Crawled here, once: a registry that is not looks through all of it for each object.
    return Registry().with_resource("_definitions.json", Resource.from_contents(document, default_specification=DRAFT202012)).crawl()


@functools.cache
def validator(kind, api, version):
    """For one kind of object; none where there is no schema."""
    group, _, number = api.rpartition("/")
    if group in CUSTOM:
        file = HERE / f"schemas/{kind}.json"
    else:
        name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number]))
        file = NATIVE / f"v{version}-local-strict/{name}.json"
    if not file.is_file():
        return None
    return Draft202012Validator(json.loads(file.read_text()), registry=definitions(version), format_checker=FormatChecker())


def misshapen(release, version):
    for each in release.objects:
        judge = validator(each["kind"], each["apiVersion"], version)
        if judge is None:
            yield f"{title(each)}: {each['apiVersion']} is unknown to Kubernetes {version}"
            continue
        for error in judge.iter_errors(each):
            yield f"{title(each)}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"


if __name__ == "__main__":
    sys.exit("run infra/k8s/check")
