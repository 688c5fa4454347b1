//! Headerless PCM: what it is, is told by its media type and the announced format alone.
//!
//! | media type | samples |
//! | --- | --- |
//! | `audio/L8`, `audio/L16`, `audio/L24` | RFC 3551, RFC 3190: 8 bit offset binary, 16 or 24 bit signed, big-endian |
//! | `audio/basic` | µ-law, by default 8 kHz mono (RFC 2046) |
//! | `audio/PCMU`, `audio/PCMA` | µ-law, A-law (RFC 4856), by default 8 kHz mono |
//! | `audio/pcm;format=F` | `F` of `u8 s8 s16le s16be s24le s24be s32le s32be f32le f32be f64le f64be`; `s16le` without it |
//!
//! Rate and channels come from the announced format, else from the parameters `rate` and `channels` (RFC 3551).
//! Channels are interleaved.

use crate::source::ByteSource;
use std::collections::VecDeque;
use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use treble_core::{EncodedFormat, StageError};

/// Frames of one packet at most: a run of bytes of any length becomes packets of bounded size.
pub(crate) const PACKET_FRAMES: usize = 4_096;

/// The rate of telephony, which RFC 2046 and RFC 4856 imply.
const TELEPHONE_HZ: u32 = 8_000;

/// What headerless samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawForm {
    /// Symphonia's name of the sample format.
    pub(crate) codec: AudioCodecId,
    /// Bytes of one sample.
    pub(crate) sample_bytes: usize,
    /// Frames per second, not yet checked.
    pub(crate) hz: u32,
    /// Channels, not yet checked.
    pub(crate) channels: u32,
}

impl RawForm {
    /// The form that `format` announces; `None` where its media type is not one of raw samples.
    ///
    /// # Errors
    /// If the media type is one of raw samples, but rate, channels or sample format are missing or unknown.
    pub(crate) fn announced(format: &EncodedFormat) -> Result<Option<Self>, StageError> {
        let mut parts = format.media_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().trim_matches('"'))
        };
        let (name, default_hz, default_channels) = match essence.as_str() {
            "audio/l8" => ("u8", None, Some(1)),
            "audio/l16" => ("s16be", None, Some(1)),
            "audio/l24" => ("s24be", None, Some(1)),
            "audio/basic" | "audio/pcmu" => ("mulaw", Some(TELEPHONE_HZ), Some(1)),
            "audio/pcma" => ("alaw", Some(TELEPHONE_HZ), Some(1)),
            "audio/pcm" => (parameter("format").unwrap_or("s16le"), None, None),
            _ => return Ok(None),
        };
        let number = |name: &str| parameter(name).and_then(|value| value.parse().ok());
        let hz = format.rate.map(u32::from).or_else(|| number("rate")).or(default_hz);
        let channels = format.channels.map(u32::from).or_else(|| number("channels")).or(default_channels);
        let missing = |what: &str| StageError::Unsupported {
            detail: format!("{} without {what}; announce it in the format", format.media_type),
        };
        let (codec, sample_bytes) = sample_format(name).ok_or_else(|| missing("a known sample format"))?;
        Ok(Some(Self {
            codec,
            sample_bytes,
            hz: hz.ok_or_else(|| missing("a sample rate"))?,
            channels: channels.ok_or_else(|| missing("a number of channels"))?,
        }))
    }
}

fn sample_format(name: &str) -> Option<(AudioCodecId, usize)> {
    Some(match name.to_ascii_lowercase().as_str() {
        "u8" => (CODEC_ID_PCM_U8, 1),
        "s8" => (CODEC_ID_PCM_S8, 1),
        "s16le" => (CODEC_ID_PCM_S16LE, 2),
        "s16be" => (CODEC_ID_PCM_S16BE, 2),
        "s24le" => (CODEC_ID_PCM_S24LE, 3),
        "s24be" => (CODEC_ID_PCM_S24BE, 3),
        "s32le" => (CODEC_ID_PCM_S32LE, 4),
        "s32be" => (CODEC_ID_PCM_S32BE, 4),
        "f32le" => (CODEC_ID_PCM_F32LE, 4),
        "f32be" => (CODEC_ID_PCM_F32BE, 4),
        "f64le" => (CODEC_ID_PCM_F64LE, 8),
        "f64be" => (CODEC_ID_PCM_F64BE, 8),
        "mulaw" => (CODEC_ID_PCM_MULAW, 1),
        "alaw" => (CODEC_ID_PCM_ALAW, 1),
        _ => return None,
    })
}

/// Cuts raw bytes into packets of whole frames.
#[derive(Debug)]
pub(crate) struct RawPackets {
    source: ByteSource,
    frame_bytes: usize,
    held: VecDeque<u8>,
}

impl RawPackets {
    /// Packets of frames of `frame_bytes` bytes, at least 1, from `source`.
    pub(crate) fn new(source: ByteSource, frame_bytes: usize) -> Self {
        Self { source, frame_bytes, held: VecDeque::new() }
    }

    /// The next packet: as many whole frames as came, at most [`PACKET_FRAMES`]. `None` at the end.
    ///
    /// # Errors
    /// With the number of surplus bytes, if the stream ends within a frame.
    pub(crate) fn next_packet(&mut self) -> std::io::Result<Result<Option<Box<[u8]>>, usize>> {
        while self.held.len() < self.frame_bytes {
            match self.source.next_run()? {
                Some(run) => self.held.extend(run),
                None if self.held.is_empty() => return Ok(Ok(None)),
                None => return Ok(Err(self.held.len())),
            }
        }
        let frames = (self.held.len() / self.frame_bytes).min(PACKET_FRAMES);
        Ok(Ok(Some(self.held.drain(..frames * self.frame_bytes).collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_core::{ChannelCount, SampleRate};

    fn form(media_type: &str) -> Result<Option<RawForm>, StageError> {
        RawForm::announced(&EncodedFormat { media_type: media_type.to_owned(), ..EncodedFormat::default() })
    }

    #[test]
    fn media_types_name_raw_forms() {
        let check = |media_type: &str, codec, sample_bytes, hz, channels| {
            assert_eq!(
                form(media_type),
                Ok(Some(RawForm { codec, sample_bytes, hz, channels })),
                "{media_type}"
            );
        };
        check("audio/L16;rate=44100;channels=2", CODEC_ID_PCM_S16BE, 2, 44_100, 2);
        check("audio/L24; rate=48000", CODEC_ID_PCM_S24BE, 3, 48_000, 1);
        check("audio/basic", CODEC_ID_PCM_MULAW, 1, 8_000, 1);
        check("AUDIO/PCMA", CODEC_ID_PCM_ALAW, 1, 8_000, 1);
        check("audio/pcm; format=\"F32LE\"; rate=16000; channels=1", CODEC_ID_PCM_F32LE, 4, 16_000, 1);
        check("audio/pcm;rate=16000;channels=1", CODEC_ID_PCM_S16LE, 2, 16_000, 1);
    }

    #[test]
    fn the_announced_format_wins_over_parameters() {
        let format = EncodedFormat {
            media_type: "audio/L16;rate=8000;channels=1".to_owned(),
            rate: Some(SampleRate::HZ_48000),
            channels: Some(ChannelCount::STEREO),
            ..EncodedFormat::default()
        };
        let form = RawForm::announced(&format).unwrap().unwrap();
        assert_eq!((form.hz, form.channels), (48_000, 2));
    }

    #[test]
    fn what_is_missing_is_named_and_other_types_are_not_raw() {
        for (media_type, word) in [
            ("audio/L16", "sample rate"),
            ("audio/pcm;rate=1", "channels"),
            ("audio/pcm;format=s12le;rate=1;channels=1", "sample format"),
        ] {
            let error = form(media_type).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(form("audio/wav"), Ok(None));
        assert_eq!(form(""), Ok(None));
    }
}
