//! Streams that are damaged, cut short, costly, or not what they say.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod support;

use bytes::Bytes;
use support::{NAMES, chunks, decode, fixture, live, planes, whole};
use treble_core::{
    Assets, EncodedChunk, EncodedFormat, Fact, LimitKind, Outbox, PcmBlock, Stage, StageError, grid, laws,
};
use treble_decode::{DecodeConfig, DecodeStage, Limits};

fn code(result: Result<Vec<PcmBlock>, StageError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

/// The stream of headerless samples.
fn raw(media_type: &str, bytes: &[u8]) -> Vec<EncodedChunk> {
    let mut inputs = chunks(bytes, &[7]);
    for input in &mut inputs {
        input.format = EncodedFormat { media_type: media_type.to_owned(), ..EncodedFormat::default() };
    }
    inputs
}

#[test]
fn a_container_that_promises_more_is_truncated_and_others_play() {
    let expect = |name: &str| match name {
        "sine_piped.wav" | "sine.mp3" | "sine_bare.mp3" | "sine.aac" => "ok",
        _ => "truncated",
    };
    for name in NAMES {
        let bytes = fixture(name);
        let cut = &bytes[..bytes.len() * 4 / 5];
        assert_eq!(code(decode(&chunks(cut, &[1_000]))), expect(name), "{name}");
        assert_eq!(code(decode(&live(chunks(cut, &[1_000])))), expect(name), "{name}, live");
    }
}

#[test]
fn an_empty_stream_and_noise_are_not_audio() {
    assert_eq!(code(decode(&[])), "not_audio");
    assert_eq!(code(decode(&chunks(&[], &[1]))), "not_audio");
    assert_eq!(code(decode(&chunks(b"How doth the little crocodile", &[3]))), "not_audio");
    assert_eq!(code(decode(&chunks(b"#!AMR\n and so on, and so on, and so on", &[3]))), "unsupported_codec");
}

#[test]
fn a_wav_header_within_another_file_is_not_a_wav_file() {
    let bytes = [&b"nothing that anybody knows"[..], &fixture("sine_s16.wav")].concat();
    assert_eq!(code(decode(&chunks(&bytes, &[900]))), "not_audio");
}

#[test]
fn a_stage_that_refused_says_so_until_the_stream_ends() {
    let mut stage = DecodeStage::new(&DecodeConfig::default(), &Assets::default()).unwrap();
    let mut out = Outbox::default();
    let bad =
        EncodedChunk { data: Bytes::from([&b"#!AMR\n"[..], &[0; 60]].concat()), ..EncodedChunk::default() };
    let first = stage.push(bad.clone(), &mut out).unwrap_err();
    assert_eq!(stage.push(bad, &mut out), Err(first.clone()));
    assert_eq!(stage.finish(&mut out), Err(first));
    assert!(out.items.is_empty());
    assert_eq!(
        laws::run_on(&mut stage, &Assets::default(), &whole("sine.mp3")).map(|items| items.len()),
        Ok(2)
    );
}

/// A FLAC stream with a damaged frame keeps its length: silence stands where the frame was.
#[test]
fn a_damaged_flac_frame_is_silence_in_its_place_and_marked() {
    let mut bytes = fixture("sine_s16.flac");
    let clean = planes(&decode(&chunks(&bytes, &[4_000])).unwrap());
    // Behind the padding of the head, which is half of the file.
    let middle = bytes.len() * 7 / 8;
    bytes[middle] ^= 0xFF;
    let mut stage = DecodeStage::new(&DecodeConfig::default(), &Assets::default()).unwrap();
    let mut out = Outbox::default();
    for input in chunks(&bytes, &[4_000]) {
        stage.push(input, &mut out).unwrap();
    }
    stage.finish(&mut out).unwrap();
    assert!(out.facts.iter().any(|fact| matches!(fact, Fact::PacketSkipped { .. })), "{:?}", out.facts);
    assert!(out.items.iter().any(PcmBlock::discontinuity));
    let damaged = planes(&out.items);
    assert_eq!(damaged[0].len(), clean[0].len());
    let differing = (0..clean[0].len()).filter(|i| damaged[0][*i] != clean[0][*i]);
    let differing: Vec<_> = differing.collect();
    assert!(!differing.is_empty() && differing.iter().all(|i| damaged[0][*i] == 0.0));
    assert!(differing.last().unwrap() - differing[0] <= 4_608, "one frame only");
}

/// Frames 5 and 7 to 14 have mixed blocks, and the one behind each hears of it.
#[test]
fn frames_that_would_come_out_as_noise_are_silence_and_told() {
    let mut stage = DecodeStage::new(&DecodeConfig::default(), &Assets::default()).unwrap();
    let mut out = Outbox::default();
    for input in chunks(&fixture("mixed_blocks.mp3"), &[1_000]) {
        stage.push(input, &mut out).unwrap();
    }
    stage.finish(&mut out).unwrap();
    let skipped = out.facts.iter().filter(|fact| matches!(fact, Fact::PacketSkipped { .. })).count();
    let samples = &planes(&out.items)[0];
    assert_eq!(samples.len(), 20 * 1_152);
    let silent: Vec<_> =
        samples.chunks(1_152).map(|frame| frame.iter().all(|sample| *sample == 0.0)).collect();
    let expected: Vec<_> = (0..20).map(|frame| (5..=15).contains(&frame)).collect();
    assert_eq!(silent[4..], expected[4..], "the first few want bits of frames that are not there");
    assert_eq!(skipped, 11);
    assert!(samples.iter().all(|sample| sample.abs() < 0.5));
}

#[test]
fn a_gap_in_the_input_marks_the_block_that_follows() {
    let mut inputs = raw("audio/pcm;rate=100;channels=1", &[1; 700]);
    inputs[60].discontinuity = true;
    let marks: Vec<_> = decode(&inputs).unwrap().iter().map(PcmBlock::discontinuity).collect();
    // 59 chunks of 7 bytes are 206 samples; a block has 100.
    assert_eq!(marks, [false, false, false, true, false]);
}

#[test]
fn chained_ogg_goes_on_and_another_format_does_not() {
    for name in ["sine_vorbis.ogg", "sine_opus.ogg", "sine_flac.ogg"] {
        let one = fixture(name);
        let twice = decode(&chunks(&[&one[..], &one].concat(), &[3_000])).unwrap();
        let (once, twice) = (planes(&decode(&whole(name)).unwrap()), planes(&twice));
        assert_eq!(twice[0].len(), 2 * once[0].len(), "{name}");
        assert!(twice[1][once[1].len()..] == once[1], "{name}: the second link is decoded like the first");
    }
    // A last page that is missing is borne with, but one that no other precedes is missed.
    let one = fixture("sine_vorbis.ogg");
    let cut = decode(&chunks(&[&one[..], &one[..one.len() / 2]].concat(), &[3_000])).unwrap();
    assert_eq!(planes(&cut)[0].len(), planes(&decode(&whole("sine_vorbis.ogg")).unwrap())[0].len());
    let other = [fixture("sine_vorbis.ogg"), fixture("sine_opus.ogg")].concat();
    assert_eq!(code(decode(&chunks(&other, &[3_000]))), "format_changed");
}

#[test]
fn each_limit_ends_in_its_own_error_at_the_same_place_for_any_cut() {
    let generous = Limits::default();
    let check = |limits: Limits, inputs: &[Vec<EncodedChunk>], kind: LimitKind| {
        let config = DecodeConfig { limits };
        for inputs in inputs {
            let result = laws::run::<DecodeStage>(&config, &Assets::default(), inputs);
            assert!(
                matches!(&result, Err(StageError::Limit { kind: found, .. }) if *found == kind),
                "{kind}: {result:?}"
            );
        }
        laws::blind_to_cuts::<DecodeStage>(&config, &Assets::default(), &inputs[0], &inputs[1]);
    };
    let cuts = |bytes: &[u8]| [chunks(bytes, &[usize::MAX]), chunks(bytes, &[13])];
    let wav = cuts(&fixture("sine_s16.wav"));
    check(Limits { stream_bytes: 20_000, ..generous.clone() }, &wav, LimitKind::StreamBytes);
    check(Limits { channels: 1, ..generous.clone() }, &wav, LimitKind::Channels);
    check(Limits { sample_rate_hz: 15_999, ..generous.clone() }, &wav, LimitKind::SampleRate);
    let m4a = cuts(&fixture("sine_alac.m4a"));
    check(Limits { spool_bytes: 10_000, ..generous.clone() }, &m4a, LimitKind::SpoolBytes);
    let slow = [raw("audio/pcm;rate=1;channels=1", &[0; 9]), raw("audio/pcm;rate=1;channels=1", &[0; 9])];
    check(Limits { duration_seconds: 3, ..generous }, &slow, LimitKind::DurationSeconds);
}

/// FLAC of silence: a few bytes a frame. It plays while it is short, and is a bomb when it is not.
#[test]
fn a_decompression_bomb_hits_the_expansion_limit() {
    let silence = include_bytes!("fixtures/silence.flac");
    let quiet = decode(&chunks(silence, &[500])).unwrap();
    assert!(planes(&quiet).iter().flatten().all(|sample| *sample == 0.0));
    let config = DecodeConfig { limits: Limits { expansion_ratio: 100, ..Limits::default() } };
    let result = laws::run::<DecodeStage>(&config, &Assets::default(), &chunks(silence, &[500]));
    assert!(matches!(result, Err(StageError::Limit { kind: LimitKind::ExpansionRatio, .. })), "{result:?}");
}

#[test]
fn headerless_samples_are_what_they_are_said_to_be() {
    let check = |media_type: &str, bytes: &[u8], expect: &[&[f32]]| {
        let blocks = decode(&raw(media_type, bytes)).unwrap();
        assert_eq!(planes(&blocks), expect, "{media_type}");
    };
    check("audio/L16;rate=8000", &[0x40, 0, 0x80, 0], &[&[0.5, -1.0]]);
    check("audio/pcm;rate=8000;channels=2", &[0, 0x40, 0, 0x80], &[&[0.5], &[-1.0]]);
    check("audio/pcm;format=u8;rate=8000;channels=1", &[0, 128, 192], &[&[-1.0, 0.0, 0.5]]);
    check("audio/pcm;format=f32le;rate=8000;channels=1", &[0, 0, 0x80, 0x7f, 0, 0, 0, 0x3f], &[&[0.0, 0.5]]);
    check("audio/L16;rate=8000", &[], &[&[]]);
    assert_eq!(code(decode(&raw("audio/L16;rate=8000", &[1]))), "truncated");
    assert_eq!(code(decode(&raw("audio/L16", &[1, 2]))), "unsupported_codec");
}

#[test]
fn raw_samples_cannot_change_their_form() {
    let mut inputs = raw("audio/L16;rate=8000", &[0; 80]);
    inputs[5].format.rate = treble_core::SampleRate::new(16_000).ok();
    assert_eq!(code(decode(&inputs)), "format_changed");
}

#[test]
fn blocks_lie_on_the_grid() {
    for name in NAMES {
        let blocks = decode(&chunks(&fixture(name), &[777])).unwrap();
        let chunk = grid::chunk_frames(blocks[0].spec()) as u64;
        assert_eq!((blocks[0].frames(), blocks[0].first_frame()), (0, 0), "{name}");
        for (k, block) in blocks[1..].iter().enumerate() {
            assert_eq!(block.first_frame(), k as u64 * chunk, "{name}");
            assert!(block.frames() as u64 == chunk || k + 2 == blocks.len(), "{name}");
        }
    }
}
