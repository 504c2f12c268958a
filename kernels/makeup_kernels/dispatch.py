"""Choose an operation's backend, instruction set and number of threads."""

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

from makeup_kernels import triton
from makeup_kernels.cores import usable_cores
from makeup_kernels.errors import BackendUnavailableError, InvalidInputError

__all__ = [
    "BACKENDS",
    "DEVICE_BACKENDS",
    "ISA_VARIABLE",
    "THREADS_VARIABLE",
    "CpuFeatures",
    "_cpu",
    "choose_backend",
    "cpu_features",
    "cpu_isa",
    "is_device_array",
    "thread_count",
    "unavailable",
    "usable_cores",
]


@contextmanager
def _openmp_threads_sleep_while_waiting() -> Iterator[None]:
    """Make threads of an OpenMP runtime that loads now sleep, not spin, while they wait.

    On busy cores, a spinning thread occupies the core of the thread that it waits for, and a call
    of 0.5 ms takes a scheduler slice of 8 ms. OpenMP reads the setting once, when it loads. A
    user's setting is kept.
    """
    name = "OMP_WAIT_POLICY"
    chosen_by_user = name in os.environ
    os.environ.setdefault(name, "passive")
    try:
        yield
    finally:
        if not chosen_by_user:
            del os.environ[name]


with _openmp_threads_sleep_while_waiting():
    import makeup_kernels._cpu as _cpu  # noqa: PLR0402, other modules import it from here

BACKENDS = ("auto", "cpu", "triton", "cuda")
"""Values of `backend=`. "auto" means the CPU for NumPy arrays, the GPU for GPU arrays."""

DEVICE_BACKENDS = ("triton", "cuda")
"""GPU backends, in the order in which "auto" tries them."""

THREADS_VARIABLE = "MAKEUP_THREADS"
"""Environment variable: number of threads of kernel calls without `threads=`."""

ISA_VARIABLE = "MAKEUP_CPU_ISA"
"""Environment variable: instruction set of the CPU kernels instead of the widest; for tests."""


@dataclass(frozen=True)
class CpuFeatures:
    """Instruction set and threading of the CPU kernels.

    Attributes:
        isa: instruction set in use: "baseline" (SSE2 or NEON), "avx2" or "avx512".
        available_isas: compiled in and supported by this processor, narrowest first.
        openmp: whether the kernels can use several threads.
        threads: number of threads of a call without `threads=`.
        compiler: name and version of the compiler that built them.
    """

    isa: str
    available_isas: tuple[str, ...]
    openmp: bool
    threads: int
    compiler: str


def cpu_features() -> CpuFeatures:
    """Features of the CPU kernels on this machine, environment variables applied.

    Raises:
        BackendUnavailableError: this processor or build lacks the MAKEUP_CPU_ISA.
        InvalidInputError: MAKEUP_THREADS is not a positive integer.
    """
    return CpuFeatures(
        isa=cpu_isa(),
        available_isas=tuple(_cpu.available_isas()),
        openmp=_cpu.openmp,
        threads=thread_count(None),
        compiler=_cpu.compiler,
    )


def choose_backend(backend: str, operation: str, *arrays: object) -> str:
    """The backend of a call: "cpu", "triton" or "cuda".

    Args:
        backend: the caller's request.
        operation: its name, for messages.
        arrays: the call's arrays, for "auto".

    Raises:
        BackendUnavailableError: the requested backend cannot run here; with "auto", the arrays are
            on a GPU and no GPU backend can run.
        InvalidInputError: unknown backend.
    """
    if backend not in BACKENDS:
        raise InvalidInputError(
            f"backend: got {backend!r}, expected one of {', '.join(map(repr, BACKENDS))}"
        )
    if backend == "cpu" or (backend == "auto" and not any(map(is_device_array, arrays))):
        return "cpu"
    reasons = {}
    for name in DEVICE_BACKENDS if backend == "auto" else (backend,):
        reason = unavailable(name)
        if reason is None:
            return name
        reasons[name] = reason
    why = "; ".join(f"the {name!r} backend cannot run here: {why}" for name, why in reasons.items())
    raise BackendUnavailableError(f"{operation}: {why}")


def unavailable(backend: str) -> str | None:
    """The reason why "triton" or "cuda" cannot run here, with the remedy; None if it can."""
    module = importlib.import_module(f"makeup_kernels.{backend}")
    reason: str | None = module.available()
    return reason


def is_device_array(array: object) -> bool:
    """Whether an array is on a GPU, or a torch tensor while Triton's interpreter is on."""
    if isinstance(array, np.ndarray):
        return False
    in_interpreter = type(array).__module__ == "torch" and triton.interpreted()
    return in_interpreter or hasattr(array, "__cuda_array_interface__")


def cpu_isa() -> str:
    """Name of the instruction set to use: MAKEUP_CPU_ISA if set, else the widest available.

    Raises:
        BackendUnavailableError: this processor or build lacks the MAKEUP_CPU_ISA.
    """
    available = _cpu.available_isas()
    asked = os.environ.get(ISA_VARIABLE)
    if not asked:
        return available[-1]
    if asked not in available:
        raise BackendUnavailableError(
            f"{ISA_VARIABLE}={asked}: this processor and build have {', '.join(available)}. "
            f"Set {ISA_VARIABLE} to one of them or unset it."
        )
    return asked


def thread_count(threads: int | None) -> int:
    """Number of threads of a call: the argument, else MAKEUP_THREADS, else one per usable core.

    Never more than the cores this process may use, because threads that share a core wait for each
    other; a larger number is lowered, with a `RuntimeWarning` the first time. OMP_NUM_THREADS, if
    set, lowers the default.

    Raises:
        InvalidInputError: not a positive integer.
    """
    if threads is not None:
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise InvalidInputError(f"threads: got {threads!r}, expected an integer of at least 1")
        return _within_cores("threads", threads)
    setting = os.environ.get(THREADS_VARIABLE)
    if not setting:
        cores = usable_cores()
        return min(cores, _cpu.default_threads()) if _cpu.openmp else cores
    if not setting.isdecimal() or int(setting) < 1:
        raise InvalidInputError(
            f"{THREADS_VARIABLE}={setting}: expected an integer of at least 1; set or unset it"
        )
    return _within_cores(THREADS_VARIABLE, int(setting))


def _within_cores(name: str, threads: int) -> int:
    cores = usable_cores()
    if threads <= cores:
        return threads
    _warn_of_bound(name, threads, cores)
    return cores


@cache
def _warn_of_bound(name: str, threads: int, cores: int) -> None:
    """Warn once that the number of threads was lowered to the cores."""
    warnings.warn(
        f"{name}: got {threads}, but this process may use {cores} of the machine's cores (CPU "
        f"affinity, or its container's quota): {cores} will run. Ask for at most {cores}, or "
        "leave it out.",
        RuntimeWarning,
        stacklevel=5,
    )
