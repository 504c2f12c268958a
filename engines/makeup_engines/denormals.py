"""Denormal numbers as zero, on this thread and for a while."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# In glibc's `fenv_t`: its bytes, where the control word lies, and the bits that flush.
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
    """Compute without denormals; afterwards the thread's floating-point mode is what it was.

    ONNX Runtime sets this mode on its own workers, and for good on whichever thread makes the first
    session of a process: that thread would then lose denormals in all of the app's arithmetic, and
    the others would compute graphs slower and with other results. Without glibc on x86-64 or
    AArch64, nothing is done.
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
