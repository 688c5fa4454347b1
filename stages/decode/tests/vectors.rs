//! MPEG audio vectors against their reference PCM, by the criterion of ISO/IEC 11172-4 (section 2.6): the difference
//! has an RMS below 2^-15/√12 of full scale and no sample over 2^-14 ("full accuracy"), or an RMS below 2^-11/√12
//! ("limited accuracy").
//!
//! `mp3-vectors.tsv` says which vector is of which class, which frames differ, and why. The table is exact: a vector
//! that gets better fails the test as one that gets worse does.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use support::{chunks, decode};

/// Frames of a packet of Layer II, and of Layer III in MPEG 1. Vectors of MPEG 2 Layer III have half of it, and agree
/// throughout.
const PACKET_FRAMES: usize = 1_152;

/// Of the criterion, in steps of 16 bits, 2^-15 of full scale each. It bounds the largest difference by two steps; ours
/// are whole ones.
const LARGEST_STEPS: f64 = 2.0;
const FULL_RMS_STEPS: f64 = 0.288_675;
const LIMITED_RMS_STEPS: f64 = 16.0 * FULL_RMS_STEPS;

fn vectors() -> Option<PathBuf> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio/formats/lieff__minimp3/vectors");
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no vectors at {}", root.display());
    None
}

/// A row of the table.
struct Expected {
    name: String,
    class: String,
    left_out: Option<usize>,
    differing: BTreeSet<usize>,
}

fn table() -> Vec<Expected> {
    let rows = include_str!("mp3-vectors.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let fields: Vec<_> = row.split('\t').collect();
        let [name, class, left_out, differing, _why] = fields[..] else { panic!("five fields: {row}") };
        let left_out = left_out.parse().ok();
        let bounds: Vec<usize> = differing.split('-').filter_map(|bound| bound.parse().ok()).collect();
        let differing = bounds.first().zip(bounds.last()).map_or(0..0, |(first, last)| *first..last + 1);
        Expected { name: name.to_owned(), class: class.to_owned(), left_out, differing: differing.collect() }
    })
    .collect()
}

/// Our samples, interleaved, in steps of 16 bits. References are rounded to 16 bits, so ours are too: rounding alone
/// would use up the tolerance.
fn decoded(bitstream: &Path) -> Option<(usize, Vec<f64>)> {
    let blocks = decode(&chunks(&fs::read(bitstream).unwrap(), &[4_096])).ok()?;
    let frames = blocks.iter().flat_map(|block| (0..block.frames()).map(move |frame| (block, frame)));
    let samples = frames.flat_map(|(block, frame)| block.planes().iter().map(move |plane| plane[frame]));
    let steps = samples.map(|sample| f64::from((sample * 32_768.0).round() as i16));
    Some((blocks[0].spec().channels.count(), steps.collect()))
}

fn reference(path: &Path) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    bytes.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))).collect()
}

/// Root of the mean square, and the largest, of the differences.
fn error(pairs: &[(&[f64], &[f64])]) -> (f64, f64) {
    let each = pairs.iter().flat_map(|(a, b)| a.iter().zip(*b).map(|(a, b)| (a - b).abs()));
    let (count, squares, largest) =
        each.fold((0_u32, 0.0, 0.0_f64), |(n, sum, max), d| (n + 1, sum + d * d, max.max(d)));
    ((squares / f64::from(count.max(1))).sqrt(), largest)
}

/// Of which class `ours` is, without the packets that differ by more than the tolerance for one sample; and those.
/// The reference ends at or before our end.
fn judge(
    ours: &[&[f64]],
    numbers: &[usize],
    reference: &[f64],
    packet: usize,
) -> (&'static str, BTreeSet<usize>) {
    let pairs = || ours.iter().copied().zip(reference.chunks(packet));
    let within = |pair: (&[f64], &[f64])| error(&[pair]).1 <= LARGEST_STEPS;
    let differing = pairs().zip(numbers).filter(|(pair, _)| !within(*pair)).map(|(_, number)| *number);
    let agreeing: Vec<_> = pairs().filter(|pair| within(*pair)).collect();
    let (rms, largest) = error(&agreeing);
    println!("    RMS {rms:.4}, largest {largest} steps, over {} packets", agreeing.len());
    let class = if rms < FULL_RMS_STEPS {
        "full"
    } else if rms < LIMITED_RMS_STEPS {
        "limited"
    } else {
        "none"
    };
    (class, differing.collect())
}

#[test]
fn every_vector_is_of_its_class_and_differs_in_no_other_frame() {
    let Some(root) = vectors() else { return };
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for expected in table() {
        let path = root.join(&expected.name);
        println!("{}", expected.name);
        let found = match decoded(&path.with_extension("bit")) {
            None => ("refused", BTreeSet::new()),
            Some((channels, samples)) => {
                let packet = PACKET_FRAMES * channels;
                let numbers: Vec<_> = (0..samples.len().div_ceil(packet))
                    .filter(|number| Some(*number) != expected.left_out)
                    .collect();
                let all: Vec<_> = samples.chunks(packet).collect();
                let ours: Vec<_> = numbers.iter().map(|number| all[*number]).collect();
                let reference = reference(&path.with_extension("pcm"));
                let surplus =
                    ours.iter().map(|packet| packet.len()).sum::<usize>().checked_sub(reference.len());
                if surplus.is_none_or(|surplus| surplus > packet) {
                    faults.push(format!("{}: {surplus:?} samples more than the reference", expected.name));
                }
                judge(&ours, &numbers, &reference, packet)
            }
        };
        if found != (expected.class.as_str(), expected.differing) {
            faults.push(format!("{}: {found:?}", expected.name));
        }
        known.insert(expected.name);
    }
    let present = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let references = present.filter(|path| path.extension().is_some_and(|kind| kind == "pcm"));
    let names: BTreeSet<_> =
        references.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, known, "the table names every vector");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
