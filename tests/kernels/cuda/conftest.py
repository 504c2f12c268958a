"""The CUDA kernels, emulated on the host; on a machine with a GPU also on the GPU itself."""

import importlib.util
import os
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from makeup_kernels.cuda.code import OPERATIONS

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "kernels" / "makeup_kernels"


def load(name: str):
    """A module that lies beside this file."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def host_gpu_module():
    return load("host_gpu")


@pytest.fixture(scope="session")
def emulated_kernels(host_gpu_module, tmp_path_factory) -> dict[str, Path]:
    """One library of emulated kernels per operation."""
    if platform.system() != "Linux" or not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("the emulation of CUDA needs Linux and a C++ compiler")
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer does not follow the emulation's fibers")
    folder = tmp_path_factory.mktemp("emulation")
    libraries = {name: folder / f"{name}.so" for name in OPERATIONS}

    def compile_one(name: str) -> None:
        host_gpu_module.compile_emulation(SOURCES / name / "cuda.cu", SOURCES, libraries[name])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, OPERATIONS))
    return libraries


@pytest.fixture
def host_gpu(host_gpu_module, emulated_kernels, monkeypatch):
    """The emulated GPU in PyCUDA's place; checks at the end that no kernel wrote out of bounds."""
    gpu = host_gpu_module.HostGpu(emulated_kernels).install(monkeypatch)
    yield gpu
    gpu.check_guards()
    assert gpu.contexts == 0


class Device:
    """Where the kernels under test run: the emulation, or this machine's GPU.

    Attributes:
        emulated: the emulated GPU, or None.
    """

    def __init__(self, emulated) -> None:
        self.emulated = emulated

    def run(self, call):
        """Results of a call as NumPy arrays; run twice, and each time the same bits.

        The emulation takes the threads in the opposite order the second time.
        """
        first = self._results(call())
        if self.emulated:
            self.emulated.direction *= -1
        for one, other in zip(first, self._results(call()), strict=True):
            assert one.tobytes() == other.tobytes(), "results depend on the order of threads"
        return first if len(first) > 1 else first[0]

    def poisoned(self, shape, dtype):
        """An array on the device full of 0xA5."""
        from makeup_kernels.cuda import to_device

        return to_device(np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize, 0xA5, np.uint8)
                         .view(dtype).reshape(shape))  # fmt: skip

    @staticmethod
    def _results(results):
        from makeup_kernels.cuda import to_host

        return [to_host(r) for r in (results if isinstance(results, tuple) else (results,))]


@pytest.fixture
def gpu_device() -> Device:
    """This machine's GPU; skips where there is none."""
    from makeup_kernels.cuda import available

    reason = available()
    if reason:
        pytest.skip(reason)
    return Device(None)


@pytest.fixture(params=["emulated", "gpu"])
def device(request) -> Device:
    """Each test runs on the emulation, and where there is one on a GPU."""
    if request.param == "emulated":
        return Device(request.getfixturevalue("host_gpu"))
    return request.getfixturevalue("gpu_device")
