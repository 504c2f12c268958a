"""The GPU backends: on a GPU where there is one, else Triton in its interpreter, on the CPU."""

import importlib
import zlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="Triton needs torch: pip install torch triton")
pytest.importorskip("triton", reason="pip install triton")  # imported by tests/conftest.py

ON_GPU = torch.cuda.is_available()


@pytest.fixture(params=["triton", "cuda"])
def backend(request, monkeypatch):
    """Run the test on each backend that can run here; memory that nobody wrote holds NaN."""
    if request.param == "triton" and not ON_GPU:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    reason = importlib.import_module(f"makeup_kernels.{request.param}").available()
    if reason:
        pytest.skip(reason)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield request.param
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def put(backend):
    """NumPy to an array on the device."""
    return importlib.import_module(f"makeup_kernels.{backend}").to_device


@pytest.fixture
def get(backend):
    """An array on the device to NumPy."""
    return importlib.import_module(f"makeup_kernels.{backend}").to_host


@pytest.fixture
def rng(request):
    """Fresh numbers in every run on a GPU; in the interpreter those of the test's name."""
    seed = zlib.crc32(request.node.name.encode())
    if torch.cuda.is_available():
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    return np.random.default_rng(seed)
