"""Runs exported graphs: bundles (checked before anything loads) and sessions."""

from makeup_engines.bundle import Bundle, GraphSpec, Manifest, Normalization, TensorSpec
from makeup_engines.session import OnnxRuntimeSession, Session

__all__ = [
    "Bundle",
    "GraphSpec",
    "Manifest",
    "Normalization",
    "OnnxRuntimeSession",
    "Session",
    "TensorSpec",
]
