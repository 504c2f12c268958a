"""Sessions: run one graph on one device."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from makeup_kernels.errors import BackendUnavailableError, BundleError, InvalidInputError

Array = NDArray[Any]

_ORT_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Session(Protocol):
    """One graph, ready to run.

    `run` takes NumPy arrays by input name and returns the named outputs (all of them by default).
    A session may be shared by threads.
    """

    @property
    def device(self) -> str: ...

    def run(
        self, inputs: Mapping[str, Array], outputs: list[str] | None = None
    ) -> dict[str, Array]: ...


class OnnxRuntimeSession:
    """A graph on ONNX Runtime's CPU provider."""

    device = "cpu"

    def __init__(self, session: onnxruntime.InferenceSession, where: str) -> None:
        self._session = session
        self._where = where
        self._inputs = {entry.name: entry for entry in session.get_inputs()}
        self._outputs = [entry.name for entry in session.get_outputs()]

    @classmethod
    def open(
        cls, model: bytes, where: str, backend: str = "onnxruntime", threads: int | None = None
    ) -> "OnnxRuntimeSession":
        """Load a graph from its bytes; `where` names it in messages.

        Raises:
            BackendUnavailableError: `backend` is not "onnxruntime".
            BundleError: the bytes are no valid ONNX graph.
        """
        if backend != "onnxruntime":
            raise BackendUnavailableError(
                f"backend {backend!r} is not available for {where}; available: 'onnxruntime'"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.inter_op_num_threads = 1
        # Idle workers must not spin: the kernels' own threads need the cores between two graphs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises a dozen unrelated classes
            raise BundleError(
                f"{where}: ONNX Runtime {onnxruntime.__version__} cannot load it ({error})"
            ) from None
        return cls(session, where)

    def run(
        self, inputs: Mapping[str, Array], outputs: list[str] | None = None
    ) -> dict[str, Array]:
        """Run the graph.

        Raises:
            InvalidInputError: an input is missing, unknown, or of another dtype or shape.
        """
        self._check(inputs)
        names = self._outputs if outputs is None else outputs
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def _check(self, inputs: Mapping[str, Array]) -> None:
        if inputs.keys() != self._inputs.keys():
            raise InvalidInputError(
                f"{self._where}: got inputs {sorted(inputs)}, expected {sorted(self._inputs)}"
            )
        for name, array in inputs.items():
            spec = self._inputs[name]
            dtype = np.dtype(_ORT_DTYPES[spec.type])
            fits = len(spec.shape) == array.ndim and all(
                not isinstance(want, int) or want == have
                for want, have in zip(spec.shape, array.shape, strict=False)
            )
            if array.dtype != dtype or not fits:
                raise InvalidInputError(
                    f"{self._where}: input {name!r} is {array.dtype} {array.shape}, "
                    f"expected {dtype} {tuple(spec.shape)}"
                )
