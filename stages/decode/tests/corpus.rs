//! The corpus of encoded files in the wild, where it is present beside the checkout: nothing panics, what FFmpeg
//! plays without complaint has the rate, channels and frames that FFmpeg found, and lossless files have its very
//! samples. Lossy ones are compared in `vectors.rs`, where there is a reference.
//!
//! Files that differ are listed in `corpus-exceptions.tsv` with the reason; an entry that no longer differs
//! fails the test.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use symphonia::core::checksum::Md5;
use symphonia::core::io::Monitor;
use treble_core::{
    Assets, EncodedChunk, EncodedFormat, Outbox, Pace, PcmBlock, SampleDepth, Stage, StageError, laws,
};
use treble_decode::{DecodeConfig, DecodeStage};

/// One row of the manifest.
struct Row {
    path: String,
    expected: String,
    container: String,
    codec: String,
    rate: Option<u32>,
    channels: Option<usize>,
    frames: u64,
    s16_md5_12: String,
}

/// Frames of an AAC packet.
const AAC_FRAMES: u64 = 1_024;

/// Decoded bytes of any file of the corpus at most: the largest is 6 MB of FLAC.
const DECODED_BYTES_MAX: usize = 64 << 20;

fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio/formats");
    if root.join("MANIFEST.tsv").is_file() {
        return Some(root);
    }
    println!("skipped: no corpus at {}", root.display());
    None
}

fn manifest(root: &Path) -> Vec<Row> {
    let text = fs::read_to_string(root.join("MANIFEST.tsv")).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.map(|fields| Row {
        path: fields[0].to_owned(),
        expected: fields[5].to_owned(),
        container: fields[6].to_owned(),
        codec: fields[7].to_owned(),
        rate: fields[8].parse().ok(),
        channels: fields[9].parse().ok(),
        frames: fields[12].parse().unwrap_or(0),
        s16_md5_12: fields[14].to_owned(),
    })
    .collect()
}

/// The stream of a file, in pieces of `size` bytes.
fn stream(path: &Path, size: usize, pace: Pace) -> Vec<EncodedChunk> {
    let bytes = Bytes::from(fs::read(path).unwrap());
    let format = EncodedFormat { pace, ..EncodedFormat::default() };
    let start = std::iter::once(Bytes::new());
    let pieces = start.chain(bytes.chunks(size).map(|piece| bytes.slice_ref(piece)));
    pieces.map(|data| EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() }).collect()
}

fn decode(path: &Path) -> Result<Vec<PcmBlock>, StageError> {
    let inputs = stream(path, 4_096, Pace::Bulk);
    laws::run::<DecodeStage>(&DecodeConfig::default(), &Assets::default(), &inputs)
}

fn frames(blocks: &[PcmBlock]) -> u64 {
    blocks.iter().map(|block| block.frames() as u64).sum()
}

/// How the outcome differs from the row, if it does.
fn difference(row: &Row, outcome: &Result<Vec<PcmBlock>, StageError>) -> Option<String> {
    let blocks = match outcome {
        Ok(blocks) => blocks,
        Err(error) => return Some(error.to_string()),
    };
    let spec = blocks[0].spec();
    let found = (Some(spec.rate.hz()), Some(spec.channels.count()), frames(blocks));
    // FFmpeg 5.1 drops the priming of AAC in MP4, as we do, but keeps the padding in its last packet.
    let padding = if row.codec == "aac" && row.container.contains("mp4") { AAC_FRAMES - 1 } else { 0 };
    let alike = (row.rate, row.channels) == (found.0, found.1);
    if !alike || !(found.2..=found.2 + padding).contains(&row.frames) {
        return Some(format!("{found:?} for {:?}", (row.rate, row.channels, row.frames)));
    }
    let exact = spec.depth == SampleDepth::S16;
    (exact && md5_of_s16(blocks) != row.s16_md5_12).then(|| "other samples".to_owned())
}

fn md5_of_s16(blocks: &[PcmBlock]) -> String {
    let mut md5 = Md5::default();
    for block in blocks {
        for frame in 0..block.frames() {
            for plane in block.planes() {
                md5.process_buf_bytes(&((plane[frame] * 32_768.0) as i16).to_le_bytes());
            }
        }
    }
    md5.md5()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exceptions() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus-exceptions.tsv");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| line.split_once('\t').expect("path, tab, reason"))
        .map(|(p, r)| (p.into(), r.into()))
        .collect()
}

/// A difference must be an exception, and an exception a difference.
fn settle(
    path: &str,
    difference: Option<String>,
    exceptions: &mut BTreeMap<String, String>,
    faults: &mut Vec<String>,
) {
    match (difference, exceptions.remove(path)) {
        (Some(difference), None) => faults.push(format!("{path}: {difference}")),
        (None, Some(reason)) => faults.push(format!("{path}: no longer an exception: {reason}")),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

#[test]
fn every_file_is_played_as_expected_or_refused_with_a_typed_error() {
    let Some(root) = corpus() else { return };
    let mut exceptions = exceptions();
    let mut faults = Vec::new();
    for row in manifest(&root) {
        let outcome = decode(&root.join(&row.path));
        if let Err(StageError::Panicked { detail }) = &outcome {
            faults.push(format!("{}: panicked: {detail}", row.path));
        }
        let bytes: usize =
            outcome.iter().flatten().flat_map(PcmBlock::planes).map(|plane| 4 * plane.len()).sum();
        if bytes > DECODED_BYTES_MAX {
            faults.push(format!("{}: {bytes} bytes decoded", row.path));
        }
        if row.expected == "ok" {
            settle(&row.path, difference(&row, &outcome), &mut exceptions, &mut faults);
        }
    }
    faults.extend(exceptions.keys().map(|path| format!("{path}: an exception for no file")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Files whose law of replay is quadratic in their length stay below this.
const REPLAYED_BYTES_MAX: u64 = 300_000;

#[test]
fn whatever_plays_is_continued_exactly_by_a_successor() {
    let Some(root) = corpus() else { return };
    let (config, assets) = (DecodeConfig::default(), Assets::default());
    let mut moved = BTreeMap::<String, usize>::new();
    for row in manifest(&root) {
        let path = root.join(&row.path);
        let bytes = fs::metadata(&path).unwrap().len();
        let live = bytes <= REPLAYED_BYTES_MAX
            && ["flac", "wav", "mp3", "aac", "ogg"].contains(&row.container.as_str());
        let inputs = stream(&path, (bytes as usize / 11).max(1), Pace::Live);
        if !live || laws::run::<DecodeStage>(&config, &assets, &inputs).is_err() {
            continue;
        }
        laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
        let mut stage = DecodeStage::new(&config, &assets).unwrap();
        for input in inputs {
            stage.push(input, &mut Outbox::default()).unwrap();
        }
        *moved.entry(row.container).or_default() += usize::from(stage.restart().input > 1);
    }
    // A law that never sees a restart proves nothing.
    assert!(moved["flac"] >= 20 && moved["wav"] >= 5 && moved["mp3"] >= 30, "{moved:?}");
}
