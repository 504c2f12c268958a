"""Makeup by Triton Inference Server: its model repository, the model in it, and a client."""
