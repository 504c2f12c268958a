"""Run exported graphs: bundles (checked before anything loads), sessions, offline builds."""

from makeup_engines.backends import BACKENDS
from makeup_engines.bundle import Bundle, pack_bundle, write_bundle
from makeup_engines.cache import Cache, CacheEntry, default_cache
from makeup_engines.manifest import GraphSpec, Manifest, Normalization, TensorSpec
from makeup_engines.onnxruntime_session import OnnxRuntimeSession
from makeup_engines.session import Session, SessionOptions

__all__ = [
    "BACKENDS",
    "Bundle",
    "Cache",
    "CacheEntry",
    "GraphSpec",
    "Manifest",
    "Normalization",
    "OnnxRuntimeSession",
    "Session",
    "SessionOptions",
    "TensorSpec",
    "default_cache",
    "pack_bundle",
    "write_bundle",
]
