//! The engine on real ONNX Runtime: results, batches, and what it says when something is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod support;

use std::path::Path;
use std::sync::Arc;
use support::library::{config, engine, model};
use support::signals::noise;
use treble_core::{Inference, Window};
use treble_upscale::{Device, EngineConfig, EngineError, ModelSpec, OrtEngine};

fn windows(count: u64, length: usize) -> Vec<Window> {
    (0..count).map(|seed| Window(noise(seed + 1, length, 0.5))).collect()
}

#[test]
fn the_waveform_model_interpolates() {
    let engine = engine("waveform.onnx", 1);
    let window = noise(1, 1_024, 0.5);
    let result = engine.infer(vec![Window(window.clone())]).unwrap().remove(0).0;
    assert_eq!(result.len(), 3_072);
    for n in 0..1_023 {
        let between = (2.0 * window[n] + window[n + 1]) / 3.0;
        assert!((result[3 * n] - window[n]).abs() < 1e-6 && (result[3 * n + 1] - between).abs() < 1e-6);
    }
}

#[test]
fn a_result_never_depends_on_who_shares_the_batch() {
    for (name, length) in [("waveform.onnx", 1_024), ("envelope.onnx", 192 * 20)] {
        let engine = engine(name, 8);
        let windows = windows(19, length);
        let alone: Vec<Window> =
            windows.iter().map(|window| engine.infer(vec![window.clone()]).unwrap().remove(0)).collect();
        assert!(alone == engine.infer(windows.clone()).unwrap(), "{name}: together");
        let backwards: Vec<Window> = windows.into_iter().rev().collect();
        let results = engine.infer(backwards).unwrap();
        assert!(alone.iter().rev().eq(&results), "{name}: in other places of the batch");
    }
}

#[test]
fn callers_on_many_threads_get_their_own_results() {
    let engine = Arc::new(engine("envelope.onnx", 4));
    let windows = windows(12, 192 * 20);
    let expected = engine.infer(windows.clone()).unwrap();
    let callers: Vec<_> = windows
        .into_iter()
        .map(|window| {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || engine.infer(vec![window]).unwrap().remove(0))
        })
        .collect();
    let results: Vec<Window> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(results == expected);
}

#[test]
fn the_model_says_who_it_is_and_where_it_runs() {
    let engine = engine("envelope.onnx", 0);
    let info = engine.model();
    assert_eq!(
        (info.name.as_str(), info.version.as_str(), info.device.as_str()),
        ("test-envelope", "1.0.0", "cpu")
    );
    assert_eq!(info.sha256.len(), 64);
    assert_eq!(ModelSpec::from_metadata(&info.metadata).unwrap(), *engine.spec());
    assert_eq!((engine.max_batch(), engine.fallback()), (1, None));
}

#[test]
fn auto_falls_back_to_the_cpu_and_says_why_where_the_library_has_no_gpu() {
    let engine =
        OrtEngine::open(&model("envelope.onnx"), &EngineConfig { device: Device::Auto, ..config() }).unwrap();
    match engine.model().device.as_str() {
        "cpu" => assert!(engine.fallback().unwrap().starts_with("cuda: ")),
        device => assert_eq!((device, engine.fallback()), ("cuda", None)),
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_that_says_what_to_set() {
    for device in [Device::Cuda, Device::TensorRt] {
        match OrtEngine::open(&model("envelope.onnx"), &EngineConfig { device, ..config() }) {
            Ok(engine) => assert_eq!(engine.model().device, device.name()),
            Err(error) => assert!(error.to_string().contains("engine.device"), "{error}"),
        }
    }
}

#[test]
fn a_window_of_the_wrong_size_is_an_error_and_leaves_the_engine_well() {
    let engine = engine("waveform.onnx", 2);
    let error = engine.infer(vec![Window(vec![0.0; 7])]).unwrap_err();
    assert!(error.to_string().contains("7 values"), "{error}");
    assert_eq!(engine.infer(windows(1, 1_024)).unwrap().len(), 1);
}

#[test]
fn a_batch_beyond_reason_is_an_error_and_not_an_allocation() {
    let error = refused(&model("waveform.onnx"), &EngineConfig { max_batch: u32::MAX, ..config() });
    assert!(matches!(error, EngineError::BatchTooLarge { actual: u32::MAX }), "{error}");
}

fn refused(model: &Path, config: &EngineConfig) -> EngineError {
    OrtEngine::open(model, config).unwrap_err()
}

#[test]
fn a_missing_library_is_one_sentence_that_says_what_to_run() {
    let model = model("waveform.onnx");
    for library in [None, Some("nowhere/libonnxruntime.so".into())] {
        let error = refused(&model, &EngineConfig { library, ..config() }).to_string();
        assert!(error.contains("engine.library") && error.contains("make setup"), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn a_library_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "not a library").unwrap();
    let error = refused(&model("waveform.onnx"), &EngineConfig { library: Some(path), ..config() });
    let expected = matches!(error, EngineError::LibraryUnusable { .. } | EngineError::LibraryChanged { .. });
    assert!(expected, "{error}");
}

#[test]
fn a_model_that_is_missing_or_no_model_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.onnx");
    let missing = refused(&path, &config()).to_string();
    assert!(missing.contains("upscale.model") && missing.contains("broken.onnx"), "{missing}");
    std::fs::write(&path, b"\x08\x07garbage").unwrap();
    let broken = refused(&path, &config()).to_string();
    assert!(broken.contains("broken.onnx"), "{broken}");
}

#[test]
fn a_toml_beside_the_file_describes_it_and_shapes_are_checked_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.onnx");
    std::fs::copy(model("waveform.onnx"), &path).unwrap();
    let describe = |text: &str| std::fs::write(path.with_extension("toml"), text).unwrap();
    describe("[treble]\nname = \"other\"\nwindow = 512\n");
    let engine = OrtEngine::open(&path, &config()).unwrap();
    assert_eq!(engine.model().name, "other");
    assert_eq!(engine.infer(windows(1, 512)).unwrap()[0].0.len(), 1_536);

    describe("[treble]\noutput_rate = 32000\n");
    let error = refused(&path, &config()).to_string();
    assert!(error.contains("restored"), "the graph makes three samples of one, not two: {error}");

    std::fs::copy(model("envelope.onnx"), &path).unwrap();
    describe("[treble]\nkind = \"waveform\"\nwindow = 20\ncontext_left = 0\ncontext_right = 0\n");
    assert!(matches!(refused(&path, &config()), EngineError::Model { .. }));
    describe("[treble]\nhop = 128\n");
    assert!(refused(&path, &config()).to_string().contains("treble.hop"));
}
