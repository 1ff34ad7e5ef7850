"""ONNX Runtime: models of PyTorch and TensorFlow, exported before the measurement."""
