//! What is published: streams of several kinds, interleaved, with repeats and chunks out of order.

use crate::chance::Chance;
use crate::stage::{POISON, SUMS};
use bytes::Bytes;
use treble_pipeline::ports::OutRecord;
use treble_pipeline::runtime::blueprint::Blueprint;
use treble_pipeline::stages::StageConfigs;
use treble_pipeline::topology::{self, Segment, Topology};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Segment as Data, StreamId, Totals};

/// What streams hold, and which stages take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Material {
    /// Bytes, for the cheap stage.
    Sums,
    /// A small WAV, for the real chain, fused.
    Audio,
}

/// One input, and the stages that take it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) material: Material,
    pub(crate) partitions: i32,
    pub(crate) records: Vec<OutRecord>,
}

pub(crate) const GROUP: &str = "simulated";
pub(crate) const DLQ: &str = "treble.dlq";
const CHUNK_SCHEMA: u32 = 1;

impl Scenario {
    pub(crate) fn new(chance: &mut Chance, material: Material) -> Self {
        let topic = segment(material).input_topic;
        let count = if material == Material::Audio { 2 } else { 3 + chance.below(5) };
        let mut queues: Vec<Vec<OutRecord>> = (0..count)
            .map(|number| {
                let mut records = stream(chance, material, &topic, number, 0);
                if material == Material::Sums && chance.percent(20) {
                    records.extend(stream(chance, material, &topic, number, 1));
                }
                records
            })
            .collect();
        if chance.percent(50) {
            let value = Some(Bytes::from_static(b"no chunk"));
            queues.push(vec![record(&topic, "stranger", value)]);
        }
        let mut records = Vec::new();
        while !queues.is_empty() {
            let at = chance.below(queues.len());
            records.push(queues[at].remove(0));
            queues.retain(|queue| !queue.is_empty());
        }
        let partitions = i32::try_from(1 + chance.below(4)).expect("at most 4");
        Self { material, partitions, records }
    }
}

pub(crate) fn segment(material: Material) -> Segment {
    match material {
        Material::Sums => Segment {
            stages: vec![&SUMS],
            input_topic: "treble.audio.in".to_owned(),
            output_topic: "treble.audio.out".to_owned(),
            state_topic: "treble.state.encode".to_owned(),
            group: GROUP.to_owned(),
        },
        Material::Audio => {
            let names = ["decode", "upscale", "encode"].map(str::to_owned);
            let mut fused = topology::segments(&names, Topology::Fused, "treble").expect("known stages");
            Segment { group: GROUP.to_owned(), ..fused.remove(0) }
        }
    }
}

pub(crate) fn blueprint(material: Material) -> Blueprint {
    Blueprint {
        stages: segment(material).stages,
        configs: StageConfigs::default().into(),
        assets: treble_core::Assets::default(),
        decorate: None,
    }
}

/// The records of one stream; `life` counts the streams that bore its id before.
fn stream(chance: &mut Chance, material: Material, topic: &str, number: usize, life: i64) -> Vec<OutRecord> {
    let id = StreamId::new(format!("stream-{number}")).expect("a valid id");
    let pieces = match material {
        Material::Sums => noise(chance),
        Material::Audio => wav(number).chunks(700).map(Bytes::copy_from_slice).collect(),
    };
    let codec = if material == Material::Audio { "audio/wav" } else { "x/noise" };
    let format = AudioFormat { codec: codec.to_owned(), ..AudioFormat::default() };
    let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
    let start = ChunkBody::Start { format, segment: Data::default() };
    let data = pieces
        .into_iter()
        .map(|data| ChunkBody::Data { format: None, segment: Data { data, ..Data::default() } });
    let end = ChunkBody::End(Totals { samples: 0, bytes, crc32c: None });
    let bodies = std::iter::once(start).chain(data).chain([end]);
    let capture_time_us = 1_000 + life;
    let chunks = (0..).zip(bodies).map(|(seq, body)| AudioChunk {
        stream_id: id.clone(),
        seq,
        capture_time_us,
        source: None,
        body,
    });
    let records = chunks.map(|chunk| record(topic, id.as_str(), Some(framed(&chunk)))).collect();
    disorder(chance, records)
}

/// Repeats some records before the stream's last, and swaps neighbours; START stays the first.
fn disorder(chance: &mut Chance, records: Vec<OutRecord>) -> Vec<OutRecord> {
    let mut disordered = records;
    for _ in 0..chance.below(4) {
        let from = chance.below(disordered.len() - 1);
        let to = from + 1 + chance.below(disordered.len() - 1 - from);
        disordered.insert(to, disordered[from].clone());
    }
    for _ in 0..chance.below(4) {
        let at = 1 + chance.below(disordered.len() - 2);
        // A repeat after the last chunk would be a stream of its own.
        if at + 2 < disordered.len() {
            disordered.swap(at, at + 1);
        }
    }
    disordered
}

fn noise(chance: &mut Chance) -> Vec<Bytes> {
    let mut pieces: Vec<Bytes> = (0..1 + chance.below(14))
        .map(|_| {
            // Lengths that meet the grid of 16 now and then.
            let length = [8, 8, 16, 4, 12, 31][chance.below(6)];
            (0..length).map(|_| chance.below(200) as u8).collect::<Vec<u8>>().into()
        })
        .collect();
    if chance.percent(20) {
        let at = chance.below(pieces.len());
        pieces[at] = Bytes::from_static(&[1, POISON]);
    }
    pieces
}

/// 0.3 s of a tone, 8 kHz, 16 bit, mono.
fn wav(number: usize) -> Vec<u8> {
    let frames = 2_400u32;
    let size = frames * 2;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1u16, 1].map(u16::to_le_bytes).concat());
    file.extend([8_000u32, 16_000].map(u32::to_le_bytes).concat());
    file.extend([2u16, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    let step = 0.1 + number as f64 / 50.0;
    file.extend(
        (0..frames).flat_map(|frame| (((f64::from(frame) * step).sin() * 9_000.0) as i16).to_le_bytes()),
    );
    file
}

fn framed(chunk: &AudioChunk) -> Bytes {
    let mut value = Vec::new();
    frame::write_header(&mut value, CHUNK_SCHEMA, Format::Protobuf);
    chunk.encode(&mut value);
    value.into()
}

fn record(topic: &str, key: &str, value: Option<Bytes>) -> OutRecord {
    let key = Bytes::copy_from_slice(key.as_bytes());
    OutRecord { topic: topic.to_owned(), partition: None, key, value, headers: Vec::new() }
}
