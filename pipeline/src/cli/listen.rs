//! Decodes a file as the pipeline would: for its duration, and for pictures of it.

use super::fault::of_stage;
use super::input::Input;
use super::{Exit, Failure};
use bytes::Bytes;
use std::io::Read;
use treble_core::{Assets, EncodedChunk, EncodedFormat, Outbox, PcmBlock, Stage};
use treble_decode::{DecodeConfig, DecodeStage};

/// Bytes fed at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Decodes `input`, handing each block to `each`.
pub(super) fn decode(
    config: &DecodeConfig,
    input: &Input,
    mut each: impl FnMut(&PcmBlock),
) -> Result<(), Failure> {
    let (mut reader, _) = input.open()?;
    decode_reader(config, &mut *reader, input.media_type(), &input.name(), &mut each)
}

/// As [`decode`], from `reader`, whose content is of `media_type`; `name` is how messages call it.
pub(super) fn decode_reader(
    config: &DecodeConfig,
    reader: &mut dyn Read,
    media_type: &str,
    name: &str,
    mut each: impl FnMut(&PcmBlock),
) -> Result<(), Failure> {
    let mut stage = DecodeStage::new(config, &Assets::default())
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    let format = EncodedFormat { media_type: media_type.to_owned(), ..EncodedFormat::default() };
    let mut out = Outbox::default();
    let refused = |error| of_stage(&error, format!("cannot decode {name}"));
    loop {
        let data = next(reader)
            .map_err(|error| Failure::new(Exit::Io, format!("cannot read {name}")).because(error))?;
        let ended = data.is_empty();
        if ended {
            stage.finish(&mut out).map_err(refused)?;
        } else {
            let chunk = EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() };
            stage.push(chunk, &mut out).map_err(refused)?;
        }
        out.items.drain(..).for_each(|block| each(&block));
        if ended {
            return Ok(());
        }
    }
}

/// How long `input` plays, in seconds.
pub(super) fn duration(config: &DecodeConfig, input: &Input) -> Result<f64, Failure> {
    let (mut frames, mut rate) = (0_u64, None);
    decode(config, input, |block| {
        frames += block.frames() as u64;
        rate = Some(block.spec().rate);
    })?;
    Ok(rate.map_or(0.0, |rate| rate.seconds(frames)))
}

fn next(reader: &mut dyn Read) -> std::io::Result<Bytes> {
    super::chunker::next_piece(reader, PIECE_BYTES, false)
}
