//! A windowed sinc, evaluated at each output frame's exact phase (J. O. Smith, "Digital Audio Resampling",
//! 2002): for pairs of rates whose FFT would be huge. Positions are integers and fractions of integers, so
//! nothing drifts, and an output frame depends on the input frames around it and on nothing else.

use std::f64::consts::PI;
use std::sync::OnceLock;
use treble_core::SampleRate;

/// Zero crossings of the kernel on each side.
const CROSSINGS: usize = 64;
/// Table entries for each zero crossing; linear interpolation between them errs by -116 dB of the peak.
const STEPS: usize = 512;
/// Kaiser's β: 100 dB of stop band.
const BETA: f64 = 10.06;
/// Where the filter is 6 dB down, relative to the lower Nyquist frequency: its stop band begins at Nyquist.
const ROLLOFF: f64 = 0.95;

/// The right half of the kernel.
fn kernel() -> &'static [f32] {
    static KERNEL: OnceLock<Vec<f32>> = OnceLock::new();
    KERNEL.get_or_init(|| (0..=CROSSINGS * STEPS).map(kernel_at).collect())
}

fn kernel_at(index: usize) -> f32 {
    let x = index as f64 / STEPS as f64;
    let inside = (1.0 - (x / CROSSINGS as f64).powi(2)).max(0.0);
    let window = bessel_i0(BETA * inside.sqrt()) / bessel_i0(BETA);
    let sinc = if index == 0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    (sinc * window) as f32
}

/// The modified Bessel function of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * f64::EPSILON {
        term *= quarter / (n * n);
        sum += term;
        n += 1.0;
    }
    sum
}

#[derive(Debug)]
pub(super) struct SincRate {
    input: u64,
    output: u64,
    /// Kernel argument for each input frame of distance.
    scale: f64,
    /// Input frames that the kernel covers on each side.
    reach: u64,
    /// Input frames from `base` on.
    held: Vec<Vec<f32>>,
    base: u64,
    next_output: u64,
}

impl SincRate {
    /// A converter fed from input frame `from`.
    pub(super) fn new(input: SampleRate, output: SampleRate, channels: usize, from: u64) -> Self {
        let (input, output) = (u64::from(input.hz()), u64::from(output.hz()));
        let scale = ROLLOFF * (f64::from(output as u32) / f64::from(input as u32)).min(1.0);
        let reach = (CROSSINGS as f64 / scale).ceil() as u64;
        let held = vec![Vec::new(); channels];
        let mut rate = Self { input, output, scale, reach, held, base: from, next_output: 0 };
        if from > 0 {
            rate.next_output = rate.first_exact(from);
        }
        rate
    }

    /// The first output frame whose kernel covers no input frame before `from`.
    fn first_exact(&self, from: u64) -> u64 {
        let centre = u128::from(from + self.reach) * u128::from(self.output);
        u64::try_from(centre.div_ceil(u128::from(self.input))).unwrap_or(u64::MAX)
    }

    /// The input frame at or before the time of output frame `n`, and how far after it that time lies.
    fn centre(&self, n: u64) -> (u64, f64) {
        let position = u128::from(n) * u128::from(self.input);
        let output = u128::from(self.output);
        ((position / output) as u64, (position % output) as f64 / self.output as f64)
    }

    pub(super) fn next_output(&self) -> u64 {
        self.next_output
    }

    pub(super) fn edge_hz(&self) -> f64 {
        ROLLOFF * self.input.min(self.output) as f64 / 2.0
    }

    pub(super) fn restart_frame(&self, output: u64) -> u64 {
        self.centre(output).0.saturating_sub(self.reach)
    }

    pub(super) fn push(&mut self, planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
        for (held, plane) in self.held.iter_mut().zip(planes) {
            held.extend_from_slice(plane);
        }
        let end = self.base + self.held[0].len() as u64;
        // Output n is final when its centre c has c + reach < end.
        let final_centres = end.saturating_sub(self.reach);
        let limit = u128::from(final_centres) * u128::from(self.output);
        let limit = u64::try_from(limit.div_ceil(u128::from(self.input))).unwrap_or(u64::MAX);
        let frames = limit.saturating_sub(self.next_output) as usize;
        self.run(frames)
    }

    /// The last `missing` output frames, the stream continued by silence.
    pub(super) fn finish(&mut self, missing: usize) -> Vec<Vec<f32>> {
        self.run(missing)
    }

    fn run(&mut self, frames: usize) -> Vec<Vec<f32>> {
        let (kernel, first) = (kernel(), self.next_output);
        let out = self
            .held
            .iter()
            .map(|held| (0..frames as u64).map(|n| self.sample(kernel, held, first + n)).collect())
            .collect();
        self.next_output += frames as u64;
        let keep_from = self.restart_frame(self.next_output).max(self.base);
        let drop = (keep_from - self.base).min(self.held[0].len() as u64);
        for held in &mut self.held {
            held.drain(..drop as usize);
        }
        self.base += drop;
        out
    }

    /// Output frame `n` of one channel.
    fn sample(&self, kernel: &[f32], held: &[f32], n: u64) -> f32 {
        let (centre, fraction) = self.centre(n);
        let first = centre.saturating_sub(self.reach).max(self.base);
        let end = (centre + self.reach + 1).min(self.base + held.len() as u64);
        let Some(taps) = held.get((first - self.base) as usize..end.saturating_sub(self.base) as usize)
        else {
            return 0.0;
        };
        // Where in the kernel a tap lies, in table entries from its centre.
        let step = self.scale * STEPS as f64;
        let mut position = (first as f64 - centre as f64 - fraction) * step;
        let mut sum = 0.0;
        for &tap in taps {
            sum += f64::from(tap * weight(kernel, position.abs()));
            position += step;
        }
        (sum * self.scale) as f32
    }
}

/// The kernel at `position` table entries from its centre, 0 beyond its end.
fn weight(kernel: &[f32], position: f64) -> f32 {
    let index = position as usize;
    match kernel.get(index..index + 2) {
        Some(&[left, right]) => left + (right - left) * (position - index as f64) as f32,
        _ => 0.0,
    }
}
