//! The Opus header (RFC 7845, section 5.1), as far as the decoder leaves it to us.
//!
//! The libopus adapter drops the pre-skip out of the first packet only, and ignores the output gain. So it is
//! told that there is no pre-skip, and both are seen to here.

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

/// What the header asks of the player.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct OpusHead {
    /// Frames at 48 kHz to drop from the start.
    pub(crate) pre_skip: u16,
    /// Factor for all samples.
    pub(crate) gain: f32,
}

/// Takes the header's demands out of `params`; `None` for other codecs and for headers that cannot be read.
pub(crate) fn take_head(params: &mut AudioCodecParameters) -> Option<OpusHead> {
    if params.codec != CODEC_ID_OPUS {
        return None;
    }
    let head = params.extra_data.as_mut().filter(|head| head.starts_with(b"OpusHead"))?;
    let (pre_skip, gain) = (head.get(10..12)?, head.get(16..18)?);
    let pre_skip = u16::from_le_bytes([pre_skip[0], pre_skip[1]]);
    let gain_q8_db = i16::from_le_bytes([gain[0], gain[1]]);
    head[10..12].fill(0);
    Some(OpusHead { pre_skip, gain: 10_f32.powf(f32::from(gain_q8_db) / (20.0 * 256.0)) })
}

/// Whether a packet is one of the two headers, come again after the first pages. As audio it would be a packet of
/// many frames that no decoder can read.
pub(crate) fn is_repeated_header(codec: AudioCodecId, packet: &[u8]) -> bool {
    codec == CODEC_ID_OPUS && (packet.starts_with(b"OpusHead") || packet.starts_with(b"OpusTags"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_skip_and_gain_are_taken_out_of_the_header() {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_OPUS);
        assert_eq!(take_head(&mut params), None);
        let head = [&b"OpusHead"[..], &[1, 2, 0, 15, 0x80, 0xbb, 0, 0, 0, 0xfa, 0]].concat();
        params.with_extra_data(head.into_boxed_slice());
        let found = take_head(&mut params).unwrap();
        assert_eq!(found.pre_skip, 3_840);
        assert!((20.0 * found.gain.log10() + 6.0).abs() < 1e-5, "{}", found.gain);
        assert_eq!(take_head(&mut params).unwrap().pre_skip, 0);
    }
}
