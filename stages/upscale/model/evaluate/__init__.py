"""The judge: metrics of sound.md section 2, per domain and cutoff, for sinc, any ONNX file, and rendered files."""
