//! What one stage did for one stream in one transaction.

use super::{Mode, Status};
use serde::{Deserialize, Serialize};

/// What one stage did for one stream in one committed transaction (`avro/StageEvent.avsc`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StageEvent {
    /// When the transaction was prepared, Unix time in microseconds.
    #[serde(rename = "event_time")]
    pub event_time_us: i64,
    /// The stream.
    pub stream_id: String,
    /// The stage's name, such as decode.
    pub stage: String,
    /// The worker's instance id.
    pub instance: String,
    /// The version of Treble that did the work.
    pub treble_version: String,
    /// Whether the stream is live (true) or a file.
    pub live: bool,
    /// Where the stream stands after the commit.
    pub status: Status,
    /// The stable code of the error that ended the stream, such as not_audio.
    pub error_type: Option<String>,
    /// One sentence about that error for a person.
    pub error_message: Option<String>,
    /// How the sound was raised.
    pub mode: Mode,
    /// Seconds of audio committed to the output.
    pub audio_seconds: f64,
    /// Payload bytes taken from the input topic.
    pub bytes_in: i64,
    /// Payload bytes committed to the output topic.
    pub bytes_out: i64,
    /// Records taken from the input topic.
    pub chunks_in: i64,
    /// Records committed to the output topic.
    pub chunks_out: i64,
    /// Longest time that an input waited between the poll and the stage.
    pub queue_wait_seconds: f64,
    /// Time spent in the stage, model included.
    pub processing_seconds: f64,
    /// Mean number of windows that shared an inference; null where no model ran.
    pub batch_size: Option<f64>,
    /// Where the model ran: cpu, cuda or tensorrt.
    pub device: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The model's version.
    pub model_version: Option<String>,
    /// Codec of the input; pcm between stages.
    pub codec_in: Option<String>,
    /// Codec of the output; pcm between stages.
    pub codec_out: Option<String>,
    /// Sample rate of the input.
    pub rate_in_hz: Option<i32>,
    /// Sample rate of the output.
    pub rate_out_hz: Option<i32>,
    /// Channels.
    pub channels: Option<i32>,
    /// Samples beyond full scale that were limited to it.
    pub samples_clipped: i64,
    /// Samples that were NaN or infinite and became 0.
    pub samples_replaced: i64,
    /// Corrupt packets that were skipped inside a playable stream.
    pub packets_skipped: i64,
    /// W3C trace id, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
    /// The input topic.
    pub source_topic: String,
    /// The input partition, which is also the output's.
    pub source_partition: i32,
    /// Offset of the first record of the stream in this commit.
    pub source_offset_first: i64,
    /// Offset of its last record in this commit.
    pub source_offset_last: i64,
}
