//! Planar PCM, finite by construction.

use crate::units::{ChannelCount, Pace, SampleRate};
use serde::{Deserialize, Serialize};

/// The precision that samples carry. All arithmetic is `f32`; the depth tells how few bits hold the samples
/// without loss, and so how they may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleDepth {
    /// Every sample is `n / 2^15` for an integer `n` in −2^15..2^15.
    S16,
    /// Every sample is `n / 2^23` for an integer `n` in −2^23..2^23.
    S24,
    /// Any finite `f32`.
    F32,
}

/// What a run of PCM is: rate, channels, precision and pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PcmSpec {
    /// Frames per second.
    pub rate: SampleRate,
    /// Channels, in the order of WAVE (front left, front right, centre, …).
    pub channels: ChannelCount,
    /// The precision of the samples.
    pub depth: SampleDepth,
    /// Whether the stream is live or bulk.
    pub pace: Pace,
}

/// A run of planar samples of one stream: `channels` planes of equal length, nominally in [-1, 1], finite.
///
/// A block of zero frames is valid and announces a format: the first block that a stage emits is one.
#[derive(Debug, Clone, PartialEq)]
pub struct PcmBlock {
    spec: PcmSpec,
    first_frame: u64,
    discontinuity: bool,
    planes: Vec<Vec<f32>>,
}

impl PcmBlock {
    /// A block of `planes` (one per channel, equal lengths) that starts at `first_frame` of the stream.
    /// Non-finite samples become 0; the second value says how many did.
    ///
    /// # Panics
    /// If the planes do not match `spec.channels` or differ in length: that is a defect of the caller, never
    /// of the input.
    #[must_use]
    pub fn new(spec: PcmSpec, first_frame: u64, mut planes: Vec<Vec<f32>>) -> (Self, u64) {
        assert_eq!(planes.len(), spec.channels.count(), "one plane a channel");
        assert!(planes.windows(2).all(|pair| pair[0].len() == pair[1].len()), "planes of equal length");
        let mut replaced = 0;
        for sample in planes.iter_mut().flatten().filter(|sample| !sample.is_finite()) {
            *sample = 0.0;
            replaced += 1;
        }
        (Self { spec, first_frame, discontinuity: false, planes }, replaced)
    }

    /// A block without samples, which announces `spec` at `first_frame`.
    #[must_use]
    pub fn announce(spec: PcmSpec, first_frame: u64) -> Self {
        let planes = vec![Vec::new(); spec.channels.count()];
        Self { spec, first_frame, discontinuity: false, planes }
    }

    /// The same block, marked as not following seamlessly what came before.
    #[must_use]
    pub fn with_discontinuity(mut self, discontinuity: bool) -> Self {
        self.discontinuity = discontinuity;
        self
    }

    /// The format of the samples.
    #[must_use]
    pub fn spec(&self) -> PcmSpec {
        self.spec
    }

    /// The index, within the stream, of the first frame.
    #[must_use]
    pub fn first_frame(&self) -> u64 {
        self.first_frame
    }

    /// Frames in the block.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    /// Whether something is missing just before the block.
    #[must_use]
    pub fn discontinuity(&self) -> bool {
        self.discontinuity
    }

    /// One slice of samples a channel.
    #[must_use]
    pub fn planes(&self) -> &[Vec<f32>] {
        &self.planes
    }

    /// The planes, moved out.
    #[must_use]
    pub fn into_planes(self) -> Vec<Vec<f32>> {
        self.planes
    }
}
