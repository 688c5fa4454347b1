"""Golden vectors for the Rust half: `python -m envelope.golden golden [--model treble.onnx]`. CONTRACT.md section 8."""

import argparse
import json
from pathlib import Path

import numpy as np

from .constants import HIGH_BANDS, RATE
from .excitation import noise_samples
from .features import features
from .runner import load_onnx, predict_envelope
from .spectrum import FloatArray, stft
from .synthesis import add_high_band

SAMPLES = 6001
SEED = 0x0123_4567_89AB_CDEF
CUTOFF = 170


def signal() -> FloatArray:
    """Test input `[6001]`: a decaying chord, a click, a stretch of digital silence, noise; nothing above 8 kHz."""
    time = np.arange(SAMPLES) / RATE
    tones = sum(0.2 / k * np.sin(2 * np.pi * 211 * k * time + k) for k in range(1, 38))
    body = tones * np.exp(-6 * time)
    body[2400:3900] = 0
    body[4000:4004] += 0.5
    noise = np.random.default_rng(5).standard_normal(SAMPLES) * 0.02
    noise[:4500] = 0
    spectrum = np.fft.rfft(body + noise)
    spectrum[int(8000 / RATE * SAMPLES) :] = 0
    result = np.fft.irfft(spectrum, SAMPLES)
    result[2600:3800] = 0
    return result.astype(np.float32)


def formula_gains(frames: int) -> tuple[FloatArray, FloatArray]:
    """Gains and mix `[K, 56]` that no training changes."""
    band, frame = np.arange(HIGH_BANDS)[None, :], np.arange(frames)[:, None]
    gains = -2 + np.sin(0.3 * band + 0.2 * frame)
    mix = 0.5 + 0.5 * np.sin(0.1 * band - 0.3 * frame)
    return gains.astype(np.float32), mix.astype(np.float32)


def write(folder: Path, model: Path | None) -> None:
    """Write all vectors and `golden.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    source = signal()
    values = features(stft(source), CUTOFF)
    gains, mix = formula_gains(values.shape[1])
    files = {
        "input": source,
        "features": values,
        "noise": noise_samples(SEED, 0, -768, 2048),
        "formula_output": add_high_band(source, gains, mix, CUTOFF, SEED),
        "formula_gains": gains.T,
        "formula_mix": mix.T,
    }
    if model:
        predictor, layout = load_onnx(model)
        gains, mix = predict_envelope(source, CUTOFF, predictor, layout)
        files |= {"model_gains": gains.T, "model_mix": mix.T}
        files["model_output"] = add_high_band(source, gains, mix, CUTOFF, SEED)
    for name, array in files.items():
        (folder / f"{name}.f32").write_bytes(np.ascontiguousarray(array, dtype="<f4").tobytes())
    description = {
        "seed": f"{SEED:#018x}",
        "channel": 0,
        "cutoff_bin": CUTOFF,
        "first_frame": -1,
        "noise_start": -768,
        "tolerance": {"noise": 0.0, "features": 1e-4, "gains": 1e-4, "mix": 1e-4, "output": 1e-4},
        "formula": "gains = -2 + sin(0.3 band + 0.2 row), mix = 0.5 + 0.5 sin(0.1 band - 0.3 row); row 0 is frame -1",
        "files": {f"{name}.f32": list(array.shape) for name, array in files.items()},
    }
    (folder / "golden.json").write_text(json.dumps(description, indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m envelope.golden", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    flags = parser.parse_args()
    write(flags.folder, flags.model)


if __name__ == "__main__":
    main()
