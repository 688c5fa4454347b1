"""Names that an expression may use: metrics that Treble exports, records of rules, and what other programs export."""

import functools
import re
import tomllib
from pathlib import Path

MONITORING = Path(__file__).resolve().parent.parent
# What comes from elsewhere: Prometheus itself, Alertmanager, node_exporter, the collector of traces. Each is looked for in a live Prometheus by a rig.
FOREIGN = {
    "up", "ALERTS", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling",
    "alertmanager_config_last_reload_successful", "alertmanager_notifications_failed_total", "alertmanager_notifications_total",
    "node_cpu_seconds_total", "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes", "node_network_receive_bytes_total", "node_network_transmit_bytes_total",
    "prometheus_config_last_reload_successful", "prometheus_notifications_errors_total", "prometheus_notifications_sent_total",
    "prometheus_remote_storage_highest_timestamp_in_seconds", "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
    "prometheus_rule_evaluation_failures_total", "prometheus_rule_group_iterations_missed_total", "prometheus_rule_group_last_duration_seconds",
    "prometheus_tsdb_head_samples_appended_total", "prometheus_tsdb_head_series",
    "prometheus_tsdb_storage_blocks_bytes",
    "otelcol_exporter_enqueue_failed_spans_total", "otelcol_exporter_queue_capacity", "otelcol_exporter_queue_size", "otelcol_exporter_send_failed_spans_total",
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total", "otelcol_processor_tail_sampling_traces_dropped_too_large_total",
    "otelcol_receiver_refused_spans_total",
}


def exported():
    """Metrics of docs/metrics.md, which a test holds to the program."""
    return set(re.findall(r"^\| `(\w+)` \|", (MONITORING.parent / "docs/metrics.md").read_text(), re.MULTILINE))


def recorded():
    """Records of all rules."""
    rules = (MONITORING / "prometheus/rules").glob("*.yml")
    return {name for file in rules for name in re.findall(r"- record: (\S+)", file.read_text())}


@functools.cache
def metrics_known():
    return exported() | recorded() | FOREIGN


@functools.cache
def limits_known():
    """Numbers at which a colour may change: thresholds of the catalogue, burn rates, objectives; and whether there is any at all, or half."""
    catalogue = tomllib.loads((MONITORING / "catalogue.toml").read_text())
    burns = {factor for halves in catalogue["burn"].values() for factor, *_ in halves}
    return set(catalogue["thresholds"].values()) | burns | {slo["objective"] for slo in catalogue["slo"]} | {0, 0.5, 1}
