"""PyTorch networks to ONNX graphs and bundles."""
