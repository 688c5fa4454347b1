//! The account of one stream that came to its end.

use super::{Mode, Status};
use serde::{Deserialize, Serialize};

/// The account of one stream that came to its end (`avro/StreamReport.avsc`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StreamReport {
    /// When the stream's last record was prepared, Unix time in microseconds.
    #[serde(rename = "event_time")]
    pub event_time_us: i64,
    /// The stream.
    pub stream_id: String,
    /// The version of Treble that ended the stream.
    pub treble_version: String,
    /// Whether the stream was live (true) or a file.
    pub live: bool,
    /// FINISHED or ABORTED.
    pub status: Status,
    /// The stable code of the error that ended the stream.
    pub error_type: Option<String>,
    /// One sentence about that error for a person.
    pub error_message: Option<String>,
    /// How the sound was raised.
    pub mode: Mode,
    /// Length of the output.
    pub duration_seconds: f64,
    /// From the capture time of the stream's last chunk to the commit of its last output record.
    pub end_to_end_latency_seconds: f64,
    /// Seconds of audio per second between the stream's first input and its last output; above 1 is faster than real time.
    pub real_time_factor: Option<f64>,
    /// Payload bytes of the whole input.
    pub bytes_in: i64,
    /// Payload bytes of the whole output.
    pub bytes_out: i64,
    /// Codec of the source.
    pub codec_in: Option<String>,
    /// Codec of the result.
    pub codec_out: Option<String>,
    /// Sample rate of the source.
    pub rate_in_hz: Option<i32>,
    /// Sample rate of the result.
    pub rate_out_hz: Option<i32>,
    /// Channels.
    pub channels: Option<i32>,
    /// Integrated loudness of the result in LUFS (EBU R 128); null for silence and where it was not measured.
    pub loudness_lufs: Option<f64>,
    /// True peak of the result in dBTP (ITU-R BS.1770); null for silence and where it was not measured.
    pub true_peak_dbtp: Option<f64>,
    /// Samples of the result that were limited to full scale.
    pub samples_clipped: i64,
    /// Seconds of the result below -60 dBFS; null where it was not measured.
    pub silence_seconds: Option<f64>,
    /// Highest frequency that the source holds.
    pub bandwidth_before_hz: Option<i32>,
    /// Highest frequency that the result holds.
    pub bandwidth_after_hz: Option<i32>,
    /// Places where something is missing (discontinuities).
    pub gaps: i64,
    /// Corrupt packets and other faults that the stream survived.
    pub errors: i64,
    /// Where the model ran: cpu, cuda or tensorrt.
    pub device: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The model's version.
    pub model_version: Option<String>,
    /// W3C trace id, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
}
