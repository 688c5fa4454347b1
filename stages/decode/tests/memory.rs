//! What a stream costs: bytes that are live on the heap while it is decoded, counted by the allocator, whatever the
//! stream holds and however it is cut. Stacks are counted apart: one MiB of address space a stream, of which the pages
//! that were touched are memory.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table"
)]

mod heap;
mod support;

use bytes::Bytes;
use heap::{live, peak};
use support::{NAMES, fixture};
use treble_core::{Assets, EncodedChunk, EncodedFormat, LimitKind, Outbox, Pace, Stage, StageError};
use treble_decode::{DecodeConfig, DecodeStage, Limits};

const KIB: usize = 1 << 10;

fn live_stage(limits: Limits) -> DecodeStage {
    DecodeStage::new(&DecodeConfig { limits }, &Assets::default()).unwrap()
}

/// Pushes a piece of a live stream, and drops what comes out, as the pipeline does once it is committed.
fn push(stage: &mut DecodeStage, data: Bytes) -> Result<(), StageError> {
    let format = EncodedFormat { pace: Pace::Live, ..EncodedFormat::default() };
    stage.push(EncodedChunk { format, data, ..EncodedChunk::default() }, &mut Outbox::default())
}

/// A stage that has been fed all of `bytes`, 500 at a time.
fn fed(bytes: &Bytes) -> DecodeStage {
    let mut stage = live_stage(Limits::default());
    bytes.chunks(500).for_each(|piece| push(&mut stage, bytes.slice_ref(piece)).unwrap());
    stage
}

/// The tables that codecs build once are not a stream's.
fn warm_up() {
    for name in NAMES {
        let mut stage = live_stage(Limits::default());
        push(&mut stage, fixture(name).into()).unwrap();
        drop(stage.finish(&mut Outbox::default()));
    }
}

/// The heap that a stream may hold between two pieces: 256 KiB is the target. What comes in a container that is spooled
/// is held whole, and a Vorbis decoder unpacks its codebooks to 1.5 MiB.
fn allowance(name: &str, bytes: usize) -> usize {
    let spooled = [".m4a", ".aiff", ".caf"].iter().any(|ending| name.ends_with(ending));
    let vorbis = if name.contains("vorbis") { 1_792 * KIB } else { 0 };
    256 * KIB + vorbis + if spooled { 3 * bytes } else { 0 }
}

#[test]
fn a_stream_of_any_codec_stays_within_its_allowance() {
    warm_up();
    println!("{:<24}{:>12}{:>12}", "stream", "peak KiB", "held KiB");
    let mut faults = Vec::new();
    for name in NAMES.iter().chain(&["noise_pns.aac", "pages_vorbis.ogg"]) {
        let bytes = Bytes::from(fixture(name));
        // The thread's place for a packet's frames fits the stream that it decoded last.
        drop(fed(&bytes));
        let (mut stage, before) = (None, live());
        let peak = peak(|| stage = Some(fed(&bytes)));
        let held = usize::try_from(live() - before).unwrap();
        println!("{name:<24}{:>12}{:>12}", peak.div_ceil(KIB), held.div_ceil(KIB));
        if held > allowance(name, bytes.len()) {
            faults.push(format!("{name} holds {held} bytes"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_million_chunks_of_one_byte_cost_no_more_than_one_of_a_million() {
    // One byte a chunk is 32 times the bookkeeping of any sensible stream: it must be forgotten as it goes.
    let mp3 = fixture("sine_bare.mp3");
    let bytes = Bytes::from(mp3.repeat(1_000_000 / mp3.len() + 1)).slice(..1_000_000);
    warm_up();
    let peak = peak(|| {
        let mut stage = live_stage(Limits::default());
        for at in 0..bytes.len() {
            push(&mut stage, bytes.slice(at..=at)).unwrap();
        }
        assert!(stage.restart().input > 990_000, "{}", stage.restart().input);
        stage.finish(&mut Outbox::default()).unwrap();
    });
    println!("peak {} KiB", peak / KIB);
    assert!(peak < 512 * KIB, "{peak} bytes");
}

/// A few bytes decode to 35 MB: eight channels at 96 kHz. What a reader finds in one piece comes out at once, so the
/// bound is the expansion that is never held against a stream, 32 MiB.
#[test]
fn a_bomb_takes_no_more_than_what_is_free_to_all() {
    let silence = Bytes::from(fixture("silence.flac"));
    warm_up();
    let mut result = Ok(());
    let peak = peak(|| {
        let mut stage = live_stage(Limits { expansion_ratio: 100, ..Limits::default() });
        let mut out = Outbox::default();
        result = push(&mut stage, silence.clone()).and_then(|()| stage.finish(&mut out));
        assert!(out.items.is_empty());
    });
    println!("peak {} KiB", peak / KIB);
    assert!(matches!(result, Err(StageError::Limit { kind: LimitKind::ExpansionRatio, .. })), "{result:?}");
    assert!(peak < 36 * KIB * KIB, "{peak} bytes");
}

/// A WAV head that claims `channels` at `hz`, and some data.
fn wav(channels: u16, hz: u32) -> Vec<u8> {
    let frame = channels.saturating_mul(2);
    let rate = hz.saturating_mul(u32::from(frame));
    let format = [
        &[1, 0][..],
        &channels.to_le_bytes(),
        &hz.to_le_bytes(),
        &rate.to_le_bytes(),
        &frame.to_le_bytes(),
        &[16, 0],
    ];
    [b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0", &format.concat()[..], b"data\xFF\xFF\xFF\xFF", &[0; 4_096]]
        .concat()
}

#[test]
fn absurd_claims_of_a_head_take_no_memory() {
    warm_up();
    for (channels, hz) in
        [(2, u32::MAX), (2, 0), (0, 8_000), (u16::MAX, 8_000), (33, 48_000), (u16::MAX, u32::MAX)]
    {
        let bytes = Bytes::from(wav(channels, hz));
        let mut result = Ok(());
        let peak = peak(|| {
            let mut stage = live_stage(Limits::default());
            result = push(&mut stage, bytes.clone()).and_then(|()| stage.finish(&mut Outbox::default()));
        });
        let code = result.as_ref().map_or_else(StageError::code, |()| "ok");
        println!("{channels} channels at {hz} Hz: {code}, peak {} KiB", peak / KIB);
        assert!(result.is_err() && !matches!(result, Err(StageError::Panicked { .. })), "{result:?}");
        assert!(peak < 512 * KIB, "{channels} channels at {hz} Hz: {peak} bytes");
    }
}
