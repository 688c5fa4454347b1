//! The decode stage: encoded bytes, cut anywhere, become planar PCM on a fixed grid.
//!
//! Symphonia *pulls* bytes and a stage is *pushed* them. Each stream's reader therefore runs in a stackful
//! coroutine that suspends when it needs bytes (`source`), so that the stage stays single-threaded and
//! deterministic and a thousand streams can share one thread.
//!
//! ```text
//! push(EncodedChunk) ─► source ─► spool? ─► probe, demux, decode ─► trim ─► assemble ─► PcmBlock
//!                      (suspends)  (MP4, AIFF, CAF)  (reader)             (grid, limits)
//! ```
//!
//! What is read: WAV (RF64 and BW64 too), FLAC, MP3 (and Layers I and II), AAC-LC in ADTS and MP4, ALAC in MP4 and CAF, Vorbis,
//! Opus and FLAC in Ogg, AIFF, CAF, MKV and WebM, and headerless PCM (see `raw`).
//!
//! Deliberately absent: HE-AAC, Opus of more than two channels, seeking in a stream, and any choice
//! that depends on how the bytes were cut.
//!
//! Module map: `stage` what the pipeline drives · `source` the coroutine · `spool`, `wav`, `matroska`, `mp4`,
//! `raw` what heads say · `reader` probing and demuxing · `session` decoding, losses, limits · `opus`, `trim` delay
//! and padding · `mixed` frames of MP3 that come out wrong · `depth` exact claims on precision · `assemble` the grid · `tap`, `resume`, `anchors`, `pages`, `adts`,
//! `renew`, `checkpoint` where a successor goes on, and why it says the same · `limits`, `config`.
//!
//! The one `unsafe` room of the workspace is `source`; its argument is stated there.

mod adts;
mod anchors;
mod assemble;
mod checkpoint;
mod config;
mod depth;
mod limits;
mod matroska;
mod mixed;
mod mp4;
mod opus;
mod pages;
mod raw;
mod reader;
mod renew;
mod resume;
mod session;
mod source;
mod spool;
mod stage;
mod tap;
mod trim;
mod wav;

pub use config::DecodeConfig;
pub use limits::Limits;
pub use stage::DecodeStage;
