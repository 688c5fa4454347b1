"""The numeric contract against its own definitions, computed another way."""

import numpy as np
import pytest

from envelope import constants, excitation, features, spectrum, synthesis
from envelope.runner import cut_windows, upscale


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """Noise with a slow envelope, `[samples]`."""
    generator = np.random.default_rng(seed)
    swell = np.abs(np.sin(np.arange(samples) / 3000))
    return (0.1 * generator.standard_normal(samples) * swell).astype(np.float32)


def flat_predictor(level: float, mix: float, layout: constants.Layout):
    """Predictor that always says the same."""

    def predict(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = (len(windows), constants.HIGH_BANDS, layout.core)
        return np.full(shape, level, np.float32), np.full(shape, mix, np.float32)

    return predict


def mix64(value: int) -> int:
    """splitmix64's finaliser in plain integers."""
    most = (1 << 64) - 1
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & most
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & most
    return value ^ (value >> 31)


@pytest.mark.parametrize("start", [-1280, 0, 10**12])
def test_noise_is_the_contracts_hash(start: int):
    most, step, seed = (1 << 64) - 1, 0x9E3779B97F4A7C15, 0xDEADBEEF12345678
    key = mix64((seed + step * 3) & most)
    expected = [(mix64((key + step * ((n & most) + 1)) & most) >> 40) / 2**23 - 1 for n in range(start, start + 8)]
    assert excitation.noise_samples(seed, 2, start, 8).tolist() == expected


def test_noise_spectra_have_unit_power():
    power = np.abs(excitation.noise_spectra(7, 0, 2000)[:, 1:-1]) ** 2
    assert power.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 1024, 5000])
def test_overlap_add_returns_every_sample(samples: int):
    signal = speech_like(samples)
    spectra = spectrum.stft(signal)
    assert len(spectra) == len(range(-1, -(-(samples + 512) // 256)))
    np.testing.assert_allclose(spectrum.overlap_add(spectra, samples), signal, atol=1e-6)


def test_frame_is_the_textbook_transform():
    signal = speech_like(3000)
    frame, bin_index = 4, 37
    total = 0j
    for offset in range(1024):
        place = 256 * frame - 512 + offset
        window = 0.5 - 0.5 * np.cos(2 * np.pi * offset / 1024)
        total += window * signal[place] * np.exp(-2j * np.pi * bin_index * offset / 1024)
    assert spectrum.stft(signal)[frame + 1, bin_index] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("cutoff", [64, 75, 170, 341, 480])
def test_copy_comes_from_below_the_cutoff_by_multiples_of_four(cutoff: int):
    source = excitation.copy_source(cutoff)
    moved = np.arange(cutoff, constants.BINS) - source
    assert source.min() >= cutoff - 4 * (cutoff // 8)
    assert source.max() < cutoff
    assert (moved % 4 == 0).all()


def test_features_above_the_cutoff_are_blank():
    values = features.features(spectrum.stft(speech_like(4000)), 170)
    assert (values[43:96] == 0).all()
    assert (values[42, :] == 0).all()
    assert values[96 + 42, 0] == 0.5
    assert (values[:42] != 0).all()


@pytest.mark.parametrize("layout", [constants.QUALITY, constants.LIVE])
def test_windows_tile_the_frames_once(layout: constants.Layout):
    count = 3 * layout.core + 1
    values = np.zeros((constants.FEATURE_CHANNELS, count), np.float32)
    values[0] = np.arange(1, count + 1)
    windows = cut_windows(values, layout)
    core = windows[:, 0, layout.context_left : layout.context_left + layout.core].reshape(-1)
    np.testing.assert_array_equal(core[:count], values[0])


def test_gain_is_the_power_that_comes_out():
    signal = np.random.default_rng(3).standard_normal(48_000).astype(np.float32) * 0.1
    added = upscale(signal, 170, flat_predictor(-1.0, 0.0, constants.QUALITY), constants.QUALITY) - signal
    power = (np.abs(spectrum.stft(added)[4:-4]) ** 2).mean(axis=0)
    assert power[:165].max() < 1e-3 * power[200:500].mean()
    assert np.log10(power[200:500].mean()) == pytest.approx(-1, abs=0.03)


def test_copy_has_the_same_power_as_noise():
    signal = np.random.default_rng(3).standard_normal(48_000).astype(np.float32) * 0.1
    added = upscale(signal, 170, flat_predictor(-1.0, 1.0, constants.QUALITY), constants.QUALITY) - signal
    power = (np.abs(spectrum.stft(added)[4:-4]) ** 2).mean(axis=0)
    assert np.log10(power[200:500].mean()) == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize("cutoff", [63, 481])
def test_outside_the_cutoff_range_nothing_is_added(cutoff: int):
    signal = speech_like(4000)
    np.testing.assert_array_equal(upscale(signal, cutoff, flat_predictor(0, 0, constants.QUALITY), constants.QUALITY), signal)


def test_silence_stays_silent_even_if_the_predictor_shouts():
    assert not upscale(np.zeros(9000, np.float32), 170, flat_predictor(4.0, 0.5, constants.LIVE), constants.LIVE).any()


def test_loudness_of_the_high_band_is_bounded_by_the_low_band():
    gains = synthesis.limit_gains(np.full((1, 56), 9.0, np.float32), np.full((1, 513), 2 + 0j), 170)
    assert gains.max() == pytest.approx(np.log10(4) + constants.HEADROOM, abs=1e-5)


@pytest.mark.parametrize("signal", [np.ones(3000), np.sign(np.sin(np.arange(3000) / 9)), np.ones(1)])
def test_odd_input_gives_finite_output(signal: np.ndarray):
    output = upscale(signal.astype(np.float32), 100, flat_predictor(-2.0, 0.5, constants.QUALITY), constants.QUALITY)
    assert np.isfinite(output).all()
    assert len(output) == len(signal)
