//! The same stages over a file, without Kafka: what `treble upscale` runs, and what the pipeline's output is
//! compared with byte for byte.

use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::{ChainBuildError, ChainError};
use crate::ports::Clock;
use crate::runtime::assembly::{self, RunError};
use crate::runtime::blueprint::Blueprint;
use crate::runtime::chain::{Chain, ChainOutput, ChainRestart};
use crate::stages::STAGES;
use crate::telemetry::metrics::Metrics;
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::sync::Arc;
use treble_core::{AnyPayload, EncodedChunk, EncodedFormat, Fact};

/// How far an offline run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Encoded bytes read.
    pub input_bytes: u64,
    /// Encoded bytes written.
    pub output_bytes: u64,
    /// Frames written.
    pub frames: u64,
    /// Frames per second of the output; 0 before the first.
    pub rate_hz: u32,
}

/// What an offline run did.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The final count.
    pub progress: Progress,
    /// What the stages noticed, with the stage's name.
    pub facts: Vec<(&'static str, Fact)>,
}

/// Why an offline run failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The input could not be read.
    #[error("reading: {0}")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("writing: {0}; what was written so far is incomplete")]
    Write(#[source] io::Error),
    /// A stage refused the input.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A stage could not be built.
    #[error(transparent)]
    Build(#[from] ChainBuildError),
    /// The model is not usable.
    #[error(transparent)]
    Setup(#[from] Box<RunError>),
}

/// Bytes fed at once; the cut of the input never shows in the output.
const PIECE_BYTES: usize = 256 * 1024;

/// Runs `input`, a file of media type `media_type` (a hint, may be empty), through all stages into `output`.
pub fn upscale(
    config: &Config,
    media_type: &str,
    input: &mut dyn Read,
    output: &mut dyn Write,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Report, OfflineError> {
    let metrics = Metrics::new().map_err(|error| Box::new(RunError::Metrics(error.to_string())))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let all = Config { stages: STAGES.iter().map(|entry| entry.name.to_owned()).collect(), ..config.clone() };
    let blueprint = Blueprint {
        stages: STAGES.iter().collect(),
        configs: Arc::new(config.stage_configs.clone()),
        assets: assembly::assets(&all, &metrics, &clock).map_err(Box::new)?,
        decorate: None,
    };
    let chain = Chain::resume(&blueprint, &ChainRestart::default())?;
    let mut run = Run { chain, blueprint: &blueprint, output, report: Report::default() };
    let format = EncodedFormat { media_type: media_type.to_owned(), ..EncodedFormat::default() };
    run.push(EncodedChunk { format: format.clone(), ..EncodedChunk::default() })?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = input.read(&mut piece).map_err(OfflineError::Read)?;
        if length == 0 {
            break;
        }
        let data = Bytes::copy_from_slice(&piece[..length]);
        run.push(EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() })?;
        run.report.progress.input_bytes += length as u64;
        on_progress(run.report.progress);
    }
    run.finish()?;
    on_progress(run.report.progress);
    Ok(run.report)
}

struct Run<'a> {
    chain: Chain,
    blueprint: &'a Blueprint,
    output: &'a mut dyn Write,
    report: Report,
}

impl Run<'_> {
    fn push(&mut self, chunk: EncodedChunk) -> Result<(), OfflineError> {
        let emitted = self.chain.push(AnyPayload::Encoded(chunk))?;
        self.write(emitted)?;
        self.settle()
    }

    fn finish(&mut self) -> Result<(), OfflineError> {
        let emitted = self.chain.finish()?;
        self.write(emitted)?;
        self.settle()?;
        self.output.flush().map_err(OfflineError::Write)
    }

    fn settle(&mut self) -> Result<(), OfflineError> {
        let emitted = self.chain.settle(self.blueprint.assets.inference.as_deref())?;
        self.write(emitted)
    }

    fn write(&mut self, emitted: ChainOutput) -> Result<(), OfflineError> {
        self.report.facts.extend(emitted.facts);
        for item in emitted.items {
            let AnyPayload::Encoded(chunk) = item else { continue };
            self.output.write_all(&chunk.data).map_err(OfflineError::Write)?;
            let progress = &mut self.report.progress;
            progress.output_bytes += chunk.data.len() as u64;
            progress.frames += chunk.frames;
            progress.rate_hz = chunk.format.rate.map_or(progress.rate_hz, treble_core::SampleRate::hz);
        }
        Ok(())
    }
}
