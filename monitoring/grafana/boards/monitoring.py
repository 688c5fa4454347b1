"""Monitoring health: can we trust what we see?"""

from frame import Board
from panel import bars, limits, lines, q, tile


def board():
    made = Board("treble-monitoring", "Monitoring health", "Can we trust the other dashboards? Targets, rules, notifications, and the lag collector.")
    made.row(
        "Now",
        tile("Watchdog", "Fires always; its absence is the alarm of the dead man's switch.", "short",
             q('count(ALERTS{cluster=~"$cluster",alertname="Watchdog",alertstate="firing"}) or vector(0)'),
             meanings={0: ("silent", "red"), 1: ("fires", "green")}, steps=[(None, "red"), (1, "green")], span=6, plain=True),
        tile("Targets down", "Targets that did not answer the last scrape.", "short", q("count(up{@all} == 0) or vector(0)"), span=6, steps=[(None, "green"), (1, "red")]),
        tile("Failed rules", "Evaluations of rules that failed, in an hour.", "short",
             q("sum(increase(prometheus_rule_evaluation_failures_total{@all}[1h]))"), span=6, steps=[(None, "green"), (1, "red")]),
        tile("Configuration", "Whether Prometheus and Alertmanager took their configuration when it was last loaded.", "short",
             q("min(prometheus_config_last_reload_successful{@all}) * min(alertmanager_config_last_reload_successful{@all})"),
             meanings={0: ("refused", "red"), 1: ("loaded", "green")}, steps=[(None, "red"), (1, "green")], span=6, plain=True),
    )
    made.row(
        "Targets",
        bars("Targets up", "Targets that answered the last scrape, by job.", "short", q("sum by (job) (up{@all})", "{{job}}", True)),
        lines("Scrape time", "How long scrapes take; the slowest target of each job.", "s",
              q("max by (job) (scrape_duration_seconds{@all})", "{{job}}")),
        lines("Samples of a scrape", "Samples of the largest target of each job. Each scrape has its limit in prometheus.yml.", "short",
              q("max by (job) (scrape_samples_post_metric_relabeling{@all})", "{{job}}")),
    )
    made.row(
        "Prometheus",
        lines("Head series", "Series that Prometheus holds in memory.", "short",
              q("prometheus_tsdb_head_series{@all}", "{{instance}}"), steps=limits("head_series"), span=6),
        lines("Samples stored", "Samples appended a second.", "cps",
              q("sum by (instance) (rate(prometheus_tsdb_head_samples_appended_total{@all}[$__rate_interval]))", "{{instance}}"), span=6),
        lines("Time of rules", "How long the last evaluation of each group took.", "s",
              q('label_replace(max by (rule_group) (prometheus_rule_group_last_duration_seconds{@all}), "rules", "$1", "rule_group", ".*;(.*)")', "{{rules}}"), span=6),
        lines("Missed evaluations", "Evaluations that were left out because the one before took too long, in 5 minutes.", "short",
              q('label_replace(sum by (rule_group) (increase(prometheus_rule_group_iterations_missed_total{@all}[5m])), "rules", "$1", "rule_group", ".*;(.*)")', "{{rules}}"), span=6,
              steps=[(None, "green"), (1, "orange")]),
        lines("Disk of Prometheus", "Bytes of blocks on its disk; the first is written after two hours.", "bytes",
              q("prometheus_tsdb_storage_blocks_bytes{@all}", "blocks: {{instance}}"), span=12),
        lines("Alerts that do not reach Alertmanager", "Share of the alerts that Prometheus could not hand over.", "percentunit",
              q("sum by (alertmanager) (rate(prometheus_notifications_errors_total{@all}[5m])) / sum by (alertmanager) (rate(prometheus_notifications_sent_total{@all}[5m]))", "{{alertmanager}}"),
              steps=limits(critical="alerts_lost_share"), span=12, highest=1),
        lines("Behind in sending on", "How much newer the newest sample is than the newest one that a remote store has taken; nothing where none is configured.", "s",
              q("prometheus_remote_storage_highest_timestamp_in_seconds{@all} - on (instance, job) group_right () prometheus_remote_storage_queue_highest_sent_timestamp_seconds{@all}", "{{remote_name}}"),
              steps=limits("remote_behind_seconds"), span=24),
    )
    made.row(
        "Alertmanager",
        lines("Notifications", "Notifications sent, by integration.", "cpm",
              q("60 * sum by (integration) (rate(alertmanager_notifications_total{@all}[$__rate_interval])) > 0", "{{integration}}")),
        lines("Failed notifications", "Share of the notifications that were not delivered.", "percentunit",
              q("sum by (integration) (rate(alertmanager_notifications_failed_total{@all}[15m])) / sum by (integration) (rate(alertmanager_notifications_total{@all}[15m]))", "{{integration}}"),
              steps=limits("notifications_failed_share"), highest=1),
        lines("Alerts by severity", "Alerts that fire, by severity; those for plumbing included.", "short",
              q('count by (severity) (ALERTS{cluster=~"$cluster",alertstate="firing"})', "{{severity}}")),
    )
    made.row(
        "Log",
        lines("Lines of the log", "Lines by what became of them: written, suppressed and told of in one line, lost.", "cps",
              q("sum(rate(treble_log_lines_total{@all}[$__rate_interval]))", "written"),
              q("sum(rate(treble_log_lines_suppressed_total{@all}[$__rate_interval]))", "suppressed"),
              q("sum(rate(treble_log_lines_dropped_total{@all}[$__rate_interval]))", "lost")),
        lines("Warnings and errors", "Lines that were written, by level.", "cps",
              q('sum by (level) (rate(treble_log_lines_total{@all,level=~"warn|error"}[$__rate_interval]))', "{{level}}")),
        lines("Since a canary of the log was stored", "Time since the newest line was written that is in the lake and proves that lines arrive; nothing where the lake has none.", "s",
              q("time() - max(treble_log_canary_stored_timestamp_seconds{@all})", "newest canary"),
              steps=limits("log_canary_seconds")),
    )
    made.row(
        "Traces",
        lines("Trace export", "Spans by what became of them on their way to the collector; nothing where none is configured.", "cps",
              q("sum by (outcome) (rate(treble_trace_export_spans_total{@all}[$__rate_interval]))", "{{outcome}}")),
        lines("Spans lost by the collector", "What the collector of traces could not keep, by why; nothing where none is scraped. Early and large are whole traces.", "cps",
              q("sum(rate(otelcol_receiver_refused_spans_total{@all}[$__rate_interval]))", "refused: memory"),
              q("sum(rate(otelcol_exporter_enqueue_failed_spans_total{@all}[$__rate_interval]))", "no room in the queue"),
              q("sum(rate(otelcol_exporter_send_failed_spans_total{@all}[$__rate_interval]))", "refused by the store"),
              q("sum(rate(otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{@all}[$__rate_interval]))", "traces, early"),
              q("sum(rate(otelcol_processor_tail_sampling_traces_dropped_too_large_total{@all}[$__rate_interval]))", "traces, large")),
        lines("Queue of the collector", "Share of the room that spans take which the store has not taken yet; nothing where no collector is scraped.", "percentunit",
              q("max by (instance) (otelcol_exporter_queue_size{@all}) / max by (instance) (otelcol_exporter_queue_capacity{@all})", "{{instance}}"),
              steps=limits("collector_queue_share"), highest=1),
    )
    return made
