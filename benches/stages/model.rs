//! The upscale stage with a model, beside the model alone: what the transforms, the features, the synthesis and the
//! crossover cost.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use treble_bench_support::{Figure, race, timed};
use treble_core::{
    Assets, ChannelCount, Inference, ModelInfo, Outbox, Pace, PcmBlock, PcmSpec, SampleDepth, SampleRate,
    Stage, StageError, Window,
};
use treble_test_support::configuration::with_model;
use treble_upscale::{Device, EngineConfig, Mode, OrtEngine, UpscaleConfig, UpscaleStage};

/// Length of the signal.
const SECONDS: u32 = 30;
/// Its rate: speech over wide-band telephones, whose upper band is missing.
const RATE_HZ: u32 = 16_000;

/// Both shipped models over one stream in mono: the one for quality in blocks of a second, the causal one in blocks of 100 ms.
pub(crate) fn figures() -> Result<Vec<Figure>> {
    let quality = compare("upscale_model", "treble.onnx", Pace::Bulk, RATE_HZ)?;
    let live = compare("upscale_live_model", "treble-live.onnx", Pace::Live, RATE_HZ / 10)?;
    Ok([quality, live].concat())
}

/// The model `file`, next to the one that the repository ships, and ONNX Runtime on one thread.
fn engine(file: &str) -> Result<Arc<OrtEngine>> {
    let settings = with_model()?;
    let named =
        |key: &str| settings.iter().find(|(name, _)| *name == key).map(|(_, path)| PathBuf::from(path));
    let model = named("upscale.model").context("a model")?.with_file_name(file);
    let config = EngineConfig {
        library: named("engine.library"),
        device: Device::Cpu,
        threads: 1,
        ..EngineConfig::default()
    };
    Ok(Arc::new(OrtEngine::open(Path::new(&model), &config)?))
}

fn compare(name: &str, file: &str, pace: Pace, block_frames: u32) -> Result<Vec<Figure>> {
    let engine = engine(file)?;
    let inputs = signal(pace, block_frames);
    let recorder = Arc::new(Recorder { engine: Arc::clone(&engine), asked: Mutex::default() });
    restore(&Assets { inference: Some(Arc::clone(&recorder) as _) }, &inputs)?;
    let asked = std::mem::take(&mut *recorder.asked.lock().unwrap_or_else(PoisonError::into_inner));
    let assets = Assets { inference: Some(Arc::clone(&engine) as _) };
    let [stage, alone] = race([&|| timed(|| restore(&assets, &inputs)), &|| model_alone(&*engine, &asked)])?;
    Ok(vec![
        Figure::speed(&format!("{name}_speed"), f64::from(SECONDS), stage),
        Figure::ratio(&format!("{name}_efficiency"), stage, alone, "the model alone on the same windows"),
    ])
}

/// Two tones over noise, mono.
fn signal(pace: Pace, block_frames: u32) -> Vec<PcmBlock> {
    let channels = ChannelCount::new(1).expect("in range");
    let rate = SampleRate::new(RATE_HZ).expect("in range");
    let spec = PcmSpec { rate, channels, depth: SampleDepth::F32, pace };
    let mut noise = 1_u32;
    let mut sample = |frame: u32| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = f64::from(frame) / f64::from(RATE_HZ) * std::f64::consts::TAU;
        let value = (at * 220.0).sin() * 0.2
            + (at * 1_760.0).sin() * 0.1
            + f64::from(noise >> 8) / 16_777_216.0 * 0.2;
        #[expect(clippy::cast_possible_truncation, reason = "below 1")]
        let value = value as f32;
        value
    };
    let block = |start: u32| {
        let plane = (start..start + block_frames).map(&mut sample).collect();
        PcmBlock::new(spec, u64::from(start), vec![plane]).0
    };
    let starts = (0..SECONDS * RATE_HZ).step_by(block_frames as usize);
    std::iter::once(PcmBlock::announce(spec, 0)).chain(starts.map(block)).collect()
}

/// The whole stage, as a compute thread drives it.
fn restore(assets: &Assets, inputs: &[PcmBlock]) -> Result<Vec<PcmBlock>> {
    let config = UpscaleConfig { mode: Mode::Ai, ..UpscaleConfig::default() };
    let mut stage = UpscaleStage::new(&config, assets)?;
    let mut out = Outbox::default();
    for input in inputs {
        stage.push(input.clone(), &mut out)?;
        settle(&mut stage, assets, &mut out)?;
    }
    stage.finish(&mut out)?;
    settle(&mut stage, assets, &mut out)?;
    Ok(out.items)
}

fn settle(stage: &mut UpscaleStage, assets: &Assets, out: &mut Outbox<PcmBlock>) -> Result<()> {
    let engine = assets.inference.as_deref().context("a model")?;
    loop {
        let windows = stage.windows();
        if windows.is_empty() {
            return Ok(());
        }
        stage.supply(engine.infer(windows)?, out)?;
    }
}

/// The model over what the stage asked of it, in the same batches.
fn model_alone(engine: &dyn Inference, asked: &[Vec<Window>]) -> Result<Duration> {
    let asked = asked.to_vec();
    timed(|| Ok(asked.into_iter().map(|windows| engine.infer(windows)).collect::<Result<Vec<_>, _>>()?))
}

/// Remembers what is asked of an engine.
#[derive(Debug)]
struct Recorder {
    engine: Arc<OrtEngine>,
    asked: Mutex<Vec<Vec<Window>>>,
}

impl Inference for Recorder {
    fn infer(&self, windows: Vec<Window>) -> Result<Vec<Window>, StageError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(windows.clone());
        self.engine.infer(windows)
    }

    fn model(&self) -> &ModelInfo {
        self.engine.model()
    }
}
