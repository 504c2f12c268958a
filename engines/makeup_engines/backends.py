"""Open a session by the name of its backend."""

import importlib.util
import os
from dataclasses import replace

from makeup_engines.manifest import GraphSpec
from makeup_engines.session import Session, SessionOptions
from makeup_kernels.errors import BackendUnavailableError

BACKENDS = ("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "torch")
"""Names that `open_session` accepts, besides "auto"."""


def open_session(
    model: bytes, spec: GraphSpec, where: str, *, backend: str, options: SessionOptions
) -> Session:
    """Open a graph from its checked bytes.

    "auto" picks the first available of TensorRT (if a plan was built for this graph and GPU), ONNX
    Runtime's CUDA provider, and its CPU provider. A named backend runs or raises.

    Args:
        model: an ONNX file that passed `check_onnx`.
        spec: its inputs and outputs from the manifest.
        where: names the graph in messages.
        backend: "auto" or one of `BACKENDS`.
        options: see `SessionOptions`.

    Raises:
        BackendUnavailableError: the backend is unknown or cannot run here.
        BundleError: the graph does not load, or does not match `spec`.
    """
    if backend == "auto":
        backend = _best(model, spec, options)
    if backend in BACKENDS and backend.startswith("onnxruntime"):
        from makeup_engines.onnxruntime_session import OnnxRuntimeSession

        return OnnxRuntimeSession.open(model, spec, where, backend, options)
    if backend == "tensorrt":
        from makeup_engines.tensorrt.session import TensorRTSession

        return TensorRTSession.open(model, spec, where, options)
    if backend == "torch":
        from makeup_engines.torch_session import TorchSession

        return TorchSession.open(model, spec, where, options)
    raise BackendUnavailableError(
        f"backend {backend!r} is not available for {where}; expected one of auto, "
        f"{', '.join(BACKENDS)}"
    )


def _best(model: bytes, spec: GraphSpec, options: SessionOptions) -> str:
    if importlib.util.find_spec("tensorrt") and importlib.util.find_spec("pycuda"):
        from makeup_engines.tensorrt.plans import has_plan

        if has_plan(model, options if spec.any_batch else replace(options, batch=1)):
            return "tensorrt"
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    # the provider is listed even without a GPU
    driver = os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvhost-gpu")
    return "onnxruntime-cuda" if driver and "CUDAExecutionProvider" in providers else "onnxruntime"
