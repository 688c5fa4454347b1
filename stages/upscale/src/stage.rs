//! The stage: configuration, checkpoint and stream brought together.

use crate::checkpoint::Checkpoint;
use crate::config::{Mode, UpscaleConfig};
use crate::model::ModelSpec;
use crate::stream::Stream;
use treble_core::{Assets, ConfigError, Outbox, PcmBlock, Restart, Stage, StageError, Window};

/// PCM of any rate in, PCM of the configured rate out.
#[derive(Debug)]
pub struct UpscaleStage {
    config: UpscaleConfig,
    /// The model, in mode `ai`.
    model: Option<ModelSpec>,
    /// `None` until the first input tells the format.
    stream: Option<Stream>,
}

/// The model that the mode asks for.
fn model(config: &UpscaleConfig, assets: &Assets) -> Result<Option<ModelSpec>, ConfigError> {
    if config.mode == Mode::Baseline {
        return Ok(None);
    }
    let engine = assets.inference.as_ref().ok_or_else(|| ConfigError {
        key: "upscale.mode",
        problem: "`ai` needs a model, and none is loaded".to_owned(),
        fix: "name one in upscale.model, or set the mode to `baseline`".to_owned(),
    })?;
    let spec = ModelSpec::from_metadata(&engine.model().metadata).map_err(|error| ConfigError {
        key: "upscale.model",
        problem: error.to_string(),
        fix: "use a model that this version of Treble knows".to_owned(),
    })?;
    if spec.output_rate() != config.output_rate_hz {
        return Err(ConfigError {
            key: "upscale.output_rate_hz",
            problem: format!("the model makes {} Hz", spec.output_rate().hz()),
            fix: "set that rate, or set the mode to `baseline`".to_owned(),
        });
    }
    Ok(Some(spec))
}

impl Stage for UpscaleStage {
    const NAME: &'static str = "upscale";
    const SUMMARY: &'static str = "raises PCM to 48 kHz and restores the missing band";
    const SETTINGS: &'static str = include_str!("config.toml");
    type Config = UpscaleConfig;
    type In = PcmBlock;
    type Out = PcmBlock;

    fn new(config: &UpscaleConfig, assets: &Assets) -> Result<Self, ConfigError> {
        let model = model(config, assets)?;
        Ok(Self { config: config.clone(), model, stream: None })
    }

    /// Every block is whole by itself.
    fn survives_loss(_checkpoint: &[u8]) -> bool {
        true
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        if !checkpoint.is_empty() {
            let checkpoint = Checkpoint::decode(checkpoint, self.config.output_rate_hz)?;
            self.stream = Some(Stream::resume(&checkpoint, &self.config, self.model.as_ref()));
        }
        Ok(())
    }

    fn push(&mut self, input: PcmBlock, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        let Self { config, model, stream } = self;
        let begin = || Stream::begin(input.spec(), config, model.as_ref(), out);
        stream.get_or_insert_with(begin).push(input, out)
    }

    fn finish(&mut self, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        if let Some(stream) = &mut self.stream {
            stream.finish(out);
        }
        self.drop_if_done();
        Ok(())
    }

    fn windows(&mut self) -> Vec<Window> {
        self.stream.as_mut().map_or_else(Vec::new, Stream::windows)
    }

    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        if let Some(stream) = &mut self.stream {
            stream.supply(results, out)?;
        }
        self.drop_if_done();
        Ok(())
    }

    fn restart(&self) -> Restart {
        self.stream.as_ref().map_or_else(Restart::default, Stream::restart)
    }
}

impl UpscaleStage {
    /// A stage whose stream has ended is as new.
    fn drop_if_done(&mut self) {
        if self.stream.as_ref().is_some_and(Stream::is_done) {
            self.stream = None;
        }
    }
}
