//! The stage: configuration, checkpoint and stream brought together.

use crate::checkpoint::Checkpoint;
use crate::config::UpscaleConfig;
use crate::stream::Stream;
use treble_core::{Assets, ConfigError, Outbox, PcmBlock, Restart, Stage, StageError};

/// PCM of any rate in, PCM of the configured rate out.
#[derive(Debug)]
pub struct UpscaleStage {
    config: UpscaleConfig,
    /// `None` until the first input tells the format.
    stream: Option<Stream>,
}

impl Stage for UpscaleStage {
    const NAME: &'static str = "upscale";
    const SUMMARY: &'static str = "raises PCM to 48 kHz and restores the missing band";
    type Config = UpscaleConfig;
    type In = PcmBlock;
    type Out = PcmBlock;

    fn new(config: &UpscaleConfig, _assets: &Assets) -> Result<Self, ConfigError> {
        Ok(Self { config: config.clone(), stream: None })
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        if !checkpoint.is_empty() {
            let checkpoint = Checkpoint::decode(checkpoint, self.config.output_rate_hz)?;
            self.stream = Some(Stream::resume(&checkpoint));
        }
        Ok(())
    }

    fn push(&mut self, input: PcmBlock, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        let rate = self.config.output_rate_hz;
        self.stream.get_or_insert_with(|| Stream::begin(input.spec(), rate, out)).push(input, out)
    }

    fn finish(&mut self, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        if let Some(mut stream) = self.stream.take() {
            stream.finish(out);
        }
        Ok(())
    }

    fn restart(&self) -> Restart {
        self.stream.as_ref().map_or_else(Restart::default, Stream::restart)
    }
}
