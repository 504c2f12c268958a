"""What stands in for PyCUDA in a GPU run: its calls of the CUDA driver, on an emulated driver."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from makeup_kernels.cuda.code import write_manifest

HERE = Path(__file__).parent
STAND_IN = HERE.parents[2] / "benchmarks" / "driver_api"
SCRIPT = """
import gc
import ctypes
import numpy as np
from makeup_kernels import composite
from makeup_kernels.cuda.driver import on_gpu
import pycuda.driver as cuda, pycuda.gpuarray as arrays

assert cuda.Context.get_current() is None
with on_gpu(cuda.Stream()) as gpu:
    assert (gpu.name(), gpu.processors()) == ("Emulated 16", 16)
    assert cuda.Device(0).compute_capability() == (9, 0)
    numbers = np.arange(24, dtype=np.float32).reshape(4, 6)
    there = gpu.upload(numbers)
    assert np.array_equal(there.get(), numbers) and there.shape == (4, 6)
    assert np.array_equal(there.reshape((2, 12)).get(), numbers.reshape(2, 12))
    rows = gpu.empty((4, 2), np.float32)
    address = int(there.gpudata)
    gpu.copy_rows(int(rows.gpudata), 8, address + 4, 24, 8, 4)  # the second and third columns
    assert np.array_equal(rows.get(), numbers[:, 1:3])
    gpu.copy_rows(int(rows.gpudata), 8, address, 8, 8, 4)
    assert np.array_equal(rows.get().ravel(), numbers.ravel()[:8])
    gpu.clear(int(rows.gpudata) + 8, 8)
    assert rows.get().ravel().tolist() == [0, 1, 0, 0, 4, 5, 6, 7]
    gpu.finish()

rng = np.random.default_rng(0)
frame, source, result = (rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(3))
alpha = np.zeros((20, 30), np.float32)
alpha[1:-1, 1:-1] = rng.random((18, 28), np.float32)
matrix = np.array([[0.9, 0.1, 1], [-0.1, 0.9, 2]])
expected = composite(frame, source, result, alpha, matrix, backend="cpu")
for _ in range(2):
    ours = composite(frame, source, result, alpha, matrix, backend="cuda")
    assert np.abs(ours.astype(int) - expected).max() <= 1
with on_gpu() as gpu:
    start, end = cuda.Event(), cuda.Event()
    start.record()
    composite(frame, source, result, alpha, matrix, backend="cuda")
    end.record()
    end.synchronize()
    assert end.time_since(start) > 0  # the emulation counts launches

living = ctypes.CDLL("libcuda.so.1").allocations
living.restype = ctypes.c_long
before = living()
with on_gpu():
    held = arrays.empty((8,), np.uint8)
    assert living() == before + 1
del held  # outside of any context
gc.collect()
assert living() == before
for refused, message in (
    (lambda: cuda.Device(1), "cuDeviceGet failed: CUDA_ERROR_INVALID_VALUE (1)"),
    (lambda: cuda.mem_alloc(8), "cuMemAlloc_v2 failed: CUDA_ERROR_INVALID_CONTEXT (201)"),
    (lambda: cuda.module_from_buffer(b"nothing"), "cuModuleLoadData failed: CUDA_ERROR_INVALID_IM"),
):
    try:
        refused()
    except cuda.Error as error:
        assert message in str(error), error
    else:
        raise SystemExit(message)
print("all well")
"""


@pytest.fixture(scope="module")
def driver(emulated_kernels, tmp_path_factory) -> Path:
    """A folder with an emulated libcuda.so.1, and "compiled" kernels in `kernels`."""
    folder = tmp_path_factory.mktemp("driver")
    compiler = shutil.which("g++") or shutil.which("clang++")
    library = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1"]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, *library, HERE / "cuda_driver.cpp", "-ldl"], check=True)
    (folder / "kernels").mkdir()
    for name, path in emulated_kernels.items():
        (folder / "kernels" / f"{name}.fatbin").write_bytes(os.fsencode(path) + b"\0")
    write_manifest(folder / "kernels", ("sm_90",), "emulation")
    return folder


def run(driver: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(driver),
        "MAKEUP_CUDA_KERNELS": str(driver / "kernels"),
        "PYTHONPATH": os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")]),
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


def test_kernels_run_through_the_driver_api(driver):
    done = run(driver, "-c", SCRIPT)
    assert done.stdout == "all well\n", done.stdout + done.stderr


def test_tests_of_the_gpu_take_it_for_pycuda(driver):
    """The short list of the sanitizers, which says "gpu", runs rather than being skipped."""
    file = str(HERE / "test_frame_operations.py")
    tests = [f"{file}::test_composite_of_faces_in_their_order[gpu]"]
    tests.append(f"{file}::test_color_maps_of_faces_in_their_order[gpu-2]")
    done = run(driver, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_without_a_gpu_the_backend_says_why(driver):
    script = "from makeup_kernels.cuda import available; print(available())"
    done = run(driver, "-c", script, NO_GPU="1")
    assert "no CUDA GPU (cuInit failed: CUDA_ERROR_NO_DEVICE (100))" in done.stdout, done.stderr
