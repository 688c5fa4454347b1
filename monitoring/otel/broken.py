"""Configurations that must be refused: for each rule some that break it and no other, and some that the collector itself refuses."""

import copy


def changed(*path, to):
    """A function that makes a copy in which what lies at `path` is `to`; a function makes it of what is there, `None` takes it away."""
    def change(document):
        other = copy.deepcopy(document)
        place = other
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to(place.get(path[-1]) if isinstance(place, dict) else place[path[-1]]) if callable(to) else to
        return other
    return change


PROCESSORS = ("service", "pipelines", "traces", "processors")
GRPC = ("receivers", "otlp", "protocols", "grpc")
OUT = ("exporters", "otlp_grpc")
TAIL = ("processors", "tail_sampling")


def policy(name, to):
    """The policies with the one of that name changed; `None` takes it away."""
    def policies(listed):
        return [to if each["name"] == name else each for each in listed if each["name"] != name or to]
    return changed(*TAIL, "policies", to=policies)


def policy_more(**more):
    return changed(*TAIL, "policies", to=lambda listed: [*listed, {"name": "more", **more}])


FAILED = {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}

BROKEN = {
    "limiter_first": [
        changed(*PROCESSORS, to=lambda listed: listed[1:] + listed[:1]),
        changed(*PROCESSORS, to=lambda listed: listed[1:]),
    ],
    "errors_are_kept": [
        policy("failed", None),
        policy("failed", {**FAILED, "status_code": {"status_codes": ["OK"]}}),
    ],
    "slow_is_kept": [
        policy("slow", None),
        # The length of a trace is the length of a live stream.
        policy("slow", {"name": "slow", "type": "ottl_condition", "ottl_condition": {"span": ["span.end_time - span.start_time > Duration(\"10s\")"]}}),
    ],
    "nothing_is_thrown": [
        # A drop wins over every policy that keeps.
        policy_more(type="drop", drop={"drop_sub_policy": [{**FAILED, "name": "errors"}]}),
        # So does a match turned round.
        policy_more(type="string_attribute", string_attribute={"key": "error.type", "values": ["idle"], "invert_match": True}),
        policy_more(type="rate_limiting", rate_limiting={"spans_per_second": 100}),
        # Of a type that there is not: the collector notices that when it starts, not when it validates.
        policy_more(type="errors_only"),
    ],
    "decides_late": [
        changed(*TAIL, "decision_wait", to="10s"),
        changed(*TAIL, "decision_cache", "non_sampled_cache_size", to=100_000),
        changed(*TAIL, "decision_cache", "sampled_cache_size", to=1_000),
    ],
    "comes_in_encrypted": [
        changed(*GRPC, "tls", to=None),
        changed(*GRPC, "tls", "min_version", to="1.0"),
        changed(*GRPC, "auth", to=None),
        # Named, and not running: noticed at the start, too.
        changed("service", "extensions", to=lambda listed: [each for each in listed if each != "bearertokenauth/senders"]),
        changed("receivers", "otlp", "protocols", "http", to={"endpoint": "127.0.0.1:4318"}),
    ],
    "goes_out_encrypted": [
        changed(*OUT, "tls", to={"insecure": True}),
        changed(*OUT, "tls", "insecure_skip_verify", to=True),
        changed(*OUT, "endpoint", to="http://store:4317"),
        changed(*OUT, "auth", to=None),
    ],
    "secrets_lie_in_files": [
        changed("extensions", "bearertokenauth/senders", to={"token": "hunter2"}),
        changed("extensions", "bearertokenauth/senders", to={"token": "${env:OTELCOL_TOKEN}"}),
        changed(*OUT, "headers", to={"authorization": "Bearer hunter2"}),
        changed(*OUT, "tls", "key_pem", to="-----BEGIN"),
    ],
    "listens_on_loopback": [
        changed(*GRPC, "endpoint", to="0.0.0.0:4317"),
        changed("extensions", "health_check", "endpoint", to="${env:OTELCOL_HEALTH:-0.0.0.0:13133}"),
        changed("service", "telemetry", "metrics", "readers", 0, "pull", "exporter", "prometheus", "host", to="0.0.0.0"),
    ],
    "queue_is_bounded_and_kept": [
        changed(*OUT, "sending_queue", "storage", to=None),
        changed("service", "extensions", to=lambda listed: [each for each in listed if each != "file_storage"]),
        changed(*OUT, "sending_queue", "queue_size", to=None),
        changed(*OUT, "sending_queue", "sizer", to="requests"),
        changed(*OUT, "retry_on_failure", "max_elapsed_time", to="300s"),
        changed("extensions", "file_storage", "max_size", to=None),
    ],
    "secrets_are_redacted": [
        changed(*PROCESSORS, to=lambda listed: [each for each in listed if each != "redaction"]),
        # What tail_sampling decided upon has left already.
        changed(*PROCESSORS, to=lambda listed: [each for each in listed if each != "redaction"] + ["redaction"]),
    ],
    "is_watched": [
        changed("service", "telemetry", "metrics", to={"level": "none"}),
    ],
}

# What `otelcol validate` says no to, and a word of its answer.
REFUSED = [
    ("a component that is not built", changed("exporters", "kafka", to={}), "kafka"),
    ("a component that nobody configured", changed(*PROCESSORS, to=lambda listed: [*listed, "batch"]), "batch"),
    ("a setting that is none", changed(*TAIL, "decision_weight", to="30s"), "decision_weight"),
    ("a duration that is none", changed(*TAIL, "decision_wait", to="soon"), "decision_wait"),
    ("a queue of no size", changed(*OUT, "sending_queue", "queue_size", to=0), "queue_size"),
    ("a memory limit of nothing", changed("processors", "memory_limiter", to={"check_interval": "1s"}), "limit_mib"),
    ("a pattern that does not end", changed("processors", "redaction", "blocked_values", to=["(unclosed"]), "redaction"),
    ("no address of the backend", changed(*OUT, "endpoint", to=""), "endpoint"),
    ("a share that is no number", changed(*TAIL, "policies", 2, "probabilistic", "sampling_percentage", to="much"), "sampling_percentage"),
    ("TLS that nobody knows", changed(*GRPC, "tls", "min_version", to="9.9"), "9.9"),
    ("a pipeline that nothing enters", changed("service", "pipelines", "traces", "receivers", to=[]), "receiver"),
]
