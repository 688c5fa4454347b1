"""Analytics: what is being processed?"""

from frame import Board
from panel import bars, lines, q, tile


def board():
    made = Board("treble-analytics", "Analytics", "What is processed, how much of it, and when?")
    made.made.time("now-24h", "now")
    day = "increase(audio_files_processed_total{@all}[1d])"
    made.row(
        "A day",
        tile("Clips in a day", "Clips that left the pipeline in the last 24 hours.", "short", q(f"sum({day})"), span=6, decimals=0),
        tile("Hours of audio in a day", "Audio that came out in the last 24 hours.", "h",
             q('sum(increase(treble_audio_seconds_total{@all,stage="encode"}[1d])) / 3600'), span=6, decimals=1),
        tile("Bytes in a day", "Bytes of records that the first stage read in the last 24 hours.", "bytes",
             q('sum(increase(treble_audio_input_bytes_total{@all,stage=~"decode.*"}[1d]))'), span=6),
        tile("Failed in a day", "Clips that became dead letters in the last 24 hours, as a share of those that ended.", "percentunit",
             q('sum(increase(audio_files_processed_total{@all,status="failed"}[1d])) / sum(increase(audio_files_processed_total{@all,status=~"success|failed"}[1d]))'),
             span=6, decimals=2),
    )
    made.row(
        "Over time",
        lines("Clips by mode", "How the sound was raised: by resampling alone, or by the model.", "cpm",
              q("60 * sum by (mode) (rate(audio_files_processed_total{@all}[$__rate_interval]))", "{{mode}}")),
        lines("Audio by mode", "Hours of audio that came out in an hour.", "short",
              q('sum by (mode) (rate(treble_audio_seconds_total{@all,stage="encode"}[$__rate_interval]))', "{{mode}}")),
        lines("Bytes in and out", "Bytes read by the first stage, bytes of audio emitted by the last.", "Bps",
              q('sum(rate(treble_audio_input_bytes_total{@all,stage=~"decode.*"}[$__rate_interval]))', "in"),
              q('sum(rate(treble_audio_output_bytes_total{@all,stage=~".*encode"}[$__rate_interval]))', "out")),
        lines("Clips and the same hour of other weeks", "Clips a second over the last hour, and the mean of the same hour of the last four weeks.", "cps",
              q('treble:output:rate1h{cluster=~"$cluster"}', "now"), q('treble:output:mean4w{cluster=~"$cluster"}', "four weeks"), span=12),
        lines("Input and the same hour of other weeks", "Records a second over the last hour, and the mean of the same hour of the last four weeks.", "rps",
              q('treble:input:rate1h{cluster=~"$cluster"}', "now"), q('treble:input:mean4w{cluster=~"$cluster"}', "four weeks"), span=12),
    )
    made.row(
        "What goes wrong",
        bars("Dead letters by reason", "Records that became dead letters in the last 24 hours.", "short",
             q("sum by (reason) (increase(treble_dlq_records_total{@all}[1d])) > 0", "{{reason}}", True)),
        bars("Clips by outcome in a day", "How clips of the last 24 hours ended.", "short", q(f"sum by (status) ({day})", "{{status}}", True)),
        bars("Topics by records", "Records polled in the last 24 hours, those read again included.", "short",
             q("sum by (topic) (increase(treble_kafka_consumed_records_total{@all}[1d]))", "{{topic}}", True)),
    )
    return made
