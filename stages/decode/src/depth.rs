//! How few bits hold the decoded samples: a claim that must be exact, because it decides how samples travel.

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_ALAC;
use treble_core::SampleDepth;

/// The depth of what a decoder with `params` writes into buffers like `buffer`.
///
/// Integer buffers of 8 to 24 bits speak for themselves. FLAC and ALAC decode into 32 bits with the sample in
/// the upper ones, and say how many those are. Everything else is [`SampleDepth::F32`].
pub(crate) fn depth_of(buffer: &GenericAudioBufferRef<'_>, params: &AudioCodecParameters) -> SampleDepth {
    use GenericAudioBufferRef as Buffer;
    match buffer {
        Buffer::U8(_) | Buffer::S8(_) | Buffer::U16(_) | Buffer::S16(_) => SampleDepth::S16,
        Buffer::U24(_) | Buffer::S24(_) => SampleDepth::S24,
        Buffer::U32(_) | Buffer::S32(_) => match params.bits_per_sample.or_else(|| alac_bits(params)) {
            Some(1..=16) => SampleDepth::S16,
            Some(17..=24) => SampleDepth::S24,
            _ => SampleDepth::F32,
        },
        Buffer::F32(_) | Buffer::F64(_) => SampleDepth::F32,
    }
}

/// The bits of an ALAC sample, out of its magic cookie (`bitDepth` of `ALACSpecificConfig`).
fn alac_bits(params: &AudioCodecParameters) -> Option<u32> {
    let cookie = params.extra_data.as_ref().filter(|_| params.codec == CODEC_ID_ALAC)?;
    cookie.get(5).copied().map(u32::from)
}

/// Whether every sample is what `depth` claims. A damaged FLAC frame may state more bits than its stream.
pub(crate) fn holds(depth: SampleDepth, planes: &[Vec<f32>]) -> bool {
    let steps = match depth {
        SampleDepth::S16 => 32_768.0,
        SampleDepth::S24 => 8_388_608.0,
        SampleDepth::F32 => return true,
    };
    planes.iter().flatten().all(|sample| {
        let scaled = sample * steps;
        scaled.trunc() == scaled && (-steps..steps).contains(&scaled)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_if_it_is_a_whole_step_in_range() {
        let one = |sample: f32| vec![vec![sample]];
        for depth in [SampleDepth::S16, SampleDepth::S24] {
            assert!(
                holds(depth, &one(-1.0)) && holds(depth, &one(0.0)) && holds(depth, &one(-3.0 / 32_768.0))
            );
            assert!(!holds(depth, &one(1.0)) && !holds(depth, &one(f32::NAN)) && !holds(depth, &one(1e-9)));
        }
        assert!(!holds(SampleDepth::S16, &one(1.0 / 65_536.0)));
        assert!(holds(SampleDepth::S24, &one(1.0 / 65_536.0)));
        assert!(holds(SampleDepth::F32, &one(1e-9)));
    }
}
