//! Which model file and which ONNX Runtime library a process opens.

use crate::config::Config;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use treble_upscale::{EngineConfig, EngineError, EngineWatch, Mode, ModelChoice, OrtEngine, UpscaleStage};

/// Why no model could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ModelSetupError {
    /// Nowhere a library.
    #[error(
        "upscale.mode is \"ai\", but no ONNX Runtime library was found in {searched}; run `make setup`, name one with \
         engine.library, or set upscale.mode = \"baseline\""
    )]
    NoLibrary {
        /// The folders looked into.
        searched: String,
    },
    /// Nowhere the model.
    #[error("upscale.mode is \"ai\", but the model {path} is not there; name one with upscale.model")]
    NoModel {
        /// Where it should be.
        path: String,
    },
    /// Library, model and device do not fit.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Where set-up puts the library, below the folder that holds the repository or the installation.
const LIBRARY_FOLDER: &str = ".treble/onnxruntime/capi";
/// Where the repository keeps the models that Treble ships.
const QUALITY_MODEL: &str = "stages/upscale/model/treble.onnx";
const LIVE_MODEL: &str = "stages/upscale/model/treble-live.onnx";

/// Opens the configured model; `None` in baseline mode, which needs none. `watch` is told of its runs.
pub fn open(config: &Config, watch: Arc<dyn EngineWatch>) -> Result<Option<OrtEngine>, ModelSetupError> {
    let upscale = config.stage_configs.of::<UpscaleStage>();
    if upscale.mode == Mode::Baseline {
        return Ok(None);
    }
    let roots = roots();
    let library = config.engine.library.clone().or_else(|| find_library(&roots));
    let library = library.ok_or_else(|| ModelSetupError::NoLibrary { searched: shown(&roots) })?;
    let model = model_file(&upscale.model, &roots);
    if !model.is_file() {
        return Err(ModelSetupError::NoModel { path: model.display().to_string() });
    }
    let engine = EngineConfig { library: Some(library), ..config.engine.clone() };
    Ok(Some(OrtEngine::open_watched(&model, &engine, watch)?))
}

/// The files of the configured model, whether it is wanted or not: the library, where there is one, and the model.
#[must_use]
pub fn files(config: &Config) -> (Option<PathBuf>, PathBuf) {
    let roots = roots();
    let library = config.engine.library.clone().or_else(|| find_library(&roots));
    (library, model_file(&config.stage_configs.of::<UpscaleStage>().model, &roots))
}

/// The folders that an installation may start at: where the process runs and those above it, then those above the
/// executable.
fn roots() -> Vec<PathBuf> {
    let current = std::env::current_dir().ok();
    let executable = std::env::current_exe().ok();
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    let here = current.iter().flat_map(|path| path.ancestors());
    here.chain(above).map(Path::to_path_buf).collect()
}

/// The first `libonnxruntime.so*` (or `.dylib`) under one of `roots`.
#[must_use]
pub fn find_library(roots: &[PathBuf]) -> Option<PathBuf> {
    roots.iter().find_map(|root| {
        let folder = std::fs::read_dir(root.join(LIBRARY_FOLDER)).ok()?;
        let files = folder.filter_map(Result::ok).map(|entry| entry.path());
        let mut libraries: Vec<PathBuf> = files.filter(|path| is_library(path)).collect();
        libraries.sort();
        libraries.pop()
    })
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with("libonnxruntime.so") || name.starts_with("libonnxruntime.") && name.ends_with("dylib")
}

/// The file of a choice; a shipped one is the first under `roots`.
fn model_file(choice: &ModelChoice, roots: &[PathBuf]) -> PathBuf {
    let shipped = match choice {
        ModelChoice::Quality => QUALITY_MODEL,
        ModelChoice::Live => LIVE_MODEL,
        ModelChoice::File(path) => return path.clone(),
    };
    let mut candidates = roots.iter().map(|root| root.join(shipped));
    candidates.find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(shipped))
}

fn shown(roots: &[PathBuf]) -> String {
    let shown = roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ");
    format!("{LIBRARY_FOLDER} below any of {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_models_are_where_a_checkout_has_them() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let roots = ["nowhere".into(), checkout.clone()];
        let shipped = |choice| model_file(&choice, &roots);
        assert_eq!(shipped(ModelChoice::Quality), checkout.join(QUALITY_MODEL));
        assert_eq!(shipped(ModelChoice::Live), checkout.join(LIVE_MODEL));
        assert_eq!(shipped(ModelChoice::File("own.onnx".into())), Path::new("own.onnx"));
        assert_eq!(model_file(&ModelChoice::Live, &[]), Path::new(LIVE_MODEL), "what the error names");
    }
}
