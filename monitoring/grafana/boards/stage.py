"""Stage detail: which stage, and why?"""

from frame import Board
from panel import cells, heat, in_unit, limits, lines, q, quantiles


def board():
    made = Board("treble-stage", "Stage detail", "Which stage is slow or fails, and why? Choose it above.", ["stage"])
    made.row(
        "Rate, errors, duration",
        lines("Records read", "Records read for the first time; a record that is read again after a restart is not counted twice.", "rps",
              q("sum by (stage) (rate(treble_records_received_total{@stage}[$__rate_interval]))", "{{stage}}")),
        lines("Records by result", "What became of records when they were looked at.", "rps",
              q("sum by (stage, result) (rate(treble_records_processed_total{@stage}[$__rate_interval]))", "{{stage}} {{result}}")),
        lines("Errors by type", "Clips given up and records refused.", "cps",
              q("sum by (stage, error_type) (rate(processing_errors_total{@stage}[$__rate_interval])) > 0", "{{stage}} {{error_type}}"),
              steps=limits("errors_warning", "errors_critical")),
        lines("One call of a stage", "Time that a stage needs for one record, by quantile.", "s",
              *quantiles("treble_stage_duration_seconds", "@stage", "stage", (0.5, 0.99)), span=12, lowest=None, log=True),
        heat("Calls by duration", "How many calls fall into which range of durations.", "s",
             "sum by (le) (increase(treble_stage_duration_seconds_bucket{@stage}[$__rate_interval]))"),
    )
    made.row(
        "Queues",
        lines("Queue depth", "Items that wait inside processes: records that were polled, windows for the model, output that is not committed.", "short",
              q("sum by (stage, queue) (treble_queue_depth{@stage})", "{{stage}} {{queue}}"), span=6),
        lines("Queue bytes", "Bytes that wait inside processes. Above flow.high_water_bytes reading is paused.", "bytes",
              q("sum by (stage, queue) (treble_queue_bytes{@stage})", "{{stage}} {{queue}}"), span=6),
        lines("Wait in the queue", "From the poll of a record to its stage.", "s",
              *quantiles("treble_queue_wait_seconds", "@stage", "stage", (0.5, 0.99)), span=6),
        lines("Back-pressure", "Share of the time in which reading was paused because too much was in flight.", "percentunit",
              q("sum by (stage) (rate(treble_backpressure_seconds_total{@stage}[$__rate_interval]))", "{{stage}}"), span=6),
    )
    made.row(
        "Where the time goes",
        lines("Computing", "Processors that a stage keeps busy, its waits for the model left out.", "short",
              q("sum by (stage) (rate(treble_busy_seconds_total{@stage}[$__rate_interval]))", "{{stage}}")),
        lines("Committing", "A transaction from its begin to its outcome.", "s",
              *quantiles("treble_kafka_transaction_duration_seconds", '@stage,outcome="committed"', "stage", (0.5, 0.99))),
        lines("Between polls", "Time between two polls; the group loses a member that exceeds max.poll.interval.ms.", "s",
              *quantiles("treble_kafka_poll_interval_seconds", "@stage", "stage", (0.5, 0.99))),
        lines("A clip in a stage", "From a clip's first record in a stage to its end there.", "s",
              *quantiles("audio_processing_duration_seconds", "@stage", "stage", (0.5, 0.95))),
        lines("Work for a second of audio, by clip", "Seconds of work for a second of audio, of each clip.", "s",
              *quantiles("treble_real_time_factor", "@stage", "stage", (0.5, 0.95)), steps=limits("real_time_factor", "real_time_factor_live")),
        lines("Audio", "Seconds of audio emitted in a second: how many times faster than real time all streams are together.", "short",
              q("sum by (stage) (rate(treble_audio_seconds_total{@stage}[$__rate_interval]))", "{{stage}}")),
    )
    made.row(
        "Trial clips",
        lines("Trial clips", "Clips that the canary sends through all stages, and what becomes of them, in 5 minutes.", "short",
              q("sum(increase(treble_canary_ok_total{@all}[5m]))", "ok"),
              q("sum(increase(treble_canary_lost_total{@all}[5m]))", "lost"),
              q("sum(increase(treble_canary_corrupt_total{@all}[5m]))", "corrupt")),
        lines("Time of a trial clip", "From sending a clip to having all of it back.", "s", *quantiles("treble_canary_latency_seconds", "@all")),
        lines("Since a stage told of a trial clip", "How long ago each stage last told of a clip of the canary.", "s",
              q("time() - max by (stage) (treble_heartbeat_seen_timestamp_seconds{@stage})", "{{stage}}"), steps=limits("heartbeat_seconds")),
    )
    made.row(
        "Failures",
        lines("Dead letters", "Records that became dead letters in 15 minutes, by reason.", "short",
              q("sum by (stage, reason) (increase(treble_dlq_records_total{@stage}[15m])) > 0", "{{stage}} {{reason}}"), steps=limits("dlq_records"), span=6),
        lines("Dead letters on the topic", "How many wait; `treble dlq purge` takes away those that were dealt with.", "short",
              q("max by (stage) (treble_dlq_depth{@stage})", "{{stage}}"), span=6),
        lines("Age of the oldest dead letter", "How long the oldest dead letter has waited; nothing where none waits.", "s",
              q("time() - max by (stage) (treble_dlq_oldest_timestamp_seconds{@stage})", "{{stage}}"), steps=limits("dlq_age_seconds"), span=6),
        lines("Retries", "Work that was done again: transactions, restores.", "cps",
              q("sum by (stage, reason) (rate(treble_retries_total{@stage}[$__rate_interval])) > 0", "{{stage}} {{reason}}"), span=6),
        lines("Repeats, gaps, late chunks", "Chunks that came before and were dropped; streams given up because chunks are missing; chunks after their stream's end.", "cps",
              q("sum by (stage) (rate(treble_duplicates_dropped_total{@stage}[$__rate_interval]))", "repeats: {{stage}}"),
              q("sum by (stage) (rate(treble_sequence_gaps_total{@stage}[$__rate_interval]))", "gaps: {{stage}}"),
              q("sum by (stage) (rate(treble_late_records_total{@stage}[$__rate_interval]))", "late: {{stage}}"), span=6),
        lines("Read and not settled", "Records read, less those settled, in 15 minutes: what is lost or stuck inside a stage.", "rps",
              q("sum by (stage) (rate(treble_records_received_total{@stage}[15m])) - sum by (stage) (rate(treble_records_processed_total{@stage}[15m]))", "{{stage}}"),
              span=6, lowest=None),
    )
    made.row(
        "Instances",
        in_unit(in_unit(in_unit(cells(
            "Processes", "Each process: its version, since when it runs, its processor time, memory and threads.", "short",
            {
                "-": "max by (instance, component, version, revision) (treble_build_info{@all})",
                "Running for": "time() - max by (instance, component) (process_start_time_seconds{@all,component!=\"\"})",
                "Processors": "max by (instance, component) (rate(process_cpu_seconds_total{@all,component!=\"\"}[$__rate_interval]))",
                "Memory": "max by (instance, component) (process_resident_memory_bytes{@all,component!=\"\"})",
                "Threads": "max by (instance, component) (process_threads{@all,component!=\"\"})",
            }, span=24, height=7), "Running for", "s", 0), "Memory", "bytes"), "Processors", "none", 2),
        lines("Can commit", "1 where any broker answers.", "bool_yes_no",
              q("min by (stage) (treble_kafka_reachable{@stage})", "{{stage}}"), span=8, highest=1),
        lines("Partitions", "Partitions that are ours, and those of them that are restored and read, or paused.", "short",
              q("sum by (topic) (treble_kafka_assigned_partitions{@all})", "ours: {{topic}}"),
              q("sum by (topic) (treble_kafka_live_partitions{@all})", "live: {{topic}}"),
              q("sum by (topic) (treble_kafka_paused_partitions{@all})", "paused: {{topic}}"), span=8),
        lines("What stages noticed", "Facts that stages tell of their audio: samples clipped, sound that was concealed, and the like.", "cps",
              q("sum by (stage, fact) (rate(treble_stage_facts_total{@stage}[$__rate_interval])) > 0", "{{stage}} {{fact}}"), span=8),
    )
    return made
