"""Denormals are zero while a graph runs, and nowhere else."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from makeup_engines import denormals
from makeup_engines.denormals import denormals_as_zero

TINY = np.array([1e-40], np.float32)

pytestmark = pytest.mark.skipif(denormals._libm is None, reason="needs glibc on a known processor")


def halved() -> float:
    return float((TINY * np.float32(0.5))[0])


def test_within_and_after():
    before = halved()
    with denormals_as_zero():
        assert halved() == 0
        with denormals_as_zero():
            assert halved() == 0
        assert halved() == 0
    assert halved() == before
    with pytest.raises(KeyError), denormals_as_zero():
        raise KeyError
    assert halved() == before


def test_other_threads_keep_theirs():
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(halved).result()
        with denormals_as_zero():
            assert pool.submit(halved).result() == before > 0


_PROGRAM = """
import numpy as np
from makeup_engines import Bundle
from makeup_sdk.weights import FOLDER as MODELS

def halved():
    return float((np.array([1e-40], np.float32) * np.float32(0.5))[0])

assert halved() > 0
session = Bundle.open(MODELS / "face_detector").session("model", backend="onnxruntime")
assert halved() > 0, "making the first session of the process left the flush on"
tensors = session.spec.inputs
shapes = [[size if isinstance(size, int) else 1 for size in tensor.shape] for tensor in tensors]
session.run({t.name: np.zeros(s, t.dtype) for t, s in zip(tensors, shapes, strict=True)})
assert halved() > 0, "a run left the flush on"
"""


def test_a_session_leaves_the_callers_arithmetic_alone():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
