"""Shared set-up of the benchmarks: machine facts in the JSON, and the table of ratios.

Every benchmark of one group does the same work on the same arrays in the same run. The first of a
group is ours, the others are peers; `extra_info["ours"]` marks it. Medians are compared.
"""

import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from makeup_kernels.dispatch import THREADS_VARIABLE
from makeup_sdk.bench.machine import machine_info as describe

sys.path.insert(0, str(Path(__file__).parent))  # suites share what they build

from published import published_suite

THREADS = int(os.environ.get(THREADS_VARIABLE) or 2)
"""Threads of our kernels and of every peer."""


PACKAGES = (
    "makeup-sdk",
    "numpy",
    "torch",
    "onnxruntime",
    "scikit-image",
    "kornia",
    "ncnn",
)
"""Packages whose versions explain the figures."""


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Replace identifying machine facts by those that explain the figures."""
    machine_info.clear()
    machine_info.update(describe(THREADS, PACKAGES))


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]
) -> None:
    """Publish only medians and quantiles."""
    kept = published_suite(output_json)
    output_json.clear()
    output_json.update(kept)


@pytest.fixture(scope="session")
def threads() -> int:
    """Give our kernels, torch and OpenCV the same number of threads."""
    cv2.setNumThreads(THREADS)
    try:
        import torch
    except ImportError:
        return THREADS
    torch.set_num_threads(THREADS)
    return THREADS


@pytest.fixture
def measure(benchmark: Any) -> Any:
    """Time `function()`: one warm-up, then `rounds` calls; `ours` marks our side of the group."""

    def run(function: Any, *, rounds: int = 30, ours: bool = False, **extra: Any) -> Any:
        benchmark.extra_info.update(extra, ours=ours)
        return benchmark.pedantic(function, rounds=rounds, warmup_rounds=2)

    return run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, list[Any]] = {}
    for bench in session.benchmarks if session else []:
        if not bench.has_error and bench.group:
            groups.setdefault(bench.group, []).append(bench)
    if not groups:
        return
    write = terminalreporter.write_line
    terminalreporter.section(f"ratios of medians, {THREADS} threads, {describe()['cpu']}")
    for group, benches in groups.items():
        ours = next((b for b in benches if b.extra_info.get("ours")), None)
        write(group)
        for bench in benches:
            line = f"  {bench.name:<58} {bench.stats.median * 1e3:10.3f} ms"
            if ours is not None and bench is not ours:
                line += f"  {bench.stats.median / ours.stats.median:8.2f} x ours"
            macs = bench.extra_info.get("multiply_adds")
            if macs:
                line += f"  {macs / bench.stats.median / 1e9:7.1f} GMAC/s"
            write(line)
