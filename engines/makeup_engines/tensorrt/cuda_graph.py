"""CUDA graphs through the driver's C interface; PyCUDA does not wrap them."""

import ctypes
from collections.abc import Callable
from typing import Any

from makeup_kernels.errors import BackendUnavailableError

_THREAD_LOCAL_CAPTURE = 1
_DRIVER = "libcuda.so.1"


class CudaGraph:
    """The captured work of one call on a stream, for repeated launches.

    Addresses and shapes are fixed at capture.

    Args:
        stream: handle of the stream.
        enqueue: enqueues the work on that stream; it must have run once before, so that nothing
            is allocated during capture.

    Raises:
        BackendUnavailableError: the driver reports an error.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        self._driver = _load()
        self._stream = ctypes.c_void_p(stream)
        self._graph, self._executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL_CAPTURE))
        try:
            enqueue()
        finally:
            self._call("cuStreamEndCapture", self._stream, ctypes.byref(self._graph))
        self._call(
            "cuGraphInstantiateWithFlags",
            ctypes.byref(self._executable),
            self._graph,
            ctypes.c_ulonglong(0),
        )

    def launch(self) -> None:
        """Enqueue the work on the stream."""
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free the graph."""
        for name, handle in (
            ("cuGraphExecDestroy", self._executable),
            ("cuGraphDestroy", self._graph),
        ):
            if handle:
                self._call(name, handle)
                handle.value = None

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status:
            raise BackendUnavailableError(
                f"CUDA graph: {name} failed with error {status}; run without cuda_graph"
            )


def _load() -> Any:
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError as error:
        raise BackendUnavailableError(
            f"CUDA graph: {error}; check the driver with `makeup doctor`, or run without cuda_graph"
        ) from None
