"""The judge against its definition, written out without its helpers."""

import math

import numpy as np
import pytest

from evaluate import metrics
from evaluate.report import summarise


def lsd_by_definition(predicted: np.ndarray, reference: np.ndarray, first: int, last: int) -> float:
    """sound.md section 2, with an explicit DFT matrix and explicit reflection."""
    size, hop = 2048, 512
    place = np.arange(size)
    matrix = np.exp(-2j * np.pi * np.outer(np.arange(first, last), place) / size)
    window = np.array([0.5 * (1 - math.cos(2 * math.pi * n / size)) for n in place])

    def log_powers(signal: np.ndarray) -> list[np.ndarray]:
        around = np.concatenate([signal[1024:0:-1], signal, signal[-2:-1026:-1]])
        result = []
        for start in range(0, len(around) - size + 1, hop):
            power = np.abs(matrix @ (window * around[start : start + size])) ** 2
            result.append(np.log10(np.maximum(power, 1e-8)))
        return result

    frames = zip(log_powers(predicted), log_powers(reference), strict=True)
    return float(np.mean([np.sqrt(np.mean((left - right) ** 2)) for left, right in frames]))


@pytest.mark.parametrize(("first", "last"), [(0, 1025), (341, 1025), (0, 341), (341, 683)])
def test_lsd_matches_its_definition(first: int, last: int):
    generator = np.random.default_rng(1)
    reference = 0.1 * generator.standard_normal(9000)
    predicted = np.convolve(reference, [0.3, 0.5, 0.2], "same")
    left, right = (metrics.log_power(metrics.spectrum(signal)) for signal in (predicted, reference))
    assert metrics.distance(left, right, first, last) == pytest.approx(
        lsd_by_definition(predicted, reference, first, last), abs=1e-3
    )


def test_independent_noise_scores_the_known_floor():
    generator = np.random.default_rng(2)
    one, other = generator.standard_normal((2, 48_000 * 4)) * 0.1
    assert metrics.judge(one, other, 16_000)["lsd_hf"] == pytest.approx(math.sqrt(2) * 0.557, abs=0.01)


def test_a_perfect_copy_scores_zero():
    signal = np.random.default_rng(2).standard_normal(20_000) * 0.1
    result = metrics.judge(signal, signal, 16_000)
    assert result["lsd"] == 0
    assert result["harmonicity_db"] == 0
    assert result["envelope"] == pytest.approx(1)
    assert result["snr_lf"] > 200


def test_boundaries_are_the_definitions():
    assert [metrics.boundary_bin(rate) for rate in (8_000, 16_000, 24_000)] == [170, 341, 512]


def test_hiss_in_place_of_lines_is_a_harmonicity_error():
    time = np.arange(48_000) / 48_000
    lines = sum(0.05 * np.sin(2 * np.pi * 440 * k * time) for k in range(1, 40))
    hiss = 0.05 * np.random.default_rng(0).standard_normal(48_000)
    assert metrics.judge(hiss, lines, 16_000)["harmonicity_db"] > 5


def test_kept_band_snr_counts_only_below_the_boundary():
    time = np.arange(48_000) / 48_000
    low, high = np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 12_000 * time)
    assert metrics.judge(low + high, low, 16_000)["snr_lf"] > 45  # the reflected edges of the tone leak
    assert metrics.judge(1.1 * low, low, 16_000)["snr_lf"] == pytest.approx(20, abs=0.1)


def test_means_leave_out_what_was_not_measured():
    rows = [{"case": "16k", **dict.fromkeys(("lsd", "lsd_to_16", "lsd_hf", "lsd_16_24"), value)} for value in (1.0, math.nan)]
    for row in rows:
        row |= dict.fromkeys(("lsd_lf", "snr_lf", "harmonicity_db", "envelope"), 0.0)
    assert summarise(rows, ("case",))[0]["lsd"] == 1.0
