"""Writes the two small models that the tests of the upscale stage run.

Their weights come from formulas, so they are the same on every machine: `python make_models.py` beside the
files overwrites them. They exercise the engine and the windows; they restore nothing worth hearing.

* waveform.onnx   16 to 48 kHz, linear interpolation (a transposed convolution); its images fill the high band
* envelope.onnx   a small valid convolution over the features of CONTRACT.md, then two heads
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
OPSET = 17
FEATURES, BANDS = 192, 56
LEFT, RIGHT, CORE = 2, 2, 16


def save(name: str, graph: onnx.GraphProto, metadata: dict[str, str]) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="treble")
    model.ir_version = 8
    helper.set_model_props(model, {f"treble.{key}": value for key, value in metadata.items()})
    onnx.checker.check_model(model, full_check=True)
    (HERE / name).write_bytes(model.SerializeToString(deterministic=True))


def tensor(name: str, dtype_shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dtype_shape)


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def waveform() -> None:
    kernel = np.array([1, 2, 3, 2, 1], dtype=np.float64)[None, None] / 3
    node = helper.make_node(
        "ConvTranspose", ["audio", "kernel"], ["restored"], strides=[3], pads=[2, 0], kernel_shape=[5]
    )
    graph = helper.make_graph(
        [node],
        "waveform",
        [tensor("audio", ["batch", 1, "samples"])],
        [tensor("restored", ["batch", 1, "samples_out"])],
        [constant("kernel", kernel)],
    )
    save(
        "waveform.onnx",
        graph,
        {
            "contract": "1",
            "kind": "waveform",
            "name": "test-waveform",
            "version": "1.0.0",
            "input_rate": "16000",
            "output_rate": "48000",
            "channels": "1",
            "window": "1024",
            "context_left": "32",
            "context_right": "32",
        },
    )


def envelope() -> None:
    taps = LEFT + 1 + RIGHT
    rows, inputs, offsets = np.meshgrid(np.arange(4), np.arange(FEATURES), np.arange(taps), indexing="ij")
    trunk = np.sin(1.0 + 0.7 * rows + 0.37 * inputs + 0.9 * offsets) / 60
    bands, columns = np.meshgrid(np.arange(BANDS), np.arange(4), indexing="ij")
    gains = np.cos(0.5 + 0.21 * bands + 1.3 * columns) / 4
    mix = np.sin(0.3 + 0.17 * bands + 0.8 * columns)
    nodes = [
        helper.make_node("Conv", ["features", "trunk.weight"], ["hidden.raw"], kernel_shape=[taps]),
        helper.make_node("Tanh", ["hidden.raw"], ["hidden"]),
        helper.make_node("Conv", ["hidden", "gains.weight", "gains.bias"], ["gains"], kernel_shape=[1]),
        helper.make_node("Conv", ["hidden", "mix.weight"], ["mix.raw"], kernel_shape=[1]),
        helper.make_node("Sigmoid", ["mix.raw"], ["mix"]),
    ]
    graph = helper.make_graph(
        nodes,
        "envelope",
        [tensor("features", ["batch", FEATURES, "frames"])],
        [tensor("gains", ["batch", BANDS, "frames_out"]), tensor("mix", ["batch", BANDS, "frames_out"])],
        [
            constant("trunk.weight", trunk),
            constant("gains.weight", gains[:, :, None]),
            constant("gains.bias", -1.5 - 0.03 * np.arange(BANDS)),
            constant("mix.weight", mix[:, :, None]),
        ],
    )
    save(
        "envelope.onnx",
        graph,
        {
            "contract": "1",
            "kind": "envelope",
            "name": "test-envelope",
            "version": "1.0.0",
            "input_rate": "48000",
            "output_rate": "48000",
            "channels": "1",
            "fft_size": "1024",
            "hop": "256",
            "context_left": str(LEFT),
            "context_right": str(RIGHT),
            "core": str(CORE),
            "lookahead_samples": str(1023 + 256 * RIGHT),
            "feature_bands": "96",
            "feature_bins": "4",
            "feature_eps": "1e-8",
            "feature_mean": "-2",
            "feature_scale": "2",
            "high_bands": str(BANDS),
            "high_first_bin": "64",
            "high_band_bins": "8",
            "fade_bins": "6",
            "min_cutoff_bin": "64",
            "max_cutoff_bin": "480",
            "copy_smooth_bins": "4",
            "gate_power": "1e-7",
            "headroom": "1.5",
        },
    )


if __name__ == "__main__":
    waveform()
    envelope()
