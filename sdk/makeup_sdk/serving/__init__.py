"""Makeup on Triton Inference Server: model repository, server model, and a client."""
