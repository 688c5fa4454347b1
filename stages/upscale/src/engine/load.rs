//! Loading: the library once a process, the model's description, the session on its device.

use self::session::OrtSession;
use super::EngineError;
use crate::config::{Device, EngineConfig};
use crate::model::ModelSpec;
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use treble_core::ModelInfo;

mod session;

/// Windows in a batch on a GPU, unless configured.
const GPU_BATCH: usize = 16;

/// A session and what is known of it.
pub(super) struct Loaded {
    pub(super) session: OrtSession,
    pub(super) info: ModelInfo,
    pub(super) spec: ModelSpec,
    pub(super) fallback: Option<String>,
}

/// The process's one environment, and the library that it came from. ONNX Runtime allows one, so this is
/// global; it lives as long as the process.
static ENVIRONMENT: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads library and model, and checks that they fit.
pub(super) fn load(model: &Path, config: &EngineConfig) -> Result<Loaded, EngineError> {
    let environment = environment(config.library.as_deref())?;
    let bytes = std::fs::read(model).map_err(|error| unreadable(model, &error))?;
    let (session, device, fallback) = build(&environment, model, config)?;
    let metadata = metadata(&session, model)?;
    let fits = |error| EngineError::Model { path: model.to_owned(), error };
    let spec = ModelSpec::from_metadata(&metadata).map_err(fits)?;
    let batch = match (config.max_batch as usize, device) {
        (0, Device::Cpu) => 1,
        (0, _) => GPU_BATCH,
        (batch, _) => batch,
    };
    let session = OrtSession::new(session, &spec, batch).map_err(fits)?;
    let text = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let info = ModelInfo {
        name: text("treble.name"),
        version: text("treble.version"),
        sha256: hex(&Sha256::digest(&bytes)),
        device: device.name().to_owned(),
        metadata,
    };
    Ok(Loaded { session, info, spec, fallback })
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::ModelUnreadable { path: path.to_owned(), detail: error.to_string() }
}

fn refused(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Session { detail: error.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

/// The environment of the library at `path`, loaded on the first call.
fn environment(path: Option<&Path>) -> Result<Environment, EngineError> {
    let path = path.ok_or(EngineError::NoLibrary)?;
    // Looked at before the loader is, whose own message for a missing file is a riddle.
    let path = path.canonicalize().map_err(|_| EngineError::LibraryMissing { path: path.to_owned() })?;
    let mut current = ENVIRONMENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((loaded, environment)) = current.as_ref() {
        return if *loaded == path {
            Ok(environment.clone())
        } else {
            Err(EngineError::LibraryChanged { loaded: loaded.clone(), path })
        };
    }
    let unusable = |detail: String| EngineError::LibraryUnusable { path: path.clone(), detail };
    // First of all: any other call into `ort` would look for the library by itself, and panic without it.
    let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let environment = builder
        .with_name("treble")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    *current = Some((path, environment.clone()));
    Ok(environment)
}

/// The session on the device that was asked for, the device, and why it is not a better one.
fn build(
    environment: &Environment,
    model: &Path,
    config: &EngineConfig,
) -> Result<(Session, Device, Option<String>), EngineError> {
    let on = |device| on_device(environment, model, config, device);
    match config.device {
        Device::Cpu => Ok((on(Device::Cpu).map_err(|error| unreadable(model, &error))?, Device::Cpu, None)),
        Device::Cuda | Device::TensorRt => {
            let device = config.device;
            let session =
                on(device).map_err(|detail| EngineError::Device { device: device.name(), detail })?;
            Ok((session, device, None))
        }
        Device::Auto => match on(Device::Cuda) {
            Ok(session) => Ok((session, Device::Cuda, None)),
            Err(why) => {
                let session = on(Device::Cpu).map_err(|error| unreadable(model, &error))?;
                Ok((session, Device::Cpu, Some(format!("cuda: {why}"))))
            }
        },
    }
}

fn on_device(
    environment: &Environment,
    model: &Path,
    config: &EngineConfig,
    device: Device,
) -> Result<Session, String> {
    let providers = providers(device)?;
    let build = || -> ort::Result<Session> {
        Session::builder(environment)?
            .with_intra_threads(config.threads as usize)?
            .with_deterministic_compute(true)?
            .with_execution_providers(providers)?
            .commit_from_file(model)
    };
    build().map_err(|error| error.to_string())
}

/// The execution providers of a device, each of which must register or fail.
fn providers(device: Device) -> Result<Vec<ExecutionProviderDispatch>, String> {
    // TF32 would round products to 10 bits; the batch's shape is fixed, so that no algorithm need be searched.
    let cuda = || ep::CUDA::default().with_tf32(false);
    let present = |there: ort::Result<bool>, name: &str| match there {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("this ONNX Runtime library was built without {name}")),
        Err(error) => Err(error.to_string()),
    };
    match device {
        Device::Cpu | Device::Auto => Ok(Vec::new()),
        Device::Cuda => {
            present(ep::CUDA::is_available(), "CUDA")?;
            Ok(vec![cuda().build().error_on_failure()])
        }
        Device::TensorRt => {
            present(ep::TensorRT::is_available(), "TensorRT")?;
            Ok(vec![ep::TensorRT::default().build().error_on_failure(), cuda().build().error_on_failure()])
        }
    }
}

/// What the model says of itself, and what the TOML beside it says of it.
fn metadata(session: &Session, model: &Path) -> Result<BTreeMap<String, String>, EngineError> {
    let in_file = session.metadata().map_err(|error| refused(&error))?;
    let keys = in_file.custom_keys().map_err(|error| refused(&error))?;
    let mut metadata: BTreeMap<String, String> =
        keys.into_iter().filter_map(|key| in_file.custom(&key).map(|value| (key, value))).collect();
    let beside = model.with_extension("toml");
    if let Ok(text) = std::fs::read_to_string(&beside) {
        let table: toml::Table = text.parse().map_err(|error| unreadable(&beside, &error))?;
        let described = table.get("treble").and_then(toml::Value::as_table);
        for (key, value) in described.into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            metadata.insert(format!("treble.{key}"), value);
        }
    }
    Ok(metadata)
}
