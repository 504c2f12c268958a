"""Fixtures of the kernel tests."""

import sys
from pathlib import Path

import pytest

from makeup_kernels import _cpu

sys.path.append(str(Path(__file__).parent))  # for placed_maps.py, beside the tests


@pytest.fixture(params=_cpu.available_isas())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once per instruction set of this processor."""
    monkeypatch.setenv("MAKEUP_CPU_ISA", request.param)
    return request.param
