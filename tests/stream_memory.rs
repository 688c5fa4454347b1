//! What a live stream costs in a worker: bytes on the heap between two commits, counted by the allocator, stage by stage.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table"
)]

#[path = "../stages/decode/tests/heap/mod.rs"]
mod heap;

use bytes::Bytes;
use heap::live;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use treble_core::{
    AnyPayload, Assets, ChannelCount, EncodedChunk, EncodedFormat, Outbox, Pace, PcmBlock, PcmSpec,
    SampleDepth, SampleRate, Stage, laws,
};
use treble_pipeline::offline;
use treble_pipeline::runtime::blueprint::{Blueprint, Decorate};
use treble_pipeline::runtime::meter::Metering;
use treble_pipeline::stages::{ErasedStage, STAGES, StageConfigs};
use treble_test_support::configuration::{config, with_model};
use treble_upscale::{Device, EngineConfig, Mode, OrtEngine, UpscaleConfig, UpscaleStage};

const KIB: usize = 1 << 10;

/// Nothing but itself.
#[derive(Debug)]
struct Plain;

impl Decorate for Plain {
    fn decorate(&self, _: &'static str, inner: Box<dyn ErasedStage>) -> Box<dyn ErasedStage> {
        inner
    }
}

/// The most that a live stream may hold, in KiB, once its band is known and before. Of it, 64 are the ring that Symphonia reads through.
const ALLOWANCE: usize = 256;
/// In Ogg that ring has 128 KiB, so that Symphonia can look for a page.
const OGG_ALLOWANCE: usize = 320;
/// Symphonia's decoder of AAC holds 60 KiB, more than half of them for each pair of channels, and tables besides.
const AAC_ALLOWANCE: usize = 320;

/// A live stream: what it is, and 10 s of it.
struct Input {
    name: String,
    media_type: &'static str,
    bytes: Bytes,
    /// The most that it may hold, in KiB.
    allowance: usize,
}

impl Input {
    fn wav(rate_hz: u32, channels: u16) -> Self {
        let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0".to_vec();
        wav.extend(channels.to_le_bytes());
        wav.extend(rate_hz.to_le_bytes());
        wav.extend((rate_hz * u32::from(channels) * 2).to_le_bytes());
        wav.extend((channels * 2).to_le_bytes());
        wav.extend(b"\x10\0data\xff\xff\xff\xff");
        for frame in 0..rate_hz * 10 {
            let sample = (f64::from(frame) * 0.3).sin() * 8_000.0;
            for _ in 0..channels {
                #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
                wav.extend((sample as i16).to_le_bytes());
            }
        }
        let name = format!("WAV {rate_hz} Hz x {channels}");
        Self { name, media_type: "audio/wav", bytes: wav.into(), allowance: ALLOWANCE }
    }

    /// What Treble itself makes of a WAV: stereo at 48 kHz.
    fn made(name: &str, codec: &str, media_type: &'static str) -> Self {
        let wav = Self::wav(48_000, 2);
        let config = config(&[("encode.codec", codec.to_owned())]).unwrap();
        let mut bytes = Vec::new();
        offline::upscale(&config, wav.media_type, &mut &*wav.bytes, &mut bytes, &mut |_| {}).unwrap();
        Self { name: format!("{name} 48000 Hz x 2"), media_type, bytes: bytes.into(), allowance: ALLOWANCE }
    }

    /// A fixture of the decoder, again and again, as a broadcast goes on: 0.6 s in stereo each.
    fn repeated(name: &str, rate_hz: u32, file: &str, media_type: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stages/decode/tests/fixtures");
        let bytes = std::fs::read(folder.join(file)).unwrap().repeat(17);
        Self {
            name: format!("{name} {rate_hz} Hz x 2"),
            media_type,
            bytes: bytes.into(),
            allowance: ALLOWANCE,
        }
    }
}

/// Feeds a live stream in pieces of 100 ms and drops what comes out, as a worker does once it is committed; what
/// each stage then holds, and the most that all held between two pieces.
fn held(input: &Input) -> ([usize; STAGES.len()], usize) {
    let meter = Metering { stage: "encode", live: false, inner: Arc::new(Plain) };
    let blueprint = Blueprint {
        stages: STAGES.iter().collect(),
        configs: Arc::new(StageConfigs::default()),
        assets: Assets::default(),
        decorate: Some(Arc::new(meter)),
    };
    let before = live();
    let mut stages: Vec<_> = STAGES.iter().map(|entry| blueprint.build(entry).unwrap()).collect();
    let (mut most, mut frames) = (0, 0);
    for piece in input.bytes.chunks(input.bytes.len() / 100) {
        frames += push(&mut stages, input.media_type, input.bytes.slice_ref(piece));
        most = most.max(live() - before);
    }
    assert!(frames > 9 * 48_000, "{}: {frames} frames came out", input.name);
    let mut each = [0; STAGES.len()];
    for (bytes, stage) in each.iter_mut().zip(stages) {
        let with = live();
        drop(stage);
        *bytes = usize::try_from(with - live()).unwrap();
    }
    (each, usize::try_from(most).unwrap())
}

/// Pushes a piece through; how many frames came out.
fn push(stages: &mut [Box<dyn ErasedStage>], media_type: &str, data: Bytes) -> u64 {
    let format =
        EncodedFormat { media_type: media_type.to_owned(), pace: Pace::Live, ..EncodedFormat::default() };
    let mut payloads = vec![AnyPayload::Encoded(EncodedChunk { format, data, ..EncodedChunk::default() })];
    for stage in stages {
        let mut out = Outbox::default();
        payloads.drain(..).for_each(|payload| stage.push(payload, &mut out).unwrap());
        payloads = out.items;
    }
    let frames =
        |payload: &AnyPayload| if let AnyPayload::Encoded(chunk) = payload { chunk.frames } else { 0 };
    payloads.iter().map(frames).sum()
}

#[test]
fn a_live_stream_stays_within_its_allowance() {
    let pcm = [(8_000, 1), (16_000, 1), (44_100, 2), (48_000, 2)];
    let mut inputs: Vec<_> = pcm.map(|(rate_hz, channels)| Input::wav(rate_hz, channels)).into();
    inputs.push(Input::made("FLAC", "flac", "audio/flac"));
    inputs.push(Input::repeated("MP3", 22_050, "sine_bare.mp3", "audio/mpeg"));
    let opus = Input::made("Opus in Ogg", "opus", "audio/ogg");
    inputs.push(Input { allowance: OGG_ALLOWANCE, ..opus });
    let aac = Input::repeated("AAC", 44_100, "sine.aac", "audio/aac");
    inputs.push(Input { allowance: AAC_ALLOWANCE, ..aac });
    println!(
        "{:<24}{:>8}{:>9}{:>8}{:>12}{:>10}",
        "live stream", "decode", "upscale", "encode", "settled KiB", "most KiB"
    );
    for input in inputs {
        // What all streams of a thread share is no stream's: converters, and the encoder's workspace, which fits what it encoded last.
        held(&input);
        let (each, peak) = held(&input);
        let [decode, upscale, encode] = each.map(|bytes| bytes.div_ceil(KIB));
        let (name, sum, peak) = (&input.name, decode + upscale + encode, peak.div_ceil(KIB));
        println!("{name:<24}{decode:>8}{upscale:>9}{encode:>8}{sum:>12}{peak:>10}");
        let allowance = input.allowance;
        assert!(sum.max(peak) <= allowance, "{name}: {allowance} KiB are allowed");
    }
    // In the same test: another thread's allocations would be counted too.
    for (file, settled) in [("treble.onnx", 128), ("treble-live.onnx", 96)] {
        held_with_model(file);
        let kib = held_with_model(file).div_ceil(KIB);
        println!("upscale with {file}, 16000 Hz x 1: {kib} KiB");
        assert!(kib <= settled, "{file}: {settled} KiB are allowed");
    }
}

/// What the upscale stage holds with a shipped model, after 10 s of a live stream in pieces of 100 ms; the model itself, which all
/// streams share, is not counted.
fn held_with_model(file: &str) -> usize {
    const FRAMES: u32 = 1_600;
    let settings = with_model().unwrap();
    let named =
        |key: &str| settings.iter().find(|(name, _)| *name == key).map(|(_, path)| PathBuf::from(path));
    let config =
        EngineConfig { library: named("engine.library"), device: Device::Cpu, ..EngineConfig::default() };
    let engine = OrtEngine::open(&named("upscale.model").unwrap().with_file_name(file), &config).unwrap();
    let assets = Assets { inference: Some(Arc::new(engine)) };
    let spec = PcmSpec {
        rate: SampleRate::new(16_000).unwrap(),
        channels: ChannelCount::new(1).unwrap(),
        depth: SampleDepth::F32,
        pace: Pace::Live,
    };
    let config = UpscaleConfig { mode: Mode::Ai, ..UpscaleConfig::default() };
    let mut stage = UpscaleStage::new(&config, &assets).unwrap();
    for piece in 0..100 {
        let mut out = Outbox::default();
        let plane = (0..FRAMES).map(|frame| f64::from(piece * FRAMES + frame) * 0.3);
        #[expect(clippy::cast_possible_truncation, reason = "below 1")]
        let plane = plane.map(|at| (at.sin() * 0.25) as f32).collect();
        let block = PcmBlock::new(spec, u64::from(piece * FRAMES), vec![plane]).0;
        stage.push(block, &mut out).unwrap();
        laws::settle(&mut stage, assets.inference.as_deref(), &mut out).unwrap();
    }
    let with = live();
    drop(stage);
    usize::try_from(with - live()).unwrap()
}
