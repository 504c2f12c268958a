"""Graphs on ONNX Runtime: the CPU, CUDA and TensorRT providers."""

import contextlib
import platform
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from makeup_engines.cache import Cache
from makeup_engines.denormals import denormals_as_zero
from makeup_engines.manifest import GraphSpec, TensorSpec
from makeup_engines.session import (
    Array,
    SessionOptions,
    check_arrays,
    check_names,
    check_output_names,
)
from makeup_kernels import cpu_features
from makeup_kernels.dispatch import thread_count
from makeup_kernels.errors import (
    BackendUnavailableError,
    BundleError,
    InvalidInputError,
    OutputError,
)
from makeup_kernels.files import sha256

_PROVIDERS = {
    "onnxruntime": "CPUExecutionProvider",
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}

_LARGEST_FOLDED_BYTES = 1 << 26
"""A few times the largest weight tensor of our graphs."""


class OnnxRuntimeSession:
    """A graph on one of ONNX Runtime's providers; takes and returns NumPy arrays."""

    def __init__(
        self, session: onnxruntime.InferenceSession, spec: GraphSpec, where: str, backend: str
    ) -> None:
        self.spec, self.backend = spec, backend
        self.device = "cpu" if backend == "onnxruntime" else "cuda:0"
        self._session = session
        self._where = where

    @classmethod
    def open(
        cls, model: bytes, spec: GraphSpec, where: str, backend: str, options: SessionOptions
    ) -> "OnnxRuntimeSession":
        """Load a graph from its bytes.

        Raises:
            BackendUnavailableError: the provider is not installed, or does not start here.
            BundleError: the bytes are not a valid ONNX graph, or do not match `spec`.
        """
        provider = _PROVIDERS.get(backend)
        installed = onnxruntime.get_available_providers()
        if provider is None:
            raise BackendUnavailableError(
                f"backend {backend!r} is not available for {where}; expected one of "
                + ", ".join(_PROVIDERS)
            )
        if provider not in installed:
            raise BackendUnavailableError(
                f"backend {backend!r} is not available for {where}: this ONNX Runtime has only "
                f"{', '.join(installed)}; run `pip uninstall -y onnxruntime && "
                "pip install onnxruntime-gpu`"
            )
        session = _load(model, where, provider, options)
        running: list[str] = session.get_providers()
        if not running or running[0] != provider:
            raise BackendUnavailableError(
                f"{where}: {provider} was asked for, ONNX Runtime started "
                f"{', '.join(running) or 'nothing'} instead; check the driver and the CUDA "
                "libraries with `makeup doctor`"
            )
        _check_signature(session, spec, where)
        return cls(session, spec, where, backend)

    def run(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """See `Session.run`."""
        check_names(inputs, self.spec, self._where)
        sizes = check_arrays("input", inputs, self.spec.inputs, self._where)
        names = [tensor.name for tensor in self.spec.outputs]
        if not outputs:
            found = self._guarded(lambda: self._session.run(names, dict(inputs)))
            return dict(zip(names, found, strict=True))
        self._check_outputs(outputs, sizes)
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in names:
            if name in outputs:
                array = outputs[name]
                binding.bind_output(
                    name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
                )
            else:
                binding.bind_output(name, "cpu")
        self._guarded(lambda: self._session.run_with_iobinding(binding))
        found = dict(zip(names, binding.get_outputs(), strict=True))
        return {name: outputs[name] if name in outputs else found[name].numpy() for name in names}

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            with denormals_as_zero():
                return work()
        except Exception as error:  # onnxruntime raises a dozen unrelated classes
            raise BundleError(
                f"{self._where}: ONNX Runtime {onnxruntime.__version__} failed to run it "
                f"({error}); export the bundle again"
            ) from None

    def _check_outputs(self, outputs: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        check_output_names(outputs, self.spec, self._where)
        given = check_arrays("output", outputs, self.spec.outputs, self._where)
        clash = {name for name in given if given[name] != sizes.get(name, given[name])}
        for name, array in outputs.items():
            usable = isinstance(array, np.ndarray) and array.flags.c_contiguous
            if clash or not usable or not array.flags.writeable:
                raise InvalidInputError(
                    f"{self._where}: output {name!r} must be a writeable, C-contiguous NumPy array"
                    " with the batch of the inputs"
                )


def _load(
    model: bytes, where: str, provider: str, options: SessionOptions
) -> onnxruntime.InferenceSession:
    """Open a graph's session, from its optimised form if that is cached."""
    settings = _settings(options)
    if options.cache is None or provider != "CPUExecutionProvider":
        return _create(model, where, provider, settings, options)
    cache = Cache(Path(options.cache) / "onnxruntime")
    facts = {
        "graph": sha256(model),
        "onnxruntime": onnxruntime.__version__,
        "machine": platform.machine(),
        "isa": list(cpu_features().available_isas),
    }
    entry = cache.find(facts)
    if entry is not None:
        optimised = entry.read("optimised.onnx")
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return _create(optimised, where, provider, settings, options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        settings.optimized_model_filepath = str(path)
        session = _create(model, where, provider, settings, options)
        with contextlib.suppress(OutputError):  # the next process optimises it again
            cache.store(facts, {path.name: path.read_bytes()})
    return session


def _settings(options: SessionOptions) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = thread_count(options.threads)
    settings.inter_op_num_threads = 1
    # Workers spin during a run, which is 20 % faster, and stop at its end: the kernels' threads
    # need the cores between graphs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    # A denormal in a feature map costs 100 times a normal number.
    settings.add_session_config_entry("session.set_denormal_as_zero", "1")
    # Limit the size of tensors folded from constants on opening; old releases ignore this.
    settings.add_session_config_entry(
        "optimization.constant_folding_max_output_size_in_bytes", str(_LARGEST_FOLDED_BYTES)
    )
    # Without this, bytes that look like ONNX Runtime's own format are read as such.
    settings.add_session_config_entry("session.load_model_format", "ONNX")
    settings.log_severity_level = 4
    return settings


def _create(
    model: bytes,
    where: str,
    provider: str,
    settings: onnxruntime.SessionOptions,
    options: SessionOptions,
) -> onnxruntime.InferenceSession:
    named: Any = provider
    if provider != "CPUExecutionProvider":
        named = (provider, {"device_id": str(options.device)})
    try:
        with denormals_as_zero():
            return onnxruntime.InferenceSession(model, settings, providers=[named])
    except Exception as error:  # onnxruntime raises a dozen unrelated classes
        raise BundleError(
            f"{where}: ONNX Runtime {onnxruntime.__version__} cannot load it ({error})"
        ) from None


def _check_signature(session: onnxruntime.InferenceSession, spec: GraphSpec, where: str) -> None:
    for kind, read, expected in (
        ("inputs", session.get_inputs, spec.inputs),
        ("outputs", session.get_outputs, spec.outputs),
    ):
        try:
            found = {entry.name: (entry.type, list(entry.shape)) for entry in read()}
        except UnicodeDecodeError:
            raise BundleError(
                f"{where}: a name of the graph's {kind} is not text; export the bundle again"
            ) from None
        same = found.keys() == {tensor.name for tensor in expected}
        if not same or not all(_agrees(*found[tensor.name], tensor) for tensor in expected):
            raise BundleError(
                f"{where}: the graph's {kind} are {str(found)[:300]}, which is not what the "
                "manifest says; export the bundle again"
            )


def _agrees(kind: str, shape: list[int | str | None], tensor: TensorSpec) -> bool:
    if _DTYPES.get(kind) != tensor.dtype or len(shape) != len(tensor.shape):
        return False
    return all(
        have == want or not (isinstance(have, int) and isinstance(want, int))
        for have, want in zip(shape, tensor.shape, strict=True)
    )
