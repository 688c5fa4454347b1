//! The files, judged by tools that are not ours.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is a failed test")]

mod signal;

use signal::{blocks, spec, tone};
use std::process::{Command, Output};
use treble_core::{Assets, Codec, Pace, PcmSpec, SampleDepth, laws};
use treble_encode::{BitDepth, Compression, EncodeConfig, EncodeStage, FlacConfig};

#[expect(clippy::print_stdout, reason = "a skipped check must be seen")]
/// Runs `tool`, or says that it is absent: a failure where `TREBLE_REQUIRE_TOOLS=1`, otherwise a skip.
fn tool(name: &str, package: &str, args: &[&str]) -> Option<Output> {
    match Command::new(name).args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
            let required = std::env::var("TREBLE_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
            assert!(!required, "cannot run `{name}` ({error}); install the package {package}");
            println!("skipped: `{name}` is absent ({error}); install the package {package}");
            None
        }
    }
}

fn succeeds(output: &Output) -> String {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn encode(config: &EncodeConfig, spec: PcmSpec, planes: &[Vec<f32>]) -> Vec<u8> {
    let items =
        laws::run::<EncodeStage>(config, &Assets::default(), &blocks(spec, planes, &[10_000])).unwrap();
    items.iter().flat_map(|item| item.data.iter().copied()).collect()
}

/// `planes`, which must lie on the grid of `bits`, as little-endian interleaved integers.
fn integers(planes: &[Vec<f32>], bits: u32) -> Vec<u8> {
    let scale = (1_u32 << (bits - 1)) as f32;
    let frames = 0..planes[0].len();
    let samples = frames.flat_map(|frame| planes.iter().map(move |plane| plane[frame]));
    samples.flat_map(|sample| ((sample * scale) as i32).to_le_bytes()[..bits as usize / 8].to_vec()).collect()
}

/// The file in a folder that lives as long as it is held.
fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// `flac -t` passes, and `flac -d` gives back the very integers.
fn check_flac(
    hz: u32,
    channels: u32,
    depth: SampleDepth,
    bits: BitDepth,
    compression: Compression,
    frames: usize,
) {
    let spec = spec(hz, channels, depth, Pace::Bulk);
    let planes = tone(spec, frames);
    let config =
        EncodeConfig { bits_per_sample: bits, flac: FlacConfig { compression }, ..EncodeConfig::default() };
    let (_folder, file) = written("a.flac", &encode(&config, spec, &planes));
    let Some(tested) = tool("flac", "flac", &["-t", "--silent", &file]) else { return };
    succeeds(&tested);
    let raw_args = ["-d", "--silent", "--force-raw-format", "--endian=little", "--sign=signed", "-c", &file];
    let decoded = tool("flac", "flac", &raw_args).unwrap();
    assert!(decoded.status.success());
    if depth != SampleDepth::F32 {
        let expect = integers(&planes, bits.bits().into());
        assert!(decoded.stdout == expect, "flac decodes other samples: {spec:?} {frames}");
    }
}

#[test]
fn flac_decodes_to_the_same_integers() {
    use {BitDepth::*, Compression::*, SampleDepth::*};
    check_flac(48_000, 2, S24, B24, Default, 100_000);
    check_flac(44_100, 1, S16, B16, Fast, 50_001);
    check_flac(96_000, 6, S24, B24, Best, 9_000);
    check_flac(8_000, 2, S16, B24, Default, 4096 * 130);
    check_flac(48_000, 2, F32, B24, Default, 10_000);
}

#[test]
fn flac_takes_every_rate_and_every_length() {
    for hz in [1, 999, 11_025, 65_537, 352_800, 705_600, 768_000] {
        check_flac(hz, 1, SampleDepth::S16, BitDepth::B16, Compression::Default, 5000);
    }
    for frames in [0, 1, 2, 7, 15, 16, 17, 33, 4095, 4096, 4097] {
        check_flac(48_000, 2, SampleDepth::S24, BitDepth::B24, Compression::Default, frames);
    }
}

/// What ffmpeg decodes the file to, as raw samples of `format`.
fn ffmpeg(file: &str, format: &str) -> Option<Vec<u8>> {
    let decoded = tool("ffmpeg", "ffmpeg", &["-v", "error", "-i", file, "-f", format, "-"])?;
    let says = String::from_utf8_lossy(&decoded.stderr);
    assert!(decoded.status.success() && says.is_empty(), "{says}");
    Some(decoded.stdout)
}

/// ffprobe reads the format without a complaint.
fn check_probe(file: &str, expect: &str) {
    let entries = "stream=codec_name,sample_rate,channels";
    let args = ["-v", "error", "-show_entries", entries, "-of", "csv=p=0", file];
    if let Some(probed) = tool("ffprobe", "ffmpeg", &args) {
        assert_eq!(succeeds(&probed).trim(), expect);
    }
}

#[test]
fn wav_decodes_to_the_same_integers() {
    for (channels, bits, format) in [(1, 16, "s16le"), (2, 16, "s16le"), (2, 24, "s24le"), (6, 24, "s24le")] {
        let depth = if bits == 16 { SampleDepth::S16 } else { SampleDepth::S24 };
        let spec = spec(44_100, channels, depth, Pace::Live);
        let planes = tone(spec, 50_001);
        let bits_per_sample = BitDepth::try_from(bits).unwrap();
        let config = EncodeConfig { codec: Codec::Wav, bits_per_sample, ..EncodeConfig::default() };
        let (_folder, file) = written("a.wav", &encode(&config, spec, &planes));
        check_probe(&file, &format!("pcm_{format},44100,{channels}"));
        let Some(decoded) = ffmpeg(&file, format) else { return };
        assert!(
            decoded == integers(&planes, bits.into()),
            "ffmpeg decodes other samples: {channels} × {bits} bit"
        );
    }
}

/// The signal-to-noise ratio of the decoded file against its source, in dB, sample by sample from the start:
/// a delay of one frame that nobody compensated would bring it near 0 dB.
fn snr_db(source: &[Vec<f32>], decoded: &[u8]) -> f64 {
    let decoded = decoded.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    let source = (0..source[0].len()).flat_map(|frame| source.iter().map(move |plane| plane[frame]));
    let (signal, noise) = source.zip(decoded).fold((0.0, 0.0), |(signal, noise), (was, is)| {
        (signal + f64::from(was).powi(2), noise + f64::from(was - is).powi(2))
    });
    10.0 * (signal / noise).log10()
}

#[test]
fn opus_decodes_to_as_many_frames_in_step_with_the_source() {
    let config = EncodeConfig { codec: Codec::Opus, ..EncodeConfig::default() };
    for (channels, pace, frames) in [
        (2, Pace::Bulk, 100_000),
        (1, Pace::Live, 9_600),
        (1, Pace::Bulk, 648),
        (1, Pace::Live, 1),
        (2, Pace::Bulk, 0),
    ] {
        let spec = spec(48_000, channels, SampleDepth::F32, pace);
        let planes = tone(spec, frames);
        let (_folder, file) = written("a.opus", &encode(&config, spec, &planes));
        if let Some(info) = tool("opusinfo", "opus-tools", &[&file]) {
            let says = succeeds(&info);
            assert!(!says.contains("WARNING") && !says.contains("ERROR"), "{frames} frames: {says}");
        }
        check_probe(&file, &format!("opus,48000,{channels}"));
        let Some(decoded) = ffmpeg(&file, "f32le") else { continue };
        assert_eq!(decoded.len(), frames * channels as usize * 4, "{frames} frames");
        if frames > 9_000 {
            let db = snr_db(&planes, &decoded);
            assert!(db > 15.0, "{db} dB over {frames} frames");
        }
    }
}
