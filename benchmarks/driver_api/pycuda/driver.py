"""`pycuda.driver`: contexts, memory, modules, launches, streams and events through libcuda."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

import numpy as np

_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76
_BUFFER_POINTER, _BUFFER_SIZE, _END = c_void_p(1), c_void_p(2), c_void_p(0)
_DEVICE_MEMORY = 2


class Error(Exception):
    """An error of the driver."""


class _Memcpy2DParameters(ctypes.Structure):
    """`CUDA_MEMCPY2D`."""

    _fields_ = [
        (f"{side}_{name}", kind)
        for side in ("source", "target")
        for name, kind in (
            ("x", c_size_t),
            ("y", c_size_t),
            ("memory", c_int),
            ("host", c_void_p),
            ("device", c_uint64),
            ("array", c_void_p),
            ("pitch", c_size_t),
        )
    ] + [("width", c_size_t), ("height", c_size_t)]


_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuCtxGetCurrent": (POINTER(c_void_p),),
    "cuCtxSynchronize": (),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoD_v2": (c_uint64, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuMemcpyDtoDAsync_v2": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuMemcpy2DAsync_v2": (POINTER(_Memcpy2DParameters), c_void_p),
    "cuMemsetD32Async": (c_uint64, c_uint, c_size_t, c_void_p),
    "cuModuleLoadData": (POINTER(c_void_p), c_char_p),
    "cuModuleGetFunction": (POINTER(c_void_p), c_void_p, c_char_p),
    "cuLaunchKernel": (c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
}


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise ImportError(f"the CUDA driver is missing: {error}") from None
    for name, types in _SIGNATURES.items():
        getattr(library, name).argtypes = types
    return library


_cuda = _load()


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the driver.

    Raises:
        Error: the driver reports an error.
    """
    status = getattr(_cuda, name)(*arguments)
    if status:
        text = c_char_p()
        _cuda.cuGetErrorName(status, byref(text))
        raise Error(f"{name} failed: {(text.value or b'unknown').decode()} ({status})")


def _handle(stream: Any) -> Any:
    return stream.handle if stream else None


def init() -> None:
    """Start the driver."""
    _call("cuInit", 0)


class device_attribute:  # noqa: N801
    """Device attributes."""

    MULTIPROCESSOR_COUNT = 16


class Device:
    """A GPU by its number."""

    def __init__(self, number: int) -> None:
        self._device = c_int()
        _call("cuDeviceGet", byref(self._device), number)

    def get_attribute(self, attribute: int) -> int:
        """The value of an attribute."""
        value = c_int()
        _call("cuDeviceGetAttribute", byref(value), attribute, self._device)
        return value.value

    def compute_capability(self) -> tuple[int, int]:
        """Major and minor."""
        return self.get_attribute(_COMPUTE_MAJOR), self.get_attribute(_COMPUTE_MINOR)

    def name(self) -> str:
        """As in nvidia-smi."""
        text = ctypes.create_string_buffer(256)
        _call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode()

    def retain_primary_context(self) -> "Context":
        """The context that PyTorch and CuPy work in."""
        context = c_void_p()
        _call("cuDevicePrimaryCtxRetain", byref(context), self._device)
        return Context(context.value)


class Context:
    """A context; two objects of the same one are equal."""

    def __init__(self, handle: int | None) -> None:
        self.handle = handle

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and other.handle == self.handle

    def __hash__(self) -> int:
        return hash(self.handle)

    def push(self) -> None:
        """Make it current."""
        _call("cuCtxPushCurrent_v2", self.handle)

    @staticmethod
    def pop() -> None:
        """Make the one before it current."""
        _call("cuCtxPopCurrent_v2", byref(c_void_p()))

    @staticmethod
    def get_current() -> "Context | None":
        """The current one."""
        context = c_void_p()
        _call("cuCtxGetCurrent", byref(context))
        return Context(context.value) if context.value else None

    @staticmethod
    def get_device() -> Device:
        """The GPU of the current one: only the first GPU is used here."""
        return Device(0)

    @staticmethod
    def synchronize() -> None:
        """Wait for all work of the current one."""
        _call("cuCtxSynchronize")


class Allocation:
    """Memory on the GPU; freed with the object."""

    def __init__(self, nbytes: int) -> None:
        pointer = c_uint64()
        self._context = Context.get_current()
        _call("cuMemAlloc_v2", byref(pointer), nbytes)
        self._pointer = pointer.value

    def __int__(self) -> int:
        return self._pointer

    def __del__(self) -> None:
        if hasattr(self, "_pointer"):  # no other context may be current by now, or none
            self._context.push()
            _cuda.cuMemFree_v2(self._pointer)
            self._context.pop()


mem_alloc = Allocation


def memcpy_dtoh(dest: np.ndarray, src: Any) -> None:
    """Copy from the GPU."""
    _call("cuMemcpyDtoH_v2", dest.ctypes.data, int(src), dest.nbytes)


def memcpy_htod(dest: Any, src: np.ndarray) -> None:
    """Copy to the GPU."""
    _call("cuMemcpyHtoD_v2", int(dest), src.ctypes.data, src.nbytes)


def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Any = None) -> None:
    """Enqueue a copy on the GPU."""
    _call("cuMemcpyDtoDAsync_v2", int(dest), int(src), size, _handle(stream))


def memset_d32_async(dest: Any, data: int, size: int, stream: Any = None) -> None:
    """Enqueue filling `size` words."""
    _call("cuMemsetD32Async", int(dest), data, size, _handle(stream))


class Memcpy2D:
    """A copy of rows; set the sides and `*_pitch`, `width_in_bytes`, `height`, then call it."""

    src_pitch = dst_pitch = width_in_bytes = height = 0

    def set_src_device(self, devptr: Any) -> None:
        """Where it reads."""
        self._source = int(devptr)

    def set_dst_device(self, devptr: Any) -> None:
        """Where it writes."""
        self._target = int(devptr)

    def __call__(self, stream_or_aligned: Any) -> None:
        parameters = _Memcpy2DParameters(
            source_memory=_DEVICE_MEMORY,
            source_device=self._source,
            source_pitch=self.src_pitch,
            target_memory=_DEVICE_MEMORY,
            target_device=self._target,
            target_pitch=self.dst_pitch,
            width=self.width_in_bytes,
            height=self.height,
        )
        _call("cuMemcpy2DAsync_v2", byref(parameters), _handle(stream_or_aligned))


class Stream:
    """A stream of its own."""

    def __init__(self) -> None:
        handle = c_void_p()
        _call("cuStreamCreate", byref(handle), 0)
        self.handle = handle.value

    def synchronize(self) -> None:
        """Wait until it has done all its work."""
        _call("cuStreamSynchronize", self.handle)


class Event:
    """A moment on the GPU."""

    def __init__(self) -> None:
        self._event = c_void_p()
        _call("cuEventCreate", byref(self._event), 0)

    def record(self, stream: Any = None) -> None:
        """Enqueue it."""
        _call("cuEventRecord", self._event, _handle(stream))

    def synchronize(self) -> None:
        """Wait for it."""
        _call("cuEventSynchronize", self._event)

    def time_since(self, event: "Event") -> float:
        """Milliseconds since another one."""
        elapsed = c_float()
        _call("cuEventElapsedTime", byref(elapsed), event._event, self._event)
        return elapsed.value


class Function:
    """A kernel whose arguments are one structure."""

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle

    def prepare(self, arg_types: Any) -> "Function":
        """For calls with one argument of a format such as "40s"."""
        (self._format,) = arg_types
        return self

    def prepared_async_call(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], stream: Any, arguments: bytes
    ) -> None:
        """Enqueue it."""
        if self._format != f"{len(arguments)}s":
            raise Error(f"got {len(arguments)} bytes of arguments, expected {self._format}")
        buffer, size = ctypes.create_string_buffer(arguments, len(arguments)), c_size_t()
        size.value = len(arguments)
        extra = (c_void_p * 5)(
            _BUFFER_POINTER,
            ctypes.cast(buffer, c_void_p),
            _BUFFER_SIZE,
            ctypes.cast(byref(size), c_void_p),
            _END,
        )
        _call("cuLaunchKernel", self._handle, *grid, *block, 0, _handle(stream), None, extra)


class Module:
    """Loaded code."""

    def __init__(self, code: bytes) -> None:
        self._module = c_void_p()
        _call("cuModuleLoadData", byref(self._module), code)

    def get_function(self, name: str) -> Function:
        """A kernel by name."""
        function = c_void_p()
        _call("cuModuleGetFunction", byref(function), self._module, name.encode())
        return Function(function)


module_from_buffer = Module
