//! Every stage of the list against every law, on streams that flow through the whole chain: a generated signal
//! becomes a file, the file is cut anywhere, and each stage is judged on what the one before it emits.

use proptest::prelude::*;
use treble_core::{
    Assets, ChannelCount, Codec, EncodedChunk, Pace, Payload, PcmBlock, PcmSpec, SampleDepth, SampleRate,
    Stage, laws,
};
use treble_decode::DecodeStage;
use treble_encode::{EncodeConfig, EncodeStage};
use treble_pipeline::stages::STAGES;
use treble_upscale::UpscaleStage;

/// The stages that [`check_chain`] judges, in data-flow order.
const JUDGED: [&str; 3] = [DecodeStage::NAME, UpscaleStage::NAME, EncodeStage::NAME];

#[test]
fn every_stage_of_the_list_is_judged() {
    let listed: Vec<&str> = STAGES.iter().map(|entry| entry.name).collect();
    assert_eq!(listed, JUDGED, "a new stage needs a line in check_chain");
}

/// A stream of PCM: a sweep per channel with noise below it, on the grid of 16 bits.
#[derive(Debug, Clone)]
struct Source {
    codec: Codec,
    spec: PcmSpec,
    frames: usize,
    seed: u32,
}

impl Source {
    fn planes(&self) -> Vec<Vec<f32>> {
        let mut noise = self.seed;
        let mut sample = |channel: usize, frame: usize| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let phase = (frame * (frame / 64 + 7 * channel + 1)) as f32 * 1e-3;
            let value = phase.sin() * 0.7 + (noise >> 8) as f32 / 16_777_216.0 * 0.05;
            (value * 32_768.0).round() / 32_768.0
        };
        let channels = 0..self.spec.channels.count();
        channels.map(|channel| (0..self.frames).map(|frame| sample(channel, frame)).collect()).collect()
    }

    /// The file that the encoder makes of it.
    fn file(&self) -> Vec<u8> {
        let config = EncodeConfig { codec: self.codec, ..EncodeConfig::default() };
        let inputs = [PcmBlock::announce(self.spec, 0), PcmBlock::new(self.spec, 0, self.planes()).0];
        let items =
            laws::run::<EncodeStage>(&config, &Assets::default(), &inputs).expect("the source is valid");
        items.iter().flat_map(|item| item.data.to_vec()).collect()
    }
}

fn any_source() -> impl Strategy<Value = Source> {
    let codec = prop_oneof![Just(Codec::Flac), Just(Codec::Wav), Just(Codec::Opus)];
    let hz = prop_oneof![Just(8_000_u32), Just(22_050), Just(44_100), Just(48_000)];
    let pace = prop_oneof![Just(Pace::Live), Just(Pace::Bulk)];
    (codec, hz, 1_u32..=2, pace, 0_usize..40_000, any::<u32>()).prop_map(
        |(codec, hz, channels, pace, frames, seed)| {
            let rate = if codec == Codec::Opus {
                SampleRate::HZ_48000
            } else {
                SampleRate::new(hz).expect("in range")
            };
            let channels = ChannelCount::new(channels).expect("in range");
            Source { codec, spec: PcmSpec { rate, channels, depth: SampleDepth::S16, pace }, frames, seed }
        },
    )
}

/// `bytes` as a stream of chunks whose sizes repeat.
fn cut_bytes(bytes: &[u8], pace: Pace, sizes: &[usize]) -> Vec<EncodedChunk> {
    let mut announced = EncodedChunk::default();
    announced.format.pace = pace;
    let mut chunks = vec![announced.clone()];
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |&size| size.clamp(1, rest.len()));
        let (head, tail) = rest.split_at(size);
        chunks.push(EncodedChunk { data: head.to_vec().into(), ..announced.clone() });
        rest = tail;
    }
    chunks
}

/// `blocks` cut again, into blocks whose sizes repeat; the announcement stays.
fn cut_pcm(blocks: &[PcmBlock], sizes: &[usize]) -> Vec<PcmBlock> {
    let Some(first) = blocks.first() else { return Vec::new() };
    let spec = first.spec();
    let channels = 0..spec.channels.count();
    let planes: Vec<Vec<f32>> = channels
        .map(|channel| blocks.iter().flat_map(|block| block.planes()[channel].clone()).collect())
        .collect();
    let mut cut = vec![PcmBlock::announce(spec, 0)];
    let (mut at, mut sizes) = (0, sizes.iter().cycle());
    while at < planes[0].len() {
        let end = planes[0].len().min(at + sizes.next().map_or(usize::MAX / 2, |&size| size.max(1)));
        cut.push(
            PcmBlock::new(spec, at as u64, planes.iter().map(|plane| plane[at..end].to_vec()).collect()).0,
        );
        at = end;
    }
    cut
}

/// All laws for one stage on one stream, cut in two ways; what the stage emits.
fn check_stage<S: Stage>(config: &S::Config, one: &[S::In], other: &[S::In]) -> Vec<S::Out> {
    let assets = Assets::default();
    laws::blind_to_cuts::<S>(config, &assets, one, other);
    laws::as_new_after_finish::<S>(config, &assets, one);
    laws::replay_equals_uninterrupted::<S>(config, &assets, one);
    laws::run::<S>(config, &assets, one).expect("a valid stream passes every stage")
}

fn check_chain(source: &Source, output: Codec, sizes: &[usize]) {
    let (file, pace) = (source.file(), source.spec.pace);
    // Pieces of a few kilobytes: the law of replay runs the stream again for each.
    let bytes = (cut_bytes(&file, pace, &[9_000]), cut_bytes(&file, pace, sizes));
    let pcm = check_stage::<DecodeStage>(&DecodeStage::example(), &bytes.0, &bytes.1);
    let hires = check_stage::<UpscaleStage>(&UpscaleStage::example(), &pcm, &cut_pcm(&pcm, sizes));
    let config = EncodeConfig { codec: output, ..EncodeStage::example() };
    let out = check_stage::<EncodeStage>(&config, &hires, &cut_pcm(&hires, sizes));
    let frames = |items: u64| items * 48_000 / u64::from(source.spec.rate.hz());
    let emitted: u64 = out.into_iter().map(|item| item.erase().frames()).sum();
    assert!(emitted.abs_diff(frames(source.frames as u64)) <= 1, "{emitted} frames from {}", source.frames);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_chain_obeys_every_law(
        source in any_source(),
        output in prop_oneof![Just(Codec::Flac), Just(Codec::Wav), Just(Codec::Opus)],
        sizes in prop::collection::vec(prop_oneof![1_usize..300, 1_usize..20_000], 1..6),
    ) {
        check_chain(&source, output, &sizes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_never_makes_a_stage_panic(
        source in any_source(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut file = source.file();
        for (at, byte) in &damage {
            let at = at.index(file.len());
            file[at] = *byte;
        }
        file.truncate(keep.index(file.len()) + 1);
        let chunks = cut_bytes(&file, source.spec.pace, &[4_000]);
        laws::total::<DecodeStage>(&DecodeStage::example(), &Assets::default(), &chunks);
    }

    #[test]
    fn bytes_of_chance_never_make_a_stage_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..5_000),
        magic in prop::sample::select(vec![&b""[..], b"fLaC", b"OggS", b"RIFF\xff\xff\xff\xffWAVE", b"\xff\xfb", b"ID3"]),
        size in 1_usize..3_000,
    ) {
        let file = [magic, &bytes].concat();
        let chunks = cut_bytes(&file, Pace::Bulk, &[size]);
        laws::total::<DecodeStage>(&DecodeStage::example(), &Assets::default(), &chunks);
    }
}
