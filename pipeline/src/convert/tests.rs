use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn spec(channels: u32, depth: SampleDepth) -> PcmSpec {
    let channels = ChannelCount::new(channels).unwrap();
    PcmSpec { rate: SampleRate::new(44_100).unwrap(), channels, depth, pace: Pace::Live }
}

fn block(depth: SampleDepth, planes: Vec<Vec<f32>>) -> PcmBlock {
    let channels = u32::try_from(planes.len()).unwrap();
    PcmBlock::new(spec(channels, depth), 480, planes).0.with_discontinuity(true)
}

/// Sends `block` over the wire: it must come back bit for bit, and travel as `expected`.
fn check(block: PcmBlock, expected: Encoding) {
    let payload = AnyPayload::Pcm(block.clone());
    let format = format_of(&payload);
    let segment = to_segment(payload);
    assert_eq!(segment.encoding, expected);
    let AnyPayload::Pcm(back) = to_payload(&format, segment).unwrap() else { panic!("PCM") };
    assert_eq!(back, block);
    let bits =
        |block: &PcmBlock| -> Vec<u32> { block.planes().iter().flatten().map(|s| s.to_bits()).collect() };
    assert_eq!(bits(&back), bits(&block));
}

#[test]
fn samples_travel_at_the_depth_that_holds_them() {
    let of = |n: f32, scale: f32| n / scale;
    let s16 = vec![-1.0, of(32_767.0, 32_768.0), 0.0, of(-1.0, 32_768.0), of(257.0, 32_768.0)];
    let s24 = vec![-1.0, of(8_388_607.0, 8_388_608.0), 0.0, of(-1.0, 8_388_608.0), of(65_793.0, 8_388_608.0)];
    check(block(SampleDepth::S16, vec![s16.clone(), s16.clone()]), Encoding::S16ShuffleZstd);
    check(block(SampleDepth::S24, vec![s24.clone(), s16.clone()]), Encoding::S24ShuffleZstd);
    check(
        block(SampleDepth::F32, vec![s16, vec![1.5, f32::MIN_POSITIVE, -0.0, 1e30, 0.1]]),
        Encoding::F32ShuffleZstd,
    );
}

#[test]
fn what_its_depth_does_not_hold_travels_as_f32() {
    for sample in [0.1, 1.0, -1.0 - f32::EPSILON, -0.0, 1.0 / 65_536.0, 1e30] {
        check(block(SampleDepth::S16, vec![vec![0.0, sample]]), Encoding::F32ShuffleZstd);
    }
    for sample in [1.0, 1.0 / 16_777_216.0, f32::MIN_POSITIVE] {
        check(block(SampleDepth::S24, vec![vec![0.0, sample]]), Encoding::F32ShuffleZstd);
    }
}

#[test]
fn an_announcement_stays_pcm() {
    check(
        PcmBlock::announce(spec(3, SampleDepth::S16), 480).with_discontinuity(true),
        Encoding::S16ShuffleZstd,
    );
    check(
        PcmBlock::announce(spec(1, SampleDepth::F32), 480).with_discontinuity(true),
        Encoding::F32ShuffleZstd,
    );
}

/// The bytes of a known block: what is on a topic today must be readable tomorrow, by whatever zstd.
#[test]
fn the_layout_before_compression_is_fixed() {
    let planes = vec![vec![1.0 / 32_768.0, 2.0 / 32_768.0], vec![258.0 / 32_768.0, -1.0 / 32_768.0]];
    let segment = to_segment(AnyPayload::Pcm(block(SampleDepth::S16, planes)));
    let shuffled = zstd::bulk::decompress(&segment.data, 64).unwrap();
    assert_eq!(shuffled, [1, 2, 2, 255, 0, 0, 1, 255]);
}

#[test]
fn encoded_bytes_are_passed_on_as_they_are() {
    let chunk = EncodedChunk {
        format: EncodedFormat {
            media_type: "audio/mpeg".into(),
            rate: None,
            channels: Some(ChannelCount::STEREO),
            pace: Pace::Live,
        },
        data: Bytes::from_static(b"frames"),
        first_frame: 7,
        frames: 9,
        discontinuity: true,
    };
    let payload = AnyPayload::Encoded(chunk);
    let back = to_payload(&format_of(&payload), to_segment(payload.clone())).unwrap();
    assert_eq!(back, payload);
}

fn pcm_format() -> AudioFormat {
    format_of(&AnyPayload::Pcm(PcmBlock::announce(spec(2, SampleDepth::F32), 0)))
}

fn packed(n_samples: u64, samples: &[f32]) -> Segment {
    let bytes: Vec<u8> = (0..4).flat_map(|b| samples.iter().map(move |s| s.to_le_bytes()[b])).collect();
    let data = zstd::bulk::compress(&bytes, 1).unwrap().into();
    Segment { n_samples, data, encoding: Encoding::F32ShuffleZstd, ..Segment::default() }
}

fn refused(format: &AudioFormat, segment: Segment, code: &str) {
    let outcome = to_payload(format, segment);
    assert_eq!(outcome.as_ref().map_or_else(ConvertError::code, |_| "ok"), code, "{outcome:?}");
}

#[test]
fn each_fault_has_its_own_code() {
    let format = pcm_format();
    let four = [0.0, 0.25, 0.5, 0.75];
    refused(&format, packed(2, &four), "ok");
    refused(&format, packed(1, &four), "convert_decompress");
    refused(&format, packed(3, &four), "convert_length");
    refused(
        &format,
        Segment { data: Bytes::from_static(b"noise"), ..packed(2, &four) },
        "convert_decompress",
    );
    refused(&format, Segment { data: Bytes::new(), ..packed(2, &four) }, "convert_length");
    refused(&format, packed(u64::MAX, &four), "convert_block_too_large");
    refused(&format, packed(65_537, &four), "convert_block_too_large");
    refused(&format, packed(2, &[0.0, f32::NAN, 0.0, f32::INFINITY]), "convert_not_finite");
    refused(&format, Segment { trim_start: 2, trim_end: 1, ..packed(2, &four) }, "convert_trim_too_long");
    refused(&AudioFormat { sample_rate_hz: 0, ..format.clone() }, packed(2, &four), "convert_format");
    refused(&AudioFormat { channels: 33, ..format.clone() }, packed(2, &four), "convert_format");
    refused(&AudioFormat { sample_format: 9, ..format.clone() }, packed(2, &four), "convert_sample_format");
    let encoded = Segment { trim_end: 1, ..Segment::default() };
    refused(&format, encoded, "convert_trim_of_encoded");
}

#[test]
fn a_decompression_bomb_is_refused_at_its_claim() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let segment = Segment { data: bomb.into(), ..packed(2, &[0.0; 4]) };
    refused(&pcm_format(), segment, "convert_decompress");
}

#[test]
fn trimmed_frames_are_dropped_from_every_plane() {
    let samples = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
    let segment = Segment { trim_start: 1, trim_end: 2, ..packed(4, &samples) };
    let AnyPayload::Pcm(block) = to_payload(&pcm_format(), segment).unwrap() else { panic!("PCM") };
    assert_eq!(block.planes(), [[0.125], [0.625]]);
}

#[test]
fn checksums_can_be_carried_on() {
    assert_eq!(crc32c_append(crc32c_append(0, b"1234"), b"56789"), 0xe306_9283);
}

proptest! {
    #[test]
    fn any_block_comes_back_bit_for_bit(
        integers in proptest::collection::vec(-8_388_608_i32..8_388_608, 0..96),
        shift in prop_oneof![Just(0), Just(8)],
        depth in prop_oneof![Just(SampleDepth::S16), Just(SampleDepth::S24), Just(SampleDepth::F32)],
        channels in 1..4_usize,
    ) {
        let samples: Vec<f32> = integers.iter().map(|n| (n >> shift << shift) as f32 / 8_388_608.0).collect();
        let frames = samples.len() / channels;
        let planes = (0..channels).map(|c| samples[c * frames..(c + 1) * frames].to_vec()).collect();
        let block = block(depth, planes);
        let exact = depth != SampleDepth::S16
            || block.planes().iter().flatten().all(|sample| (sample * 32_768.0).fract() == 0.0);
        let encoding = match depth {
            SampleDepth::S16 if exact => Encoding::S16ShuffleZstd,
            SampleDepth::S24 => Encoding::S24ShuffleZstd,
            _ => Encoding::F32ShuffleZstd,
        };
        check(block, encoding);
    }

    #[test]
    fn hostile_segments_never_panic(
        data in proptest::collection::vec(any::<u8>(), 0..128),
        numbers: (u64, u32, u32, u32, u32, i32),
        encoding in 0..4_i32,
    ) {
        let format = AudioFormat {
            sample_rate_hz: numbers.1 % 1_000_000,
            channels: numbers.2 % 40,
            sample_format: numbers.5 % 5,
            ..AudioFormat::default()
        };
        let segment = Segment {
            n_samples: numbers.0 % 100,
            trim_start: numbers.3,
            trim_end: numbers.4,
            encoding: Encoding::try_from(encoding).unwrap(),
            data: data.into(),
            ..Segment::default()
        };
        drop(to_payload(&format, segment));
    }
}
