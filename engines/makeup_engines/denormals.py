"""Treat denormal numbers as zero in the current thread, inside a block."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's `fenv_t`: size in bytes, offset of the control word, and the flush bits.
_LAYOUTS = {
    "x86_64": (32, 28, 0x8040),  # MXCSR: flush to zero, denormals are zero
    "aarch64": (8, 0, 1 << 24),  # FPCR: flush to zero
}

try:
    _libm = ctypes.PyDLL("libm.so.6") if platform.machine() in _LAYOUTS else None
except OSError:  # another C library
    _libm = None


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Compute without denormals, then restore the thread's floating-point mode.

    ONNX Runtime sets this mode on its own workers, and permanently on the thread that creates the
    first session of a process. That thread would lose denormals in all of the app's arithmetic, and
    other threads would run graphs slower and with different results. Without glibc on x86-64 or
    AArch64, this does nothing.
    """
    if _libm is None:
        yield
        return
    size, at, bits = _LAYOUTS[platform.machine()]
    before = ctypes.create_string_buffer(size)
    _libm.fegetenv(before)
    word = int.from_bytes(before.raw[at : at + 4], "little") | bits
    _libm.fesetenv(before.raw[:at] + word.to_bytes(4, "little") + before.raw[at + 4 :])
    try:
        yield
    finally:
        _libm.fesetenv(before)
