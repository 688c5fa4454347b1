//! What each column of each view means.

/// Columns in order, each with what it means.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

pub(super) const STREAMS: Columns = &[
    ("stream_id", "The stream: the key of its records."),
    ("finished_at", "When its last record was prepared."),
    ("status", "finished, or aborted."),
    ("mode", "How the sound was raised: ai, baseline, or none."),
    ("kind", "live, or bulk (a file)."),
    ("duration_seconds", "Length of the result."),
    (
        "end_to_end_latency_seconds",
        "From the capture time of the last chunk to the commit of the last output record.",
    ),
    (
        "real_time_factor",
        "Seconds of audio per second of work from first input to last output; above 1 is faster than real time.",
    ),
    ("codec_in", "Codec of the source."),
    ("codec_out", "Codec of the result."),
    ("rate_in_hz", "Sample rate of the source."),
    ("rate_out_hz", "Sample rate of the result."),
    ("channels", "Channels."),
    ("bytes_in", "Payload bytes of the source."),
    ("bytes_out", "Payload bytes of the result."),
    ("bandwidth_before_hz", "Highest frequency that the source holds."),
    ("bandwidth_after_hz", "Highest frequency that the result holds."),
    (
        "loudness_lufs",
        "Integrated loudness of the result (EBU R 128); null for silence and where it was not measured.",
    ),
    ("true_peak_dbtp", "True peak of the result (ITU-R BS.1770)."),
    ("samples_clipped", "Samples that were limited to full scale."),
    ("silence_seconds", "Seconds below -60 dBFS."),
    ("gaps", "Places where something is missing."),
    ("errors", "Faults that the stream survived."),
    ("error_type", "Code of the error that ended it, such as not_audio."),
    ("error_message", "That error in one sentence."),
    ("model", "Name of the model."),
    ("model_version", "Version of the model."),
    ("device", "Where the model ran: cpu, cuda or tensorrt."),
    ("trace_id", "W3C trace id."),
    ("treble_version", "Version of Treble that ended it."),
    ("event_date", "UTC day of finished_at; narrowing it skips files."),
];

pub(super) const STAGES: Columns = &[
    ("stream_id", "The stream."),
    ("stage", "decode, upscale or encode."),
    ("first_commit_at", "When its first commit was prepared."),
    ("last_commit_at", "When its latest commit was prepared."),
    ("status", "Where it stands: running, finished or aborted."),
    ("mode", "How the sound was raised: ai, baseline, or none."),
    ("kind", "live, or bulk (a file)."),
    ("commits", "Transactions that had work of this stream."),
    ("audio_seconds", "Audio committed to the output."),
    ("processing_seconds", "Time spent in the stage, model included."),
    ("real_time_factor", "Seconds of audio per second of processing."),
    ("queue_wait_max_seconds", "Longest wait of an input before the stage."),
    ("bytes_in", "Payload bytes in."),
    ("bytes_out", "Payload bytes out."),
    ("chunks_in", "Records in."),
    ("chunks_out", "Records out."),
    ("batch_size", "Mean number of windows that shared an inference."),
    ("codec_in", "Codec in; pcm between stages."),
    ("codec_out", "Codec out; pcm between stages."),
    ("model", "Name of the model."),
    ("device", "Where the model ran."),
    ("samples_clipped", "Samples limited to full scale."),
    ("samples_replaced", "Samples that were NaN or infinite and became 0."),
    ("packets_skipped", "Corrupt packets that were skipped."),
    ("error_type", "Code of the error that ended it."),
    ("trace_id", "W3C trace id."),
];

pub(super) const LATENCY: Columns = &[
    ("stream_id", "The stream."),
    ("finished_at", "When its last record was prepared."),
    ("status", "finished, or aborted."),
    ("kind", "live, or bulk (a file)."),
    ("duration_seconds", "Length of the result."),
    (
        "end_to_end_latency_seconds",
        "From the capture time of the last chunk to the commit of the last output record.",
    ),
    ("real_time_factor", "Seconds of audio per second of work."),
    ("decode_seconds", "Time spent decoding."),
    ("upscale_seconds", "Time spent upscaling, model included."),
    ("encode_seconds", "Time spent encoding."),
    ("queue_wait_max_seconds", "Longest wait of an input before any stage."),
    ("trace_id", "W3C trace id."),
];

pub(super) const ERRORS: Columns = &[
    ("at", "When it was told."),
    ("stream_id", "The stream."),
    ("stage", "The stage that met it."),
    ("severity", "fatal: it ended the stream; survived: the stream went on."),
    ("error_type", "Code of the error, such as not_audio."),
    ("error_message", "One sentence about it."),
    ("packets_skipped", "Corrupt packets that were skipped in this commit."),
    ("codec_in", "Codec of the source."),
    ("instance", "The worker."),
    ("source_topic", "The input topic."),
    ("source_partition", "The input partition."),
    ("source_offset_first", "Offset of the first record of the stream in that commit."),
    ("source_offset_last", "Offset of the last one."),
    ("trace_id", "W3C trace id."),
];

pub(super) const MODELS: Columns = &[
    ("model", "Name of the model."),
    ("model_version", "Its version."),
    ("device", "Where it ran: cpu, cuda or tensorrt."),
    ("first_used_at", "When it was first used."),
    ("last_used_at", "When it was last used."),
    ("streams", "Streams that it raised."),
    ("audio_seconds", "Audio that it raised."),
    ("processing_seconds", "Time spent in the stage."),
    ("real_time_factor", "Seconds of audio per second of processing."),
    ("batch_size", "Mean number of windows that shared an inference."),
];

pub(super) const FRESHNESS: Columns = &[
    ("topic", "The topic of events."),
    ("partition", "Its partition."),
    ("stored_offset", "First offset that the lake does not hold; null where it holds nothing."),
    ("recent_offset", "First offset that was not read yet."),
    ("end_offset", "Where committed records end."),
    ("recent_rows", "Rows in memory."),
    (
        "seconds_behind",
        "The most that a committed row can be old which these answers lack; null before everything was read once.",
    ),
];

pub(super) const LOGINS: Columns = &[
    ("at", "When it was tried."),
    ("protocol", "http, flight or pgwire."),
    ("client", "Address of the client."),
    ("name", "The name that it gave; null where it gave none."),
    ("outcome", "ok, or denied."),
];
