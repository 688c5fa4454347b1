//! Rate conversion whose phase is known from the sample index.
//!
//! Output frame `n` of a stream is the signal at time `n / output_rate`, exactly: the delay of the filter is
//! removed. A stream of `f` input frames gives [`output_frames`] = ⌈f · output / input⌉ output frames, those
//! whose time lies inside the stream.
//!
//! Two converters share the work. Where the two rates have a usable common divisor, rubato's FFT converter
//! runs on an absolute grid of blocks ([`fft`]): it is fast, and one block of warm-up restores it bit for
//! bit. The other pairs (44,101 Hz, 1 Hz), whose FFT would be huge, take a windowed sinc evaluated at exactly
//! known phases ([`sinc`]), which needs nothing but its own length to be restored.

mod converters;
mod fft;
mod sinc;

use fft::FftRate;
use sinc::SincRate;
use treble_core::SampleRate;

/// Output frames of a stream of `frames` input frames: ⌈frames · output / input⌉.
#[must_use]
pub fn output_frames(frames: u64, input: SampleRate, output: SampleRate) -> u64 {
    let product = u128::from(frames) * u128::from(output.hz());
    u64::try_from(product.div_ceil(u128::from(input.hz()))).unwrap_or(u64::MAX)
}

/// One stream's rate converter, for all its channels.
#[derive(Debug)]
pub struct Resampler {
    input: SampleRate,
    output: SampleRate,
    kind: Kind,
    /// Input frames taken so far, counted from the stream's first.
    taken: u64,
    /// The index of the next output frame that is given.
    given: u64,
}

#[derive(Debug)]
enum Kind {
    /// Equal rates: the samples as they are.
    Same,
    Fft(Box<FftRate>),
    Sinc(SincRate),
}

impl Resampler {
    /// A converter at the beginning of a stream of `channels` channels.
    #[must_use]
    pub fn new(input: SampleRate, output: SampleRate, channels: usize) -> Self {
        Self::resume(input, output, channels, 0)
    }

    /// A converter that is fed from input frame `from` of the stream on. What it then gives equals, bit for
    /// bit, what an uninterrupted converter gives from [`next_output`](Self::next_output) on.
    #[must_use]
    pub fn resume(input: SampleRate, output: SampleRate, channels: usize, from: u64) -> Self {
        let kind = if input == output {
            Kind::Same
        } else if let Some(fft) = FftRate::new(input, output, channels, from) {
            Kind::Fft(Box::new(fft))
        } else {
            Kind::Sinc(SincRate::new(input, output, channels, from))
        };
        let given = match &kind {
            Kind::Same => from,
            Kind::Fft(fft) => fft.next_output(),
            Kind::Sinc(sinc) => sinc.next_output(),
        };
        Self { input, output, kind, taken: from, given }
    }

    /// The input frame to [`resume`](Self::resume) from, so that output is exact from frame `output` on.
    #[must_use]
    pub fn restart_frame(&self, output: u64) -> u64 {
        match &self.kind {
            Kind::Same => output,
            Kind::Fft(fft) => fft.restart_frame(output),
            Kind::Sinc(sinc) => sinc.restart_frame(output),
        }
    }

    /// The index of the next output frame that is given.
    #[must_use]
    pub fn next_output(&self) -> u64 {
        self.given
    }

    /// Where the filter is 6 dB down, in Hz: the end of the band that the converter keeps.
    #[must_use]
    pub fn edge_hz(&self) -> f64 {
        match &self.kind {
            Kind::Same => f64::from(self.input.hz()) / 2.0,
            Kind::Fft(fft) => fft.edge_hz(),
            Kind::Sinc(sinc) => sinc.edge_hz(),
        }
    }

    /// Takes the next input frames; gives the output frames that are now final.
    pub fn push(&mut self, planes: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        self.taken += planes.first().map_or(0, Vec::len) as u64;
        let out = match &mut self.kind {
            Kind::Same => planes,
            Kind::Fft(fft) => fft.push(&planes),
            Kind::Sinc(sinc) => sinc.push(&planes),
        };
        self.given += out.first().map_or(0, Vec::len) as u64;
        out
    }

    /// Takes the end of the stream; gives the output frames that are left.
    pub fn finish(&mut self) -> Vec<Vec<f32>> {
        let total = output_frames(self.taken, self.input, self.output);
        let missing = usize::try_from(total.saturating_sub(self.given)).expect("a tail of filter length");
        let out = match &mut self.kind {
            Kind::Same => Vec::new(),
            Kind::Fft(fft) => fft.finish(missing),
            Kind::Sinc(sinc) => sinc.finish(missing),
        };
        self.given += out.first().map_or(0, Vec::len) as u64;
        out
    }
}

#[cfg(test)]
mod tests;
