//! One value of every kind of record, as it was written when its schema was released. A sample is never
//! changed; a later release adds samples of its own.

use bytes::Bytes;
use treble_schemas::event::{Event, Mode, StageEvent, Status, StreamReport};
use treble_schemas::{
    AbortReason, AudioChunk, AudioFormat, ChunkBody, Encoding, OperatorState, SampleFormat, Segment, Source,
    StreamId, StreamState, Totals,
};

/// A record's value before it is framed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sample {
    Chunk(AudioChunk),
    State(StreamState),
    StageEvent(Box<StageEvent>),
    StreamReport(Box<StreamReport>),
}

impl Sample {
    /// The bytes that this version of Treble writes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Chunk(chunk) => chunk.encode_to_vec(),
            Self::State(state) => state.to_wire().unwrap(),
            Self::StageEvent(event) => event.encode().unwrap(),
            Self::StreamReport(report) => report.encode().unwrap(),
        }
    }

    /// What this version of Treble reads from `payload`, written with the Avro schema that `avsc` gives.
    pub(crate) fn decode_alike(&self, payload: Vec<u8>, avsc: impl Fn(&str) -> apache_avro::Schema) -> Self {
        match self {
            Self::Chunk(_) => Self::Chunk(AudioChunk::decode(Bytes::from(payload)).unwrap()),
            Self::State(_) => Self::State(StreamState::from_wire(Bytes::from(payload)).unwrap()),
            Self::StageEvent(_) => {
                let event = StageEvent::decode_written_with(&payload, &avsc("StageEvent"));
                Self::StageEvent(Box::new(event.unwrap()))
            }
            Self::StreamReport(_) => {
                let report = StreamReport::decode_written_with(&payload, &avsc("StreamReport"));
                Self::StreamReport(Box::new(report.unwrap()))
            }
        }
    }
}

/// Every sample, by the name of its file.
pub(crate) fn all() -> Vec<(&'static str, Sample)> {
    vec![
        ("chunk-start", Sample::Chunk(chunk(0, start()))),
        ("chunk-data", Sample::Chunk(chunk(1, data()))),
        ("chunk-end", Sample::Chunk(chunk(2, end()))),
        ("chunk-abort", Sample::Chunk(chunk(3, abort()))),
        ("stream-state", Sample::State(state())),
        ("stage-event", Sample::StageEvent(Box::new(stage_event()))),
        ("stream-report", Sample::StreamReport(Box::new(stream_report()))),
    ]
}

fn format() -> AudioFormat {
    AudioFormat {
        codec: "audio/pcm".into(),
        sample_rate_hz: 44_100,
        channels: 2,
        layout: "stereo".into(),
        sample_format: SampleFormat::S24.into(),
        codec_private: Bytes::from_static(b"private"),
        live: true,
    }
}

fn chunk(seq: u64, body: ChunkBody) -> AudioChunk {
    AudioChunk {
        stream_id: StreamId::new("clip/Müller 1").unwrap(),
        seq,
        capture_time_us: 1_700_000_000_000_001,
        source: Some(Source { topic: "treble.audio.in".into(), partition: 3, offset: 4_294_967_296, seq: 7 }),
        body,
    }
}

fn start() -> ChunkBody {
    let segment = Segment { data: Bytes::from_static(b"header"), ..Segment::default() };
    ChunkBody::Start { format: format(), segment }
}

fn data() -> ChunkBody {
    let segment = Segment {
        pts_samples: 4410,
        n_samples: 441,
        discontinuity: true,
        trim_start: 1,
        trim_end: 2,
        encoding: Encoding::S24ShuffleZstd,
        data: Bytes::from_static(b"\x00\xff samples"),
    };
    ChunkBody::Data { format: Some(format()), segment }
}

fn end() -> ChunkBody {
    ChunkBody::End(Totals { samples: 4851, bytes: 16, crc32c: Some(0xdead_beef) })
}

fn abort() -> ChunkBody {
    let (code, message, stage) = ("not_audio".into(), "no reader knows it".into(), "decode".into());
    ChunkBody::Abort(AbortReason { code, message, stage })
}

fn state() -> StreamState {
    let operator = OperatorState {
        stage: "decode".into(),
        restart_input: 2,
        restart_output: 3,
        checkpoint: Bytes::from_static(b"checkpoint"),
        model_version: "treble-1".into(),
    };
    StreamState {
        next_in_seq: 9,
        restart_offset: 1_000_000_000_000,
        restart_in_seq: 2,
        next_out_seq: 5,
        out_samples: 4851,
        out_bytes: 16,
        out_crc32c: 0xdead_beef,
        in_format: Some(format()),
        started_at_us: 1_700_000_000_000_001,
        operators: vec![operator],
        aborted: Some(AbortReason { code: "gap".into(), ..AbortReason::default() }),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        first_offset: 999_999_999_999,
        account: Bytes::new(),
    }
}

fn stage_event() -> StageEvent {
    StageEvent {
        event_time_us: 1_700_000_000_000_001,
        stream_id: "clip/Müller 1".into(),
        stage: "upscale".into(),
        instance: "worker-0".into(),
        treble_version: "0.1.0".into(),
        live: true,
        status: Status::Aborted,
        error_type: Some("corrupt".into()),
        error_message: Some("corrupt audio at frame 7".into()),
        mode: Mode::Ai,
        audio_seconds: 0.1,
        bytes_in: 8820,
        bytes_out: 38_400,
        chunks_in: 1,
        chunks_out: 2,
        queue_wait_seconds: 0.004,
        processing_seconds: 0.02,
        batch_size: Some(12.5),
        device: Some("cuda".into()),
        model: Some("treble".into()),
        model_version: Some("1".into()),
        codec_in: Some("pcm".into()),
        codec_out: Some("pcm".into()),
        rate_in_hz: Some(8000),
        rate_out_hz: Some(48_000),
        channels: Some(2),
        samples_clipped: 1,
        samples_replaced: 2,
        packets_skipped: 3,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        source_topic: "treble.audio.pcm".into(),
        source_partition: 3,
        source_offset_first: 4_294_967_296,
        source_offset_last: 4_294_967_297,
    }
}

fn stream_report() -> StreamReport {
    StreamReport {
        event_time_us: 1_700_000_000_000_001,
        stream_id: "clip/Müller 1".into(),
        treble_version: "0.1.0".into(),
        live: false,
        status: Status::Finished,
        error_type: None,
        error_message: None,
        mode: Mode::Baseline,
        duration_seconds: 3.5,
        end_to_end_latency_seconds: 0.75,
        real_time_factor: Some(14.0),
        bytes_in: 28_000,
        bytes_out: 504_000,
        codec_in: Some("mp3".into()),
        codec_out: Some("flac".into()),
        rate_in_hz: Some(22_050),
        rate_out_hz: Some(48_000),
        channels: Some(1),
        loudness_lufs: Some(-23.1),
        true_peak_dbtp: Some(-1.5),
        samples_clipped: 4,
        silence_seconds: Some(0.25),
        bandwidth_before_hz: Some(8000),
        bandwidth_after_hz: Some(20_000),
        gaps: 1,
        errors: 2,
        device: None,
        model: None,
        model_version: None,
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
    }
}
