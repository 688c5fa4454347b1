//! The stage: opens a stream at its first input, and is as new after its end.

use crate::config::EncodeConfig;
use crate::stream::Stream;
use treble_core::{Assets, ConfigError, EncodedChunk, Fact, Outbox, PcmBlock, Restart, Stage, StageError};

/// PCM to a file of the configured codec, in chunks.
///
/// The first input announces the format, and its first item is the head of the file. Every further item holds
/// whole codec frames, about `grid::chunk_frames` of PCM; the last holds what remains.
#[derive(Debug)]
pub struct EncodeStage {
    config: EncodeConfig,
    stream: Option<Stream>,
}

impl Stage for EncodeStage {
    const NAME: &'static str = "encode";
    const SUMMARY: &'static str = "PCM to FLAC, Ogg Opus or WAV, cut at codec frames";
    const SETTINGS: &'static str = include_str!("config.toml");
    type Config = EncodeConfig;
    type In = PcmBlock;
    type Out = EncodedChunk;

    fn check(config: &EncodeConfig) -> Result<(), ConfigError> {
        config.check()
    }

    fn new(config: &EncodeConfig, _assets: &Assets) -> Result<Self, ConfigError> {
        Self::check(config)?;
        Ok(Self { config: config.clone(), stream: None })
    }

    /// Every block is whole by itself.
    fn survives_loss(_checkpoint: &[u8]) -> bool {
        true
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        self.stream = match checkpoint {
            [] => None,
            bytes => Some(Stream::restored(&self.config, bytes)?),
        };
        Ok(())
    }

    fn push(&mut self, input: PcmBlock, out: &mut Outbox<EncodedChunk>) -> Result<(), StageError> {
        let mut items = Vec::new();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let (stream, head) = Stream::opened(&self.config, input.spec())?;
                items.push(head);
                self.stream.insert(stream)
            }
        };
        let clipped = stream.push(&input, &mut items)?;
        out.items.append(&mut items);
        if clipped > 0 {
            out.note(Fact::SamplesClipped { samples: clipped });
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Outbox<EncodedChunk>) -> Result<(), StageError> {
        let last = self.stream.take().map(Stream::finish).transpose()?.flatten();
        out.items.extend(last);
        Ok(())
    }

    fn restart(&self) -> Restart {
        self.stream.as_ref().map_or_else(Restart::default, Stream::restart)
    }
}
