//! Restart points: where a stage is lost, its successor goes on, exactly, and not from the stream's beginning.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::io::Cursor;
use support::{NAMES, chunks, decode, fixture, live, planes, whole};
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use treble_core::{Assets, EncodedChunk, Outbox, Pace, PcmBlock, Restart, Stage, laws};
use treble_decode::{DecodeConfig, DecodeStage};

fn config() -> (DecodeConfig, Assets) {
    (DecodeConfig::default(), Assets::default())
}

#[test]
fn a_successor_continues_where_its_predecessor_was_lost() {
    let (config, assets) = config();
    for name in NAMES {
        let inputs = live(chunks(&fixture(name), &[700, 1_300]));
        laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
    }
}

/// Streams whose restart moves, and the share of their chunks that a successor of the last moment is spared.
const MOVING: &[(&str, f64)] = &[
    ("sine_s16.wav", 0.8),
    ("sine_s24.wav", 0.8),
    ("sine_f32.wav", 0.8),
    ("sine_piped.wav", 0.8),
    ("sine_s16.flac", 0.4),
    ("sine_s24.flac", 0.1),
    ("sine.mp3", 0.2),
    ("sine_bare.mp3", 0.1),
    ("layer_2.mp2", 0.5),
    ("noise_pns.aac", 0.7),
    ("pages_vorbis.ogg", 0.8),
];

/// Loses a stage after every `every` chunks, again and again, and returns what came out in all, and where the
/// last restart lay.
fn relay(inputs: &[EncodedChunk], every: usize) -> (Vec<PcmBlock>, u64) {
    let (config, assets) = config();
    let (mut items, mut restart) = (Vec::new(), Restart::default());
    let mut upto = 0;
    while upto < inputs.len() {
        let mut stage = DecodeStage::new(&config, &assets).unwrap();
        stage.restore(&restart.checkpoint).unwrap();
        items.truncate(restart.output as usize);
        let mut out = Outbox::default();
        upto = inputs.len().min(upto + every);
        for input in &inputs[restart.input as usize..upto] {
            stage.push(input.clone(), &mut out).unwrap();
        }
        restart = stage.restart();
        if upto == inputs.len() {
            stage.finish(&mut out).unwrap();
        }
        items.append(&mut out.items);
    }
    (items, restart.input)
}

#[test]
fn restarts_move_forward_and_a_successor_has_successors() {
    for (name, share) in MOVING {
        let inputs = live(chunks(&fixture(name), &[310, 170]));
        let whole = decode(&inputs).unwrap();
        for every in [1, 2, 7, 20] {
            let (items, last) = relay(&inputs, every);
            assert!(items == whole, "{name}: lost every {every} chunks");
            assert!(last as f64 >= share * inputs.len() as f64, "{name}: {last} of {}", inputs.len());
        }
    }
}

#[test]
fn headerless_samples_restart_anywhere() {
    let (config, assets) = config();
    let bytes: Vec<u8> = (0..8_000_u32).flat_map(|i| ((i * 7) as u16).to_le_bytes()).collect();
    let mut inputs = chunks(&bytes, &[333, 1, 1_000]);
    for input in &mut inputs {
        input.format.media_type = "audio/pcm;format=s16le;rate=8000;channels=1".to_owned();
        input.format.pace = Pace::Live;
    }
    laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
    let (items, last) = relay(&inputs, 3);
    assert_eq!(items, decode(&inputs).unwrap());
    assert!(last > 30, "{last} of {}", inputs.len());
}

/// Chained streams have a head for each link, and a successor in the second link is given that one's.
#[test]
fn a_successor_goes_on_in_any_link_of_a_chain() {
    let (config, assets) = config();
    let one = fixture("pages_vorbis.ogg");
    let inputs = live(chunks(&[&one[..], &one].concat(), &[900]));
    laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
    let (items, last) = relay(&inputs, 5);
    assert!(items == decode(&inputs).unwrap());
    assert!(last as f64 > 0.9 * inputs.len() as f64, "{last} of {}", inputs.len());
}

/// A live stream has no end, and what a successor wants of it must not grow.
#[test]
fn what_is_fed_again_and_the_checkpoint_do_not_grow() {
    let (config, assets) = config();
    for (name, times, bytes) in
        [("noise_pns.aac", 8, 16_000), ("sine.aac", 20, 26_000), ("sine_bare.mp3", 30, 4_000)]
    {
        let inputs = live(chunks(&fixture(name).repeat(times), &[500]));
        let mut stage = DecodeStage::new(&config, &assets).unwrap();
        let mut worst = 0;
        for (pushed, input) in inputs.into_iter().enumerate() {
            stage.push(input, &mut Outbox::default()).unwrap();
            let restart = stage.restart();
            worst = worst.max(pushed as u64 - restart.input);
            assert!(restart.checkpoint.len() < 1_000, "{name}: {}", restart.checkpoint.len());
        }
        assert!(500 * worst < bytes, "{name}: {} bytes", 500 * worst);
    }
}

/// What Symphonia decodes of a stream with one decoder.
fn plain(bytes: Vec<u8>) -> Vec<f32> {
    let source = ReadOnlySource::new(Cursor::new(bytes));
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, Default::default(), Default::default())
        .unwrap();
    let params = format.tracks()[0].codec_params.clone().unwrap();
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params.audio().unwrap(), &Default::default())
        .unwrap();
    let (mut all, mut packet_planes) = (Vec::new(), Vec::<Vec<f32>>::new());
    while let Some(packet) = format.next_packet().unwrap() {
        decoder.decode(&packet).unwrap().copy_to_vecs_planar(&mut packet_planes);
        all.extend_from_slice(&packet_planes[0]);
    }
    all
}

#[test]
fn a_renewed_decoder_says_what_the_old_one_would_have_said() {
    let long = fixture("sine.aac").repeat(10);
    let ours = planes(&decode(&chunks(&long, &[4_000])).unwrap());
    assert!(ours[0].len() > 3 * 64 * 1_024, "it is renewed");
    assert!(ours[0] == plain(long));
}

#[test]
fn only_substituted_noise_is_other_noise_behind_a_renewal() {
    let ours = planes(&decode(&whole("noise_pns.aac")).unwrap()).swap_remove(0);
    let plain = plain(fixture("noise_pns.aac"));
    assert_eq!(ours.len(), plain.len());
    let at = ours.iter().zip(&plain).position(|(ours, plain)| ours != plain).unwrap();
    assert_eq!(at, 64 * 1_024, "there is substituted noise, and it is the same until then");
    let power = |samples: &[f32]| samples[at..].iter().map(|sample| sample * sample).sum::<f32>();
    let db = 10.0 * (power(&ours) / power(&plain)).log10();
    assert!(db.abs() < 0.1, "{db} dB louder");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() })]

    #[test]
    fn a_successor_continues_exactly_for_any_cut(
        name in prop::sample::select(MOVING),
        sizes in prop::collection::vec(100_usize..3_000, 1..6),
    ) {
        let (config, assets) = config();
        laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &live(chunks(&fixture(name.0), &sizes)));
    }

    #[test]
    fn a_successor_continues_a_damaged_stream_exactly(
        name in prop::sample::select(MOVING),
        faults in prop::collection::vec((0.4_f64..1.0, any::<u8>()), 1..4),
        sizes in prop::collection::vec(200_usize..1_500, 1..4),
    ) {
        let (config, assets) = config();
        let mut bytes = fixture(name.0);
        for (at, value) in faults {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] = value;
        }
        let inputs = live(chunks(&bytes, &sizes));
        if decode(&inputs).is_ok() {
            laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
        }
    }
}
