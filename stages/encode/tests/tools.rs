//! The files, judged by tools that are not ours.

mod signal;

use signal::{blocks, spec, tone};
use std::path::Path;
use std::process::{Command, Output};
use treble_core::{Assets, Codec, Pace, PcmSpec, SampleDepth, laws};
use treble_encode::{BitDepth, Compression, EncodeConfig, EncodeStage, FlacConfig};

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

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `planes`, which must lie on the grid of `bits`, as little-endian interleaved integers.
fn integers(planes: &[Vec<f32>], bits: u32) -> Vec<u8> {
    let scale = (1_u32 << (bits - 1)) as f32;
    let frames = 0..planes[0].len();
    let samples = frames.flat_map(|frame| planes.iter().map(move |plane| plane[frame]));
    samples.flat_map(|sample| ((sample * scale) as i32).to_le_bytes()[..bits as usize / 8].to_vec()).collect()
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
    let folder = tempfile::tempdir().unwrap();
    let (file, raw) = (folder.path().join("a.flac"), folder.path().join("a.raw"));
    let spec = spec(hz, channels, depth, Pace::Bulk);
    let planes = tone(spec, frames);
    let config =
        EncodeConfig { bits_per_sample: bits, flac: FlacConfig { compression }, ..EncodeConfig::default() };
    std::fs::write(&file, encode(&config, spec, &planes)).unwrap();
    let Some(tested) = tool("flac", "flac", &["-t", "--silent", text(&file)]) else { return };
    succeeds(&tested);
    let raw_args =
        ["-d", "--silent", "--force-raw-format", "--endian=little", "--sign=signed", "-o", text(&raw)];
    let decoded = tool("flac", "flac", &[&raw_args[..], &[text(&file)]].concat()).unwrap();
    succeeds(&decoded);
    if depth != SampleDepth::F32 {
        let got = std::fs::read(&raw).unwrap();
        assert!(
            got == integers(&planes, bits.bits().into()),
            "flac decodes other samples: {spec:?} {frames}"
        );
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
