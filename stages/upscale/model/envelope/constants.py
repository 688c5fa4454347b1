"""Every number of CONTRACT.md, once. Changing one means a new contract version."""

from dataclasses import dataclass

RATE = 48_000
"""Sample rate of input and output, Hz."""
FFT_SIZE = 1024
HOP = 256
BINS = FFT_SIZE // 2 + 1
WINDOW_OVERLAP = 1.5
"""Sum over the frames of the squared periodic Hann window at a quarter hop."""

FEATURE_BANDS = 96
FEATURE_BINS = 4
FEATURE_EPS = 1e-8
FEATURE_MEAN = -2.0
FEATURE_SCALE = 2.0
FEATURE_CHANNELS = 2 * FEATURE_BANDS
"""Features, then their mask."""

HIGH_BANDS = 56
HIGH_FIRST_BIN = 64
HIGH_BAND_BINS = 8

FADE_BINS = 6
MIN_CUTOFF_BIN = 64
MAX_CUTOFF_BIN = 480
COPY_SMOOTH_BINS = 4
GATE_POWER = 1e-7
HEADROOM = 1.5
"""Most that a high band's log10 power may exceed the loudest low band's."""
GAIN_FLOOR = -8.0


@dataclass(frozen=True)
class Layout:
    """How many frames of context a variant needs and how many it yields per block."""

    name: str
    context_left: int
    context_right: int
    core: int

    @property
    def frames(self) -> int:
        """Frames of one fixed-shape input window."""
        return self.context_left + self.core + self.context_right

    @property
    def lookahead_samples(self) -> int:
        """Most that an output sample depends on later input, in samples."""
        return FFT_SIZE - 1 + HOP * self.context_right


QUALITY = Layout("treble", 19, 19, 64)
LIVE = Layout("treble-live", 38, 0, 4)
LAYOUTS = {"quality": QUALITY, "live": LIVE}


def cutoff_bin(cutoff_hz: float) -> int:
    """Bin index of a -3 dB point in Hz."""
    return int(cutoff_hz * FFT_SIZE / RATE)


def metadata(layout: Layout, version: str) -> dict[str, str]:
    """ONNX metadata of CONTRACT.md section 7."""
    values = {
        "contract": 1,
        "kind": "envelope",
        "name": layout.name,
        "version": version,
        "input_rate": RATE,
        "output_rate": RATE,
        "channels": 1,
        "fft_size": FFT_SIZE,
        "hop": HOP,
        "context_left": layout.context_left,
        "context_right": layout.context_right,
        "core": layout.core,
        "lookahead_samples": layout.lookahead_samples,
        "feature_bands": FEATURE_BANDS,
        "feature_bins": FEATURE_BINS,
        "feature_eps": "1e-8",
        "feature_mean": -2,
        "feature_scale": 2,
        "high_bands": HIGH_BANDS,
        "high_first_bin": HIGH_FIRST_BIN,
        "high_band_bins": HIGH_BAND_BINS,
        "fade_bins": FADE_BINS,
        "min_cutoff_bin": MIN_CUTOFF_BIN,
        "max_cutoff_bin": MAX_CUTOFF_BIN,
        "copy_smooth_bins": COPY_SMOOTH_BINS,
        "gate_power": "1e-7",
        "headroom": "1.5",
    }
    return {f"treble.{key}": str(value) for key, value in values.items()}
