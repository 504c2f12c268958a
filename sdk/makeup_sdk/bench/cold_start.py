"""Time from process start to the first frame with makeup, and the memory used.

Measured in fresh interpreters, so imports and allocations of this process do not count.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from makeup_kernels import MakeupError
from makeup_sdk.bench.measure import open_engine, wear_demo_look
from makeup_sdk.bench.options import BenchOptions, Scenario
from makeup_sdk.bench.report import ColdStart, Memory
from makeup_sdk.bench.scene import scene

_CHILD = """
import sys, time
started = time.time(), time.perf_counter()
import makeup_sdk
imported = time.perf_counter()
from makeup_sdk.bench.cold_start import first_frame
first_frame(*started, imported, sys.argv[1])
"""
_MEMORY_FRAMES = 20
"""Frames to process after the first, before the memory peak is read."""


def cold_start(options: BenchOptions) -> tuple[ColdStart, Memory | None]:
    """Start one fresh process that puts makeup on a frame of the largest size.

    Raises:
        MakeupError: the process failed; the message has the end of its output.
    """
    spawned = time.time()
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(asdict(options))],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        words = (child.stderr.strip() or f"exit status {child.returncode}").splitlines()[-1]
        raise MakeupError(f"a fresh process could not make up a frame: {words}")
    found = json.loads(child.stdout.splitlines()[-1])
    interpreter = max(0.0, (found.pop("began") - spawned) * 1e3)
    memory = found.pop("memory")
    return ColdStart(interpreter=interpreter, **found), memory and Memory(**memory)


def first_frame(began: float, started: float, imported: float, settings: str) -> None:
    """Run in the fresh process: process the first frame and some more; print JSON.

    Args:
        began: wall-clock seconds when the interpreter ran the first line.
        started: `perf_counter` at the same moment.
        imported: `perf_counter` once `makeup_sdk` was imported.
        settings: `BenchOptions` as JSON.
    """
    after_imports = resident("VmRSS")
    fields = json.loads(settings)
    options = BenchOptions(**{key: _as_tuples(value) for key, value in fields.items()})
    width, height = max(options.sizes, key=lambda size: size[0] * size[1])
    frames = scene(Scenario("image", width, height, min(options.faces)))
    before = time.perf_counter()
    engine = open_engine(options)
    opened = time.perf_counter()
    wear_demo_look(engine)
    dressed = time.perf_counter()
    engine.process(frames[0])
    done = time.perf_counter()
    ready = resident("VmRSS")
    for number in range(_MEMORY_FRAMES):
        engine.process(frames[number % len(frames)])
    peak = resident("VmHWM")
    times = {
        "imports": imported - started,
        "engine": opened - before,
        "look": dressed - opened,
        "frame": done - dressed,
    }
    memory = None
    if after_imports is not None and ready is not None and peak is not None:
        memory = asdict(Memory(after_imports, ready, peak))
    found: dict[str, Any] = {name: seconds * 1e3 for name, seconds in times.items()}
    print(json.dumps({**found, "began": began, "memory": memory}))


def resident(field: str) -> float | None:
    """Resident memory of this process in MiB, from a field of /proc/self/status.

    `VmRSS` is the current value, `VmHWM` the peak. None if the system does not provide them.
    (`getrusage` does not help: its peak is inherited from the parent process.)
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    for line in status.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    return None


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(entry) for entry in value) if isinstance(value, list) else value
