//! The one short-time spectrum of this crate (`model/CONTRACT.md`, section 1): 1024-point periodic Hann, hop
//! 256, frame `k` over samples `[256k - 512, 256k + 512)` of the stream, whatever lies outside it being zero.

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::{Arc, OnceLock};

/// Samples in a frame.
pub(crate) const FRAME: usize = 1_024;
/// Samples from one frame to the next.
pub(crate) const HOP: usize = 256;
/// Bins of a spectrum.
pub(crate) const BINS: usize = FRAME / 2 + 1;

/// The first sample of frame `k`.
pub(crate) const fn frame_start(k: i64) -> i64 {
    HOP as i64 * k - FRAME as i64 / 2
}

/// The frame after the last that overlaps a stream of `total` samples. The first is frame -1.
pub(crate) fn frames_end(total: u64) -> i64 {
    if total == 0 { -1 } else { (total + FRAME as u64 / 2).div_ceil(HOP as u64).cast_signed() }
}

/// Plans and window, shared by all streams.
struct Plan {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: [f32; FRAME],
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let mut planner = RealFftPlanner::new();
        let step = std::f64::consts::TAU / FRAME as f64;
        Plan {
            forward: planner.plan_fft_forward(FRAME),
            inverse: planner.plan_fft_inverse(FRAME),
            window: std::array::from_fn(|i| (0.5 - 0.5 * (step * i as f64).cos()) as f32),
        }
    })
}

/// A transform with its scratch space.
pub(crate) struct Spectrum {
    plan: &'static Plan,
    /// A frame of samples: filled by the caller before [`analyse`](Self::analyse), by
    /// [`synthesise`](Self::synthesise) for the caller.
    pub(crate) frame: Vec<f32>,
    scratch: Vec<Complex32>,
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum").finish_non_exhaustive()
    }
}

impl Spectrum {
    pub(crate) fn new() -> Self {
        let plan = plan();
        let scratch = plan.forward.get_scratch_len().max(plan.inverse.get_scratch_len());
        Self { plan, frame: vec![0.0; FRAME], scratch: vec![Complex32::default(); scratch] }
    }

    /// The unnormalised spectrum of the windowed `frame`, which is consumed.
    pub(crate) fn analyse(&mut self, spectrum: &mut [Complex32]) {
        for (sample, weight) in self.frame.iter_mut().zip(&self.plan.window) {
            *sample *= weight;
        }
        self.plan
            .forward
            .process_with_scratch(&mut self.frame, spectrum, &mut self.scratch)
            .expect("the lengths are the plan's");
    }

    /// The windowed inverse of `spectrum`, which is consumed, as `frame`. Its first and last bin must be real.
    pub(crate) fn synthesise(&mut self, spectrum: &mut [Complex32]) {
        self.plan
            .inverse
            .process_with_scratch(spectrum, &mut self.frame, &mut self.scratch)
            .expect("the lengths are the plan's, and the outer bins are real");
        for (sample, weight) in self.frame.iter_mut().zip(&self.plan.window) {
            *sample *= weight / FRAME as f32;
        }
    }
}
