"""ONNX files: written, looked at before they run, and run."""
