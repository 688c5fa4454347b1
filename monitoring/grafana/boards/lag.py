"""Kafka lag: are we catching up?"""

from frame import Board
from panel import bars, cells, in_unit, limits, lines, q, quantiles, states

GROUPS = {0: ("not found", "gray"), 1: ("OK", "green"), 2: ("falling behind", "orange"), 3: ("error", "red")}
PARTITIONS = {1: ("OK", "green"), 2: ("falling behind", "orange"), 4: ("stopped", "red"), 5: ("stalled", "red"), 6: ("rewound", "purple")}


def board():
    made = Board("treble-lag", "Kafka lag", "Is every group keeping up, and when will it have caught up?", ["group", "topic"])
    made.row(
        "Status",
        states("Status of groups", "The worst partition of each group, judged over a sliding window.",
               q("max by (consumergroup) (kafka_consumergroup_status{@all,consumergroup=~\"$group\"})", "{{consumergroup}}"), meanings=GROUPS, height=6),
        states("Status of partitions in trouble", "Partitions that are not OK. STOP: nothing is committed; STALL: commits that do not advance; REWIND: the position went back.",
               q("max by (consumergroup, topic, partition) (kafka_consumergroup_partition_status{@group} > 1)", "{{consumergroup}} {{topic}}[{{partition}}]"),
               meanings=PARTITIONS, height=6),
    )
    made.row(
        "How far behind",
        lines("Lag in seconds", "Age of the record at the committed position. Trailing markers and aborted records are no lag; absent where nobody knows.", "s",
              q("group_topic:kafka_consumergroup_lag_seconds:max{@recorded}", "{{consumergroup}} {{topic}}"),
              steps=limits("lag_warning_seconds", "lag_critical_seconds")),
        lines("Lag in records", "Offsets to go up to the last stable one: an upper bound, because markers and aborted records occupy offsets.", "short",
              q("group_topic:kafka_consumergroup_lag:sum{@recorded}", "{{consumergroup}} {{topic}}"), steps=limits("backlog_records")),
        lines("Time to catch up", "Lag by the speed at which it shrinks; absent where it does not shrink.", "s",
              q("group_topic:kafka_drain_eta_seconds{@recorded}", "{{consumergroup}} {{topic}}"), steps=limits("catch_up_seconds")),
        lines("Produced and consumed", "Records a second, over 5 minutes.", "rps",
              q('topic:kafka_produced:rate5m{@job,topic=~"$topic"}', "produced: {{topic}}"),
              q("group_topic:kafka_consumed:rate5m{@recorded}", "consumed: {{consumergroup}} {{topic}}")),
        lines("Drain rate", "Consumed less produced: under 0 the lag grows.", "rps",
              q("group_topic:kafka_drain:rate5m{@recorded}", "{{consumergroup}} {{topic}}"), lowest=None),
        lines("How seconds are found", "Partitions by the method that found their lag in seconds.", "short",
              q("sum by (method) (kafka_consumergroup_lag_seconds_method{@group})", "{{method}}")),
    )
    made.row(
        "Data at risk",
        lines("Time until records are deleted", "Time until the record at the committed position is deleted, of the partition that is worst.", "s",
              q("min by (consumergroup, topic) (kafka_consumergroup_retention_margin_seconds{@group})", "{{consumergroup}} {{topic}}")),
        lines("Share of the retention used", "Lag in seconds, as a share of the time for which the topic keeps records.", "percentunit",
              q("max by (cluster, consumergroup, topic) (kafka_consumergroup_lag_seconds{@group}) / on (cluster, topic) group_left () max by (cluster, topic) (kafka_topic_retention_seconds{@topic})",
                "{{consumergroup}} {{topic}}"), steps=limits(critical="retention_share"), highest=1),
        lines("Records lost", "Records deleted before the group read them, in 10 minutes.", "short",
              q("sum by (consumergroup, topic) (increase(kafka_consumergroup_records_lost_total{@group}[10m]))", "{{consumergroup}} {{topic}}"),
              steps=[(None, "green"), (1, "red")]),
    )
    made.row(
        "Partitions",
        bars("Worst partitions", "The ten partitions that are furthest behind.", "s",
             q("topk(10, max by (consumergroup, topic, partition) (kafka_consumergroup_lag_seconds{@group}))", "{{consumergroup}} {{topic}}[{{partition}}]", True),
             steps=limits("lag_warning_seconds", "lag_critical_seconds"), span=10),
        in_unit(cells("Positions", "The twenty partitions with most to go: committed position, end, records and seconds to go.", "short", {
            "Records to go": "topk(20, max by (consumergroup, topic, partition) (kafka_consumergroup_lag{@group}))",
            "Position": "max by (consumergroup, topic, partition) (kafka_consumergroup_current_offset{@group}) and topk(20, max by (consumergroup, topic, partition) (kafka_consumergroup_lag{@group}))",
            "Seconds": "max by (consumergroup, topic, partition) (kafka_consumergroup_lag_seconds{@group}) and topk(20, max by (consumergroup, topic, partition) (kafka_consumergroup_lag{@group}))",
        }, span=14), "Seconds", "s", 1),
    )
    made.row(
        "Members",
        lines("Members", "Members of each group, and those without a partition.", "short",
              q('max by (consumergroup) (kafka_consumergroup_members{@all,consumergroup=~"$group"})', "{{consumergroup}}"),
              q('max by (consumergroup) (kafka_consumergroup_empty_members{@all,consumergroup=~"$group"}) > 0', "idle: {{consumergroup}}")),
        lines("Assigned partitions", "Partitions that members of a group have.", "short",
              q('max by (consumergroup) (kafka_consumergroup_assigned_partitions{@all,consumergroup=~"$group"})', "{{consumergroup}}")),
        lines("Rebalances", "What groups told our members, in 10 minutes.", "short",
              q("sum by (stage, kind) (increase(treble_kafka_rebalances_total{@all}[10m]))", "{{stage}} {{kind}}"), steps=limits("rebalances")),
    )
    made.row(
        "Transactions",
        lines("Transactions by outcome", "Transactions of our stages.", "ops",
              q("sum by (stage, outcome) (rate(treble_kafka_transactions_total{@all}[$__rate_interval]))", "{{stage}} {{outcome}}")),
        lines("Share aborted", "Transactions that were aborted, of all.", "percentunit",
              q('sum by (stage) (rate(treble_kafka_transactions_total{@all,outcome="aborted"}[10m])) / sum by (stage) (rate(treble_kafka_transactions_total{@all}[10m]))', "{{stage}}"),
              steps=limits("aborted_share")),
        lines("Hidden by open transactions", "Records behind the last stable offset: readers of committed records do not see them.", "short",
              q('max by (topic) (topic_partition:kafka_lso_gap:records{@all,topic=~"$topic"})', "{{topic}}")),
        lines("Fenced", "Producers that another process with the same name took the place of, in 5 minutes.", "short",
              q('sum by (stage) (increase(treble_kafka_transactions_total{@all,outcome="fenced"}[5m]))', "{{stage}}"), steps=limits(critical="fenced_transactions")),
        lines("Open transaction", "Age of the open transaction; the broker aborts it at its time-out.", "s",
              q("time() - (treble_kafka_transaction_open_timestamp_seconds{@all} > 0)", "{{stage}}"),
              q("max by (stage) (treble_kafka_transaction_timeout_seconds{@all})", "time-out: {{stage}}")),
        lines("Since the last commit", "Time since a position was last committed, of the partition that waits longest.", "s",
              q('time() - min by (topic) (treble_kafka_last_commit_timestamp_seconds{@all,topic=~"$topic"})', "{{topic}}")),
    )
    made.row(
        "The collector",
        lines("Age of the lag data", "Time since a collection last succeeded.", "s",
              q("time() - kafka_lag_exporter_last_success_timestamp_seconds{@all}", "{{instance}}"), steps=limits("collector_stale_seconds")),
        lines("Collection time", "How long a collection takes.", "s", *quantiles("kafka_lag_exporter_collection_duration_seconds", "@all")),
        lines("Questions without answer", "What the cluster did not answer, and records from the future, a second.", "cps",
              q("sum by (api) (rate(kafka_lag_exporter_errors_total{@all}[$__rate_interval]))", "{{api}}"),
              q("sum by (topic) (rate(kafka_lag_exporter_negative_age_total{@all}[$__rate_interval])) > 0", "from the future: {{topic}}")),
    )
    return made
