//! PCM in, a file of FLAC, Ogg Opus or WAV out.
//!
//! Purpose: the last step before `treble.audio.out`. Data flows `PcmBlock → integers (dithered where the
//! source holds more than the target) → chunks of whole codec frames → EncodedChunk`. The data of all items,
//! concatenated, is a valid file: the first item is the file's head, the others are cut on a grid.
//!
//! Invariants: where a chunk ends depends on the sample index alone; integers in, the same integers out of
//! FLAC and WAV; dither is a pure function of the channel and the sample index, so a replay gives the same
//! bytes. FLAC and WAV restart at any chunk; Opus, whose encoder state cannot be saved, from the beginning. With the feature
//! `libflac` the bytes of FLAC depend on what the processor can do as well.
//!
//! Deliberately absent: seeking. A stream may never end, so a head is never patched: lengths and checksums of
//! the whole file are written as "unknown", which every format here provides for.
//!
//! Module map: [`config`] what may be configured · [`stage`] the stage · `stream` the grid and the restart
//! point · `checkpoint` the restart point as bytes · `writer` picks the codec · `flac`, `frame_header`,
//! `opus`, `wav` one format each · `dither` float to integer.

mod checkpoint;
pub mod config;
mod dither;
mod flac;
mod frame_header;
mod opus;
pub mod stage;
mod stream;
mod wav;
mod writer;

pub use config::{BitDepth, Compression, EncodeConfig, FlacConfig, OpusConfig};
pub use stage::EncodeStage;
