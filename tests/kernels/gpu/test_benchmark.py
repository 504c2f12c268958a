"""The GPU benchmark where there is no GPU, and its table."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def gpu_kernels():
    spec = importlib.util.spec_from_file_location("gpu_kernels", FOLDER / "gpu_kernels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_why(gpu_kernels, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu_kernels, "unavailable", lambda name: f"no {name} here")
    assert gpu_kernels.main(["--out", str(tmp_path / "results")]) == 1
    message = capsys.readouterr().err
    assert "nothing to measure without a CUDA GPU (triton: no triton here; cuda: no cuda" in message
    assert not list(tmp_path.iterdir())
    assert "gpu_cases" not in sys.modules


def test_table_says_what_was_not_measured(gpu_kernels):
    fast, slow = ({f"p{cut}": time for cut in (50, 95, 99)} for time in (10.0, 5000.0))
    machine = dict.fromkeys(
        ("gpu", "driver", "clocks before", "clocks after", "clocks at most", "torch", "cuda"), "?"
    )
    case = {
        "name": "morph",
        "bound_us": 2.0,
        "aims": {"µs": 60, "torch, dense": 50},
        "ours": ["triton"],
        "runs": {
            "triton": {"device": fast, "call": {**fast, "p50": 50.0}},
            "torch, dense form": {"device": "not measured", "call": slow},
        },
    }
    table = gpu_kernels.markdown(
        {
            "machine": {**machine, "triton": "3"},
            "unavailable": {"cuda": "no PyCUDA"},
            "cases": [case],
        }
    )
    assert "The cuda backend: not measured, no PyCUDA." in table
    # one run lacks a time on the device, so calls are compared
    assert "| morph | triton | 10.0 | 10.0 | 50.0 | 2.0 | 4% |  | 60 µs |" in table
    assert (
        "| morph | torch, dense form | not measured | not measured | 5000.0 |  |  | 100.0× | 50 × |"
        in table
    )
