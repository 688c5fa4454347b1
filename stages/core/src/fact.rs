//! What a stage noticed. The shell counts, logs or ignores facts; a stage never decides what one costs.

use crate::pcm::PcmSpec;

/// Something worth knowing about a stream, which is no error.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The source was recognised.
    SourceIdentified {
        /// Short codec name, such as `mp3`.
        codec: &'static str,
        /// Format of the decoded samples.
        spec: PcmSpec,
    },
    /// A corrupt packet inside a playable stream was skipped.
    PacketSkipped {
        /// What the codec said.
        reason: String,
    },
    /// Frames of encoder delay or padding were removed.
    FramesTrimmed {
        /// How many.
        frames: u64,
    },
    /// Samples beyond full scale were limited to it.
    SamplesClipped {
        /// How many.
        samples: u64,
    },
    /// Samples that were NaN or infinite became 0.
    SamplesReplaced {
        /// How many.
        samples: u64,
    },
    /// The highest frequency that the source holds was measured.
    BandwidthDetected {
        /// In Hz.
        hz: u32,
    },
    /// The source needs no restoration: it was only resampled.
    AlreadyFullBand,
    /// The sound of the whole stream was measured.
    Measured(Measures),
}

/// How a whole stream sounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measures {
    /// Integrated loudness in LUFS (EBU R 128); `None` for silence.
    pub loudness_lufs: Option<f64>,
    /// True peak in dBTP (ITU-R BS.1770-4); `None` for silence.
    pub true_peak_dbtp: Option<f64>,
    /// Seconds in which no channel reaches -60 dBFS.
    pub silence_seconds: f64,
    /// The highest frequency at which there is sound now and then, in Hz; `None` for silence.
    pub bandwidth_hz: Option<u32>,
}
