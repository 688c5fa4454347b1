"""Overview: are users fine?"""

from frame import Board
from panel import CATALOGUE, bars, limits, lines, q, quantiles, tile

BUDGET = [(None, "red"), (0, "orange"), (0.5, "green")]


def board():
    made = Board("treble-overview", "Overview", "Are users fine? Budgets, service, flow and capacity, in the order in which they matter.")
    budgets = [
        tile(f"{slo['title']}: budget left", f"Share of the error budget of 30 days that is left: {slo['summary'].lower()} too often where it is gone.",
             "percentunit", q(f'slo:budget_remaining:ratio{{cluster=~"$cluster",slo="{slo["name"]}"}}'), span=4, steps=BUDGET, decimals=1)
        for slo in CATALOGUE["slo"]
    ]
    rest = (24 - 4 * len(budgets)) // 2
    firing = 'count(ALERTS{cluster=~"$cluster",alertstate="firing",alertname!~"Watchdog|InfoInhibitor",severity="%s"}) or vector(0)'
    made.row(
        "Objectives",
        *budgets,
        tile("Critical alerts", "Alerts that page somebody now.", "short", q(firing % "critical"), span=rest, steps=[(None, "green"), (1, "red")]),
        tile("Warnings", "Alerts for working hours.", "short", q(firing % "warning"), span=rest, steps=[(None, "green"), (1, "orange")]),
    )
    made.row(
        "Service",
        lines("Clips by outcome", "Clips that left the pipeline. One that became a dead letter is failed.", "cpm",
              q("60 * sum by (status) (rate(audio_files_processed_total{@all}[$__rate_interval]))", "{{status}}")),
        lines("Error ratio", "Records refused and clips given up, as a share of the records read, over 5 minutes.", "percentunit",
              q('treble:error_ratio:rate5m{cluster=~"$cluster"}', "errors"), steps=limits("error_ratio_warning", "error_ratio_critical")),
        lines("End-to-end latency", "From the capture of a clip's last chunk to the end of its output. The objective is 5 s for 99 of 100.", "s",
              *quantiles("treble_end_to_end_latency_seconds", "@all"), steps=limits(critical="latency_objective_seconds")),
    )
    made.row(
        "Flow",
        lines("Lag by group", "Age of the record at the committed position: how long ago was sent what comes out now.", "s",
              q("max by (consumergroup) (group_topic:kafka_consumergroup_lag_seconds:max{@job})", "{{consumergroup}}"),
              steps=limits("lag_warning_seconds", "lag_critical_seconds")),
        lines("Watermark delay", "Age of what each stage has committed last. Grows without end where a stage reads and commits nothing; also where nothing comes in.",
              "s", q("time() - min by (stage) (treble_watermark_timestamp_seconds{@all} > 0)", "{{stage}}"), steps=limits("watermark_seconds")),
        lines("Records in and out", "Records that the first stage reads, chunks that the last one emits.", "rps",
              q('sum(rate(treble_records_received_total{@all,stage=~"decode.*"}[$__rate_interval]))', "in"),
              q('sum(rate(treble_records_emitted_total{@all,stage=~".*encode"}[$__rate_interval]))', "out")),
    )
    made.row(
        "Capacity",
        lines("Work for a second of audio", "Seconds of work for a second of audio. Live streams fail at 1.", "s",
              q("sum by (stage) (rate(treble_busy_seconds_total{@all}[$__rate_interval])) / sum by (stage) (rate(treble_audio_seconds_total{@all}[$__rate_interval]) > 0)", "{{stage}}"),
              steps=limits("real_time_factor", "real_time_factor_live")),
        lines("Streams in flight", "Streams that have begun and not ended, by stage. One that was given up counts until its producer has been silent for flow.idle_timeout_ms.", "short",
              q("sum by (stage) (treble_streams_active{@all})", "{{stage}}")),
        bars("Processes that answer", "Share of the processes of each component that answered the last scrape.", "percentunit",
             q('avg by (component) (up{@all,component!=""})', "{{component}}"), steps=limits("processes_share", least=True)),
    )
    return made
