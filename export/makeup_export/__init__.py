"""PyTorch networks to bundles: ONNX graphs, precision (fp32, fp16, int8) and the parity report."""
