"""Fixtures of the kernel tests."""

import pytest

from makeup_kernels import _cpu


@pytest.fixture(params=_cpu.available_isas())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once per instruction set of this processor."""
    monkeypatch.setenv("MAKEUP_CPU_ISA", request.param)
    return request.param
