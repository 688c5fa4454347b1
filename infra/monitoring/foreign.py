"""What the collector does with spans of somebody else: a producer that sends OTLP over HTTP, to a port that is opened for the rig."""

import random
import re
import time
import urllib.error
from urllib.request import Request, urlopen

from collector import Place, is_of_the_share, post
from questions import Asker
from stand import ROOT, await_that, demand, free_port, write_prometheus, write_rules

PERCENT, SLOW_SECONDS, ROOM = 25, 10, 1000
ORDINARY, SPECIAL, FLOOD = 2000, 50, 3000
BATCH = 100
LARGE = 1_200_000  # bytes
SECRETS = {
    "http.request.header.authorization": "a-header",
    "db.password": "correct-horse",
    "messaging.kafka.message.key": "stream-of-a-person",
    "http.url": "https://me:correct-horse@store.example/in",
    "note": "asked with Bearer abcdefgh12345678 by someone@example.org",
    "key": "AKIAABCDEFGHIJKLMNOP",
}
LEAKS = ("a-header", "correct-horse", "stream-of-a-person", "abcdefgh12345678", "someone@example.org", "AKIAABCDEFGHIJKLMNOP")


class Producer:
    """Spans with ids that are the same in every run."""

    def __init__(self, place):
        self.place, self.chance = place, random.Random(8)

    def trace(self):
        return f"{self.chance.getrandbits(128):032x}"

    def span(self, trace_id, failed=False, **attributes):
        now = time.time_ns()
        listed = [{"key": key.replace("__", "."), "value": {"doubleValue" if isinstance(value, float) else "stringValue": value}} for key, value in attributes.items()]
        return {"traceId": trace_id, "spanId": f"{self.chance.getrandbits(64):016x}", "name": "work", "kind": 1, "startTimeUnixNano": str(now - 10**6),
                "endTimeUnixNano": str(now), "attributes": listed, "status": {"code": 2} if failed else {}}

    def send(self, spans):
        for place in range(0, len(spans), BATCH):
            status = post(self.place, spans[place:place + BATCH])
            if status != 200:
                raise SystemExit(f"FAILED  spans are taken: {status}")

    def several(self, count, **more):
        """So many traces of a span each; their ids."""
        traces = [self.trace() for _ in range(count)]
        self.send([self.span(trace, **more) for trace in traces])
        return set(traces)


def door_is_shut(place, spans):
    demand("no token, and a wrong one: 401", [post(place, spans, token) for token in (None, "of-nobody")] == [401, 401])
    try:
        said = urlopen(Request(f"http://127.0.0.1:{place.http_port}/v1/traces", b"{}", {"Authorization": "Bearer of-the-senders"}), timeout=10).status
    except (urllib.error.HTTPError, OSError) as error:
        said = getattr(error, "code", str(error))
    demand(f"plain text is refused ({said})", said != 200)
    place.token.write_text("of-the-senders\nof-tomorrow\n")
    await_that("a token that is added holds without a restart", lambda: post(place, spans, "of-tomorrow") == 200)
    demand("and its span is the only one that came in", place.metric("otelcol_receiver_accepted_spans_total") == len(spans) == 1)


def kept_as_said(place, producer):
    """Errors and slow ones all, of the rest the share, exactly as the hash says; the counts."""
    ordinary = producer.several(ORDINARY)
    failed = producer.several(SPECIAL, failed=True)
    slow = producer.several(SPECIAL, treble__latency_seconds=SLOW_SECONDS + 0.5)
    quick = producer.several(SPECIAL, treble__latency_seconds=SLOW_SECONDS - 0.5)
    await_that("all are decided upon", lambda: place.is_idle() and failed <= set(place.traces()))
    kept = set(place.traces())
    demand("all that failed are kept", failed <= kept)
    demand("all that were slow are kept", slow <= kept)
    share = {trace for trace in ordinary | quick if is_of_the_share(trace, PERCENT)}
    demand(f"of {len(ordinary | quick)} others those that the hash says: {len(share)}", kept & (ordinary | quick) == share)
    spread = 4 * (PERCENT * (100 - PERCENT) / len(ordinary | quick)) ** 0.5
    found = 100 * len(share) / len(ordinary | quick)
    demand(f"which is {found:.1f} %, within {spread:.1f} of the {PERCENT} % configured", abs(found - PERCENT) < spread)
    return failed, (ordinary | quick) - share, len(share)


def late_ones(place, producer, failed, gone):
    """What comes after the decision."""
    kept, let_go = sorted(failed)[0], sorted(gone)[:2]
    producer.send([producer.span(kept), producer.span(let_go[0], failed=True), producer.span(let_go[1])])
    await_that("a late span of a trace that was kept follows it", lambda: len(place.traces()[kept]) == 2)
    await_that("a late error of a trace that was let go is kept", lambda: let_go[0] in place.traces())
    await_that("and all is decided upon", place.is_idle)
    demand("a late span of a trace that was let go follows it", let_go[1] not in place.traces())


def redacted(place, producer):
    told = producer.trace()
    producer.send([producer.span(told, failed=True, **{key.replace(".", "__"): value for key, value in SECRETS.items()})])
    span = await_that("a span with secrets arrives", lambda: place.traces().get(told))[0]
    demand("of a cluster", span["resource"].get("cluster") == "rig")
    text = (place.folder / "spans.json").read_text()
    demand(f"and without its {len(LEAKS)} secrets", not [leak for leak in LEAKS if leak in text] and "asked with" in text)


def watched(place):
    """A Prometheus that scrapes the collector, with the rules about it, their durations divided by 60."""
    folder, port = place.folder, free_port()
    write_rules(folder / "rules", [file.stem for file in (ROOT / "monitoring/prometheus/rules").glob("*.yml") if file.stem != "meta"])
    write_prometheus(folder, free_port(), {"otel": [(place.metrics_port, {})]})
    place.processes.start("prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"], cwd=folder)
    asker = Asker(port)

    def scraped():
        try:
            return asker.now('up{job="otel"} == 1')
        # It listens before it answers.
        except (OSError, ValueError):
            return None

    await_that("Prometheus scrapes the collector", scraped)
    return asker


def fires(asker, alert):
    return asker.now(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')


def bounded(place, producer, asker):
    """The store is away for longer than the queue has room: what does not fit is counted and told, what does arrives."""
    place.store.stop()
    flood = producer.several(FLOOD // 2, failed=True)
    await_that("the store is away: an alert tells that the queue fills", lambda: fires(asker, "TrebleTraceCollectorQueueFilling"), 120)

    def loses():
        # One burst after the other, as long as it takes: a counter that has just begun has no rate.
        flood.update(producer.several(ROOM // 2, failed=True))
        time.sleep(1)
        return fires(asker, "TrebleTraceCollectorLosing")

    await_that("and then that spans are lost", loses, 120)
    await_that("all are decided upon", lambda: place.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory") == 0)
    demand("the queue is not longer than it may be", 0 < place.metric("otelcol_exporter_queue_size") <= ROOM)
    place.store.start()
    await_that("the store is back: the queue is empty", place.is_idle, 120)
    refused, stored = place.metric("otelcol_exporter_enqueue_failed_spans_total"), len(flood & set(place.traces()))
    demand(f"spans sent = stored + refused: {len(flood)} = {stored} + {refused:.0f}", stored + refused == len(flood) and stored and refused)


def denied(place, producer):
    """A store that wants another token, and a trace that is too large: both are lost, and counted."""
    place.wanted.write_text("of-another-day\n")
    before = place.metric("otelcol_exporter_send_failed_spans_total")

    def refused():
        producer.several(1, failed=True)
        time.sleep(1)
        return place.metric("otelcol_exporter_send_failed_spans_total") > before

    await_that("the store wants another token: what it refuses is counted", refused)
    place.shown.write_text("of-another-day\n")

    def taken():
        trace = producer.several(1, failed=True)
        time.sleep(5)
        return trace <= set(place.traces())

    await_that("the collector is given it, and shows it without a restart", taken)
    large = producer.trace()
    producer.send([producer.span(large, failed=True, note="." * LARGE)])
    await_that("a trace of 1.2 MB is let go, and counted", lambda: place.metric("otelcol_processor_tail_sampling_traces_dropped_too_large_total") == 1)


def names_exist(asker):
    """Every metric of the collector that rules and dashboards name is told by it."""
    files = [*(ROOT / "monitoring/prometheus/rules").glob("*.yml"), *(ROOT / "monitoring/grafana/dashboards").glob("*.json")]
    names = {name for file in files for name in re.findall(r"otelcol_\w+", file.read_text())}

    def missing():
        return [name for name in sorted(names) if not asker.now(f"count_over_time({name}[1h])")]

    await_that(f"Prometheus has all {len(names)} metrics of it that rules and dashboards name", lambda: names and not missing())


def foreign(folder, processes):
    """All of it; of how many traces that neither failed nor were slow the share was kept."""
    place = Place(folder / "foreign", processes)
    over = f"receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{place.http_port}', auth: {{authenticator: bearertokenauth/senders}}, " \
           "tls: {cert_file: '${env:OTELCOL_CERTIFICATE}', key_file: '${env:OTELCOL_KEY}'}}}}}"
    place.collector = place.a_collector([over], DECISION_WAIT="3s", KEEP_PERCENT=PERCENT, SLOW_SECONDS=SLOW_SECONDS, QUEUE_SPANS=ROOM, CLUSTER="rig")
    place.store.start()
    place.collector.start()
    producer, asker = Producer(place), watched(place)
    door_is_shut(place, [producer.span(producer.trace())])
    failed, gone, share = kept_as_said(place, producer)
    late_ones(place, producer, failed, gone)
    redacted(place, producer)
    bounded(place, producer, asker)
    denied(place, producer)
    names_exist(asker)
    return share
