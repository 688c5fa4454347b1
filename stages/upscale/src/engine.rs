//! The model's engine: one ONNX Runtime session on one thread, shared by all streams of a worker.
//!
//! Requests come over a bounded channel. The thread takes what is queued, waits once for a straggler, fills
//! batches of one fixed shape (padded with zeros) and runs them. Since the shape never changes, neither do
//! the kernels, and a window's result does not depend on its neighbours (invariant 6).

mod batch;
mod fault;
mod load;
mod watch;

use crate::config::EngineConfig;
use crate::model::{ModelError, ModelSpec};
use batch::{Job, serve};
use load::Loaded;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use treble_core::{Inference, ModelInfo, StageError, Window};

pub use fault::FaultKind;
pub use watch::{Closing, EngineWatch, Unwatched};

/// Requests that may wait for the engine before a caller is held up.
const QUEUE: usize = 64;

/// The most windows in one run of the model.
const MAX_BATCH: u32 = 1_024;

/// Why an engine could not be opened.
#[derive(Debug, Error)]
pub enum EngineError {
    /// No library was configured.
    #[error(
        "engine.library: no ONNX Runtime library is configured; run `make setup`, or name libonnxruntime.so"
    )]
    NoLibrary,
    /// The library is not where it should be.
    #[error("engine.library: there is no file {}; run `make setup`, or name libonnxruntime.so", path.display())]
    LibraryMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is no ONNX Runtime that can be used.
    #[error("engine.library: {} cannot be used: {detail}; ONNX Runtime 1.24 or newer is needed", path.display())]
    LibraryUnusable {
        /// Which file.
        path: PathBuf,
        /// What the loader said.
        detail: String,
    },
    /// The process already uses another library, and can use only one.
    #[error("engine.library: this process has loaded {} and cannot load {} too", loaded.display(), path.display())]
    LibraryChanged {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        path: PathBuf,
    },
    /// The model cannot be read.
    #[error("upscale.model: {} cannot be read: {detail}", path.display())]
    ModelUnreadable {
        /// Which file.
        path: PathBuf,
        /// What the system or the parser said.
        detail: String,
    },
    /// The model's description or its graph does not fit.
    #[error("upscale.model: {}: {error}", path.display())]
    Model {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        error: ModelError,
    },
    /// The device that was asked for is not there.
    #[error("engine.device: {device} cannot be used: {detail}; set engine.device to `auto` or `cpu`")]
    Device {
        /// Which device.
        device: &'static str,
        /// What ONNX Runtime said.
        detail: String,
    },
    /// A batch that large would not fit into memory.
    #[error("engine.max_batch: {actual} is over {MAX_BATCH}; 16 to 64 keep a GPU busy, 1 a CPU")]
    BatchTooLarge {
        /// What was asked for.
        actual: u32,
    },
    /// ONNX Runtime refused to build or to run the session.
    #[error("ONNX Runtime: {detail}")]
    Session {
        /// What it said.
        detail: String,
    },
}

/// The engine. Dropping it ends its thread, after the requests that wait.
#[derive(Debug)]
pub struct OrtEngine {
    info: ModelInfo,
    fallback: Option<String>,
    spec: ModelSpec,
    max_batch: usize,
    /// `None` only while dropping.
    requests: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl OrtEngine {
    /// Loads the library and the model, checks that they fit, and runs the model once on silence. Blocks for
    /// as long as that takes (seconds on a GPU).
    ///
    /// # Errors
    /// Each way in which library, model and device can fail has its [`EngineError`].
    pub fn open(model: &Path, config: &EngineConfig) -> Result<Self, EngineError> {
        Self::open_watched(model, config, Arc::new(Unwatched))
    }

    /// As [`open`](Self::open); `watch` is told of what the engine does afterwards.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_watched(
        model: &Path,
        config: &EngineConfig,
        watch: Arc<dyn EngineWatch>,
    ) -> Result<Self, EngineError> {
        if config.max_batch > MAX_BATCH {
            return Err(EngineError::BatchTooLarge { actual: config.max_batch });
        }
        let Loaded { mut session, info, spec, fallback } = load::load(model, config)?;
        let max_batch = session.batch();
        session.warm_up().map_err(|detail| EngineError::Session { detail })?;
        let delay = Duration::from_millis(config.max_delay_ms.into());
        let (requests, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("inference".to_owned())
            .spawn(move || serve(&queue, max_batch, delay, &*watch, |windows| session.run(windows)))
            .map_err(|error| EngineError::Session { detail: error.to_string() })?;
        Ok(Self { info, fallback, spec, max_batch, requests: Some(requests), thread: Some(thread) })
    }

    /// Why the model does not run on the device that `auto` would rather have, if it does not.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// What the model's windows look like.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Windows in one run of the model.
    #[must_use]
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// Refuses windows that the graph does not take.
    fn check(&self, windows: &[Window]) -> Result<(), StageError> {
        let expected = self.spec.input().len();
        match windows.iter().find(|window| window.0.len() != expected) {
            None => Ok(()),
            Some(window) => Err(inference_error(format!(
                "a window of {} values was handed to a model that takes {expected}",
                window.0.len()
            ))),
        }
    }
}

fn inference_error(detail: String) -> StageError {
    StageError::Inference { detail }
}

impl Inference for OrtEngine {
    fn infer(&self, windows: Vec<Window>) -> Result<Vec<Window>, StageError> {
        if windows.is_empty() {
            return Ok(windows);
        }
        self.check(&windows)?;
        let gone = || inference_error("the engine's thread has ended".to_owned());
        let (reply, answer) = sync_channel(1);
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Job { windows, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?.map_err(inference_error)
    }

    fn model(&self) -> &ModelInfo {
        &self.info
    }
}

impl Drop for OrtEngine {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already reached every caller as an error.
            drop(thread.join());
        }
    }
}
