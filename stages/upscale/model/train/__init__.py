"""The recipe: from a folder of audio to `treble.onnx` and its model card. Start it with `python -m train`."""
