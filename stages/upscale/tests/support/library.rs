//! Where the tests find ONNX Runtime, and the small models.

use std::path::{Path, PathBuf};
use treble_upscale::{Device, EngineConfig, OrtEngine};

/// The library: `TREBLE_ONNXRUNTIME` (a file) where it is set, else what `make setup` installed under
/// `.treble/onnxruntime` of the workspace.
pub fn onnxruntime() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    let named = std::env::var("TREBLE_ONNXRUNTIME").ok().map(PathBuf::from);
    let installed = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.treble/onnxruntime");
        [folder.clone(), folder.join("capi"), folder.join("onnxruntime/capi")]
            .iter()
            .find_map(|folder| library_in(folder))
    };
    named.or_else(installed).expect(
        "ONNX Runtime is not installed: run `make setup`, or name libonnxruntime.so in TREBLE_ONNXRUNTIME",
    )
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so"))
    });
    found.sort();
    found.into_iter().next()
}

pub fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/testing").join(name)
}

pub fn config() -> EngineConfig {
    EngineConfig { library: Some(onnxruntime()), device: Device::Cpu, ..EngineConfig::default() }
}

pub fn engine(name: &str, max_batch: u32) -> OrtEngine {
    OrtEngine::open(&model(name), &EngineConfig { max_batch, ..config() }).expect("the small models open")
}
