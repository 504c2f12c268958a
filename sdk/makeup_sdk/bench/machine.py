"""Facts of the machine that explain the figures: processor, versions, load."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2

from makeup_kernels import cpu_features
from makeup_kernels.dispatch import thread_count

PACKAGES = ("makeup-sdk", "numpy", "onnxruntime", "tensorrt")
"""Packages whose versions a report lists, if installed."""

_BUSY = 0.2
"""Fraction of cores used by other programs above which the machine counts as busy."""
_WATCHED = 0.3
"""Seconds over which the load of other programs is measured."""


def machine_info(threads: int | None = None, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Facts of this machine as JSON values; nothing that identifies its owner.

    Args:
        threads: requested CPU threads; None: the default.
        packages: packages whose versions to list.
    """
    features = cpu_features()
    info: dict[str, Any] = {
        "cpu": _cpu_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "isa": features.isa,
        "openmp": features.openmp,
        "compiler": features.compiler,
        "threads": thread_count(threads),
        "busy_cores": busy_cores(),
        "versions": _versions(packages),
    }
    board = Path("/proc/device-tree/model")
    if board.is_file():
        info["board"] = board.read_text(errors="replace").strip("\0 \n")
    gpu = _gpu()
    if gpu:
        info["gpu"] = gpu
    return info


def busy_cores() -> float | None:
    """Cores that other programs use, measured while this one sleeps; None if unknown."""
    before = _cpu_ticks()
    time.sleep(_WATCHED)
    after = _cpu_ticks()
    if before is None or after is None or after[1] == before[1]:
        return None
    share = (after[0] - before[0]) / (after[1] - before[1])
    return round(share * (os.cpu_count() or 1), 2)


def is_busy(machine: Mapping[str, Any]) -> bool:
    """Whether other programs loaded the machine when its facts were taken."""
    busy, cores = machine.get("busy_cores"), machine.get("cores")
    return isinstance(busy, (int, float)) and isinstance(cores, int) and busy > _BUSY * cores


def _cpu_ticks() -> tuple[int, int] | None:
    """Busy ticks and total ticks of all cores since boot."""
    statistics = Path("/proc/stat")
    if not statistics.is_file():
        return None
    ticks = [int(word) for word in statistics.read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)  # idle and waiting for a disk


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError, AttributeError):
        return None


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {"python": platform.python_version(), "opencv": str(cv2.__version__)}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _gpu() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,driver_version,clocks.sm", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return "; ".join(answer.stdout.strip().splitlines()) or None
