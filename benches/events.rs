//! Events as stages tell them, for benchmarks of what reads them.

use treble_schemas::event::{Mode, StageEvent, Status};

const STREAMS: u32 = 1_000;
const STAGES: [&str; 3] = ["decode", "upscale", "encode"];
/// Microseconds since the Unix epoch: 2023-11-14T22:13:20Z.
const BEGAN_US: i64 = 1_700_000_000_000_000;

/// What a stage says once more of one of a thousand live streams, a millisecond after event `number` − 1: all fields are
/// there that a busy pipeline fills.
#[must_use]
pub fn stage_event(number: u32) -> StageEvent {
    StageEvent {
        event_time_us: BEGAN_US + i64::from(number) * 1_000,
        stream_id: format!("stream-{:04}", number % STREAMS),
        stage: STAGES[number as usize % STAGES.len()].to_owned(),
        instance: "pipeline-0".to_owned(),
        treble_version: env!("CARGO_PKG_VERSION").to_owned(),
        live: true,
        status: if number.is_multiple_of(100) { Status::Finished } else { Status::Running },
        mode: Mode::Ai,
        audio_seconds: 0.1,
        bytes_in: 1_600,
        bytes_out: 9_600,
        chunks_in: 1,
        chunks_out: 1,
        queue_wait_seconds: f64::from(number % 997) / 1e5,
        processing_seconds: f64::from(number % 911) / 1e5,
        batch_size: Some(4.0),
        device: Some("cpu".to_owned()),
        model: Some("treble".to_owned()),
        model_version: Some("1".to_owned()),
        codec_in: Some("pcm".to_owned()),
        codec_out: Some("pcm".to_owned()),
        rate_in_hz: Some(16_000),
        rate_out_hz: Some(48_000),
        channels: Some(1),
        trace_id: Some(format!("{number:032x}")),
        source_topic: "treble.audio.pcm".to_owned(),
        source_offset_first: i64::from(number),
        source_offset_last: i64::from(number),
        ..StageEvent::default()
    }
}
