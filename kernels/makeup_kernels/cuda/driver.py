"""Launch CUDA kernels through PyCUDA: contexts, modules, scratch memory, one call at a time."""

import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from makeup_kernels.cuda.code import BUILD_COMMAND, compiled_kernels, fits, offered_code
from makeup_kernels.errors import BackendUnavailableError

INSTALL = "pip install '.[gpu]'"

_lock = threading.RLock()
_functions: dict[tuple[Any, str, str], Any] = {}
_scratch: dict[tuple[Any, int, str], tuple[Any, int]] = {}
_primary: list[Any] = []


def available() -> str | None:
    """The reason why the CUDA kernels cannot run here, with the remedy; None if they can."""
    try:
        compute = _compute_capability(_import_driver())
        if offered_code("composite") is None:
            kernels = compiled_kernels()
            if not fits(kernels.targets, compute):
                number = "".join(map(str, compute))
                return (
                    f"the CUDA kernels in {kernels.folder} are for {', '.join(kernels.targets)}, "
                    f"this GPU has compute capability {'.'.join(map(str, compute))}; "
                    f"run `{BUILD_COMMAND} --targets sm_{number}`"
                )
    except BackendUnavailableError as error:
        return str(error)
    return None


def _import_driver() -> Any:
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendUnavailableError(
            f"PyCUDA is missing or finds no driver ({error}); run `{INSTALL}` (it needs the CUDA "
            "toolkit to build)"
        ) from None


def _compute_capability(cuda: Any) -> tuple[int, int]:
    try:
        cuda.init()
        major, minor = cuda.Device(0).compute_capability()
    except cuda.Error as error:
        raise BackendUnavailableError(
            f"no CUDA GPU ({error}); check the driver with `makeup doctor`, or pass backend='cpu'"
        ) from None
    return int(major), int(minor)


class Gpu:
    """A CUDA context and a stream for the duration of one call; made by `on_gpu`."""

    def __init__(self, cuda: Any, context: Any, stream: Any) -> None:
        self._cuda, self._context, self._stream = cuda, context, stream

    def launch(
        self,
        operation: str,
        kernel: str,
        grid: tuple[int, int, int],
        threads: int,
        arguments: ctypes.Structure,
    ) -> None:
        """Enqueue a kernel on the stream; an empty grid does nothing.

        Raises:
            BackendUnavailableError: the operation's code is missing or not for this GPU.
        """
        if 0 in grid:
            return
        function = self._function(operation, kernel, ctypes.sizeof(arguments))
        function.prepared_async_call(grid, (threads, 1, 1), self._stream, bytes(arguments))

    def scratch(self, name: str, nbytes: int) -> int:
        """Address of a named scratch buffer, which successive calls on this stream share."""
        key = (self._context, self._stream.handle if self._stream else 0, name)
        found = _scratch.get(key)
        if found is None or found[1] < nbytes:
            _scratch[key] = found = (self._cuda.mem_alloc(max(nbytes, 1)), nbytes)
        return int(found[0])

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Any:
        """A new PyCUDA array."""
        arrays = importlib.import_module("pycuda.gpuarray")
        return arrays.empty(tuple(shape), np.dtype(dtype))

    def upload(self, array: NDArray[Any]) -> Any:
        """Copy a NumPy array to a new PyCUDA array."""
        arrays = importlib.import_module("pycuda.gpuarray")
        return arrays.to_gpu(np.ascontiguousarray(array))

    def download(self, pointer: int, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Copy GPU memory to a new NumPy array, after all GPU work is done."""
        host: NDArray[Any] = np.empty(tuple(shape), dtype)
        self._cuda.Context.synchronize()
        if host.nbytes:
            self._cuda.memcpy_dtoh(host, pointer)
        return host

    def copy_rows(
        self,
        target: int,
        target_step: int,
        source: int,
        source_step: int,
        nbytes: int,
        rows: int,
    ) -> None:
        """Enqueue a device copy of rows of `nbytes` each, `*_step` bytes apart."""
        if target_step == source_step == nbytes:
            self._cuda.memcpy_dtod_async(target, source, nbytes * rows, self._stream)
            return
        copy = self._cuda.Memcpy2D()
        copy.set_src_device(source)
        copy.set_dst_device(target)
        copy.src_pitch, copy.dst_pitch = source_step, target_step
        copy.width_in_bytes, copy.height = nbytes, rows
        copy(self._stream or False)  # without a stream: not aligned

    def clear(self, target: int, nbytes: int) -> None:
        """Enqueue a fill with zeros; `nbytes` is a multiple of 4."""
        if nbytes:
            self._cuda.memset_d32_async(target, 0, nbytes // 4, self._stream)

    def finish(self) -> None:
        """Wait for the stream."""
        (self._stream or self._cuda.Context).synchronize()

    def microseconds(self, work: Callable[[], None], *, calls: int = 20, rounds: int = 5) -> float:
        """GPU time of one call of `work`, which enqueues: the smallest mean of several rounds."""
        means = []
        for _ in range(rounds + 1):  # the first round warms up
            start, end = self._cuda.Event(), self._cuda.Event()
            start.record(self._stream)
            for _ in range(calls):
                work()
            end.record(self._stream)
            end.synchronize()
            means.append(float(end.time_since(start)) * 1e3 / calls)
        return min(means[1:])

    def name(self) -> str:
        """The GPU's name."""
        return str(self._cuda.Context.get_device().name())

    def processors(self) -> int:
        """Number of the GPU's multiprocessors."""
        attribute = self._cuda.device_attribute.MULTIPROCESSOR_COUNT
        return int(self._cuda.Context.get_device().get_attribute(attribute))

    def _function(self, operation: str, kernel: str, size: int) -> Any:
        key = (self._context, operation, kernel)
        if key not in _functions:
            code = offered_code(operation) or compiled_kernels().read(operation)
            try:
                module = self._cuda.module_from_buffer(code)
            except self._cuda.Error as error:
                number = "".join(map(str, self._cuda.Context.get_device().compute_capability()))
                raise BackendUnavailableError(
                    f"{operation}: the GPU does not take the compiled kernels ({error}); "
                    f"run `{BUILD_COMMAND} --targets sm_{number}`"
                ) from None
            function = module.get_function(kernel)
            _functions[key] = function.prepare([f"{size}s"])
        return _functions[key]


@contextmanager
def on_gpu(stream: Any = None) -> Iterator[Gpu]:
    """Make a CUDA context current for one call.

    Uses PyCUDA's current context if there is one, else the first GPU's primary context, which
    PyTorch, CuPy and TensorRT sessions share. Threads take turns: the launches of one operation
    stay together and one call at a time uses the scratch memory.

    Args:
        stream: a `pycuda.driver.Stream` to enqueue on; None: the default stream.

    Raises:
        BackendUnavailableError: PyCUDA or a GPU is missing.
    """
    cuda = _import_driver()
    with _lock:
        _compute_capability(cuda)
        current = cuda.Context.get_current()
        if current is not None:
            yield Gpu(cuda, current, stream)
            return
        if not _primary:
            _primary.append(cuda.Device(0).retain_primary_context())
        _primary[0].push()
        try:
            yield Gpu(cuda, _primary[0], stream)
        finally:
            cuda.Context.pop()
